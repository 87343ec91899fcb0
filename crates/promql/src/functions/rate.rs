//! Growth of counters and change of gauges: `rate`, `increase`, `delta`, `irate`, `idelta`, `resets`, `changes`.

use super::range::RangeContext;
use super::{float, whole};
use crate::histogram::{self, IncompatibleSchemas};
use crate::select::{Bounds, Window};
use model::{FloatHistogram, SampleValue, histogram::CounterResetHint};
use std::sync::Arc;
use storage::Tier;

type Result = Option<SampleValue>;

fn is_counter(context: &RangeContext<'_, '_>) -> bool {
    !matches!(context.function, "delta" | "idelta")
}

/// A window's samples count as they are up to this share of the average distance beyond the edge.
const EXTRAPOLATION_THRESHOLD: f64 = 1.1;

/// `rate`, `increase`, `delta`.
pub(crate) fn extrapolated(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    if window.is_mixed() {
        context.warn_mixed_types();
        return None;
    }
    if context.anchored || context.smoothed {
        return if window.histograms.is_empty() {
            extended_floats(context, window)
        } else {
            extended_histograms(context, window)
        };
    }
    let is_float = window.histograms.is_empty();
    let (times, starts) = if is_float {
        (window.float_times, window.float_starts)
    } else {
        (window.histogram_times, window.histogram_starts)
    };
    let counter = is_counter(context);
    let starts = if counter { used_starts(context, starts) } else { &[] };
    note_overlaps(context, times, starts);
    let (first, last) = (*times.first()?, *times.last()?);
    // A counter that is known to have started inside the range was zero then.
    let zero_at = starts.first().copied().filter(|&start| start != 0 && start > context.range_start && start < first);
    if times.len() < 2 && zero_at.is_none() {
        return None;
    }
    let change = if is_float {
        Change::Float(float_change(window, starts, counter, zero_at.is_some()))
    } else {
        Change::Histogram(histogram_change(context, window.histograms, times, starts, counter, zero_at.is_some())?)
    };
    let bounds = Bounds { start: context.range_start, end: context.range_end };
    let mut factor = if let Some(begin) = zero_at {
        let sampled = (last - begin) as f64 / 1000.0;
        let average = if times.len() < 2 { 0.0 } else { (last - first) as f64 / 1000.0 / (times.len() - 1) as f64 };
        (sampled + to_edge((bounds.end - last) as f64 / 1000.0, average)) / sampled
    } else {
        // Counters are not taken below zero.
        let first_over_growth = match &change {
            Change::Float(growth) if counter && *growth > 0.0 && window.floats[0] >= 0.0 => {
                Some(window.floats[0] / growth)
            }
            Change::Histogram(growth) if counter && growth.count > 0.0 && window.histograms[0].count >= 0.0 => {
                Some(window.histograms[0].count / growth.count)
            }
            _ => None,
        };
        extrapolation(first, last, times.len(), bounds, first_over_growth)
    };
    if context.function == "rate" {
        factor /= context.range_seconds();
    }
    match change {
        Change::Float(growth) => float(growth * factor),
        Change::Histogram(growth) => whole(histogram::scale(&growth, factor)),
    }
}

/// By how much the change between the first and the last of `count` samples (two or more) is to be raised to be that of
/// the whole window. `first_over_growth`: the first value as a share of the growth, where the series began at zero at
/// the earliest.
pub(crate) fn extrapolation(
    first: i64,
    last: i64,
    count: usize,
    bounds: Bounds,
    first_over_growth: Option<f64>,
) -> f64 {
    let sampled = (last - first) as f64 / 1000.0;
    let average = sampled / (count - 1) as f64;
    let mut to_start = to_edge((first - bounds.start) as f64 / 1000.0, average);
    let to_end = to_edge((bounds.end - last) as f64 / 1000.0, average);
    if let Some(share) = first_over_growth {
        to_start = to_start.min(sampled * share);
    }
    (sampled + to_start + to_end) / sampled
}

