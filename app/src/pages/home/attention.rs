//! Alerts that fire, the worst and then the newest first.

use crate::memo::memo;
use crate::{
    controls::icon::Glyph,
    live::use_live_alerts,
    pages::parts::{Age, address::query_text, time_text::parse_rfc3339_ms},
};
use api::alerts::GettableAlert;
use dashboard::sorting::Order;
use leptos::prelude::*;

/// The list keeps this height, with alerts or without.
const SHOWN_MAX: usize = 5;

/// The section.
#[component]
pub fn Attention() -> impl IntoView {
    let alerts = use_live_alerts();
    let firing = memo(move || alerts.data.with(|alerts| alerts.as_ref().map(|alerts| worst_first(alerts))));
    let error = move || alerts.error.with(Option::is_some);
    let rows = move || {
        let Some(firing) = firing.get() else {
            let text = if error() { "The alerts could not be read." } else { "Reading the alerts…" };
            return view! { <li class="li dim">{text}</li> }.into_any();
        };
        if firing.is_empty() {
            return view! { <li class="li" data-t="no-alerts">{Glyph::Ok.view()} "No alert is firing."</li> }
                .into_any();
        }
        firing.into_iter().take(SHOWN_MAX).map(|alert| view! { <Row alert /> }).collect_view().into_any()
    };
    let more = move || {
        let count = firing.with(|firing| firing.as_ref().map_or(0, Vec::len));
        if count > SHOWN_MAX { format!("All {count} alerts") } else { "All alerts".to_owned() }
    };
    view! {
        <section>
            <h2 class="sec">
                "Needs attention" <span class="grow"></span> <a href="/alerts">{more}</a>
            </h2>
            <ul class="card attention" data-t="attention">{rows}</ul>
        </section>
    }
}

#[component]
fn Row(alert: GettableAlert) -> impl IntoView {
    let label = |name: &str| alert.labels.get(name).cloned().unwrap_or_default();
    let severity = label("severity");
    let name = label("alertname");
    let summary = alert.annotations.get("summary").or_else(|| alert.annotations.get("description")).cloned();
    let place =
        [label("job"), label("instance")].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
    let filter = query_text(&[("filter".to_owned(), format!("alertname={name:?}"))]);
    let word = if severity.is_empty() { "alert".to_owned() } else { severity.clone() };
    view! {
        <li>
            <a class="li" href=format!("/alerts{filter}") data-t="attention-row">
                {Glyph::of_severity(&severity).view()}
                <span class="sr">{word}</span>
                <span class="nm">
                    <b>{name}</b>
                    <span class="mut">{summary}</span>
                </span>
                <span class="grow"></span>
                <span class="dim only-l small nowrap">{place}</span>
                <span class="dim num nowrap age"><Age at_ms=parse_rfc3339_ms(&alert.starts_at) bare=true /></span>
            </a>
        </li>
    }
}

fn worst_first(alerts: &[GettableAlert]) -> Vec<GettableAlert> {
    let rank = |alert: &GettableAlert| match Glyph::of_severity(alert.labels.get("severity").map_or("", String::as_str))
    {
        Glyph::Critical => 0,
        Glyph::Warning => 1,
        _ => 2,
    };
    let mut firing: Vec<GettableAlert> =
        alerts.iter().filter(|alert| alert.status.state == "active").cloned().collect();
    firing.order_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| b.starts_at.cmp(&a.starts_at)));
    firing
}
