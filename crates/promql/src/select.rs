//! Selectors: from the storage to columns and windows.

use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::layout::Layouts;
use crate::value::{At, Column, Grid, Kind, VectorSeries};
use model::{FloatHistogram, Labels, MatchOp, histogram::CounterResetHint, stale::is_stale_nan};
use promql_syntax::{
    At as AtModifier, DurationExpr, Expr, Extension, MatrixSelector, QueryTimes, Span, VectorSelector,
};
use std::sync::Arc;
use storage::{Querier, Samples, SelectHints, Tier};

/// Samples of one series for range functions: floats and histograms apart, stale markers gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct RangeSeries {
    pub(crate) labels: Labels,
    pub(crate) drop_name: bool,
    pub(crate) float_times: Vec<i64>,
    pub(crate) floats: Vec<f64>,
    pub(crate) float_starts: Vec<i64>,
    histogram_times: Vec<i64>,
    histograms: Vec<Arc<FloatHistogram>>,
    histogram_starts: Vec<i64>,
    /// Empty if no sample is down-sampled.
    float_tiers: Vec<Tier>,
    histogram_tiers: Vec<Tier>,
}

/// The samples of a series in `(start, end]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) float_times: &'a [i64],
    pub(crate) floats: &'a [f64],
    /// Empty if no sample has a start timestamp.
    pub(crate) float_starts: &'a [i64],
    pub(crate) histogram_times: &'a [i64],
    pub(crate) histograms: &'a [Arc<FloatHistogram>],
    pub(crate) histogram_starts: &'a [i64],
    /// Empty if no sample is down-sampled.
    pub(crate) float_tiers: &'a [Tier],
    pub(crate) histogram_tiers: &'a [Tier],
}

impl Window<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    pub(crate) fn is_mixed(&self) -> bool {
        !self.floats.is_empty() && !self.histograms.is_empty()
    }

    /// True if the oldest (or newest) sample is a histogram.
    pub(crate) fn first_is_histogram(&self) -> bool {
        match (self.float_times.first(), self.histogram_times.first()) {
            (Some(float), Some(histogram)) => histogram < float,
            (float, _) => float.is_none(),
        }
    }

    pub(crate) fn last_is_histogram(&self) -> bool {
        match (self.float_times.last(), self.histogram_times.last()) {
            (Some(float), Some(histogram)) => histogram > float,
            (float, _) => float.is_none(),
        }
    }
}

impl RangeSeries {
    pub(crate) fn from_samples(labels: Labels, samples: &Samples) -> RangeSeries {
        let mut out = RangeSeries { labels, ..RangeSeries::default() };
        let (starts, tiers) = (!samples.start_timestamps.is_empty(), !samples.tiers.is_empty());
        for (index, &time) in samples.timestamps.iter().enumerate() {
            match samples.histogram(index) {
                Some(histogram) if !histogram.is_stale() => {
                    out.histogram_times.push(time);
                    out.histograms.push(Arc::clone(histogram));
                    if starts {
                        out.histogram_starts.push(samples.start_timestamp(index));
                    }
                    if tiers {
                        out.histogram_tiers.push(samples.tier(index));
                    }
                }
                None if !is_stale_nan(samples.values[index]) => {
                    out.float_times.push(time);
                    out.floats.push(samples.values[index]);
                    if starts {
                        out.float_starts.push(samples.start_timestamp(index));
                    }
                    if tiers {
                        out.float_tiers.push(samples.tier(index));
                    }
                }
                _ => {}
            }
        }
        out
    }

    fn from_column(series: VectorSeries, grid: Grid) -> RangeSeries {
        let mut out = RangeSeries { labels: series.labels, drop_name: series.drop_name, ..RangeSeries::default() };
        for step in 0..grid.count {
            match series.column.get(step) {
                None => {}
                Some(At::Float(value)) => {
                    out.float_times.push(grid.time(step));
                    out.floats.push(value);
                }
                Some(At::Histogram(histogram)) => {
                    let mut histogram = Arc::clone(histogram);
                    // What it says about the sample before it is not about the step before it.
                    if !matches!(histogram.counter_reset_hint, CounterResetHint::Gauge | CounterResetHint::Unknown) {
                        Arc::make_mut(&mut histogram).counter_reset_hint = CounterResetHint::Unknown;
                    }
                    out.histogram_times.push(grid.time(step));
                    out.histograms.push(histogram);
                }
            }
        }
        out
    }

