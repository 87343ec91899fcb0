//! All dashboards: search, tags, order; new and import. What is chosen stands in the address.

mod import;
mod row;

pub use row::Star;

use crate::memo::{Memo, Show, memo};
use crate::{
    client::{self, use_polled},
    controls::{
        icon::{Glyph, Icon},
        page::Page,
        popover::{Menu, MenuItem},
    },
    pages::parts::{Address, Await, EmptyState, History},
};
use api::dashboards::SearchHit;
use dashboard::sorting::Order;
use leptos::prelude::*;

/// Dashboards change rarely; this is for those that others save.
const INTERVAL_MS: u32 = 60_000;

const ORDERS: [(&str, &str); 3] = [("", "Title"), ("updated", "Last changed"), ("panels", "Panels")];

/// The page.
#[component]
pub fn DashboardList() -> impl IntoView {
    let address = Address::here();
    let list = use_polled(INTERVAL_MS, || client::dashboards::search("", &[]));
    let path = crate::router::use_path();
    let importing = RwSignal::new(path.with_untracked(|path| path == "/dashboard/import"));
    let tags = memo(move || list.data.with(|hits| all_tags(hits.as_deref().unwrap_or_default())));
    let shown = memo(move || {
        let (query, tags, order) = (address.get("query"), address.get_all("tag"), address.get("sort"));
        list.data.with(|hits| select(hits.as_deref().unwrap_or_default(), &query, &tags, &order))
    });
    let actions = move || {
        view! {
            <button class="btn" data-t="import" on:click=move |_| importing.set(true)>
                {Icon::Upload.view()}
                <span class="only-l">"Import"</span>
                <span class="sr">"dashboard"</span>
            </button>
            <a class="btn pri" href="/dashboard/new" data-t="new-dashboard">
                {Icon::Plus.view()}
                "New" <span class="only-l">" dashboard"</span>
            </a>
        }
    };
    let rows = move || shown.get().into_iter().map(|hit| view! { <row::Row hit /> }).collect_view();
    view! {
        <Page title="Dashboards" actions=actions>
            <div class="list-bar">
                <label class="find">
                    {Icon::Search.view()}
                    <span class="sr">"Search dashboards"</span>
                    <input
                        type="search"
                        placeholder="Title, tag or folder"
                        data-t="dashboard-search"
                        prop:value=move || address.get("query")
                        on:input=move |event| address.set("query", Some(event_target_value(&event)).filter(|text| !text.is_empty()), History::Replace)
                    />
                </label>
                <div class="chips" role="group" aria-label="Tags">
                    <Tags tags address />
                </div>
                <span class="grow"></span>
                <Order address />
            </div>
            <Await of=list fault="The dashboards could not be read">
                <Show
                    when=move || !shown.with(Vec::is_empty)
                    fallback=move || view! { <Nothing any=list.data.with(|hits| hits.as_ref().is_some_and(|hits| !hits.is_empty())) /> }
                >
                    <ul class="card board-list" data-t="dashboard-list">{rows}</ul>
                </Show>
            </Await>
            <import::ImportDialog open=importing />
        </Page>
    }
}

#[component]
fn Nothing(any: bool) -> impl IntoView {
    let (title, text) = if any {
        ("No dashboard matches", "Search for less, or take a tag away.")
    } else {
        ("No dashboards yet", "Make one, or import one from Grafana.")
    };
    view! { <EmptyState glyph=Glyph::NoData title text /> }
}

#[component]
fn Tags(tags: Memo<Vec<String>>, address: Address) -> impl IntoView {
    let chips = move || {
        let on = address.get_all("tag");
        let chip = |tag: String| {
            let pressed = on.contains(&tag);
            let mut next: Vec<String> = on.iter().filter(|other| **other != tag).cloned().collect();
            if !pressed {
                next.push(tag.clone());
            }
            let press = move |_| address.set("tag", next.clone(), History::Push);
            view! { <button class="chip" aria-pressed=pressed.to_string() on:click=press>{tag}</button> }
        };
        tags.get().into_iter().map(chip).collect_view()
    };
    view! { {chips} }
}

#[component]
fn Order(address: Address) -> impl IntoView {
    let word = move || {
        let order = address.get("sort");
        ORDERS.iter().find(|(id, _)| *id == order).map_or("Title", |(_, word)| *word)
    };
    view! {
        <Menu name="Order" right=true wordy=true trigger=ViewFn::from(move || view! { {Icon::Bars.view()} <span class="sr">"Order: "</span> {word} {Icon::Down.view()} })>
            {ORDERS
                .into_iter()
                .map(|(id, word)| {
                    let choose = move || address.set("sort", Some(id).filter(|id| !id.is_empty()), History::Push);
                    let on = Signal::derive(move || address.get("sort") == id);
                    view! { <MenuItem label=word on=on on_choose=choose /> }
                })
                .collect_view()}
        </Menu>
    }
}

fn all_tags(hits: &[SearchHit]) -> Vec<String> {
    let mut tags: Vec<String> = hits.iter().flat_map(|hit| hit.tags.iter().cloned()).collect();
    tags.order();
    tags.dedup();
    tags
}

/// Those that have every tag and contain every word of the query in title, tags, folder or description.
fn select(hits: &[SearchHit], query: &str, tags: &[String], order: &str) -> Vec<SearchHit> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let mut shown: Vec<SearchHit> = hits
        .iter()
        .filter(|hit| tags.iter().all(|tag| hit.tags.contains(tag)))
        .filter(|hit| {
            let text = format!("{} {} {} {}", hit.title, hit.folder_title, hit.tags.join(" "), hit.description);
            let text = text.to_lowercase();
            words.iter().all(|word| text.contains(word))
        })
        .cloned()
        .collect();
    match order {
        "updated" => shown.order_by(|a, b| b.updated.cmp(&a.updated)),
        "panels" => shown.order_by(|a, b| b.panels.cmp(&a.panels).then_with(|| a.title.cmp(&b.title))),
        _ => shown.order_by_key(|hit| hit.title.to_lowercase()),
    }
    shown
}
