//! Functions: who evaluates what.

mod classic;
mod info;
mod label;
mod over_time;
mod rate;
mod time;

use crate::error::QueryError;
use crate::eval::{Evaluator, unlabelled};
use crate::select::{Cursor, Give, Window};
use crate::value::{At, Column, Grid, Intermediate, VectorSeries};
use model::{Labels, SampleValue};
use promql_syntax::{Call, Expr, Span};
use std::{cmp::Ordering, sync::Arc};

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

fn math_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

impl Evaluator<'_> {
    pub(crate) fn eval_call(&self, e: &Call, grid: Grid) -> Result<Intermediate, QueryError> {
        let name = e.function.as_str();
        if let Some(function) = range_function(name) {
            return Ok(Intermediate::Vector(self.range_call(e, function, grid)?));
        }
        if let Some(function) = math_function(name) {
            return Ok(Intermediate::Vector(map_floats(self.eval_vector(&e.args[0], grid)?, |_, v| function(v))));
        }
        if let Some(value) = self.histogram_call(e, grid)? {
            return Ok(Intermediate::Vector(value));
        }
        let scalar = |value: f64| Ok(Intermediate::Scalar(vec![value; grid.count]));
        let arg = |index: usize| self.eval_vector(&e.args[index], grid);
        let number = |index: usize| self.eval_scalar(&e.args[index], grid);
        Ok(match name {
            "pi" => return scalar(std::f64::consts::PI),
            "start" => return scalar(self.times.start as f64 / 1000.0),
            "end" => return scalar(self.times.end as f64 / 1000.0),
            "step" => return scalar(self.times.step as f64 / 1000.0),
            "range" => return scalar((self.times.end - self.times.start) as f64 / 1000.0),
            "time" => Intermediate::Scalar(grid.times().map(|time| time as f64 / 1000.0).collect()),
            "min_of" | "max_of" => {
                let choose = |(a, b): (f64, f64)| {
                    if a.is_nan() || b.is_nan() {
                        f64::NAN
                    } else if name == "min_of" {
                        a.min(b)
                    } else {
                        a.max(b)
                    }
                };
                Intermediate::Scalar(number(0)?.into_iter().zip(number(1)?).map(choose).collect())
            }
            "scalar" => Intermediate::Scalar(to_scalar(&arg(0)?, grid)),
            "vector" => Intermediate::Vector(unlabelled(Column::from_floats(number(0)?))),
            "clamp" => {
                let (low, high) = (number(1)?, number(2)?);
                let mut series = map_floats(arg(0)?, |step, v| {
                    if v.is_nan() || low[step].is_nan() || high[step].is_nan() {
                        f64::NAN
                    } else {
                        v.min(high[step]).max(low[step])
                    }
                });
                for one in &mut series {
                    for step in (0..grid.count).filter(|&step| low[step] > high[step]) {
                        one.column.clear(step);
                    }
                }
                series.retain(|series| !series.column.is_empty());
                Intermediate::Vector(series)
            }
            "clamp_max" | "clamp_min" => {
                let bound = number(1)?;
                Intermediate::Vector(map_floats(arg(0)?, |step, v| {
                    let bound = bound[step];
                    if v.is_nan() || bound.is_nan() {
                        f64::NAN
                    } else if name == "clamp_max" {
                        v.min(bound)
                    } else {
                        v.max(bound)
                    }
                }))
            }
            "round" => {
                let to = if e.args.len() > 1 { number(1)? } else { vec![1.0; grid.count] };
                // Dividing by the inverse keeps `round(x, 0.1)` exact.
                Intermediate::Vector(map_floats(arg(0)?, |step, v| {
                    let inverse = 1.0 / to[step];
                    (v * inverse + 0.5).floor() / inverse
                }))
            }
            "absent" => self.absent(e, grid)?,
            "absent_over_time" => self.absent_over_time(e, grid)?,
            "timestamp" | "start_timestamp" => {
                let give = if name == "timestamp" { Give::Timestamp } else { Give::StartTimestamp };
                Intermediate::Vector(match e.args[0].unparenthesized() {
                    Expr::Selector(selector) => {
                        let mut series = self.instant_selector(selector, grid, give)?;
                        series.iter_mut().for_each(|series| series.drop_name = true);
                        series
                    }
                    _ if name == "timestamp" => {
                        let mut series = arg(0)?;
                        for one in &mut series {
                            one.drop_name = true;
                            for step in (0..grid.count).filter(|&step| one.column.is_present(step)).collect::<Vec<_>>()
                            {
                                one.column.set_float(step, grid.time(step) as f64 / 1000.0);
                            }
                        }
                        series
                    }
                    // Only stored samples have a start.
                    _ => Vec::new(),
                })
            }
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                if !self.times.instant {
                    let text = "sort is ineffective for range queries since results are always ordered by labels";
                    self.annotations.warn(e.span, text);
                }
                let labels = self.string_args(e, 1)?;
                Intermediate::Vector(sort(name, &labels, arg(0)?))
            }
            "label_replace" => Intermediate::Vector(self.label_replace(e, grid)?),
            "label_join" => Intermediate::Vector(self.label_join(e, grid)?),
            "info" => Intermediate::Vector(self.info(e, grid)?),
            _ => match time::date_part(name) {
                Some(part) if e.args.is_empty() => {
                    let values = grid.times().map(|time| part(time as f64 / 1000.0)).collect();
                    Intermediate::Vector(unlabelled(Column::from_floats(values)))
                }
                Some(part) => Intermediate::Vector(map_floats(arg(0)?, |_, v| part(v))),
                None => return Err(QueryError::Execution(format!("function {name} is unknown"))),
            },
        })
    }

    fn range_call(&self, e: &Call, function: RangeFunction, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        let Some(position) = e.args.iter().position(|arg| arg.value_type() == promql_syntax::ValueType::Matrix) else {
            return Err(QueryError::Execution(format!("{} needs a range vector", e.function)));
        };
        let range_arg = &e.args[position];
        let mut params = Vec::new();
        for (index, arg) in e.args.iter().enumerate() {
            if index != position {
                params.push(self.eval_scalar(arg, grid)?);
            }
        }
        if e.function == "quantile_over_time" {
            for q in params[0].iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                let text = format!("quantile value should be between 0 and 1, got {}", model::float::format_float(*q));
                self.annotations.warn(e.args[0].span(), text);
            }
        }
        if e.function == "double_exponential_smoothing" {
            for (index, what) in ["smoothing", "trend"].into_iter().enumerate() {
                if let Some(bad) = params[index].iter().find(|v| **v <= 0.0 || **v >= 1.0) {
                    let text = format!("invalid {what} factor. Expected: 0 < {} < 1, got: {bad}", &what[..1]);
                    return Err(QueryError::Execution(text));
                }
            }
        }
        let times = self.range_times(range_arg)?;
        let (anchored, smoothed, lookback) = match range_arg.unparenthesized() {
            Expr::Matrix(matrix) => match matrix.selector.extension {
                promql_syntax::Extension::None => (false, false, 0),
                promql_syntax::Extension::Anchored => (true, false, self.lookback),
                promql_syntax::Extension::Smoothed => (false, true, self.lookback),
            },
            _ => (false, false, 0),
        };
        let keeps_name = matches!(e.function.as_str(), "last_over_time" | "first_over_time");
        let mut out = Vec::new();
        self.each_range(range_arg, grid, &e.function, |series| {
            let mut column = Column::empty(grid.count);
            let metric = series.labels.metric_name().to_owned();
            let (mut any_float, mut cursor) = (false, Cursor::default());
            for step in 0..grid.count {
                let bounds = times.bounds(grid.time(step));
                let after = if smoothed { lookback } else { 0 };
                let window = series.next_window(
                    &mut cursor,
                    bounds.start.saturating_sub(lookback),
                    bounds.end.saturating_add(after),
                );
                if window.is_empty() {
                    continue;
                }
                any_float |= !window.floats.is_empty();
                let param = |index: usize| params.get(index).map_or(0.0, |values| values[step]);
                let context = RangeContext {
                    evaluator: self,
                    function: &e.function,
                    metric: &metric,
                    span: range_arg.span(),
                    range_start: bounds.start,
                    range_end: bounds.end,
                    time: grid.time(step),
                    params: [param(0), param(1)],
                    anchored,
                    smoothed,
                };
                if let Some(value) = function(&context, &window) {
                    column.set(step, value);
                }
            }
            if any_float && matches!(e.function.as_str(), "rate" | "increase") {
                self.note_counter_name(&series.labels, range_arg.span());
            }
            if !column.is_empty() {
                self.count_live(column.points())?;
                let drop_name = series.drop_name || !keeps_name;
                out.push(VectorSeries { labels: series.labels, drop_name, column });
            }
            Ok(())
        })?;
        Ok(out)
    }

    fn note_counter_name(&self, labels: &Labels, span: Span) {
        let name = labels.metric_name();
        let quoted = model::labels::quote(name);
        if let Some(kind) = labels.get("__type__") {
            if kind != "counter" && kind != "histogram" && !name.is_empty() {
                let text = format!(
                    "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got \"{kind}\": {quoted}"
                );
                self.annotations.info(span, text);
            }
            return;
        }
        let counts = ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
        if !name.is_empty() && !counts {
            let text =
                format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {quoted}");
            self.annotations.info(span, text);
        }
    }

    pub(crate) fn string_args(&self, e: &Call, from: usize) -> Result<Vec<String>, QueryError> {
        (e.args.iter().skip(from))
            .map(|arg| match arg.unparenthesized() {
                Expr::String(text) => Ok(text.value.clone()),
                other => Err(QueryError::Execution(format!("{other} is no string"))),
            })
            .collect()
    }

    fn absent(&self, e: &Call, grid: Grid) -> Result<Intermediate, QueryError> {
        let input = self.eval_vector(&e.args[0], grid)?;
        let labels = match e.args[0].unparenthesized() {
            Expr::Selector(selector) => crate::select::fixed_labels(selector),
            _ => Labels::empty(),
        };
        let mut column = Column::empty(grid.count);
        for step in 0..grid.count {
            if !input.iter().any(|series| series.column.is_present(step)) {
                column.set_float(step, 1.0);
            }
        }
        Ok(Intermediate::Vector(only_filled(labels, column)))
    }

    fn absent_over_time(&self, e: &Call, grid: Grid) -> Result<Intermediate, QueryError> {
        let labels = match e.args[0].unparenthesized() {
            Expr::Matrix(matrix) => crate::select::fixed_labels(&matrix.selector),
            _ => Labels::empty(),
        };
        let times = self.range_times(&e.args[0])?;
        let mut column = Column::from_floats(vec![1.0; grid.count]);
        self.each_range(&e.args[0], grid, "absent_over_time", |series| {
            for step in 0..grid.count {
                let bounds = times.bounds(grid.time(step));
                if !series.window(bounds.start, bounds.end).is_empty() {
                    column.clear(step);
                }
            }
            Ok(())
        })?;
        Ok(Intermediate::Vector(only_filled(labels, column)))
    }
}

