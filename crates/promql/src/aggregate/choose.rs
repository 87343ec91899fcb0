//! Aggregations that choose elements of each group: `topk`, `bottomk`, `limitk`, `limit_ratio`. Series come one after the
//! other, and only those stay that are chosen at some step.

use super::{Extremes, counts_of, group_filter, label_hash};
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::grouping::{GroupTable, LabelFilter};
use crate::value::{At, Column, Grid, VectorSeries};
use model::Labels;
use promql_syntax::{AggregateExpr, AggregateOp, Span};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap, HashMap},
};

/// An element that is chosen so far. The greatest is the one to go first: the worst, and of equals the latest.
#[derive(Clone, Copy, Debug)]
struct Entry<const LARGEST: bool> {
    value: f64,
    /// Number of its series, in the order in which they came.
    id: u32,
}

impl<const LARGEST: bool> Ord for Entry<LARGEST> {
    fn cmp(&self, other: &Self) -> Ordering {
        // NaN is the worst in both directions.
        let by_value = match (self.value.is_nan(), other.value.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ if LARGEST => other.value.partial_cmp(&self.value).unwrap_or(Ordering::Equal),
            _ => self.value.partial_cmp(&other.value).unwrap_or(Ordering::Equal),
        };
        by_value.then(self.id.cmp(&other.id))
    }
}

impl<const LARGEST: bool> PartialOrd for Entry<LARGEST> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const LARGEST: bool> PartialEq for Entry<LARGEST> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<const LARGEST: bool> Eq for Entry<LARGEST> {}

/// A series that is chosen at some steps.
struct Chosen {
    labels: Labels,
    drop_name: bool,
    steps: usize,
}

/// `topk` or `bottomk` under way.
struct Best<'a, 'b, const LARGEST: bool> {
    evaluator: &'a Evaluator<'b>,
    op: AggregateOp,
    span: Span,
    grid: Grid,
    /// How many to choose, by step.
    k: Vec<usize>,
    filter: LabelFilter,
    table: GroupTable,
    /// By group, then by step.
    groups: Vec<Vec<BinaryHeap<Entry<LARGEST>>>>,
    chosen: HashMap<u32, Chosen>,
    next_id: u32,
}

impl<const LARGEST: bool> Best<'_, '_, LARGEST> {
    fn add(&mut self, series: VectorSeries) -> Result<(), QueryError> {
        let place = self.table.place(&self.filter, &series.labels);
        if place == self.groups.len() {
            self.evaluator.count_live(0, self.grid.count * size_of::<BinaryHeap<Entry<LARGEST>>>())?;
            self.groups.push(vec![BinaryHeap::new(); self.grid.count]);
        }
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        let (mut steps, mut added) = (0, 0);
        for ((step, heap), &k) in self.groups[place].iter_mut().enumerate().zip(&self.k) {
            let value = match series.column.get(step) {
                Some(At::Float(value)) if k > 0 => value,
                Some(At::Histogram(_)) if k > 0 => {
                    let text = format!("ignored histogram in {} aggregation", self.op.as_str());
                    self.evaluator.annotations.info(self.span, text);
                    continue;
                }
                _ => continue,
            };
            let entry = Entry { value, id };
            if heap.len() < k {
                heap.push(entry);
                added += 1;
                steps += 1;
            } else if let Some(mut worst) = heap.peek_mut()
                && entry < *worst
            {
                let gone = std::mem::replace(&mut *worst, entry).id;
                steps += 1;
                if let Some(series) = self.chosen.get_mut(&gone) {
                    series.steps -= 1;
                    if series.steps == 0 {
                        self.chosen.remove(&gone);
                    }
                }
            }
        }
        if steps > 0 {
            self.chosen.insert(id, Chosen { labels: series.labels, drop_name: series.drop_name, steps });
        }
        self.evaluator.count_live(added, added * size_of::<Entry<LARGEST>>())
    }

