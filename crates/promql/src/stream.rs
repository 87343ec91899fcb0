//! Nodes that turn each series of a selector into one series: a selector, a range function over a range selector, and
//! whatever maps values one by one around them. The series of such a chain are read, evaluated and handed on one by one,
//! on all cores that are free, in the order of their labels.

use crate::engine::{finish_names, without_metadata};
use crate::error::QueryError;
use crate::eval::{Evaluator, is_step_invariant};
use crate::functions::{self, RangePlan};
use crate::layout::Layouts;
use crate::parallel;
use crate::profile::Mark;
use crate::select::{Bounds, Give, InstantPlan, note_resets};
use crate::shared::{Cost, Gathering, Kept, Read, Rows, Running, Turn};
use crate::value::{Grid, VectorSeries};
use model::{Labels, MatchOp, labels::METRIC_NAME};
use promql_syntax::{Expr, Span, ValueType, VectorSelector};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use storage::{Samples, SelectHints, Series, StorageError};

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
    source: Source<'e>,
    /// From the selector outwards.
    stages: Vec<(Span, Stage<'e>)>,
    names: Names,
}

/// What a chain does to the names of its series before they are handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// Nothing, or that is put off to the end of the query.
    Stay,
    /// They go, and no two series become one, for all have the same.
    Go,
    /// They go, and series may become one: all must be there before the next node sees them.
    Join,
}

/// Where the series of a chain come from.
enum Source<'e> {
    Storage(Box<Reading<'e>>),
    /// A node of the chain that others want as well, with its number.
    Part(usize, &'e Expr, Grid),
}

struct Reading<'e> {
    leaf: Leaf<'e>,
    leaf_span: Span,
    /// Place of the selector, with its range.
    read_span: Span,
    selector: &'e VectorSelector,
    bounds: Bounds,
    hints: SelectHints,
    grid: Grid,
    chunk: usize,
}

/// Series that one thread takes at once: of the storage, or those that are kept, by their numbers.
enum Chunk {
    Stored(Vec<Box<dyn Series>>),
    Kept(std::ops::Range<usize>),
}

/// What a thread made of its series, and what it read for others if they want it.
struct Evaluated {
    series: Vec<VectorSeries>,
    read: Vec<Read>,
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

/// A node of a chain but the last one.
struct Node<'e> {
    /// What it does to a series; parentheses do nothing.
    mapping: Option<&'e Expr>,
    inner: &'e Expr,
}

struct Chain<'e> {
    /// From the end inwards.
    nodes: Vec<Node<'e>>,
    /// The selector or range function where it begins.
    bottom: &'e Expr,
    names: Names,
}

/// True if the values of a node of a chain mean something else than those inside it.
fn drops_name(expr: &Expr) -> bool {
    match expr {
        Expr::Unary(e) => e.negative,
        Expr::Binary(e) => !(e.op.is_comparison() || e.op.is_trim()) || e.return_bool,
        Expr::Call(e) => !functions::keeps_name(&e.function),
        _ => false,
    }
}

/// True if all series that begin a chain have the same name.
fn fixes_name(bottom: &Expr) -> bool {
    let selector = match bottom {
        Expr::Selector(selector) => selector,
        Expr::Call(e) => match functions::matrix_argument(e) {
            Some(matrix) => &matrix.selector,
            None => return false,
        },
        _ => return false,
    };
    selector.matchers.iter().any(|matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal)
}

/// True if a series tells a type or a unit: another one may differ from it by that alone.
fn is_typed(labels: &Labels) -> bool {
    labels.get("__type__").is_some() || labels.get("__unit__").is_some()
}

/// The nodes of the chain that ends with `expr`, from there inwards, and the selector or range function where it begins.
fn nodes_of(expr: &Expr, grid: Grid) -> Option<(Vec<Node<'_>>, &Expr)> {
    let (mut nodes, mut bottom) = (Vec::new(), expr);
    loop {
        let (mapping, inner) = match bottom {
            Expr::Paren(e) => (None, &*e.inner),
            Expr::Selector(_) => break,
            Expr::Call(e) if functions::matrix_argument(e).is_some() => break,
            _ => (Some(bottom), mapped(bottom)?),
        };
        nodes.push(Node { mapping, inner });
        bottom = inner;
    }
    (grid.count == 1 || !is_step_invariant(bottom)).then_some((nodes, bottom))
}

