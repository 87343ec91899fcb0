//! Stat: one large figure, its course behind it.

use super::values::{Look, Single, singles};
use crate::memo::memo;
use crate::{controls::sparkline::Sparkline, panels::PanelInput};
use dashboard::model::StatOptions;
use leptos::prelude::*;

/// The panel.
#[component]
pub fn Stat(input: PanelInput) -> impl IntoView {
    let options = memo(move || input.panel.with(|panel| StatOptions::read(&panel.options)));
    let tiles = move || {
        let options = options.get();
        let look: Look = input.look.get();
        let values = input.data.with(|data| data.as_ref().map(|data| singles(&data.frames, &options.reduce, &look)));
        let values = values.unwrap_or_default();
        let several = values.len() > 1;
        values.into_iter().map(|single| view! { <Tile single options=options.clone() several input /> }).collect_view()
    };
    let vertical = move || options.with(|options| options.orientation == "horizontal");
    view! { <div class="stats" class:vertical=vertical>{tiles}</div> }
}

#[component]
fn Tile(single: Single, options: StatOptions, several: bool, input: PanelInput) -> impl IntoView {
    let color = single.color();
    let filled = options.color_mode.starts_with("background");
    let colored = options.color_mode != "none";
    let style = match (filled, single.display.color) {
        (true, Some(color)) => format!("background:{};color:{}", color.css(), color.text_on().css()),
        _ => String::new(),
    };
    let show_name = match options.text_mode.as_str() {
        "value_and_name" | "name" => true,
        "auto" => several,
        _ => false,
    };
    let show_value = !matches!(options.text_mode.as_str(), "name" | "none");
    let text = single.display.text.clone();
    let value =
        if text.to_string().is_empty() { "No data".to_owned() } else { format!("{}{}", text.prefix, text.text) };
    let value_style = match (colored && !filled, single.display.color, options.value_size) {
        (true, Some(_), None) if single.field.config.color.as_ref().is_none_or(|color| color.mode == "thresholds") => {
            // Threshold colours of the base ("all is well") stay quiet: only a state that needs a person is coloured.
            format!("color:{color}")
        }
        (_, _, Some(size)) => format!("font-size:{size}px"),
        _ => String::new(),
    };
    let line_color = if filled { "currentColor".to_owned() } else { color };
    let graph = (options.graph_mode != "none" && single.course.len() > 1).then(
        || view! { <Sparkline values=single.course.clone() color=line_color area=options.graph_mode == "area" /> },
    );
    let change = options.show_percent_change.then_some(single.change).flatten().map(|change| {
        let class = match (change < 0.0, options.percent_change_color_mode.as_str()) {
            (_, "same_as_value") => "",
            (false, "inverted") | (true, "standard") => "down",
            _ => "up",
        };
        let sign = if change < 0.0 { "▼" } else { "▲" };
        let percent = dashboard::units::format_text(change.abs() * 100.0, "percent", None);
        view! { <div class="d num"><span class=class>{format!("{sign} {percent}")}</span></div> }
    });
    let center = options.justify_mode == "center";
    let links = super::links::value_links(&single, input);
    view! {
        <div class="stat" class:center=center class:filled=filled style=style data-t="stat">
            {graph}
            {show_name.then(|| view! { <div class="name ell">{single.name.clone()}</div> })}
            {show_value.then(|| view! {
                <div class="v num" style=value_style data-t="stat-value">{value}<small>{text.suffix}</small></div>
            })}
            {change}
            {links}
        </div>
    }
}
