//! `info`: labels of info metrics such as `target_info`, joined by `instance` and `job`.

use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::select::Give;
use crate::value::{At, Column, Grid, Kind, VectorSeries};
use model::{Labels, MatchOp, Matcher, labels::METRIC_NAME};
use promql_syntax::{At as AtModifier, Call, DurationExpr, Expr, Extension, NumberLiteral, Span, VectorSelector};
use regexp::LabelMatcher;
use std::collections::{BTreeMap, HashMap};

/// The labels by which Prometheus takes info series to belong to the same thing.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
/// The info metric if the call names none.
const DEFAULT_INFO_METRIC: &str = "target_info";
/// What info metrics are called.
const INFO_METRICS: &str = ".+_info";

impl Evaluator<'_> {
    pub(crate) fn info(&self, e: &Call, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        let base = self.eval_vector(&e.args[0], grid)?;
        let given = match e.args.get(1).map(Expr::unparenthesized) {
            Some(Expr::Selector(selector)) => selector.matchers.clone(),
            _ => Vec::new(),
        };
        let compile =
            |matcher: &Matcher| LabelMatcher::new(matcher).map_err(|error| QueryError::Execution(error.to_string()));
        let (mut names, data): (Vec<Matcher>, Vec<Matcher>) =
            given.into_iter().partition(|matcher| matcher.name == METRIC_NAME);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, DEFAULT_INFO_METRIC));
        } else if names.iter().all(|m| matches!(m.op, MatchOp::NotEqual | MatchOp::NotRegex)) {
            // Exclusions alone still choose among info metrics.
            names.push(Matcher::new(METRIC_NAME, MatchOp::Regex, INFO_METRICS));
        }
        let name_matchers = names.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let data_matchers = data.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let positive = |matcher: &LabelMatcher| matches!(matcher.matcher().op, MatchOp::Equal | MatchOp::Regex);
        // Info series themselves are passed on as they are.
        let is_info = |labels: &Labels| {
            name_matchers.iter().any(positive)
                && name_matchers.iter().filter(|m| positive(m)).all(|m| m.matches(labels.metric_name()))
        };
        let mut matchers = names;
        let sources: Vec<&VectorSeries> = base.iter().filter(|series| !is_info(&series.labels)).collect();
        if !sources.is_empty() {
            matchers.extend(data.iter().cloned());
            for label in IDENTIFYING {
                let mut values: Vec<String> =
                    sources.iter().filter_map(|series| series.labels.get(label)).map(escape).collect();
                values.sort();
                values.dedup();
                matchers.push(Matcher::new(label, MatchOp::Regex, values.join("|")));
            }
        }
        let infos = if sources.is_empty() {
            Vec::new()
        } else {
            let (at, offset_ms) = self.reference(&e.args[0])?;
            self.info_series(&info_selector(matchers, at, offset_ms, e.span), grid)?
        };
        check_duplicates(&infos, grid)?;
        let mut by_identity: HashMap<Labels, Vec<usize>> = HashMap::new();
        for (index, series) in infos.iter().enumerate() {
            by_identity.entry(series.series.labels.keep(&IDENTIFYING)).or_default().push(index);
        }
        let wanted: Vec<&str> = data_matchers.iter().map(LabelMatcher::name).collect();
        let accepts_none = data_matchers.iter().all(|matcher| matcher.matches(""));
        let mut out: BTreeMap<(Labels, bool), VectorSeries> = BTreeMap::new();
        for series in &base {
            let candidates = if is_info(&series.labels) {
                None
            } else {
                Some(by_identity.get(&series.labels.keep(&IDENTIFYING)).map(Vec::as_slice).unwrap_or_default())
            };
            for step in 0..grid.count {
                if !series.column.is_present(step) {
                    continue;
                }
                let labels = match candidates {
                    None => series.labels.clone(),
                    Some(candidates) => match self.enrich(&series.labels, candidates, &infos, &wanted, step)? {
                        Some(labels) => labels,
                        None if accepts_none => series.labels.clone(),
                        None => continue,
                    },
                };
                let key = (labels.clone(), series.drop_name);
                let entry = out.entry(key).or_insert_with(|| VectorSeries {
                    labels,
                    drop_name: series.drop_name,
                    column: Column::empty(grid.count),
                });
                if entry.column.is_present(step) {
                    let text = "vector cannot contain metrics with the same labelset";
                    return Err(QueryError::Execution(text.to_owned()));
                }
                entry.column.copy_from(step, &series.column);
            }
        }
        Ok(out.into_values().collect())
    }

    /// The fixed time and the offset at which the first selector of an expression reads, subqueries around it
    /// included.
    fn reference(&self, expr: &Expr) -> Result<(Option<i64>, i64), QueryError> {
        let (offset, at, inner) = match expr {
            Expr::Selector(e) => (e.offset.as_ref(), e.at, None),
            Expr::Matrix(e) => (e.selector.offset.as_ref(), e.selector.at, None),
            Expr::Subquery(e) => (e.offset.as_ref(), e.at, Some(&*e.inner)),
            // The first that reads anything.
            _ => {
                let reads = |node: &&Expr| matches!(node, Expr::Selector(_) | Expr::Matrix(_) | Expr::Subquery(_));
                return expr.nodes().find(reads).map_or(Ok((None, 0)), |first| self.reference(first));
            }
        };
        let (own_offset, own_at) = self.offset_and_at(offset, at)?;
        let Some(inner) = inner else { return Ok((own_at, own_offset)) };
        Ok(match self.reference(inner)? {
            // An inner `@` is not moved by what stands around it.
            (Some(at), offset) => (Some(at), offset),
            (None, offset) => (own_at, own_offset.saturating_add(offset)),
        })
    }

    /// Info series with the times of their samples, which decide between series that follow each other.
    fn info_series(&self, selector: &VectorSelector, grid: Grid) -> Result<Vec<InfoSeries>, QueryError> {
        let values = self.instant_selector(selector, grid, Give::Value)?;
        if let Some(series) = values.iter().find(|series| series.column.kinds.contains(&Kind::Histogram)) {
            return Err(QueryError::Execution(format!("info sample should be float: {}", series.labels)));
        }
        let times = self.instant_selector(selector, grid, Give::Timestamp)?;
        let mut by_labels: HashMap<Labels, Column> =
            times.into_iter().map(|series| (series.labels, series.column)).collect();
        Ok((values.into_iter())
            .filter_map(|series| {
                let times = by_labels.remove(&series.labels)?;
                Some(InfoSeries { series, times })
            })
            .collect())
    }

    /// The labels with those of the info series of this step; `None` if there is no info series.
    fn enrich(
        &self,
        labels: &Labels,
        candidates: &[usize],
        infos: &[InfoSeries],
        wanted: &[&str],
        step: usize,
    ) -> Result<Option<Labels>, QueryError> {
        // Of each info metric the newest sample counts.
        let mut newest: BTreeMap<&str, &InfoSeries> = BTreeMap::new();
        for &index in candidates {
            let info = &infos[index];
            if !info.series.column.is_present(step) {
                continue;
            }
            let name = info.series.labels.metric_name();
            match newest.get(name) {
                Some(other) if other.time(step) > info.time(step) => {}
                _ => {
                    newest.insert(name, info);
                }
            }
        }
        if newest.is_empty() {
            return Ok(None);
        }
        let mut builder = labels.to_builder();
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        for info in newest.values() {
            for (name, value) in info.series.labels.iter() {
                let identifies = name == METRIC_NAME || IDENTIFYING.contains(&name);
                if identifies || !wanted.is_empty() && !wanted.contains(&name) || labels.get(name).is_some() {
                    continue;
                }
                if added.insert(name, value).is_some_and(|other| other != value) {
                    return Err(QueryError::Execution(format!("conflicting label: {name}")));
                }
                builder.set(name, value);
            }
        }
        Ok(Some(builder.build()))
    }
}