fn only_filled(labels: Labels, column: Column) -> Vec<VectorSeries> {
    if column.is_empty() { Vec::new() } else { vec![VectorSeries { labels, drop_name: false, column }] }
}

/// Floats changed one by one; histograms vanish.
pub(crate) fn map_floats(series: Vec<VectorSeries>, f: impl Fn(usize, f64) -> f64) -> Vec<VectorSeries> {
    let mut out = Vec::with_capacity(series.len());
    for mut one in series {
        one.drop_name = true;
        for step in 0..one.column.kinds.len() {
            match one.column.get(step) {
                Some(At::Float(value)) => one.column.values[step] = f(step, value),
                Some(At::Histogram(_)) => one.column.clear(step),
                None => {}
            }
        }
        if !one.column.is_empty() {
            out.push(one);
        }
    }
    out
}

/// The value of the only element at each step, if it is a float.
fn to_scalar(series: &[VectorSeries], grid: Grid) -> Vec<f64> {
    (0..grid.count)
        .map(|step| {
            let mut floats = series.iter().filter_map(|series| match series.column.get(step) {
                Some(At::Float(value)) => Some(value),
                _ => None,
            });
            match (floats.next(), floats.next()) {
                (Some(value), None) => value,
                _ => f64::NAN,
            }
        })
        .collect()
}

