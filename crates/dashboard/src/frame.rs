//! Frames: tables whose columns have a type, labels and field options. Panels draw frames, transformations turn
//! frames into frames.

use crate::model::FieldOptions;
use crate::sorting::Order;
use std::collections::BTreeMap;

/// Absent number. A NaN of its own bit pattern, so that a column stays a plain list of `f64`; tell it by [`is_null`].
pub const NULL: f64 = f64::from_bits(0x7ff8_0000_6e75_6c6c);
/// Absent time.
pub const NULL_TIME: i64 = i64::MIN;

/// Whether a number is [`NULL`] (an ordinary NaN is not).
pub fn is_null(value: f64) -> bool {
    value.to_bits() == NULL.to_bits()
}

pub type Labels = BTreeMap<String, String>;

/// One table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    pub name: String,
    pub ref_id: String,
    pub fields: Vec<Field>,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub labels: Labels,
    pub values: Values,
    /// Options that apply, once [`crate::field::apply_config`] has run.
    pub config: FieldOptions,
    /// Name to show, once [`crate::field::apply_config`] has run; empty before.
    pub display_name: String,
}

/// The values of a column.
#[derive(Clone, Debug)]
pub enum Values {
    /// Unix milliseconds; [`NULL_TIME`] is absent.
    Time(Vec<i64>),
    /// [`NULL`] is absent.
    Number(Vec<f64>),
    Text(Vec<Option<String>>),
    Bool(Vec<Option<bool>>),
    /// A small table in each cell: sparklines, nested tables.
    Frame(Vec<Option<Box<Frame>>>),
}

/// Equal bit by bit, so that an absent number equals itself.
impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Values::Time(a), Values::Time(b)) => a == b,
            (Values::Number(a), Values::Number(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || a == b)
            }
            (Values::Text(a), Values::Text(b)) => a == b,
            (Values::Bool(a), Values::Bool(b)) => a == b,
            (Values::Frame(a), Values::Frame(b)) => a == b,
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    Time,
    Number,
    Text,
    Bool,
    Frame,
}

/// One value, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Time(i64),
    Number(f64),
    Text(&'a str),
    Bool(bool),
    Frame(&'a Frame),
}

impl FieldType {
    /// As Grafana names it: `time`, `number`, `string`, `boolean`, `frame`.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Time => "time",
            FieldType::Number => "number",
            FieldType::Text => "string",
            FieldType::Bool => "boolean",
            FieldType::Frame => "frame",
        }
    }
}

impl Values {
    pub fn kind(&self) -> FieldType {
        match self {
            Values::Time(_) => FieldType::Time,
            Values::Number(_) => FieldType::Number,
            Values::Text(_) => FieldType::Text,
            Values::Bool(_) => FieldType::Bool,
            Values::Frame(_) => FieldType::Frame,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Values::Time(values) => values.len(),
            Values::Number(values) => values.len(),
            Values::Text(values) => values.len(),
            Values::Bool(values) => values.len(),
            Values::Frame(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// [`Cell::Null`] also past the end.
    pub fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Values::Time(values) => match values.get(row) {
                Some(&ms) if ms != NULL_TIME => Cell::Time(ms),
                _ => Cell::Null,
            },
            Values::Number(values) => match values.get(row) {
                Some(&value) if !is_null(value) => Cell::Number(value),
                _ => Cell::Null,
            },
            Values::Text(values) => values.get(row).and_then(Option::as_deref).map_or(Cell::Null, Cell::Text),
            Values::Bool(values) => values.get(row).copied().flatten().map_or(Cell::Null, Cell::Bool),
            Values::Frame(values) => values.get(row).and_then(Option::as_deref).map_or(Cell::Null, Cell::Frame),
        }
    }

    /// An empty column of a type.
    pub fn empty(kind: FieldType) -> Self {
        match kind {
            FieldType::Time => Values::Time(Vec::new()),
            FieldType::Number => Values::Number(Vec::new()),
            FieldType::Text => Values::Text(Vec::new()),
            FieldType::Bool => Values::Bool(Vec::new()),
            FieldType::Frame => Values::Frame(Vec::new()),
        }
    }

    /// Appends a value; one of another type is converted if that loses nothing, else it is absent.
    pub fn push(&mut self, cell: Cell<'_>) {
        match self {
            Values::Time(values) => values.push(match cell {
                Cell::Time(ms) => ms,
                Cell::Number(ms) if ms.is_finite() => ms as i64,
                _ => NULL_TIME,
            }),
            Values::Number(values) => values.push(match cell {
                Cell::Number(value) => value,
                Cell::Time(ms) => ms as f64,
                Cell::Bool(flag) => f64::from(u8::from(flag)),
                Cell::Text(text) => text.trim().parse().unwrap_or(NULL),
                _ => NULL,
            }),
            Values::Text(values) => values.push(match cell {
                Cell::Null | Cell::Frame(_) => None,
                cell => Some(cell.to_text()),
            }),
            Values::Bool(values) => values.push(match cell {
                Cell::Bool(flag) => Some(flag),
                Cell::Number(value) => Some(value != 0.0),
                _ => None,
            }),
            Values::Frame(values) => values.push(match cell {
                Cell::Frame(frame) => Some(Box::new(frame.clone())),
                _ => None,
            }),
        }
    }

    /// The rows of the given numbers, in that order; a number past the end gives an absent value.
    pub fn take(&self, rows: &[usize]) -> Self {
        let mut out = Values::empty(self.kind());
        for &row in rows {
            out.push(self.cell(row));
        }
        out
    }
}

impl Cell<'_> {
    /// The value as plain text without unit; empty for none.
    pub fn to_text(&self) -> String {
        match self {
            Cell::Null | Cell::Frame(_) => String::new(),
            Cell::Time(ms) => ms.to_string(),
            Cell::Number(value) => crate::units::plain(*value),
            Cell::Text(text) => (*text).to_owned(),
            Cell::Bool(flag) => flag.to_string(),
        }
    }

