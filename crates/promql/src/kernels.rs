//! Range functions over plain floats: one loop a series, no call and no boxed value a step. Every result has the bits of
//! the general function in `functions`, which the tests compare.

use crate::aggregate;
use crate::layout::{Layout, Layouts};
use crate::value::Column;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Resets,
    Changes,
    Sum,
    Avg,
    Count,
    Min,
    Max,
    First,
    Last,
    Present,
}

/// So many samples are looked at before the time is looked at again: a millisecond or so.
pub(crate) const WORK_UNWATCHED: usize = 1 << 20;
/// Windows of so many samples and more are worth a queue for their extreme.
const QUEUE_SAMPLES_MIN: usize = 16;

impl Kernel {
    pub(crate) fn of(function: &str) -> Option<Kernel> {
        Some(match function {
            "rate" => Kernel::Rate,
            "increase" => Kernel::Increase,
            "delta" => Kernel::Delta,
            "irate" => Kernel::Irate,
            "idelta" => Kernel::Idelta,
            "resets" => Kernel::Resets,
            "changes" => Kernel::Changes,
            "sum_over_time" => Kernel::Sum,
            "avg_over_time" => Kernel::Avg,
            "count_over_time" => Kernel::Count,
            "min_over_time" => Kernel::Min,
            "max_over_time" => Kernel::Max,
            "first_over_time" => Kernel::First,
            "last_over_time" => Kernel::Last,
            "present_over_time" => Kernel::Present,
            _ => return None,
        })
    }

    /// True for functions that look at start timestamps.
    pub(crate) fn uses_starts(self) -> bool {
        matches!(self, Kernel::Rate | Kernel::Increase | Kernel::Irate | Kernel::Resets)
    }

    /// True for functions to which it matters what a down-sampled value stands for.
    pub(crate) fn uses_tiers(self) -> bool {
        matches!(self, Kernel::Rate | Kernel::Increase | Kernel::Delta | Kernel::Avg | Kernel::Count)
    }

    /// Writes the results of all steps into `column`; true if any window held a sample. `times` ascend, and `values`,
    /// of the same length, hold no stale marker; `layouts` are those of the column's grid. Gives up as soon as `stopped`
    /// says so.
    pub(crate) fn run(
        self,
        times: &[i64],
        values: &[f64],
        layouts: &mut Layouts,
        column: &mut Column,
        stopped: &dyn Fn() -> bool,
    ) -> bool {
        let layout = match self {
            Kernel::Rate => layouts.with_edges(times, true),
            Kernel::Increase | Kernel::Delta => layouts.with_edges(times, false),
            _ => layouts.of(times),
        };
        let windows = Windows { layout, stopped };
        match self {
            Kernel::Rate | Kernel::Increase => extrapolate(layout, values, true, column),
            Kernel::Delta => extrapolate(layout, values, false, column),
            Kernel::Irate => windows.each(column, |from, to| last_two(times, values, from, to, true)),
            Kernel::Idelta => windows.each(column, |from, to| last_two(times, values, from, to, false)),
            Kernel::Resets => count_pairs(windows, values, column, |a, b| b < a),
            Kernel::Changes => count_pairs(windows, values, column, |a, b| a != b && !(a.is_nan() && b.is_nan())),
            Kernel::Sum | Kernel::Avg => sum(windows, values, self == Kernel::Avg, column),
            Kernel::Count => windows.each(column, |from, to| Some((to - from) as f64)),
            Kernel::Min => extreme(windows, values, column, |new, best| new < best),
            Kernel::Max => extreme(windows, values, column, |new, best| new > best),
            Kernel::First => windows.each(column, |from, _| Some(values[from])),
            Kernel::Last => windows.each(column, |_, to| Some(values[to - 1])),
            Kernel::Present => windows.each(column, |_, _| Some(1.0)),
        }
    }
}

#[derive(Clone, Copy)]
struct Windows<'a> {
    layout: &'a Layout,
    stopped: &'a dyn Fn() -> bool,
}

impl Windows<'_> {
    /// Calls `f` with the samples `from..to` of every window that holds any. True if there was one.
    fn each(self, column: &mut Column, mut f: impl FnMut(usize, usize) -> Option<f64>) -> bool {
        let (mut any, mut work) = (false, 0);
        for (step, (from, to)) in self.layout.spans().enumerate() {
            work += to - from;
            if work > WORK_UNWATCHED {
                if (self.stopped)() {
                    break;
                }
                work = 0;
            }
            if from == to {
                continue;
            }
            any = true;
            if let Some(value) = f(from, to) {
                column.set_float(step, value);
            }
        }
        any
    }
}

