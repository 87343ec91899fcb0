//! Aggregations that take one series after the other and keep only their groups: `sum`, `avg`, `count`, `group`, `min`,
//! `max`, `stddev`, `stdvar`.

use super::group_filter;
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::grouping::{GroupTable, LabelFilter};
use crate::numbers::{Mean, Sum, Variance};
use crate::value::{Column, Grid, Kind, VectorSeries};
use model::FloatHistogram;
use promql_syntax::{AggregateExpr, AggregateOp, Span};
use std::sync::Arc;

/// What a group keeps of the floats of one step.
trait Fold: Clone + Default {
    fn add(&mut self, value: f64);
    fn value(&self) -> f64;
}

impl Fold for Sum {
    fn add(&mut self, value: f64) {
        Sum::add(self, value);
    }
    fn value(&self) -> f64 {
        Sum::value(self)
    }
}

impl Fold for Mean {
    fn add(&mut self, value: f64) {
        Mean::add(self, value);
    }
    fn value(&self) -> f64 {
        Mean::value(self)
    }
}

impl Fold for Variance {
    fn add(&mut self, value: f64) {
        Variance::add(self, value);
    }
    fn value(&self) -> f64 {
        Variance::value(self)
    }
}

/// NaN only if there is nothing else.
#[derive(Clone, Copy)]
struct Smallest(f64);

impl Default for Smallest {
    fn default() -> Self {
        Smallest(f64::NAN)
    }
}

impl Fold for Smallest {
    fn add(&mut self, value: f64) {
        if self.0 > value || self.0.is_nan() {
            self.0 = value;
        }
    }
    fn value(&self) -> f64 {
        self.0
    }
}

#[derive(Clone, Copy)]
struct Largest(f64);

impl Default for Largest {
    fn default() -> Self {
        Largest(f64::NAN)
    }
}

impl Fold for Largest {
    fn add(&mut self, value: f64) {
        if self.0 < value || self.0.is_nan() {
            self.0 = value;
        }
    }
    fn value(&self) -> f64 {
        self.0
    }
}

/// One state a step, and whether it has seen a float.
struct Cells<F> {
    states: Vec<F>,
    seen: Vec<bool>,
}

impl<F: Fold> Cells<F> {
    fn new(count: usize) -> Self {
        Cells { states: vec![F::default(); count], seen: vec![false; count] }
    }

    fn add(&mut self, column: &Column) {
        for (((state, seen), kind), value) in
            self.states.iter_mut().zip(&mut self.seen).zip(&column.kinds).zip(&column.values)
        {
            if *kind == Kind::Float {
                state.add(*value);
                *seen = true;
            }
        }
    }

    fn finish(self, map: impl Fn(f64) -> f64) -> Column {
        let kinds = self.seen.into_iter().map(|seen| if seen { Kind::Float } else { Kind::Absent }).collect();
        let values = self.states.iter().map(|state| map(state.value())).collect();
        Column { kinds, values, histograms: Vec::new() }
    }
}

enum Floats {
    /// Of `count` and `group`, which take histograms like floats: how many there were.
    Count(Vec<u32>),
    Sum(Cells<Sum>),
    Avg(Cells<Mean>),
    Min(Cells<Smallest>),
    Max(Cells<Largest>),
    Variance(Cells<Variance>),
}

impl Floats {
    fn new(op: AggregateOp, count: usize) -> Floats {
        match op {
            AggregateOp::Sum => Floats::Sum(Cells::new(count)),
            AggregateOp::Avg => Floats::Avg(Cells::new(count)),
            AggregateOp::Min => Floats::Min(Cells::new(count)),
            AggregateOp::Max => Floats::Max(Cells::new(count)),
            AggregateOp::Stddev | AggregateOp::Stdvar => Floats::Variance(Cells::new(count)),
            _ => Floats::Count(vec![0; count]),
        }
    }

    fn step_bytes(op: AggregateOp) -> usize {
        match op {
            AggregateOp::Sum => size_of::<Sum>() + 1,
            AggregateOp::Avg => size_of::<Mean>() + 1,
            AggregateOp::Min | AggregateOp::Max => size_of::<f64>() + 1,
            AggregateOp::Stddev | AggregateOp::Stdvar => size_of::<Variance>() + 1,
            _ => size_of::<u32>(),
        }
    }

    fn add(&mut self, column: &Column) {
        match self {
            Floats::Count(counts) => {
                for (count, kind) in counts.iter_mut().zip(&column.kinds) {
                    *count += u32::from(*kind != Kind::Absent);
                }
            }
            Floats::Sum(cells) => cells.add(column),
            Floats::Avg(cells) => cells.add(column),
            Floats::Min(cells) => cells.add(column),
            Floats::Max(cells) => cells.add(column),
            Floats::Variance(cells) => cells.add(column),
        }
    }

