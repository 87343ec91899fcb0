//! Dashboard list: links to other dashboards, by star, tag or words.

use crate::{
    client::{self, use_polled},
    kept::use_kept,
    panels::PanelInput,
};
use api::dashboards::SearchHit;
use dashboard::sorting::Order;
use leptos::prelude::*;
use serde_json::Value;

const INTERVAL_MS: u32 = 120_000;

/// The panel.
#[component]
pub fn DashboardLinks(input: PanelInput) -> impl IntoView {
    let kept = use_kept();
    let list = use_polled(INTERVAL_MS, || client::dashboards::search("", &[]));
    let rows = move || {
        let options = input.panel.with(|panel| panel.options.clone());
        let query =
            input.fill.run((options.get("query").and_then(Value::as_str).unwrap_or_default().to_owned(), "text"));
        let keep = |key: &str| options.get(key).and_then(Value::as_bool) == Some(true);
        let suffix = crate::board::link_suffix(input.board, keep("keepTime"), keep("includeVars"));
        let hits = list
            .data
            .with(|hits| select(hits.as_deref().unwrap_or_default(), &options, &query, |uid| kept.is_starred(uid)));
        if hits.is_empty() {
            return view! { <li class="li dim">"No dashboards to list."</li> }.into_any();
        }
        hits.into_iter()
            .map(|hit| {
                let href = format!("{}{suffix}", hit.url);
                view! { <li><a class="li" href=href><span class="nm">{hit.title}</span><span class="grow"></span><span class="dim small">{hit.folder_title}</span></a></li> }
            })
            .collect_view()
            .into_any()
    };
    view! { <ul class="panel-list">{rows}</ul> }
}

fn select(hits: &[SearchHit], options: &Value, query: &str, starred: impl Fn(&str) -> bool) -> Vec<SearchHit> {
    let flag = |key: &str, default: bool| options.get(key).and_then(Value::as_bool).unwrap_or(default);
    let tags: Vec<&str> =
        options.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let most = options.get("maxItems").and_then(Value::as_u64).unwrap_or(10) as usize;
    let searching = flag("showSearch", false) || !tags.is_empty() || !query.is_empty();
    let query = query.to_lowercase();
    let mut shown: Vec<SearchHit> = hits
        .iter()
        .filter(|hit| {
            let found = searching
                && hit.title.to_lowercase().contains(&query)
                && tags.iter().all(|tag| hit.tags.iter().any(|own| own == tag));
            found || (flag("showStarred", true) && (hit.is_starred || starred(&hit.uid)))
        })
        .cloned()
        .collect();
    shown.order_by_key(|hit| hit.title.to_lowercase());
    shown.truncate(most);
    shown
}
