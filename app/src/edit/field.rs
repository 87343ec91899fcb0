//! One option of the panel: a control bound to a place in the panel's JSON. What is set has a mark and a reset.

use crate::memo::{Memo, Show, memo};
use crate::{board::Board, controls::icon::Icon};
use dashboard::model::set_at;
use leptos::prelude::*;
use serde_json::Value;

/// How an option is chosen.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One of a few: value and word.
    Choice(&'static [(&'static str, &'static str)]),
    /// One of many.
    Select(&'static [(&'static str, &'static str)]),
    Number {
        min: f64,
        max: f64,
        step: f64,
    },
    Text(&'static str),
    LongText,
    Toggle {
        default: bool,
    },
    Unit,
    /// Several reducers.
    Calcs,
}

/// An option: its word, its place, its control.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    pub word: &'static str,
    /// Keys joined by dots.
    pub path: &'static str,
    pub kind: Kind,
    /// Panel types it is for; empty for all.
    pub only: &'static [&'static str],
}

/// The panel that is edited.
#[derive(Clone, Copy)]
pub struct Edited {
    pub board: Board,
    pub id: i64,
}

impl Edited {
    /// The value at a path; tracked.
    pub fn get(self, path: &str) -> Option<Value> {
        self.board.dashboard.with(|dashboard| {
            let panel = dashboard.panel(self.id)?;
            let mut at = panel.json();
            for key in path.split('.') {
                at = match at {
                    Value::Array(list) => list.get(key.parse::<usize>().ok()?)?,
                    other => other.get(key)?,
                };
            }
            Some(at.clone()).filter(|value| !value.is_null())
        })
    }

    /// Writes; `Value::Null` takes the key away.
    pub fn set(self, word: &str, path: &str, value: Value, merge: bool) {
        let keys: Vec<&str> = path.split('.').collect();
        self.board.edit_panel(self.id, word, merge, |panel| set_at(panel, &keys, value));
    }

