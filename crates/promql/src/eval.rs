//! The evaluator: a tree and a grid in, columns out.

use crate::annotations::Annotations;
use crate::annotations::Note;
use crate::counts::Counts;
use crate::engine::{EngineOptions, QueryOptions, QueryStats, finish_names};
use crate::error::QueryError;
use crate::parallel::Helpers;
use crate::profile::{Mark, Profile};
use crate::shared::{Cost, Key, Known, Reads, SharedParts};
use crate::stream::mapped;
use crate::value::{Column, Grid, Intermediate, VectorSeries};
use promql_syntax::{Expr, Extension, ParseError, Span};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use storage::Queryable;

/// The times of the whole query, whatever grid a node is evaluated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Times {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: i64,
    pub(crate) instant: bool,
}

/// What a step of a column or of an aggregation's state takes, at most.
const STEP_BYTES: usize = 32;
/// So many chains of operators are evaluated inside each other for the sake of who shares them.
const NESTED_MAX: usize = 16;
/// So many columns are in memory at once, at least, while a query runs.
const COLUMNS_MIN: usize = 4;

/// Tells when a query has to stop.
#[derive(Clone)]
pub(crate) struct Watch {
    begin: Instant,
    timeout: Duration,
    cancel: Option<Arc<AtomicBool>>,
}

impl Watch {
    /// Of a query that begins now.
    pub(crate) fn new(engine: &EngineOptions, options: &QueryOptions) -> Watch {
        Watch {
            begin: Instant::now(),
            timeout: options.timeout.map_or(engine.timeout, |timeout| timeout.min(engine.timeout)),
            cancel: options.cancel.clone(),
        }
    }

    /// Fails if the query has been cancelled or takes too long.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(QueryError::Canceled);
        }
        if self.begin.elapsed() > self.timeout {
            return Err(QueryError::Timeout(self.timeout));
        }
        Ok(())
    }
}

/// A chain of operators is being evaluated.
pub(crate) struct Nested<'a>(&'a AtomicUsize);

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a part of a query took and told.
pub(crate) struct Taken {
    pub(crate) notes: Vec<Note>,
    /// Without what is known by itself.
    pub(crate) reads: Reads,
    pub(crate) gathered: Vec<(Key, Reads)>,
    peak: usize,
    peak_bytes: usize,
    largest_read: usize,
}

impl Taken {
    /// Of a chain only the samples of one series are in memory at once, whoever gathered its results.
    pub(crate) fn cost(&self, is_stream: bool) -> Cost {
        let (peak, peak_bytes) = if is_stream { (self.largest_read, 0) } else { (self.peak, self.peak_bytes) };
        Cost { reads: self.reads, peak, peak_bytes, ..Cost::default() }
    }
}

