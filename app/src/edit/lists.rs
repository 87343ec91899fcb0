//! Options that are lists: links, and what values are called.

use super::field::Edited;
use crate::controls::icon::Icon;
use crate::memo::{live, memo};
use leptos::prelude::*;
use serde_json::{Map, Value, json};

fn list_at(edited: Edited, path: &str) -> Vec<Value> {
    edited.get(path).and_then(|list| list.as_array().cloned()).unwrap_or_default()
}

fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Links with title and address, at a path of the panel.
#[component]
pub fn LinksGroup(edited: Edited, title: &'static str, path: &'static str, test: &'static str) -> impl IntoView {
    let count = memo(move || list_at(edited, path).len());
    let write = move |list: Vec<Value>, merge: bool| {
        let value = if list.is_empty() { Value::Null } else { Value::Array(list) };
        edited.set(title, path, value, merge);
    };
    let add = move |_| {
        let mut list = untrack(|| list_at(edited, path));
        list.push(json!({"title": "", "url": "", "targetBlank": false}));
        write(list, false);
    };
    let row = move |at: usize| {
        let value =
            move |key: &'static str| list_at(edited, path).get(at).map(|link| text(link, key)).unwrap_or_default();
        let put = move |key: &'static str, value: Value, merge: bool| {
            let mut list = untrack(|| list_at(edited, path));
            if let Some(Value::Object(link)) = list.get_mut(at) {
                link.insert(key.to_owned(), value);
            }
            write(list, merge);
        };
        let remove = move |_| {
            let mut list = untrack(|| list_at(edited, path));
            if at < list.len() {
                list.remove(at);
            }
            write(list, false);
        };
        view! {
            <div class="list-row">
                <div class="list-fields">
                    <input class="inp" placeholder="Title" aria-label="Title of the link" data-t="link-title" prop:value=move || value("title") on:input=move |event| put("title", event_target_value(&event).into(), true) />
                    <input class="inp mono" placeholder="/d/uid?var-job=${__field.labels.job}" aria-label="Address of the link" data-t="link-url" prop:value=move || value("url") on:input=move |event| put("url", event_target_value(&event).into(), true) />
                    <label class="row small"><input type="checkbox" prop:checked=move || value("targetBlank") == "true" on:change=move |event| put("targetBlank", event_target_checked(&event).into(), false) />"Opens a new tab"</label>
                </div>
                <button type="button" class="opt-reset" aria-label="Remove link" on:click=remove>{Icon::Close.view()}</button>
            </div>
        }
    };
    view! {
        <section class="grp" data-t=test>
            <h3>{title}<span class="n num">{live(move || Some(count.get()).filter(|count| *count > 0))}</span></h3>
            {live(move || (0..count.get()).map(row).collect_view())}
            <button type="button" class="btn out" data-t="add-link" on:click=add>{Icon::Plus.view()} "Link"</button>
        </section>
    }
}

const MAPPINGS: &str = "fieldConfig.defaults.mappings";
const COLORS: [(&str, &str); 8] = [
    ("", "Unchanged"),
    ("green", "Green"),
    ("yellow", "Yellow"),
    ("orange", "Orange"),
    ("red", "Red"),
    ("blue", "Blue"),
    ("purple", "Purple"),
    ("text", "Text"),
];
const SPECIALS: [(&str, &str); 6] = [
    ("null", "No value"),
    ("nan", "NaN"),
    ("null+nan", "No value or NaN"),
    ("true", "true"),
    ("false", "false"),
    ("empty", "Empty text"),
];

/// One line of the list: a condition and what it says.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    /// `value`, `range`, `special`, `regex`; empty for what is not known here.
    kind: String,
    /// The value, the lower bound, the special's word, the pattern.
    first: String,
    /// The upper bound.
    second: String,
    result: Map<String, Value>,
    /// As stored, for what is not known here.
    other: Value,
}