    pub fn kind(self) -> String {
        self.get("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A value as the control shows it.
fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// The row of one option.
#[component]
pub fn Field(edited: Edited, opt: Opt) -> impl IntoView {
    let value = memo(move || edited.get(opt.path));
    let changed = move || value.with(Option::is_some);
    let reset = move |_| edited.set(opt.word, opt.path, Value::Null, false);
    let required = matches!(opt.path, "title");
    let long = matches!(opt.kind, Kind::LongText | Kind::Calcs);
    view! {
        <div class="f" class:tall=long data-t="option" data-path=opt.path>
            <span id=format!("opt-{}", opt.path)>{opt.word}</span>
            <div class="opt-control">
                <Control edited opt value />
                <Show when=move || changed() && !required>
                    <button type="button" class="opt-reset" aria-label=format!("Reset {}", opt.word) title="Set here. Press for the default" on:click=reset>
                        {Icon::Close.view()}
                    </button>
                </Show>
            </div>
        </div>
    }
}

#[component]
fn Control(edited: Edited, opt: Opt, value: Memo<Option<Value>>) -> impl IntoView {
    let text = move || value.with(|value| text_of(value.as_ref()));
    let label = format!("opt-{}", opt.path);
    let set_text = move |text: String| {
        let value = if text.is_empty() && opt.path != "title" { Value::Null } else { Value::String(text) };
        edited.set(opt.word, opt.path, value, true);
    };
    let set_number = move |text: String| {
        let value = text.trim().parse::<f64>().ok().and_then(number).unwrap_or(Value::Null);
        edited.set(opt.word, opt.path, value, true);
    };
    match opt.kind {
        Kind::Choice(choices) => {
            let buttons = choices.iter().enumerate().map(|(i, (id, word))| {
                let pressed = move || match text() {
                    text if text.is_empty() => i == 0,
                    text => text == *id,
                };
                view! {
                    <button type="button" aria-pressed=move || pressed().to_string() on:click=move |_| edited.set(opt.word, opt.path, typed(id), false)>
                        {*word}
                    </button>
                }
            });
            view! { <div class="sgm" role="group" aria-labelledby=label>{buttons.collect_view()}</div> }.into_any()
        }
        Kind::Select(choices) => {
            let options = choices.iter().map(|(id, word)| view! { <option value=*id selected=move || text() == *id>{*word}</option> });
            let change = move |event| edited.set(opt.word, opt.path, typed(&event_target_value(&event)), false);
            // Nothing set is the first: the default.
            let first = choices.first().map_or("", |(id, _)| *id);
            let shown = move || Some(text()).filter(|text| !text.is_empty()).unwrap_or_else(|| first.to_owned());
            view! { <select class="inp" aria-labelledby=label on:change=change prop:value=shown>{options.collect_view()}</select> }.into_any()
        }
        Kind::Number { min, max, step } => view! {
            <input class="inp num" type="number" min=min max=max step=step placeholder="auto" aria-labelledby=label prop:value=text on:input=move |event| set_number(event_target_value(&event)) />
        }
        .into_any(),
        Kind::Text(placeholder) => view! {
            <input class="inp" placeholder=placeholder aria-labelledby=label data-t=if opt.path == "title" { "panel-title".to_owned() } else { format!("opt-{}", opt.path) } prop:value=text on:input=move |event| set_text(event_target_value(&event)) />
        }
        .into_any(),
        Kind::LongText => view! {
            <textarea class="inp" rows="8" aria-labelledby=label prop:value=text on:input=move |event| set_text(event_target_value(&event))></textarea>
        }
        .into_any(),
        Kind::Toggle { default } => {
            let on = move || value.with(|value| value.as_ref().and_then(Value::as_bool).unwrap_or(default));
            view! {
                <input type="checkbox" aria-labelledby=label prop:checked=on on:change=move |event| edited.set(opt.word, opt.path, Value::Bool(event_target_checked(&event)), false) />
            }
            .into_any()
        }
        Kind::Unit => view! { <UnitField text=Signal::derive(text) label on_set=Callback::new(set_text) /> }.into_any(),
        Kind::Calcs => view! { <Calcs edited opt value /> }.into_any(),
    }
}

/// `true`, `false` and numbers are themselves in the JSON, everything else is text; the first choice may be "".
fn typed(text: &str) -> Value {
    match text {
        "" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        other => Value::String(other.to_owned()),
    }
}

fn number(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() < 9.0e15 {
        return Some(Value::from(value as i64));
    }
    serde_json::Number::from_f64(value).map(Value::Number)
}

/// A unit by its id; the list offers all by name.
#[component]
fn UnitField(text: Signal<String>, label: String, on_set: Callback<String>) -> impl IntoView {
    let units = dashboard::units::UNITS
        .iter()
        .map(|unit| view! { <option value=unit.id>{format!("{} ({})", unit.name, unit.group)}</option> });
    let list = units.collect_view();
    view! {
        <input class="inp" list="unit-list" placeholder="none" aria-labelledby=label data-t="panel-unit" prop:value=text on:change=move |event| on_set.run(event_target_value(&event)) />
        <datalist id="unit-list">{list}</datalist>
    }
}

const CALCS: [&str; 12] =
    ["lastNotNull", "mean", "max", "min", "sum", "first", "count", "range", "delta", "stdDev", "p95", "p99"];

#[component]
fn Calcs(edited: Edited, opt: Opt, value: Memo<Option<Value>>) -> impl IntoView {
    let chosen = move || -> Vec<String> {
        value.with(|value| {
            let list = value.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        })
    };
    let chips = CALCS.map(|id| {
        let on = move || chosen().iter().any(|other| dashboard::reducers::canonical(other) == id);
        let toggle = move |_| {
            let mut now = chosen();
            match now.iter().position(|other| dashboard::reducers::canonical(other) == id) {
                Some(at) => {
                    now.remove(at);
                }
                None => now.push(id.to_owned()),
            }
            edited.set(opt.word, opt.path, Value::from(now), false);
        };
        view! { <button type="button" class="chip" aria-pressed=move || on().to_string() on:click=toggle>{dashboard::reducers::name(id)}</button> }
    });
    view! { <div class="chips">{chips.collect_view()}</div> }
}
