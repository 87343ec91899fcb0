//! Thresholds: from which value on which colour.

use super::field::Edited;
use crate::controls::icon::Icon;
use crate::memo::{Show, live, memo};
use dashboard::sorting::Order;
use leptos::prelude::*;
use serde_json::{Value, json};

const PATH: &str = "fieldConfig.defaults.thresholds";
const COLORS: [(&str, &str); 8] = [
    ("green", "Green"),
    ("yellow", "Yellow"),
    ("orange", "Orange"),
    ("red", "Red"),
    ("blue", "Blue"),
    ("purple", "Purple"),
    ("text", "Text"),
    ("transparent", "None"),
];

type Step = (Option<f64>, String);

fn steps(edited: Edited) -> Vec<Step> {
    let json = edited.get(PATH).unwrap_or(Value::Null);
    let list = json.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut steps: Vec<Step> = list
        .iter()
        .map(|step| {
            let color = step.get("color").and_then(Value::as_str).unwrap_or("green").to_owned();
            (step.get("value").and_then(Value::as_f64), color)
        })
        .collect();
    if steps.is_empty() {
        steps.push((None, "green".to_owned()));
    }
    steps
}

fn write(edited: Edited, mut steps: Vec<Step>, merge: bool) {
    steps.order_by(|a, b| a.0.unwrap_or(f64::NEG_INFINITY).total_cmp(&b.0.unwrap_or(f64::NEG_INFINITY)));
    if let Some(first) = steps.first_mut() {
        first.0 = None;
    }
    let list: Vec<Value> = steps.iter().map(|(value, color)| json!({"value": value, "color": color})).collect();
    edited.set("Thresholds", &format!("{PATH}.steps"), Value::Array(list), merge);
    if edited.get(&format!("{PATH}.mode")).is_none() {
        edited.set("Thresholds", &format!("{PATH}.mode"), json!("absolute"), true);
    }
}

/// The group.
#[component]
pub fn ThresholdsGroup(edited: Edited) -> impl IntoView {
    let count = memo(move || steps(edited).len());
    let rows = move || (0..count.get()).rev().map(|at| view! { <Row edited at /> }).collect_view();
    let add = move |_| {
        let mut now = steps(edited);
        let last = now.last().and_then(|step| step.0).unwrap_or(0.0);
        now.push((Some(if last == 0.0 { 80.0 } else { last * 1.25 }), "red".to_owned()));
        write(edited, now, false);
    };
    let mode = move || {
        edited.get(&format!("{PATH}.mode")).and_then(|mode| mode.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let shown = move || {
        edited
            .get("fieldConfig.defaults.custom.thresholdsStyle.mode")
            .and_then(|mode| mode.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let lines = move || matches!(edited.kind().as_str(), "timeseries" | "trend" | "graph");
    let styles = [
        ("off", "Not drawn"),
        ("line", "Line"),
        ("dashed", "Dashed line"),
        ("area", "Area"),
        ("line+area", "Line and area"),
        ("dashed+area", "Dashed and area"),
    ];
    view! {
        <section class="grp" data-t="thresholds">
            <h3>"Thresholds"</h3>
            <div class="thresholds">{rows}</div>
            <button type="button" class="btn out" data-t="add-threshold" on:click=add>{Icon::Plus.view()} "Add"</button>
            <div class="f">
                <span id="th-mode">"Values are"</span>
                <div class="sgm" role="group" aria-labelledby="th-mode">
                    <button type="button" aria-pressed=move || (mode() != "percentage").to_string() on:click=move |_| edited.set("Thresholds", &format!("{PATH}.mode"), json!("absolute"), false)>"Absolute"</button>
                    <button type="button" aria-pressed=move || (mode() == "percentage").to_string() on:click=move |_| edited.set("Thresholds", &format!("{PATH}.mode"), json!("percentage"), false)>"Percent"</button>
                </div>
            </div>
            <Show when=lines>
                <label class="f">
                    <span>"Drawn as"</span>
                    <select class="inp" data-t="threshold-style" on:change=move |event| edited.set("Thresholds", "fieldConfig.defaults.custom.thresholdsStyle.mode", json!(event_target_value(&event)), false)>
                        {styles.map(|(id, word)| view! { <option value=id selected=move || shown() == id>{word}</option> }).collect_view()}
                    </select>
                </label>
            </Show>
        </section>
    }
}

#[component]
fn Row(edited: Edited, at: usize) -> impl IntoView {
    let step = memo(move || steps(edited).get(at).cloned().unwrap_or((None, "green".to_owned())));
    let set_color = move |event| {
        let mut now = steps(edited);
        if let Some(step) = now.get_mut(at) {
            step.1 = event_target_value(&event);
        }
        write(edited, now, false);
    };
    let set_value = move |event| {
        let mut now = steps(edited);
        if let (Some(step), Ok(value)) = (now.get_mut(at), event_target_value(&event).parse::<f64>()) {
            step.0 = Some(value);
        }
        write(edited, now, true);
    };
    let remove = move |_| {
        let mut now = steps(edited);
        now.remove(at);
        write(edited, now, false);
    };
    let theme = edited.board.look;
    let swatch = move || {
        let css = theme
            .with(|look| dashboard::colors::resolve(&step.get().1, look.theme))
            .map_or_else(String::new, dashboard::colors::Rgba::css);
        format!("background:{css}")
    };
    let other = move || {
        let color = step.get().1;
        (!COLORS.iter().any(|(id, _)| *id == color)).then_some(color)
    };
    view! {
        <div class="threshold">
            <i class="dot" style=swatch></i>
            <select class="inp" aria-label="Colour" on:change=set_color>
                {live(move || other().map(|color| view! { <option value=color.clone() selected=true>{color.clone()}</option> }))}
                {COLORS.map(|(id, word)| view! { <option value=id selected=move || step.get().1 == id>{word}</option> }).collect_view()}
            </select>
            {if at == 0 {
                view! { <span class="dim">"base"</span> <span></span> }.into_any()
            } else {
                view! {
                    <input class="inp num" type="number" step="any" aria-label="From" data-t="threshold-value" prop:value=move || step.get().0.map(|value| value.to_string()).unwrap_or_default() on:change=set_value />
                    <button type="button" class="opt-reset" aria-label="Remove threshold" on:click=remove>{Icon::Close.view()}</button>
                }
                .into_any()
            }}
        </div>
    }
}
