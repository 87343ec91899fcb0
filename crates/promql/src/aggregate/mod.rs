//! Aggregations. Those that can take one series after the other do so (see [`fold`] and [`choose`]); for `quantile` series
//! are sorted into groups once, then every group runs over the steps.

mod by_quantile;
mod choose;
mod fold;

use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::grouping::{GroupTable, LabelFilter, is_metadata};
use crate::histogram;
use crate::numbers::{Mean, Sum, Variance, kahan_add, quantile};
use crate::value::{At, Column, Grid, Intermediate, VectorSeries};
use model::{FloatHistogram, Labels, histogram::CounterResetHint, labels::METRIC_NAME};
use promql_syntax::{AggregateExpr, AggregateOp, Span};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

/// The series of one group, as indexes into the input, in its order.
struct Group {
    labels: Labels,
    drop_name: bool,
    members: Vec<usize>,
}

impl Evaluator<'_> {
    pub(crate) fn eval_aggregate(&self, e: &AggregateExpr, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        let param = match &e.param {
            None => None,
            Some(param) => Some(self.eval(param, grid)?),
        };
        if fold::Folding::can(e.op) {
            let mut folding = fold::Folding::new(self, e, grid);
            self.each_vector(&e.inner, grid, looks_at_names(e), |series| folding.add(series))?;
            return Ok(folding.finish());
        }
        if let (AggregateOp::CountValues, Some(Intermediate::String(label))) = (e.op, &param) {
            if label.not_utf8.is_some() || label.value.is_empty() {
                let quoted = label
                    .not_utf8
                    .as_deref()
                    .map_or_else(|| model::labels::quote(&label.value), promql_syntax::quote_bytes);
                return Err(QueryError::Execution(format!("invalid label name {quoted}")));
            }
            return self.count_values(e, &label.value, grid);
        }
        let params = match param {
            Some(Intermediate::Scalar(values)) => values,
            _ => vec![0.0; grid.count],
        };
        let span = e.param.as_ref().map_or(e.inner.span(), |param| param.span());
        match e.op {
            AggregateOp::Topk | AggregateOp::Bottomk => self.best(e, &params, grid),
            AggregateOp::Limitk => self.limitk(e, &params, grid),
            AggregateOp::LimitRatio => self.limit_ratio(e, &params, grid, span),
            _ => self.quantiles_of_groups(e, &params, grid, span),
        }
    }

    fn group_quantile(
        &self,
        e: &AggregateExpr,
        group: &Group,
        params: &[f64],
        input: &[VectorSeries],
        column: &mut Column,
    ) {
        let mut floats: Vec<f64> = Vec::with_capacity(group.members.len());
        for step in 0..column.kinds.len() {
            floats.clear();
            for &member in &group.members {
                match input[member].column.get(step) {
                    None => {}
                    Some(At::Float(value)) => floats.push(value),
                    Some(At::Histogram(_)) => {
                        let text = format!("ignored histogram in {} aggregation", e.op.as_str());
                        self.annotations.info(e.inner.span(), text);
                    }
                }
            }
            if !floats.is_empty() {
                column.set_float(step, quantile(params[step], &mut floats));
            }
        }
    }

    /// Sum or average of histograms; nothing if they do not mix. `metric` names the metric of each of them.
    pub(crate) fn join<'m>(
        &self,
        is_average: bool,
        histograms: &[&Arc<FloatHistogram>],
        span: Span,
        metric: impl Fn(usize) -> &'m str,
    ) -> Option<FloatHistogram> {
        let (first, rest) = histograms.split_first()?;
        let mut total = FloatHistogram::clone(first);
        let (mut sum_compensation, mut count, mut incremental) = (0.0, 1.0, false);
        let (mut reset, mut not_reset) = (false, false);
        let mut note = |h: &FloatHistogram| match h.counter_reset_hint {
            CounterResetHint::Reset => reset = true,
            CounterResetHint::NotReset => not_reset = true,
            _ => {}
        };
        note(first);
        for (index, histogram) in rest.iter().enumerate() {
            note(histogram);
            count += 1.0;
            let share = (count - 1.0) / count;
            if is_average && !incremental {
                // Where a sum would overflow, a running mean takes over.
                let next = histogram::add(&total, histogram);
                if next.is_ok_and(|(next, _)| overflows(&next)) && !overflows(&total) {
                    incremental = true;
                    total = histogram::divide(&total, count - 1.0);
                    sum_compensation /= count - 1.0;
                }
            }
            let (before, addend) = if incremental {
                sum_compensation *= share;
                (histogram::scale(&total, share), histogram::divide(histogram, count))
            } else {
                (total.clone(), FloatHistogram::clone(histogram))
            };
            let (mut sum, added) = (before.sum, addend.sum);
            match histogram::add(&before, &addend) {
                Ok((joined, notes)) => {
                    total = joined;
                    if notes.bounds_reconciled {
                        self.annotations.info(span, "mismatched custom buckets were reconciled during aggregation");
                    }
                }
                Err(_) => {
                    self.warn_mixed_schemas(metric(index + 1), span);
                    return None;
                }
            }
            kahan_add(added, &mut sum, &mut sum_compensation);
            total.sum = sum;
        }
        if reset && not_reset {
            self.annotations.warn(span, "conflicting counter resets during histogram aggregation");
        }
        if total.sum.is_finite() {
            total.sum += sum_compensation;
        }
        if reset && not_reset {
            total.counter_reset_hint = CounterResetHint::Unknown;
        }
        Some(if is_average && !incremental { histogram::divide(&total, histograms.len() as f64) } else { total })
    }
}