/// Samples far from the edge of the window stand for half an interval beyond them.
/// How far, in seconds, the samples at `times` (two or more) are extended towards the start of the window.
pub(crate) fn to_start(times: &[i64], bounds: Bounds) -> f64 {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return 0.0 };
    let average = (last - first) as f64 / 1000.0 / (times.len() - 1) as f64;
    to_edge((first - bounds.start) as f64 / 1000.0, average)
}

fn to_edge(distance: f64, average: f64) -> f64 {
    if distance >= average * EXTRAPOLATION_THRESHOLD { average / 2.0 } else { distance }
}

enum Change {
    Float(f64),
    Histogram(FloatHistogram),
}

fn used_starts<'a>(context: &RangeContext<'_, '_>, starts: &'a [i64]) -> &'a [i64] {
    if context.evaluator.use_start_timestamps() { starts } else { &[] }
}

/// True if the counter started anew between samples `index - 1` and `index`, by their start timestamps.
fn started_anew(times: &[i64], starts: &[i64], index: usize) -> bool {
    let (Some(&start), Some(&before)) = (starts.get(index), starts.get(index - 1)) else { return false };
    if start == 0 || start >= times[index] {
        return false;
    }
    // Equal to the previous time it means a delta, unless the previous start is unknown or nonsense.
    start > times[index - 1] || start == times[index - 1] && before != 0 && before < times[index - 1]
}

fn note_overlaps(context: &RangeContext<'_, '_>, times: &[i64], starts: &[i64]) {
    let overlaps = (1..starts.len())
        .any(|index| starts[index] != 0 && starts[index] < times[index - 1] && starts[index] != starts[index - 1]);
    if overlaps {
        context.warn("sample has start time that overlaps with previous sample timestamp for metric ");
    }
}

fn float_change(window: &Window<'_>, starts: &[i64], counter: bool, from_zero: bool) -> f64 {
    let values = window.floats;
    let mut change = values[values.len() - 1] - if from_zero { 0.0 } else { values[0] };
    if counter {
        for index in 1..values.len() {
            if values[index] < values[index - 1] || started_anew(window.float_times, starts, index) {
                change += values[index - 1];
            }
        }
    }
    change
}

/// The growth over a window of histograms; nothing if they do not fit together.
fn histogram_change(
    context: &RangeContext<'_, '_>,
    histograms: &[Arc<FloatHistogram>],
    times: &[i64],
    starts: &[i64],
    counter: bool,
    from_zero: bool,
) -> Option<FloatHistogram> {
    let first = histograms.first()?;
    let last = histograms.last()?;
    let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if counter && histograms.iter().any(|h| is_gauge(h)) {
        context.warn("this native histogram metric is not a counter: ");
    }
    if !counter && (!is_gauge(first) || !is_gauge(last)) {
        context.warn("this native histogram metric is not a gauge: ");
    }
    let empty_like = |h: &FloatHistogram| FloatHistogram {
        schema: h.schema,
        custom_values: h.custom_values.clone(),
        zero_threshold: h.zero_threshold,
        ..FloatHistogram::default()
    };
    let reset_between = |index: usize, previous: &FloatHistogram| {
        histogram::is_reset(&histograms[index], previous) || started_anew(times, starts, index)
    };
    // If the first sample is cut off from the second by a reset, only its absence counts.
    let mut previous = FloatHistogram::clone(first);
    if from_zero {
        previous = empty_like(first);
    } else if counter && histograms.len() > 1 && reset_between(1, first) {
        previous = empty_like(&histograms[1]);
    }
    let custom = previous.uses_custom_buckets();
    let relevant = if counter { &histograms[1..] } else { &histograms[histograms.len() - 1..] };
    if relevant.iter().any(|h| h.uses_custom_buckets() != custom) {
        context.evaluator.warn_mixed_schemas(context.metric, context.span);
        return None;
    }
    let schema = relevant.iter().map(|h| h.schema).fold(previous.schema, i32::min);
    let add = |result: std::result::Result<(FloatHistogram, histogram::AddNotes), IncompatibleSchemas>, what: &str| {
        match result {
            Ok((sum, notes)) => {
                if notes.bounds_reconciled {
                    context.info(&format!("mismatched custom buckets were reconciled during {what}"));
                }
                Some(sum)
            }
            Err(IncompatibleSchemas) => {
                context.evaluator.warn_mixed_schemas(context.metric, context.span);
                None
            }
        }
    };
    let mut change = add(histogram::sub(&histogram::to_schema(last, schema), &previous), "subtraction")?;
    if counter {
        let mut before = if from_zero { FloatHistogram::clone(first) } else { previous };
        for index in 1..histograms.len() {
            if reset_between(index, &before) {
                change = add(histogram::add(&change, &before), "addition")?;
            }
            before = FloatHistogram::clone(&histograms[index]);
        }
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    Some(change)
}

/// Samples of a window around the range: from the last one at or before its start to the first one at or after its end.
fn extent(context: &RangeContext<'_, '_>, times: &[i64]) -> Option<(usize, usize)> {
    let first = times.partition_point(|&time| time <= context.range_start).saturating_sub(1);
    let mut last = times.len().checked_sub(1)?;
    if context.smoothed {
        last = times.partition_point(|&time| time < context.range_end).min(last);
    }
    // There must be something after the start of the range, and something before its end.
    if times[last] <= context.range_start || times[first] > context.range_end {
        return None;
    }
    Some((first, last))
}

/// The share of the way from sample `index` to the next one at which `time` lies.
fn share(times: &[i64], index: usize, time: i64) -> f64 {
    (time - times[index]) as f64 / (times[index + 1] - times[index]) as f64
}

/// Start timestamps of down-sampled windows. Where a query itself asks for what is between samples, they do not count, as in
/// Prometheus.
fn starts_of_windows<'a>(context: &RangeContext<'_, '_>, starts: &'a [i64], tiers: &[Tier]) -> &'a [i64] {
    if is_counter(context) && !tiers.is_empty() { used_starts(context, starts) } else { &[] }
}

