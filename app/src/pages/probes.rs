//! Blackbox probes.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Probes.
#[component]
pub fn Probes() -> impl IntoView {
    view! { <Page title="Probes">""</Page> }
}

/// Probe.
#[component]
pub fn Probe() -> impl IntoView {
    view! { <Page title="Probe">""</Page> }
}
