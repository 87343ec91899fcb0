//! Transformations that work on rows.

use super::join::{Key, column_of, key};
use crate::sorting::Order;
use crate::{
    frame::{Cell, Field, FieldType, Frame, Values},
    model::read::Read as _,
    pattern::Pattern,
    reducers::{self, Reduced},
};
use serde_json::Value;
use std::collections::HashMap;

fn reducers_of(options: &Value) -> Vec<String> {
    match options.texts("reducers") {
        named if named.is_empty() => vec!["max".to_owned()],
        named => named,
    }
}

/// One row per series with a column per reducer, or (`reduceFields`) each frame reduced to one row.
pub(super) fn reduce(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let calcs = reducers_of(options);
    let keep_time = options.flag("includeTimeField");
    if options.text("mode") == "reduceFields" {
        return frames
            .into_iter()
            .map(|frame| {
                let mut fields = Vec::new();
                for field in frame.fields.iter().filter(|field| keep_time || field.kind() != FieldType::Time) {
                    for calc in &calcs {
                        let reduced = reducers::reduce(field, calc);
                        let mut out = field.clone_without_values();
                        out.values = column_of(&[reduced.cell()]);
                        if calcs.len() > 1 {
                            out.name = format!("{} {}", reducers::name(calc), field.name);
                        }
                        fields.push(out);
                    }
                }
                Frame { fields, ..frame }
            })
            .collect();
    }
    let series: Vec<&Field> = frames
        .iter()
        .flat_map(|frame| &frame.fields)
        .filter(|field| keep_time || field.kind() != FieldType::Time)
        .collect();
    if series.is_empty() {
        return Vec::new();
    }
    let mut fields =
        vec![Field::new("Field", Values::Text(series.iter().map(|field| Some(field.display_name.clone())).collect()))];
    if options.flag("labelsToFields") {
        let mut labels: Vec<&String> = series.iter().flat_map(|field| field.labels.keys()).collect();
        labels.order();
        labels.dedup();
        for label in labels {
            fields.push(Field::new(
                label,
                Values::Text(series.iter().map(|field| field.labels.get(label).cloned()).collect()),
            ));
        }
    }
    for calc in &calcs {
        let reduced: Vec<Reduced> = series.iter().map(|field| reducers::reduce(field, calc)).collect();
        let cells: Vec<Cell<'_>> = reduced.iter().map(Reduced::cell).collect();
        fields.push(Field::new(&reducers::name(calc), column_of(&cells)));
    }
    vec![Frame { name: String::new(), ref_id: frames[0].ref_id.clone(), fields }]
}

/// Time, name of the series, value: newest first.
pub(super) fn series_to_rows(frames: Vec<Frame>) -> Vec<Frame> {
    let mut rows: Vec<(i64, String, f64)> = Vec::new();
    for frame in &frames {
        let Some(times) = frame.time_field().and_then(Field::times) else { continue };
        for field in frame.fields.iter().filter(|field| field.kind() == FieldType::Number) {
            rows.extend(
                times
                    .iter()
                    .zip(field.numbers().unwrap_or_default())
                    .map(|(time, value)| (*time, field.display_name.clone(), *value)),
            );
        }
    }
    rows.order_by_key(|(time, ..)| std::cmp::Reverse(*time));
    let fields = vec![
        Field::new("Time", Values::Time(rows.iter().map(|row| row.0).collect())),
        Field::new("Metric", Values::Text(rows.iter().map(|row| Some(row.1.clone())).collect())),
        Field::new("Value", Values::Number(rows.iter().map(|row| row.2).collect())),
    ];
    vec![Frame { fields, ..Frame::default() }]
}

/// One row per distinct combination of the grouping columns; the others aggregated.
pub(super) fn group_by(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let rules = options.child("fields");
    let rule = |field: &Field| rules.get(&field.display_name).or_else(|| rules.get(&field.name));
    frames
        .into_iter()
        .filter_map(|frame| {
            let grouping: Vec<&Field> = frame
                .fields
                .iter()
                .filter(|field| rule(field).is_some_and(|rule| rule.text("operation") == "groupby"))
                .collect();
            if grouping.is_empty() {
                return Some(frame);
            }
            let mut order: Vec<Vec<usize>> = Vec::new();
            let mut groups: HashMap<Vec<Key>, usize> = HashMap::new();
            for row in 0..frame.rows() {
                let keys: Vec<Key> = grouping.iter().map(|field| key(field.cell(row))).collect();
                let at = *groups.entry(keys).or_insert_with(|| {
                    order.push(Vec::new());
                    order.len() - 1
                });
                order[at].push(row);
            }
            let firsts: Vec<usize> = order.iter().filter_map(|rows| rows.first().copied()).collect();
            let mut fields: Vec<Field> = grouping
                .iter()
                .map(|field| Field { values: field.values.take(&firsts), ..field.clone_without_values() })
                .collect();
            for field in &frame.fields {
                let Some(rule) = rule(field).filter(|rule| rule.text("operation") == "aggregate") else { continue };
                for calc in rule.texts("aggregations") {
                    let reduced: Vec<Reduced> = order
                        .iter()
                        .map(|rows| {
                            reducers::reduce(
                                &Field { values: field.values.take(rows), ..field.clone_without_values() },
                                &calc,
                            )
                        })
                        .collect();
                    let cells: Vec<Cell<'_>> = reduced.iter().map(Reduced::cell).collect();
                    let name = if field.display_name.is_empty() { &field.name } else { &field.display_name };
                    fields.push(Field::new(&format!("{name} ({})", reducers::canonical(&calc)), column_of(&cells)));
                }
            }
            (!fields.is_empty()).then_some(Frame { fields, name: frame.name, ref_id: frame.ref_id })
        })
        .collect()
}

