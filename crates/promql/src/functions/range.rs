//! Functions of a range vector: one result for each window.

use super::{over_time, rate};
use crate::aggregate::bad_quantile;
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::kernels::{Kernel, WORK_UNWATCHED};
use crate::layout::Layouts;
use crate::select::{Cursor, RangeSeries, RangeTimes, Window, drop_stale};
use crate::value::{Column, Grid, Kind, VectorSeries};
use model::{Labels, SampleValue};
use promql_syntax::{Call, Expr, Extension, MatrixSelector, Span, ValueType};
use storage::Samples;

/// What a range function sees besides the window.
pub(crate) struct RangeContext<'a, 'b> {
    pub(crate) evaluator: &'a Evaluator<'b>,
    pub(crate) function: &'a str,
    pub(crate) metric: &'a str,
    /// Place of the range argument.
    pub(crate) span: Span,
    pub(crate) range_start: i64,
    pub(crate) range_end: i64,
    /// Time of the evaluation.
    pub(crate) time: i64,
    /// Scalar arguments at this step.
    pub(crate) params: [f64; 2],
    /// True for matrix selectors, false for subqueries.
    pub(crate) anchored: bool,
    pub(crate) smoothed: bool,
}

impl RangeContext<'_, '_> {
    pub(crate) fn warn_mixed_types(&self) {
        self.evaluator.warn_mixed_types(self.metric, self.span);
    }

    pub(crate) fn warn(&self, text: &str) {
        self.evaluator.annotations.warn(self.span, format!("{text}{}", model::labels::quote(self.metric)));
    }

    pub(crate) fn info(&self, text: &str) {
        self.evaluator.annotations.info(self.span, text);
    }

    pub(crate) fn info_ignored_histograms(&self) {
        let metric = model::labels::quote(self.metric);
        let text =
            format!("ignored histograms in a range containing both floats and histograms for metric name {metric}");
        self.evaluator.annotations.info(self.span, text);
    }

    pub(crate) fn range_seconds(&self) -> f64 {
        (self.range_end - self.range_start) as f64 / 1000.0
    }
}

/// As Go's `%f`.
fn with_six_digits(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { model::float::format_float(value) }
}

type RangeFunction = fn(&RangeContext<'_, '_>, &Window<'_>) -> Option<SampleValue>;

fn range_function(name: &str) -> Option<RangeFunction> {
    Some(match name {
        "rate" | "increase" | "delta" => rate::extrapolated,
        "irate" | "idelta" => rate::instant,
        "resets" => rate::resets,
        "changes" => rate::changes,
        "deriv" => over_time::deriv,
        "predict_linear" => over_time::predict_linear,
        "double_exponential_smoothing" => over_time::double_exponential_smoothing,
        "avg_over_time" => over_time::avg,
        "sum_over_time" => over_time::sum,
        "count_over_time" => over_time::count,
        "min_over_time" => over_time::min,
        "max_over_time" => over_time::max,
        "first_over_time" => over_time::first,
        "last_over_time" => over_time::last,
        "present_over_time" => over_time::present,
        "quantile_over_time" => over_time::quantile,
        "stddev_over_time" => over_time::stddev,
        "stdvar_over_time" => over_time::stdvar,
        "mad_over_time" => over_time::mad,
        "ts_of_first_over_time" => over_time::ts_of_first,
        "ts_of_last_over_time" => over_time::ts_of_last,
        "ts_of_max_over_time" => over_time::ts_of_max,
        "ts_of_min_over_time" => over_time::ts_of_min,
        _ => return None,
    })
}

pub(crate) fn is_range_function(name: &str) -> bool {
    range_function(name).is_some()
}

/// True for range functions whose values mean what the samples mean.
pub(crate) fn keeps_name(function: &str) -> bool {
    matches!(function, "last_over_time" | "first_over_time")
}

/// The range selector that a range function is called with; `None` for subqueries and other functions.
pub(crate) fn matrix_argument(e: &Call) -> Option<&MatrixSelector> {
    range_function(&e.function)?;
    e.args.iter().find_map(|arg| match arg.unparenthesized() {
        Expr::Matrix(matrix) => Some(matrix),
        _ => None,
    })
}

/// A call of a range function, ready for the series.
pub(crate) struct RangePlan<'e> {
    call: &'e Call,
    function: RangeFunction,
    /// The quick way for series of floats.
    kernel: Option<Kernel>,
    grid: Grid,
    times: RangeTimes,
    /// Scalar arguments, by step.
    params: Vec<Vec<f64>>,
    /// Place of the range argument.
    span: Span,
    anchored: bool,
    smoothed: bool,
    /// How far beyond the window samples are looked for.
    lookback: i64,
    keeps_name: bool,
    /// Warn where the name is not that of a counter.
    notes_counters: bool,
}

