//! One alert: what it says, the course of its value against the limit, its labels, where it went, and a way to silence it.

use super::{
    AlertsView,
    course::Measured,
    grouping::{alert_name, summary},
    list::state_of,
    silence_form::{SilenceDraft, SilenceForm},
};
use crate::memo::memo;
use crate::{
    controls::{icon::Icon, notice::use_notices},
    pages::parts::{
        Age, LabelList,
        address::query_text,
        quantity::{say, ticks},
        sparkline::Line,
        time_text::{format_full, format_rfc3339, format_span, now_ms, parse_rfc3339_ms},
    },
};
use api::alerts::GettableAlert;
use leptos::prelude::*;
use model::matcher::Matcher;
use promql_syntax::BinaryOp;

/// Annotations that have their own place.
const SHOWN_ABOVE: [&str; 6] = ["summary", "description", "message", "runbook_url", "runbook", "dashboard"];

/// A link that a browser may open: only `http` and `https`, for annotations come from other machines.
fn web_link(text: &str) -> Option<String> {
    let text = text.trim();
    (text.starts_with("https://") || text.starts_with("http://") || (text.starts_with('/') && !text.starts_with("//")))
        .then(|| text.to_owned())
}

/// The generator's link as one of ours where it carries a query: the host in it may not be reachable from here.
fn explore_link(url: &str) -> Option<String> {
    let (path, query) = url.split_once('?')?;
    (path.ends_with("/graph") && query.contains("g0.expr=")).then(|| format!("/explore?{query}"))
}

/// A comparison in words, before its number.
fn when(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Greater => "over",
        BinaryOp::Less => "under",
        BinaryOp::GreaterOrEqual => "at or over",
        BinaryOp::LessOrEqual => "at or under",
        BinaryOp::NotEqual => "off",
        _ => "at",
    }
}

#[component]
pub fn AlertDetail(alert: GettableAlert, page: AlertsView) -> impl IntoView {
    let AlertsView { values, courses, changed, .. } = page;
    let (glyph, word) = state_of(&alert);
    let name = alert_name(&alert);
    let labels = StoredValue::new(alert.labels.clone());
    let active = memo(move || labels.with_value(|labels| values.with(|values| values.find(labels).cloned())));
    Effect::new(move |_| {
        if let Some(active) = active.get() {
            courses.want(&active.expr);
        }
    });
    let started_ms = parse_rfc3339_ms(&alert.starts_at);
    let graph = move || {
        let active = active.get()?;
        let line = labels.with_value(|labels| courses.line(&active.expr, labels, false))?;
        let limit = Measured::of(&active.expr).limit.map(|(op, limit)| {
            let after = match active.for_seconds {
                seconds if seconds > 0.0 => format!(" for {}", format_span((seconds * 1000.0) as i64)),
                _ => String::new(),
            };
            format!("fires {} {}{after}", when(op), say(limit, active.unit))
        });
        Some(view! { <Course line=line started_ms=started_ms limit=limit unit=active.unit /> })
    };
    let value = move || {
        let active = active.get()?;
        Some(view! {
            <p class="al-now">
                <b class="num">{say(active.value, active.unit)}</b>
                <span class="dim">"value at the last evaluation"</span>
            </p>
        })
    };
    let tag = match glyph.class() {
        "st crit" => "tag crit",
        "st warn" => "tag warn",
        "st mute" => "tag mute",
        _ => "tag info",
    };
    let description = alert.annotations.get("description").or(alert.annotations.get("message")).cloned();
    let lead = summary(&alert);
    let description = description.filter(|text| *text != lead);
    let link = |keys: [&str; 2], word: &'static str, icon: Icon| {
        let url = keys.iter().find_map(|key| alert.annotations.get(*key)).and_then(|url| web_link(url))?;
        Some(view! {
            <a class="btn out" href=url rel="noreferrer">
                {icon.view()}
                {word}
            </a>
        })
    };
    let explore = alert.generator_url.as_deref().and_then(|url| {
        let (href, word) = match explore_link(url) {
            Some(ours) => (ours, "Explore"),
            None => (web_link(url)?, "Source"),
        };
        Some(view! {
            <a class="btn out" href=href rel="noreferrer" data-t="generator">
                {Icon::Graph.view()}
                {word}
            </a>
        })
    });
    let rule = move || {
        let active = active.get()?;
        let href = format!("/rules{}", query_text(&[("search".to_owned(), active.rule.clone())]));
        Some(view! {
            <a class="btn out" href=href data-t="rule">
                {Icon::Rules.view()}
                "Rule"
            </a>
        })
    };
    let annotations = alert.annotations.iter().filter(|(name, _)| !SHOWN_ABOVE.contains(&name.as_str()));
    let annotations: Vec<_> =
        annotations.map(|(name, text)| view! { <dt>{name.clone()}</dt> <dd>{text.clone()}</dd> }).collect();
    let receivers = alert.receivers.iter().map(|receiver| receiver.name.clone()).collect::<Vec<_>>().join(", ");
    let silenced_by = alert.status.silenced_by.iter().map(|id| {
        let href = format!("/alerts/silences/{id}");
        view! { <a href=href>"See the silence"</a> " " }
    });
    let silenced_by = silenced_by.collect_view();
    let inhibited = alert.status.inhibited_by.len();
    let inhibited_by = (inhibited > 0).then(|| {
        view! { <p class="hint">{format!("Inhibited by {inhibited} other alert{}.", if inhibited == 1 { "" } else { "s" })}</p> }
    });
    let draft = SilenceDraft {
        matchers: alert.labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect(),
        ..SilenceDraft::default()
    };
    // The alert leaves the list with the next load and this pane with it: the notice stays.
    let notices = use_notices();
    let done = move |_| {
        notices.done("Silenced. It is listed under Silences.");
        changed.run(());
    };
    let title_id = "al-detail-title";
    view! {
        <aside class="card al-pane" aria-labelledby=title_id data-t="alert-detail">
            <div class="al-pane-head">
                {glyph.view()}
                <h2 id=title_id>{name}</h2>
                <span class=tag>{word.clone()} " " <Age at_ms=started_ms bare=true /></span>
            </div>
            <p class="mut al-pane-text">{lead}</p>
            {description.map(|text| view! { <p class="mut al-pane-text">{text}</p> })}
            {value}
            {graph}
            <LabelList labels=alert.labels.clone() />
            <div class="al-pane-links">
                {link(["runbook_url", "runbook"], "Runbook", Icon::Book)}
                {link(["dashboard", "dashboard_url"], "Dashboard", Icon::Dashboards)}
                {explore}
                {rule}
            </div>
            <dl class="kv">
                {annotations}
                <dt>"Started"</dt>
                <dd>
                    {started_ms.map(|at_ms| {
                        view! { <time class="num" datetime=format_rfc3339(at_ms)>{format_full(at_ms)}</time> }
                    })}
                </dd>
                <dt>"Sent to"</dt>
                <dd>{receivers}</dd>
            </dl>
            <p>{silenced_by}</p>
            {inhibited_by}
            <div class="al-pane-part">
                <h3 class="sec">"Silence"</h3>
                <SilenceForm draft=draft done=Callback::new(done) />
            </div>
        </aside>
    }
}