    /// True if no sample is a histogram.
    pub(crate) fn is_floats(&self) -> bool {
        self.histograms.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// True if any sample is down-sampled.
    pub(crate) fn is_tiered(&self) -> bool {
        !self.float_tiers.is_empty() || !self.histogram_tiers.is_empty()
    }

    /// The samples around a range where some are down-sampled: as far as there may be something between them and its
    /// ends. `None` where all are as they were stored.
    /// `coarsest_ms` is [`RangeSeries::coarsest_ms`].
    pub(crate) fn tiered_window(&self, bounds: Bounds, coarsest_ms: i64) -> Option<Window<'_>> {
        let around = |ms: i64| {
            let reach = TIER_REACH * ms;
            self.window(bounds.start.saturating_sub(reach), bounds.end.saturating_add(reach))
        };
        // How far it is to be looked is known after the first look, which is as wide as any may be.
        let window = around(coarsest_ms);
        match coarsest_ms_of(window.float_tiers).max(coarsest_ms_of(window.histogram_tiers)) {
            0 => None,
            own_ms if own_ms == coarsest_ms => Some(window),
            own_ms => Some(around(own_ms)),
        }
    }

    /// Length of the longest window that any of its samples stands for, 0 if none is down-sampled.
    pub(crate) fn coarsest_ms(&self) -> i64 {
        coarsest_ms_of(&self.float_tiers).max(coarsest_ms_of(&self.histogram_tiers))
    }

    /// As [`RangeSeries::window`], for windows that move on: starts looking where the last one was found.
    pub(crate) fn next_window(&self, cursor: &mut Cursor, start: i64, end: i64) -> Window<'_> {
        let (f, h) = (
            cursor.floats.follow(&self.float_times, start, end),
            cursor.histograms.follow(&self.histogram_times, start, end),
        );
        self.slice(f, h)
    }

    /// Samples after `start` up to and including `end`.
    pub(crate) fn window(&self, start: i64, end: i64) -> Window<'_> {
        let bounds = |times: &[i64]| {
            let to = times.partition_point(|&time| time <= end);
            (times[..to].partition_point(|&time| time <= start), to)
        };
        self.slice(bounds(&self.float_times), bounds(&self.histogram_times))
    }

    fn slice(&self, f: (usize, usize), h: (usize, usize)) -> Window<'_> {
        Window {
            float_times: &self.float_times[f.0..f.1],
            floats: &self.floats[f.0..f.1],
            float_starts: self.float_starts.get(f.0..f.1).unwrap_or_default(),
            histogram_times: &self.histogram_times[h.0..h.1],
            histograms: &self.histograms[h.0..h.1],
            histogram_starts: self.histogram_starts.get(h.0..h.1).unwrap_or_default(),
            float_tiers: self.float_tiers.get(f.0..f.1).unwrap_or_default(),
            histogram_tiers: self.histogram_tiers.get(h.0..h.1).unwrap_or_default(),
        }
    }
}

fn coarsest_ms_of(tiers: &[Tier]) -> i64 {
    tiers.iter().map(|tier| i64::from(tier.resolution_ms)).max().unwrap_or(0)
}

/// Down-sampled samples farther apart than so many of their windows have nothing between them.
const TIER_REACH: i64 = 2;

/// Where the last window of a series was found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    floats: Position,
    histograms: Position,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    from: usize,
    to: usize,
}

impl Position {
    /// Indexes of the times in `(start, end]`; neither bound may be before that of the last call.
    pub(crate) fn follow(&mut self, times: &[i64], start: i64, end: i64) -> (usize, usize) {
        while times.get(self.from).is_some_and(|&time| time <= start) {
            self.from += 1;
        }
        self.to = self.to.max(self.from);
        while times.get(self.to).is_some_and(|&time| time <= end) {
            self.to += 1;
        }
        (self.from, self.to)
    }
}

/// Bounds of a window, `start` exclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// What an instant selector gives for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Give {
    Value,
    /// Its time, in seconds.
    Timestamp,
    /// When its counter started, in seconds.
    StartTimestamp,
}