pub(crate) struct Evaluator<'a> {
    pub(crate) storage: &'a dyn Queryable,
    engine: &'a EngineOptions,
    pub(crate) times: Times,
    pub(crate) lookback: i64,
    pub(crate) annotations: &'a Annotations,
    watch: Watch,
    /// Samples that intermediate results hold, and their bytes.
    live: AtomicUsize,
    live_bytes: AtomicUsize,
    /// Series read so far.
    series: AtomicUsize,
    peak: AtomicUsize,
    peak_bytes: AtomicUsize,
    /// Most samples of one read.
    largest_read: AtomicUsize,
    read: AtomicU64,
    /// Microseconds that others spent on what was taken from them.
    spared: AtomicU64,
    /// Tells the samples read to whoever watches.
    progress: Option<Arc<AtomicU64>>,
    /// Only counts and sums of histograms are wanted: resets are told by the samples themselves.
    histogram_stats: AtomicBool,
    helpers: &'a Helpers,
    /// Where to note what the nodes cost, if anybody wants to know.
    profile: Option<&'a Profile>,
    /// How many deletions the storage had seen.
    pub(crate) deletions: u64,
    /// Chains of operators being evaluated inside each other.
    nested: AtomicUsize,
    pub(crate) shared: Option<SharedParts>,
    /// Parts that this query has evaluated or taken.
    known: Mutex<Known>,
    /// What is told of samples, if anybody wants to know.
    pub(crate) counts: Counts,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        storage: &'a dyn Queryable,
        engine: &'a EngineOptions,
        options: &QueryOptions,
        times: Times,
        annotations: &'a Annotations,
        helpers: &'a Helpers,
        profile: Option<&'a Profile>,
    ) -> Self {
        Evaluator {
            storage,
            engine,
            times,
            lookback: options.lookback_delta_ms.filter(|&ms| ms > 0).unwrap_or(engine.lookback_delta_ms),
            annotations,
            watch: Watch::new(engine, options),
            live: AtomicUsize::new(0),
            live_bytes: AtomicUsize::new(0),
            series: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            peak_bytes: AtomicUsize::new(0),
            largest_read: AtomicUsize::new(0),
            spared: AtomicU64::new(0),
            read: AtomicU64::new(0),
            progress: options.samples_read.clone(),
            histogram_stats: AtomicBool::new(false),
            helpers,
            profile,
            deletions: storage.deletions(),
            nested: AtomicUsize::new(0),
            shared: None,
            known: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// Evaluates the parts once that `expr`, the whole query, has more than once or has in common with those in `shared`.
    pub(crate) fn share_parts_of(&mut self, expr: &Expr, query: &str, shared: Option<&SharedParts>) {
        self.shared = match shared.filter(|shared| shared.is_of(query, self.lookback)) {
            Some(shared) => Some(shared.clone()),
            None => SharedParts::of(expr, query, self.lookback, self.engine.max_memory_bytes),
        };
    }

    pub(crate) fn stats(&self) -> QueryStats {
        QueryStats {
            samples_read: self.read.load(Ordering::Relaxed),
            samples_peak: self.peak.load(Ordering::Relaxed) as u64,
            spared: Duration::from_micros(self.spared.load(Ordering::Relaxed)),
            ..QueryStats::default()
        }
    }

    /// Where to count samples, if anybody wants to know how many there are.
    pub(crate) fn counting(&self) -> Option<crate::counts::Running<'_>> {
        self.counts.running()
    }

    pub(crate) fn helpers(&self) -> &Helpers {
        self.helpers
    }

    pub(crate) fn histogram_stats(&self) -> bool {
        self.histogram_stats.load(Ordering::Relaxed)
    }

    /// Runs `f` while only counts and sums of histograms are wanted, or not.
    pub(crate) fn with_histogram_stats<T>(&self, wanted: bool, f: impl FnOnce() -> T) -> T {
        let before = self.histogram_stats.swap(wanted, Ordering::Relaxed);
        let result = f();
        self.histogram_stats.store(before, Ordering::Relaxed);
        result
    }

    pub(crate) fn profile_mark(&self) -> Mark {
        self.profile.map(|_| Instant::now())
    }

    /// Notes what a selector read since `mark`, and begins anew.
    pub(crate) fn profile_read(&self, mark: Mark, span: Span, samples: &storage::Samples) -> Mark {
        let (profile, mark) = (self.profile?, mark?);
        let now = Instant::now();
        profile.add_read(span, samples, now - mark);
        Some(now)
    }

    /// Notes a series that a node of a chain gave since `mark`, and begins anew.
    pub(crate) fn profile_series(&self, mark: Mark, span: Span, column: &Column) -> Mark {
        let (profile, mark) = (self.profile?, mark?);
        let now = Instant::now();
        profile.add_series(span, column, now - mark);
        Some(now)
    }

    pub(crate) fn max_samples(&self) -> usize {
        self.engine.max_samples
    }

    pub(crate) fn max_memory(&self) -> usize {
        self.engine.max_memory_bytes
    }

    pub(crate) fn default_step(&self) -> i64 {
        self.engine.default_step_ms.max(1)
    }

    pub(crate) fn use_start_timestamps(&self) -> bool {
        self.engine.use_start_timestamps
    }

    /// Notes a chain of operators until the guard is dropped.
    pub(crate) fn nest(&self) -> Nested<'_> {
        self.nested.fetch_add(1, Ordering::Relaxed);
        Nested(&self.nested)
    }

    /// True if chains of operators may still be evaluated inside each other where they need not be.
    pub(crate) fn may_nest(&self) -> bool {
        self.nested.load(Ordering::Relaxed) <= NESTED_MAX
    }

    pub(crate) fn delays_names(&self) -> bool {
        self.engine.delayed_name_removal
    }

    /// Fails if the query has been cancelled or takes too long.
    pub(crate) fn check_time(&self) -> Result<(), QueryError> {
        self.watch.check()
    }

    /// For those who search the index.
    pub(crate) fn stop(&self) -> storage::Stop {
        let watch = self.watch.clone();
        storage::Stop::new(move || watch.check().is_err())
    }

    /// What a search of the index that gave up comes to.
    pub(crate) fn given_up(&self, error: storage::StorageError) -> QueryError {
        match (error, self.check_time()) {
            (storage::StorageError::Cancelled, Err(reason)) => reason,
            (error, _) => error.into(),
        }
    }

    /// Notes samples read that are dropped again before the next read.
    pub(crate) fn count_read(&self, samples: usize) -> Result<(), QueryError> {
        self.read.fetch_add(samples as u64, Ordering::Relaxed);
        if let Some(progress) = &self.progress {
            progress.fetch_add(samples as u64, Ordering::Relaxed);
        }
        self.largest_read.fetch_max(samples, Ordering::Relaxed);
        self.note_peak(self.live.load(Ordering::Relaxed) + samples)
    }

    /// Takes back what was counted as read.
    pub(crate) fn uncount(&self, reads: Reads) {
        self.read.fetch_sub(reads.samples, Ordering::Relaxed);
        self.series.fetch_sub(reads.series, Ordering::Relaxed);
    }

    /// Notes what evaluating a part takes that was evaluated for another query.
    pub(crate) fn count_taken(&self, cost: &Cost) -> Result<(), QueryError> {
        self.spared.fetch_add(u64::try_from(cost.time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.read.fetch_add(cost.reads.samples, Ordering::Relaxed);
        if let Some(progress) = &self.progress {
            progress.fetch_add(cost.reads.samples, Ordering::Relaxed);
        }
        self.count_series(cost.reads.series)?;
        let (live, live_bytes) = self.live();
        self.check_memory(live_bytes.saturating_add(cost.peak_bytes))?;
        self.note_peak(live.saturating_add(cost.peak))
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` and gives what it took and told.
    pub(crate) fn captured<T>(&self, f: impl FnOnce() -> T) -> (T, Taken) {
        let reads =
            || Reads { samples: self.read.load(Ordering::Relaxed), series: self.series.load(Ordering::Relaxed) };
        let (reads_before, mark) = (reads(), self.known().mark());
        let (live, live_bytes) = self.live();
        let begin = |counter: &AtomicUsize, from: usize| counter.swap(from, Ordering::Relaxed);
        let before = (begin(&self.peak, live), begin(&self.peak_bytes, live_bytes), begin(&self.largest_read, 0));
        let (result, notes) = self.annotations.captured(f);
        let end = |counter: &AtomicUsize, before: usize| counter.fetch_max(before, Ordering::Relaxed);
        let (gathered, known) = self.known().since(mark);
        let taken = Taken {
            notes,
            reads: reads().minus(reads_before).minus(known),
            gathered,
            peak: end(&self.peak, before.0).saturating_sub(live),
            peak_bytes: end(&self.peak_bytes, before.1).saturating_sub(live_bytes),
            largest_read: end(&self.largest_read, before.2),
        };
        (result, taken)
    }

    /// Notes series that a selector reads.
    pub(crate) fn count_series(&self, series: usize) -> Result<(), QueryError> {
        let reached = self.series.fetch_add(series, Ordering::Relaxed) + series;
        match self.engine.max_series {
            Some(limit) if reached > limit => Err(QueryError::TooManySeries { limit, reached }),
            _ => Ok(()),
        }
    }

    /// Notes samples that stay until the node's result is done, and the memory that they take.
    pub(crate) fn count_live(&self, samples: usize, bytes: usize) -> Result<(), QueryError> {
        let before = self.live.fetch_add(samples, Ordering::Relaxed);
        let bytes = self.live_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.check_memory(bytes)?;
        self.note_peak(before + samples)
    }

    /// As [`Evaluator::count_live`], for a series.
    pub(crate) fn count_live_series(&self, series: &VectorSeries) -> Result<(), QueryError> {
        self.count_live(series.column.points(), series.bytes())
    }

    fn check_memory(&self, reached: usize) -> Result<(), QueryError> {
        let limit = self.engine.max_memory_bytes;
        self.peak_bytes.fetch_max(reached, Ordering::Relaxed);
        if reached > limit { Err(QueryError::TooMuchMemory { limit, reached }) } else { Ok(()) }
    }

    /// Fails if a few columns of `count` steps, or of `count` states of an aggregation, would be too much.
    pub(crate) fn check_steps(&self, count: usize) -> Result<(), QueryError> {
        let needed = count.saturating_mul(STEP_BYTES * COLUMNS_MIN);
        self.check_memory(self.live_bytes.load(Ordering::Relaxed).saturating_add(needed))
    }

    fn note_peak(&self, live: usize) -> Result<(), QueryError> {
        self.peak.fetch_max(live, Ordering::Relaxed);
        if live > self.engine.max_samples {
            return Err(QueryError::TooManySamples { limit: self.engine.max_samples, reached: live });
        }
        Ok(())
    }

    pub(crate) fn warn_mixed_types(&self, metric: &str, span: Span) {
        let metric = model::labels::quote(metric);
        self.annotations.warn(span, format!("encountered a mix of histograms and floats for metric name {metric}"));
    }

    pub(crate) fn warn_mixed_schemas(&self, metric: &str, span: Span) {
        let metric = model::labels::quote(metric);
        self.annotations.warn(
            span,
            format!("vector contains a mix of histograms with exponential and custom buckets schemas for metric name {metric}"),
        );
    }

    /// What can be found wrong before anything is read: patterns, and modifiers where they have no meaning.
    pub(crate) fn check_selectors(&self, expr: &Expr, query: &str) -> Result<(), QueryError> {
        let mut wrong = None;
        expr.visit_selectors(&mut |selector| {
            for (index, matcher) in selector.matchers.iter().enumerate() {
                if wrong.is_none()
                    && let Err(error) = regexp::LabelMatcher::new(matcher)
                {
                    wrong = Some((promql_syntax::matcher_span(query, selector, index), error.to_string()));
                }
            }
        });
        if let Some((span, message)) = wrong {
            let (line, column) = promql_syntax::error::line_column(query, span.start);
            return Err(QueryError::Parse(ParseError { span, line, column, message, feature: None }));
        }
        check_extensions(expr)
    }

    /// Evaluates a node at every step of a grid.
    pub(crate) fn eval(&self, expr: &Expr, grid: Grid) -> Result<Intermediate, QueryError> {
        self.check_time()?;
        let Some(part) = self.part(expr) else { return self.eval_alone(expr, grid) };
        let before = self.live();
        let value = Intermediate::Vector(self.shared_vector(part, expr, grid)?);
        self.settle(before, &value)?;
        Ok(value)
    }

    /// As [`Evaluator::eval`], of a node that is not taken from others.
    fn eval_alone(&self, expr: &Expr, grid: Grid) -> Result<Intermediate, QueryError> {
        let before = self.live();
        let begin = self.profile_mark();
        let value = if grid.count > 1 && !is_literal(expr) && is_step_invariant(expr) {
            // Nothing in it depends on the time: once is enough.
            let (once, counted) = self.counts.apart(1, || self.eval_named(expr, Grid { count: 1, ..grid }));
            if let (Some(counts), Some(&samples)) = (self.counting(), counted.first()) {
                counts.add_to_all(samples);
            }
            repeat(once?, grid.count)
        } else {
            self.eval_named(expr, grid)?
        };
        if let (Some(profile), Some(begin), false) = (self.profile, begin, matches!(expr, Expr::Selector(_))) {
            profile.add_value(expr.span(), &value, begin.elapsed());
        }
        self.settle(before, &value)?;
        Ok(value)
    }

    /// What is in memory now, for [`Evaluator::settle`].
    pub(crate) fn live(&self) -> (usize, usize) {
        (self.live.load(Ordering::Relaxed), self.live_bytes.load(Ordering::Relaxed))
    }

    /// Notes that of all that came into memory since `before` only `value` is left.
    pub(crate) fn settle(&self, before: (usize, usize), value: &Intermediate) -> Result<(), QueryError> {
        self.live.store(before.0, Ordering::Relaxed);
        self.live_bytes.store(before.1, Ordering::Relaxed);
        let (samples, bytes) = size(value);
        self.count_live(samples, bytes)
    }

    /// A node with the names that it has for those around it.
    fn eval_named(&self, expr: &Expr, grid: Grid) -> Result<Intermediate, QueryError> {
        match self.eval_node(expr, grid)? {
            Intermediate::Vector(series) if !self.delays_names() => Ok(Intermediate::Vector(finish_names(series)?)),
            value => Ok(value),
        }
    }

    fn eval_node(&self, expr: &Expr, grid: Grid) -> Result<Intermediate, QueryError> {
        if let Some(stream) = self.stream(expr, grid)? {
            return Ok(Intermediate::Vector(self.collect_stream(&stream)?));
        }
        // Operators have a way of their own, which walks long chains of them.
        if let Some(inner) = mapped(expr).filter(|_| !matches!(expr, Expr::Binary(_))) {
            let mut series = self.eval_vector(inner, grid)?;
            let stage = self.stage(expr, grid)?;
            series.iter_mut().for_each(stage);
            series.retain(|series| !series.column.is_empty());
            return Ok(Intermediate::Vector(series));
        }
        match expr {
            Expr::Number(e) => Ok(Intermediate::Scalar(vec![e.value; grid.count])),
            Expr::String(e) => Ok(Intermediate::String(e.clone())),
            Expr::Paren(e) => self.eval(&e.inner, grid),
            Expr::Unary(e) => {
                let mut values = self.eval_scalar(&e.inner, grid)?;
                if e.negative {
                    values.iter_mut().for_each(|value| *value = -*value);
                }
                Ok(Intermediate::Scalar(values))
            }
            // Every selector begins a chain, unless `@` fixes it: then there is one step only.
            Expr::Selector(e) => {
                Ok(Intermediate::Vector(self.instant_selector(e, grid, crate::select::Give::Value)?))
            }
            Expr::Aggregate(e) => Ok(Intermediate::Vector(self.eval_aggregate(e, grid)?)),
            Expr::Binary(e) => self.eval_binary(e, grid),
            Expr::Call(e) => self.eval_call(e, grid),
            Expr::Matrix(_) | Expr::Subquery(_) => {
                Err(QueryError::Execution("a range vector cannot stand here".to_owned()))
            }
        }
    }

    /// A node that is known to give an instant vector.
    pub(crate) fn eval_vector(&self, expr: &Expr, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        vector_of(self.eval(expr, grid)?, expr)
    }

    /// As [`Evaluator::eval_vector`], of a node that is not taken from others.
    pub(crate) fn vector_alone(&self, expr: &Expr, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        vector_of(self.eval_alone(expr, grid)?, expr)
    }

    /// A node that is known to give a scalar.
    pub(crate) fn eval_scalar(&self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match self.eval(expr, grid)? {
            Intermediate::Scalar(values) => Ok(values),
            _ => Err(QueryError::Execution(format!("{expr} gives no scalar"))),
        }
    }
}

fn vector_of(value: Intermediate, expr: &Expr) -> Result<Vec<VectorSeries>, QueryError> {
    match value {
        Intermediate::Vector(series) => Ok(series),
        _ => Err(QueryError::Execution(format!("{expr} gives no instant vector"))),
    }
}

/// Samples and bytes of a value.
fn size(value: &Intermediate) -> (usize, usize) {
    match value {
        Intermediate::Vector(series) => series
            .iter()
            .fold((0, 0), |(samples, bytes), series| (samples + series.column.points(), bytes + series.bytes())),
        Intermediate::Scalar(values) => (values.len(), values.len() * size_of::<f64>()),
        Intermediate::String(text) => (1, text.value.len()),
    }
}

/// `-` before a vector.
pub(crate) fn negate(series: &mut VectorSeries) {
    series.drop_name = true;
    series.column.values.iter_mut().for_each(|value| *value = -*value);
    for histogram in series.column.histograms.iter_mut().flatten() {
        *histogram = Arc::new(crate::histogram::scale(histogram, -1.0));
    }
}

fn repeat(value: Intermediate, count: usize) -> Intermediate {
    match value {
        Intermediate::Scalar(values) => Intermediate::Scalar(vec![values.first().copied().unwrap_or(f64::NAN); count]),
        Intermediate::Vector(series) => Intermediate::Vector(
            series.into_iter().map(|series| VectorSeries { column: series.column.repeat(count), ..series }).collect(),
        ),
        value @ Intermediate::String(_) => value,
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr.unparenthesized(), Expr::Number(_) | Expr::String(_))
}

/// Functions whose value depends on the time of evaluation whatever their arguments are.
const TIME_DEPENDENT: [&str; 13] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "time",
    "timestamp",
    "year",
    "start_timestamp",
    "info",
];

/// True if the node gives the same at every step.
pub(crate) fn is_step_invariant(expr: &Expr) -> bool {
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        let is_fixed = match expr {
            Expr::Selector(e) => e.at.is_some(),
            Expr::Matrix(e) => e.selector.at.is_some(),
            // Whatever is inside.
            Expr::Subquery(e) if e.at.is_some() => continue,
            Expr::Subquery(_) => false,
            Expr::Call(e) => !TIME_DEPENDENT.contains(&e.function.as_str()),
            _ => true,
        };
        if !is_fixed {
            return false;
        }
        open.extend(expr.children());
    }
    true
}

fn check_extensions(expr: &Expr) -> Result<(), QueryError> {
    for expr in expr.nodes() {
        let Expr::Call(call) = expr else { continue };
        for arg in &call.args {
            if let Expr::Matrix(matrix) = arg.unparenthesized() {
                let (word, allowed): (_, &[&str]) = match matrix.selector.extension {
                    Extension::None => continue,
                    Extension::Anchored => ("anchored", &["changes", "delta", "increase", "rate", "resets"]),
                    Extension::Smoothed => ("smoothed", &["delta", "increase", "rate"]),
                };
                if !allowed.contains(&call.function.as_str()) {
                    return Err(QueryError::Execution(format!(
                        "{word} modifier can only be used with: {} - not with {}",
                        allowed.join(", "),
                        call.function
                    )));
                }
            }
        }
    }
    Ok(())
}

/// A vector of one series without labels.
pub(crate) fn unlabelled(column: Column) -> Vec<VectorSeries> {
    vec![VectorSeries { labels: model::Labels::empty(), drop_name: false, column }]
}
