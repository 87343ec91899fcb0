//! Ad hoc queries.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Explore.
#[component]
pub fn Explore() -> impl IntoView {
    view! { <Page title="Explore">""</Page> }
}
