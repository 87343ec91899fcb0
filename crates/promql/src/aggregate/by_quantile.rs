//! `quantile`, which needs all values of a group at once: of all steps if they are few, else of some steps after the others,
//! so that memory does not grow with the range.

use super::{Extremes, Group, bad_quantile, group};
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::value::{Column, Grid, Intermediate, VectorSeries};
use model::Labels;
use promql_syntax::{AggregateExpr, Expr, Span};
use std::collections::HashMap;

/// This part of the memory that a query may take is held at once.
const MEMORY_PART: usize = 128;
/// Into so many parts the steps are cut before it is known how many series there are.
const FIRST_PARTS: usize = 4;

impl Evaluator<'_> {
    pub(super) fn quantiles_of_groups(
        &self,
        e: &AggregateExpr,
        params: &[f64],
        grid: Grid,
        span: Span,
    ) -> Result<Vec<VectorSeries>, QueryError> {
        let limit = self.max_memory() / MEMORY_PART;
        let out = match self.vector_within(&e.inner, grid, limit)? {
            Some(input) => self.quantiles_of(e, params, &input, grid.count)?,
            None => self.quantiles_in_parts(e, params, grid, limit)?,
        };
        for q in Extremes::of(params).beyond(0.0, 1.0) {
            self.annotations.warn(span, bad_quantile(q));
        }
        Ok(out
            .into_iter()
            .map(|(group, column)| VectorSeries { labels: group.labels, drop_name: group.drop_name, column })
            .collect())
    }

    /// A vector, or `None` if it takes more than so many bytes and can be had in parts.
    fn vector_within(&self, expr: &Expr, grid: Grid, limit: usize) -> Result<Option<Vec<VectorSeries>>, QueryError> {
        // Whoever counts samples or times nodes wants to see each of them once.
        if grid.count < 2 * FIRST_PARTS || self.counting().is_some() || self.profile_mark().is_some() {
            return self.eval_vector(expr, grid).map(Some);
        }
        let before = self.live();
        let (mut input, mut bytes) = (Vec::new(), 0);
        let outcome = self.each_vector(expr, grid, true, |series| {
            bytes += series.bytes();
            if bytes > limit {
                // Any error ends it.
                return Err(QueryError::Canceled);
            }
            self.count_live_series(&series)?;
            input.push(series);
            Ok(())
        });
        if bytes <= limit {
            return outcome.map(|()| Some(input));
        }
        drop(input);
        self.settle(before, &Intermediate::Scalar(Vec::new()))?;
        Ok(None)
    }

    fn quantiles_in_parts(
        &self,
        e: &AggregateExpr,
        params: &[f64],
        grid: Grid,
        limit: usize,
    ) -> Result<Vec<(Group, Column)>, QueryError> {
        let mut out: Vec<(Group, Column)> = Vec::new();
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let (mut from, mut size) = (0, grid.count.div_ceil(FIRST_PARTS));
        while from < grid.count {
            let part = Grid { start: grid.time(from), step: grid.step, count: size.min(grid.count - from) };
            let before = self.live();
            let input = self.eval_vector(&e.inner, part)?;
            for (group, column) in self.quantiles_of(e, &params[from..], &input, part.count)? {
                let place = match places.get(&group.labels) {
                    Some(&place) => place,
                    None => {
                        places.insert(group.labels.clone(), out.len());
                        let labels = group.labels.clone();
                        let known = Group { labels, drop_name: false, members: Vec::new() };
                        out.push((known, Column::empty(grid.count)));
                        out.len() - 1
                    }
                };
                let (known, whole) = &mut out[place];
                known.drop_name |= group.drop_name;
                for step in (0..part.count).filter(|step| column.is_present(*step)) {
                    whole.set_float(from + step, column.values[step]);
                }
            }
            let bytes: usize = input.iter().map(VectorSeries::bytes).sum();
            from += part.count;
            size = (limit / (bytes / part.count).max(1)).clamp(1, grid.count);
            drop(input);
            self.settle(before, &Intermediate::Scalar(Vec::new()))?;
        }
        Ok(out)
    }

    fn quantiles_of(
        &self,
        e: &AggregateExpr,
        params: &[f64],
        input: &[VectorSeries],
        count: usize,
    ) -> Result<Vec<(Group, Column)>, QueryError> {
        let groups = group(e, input);
        let mut out = Vec::with_capacity(groups.len());
        for group in groups {
            self.check_time()?;
            let mut column = Column::empty(count);
            self.group_quantile(e, &group, params, input, &mut column);
            if !column.is_empty() {
                out.push((group, column));
            }
        }
        Ok(out)
    }
}
