//! Series as pixels: plain buffers that a canvas strokes and fills in one call.

use crate::scene::{Plot, Rect, Scene, Series};
use dashboard::{
    colors::Rgba,
    model::{DrawStyle, LineInterpolation, LineStyle, ShowPoints, SpanNulls},
};

/// Lines of one look: `xy` is x, y, x, y, …; a NaN in y lifts the pen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stroke {
    pub xy: Vec<f32>,
    pub color: Option<Rgba>,
    /// Device px.
    pub width: f32,
    /// Lengths on and off in device px; empty is solid.
    pub dash: Vec<f32>,
}

/// Closed polygons of one colour: `ends[k]` is the index in `xy` where polygon `k` stops.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fill {
    pub xy: Vec<f32>,
    pub ends: Vec<u32>,
    pub color: Option<Rgba>,
    /// Colour at the lower end of the plot, for `gradientMode: opacity`.
    pub fade_to: Option<Rgba>,
}

/// Points of one look: x, y, x, y, …
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dots {
    pub xy: Vec<f32>,
    pub color: Option<Rgba>,
    /// Radius in device px.
    pub radius: f32,
}

/// Everything of the series, in order of drawing: all fills, then strokes, then dots.
#[derive(Clone, Debug, Default)]
pub struct Geometry {
    pub fills: Vec<Fill>,
    pub strokes: Vec<Stroke>,
    pub dots: Vec<Dots>,
}

/// More dots than this of one series are a smear that costs a second to draw.
const DOTS_MAX: usize = 2000;

/// More points than this in all lines together: lines are drawn as thin as their style says. Browsers and rasterisers
/// outline every line wider than one pixel, which costs ten times as much, and in a thicket nobody sees the difference.
const POINTS_BUSY: usize = 4000;
/// Dashes tell series apart beyond the eighth, but not where a line turns more often than it pauses.
const DASH_POINT_DISTANCE_PX_MIN: f32 = 3.0;

/// Projects the series of a scene.
pub fn geometry(scene: &Scene<'_>, plot: &Plot) -> Geometry {
    let mut out = Geometry::default();
    let bars =
        scene.series.iter().filter(|series| !series.hidden && is_bars(series) && series.base.is_empty()).count().max(1);
    let (mut points, mut generous) = (0, Vec::new());
    let mut bar_at = 0;
    for series in scene.series.iter().filter(|series| !series.hidden) {
        let drawn = series.drawn();
        if is_bars(series) {
            let (slot, slots) = if series.base.is_empty() { (bar_at, bars) } else { (0, 1) };
            bar_at += usize::from(series.base.is_empty());
            bar_geometry(scene, plot, series, slot, slots, &mut out);
            continue;
        }
        let line = project(scene, plot, series, drawn);
        dots(scene, plot, series, &line, &mut out);
        if series.style.draw_style == DrawStyle::Line {
            area(scene, plot, series, &line, &mut out);
            if series.style.line_width > 0.0 {
                let dash = dash_of(series, scene.scale, line.len() / 2, plot.rect.w);
                let width = series.style.line_width.max(1.0) * scene.scale;
                let xy = interpolate(line, series.style.interpolation);
                points += xy.len() / 2;
                generous.push(width * if series.base.is_empty() { 1.5 } else { 1.2 });
                out.strokes.push(Stroke { xy, color: Some(series.color), width, dash });
            }
        }
    }
    if points <= POINTS_BUSY {
        for (stroke, width) in out.strokes.iter_mut().zip(generous) {
            stroke.width = width;
        }
    }
    out
}

fn is_bars(series: &Series) -> bool {
    series.style.draw_style == DrawStyle::Bars
}

fn dash_of(series: &Series, scale: f32, points: usize, plot_width: f32) -> Vec<f32> {
    let crowded = points as f32 * DASH_POINT_DISTANCE_PX_MIN * scale > plot_width;
    let lengths: Vec<f32> = match (&series.style.line_style, series.dash) {
        (LineStyle::Dash(lengths), _) => lengths.clone(),
        (LineStyle::Dot, _) => vec![1.0, 4.0],
        (LineStyle::Solid, dash) if dash == 0 || crowded => Vec::new(),
        (LineStyle::Solid, 1) => vec![7.0, 4.0],
        (LineStyle::Solid, _) => vec![2.0, 3.0],
    };
    lengths.into_iter().map(|length| length * scale).collect()
}

