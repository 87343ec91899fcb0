//! The server itself.

use crate::controls::page::Page;
use leptos::prelude::*;

/// Status.
#[component]
pub fn Status() -> impl IntoView {
    view! { <Page title="Status">""</Page> }
}

/// TSDB status.
#[component]
pub fn TsdbStatus() -> impl IntoView {
    view! { <Page title="TSDB status">""</Page> }
}

/// Configuration.
#[component]
pub fn Config() -> impl IntoView {
    view! { <Page title="Configuration">""</Page> }
}

/// Command-line flags.
#[component]
pub fn Flags() -> impl IntoView {
    view! { <Page title="Command-line flags">""</Page> }
}
