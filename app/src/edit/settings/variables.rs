//! The variables: a list, and the form of the one that is open.

use crate::memo::{Memo, Show, live, memo};
use crate::{board::Board, controls::icon::Icon};
use leptos::prelude::*;
use serde_json::{Value, json};

const KINDS: [(&str, &str); 6] = [
    ("query", "Query"),
    ("custom", "Custom"),
    ("interval", "Interval"),
    ("textbox", "Text box"),
    ("constant", "Constant"),
    ("datasource", "Data source"),
];
const HIDES: [(&str, &str); 3] = [("0", "Label and value"), ("1", "Value"), ("2", "Nothing")];
const SORTS: [(&str, &str); 7] = [
    ("0", "As they come"),
    ("1", "A to Z"),
    ("2", "Z to A"),
    ("3", "Numbers up"),
    ("4", "Numbers down"),
    ("5", "A to Z, any case"),
    ("6", "Z to A, any case"),
];

fn variables(board: Board) -> Vec<Value> {
    board.dashboard.with(|dashboard| {
        dashboard.json().pointer("/templating/list").and_then(Value::as_array).cloned().unwrap_or_default()
    })
}

fn text_of(variable: &Value, key: &str) -> String {
    match variable.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(query)) => query.get("query").and_then(Value::as_str).unwrap_or_default().to_owned(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn write(board: Board, label: &str, merge: bool, change: impl Fn(&mut Vec<Value>)) {
    board.edit(label, merge, |json| {
        if !json.get("templating").is_some_and(Value::is_object) {
            json["templating"] = json!({"list": []});
        }
        let mut list = json["templating"].get("list").and_then(Value::as_array).cloned().unwrap_or_default();
        change(&mut list);
        json["templating"]["list"] = Value::Array(list);
    });
    board.rebuild_variables();
}

/// What is wrong with a name, if anything.
fn name_fault(names: &[String], at: usize) -> Option<&'static str> {
    let name = names.get(at)?;
    if name.is_empty() {
        Some("A variable needs a name")
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Some("Only letters, digits and _ can be named in a query")
    } else if name.starts_with("__") {
        Some("Names that begin with __ belong to the program")
    } else if names.iter().filter(|other| *other == name).count() > 1 {
        Some("Another variable has this name")
    } else {
        None
    }
}

/// The part.
#[component]
pub fn Variables(board: Board) -> impl IntoView {
    let open = RwSignal::new(None::<usize>);
    let list = memo(move || variables(board));
    let count = memo(move || list.with(Vec::len));
    let add = move |_| {
        let names: Vec<String> = list.with_untracked(|list| list.iter().map(|one| text_of(one, "name")).collect());
        let name = (1_u32..).map(|n| format!("var{n}")).find(|name| !names.contains(name)).unwrap_or_default();
        write(board, "Add variable", false, |list| {
            list.push(
                json!({"type": "query", "name": name, "label": "", "query": "", "refresh": 1, "sort": 1, "multi": false,
                "includeAll": false, "hide": 0, "options": [], "current": {}}),
            );
        });
        open.set(Some(count.get_untracked().saturating_sub(1)));
    };
    let step = move |at: usize, by: isize| {
        write(board, "Move variable", false, |list| {
            if let Some(to) = at.checked_add_signed(by).filter(|to| *to < list.len()) {
                list.swap(at, to);
            }
        });
        open.set(None);
    };
    let remove = move |at: usize| {
        write(board, "Remove variable", false, |list| {
            if at < list.len() {
                list.remove(at);
            }
        });
        open.set(None);
    };
    let row = move |at: usize| {
        let of =
            move |key: &'static str| list.with(|list| list.get(at).map(|one| text_of(one, key)).unwrap_or_default());
        let is_open = move || open.get() == Some(at);
        let last = move || at + 1 >= count.get();
        view! {
            <li class="var-row" data-t="variable">
                <div class="li">
                    <button type="button" class="var-head" aria-expanded=move || is_open().to_string() data-t="variable-open"
                        on:click=move |_| open.update(|open| *open = if *open == Some(at) { None } else { Some(at) })>
                        {live(move || if is_open() { Icon::Down.view() } else { Icon::Right.view() })}
                        <b class="mono">"$"{live(move || of("name"))}</b>
                        <span class="dim">{live(move || of("type"))}</span>
                        <span class="mono dim ell">{live(move || of("query"))}</span>
                    </button>
                    <button type="button" class="btn sq" aria-label="Move up" disabled=at == 0 on:click=move |_| step(at, -1)>{Icon::Up.view()}</button>
                    <button type="button" class="btn sq" aria-label="Move down" disabled=last on:click=move |_| step(at, 1)>{Icon::Down.view()}</button>
                    <button type="button" class="btn sq" aria-label="Remove variable" data-t="remove-variable" on:click=move |_| remove(at)>{Icon::Trash.view()}</button>
                </div>
                <Show when=is_open><Form board list at /></Show>
            </li>
        }
    };
    view! {
        {live(move || (count.get() == 0).then(|| view! { <p class="hint">"No variables yet. A variable is a choice above the panels that queries use as $name."</p> }))}
        <ul class="card var-list">{live(move || (0..count.get()).map(row).collect_view())}</ul>
        <div><button type="button" class="btn out" data-t="add-variable" on:click=add>{Icon::Plus.view()} "Variable"</button></div>
    }
}