/// The stored mappings, line by line.
fn rows(list: &[Value]) -> Vec<Row> {
    let mut rows = Vec::new();
    for mapping in list {
        let kind = text(mapping, "type");
        let options = mapping.get("options").unwrap_or(&Value::Null);
        let result = |of: &Value| of.as_object().cloned().unwrap_or_default();
        let row = |first: String, second: String, of: Option<&Value>| Row {
            kind: kind.clone(),
            first,
            second,
            result: of.map(result).unwrap_or_default(),
            other: Value::Null,
        };
        match kind.as_str() {
            "value" => rows.extend(
                options
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(value, of)| row(value.clone(), String::new(), Some(of))),
            ),
            "range" => rows.push(row(text(options, "from"), text(options, "to"), options.get("result"))),
            "special" => rows.push(row(text(options, "match"), String::new(), options.get("result"))),
            "regex" => rows.push(row(text(options, "pattern"), String::new(), options.get("result"))),
            _ => rows.push(Row {
                kind: String::new(),
                other: mapping.clone(),
                ..row(String::new(), String::new(), None)
            }),
        }
    }
    rows
}

/// The other way; neighbouring values share one mapping, as upstream writes it.
fn mappings(rows: &[Row]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for row in rows {
        let bound = |text: &str| text.trim().parse::<f64>().ok().map_or(Value::Null, Value::from);
        let options = match row.kind.as_str() {
            "value" => {
                let last = out.last_mut().filter(|last| text(last, "type") == "value");
                if let Some(Value::Object(values)) = last.and_then(|last| last.get_mut("options")) {
                    values.insert(row.first.clone(), Value::Object(row.result.clone()));
                    continue;
                }
                json!({row.first.clone(): row.result})
            }
            "range" => json!({"from": bound(&row.first), "to": bound(&row.second), "result": row.result}),
            "special" => json!({"match": row.first, "result": row.result}),
            "regex" => json!({"pattern": row.first, "result": row.result}),
            _ => {
                out.push(row.other.clone());
                continue;
            }
        };
        out.push(json!({"type": row.kind, "options": options}));
    }
    out
}

