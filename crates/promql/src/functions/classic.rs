//! `histogram_*`: on native histograms, and on classic ones whose buckets are series with a label `le`.

use crate::aggregate::bad_quantile;
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::histogram::{self, QuantileNote};
use crate::numbers::kahan_add;
use crate::value::{At, Column, Grid, VectorSeries};
use model::{FloatHistogram, Labels, float::format_float, labels::quote};
use promql_syntax::{Call, Expr, Span};
use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::Arc,
};

/// Differences between buckets below this share of the smaller one are rounding, not a broken histogram.
const SMALL_DELTA_TOLERANCE: f64 = 1e-12;

/// A cumulative bucket of a classic histogram.
#[derive(Clone, Copy, Debug)]
struct Cumulative {
    upper: f64,
    count: f64,
}

/// What belongs to one histogram: buckets with their bounds, and a series of native ones, as indexes of the input.
struct HistogramGroup {
    labels: Labels,
    drop_name: bool,
    buckets: Vec<(f64, usize)>,
    native: Option<usize>,
}

impl Evaluator<'_> {
    /// The `histogram_*` functions; `None` for any other name.
    pub(crate) fn histogram_call(&self, e: &Call, grid: Grid) -> Result<Option<Vec<VectorSeries>>, QueryError> {
        let simple: fn(&FloatHistogram) -> f64 = match e.function.as_str() {
            "histogram_avg" => |h| h.sum / h.count,
            "histogram_count" => |h| h.count,
            "histogram_sum" => |h| h.sum,
            "histogram_stddev" => |h| histogram::variance(h).sqrt(),
            "histogram_stdvar" => histogram::variance,
            "histogram_quantile" => {
                let q = self.eval_scalar(&e.args[0], grid)?;
                let input = self.eval_vector(&e.args[1], grid)?;
                self.warn_quantiles(&q, e.args[0].span());
                return self.quantiles(&input, &q, None, e.args[1].span(), grid).map(Some);
            }
            "histogram_quantiles" => {
                let input = self.eval_vector(&e.args[0], grid)?;
                let label = self.string_args(&Call { args: vec![e.args[1].clone()], ..e.clone() }, 0)?;
                let mut out = Vec::new();
                for arg in &e.args[2..] {
                    let q = self.eval_scalar(arg, grid)?;
                    self.warn_quantiles(&q, arg.span());
                    let label = label.first().map(String::as_str);
                    out.extend(self.quantiles(&input, &q, label, e.args[0].span(), grid)?);
                }
                return Ok(Some(out));
            }
            "histogram_fraction" => {
                let (lower, upper) = (self.eval_scalar(&e.args[0], grid)?, self.eval_scalar(&e.args[1], grid)?);
                let input = self.eval_vector(&e.args[2], grid)?;
                let span = e.args[2].span();
                let fractions = self.histograms(&input, span, grid, |step, found, metric| match found {
                    Found::Native(h) => {
                        if h.sum.is_nan() {
                            let text = format!(
                                "input to histogram_fraction has NaN observations, which are excluded from all fractions for metric name {}",
                                quote(metric)
                            );
                            self.annotations.info(span, text);
                        }
                        histogram::fraction(lower[step], upper[step], h)
                    }
                    Found::Classic(buckets) => bucket_fraction(lower[step], upper[step], buckets),
                });
                return fractions.map(Some);
            }
            _ => return Ok(None),
        };
        let stats = matches!(e.function.as_str(), "histogram_avg" | "histogram_count" | "histogram_sum");
        let wanted = stats && !needs_buckets(&e.args[0]);
        let input = self.with_histogram_stats(wanted, || self.eval_vector(&e.args[0], grid));
        let mut out = Vec::new();
        for mut series in input? {
            let mut column = Column::empty(grid.count);
            for step in 0..grid.count {
                if let Some(At::Histogram(h)) = series.column.get(step) {
                    column.set_float(step, simple(h));
                }
            }
            if !column.is_empty() {
                series.drop_name = true;
                out.push(VectorSeries { column, ..series });
            }
        }
        Ok(Some(out))
    }

    fn warn_quantiles(&self, quantiles: &[f64], span: Span) {
        for q in quantiles.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            self.annotations.warn(span, bad_quantile(*q));
        }
    }

    fn quantiles(
        &self,
        input: &[VectorSeries],
        q: &[f64],
        label: Option<&str>,
        span: Span,
        grid: Grid,
    ) -> Result<Vec<VectorSeries>, QueryError> {
        let mut out = self.histograms(input, span, grid, |step, found, metric| match found {
            Found::Native(h) => {
                let (value, note) = histogram::quantile(q[step], h);
                if let Some(note) = note {
                    let result = match note {
                        QuantileNote::ResultIsNan => "result is NaN",
                        QuantileNote::Skewed => "result is skewed higher",
                    };
                    let metric = quote(metric);
                    let text = format!("input to histogram_quantile has NaN observations, {result} for metric name {metric}");
                    self.annotations.info(span, text);
                }
                value
            }
            Found::Classic(buckets) => {
                let (value, forced) = bucket_quantile(q[step], buckets);
                if forced {
                    let text = format!(
                        "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name {}",
                        quote(metric)
                    );
                    self.annotations.info(span, text);
                }
                value
            }
        })?;
        let Some(label) = label else { return Ok(out) };
        // The quantile is an expression and may differ from step to step: then each value is a series of its own.
        let mut labelled: Vec<VectorSeries> = Vec::with_capacity(out.len());
        for series in out.drain(..) {
            let mut by_quantile: BTreeMap<String, Column> = BTreeMap::new();
            for step in 0..grid.count {
                if series.column.is_present(step) {
                    let column = match by_quantile.entry(quantile_label(q[step])) {
                        Entry::Occupied(entry) => entry.into_mut(),
                        Entry::Vacant(entry) => {
                            let column = Column::empty(grid.count);
                            self.count_live(1, column.bytes())?;
                            entry.insert(column)
                        }
                    };
                    column.copy_from(step, &series.column);
                }
            }
            labelled.extend(by_quantile.into_iter().map(|(quantile, column)| VectorSeries {
                labels: series.labels.to_builder().set(label, &quantile).build(),
                drop_name: series.drop_name,
                column,
            }));
        }
        Ok(labelled)
    }

    /// Sorts a vector into histograms, classic and native, and calls `f` for each of them at each step.
    fn histograms(
        &self,
        input: &[VectorSeries],
        span: Span,
        grid: Grid,
        f: impl Fn(usize, Found<'_>, &str) -> f64,
    ) -> Result<Vec<VectorSeries>, QueryError> {
        let mut groups: Vec<HistogramGroup> = Vec::new();
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut place = |labels: Labels, groups: &mut Vec<HistogramGroup>, drop_name: bool| {
            *places.entry(labels.clone()).or_insert_with(|| {
                groups.push(HistogramGroup { labels, drop_name, buckets: Vec::new(), native: None });
                groups.len() - 1
            })
        };
        for (index, series) in input.iter().enumerate() {
            let has = |histogram: bool| {
                (0..grid.count).any(|step| match series.column.get(step) {
                    Some(At::Histogram(_)) => histogram,
                    Some(At::Float(_)) => !histogram,
                    None => false,
                })
            };
            if has(true) {
                let at = place(series.labels.clone(), &mut groups, true);
                groups[at].native = Some(index);
            }
            if has(false) {
                let le = series.labels.get("le").unwrap_or_default();
                match model::float::parse_float(le) {
                    Some(upper) => {
                        let at = place(series.labels.without(&["le"]), &mut groups, true);
                        groups[at].buckets.push((upper, index));
                    }
                    None => {
                        let metric = quote(series.labels.metric_name());
                        let text = format!(
                            "bucket label \"le\" is missing or has a malformed value of {} for metric name {metric}",
                            quote(le)
                        );
                        self.annotations.warn(span, text);
                    }
                }
            }
        }
        let mut out = Vec::with_capacity(groups.len());
        let mut buckets: Vec<Cumulative> = Vec::new();
        for group in groups {
            self.check_time()?;
            let metric = group.labels.metric_name().to_owned();
            let mut column = Column::empty(grid.count);
            for step in 0..grid.count {
                buckets.clear();
                for &(upper, index) in &group.buckets {
                    if let Some(At::Float(count)) = input[index].column.get(step) {
                        buckets.push(Cumulative { upper, count });
                    }
                }
                let native = group.native.and_then(|index| match input[index].column.get(step) {
                    Some(At::Histogram(h)) => Some(h),
                    _ => None,
                });
                match (native, buckets.is_empty()) {
                    (Some(_), false) => {
                        let text = format!(
                            "vector contains a mix of classic and native histograms for metric name {}",
                            quote(&metric)
                        );
                        self.annotations.warn(span, text);
                    }
                    (Some(h), true) => column.set_float(step, f(step, Found::Native(h), &metric)),
                    (None, false) => column.set_float(step, f(step, Found::Classic(&mut buckets), &metric)),
                    (None, true) => {}
                }
            }
            if !column.is_empty() {
                out.push(VectorSeries { labels: group.labels, drop_name: group.drop_name, column });
            }
        }
        Ok(out)
    }
}

