//! Reducers: a column to one value. Names are Grafana's.

use crate::frame::{Cell, Field, NULL, Values, is_null};
use crate::sorting::Order;

/// A reducer that is known here: id, name to show.
pub const REDUCERS: [(&str, &str); 26] = [
    ("lastNotNull", "Last *"),
    ("last", "Last"),
    ("firstNotNull", "First *"),
    ("first", "First"),
    ("min", "Min"),
    ("max", "Max"),
    ("mean", "Mean"),
    ("median", "Median"),
    ("variance", "Variance"),
    ("stdDev", "StdDev"),
    ("sum", "Total"),
    ("count", "Count"),
    ("countAll", "Count all"),
    ("range", "Range"),
    ("delta", "Delta"),
    ("step", "Step"),
    ("diff", "Difference"),
    ("diffperc", "Difference percent"),
    ("logmin", "Min (above zero)"),
    ("allIsZero", "All zeros"),
    ("allIsNull", "All nulls"),
    ("changeCount", "Change count"),
    ("distinctCount", "Distinct count"),
    ("allValues", "All values"),
    ("uniqueValues", "All unique values"),
    ("p99", "99th %"),
];

/// What a reducer gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Reduced {
    Null,
    Number(f64),
    Time(i64),
    Text(String),
    Bool(bool),
}

impl Reduced {
    /// [`NULL`] if it is no number.
    pub fn number(&self) -> f64 {
        match self {
            Reduced::Number(value) => *value,
            Reduced::Time(ms) => *ms as f64,
            Reduced::Bool(flag) => f64::from(u8::from(*flag)),
            Reduced::Text(text) => text.parse().unwrap_or(NULL),
            Reduced::Null => NULL,
        }
    }

    pub fn cell(&self) -> Cell<'_> {
        match self {
            Reduced::Null => Cell::Null,
            Reduced::Number(value) if is_null(*value) => Cell::Null,
            Reduced::Number(value) => Cell::Number(*value),
            Reduced::Time(ms) => Cell::Time(*ms),
            Reduced::Text(text) => Cell::Text(text),
            Reduced::Bool(flag) => Cell::Bool(*flag),
        }
    }
}

impl From<Cell<'_>> for Reduced {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null | Cell::Frame(_) => Reduced::Null,
            Cell::Number(value) => Reduced::Number(value),
            Cell::Time(ms) => Reduced::Time(ms),
            Cell::Text(text) => Reduced::Text(text.to_owned()),
            Cell::Bool(flag) => Reduced::Bool(flag),
        }
    }
}

/// The id by which a reducer is known now: old files say `current`, `avg`, `total`.
pub fn canonical(id: &str) -> &str {
    match id {
        "current" => "lastNotNull",
        "avg" => "mean",
        "total" => "sum",
        other => other,
    }
}

/// Name to show for an id, `99th %` for `p99`; the id itself if unknown.
pub fn name(id: &str) -> String {
    let id = canonical(id);
    if let Some((_, name)) = REDUCERS.iter().find(|(known, _)| *known == id) {
        return (*name).to_owned();
    }
    match percentile_of(id) {
        Some(percent) => format!("{percent}th %"),
        None => id.to_owned(),
    }
}

/// Whether the result is still in the field's unit; counts and the like are not.
pub fn keeps_unit(id: &str) -> bool {
    !matches!(
        canonical(id),
        "count" | "countAll" | "changeCount" | "distinctCount" | "diffperc" | "allIsZero" | "allIsNull"
    )
}

/// Whether the id is one that [`reduce`] knows.
pub fn is_known(id: &str) -> bool {
    let id = canonical(id);
    REDUCERS.iter().any(|(known, _)| *known == id) || percentile_of(id).is_some()
}

fn percentile_of(id: &str) -> Option<u32> {
    id.strip_prefix('p')?.parse().ok().filter(|percent| (1..=99).contains(percent))
}