    /// The value as a number, [`NULL`] if it is none.
    pub fn to_number(&self) -> f64 {
        match self {
            Cell::Number(value) => *value,
            Cell::Time(ms) => *ms as f64,
            Cell::Bool(flag) => f64::from(u8::from(*flag)),
            Cell::Text(text) => text.trim().parse().unwrap_or(NULL),
            Cell::Null | Cell::Frame(_) => NULL,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Cell::Null)
    }
}

impl Field {
    pub fn new(name: &str, values: Values) -> Self {
        Field {
            name: name.to_owned(),
            labels: Labels::new(),
            values,
            config: FieldOptions::default(),
            display_name: String::new(),
        }
    }

    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    pub fn kind(&self) -> FieldType {
        self.values.kind()
    }

    pub fn cell(&self, row: usize) -> Cell<'_> {
        self.values.cell(row)
    }

    /// The numbers of the column, if it is one of numbers.
    pub fn numbers(&self) -> Option<&[f64]> {
        match &self.values {
            Values::Number(values) => Some(values),
            _ => None,
        }
    }

    pub fn times(&self) -> Option<&[i64]> {
        match &self.values {
            Values::Time(values) => Some(values),
            _ => None,
        }
    }
}

impl Frame {
    /// Length of the longest column.
    pub fn rows(&self) -> usize {
        self.fields.iter().map(|field| field.values.len()).max().unwrap_or(0)
    }

    pub fn time_field(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.kind() == FieldType::Time)
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The rows of the given numbers.
    pub fn take(&self, rows: &[usize]) -> Frame {
        Frame {
            name: self.name.clone(),
            ref_id: self.ref_id.clone(),
            fields: self
                .fields
                .iter()
                .map(|field| Field { values: field.values.take(rows), ..field.clone_without_values() })
                .collect(),
        }
    }
}

impl Field {
    /// The same column without rows.
    pub fn clone_without_values(&self) -> Field {
        Field {
            name: self.name.clone(),
            labels: self.labels.clone(),
            values: Values::empty(self.kind()),
            config: self.config.clone(),
            display_name: self.display_name.clone(),
        }
    }
}

/// The query a result belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryInfo {
    pub ref_id: String,
    pub expr: String,
    /// `legendFormat`.
    pub legend_format: String,
    /// Distance of the points asked for, in ms; a longer gap becomes an absent value. 0: gaps are not looked for.
    pub step_ms: i64,
}

/// One series of a result: labels with `__name__`, points in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub points: Vec<(i64, f64)>,
}

/// One native histogram of a series: time, then buckets with lower bound, upper bound and count.
pub type HistogramPoint = (i64, Vec<(f64, f64, f64)>);

