//! How a cell is drawn: `custom.cellOptions.type`, and `custom.displayMode` of older dashboards.

use super::{Column, Shown, color_of};
use crate::{controls::sparkline::Sparkline, panels::PanelInput};
use dashboard::{colors::Rgba, frame::Field};
use leptos::prelude::*;
use serde_json::Value;

/// The kinds of cells that are drawn in their own way; all others are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellStyle {
    Text,
    ColorText,
    ColorBackground { gradient: bool },
    Gauge { gradient: bool, value: bool },
    Sparkline,
    Pill,
}

impl CellStyle {
    pub fn read(field: &Field) -> CellStyle {
        let custom = &field.config.custom;
        let options = custom.get("cellOptions").unwrap_or(&Value::Null);
        let word = |json: &Value, key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = match word(options, "type") {
            kind if kind.is_empty() => custom.get("displayMode").and_then(Value::as_str).unwrap_or_default().to_owned(),
            kind => kind,
        };
        let mode = word(options, "mode");
        match kind.as_str() {
            "color-text" => CellStyle::ColorText,
            "color-background" => CellStyle::ColorBackground { gradient: mode == "gradient" },
            "color-background-solid" => CellStyle::ColorBackground { gradient: false },
            "gauge" => {
                CellStyle::Gauge { gradient: mode != "basic", value: word(options, "valueDisplayMode") != "hidden" }
            }
            "gradient-gauge" | "lcd-gauge" => CellStyle::Gauge { gradient: true, value: true },
            "basic" => CellStyle::Gauge { gradient: false, value: true },
            "sparkline" => CellStyle::Sparkline,
            "pill" => CellStyle::Pill,
            _ => CellStyle::Text,
        }
    }
}

/// One `<td>`.
pub fn view(shown: &Shown, column: &Column, input: PanelInput) -> AnyView {
    let text = shown.display.text.to_string();
    let color = color_of(&shown.display);
    let css = color.map_or_else(|| "var(--c1)".to_owned(), Rgba::css);
    let class = column.class;
    let num = if class == "n" { "n num" } else { class };
    if let Some(course) = shown.course.clone() {
        return view! { <td class=class><Sparkline values=course color=css /></td> }.into_any();
    }
    let linked = super::super::links::cell_link(&column.field, &text, shown.row, input);
    let content = || {
        match linked.clone() {
        Some(link) => view! { <a href=link.href target=link.new_tab.then_some("_blank") rel="noopener noreferrer">{text.clone()}</a> }.into_any(),
        None => text.clone().into_any(),
    }
    };
    match column.style {
        // Colours made for areas are too faint for text on white: a share of the text's own colour makes them readable.
        CellStyle::ColorText => {
            view! { <td class=num style=format!("color:color-mix(in srgb, {css} 75%, var(--t1c))")>{content()}</td> }
                .into_any()
        }
        CellStyle::ColorBackground { gradient } if color.is_some() => {
            let on = color.map_or_else(String::new, |color| color.text_on().css());
            let ground = if gradient {
                format!("linear-gradient(120deg,{css},color-mix(in srgb,{css} 70%,transparent))")
            } else {
                css
            };
            view! { <td class=num style=format!("background:{ground};color:{on}")>{content()}</td> }.into_any()
        }
        CellStyle::Gauge { gradient, value } => {
            let share = shown.display.share.unwrap_or(0.0) * 100.0;
            let fill = if gradient {
                format!("linear-gradient(90deg,color-mix(in srgb,{css} 50%,transparent),{css})")
            } else {
                css
            };
            view! {
                <td class=class>
                    <span class="cellbar num">
                        <i style=format!("width:{share:.2}%;background:{fill}")></i>
                        {value.then(|| view! { <b>{content()}</b> })}
                    </span>
                </td>
            }
            .into_any()
        }
        CellStyle::Pill if !text.is_empty() => {
            view! { <td class=class><span class="tag">{content()}</span></td> }.into_any()
        }
        _ => view! { <td class=num title=text.clone()>{content()}</td> }.into_any(),
    }
}