/// Reduces a column of any type; an unknown reducer gives nothing.
pub fn reduce(field: &Field, id: &str) -> Reduced {
    let id = canonical(id);
    match &field.values {
        Values::Number(values) => match id {
            "allValues" => Reduced::Text(join(values.iter().map(|value| Cell::Number(*value).to_text()))),
            "uniqueValues" => Reduced::Text(join(unique(values.iter().map(|value| Cell::Number(*value).to_text())))),
            "allIsZero" => Reduced::Bool(!values.is_empty() && values.iter().all(|value| *value == 0.0)),
            "allIsNull" => Reduced::Bool(values.iter().all(|value| is_null(*value))),
            _ => match reduce_numbers(values, id) {
                value if is_null(value) => Reduced::Null,
                value => Reduced::Number(value),
            },
        },
        values => reduce_cells(values, id),
    }
}

fn reduce_cells(values: &Values, id: &str) -> Reduced {
    let cells = || (0..values.len()).map(|row| values.cell(row));
    let numbers = |id: &str| match values {
        Values::Time(times) => {
            let value = reduce_numbers(&times.iter().map(|ms| *ms as f64).collect::<Vec<_>>(), id);
            if is_null(value) { Reduced::Null } else { Reduced::Time(value as i64) }
        }
        Values::Bool(_) => {
            Reduced::Number(reduce_numbers(&cells().map(|cell| cell.to_number()).collect::<Vec<_>>(), id))
        }
        _ => Reduced::Null,
    };
    match id {
        "last" => cells().next_back().map_or(Reduced::Null, Reduced::from),
        "first" => cells().next().map_or(Reduced::Null, Reduced::from),
        "lastNotNull" => cells().rev().find(|cell| !cell.is_null()).map_or(Reduced::Null, Reduced::from),
        "firstNotNull" => cells().find(|cell| !cell.is_null()).map_or(Reduced::Null, Reduced::from),
        "count" => Reduced::Number(cells().filter(|cell| !cell.is_null()).count() as f64),
        "countAll" => Reduced::Number(values.len() as f64),
        "distinctCount" => Reduced::Number(unique(cells().map(|cell| cell.to_text())).count() as f64),
        "changeCount" => {
            let texts: Vec<String> = cells().map(|cell| cell.to_text()).collect();
            Reduced::Number(texts.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64)
        }
        "allIsNull" => Reduced::Bool(cells().all(|cell| cell.is_null())),
        "allValues" => Reduced::Text(join(cells().map(|cell| cell.to_text()))),
        "uniqueValues" => Reduced::Text(join(unique(cells().map(|cell| cell.to_text())))),
        "min" | "max" => numbers(id),
        _ => Reduced::Null,
    }
}