/// A matrix as frames with a time and a number column each, named by the legend format.
pub fn from_matrix(query: &QueryInfo, series: Vec<Series>) -> Vec<Frame> {
    let names = crate::legend::series_names(
        &query.legend_format,
        &query.expr,
        &series.iter().map(|series| &series.labels).collect::<Vec<_>>(),
    );
    series
        .into_iter()
        .zip(names)
        .map(|(series, name)| {
            let mut times = Vec::with_capacity(series.points.len());
            let mut values = Vec::with_capacity(series.points.len());
            for (ms, value) in series.points {
                if let Some(&last) = times.last()
                    && query.step_ms > 0
                    && ms - last > query.step_ms + query.step_ms / 2
                {
                    times.push(last + query.step_ms);
                    values.push(NULL);
                }
                times.push(ms);
                values.push(value);
            }
            series_frame(query, series.labels, name, times, values)
        })
        .collect()
}

fn series_frame(query: &QueryInfo, labels: Labels, name: String, times: Vec<i64>, values: Vec<f64>) -> Frame {
    let metric = labels.get("__name__").cloned().unwrap_or_else(|| "Value".to_owned());
    let mut value = Field::new(&metric, Values::Number(values)).with_labels(without_name(labels));
    value.config.display_name_from_ds.clone_from(&name);
    Frame { name, ref_id: query.ref_id.clone(), fields: vec![Field::new("Time", Values::Time(times)), value] }
}

fn without_name(mut labels: Labels) -> Labels {
    labels.remove("__name__");
    labels
}

/// A vector as time series of one point each.
pub fn from_vector(query: &QueryInfo, samples: Vec<(Labels, i64, f64)>) -> Vec<Frame> {
    from_matrix(
        query,
        samples.into_iter().map(|(labels, ms, value)| Series { labels, points: vec![(ms, value)] }).collect(),
    )
}

/// A vector or matrix as one table: `Time`, a text column per label, and the value, named `Value` or with several
/// queries in the panel `Value #A`.
pub fn to_table(query: &QueryInfo, series: &[Series], several_queries: bool) -> Frame {
    let mut names: Vec<&str> = series.iter().flat_map(|series| series.labels.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let rows: usize = series.iter().map(|series| series.points.len()).sum();
    let mut times = Vec::with_capacity(rows);
    let mut values = Vec::with_capacity(rows);
    let mut columns: Vec<Vec<Option<String>>> = names.iter().map(|_| Vec::with_capacity(rows)).collect();
    for series in series {
        for &(ms, value) in &series.points {
            times.push(ms);
            values.push(value);
            for (column, name) in columns.iter_mut().zip(&names) {
                column.push(Some(series.labels.get(*name).cloned().unwrap_or_default()));
            }
        }
    }
    let mut fields = vec![Field::new("Time", Values::Time(times))];
    fields.extend(names.iter().zip(columns).map(|(name, column)| Field::new(name, Values::Text(column))));
    let value = if several_queries { format!("Value #{}", query.ref_id) } else { "Value".to_owned() };
    fields.push(Field::new(&value, Values::Number(values)));
    Frame { name: String::new(), ref_id: query.ref_id.clone(), fields }
}

/// A scalar as one frame.
pub fn from_scalar(query: &QueryInfo, ms: i64, value: f64) -> Vec<Frame> {
    from_vector(query, vec![(Labels::new(), ms, value)])
}

/// Buckets over time, for heatmaps and histograms. Times and columns have the same length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatmapData {
    pub times: Vec<i64>,
    /// Lower and upper bound of each row of cells, ascending; −∞ and ∞ occur.
    pub bounds: Vec<(f64, f64)>,
    /// `counts[row][column]`; [`NULL`] where nothing was measured.
    pub counts: Vec<Vec<f64>>,
}