/// An instant selector with its durations worked out.
pub(crate) struct InstantPlan<'e> {
    selector: &'e VectorSelector,
    give: Give,
    at: Option<i64>,
    offset: i64,
    /// One step where `@` fixes the time.
    steps: Grid,
    grid: Grid,
    smoothed: bool,
    lookback: i64,
}

impl InstantPlan<'_> {
    /// The time that a step looks at.
    fn reference(&self, step: usize) -> i64 {
        self.at.unwrap_or_else(|| self.steps.time(step)).saturating_sub(self.offset)
    }

    /// For the series that one thread evaluates.
    pub(crate) fn layouts(&self) -> Layouts {
        Layouts::new(self.steps, RangeTimes { at: self.at, offset: self.offset, range: self.lookback })
    }

    /// What must be read.
    pub(crate) fn bounds(&self) -> Bounds {
        let (first, last) = (self.reference(0), self.reference(self.steps.count - 1));
        let end = if self.smoothed { last.saturating_add(self.lookback) } else { last };
        Bounds { start: first.saturating_sub(self.lookback), end }
    }
}

/// A range expression with its durations worked out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeTimes {
    at: Option<i64>,
    offset: i64,
    pub(crate) range: i64,
}

impl RangeTimes {
    /// The window for evaluation time `time`.
    pub(crate) fn bounds(&self, time: i64) -> Bounds {
        let end = self.at.unwrap_or(time).saturating_sub(self.offset);
        Bounds { start: end.saturating_sub(self.range), end }
    }
}

