//! Steps of range queries that were worked out before: a panel that is refreshed costs what is new.
//!
//! A step is kept once nothing that it reads can change any more, as [`Queryable::history`] tells, and forgotten as soon as
//! that turns out to be wrong: when late samples come, or something is deleted.

mod reach;

use crate::engine::{Engine, QueryOptions, QueryOutput};
use crate::error::QueryError;
use crate::value::{MatrixSeries, Value};
use promql_syntax::Expr;
use reach::Reach;
use std::{
    cmp::Ordering as Order,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use storage::{History, Queryable, Samples};

/// So many steps of a query are kept, as many as one answer may have, and some more so that trimming is rare.
const STEPS_KEPT: i64 = 11_000;
const STEPS_KEPT_MAX: i64 = 13_000;
/// Memory that a series takes beside its samples, about; that a sample takes; that a histogram takes.
const SERIES_BYTES: usize = 256;
const SAMPLE_BYTES: usize = 16;
const HISTOGRAM_BYTES: usize = 512;

/// What is kept, and from which cost on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    pub max_bytes: usize,
    /// What was quicker than this is not worth its memory.
    pub min_cost: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        CacheOptions { max_bytes: 128 << 20, min_cost: Duration::from_millis(1) }
    }
}

/// What a cache did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Range queries of which some steps were there, and of which none were.
    pub hits: u64,
    pub misses: u64,
    /// Steps that were there, and steps that had to be evaluated.
    pub steps_reused: u64,
    pub steps_evaluated: u64,
    pub entries: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    query: Arc<str>,
    step_ms: i64,
    /// Where the steps lie: two queries share steps only if these do.
    phase_ms: i64,
    lookback_ms: i64,
}

#[derive(Debug)]
struct Entry {
    epoch: u64,
    first_ms: i64,
    last_ms: i64,
    /// Sorted by labels.
    series: Arc<Vec<MatrixSeries>>,
    /// What any of the steps, or one that was evaluated with them, had to tell.
    notes: Notes,
    bytes: usize,
    used: u64,
}

/// Warnings and infos, each sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Notes {
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Notes {
    fn of(output: &QueryOutput) -> Notes {
        let mut notes = Notes::default();
        notes.add(&output.warnings, &output.infos);
        notes
    }

    fn add(&mut self, warnings: &[String], infos: &[String]) {
        for (all, own) in [(&mut self.warnings, warnings), (&mut self.infos, infos)] {
            all.extend_from_slice(own);
            all.sort_unstable();
            all.dedup();
        }
    }

    /// True if an output tells all of these.
    fn are_told_by(&self, output: &QueryOutput) -> bool {
        let all = |notes: &[String], told: &[String]| notes.iter().all(|note| told.contains(note));
        all(&self.warnings, &output.warnings) && all(&self.infos, &output.infos)
    }

    fn bytes(&self) -> usize {
        self.warnings.iter().chain(&self.infos).map(String::len).sum()
    }
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    bytes: usize,
    clock: u64,
}

/// Results of the range queries over one storage: never share it between two.
#[derive(Debug)]
pub struct ResultCache {
    options: CacheOptions,
    inner: Mutex<Inner>,
    hits: AtomicU64,
    misses: AtomicU64,
    steps_reused: AtomicU64,
    steps_evaluated: AtomicU64,
}

/// Steps that were found.
struct Found {
    first_ms: i64,
    last_ms: i64,
    series: Arc<Vec<MatrixSeries>>,
    notes: Notes,
}

/// A range query: the times of its first and last step.
#[derive(Clone, Copy)]
struct Steps {
    first_ms: i64,
    last_ms: i64,
    step_ms: i64,
}

impl Steps {
    fn count(self) -> i64 {
        if self.last_ms < self.first_ms { 0 } else { (self.last_ms - self.first_ms) / self.step_ms + 1 }
    }
}

impl ResultCache {
    pub fn new(options: CacheOptions) -> ResultCache {
        ResultCache {
            options,
            inner: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            steps_reused: AtomicU64::new(0),
            steps_evaluated: AtomicU64::new(0),
        }
    }