/// Cumulative classic buckets (label `le`) as cells: neighbours are subtracted, series with the same `le` added.
/// Series without a readable `le` are left out.
pub fn heatmap_from_buckets(series: &[Series]) -> HeatmapData {
    let mut rows: Vec<(f64, BTreeMap<i64, f64>)> = Vec::new();
    for series in series {
        let Some(bound) = series.labels.get("le").and_then(|text| parse_bound(text)) else { continue };
        let at = match rows.iter().position(|(existing, _)| *existing == bound) {
            Some(at) => at,
            None => {
                rows.push((bound, BTreeMap::new()));
                rows.len() - 1
            }
        };
        for &(ms, value) in &series.points {
            if !value.is_nan() {
                *rows[at].1.entry(ms).or_insert(0.0) += value;
            }
        }
    }
    rows.order_by(|a, b| a.0.total_cmp(&b.0));
    let mut times: Vec<i64> = rows.iter().flat_map(|(_, points)| points.keys().copied()).collect();
    times.sort_unstable();
    times.dedup();
    let mut counts = Vec::with_capacity(rows.len());
    let mut bounds = Vec::with_capacity(rows.len());
    for (i, (upper, points)) in rows.iter().enumerate() {
        let below = i.checked_sub(1).map(|below| &rows[below]);
        let lower = below.map_or(if *upper > 0.0 { 0.0 } else { f64::NEG_INFINITY }, |(bound, _)| *bound);
        bounds.push((lower, *upper));
        counts.push(
            times
                .iter()
                .map(|ms| match points.get(ms) {
                    // A scrape between two buckets' updates can make the difference negative.
                    Some(count) => (count - below.and_then(|(_, below)| below.get(ms)).unwrap_or(&0.0)).max(0.0),
                    None => NULL,
                })
                .collect(),
        );
    }
    HeatmapData { times, bounds, counts }
}

fn parse_bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok().filter(|bound: &f64| !bound.is_nan()),
    }
}

/// Native histograms as cells. Different resolutions over time are split at every bound that occurs.
pub fn heatmap_from_histograms(points: &[HistogramPoint]) -> HeatmapData {
    /// More rows than any screen has pixels say nothing.
    const ROWS_MAX: usize = 2000;
    let mut edges: Vec<f64> =
        points.iter().flat_map(|(_, buckets)| buckets.iter().flat_map(|(low, high, _)| [*low, *high])).collect();
    edges.order_by(f64::total_cmp);
    edges.dedup();
    edges.truncate(ROWS_MAX);
    let bounds: Vec<(f64, f64)> = edges.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let mut merged: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (ms, buckets) in points {
        let column = merged.entry(*ms).or_insert_with(|| vec![0.0; bounds.len()]);
        for (low, high, count) in buckets {
            let first = bounds.partition_point(|(lower, _)| lower < low);
            let covered = bounds[first.min(bounds.len())..].iter().take_while(|(_, upper)| upper <= high).count();
            for cell in column.iter_mut().skip(first).take(covered) {
                // Within a bucket nothing is known: the count is spread evenly.
                *cell += count / covered as f64;
            }
        }
    }
    let times: Vec<i64> = merged.keys().copied().collect();
    let columns: Vec<Vec<f64>> = merged.into_values().collect();
    let counts = (0..bounds.len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect();
    HeatmapData { times, bounds, counts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn matrix_with_a_gap() {
        let query =
            QueryInfo { ref_id: "A".into(), legend_format: "{{job}}!".into(), step_ms: 10, ..QueryInfo::default() };
        let series = Series {
            labels: labels(&[("__name__", "up"), ("job", "node")]),
            points: vec![(0, 1.0), (10, f64::NAN), (50, 0.0)],
        };
        let frames = from_matrix(&query, vec![series.clone()]);
        assert_eq!(frames[0].name, "node!");
        let value = &frames[0].fields[1];
        assert_eq!((value.name.as_str(), frames[0].fields[0].times().unwrap()), ("up", &[0, 10, 20, 50][..]));
        assert!(matches!(value.cell(1), Cell::Number(v) if v.is_nan()) && value.cell(2).is_null());
        let table = to_table(&query, &[series], true);
        assert_eq!(
            table.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
            ["Time", "__name__", "job", "Value #A"]
        );
        assert_eq!(table.rows(), 3);
    }

    #[test]
    fn buckets() {
        let bucket = |le: &str, values: [f64; 2]| Series {
            labels: labels(&[("le", le)]),
            points: vec![(0, values[0]), (10, values[1])],
        };
        let data =
            heatmap_from_buckets(&[bucket("+Inf", [9.0, 4.0]), bucket("0.5", [1.0, 4.0]), bucket("1", [5.0, 3.0])]);
        assert_eq!(data.bounds, [(0.0, 0.5), (0.5, 1.0), (1.0, f64::INFINITY)]);
        assert_eq!(data.counts, [[1.0, 4.0], [4.0, 0.0], [4.0, 1.0]]);
        let native =
            heatmap_from_histograms(&[(0, vec![(1.0, 2.0, 3.0), (2.0, 4.0, 8.0)]), (10, vec![(1.0, 4.0, 6.0)])]);
        assert_eq!((native.bounds.len(), &native.counts[..]), (2, &[vec![3.0, 3.0], vec![8.0, 3.0]][..]));
    }
}
