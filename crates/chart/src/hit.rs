//! What lies under the pointer.

use crate::scene::{Plot, Scene};

/// A point of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Index in [`Scene::series`].
    pub series: usize,
    /// Index of the point in the series.
    pub point: usize,
    pub time_ms: i64,
    /// The value itself, not the stacked one.
    pub value: f64,
    pub x: f32,
    pub y: f32,
    /// Distance from the pointer in px.
    pub distance: f32,
}

/// Points further from the pointer's time than this share of the plot's width are not "at" it.
const REACH: f32 = 0.1;

/// For each visible series its point nearest in time to the pointer, in the order of the scene. Series without a point
/// near by are left out.
pub fn hits_at(scene: &Scene<'_>, plot: &Plot, x: f32, y: f32) -> Vec<Hit> {
    let time_ms = plot.time_at(x);
    scene
        .series
        .iter()
        .enumerate()
        .filter(|(_, series)| !series.hidden && !series.style.hide_from_tooltip)
        .filter_map(|(at, series)| {
            let drawn = series.drawn();
            let after = series.times.partition_point(|time| *time < time_ms);
            let seen = |index: &usize| drawn.get(*index).is_some_and(|value| value.is_finite());
            // Gaps are passed over, but not for ever.
            let right = (after..series.times.len().min(after + 5)).find(seen);
            let left = (after.saturating_sub(5)..after).rev().find(seen);
            let away = |index: usize| (series.times[index] - time_ms).abs();
            let point = match (left, right) {
                (Some(left), Some(right)) => {
                    if away(left) < away(right) {
                        left
                    } else {
                        right
                    }
                }
                (one, other) => one.or(other)?,
            };
            let (px, py) = (plot.x(series.times[point]), plot.y(series.axis, drawn[point]));
            let reachable = (px - x).abs() <= (plot.rect.w * REACH).max(10.0) && !py.is_nan();
            reachable.then(|| Hit {
                series: at,
                point,
                time_ms: series.times[point],
                value: series.values[point],
                x: px,
                y: py,
                distance: (px - x).hypot(py - y),
            })
        })
        .collect()
}

/// The nearest point. Distances along the time axis count less, as the pointer follows lines up and down.
pub fn nearest(scene: &Scene<'_>, plot: &Plot, x: f32, y: f32) -> Option<Hit> {
    let weighed = |hit: &Hit| (hit.y - y).abs() + (hit.x - x).abs() * 0.3;
    hits_at(scene, plot, x, y).into_iter().min_by(|a, b| weighed(a).total_cmp(&weighed(b)))
}
