//! Nodes that turn each series of a selector into one series: a selector, a range function over a range selector, and
//! whatever maps values one by one around them. The series of such a chain are read, evaluated and handed on one by one,
//! on all cores that are free, in the order of their labels.

use crate::error::QueryError;
use crate::eval::{Evaluator, is_step_invariant};
use crate::functions::{self, RangePlan};
use crate::layout::Layouts;
use crate::parallel;
use crate::profile::Mark;
use crate::select::{Bounds, Give, InstantPlan, note_resets};
use crate::value::{Grid, VectorSeries};
use promql_syntax::{Expr, Span, ValueType, VectorSelector};
use std::sync::{Mutex, PoisonError};
use storage::{Samples, SelectHints, Series};

/// So many steps, about, are evaluated by a thread before it looks for more work.
const CHUNK_STEPS: usize = 8192;
/// So many series at least and at most.
const CHUNK_SERIES_MIN: usize = 4;
const CHUNK_SERIES_MAX: usize = 64;
/// Series with more steps than these, which only subqueries have, are taken one by one for the sake of memory.
const STEPS_MANY: usize = 100_000;

/// Changes the values of a series at all steps; may clear some.
pub(crate) type Stage<'e> = Box<dyn Fn(&mut VectorSeries) + Sync + 'e>;

enum Leaf<'e> {
    Instant(InstantPlan<'e>),
    Range(RangePlan<'e>),
}

/// What a thread uses again for every series.
struct Scratch {
    samples: Samples,
    layouts: Layouts,
}

impl Scratch {
    fn of(leaf: &Leaf<'_>) -> Scratch {
        let layouts = match leaf {
            Leaf::Instant(plan) => plan.layouts(),
            Leaf::Range(plan) => plan.layouts(),
        };
        Scratch { samples: Samples::default(), layouts }
    }
}

/// A chain that is ready to run.
pub(crate) struct Stream<'e> {
    leaf: Leaf<'e>,
    leaf_span: Span,
    /// Place of the selector, with its range.
    read_span: Span,
    /// From the selector outwards.
    stages: Vec<(Span, Stage<'e>)>,
    selector: &'e VectorSelector,
    bounds: Bounds,
    hints: SelectHints,
    chunk: usize,
}

/// The vector inside a node that maps it value by value.
pub(crate) fn mapped(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Unary(e) => Some(&e.inner).filter(|inner| inner.value_type() == ValueType::Vector).map(|inner| &**inner),
        Expr::Binary(e) if !e.op.is_set() => match (e.left.value_type(), e.right.value_type()) {
            (ValueType::Vector, ValueType::Scalar) => Some(&e.left),
            (ValueType::Scalar, ValueType::Vector) => Some(&e.right),
            _ => None,
        },
        Expr::Call(e) if functions::is_mapping(e) => e.args.first(),
        _ => None,
    }
}

impl<'a> Evaluator<'a> {
    /// The chain that ends with `expr`, if it is one.
    pub(crate) fn stream<'e>(&'e self, expr: &'e Expr, grid: Grid) -> Result<Option<Stream<'e>>, QueryError> {
        let (mut nodes, mut bottom) = (Vec::new(), expr);
        loop {
            match bottom {
                Expr::Paren(e) => bottom = &e.inner,
                Expr::Selector(_) => break,
                Expr::Call(e) if functions::matrix_argument(e).is_some() => break,
                _ => {
                    let Some(inner) = mapped(bottom) else { return Ok(None) };
                    nodes.push(bottom);
                    bottom = inner;
                }
            }
        }
        if grid.count > 1 && is_step_invariant(bottom) {
            return Ok(None);
        }
        let (leaf, selector, read_span, bounds, hints) = match bottom {
            Expr::Selector(selector) => {
                let plan = self.instant_plan(selector, grid, Give::Value)?;
                let bounds = plan.bounds();
                let hints = SelectHints { step_ms: grid.step, tiers: true, ..SelectHints::default() };
                (Leaf::Instant(plan), selector, selector.span, bounds, hints)
            }
            Expr::Call(e) => {
                let Some(matrix) = functions::matrix_argument(e) else { return Ok(None) };
                let plan = self.range_plan(e, grid)?;
                let bounds = self.matrix_bounds(matrix, plan.times(), grid);
                let hints = SelectHints {
                    step_ms: grid.step,
                    range_ms: plan.times().range,
                    function: e.function.clone(),
                    tiers: true,
                    ..SelectHints::default()
                };
                (Leaf::Range(plan), &matrix.selector, matrix.span, bounds, hints)
            }
            _ => return Ok(None),
        };
        let mut stages = Vec::with_capacity(nodes.len());
        for node in nodes.into_iter().rev() {
            stages.push((node.span(), self.stage(node, grid)?));
        }
        let fewest = if grid.count > STEPS_MANY { 1 } else { CHUNK_SERIES_MIN };
        let chunk = (CHUNK_STEPS / grid.count.max(1)).clamp(fewest, CHUNK_SERIES_MAX);
        Ok(Some(Stream { leaf, leaf_span: bottom.span(), read_span, stages, selector, bounds, hints, chunk }))
    }

