//! The list: matchers and grouping above, then one card a group with one row an alert.

use super::{
    AlertsView,
    filter::{format_matchers, parse_matchers},
    grouping::{Group, Severity, alert_name, summary},
};
use crate::memo::{Memo, live, memo};
use crate::{
    controls::icon::{Glyph, Icon},
    pages::parts::{
        Age, History, address::query_text, quantity::say, sparkline::Sparkline, time_text::parse_rfc3339_ms,
    },
};
use api::alerts::GettableAlert;
use leptos::prelude::*;
use model::matcher::Matcher;

/// The glyph and the word of an alert's state.
pub fn state_of(alert: &GettableAlert) -> (Glyph, String) {
    let severity = Severity::of(&alert.labels);
    match () {
        () if !alert.status.silenced_by.is_empty() => (Glyph::Silenced, "silenced".to_owned()),
        () if !alert.status.inhibited_by.is_empty() => (Glyph::Silenced, "inhibited".to_owned()),
        () if alert.status.state == "suppressed" => (Glyph::Silenced, "muted".to_owned()),
        () => (glyph_of(severity), severity.word().to_owned()),
    }
}

pub fn glyph_of(severity: Severity) -> Glyph {
    match severity {
        Severity::Critical => Glyph::Critical,
        Severity::Warning => Glyph::Warning,
        Severity::Info => Glyph::Info,
    }
}

