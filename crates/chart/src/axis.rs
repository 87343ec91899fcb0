//! Values to places between 0 and 1, and the bounds of an axis.

use crate::scene::{Scene, YAxis};
use crate::ticks::{TickUnit, tick_unit, value_ticks};
use dashboard::model::{DrawStyle, ScaleDistribution};
use dashboard::sorting::Order;

/// One vertical scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub min: f64,
    pub max: f64,
    pub kind: ScaleDistribution,
}

impl Scale {
    /// 0 at the minimum, 1 at the maximum; NaN for what the scale does not have (zero on a logarithmic one).
    pub fn share(&self, value: f64) -> f64 {
        let (low, high, at) = (self.bend(self.min), self.bend(self.max), self.bend(value));
        (at - low) / (high - low)
    }

    /// The value at a share.
    pub fn value(&self, share: f64) -> f64 {
        let (low, high) = (self.bend(self.min), self.bend(self.max));
        self.unbend(low + (high - low) * share)
    }

    fn bend(&self, value: f64) -> f64 {
        match self.kind {
            ScaleDistribution::Linear => value,
            ScaleDistribution::Log(base) => {
                if value > 0.0 {
                    value.log(f64::from(base))
                } else {
                    f64::NAN
                }
            }
            ScaleDistribution::Symlog { linear_threshold, .. } => (value / linear_threshold).asinh(),
        }
    }

    fn unbend(&self, place: f64) -> f64 {
        match self.kind {
            ScaleDistribution::Linear => place,
            ScaleDistribution::Log(base) => f64::from(base).powf(place),
            ScaleDistribution::Symlog { linear_threshold, .. } => place.sinh() * linear_threshold,
        }
    }
}

/// The scale of an axis: fixed bounds, else those of the data in the window with soft bounds, rounded outwards to
/// ticks.
pub(crate) fn scale_of(scene: &Scene<'_>, at: usize, tick_count: usize) -> Scale {
    let axis = &scene.axes[at];
    let kind = axis.style.scale;
    let logarithmic = matches!(kind, ScaleDistribution::Log(_));
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for series in scene.series.iter().filter(|series| series.axis == at && !series.hidden) {
        // One point beyond each edge belongs to the line that crosses it.
        let first = series.times.partition_point(|time| *time < scene.from_ms).saturating_sub(1);
        let last = (series.times.partition_point(|time| *time <= scene.to_ms) + 1).min(series.times.len());
        let grounded = series.style.draw_style == DrawStyle::Bars || !series.base.is_empty();
        for value in series.drawn()[first.min(last)..last].iter().filter(|value| value.is_finite()) {
            if logarithmic && *value <= 0.0 {
                continue;
            }
            low = low.min(*value);
            high = high.max(*value);
        }
        if grounded && low.is_finite() && !logarithmic {
            low = low.min(0.0);
            high = high.max(0.0);
        }
    }
    for line in scene.thresholds.iter().filter(|line| line.line && at == 0 && line.value.is_finite()) {
        // A limit close by belongs into the picture, one far off would flatten the data.
        if line.value > high && line.value < high + (high - low).abs() * 0.5 {
            high = line.value;
        }
    }
    if low > high {
        (low, high) = if logarithmic { (0.1, 100.0) } else { (0.0, 1.0) };
    }
    if let Some(soft) = axis.style.soft_min {
        low = low.min(soft);
    }
    if let Some(soft) = axis.style.soft_max {
        high = high.max(soft);
    }
    if axis.style.centered_zero && !logarithmic {
        let reach = low.abs().max(high.abs());
        (low, high) = (-reach, reach);
    }
    if low == high {
        let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        if low > 0.0 && !logarithmic && axis.min.is_none() {
            (low, high) = ((low - room).max(0.0), high + room);
        } else if logarithmic {
            (low, high) = (low / 10.0, high * 10.0);
        } else {
            (low, high) = (low - room, high + room);
        }
    }
    let zoomed = if at == 0 { scene.y_zoom } else { None };
    if let Some((min, max)) = zoomed.filter(|(min, max)| min < max) {
        return Scale { min, max, kind };
    }
    let (mut min, mut max) = (axis.min.unwrap_or(low), axis.max.unwrap_or(high));
    if logarithmic {
        let base = if let ScaleDistribution::Log(base) = kind { f64::from(base) } else { 10.0 };
        min = if min > 0.0 { min } else { max.max(1.0) / 1000.0 };
        if axis.min.is_none() {
            min = base.powf(min.log(base).floor());
        }
        if axis.max.is_none() {
            max = base.powf(max.max(min).log(base).ceil());
        }
        if max <= min {
            max = min * base;
        }
        return Scale { min, max, kind };
    }
    if max <= min {
        max = min + 1.0;
    }
    if kind == ScaleDistribution::Linear {
        // Data well above zero keep their own range, those near it start there.
        if axis.min.is_none() && min > 0.0 && min < max * 0.5 {
            min = 0.0;
        }
        let step = step_of(axis, min, max, tick_count);
        if axis.min.is_none() {
            min = (min / step).floor() * step;
        }
        if axis.max.is_none() {
            let top = (max / step).ceil() * step;
            // Room above the highest point, unless it lies on a tick's line anyway.
            max = if top - max < step * 0.02 && max != 0.0 { top + step * 0.1 } else { top };
        }
    }
    Scale { min, max, kind }
}

fn step_of(axis: &YAxis, min: f64, max: f64, count: usize) -> f64 {
    let unit = tick_unit(&axis.unit);
    let ticks = value_ticks(min, max, count, unit);
    let step = if ticks.len() >= 2 { ticks[1] - ticks[0] } else { max - min };
    if step > 0.0 && step.is_finite() { step } else { (max - min).max(f64::MIN_POSITIVE) }
}

/// Ticks of a scale.
pub(crate) fn ticks_of(scale: &Scale, count: usize, unit: TickUnit) -> Vec<f64> {
    match scale.kind {
        ScaleDistribution::Linear => value_ticks(scale.min, scale.max, count, unit),
        ScaleDistribution::Log(base) => {
            let base = f64::from(base);
            let (first, last) = (scale.min.log(base).ceil() as i32, scale.max.log(base).floor() as i32);
            let every = ((last - first) / count.max(1) as i32 + 1).max(1);
            (first..=last).step_by(every as usize).take(200).map(|power| base.powi(power)).collect()
        }
        ScaleDistribution::Symlog { base, linear_threshold } => {
            let base = f64::from(base.max(2));
            let mut out = vec![0.0];
            let mut at = linear_threshold;
            while out.len() < 200 && at <= scale.min.abs().max(scale.max.abs()) {
                out.extend([-at, at]);
                at *= base;
            }
            out.retain(|tick| (scale.min..=scale.max).contains(tick));
            out.order_by(f64::total_cmp);
            let every = (out.len() / count.max(1)).max(1);
            out.into_iter().step_by(every).collect()
        }
    }
}
