//! Links of the dashboard, shown beside the variables.

use crate::memo::{Show, live, memo};
use crate::{board::Board, controls::icon::Icon};
use leptos::prelude::*;
use serde_json::{Value, json};

fn links(board: Board) -> Vec<Value> {
    board
        .dashboard
        .with(|dashboard| dashboard.json().get("links").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// The part.
#[component]
pub fn Links(board: Board) -> impl IntoView {
    let count = memo(move || links(board).len());
    let write = move |label: &str, merge: bool, change: &dyn Fn(&mut Vec<Value>)| {
        board.edit(label, merge, |json| {
            let mut list = json.get("links").and_then(Value::as_array).cloned().unwrap_or_default();
            change(&mut list);
            json["links"] = Value::Array(list);
        });
    };
    let add = move |_| {
        write("Add link", false, &|list| {
            list.push(
                json!({"type": "link", "title": "", "url": "", "tags": [], "icon": "external link", "asDropdown": false,
                "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": ""}),
            );
        });
    };
    let row = move |at: usize| {
        let link = memo(move || links(board).get(at).cloned().unwrap_or(Value::Null));
        let text = move |key: &'static str| {
            link.with(|link| link.get(key).and_then(Value::as_str).unwrap_or_default().to_owned())
        };
        let flag = move |key: &'static str| link.with(|link| link.get(key).and_then(Value::as_bool).unwrap_or(false));
        let put = move |key: &'static str, value: Value, merge: bool| {
            write(&format!("Change link {}", at + 1), merge, &|list| {
                if let Some(Value::Object(link)) = list.get_mut(at) {
                    link.insert(key.to_owned(), value.clone());
                }
            });
        };
        let tagged = move || text("type") == "dashboards";
        let tags = move || {
            link.with(|link| {
                let tags = link.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
                tags.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
            })
        };
        let put_tags = move |event| {
            let text = event_target_value(&event);
            let tags: Vec<&str> = text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
            put("tags", json!(tags), false);
        };
        let remove = move |_| {
            write("Remove link", false, &|list| {
                if at < list.len() {
                    list.remove(at);
                }
            });
        };
        let flags =
            [("keepTime", "With the time range"), ("includeVars", "With the variables"), ("targetBlank", "New tab")];
        view! {
            <div class="list-row card-row" data-t="dashboard-link-form">
                <div class="list-fields">
                    <div class="list-pair">
                        <select class="inp" aria-label="Leads to" on:change=move |event| put("type", event_target_value(&event).into(), false)>
                            <option value="link" selected=move || !tagged()>"An address"</option>
                            <option value="dashboards" selected=tagged>"Dashboards with tags"</option>
                        </select>
                        <input class="inp" placeholder="Title" aria-label="Title of the link" data-t="dashboard-link-title" prop:value=move || text("title") on:input=move |event| put("title", event_target_value(&event).into(), true) />
                    </div>
                    <Show
                        when=tagged
                        fallback=move || view! { <input class="inp mono" placeholder="https://…" aria-label="Address" data-t="dashboard-link-url" prop:value=move || text("url") on:input=move |event| put("url", event_target_value(&event).into(), true) /> }
                    >
                        <input class="inp" placeholder="Tags, separated by commas" aria-label="Tags" prop:value=tags on:change=put_tags />
                    </Show>
                    <div class="flags">
                        {flags.map(|(key, word)| view! {
                            <label class="row small"><input type="checkbox" prop:checked=move || flag(key) on:change=move |event| put(key, event_target_checked(&event).into(), false) />{word}</label>
                        }).collect_view()}
                    </div>
                </div>
                <button type="button" class="opt-reset" aria-label="Remove link" on:click=remove>{Icon::Trash.view()}</button>
            </div>
        }
    };
    view! {
        {live(move || (count.get() == 0).then(|| view! { <p class="hint">"No links yet. A link stands beside the variables and can take them and the time range along."</p> }))}
        {live(move || (0..count.get()).map(row).collect_view())}
        <div><button type="button" class="btn out" data-t="add-dashboard-link" on:click=add>{Icon::Plus.view()} "Link"</button></div>
    }
}
