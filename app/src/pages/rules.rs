//! Alerting and recording rules.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Rules.
#[component]
pub fn Rules() -> impl IntoView {
    view! { <Page title="Rules">""</Page> }
}
