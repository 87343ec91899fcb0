//! Silences and the form to make one.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Silences.
#[component]
pub fn Silences() -> impl IntoView {
    view! { <Page title="Silences">""</Page> }
}

/// New silence.
#[component]
pub fn SilenceForm() -> impl IntoView {
    view! { <Page title="New silence">""</Page> }
}
