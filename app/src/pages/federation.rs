//! Leaves and how far behind they are.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Federation.
#[component]
pub fn Federation() -> impl IntoView {
    view! { <Page title="Federation">""</Page> }
}