impl Evaluator<'_> {
    pub(crate) fn duration(&self, duration: &DurationExpr) -> Result<i64, QueryError> {
        let times = QueryTimes { step_ms: self.times.step, range_ms: self.times.end - self.times.start };
        duration.evaluate_ms(times).map_err(|fault| QueryError::Execution(fault.message))
    }

    fn positive_duration(&self, duration: &DurationExpr) -> Result<i64, QueryError> {
        match self.duration(duration)? {
            ms if ms > 0 => Ok(ms),
            _ => Err(QueryError::Execution("duration must be greater than 0".to_owned())),
        }
    }

    pub(crate) fn offset_and_at(
        &self,
        offset: Option<&DurationExpr>,
        at: Option<AtModifier>,
    ) -> Result<(i64, Option<i64>), QueryError> {
        let offset = offset.map(|offset| self.duration(offset)).transpose()?.unwrap_or(0);
        let at = at.map(|at| match at {
            AtModifier::Timestamp(ms) => ms,
            AtModifier::Start => self.times.start,
            AtModifier::End => self.times.end,
        });
        Ok((offset, at))
    }

    /// Reads all series that match, in order, the samples after `start` up to `end`.
    pub(crate) fn each_series(
        &self,
        selector: &VectorSelector,
        bounds: Bounds,
        hints: SelectHints,
        mut visit: impl FnMut(&Labels, &Samples) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let start = bounds.start.saturating_add(1);
        if start > bounds.end {
            return Ok(());
        }
        let querier = self.storage.querier(start, bounds.end)?;
        let hints = SelectHints { start_ms: start, end_ms: bounds.end, stop: Some(self.stop()), ..hints };
        let mut samples = Samples::default();
        for (index, series) in
            querier.select(&hints, &selector.matchers).map_err(|error| self.given_up(error))?.enumerate()
        {
            if index % 64 == 0 {
                self.check_time()?;
            }
            let series = series?;
            self.count_series(1)?;
            samples.clear();
            series.read(&mut samples)?;
            self.count_read(samples.len())?;
            if self.histogram_stats() {
                note_resets(&mut samples);
            }
            if !samples.is_empty() {
                visit(series.labels(), &samples)?;
            }
        }
        self.note_storage(querier.as_ref(), selector.span);
        Ok(())
    }

    /// Passes on what the storage has to say about what was read.
    pub(crate) fn note_storage(&self, querier: &dyn Querier, span: Span) {
        querier.notes().into_iter().for_each(|note| self.annotations.info(span, note));
    }

    /// An instant selector at every step.
    pub(crate) fn instant_selector(
        &self,
        selector: &VectorSelector,
        grid: Grid,
        give: Give,
    ) -> Result<Vec<VectorSeries>, QueryError> {
        let plan = self.instant_plan(selector, grid, give)?;
        let hints = SelectHints { step_ms: grid.step, tiers: true, ..SelectHints::default() };
        let (mut out, mut layouts) = (Vec::new(), plan.layouts());
        self.each_series(selector, plan.bounds(), hints, |labels, samples| {
            if let Some(series) = self.instant_series(&plan, labels, samples, &mut layouts) {
                self.count_live_series(&series)?;
                out.push(series);
            }
            Ok(())
        })?;
        Ok(out)
    }

    pub(crate) fn instant_plan<'e>(
        &self,
        selector: &'e VectorSelector,
        grid: Grid,
        give: Give,
    ) -> Result<InstantPlan<'e>, QueryError> {
        let (offset, at) = self.offset_and_at(selector.offset.as_ref(), selector.at)?;
        let steps = if at.is_some() { Grid { count: 1, ..grid } } else { grid };
        let smoothed = selector.extension == Extension::Smoothed && give == Give::Value;
        Ok(InstantPlan { selector, give, at, offset, steps, grid, smoothed, lookback: self.lookback })
    }

    /// One series of an instant selector, if it has a value at any step. `layouts` are the plan's.
    pub(crate) fn instant_series(
        &self,
        plan: &InstantPlan<'_>,
        labels: &Labels,
        samples: &Samples,
        layouts: &mut Layouts,
    ) -> Option<VectorSeries> {
        let mut column = Column::empty(plan.steps.count);
        if plan.smoothed {
            let mut next = 0;
            for step in 0..plan.steps.count {
                let time = plan.reference(step);
                while samples.timestamps.get(next).is_some_and(|&own| own <= time) {
                    next += 1;
                }
                self.smooth(samples, next, time, step, &mut column, labels, plan.selector);
            }
        } else {
            pick(plan, samples, layouts, &mut column);
        }
        if column.is_empty() {
            return None;
        }
        let column = if plan.at.is_some() { column.repeat(plan.grid.count) } else { column };
        if let Some(counts) = self.counting() {
            counts.add_column(&column);
        }
        Some(VectorSeries { labels: labels.clone(), drop_name: false, column })
    }

    /// The value at `time` on the line between the samples around it; `next` is the first sample after it.
    #[allow(clippy::too_many_arguments)]
    fn smooth(
        &self,
        samples: &Samples,
        next: usize,
        time: i64,
        step: usize,
        column: &mut Column,
        labels: &Labels,
        selector: &VectorSelector,
    ) {
        let before = (0..next)
            .rev()
            .find(|&index| !is_stale(samples, index))
            .filter(|&index| samples.timestamps[index] > time.saturating_sub(self.lookback));
        let after = (next..samples.len())
            .find(|&index| !is_stale(samples, index))
            .filter(|&index| samples.timestamps[index] <= time.saturating_add(self.lookback));
        let Some(before) = before else { return };
        let at = samples.timestamps[before];
        let Some(after) = after.filter(|_| at != time) else {
            column.set(step, samples.value(before));
            return;
        };
        let share = (time - at) as f64 / (samples.timestamps[after] - at) as f64;
        match (samples.histogram(before), samples.histogram(after)) {
            (None, None) => {
                let (a, b) = (samples.values[before], samples.values[after]);
                column.set_float(step, a + (b - a) * share);
            }
            // A counter that was reset in between started from zero.
            (Some(a), Some(b))
                if b.counter_reset_hint != CounterResetHint::Gauge
                    && a.uses_custom_buckets() == b.uses_custom_buckets()
                    && crate::histogram::is_reset(b, a) =>
            {
                column.set_histogram(step, Arc::new(crate::histogram::scale(b, share)));
            }
            (Some(a), Some(b)) => match crate::histogram::sub(b, a) {
                Ok((difference, _)) => {
                    if let Ok((sum, _)) = crate::histogram::add(a, &crate::histogram::scale(&difference, share)) {
                        let hint = a.counter_reset_hint;
                        column.set_histogram(step, Arc::new(FloatHistogram { counter_reset_hint: hint, ..sum }));
                    }
                }
                Err(_) => self.warn_mixed_schemas(labels.metric_name(), selector.span),
            },
            _ => self.warn_mixed_types(labels.metric_name(), selector.span),
        }
    }

    /// Durations of a range selector or subquery.
    pub(crate) fn range_times(&self, expr: &Expr) -> Result<RangeTimes, QueryError> {
        match expr.unparenthesized() {
            Expr::Matrix(e) => {
                let (offset, at) = self.offset_and_at(e.selector.offset.as_ref(), e.selector.at)?;
                Ok(RangeTimes { at, offset, range: self.positive_duration(&e.range)? })
            }
            Expr::Subquery(e) => {
                let (offset, at) = self.offset_and_at(e.offset.as_ref(), e.at)?;
                Ok(RangeTimes { at, offset, range: self.positive_duration(&e.range)? })
            }
            _ => Err(QueryError::Execution("a range vector is needed here".to_owned())),
        }
    }

    pub(crate) fn window_bounds(&self, expr: &Expr, time: i64) -> Result<Bounds, QueryError> {
        Ok(self.range_times(expr)?.bounds(time))
    }

    /// What a range selector must read for all steps.
    pub(crate) fn matrix_bounds(&self, e: &MatrixSelector, times: &RangeTimes, grid: Grid) -> Bounds {
        let (before, after) = match e.selector.extension {
            Extension::None => (0, 0),
            Extension::Anchored => (self.lookback, 0),
            Extension::Smoothed => (self.lookback, self.lookback),
        };
        let (first, last) = (times.bounds(grid.start), times.bounds(grid.end()));
        Bounds { start: first.start.saturating_sub(before), end: last.end.saturating_add(after) }
    }

    /// All series of a range vector with all samples that any step needs.
    pub(crate) fn range_vector(&self, expr: &Expr, grid: Grid) -> Result<Vec<RangeSeries>, QueryError> {
        let mut out = Vec::new();
        self.each_range(expr, grid, "", |series| {
            self.count_live(series.len(), series.len() * (size_of::<i64>() + size_of::<f64>()))?;
            out.push(series);
            Ok(())
        })?;
        Ok(out)
    }

    /// Hands over the series of a range vector one by one, so that only one is in memory.
    pub(crate) fn each_range(
        &self,
        expr: &Expr,
        grid: Grid,
        function: &str,
        mut visit: impl FnMut(RangeSeries) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let times = self.range_times(expr)?;
        let (first, last) = (times.bounds(grid.start), times.bounds(grid.end()));
        match expr.unparenthesized() {
            Expr::Matrix(e) => {
                let bounds = self.matrix_bounds(e, &times, grid);
                let hints = SelectHints {
                    step_ms: grid.step,
                    range_ms: times.range,
                    function: function.to_owned(),
                    tiers: true,
                    ..SelectHints::default()
                };
                self.each_series(&e.selector, bounds, hints, |labels, samples| {
                    let series = RangeSeries::from_samples(labels.clone(), samples);
                    if series.len() == 0 { Ok(()) } else { visit(series) }
                })
            }
            Expr::Subquery(e) => {
                let step = match &e.step {
                    Some(step) => self.positive_duration(step)?,
                    None => self.default_step(),
                };
                // Steps of subqueries lie on multiples of the step, whatever the query's own times are.
                let mut start = (first.start / step).saturating_mul(step);
                if start <= first.start {
                    start = start.saturating_add(step);
                }
                if start > last.end {
                    return Ok(());
                }
                let count = usize::try_from(last.end.saturating_sub(start) / step + 1).unwrap_or(usize::MAX);
                if count > self.max_samples() {
                    return Err(QueryError::TooManySamples { limit: self.max_samples(), reached: count });
                }
                self.check_steps(count)?;
                let inner = Grid { start, step, count };
                // What counts is how often the points of the subquery are looked at.
                let value = self.counts.subquery(count, || self.eval(&e.inner, inner));
                let crate::value::Intermediate::Vector(series) = value? else {
                    return Err(QueryError::Execution("a subquery needs an instant vector".to_owned()));
                };
                for one in series {
                    self.check_time()?;
                    if one.column.kinds.iter().any(|kind| *kind != Kind::Absent) {
                        visit(RangeSeries::from_column(one, inner))?;
                    }
                }
                Ok(())
            }
            _ => Err(QueryError::Execution("a range vector is needed here".to_owned())),
        }
    }
}