fn extended_floats(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    let (times, values) = (window.float_times, window.floats);
    let (mut first, mut last) = extent(context, times)?;
    let counter = is_counter(context);
    let starts = starts_of_windows(context, window.float_starts, window.float_tiers);
    let anew = |index: usize| index > 0 && started_anew(times, starts, index);
    let between = |index: usize, time: i64| {
        let (a, b) = (values[index], values[index + 1]);
        // After a reset a counter started from zero.
        let a = if counter && (b < a || anew(index + 1)) { 0.0 } else { a };
        a + (b - a) * share(times, index, time)
    };
    let is_between = context.smoothed && times[first] < context.range_start && first + 1 < times.len();
    let left = if is_between { between(first, context.range_start) } else { values[first] };
    let right = if context.smoothed && times[last] > context.range_end && last > 0 {
        between(last - 1, context.range_end)
    } else {
        values[last]
    };
    let mut change = right - left;
    if counter {
        // A value between two samples is already that of after the restart between them.
        let (first_at, right_at) = (first, last);
        let restarts = |index: usize| index > first_at && !(is_between && index == first_at + 1) && anew(index);
        if times[first] <= context.range_start {
            first += 1;
        }
        if times[last] >= context.range_end {
            last = last.saturating_sub(1);
        }
        let mut previous = left;
        for (index, &value) in values.iter().enumerate().take(last + 1).skip(first) {
            if value < previous || restarts(index) {
                change += previous;
            }
            previous = value;
        }
        if right < previous || right_at > last && restarts(right_at) {
            change += previous;
        }
    }
    if context.function == "rate" {
        change /= context.range_seconds();
    }
    float(change)
}