/// Points of the window and one beyond each edge as pixels; a gap is one point with NaN. Where there are more than
/// two points a pixel column, only the first, lowest, highest and last of each column are kept.
fn project(scene: &Scene<'_>, plot: &Plot, series: &Series, values: &[f64]) -> Vec<f32> {
    let first = series.times.partition_point(|time| *time < scene.from_ms).saturating_sub(1);
    let last = (series.times.partition_point(|time| *time <= scene.to_ms) + 1).min(values.len());
    let first = first.min(last);
    let times = &series.times[first..last];
    let values = &values[first..last];
    let mut out = Vec::with_capacity(times.len().min(plot.rect.w as usize * 4 + 8) * 2);
    let mut gap_since: Option<i64> = None;
    let mut last_time: Option<i64> = None;
    let dense = times.len() > plot.rect.w.max(1.0) as usize * 2;
    let mut column = Column::default();
    for (time, value) in times.iter().zip(values) {
        let y = plot.y(series.axis, *value);
        if y.is_nan() {
            gap_since = gap_since.or(last_time);
            continue;
        }
        if let Some(since) = gap_since.take() {
            let bridged = match series.style.span_nulls {
                SpanNulls::Always => true,
                SpanNulls::Never => false,
                SpanNulls::Shorter(ms) => ((time - since) as f64) < ms,
            };
            if !bridged {
                column.flush(&mut out);
                out.extend([plot.x(since), f32::NAN]);
            }
        }
        last_time = Some(*time);
        let x = plot.x(*time);
        if dense {
            column.add(x, y, &mut out);
        } else {
            out.extend([x, y]);
        }
    }
    column.flush(&mut out);
    out
}

/// First, lowest, highest and last point of one pixel column, in order of time. All stand in the middle of the column:
/// upright lines are the cheapest to draw, and nobody sees where in a pixel a point was.
#[derive(Default)]
struct Column {
    at: i32,
    count: u32,
    first: f32,
    last: f32,
    /// Heights with the place in the column.
    low: (f32, u32),
    high: (f32, u32),
}

impl Column {
    fn add(&mut self, x: f32, y: f32, out: &mut Vec<f32>) {
        let at = x.floor() as i32;
        if at != self.at || self.count == 0 {
            self.flush(out);
            *self = Column { at, count: 1, first: y, last: y, low: (y, 0), high: (y, 0) };
            return;
        }
        if y > self.low.0 {
            self.low = (y, self.count);
        }
        if y < self.high.0 {
            self.high = (y, self.count);
        }
        self.last = y;
        self.count += 1;
    }

    fn flush(&mut self, out: &mut Vec<f32>) {
        if self.count == 0 {
            return;
        }
        let (early, late) = if self.low.1 <= self.high.1 { (self.low, self.high) } else { (self.high, self.low) };
        let end = self.count - 1;
        let x = self.at as f32 + 0.5;
        out.extend([x, self.first]);
        let mut before = 0;
        for (y, place) in [early, late, (self.last, end)] {
            if place != before {
                out.extend([x, y]);
                before = place;
            }
        }
        self.count = 0;
    }
}

/// Runs between gaps, as ranges of `xy`.
fn runs(xy: &[f32]) -> Vec<std::ops::Range<usize>> {
    let (mut out, mut start) = (Vec::new(), 0);
    for at in (0..xy.len()).step_by(2) {
        if xy[at + 1].is_nan() {
            if at > start {
                out.push(start..at);
            }
            start = at + 2;
        }
    }
    if start < xy.len() {
        out.push(start..xy.len());
    }
    out
}

/// Steps and smooth lines as points of a straight one.
fn interpolate(xy: Vec<f32>, mode: LineInterpolation) -> Vec<f32> {
    if mode == LineInterpolation::Linear {
        return xy;
    }
    let mut out = Vec::with_capacity(xy.len() * 2);
    for run in runs(&xy) {
        if !out.is_empty() {
            out.extend([xy[run.start], f32::NAN]);
        }
        let run = &xy[run];
        match mode {
            LineInterpolation::StepAfter | LineInterpolation::StepBefore => {
                out.extend([run[0], run[1]]);
                for pair in run.windows(4).step_by(2) {
                    if mode == LineInterpolation::StepAfter {
                        out.extend([pair[2], pair[1], pair[2], pair[3]]);
                    } else {
                        out.extend([pair[0], pair[3], pair[2], pair[3]]);
                    }
                }
            }
            _ => smooth(run, &mut out),
        }
    }
    out
}

