//! `/rules`: every rule with its state, its health, what it costs and what it fires.

use crate::memo::{Memo, Show, live, memo};
use crate::{
    client::{self, use_polled},
    controls::{
        icon::{Glyph, Icon},
        page::Page,
    },
    pages::{
        alerts::{AlertTabs, grouping::Severity, list::glyph_of, values::unit_of},
        parts::{
            Address, Age, Await, EmptyState, History, LabelList,
            address::query_text,
            promql::PromqlText,
            quantity::say,
            time_text::{format_seconds, format_span, parse_rfc3339_ms},
        },
    },
};
use api::rules::{Rule, RuleAlert, RuleGroup};
use leptos::prelude::*;

const REFRESH_MS: u32 = 10_000;
/// Alerts drawn of one rule; the rest is a number, and all of them are on the alerts page.
const ALERTS_MAX: usize = 100;
const STATES: [(&str, &str); 5] = [
    ("firing", "Firing"),
    ("pending", "Pending"),
    ("inactive", "Inactive"),
    ("recording", "Recording"),
    ("err", "Failing"),
];

fn name_of(rule: &Rule) -> &str {
    match rule {
        Rule::Alerting { name, .. } | Rule::Recording { name, .. } => name,
    }
}

fn query_of(rule: &Rule) -> &str {
    match rule {
        Rule::Alerting { query, .. } | Rule::Recording { query, .. } => query,
    }
}

fn health_of(rule: &Rule) -> &str {
    match rule {
        Rule::Alerting { health, .. } | Rule::Recording { health, .. } => health,
    }
}

/// Whether a rule has one of the states of the filter.
fn has_state(rule: &Rule, state: &str) -> bool {
    match rule {
        _ if state == "err" => health_of(rule) == "err",
        Rule::Alerting { state: own, .. } => own == state,
        Rule::Recording { .. } => state == "recording",
    }
}

/// The rules of a group that the filter lets through.
fn filtered(group: &RuleGroup, state: &str, search: &str) -> Vec<Rule> {
    let search = search.to_lowercase();
    let fits = |rule: &&Rule| {
        (state.is_empty() || has_state(rule, state))
            && (search.is_empty()
                || [name_of(rule), query_of(rule), &group.name]
                    .iter()
                    .any(|text| text.to_lowercase().contains(&search)))
    };
    group.rules.iter().filter(fits).cloned().collect()
}

/// Rules by group.
#[component]
pub fn Rules() -> impl IntoView {
    let address = Address::here();
    let rules = use_polled(REFRESH_MS, client::prometheus::rules);
    let state = memo(move || address.get("state"));
    let search = memo(move || address.get("search"));
    let groups = memo(move || {
        let groups = rules.data.with(|rules| rules.as_ref().map(|rules| rules.groups.clone())).unwrap_or_default();
        let (state, search) = (state.get(), search.get());
        let shown = groups.into_iter().map(|mut group| {
            group.rules = filtered(&group, &state, &search);
            group
        });
        shown.filter(|group| !group.rules.is_empty()).collect::<Vec<_>>()
    });
    let count = move |state: &str| {
        rules.data.with(|rules| {
            let groups = rules.iter().flat_map(|rules| &rules.groups);
            groups.flat_map(|group| &group.rules).filter(|rule| has_state(rule, state)).count()
        })
    };
    let choose = move |(name, word): (&'static str, &'static str)| {
        let flip = move |_| {
            let values = if state.get_untracked() == name { Vec::new() } else { vec![name] };
            address.set("state", values, History::Push);
        };
        view! {
            <button class="chip" aria-pressed=move || (state.get() == name).to_string() data-t=format!("state-{name}") on:click=flip>
                {word}
                <span class="dim num">{live(move || count(name))}</span>
            </button>
        }
    };
    let key = |group: &RuleGroup| format!("{};{}", group.file, group.name);
    let keys = move || groups.with(|groups| groups.iter().map(key).collect::<Vec<_>>());
    view! {
        <Page title="Rules">
            <AlertTabs />
            <div class="chips ops-bar" role="group" aria-label="Filter">
                <span class="find">
                    {Icon::Search.view()}
                    <input
                        type="search"
                        placeholder="Name, expression or group"
                        aria-label="Search rules"
                        data-t="search"
                        prop:value=move || search.get()
                        on:input=move |event| {
                            let text = event_target_value(&event);
                            address.set("search", Some(text).filter(|text| !text.is_empty()), History::Replace);
                        }
                    />
                </span>
                {STATES.map(choose).collect_view()}
            </div>
            <Await of=rules fault="The rules could not be read">
                <For
                    each=keys
                    key=|key| key.clone()
                    children=move |this| {
                        let group = memo(move || {
                            groups.with(|groups| groups.iter().find(|group| key(group) == this).cloned())
                        });
                        view! { <GroupCard group=group /> }
                    }
                />
                <Show when=move || groups.with(Vec::is_empty)>
                    {live(move || {
                        let none = rules.data.with(|rules| rules.as_ref().is_none_or(|rules| rules.groups.is_empty()));
                        if none {
                            view! {
                                <EmptyState
                                    glyph=Glyph::NoData
                                    title="No rules yet"
                                    text="Name rule files in the configuration, under rule_files, and reload it."
                                >
                                    <div class="ops-snippet">
                                        <pre class="ops-code" tabindex="0">"rule_files:\n  - rules/*.yml"</pre>
                                    </div>
                                </EmptyState>
                            }
                                .into_any()
                        } else {
                            view! {
                                <EmptyState glyph=Glyph::NoData title="No rule matches" text="Change the search or the state above." />
                            }
                                .into_any()
                        }
                    })}
                </Show>
            </Await>
        </Page>
    }
}

