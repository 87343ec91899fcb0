//! Series and samples of a node before it runs, from the index and the samples of a few series.

use super::{Estimate, ExplainNode, ExplainTimes};
use crate::EngineOptions;
use crate::error::QueryError;
use crate::eval::Watch;
use crate::grouping::{GroupTable, LabelFilter};
use model::Labels;
use promql_syntax::{AggregateOp, BinaryOp, DurationExpr, Expr, QueryTimes, SubqueryExpr, ValueType, VectorSelector};
use storage::{Queryable, Samples, SelectHints};

/// So many label sets of a selector are looked at; of more only the number is known.
const LABEL_SETS_MAX: usize = 50_000;
/// So many series of a selector are counted.
const SERIES_COUNTED_MAX: usize = 2_000_000;
/// So many series are read to learn how dense samples are.
const SERIES_READ: usize = 3;
const SAMPLE_BYTES: u64 = 16;

/// Works out estimates for one grid of times.
#[derive(Clone, Copy)]
pub(super) struct Estimator<'a> {
    storage: &'a dyn Queryable,
    options: &'a EngineOptions,
    watch: &'a Watch,
    query: ExplainTimes,
    /// Of the node: those of the query, or of a subquery.
    start_ms: i64,
    end_ms: i64,
    steps: u64,
}

type Estimated = (Estimate, Option<Vec<Labels>>);

impl<'a> Estimator<'a> {
    pub(super) fn new(
        storage: &'a dyn Queryable,
        options: &'a EngineOptions,
        watch: &'a Watch,
        query: ExplainTimes,
    ) -> Self {
        let start_ms = if query.step_ms > 0 { query.start_ms } else { query.end_ms };
        let steps =
            if query.step_ms > 0 { query.end_ms.saturating_sub(start_ms).max(0) / query.step_ms + 1 } else { 1 };
        Estimator { storage, options, watch, query, start_ms, end_ms: query.end_ms, steps: steps.unsigned_abs() }
    }

    fn duration(&self, duration: &DurationExpr) -> Result<i64, QueryError> {
        let range_ms = if self.query.step_ms > 0 { self.query.end_ms.saturating_sub(self.query.start_ms) } else { 0 };
        let times = QueryTimes { step_ms: self.query.step_ms, range_ms };
        duration.evaluate_ms(times).map_err(|fault| QueryError::Execution(fault.message))
    }