    fn finish(self, op: AggregateOp) -> Column {
        match self {
            Floats::Count(counts) => {
                let kinds = counts.iter().map(|&count| if count > 0 { Kind::Float } else { Kind::Absent }).collect();
                let value = |count: u32| if op == AggregateOp::Group { 1.0 } else { f64::from(count) };
                Column { kinds, values: counts.into_iter().map(value).collect(), histograms: Vec::new() }
            }
            Floats::Sum(cells) => cells.finish(|value| value),
            Floats::Avg(cells) => cells.finish(|value| value),
            Floats::Min(cells) => cells.finish(|value| value),
            Floats::Max(cells) => cells.finish(|value| value),
            Floats::Variance(cells) => {
                cells.finish(|value| if op == AggregateOp::Stddev { value.sqrt() } else { value })
            }
        }
    }
}

struct Group {
    drop_name: bool,
    floats: Floats,
    /// By step, in order of the series, each with the place of its metric's name; empty while there are none.
    histograms: Vec<Vec<(Arc<FloatHistogram>, u32)>>,
    /// Names of the metrics of the histograms, each once where they follow each other.
    metrics: Vec<String>,
}

/// An aggregation under way.
pub(super) struct Folding<'a, 'b> {
    evaluator: &'a Evaluator<'b>,
    op: AggregateOp,
    span: Span,
    grid: Grid,
    /// Memory that a group takes for a step.
    step_bytes: usize,
    filter: LabelFilter,
    table: GroupTable,
    groups: Vec<Group>,
}

impl<'a, 'b> Folding<'a, 'b> {
    /// True for the aggregations that can be done so.
    pub(super) fn can(op: AggregateOp) -> bool {
        use AggregateOp as A;
        matches!(op, A::Sum | A::Avg | A::Count | A::Group | A::Min | A::Max | A::Stddev | A::Stdvar)
    }

    pub(super) fn new(evaluator: &'a Evaluator<'b>, e: &AggregateExpr, grid: Grid) -> Self {
        let (filter, span) = (group_filter(e), e.inner.span());
        let step_bytes = Floats::step_bytes(e.op);
        Folding {
            evaluator,
            op: e.op,
            span,
            grid,
            step_bytes,
            filter,
            table: GroupTable::default(),
            groups: Vec::new(),
        }
    }

    /// Takes the next series.
    pub(super) fn add(&mut self, series: VectorSeries) -> Result<(), QueryError> {
        let place = self.table.place(&self.filter, &series.labels);
        if place == self.groups.len() {
            self.evaluator.count_live(self.grid.count, self.grid.count * self.step_bytes)?;
            let floats = Floats::new(self.op, self.grid.count);
            self.groups.push(Group {
                drop_name: series.drop_name,
                floats,
                histograms: Vec::new(),
                metrics: Vec::new(),
            });
        }
        let group = &mut self.groups[place];
        // A group that still carries the name loses it as soon as one member does.
        group.drop_name |= series.drop_name;
        group.floats.add(&series.column);
        if series.column.histograms.is_empty() || matches!(self.op, AggregateOp::Count | AggregateOp::Group) {
            return Ok(());
        }
        let metric = series.labels.metric_name();
        if group.metrics.last().is_none_or(|last| last != metric) {
            group.metrics.push(metric.to_owned());
        }
        let named = (group.metrics.len() - 1) as u32;
        let mut kept = 0;
        for (step, histogram) in series.column.histograms.into_iter().enumerate() {
            let Some(histogram) = histogram.filter(|_| series.column.kinds[step] == Kind::Histogram) else { continue };
            if !matches!(self.op, AggregateOp::Sum | AggregateOp::Avg) {
                let text = format!("ignored histogram in {} aggregation", self.op.as_str());
                self.evaluator.annotations.info(self.span, text);
                break;
            }
            group.histograms.resize(self.grid.count, Vec::new());
            group.histograms[step].push((histogram, named));
            kept += 1;
        }
        self.evaluator.count_live(kept, kept * size_of::<(Arc<FloatHistogram>, u32)>())
    }

    /// One series a group, in the order in which the groups appeared.
    pub(super) fn finish(self) -> Vec<VectorSeries> {
        let mut out = Vec::with_capacity(self.groups.len());
        for (place, group) in self.groups.into_iter().enumerate() {
            let mut column = group.floats.finish(self.op);
            for (step, histograms) in group.histograms.iter().enumerate().filter(|(_, all)| !all.is_empty()) {
                if column.is_present(step) {
                    let text = "encountered a mix of histograms and floats for aggregation";
                    self.evaluator.annotations.warn(self.span, text);
                    column.clear(step);
                    continue;
                }
                let all: Vec<_> = histograms.iter().map(|(histogram, _)| histogram).collect();
                let metric = |index: usize| {
                    let named = histograms.get(index).map_or(0, |(_, named)| *named as usize);
                    group.metrics.get(named).map_or("", String::as_str)
                };
                let is_average = self.op == AggregateOp::Avg;
                if let Some(result) = self.evaluator.join(is_average, &all, self.span, metric) {
                    column.set_histogram(step, Arc::new(result));
                }
            }
            if !column.is_empty() {
                let labels = self.table.labels(place).clone();
                out.push(VectorSeries { labels, drop_name: group.drop_name, column });
            }
        }
        out
    }
}
