//! Evaluating parts that others want too.

use super::kept::{Cost, Gathering, Kept, PlacedNote, Rows};
use super::plan::is_gathering;
use super::{Key, Running, Turn};
use crate::error::QueryError;
use crate::eval::{Evaluator, Taken};
use crate::value::{Grid, VectorSeries};
use promql_syntax::{Expr, Span};
use std::{sync::Arc, time::Instant};

/// So many series are handed on before looking at the time.
const SERIES_UNWATCHED: usize = 64;

impl Evaluator<'_> {
    /// Number of the part that a node is, if somebody else wants it as well.
    pub(crate) fn part(&self, expr: &Expr) -> Option<usize> {
        self.shared.as_ref()?.number(expr)
    }

    /// As [`Evaluator::part`], of the node at a place.
    pub(crate) fn part_at(&self, span: Span) -> Option<usize> {
        self.shared.as_ref()?.number_at(span)
    }

    fn key(&self, number: usize, grid: Grid) -> Key {
        Key { number, grid, times: self.times, histogram_stats: self.histogram_stats(), deletions: self.deletions }
    }

    /// Whose turn it is to evaluate a part.
    pub(crate) fn turn(&self, number: usize, grid: Grid) -> Result<Turn<'_>, QueryError> {
        let Some(shared) = &self.shared else { return Ok(Turn::Alone) };
        shared.ask(self.key(number, grid), &|| self.check_time())
    }

    /// The series of a part.
    pub(crate) fn shared_vector(
        &self,
        number: usize,
        expr: &Expr,
        grid: Grid,
    ) -> Result<Vec<VectorSeries>, QueryError> {
        let running = match self.turn(number, grid)? {
            Turn::Alone if is_gathering(expr) => {
                let (done, mut taken) = self.captured(|| self.vector_alone(expr, grid));
                self.settle_reads(expr, self.key(number, grid), &mut taken);
                return done;
            }
            Turn::Spent if is_gathering(expr) => {
                let (done, taken) = self.captured(|| self.vector_alone(expr, grid));
                // Alone, the query would still have what it has read.
                if !self.known().note(self.key(number, grid), taken.reads) {
                    self.uncount(taken.reads);
                }
                return done;
            }
            Turn::Alone | Turn::Spent => return self.vector_alone(expr, grid),
            Turn::Kept(kept) => {
                self.take(&kept, expr)?;
                return Ok(rows_of(kept));
            }
            Turn::First(running) => running,
        };
        let begin = Instant::now();
        let mut rows = Gathering::new(running.room());
        let (done, mut taken) = self.captured(|| self.vector_alone(expr, grid));
        for series in done? {
            rows.has_room(&series);
            rows.push(series);
        }
        let is_stream = self.is_stream(expr, grid);
        self.settle_reads(expr, self.key(number, grid), &mut taken);
        let cost = Cost { time: begin.elapsed(), ..taken.cost(is_stream) };
        match rows.finish() {
            Ok((rows, lease)) => {
                let Taken { notes, gathered, .. } = taken;
                let (notes, out) = (PlacedNote::all(notes, expr), rows.clone());
                running.keep(Arc::new(Kept { rows: Rows::Series(rows), cost, gathered, notes, _lease: lease }));
                Ok(out)
            }
            Err(rows) => {
                running.give_up();
                Ok(rows)
            }
        }
    }

    /// Hands the series of a part to `fold`, in order. Those of a chain are not all in memory for this query.
    pub(crate) fn each_shared(
        &self,
        number: usize,
        expr: &Expr,
        grid: Grid,
        mut fold: impl FnMut(VectorSeries) -> Result<(), QueryError> + Send,
    ) -> Result<(), QueryError> {
        if !self.is_stream(expr, grid) {
            return self.eval_vector(expr, grid)?.into_iter().try_for_each(fold);
        }
        let kept = match self.turn(number, grid)? {
            Turn::Alone | Turn::Spent => return self.each_alone(expr, grid, true, fold),
            Turn::Kept(kept) => {
                self.take(&kept, expr)?;
                kept
            }
            Turn::First(running) => match self.gather(running, expr, grid, &mut fold)? {
                Some(kept) => kept,
                None => return Ok(()),
            },
        };
        match Arc::try_unwrap(kept) {
            // Nobody comes after.
            Ok(Kept { rows: Rows::Series(rows), .. }) => rows.into_iter().try_for_each(fold),
            Ok(_) => Ok(()),
            Err(kept) => {
                for (index, series) in series_of(&kept).iter().enumerate() {
                    if index % SERIES_UNWATCHED == 0 {
                        self.check_time()?;
                    }
                    fold(series.clone())?;
                }
                Ok(())
            }
        }
    }

    /// Keeps the series of a chain for all who want them. `None` where they are too many: then `fold` has had them.
    fn gather(
        &self,
        running: Running<'_>,
        expr: &Expr,
        grid: Grid,
        fold: &mut (impl FnMut(VectorSeries) -> Result<(), QueryError> + Send),
    ) -> Result<Option<Arc<Kept>>, QueryError> {
        let begin = Instant::now();
        let mut rows = Gathering::new(running.room());
        let mut running = Some(running);
        let (done, taken) = self.captured(|| {
            self.each_alone(expr, grid, true, |series| {
                if rows.has_room(&series) {
                    rows.push(series);
                    return Ok(());
                }
                if let Some(running) = running.take() {
                    // Nobody has to wait any longer.
                    running.give_up();
                    rows.drain().into_iter().try_for_each(&mut *fold)?;
                }
                fold(series)
            })
        });
        done?;
        let (Some(running), Ok((rows, lease))) = (running, rows.finish()) else { return Ok(None) };
        let cost = Cost { time: begin.elapsed(), ..taken.cost(true) };
        let Taken { notes, gathered, .. } = taken;
        let notes = PlacedNote::all(notes, expr);
        let kept = Arc::new(Kept { rows: Rows::Series(rows), cost, gathered, notes, _lease: lease });
        running.keep(Arc::clone(&kept));
        Ok(Some(kept))
    }

    /// Counts and tells what this query would have, had it been asked alone.
    fn take(&self, kept: &Kept, expr: &Expr) -> Result<(), QueryError> {
        self.annotations.add(PlacedNote::at(&kept.notes, expr));
        let mut cost = kept.cost;
        let mut known = self.known();
        for &(key, reads) in &kept.gathered {
            if known.note(key, reads) {
                cost.reads.add(reads);
            }
        }
        drop(known);
        self.count_taken(&cost)
    }

    /// Sets apart what a part took that a query alone reads once, however often it has it.
    fn settle_reads(&self, expr: &Expr, key: Key, taken: &mut Taken) {
        if is_gathering(expr) {
            let reads = std::mem::take(&mut taken.reads);
            self.known().note(key, reads);
            taken.gathered.push((key, reads));
        }
    }
}

fn series_of(kept: &Kept) -> &[VectorSeries] {
    match &kept.rows {
        Rows::Series(rows) => rows,
        Rows::Samples(..) => &[],
    }
}

fn rows_of(kept: Arc<Kept>) -> Vec<VectorSeries> {
    match Arc::try_unwrap(kept) {
        Ok(Kept { rows: Rows::Series(rows), .. }) => rows,
        Ok(_) => Vec::new(),
        Err(kept) => series_of(&kept).to_vec(),
    }
}