fn extended_histograms(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    let (times, values) = (window.histogram_times, window.histograms);
    let (mut first, mut last) = extent(context, times)?;
    let counter = is_counter(context);
    let starts = starts_of_windows(context, window.histogram_starts, window.histogram_tiers);
    let anew = |index: usize| index > 0 && started_anew(times, starts, index);
    let considered = &values[first..=last];
    let is_gauge = |h: &Arc<FloatHistogram>| h.counter_reset_hint == CounterResetHint::Gauge;
    if counter && considered.iter().any(is_gauge) {
        context.warn("this native histogram metric is not a counter: ");
    }
    if !counter && !considered.iter().all(is_gauge) {
        context.warn("this native histogram metric is not a gauge: ");
    }
    let settle = |result: std::result::Result<(FloatHistogram, histogram::AddNotes), IncompatibleSchemas>,
                  what: &str| {
        match result {
            Ok((sum, notes)) => {
                if notes.bounds_reconciled {
                    context.info(&format!("mismatched custom buckets were reconciled during {what}"));
                }
                Some(sum)
            }
            Err(IncompatibleSchemas) => {
                context.evaluator.warn_mixed_schemas(context.metric, context.span);
                None
            }
        }
    };
    let between = |index: usize, time: i64| {
        let (a, b) = (&values[index], &values[index + 1]);
        let share = share(times, index, time);
        if counter && (histogram::is_reset(b, a) || anew(index + 1)) {
            return Some(histogram::scale(b, share));
        }
        let step = histogram::scale(&settle(histogram::sub(b, a), "subtraction")?, share);
        settle(histogram::add(a, &step), "addition")
    };
    let left = if context.smoothed && times[first] < context.range_start && first + 1 < times.len() {
        between(first, context.range_start)?
    } else {
        FloatHistogram::clone(&values[first])
    };
    let right = if context.smoothed && times[last] > context.range_end && last > 0 {
        between(last - 1, context.range_end)?
    } else {
        FloatHistogram::clone(&values[last])
    };
    // What the samples say of their own past is not true of values in between, nor of a sample and itself.
    let plain = |h: FloatHistogram| FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..h };
    let left_is_between = context.smoothed && times[first] < context.range_start;
    let (first_at, right_at) = (first, last);
    let restarts = |index: usize| index > first_at && !(left_is_between && index == first_at + 1) && anew(index);
    let mut change = settle(histogram::sub(&right, &left), "subtraction")?;
    if counter {
        if times[first] <= context.range_start {
            first += 1;
        }
        if times[last] >= context.range_end {
            last = last.saturating_sub(1);
        }
        let mut previous = left;
        let considered = values.get(first..=last).unwrap_or_default();
        let right_is_considered = considered.last().is_some_and(|h| Arc::ptr_eq(h, &values[values.len() - 1]));
        for (index, value) in considered.iter().enumerate() {
            let reset = if index == 0 && left_is_between {
                histogram::is_reset(&plain(FloatHistogram::clone(value)), &previous)
            } else {
                histogram::is_reset(value, &previous)
            };
            if reset || restarts(first + index) {
                change = settle(histogram::add(&change, &previous), "addition")?;
            }
            previous = FloatHistogram::clone(value);
        }
        let reset = if right_is_considered || context.smoothed {
            histogram::is_reset(&plain(right), &previous)
        } else {
            histogram::is_reset(&right, &previous)
        };
        if reset || right_at > last && restarts(right_at) {
            change = settle(histogram::add(&change, &previous), "addition")?;
        }
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    if context.function == "rate" {
        change = histogram::divide(&change, context.range_seconds());
    }
    whole(change)
}

/// One sample of either kind.
enum Point<'a> {
    Float(f64, &'a [i64], usize),
    Histogram(&'a Arc<FloatHistogram>, &'a [i64], usize),
}

/// The samples of a window in order of time, newest first.
fn newest<'a>(window: &Window<'a>) -> impl Iterator<Item = (i64, Point<'a>)> {
    let (mut f, mut h) = (window.floats.len(), window.histograms.len());
    let window = *window;
    std::iter::from_fn(move || {
        let float_last = match (f, h) {
            (0, 0) => return None,
            (0, _) => false,
            (_, 0) => true,
            (f, h) => window.float_times[f - 1] > window.histogram_times[h - 1],
        };
        if float_last {
            f -= 1;
            Some((window.float_times[f], Point::Float(window.floats[f], window.float_starts, f)))
        } else {
            h -= 1;
            Some((window.histogram_times[h], Point::Histogram(&window.histograms[h], window.histogram_starts, h)))
        }
    })
}

