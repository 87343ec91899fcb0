//! Transformations that work on columns.

use crate::sorting::Order;
use crate::{
    frame::{Cell, Field, FieldType, Frame, NULL, Values},
    model::read::Read as _,
    pattern::Pattern,
    reducers,
};
use serde_json::Value;

fn named(field: &Field, name: &str) -> bool {
    field.display_name == name || field.name == name
}

/// Excludes, renames and orders columns.
pub(super) fn organize(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let (exclude, rename, order) =
        (options.child("excludeByName"), options.child("renameByName"), options.child("indexByName"));
    let include = options.child("includeByName").as_object().filter(|map| !map.is_empty());
    let get = |map: &Value, field: &Field| map.get(&field.display_name).or_else(|| map.get(&field.name)).cloned();
    frames
        .into_iter()
        .map(|mut frame| {
            frame.fields.retain(|field| get(exclude, field) != Some(Value::Bool(true)));
            if let Some(include) = include {
                frame.fields.retain(|field| {
                    include.get(&field.display_name).or(include.get(&field.name)) == Some(&Value::Bool(true))
                });
            }
            let place = |field: &Field| get(order, field).and_then(|at| at.as_f64()).unwrap_or(f64::MAX);
            frame.fields.order_by(|a, b| place(a).total_cmp(&place(b)));
            for field in &mut frame.fields {
                if let Some(Value::String(name)) = get(rename, field).filter(|name| name.as_str() != Some("")) {
                    rename_field(field, &name);
                }
            }
            frame
        })
        .collect()
}

fn rename_field(field: &mut Field, name: &str) {
    field.config.display_name_from_ds = name.to_owned();
    field.display_name = name.to_owned();
    field.name = name.to_owned();
}

/// Keeps columns by name, pattern, or both; `exclude` turns it round.
pub(super) fn filter_by_name(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let rule = |key: &str| -> Option<(Vec<String>, Option<Pattern>)> {
        let rule = options.child(key);
        let names = rule.texts("names");
        let pattern = Some(rule.text("pattern"))
            .filter(|pattern| !pattern.is_empty())
            .and_then(|pattern| Pattern::new(&pattern).ok());
        (!names.is_empty() || pattern.is_some()).then_some((names, pattern))
    };
    let (include, exclude) = (rule("include"), rule("exclude"));
    let fits = |(names, pattern): &(Vec<String>, Option<Pattern>), field: &Field| {
        names.iter().any(|name| named(field, name))
            || pattern.as_ref().is_some_and(|pattern| pattern.is_match(&field.display_name))
    };
    frames
        .into_iter()
        .filter_map(|mut frame| {
            frame.fields.retain(|field| {
                include.as_ref().is_none_or(|rule| fits(rule, field))
                    && !exclude.as_ref().is_some_and(|rule| fits(rule, field))
            });
            (!frame.fields.is_empty()).then_some(frame)
        })
        .collect()
}

pub(super) fn filter_by_ref_id(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let wanted = options.text("include");
    if wanted.is_empty() {
        return frames;
    }
    let pattern = Pattern::new(&wanted).ok();
    frames
        .into_iter()
        .filter(|frame| {
            frame.ref_id == wanted || pattern.as_ref().is_some_and(|pattern| pattern.is_match(&frame.ref_id))
        })
        .collect()
}

pub(super) fn rename_by_regex(options: &Value, mut frames: Vec<Frame>) -> Vec<Frame> {
    let Ok(pattern) = Pattern::new(&options.text("regex")) else { return frames };
    let template = options.text("renamePattern");
    for field in frames.iter_mut().flat_map(|frame| &mut frame.fields) {
        if field.kind() != FieldType::Time && pattern.is_match(&field.display_name) {
            let name = pattern.replace(&field.display_name, &template);
            rename_field(field, &name);
        }
    }
    frames
}

/// A new column out of others.
pub(super) fn calculate(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let mode = options.text_or("mode", "reduceRow");
    let alias = options.text("alias");
    let only = options.flag("replaceFields");
    // Time series of a row each are joined first, as their columns belong together.
    let frames = if frames.len() > 1
        && matches!(mode.as_str(), "reduceRow" | "binary")
        && frames.iter().all(|frame| frame.time_field().is_some())
    {
        super::join::join_by_field(&Value::Null, frames)
    } else {
        frames
    };
    frames
        .into_iter()
        .map(|mut frame| {
            let Some((name, values)) = calculated(&mode, options, &frame) else { return frame };
            let mut field = Field::new(if alias.is_empty() { &name } else { &alias }, values);
            field.display_name.clone_from(&field.name);
            if only {
                frame.fields.retain(|field| field.kind() == FieldType::Time);
            }
            frame.fields.push(field);
            frame
        })
        .collect()
}