pub(super) fn sort_by(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let Some(rule) = options.list("sort").first() else { return frames };
    let (name, descending) = (rule.text("field"), rule.flag("desc"));
    frames
        .into_iter()
        .map(|frame| {
            let Some(field) = frame.fields.iter().find(|field| field.display_name == name || field.name == name) else {
                return frame;
            };
            let mut rows: Vec<usize> = (0..frame.rows()).collect();
            rows.order_by_cached_key(|row| key(field.cell(*row)));
            if descending {
                rows.reverse();
            }
            frame.take(&rows)
        })
        .collect()
}

pub(super) fn limit(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let count = options.number("limitField").unwrap_or(10.0);
    frames
        .into_iter()
        .map(|frame| {
            let rows = frame.rows();
            let kept = (count.abs() as usize).min(rows);
            // A negative number keeps the last rows.
            let start = if count < 0.0 { rows - kept } else { 0 };
            frame.take(&(start..start + kept).collect::<Vec<_>>())
        })
        .collect()
}

/// Keeps (or leaves out) rows that match all or any of the conditions.
pub(super) fn filter_by_value(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let filters = options.list("filters");
    let (exclude, any) = (options.text("type") == "exclude", options.text("match") == "any");
    frames
        .into_iter()
        .map(|frame| {
            let conditions: Vec<(&Field, &Value, Option<Pattern>)> = filters
                .iter()
                .filter_map(|filter| {
                    let name = filter.text("fieldName");
                    let field = frame.fields.iter().find(|field| field.display_name == name || field.name == name)?;
                    let config = filter.child("config");
                    let pattern = (config.text("id") == "regex")
                        .then(|| Pattern::new(&config.child("options").text("value")).ok())
                        .flatten();
                    Some((field, config, pattern))
                })
                .collect();
            if conditions.is_empty() {
                return frame;
            }
            let rows: Vec<usize> = (0..frame.rows())
                .filter(|row| {
                    let mut results = conditions
                        .iter()
                        .map(|(field, config, pattern)| holds(field.cell(*row), config, pattern.as_ref()));
                    let fits = if any { results.any(|held| held) } else { results.all(|held| held) };
                    fits != exclude
                })
                .collect();
            frame.take(&rows)
        })
        .collect()
}

fn holds(cell: Cell<'_>, config: &Value, pattern: Option<&Pattern>) -> bool {
    let options = config.child("options");
    let number = cell.to_number();
    let limit = || options.number("value").unwrap_or(f64::NAN);
    match config.text("id").as_str() {
        "isNull" => cell.is_null(),
        "isNotNull" => !cell.is_null(),
        "regex" => pattern.is_some_and(|pattern| pattern.is_match(&cell.to_text())),
        "equal" => cell.to_text() == options.text("value") || number == limit(),
        "notEqual" => cell.to_text() != options.text("value") && number != limit(),
        "greater" => number > limit(),
        "greaterOrEqual" => number >= limit(),
        "lower" => number < limit(),
        "lowerOrEqual" => number <= limit(),
        "between" => {
            number >= options.number("from").unwrap_or(f64::NAN) && number <= options.number("to").unwrap_or(f64::NAN)
        }
        "substring" => cell.to_text().to_lowercase().contains(&options.text("value").to_lowercase()),
        "notSubstring" => !cell.to_text().to_lowercase().contains(&options.text("value").to_lowercase()),
        _ => true,
    }
}

/// Each series becomes a row: its labels as columns, and the series itself in a cell, for sparklines.
pub(super) fn time_series_table(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let mut by_query: Vec<(String, Vec<(crate::frame::Labels, Frame)>)> = Vec::new();
    for frame in frames {
        let Some(time) = frame.time_field().cloned() else { continue };
        for field in frame.fields.iter().filter(|field| field.kind() == FieldType::Number) {
            let small = Frame {
                name: frame.name.clone(),
                ref_id: frame.ref_id.clone(),
                fields: vec![time.clone(), field.clone()],
            };
            match by_query.iter_mut().find(|(ref_id, _)| *ref_id == frame.ref_id) {
                Some((_, rows)) => rows.push((field.labels.clone(), small)),
                None => by_query.push((frame.ref_id.clone(), vec![(field.labels.clone(), small)])),
            }
        }
    }
    by_query
        .into_iter()
        .map(|(ref_id, rows)| {
            let mut names: Vec<&String> = rows.iter().flat_map(|(labels, _)| labels.keys()).collect();
            names.order();
            names.dedup();
            let mut fields: Vec<Field> = names
                .iter()
                .map(|name| {
                    Field::new(name, Values::Text(rows.iter().map(|(labels, _)| labels.get(*name).cloned()).collect()))
                })
                .collect();
            let calc = options.child(&ref_id).text_or("stat", "lastNotNull");
            let mut trend = Field::new(
                &format!("Trend #{ref_id}"),
                Values::Frame(rows.iter().map(|(_, frame)| Some(Box::new(frame.clone()))).collect()),
            );
            trend.config.custom.insert("trendStat".to_owned(), Value::from(calc));
            fields.push(trend);
            Frame { name: String::new(), ref_id, fields }
        })
        .collect()
}