/// `irate`, `idelta`.
pub(crate) fn instant(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    let is_rate = context.function == "irate";
    let mut points = newest(window);
    let ((last_time, last), (previous_time, previous)) = (points.next()?, points.next()?);
    let interval = (last_time - previous_time) as f64 / 1000.0;
    if interval == 0.0 {
        return None;
    }
    let anew = |times: &[i64], starts: &[i64], index: usize| {
        index > 0 && started_anew(times, used_starts(context, starts), index)
    };
    match (previous, last) {
        (Point::Float(a, _, _), Point::Float(b, starts, index)) => {
            let reset = is_rate && (b < a || anew(window.float_times, starts, index));
            let change = if reset { b } else { b - a };
            float(if is_rate { change / interval } else { change })
        }
        (Point::Histogram(a, _, _), Point::Histogram(b, starts, index)) => {
            let gauges = [a, b].iter().filter(|h| h.counter_reset_hint == CounterResetHint::Gauge).count();
            if is_rate && gauges > 0 {
                context.warn("this native histogram metric is not a counter: ");
            }
            if !is_rate && gauges < 2 {
                context.warn("this native histogram metric is not a gauge: ");
            }
            let reset = is_rate && (histogram::is_reset(b, a) || anew(window.histogram_times, starts, index));
            let mut change = FloatHistogram::clone(b);
            if reset && a.uses_custom_buckets() != b.uses_custom_buckets() {
                context.evaluator.warn_mixed_schemas(context.metric, context.span);
                return None;
            }
            if !reset {
                match histogram::sub(b, a) {
                    Ok((difference, notes)) => {
                        if notes.bounds_reconciled {
                            context.info("mismatched custom buckets were reconciled during subtraction");
                        }
                        change = difference;
                    }
                    Err(IncompatibleSchemas) => {
                        context.evaluator.warn_mixed_schemas(context.metric, context.span);
                        return None;
                    }
                }
            }
            change.counter_reset_hint = CounterResetHint::Gauge;
            whole(if is_rate { histogram::divide(&change, interval) } else { change })
        }
        _ => {
            context.warn_mixed_types();
            None
        }
    }
}

/// The window as `resets` and `changes` see it: anchored ones include the last sample before the range.
fn compared<'a>(context: &RangeContext<'_, '_>, window: &Window<'a>) -> Option<Vec<(i64, Point<'a>)>> {
    let mut points: Vec<_> = newest(window).collect();
    points.reverse();
    if context.anchored {
        let inside = points.iter().position(|(time, _)| *time > context.range_start)?;
        points.drain(..inside.saturating_sub(1));
    }
    if points.is_empty() { None } else { Some(points) }
}

pub(crate) fn resets(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    let points = compared(context, window)?;
    let mut count = 0;
    for pair in points.windows(2) {
        let reset = match (&pair[0].1, &pair[1].1) {
            (Point::Float(a, _, _), Point::Float(b, starts, index)) => {
                b < a || *index > 0 && started_anew(window.float_times, used_starts(context, starts), *index)
            }
            (Point::Histogram(a, _, _), Point::Histogram(b, starts, index)) => {
                histogram::is_reset(b, a)
                    || *index > 0 && started_anew(window.histogram_times, used_starts(context, starts), *index)
            }
            // A change of type is a reset.
            _ => true,
        };
        count += i32::from(reset);
    }
    float(f64::from(count))
}

pub(crate) fn changes(context: &RangeContext<'_, '_>, window: &Window<'_>) -> Result {
    let points = compared(context, window)?;
    let mut count = 0;
    for pair in points.windows(2) {
        let changed = match (&pair[0].1, &pair[1].1) {
            (Point::Float(a, _, _), Point::Float(b, _, _)) => a != b && !(a.is_nan() && b.is_nan()),
            (Point::Histogram(a, _, _), Point::Histogram(b, _, _)) => !histogram::equal(a, b),
            _ => true,
        };
        count += i32::from(changed);
    }
    float(f64::from(count))
}