fn no_chain(bottom: &Expr) -> QueryError {
    QueryError::Execution(format!("{bottom} reads no series"))
}

/// The series of a set, some at a time.
fn chunks_of<'s>(
    mut set: impl Iterator<Item = Result<Box<dyn Series>, StorageError>> + 's,
    size: usize,
) -> impl Iterator<Item = Result<Chunk, QueryError>> + 's {
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let mut chunk: Vec<Box<dyn Series>> = Vec::with_capacity(size);
        while chunk.len() < size {
            match set.next() {
                None => break,
                Some(Ok(series)) => chunk.push(series),
                Some(Err(error)) => {
                    failed = true;
                    return Some(Err(QueryError::from(error)));
                }
            }
        }
        if chunk.is_empty() { None } else { Some(Ok(Chunk::Stored(chunk))) }
    })
}

impl<'a> Evaluator<'a> {
    /// True if the node ends a chain.
    pub(crate) fn is_stream(&self, expr: &Expr, grid: Grid) -> bool {
        self.chain(expr, grid).is_some_and(|chain| chain.names != Names::Join)
    }

    /// The chain that ends with `expr`, if there is one and names may wait until its end.
    fn chain<'e>(&self, expr: &'e Expr, grid: Grid) -> Option<Chain<'e>> {
        let (nodes, bottom) = nodes_of(expr, grid)?;
        // From the selector outwards.
        let mut dropping = std::iter::once(bottom)
            .chain(nodes.iter().rev().filter_map(|node| node.mapping))
            .filter(|node| drops_name(node));
        let names = match dropping.next() {
            _ if self.delays_names() => Names::Stay,
            None => Names::Stay,
            Some(_) if fixes_name(bottom) => Names::Go,
            Some(node) if std::ptr::eq(node, expr) => Names::Join,
            // What comes after sees series that are one.
            Some(_) => return None,
        };
        Some(Chain { nodes, bottom, names })
    }

    /// The chain that ends with `expr`, if it is one.
    pub(crate) fn stream<'e>(&'e self, expr: &'e Expr, grid: Grid) -> Result<Option<Stream<'e>>, QueryError> {
        let Some(Chain { mut nodes, bottom, names }) = self.chain(expr, grid) else { return Ok(None) };
        // From the first node on that others want: who asks for the last one knows about it.
        let inner = nodes.iter().map(|node| node.inner).enumerate();
        let part = inner.filter_map(|(at, inner)| Some((at, self.part(inner)?, inner))).next();
        let source = match part {
            Some((at, number, inner)) => {
                nodes.truncate(at + 1);
                Source::Part(number, inner, grid)
            }
            None => Source::Storage(Box::new(self.reading(bottom, grid)?)),
        };
        let mut stages = Vec::with_capacity(nodes.len());
        for node in nodes.into_iter().rev() {
            if let Some(expr) = node.mapping {
                stages.push((expr.span(), self.stage(expr, grid)?));
            }
        }
        Ok(Some(Stream { source, stages, names }))
    }

    fn reading<'e>(&'e self, bottom: &'e Expr, grid: Grid) -> Result<Reading<'e>, QueryError> {
        let (leaf, selector, read_span, bounds, hints) = match bottom {
            Expr::Selector(selector) => {
                let plan = self.instant_plan(selector, grid, Give::Value)?;
                let bounds = plan.bounds();
                let hints = SelectHints { step_ms: grid.step, tiers: true, ..SelectHints::default() };
                (Leaf::Instant(plan), selector, selector.span, bounds, hints)
            }
            Expr::Call(e) => {
                let Some(matrix) = functions::matrix_argument(e) else { return Err(no_chain(bottom)) };
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
            _ => return Err(no_chain(bottom)),
        };
        let fewest = if grid.count > STEPS_MANY { 1 } else { CHUNK_SERIES_MIN };
        let chunk = (CHUNK_STEPS / grid.count.max(1)).clamp(fewest, CHUNK_SERIES_MAX);
        Ok(Reading { leaf, leaf_span: bottom.span(), read_span, selector, bounds, hints, grid, chunk })
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
        match &stream.source {
            Source::Storage(reading) => self.run_reading(reading, &stream.stages, fold),
            Source::Part(number, inner, grid) => {
                // Parts may be chains of parts: without this, the compiler would never come to an end of their types.
                let mut each = |mut series: VectorSeries| {
                    for (_, stage) in &stream.stages {
                        stage(&mut series);
                        if series.column.is_empty() {
                            return Ok(());
                        }
                    }
                    fold(series)
                };
                let each: &mut (dyn FnMut(VectorSeries) -> Result<(), QueryError> + Send) = &mut each;
                self.each_shared(*number, inner, *grid, each)
            }
        }
    }

    fn run_reading(
        &self,
        reading: &Reading<'_>,
        stages: &[(Span, Stage<'_>)],
        mut fold: impl FnMut(VectorSeries) -> Result<(), QueryError> + Send,
    ) -> Result<(), QueryError> {
        let start = reading.bounds.start.saturating_add(1);
        if start > reading.bounds.end {
            return Ok(());
        }
        // Several functions may want the samples of one range selector.
        let is_range = matches!(reading.leaf, Leaf::Range(_));
        let part = self.shared.as_ref().filter(|_| is_range).and_then(|own| own.number_at(reading.read_span));
        let (kept, running) = match part.map_or(Ok(Turn::Alone), |number| self.turn(number, reading.grid))? {
            Turn::Kept(kept) => (Some(kept), None),
            Turn::First(running) => (None, Some(running)),
            Turn::Alone | Turn::Spent => (None, None),
        };
        let kept = kept.as_ref().and_then(|kept| match &kept.rows {
            Rows::Samples(rows, notes) => Some((rows.as_slice(), notes)),
            Rows::Series(_) => None,
        });
        let keeps = AtomicBool::new(running.is_some());
        let mut gathering = running.as_ref().map(|running| Gathering::new(running.room()));
        let idle: Mutex<Vec<Scratch>> = Mutex::default();
        let map = |chunk: Chunk| {
            self.check_time()?;
            self.count_series(match &chunk {
                Chunk::Stored(chunk) => chunk.len(),
                Chunk::Kept(chunk) => chunk.len(),
            })?;
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut scratch = waiting.unwrap_or_else(|| Scratch::of(&reading.leaf));
            let mut out = Evaluated { series: Vec::new(), read: Vec::new() };
            let mut each = |labels: &Labels, mark: Mark, Scratch { samples, layouts }: &mut Scratch| {
                self.count_read(samples.len())?;
                let mark = self.profile_read(mark, reading.read_span, samples);
                if keeps.load(Ordering::Relaxed) {
                    out.read.push((labels.clone(), samples.clone()));
                }
                if samples.is_empty() {
                    return Ok(());
                }
                if self.histogram_stats() {
                    note_resets(samples);
                }
                out.series.extend(self.run_series(reading, stages, labels, samples, layouts, mark)?);
                Ok::<_, QueryError>(())
            };
            match chunk {
                Chunk::Stored(chunk) => {
                    for series in chunk {
                        scratch.samples.clear();
                        let mark = self.profile_mark();
                        series.read(&mut scratch.samples)?;
                        each(series.labels(), mark, &mut scratch)?;
                    }
                }
                Chunk::Kept(chunk) => {
                    for (labels, samples) in kept.map_or(&[][..], |(rows, _)| &rows[chunk]) {
                        scratch.samples.clear();
                        scratch.samples.extend_from(samples, 0, samples.len());
                        each(labels, None, &mut scratch)?;
                    }
                }
            }
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
            Ok(out)
        };
        let fold = |chunk: Evaluated| {
            if let Some(rows) = gathering.as_mut() {
                for row in chunk.read {
                    if !rows.has_room(&row) {
                        keeps.store(false, Ordering::Relaxed);
                        rows.drain();
                        break;
                    }
                    rows.push(row);
                }
            }
            chunk.series.into_iter().try_for_each(&mut fold)
        };
        let Some((rows, notes)) = kept else {
            let querier = self.storage.querier(start, reading.bounds.end)?;
            let hints = SelectHints {
                start_ms: start,
                end_ms: reading.bounds.end,
                stop: Some(self.stop()),
                ..reading.hints.clone()
            };
            let set = querier.select(&hints, &reading.selector.matchers).map_err(|error| self.given_up(error))?;
            parallel::ordered(self.helpers(), chunks_of(set, reading.chunk), map, fold)?;
            let notes = querier.notes();
            notes.iter().for_each(|note| self.annotations.info(reading.selector.span, note.clone()));
            match (running, gathering.map(Gathering::finish)) {
                (Some(running), Some(Ok((rows, _lease)))) => running.keep(Arc::new(Kept {
                    rows: Rows::Samples(rows, notes),
                    cost: Cost::default(),
                    gathered: Vec::new(),
                    notes: Vec::new(),
                    _lease,
                })),
                (running, _) => running.into_iter().for_each(Running::give_up),
            }
            return Ok(());
        };
        let chunks = (0..rows.len()).step_by(reading.chunk);
        let chunks = chunks.map(|from| Ok(Chunk::Kept(from..rows.len().min(from + reading.chunk))));
        parallel::ordered(self.helpers(), chunks, map, fold)?;
        notes.iter().for_each(|note| self.annotations.info(reading.selector.span, note.clone()));
        Ok(())
    }

    fn run_series(
        &self,
        reading: &Reading<'_>,
        stages: &[(Span, Stage<'_>)],
        labels: &Labels,
        samples: &mut Samples,
        layouts: &mut Layouts,
        mark: Mark,
    ) -> Result<Option<VectorSeries>, QueryError> {
        let value = match &reading.leaf {
            Leaf::Instant(plan) => self.instant_series(plan, labels, samples, layouts),
            Leaf::Range(plan) => plan.evaluate(self, labels, samples, layouts)?,
        };
        let Some(mut value) = value else { return Ok(None) };
        // The span of an instant selector was noted with the read.
        let mut mark = match &reading.leaf {
            Leaf::Instant(_) => mark,
            Leaf::Range(_) => self.profile_series(mark, reading.leaf_span, &value.column),
        };
        for (span, stage) in stages {
            stage(&mut value);
            mark = self.profile_series(mark, *span, &value.column);
            if value.column.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(value))
    }

    /// Hands the series of a vector to `fold`, one by one; all of them are in memory at once only if they must be. Names
    /// that have gone may still be there where nobody looks at them.
    pub(crate) fn each_vector(
        &self,
        expr: &Expr,
        grid: Grid,
        looks_at_names: bool,
        fold: impl FnMut(VectorSeries) -> Result<(), QueryError> + Send,
    ) -> Result<(), QueryError> {
        match self.part(expr) {
            Some(number) => self.each_shared(number, expr, grid, fold),
            None => self.each_alone(expr, grid, looks_at_names, fold),
        }
    }

    /// As [`Evaluator::each_vector`], of a node that is not taken from others.
    pub(crate) fn each_alone(
        &self,
        expr: &Expr,
        grid: Grid,
        looks_at_names: bool,
        mut fold: impl FnMut(VectorSeries) -> Result<(), QueryError> + Send,
    ) -> Result<(), QueryError> {
        let stream = match self.stream(expr, grid)? {
            Some(stream) if stream.names == Names::Stay => return self.run_stream(&stream, fold),
            Some(stream) if stream.names == Names::Go => stream,
            _ => return self.vector_alone(expr, grid)?.into_iter().try_for_each(fold),
        };
        // From the first series with a type on, which comes before the same one without.
        let mut typed: Vec<VectorSeries> = Vec::new();
        self.run_stream(&stream, |mut series| {
            if !typed.is_empty() || is_typed(&series.labels) {
                self.count_live_series(&series)?;
                typed.push(series);
                return Ok(());
            }
            // Notes about histograms tell the name.
            if series.drop_name && (looks_at_names || !series.column.histograms.is_empty()) {
                series.labels = without_metadata(&series.labels);
            }
            series.drop_name = false;
            fold(series)
        })?;
        finish_names(typed)?.into_iter().try_for_each(fold)
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
