//! The engine: options in, results out.

use crate::annotations::Annotations;
use crate::cache::ResultCache;
use crate::error::QueryError;
use crate::eval::{Evaluator, Times};
use crate::parallel::Helpers;
use crate::profile::Profile;
use crate::select::RangeSeries;
use crate::shared::SharedParts;
use crate::value::{At, Grid, Intermediate, MatrixSeries, Value, VectorSample, VectorSeries};
use model::{Labels, SampleValue};
use promql_syntax::{Expr, Features, ParseError, ValueType};
use std::{
    collections::BTreeMap,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU64},
    time::{Duration, Instant},
};
use storage::{Queryable, Samples};

/// Prometheus' limit on the points of a series in a range query.
pub(crate) const STEPS_MAX: usize = 11_000;

/// So many times a query that a deletion came into is evaluated anew.
const RUNS_ANEW_MAX: usize = 3;

/// Room for more samples than a query may hold, even where columns are mostly empty.
const MEMORY_BYTES_MAX: usize = 2 << 30;

/// What holds for all queries of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How old a sample may be to count for an instant selector.
    pub lookback_delta_ms: i64,
    /// How many samples a query may hold in memory at once.
    pub max_samples: usize,
    /// How many series the selectors of a query may read, all together; `None`: as many as there are.
    pub max_series: Option<usize>,
    /// How many bytes the intermediate results of a query may take at once.
    pub max_memory_bytes: usize,
    /// How long a query may take.
    pub timeout: Duration,
    /// Step of subqueries that name none.
    pub default_step_ms: i64,
    /// Whether `rate` and its relatives look at start timestamps where the storage has them.
    pub use_start_timestamps: bool,
    /// Whether names, where values mean something else now, go at the very end only, so that `label_replace` and `by` still
    /// see them; else they go where they lose their meaning.
    pub delayed_name_removal: bool,
    /// How many steps a range query may have.
    pub max_steps: usize,
    /// How many threads all queries of the engine may use beside those that call it; `None`: one less than the
    /// machine has cores.
    pub helper_threads: Option<usize>,
    /// What may stand in queries.
    pub features: Features,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            lookback_delta_ms: 300_000,
            max_samples: 50_000_000,
            max_series: None,
            max_memory_bytes: MEMORY_BYTES_MAX,
            timeout: Duration::from_secs(120),
            default_step_ms: 60_000,
            use_start_timestamps: true,
            delayed_name_removal: true,
            max_steps: STEPS_MAX,
            helper_threads: None,
            features: Features::ALL,
        }
    }
}

/// What holds for one query.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    /// Instead of the engine's.
    pub lookback_delta_ms: Option<i64>,
    /// Instead of the engine's, if shorter.
    pub timeout: Option<Duration>,
    /// Set to true to stop the query.
    pub cancel: Option<Arc<AtomicBool>>,
    /// Grows by the samples read while the query runs, for those who watch it.
    pub samples_read: Option<Arc<AtomicU64>>,
    /// Counts, step by step, the samples that the query has to look at, as Prometheus counts them. Costs some time.
    pub count_samples: bool,
    /// Takes steps of range queries from here, and puts them here, where the storage tells its history. Nothing is said
    /// in `stats` of the steps that were taken.
    pub cache: Option<Arc<ResultCache>>,
    /// What the query has in common with others, as [`Engine::share`] gives it for the same text, times and lookback. Not
    /// used while samples are counted.
    pub shared: Option<SharedParts>,
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueryStats {
    /// Samples read from the storage.
    pub samples_read: u64,
    /// Most samples in memory at once.
    pub samples_peak: u64,
    pub parse: Duration,
    pub evaluation: Duration,
    /// Evaluation of what was taken from other queries of a batch, which they spent.
    pub spared: Duration,
}

/// The result of a query.
#[derive(Clone, Debug, Default)]
pub struct QueryOutput {
    pub value: Value,
    /// Texts such as `PromQL warning: … (1:5)`.
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
    pub stats: QueryStats,
    /// Time of each step (Unix milliseconds) and samples looked at for it, with [`QueryOptions::count_samples`]; else empty.
    pub samples_by_step: Vec<(i64, u64)>,
}

/// Evaluates queries.
#[derive(Clone, Debug)]
pub struct Engine {
    options: EngineOptions,
    helpers: Helpers,
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new(EngineOptions::default())
    }
}