    pub fn stats(&self) -> CacheStats {
        let inner = self.inner();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStats {
            hits: load(&self.hits),
            misses: load(&self.misses),
            steps_reused: load(&self.steps_reused),
            steps_evaluated: load(&self.steps_evaluated),
            entries: inner.entries.len() as u64,
            bytes: inner.bytes as u64,
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.inner() = Inner::default();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there of a query, if that is half of it at least.
    fn find(&self, key: &Key, steps: Steps, epoch: u64) -> Option<Found> {
        let mut inner = self.inner();
        inner.clock += 1;
        let now = inner.clock;
        let entry = inner.entries.get_mut(key)?;
        if entry.epoch != epoch {
            let bytes = entry.bytes;
            inner.bytes -= bytes;
            inner.entries.remove(key);
            return None;
        }
        entry.used = now;
        let found = Found {
            first_ms: entry.first_ms.max(steps.first_ms),
            last_ms: entry.last_ms.min(steps.last_ms),
            series: Arc::clone(&entry.series),
            notes: entry.notes.clone(),
        };
        let there = Steps { first_ms: found.first_ms, last_ms: found.last_ms, ..steps }.count();
        (there * 2 >= steps.count()).then_some(found)
    }

    fn forget(&self, key: &Key) {
        let mut inner = self.inner();
        if let Some(entry) = inner.entries.remove(key) {
            inner.bytes -= entry.bytes;
        }
    }

    /// Keeps the settled steps of a result.
    fn keep(&self, key: Key, epoch: u64, settled: Steps, result: &[MatrixSeries], notes: Notes) {
        let mut inner = self.inner();
        inner.clock += 1;
        let now = inner.clock;
        let before = inner.entries.remove(&key);
        inner.bytes -= before.as_ref().map_or(0, |entry| entry.bytes);
        let mut entry = match before {
            Some(mut entry) if entry.epoch == epoch && follows(&entry, settled) => {
                if entry.last_ms < settled.last_ms {
                    let new = cut(result, entry.last_ms.saturating_add(1), settled.last_ms, 0);
                    let own = Arc::make_mut(&mut entry.series);
                    *own = append(std::mem::take(own), new);
                    entry.last_ms = settled.last_ms;
                    entry.notes.add(&notes.warnings, &notes.infos);
                }
                entry
            }
            _ => {
                let capacity = usize::try_from(settled.count()).unwrap_or(0);
                let series = Arc::new(cut(result, settled.first_ms, settled.last_ms, capacity));
                let Steps { first_ms, last_ms, .. } = settled;
                Entry { epoch, first_ms, last_ms, series, notes, bytes: 0, used: now }
            }
        };
        let all = Steps { first_ms: entry.first_ms, last_ms: entry.last_ms, ..settled };
        if all.count() > STEPS_KEPT_MAX {
            entry.first_ms = entry.last_ms - (STEPS_KEPT - 1) * settled.step_ms;
            entry.series = Arc::new(cut(&entry.series, entry.first_ms, entry.last_ms, 0));
        }
        entry.used = now;
        entry.bytes = key.query.len() + entry.notes.bytes() + entry.series.iter().map(bytes).sum::<usize>();
        // One result does not drive out all others.
        if entry.bytes > self.options.max_bytes / 4 {
            return;
        }
        inner.bytes += entry.bytes;
        inner.entries.insert(key, entry);
        while inner.bytes > self.options.max_bytes {
            let Some(oldest) = inner.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone())
            else {
                return;
            };
            if let Some(entry) = inner.entries.remove(&oldest) {
                inner.bytes -= entry.bytes;
            }
        }
    }
}

/// True if the entry begins no later than the steps do and leaves no gap before them.
fn follows(entry: &Entry, steps: Steps) -> bool {
    entry.first_ms <= steps.first_ms && entry.last_ms >= steps.first_ms.saturating_sub(steps.step_ms)
}

fn bytes(series: &MatrixSeries) -> usize {
    let histograms = series.samples.histograms.iter().flatten().count();
    SERIES_BYTES + series.samples.timestamps.capacity() * SAMPLE_BYTES + histograms * HISTOGRAM_BYTES
}

/// The points between two times, both inclusive, of all series that have any; with room for `capacity`.
fn cut(series: &[MatrixSeries], first_ms: i64, last_ms: i64, capacity: usize) -> Vec<MatrixSeries> {
    let mut out = Vec::with_capacity(series.len());
    for one in series {
        let times = &one.samples.timestamps;
        let from = times.partition_point(|&time| time < first_ms);
        let to = times.partition_point(|&time| time <= last_ms);
        if from >= to {
            continue;
        }
        let mut samples = Samples::default();
        // Mostly all steps are there; where few are, room for all would be wasted.
        let capacity = if (to - from) * 2 > capacity { capacity.max(to - from) } else { to - from };
        samples.timestamps.reserve_exact(capacity);
        samples.values.reserve_exact(capacity);
        samples.extend_from(&one.samples, from, to);
        out.push(MatrixSeries { labels: one.labels.clone(), samples });
    }
    out
}

/// Joins two results of which the second is later in time.
fn append(first: Vec<MatrixSeries>, second: Vec<MatrixSeries>) -> Vec<MatrixSeries> {
    if first.is_empty() {
        return second;
    }
    let mut out = Vec::with_capacity(first.len().max(second.len()));
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    loop {
        let order = match (first.peek(), second.peek()) {
            (None, None) => return out,
            (Some(_), None) => Order::Less,
            (None, Some(_)) => Order::Greater,
            (Some(a), Some(b)) => a.labels.cmp(&b.labels),
        };
        match order {
            Order::Less => out.extend(first.next()),
            Order::Greater => out.extend(second.next()),
            Order::Equal => {
                if let (Some(mut a), Some(b)) = (first.next(), second.next()) {
                    a.samples.extend_from(&b.samples, 0, b.samples.len());
                    out.push(a);
                }
            }
        }
    }
}

impl Engine {
    /// As [`Engine::range_expr`] without a cache; steps that the cache has are not evaluated again.
    pub(crate) fn range_cached(
        &self,
        cache: &ResultCache,
        storage: &dyn Queryable,
        expr: &Expr,
        query: &str,
        times_ms: (i64, i64, i64),
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        let (start, end, step_ms) = times_ms;
        // The checks of times and types come first, so that errors are the same.
        self.range_grid(expr, times_ms)?;
        let evaluate = |steps: Steps| {
            let own = QueryOptions { cache: None, ..options.clone() };
            self.range_expr(storage, expr, query, (steps.first_ms, steps.last_ms, steps.step_ms), &own)
        };
        let steps = Steps { first_ms: start, last_ms: start + (end - start) / step_ms * step_ms, step_ms };
        let lookback_ms = options.lookback_delta_ms.filter(|&ms| ms > 0).unwrap_or(self.options().lookback_delta_ms);
        // Asked before anything is read: what changes meanwhile changes the epoch.
        let Some((reach, history)) = Reach::of(expr, step_ms, lookback_ms).zip(storage.history()) else {
            return self.range_expr(storage, expr, query, times_ms, &QueryOptions { cache: None, ..options.clone() });
        };
        let kept_as = match &options.shared {
            Some(shared) => shared.history(history),
            None => Some(history),
        };
        let key = Key { query: query.into(), step_ms, phase_ms: start.rem_euclid(step_ms), lookback_ms };
        let found = cache.find(&key, steps, history.epoch);
        if let Some(found) = found {
            if let Some(output) = self.completed(cache, found, steps, &evaluate)? {
                keep_settled(cache, key, kept_as, reach, steps, &output);
                return Ok(output);
            }
            // What it tells has changed.
            cache.forget(&key);
        }
        cache.misses.fetch_add(1, Ordering::Relaxed);
        cache.steps_evaluated.fetch_add(steps.count().unsigned_abs(), Ordering::Relaxed);
        let output = evaluate(steps)?;
        if output.stats.evaluation + output.stats.spared >= cache.options.min_cost {
            keep_settled(cache, key, kept_as, reach, steps, &output);
        }
        Ok(output)
    }