#[component]
fn GroupCard(group: Memo<Option<RuleGroup>>) -> impl IntoView {
    let head = move || {
        let group = group.get()?;
        let failing = group.rules.iter().filter(|rule| health_of(rule) == "err").count();
        let slow = group.interval > 0.0 && group.evaluation_time > group.interval * 0.5;
        let limit = (group.limit > 0).then(|| format!(", limit {}", group.limit));
        Some(view! {
            <h2 class="ell">{group.name.clone()}</h2>
            <span class="dim small ell only-l" title=group.file.clone()>{group.file.clone()}</span>
            {(failing > 0).then(|| view! { <span class="tag crit">{Glyph::Critical.view()} {format!("{failing} failing")}</span> })}
            <span class="grow"></span>
            <span class="rl-group num small mut">
                <span class="only-l">{format!("every {}{}", format_span((group.interval * 1000.0) as i64), limit.unwrap_or_default())}</span>
                <span class:warn=slow title="Duration of the last evaluation">{format_seconds(group.evaluation_time)}</span>
                <Age at_ms=parse_rfc3339_ms(&group.last_evaluation) />
            </span>
        })
    };
    // The rule's figures change with every evaluation; a row is made anew only when something else does.
    let rules = move || group.with(|group| group.as_ref().map(|group| group.rules.clone()).unwrap_or_default());
    let numbered = move || rules().into_iter().enumerate().collect::<Vec<_>>();
    view! {
        <details class="card fold" open=true data-t="rule-group">
            <summary>{Icon::Down.view()} {head}</summary>
            <ul>
                <For
                    each=numbered
                    key=|(at, rule)| (*at, name_of(rule).to_owned())
                    children=move |(at, first)| {
                        let rule = memo(move || {
                            let now = group.with(|group| group.as_ref().and_then(|group| group.rules.get(at).cloned()));
                            now.unwrap_or_else(|| first.clone())
                        });
                        view! { <RuleRow rule=rule /> }
                    }
                />
            </ul>
        </details>
    }
}

/// What a rule's state looks like: glyph, class of the pill, word.
fn state_of(rule: &Rule) -> (Glyph, &'static str, String) {
    match rule {
        _ if health_of(rule) == "err" => (Glyph::Critical, "tag crit", "failing".to_owned()),
        Rule::Alerting { state, labels, .. } if state == "firing" => match Severity::of(labels) {
            Severity::Critical => (Glyph::Critical, "tag crit", state.clone()),
            severity => (glyph_of(severity), "tag warn", state.clone()),
        },
        Rule::Alerting { state, .. } if state == "pending" => (Glyph::Pending, "tag warn", state.clone()),
        _ if health_of(rule) == "unknown" => (Glyph::NoData, "tag", "not evaluated yet".to_owned()),
        Rule::Alerting { .. } => (Glyph::Ok, "tag ok", "inactive".to_owned()),
        Rule::Recording { .. } => (Glyph::Ok, "tag ok", "recording".to_owned()),
    }
}

