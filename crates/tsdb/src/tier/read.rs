//! Reading raw samples and windows as one: which of them, where both are there, and the notes about it.

use super::{Mode, window_of};
use crate::db::lock;
use model::{Labels, duration::format_duration_ms};
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use storage::{Samples, SelectHints, Series, SeriesSet, StorageError};

/// Windows are taken in the place of raw samples that are there only where they save so many of them.
const WINDOWS_MIN: i64 = 500;
/// A range that begins inside a window is so many times longer, or its ends would weigh too much.
const RANGE_WINDOWS_MIN: i64 = 20;
/// Samples farther apart than so many windows have nothing between them.
const REACH_WINDOWS: i64 = 2;

/// What is right of windows, at the least where ranges begin and end with them.
const EXACT: [&str; 12] = [
    "",
    "rate",
    "increase",
    "delta",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "avg_over_time",
    "count_over_time",
    "first_over_time",
    "last_over_time",
    "present_over_time",
];

/// How a query reads.
#[derive(Clone, Debug)]
pub(crate) struct TierPlan {
    pub(crate) mode: Mode,
    pub(crate) function: String,
    /// Resolutions in the order in which they are asked; 0 for raw samples.
    pub(crate) order: Vec<i64>,
    /// How many windows before and behind the bounds are read too.
    before_windows: i64,
    after_windows: i64,
}

/// Decides, for the resolutions that there are, ascending.
pub(crate) fn plan(hints: &SelectHints, start_ms: i64, end_ms: i64, resolutions: &[i64]) -> TierPlan {
    let function = hints.function.as_str();
    let mode = match function {
        _ if !hints.tiers => Mode::Kept,
        "rate" | "increase" => Mode::Counter,
        "min_over_time" => Mode::Min,
        "max_over_time" => Mode::Max,
        "sum_over_time" | "avg_over_time" | "count_over_time" => Mode::Sum,
        _ => Mode::Kept,
    };
    let (before_windows, after_windows) = match function {
        _ if !hints.tiers => (0, 0),
        "rate" | "increase" | "delta" => (REACH_WINDOWS, REACH_WINDOWS),
        _ if hints.range_ms == 0 => (1, 0),
        _ => (0, 0),
    };
    let is_exact = EXACT.contains(&function) && hints.range_ms > 0 && hints.tiers;
    // The range of the first step begins one millisecond before the bounds.
    let aligned = |resolution_ms: i64| {
        [hints.start_ms.saturating_sub(1), hints.step_ms, hints.range_ms].iter().all(|ms| ms % resolution_ms == 0)
    };
    let fits = |resolution_ms: i64| {
        if hints.range_ms == 0 {
            return hints.step_ms >= resolution_ms;
        }
        let windows = if aligned(resolution_ms) { 1 } else { RANGE_WINDOWS_MIN };
        is_exact && resolution_ms.saturating_mul(windows) <= hints.range_ms
    };
    let saves =
        |resolution_ms: i64| is_exact && end_ms.saturating_sub(start_ms) >= resolution_ms.saturating_mul(WINDOWS_MIN);
    let (fitting, others): (Vec<i64>, Vec<i64>) = resolutions.iter().partition(|resolution_ms| fits(**resolution_ms));
    let (saving, fitting): (Vec<i64>, Vec<i64>) =
        fitting.into_iter().rev().partition(|resolution_ms| saves(*resolution_ms));
    let order = saving.into_iter().chain([0]).chain(fitting).chain(others).collect();
    TierPlan { mode, function: function.to_owned(), order, before_windows, after_windows }
}

impl TierPlan {
    /// Bounds for a resolution, with what is read beyond.
    pub(crate) fn bounds(&self, resolution_ms: i64, start_ms: i64, end_ms: i64) -> (i64, i64) {
        let beyond = |windows: i64| resolution_ms.saturating_mul(windows);
        (start_ms.saturating_sub(beyond(self.before_windows)), end_ms.saturating_add(beyond(self.after_windows)))
    }
}

/// What is to be said about an answer.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Newest time of what was read of each resolution, and the functions that it was read for.
    read: Mutex<BTreeMap<i64, (i64, Vec<String>)>>,
}

impl Notes {
    fn add(&self, resolution_ms: i64, newest_ms: i64, function: &str) {
        let mut read = lock(&self.read);
        let (newest, functions) = read.entry(resolution_ms).or_insert_with(|| (newest_ms, Vec::new()));
        *newest = newest_ms.max(*newest);
        if !EXACT.contains(&function) && !functions.iter().any(|own| own == function) {
            functions.push(function.to_owned());
        }
    }

    /// Sentences for people.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for (resolution_ms, (newest_ms, functions)) in lock(&self.read).iter() {
            let resolution = format_duration_ms(*resolution_ms);
            let newest = newest_ms.div_euclid(1000);
            texts.push(format!("samples up to {newest} (Unix seconds) are down-sampled to {resolution}"));
            for function in functions {
                texts.push(format!(
                    "{function}() of samples down-sampled to {resolution} is an estimate: of each {resolution} it sees the first and the last sample"
                ));
            }
        }
        texts
    }
}

/// Series of one resolution.
pub(crate) struct Source {
    /// 0 for raw samples.
    pub(crate) resolution_ms: i64,
    pub(crate) set: SeriesSet,
}