    /// The steps that were found with those around them evaluated; `None` where all must be evaluated: nobody knows which of
    /// the steps had to tell something, so that it must be told by those that are evaluated, too.
    fn completed(
        &self,
        cache: &ResultCache,
        found: Found,
        steps: Steps,
        evaluate: &dyn Fn(Steps) -> Result<QueryOutput, QueryError>,
    ) -> Result<Option<QueryOutput>, QueryError> {
        let Steps { step_ms, .. } = steps;
        let mut output = QueryOutput::default();
        let before = (steps.first_ms < found.first_ms)
            .then(|| evaluate(Steps { last_ms: found.first_ms - step_ms, ..steps }))
            .transpose()?;
        let after = (found.last_ms < steps.last_ms)
            .then(|| evaluate(Steps { first_ms: found.last_ms + step_ms, ..steps }))
            .transpose()?;
        // Some notes count over all steps: those of two parts must not stand beside each other.
        let is_told = match (&before, &after) {
            (None, None) => found.notes == Notes::default(),
            (Some(part), None) | (None, Some(part)) => found.notes.are_told_by(part),
            (Some(before), Some(after)) => found.notes.are_told_by(after) && Notes::of(before) == Notes::of(after),
        };
        if !is_told {
            return Ok(None);
        }
        cache.hits.fetch_add(1, Ordering::Relaxed);
        let reused = Steps { first_ms: found.first_ms, last_ms: found.last_ms, step_ms };
        cache.steps_reused.fetch_add(reused.count().unsigned_abs(), Ordering::Relaxed);
        cache.steps_evaluated.fetch_add((steps.count() - reused.count()).unsigned_abs(), Ordering::Relaxed);
        let mut whole = before.map(|before| join(&mut output, before)).unwrap_or_default();
        let capacity = usize::try_from(steps.count()).unwrap_or(0);
        whole = append(whole, cut(&found.series, found.first_ms, found.last_ms, capacity));
        // Whoever extends the entry finds it unshared.
        drop(found);
        if let Some(after) = after {
            whole = append(whole, join(&mut output, after));
        }
        let reached = whole.iter().map(|series| series.samples.len()).sum();
        if reached > self.options().max_samples {
            return Err(QueryError::TooManySamples { limit: self.options().max_samples, reached });
        }
        output.value = Value::Matrix(whole);
        Ok(Some(output))
    }
}

/// Adds what a part of the query cost and told; gives its series.
fn join(output: &mut QueryOutput, part: QueryOutput) -> Vec<MatrixSeries> {
    for (all, own) in [(&mut output.warnings, part.warnings), (&mut output.infos, part.infos)] {
        // In the order in which one part tells them.
        for note in own {
            if !all.contains(&note) {
                all.push(note);
            }
        }
    }
    output.stats.samples_read += part.stats.samples_read;
    output.stats.samples_peak = output.stats.samples_peak.max(part.stats.samples_peak);
    output.stats.evaluation += part.stats.evaluation;
    output.stats.spared += part.stats.spared;
    match part.value {
        Value::Matrix(series) => series,
        _ => Vec::new(),
    }
}

/// Nothing is kept where the history is not known.
fn keep_settled(
    cache: &ResultCache,
    key: Key,
    history: Option<History>,
    reach: Reach,
    steps: Steps,
    output: &QueryOutput,
) {
    let Some(history) = history else { return };
    let Some(last_ms) = reach.last_settled(steps.first_ms, steps.last_ms, steps.step_ms, history.settled_before_ms)
    else {
        return;
    };
    if let Value::Matrix(series) = &output.value {
        cache.keep(key, history.epoch, Steps { last_ms, ..steps }, series, Notes::of(output));
    }
}