#[component]
fn Form(board: Board, list: Memo<Vec<Value>>, at: usize) -> impl IntoView {
    let of = move |key: &'static str| list.with(|list| list.get(at).map(|one| text_of(one, key)).unwrap_or_default());
    let flag = move |key: &'static str| {
        list.with(|list| list.get(at).and_then(|one| one.get(key)).and_then(Value::as_bool).unwrap_or(false))
    };
    let put = move |key: &'static str, value: Value| {
        write(board, &format!("Change variable {}", at + 1), true, |list| {
            if let Some(Value::Object(one)) = list.get_mut(at) {
                match (one.get_mut(key), &value) {
                    // A query in its long form keeps the rest of it.
                    (Some(Value::Object(query)), Value::String(text)) if key == "query" => {
                        query.insert("query".to_owned(), text.clone().into());
                    }
                    _ => {
                        one.insert(key.to_owned(), value.clone());
                    }
                }
                if key == "query" && one.contains_key("definition") {
                    one.insert("definition".to_owned(), value.clone());
                }
                if matches!(key, "query" | "type") {
                    // What was chosen and offered came from the old question.
                    one.insert("options".to_owned(), json!([]));
                }
            }
        });
    };
    let fault = move || {
        let names: Vec<String> = list.with(|list| list.iter().map(|one| text_of(one, "name")).collect());
        name_fault(&names, at)
    };
    let kind = memo(move || of("type"));
    let help = move || match kind.get().as_str() {
        "query" => "label_values(up, job), metrics(node_.*), query_result(topk(5, up))",
        "custom" => "prod, staging : Staging, dev",
        "interval" => "1m,10m,1h",
        "textbox" => "The first text",
        "constant" => "The value",
        "datasource" => "prometheus",
        _ => "",
    };
    let word = move || match kind.get().as_str() {
        "custom" | "interval" => "Values",
        "textbox" | "constant" => "Value",
        "datasource" => "Type of source",
        _ => "Query",
    };
    let select = move |word: &'static str, key: &'static str, choices: &'static [(&'static str, &'static str)]| {
        let choices = choices.iter().map(|(id, name)| {
            view! { <option value=*id selected=move || Some(of(key)).filter(|text| !text.is_empty()).unwrap_or_else(|| "0".to_owned()) == *id>{*name}</option> }
        });
        let change = move |event| {
            let text = event_target_value(&event);
            put(key, text.parse::<u8>().map_or_else(|_| Value::String(text.clone()), Value::from));
        };
        view! { <label class="f"><span>{word}</span><select class="inp" data-t=format!("variable-{key}") on:change=change>{choices.collect_view()}</select></label> }
    };
    let field = move |word: &'static str, key: &'static str, placeholder: &'static str| {
        view! {
            <label class="f">
                <span>{word}</span>
                <input class="inp" placeholder=placeholder data-t=format!("variable-{key}") prop:value=move || of(key) on:change=move |event| put(key, event_target_value(&event).into()) />
            </label>
        }
    };
    let check = move |word: &'static str, key: &'static str| {
        view! {
            <label class="row small">
                <input type="checkbox" data-t=format!("variable-{key}") prop:checked=move || flag(key) on:change=move |event| put(key, event_target_checked(&event).into()) />
                {word}
            </label>
        }
    };
    let lists = move || matches!(kind.get().as_str(), "query" | "custom" | "datasource");
    view! {
        <div class="var-form">
            <label class="f">
                <span>"Name"</span>
                <input class="inp mono" data-t="variable-name" aria-invalid=move || fault().is_some().to_string() prop:value=move || of("name") on:change=move |event| put("name", event_target_value(&event).trim().into()) />
            </label>
            {live(move || fault().map(|fault| view! { <p class="hint bad" role="alert">{fault}</p> }))}
            {field("Label", "label", "The name")}
            {select("Type", "type", &KINDS)}
            <label class="f">
                <span>{word}</span>
                <input class="inp mono" placeholder=help data-t="variable-query" prop:value=move || of("query") on:change=move |event| put("query", event_target_value(&event).into()) />
            </label>
            <Show when=move || kind.with(|kind| kind == "query")>
                {field("Pattern", "regex", "/.*-(.*)/")}
                {select("Order", "sort", &SORTS)}
                {select("Asked again", "refresh", &[("0", "Never"), ("1", "On load"), ("2", "When the time range changes")])}
            </Show>
            {select("Shown", "hide", &HIDES)}
            <Show when=lists>
                <div class="flags">{check("Several values", "multi")} {check("Offers All", "includeAll")}</div>
                <Show when=move || flag("includeAll")>{field("Value of All", "allValue", "all options")}</Show>
            </Show>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::name_fault;

    #[test]
    fn names() {
        let names = ["job", "", "a b", "__x", "env", "env"].map(str::to_owned);
        let faulty: Vec<bool> = (0..names.len()).map(|at| name_fault(&names, at).is_some()).collect();
        assert_eq!(faulty, [false, true, true, true, true, true]);
    }
}