#[component]
fn RuleRow(rule: Memo<Rule>) -> impl IntoView {
    let state = memo(move || rule.with(state_of));
    let name = rule.with_untracked(|rule| name_of(rule).to_owned());
    let query = memo(move || rule.with(|rule| query_of(rule).to_owned()));
    let explore = move || format!("/explore{}", query_text(&[("expr".to_owned(), query.get())]));
    let fixed = move || {
        rule.with(|rule| match rule {
            Rule::Alerting { duration, keep_firing_for, labels, annotations, .. } => {
                let mut pairs = labels.clone();
                for (name, seconds) in [("for", duration), ("keep_firing_for", keep_firing_for)] {
                    if *seconds > 0.0 {
                        pairs.insert(name.to_owned(), format_span((seconds * 1000.0) as i64));
                    }
                }
                (pairs, annotations.get("summary").or(annotations.get("description")).cloned().unwrap_or_default())
            }
            Rule::Recording { labels, .. } => (labels.clone(), String::new()),
        })
    };
    let details = memo(fixed);
    let error = memo(move || {
        rule.with(|rule| match rule {
            Rule::Alerting { last_error, .. } | Rule::Recording { last_error, .. } => last_error.clone(),
        })
    });
    let figures = move || {
        rule.with(|rule| match rule {
            Rule::Alerting { evaluation_time, last_evaluation, .. }
            | Rule::Recording { evaluation_time, last_evaluation, .. } => {
                view! {
                    <span title="Duration of the last evaluation">{format_seconds(*evaluation_time)}</span>
                    <Age at_ms=parse_rfc3339_ms(last_evaluation) />
                }
            }
        })
    };
    let alerts = memo(move || {
        rule.with(|rule| match rule {
            Rule::Alerting { alerts, .. } => alerts.clone().unwrap_or_default(),
            Rule::Recording { .. } => Vec::new(),
        })
    });
    let firing = move || {
        let alerts = alerts.get();
        if alerts.is_empty() {
            return None;
        }
        let count = alerts.len();
        let more = count.saturating_sub(ALERTS_MAX);
        let rows = alerts.into_iter().take(ALERTS_MAX).map(|alert| view! { <AlertLine alert=alert /> }).collect_view();
        Some(view! {
            <details class="rl-alerts" data-t="rule-alerts">
                <summary>{if count == 1 { "1 active alert".to_owned() } else { format!("{count} active alerts") }}</summary>
                <ul>{rows}</ul>
                {(more > 0).then(|| view! { <p class="hint">{format!("and {more} more, see the alerts page")}</p> })}
            </details>
        })
    };
    view! {
        <li class="rl" data-t="rule" data-name=name.clone()>
            {live(move || {
                let (glyph, _, _) = state.get();
                glyph.view()
            })}
            <div class="rl-main">
                <div class="rl-head">
                    <b class="rl-name">{name.clone()}</b>
                    {live(move || {
                        let (_, class, word) = state.get();
                        view! { <span class=class data-t="rule-state">{word}</span> }
                    })}
                    <span class="grow"></span>
                    <span class="rl-figures num small dim">{figures}</span>
                    <a class="btn sq" href=explore aria-label=format!("Explore the expression of {name}")>{Icon::Explore.view()}</a>
                </div>
                {live(move || view! { <PromqlText expr=query.get() /> })}
                {live(move || {
                    let (labels, summary) = details.get();
                    view! {
                        {(!summary.is_empty()).then(|| view! { <p class="mut small rl-summary">{summary}</p> })}
                        <LabelList labels=labels />
                    }
                })}
                {live(move || Some(error.get()).filter(|error| !error.is_empty()).map(|error| {
                    view! { <p class="rl-error mono small" role="note">{error}</p> }
                }))}
                {firing}
            </div>
        </li>
    }
}

#[component]
fn AlertLine(alert: RuleAlert) -> impl IntoView {
    let firing = alert.state == "firing";
    let value = model::float::parse_float(&alert.value).map(|value| say(value, unit_of(&alert, value, None)));
    let value = value.unwrap_or_else(|| alert.value.clone());
    let glyph = if firing { glyph_of(Severity::of(&alert.labels)) } else { Glyph::Pending };
    let active_ms = alert.active_at.as_deref().and_then(parse_rfc3339_ms);
    view! {
        <li class="rl-alert">
            {glyph.view()}
            <span class="small">{alert.state.clone()}</span>
            <LabelList labels=alert.labels hide=&["alertname"] />
            <span class="num rl-alert-value"><b>{value}</b> " " <span class="dim small"><Age at_ms=active_ms bare=true /></span></span>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        let group: RuleGroup = serde_json::from_str(
            r#"{"name":"g","file":"f","interval":5,"limit":0,"evaluationTime":0,"lastEvaluation":"","rules":[
            {"type":"alerting","state":"firing","name":"Down","query":"up == 0","duration":60,"keepFiringFor":0,"labels":{},
             "annotations":{},"health":"ok","evaluationTime":0,"lastEvaluation":"","alerts":[]},
            {"type":"recording","name":"job:up","query":"sum(up)","health":"err","evaluationTime":0,"lastEvaluation":""}]}"#,
        )
        .unwrap();
        let names = |state: &str, search: &str| {
            filtered(&group, state, search).iter().map(name_of).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("", ""), "Down job:up");
        assert_eq!(names("firing", ""), "Down");
        assert_eq!(names("err", ""), "job:up");
        assert_eq!(names("recording", "SUM"), "job:up");
        assert_eq!(names("", "g"), "Down job:up");
        assert_eq!(names("", "nothing"), "");
    }
}
