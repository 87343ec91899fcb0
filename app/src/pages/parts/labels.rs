//! Labels as name and value pairs.

use leptos::prelude::*;
use std::collections::BTreeMap;

/// One label.
#[component]
pub fn Pair(#[prop(into)] name: String, #[prop(into)] value: String) -> impl IntoView {
    view! {
        <span class="lb">
            <i>{name}</i>
            <b>{value}</b>
        </span>
    }
}

/// All labels of a target, an alert or a series, by name, without those in `hide`.
#[component]
pub fn LabelList(labels: BTreeMap<String, String>, #[prop(optional)] hide: &'static [&'static str]) -> impl IntoView {
    let labels = labels.into_iter().filter(|(name, _)| !hide.contains(&name.as_str()));
    view! {
        <span class="labels">
            {labels.map(|(name, value)| view! { <Pair name=name value=value /> }).collect_view()}
        </span>
    }
}
