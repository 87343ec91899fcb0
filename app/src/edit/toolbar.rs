//! The buttons of the top bar.

use leptos::prelude::*;

/// The Edit button, or in edit mode: add, undo, redo, settings, versions, discard, save.
#[component]
pub fn EditActions() -> impl IntoView {}