fn join(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

fn unique(texts: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let mut seen = std::collections::HashSet::new();
    texts.filter(move |text| seen.insert(text.clone()))
}

/// Reduces numbers; [`NULL`] where there is nothing to say. Absent values and NaN are left out, except by `first`,
/// `last`, `countAll`.
pub fn reduce_numbers(values: &[f64], id: &str) -> f64 {
    let present = || values.iter().copied().filter(|value| !value.is_nan());
    let fold = |combine: fn(f64, f64) -> f64| present().reduce(combine).unwrap_or(NULL);
    let id = canonical(id);
    match id {
        "last" => values.last().copied().unwrap_or(NULL),
        "first" => values.first().copied().unwrap_or(NULL),
        "lastNotNull" => present().next_back().unwrap_or(NULL),
        "firstNotNull" => present().next().unwrap_or(NULL),
        "min" => fold(f64::min),
        "max" => fold(f64::max),
        "sum" => present().sum(),
        "mean" => {
            let (sum, count) = present().fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
            if count == 0 { NULL } else { sum / count as f64 }
        }
        "median" => percentile(values, 50.0),
        "variance" | "stdDev" => {
            // Welford's running form: no cancellation with large values.
            let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for value in present() {
                count += 1.0;
                let delta = value - mean;
                mean += delta / count;
                squares += delta * (value - mean);
            }
            match (count > 0.0, id) {
                (false, _) => NULL,
                (true, "variance") => squares / count,
                (true, _) => (squares / count).sqrt(),
            }
        }
        "count" => present().count() as f64,
        "countAll" => values.len() as f64,
        "range" => match (fold(f64::min), fold(f64::max)) {
            (min, _) if is_null(min) => NULL,
            (min, max) => max - min,
        },
        "delta" => {
            // A counter: a drop is a reset, and what it shows then is its increase.
            let mut before: Option<f64> = None;
            let mut sum = 0.0;
            for value in present() {
                if let Some(before) = before {
                    sum += if value >= before { value - before } else { value };
                }
                before = Some(value);
            }
            if before.is_none() { NULL } else { sum }
        }
        "step" => {
            let present: Vec<f64> = present().collect();
            present.windows(2).map(|pair| pair[1] - pair[0]).reduce(f64::min).unwrap_or(NULL)
        }
        "diff" | "diffperc" => match (present().next(), present().next_back()) {
            (Some(first), Some(last)) if id == "diff" => last - first,
            (Some(first), Some(last)) => (last - first) / first,
            _ => NULL,
        },
        "logmin" => present().filter(|value| *value > 0.0).reduce(f64::min).unwrap_or(NULL),
        "changeCount" => {
            let present: Vec<f64> = present().collect();
            present.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64
        }
        "distinctCount" => {
            let distinct: std::collections::HashSet<u64> = present().map(f64::to_bits).collect();
            distinct.len() as f64
        }
        "allIsZero" => f64::from(u8::from(!values.is_empty() && values.iter().all(|value| *value == 0.0))),
        "allIsNull" => f64::from(u8::from(values.iter().all(|value| is_null(*value)))),
        other => percentile_of(other).map_or(NULL, |percent| percentile(values, f64::from(percent))),
    }
}

/// The value below which that share of the values lies, straight between neighbours.
fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    if sorted.is_empty() {
        return NULL;
    }
    sorted.order_by(f64::total_cmp);
    let at = (sorted.len() - 1) as f64 * percent / 100.0;
    let low = sorted[at.floor() as usize];
    let high = sorted[(at.ceil() as usize).min(sorted.len() - 1)];
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let values = [2.0, NULL, 4.0, 4.0, f64::NAN, 1.0, NULL];
        for (id, expected) in [
            ("lastNotNull", 1.0),
            ("current", 1.0),
            ("first", 2.0),
            ("min", 1.0),
            ("max", 4.0),
            ("avg", 2.75),
            ("median", 3.0),
            ("variance", 1.6875),
            ("total", 11.0),
            ("count", 4.0),
            ("countAll", 7.0),
            ("range", 3.0),
            ("delta", 3.0),
            ("diff", -1.0),
            ("diffperc", -0.5),
            ("logmin", 1.0),
            ("changeCount", 2.0),
            ("distinctCount", 3.0),
            ("p25", 1.75),
        ] {
            assert_eq!(reduce_numbers(&values, id), expected, "{id}");
        }
        for id in ["last", "nonsense", "p0", "p100"] {
            assert!(is_null(reduce_numbers(&values, id)), "{id}");
        }
        for (id, _) in REDUCERS {
            let empty = reduce_numbers(&[], id);
            assert!(is_null(empty) || empty == 0.0 || empty == 1.0, "{id} of nothing gives {empty}");
        }
    }

    #[test]
    fn other_types() {
        let field = Field::new(
            "x",
            Values::Text([Some("a"), None, Some("b"), Some("a")].map(|t| t.map(str::to_owned)).to_vec()),
        );
        for (id, expected) in [
            ("lastNotNull", Reduced::Text("a".into())),
            ("uniqueValues", Reduced::Text("a, , b".into())),
            ("count", Reduced::Number(3.0)),
            ("mean", Reduced::Null),
        ] {
            assert_eq!(reduce(&field, id), expected, "{id}");
        }
        assert_eq!(reduce(&Field::new("t", Values::Time(vec![5, 9])), "max"), Reduced::Time(9));
    }
}
