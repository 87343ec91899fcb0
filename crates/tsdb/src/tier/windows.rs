//! Down-sampled history of one series: of each window some of its samples as they were stored, and totals of all.

use crate::histogram_sum::{add, buckets};
use model::{FloatHistogram, SampleValue, histogram::CounterResetHint, histogram::Span, stale::is_stale_nan};
use std::{collections::BTreeMap, ops::Range, sync::Arc};
use storage::{Samples, Tier};

/// Resets of a counter in a window whose samples are kept; of more, only what was lost by them.
const RESETS_KEPT_MAX: usize = 2;

/// Number of the window of a time: `(n × resolution, (n + 1) × resolution]`, as the ranges of PromQL are.
pub(crate) fn window_of(time_ms: i64, resolution_ms: i64) -> i64 {
    time_ms.saturating_sub(1).div_euclid(resolution_ms)
}

/// Down-sampled samples of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Windows {
    /// Of each window the first and the last sample, those around the resets of a counter, and a stale marker at the end.
    pub(crate) kept: Samples,
    /// Of each window that `kept` has, in order.
    pub(crate) totals: Vec<Totals>,
}

/// What all samples of a window come to, stale markers aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) window: i64,
    /// Number of samples; 0 if all that matter are kept, and then nothing else is told.
    pub(crate) count: u32,
    /// Of floats; NaN only where nothing else is there.
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sum: f64,
    /// What a counter grew by beyond the difference of its first and last sample, if its resets are not kept.
    pub(crate) hidden: f64,
    /// Sum of histograms, in the place of everything above but the count.
    pub(crate) histogram: Option<Arc<FloatHistogram>>,
}

/// Which samples are to stand for a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Those that are kept.
    Kept,
    /// Those that are kept, and others that make a counter grow by what it grew by.
    Counter,
    Min,
    Max,
    /// The sum of all, with their number.
    Sum,
}

fn is_stale(samples: &Samples, at: usize) -> bool {
    match samples.histogram(at) {
        Some(histogram) => histogram.is_stale(),
        None => is_stale_nan(samples.values[at]),
    }
}

/// True if the sample at `at` says by its start timestamp that the counter started after the one at `before`.
fn started_anew(samples: &Samples, before: usize, at: usize) -> bool {
    let (start, previous) = (samples.start_timestamp(at), samples.start_timestamp(before));
    let before_ms = samples.timestamps[before];
    start != 0
        && start < samples.timestamps[at]
        && (start > before_ms || start == before_ms && previous != 0 && previous < before_ms)
}

/// True if a histogram may have been reset since the one before it.
fn may_be_reset(before: &FloatHistogram, own: &FloatHistogram) -> bool {
    match own.counter_reset_hint {
        CounterResetHint::Reset => true,
        CounterResetHint::NotReset | CounterResetHint::Gauge => false,
        CounterResetHint::Unknown => {
            own.count < before.count
                || own.zero_count < before.zero_count
                || own.schema != before.schema
                || own.zero_threshold.to_bits() != before.zero_threshold.to_bits()
                || own.custom_values != before.custom_values
                || shrank(&before.positive_spans, &before.positive_buckets, &own.positive_spans, &own.positive_buckets)
                || shrank(&before.negative_spans, &before.negative_buckets, &own.negative_spans, &own.negative_buckets)
        }
    }
}

fn shrank(before_spans: &[Span], before: &[f64], own_spans: &[Span], own: &[f64]) -> bool {
    if before_spans == own_spans && before.len() == own.len() {
        return before.iter().zip(own).any(|(before, own)| own < before);
    }
    let own = buckets(own_spans, own);
    buckets(before_spans, before).iter().any(|(index, count)| own.get(index).copied().unwrap_or(0.0) < *count)
}

/// A sum that keeps what the additions round off.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut rest) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = sum + value;
        if next.is_finite() {
            rest += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        } else {
            rest = 0.0;
        }
        sum = next;
    }
    sum + rest
}

/// What a counter grew by, by some of its samples, as PromQL counts it.
fn growth(samples: &Samples, list: &[usize]) -> f64 {
    let (Some(first), Some(last)) = (list.first(), list.last()) else { return 0.0 };
    let mut growth = samples.values[*last] - samples.values[*first];
    for pair in list.windows(2) {
        if samples.values[pair[1]] < samples.values[pair[0]] || started_anew(samples, pair[0], pair[1]) {
            growth += samples.values[pair[0]];
        }
    }
    growth
}

/// The last millisecond of a window.
fn window_end(window: i64, resolution_ms: i64) -> i64 {
    window.saturating_add(1).saturating_mul(resolution_ms)
}