/// The parameters of all steps in brief.
struct Extremes {
    any_nan: bool,
    largest: f64,
    smallest: f64,
}

impl Extremes {
    fn of(params: &[f64]) -> Extremes {
        Extremes {
            any_nan: params.iter().any(|value| value.is_nan()),
            largest: params.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            smallest: params.iter().copied().fold(f64::INFINITY, f64::min),
        }
    }

    /// What is beyond a range: NaN alone if there is one, else the largest and the smallest value.
    fn beyond(&self, low: f64, high: f64) -> Vec<f64> {
        if self.any_nan {
            return vec![f64::NAN];
        }
        let (above, below) =
            ((self.largest > high).then_some(self.largest), (self.smallest < low).then_some(self.smallest));
        above.into_iter().chain(below).collect()
    }
}

/// What is told of a quantile that is none.
pub(crate) fn bad_quantile(q: f64) -> String {
    format!("quantile value should be between 0 and 1, got {}", model::float::format_float_short(q))
}

/// How many elements to choose at each step.
fn counts_of(params: &[f64]) -> Result<Vec<usize>, QueryError> {
    let extremes = Extremes::of(params);
    if extremes.any_nan {
        return Err(QueryError::Execution("Parameter value is NaN".to_owned()));
    }
    // Where nothing is asked for at any step, not even what is below all numbers is wrong.
    if extremes.largest >= 1.0 {
        let short = model::float::format_float_short;
        if extremes.smallest <= i64::MIN as f64 {
            let text = format!("Scalar value {} underflows int64", short(extremes.smallest));
            return Err(QueryError::Execution(text));
        }
        if extremes.largest >= i64::MAX as f64 {
            let text = format!("Scalar value {} overflows int64", short(extremes.largest));
            return Err(QueryError::Execution(text));
        }
    }
    // Negative ones ask for nothing.
    Ok(params.iter().map(|k| k.max(0.0) as usize).collect())
}

fn group(e: &AggregateExpr, input: &[VectorSeries]) -> Vec<Group> {
    let filter = group_filter(e);
    let (mut groups, mut table): (Vec<Group>, _) = (Vec::new(), GroupTable::default());
    for (index, series) in input.iter().enumerate() {
        let place = table.place(&filter, &series.labels);
        if place == groups.len() {
            let labels = table.labels(place).clone();
            groups.push(Group { labels, drop_name: series.drop_name, members: Vec::new() });
        }
        groups[place].members.push(index);
        // A group that still carries the name loses it as soon as one member does.
        groups[place].drop_name |= series.drop_name;
    }
    groups
}