impl Engine {
    pub fn new(options: EngineOptions) -> Engine {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let helpers = Helpers::new(options.helper_threads.unwrap_or_else(|| cores() - 1));
        Engine { options, helpers }
    }

    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Reads a query, which may use what is switched on.
    ///
    /// # Errors
    /// As [`promql_syntax::parse_with`].
    pub fn parse(&self, query: &str) -> Result<Expr, ParseError> {
        promql_syntax::parse_with(query, self.options.features)
    }

    /// Evaluates a query at one time (Unix milliseconds).
    ///
    /// # Errors
    /// Every kind of [`QueryError`].
    pub fn instant(
        &self,
        storage: &dyn Queryable,
        query: &str,
        time_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        let begin = Instant::now();
        let expr = self.parse(query)?;
        let parse = begin.elapsed();
        let mut output = self.instant_expr(storage, &expr, query, time_ms, options)?;
        output.stats.parse = parse;
        Ok(output)
    }

    /// As [`Engine::instant`], of a parsed query; `query` is the text it was parsed from, for the places in
    /// annotations.
    ///
    /// # Errors
    /// Every kind of [`QueryError`]; `Parse` only for patterns that are no RE2.
    pub fn instant_expr(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        query: &str,
        time_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        let (grid, times) = instant_grid(time_ms);
        self.run(storage, expr, query, grid, times, options, None)
    }

    /// Evaluates a query at `start`, `start + step`, … up to `end` (Unix milliseconds).
    ///
    /// # Errors
    /// Every kind of [`QueryError`].
    pub fn range(
        &self,
        storage: &dyn Queryable,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        let begin = Instant::now();
        let expr = self.parse(query)?;
        let parse = begin.elapsed();
        let mut output = self.range_expr(storage, &expr, query, (start_ms, end_ms, step_ms), options)?;
        output.stats.parse = parse;
        Ok(output)
    }

    /// As [`Engine::range`], of a parsed query; `times_ms` is (start, end, step).
    ///
    /// # Errors
    /// As [`Engine::instant_expr`]; `Execution` also for a step that is not positive, an end before the
    /// start, too many steps, and expressions that give a string or a range vector.
    pub fn range_expr(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        query: &str,
        times_ms: (i64, i64, i64),
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        if let Some(cache) = &options.cache {
            return self.range_cached(cache, storage, expr, query, times_ms, options);
        }
        let (grid, times) = self.range_grid(expr, times_ms)?;
        self.run(storage, expr, query, grid, times, options, None)
    }

    /// As [`Engine::range_expr`], or [`Engine::instant_expr`] at the end where the step is 0, and notes what each node costs.
    pub(crate) fn run_profiled(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        query: &str,
        times_ms: (i64, i64, i64),
        options: &QueryOptions,
        profile: &Profile,
    ) -> Result<QueryOutput, QueryError> {
        let (grid, times) = match times_ms {
            (_, end, 0) => instant_grid(end),
            times_ms => self.range_grid(expr, times_ms)?,
        };
        self.run(storage, expr, query, grid, times, options, Some(profile))
    }