/// Monotone cubic curves (Fritsch–Carlson): no bump that the data do not have.
fn smooth(run: &[f32], out: &mut Vec<f32>) {
    let count = run.len() / 2;
    let (x, y) = (|i: usize| run[i * 2], |i: usize| run[i * 2 + 1]);
    // A curve through points closer than this looks the same as a line.
    const NEAR_PX: f32 = 2.0;
    if count < 3 {
        out.extend_from_slice(run);
        return;
    }
    let slope = |i: usize| if x(i + 1) > x(i) { (y(i + 1) - y(i)) / (x(i + 1) - x(i)) } else { 0.0 };
    let tangent = |i: usize| {
        if i == 0 {
            return slope(0);
        }
        if i == count - 1 {
            return slope(count - 2);
        }
        let (before, after) = (slope(i - 1), slope(i));
        if before * after <= 0.0 { 0.0 } else { 2.0 * before * after / (before + after) }
    };
    out.extend([x(0), y(0)]);
    for i in 0..count - 1 {
        let width = x(i + 1) - x(i);
        if width > NEAR_PX {
            let pieces = (width / 3.0).clamp(2.0, 24.0) as usize;
            let (m0, m1) = (tangent(i) * width, tangent(i + 1) * width);
            for piece in 1..pieces {
                let t = piece as f32 / pieces as f32;
                let (t2, t3) = (t * t, t * t * t);
                let value = (2.0 * t3 - 3.0 * t2 + 1.0) * y(i)
                    + (t3 - 2.0 * t2 + t) * m0
                    + (-2.0 * t3 + 3.0 * t2) * y(i + 1)
                    + (t3 - t2) * m1;
                out.extend([x(i) + width * t, value]);
            }
        }
        out.extend([x(i + 1), y(i + 1)]);
    }
}

fn area(scene: &Scene<'_>, plot: &Plot, series: &Series, line: &[f32], out: &mut Geometry) {
    let opacity = series.style.fill_opacity / 100.0;
    let target = series.fill_to.and_then(|at| scene.series.get(at)).filter(|target| !target.hidden);
    // A band without an opacity of its own would not be seen.
    let opacity = if target.is_some() && opacity <= 0.0 { 0.15 } else { opacity };
    if opacity <= 0.0 || line.is_empty() {
        return;
    }
    let lower: Option<Vec<f32>> = if let Some(target) = target {
        Some(interpolate(project(scene, plot, target, target.drawn()), series.style.interpolation))
    } else if series.base.len() == series.values.len() {
        Some(interpolate(project(scene, plot, series, &series.base), series.style.interpolation))
    } else {
        None
    };
    let upper = interpolate(line.to_vec(), series.style.interpolation);
    let ground = plot.y(series.axis, 0.0);
    let ground = if ground.is_nan() { plot.rect.bottom() } else { ground.clamp(plot.rect.y, plot.rect.bottom()) };
    let mut fill = Fill { color: Some(series.color.with_alpha(opacity)), ..Fill::default() };
    if series.style.gradient_mode == "opacity" && lower.is_none() {
        fill.fade_to = Some(series.color.with_alpha(opacity * 0.05));
    }
    let upper_runs = runs(&upper);
    let lower_runs = lower.as_deref().map(runs);
    for (at, run) in upper_runs.iter().enumerate() {
        fill.xy.extend_from_slice(&upper[run.clone()]);
        match (&lower, &lower_runs) {
            (Some(lower), Some(lower_runs)) => {
                let below = if lower_runs.len() == upper_runs.len() { lower_runs[at].clone() } else { 0..lower.len() };
                for index in below.step_by(2).rev().filter(|index| !lower[index + 1].is_nan()) {
                    fill.xy.extend([lower[index], lower[index + 1]]);
                }
            }
            _ => fill.xy.extend([upper[run.end - 2], ground, upper[run.start], ground]),
        }
        fill.ends.push(fill.xy.len() as u32);
    }
    out.fills.push(fill);
}

