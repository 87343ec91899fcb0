//! Gauge: a value between its bounds, as an arc and as text.

use super::values::{Look, Single, singles};
use crate::memo::memo;
use crate::panels::PanelInput;
use dashboard::{
    colors,
    model::{GaugeOptions, ThresholdsMode},
};
use leptos::prelude::*;
use std::f64::consts::PI;

/// The arc lies in a box of this width; its middle is the box's.
const BOX: f64 = 200.0;
const RADIUS: f64 = 78.0;
/// Where the arc begins and how far it goes, in radians clockwise from the right.
const OPEN: (f64, f64) = (0.9 * PI, 1.2 * PI);
const CIRCLE: (f64, f64) = (-0.5 * PI, 1.9999 * PI);

/// The panel.
#[component]
pub fn Gauge(input: PanelInput) -> impl IntoView {
    let options = memo(move || input.panel.with(|panel| GaugeOptions::read(&panel.options)));
    let dials = move || {
        let options = options.get();
        let look: Look = input.look.get();
        let values = input.data.with(|data| data.as_ref().map(|data| singles(&data.frames, &options.reduce, &look)));
        let values = values.unwrap_or_default();
        let several = values.len() > 1;
        values
            .into_iter()
            .map(|single| view! { <Dial single options=options.clone() several look=look.clone() /> })
            .collect_view()
    };
    view! { <div class="gauges">{dials}</div> }
}

fn point(angle: f64, radius: f64) -> (f64, f64) {
    (BOX / 2.0 + radius * angle.cos(), BOX / 2.0 + radius * angle.sin())
}

fn arc(from: f64, to: f64, radius: f64) -> String {
    let ((x0, y0), (x1, y1)) = (point(from, radius), point(to, radius));
    let large = u8::from(to - from > PI);
    format!("M{x0:.2} {y0:.2}A{radius} {radius} 0 {large} 1 {x1:.2} {y1:.2}")
}

#[component]
fn Dial(single: Single, options: GaugeOptions, several: bool, look: Look) -> impl IntoView {
    let circle = options.shape == "circle";
    let (start, sweep) = if circle { CIRCLE } else { OPEN };
    let share = single.display.share.unwrap_or(0.0);
    let zero = options.neutral.map_or(0.0, |neutral| {
        let (low, high) = single.bounds;
        ((neutral - low) / (high - low)).clamp(0.0, 1.0)
    });
    let (from, to) = if share < zero { (share, zero) } else { (zero, share) };
    let width = (options.bar_width_factor.clamp(0.1, 1.0) * 36.0).max(6.0);
    let value_path = (to - from > 0.001).then(|| arc(start + sweep * from, start + sweep * to, RADIUS));
    let color = single.color();
    let text = single.text();
    let size = (34.0_f64).min(230.0 / text.chars().count().max(1) as f64);
    let marks = options.show_threshold_markers.then(|| markers(&single, &look, start, sweep, width));
    let (low, high) = single.bounds;
    let bound =
        |value: f64| dashboard::units::format_text(value, &single.field.config.unit, single.field.config.decimals);
    let ends = (!circle && options.show_threshold_labels).then(|| {
        let ((x0, y0), (x1, y1)) = (point(start, RADIUS), point(start + sweep, RADIUS));
        view! {
            <text class="sub" x=x0 y=y0 + 18.0 font-size="11">{bound(low)}</text>
            <text class="sub" x=x1 y=y1 + 18.0 font-size="11">{bound(high)}</text>
        }
    });
    let view_box = if circle { "0 0 200 200" } else { "6 8 188 146" };
    let label = format!("{}: {text}, between {} and {}", single.name, bound(low), bound(high));
    view! {
        <div class="gauge" data-t="gauge">
            <svg viewBox=view_box role="img" aria-label=label>
                <path class="track" d=arc(start, start + sweep, RADIUS) stroke-width=width></path>
                {value_path.map(|path| view! { <path class="value" d=path stroke-width=width stroke=color></path> })}
                {marks}
                <text x="100" y="110" font-size=size data-t="gauge-value">{text}</text>
                {ends}
            </svg>
            {several.then(|| view! { <span class="name ell">{single.name.clone()}</span> })}
        </div>
    }
}

/// A thin arc outside with the colours of the thresholds.
fn markers(single: &Single, look: &Look, start: f64, sweep: f64, width: f64) -> impl IntoView + use<> {
    let mut parts = Vec::new();
    if let Some(thresholds) = &single.field.config.thresholds {
        let (low, high) = single.bounds;
        let place = |value: f64| match thresholds.mode {
            ThresholdsMode::Percentage => (value / 100.0).clamp(0.0, 1.0),
            ThresholdsMode::Absolute => ((value - low) / (high - low)).clamp(0.0, 1.0),
        };
        for (i, step) in thresholds.steps.iter().enumerate() {
            let from = if step.value.is_finite() { place(step.value) } else { 0.0 };
            let to = thresholds.steps.get(i + 1).map_or(1.0, |next| place(next.value));
            let color = colors::resolve(&step.color, look.theme).map_or_else(String::new, colors::Rgba::css);
            if to - from > 0.001 {
                let path = arc(start + sweep * from, start + sweep * to, RADIUS + width / 2.0 + 4.0);
                parts.push(view! { <path class="value" d=path stroke-width="3" stroke=color></path> });
            }
        }
    }
    parts
}
