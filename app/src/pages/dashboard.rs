//! One dashboard.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Dashboard.
#[component]
pub fn Dashboard() -> impl IntoView {
    view! { <Page title="Dashboard">""</Page> }
}

/// New dashboard.
#[component]
pub fn NewDashboard() -> impl IntoView {
    view! { <Page title="New dashboard">""</Page> }
}