/// True if something in the expression looks at single buckets, or reads the same sample more than once.
fn needs_buckets(expr: &Expr) -> bool {
    expr.nodes().any(|node| match node {
        Expr::Call(call) => call.function.starts_with("histogram_"),
        Expr::Binary(binary) => binary.op.is_trim() || binary.op.is_comparison(),
        Expr::Subquery(_) => true,
        _ => false,
    })
}

/// A quantile as OpenMetrics writes it in a label: `0.0`, `0.25`, `1.0`.
fn quantile_label(q: f64) -> String {
    let text = format_float(q);
    if q.is_finite() && !text.contains('.') { text + ".0" } else { text }
}

/// A histogram at one step.
enum Found<'a> {
    Native(&'a Arc<FloatHistogram>),
    Classic(&'a mut Vec<Cumulative>),
}

/// Puts buckets in order and joins equal bounds; false if that makes no histogram.
fn prepare(buckets: &mut Vec<Cumulative>) -> bool {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return false;
    }
    let mut joined: Vec<Cumulative> = Vec::with_capacity(buckets.len());
    for bucket in buckets.iter() {
        match joined.last_mut() {
            Some(last) if last.upper == bucket.upper => last.count += bucket.count,
            _ => joined.push(*bucket),
        }
    }
    *buckets = joined;
    true
}