/// Matchers, grouping and what is left out.
#[component]
pub fn FilterBar(page: AlertsView) -> impl IntoView {
    let AlertsView { address, filters, group_by, names, .. } = page;
    let write = move |matchers: &[Matcher]| {
        address.set("filter", matchers.iter().map(Matcher::to_string), History::Push);
    };
    let typed = RwSignal::new(String::new());
    let fault = RwSignal::new(None::<String>);
    let add = move || {
        let text = typed.get_untracked();
        match parse_matchers(&text) {
            Ok(found) => {
                let mut matchers = filters.get_untracked().matchers;
                matchers.extend(found.into_iter().filter(|matcher| !matchers.contains(matcher)).collect::<Vec<_>>());
                fault.set(None);
                typed.set(String::new());
                write(&matchers);
            }
            Err(error) => fault.set(Some(error)),
        }
    };
    let chips = move || {
        let matchers = filters.get().matchers;
        let chip = |(at, matcher): (usize, &Matcher)| {
            let mut others = matchers.clone();
            others.remove(at);
            let remove = move |_| write(&others);
            view! {
                <button class="chip" data-t="matcher" aria-label=format!("Remove {matcher}") on:click=remove>
                    <span class="op">{matcher.name.clone()} " " {matcher.op.as_str()}</span>
                    <span class="ell">{matcher.value.clone()}</span>
                    {Icon::Close.view()}
                </button>
            }
        };
        matchers.iter().enumerate().map(chip).collect_view()
    };
    let toggle = move |key: &'static str, word: &'static str| {
        let on = move || address.flag(key);
        let flip = move |_| {
            let values = if address.flag(key) { Vec::new() } else { vec!["true"] };
            address.set(key, values, History::Push);
        };
        view! {
            <button class="chip" aria-pressed=move || on().to_string() data-t=format!("toggle-{key}") on:click=flip>
                {word}
            </button>
        }
    };
    let grouping = move || {
        let chosen = group_by.get();
        let mut known = names.get();
        known.extend(chosen.iter().filter(|name| !known.contains(name)).cloned().collect::<Vec<_>>());
        let item = |name: String| {
            let on = chosen.contains(&name);
            let mut next: Vec<String> = chosen.iter().filter(|other| **other != name).cloned().collect();
            if !on {
                next.push(name.clone());
            }
            let pick = move |_| address.set("group", [next.join(",")], History::Push);
            view! {
                <label class="menu-item">
                    <input type="checkbox" prop:checked=on on:change=pick />
                    {name}
                </label>
            }
        };
        known.into_iter().map(item).collect_view()
    };
    let grouped_by = move || {
        let names = group_by.get();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    view! {
        <div class="al-filter">
            <div class="chips" role="group" aria-label="Matchers">
                {chips}
                <form
                    class="chip al-add"
                    on:submit=move |event| {
                        event.prevent_default();
                        add();
                    }
                >
                    {Icon::Plus.view()}
                    <input
                        type="text"
                        placeholder="Matcher, as env=\"prod\""
                        aria-label="Add a matcher"
                        autocomplete="off"
                        spellcheck="false"
                        list="al-label-names"
                        data-t="matcher-input"
                        prop:value=typed
                        aria-invalid=move || fault.with(Option::is_some).to_string()
                        on:input=move |event| typed.set(event_target_value(&event))
                    />
                    <datalist id="al-label-names">
                        {live(move || names.get().into_iter().map(|name| view! { <option value=format!("{name}=")></option> }).collect_view())}
                    </datalist>
                </form>
                {toggle("silenced", "with silenced")}
                {toggle("inhibited", "with inhibited")}
            </div>
            <details class="al-group-by menu-anchor" data-t="group-by">
                <summary class="chip">
                    <span class="op">"group by"</span>
                    <span class="ell">{grouped_by}</span>
                    {Icon::Down.view()}
                </summary>
                <div class="pop menu right" role="group" aria-label="Group by">
                    {grouping}
                </div>
            </details>
        </div>
        {live(move || {
            let errors = filters.get().errors.into_iter().chain(fault.get());
            errors.map(|error| view! { <p class="hint bad" role="alert" data-t="matcher-error">{error}</p> }).collect_view()
        })}
    }
}

/// The number of alerts by state: `2 firing, 1 silenced`.
fn counts(group: &Group) -> String {
    let muted = group.alerts.iter().filter(|alert| alert.status.state == "suppressed").count();
    let firing = group.alerts.len() - muted;
    match (firing, muted) {
        (firing, 0) => format!("{firing} firing"),
        (0, muted) => format!("{muted} muted"),
        (firing, muted) => format!("{firing} firing, {muted} muted"),
    }
}

#[component]
pub fn AlertGroupCard(group: Memo<Option<Group>>, page: AlertsView) -> impl IntoView {
    let head = memo(move || {
        group.with(|group| {
            let group = group.as_ref()?;
            let all_muted = group.alerts.iter().all(|alert| alert.status.state == "suppressed");
            let class = match group.worst() {
                _ if all_muted => "tag mute num",
                Severity::Critical => "tag crit num",
                Severity::Warning => "tag warn num",
                Severity::Info => "tag info num",
            };
            Some((group.labels.clone(), class, counts(group)))
        })
    });
    let title = move || {
        let (labels, class, counts) = head.get()?;
        let mut labels = labels.into_iter();
        let first = labels.next();
        let lead = match &first {
            Some((_, value)) => value.clone(),
            None if page.group_by.with(Vec::is_empty) => "All alerts".to_owned(),
            None => format!("Without {}", page.group_by.get().join(", ")),
        };
        let rest = labels.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ");
        Some(view! {
            <h2 class="ell" title=first.map(|(name, value)| format!("{name}={value}"))>
                {lead}
                <span class="dim al-group-rest">{rest}</span>
            </h2>
            <span class=class>{counts}</span>
        })
    };
    // A group is silenced by the labels it is grouped by; one without labels by the names in it.
    let silence = move || {
        let matchers = group.with(|group| {
            let Some(group) = group else { return Vec::new() };
            let mut matchers: Vec<Matcher> =
                group.labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
            if let (true, Some(alert)) = (matchers.is_empty(), group.alerts.first()) {
                matchers.push(Matcher::equal("alertname", alert_name(alert)));
            }
            matchers
        });
        format!("/alerts/silences/new{}", query_text(&[("filter".to_owned(), format_matchers(&matchers))]))
    };
    let alerts = move || group.with(|group| group.as_ref().map(|group| group.alerts.clone()).unwrap_or_default());
    view! {
        <section class="card ag" data-t="alert-group">
            <header>
                {title}
                <span class="grow"></span>
                <a class="btn" href=silence data-t="silence-group">
                    {Icon::BellOff.view()}
                    <span class="only-l">"Silence group"</span>
                    <span class="sr only-s">"Silence group"</span>
                </a>
            </header>
            <ul>
                <For
                    each=alerts
                    key=|alert| (alert.fingerprint.clone(), alert.status.state.clone(), summary(alert), alert.starts_at.clone())
                    children=move |alert| view! { <AlertRow alert=alert page=page /> }
                />
            </ul>
        </section>
    }
}

#[component]
fn AlertRow(alert: GettableAlert, page: AlertsView) -> impl IntoView {
    let AlertsView { address, open, values, courses, .. } = page;
    let (glyph, word) = state_of(&alert);
    let name = alert_name(&alert);
    let fingerprint = alert.fingerprint.clone();
    let labels = StoredValue::new(alert.labels.clone());
    let active = memo(move || labels.with_value(|labels| values.with(|values| values.find(labels).cloned())));
    Effect::new(move |_| {
        if let Some(active) = active.get() {
            courses.want(&active.expr);
        }
    });
    let line = move || {
        let active = active.get()?;
        let line = labels.with_value(|labels| courses.line(&active.expr, labels, true))?;
        Some(view! { <Sparkline line=line /> })
    };
    let here = {
        let fingerprint = fingerprint.clone();
        memo(move || open.with(|open| open.as_ref().is_some_and(|alert| alert.fingerprint == fingerprint)))
    };
    let href = {
        let fingerprint = fingerprint.clone();
        move || {
            let mut params: Vec<_> = address.all().into_iter().filter(|(key, _)| key != "alert").collect();
            params.push(("alert".to_owned(), fingerprint.clone()));
            format!("/alerts{}", query_text(&params))
        }
    };
    let text = summary(&alert);
    let value = move || active.get().map(|active| say(active.value, active.unit));
    let started_ms = parse_rfc3339_ms(&alert.starts_at);
    view! {
        <li class="ar" class:on=move || here.get() data-t="alert-row" data-fingerprint=fingerprint.clone()>
            {glyph.view()}
            <span class="ar-text">
                <a class="nm" href=href aria-current=move || here.get().then_some("true")>
                    <span class="sr">{format!("{word}: ")}</span>
                    {name}
                </a>
                <span class="sm" title=text.clone()>{text.clone()}</span>
            </span>
            <span class="ar-spark">{line}</span>
            <span class="ar-value num">
                <b>{value}</b>
                <span class="dim small">
                    <span class="ar-word">{word.clone()} " "</span>
                    <Age at_ms=started_ms bare=true />
                </span>
            </span>
        </li>
    }
}
