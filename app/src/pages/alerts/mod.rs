//! `/alerts`: what fires now, in groups, with one alert open beside the list.

mod detail;
pub mod filter;
pub mod grouping;
pub mod hash_route;
mod lanes;
mod list;
pub mod silence_form;
mod tabs;
mod values;

pub use tabs::AlertTabs;

use crate::client;
use crate::controls::icon::{Glyph, Icon};
use crate::pages::parts::address::History;
use crate::pages::parts::{Address, ErrorState, Skeleton, StaleNote, use_polled};
use crate::shell::PageTop;
use api::alerts::GettableAlert;
use detail::AlertDetail;
use filter::{format_matchers, parse_matchers};
use grouping::{Group, group_alerts, label_names};
use lanes::Lanes;
use leptos::prelude::*;
use list::{AlertGroupCard, FilterBar};
use std::time::Duration;
use values::use_values;

/// How often the list is read again: an alert that fires must be seen without a hand on the keyboard.
const REFRESH: Duration = Duration::from_secs(5);
/// Groups without a choice in the address.
const GROUP_BY_DEFAULT: &str = "job";

/// What the address asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertQuery {
    /// Each one matcher, as the API's `filter` takes it.
    pub filters: Vec<String>,
    pub active: bool,
    pub silenced: bool,
    pub inhibited: bool,
    pub receiver: String,
}

/// Reads the matchers of the address; those that are no matchers are told in the second place.
fn read_filters(address: Address) -> (Vec<model::matcher::Matcher>, Vec<String>) {
    let (mut matchers, mut errors) = (Vec::new(), Vec::new());
    for text in address.get_all("filter") {
        match parse_matchers(&text) {
            Ok(found) => matchers.extend(found),
            Err(error) => errors.push(error),
        }
    }
    (matchers, errors)
}

#[component]
pub fn AlertsPage() -> impl IntoView {
    let address = Address::here();
    let filters = Memo::new(move |_| read_filters(address));
    let query = Memo::new(move |_| AlertQuery {
        filters: filters.with(|(matchers, _)| matchers.iter().map(|matcher| matcher.to_string()).collect()),
        active: address.get("active") != "false",
        silenced: address.flag("silenced"),
        inhibited: address.flag("inhibited"),
        receiver: address.get("receiver"),
    });
    let alerts = use_polled(REFRESH, move || {
        let query = query.get();
        async move { client::alerts::alerts(&query).await }
    });
    let group_by = Memo::new(move |_| {
        let mut names = address.get_all("group");
        if names.is_empty() {
            names.push(GROUP_BY_DEFAULT.to_owned());
        }
        let names = names.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect::<Vec<_>>()
    });
    let groups = Memo::new(move |_| {
        alerts.get().map(|alerts| group_alerts(alerts.as_ref().clone(), &group_by.get())).unwrap_or_default()
    });
    let names = Memo::new(move |_| alerts.get().map(|alerts| label_names(&alerts)).unwrap_or_default());
    let chosen = Memo::new(move |_| address.get("alert"));
    let open = Memo::new(move |_| find_open(&groups.get(), &chosen.get()));
    let values = use_values();
    let keys = move || groups.with(|groups| groups.iter().map(Group::key).collect::<Vec<_>>());
    let total = Memo::new(move |_| groups.with(|groups| groups.iter().map(|group| group.alerts.len()).sum::<usize>()));
    let has_data = Signal::derive(move || alerts.data.with(Option::is_some));
    let first_error = Signal::derive(move || alerts.error.get().unwrap_or_default());
    let failed = move || !has_data.get() && alerts.error.with(Option::is_some);
    let filtered = move || filters.with(|(matchers, _)| !matchers.is_empty());
    let new_silence = move || {
        let text = filters.with(|(matchers, _)| format_matchers(matchers));
        let params = if text.is_empty() { Vec::new() } else { vec![("filter".to_owned(), text)] };
        format!("/alerts/silences/new{}", crate::pages::parts::address::query_text(&params))
    };
    view! {
        <PageTop title="Alerts">
            <a class="btn out" href=new_silence data-t="new-silence">
                {Icon::Plus.view()}
                "New silence"
            </a>
        </PageTop>
        <div class="pg">
            <AlertTabs active=total />
            <Lanes />
            <StaleNote error=alerts.error has_data=has_data />
            <div class="al" class:chosen=move || chosen.with(|chosen| !chosen.is_empty())>
                <div class="al-list">
                    <FilterBar filters=filters group_by=group_by names=names address=address />
                    <Show
                        when=move || !failed()
                        fallback=move || {
                            view! {
                                <ErrorState
                                    what="The alerts could not be read"
                                    error=first_error
                                    retry=Callback::new(move |()| alerts.reload())
                                />
                            }
                        }
                    >
                        <Show when=move || has_data.get() fallback=|| view! { <Skeleton /> }>
                            <p class="sr" role="status">{move || format!("{} alerts", total.get())}</p>
                            <For
                                each=keys
                                key=|key| key.clone()
                                children=move |key| {
                                    let group = Memo::new(move |_| {
                                        groups.with(|groups| groups.iter().find(|group| group.key() == key).cloned())
                                    });
                                    view! {
                                        <AlertGroupCard group=group open=open values=values address=address />
                                    }
                                }
                            />
                            <Show when=move || total.get() == 0>
                                <div class="card ops-state" data-t="empty">
                                    {Glyph::Ok.view()}
                                    <b>{move || if filtered() { "No alert matches" } else { "Nothing fires" }}</b>
                                    <p>
                                        {move || {
                                            if filtered() {
                                                "Take a matcher away, or include silenced and inhibited alerts."
                                            } else {
                                                "Alerts appear here as soon as a rule fires or another server sends one."
                                            }
                                        }}
                                    </p>
                                    <a class="btn out" href="/rules">"See the rules"</a>
                                </div>
                            </Show>
                        </Show>
                    </Show>
                </div>
                <div class="al-detail">
                    {move || {
                        let alert = open.get()?;
                        let changed = Callback::new(move |()| alerts.reload());
                        let back = move |_| address.set("alert", [] as [String; 0], History::Push);
                        Some(view! {
                            <button class="btn only-s al-back" on:click=back data-t="back-to-list">
                                {Icon::Left.view()}
                                "All alerts"
                            </button>
                            <AlertDetail alert=alert values=values changed=changed />
                        })
                    }}
                </div>
            </div>
        </div>
    }
}

/// The alert the address names, else the first. Only its lasting parts, so that a refresh does not disturb the pane.
fn find_open(groups: &[Group], chosen: &str) -> Option<GettableAlert> {
    let mut alerts = groups.iter().flat_map(|group| &group.alerts);
    let first = alerts.clone().next();
    let mut alert = alerts.find(|alert| alert.fingerprint == chosen).or(first).cloned()?;
    alert.updated_at.clear();
    alert.ends_at.clear();
    Some(alert)
}
