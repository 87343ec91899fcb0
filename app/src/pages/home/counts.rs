//! Four numbers: critical and warning alerts, probes up, targets up.

use crate::memo::{Memo, live, memo};
use crate::{
    client::{self, use_polled},
    controls::icon::Glyph,
    live::use_live_alerts,
    pages::parts::time_text::{format_span, now_ms, parse_rfc3339_ms},
};
use api::{alerts::GettableAlert, query::QueryResult};
use leptos::prelude::*;

const INTERVAL_MS: u32 = 15_000;

/// One number with its glyph, its word and a line below.
#[derive(Clone, Debug, PartialEq)]
struct Count {
    glyph: Glyph,
    word: &'static str,
    value: String,
    of: String,
    note: String,
    href: &'static str,
}

/// The row of counts.
#[component]
pub fn Counts() -> impl IntoView {
    let alerts = use_live_alerts();
    let probes = use_polled(INTERVAL_MS, || client::prometheus::query("probe_success", now_ms(), None));
    let targets = use_polled(INTERVAL_MS, client::prometheus::targets);
    let severity = move |severity: &'static str, glyph: Glyph, word: &'static str| {
        memo(move || alerts.data.with(|alerts| count_alerts(alerts.as_deref(), severity, glyph, word)))
    };
    let critical = severity("critical", Glyph::Critical, "Critical");
    let warning = severity("warning", Glyph::Warning, "Warning");
    let probes = memo(move || {
        probes.data.with(|answer| {
            let up: Option<Vec<bool>> = answer.as_ref().map(|found| match &found.result {
                QueryResult::Vector(vector) => {
                    vector.iter().filter_map(|sample| sample.value).map(|point| point.value > 0.0).collect()
                }
                _ => Vec::new(),
            });
            count_up(up, "Probes up", "no probes configured", "/probes")
        })
    });
    let targets = memo(move || {
        targets.data.with(|answer| {
            let up = answer
                .as_ref()
                .map(|targets| targets.active_targets.iter().map(|target| target.health == "up").collect());
            count_up(up, "Targets up", "nothing is scraped", "/targets")
        })
    });
    view! {
        <section>
            <h2 class="sec">"Right now"</h2>
            <div class="now">
                <Card count=critical test="count-critical" />
                <Card count=warning test="count-warning" />
                <Card count=probes test="count-probes" />
                <Card count=targets test="count-targets" />
            </div>
        </section>
    }
}

#[component]
fn Card(count: Memo<Count>, test: &'static str) -> impl IntoView {
    view! {
        <a class="card count" href=move || count.with(|count| count.href) data-t=test>
            <span class="k">{live(move || count.with(|count| count.glyph).view())} {live(move || count.with(|count| count.word))}</span>
            <span class="v num">
                {live(move || count.with(|count| count.value.clone()))}
                <small class="dim">{live(move || count.with(|count| count.of.clone()))}</small>
            </span>
            <span class="dim num small">{live(move || count.with(|count| count.note.clone()))}</span>
        </a>
    }
}

fn count_alerts(alerts: Option<&[GettableAlert]>, severity: &str, glyph: Glyph, word: &'static str) -> Count {
    let href = if severity == "critical" {
        "/alerts?filter=severity%3D%22critical%22"
    } else {
        "/alerts?filter=severity%3D%22warning%22"
    };
    let Some(alerts) = alerts else {
        return Count {
            glyph: Glyph::NoData,
            word,
            value: "–".to_owned(),
            of: String::new(),
            note: String::new(),
            href,
        };
    };
    let of_severity = |alert: &&GettableAlert| alert.labels.get("severity").is_some_and(|value| value == severity);
    let firing: Vec<&GettableAlert> =
        alerts.iter().filter(of_severity).filter(|alert| alert.status.state == "active").collect();
    let muted = alerts.iter().filter(of_severity).count() - firing.len();
    let oldest = firing.iter().filter_map(|alert| parse_rfc3339_ms(&alert.starts_at)).min();
    let note = match (oldest, muted) {
        (Some(oldest), _) => format!("oldest {}", format_span((now_ms() - oldest).max(0))),
        (None, 0) => "none firing".to_owned(),
        (None, muted) => format!("{muted} silenced"),
    };
    let glyph = if firing.is_empty() { Glyph::Ok } else { glyph };
    Count { glyph, word, value: firing.len().to_string(), of: String::new(), note, href }
}

fn count_up(up: Option<Vec<bool>>, word: &'static str, none: &str, href: &'static str) -> Count {
    let Some(all) = up else {
        return Count {
            glyph: Glyph::NoData,
            word,
            value: "–".to_owned(),
            of: String::new(),
            note: String::new(),
            href,
        };
    };
    if all.is_empty() {
        let note = none.to_owned();
        return Count { glyph: Glyph::NoData, word, value: "0".to_owned(), of: String::new(), note, href };
    }
    let good = all.iter().filter(|up| **up).count();
    let bad = all.len() - good;
    let (glyph, note) =
        if bad == 0 { (Glyph::Ok, "all answer".to_owned()) } else { (Glyph::Critical, format!("{bad} down")) };
    Count { glyph, word, value: good.to_string(), of: format!(" / {}", all.len()), note, href }
}
