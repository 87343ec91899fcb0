//! The tabs that the alert pages share.

use crate::client::{self, use_polled};
use crate::memo::{live, memo};
use leptos::prelude::*;

/// Counts beside the names change slowly.
const REFRESH_MS: u32 = 30_000;

/// Alerts, silences and rules with their numbers.
#[component]
pub fn AlertTabs(
    /// The number of alerts listed, where the page knows it.
    #[prop(optional, into)]
    active: Option<Signal<usize>>,
) -> impl IntoView {
    let path = crate::router::use_path();
    let silences = use_polled(REFRESH_MS, || client::alertmanager::silences(&[]));
    let rules = use_polled(REFRESH_MS, client::prometheus::rules);
    let silences = memo(move || {
        let silences = silences.data.get()?;
        Some(silences.iter().filter(|silence| silence.status.state != "expired").count())
    });
    let rules =
        memo(move || rules.data.get().map(|rules| rules.groups.iter().map(|group| group.rules.len()).sum::<usize>()));
    let current = move |name: &'static str| {
        let path = path.get();
        let page = match () {
            () if path.contains("/silence") => "silences",
            () if path.contains("/rules") => "rules",
            () => "active",
        };
        (page == name).then_some("page")
    };
    let number = |count: Option<usize>| count.map(|count| view! { <span class="n num">{count}</span> });
    view! {
        <nav class="tabs" aria-label="Alerts">
            <a href="/alerts" aria-current=move || current("active") data-t="tab-active">
                "Active"
                {live(move || number(active.map(|active| active.get())))}
            </a>
            <a href="/alerts/silences" aria-current=move || current("silences") data-t="tab-silences">
                "Silences"
                {live(move || number(silences.get()))}
            </a>
            <a href="/alerts/rules" aria-current=move || current("rules") data-t="tab-rules">
                "Rules"
                {live(move || number(rules.get()))}
            </a>
        </nav>
    }
}
