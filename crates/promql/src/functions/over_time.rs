//! Functions over the samples of a window, one result each.

use super::range::RangeContext;
use super::{float, whole};
use crate::aggregate;
use crate::histogram;
use crate::numbers::{self, kahan_add};
use crate::select::Window;
use model::SampleValue;
use std::sync::Arc;
use storage::Tier;

type Result = Option<SampleValue>;

/// Floats alone; histograms beside them are ignored with a note.
fn floats<'a>(context: &RangeContext<'_, '_>, window: &Window<'a>) -> Option<&'a [f64]> {
    if window.floats.is_empty() {
        return None;
    }
    if !window.histograms.is_empty() {
        context.info_ignored_histograms();
    }
    Some(window.floats)
}

fn sum_or_average(context: &RangeContext<'_, '_>, window: &Window<'_>, is_average: bool) -> Result {
    if window.is_mixed() {
        context.warn_mixed_types();
        return None;
    }
    let count = counted(window);
    if window.histograms.is_empty() {
        let values = window.floats;
        if is_average && count > values.len() as f64 {
            return float(aggregate::sum(values) / count);
        }
        return float(if is_average { aggregate::average(values) } else { aggregate::sum(values) });
    }
    let histograms: Vec<_> = window.histograms.iter().collect();
    if is_average && count > histograms.len() as f64 {
        let sum = context.evaluator.join(false, &histograms, context.span, |_| context.metric)?;
        return whole(histogram::divide(&sum, count));
    }
    whole(context.evaluator.join(is_average, &histograms, context.span, |_| context.metric)?)
}

pub(crate) fn avg(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    sum_or_average(context, window, true)
}

pub(crate) fn sum(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    sum_or_average(context, window, false)
}

pub(crate) fn count(_: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    float(counted(window))
}

/// How many samples were stored in a window, some of which may be added up in one by now.
fn counted(window: &Window<'_>) -> f64 {
    let beyond = |tiers: &[Tier]| tiers.iter().map(|tier| f64::from(tier.samples() - 1)).sum::<f64>();
    (window.floats.len() + window.histograms.len()) as f64 + beyond(window.float_tiers) + beyond(window.histogram_tiers)
}

pub(crate) fn min(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    float(floats(context, window)?.iter().copied().fold(f64::NAN, |a, b| if b < a || a.is_nan() { b } else { a }))
}

pub(crate) fn max(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    float(floats(context, window)?.iter().copied().fold(f64::NAN, |a, b| if b > a || a.is_nan() { b } else { a }))
}

pub(crate) fn first(_: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    if window.first_is_histogram() {
        return window.histograms.first().map(|h| SampleValue::Histogram(Arc::clone(h)));
    }
    float(*window.floats.first()?)
}

pub(crate) fn last(_: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    if window.last_is_histogram() {
        return window.histograms.last().map(|h| SampleValue::Histogram(Arc::clone(h)));
    }
    float(*window.floats.last()?)
}

pub(crate) fn present(_: &RangeContext<'_, '_>, _: &Window<'_>) -> Result {
    float(1.0)
}

pub(crate) fn quantile(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    let mut values = floats(context, window)?.to_vec();
    float(numbers::quantile(context.params[0], &mut values))
}

pub(crate) fn stddev(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    float(aggregate::variance(floats(context, window)?).sqrt())
}

pub(crate) fn stdvar(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    float(aggregate::variance(floats(context, window)?))
}

pub(crate) fn mad(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    let mut values = floats(context, window)?.to_vec();
    if values.iter().any(|v| v.is_nan()) {
        return float(f64::NAN);
    }
    let median = numbers::quantile(0.5, &mut values);
    let mut deviations: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
    float(numbers::quantile(0.5, &mut deviations))
}

fn seconds(time: i64) -> f64 {
    time as f64 / 1000.0
}

pub(crate) fn ts_of_first(_: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    let first = window.float_times.first().into_iter().chain(window.histogram_times.first()).min()?;
    float(seconds(*first))
}

pub(crate) fn ts_of_last(_: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    let last = window.float_times.last().into_iter().chain(window.histogram_times.last()).max()?;
    float(seconds(*last))
}

/// Time of the last sample that is at least as good as all before it; anything is better than NaN.
fn ts_of(context: &RangeContext<'_, '_>, window: &Window<'_>, better: impl Fn(f64, f64) -> bool) -> Result {
    let values = floats(context, window)?;
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        if better(value, values[best]) || values[best].is_nan() {
            best = index;
        }
    }
    float(seconds(window.float_times[best]))
}

pub(crate) fn ts_of_max(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    ts_of(context, window, |new, best| new >= best)
}

pub(crate) fn ts_of_min(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    ts_of(context, window, |new, best| new <= best)
}

/// Slope per second and value at `origin` (milliseconds) of the line through the samples.
fn regression(window: &Window<'_>, origin: i64) -> (f64, f64) {
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0));
    let first = window.floats[0];
    let constant = window.floats.iter().all(|&v| v == first);
    if constant {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    for (&time, &y) in window.float_times.iter().zip(window.floats) {
        // As floats: `@` may put the samples any distance from the time of evaluation.
        let x = (time as f64 - origin as f64) / 1000.0;
        kahan_add(x, &mut x_sum.0, &mut x_sum.1);
        kahan_add(y, &mut y_sum.0, &mut y_sum.1);
        kahan_add(x * y, &mut xy_sum.0, &mut xy_sum.1);
        kahan_add(x * x, &mut xx_sum.0, &mut xx_sum.1);
    }
    let n = window.floats.len() as f64;
    let (x, y, xy, xx) = (x_sum.0 + x_sum.1, y_sum.0 + y_sum.1, xy_sum.0 + xy_sum.1, xx_sum.0 + xx_sum.1);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

fn enough_for_regression(context: &RangeContext<'_, '_>, window: &Window<'_>) -> bool {
    if !window.floats.is_empty() && !window.histograms.is_empty() {
        context.info_ignored_histograms();
    }
    window.floats.len() >= 2
}

pub(crate) fn deriv(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    if !enough_for_regression(context, window) {
        return None;
    }
    float(regression(window, window.float_times[0]).0)
}

pub(crate) fn predict_linear(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    if !enough_for_regression(context, window) {
        return None;
    }
    let (slope, intercept) = regression(window, context.time);
    float(slope * context.params[0] + intercept)
}

pub(crate) fn double_exponential_smoothing(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    if !enough_for_regression(context, window) {
        return None;
    }
    let [smoothing, trend_factor] = context.params;
    let values = window.floats;
    let (mut previous, mut level, mut trend) = (0.0, values[0], values[1] - values[0]);
    for (index, &value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - previous) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + trend);
        (previous, level) = (level, next);
    }
    float(level)
}
