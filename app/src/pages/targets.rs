//! Scrape targets and how they were found.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Targets.
#[component]
pub fn Targets() -> impl IntoView {
    view! { <Page title="Targets">""</Page> }
}

/// Service discovery.
#[component]
pub fn ServiceDiscovery() -> impl IntoView {
    view! { <Page title="Service discovery">""</Page> }
}
