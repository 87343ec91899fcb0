//! The editor of one panel.

use leptos::prelude::*;

/// Preview above, queries below, options at the right. `preview` draws the panel out of the session's draft and fills its
/// box.
#[component]
pub fn PanelEditor(panel_id: i64, preview: ViewFn) -> impl IntoView {
    let _ = panel_id;
    preview.run()
}