    /// The chosen series: of an instant query by rank, else in the order in which they came.
    fn finish(mut self) -> Result<Vec<VectorSeries>, QueryError> {
        let mut out: Vec<VectorSeries> = Vec::with_capacity(self.chosen.len());
        if self.grid.count == 1 {
            for heap in self.groups.into_iter().flatten() {
                for entry in heap.into_sorted_vec() {
                    let Some(Chosen { labels, drop_name, .. }) = self.chosen.remove(&entry.id) else { continue };
                    out.push(VectorSeries { labels, drop_name, column: Column::from_floats(vec![entry.value]) });
                }
            }
            return Ok(out);
        }
        let mut places: HashMap<u32, usize> = HashMap::with_capacity(self.chosen.len());
        for (id, Chosen { labels, drop_name, .. }) in self.chosen.into_iter().collect::<BTreeMap<_, _>>() {
            let series = VectorSeries { labels, drop_name, column: Column::empty(self.grid.count) };
            self.evaluator.count_live(0, series.bytes())?;
            places.insert(id, out.len());
            out.push(series);
        }
        for heaps in self.groups {
            for (step, heap) in heaps.into_iter().enumerate() {
                for entry in heap {
                    if let Some(place) = places.get(&entry.id) {
                        out[*place].column.set_float(step, entry.value);
                    }
                }
            }
        }
        Ok(out)
    }
}

impl Evaluator<'_> {
    pub(super) fn best(&self, e: &AggregateExpr, params: &[f64], grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        if e.op == AggregateOp::Topk {
            self.best_of::<true>(e, params, grid)
        } else {
            self.best_of::<false>(e, params, grid)
        }
    }

    fn best_of<const LARGEST: bool>(
        &self,
        e: &AggregateExpr,
        params: &[f64],
        grid: Grid,
    ) -> Result<Vec<VectorSeries>, QueryError> {
        let mut best = Best::<LARGEST> {
            evaluator: self,
            op: e.op,
            span: e.span,
            grid,
            k: counts_of(params)?,
            filter: group_filter(e),
            table: GroupTable::default(),
            groups: Vec::new(),
            chosen: HashMap::new(),
            next_id: 0,
        };
        self.each_vector(&e.inner, grid, true, |series| best.add(series))?;
        best.finish()
    }

    /// The first so many elements of each group.
    pub(super) fn limitk(
        &self,
        e: &AggregateExpr,
        params: &[f64],
        grid: Grid,
    ) -> Result<Vec<VectorSeries>, QueryError> {
        let k = counts_of(params)?;
        let (filter, mut table) = (group_filter(e), GroupTable::default());
        // By group, how many are chosen at each step.
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut out = Vec::new();
        self.each_vector(&e.inner, grid, true, |mut series| {
            let place = table.place(&filter, &series.labels);
            if place == groups.len() {
                self.count_live(0, grid.count * size_of::<usize>())?;
                groups.push(vec![0; grid.count]);
            }
            for ((step, chosen), &k) in groups[place].iter_mut().enumerate().zip(&k) {
                if *chosen >= k {
                    series.column.clear(step);
                } else if series.column.is_present(step) {
                    *chosen += 1;
                }
            }
            self.keep(series, &mut out)
        })?;
        Ok(out)
    }

    /// The elements whose hash lies within a share of all hashes, or beyond the rest of it.
    pub(super) fn limit_ratio(
        &self,
        e: &AggregateExpr,
        params: &[f64],
        grid: Grid,
        span: Span,
    ) -> Result<Vec<VectorSeries>, QueryError> {
        let extremes = Extremes::of(params);
        if extremes.any_nan {
            return Err(QueryError::Execution("Ratio value is NaN".to_owned()));
        }
        let ratios: Vec<f64> = params.iter().map(|given| given.clamp(-1.0, 1.0)).collect();
        let mut out = Vec::new();
        self.each_vector(&e.inner, grid, true, |mut series| {
            let hash = label_hash(&series.labels) as f64 / u64::MAX as f64;
            for (step, &ratio) in ratios.iter().enumerate() {
                let inside = if ratio >= 0.0 { hash < ratio } else { hash >= 1.0 + ratio };
                if !inside {
                    series.column.clear(step);
                }
            }
            self.keep(series, &mut out)
        })?;
        for given in extremes.beyond(-1.0, 1.0) {
            let (given, ratio) = (model::float::format_float_short(given), given.clamp(-1.0, 1.0));
            let text = format!("ratio value should be between -1 and 1, got {given}, capping to {ratio}");
            self.annotations.warn(span, text);
        }
        Ok(out)
    }

    fn keep(&self, series: VectorSeries, out: &mut Vec<VectorSeries>) -> Result<(), QueryError> {
        if series.column.is_empty() {
            return Ok(());
        }
        self.count_live_series(&series)?;
        out.push(series);
        Ok(())
    }
}
