//! `label_replace` and `label_join`.

use crate::engine::merge_into;
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::value::{Grid, VectorSeries};
use model::{Labels, labels::METRIC_NAME};
use promql_syntax::{Call, Expr};
use std::collections::HashMap;

impl Evaluator<'_> {
    pub(crate) fn label_replace(&self, e: &Call, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        let target = label_name(&e.args[1])?;
        let rest = self.string_args(e, 2)?;
        let [replacement, source, pattern] = rest.as_slice() else {
            return Err(QueryError::Execution("label_replace needs five arguments".to_owned()));
        };
        // `s`: a dot matches newlines, too, as Prometheus has it.
        let regex = regexp::Regexp::anchored(pattern)
            .map_err(|_| QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
        let mut out = self.eval_vector(&e.args[0], grid)?;
        for series in &mut out {
            let value = series.labels.get(source).unwrap_or_default();
            if let Some(captures) = regex.captures(value) {
                let new = regex.expand(replacement, value, &captures);
                set(series, &target, &new);
            }
        }
        unique(out)
    }

    pub(crate) fn label_join(&self, e: &Call, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        let target = label_name(&e.args[1])?;
        let rest = self.string_args(e, 2)?;
        let Some((separator, sources)) = rest.split_first() else {
            return Err(QueryError::Execution("label_join needs a separator".to_owned()));
        };
        let mut out = self.eval_vector(&e.args[0], grid)?;
        for series in &mut out {
            let values: Vec<&str> = sources.iter().map(|name| series.labels.get(name).unwrap_or_default()).collect();
            let joined = values.join(separator);
            set(series, &target, &joined);
        }
        unique(out)
    }
}

fn set(series: &mut VectorSeries, target: &str, value: &str) {
    series.labels = series.labels.to_builder().set(target, value).build();
    if target == METRIC_NAME {
        // A name that was set on purpose stays.
        series.drop_name = false;
    }
}

fn label_name(arg: &Expr) -> Result<String, QueryError> {
    let Expr::String(text) = arg.unparenthesized() else {
        return Err(QueryError::Execution(format!("{arg} is no string")));
    };
    if let Some(bytes) = &text.not_utf8 {
        return Err(QueryError::Execution(format!("invalid label name {}", promql_syntax::quote_bytes(bytes))));
    }
    if text.value.is_empty() {
        return Err(QueryError::Execution("invalid label name \"\"".to_owned()));
    }
    Ok(text.value.clone())
}

/// Joins series that have become equal; points at the same step are an error.
fn unique(series: Vec<VectorSeries>) -> Result<Vec<VectorSeries>, QueryError> {
    let mut out: Vec<VectorSeries> = Vec::with_capacity(series.len());
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for one in series {
        match places.get(&one.labels) {
            Some(&place) => merge_into(&mut out[place], &one)?,
            None => {
                places.insert(one.labels.clone(), out.len());
                out.push(one);
            }
        }
    }
    Ok(out)
}
