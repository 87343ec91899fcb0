//! Bar gauge: values side by side as bars between their bounds.

use super::values::{Look, Single, singles};
use crate::memo::memo;
use crate::panels::PanelInput;
use dashboard::model::BarGaugeOptions;
use leptos::prelude::*;

/// The panel.
#[component]
pub fn BarGauge(input: PanelInput) -> impl IntoView {
    let options = memo(move || input.panel.with(|panel| BarGaugeOptions::read(&panel.options)));
    let vertical = move || options.with(|options| options.orientation == "vertical");
    let bars = move || {
        let options = options.get();
        let look: Look = input.look.get();
        let values = input.data.with(|data| data.as_ref().map(|data| singles(&data.frames, &options.reduce, &look)));
        let vertical = options.orientation == "vertical";
        let values = values.unwrap_or_default();
        values.into_iter().map(|single| view! { <Bar single options=options.clone() vertical /> }).collect_view()
    };
    view! { <div class="bargauge" class:vertical=vertical class:horizontal=move || !vertical() role="list">{bars}</div> }
}

#[component]
fn Bar(single: Single, options: BarGaugeOptions, vertical: bool) -> impl IntoView {
    let share = single.display.share.unwrap_or(0.0) * 100.0;
    let color = single.color();
    let side = if vertical { "height" } else { "width" };
    let angle = if vertical { "0deg" } else { "90deg" };
    let fill = match options.display_mode.as_str() {
        "gradient" => format!(
            "{side}:{share:.2}%;background:linear-gradient({angle},color-mix(in srgb,{color} 45%,transparent),{color})"
        ),
        _ => format!("{side}:{share:.2}%;background:{color}"),
    };
    let value_style = if options.value_mode == "color" { format!("color:{color}") } else { String::new() };
    let value = if options.value_mode == "hidden" { String::new() } else { single.text() };
    let name = if options.name_placement == "hidden" { String::new() } else { single.name.clone() };
    let lcd = options.display_mode == "lcd";
    let spoken = format!("{}: {}", single.name, single.text());
    view! {
        <span class="nm mut ell" title=name.clone()>{name.clone()}</span>
        <span class="bar" class:track=options.show_unfilled class:lcd=lcd role="listitem" aria-label=spoken data-t="bar"><i style=fill></i></span>
        <span class="val num" style=value_style>{value}</span>
    }
}
