//! PromQL as coloured text, for reading.

use crate::controls::query_editor::text::pieces;
use leptos::prelude::*;

/// An expression in the colours of the editor.
#[component]
pub fn PromqlText(#[prop(into)] expr: String) -> impl IntoView {
    let pieces = pieces(&expr, None).into_iter().map(|piece| view! { <span class=piece.class>{piece.text}</span> });
    view! { <code class="promql">{pieces.collect_view()}</code> }
}
