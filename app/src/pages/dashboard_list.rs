//! All dashboards.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Dashboards.
#[component]
pub fn DashboardList() -> impl IntoView {
    view! { <Page title="Dashboards">""</Page> }
}