fn bar_geometry(scene: &Scene<'_>, plot: &Plot, series: &Series, slot: usize, slots: usize, out: &mut Geometry) {
    let gap = series.times.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0).min();
    let pitch = gap.map_or(plot.rect.w / 2.0, |gap| plot.x(scene.from_ms + gap) - plot.rect.x);
    let group = (pitch * series.style.bar_width_factor).max(1.0);
    let width = (group / slots as f32).max(0.5);
    let shift = match series.style.bar_alignment {
        -1 => -group,
        1 => 0.0,
        _ => -group / 2.0,
    } + width * slot as f32;
    let opacity = if series.style.fill_opacity > 0.0 { series.style.fill_opacity / 100.0 } else { 0.6 };
    let mut fill = Fill { color: Some(series.color.with_alpha(opacity.max(0.25))), ..Fill::default() };
    let ground = plot.y(series.axis, 0.0);
    let ground = if ground.is_nan() { plot.rect.bottom() } else { ground };
    let clamp = |y: f32| y.clamp(plot.rect.y, plot.rect.bottom());
    for (at, (time, value)) in series.times.iter().zip(series.drawn()).enumerate() {
        if *time < scene.from_ms || *time > scene.to_ms {
            continue;
        }
        let (top, base) =
            (plot.y(series.axis, *value), series.base.get(at).map_or(ground, |base| plot.y(series.axis, *base)));
        if top.is_nan() || base.is_nan() {
            continue;
        }
        let left = (plot.x(*time) + shift).clamp(plot.rect.x, plot.rect.right());
        let right = (plot.x(*time) + shift + width).clamp(plot.rect.x, plot.rect.right());
        fill.xy.extend([left, clamp(top), right, clamp(top), right, clamp(base), left, clamp(base)]);
        fill.ends.push(fill.xy.len() as u32);
    }
    if !fill.ends.is_empty() {
        out.fills.push(fill);
    }
}

fn dots(scene: &Scene<'_>, plot: &Plot, series: &Series, line: &[f32], out: &mut Geometry) {
    let points = line.len() / 2;
    let always = series.style.draw_style == DrawStyle::Points || series.style.show_points == ShowPoints::Always;
    let sparse = series.style.show_points == ShowPoints::Auto
        && (points as f32) < plot.rect.w / scene.scale / 12.0
        && points < 40;
    let radius = series.style.point_size / 2.0 * scene.scale;
    let mut xy = Vec::new();
    if always || sparse {
        let every = points.div_ceil(DOTS_MAX).max(1);
        for pair in line.chunks_exact(2).step_by(every).filter(|pair| !pair[1].is_nan()) {
            xy.extend_from_slice(pair);
        }
    } else {
        // A value between two gaps would not be seen as a line.
        for run in runs(line).into_iter().filter(|run| run.len() == 2) {
            xy.extend_from_slice(&line[run]);
        }
    }
    if !xy.is_empty() {
        out.dots.push(Dots { xy, color: Some(series.color), radius });
    }
}