/// Value mappings: what a value is called, and in which colour.
#[component]
pub fn MappingsGroup(edited: Edited) -> impl IntoView {
    let now = move || rows(&list_at(edited, MAPPINGS));
    // While two values are the same for a moment, one mapping cannot hold both: the list is the truth, not its lines.
    let shape = memo(move || now().iter().map(|row| row.kind.clone()).collect::<Vec<_>>());
    let write = move |rows: &[Row], merge: bool| {
        let list = mappings(rows);
        let value = if list.is_empty() { Value::Null } else { Value::Array(list) };
        edited.set("Value mappings", MAPPINGS, value, merge);
    };
    let add = move |_| {
        let mut rows = untrack(now);
        let used = |text: &str| rows.iter().any(|row| row.kind == "value" && row.first == text);
        let first = (0_u32..).map(|n| n.to_string()).find(|n| !used(n)).unwrap_or_default();
        rows.push(Row {
            kind: "value".to_owned(),
            first,
            second: String::new(),
            result: Map::new(),
            other: Value::Null,
        });
        write(&rows, false);
    };
    let line = move |(at, kind): (usize, String)| {
        let row = memo(move || now().get(at).cloned());
        let change = move |merge: bool, change: &dyn Fn(&mut Row)| {
            let mut rows = untrack(now);
            if let Some(row) = rows.get_mut(at) {
                change(row);
            }
            write(&rows, merge);
        };
        let result = move |key: &'static str| {
            row.with(|row| row.as_ref().and_then(|row| row.result.get(key)).and_then(Value::as_str).map(str::to_owned))
                .unwrap_or_default()
        };
        let put = move |key: &'static str, value: String| {
            change(key == "text", &|row| {
                if value.is_empty() {
                    row.result.shift_remove(key);
                } else {
                    row.result.insert(key.to_owned(), value.clone().into());
                }
            });
        };
        let first = move || row.with(|row| row.as_ref().map(|row| row.first.clone()).unwrap_or_default());
        let second = move || row.with(|row| row.as_ref().map(|row| row.second.clone()).unwrap_or_default());
        let set_first = move |event| {
            let text = event_target_value(&event);
            change(false, &|row| row.first.clone_from(&text));
        };
        let set_second = move |event| {
            let text = event_target_value(&event);
            change(false, &|row| row.second.clone_from(&text));
        };
        let set_kind = move |event| {
            let kind = event_target_value(&event);
            change(false, &|row| {
                row.kind.clone_from(&kind);
                row.second.clear();
                row.first = if kind == "special" { "null".to_owned() } else { String::new() };
            });
        };
        let remove = move |_| {
            let mut rows = untrack(now);
            if at < rows.len() {
                rows.remove(at);
            }
            write(&rows, false);
        };
        let condition = match kind.as_str() {
            "range" => view! {
                <input class="inp num" type="number" step="any" placeholder="from" aria-label="From" prop:value=first on:change=set_first />
                <input class="inp num" type="number" step="any" placeholder="to" aria-label="To" prop:value=second on:change=set_second />
            }
            .into_any(),
            "special" => view! {
                <select class="inp" aria-label="Condition" on:change=set_first>
                    {SPECIALS.map(|(id, word)| view! { <option value=id selected=move || first() == id>{word}</option> }).collect_view()}
                </select>
            }
            .into_any(),
            "" => view! { <span class="hint">"kept as it is"</span> }.into_any(),
            _ => view! { <input class="inp" aria-label="Value" data-t="mapping-value" prop:value=first on:change=set_first /> }.into_any(),
        };
        let kinds = [("value", "Value"), ("range", "Range"), ("special", "Special"), ("regex", "Regex")];
        view! {
            <div class="list-row" data-t="mapping">
                <div class="list-fields">
                    <div class="list-pair">
                        <select class="inp" aria-label="Kind of mapping" on:change=set_kind>
                            {kinds.map(|(id, word)| view! { <option value=id selected=kind == id>{word}</option> }).collect_view()}
                        </select>
                        {condition}
                    </div>
                    <div class="list-pair">
                        <input class="inp" placeholder="Shown text" aria-label="Shown text" data-t="mapping-text" prop:value=move || result("text") on:input=move |event| put("text", event_target_value(&event)) />
                        <select class="inp" aria-label="Colour" on:change=move |event| put("color", event_target_value(&event))>
                            {COLORS.map(|(id, word)| view! { <option value=id selected=move || result("color") == id>{word}</option> }).collect_view()}
                        </select>
                    </div>
                </div>
                <button type="button" class="opt-reset" aria-label="Remove mapping" on:click=remove>{Icon::Close.view()}</button>
            </div>
        }
    };
    view! {
        <section class="grp" data-t="mappings">
            <h3>"Value mappings"<span class="n num">{live(move || Some(shape.with(Vec::len)).filter(|count| *count > 0))}</span></h3>
            {live(move || shape.get().into_iter().enumerate().map(line).collect_view())}
            <button type="button" class="btn out" data-t="add-mapping" on:click=add>{Icon::Plus.view()} "Mapping"</button>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_come_back() {
        let stored = json!([
            {"type": "value", "options": {"0": {"text": "Down", "color": "red"}, "1": {"text": "Up"}}},
            {"type": "range", "options": {"from": 5.0, "to": null, "result": {"text": "many"}}},
            {"type": "special", "options": {"match": "nan", "result": {"text": "?"}}},
            {"type": 1, "text": "old"}]);
        let list = stored.as_array().unwrap();
        let lines = rows(list);
        assert_eq!(
            lines.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(),
            ["value", "value", "range", "special", ""]
        );
        assert_eq!(Value::Array(mappings(&lines)), stored);
    }
}