/// Puts into histograms of unknown history whether they were reset since the sample before.
pub(crate) fn note_resets(samples: &mut Samples) {
    for index in 1..samples.histograms.len() {
        let (before, rest) = samples.histograms.split_at_mut(index);
        let (Some(Some(before)), Some(Some(own))) = (before.last(), rest.first_mut()) else { continue };
        if own.counter_reset_hint == CounterResetHint::Unknown && before.counter_reset_hint != CounterResetHint::Gauge {
            let reset = crate::histogram::is_reset(own, before);
            let hint = if reset { CounterResetHint::Reset } else { CounterResetHint::NotReset };
            Arc::make_mut(own).counter_reset_hint = hint;
        }
    }
}

/// Writes what an instant selector gives at each step: the newest sample that is not older than the lookback.
fn pick(plan: &InstantPlan<'_>, samples: &Samples, layouts: &mut Layouts, column: &mut Column) {
    if !samples.tiers.is_empty() {
        return pick_tiered(plan, samples, column);
    }
    let layout = layouts.of(&samples.timestamps);
    let newest = layout.spans().enumerate().filter(|(_, (from, to))| from < to).map(|(step, (_, to))| (step, to - 1));
    if plan.give == Give::Value && samples.histograms.is_empty() {
        for (step, index) in newest {
            let value = samples.values[index];
            if !is_stale_nan(value) {
                column.set_float(step, value);
            }
        }
        return;
    }
    newest.for_each(|(step, index)| give(plan, samples, index, step, column));
}