    /// The grid of a range query, if it may be evaluated on it.
    pub(crate) fn range_grid(&self, expr: &Expr, times_ms: (i64, i64, i64)) -> Result<(Grid, Times), QueryError> {
        let (start, end, step) = times_ms;
        let fail = |text: String| Err(QueryError::Execution(text));
        if step <= 0 {
            return fail(
                "zero or negative query resolution step widths are not accepted. Try a positive integer".into(),
            );
        }
        if end < start {
            return fail("end timestamp must not be before start time".to_owned());
        }
        if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
            return Err(QueryError::NotForRange(expr.value_type().describe()));
        }
        let Some(count) = end.checked_sub(start).and_then(|length| usize::try_from(length / step).ok()) else {
            return fail("time range is too long".to_owned());
        };
        if count >= self.options.max_steps {
            return fail(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                self.options.max_steps
            ));
        }
        Ok((Grid { start, step, count: count + 1 }, Times { start, end, step, instant: false }))
    }

    /// Evaluates a query, and anew where something was deleted between two of its reads: it sees all of a deletion or nothing.
    #[allow(clippy::too_many_arguments)]
    fn run(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        query: &str,
        grid: Grid,
        times: Times,
        options: &QueryOptions,
        profile: Option<&Profile>,
    ) -> Result<QueryOutput, QueryError> {
        let begin = Instant::now();
        let deletions = storage.deletions();
        let mut output = self.run_once(storage, expr, query, grid, times, options, profile)?;
        let (mut reads, mut seen) = (0, deletions);
        expr.visit_selectors(&mut |_| reads += 1);
        // Of one read the storage takes care.
        for _ in 0..RUNS_ANEW_MAX {
            let now = storage.deletions();
            if reads < 2 || now == seen || profile.is_some() {
                break;
            }
            seen = now;
            let limit = options.timeout.map_or(self.options.timeout, |timeout| timeout.min(self.options.timeout));
            // What others kept may be older.
            let options =
                QueryOptions { timeout: Some(limit.saturating_sub(begin.elapsed())), shared: None, ..options.clone() };
            output = self.run_once(storage, expr, query, grid, times, &options, profile)?;
            output.stats.evaluation = begin.elapsed();
        }
        Ok(output)
    }

    #[allow(clippy::too_many_arguments)]
    fn run_once(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        query: &str,
        grid: Grid,
        times: Times,
        options: &QueryOptions,
        profile: Option<&Profile>,
    ) -> Result<QueryOutput, QueryError> {
        let begin = Instant::now();
        let annotations = Annotations::default();
        let mut evaluator =
            Evaluator::new(storage, &self.options, options, times, &annotations, &self.helpers, profile);
        if options.count_samples {
            evaluator.counts.begin(grid.count);
        } else if profile.is_none() {
            // A profile tells what each place costs, and what is shared would be counted once.
            evaluator.share_parts_of(expr, query, options.shared.as_ref());
        }
        evaluator.check_selectors(expr, query)?;
        let value = if expr.value_type() == ValueType::Matrix {
            let series = evaluator.range_vector(expr, grid)?;
            matrix_of_ranges(series, grid, &evaluator, expr)?
        } else {
            let value = evaluator.eval(expr, grid)?;
            if times.instant { instant_value(value, grid)? } else { range_value(value, grid)? }
        };
        let (warnings, infos) = annotations.finish(query);
        let mut stats = evaluator.stats();
        stats.evaluation = begin.elapsed();
        let samples_by_step: Vec<(i64, u64)> = std::mem::take(&mut evaluator.counts)
            .take()
            .map_or_else(Vec::new, |counts| grid.times().zip(counts).collect());
        Ok(QueryOutput { value, warnings, infos, stats, samples_by_step })
    }
}

fn instant_grid(time_ms: i64) -> (Grid, Times) {
    let grid = Grid { start: time_ms, step: 0, count: 1 };
    (grid, Times { start: time_ms, end: time_ms, step: 0, instant: true })
}

/// Takes the names off that are to go, and joins what has the same labels now.
pub(crate) fn finish_names(series: Vec<VectorSeries>) -> Result<Vec<VectorSeries>, QueryError> {
    if !series.iter().any(|series| series.drop_name) {
        return Ok(series);
    }
    let mut out: Vec<VectorSeries> = Vec::with_capacity(series.len());
    let mut places: BTreeMap<Labels, usize> = BTreeMap::new();
    for mut one in series {
        if one.drop_name {
            one.labels = without_metadata(&one.labels);
            one.drop_name = false;
        }
        match places.get(&one.labels) {
            None => {
                places.insert(one.labels.clone(), out.len());
                out.push(one);
            }
            Some(&place) => merge_into(&mut out[place], &one)?,
        }
    }
    Ok(out)
}

/// Adds the points of `from`; a step that has one already makes the query fail.
pub(crate) fn merge_into(into: &mut VectorSeries, from: &VectorSeries) -> Result<(), QueryError> {
    for step in 0..from.column.kinds.len() {
        if !from.column.is_present(step) {
            continue;
        }
        if into.column.is_present(step) {
            return Err(QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned()));
        }
        into.column.copy_from(step, &from.column);
    }
    Ok(())
}

/// Labels without the metric's name, type and unit: what stays of a series whose values mean something else now.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    labels.without(&["__name__", "__type__", "__unit__"])
}