impl Windows {
    /// Down-samples what was stored. Of gauges, resets are of no interest.
    pub(crate) fn of(samples: &Samples, resolution_ms: i64, is_gauge: bool) -> Windows {
        let mut windows = Windows::default();
        let mut from = 0;
        while from < samples.len() {
            let window = window_of(samples.timestamps[from], resolution_ms);
            let end_ms = window_end(window, resolution_ms);
            let to = from + samples.timestamps[from..].iter().take_while(|time| **time <= end_ms).count();
            windows.add(samples, from, to, window, is_gauge);
            from = to;
        }
        windows
    }

    /// Adds the window of the samples `from..to`.
    fn add(&mut self, samples: &Samples, from: usize, to: usize, window: i64, is_gauge: bool) {
        match totals(samples, from, to, is_gauge) {
            Some((kept, totals)) => {
                for at in kept {
                    self.kept.extend_from(samples, at, at + 1);
                }
                self.totals.push(Totals { window, ..totals });
            }
            None => {
                self.kept.extend_from(samples, from, to);
                self.totals.push(Totals { window, ..Totals::default() });
            }
        }
    }

    /// Appends one of its windows to `self`: the samples `from..to` of those kept there, and their totals.
    fn copy(&mut self, other: &Windows, (from, to): (usize, usize), totals: &Totals) {
        self.kept.extend_from(&other.kept, from, to);
        self.totals.push(totals.clone());
    }

    /// Where the kept samples of each window are.
    fn ranges(&self, resolution_ms: i64) -> impl Iterator<Item = (usize, usize)> {
        let mut from = 0;
        self.totals.iter().map(move |totals| {
            let rest = self.kept.timestamps.get(from..).unwrap_or_default();
            // A window keeps few samples, so that they are passed one by one.
            let end_ms = window_end(totals.window, resolution_ms);
            let to = from + rest.iter().take_while(|time| **time <= end_ms).count();
            (std::mem::replace(&mut from, to), to)
        })
    }

    /// Parts one behind the other, in order.
    pub(crate) fn joined(parts: Vec<Windows>) -> Windows {
        let mut parts = parts.into_iter();
        let mut joined = parts.next().unwrap_or_default();
        for mut part in parts {
            joined.kept.extend_from(&part.kept, 0, part.kept.len());
            joined.totals.append(&mut part.totals);
        }
        joined
    }

    /// One of several: of each window the first that has it.
    pub(crate) fn merge(mut parts: Vec<Windows>, resolution_ms: i64) -> Windows {
        parts.retain(|part| !part.totals.is_empty());
        if parts.len() < 2 {
            return parts.pop().unwrap_or_default();
        }
        let mut all: BTreeMap<i64, (usize, usize, (usize, usize))> = BTreeMap::new();
        for (number, part) in parts.iter().enumerate() {
            for (at, (totals, range)) in part.totals.iter().zip(part.ranges(resolution_ms)).enumerate() {
                all.entry(totals.window).or_insert((number, at, range));
            }
        }
        let mut merged = Windows::default();
        for (part, at, range) in all.into_values() {
            merged.copy(&parts[part], range, &parts[part].totals[at]);
        }
        merged
    }

    /// Without the windows that any of the ranges, inclusive, has a part of.
    pub(crate) fn without(self, deleted: &[(i64, i64)], resolution_ms: i64) -> Windows {
        if deleted.is_empty() {
            return self;
        }
        let gone = |window: i64| {
            deleted
                .iter()
                .any(|(from, to)| window_of(*from, resolution_ms) <= window && window <= window_of(*to, resolution_ms))
        };
        let mut left = Windows::default();
        for (totals, range) in self.totals.iter().zip(self.ranges(resolution_ms)) {
            if !gone(totals.window) {
                left.copy(&self, range, totals);
            }
        }
        left
    }

    /// Parts of whole windows with at most so many kept samples each, unless one window has more.
    pub(crate) fn chunks(&self, resolution_ms: i64, samples_max: usize) -> Vec<((usize, usize), (usize, usize))> {
        let mut chunks: Vec<((usize, usize), (usize, usize))> = Vec::new();
        for (at, (from, to)) in self.ranges(resolution_ms).enumerate() {
            match chunks.last_mut() {
                Some((kept, totals)) if to - kept.0 <= samples_max => (kept.1, totals.1) = (to, at + 1),
                _ => chunks.push(((from, to), (at, at + 1))),
            }
        }
        chunks
    }