/// True if groups differ by what a metric is called.
fn looks_at_names(e: &AggregateExpr) -> bool {
    !e.without && e.grouping.iter().any(|name| is_metadata(name))
}

fn group_filter(e: &AggregateExpr) -> LabelFilter {
    if e.without { LabelFilter::but(&e.grouping) } else { LabelFilter::only(&e.grouping) }
}

impl Evaluator<'_> {
    fn count_values(&self, e: &AggregateExpr, label: &str, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        let mut out: BTreeMap<Labels, VectorSeries> = BTreeMap::new();
        let filter = group_filter(e);
        self.each_vector(&e.inner, grid, looks_at_names(e), |series| {
            self.check_time()?;
            let base = filter.apply(&series.labels);
            // The value is a label like others, which `without` may take away again.
            let is_taken = e.without && (label == METRIC_NAME || e.grouping.iter().any(|name| name == label));
            for step in 0..grid.count {
                let text = match series.column.get(step) {
                    None => continue,
                    Some(At::Float(value)) => model::float::format_float(value),
                    Some(At::Histogram(histogram)) => describe(histogram),
                };
                let labels = if is_taken { base.clone() } else { base.to_builder().set(label, &text).build() };
                let entry = match out.entry(labels) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        // Every value may make a series of its own.
                        let labels = entry.key().clone();
                        let series = VectorSeries { labels, drop_name: false, column: Column::empty(grid.count) };
                        self.count_live(1, series.bytes())?;
                        entry.insert(series)
                    }
                };
                let before = if entry.column.is_present(step) { entry.column.values[step] } else { 0.0 };
                entry.column.set_float(step, before + 1.0);
            }
            Ok(())
        })?;
        Ok(out.into_values().collect())
    }
}

/// A histogram as Prometheus prints it: `{count:4, sum:5, (1,2]:3}`.
pub fn describe(h: &FloatHistogram) -> String {
    let number = model::float::format_float_short;
    let mut out = format!("{{count:{}, sum:{}", number(h.count), number(h.sum));
    for bucket in histogram::buckets(h, h.zero_count != 0.0) {
        let zero = !h.uses_custom_buckets() && bucket.lower <= 0.0 && bucket.upper >= 0.0;
        let (open, close) = if zero {
            ("[", "]")
        } else if bucket.upper <= 0.0 && !h.uses_custom_buckets() {
            ("[", ")")
        } else if bucket.lower == f64::NEG_INFINITY {
            ("[", "]")
        } else {
            ("(", "]")
        };
        let (lower, upper) = (number(bucket.lower), number(bucket.upper));
        out.push_str(&format!(", {open}{lower},{upper}{close}:{}", number(bucket.count)));
    }
    out.push('}');
    out
}

pub(crate) fn sum(values: &[f64]) -> f64 {
    let mut sum = Sum::default();
    values.iter().for_each(|&value| sum.add(value));
    sum.value()
}

/// The average; where the sum would overflow, a running mean.
pub(crate) fn average(values: &[f64]) -> f64 {
    let mut mean = Mean::default();
    values.iter().for_each(|&value| mean.add(value));
    mean.value()
}

pub(crate) fn variance(values: &[f64]) -> f64 {
    let mut variance = Variance::default();
    values.iter().for_each(|&value| variance.add(value));
    variance.value()
}

fn overflows(histogram: &FloatHistogram) -> bool {
    histogram.count.is_infinite()
        || histogram.sum.is_infinite()
        || histogram.positive_buckets.iter().chain(&histogram.negative_buckets).any(|v| v.is_infinite())
}

/// Prometheus' hash of a label set, so that `limit_ratio` chooses the same series: XXH64 over names and values, each
/// preceded by its length in one byte, or in a byte 255 and three more.
fn label_hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::new();
    for (name, value) in labels.iter() {
        for text in [name, value] {
            match u8::try_from(text.len()) {
                Ok(length) if length < 255 => bytes.push(length),
                _ => {
                    bytes.push(255);
                    // Labels longer than 16 MiB do not come through any door.
                    bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0)
}