impl<'e> RangePlan<'e> {
    pub(crate) fn times(&self) -> &RangeTimes {
        &self.times
    }

    /// For the series that one thread evaluates.
    pub(crate) fn layouts(&self) -> Layouts {
        Layouts::new(self.grid, self.times)
    }

    /// The results for one series of a selector, if there are any. `layouts` are this plan's.
    pub(crate) fn evaluate(
        &self,
        evaluator: &Evaluator<'_>,
        labels: &Labels,
        samples: &mut Samples,
        layouts: &mut Layouts,
    ) -> Result<Option<VectorSeries>, QueryError> {
        let kernel = self.kernel.filter(|_| samples.histograms.is_empty() && evaluator.counting().is_none());
        let Some(kernel) = kernel.filter(|kernel| samples.tiers.is_empty() || !kernel.uses_tiers()).filter(|kernel| {
            samples.start_timestamps.is_empty() || !kernel.uses_starts() || !evaluator.use_start_timestamps()
        }) else {
            let series = RangeSeries::from_samples(labels.clone(), samples);
            return if series.len() == 0 { Ok(None) } else { self.evaluate_windows(evaluator, series) };
        };
        drop_stale(samples);
        let mut column = Column::empty(self.grid.count);
        kernel.run(&samples.timestamps, &samples.values, layouts, &mut column, &|| evaluator.check_time().is_err());
        // A kernel that was stopped has not seen all.
        evaluator.check_time()?;
        if self.notes_counters && !column.is_empty() {
            evaluator.note_counter_name(labels, self.span);
        }
        Ok(self.finish(labels.clone(), false, column))
    }

    /// The results for one series of a range vector of either kind.
    pub(crate) fn evaluate_range(
        &self,
        evaluator: &Evaluator<'_>,
        series: RangeSeries,
        layouts: &mut Layouts,
    ) -> Result<Option<VectorSeries>, QueryError> {
        let Some(kernel) = self.kernel.filter(|kernel| {
            evaluator.counting().is_none()
                && series.is_floats()
                && series.float_starts.is_empty()
                && (!series.is_tiered() || !kernel.uses_tiers())
        }) else {
            return self.evaluate_windows(evaluator, series);
        };
        let mut column = Column::empty(self.grid.count);
        kernel.run(&series.float_times, &series.floats, layouts, &mut column, &|| evaluator.check_time().is_err());
        evaluator.check_time()?;
        if self.notes_counters && !column.is_empty() {
            evaluator.note_counter_name(&series.labels, self.span);
        }
        Ok(self.finish(series.labels, series.drop_name, column))
    }

    /// The general way: every window on its own.
    fn evaluate_windows(
        &self,
        evaluator: &Evaluator<'_>,
        series: RangeSeries,
    ) -> Result<Option<VectorSeries>, QueryError> {
        let mut column = Column::empty(self.grid.count);
        let metric = series.labels.metric_name().to_owned();
        let (mut cursor, mut work) = (Cursor::default(), 0);
        let after = if self.smoothed { self.lookback } else { 0 };
        let interpolates = !self.anchored && matches!(self.call.function.as_str(), "rate" | "increase" | "delta");
        let coarsest_ms = if interpolates { series.coarsest_ms() } else { 0 };
        for step in 0..self.grid.count {
            let bounds = self.times.bounds(self.grid.time(step));
            let tiered = if coarsest_ms > 0 { series.tiered_window(bounds, coarsest_ms) } else { None };
            let (window, smoothed) = match tiered {
                // Its samples are too far apart for a guess at the ends of the range; but there are some around them.
                Some(window) => (window, true),
                None => {
                    let (start, end) = (bounds.start.saturating_sub(self.lookback), bounds.end.saturating_add(after));
                    (series.next_window(&mut cursor, start, end), self.smoothed)
                }
            };
            if window.is_empty() {
                continue;
            }
            work += window.floats.len() + window.histograms.len();
            if let Some(counts) = evaluator.counting() {
                counts.add_window(step, &window);
            }
            if work > WORK_UNWATCHED {
                evaluator.check_time()?;
                work = 0;
            }
            let param = |index: usize| self.params.get(index).map_or(0.0, |values| values[step]);
            self.check_params(evaluator, [param(0), param(1)], &window)?;
            let context = RangeContext {
                evaluator,
                function: &self.call.function,
                metric: &metric,
                span: self.span,
                range_start: bounds.start,
                range_end: bounds.end,
                time: self.grid.time(step),
                params: [param(0), param(1)],
                anchored: self.anchored,
                smoothed,
            };
            if let Some(value) = (self.function)(&context, &window) {
                column.set(step, value);
            }
        }
        if self.notes_counters && column.kinds.contains(&Kind::Float) {
            evaluator.note_counter_name(&series.labels, self.span);
        }
        Ok(self.finish(series.labels, series.drop_name, column))
    }