    /// Appends the samples that stand for the windows, between two times, both inclusive.
    pub(crate) fn read(&self, resolution_ms: i64, mode: Mode, start_ms: i64, end_ms: i64, into: &mut Samples) {
        let resolution_ms_u32 = u32::try_from(resolution_ms).unwrap_or(u32::MAX);
        let mut out = Out { into, start_ms, end_ms, resolution_ms: resolution_ms_u32 };
        for (totals, (from, to)) in self.totals.iter().zip(self.ranges(resolution_ms)) {
            // The last that is no stale marker stands for the window.
            let last = (from..to).rev().find(|at| !is_stale(&self.kept, *at));
            let Some(last) = last.filter(|_| mode != Mode::Kept) else {
                out.keep(&self.kept, from..to);
                continue;
            };
            let time = self.kept.timestamps[last];
            if mode == Mode::Counter {
                let hidden = totals.count > 0 && totals.hidden != 0.0 && totals.histogram.is_none();
                out.keep(&self.kept, from..last);
                if hidden {
                    // Up by what is hidden, and down to nothing: both before the last sample, milliseconds away from it.
                    out.push(time.saturating_sub(2), SampleValue::Float(totals.hidden), 0, 0);
                    out.push(time.saturating_sub(1), SampleValue::Float(0.0), 0, 0);
                }
                out.keep(&self.kept, last..to);
                continue;
            }
            if totals.count == 0 || totals.histogram.is_some() && mode != Mode::Sum {
                let real = (from..to).filter(|at| !is_stale(&self.kept, *at));
                real.for_each(|at| out.keep(&self.kept, at..at + 1));
                continue;
            }
            match (mode, &totals.histogram) {
                (Mode::Min, _) => out.push(time, SampleValue::Float(totals.min), 0, 0),
                (Mode::Max, _) => out.push(time, SampleValue::Float(totals.max), 0, 0),
                (_, Some(sum)) => out.push(time, SampleValue::Histogram(Arc::clone(sum)), 0, totals.count),
                (_, None) => out.push(time, SampleValue::Float(totals.sum), 0, totals.count),
            }
        }
    }
}

/// Takes the samples of a range.
struct Out<'a> {
    into: &'a mut Samples,
    start_ms: i64,
    end_ms: i64,
    resolution_ms: u32,
}

impl Out<'_> {
    fn push(&mut self, time: i64, value: SampleValue, start: i64, count: u32) {
        if (self.start_ms..=self.end_ms).contains(&time) {
            self.into.push(time, value);
            self.into.set_last_start_timestamp(start);
            self.into.set_last_tier(Tier { resolution_ms: self.resolution_ms, count });
        }
    }

    fn keep(&mut self, kept: &Samples, range: Range<usize>) {
        for at in range {
            self.push(kept.timestamps[at], kept.value(at), kept.start_timestamp(at), 0);
        }
    }
}

/// Which samples of a window are kept, and totals of all but its number; `None` if all are kept.
fn totals(samples: &Samples, from: usize, to: usize, is_gauge: bool) -> Option<(Vec<usize>, Totals)> {
    let real: Vec<usize> = (from..to).filter(|at| !is_stale(samples, *at)).collect();
    let (Some(&first), Some(&last)) = (real.first(), real.last()) else {
        // Several markers in a row say what one says.
        return Some((vec![to - 1], Totals::default()));
    };
    let histograms = real.iter().filter(|at| samples.histogram(**at).is_some()).count();
    if histograms != 0 && histograms != real.len() {
        return None;
    }
    let is_reset = |pair: &[usize]| {
        let (before, own) = (pair[0], pair[1]);
        let dropped = match (samples.histogram(before), samples.histogram(own)) {
            (Some(before), Some(own)) => may_be_reset(before, own),
            _ => samples.values[own] < samples.values[before],
        };
        !is_gauge && (dropped || started_anew(samples, before, own))
    };
    let resets: Vec<usize> = real.windows(2).filter(|pair| is_reset(pair)).flatten().copied().collect();
    let few = resets.len() <= 2 * RESETS_KEPT_MAX;
    if !few && histograms != 0 {
        return None;
    }
    let mut kept = vec![first, last];
    if few {
        kept.extend(resets);
    }
    if last + 1 < to {
        kept.push(to - 1);
    }
    kept.sort_unstable();
    kept.dedup();
    if kept.len() == to - from {
        return None;
    }
    let count = u32::try_from(real.len()).ok()?;
    if histograms != 0 {
        let mut total = FloatHistogram::clone(samples.histogram(first)?);
        for at in &real[1..] {
            if !add(&mut total, samples.histogram(*at)?) {
                return None;
            }
        }
        return Some((kept, Totals { count, histogram: Some(Arc::new(total)), ..Totals::default() }));
    }
    let values = || real.iter().map(|at| samples.values[*at]);
    let mut hidden = 0.0;
    if !few && !is_gauge {
        hidden = growth(samples, &real) - (samples.values[last] - samples.values[first]);
        // There must be room for two samples, and a number.
        if !hidden.is_finite() || samples.timestamps[last] - samples.timestamps[first] < 4 {
            return None;
        }
    }
    let extreme = |better: fn(f64, f64) -> bool| {
        values().fold(f64::NAN, |best, own| if better(own, best) || best.is_nan() { own } else { best })
    };
    Some((
        kept,
        Totals {
            window: 0,
            count,
            min: extreme(|own, best| own < best),
            max: extreme(|own, best| own > best),
            sum: sum(values()),
            hidden,
            histogram: None,
        },
    ))
}