/// The course of the value with axes, the limit, and the time since the alert began.
#[component]
fn Course(line: Line, started_ms: Option<i64>, limit: Option<String>, unit: &'static str) -> impl IntoView {
    let window = line.window();
    let ticks = ticks(window.low, window.high, 4, unit);
    let latest = line.points.iter().rev().find(|(_, value)| value.is_finite()).map(|(_, value)| *value);
    let says = match latest {
        Some(value) => format!(
            "Value over the last {}, now {}{}",
            format_span(line.end_ms - line.start_ms),
            say(value, unit),
            limit.as_ref().map(|limit| format!(", {limit}")).unwrap_or_default()
        ),
        None => "No samples in this time".to_owned(),
    };
    let fired = started_ms.map(|started_ms| {
        let from = line.x(started_ms).clamp(0.0, 1000.0);
        view! { <rect class="course-fired" x=format!("{from:.1}") y="0" width=format!("{:.1}", 1000.0 - from) height="100" /> }
    });
    let grid =
        ticks.iter().map(|value| view! { <path class="course-grid" d=format!("M0 {:.2}H1000", window.y(*value)) /> });
    let words = ticks.iter().map(|value| {
        view! { <span style=format!("top:{:.2}%", window.y(*value))>{say(*value, unit)}</span> }
    });
    let limit_path =
        line.threshold.map(|limit| view! { <path class="spark-limit" d=format!("M0 {:.2}H1000", window.y(limit)) /> });
    let limit_word = line.threshold.zip(limit).map(|(value, text)| {
        let y = window.y(value);
        // Below the line where there is no room above it.
        let class = if y < 14.0 { "course-limit below" } else { "course-limit" };
        view! { <span class=class style=format!("top:{y:.2}%")>{text}</span> }
    });
    let ago = |ms: i64| match now_ms() - ms {
        ms if ms < 60_000 => "now".to_owned(),
        ms => format!("−{}", format_span(ms)),
    };
    view! {
        <div class="course" role="img" aria-label=says data-t="course">
            <div class="course-y num">{words.collect_view()}</div>
            <div class="course-plot">
                <svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">
                    {grid.collect_view()}
                    {fired}
                    <path class="spark-line" d=line.path() />
                    {limit_path}
                </svg>
                {limit_word}
            </div>
            <div class="course-x num">
                <span>{ago(line.start_ms)}</span>
                <span>{ago((line.start_ms + line.end_ms) / 2)}</span>
                <span>{ago(line.end_ms)}</span>
            </div>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_from_elsewhere() {
        assert_eq!(web_link("javascript:alert(1)"), None);
        assert_eq!(web_link("//evil.example"), None);
        assert_eq!(web_link(" https://a.example/x ").as_deref(), Some("https://a.example/x"));
        assert_eq!(
            explore_link("http://h:9090/graph?g0.expr=up&g0.tab=1").as_deref(),
            Some("/explore?g0.expr=up&g0.tab=1")
        );
        assert_eq!(explore_link("http://h:9090/other?g0.expr=up"), None);
    }
}
