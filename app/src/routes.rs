//! Every page's address, those of Prometheus, Grafana and Alertmanager included.

use crate::pages;
use leptos::prelude::*;
use leptos_router::{
    components::{FlatRoutes, Redirect, Route},
    path,
};

/// The page that the address names.
#[component]
pub fn Pages() -> impl IntoView {
    view! {
        <FlatRoutes fallback=pages::not_found::NotFound>
            <Route path=path!("/") view=pages::home::Home/>
            <Route path=path!("/dashboards") view=pages::dashboard_list::DashboardList/>
            <Route path=path!("/dashboards/f/:folder/:slug?") view=pages::dashboard_list::DashboardList/>
            <Route path=path!("/dashboard/import") view=pages::dashboard_list::DashboardList/>
            <Route path=path!("/dashboard/new") view=pages::dashboard::NewDashboard/>
            <Route path=path!("/d/:uid/:slug?") view=pages::dashboard::Dashboard/>
            <Route path=path!("/d-solo/:uid/:slug?") view=pages::dashboard::Dashboard/>
            <Route path=path!("/explore") view=pages::explore::Explore/>
            <Route path=path!("/graph") view=pages::explore::Explore/>
            <Route path=path!("/query") view=pages::explore::Explore/>
            <Route path=path!("/alerts") view=pages::alerts::Alerts/>
            <Route path=path!("/alerts/silences") view=pages::silences::Silences/>
            <Route path=path!("/alerts/silences/new") view=pages::silences::SilenceForm/>
            <Route path=path!("/alerts/silences/:id") view=pages::silences::SilenceForm/>
            <Route path=path!("/alerting/list") view=|| view! { <Redirect path="/alerts"/> }/>
            <Route path=path!("/alerting/silences") view=|| view! { <Redirect path="/alerts/silences"/> }/>
            <Route path=path!("/alerting/silence/new") view=|| view! { <Redirect path="/alerts/silences/new"/> }/>
            <Route path=path!("/rules") view=pages::rules::Rules/>
            <Route path=path!("/alerts/rules") view=pages::rules::Rules/>
            <Route path=path!("/alerts/rules/:id") view=pages::rules::Rules/>
            <Route path=path!("/targets") view=pages::targets::Targets/>
            <Route path=path!("/service-discovery") view=pages::targets::ServiceDiscovery/>
            <Route path=path!("/probes") view=pages::probes::Probes/>
            <Route path=path!("/probes/:id") view=pages::probes::Probe/>
            <Route path=path!("/federation") view=pages::federation::Federation/>
            <Route path=path!("/status") view=pages::status::Status/>
            <Route path=path!("/runtime-info") view=pages::status::Status/>
            <Route path=path!("/tsdb-status") view=pages::status::TsdbStatus/>
            <Route path=path!("/config") view=pages::status::Config/>
            <Route path=path!("/flags") view=pages::status::Flags/>
        </FlatRoutes>
    }
}
