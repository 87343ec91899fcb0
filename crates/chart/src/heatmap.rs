//! Heatmaps: cells as rectangles with colours.

use crate::{
    axis::Scale,
    scene::{Plot, Rect},
};
use dashboard::{
    colors::{self, Rgba, Theme},
    frame::{HeatmapData, is_null},
    model::{HeatmapOptions, ScaleDistribution},
};

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeatCell {
    pub rect: Rect,
    pub color: Rgba,
    pub count: f64,
    /// Row and column in the data.
    pub row: usize,
    pub column: usize,
}

/// A scale for the bounds of the buckets: logarithmic where they grow by factors.
pub fn heatmap_scale(data: &HeatmapData) -> Scale {
    let finite: Vec<f64> =
        data.bounds.iter().flat_map(|(low, high)| [*low, *high]).filter(|bound| bound.is_finite()).collect();
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return Scale { min: 0.0, max: 1.0, kind: ScaleDistribution::Linear };
    }
    let smallest = finite.iter().copied().filter(|bound| *bound > 0.0).fold(f64::INFINITY, f64::min);
    if low >= 0.0 && smallest.is_finite() && high / smallest > 20.0 {
        // One more step below the first bound stands for "down to zero", one above for "up to infinity".
        let second = finite.iter().copied().filter(|bound| *bound > smallest).fold(f64::INFINITY, f64::min);
        let ratio = if second.is_finite() { (second / smallest).clamp(1.05, 10.0) } else { 2.0 };
        let above = if data.bounds.iter().any(|(_, upper)| upper.is_infinite()) { high * ratio } else { high };
        return Scale { min: smallest / ratio, max: above, kind: ScaleDistribution::Log(10) };
    }
    let room = if data.bounds.iter().any(|(lower, upper)| upper.is_infinite() || lower.is_infinite()) {
        (high - low) * 0.1
    } else {
        0.0
    };
    Scale { min: low, max: if high > low { high + room } else { low + 1.0 }, kind: ScaleDistribution::Linear }
}

/// Cells to draw: those with a count above the filter. Each reaches back from its time by the distance to the one
/// before, for a bucket's increase is known at its end.
pub fn heatmap_cells(
    data: &HeatmapData,
    plot: &Plot,
    options: &HeatmapOptions,
    theme: Theme,
    pixel_ratio: f32,
) -> Vec<HeatCell> {
    let Some(scale) = plot.scales.first() else { return Vec::new() };
    let step = data
        .times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|gap| *gap > 0)
        .min()
        .unwrap_or((plot.to_ms - plot.from_ms) / 50)
        .max(1);
    let counts =
        || data.counts.iter().flatten().copied().filter(|count| count.is_finite() && *count > options.filter_le);
    let low = options.color_min.unwrap_or(0.0);
    let high = options.color_max.unwrap_or_else(|| counts().fold(f64::NEG_INFINITY, f64::max));
    let gap = (options.cell_gap as f32 * pixel_ratio).min(2.0 * pixel_ratio);
    let mut out = Vec::new();
    for (row, ((lower, upper), line)) in data.bounds.iter().zip(&data.counts).enumerate() {
        let place = |bound: f64, edge: f64| {
            let share = if bound.is_finite() { scale.share(bound) } else { edge };
            let share = if share.is_nan() { edge } else { share.clamp(0.0, 1.0) };
            plot.rect.bottom() - (share * f64::from(plot.rect.h)) as f32
        };
        let (bottom, top) = (place(*lower, 0.0), place(*upper, 1.0));
        for (column, count) in line.iter().enumerate() {
            if is_null(*count) || !count.is_finite() || *count <= options.filter_le {
                continue;
            }
            let Some(time) = data.times.get(column) else { break };
            let left = plot.x(time - step).max(plot.rect.x);
            let right = plot.x(*time).min(plot.rect.right());
            if right <= left || bottom <= top {
                continue;
            }
            let share = if high > low { ((count - low) / (high - low)).clamp(0.0, 1.0) } else { 1.0 };
            let share = if options.color_scale == "linear" { share } else { share.powf(options.color_exponent) };
            let steps = f64::from(options.color_steps.saturating_sub(1).max(1));
            let share = (share * steps).round() / steps;
            let share = if options.color_reverse { 1.0 - share } else { share };
            let color = if options.color_mode == "opacity" {
                let fill = colors::resolve(&options.color_fill, theme).unwrap_or(theme.tokens().accent);
                fill.with_alpha(share as f32)
            } else {
                // The lowest step of the ramp is the ground itself: a counted cell is at least seen.
                colors::ramp(&options.color_scheme, 0.1 + 0.9 * share, theme)
            };
            let (w, h) = ((right - left - gap).max(1.0), (bottom - top - gap).max(1.0));
            out.push(HeatCell { rect: Rect { x: left, y: top, w, h }, color, count: *count, row, column });
        }
    }
    out
}
