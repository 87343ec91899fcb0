//! Alert list: alerts of this server that fire or wait, by the panel's filters.

use crate::{
    controls::icon::Glyph,
    live::use_live_alerts,
    pages::parts::{Age, address::query_text, time_text::parse_rfc3339_ms},
    panels::PanelInput,
};
use api::alerts::GettableAlert;
use dashboard::sorting::Order;
use leptos::prelude::*;
use serde_json::Value;

/// The panel.
#[component]
pub fn AlertList(input: PanelInput) -> impl IntoView {
    let alerts = use_live_alerts();
    let shown = move || {
        let options = input.panel.with(|panel| panel.options.clone());
        let name = input.fill.run((text(&options, "alertName"), "text"));
        alerts.data.with(|alerts| select(alerts.as_deref().unwrap_or_default(), &options, &name))
    };
    let rows = move || {
        let rows = shown();
        if rows.is_empty() {
            return view! { <li class="li">{Glyph::Ok.view()} "No alert is firing."</li> }.into_any();
        }
        rows.into_iter().map(|alert| view! { <Row alert /> }).collect_view().into_any()
    };
    view! { <ul class="panel-list" data-t="alert-list">{rows}</ul> }
}

#[component]
fn Row(alert: GettableAlert) -> impl IntoView {
    let label = |name: &str| alert.labels.get(name).cloned().unwrap_or_default();
    let name = label("alertname");
    let filter = query_text(&[("filter".to_owned(), format!("alertname={name:?}"))]);
    let glyph =
        if alert.status.state == "suppressed" { Glyph::Silenced } else { Glyph::of_severity(&label("severity")) };
    let summary = alert.annotations.get("summary").cloned();
    view! {
        <li>
            <a class="li" href=format!("/alerts{filter}")>
                {glyph.view()}
                <span class="nm"><b>{name}</b> " " <span class="mut">{summary}</span></span>
                <span class="grow"></span>
                <span class="dim num nowrap"><Age at_ms=parse_rfc3339_ms(&alert.starts_at) bare=true /></span>
            </a>
        </li>
    }
}

fn text(options: &Value, key: &str) -> String {
    options.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn select(alerts: &[GettableAlert], options: &Value, name: &str) -> Vec<GettableAlert> {
    let most = options.get("maxItems").and_then(Value::as_u64).unwrap_or(20) as usize;
    let name = name.to_lowercase();
    let mut shown: Vec<GettableAlert> = alerts
        .iter()
        .filter(|alert| alert.labels.get("alertname").is_some_and(|alert| alert.to_lowercase().contains(&name)))
        .cloned()
        .collect();
    let alert_name = |alert: &GettableAlert| alert.labels.get("alertname").cloned().unwrap_or_default();
    match options.get("sortOrder").and_then(Value::as_u64).unwrap_or(1) {
        2 => shown.order_by_key(|alert| std::cmp::Reverse(alert_name(alert))),
        3 => shown.order_by_key(|alert| alert.labels.get("severity").cloned()),
        4 => shown.order_by(|a, b| a.starts_at.cmp(&b.starts_at)),
        5 => shown.order_by(|a, b| b.starts_at.cmp(&a.starts_at)),
        _ => shown.order_by_key(alert_name),
    }
    shown.truncate(most.max(1));
    shown
}
