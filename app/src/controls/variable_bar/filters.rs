//! Ad hoc filters: `job = api` chips, and a field that makes one more.

use super::State;
use crate::memo::memo;
use crate::{board::Board, controls::icon::Icon};
use dashboard::variables::AdHocFilter;
use leptos::prelude::*;

/// The filters of one ad hoc variable.
#[component]
pub fn Filters(board: Board, name: StoredValue<String>, state: State) -> impl IntoView {
    let texts = memo(move || {
        state.with(|state| {
            state
                .as_ref()
                .map(|state| state.selected.iter().map(|option| option.value.clone()).collect::<Vec<_>>())
                .unwrap_or_default()
        })
    });
    let remove = move |at: usize| {
        let mut now = texts.get_untracked();
        now.remove(at);
        board.select(&name.get_value(), now);
    };
    let chips = move || {
        texts
            .get()
            .into_iter()
            .enumerate()
            .filter_map(|(at, text)| Some((at, AdHocFilter::parse(&text)?)))
            .map(|(at, filter)| {
                let label = format!("Remove filter {}", filter.key);
                view! {
                    <span class="var">
                        <i>{filter.key.clone()}</i>
                        <b><span class="dim">{filter.operator.clone()}</span> {filter.values.join(", ")}</b>
                        <button class="btn sq" aria-label=label on:click=move |_| remove(at)>{Icon::Close.view()}</button>
                    </span>
                }
            })
            .collect_view()
    };
    let add = move |event: web_sys::Event| {
        let typed = event_target_value(&event);
        if let Some(filter) = read(&typed) {
            let mut now: Vec<String> = texts.get_untracked().into_iter().filter(|text| !text.is_empty()).collect();
            now.push(filter.format());
            board.select(&name.get_value(), now);
        }
    };
    view! {
        {chips}
        <label class="var adhoc" data-t=format!("var-{}", name.get_value())>
            <span class="sr">"Add a filter"</span>
            <input placeholder="+ label=value" on:change=add prop:value=move || { texts.track(); "" } />
        </label>
    }
}

/// `job=api`, `job!=api`, `job=~a.*`, `n>3`.
fn read(text: &str) -> Option<AdHocFilter> {
    let operator = ["=~", "!~", "!=", "<=", ">=", "=", "<", ">"]
        .into_iter()
        .filter_map(|op| Some((text.find(op)?, op)))
        .min_by_key(|(at, op)| (*at, std::cmp::Reverse(op.len())))?;
    let (at, operator) = operator;
    let key = text.get(..at)?.trim();
    let value = text.get(at + operator.len()..)?.trim().trim_matches('"');
    (!key.is_empty()).then(|| AdHocFilter {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: vec![value.to_owned()],
    })
}