    /// What a mapping node (see [`mapped`]) does to a series.
    pub(crate) fn stage<'e>(&'e self, node: &'e Expr, grid: Grid) -> Result<Stage<'e>, QueryError> {
        match node {
            Expr::Unary(e) if e.negative => Ok(Box::new(crate::eval::negate)),
            Expr::Unary(_) => Ok(Box::new(|_| {})),
            Expr::Binary(e) => self.scalar_stage(e, grid),
            Expr::Call(e) => self.mapping_stage(e, grid),
            _ => Err(QueryError::Execution(format!("{node} does not map a vector"))),
        }
    }

    /// Hands the series of a chain to `fold`, in order; those without a value are left out.
    pub(crate) fn run_stream(
        &self,
        stream: &Stream<'_>,
        mut fold: impl FnMut(VectorSeries) -> Result<(), QueryError> + Send,
    ) -> Result<(), QueryError> {
        let start = stream.bounds.start.saturating_add(1);
        if start > stream.bounds.end {
            return Ok(());
        }
        let querier = self.storage.querier(start, stream.bounds.end)?;
        let hints =
            SelectHints { start_ms: start, end_ms: stream.bounds.end, stop: Some(self.stop()), ..stream.hints.clone() };
        let mut set = querier.select(&hints, &stream.selector.matchers).map_err(|error| self.given_up(error))?;
        let mut failed = false;
        let chunks = std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let mut chunk: Vec<Box<dyn Series>> = Vec::with_capacity(stream.chunk);
            while chunk.len() < stream.chunk {
                match set.next() {
                    None => break,
                    Some(Ok(series)) => chunk.push(series),
                    Some(Err(error)) => {
                        failed = true;
                        return Some(Err(QueryError::from(error)));
                    }
                }
            }
            if chunk.is_empty() { None } else { Some(Ok(chunk)) }
        });
        let idle: Mutex<Vec<Scratch>> = Mutex::default();
        let map = |chunk: Vec<Box<dyn Series>>| {
            self.check_time()?;
            self.count_series(chunk.len())?;
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut scratch = waiting.unwrap_or_else(|| Scratch::of(&stream.leaf));
            let Scratch { samples, layouts } = &mut scratch;
            let mut out = Vec::with_capacity(chunk.len());
            for series in chunk {
                samples.clear();
                let mut mark = self.profile_mark();
                series.read(samples)?;
                self.count_read(samples.len())?;
                mark = self.profile_read(mark, stream.read_span, samples);
                if samples.is_empty() {
                    continue;
                }
                if self.histogram_stats() {
                    note_resets(samples);
                }
                if let Some(value) = self.run_series(stream, series.labels(), samples, layouts, mark)? {
                    out.push(value);
                }
            }
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
            Ok(out)
        };
        parallel::ordered(self.helpers(), chunks, map, |chunk: Vec<VectorSeries>| {
            chunk.into_iter().try_for_each(&mut fold)
        })?;
        self.note_storage(querier.as_ref(), stream.selector.span);
        Ok(())
    }

    fn run_series(
        &self,
        stream: &Stream<'_>,
        labels: &model::Labels,
        samples: &mut Samples,
        layouts: &mut Layouts,
        mark: Mark,
    ) -> Result<Option<VectorSeries>, QueryError> {
        let value = match &stream.leaf {
            Leaf::Instant(plan) => self.instant_series(plan, labels, samples, layouts),
            Leaf::Range(plan) => plan.evaluate(self, labels, samples, layouts)?,
        };
        let Some(mut value) = value else { return Ok(None) };
        // The span of an instant selector was noted with the read.
        let mut mark = match &stream.leaf {
            Leaf::Instant(_) => mark,
            Leaf::Range(_) => self.profile_series(mark, stream.leaf_span, &value.column),
        };
        for (span, stage) in &stream.stages {
            stage(&mut value);
            mark = self.profile_series(mark, *span, &value.column);
            if value.column.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(value))
    }

    /// Hands the series of a vector to `fold`, one by one; all of them are in memory at once only if they must be.
    pub(crate) fn each_vector(
        &self,
        expr: &Expr,
        grid: Grid,
        fold: impl FnMut(VectorSeries) -> Result<(), QueryError> + Send,
    ) -> Result<(), QueryError> {
        match self.stream(expr, grid)? {
            Some(stream) => self.run_stream(&stream, fold),
            None => self.eval_vector(expr, grid)?.into_iter().try_for_each(fold),
        }
    }

    /// All series of a chain.
    pub(crate) fn collect_stream(&self, stream: &Stream<'_>) -> Result<Vec<VectorSeries>, QueryError> {
        let mut out = Vec::new();
        self.run_stream(stream, |series| {
            self.count_live_series(&series)?;
            out.push(series);
            Ok(())
        })?;
        Ok(out)
    }
}
