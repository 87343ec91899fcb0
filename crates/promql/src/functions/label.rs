//! `label_replace` and `label_join`.

use crate::engine::merge_into;
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::value::{Grid, VectorSeries};
use model::{Labels, labels::METRIC_NAME};
use promql_syntax::{Call, Expr};
use std::collections::HashMap;

/// Longest value that a function may make for a label: calls within calls multiply what they are given.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// So many bytes of values are matched or made before the time is looked at again.
const BYTES_UNWATCHED: usize = 4096;
/// Bytes of a value times bytes of the pattern's automaton, at most: a second or so, in which nobody looks at the time.
const MATCH_WORK_MAX: usize = 1 << 34;

impl Evaluator<'_> {
    pub(crate) fn label_replace(&self, e: &Call, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        let target = label_name(e, "destination", &e.args[1])?;
        let rest = self.string_args(e, 2)?;
        let [replacement, source, pattern] = rest.as_slice() else {
            return Err(QueryError::Execution("label_replace needs five arguments".to_owned()));
        };
        // `s`: a dot matches newlines, too, as Prometheus has it.
        let regex = regexp::Regexp::anchored(pattern)
            .map_err(|_| QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
        let mut out = self.eval_vector(&e.args[0], grid)?;
        let mut unwatched = 0;
        for series in &mut out {
            let value = series.labels.get(source).unwrap_or_default();
            self.watch_bytes(&mut unwatched, value.len())?;
            if value.len().saturating_mul(regex.automaton_bytes()) > MATCH_WORK_MAX {
                return Err(QueryError::Execution(format!(
                    "the pattern of label_replace is too much work for a value of {} bytes of label {}; use a shorter pattern, or smaller repeats",
                    value.len(),
                    model::labels::quote(source)
                )));
            }
            if let Some(captures) = regex.captures(value) {
                let new = regex
                    .expand_within(replacement, value, &captures, VALUE_BYTES_MAX)
                    .ok_or_else(|| too_long("label_replace", &target))?;
                self.count_live(0, new.len())?;
                set(series, &target, &new);
            }
        }
        unique(out)
    }

    pub(crate) fn label_join(&self, e: &Call, grid: Grid) -> Result<Vec<VectorSeries>, QueryError> {
        let target = label_name(e, "destination", &e.args[1])?;
        for source in &e.args[3..] {
            label_name(e, "source", source)?;
        }
        let rest = self.string_args(e, 2)?;
        let Some((separator, sources)) = rest.split_first() else {
            return Err(QueryError::Execution("label_join needs a separator".to_owned()));
        };
        let mut out = self.eval_vector(&e.args[0], grid)?;
        let mut unwatched = 0;
        for series in &mut out {
            let mut joined = String::new();
            for (place, name) in sources.iter().enumerate() {
                if place > 0 {
                    joined.push_str(separator);
                }
                joined.push_str(series.labels.get(name).unwrap_or_default());
                if joined.len() > VALUE_BYTES_MAX {
                    return Err(too_long("label_join", &target));
                }
            }
            self.watch_bytes(&mut unwatched, joined.len())?;
            self.count_live(0, joined.len())?;
            set(series, &target, &joined);
        }
        unique(out)
    }

    /// Notes that a value of so many bytes is worked on, and looks at the time now and then.
    fn watch_bytes(&self, unwatched: &mut usize, bytes: usize) -> Result<(), QueryError> {
        *unwatched += bytes + 1;
        if *unwatched > BYTES_UNWATCHED {
            *unwatched = 0;
            self.check_time()?;
        }
        Ok(())
    }
}

fn too_long(function: &str, target: &str) -> QueryError {
    let target = model::labels::quote(target);
    QueryError::Execution(format!(
        "{function} would make a value of label {target} that is longer than {VALUE_BYTES_MAX} bytes; use a shorter replacement, or fewer labels"
    ))
}

fn set(series: &mut VectorSeries, target: &str, value: &str) {
    series.labels = series.labels.to_builder().set(target, value).build();
    if target == METRIC_NAME {
        // A name that was set on purpose stays.
        series.drop_name = false;
    }
}

/// A label's name from the arguments of a call; `role` says what it is for.
fn label_name(e: &Call, role: &str, arg: &Expr) -> Result<String, QueryError> {
    let Expr::String(text) = arg.unparenthesized() else {
        return Err(QueryError::Execution(format!("{arg} is no string")));
    };
    let wrong =
        |shown: &str| Err(QueryError::Execution(format!("invalid {role} label name in {}(): {shown}", e.function)));
    if let Some(bytes) = &text.not_utf8 {
        return wrong(&String::from_utf8_lossy(bytes));
    }
    if text.value.is_empty() { wrong("") } else { Ok(text.value.clone()) }
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