    pub(super) fn inside_subquery(&self, e: &SubqueryExpr) -> Result<Estimator<'a>, QueryError> {
        let range = self.duration(&e.range)?;
        let step = e.step.as_ref().map(|step| self.duration(step)).transpose()?.unwrap_or(self.options.default_step_ms);
        let offset = e.offset.as_ref().map(|offset| self.duration(offset)).transpose()?.unwrap_or(0);
        let (start_ms, end_ms) = self.fixed(e.at);
        let start_ms = start_ms.saturating_sub(offset).saturating_sub(range);
        let end_ms = end_ms.saturating_sub(offset);
        let steps = end_ms.saturating_sub(start_ms).max(0) / step.max(1) + 1;
        Ok(Estimator { start_ms, end_ms, steps: steps.unsigned_abs(), ..*self })
    }

    /// First and last time of evaluation, where `@` may have fixed them.
    fn fixed(&self, at: Option<promql_syntax::At>) -> (i64, i64) {
        use promql_syntax::At;
        match at {
            None => (self.start_ms, self.end_ms),
            Some(At::Timestamp(ms)) => (ms, ms),
            Some(At::Start) => (self.query.start_ms, self.query.start_ms),
            Some(At::End) => (self.query.end_ms, self.query.end_ms),
        }
    }

    fn points(&self, series: Option<u64>) -> Estimate {
        let samples = series.map(|series| series.saturating_mul(self.steps));
        Estimate { series, samples, bytes: samples.map(|samples| samples.saturating_mul(SAMPLE_BYTES)) }
    }

    /// The estimate of a node from those of its children, and its label sets where they are known.
    pub(super) fn node(
        &self,
        expr: &Expr,
        children: &[ExplainNode],
        mut labels: Vec<Option<Vec<Labels>>>,
    ) -> Result<Estimated, QueryError> {
        let series = |index: usize| children.get(index).and_then(|child| child.estimate.series);
        Ok(match expr {
            Expr::Number(_) => (self.points(Some(1)), None),
            Expr::String(_) => (Estimate::default(), None),
            Expr::Selector(e) => self.selector(e, self.options.lookback_delta_ms)?,
            Expr::Matrix(e) => self.selector(&e.selector, self.duration(&e.range)?)?,
            Expr::Subquery(_) => {
                let inner = children.first().map(|child| child.estimate).unwrap_or_default();
                (inner, labels.pop().flatten())
            }
            Expr::Paren(_) | Expr::Unary(_) => (self.points(series(0)), labels.pop().flatten()),
            Expr::Aggregate(e) => {
                let last = children.len().saturating_sub(1);
                let (input, sets) = (series(last), labels.pop().flatten());
                let filter = if e.without { LabelFilter::but(&e.grouping) } else { LabelFilter::only(&e.grouping) };
                let groups: Option<Vec<Labels>> = sets.as_ref().map(|sets| {
                    let mut table = GroupTable::default();
                    let mut out = Vec::new();
                    for set in sets {
                        if table.place(&filter, set) == out.len() {
                            out.push(filter.apply(set));
                        }
                    }
                    out
                });
                let one = !e.without && e.grouping.is_empty();
                let count = groups.as_ref().map(|groups| groups.len() as u64).or(if one { Some(1) } else { input });
                match e.op {
                    AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
                        let k = match e.param.as_deref().map(Expr::unparenthesized) {
                            // Saturates.
                            Some(Expr::Number(number)) => number.value.max(0.0) as u64,
                            _ => u64::MAX,
                        };
                        let picked = count.map(|count| count.saturating_mul(k)).zip(input).map(|(a, b)| a.min(b));
                        (self.points(picked.or(input)), sets)
                    }
                    AggregateOp::LimitRatio => (self.points(input), sets),
                    AggregateOp::CountValues => (self.points(input), None),
                    _ => (self.points(count), groups),
                }
            }
            Expr::Binary(e) => {
                let right_sets = labels.pop().flatten();
                let left_sets = labels.pop().flatten();
                let (left, right) = (series(0), series(1));
                match (e.left.value_type(), e.right.value_type()) {
                    (ValueType::Vector, ValueType::Vector) => {}
                    (ValueType::Vector, _) => return Ok((self.points(left), left_sets)),
                    (_, ValueType::Vector) => return Ok((self.points(right), right_sets)),
                    _ => return Ok((self.points(Some(1)), None)),
                }
                let matching = e.matching.clone().unwrap_or_default();
                let filter =
                    if matching.on { LabelFilter::only(&matching.labels) } else { LabelFilter::but(&matching.labels) };
                if e.op == BinaryOp::Or {
                    let both = left.zip(right).map(|(a, b)| a.saturating_add(b));
                    let sets = left_sets.zip(right_sets).map(|(mut a, b)| {
                        a.extend(b);
                        a
                    });
                    return Ok((self.points(both), sets));
                }
                let swapped = matching.cardinality == promql_syntax::Cardinality::OneToMany;
                let (many, one) = if swapped { (right_sets, left_sets) } else { (left_sets, right_sets) };
                let most = if swapped { right } else { left };
                let matched = many.zip(one).map(|(many, one)| {
                    let mut table = GroupTable::default();
                    for set in &one {
                        table.place(&filter, set);
                    }
                    let keep = |set: &Labels| table.find(&filter, set).is_some() != (e.op == BinaryOp::Unless);
                    many.into_iter().filter(keep).collect::<Vec<_>>()
                });
                (self.points(matched.as_ref().map(|sets| sets.len() as u64).or(most)), matched)
            }
            Expr::Call(e) => {
                let vector =
                    e.args.iter().position(|arg| matches!(arg.value_type(), ValueType::Vector | ValueType::Matrix));
                let (input, sets) = match vector {
                    Some(at) => (series(at), labels.swap_remove(at)),
                    None => (Some(1), None),
                };
                match e.function.as_str() {
                    "absent" | "absent_over_time" | "scalar" => (self.points(Some(1)), None),
                    "histogram_quantile" | "histogram_fraction" => {
                        let table = sets.map(|sets| {
                            let (mut table, filter) = (GroupTable::default(), LabelFilter::but(&["le".to_owned()]));
                            let mut out = Vec::new();
                            for set in &sets {
                                if table.place(&filter, set) == out.len() {
                                    out.push(filter.apply(set));
                                }
                            }
                            out
                        });
                        (self.points(table.as_ref().map(|sets| sets.len() as u64).or(input)), table)
                    }
                    _ => (self.points(input), sets),
                }
            }
        })
    }

    fn selector(&self, e: &VectorSelector, range: i64) -> Result<Estimated, QueryError> {
        let offset = e.offset.as_ref().map(|offset| self.duration(offset)).transpose()?.unwrap_or(0);
        let (start, end) = self.fixed(e.at);
        let (start, end) = (start.saturating_sub(offset).saturating_sub(range), end.saturating_sub(offset));
        if start > end {
            return Ok((self.points(Some(0)), Some(Vec::new())));
        }
        let querier = self.storage.querier(start, end)?;
        let hints = SelectHints { start_ms: start, end_ms: end, limit: SERIES_COUNTED_MAX, ..SelectHints::default() };
        let (mut count, mut sets, mut read, mut samples) = (0_u64, Vec::new(), 0_u64, Samples::default());
        self.watch.check()?;
        for series in querier.select(&hints, &e.matchers)? {
            let series = series?;
            if count.is_multiple_of(256) {
                self.watch.check()?;
            }
            count += 1;
            if sets.len() < LABEL_SETS_MAX {
                sets.push(series.labels().clone());
            }
            // The first, the second and the fourth: neighbours are alike.
            if read < SERIES_READ as u64 && count.is_power_of_two() {
                series.read(&mut samples)?;
                read += 1;
            }
        }
        let per_series = if read > 0 { samples.len() as f64 / read as f64 } else { 0.0 };
        // Saturates.
        let samples = (per_series * count as f64).round() as u64;
        let estimate =
            Estimate { series: Some(count), samples: Some(samples), bytes: Some(samples.saturating_mul(SAMPLE_BYTES)) };
        let sets = if count as usize > LABEL_SETS_MAX { None } else { Some(sets) };
        Ok((estimate, sets))
    }
}