/// `rate`, `increase`, `delta`: as [`crate::functions::rate::extrapolated`] without start timestamps.
fn extrapolate(layout: &Layout, values: &[f64], counter: bool, column: &mut Column) -> bool {
    // Most counters never start anew: then the change is one subtraction.
    let resets: Vec<usize> = if counter && values.windows(2).any(|pair| pair[1] < pair[0]) {
        (1..values.len()).filter(|&index| values[index] < values[index - 1]).collect()
    } else {
        Vec::new()
    };
    let (mut next_reset, mut any) = (0, false);
    for (step, (from, to)) in layout.spans().enumerate() {
        any |= from < to;
        if to - from < 2 {
            continue;
        }
        let mut change = values[to - 1] - values[from];
        if next_reset < resets.len() {
            while resets.get(next_reset).is_some_and(|&index| index <= from) {
                next_reset += 1;
            }
            for &index in resets[next_reset..].iter().take_while(|&&index| index < to) {
                change += values[index - 1];
            }
        }
        let factor = layout.raise(step, (from, to), change, counter.then_some(values[from]));
        column.set_float(step, change * factor);
    }
    any
}

fn last_two(times: &[i64], values: &[f64], from: usize, to: usize, is_rate: bool) -> Option<f64> {
    if to - from < 2 {
        return None;
    }
    let (a, b) = (values[to - 2], values[to - 1]);
    let interval = (times[to - 1] - times[to - 2]) as f64 / 1000.0;
    if interval == 0.0 {
        return None;
    }
    let change = if is_rate && b < a { b } else { b - a };
    Some(if is_rate { change / interval } else { change })
}

/// How many neighbours of a window fulfil `test`.
fn count_pairs(windows: Windows<'_>, values: &[f64], column: &mut Column, test: impl Fn(f64, f64) -> bool) -> bool {
    // How many of the pairs up to each sample do.
    let mut counts: Vec<u32> = Vec::with_capacity(values.len());
    let mut count = 0;
    for (index, &value) in values.iter().enumerate() {
        if index > 0 && test(values[index - 1], value) {
            count += 1;
        }
        counts.push(count);
    }
    windows.each(column, |from, to| Some(f64::from(counts[to - 1] - counts[from])))
}

/// Whole numbers below this can be added in any order without loss.
const EXACT_SUM_MAX: f64 = (1_u64 << 53) as f64;

fn sum(windows: Windows<'_>, values: &[f64], is_average: bool, column: &mut Column) -> bool {
    let mut total = 0.0;
    let exact = values.iter().all(|value| {
        total += value.abs();
        value.trunc() == *value && total < EXACT_SUM_MAX
    });
    if !exact {
        return windows.each(column, |from, to| {
            let window = &values[from..to];
            Some(if is_average { aggregate::average(window) } else { aggregate::sum(window) })
        });
    }
    let (mut total, mut low, mut high) = (0.0, 0, 0);
    windows.each(column, |from, to| {
        if from >= high {
            (total, low, high) = (0.0, from, from);
        }
        values[high..to].iter().for_each(|value| total += value);
        values[low..from].iter().for_each(|value| total -= value);
        (low, high) = (from, to);
        // Zero is positive here, as in a sum that starts from it.
        let sum = total + 0.0;
        Some(if is_average { sum / (to - from) as f64 } else { sum })
    })
}

/// The extreme of each window, the first of equal ones; NaN only if nothing else is there.
fn extreme(windows: Windows<'_>, values: &[f64], column: &mut Column, better: impl Fn(f64, f64) -> bool) -> bool {
    // Indexes whose values get worse from the front to the back: the front is the extreme.
    let mut queue: VecDeque<usize> = VecDeque::new();
    let mut queued = 0;
    windows.each(column, |from, to| {
        if queued == 0 && to - from < QUEUE_SAMPLES_MIN {
            let fold = |best: f64, new: f64| if better(new, best) || best.is_nan() { new } else { best };
            return Some(values[from..to].iter().copied().fold(f64::NAN, fold));
        }
        for index in queued.max(from)..to {
            let value = values[index];
            if value.is_nan() {
                continue;
            }
            while queue.back().is_some_and(|&back| better(value, values[back])) {
                queue.pop_back();
            }
            queue.push_back(index);
        }
        queued = to;
        while queue.front().is_some_and(|&front| front < from) {
            queue.pop_front();
        }
        Some(queue.front().map_or(values[to - 1], |&front| values[front]))
    })
}