    /// What can be wrong with the scalar arguments, which matters only where there are samples.
    fn check_params(&self, evaluator: &Evaluator<'_>, params: [f64; 2], window: &Window<'_>) -> Result<(), QueryError> {
        match self.call.function.as_str() {
            "quantile_over_time" if !window.floats.is_empty() && !(0.0..=1.0).contains(&params[0]) => {
                evaluator.annotations.warn(self.call.args[0].span(), bad_quantile(params[0]));
            }
            "double_exponential_smoothing" => {
                for (value, (what, sign)) in params.into_iter().zip([("smoothing", "sf"), ("trend", "tf")]) {
                    if value <= 0.0 || value >= 1.0 {
                        let text =
                            format!("invalid {what} factor. Expected: 0 < {sign} < 1, got: {}", with_six_digits(value));
                        return Err(QueryError::Execution(text));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&self, labels: Labels, drop_name: bool, column: Column) -> Option<VectorSeries> {
        if column.is_empty() {
            return None;
        }
        Some(VectorSeries { labels, drop_name: drop_name || !self.keeps_name, column })
    }
}

/// Where notes about a call point to in Prometheus: its first argument, or the start of the query for a subquery.
fn note_span(e: &Call, range_arg: &Expr) -> Span {
    match range_arg.unparenthesized() {
        Expr::Subquery(_) if matches!(e.args.first().map(Expr::unparenthesized), Some(Expr::Subquery(_))) => {
            Span::default()
        }
        _ => e.args.first().map_or(range_arg.span(), Expr::span),
    }
}

impl Evaluator<'_> {
    /// Works out everything about a call of a range function that is the same for all series.
    pub(crate) fn range_plan<'e>(&self, e: &'e Call, grid: Grid) -> Result<RangePlan<'e>, QueryError> {
        let Some(function) = range_function(&e.function) else {
            return Err(QueryError::Execution(format!("function {} is unknown", e.function)));
        };
        let Some(position) = e.args.iter().position(|arg| arg.value_type() == ValueType::Matrix) else {
            return Err(QueryError::Execution(format!("{} needs a range vector", e.function)));
        };
        let range_arg = &e.args[position];
        let mut params = Vec::new();
        for (index, arg) in e.args.iter().enumerate() {
            if index != position {
                params.push(self.eval_scalar(arg, grid)?);
            }
        }
        let times = self.range_times(range_arg)?;
        let (anchored, smoothed, lookback) = match range_arg.unparenthesized() {
            Expr::Matrix(matrix) => match matrix.selector.extension {
                Extension::None => (false, false, 0),
                Extension::Anchored => (true, false, self.lookback),
                Extension::Smoothed => (false, true, self.lookback),
            },
            _ => (false, false, 0),
        };
        Ok(RangePlan {
            call: e,
            function,
            kernel: if anchored || smoothed { None } else { Kernel::of(&e.function) },
            grid,
            times,
            params,
            span: note_span(e, range_arg),
            anchored,
            smoothed,
            lookback,
            keeps_name: keeps_name(&e.function),
            notes_counters: matches!(e.function.as_str(), "rate" | "increase"),
        })
    }

    /// A range function of a subquery, or of a selector that is the same at all steps.
    pub(crate) fn range_call(&self, e: &Call, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        let plan = self.range_plan(e, grid)?;
        let Some(range_arg) = e.args.iter().find(|arg| arg.value_type() == ValueType::Matrix) else {
            return Err(QueryError::Execution(format!("{} needs a range vector", e.function)));
        };
        let (mut out, mut layouts) = (Vec::new(), plan.layouts());
        self.each_range(range_arg, grid, &e.function, |series| {
            if let Some(series) = plan.evaluate_range(self, series, &mut layouts)? {
                self.count_live_series(&series)?;
                out.push(series);
            }
            Ok(())
        })?;
        Ok(out)
    }

    fn note_counter_name(&self, labels: &Labels, span: Span) {
        let name = labels.metric_name();
        if let Some(kind) = labels.get("__type__") {
            if kind != "counter" && kind != "histogram" && !name.is_empty() {
                let quoted = model::labels::quote(name);
                let text = format!(
                    "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got \"{kind}\": {quoted}"
                );
                self.annotations.info(span, text);
            }
            return;
        }
        let counts = ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
        if !name.is_empty() && !counts {
            let quoted = model::labels::quote(name);
            let text =
                format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {quoted}");
            self.annotations.info(span, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EngineOptions, QueryOptions, annotations::Annotations, eval::Times, parallel::Helpers};
    use proptest::prelude::*;
    use storage::memory::MemoryStorage;

    const FUNCTIONS: [&str; 15] = [
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "resets",
        "changes",
        "sum_over_time",
        "avg_over_time",
        "count_over_time",
        "min_over_time",
        "max_over_time",
        "first_over_time",
        "last_over_time",
        "present_over_time",
    ];

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (0..50).prop_map(f64::from),
            2 => -1e3..1e3,
            1 => Just(f64::NAN),
            1 => Just(-0.0),
            1 => Just(f64::INFINITY),
            1 => Just(1e308),
            1 => Just(9_007_199_254_740_991.0),
        ]
    }

    proptest! {
        #[test]
        fn kernels_give_the_bits_of_the_general_functions(
            values in proptest::collection::vec((1_i64..40, value()), 0..120),
            whole in any::<bool>(),
            range in 1_i64..60,
            step in 1_i64..30,
            function in 0..FUNCTIONS.len(),
        ) {
            let mut series = RangeSeries::default();
            let mut at = 0;
            for (gap, value) in values {
                at += gap * 500;
                series.float_times.push(at);
                series.floats.push(if whole { value.abs().min(1000.0).trunc() } else { value });
            }
            let text = format!("{}(m[{range}s])", FUNCTIONS[function]);
            let Expr::Call(call) = promql_syntax::parse(&text).unwrap() else { panic!("{text} is no call") };
            let grid = Grid { start: -5_000, step: step * 500, count: 100 };
            let times = Times { start: grid.start, end: grid.end(), step: grid.step, instant: false };
            let (storage, annotations, helpers) = (MemoryStorage::new(), Annotations::default(), Helpers::new(0));
            let (engine, options) = (EngineOptions::default(), QueryOptions::default());
            let evaluator = Evaluator::new(&storage, &engine, &options, times, &annotations, &helpers, None);
            let quick = evaluator.range_plan(&call, grid).unwrap();
            let slow = RangePlan { kernel: None, ..evaluator.range_plan(&call, grid).unwrap() };
            prop_assert!(quick.kernel.is_some());
            let bits = |series: Option<VectorSeries>| {
                let Some(series) = series else { return Vec::new() };
                let column = series.column;
                (0..grid.count).map(|step| column.is_present(step).then(|| column.values[step].to_bits())).collect()
            };
            // What was laid out for other series, before and in between, changes nothing.
            let mut layouts = quick.layouts();
            for shift in [0, 250, 500, 750, 1_000, 0] {
                let mut other = series.clone();
                other.float_times.iter_mut().for_each(|time| *time += shift);
                quick.evaluate_range(&evaluator, other, &mut layouts).unwrap();
            }
            let (quick, slow) = (
                quick.evaluate_range(&evaluator, series.clone(), &mut layouts).unwrap(),
                slow.evaluate_range(&evaluator, series, &mut slow.layouts()).unwrap(),
            );
            prop_assert_eq!(bits(quick), bits(slow), "{}", text);
        }
    }
}