fn instant_value(value: Intermediate, grid: Grid) -> Result<Value, QueryError> {
    Ok(match value {
        Intermediate::Scalar(values) => Value::Scalar(values.first().copied().unwrap_or(f64::NAN)),
        Intermediate::String(text) => Value::String(text.value),
        Intermediate::Vector(series) => Value::Vector(
            finish_names(series)?
                .into_iter()
                .filter_map(|series| {
                    let value = match series.column.get(0)? {
                        At::Float(value) => SampleValue::Float(value),
                        At::Histogram(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
                    };
                    Some(VectorSample { labels: series.labels, timestamp_ms: grid.start, value })
                })
                .collect(),
        ),
    })
}

fn range_value(value: Intermediate, grid: Grid) -> Result<Value, QueryError> {
    let series = match value {
        Intermediate::Scalar(values) => {
            let column = crate::value::Column::from_floats(values);
            vec![VectorSeries { labels: Labels::empty(), drop_name: false, column }]
        }
        Intermediate::Vector(series) => finish_names(series)?,
        Intermediate::String(_) => {
            return Err(QueryError::Execution("a range query cannot give a string".to_owned()));
        }
    };
    let times: Vec<i64> = grid.times().collect();
    let mut out: Vec<MatrixSeries> = (series.into_iter())
        .map(|series| {
            if series.column.is_all_floats() {
                let samples = Samples { timestamps: times.clone(), values: series.column.values, ..Samples::default() };
                return MatrixSeries { labels: series.labels, samples };
            }
            let mut samples = Samples::default();
            for step in 0..grid.count {
                match series.column.get(step) {
                    None => {}
                    Some(At::Float(value)) => samples.push_float(grid.time(step), value),
                    Some(At::Histogram(histogram)) => samples.push_histogram(grid.time(step), Arc::clone(histogram)),
                }
            }
            MatrixSeries { labels: series.labels, samples }
        })
        .filter(|series| !series.samples.is_empty())
        .collect();
    out.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Value::Matrix(out))
}

/// Joins neighbours that have the same labels now that names are gone, if no time is in both.
fn join_equal(series: Vec<MatrixSeries>) -> Result<Vec<MatrixSeries>, QueryError> {
    let mut out: Vec<MatrixSeries> = Vec::with_capacity(series.len());
    for one in series {
        let Some(last) = out.last_mut().filter(|last| last.labels == one.labels) else {
            out.push(one);
            continue;
        };
        let wanted = last.samples.len() + one.samples.len();
        let parts = vec![std::mem::take(&mut last.samples), one.samples];
        storage::fanout::merge_samples(parts, &mut last.samples);
        if last.samples.len() < wanted {
            return Err(QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned()));
        }
    }
    Ok(out)
}

/// An instant query of a range vector gives the samples themselves.
fn matrix_of_ranges(
    series: Vec<RangeSeries>,
    grid: Grid,
    evaluator: &Evaluator<'_>,
    expr: &Expr,
) -> Result<Value, QueryError> {
    let window = evaluator.window_bounds(expr, grid.start)?;
    let is_subquery = matches!(expr.unparenthesized(), Expr::Subquery(_));
    if let Some(counts) = evaluator.counting().filter(|_| is_subquery) {
        counts.add(0, evaluator.counts.in_subquery());
    }
    let mut out = Vec::with_capacity(series.len());
    for one in series {
        let view = one.window(window.start, window.end);
        let mut samples = Samples::default();
        let (mut f, mut h) = (0, 0);
        while f < view.float_times.len() || h < view.histogram_times.len() {
            let float_first = match (view.float_times.get(f), view.histogram_times.get(h)) {
                (Some(a), Some(b)) => a < b,
                (a, _) => a.is_some(),
            };
            if float_first {
                samples.push_float(view.float_times[f], view.floats[f]);
                f += 1;
            } else {
                samples.push_histogram(view.histogram_times[h], Arc::clone(&view.histograms[h]));
                h += 1;
            }
        }
        // Of a subquery counts what was looked at for it.
        if let Some(counts) = evaluator.counting().filter(|_| !is_subquery) {
            counts.add_window(0, &view);
        }
        let labels = if one.drop_name { without_metadata(&one.labels) } else { one.labels };
        if !samples.is_empty() {
            out.push(MatrixSeries { labels, samples });
        }
    }
    out.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Value::Matrix(join_equal(out)?))
}
