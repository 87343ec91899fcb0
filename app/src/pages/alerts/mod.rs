//! `/alerts`: what fires now, in groups, with one alert open beside the list.

mod course;
pub mod detail;
pub mod filter;
pub mod grouping;
pub mod hash_route;
mod lanes;
pub mod list;
pub mod silence_form;
mod tabs;
pub mod values;

pub use tabs::AlertTabs;

use crate::memo::{Memo, Show, live, memo};
use crate::{
    client::{self, use_polled},
    controls::{
        icon::{Glyph, Icon},
        page::Page,
    },
    pages::parts::{Address, Await, EmptyState, History, address::query_text},
};
use api::alerts::GettableAlert;
use course::use_courses;
use detail::AlertDetail;
use filter::{format_matchers, parse_matchers};
use grouping::{Group, group_alerts, label_names};
use lanes::Lanes;
use leptos::prelude::*;
use list::{AlertGroupCard, FilterBar};
use model::matcher::Matcher;
use values::use_values;

/// How often the list is read again: an alert that fires must be seen without a hand on the keyboard.
const REFRESH_MS: u32 = 5_000;
/// Groups without a choice in the address.
const GROUP_BY_DEFAULT: &str = "job";

/// The matchers of the address, and what is wrong with those that are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    pub matchers: Vec<Matcher>,
    pub errors: Vec<String>,
}

impl Filters {
    /// Reads every `filter` of the address; each may hold several matchers. Tracked.
    pub fn read(address: Address) -> Filters {
        let mut filters = Filters::default();
        for text in address.get_all("filter") {
            match parse_matchers(&text) {
                Ok(found) => filters.matchers.extend(found),
                Err(error) => filters.errors.push(error),
            }
        }
        filters
    }
}

/// What the page shares with its parts.
#[derive(Clone, Copy)]
pub struct AlertsView {
    address: Address,
    filters: Memo<Filters>,
    group_by: Memo<Vec<String>>,
    /// Label names that occur.
    names: Memo<Vec<String>>,
    /// The alert in the pane.
    open: Memo<Option<GettableAlert>>,
    values: Memo<values::Values>,
    courses: course::Courses,
    changed: Callback<()>,
}

/// Alerts that fire, by group.
#[component]
pub fn Alerts() -> impl IntoView {
    let address = Address::here();
    let filters = memo(move || Filters::read(address));
    // Choosing an alert or a grouping changes the address too, and asks nothing.
    let asked = memo(move || {
        let mut params = vec![
            ("active", if address.get("active") == "false" { "false" } else { "true" }.to_owned()),
            ("silenced", address.flag("silenced").to_string()),
            ("inhibited", address.flag("inhibited").to_string()),
        ];
        params.extend(Some(("receiver", address.get("receiver"))).filter(|(_, receiver)| !receiver.is_empty()));
        params.extend(filters.get().matchers.iter().map(|matcher| ("filter", matcher.to_string())));
        params
    });
    let alerts = use_polled(REFRESH_MS, move || {
        let asked = asked.get();
        async move {
            let params: Vec<_> = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
            client::operations::alerts_by(&params).await
        }
    });
    let group_by = memo(move || {
        let mut names = address.get_all("group");
        if names.is_empty() {
            names.push(GROUP_BY_DEFAULT.to_owned());
        }
        let names = names.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect::<Vec<_>>()
    });
    let groups = memo(move || {
        let alerts = alerts.data.get().unwrap_or_default();
        group_alerts(alerts, &group_by.get())
    });
    let names = memo(move || alerts.data.with(|alerts| alerts.as_deref().map(label_names).unwrap_or_default()));
    let chosen = memo(move || address.get("alert"));
    let values = use_values();
    let page = AlertsView {
        address,
        filters,
        group_by,
        names,
        open: memo(move || find_open(&groups.get(), &chosen.get())),
        values,
        courses: use_courses(),
        changed: Callback::new(move |()| alerts.reload()),
    };
    let keys = move || groups.with(|groups| groups.iter().map(Group::key).collect::<Vec<_>>());
    let total = memo(move || groups.with(|groups| groups.iter().map(|group| group.alerts.len()).sum::<usize>()));
    let filtered = memo(move || filters.with(|filters| !filters.matchers.is_empty()));
    let new_silence = move || {
        let text = filters.with(|filters| format_matchers(&filters.matchers));
        let params = if text.is_empty() { Vec::new() } else { vec![("filter".to_owned(), text)] };
        format!("/alerts/silences/new{}", query_text(&params))
    };
    let actions = move || {
        view! {
            <a class="btn out" href=new_silence data-t="new-silence">
                {Icon::Plus.view()}
                "New silence"
            </a>
        }
    };
    let empty_title = move || if filtered.get() { "No alert matches" } else { "Nothing fires" };
    let empty_text = move || {
        if filtered.get() {
            "Take a matcher away, or include silenced and inhibited alerts."
        } else {
            "Alerts appear here as soon as a rule fires or another server sends one."
        }
    };
    view! {
        <Page title="Alerts" actions=actions>
            <AlertTabs active=total />
            <Lanes />
            <div class="al" class:chosen=move || chosen.with(|chosen| !chosen.is_empty())>
                <div class="al-list">
                    <FilterBar page=page />
                    <Await of=alerts fault="The alerts could not be read">
                        <p class="sr" role="status">{live(move || format!("{} alerts", total.get()))}</p>
                        <For
                            each=keys
                            key=|key| key.clone()
                            children=move |key| {
                                let group = memo(move || {
                                    groups.with(|groups| groups.iter().find(|group| group.key() == key).cloned())
                                });
                                view! { <AlertGroupCard group=group page=page /> }
                            }
                        />
                        <Show when=move || total.get() == 0>
                            <EmptyState
                                glyph=Glyph::Ok
                                title=Signal::derive(move || empty_title().to_owned())
                                text=Signal::derive(move || empty_text().to_owned())
                            >
                                <a class="btn out" href="/rules">"See the rules"</a>
                            </EmptyState>
                        </Show>
                    </Await>
                </div>
                <div class="al-detail">
                    {live(move || {
                        let alert = page.open.get()?;
                        let back = move |_| address.set("alert", [] as [String; 0], History::Push);
                        Some(
                            view! {
                                <button class="btn only-s al-back" on:click=back data-t="back-to-list">
                                    {Icon::Left.view()}
                                    "All alerts"
                                </button>
                                <AlertDetail alert=alert page=page />
                            },
                        )
                    })}
                </div>
            </div>
        </Page>
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