fn calculated(mode: &str, options: &Value, frame: &Frame) -> Option<(String, Values)> {
    let rows = frame.rows();
    let numeric = || frame.fields.iter().filter(|field| field.kind() == FieldType::Number);
    let chosen = |part: &Value| -> Vec<&Field> {
        let names = part.texts("include");
        numeric().filter(|field| names.is_empty() || names.iter().any(|name| named(field, name))).collect()
    };
    match mode {
        "reduceRow" => {
            let part = options.child("reduce");
            let reducer = part.text_or("reducer", "sum");
            let fields = chosen(part);
            let values = (0..rows)
                .map(|row| {
                    let cells: Vec<f64> = fields.iter().map(|field| field.cell(row).to_number()).collect();
                    reducers::reduce_numbers(&cells, &reducer)
                })
                .collect();
            Some((reducers::name(&reducer), Values::Number(values)))
        }
        "binary" => {
            let part = options.child("binary");
            // A side is a name, a number, or a matcher.
            let side = |key: &str| -> (String, Box<dyn Fn(usize) -> f64 + '_>) {
                let text = match part.child(key) {
                    Value::Object(map) => map
                        .get("matcher")
                        .map(|matcher| matcher.text("options"))
                        .or_else(|| map.get("fixed").map(crate::model::read::as_text))
                        .unwrap_or_default(),
                    other => crate::model::read::as_text(other),
                };
                if let Some(field) = frame.fields.iter().find(|field| named(field, &text)) {
                    (text, Box::new(move |row| field.cell(row).to_number()))
                } else {
                    let number = text.parse().unwrap_or(NULL);
                    (text, Box::new(move |_| number))
                }
            };
            let operator = part.text_or("operator", "+");
            let ((left_name, left), (right_name, right)) = (side("left"), side("right"));
            let values = (0..rows)
                .map(|row| {
                    let (a, b) = (left(row), right(row));
                    if crate::frame::is_null(a) || crate::frame::is_null(b) {
                        return NULL;
                    }
                    match operator.as_str() {
                        "-" => a - b,
                        "*" => a * b,
                        "/" => a / b,
                        "%" => a % b,
                        "**" | "^" => a.powf(b),
                        _ => a + b,
                    }
                })
                .collect();
            Some((format!("{left_name} {operator} {right_name}"), Values::Number(values)))
        }
        "unary" => {
            let part = options.child("unary");
            let (operator, name) = (part.text_or("operator", "abs"), part.text("fieldName"));
            let field = frame.fields.iter().find(|field| named(field, &name))?;
            let apply: fn(f64) -> f64 = match operator.as_str() {
                "abs" => f64::abs,
                "exp" => f64::exp,
                "ln" => f64::ln,
                "floor" => f64::floor,
                "ceil" => f64::ceil,
                "round" => f64::round,
                _ => return None,
            };
            let numbers = field.numbers()?;
            let values =
                numbers.iter().map(|value| if crate::frame::is_null(*value) { NULL } else { apply(*value) }).collect();
            Some((format!("{operator}({name})"), Values::Number(values)))
        }
        "cumulativeFunctions" => {
            let part = options.child("cumulative");
            let field = *chosen(&serde_json::json!({"include": part.child("field")})).first()?;
            let mean = part.text("reducer") == "mean";
            let (mut sum, mut count) = (0.0, 0.0);
            let values = field.numbers()?.iter().map(|value| {
                if !value.is_nan() {
                    sum += value;
                    count += 1.0;
                }
                if mean { sum / f64::max(count, 1.0) } else { sum }
            });
            Some((
                format!("cumulative {}({})", if mean { "mean" } else { "sum" }, field.display_name),
                Values::Number(values.collect()),
            ))
        }
        "index" => {
            let percent = options.child("index").flag("asPercentile");
            let values = (0..rows)
                .map(|row| if percent { row as f64 / rows.saturating_sub(1).max(1) as f64 } else { row as f64 });
            Some(("Row".to_owned(), Values::Number(values.collect())))
        }
        _ => None,
    }
}

/// Text, numbers, times into each other.
pub(super) fn convert_types(options: &Value, mut frames: Vec<Frame>) -> Vec<Frame> {
    for rule in options.list("conversions") {
        let (target, kind) = (rule.text("targetField"), rule.text("destinationType"));
        for field in frames.iter_mut().flat_map(|frame| &mut frame.fields).filter(|field| named(field, &target)) {
            let mut values = Values::empty(match kind.as_str() {
                "time" => FieldType::Time,
                "number" => FieldType::Number,
                "boolean" => FieldType::Bool,
                "string" => FieldType::Text,
                _ => continue,
            });
            for row in 0..field.values.len() {
                let cell = field.cell(row);
                let time = match (kind.as_str(), cell) {
                    ("time", Cell::Text(text)) => crate::time_range::parse_time(
                        text,
                        crate::time_range::Bound::From,
                        0,
                        &crate::calendar::Calendar::utc(),
                    )
                    .ok(),
                    _ => None,
                };
                values.push(time.map_or(cell, Cell::Time));
            }
            field.values = values;
        }
    }
    frames
}

/// Labels become columns (or with `rows` rows of names and values).
pub(super) fn labels_to_fields(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let keep = options.texts("keepLabels");
    let value_label = options.text("valueLabel");
    let mut out = Vec::new();
    for frame in frames {
        let rows = frame.rows();
        for field in frame.fields.iter().filter(|field| field.kind() != FieldType::Time) {
            let mut fields: Vec<Field> = frame.time_field().cloned().into_iter().collect();
            for (name, value) in field
                .labels
                .iter()
                .filter(|(name, _)| **name != value_label && (keep.is_empty() || keep.contains(name)))
            {
                fields.push(Field::new(name, Values::Text(vec![Some(value.clone()); rows])));
            }
            let mut plain = field.clone();
            plain.labels.clear();
            plain.config.display_name_from_ds.clear();
            if let Some(name) = field.labels.get(&value_label) {
                plain.name.clone_from(name);
            }
            fields.push(plain);
            out.push(Frame { name: frame.name.clone(), ref_id: frame.ref_id.clone(), fields });
        }
    }
    super::join::merge(out)
}