/// Two series of the same info metric for the same thing must not have their newest sample at the same time, be there
/// something to enrich or not.
fn check_duplicates(infos: &[InfoSeries], grid: Grid) -> Result<(), QueryError> {
    let mut by_thing: HashMap<Labels, Vec<&InfoSeries>> = HashMap::new();
    for info in infos {
        by_thing.entry(info.series.labels.keep(&[METRIC_NAME, "instance", "job"])).or_default().push(info);
    }
    by_thing.retain(|_, all| all.len() > 1);
    for step in 0..grid.count {
        for all in by_thing.values() {
            let mut newest: Option<&InfoSeries> = None;
            for info in all.iter().filter(|info| info.series.column.is_present(step)) {
                match newest {
                    Some(other) if other.time(step) > info.time(step) => {}
                    Some(other) if other.time(step) == info.time(step) => {
                        let milliseconds = |info: &InfoSeries| (info.time(step) * 1000.0).round();
                        return Err(QueryError::Execution(format!(
                            "found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                            other.series.labels,
                            milliseconds(other),
                            info.series.labels,
                            milliseconds(info)
                        )));
                    }
                    _ => newest = Some(info),
                }
            }
        }
    }
    Ok(())
}

struct InfoSeries {
    series: VectorSeries,
    times: Column,
}

impl InfoSeries {
    fn time(&self, step: usize) -> f64 {
        match self.times.get(step) {
            Some(At::Float(time)) => time,
            _ => f64::NEG_INFINITY,
        }
    }
}

/// A selector for info series, read at the time that the base series are read at.
fn info_selector(matchers: Vec<Matcher>, at: Option<i64>, offset_ms: i64, span: Span) -> VectorSelector {
    let offset = NumberLiteral { value: offset_ms as f64 / 1000.0, is_duration: true, span };
    VectorSelector {
        name: None,
        matchers,
        offset: Some(DurationExpr::Number(offset)),
        at: at.map(AtModifier::Timestamp),
        extension: Extension::None,
        span,
    }
}

/// A text as a pattern for exactly itself.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
