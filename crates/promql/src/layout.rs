//! Where the windows of a grid lie in a column of times. Series of a target have the same times, so that this is worked
//! out once for all of them that come one after the other.

use crate::functions::rate;
use crate::select::{Position, RangeTimes};
use crate::value::Grid;

/// So many layouts are kept: series of several targets may come in turns.
const KEPT: usize = 4;
/// Relative distance from which on rounding cannot turn a comparison: far above that of a few operations.
const MARGIN: f64 = 1e-9;
/// Products between these have lost no digits and have not overflowed.
const EXACT: std::ops::Range<f64> = 1e-250..1e300;

/// What extrapolation to the edges of a window comes to.
#[derive(Clone, Copy, Debug, Default)]
struct Edge {
    /// By this the change within the window is multiplied.
    factor: f64,
    /// First values that are larger than the change times this do not shorten the way to the start of the window.
    limit: f64,
}

/// The windows of all steps over one column of times.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    times: Vec<i64>,
    grid: Grid,
    range: RangeTimes,
    per_second: bool,
    /// By step, the samples of the window, the end exclusive.
    spans: Vec<(u32, u32)>,
    /// By step, once they were asked for.
    edges: Vec<Edge>,
}

impl Layout {
    fn new(grid: Grid, range: RangeTimes) -> Layout {
        Layout { times: Vec::new(), grid, range, per_second: false, spans: Vec::new(), edges: Vec::new() }
    }

    fn lay_out(&mut self, times: &[i64]) {
        self.times.clear();
        self.times.extend_from_slice(times);
        self.edges.clear();
        self.spans.clear();
        self.spans.reserve(self.grid.count);
        let mut position = Position::default();
        for step in 0..self.grid.count {
            let bounds = self.range.bounds(self.grid.time(step));
            let (from, to) = position.follow(times, bounds.start, bounds.end);
            // The samples of a series in memory are fewer than 2^32.
            self.spans.push((from as u32, to as u32));
        }
    }

    /// Works out the edges; `per_second` as for `rate`.
    fn lay_edges(&mut self, per_second: bool) {
        self.per_second = per_second;
        let mut edges = std::mem::take(&mut self.edges);
        edges.clear();
        edges.extend(self.spans().enumerate().map(|(step, (from, to))| {
            if to - from < 2 {
                Edge::default()
            } else {
                let sampled = (self.times[to - 1] - self.times[from]) as f64 / 1000.0;
                let to_start = rate::to_start(&self.times[from..to], self.range.bounds(self.grid.time(step)));
                Edge { factor: self.factor(step, (from, to), None), limit: to_start / sampled * (1.0 + MARGIN) }
            }
        }));
        self.edges = edges;
    }

    fn factor(&self, step: usize, (from, to): (usize, usize), first_over_growth: Option<f64>) -> f64 {
        let bounds = self.range.bounds(self.grid.time(step));
        let factor = rate::extrapolation(self.times[from], self.times[to - 1], to - from, bounds, first_over_growth);
        if self.per_second { factor / (self.range.range as f64 / 1000.0) } else { factor }
    }

    /// By step, the samples of the window, the end exclusive.
    pub(crate) fn spans(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        self.spans.iter().map(|&(from, to)| (from as usize, to as usize))
    }

    /// By what the change within the window of a step, of two samples at least, is multiplied. `counter` has the first
    /// value of counters. Only of layouts from [`Layouts::with_edges`].
    pub(crate) fn raise(&self, step: usize, (from, to): (usize, usize), change: f64, counter: Option<f64>) -> f64 {
        let edge = self.edges[step];
        match counter {
            Some(first) if change > 0.0 && first >= 0.0 => {
                // Counters are not taken below zero: mostly zero is farther away than the start of the window.
                let limit = change * edge.limit;
                if first > limit && EXACT.contains(&limit) {
                    edge.factor
                } else {
                    self.factor(step, (from, to), Some(first / change))
                }
            }
            _ => edge.factor,
        }
    }
}

/// The layouts of one selector, those used last.
#[derive(Debug)]
pub(crate) struct Layouts {
    grid: Grid,
    range: RangeTimes,
    list: Vec<Layout>,
}

impl Layouts {
    pub(crate) fn new(grid: Grid, range: RangeTimes) -> Layouts {
        Layouts { grid, range, list: Vec::new() }
    }

    /// The layout of a column of ascending times.
    pub(crate) fn of(&mut self, times: &[i64]) -> &Layout {
        self.find(times)
    }

    /// As [`Layouts::of`], with what extrapolation needs; `per_second` is the same in all calls.
    pub(crate) fn with_edges(&mut self, times: &[i64], per_second: bool) -> &Layout {
        let layout = self.find(times);
        if layout.edges.len() != layout.spans.len() {
            layout.lay_edges(per_second);
        }
        layout
    }

    fn find(&mut self, times: &[i64]) -> &mut Layout {
        match self.list.iter().position(|layout| layout.times == times) {
            Some(0) => {}
            Some(at) => self.list[..=at].rotate_right(1),
            None => {
                let mut oldest = if self.list.len() < KEPT { None } else { self.list.pop() };
                let mut layout = oldest.take().unwrap_or_else(|| Layout::new(self.grid, self.range));
                layout.lay_out(times);
                self.list.insert(0, layout);
            }
        }
        &mut self.list[0]
    }
}