/// Makes counts grow; true if one had really shrunk.
fn force_monotonic(buckets: &mut [Cumulative]) -> bool {
    let mut forced = false;
    let Some(first) = buckets.first() else { return false };
    let mut previous = first.count;
    for bucket in &mut buckets[1..] {
        if bucket.count == previous {
            continue;
        }
        let (a, b) = (bucket.count, previous);
        let almost = (a - b).abs() / (a.abs() + b.abs()).min(f64::MAX) < SMALL_DELTA_TOLERANCE;
        if almost {
            bucket.count = previous;
            continue;
        }
        if bucket.count < previous {
            bucket.count = previous;
            forced = true;
        }
        previous = bucket.count;
    }
    forced
}

fn bucket_quantile(q: f64, buckets: &mut Vec<Cumulative>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    if !prepare(buckets) {
        return (f64::NAN, false);
    }
    let forced = force_monotonic(buckets);
    if buckets.len() < 2 {
        return (f64::NAN, forced);
    }
    let observations = buckets[buckets.len() - 1].count;
    if observations == 0.0 {
        return (f64::NAN, forced);
    }
    let rank = q * observations;
    let index = buckets[..buckets.len() - 1].partition_point(|bucket| bucket.count < rank);
    if index == buckets.len() - 1 {
        return (buckets[buckets.len() - 2].upper, forced);
    }
    if index == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, forced);
    }
    let (mut start, end, mut count, mut rank) = (0.0, buckets[index].upper, buckets[index].count, rank);
    if index > 0 {
        start = buckets[index - 1].upper;
        count -= buckets[index - 1].count;
        rank -= buckets[index - 1].count;
    }
    (start + (end - start) * (rank / count), forced)
}

fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Cumulative>) -> f64 {
    if !prepare(buckets) {
        return f64::NAN;
    }
    force_monotonic(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank_of = |value: f64| {
        let (mut below, mut start) = (0.0, if buckets[0].upper > 0.0 { 0.0 } else { f64::NEG_INFINITY });
        for bucket in buckets.iter() {
            if value <= start {
                return below;
            }
            if value < bucket.upper {
                if bucket.upper == f64::INFINITY {
                    return below;
                }
                // Nobody knows how low the first bucket reaches: it lies below the value as a whole.
                if start == f64::NEG_INFINITY {
                    return bucket.count;
                }
                let (mut sum, mut compensation) = (below, 0.0);
                let inside = (bucket.count - below) * (value - start) / (bucket.upper - start);
                kahan_add(inside, &mut sum, &mut compensation);
                return sum + compensation;
            }
            below = bucket.count;
            start = bucket.upper;
        }
        count
    };
    (rank_of(upper).min(count) - rank_of(lower).min(count)) / count
}
