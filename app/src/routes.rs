//! Every page's address, those of Prometheus, Grafana and Alertmanager included.

use crate::memo::{Memo, memo, memo_from};
use crate::{
    pages,
    router::{self, Go, Params, fits, use_path},
};
use leptos::prelude::*;

/// A page by the pattern of its path: `:name` is a part of its own, `:name?` may be missing.
type Page = (&'static str, fn() -> AnyView);

const PAGES: [Page; 27] = [
    ("/", || view! { <pages::home::Home /> }.into_any()),
    ("/dashboards", dashboard_list),
    ("/dashboards/f/:folder/:slug?", dashboard_list),
    ("/dashboard/import", dashboard_list),
    ("/dashboard/new", || view! { <pages::dashboard::NewDashboard /> }.into_any()),
    ("/d/:uid/:slug?", dashboard),
    ("/d-solo/:uid/:slug?", dashboard),
    ("/explore", explore),
    ("/graph", explore),
    ("/query", explore),
    ("/alerts", || view! { <pages::alerts::Alerts /> }.into_any()),
    ("/alerts/silences", || view! { <pages::silences::Silences /> }.into_any()),
    ("/alerts/silences/new", silence),
    ("/alerts/silences/:id", silence),
    ("/rules", rules),
    ("/alerts/rules", rules),
    ("/alerts/rules/:id", rules),
    ("/targets", || view! { <pages::targets::Targets /> }.into_any()),
    ("/service-discovery", || view! { <pages::targets::ServiceDiscovery /> }.into_any()),
    ("/probes", || view! { <pages::probes::Probes /> }.into_any()),
    ("/probes/:id", || view! { <pages::probes::Probe /> }.into_any()),
    ("/federation", || view! { <pages::federation::Federation /> }.into_any()),
    ("/status", status),
    ("/runtime-info", status),
    ("/tsdb-status", || view! { <pages::status::TsdbStatus /> }.into_any()),
    ("/config", || view! { <pages::status::Config /> }.into_any()),
    ("/flags", || view! { <pages::status::Flags /> }.into_any()),
];

/// Addresses of Grafana's alert pages, and ours for them.
const MOVED: [(&str, &str); 3] = [
    ("/alerting/list", "/alerts"),
    ("/alerting/silences", "/alerts/silences"),
    ("/alerting/silence/new", "/alerts/silences/new"),
];

fn dashboard_list() -> AnyView {
    view! { <pages::dashboard_list::DashboardList /> }.into_any()
}
fn dashboard() -> AnyView {
    view! { <pages::dashboard::Dashboard /> }.into_any()
}
fn explore() -> AnyView {
    view! { <pages::explore::Explore /> }.into_any()
}
fn silence() -> AnyView {
    view! { <pages::silences::SilenceForm /> }.into_any()
}
fn rules() -> AnyView {
    view! { <pages::rules::Rules /> }.into_any()
}
fn status() -> AnyView {
    view! { <pages::status::Status /> }.into_any()
}

fn moved(path: &str) -> Option<&'static str> {
    let path = path.trim_end_matches('/');
    MOVED.iter().find(|(old, _)| *old == path).map(|(_, new)| *new)
}

fn find(path: &str) -> Option<(usize, Params)> {
    PAGES.iter().enumerate().find_map(|(at, (pattern, _))| Some((at, fits(pattern, path)?)))
}

/// Whether a path is a page of ours.
pub fn known(path: &str) -> bool {
    find(path).is_some() || moved(path).is_some()
}

/// What the path of the page around names.
#[derive(Clone, Copy)]
struct PageParams(Memo<Params>);

/// A part of the path by its name in the pattern; tracked.
///
/// # Panics
/// Outside of a page.
pub fn use_param(name: &'static str) -> Memo<Option<String>> {
    let PageParams(params) = expect_context();
    memo(move || params.with(|params| params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())))
}

/// The page that the address names. A change within the same pattern keeps the page and renews its parts.
#[component]
pub fn Pages() -> impl IntoView {
    let path = use_path();
    let at = memo(move || path.with(|path| find(path)).map(|(at, _)| at));
    Effect::new(move |_| {
        if let Some(new) = path.with(|path| moved(path)) {
            let search = router::use_search().get_untracked();
            let mark = if search.is_empty() { "" } else { "?" };
            router::go(&format!("{new}{mark}{search}"), Go::Replace);
        }
    });
    move || match at.get() {
        Some(mine) => {
            // A page that is being left keeps its own parts to its end.
            let params = memo_from(move |before: Option<&Params>| match path.with(|path| find(path)) {
                Some((now, params)) if now == mine => params,
                _ => before.cloned().unwrap_or_default(),
            });
            provide_context(PageParams(params));
            PAGES.get(mine).map(|(_, page)| page()).into_any()
        }
        None if path.with(|path| moved(path).is_some()) => ().into_any(),
        None => view! { <pages::not_found::NotFound /> }.into_any(),
    }
}
