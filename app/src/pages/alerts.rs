//! Alerts that fire, by group.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Alerts.
#[component]
pub fn Alerts() -> impl IntoView {
    view! { <Page title="Alerts">""</Page> }
}
