//! What needs attention.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Home.
#[component]
pub fn Home() -> impl IntoView {
    view! { <Page title="Home">""</Page> }
}