/// As [`pick`], where a sample may be as old as its window is long: the next one comes no earlier.
fn pick_tiered(plan: &InstantPlan<'_>, samples: &Samples, column: &mut Column) {
    let mut next = 0;
    for step in 0..plan.steps.count {
        let time = plan.reference(step);
        while samples.timestamps.get(next).is_some_and(|&own| own <= time) {
            next += 1;
        }
        let Some(index) = next.checked_sub(1) else { continue };
        let lookback = plan.lookback.max(i64::from(samples.tier(index).resolution_ms));
        if samples.timestamps[index] > time.saturating_sub(lookback) {
            give(plan, samples, index, step, column);
        }
    }
}

/// Sets a step to what a sample gives, which is nothing if it is a stale marker.
fn give(plan: &InstantPlan<'_>, samples: &Samples, index: usize, step: usize, column: &mut Column) {
    if is_stale(samples, index) {
        return;
    }
    match plan.give {
        Give::Value => column.set(step, samples.value(index)),
        Give::Timestamp => column.set_float(step, samples.timestamps[index] as f64 / 1000.0),
        Give::StartTimestamp => column.set_float(step, samples.start_timestamp(index) as f64 / 1000.0),
    }
}

/// Takes stale markers out of samples that are all floats.
pub(crate) fn drop_stale(samples: &mut Samples) {
    // Looking at all of them is quicker than stopping at the first.
    if !samples.values.iter().fold(false, |found, value| found | is_stale_nan(*value)) {
        return;
    }
    let mut kept = 0;
    for index in 0..samples.values.len() {
        if is_stale_nan(samples.values[index]) {
            continue;
        }
        samples.values[kept] = samples.values[index];
        samples.timestamps[kept] = samples.timestamps[index];
        if let Some(&start) = samples.start_timestamps.get(index) {
            samples.start_timestamps[kept] = start;
        }
        if let Some(&tier) = samples.tiers.get(index) {
            samples.tiers[kept] = tier;
        }
        kept += 1;
    }
    samples.values.truncate(kept);
    samples.timestamps.truncate(kept);
    samples.start_timestamps.truncate(kept);
    samples.tiers.truncate(kept);
}

fn is_stale(samples: &Samples, index: usize) -> bool {
    match samples.histogram(index) {
        Some(histogram) => histogram.is_stale(),
        None => is_stale_nan(samples.values[index]),
    }
}

/// Labels that a selector fixes with `=`, for `absent`.
pub(crate) fn fixed_labels(selector: &VectorSelector) -> Labels {
    let mut out = model::LabelsBuilder::default();
    for matcher in &selector.matchers {
        if matcher.name == model::labels::METRIC_NAME {
            continue;
        }
        // A label that occurs twice is not fixed.
        let once = selector.matchers.iter().filter(|other| other.name == matcher.name).count() == 1;
        if matcher.op == MatchOp::Equal && once {
            out.set(&matcher.name, &matcher.value);
        }
    }
    out.build()
}