/// A sparkline: the line, and its area down to the lower edge, within a rectangle. NaN is a gap.
pub fn sparkline(times: &[i64], values: &[f64], rect: Rect, color: Rgba, bounds: Option<(f64, f64)>) -> (Stroke, Fill) {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = bounds.unwrap_or_else(|| {
        finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    });
    let mut stroke = Stroke { color: Some(color), width: 1.5, ..Stroke::default() };
    let mut fill =
        Fill { color: Some(color.with_alpha(0.24)), fade_to: Some(color.with_alpha(0.02)), ..Fill::default() };
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return (stroke, fill) };
    let (span, reach) = ((last - first).max(1) as f64, high - low);
    let dense = values.len() > rect.w.max(1.0) as usize * 2;
    let mut column = Column::default();
    for (time, value) in times.iter().zip(values) {
        let x = rect.x + ((time - first) as f64 / span * f64::from(rect.w)) as f32;
        if !value.is_finite() {
            column.flush(&mut stroke.xy);
            stroke.xy.extend([x, f32::NAN]);
            continue;
        }
        let share = if reach > 0.0 { ((value - low) / reach).clamp(0.0, 1.0) } else { 0.5 };
        let y = rect.bottom() - (share * f64::from(rect.h)) as f32;
        if dense { column.add(x, y, &mut stroke.xy) } else { stroke.xy.extend([x, y]) }
    }
    column.flush(&mut stroke.xy);
    for run in runs(&stroke.xy) {
        fill.xy.extend_from_slice(&stroke.xy[run.clone()]);
        fill.xy.extend([stroke.xy[run.end - 2], rect.bottom(), stroke.xy[run.start], rect.bottom()]);
        fill.ends.push(fill.xy.len() as u32);
    }
    (stroke, fill)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Scale;
    use dashboard::{
        calendar::Calendar,
        colors,
        model::{GraphStyle, ScaleDistribution, Stacking},
    };

    fn series(times: Vec<i64>, values: Vec<f64>) -> Series {
        Series {
            name: "s".into(),
            color: colors::PALETTE[0].dark,
            dash: 0,
            style: GraphStyle::read(&serde_json::Map::new()),
            axis: 0,
            times,
            values,
            base: vec![],
            top: vec![],
            fill_to: None,
            hidden: false,
            frame: 0,
            field: 1,
        }
    }

    fn plot() -> Plot {
        Plot {
            rect: Rect { x: 0.0, y: 0.0, w: 100.0, h: 10.0 },
            from_ms: 0,
            to_ms: 100,
            scales: vec![Scale { min: 0.0, max: 10.0, kind: ScaleDistribution::Linear }],
        }
    }

    fn scene() -> Scene<'static> {
        Scene::new(100.0, 10.0, 0, 100, Calendar::utc())
    }

    #[test]
    fn gaps_and_bridges() {
        let mut one = series(vec![0, 10, 20, 30, 60], vec![0.0, 5.0, f64::NAN, 10.0, 0.0]);
        let strip = |xy: Vec<f32>| {
            xy.iter().map(|v| if v.is_nan() { "-".to_owned() } else { v.to_string() }).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(strip(project(&scene(), &plot(), &one, &one.values)), "0 10 10 5 10 - 30 0 60 10");
        one.style.span_nulls = SpanNulls::Shorter(25.0);
        assert_eq!(strip(project(&scene(), &plot(), &one, &one.values)), "0 10 10 5 30 0 60 10");
        let steps = interpolate(vec![0.0, 1.0, 2.0, 3.0], LineInterpolation::StepAfter);
        assert_eq!(strip(steps), "0 1 2 1 2 3");
    }

    #[test]
    fn extremes_survive_decimation() {
        let count = 100_000;
        let times: Vec<i64> = (0..count).collect();
        let mut values = vec![5.0; count as usize];
        values[77_777] = 10.0;
        values[77_778] = 0.0;
        let mut scene = scene();
        (scene.to_ms, scene.series) = (count, vec![series(times, values)]);
        let plot = Plot { to_ms: count, ..plot() };
        let line = &geometry(&scene, &plot).strokes[0].xy;
        assert!(line.len() <= 2 * 4 * 101, "{} numbers", line.len());
        let ys: Vec<f32> = line.chunks_exact(2).map(|pair| pair[1]).collect();
        assert!(ys.contains(&0.0) && ys.contains(&10.0));
        assert!(line.chunks_exact(2).is_sorted_by(|a, b| a[0] <= b[0]));
    }

    #[test]
    fn thickets_are_drawn_thin() {
        let drawn = |count: usize, points: i64, width: f32| {
            let mut scene = scene();
            scene.series = vec![series((0..points).collect(), vec![5.0; points as usize]); count];
            for (at, one) in scene.series.iter_mut().enumerate() {
                (one.style.line_width, one.dash) = (width, u8::from(at == 1));
            }
            let strokes = geometry(&scene, &plot()).strokes;
            (strokes[0].width, strokes[1].dash.is_empty())
        };
        // Few sparse lines are generous and dashed, crowded ones lose the dashes, very many their width beyond the style's.
        assert_eq!(drawn(2, 30, 1.0), (1.5, false));
        assert_eq!(drawn(2, 100, 1.0), (1.5, true));
        assert_eq!(drawn(40, 100, 1.0), (1.5, true));
        assert_eq!(drawn(41, 100, 1.0), (1.0, true));
        assert_eq!(drawn(41, 100, 3.0), (3.0, true));
    }

    #[test]
    fn stacks_and_bars() {
        let mut list = vec![series(vec![0, 50], vec![1.0, 2.0]), series(vec![0, 50], vec![3.0, f64::NAN])];
        for one in &mut list {
            one.style.stacking = Stacking::Normal("A".into());
        }
        crate::stack(&mut list);
        assert_eq!((list[1].base[0], list[1].top[0], list[1].top[1].is_nan()), (1.0, 4.0, true));
        for one in &mut list {
            one.style.stacking = Stacking::Percent("A".into());
        }
        crate::stack(&mut list);
        assert_eq!((list[0].top[0], list[1].top[0], list[0].top[1]), (0.25, 1.0, 1.0));
        let mut bar = series(vec![0, 50, 100], vec![1.0, 2.0, -5.0]);
        bar.style.draw_style = DrawStyle::Bars;
        let mut scene = scene();
        scene.series = vec![bar];
        let geometry = geometry(&scene, &plot());
        assert_eq!(geometry.fills[0].ends, [8, 16, 24]);
        assert!(geometry.fills[0].xy.iter().all(|v| v.is_finite() && *v >= 0.0 && *v <= 100.0));
    }

    #[test]
    fn smooth_lines_do_not_overshoot() {
        let curve = interpolate(vec![0.0, 0.0, 30.0, 10.0, 60.0, 10.0, 90.0, 0.0], LineInterpolation::Smooth);
        assert!(curve.len() > 40 && curve.chunks_exact(2).all(|p| (0.0..=10.0001).contains(&p[1])));
    }
}