/// Joins the sources, which are in the order of the plan: of each series, an earlier one goes before a later one where
/// both have samples.
pub(crate) fn tiered(sources: Vec<Source>, plan: TierPlan, start_ms: i64, end_ms: i64, notes: Arc<Notes>) -> SeriesSet {
    let mut sources = sources;
    let heads = sources.iter_mut().map(|source| source.set.next()).collect();
    Box::new(Joined { sources, heads, shared: Arc::new(Shared { plan, start_ms, end_ms, notes }) })
}

struct Shared {
    plan: TierPlan,
    start_ms: i64,
    end_ms: i64,
    notes: Arc<Notes>,
}

struct Joined {
    sources: Vec<Source>,
    heads: Vec<Option<Result<Box<dyn Series>, StorageError>>>,
    shared: Arc<Shared>,
}

impl Iterator for Joined {
    type Item = Result<Box<dyn Series>, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut smallest: Vec<usize> = Vec::with_capacity(self.heads.len());
        for at in 0..self.heads.len() {
            let labels = match &self.heads[at] {
                None => continue,
                Some(Err(_)) => return self.heads[at].take(),
                Some(Ok(series)) => series.labels(),
            };
            let best = smallest.first().and_then(|best| self.heads[*best].as_ref()?.as_ref().ok());
            match best.map_or(Ordering::Less, |best| labels.cmp(best.labels())) {
                Ordering::Less => smallest = vec![at],
                Ordering::Equal => smallest.push(at),
                Ordering::Greater => {}
            }
        }
        let mut parts = Vec::with_capacity(smallest.len());
        for at in smallest {
            let next = self.sources[at].set.next();
            match std::mem::replace(&mut self.heads[at], next)? {
                Ok(series) => parts.push((self.sources[at].resolution_ms, series)),
                Err(error) => return Some(Err(error)),
            }
        }
        match parts.as_slice() {
            [] => None,
            // Most series are raw and nothing else.
            [(0, _)] => parts.pop().map(|(_, series)| Ok(series)),
            _ => Some(Ok(Box::new(TieredSeries { parts, shared: Arc::clone(&self.shared) }))),
        }
    }
}

struct TieredSeries {
    /// With their resolutions; at least one.
    parts: Vec<(i64, Box<dyn Series>)>,
    shared: Arc<Shared>,
}

impl TieredSeries {
    /// Appends what the parts have between two times: the first part what it has, the others what lies around that.
    fn fill(
        &self,
        parts: &[(i64, Box<dyn Series>)],
        start_ms: i64,
        end_ms: i64,
        into: &mut Samples,
    ) -> Result<(), StorageError> {
        let Some(((resolution_ms, series), rest)) = parts.split_first() else { return Ok(()) };
        if start_ms > end_ms {
            return Ok(());
        }
        let (resolution_ms, shared) = (*resolution_ms, &self.shared);
        let (mut from_ms, mut to_ms) = (start_ms, end_ms);
        if resolution_ms > 0 {
            // Whole windows; what follows leaves out what they have already.
            let beyond = shared.plan.bounds(resolution_ms, start_ms, end_ms);
            let window_end = |time: i64| (window_of(time, resolution_ms) + 1).saturating_mul(resolution_ms);
            from_ms = if start_ms == shared.start_ms { beyond.0 } else { window_end(start_ms - 1) + 1 };
            to_ms = if end_ms == shared.end_ms { beyond.1 } else { window_end(end_ms).min(shared.end_ms) };
        }
        let known = into.len();
        series.read_between(from_ms, to_ms, into)?;
        let (Some(&first), Some(&last)) = (into.timestamps.get(known), into.timestamps.last()) else {
            return self.fill(rest, start_ms, end_ms, into);
        };
        let before =
            if resolution_ms > 0 { window_of(first, resolution_ms).saturating_mul(resolution_ms) } else { first - 1 };
        // Mostly there is nothing before, and what was read stays where it is.
        let mut early = Samples::default();
        self.fill(rest, start_ms, before.min(end_ms), &mut early)?;
        let newest = early.timestamps.last().or(known.checked_sub(1).and_then(|at| into.timestamps.get(at))).copied();
        let told = into.timestamps.get(known..).unwrap_or_default();
        let from = known + newest.map_or(0, |newest| told.partition_point(|time| *time <= newest));
        if from < into.len() && resolution_ms > 0 {
            shared.notes.add(resolution_ms, last, &shared.plan.function);
        }
        if !early.is_empty() || from > known {
            let mut own = Samples::default();
            own.extend_from(into, from, into.len());
            into.truncate(known);
            into.extend_from(&early, 0, early.len());
            into.extend_from(&own, 0, own.len());
        }
        self.fill(rest, last.saturating_add(1).max(start_ms), end_ms, into)
    }
}

impl Series for TieredSeries {
    fn labels(&self) -> &Labels {
        self.parts[0].1.labels()
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        if into.is_empty() {
            return self.fill(&self.parts, self.shared.start_ms, self.shared.end_ms, into);
        }
        // `into` has samples of others.
        let mut own = Samples::default();
        self.fill(&self.parts, self.shared.start_ms, self.shared.end_ms, &mut own)?;
        into.extend_from(&own, 0, own.len());
        Ok(())
    }
}