fn sort(name: &str, labels: &[String], mut series: Vec<VectorSeries>) -> Vec<VectorSeries> {
    let descending = name.ends_with("_desc");
    if name.starts_with("sort_by_label") {
        series.sort_by(|a, b| {
            let by_label = labels
                .iter()
                .map(|label| natural(a.labels.get(label).unwrap_or_default(), b.labels.get(label).unwrap_or_default()));
            // Equal labels fall back on the whole set, so that the order is always the same.
            let order = by_label.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
            if descending { order.reverse() } else { order }
        });
        return series;
    }
    let value = |series: &VectorSeries| match series.column.get(0) {
        Some(At::Float(value)) => Some(value),
        _ => None,
    };
    series.retain(|series| series.column.kinds.len() > 1 || value(series).is_some());
    series.sort_by(|a, b| {
        let (a, b) = (value(a).unwrap_or(f64::NAN), value(b).unwrap_or(f64::NAN));
        match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ if descending => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
            _ => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        }
    });
    series
}

/// Compares texts with the numbers in them as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.chars().next(), b.chars().next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let ((own, a_rest), (other, b_rest)) = (a.split_at(digits(a)), b.split_at(digits(b)));
                let (p, q) = (own.trim_start_matches('0'), other.trim_start_matches('0'));
                let order = p.len().cmp(&q.len()).then_with(|| p.cmp(q)).then_with(|| own.len().cmp(&other.len()));
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (a_rest, b_rest);
            }
            (Some(x), Some(y)) => {
                if x != y {
                    return x.cmp(&y);
                }
                (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]);
            }
        }
    }
}

pub(crate) fn float(value: f64) -> Option<SampleValue> {
    Some(SampleValue::Float(value))
}

pub(crate) fn whole(value: model::FloatHistogram) -> Option<SampleValue> {
    Some(SampleValue::Histogram(Arc::new(value)))
}
