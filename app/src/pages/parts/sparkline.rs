//! A small line drawing of one series: the course of a value, with its limit.

use leptos::prelude::*;
use std::fmt::Write as _;

/// One series to draw: Unix milliseconds and values, in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    pub points: Vec<(i64, f64)>,
    pub threshold: Option<f64>,
    pub start_ms: i64,
    pub end_ms: i64,
}

/// The window of values: everything drawn fits, with a little air; zero is included when it is near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub low: f64,
    pub high: f64,
}

impl Line {
    pub fn window(&self) -> Window {
        let values =
            self.points.iter().map(|(_, value)| *value).chain(self.threshold).filter(|value| value.is_finite());
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if !low.is_finite() {
            return Window { low: 0.0, high: 1.0 };
        }
        let span = high - low;
        // A flat line stands in the middle.
        let air = if span > 0.0 { span * 0.12 } else { (high.abs() * 0.5).max(1.0) };
        let near_zero = low >= 0.0 && low < span * 0.6;
        Window { low: if near_zero { 0.0 } else { low - air }, high: high + air }
    }

    /// The line as an SVG path in a box of 1000 × 100, the pen lifted over gaps of more than three usual steps.
    pub fn path(&self) -> String {
        self.path_in(self.window())
    }

    /// [`Line::path`] in a window that other lines share.
    pub fn path_in(&self, window: Window) -> String {
        let step_ms = self.usual_step_ms();
        let (mut path, mut last_ms) = (String::new(), None::<i64>);
        for &(at_ms, value) in self.points.iter().filter(|(_, value)| value.is_finite()) {
            let gap = last_ms.is_none_or(|last_ms| at_ms - last_ms > 3 * step_ms);
            // Writing to a `String` cannot fail.
            let _ = write!(path, "{}{:.1} {:.2}", if gap { 'M' } else { 'L' }, self.x(at_ms), window.y(value));
            last_ms = Some(at_ms);
        }
        path
    }

    fn usual_step_ms(&self) -> i64 {
        let steps = self.points.windows(2).filter_map(|pair| match pair {
            [(from_ms, _), (to_ms, _)] => Some(to_ms - from_ms),
            _ => None,
        });
        steps.min().unwrap_or(0).max(1)
    }

    pub fn x(&self, at_ms: i64) -> f64 {
        (at_ms - self.start_ms) as f64 / (self.end_ms - self.start_ms).max(1) as f64 * 1000.0
    }
}

impl Window {
    pub fn y(self, value: f64) -> f64 {
        100.0 - (value - self.low) / (self.high - self.low) * 100.0
    }
}

/// The drawing alone; what it says stands beside it as text.
#[component]
pub fn Sparkline(line: Line) -> impl IntoView {
    let window = line.window();
    let limit = line.threshold.map(|value| {
        let y = window.y(value);
        view! { <path class="spark-limit" d=format!("M0 {y:.1}H1000") /> }
    });
    view! {
        <svg class="spark" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">
            {limit}
            <path class="spark-line" d=line.path() />
        </svg>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let line = Line {
            points: vec![(0, 0.0), (100, 50.0), (200, 100.0), (900, f64::NAN), (1000, 100.0)],
            threshold: Some(50.0),
            start_ms: 0,
            end_ms: 1000,
        };
        assert_eq!(line.window(), Window { low: 0.0, high: 112.0 });
        assert_eq!(line.path(), "M0.0 100.00L100.0 55.36L200.0 10.71M1000.0 10.71");
        assert_eq!(Line::default().path(), "");
        let flat = Line { points: vec![(0, 3.0), (10, 3.0)], start_ms: 0, end_ms: 10, ..Line::default() };
        assert_eq!(flat.path(), "M0.0 50.00L1000.0 50.00");
    }
}
