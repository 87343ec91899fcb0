//! A line without axes: the course of one number beside it.

use leptos::prelude::*;
use std::fmt::Write as _;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;

/// Draws values at even distances; gaps (NaN) lift the pen. `color` is a CSS colour, `area` fills below the line.
#[component]
pub fn Sparkline(
    #[prop(into)] values: Vec<f64>,
    #[prop(into)] color: String,
    #[prop(optional)] area: bool,
) -> impl IntoView {
    let (line, fill) = paths(&values);
    view! {
        <svg class="course" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true" style=format!("--course:{color}")>
            {area.then(|| view! { <path class="course-area" d=fill></path> })}
            <path class="course-line" d=line></path>
        </svg>
    }
}

/// The line, and the area below it, as SVG paths in a box of 1000 × 100.
fn paths(values: &[f64]) -> (String, String) {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) =
        finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if values.len() < 2 || low > high {
        return (String::new(), String::new());
    }
    let span = if high > low { high - low } else { 1.0 };
    let step = WIDTH / (values.len() - 1) as f64;
    let (mut line, mut area) = (String::new(), String::new());
    let mut start: Option<f64> = None;
    let mut last_x = 0.0;
    for (i, value) in values.iter().enumerate() {
        let x = i as f64 * step;
        if !value.is_finite() {
            close(&mut area, &mut start, last_x);
            continue;
        }
        // A flat line lies in the middle, not on the floor.
        let share = if high > low { (value - low) / span } else { 0.5 };
        let y = HEIGHT - 4.0 - share * (HEIGHT - 8.0);
        let pen = if start.is_none() { 'M' } else { 'L' };
        let _ = write!(line, "{pen}{x:.1} {y:.1}");
        let _ = write!(area, "{pen}{x:.1} {y:.1}");
        start.get_or_insert(x);
        last_x = x;
    }
    close(&mut area, &mut start, last_x);
    (line, area)
}

fn close(area: &mut String, start: &mut Option<f64>, last_x: f64) {
    if let Some(x) = start.take() {
        let _ = write!(area, "L{last_x:.1} {HEIGHT}L{x:.1} {HEIGHT}Z");
    }
}
