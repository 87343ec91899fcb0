//! The queries of the panel: text with its check, legend, format; adding, hiding, removing.

use super::field::Edited;
use crate::controls::{icon::Icon, query_editor::QueryEditor};
use crate::memo::{live, memo};
use leptos::prelude::*;
use serde_json::{Value, json};

fn targets(edited: Edited) -> Vec<Value> {
    edited.get("targets").and_then(|targets| targets.as_array().cloned()).unwrap_or_default()
}

/// The letter of a new query.
fn free_letter(targets: &[Value]) -> String {
    let used: Vec<&str> = targets.iter().filter_map(|target| target.get("refId").and_then(Value::as_str)).collect();
    ('A'..='Z')
        .map(String::from)
        .find(|letter| !used.contains(&letter.as_str()))
        .unwrap_or_else(|| format!("Q{}", targets.len()))
}

/// All queries.
#[component]
pub fn Queries(edited: Edited) -> impl IntoView {
    let count = memo(move || targets(edited).len());
    let rows = move || (0..count.get()).map(|at| view! { <Query edited at /> }).collect_view();
    let add = move |_| {
        let now = targets(edited);
        let target = json!({"refId": free_letter(&now), "expr": "", "legendFormat": "__auto", "range": true});
        edited.board.edit_panel(edited.id, "Add query", false, |panel| {
            match panel.get_mut("targets").and_then(Value::as_array_mut) {
                Some(list) => list.push(target),
                None => panel["targets"] = json!([target]),
            }
        });
    };
    view! {
        <section class="p q" data-t="queries">
            <header class="qh">
                <h2>"Queries"</h2>
                <span class="grow"></span>
                <button type="button" class="btn out" data-t="add-query" on:click=add>{Icon::Plus.view()} "Query"</button>
                <button type="button" class="btn pri" data-t="run" on:click=move |_| edited.board.refresh_now()>"Run" <kbd class="on-fill">"Ctrl ↵"</kbd></button>
            </header>
            <div class="q-list">{rows}</div>
        </section>
    }
}

#[component]
fn Query(edited: Edited, at: usize) -> impl IntoView {
    let path = move |key: &str| format!("targets.{at}.{key}");
    let text =
        move |key: &str| edited.get(&path(key)).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
    let flag = move |key: &str| edited.get(&path(key)).and_then(|value| value.as_bool()).unwrap_or(false);
    // What is typed, and what is stored once it makes sense or the field is left.
    let typed = RwSignal::new(text("expr"));
    Effect::new(move |_| {
        let stored = text("expr");
        if typed.get_untracked() != stored {
            typed.set(stored);
        }
    });
    let commit = move || {
        let now = typed.get_untracked();
        if now != untrack(|| text("expr")) {
            edited.set("Query", &path("expr"), Value::String(now), true);
        }
    };
    // A pause in typing is as good as leaving the field.
    let pause = StoredValue::new_local(None::<TimeoutHandle>);
    Effect::new(move |_| {
        typed.track();
        pause.update_value(|handle| {
            if let Some(handle) = handle.take() {
                handle.clear();
            }
            *handle = set_timeout_with_handle(commit, std::time::Duration::from_millis(600)).ok();
        });
    });
    on_cleanup(move || {
        pause.try_update_value(|handle| handle.take().map(|handle| handle.clear()));
    });
    let variables = Signal::derive(move || {
        edited.board.with_scope(None, None, |scope| {
            scope
                .variables
                .iter()
                .map(|variable| (variable.name.clone(), variable.values.join("|")))
                .collect::<Vec<_>>()
        })
    });
    let remove = move |_| {
        edited.board.edit_panel(edited.id, "Remove query", false, |panel| {
            if let Some(list) = panel.get_mut("targets").and_then(Value::as_array_mut)
                && at < list.len()
            {
                list.remove(at);
            }
        });
    };
    let run = Callback::new(move |()| {
        commit();
        edited.board.refresh_now();
    });
    let instant = move |event| {
        let on = event_target_checked(&event);
        edited.board.edit_panel(edited.id, "Instant", false, |panel| {
            if let Some(target) = panel.pointer_mut(&format!("/targets/{at}")) {
                target["instant"] = on.into();
                target["range"] = (!on).into();
            }
        });
    };
    let formats = [("time_series", "Time series"), ("table", "Table"), ("heatmap", "Heatmap")];
    view! {
        <div class="query" data-t="query">
            <div class="query-bar">
                <b class="ref mono">{live(move || text("refId"))}</b>
                <label class="var"><i>"legend"</i><input placeholder="auto" data-t="legend-format" prop:value=move || text("legendFormat") on:change=move |event| edited.set("Legend", &path("legendFormat"), Value::String(event_target_value(&event)), true) /></label>
                <label class="var"><i>"min step"</i><input class="short" placeholder="auto" prop:value=move || text("interval") on:change=move |event| edited.set("Min step", &path("interval"), Value::String(event_target_value(&event)), true) /></label>
                <label class="var"><i>"format"</i>
                    <select on:change=move |event| edited.set("Format", &path("format"), Value::String(event_target_value(&event)), false)>
                        {formats.map(|(id, word)| view! { <option value=id selected=move || text("format") == id>{word}</option> }).collect_view()}
                    </select>
                </label>
                <label class="row small"><input type="checkbox" prop:checked=move || flag("instant") on:change=instant /> "Instant"</label>
                <span class="grow"></span>
                <button type="button" class="btn sq" aria-label="Hide this query" aria-pressed=move || flag("hide").to_string() on:click=move |_| edited.set("Hide query", &path("hide"), Value::Bool(!untrack(|| flag("hide"))), false)>
                    {Icon::Eye.view()}
                </button>
                <button type="button" class="btn sq" aria-label="Remove this query" on:click=remove>{Icon::Trash.view()}</button>
            </div>
            <QueryEditor value=typed name=format!("Query {}", untrack(|| text("refId"))) variables on_run=run test="query-text" />
        </div>
    }
}
