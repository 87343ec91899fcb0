//! Import of a dashboard that came as JSON.

use crate::controls::dialog::Dialog;
use leptos::prelude::*;

/// The window.
#[component]
pub fn ImportDialog(open: RwSignal<bool>) -> impl IntoView {
    view! { <Dialog open title="Import a dashboard" wide=true test="import-dialog">""</Dialog> }
}
