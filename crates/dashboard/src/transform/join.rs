//! Transformations that bring several frames together.

use crate::{
    frame::{Cell, Field, FieldType, Frame, Values},
    model::read::Read as _,
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// A cell as a key: numbers and times sort by size, then texts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Key {
    Number(i64, u64),
    Text(String),
}

pub(super) fn key(cell: Cell<'_>) -> Key {
    match cell {
        Cell::Time(ms) => Key::Number(ms, 0),
        // Ordered like the number: the sign decides which way the bits count.
        Cell::Number(value) => {
            let bits = value.to_bits();
            let ordered = if value.is_sign_negative() { !bits } else { bits | (1 << 63) };
            Key::Number((ordered ^ (1 << 63)) as i64, 1)
        }
        other => Key::Text(other.to_text()),
    }
}

/// One row per value of the field that all frames have; outer unless `mode` is `inner`.
pub(super) fn join_by_field(options: &Value, frames: Vec<Frame>) -> Vec<Frame> {
    let by = options.text("byField");
    let inner = options.text("mode") == "inner";
    let key_of = |frame: &Frame| {
        frame.fields.iter().position(|field| {
            if by.is_empty() { field.kind() == FieldType::Time } else { field.display_name == by || field.name == by }
        })
    };
    let (joined, rest): (Vec<Frame>, Vec<Frame>) = frames.into_iter().partition(|frame| key_of(frame).is_some());
    if joined.len() < 2 {
        return joined.into_iter().chain(rest).collect();
    }
    let mut rows: BTreeMap<Key, Vec<Option<usize>>> = BTreeMap::new();
    let keys: Vec<usize> = joined.iter().filter_map(key_of).collect();
    for (at, (frame, key_at)) in joined.iter().zip(&keys).enumerate() {
        for row in 0..frame.rows() {
            let slots = rows.entry(key(frame.fields[*key_at].cell(row))).or_insert_with(|| vec![None; joined.len()]);
            slots[at] = slots[at].or(Some(row));
        }
    }
    if inner {
        rows.retain(|_, slots| slots.iter().all(Option::is_some));
    }
    let rows: Vec<Vec<Option<usize>>> = rows.into_values().collect();
    let mut key_field = joined[0].fields[keys[0]].clone_without_values();
    for slots in &rows {
        let cell = slots.iter().enumerate().find_map(|(at, row)| row.map(|row| joined[at].fields[keys[at]].cell(row)));
        key_field.values.push(cell.unwrap_or(Cell::Null));
    }
    let mut fields = vec![key_field];
    for (at, frame) in joined.iter().enumerate() {
        for (field_at, field) in frame.fields.iter().enumerate().filter(|(field_at, _)| *field_at != keys[at]) {
            let numbers: Vec<usize> = rows.iter().map(|slots| slots[at].unwrap_or(usize::MAX)).collect();
            let mut column = Field { values: field.values.take(&numbers), ..field.clone_without_values() };
            // Several frames bring a column of the same name: the query tells them apart.
            let twin = joined.iter().enumerate().any(|(other, frame)| {
                other != at
                    && frame
                        .fields
                        .iter()
                        .any(|other| other.display_name == field.display_name && other.labels == field.labels)
            });
            if twin && field.labels.is_empty() && field_at > 0 {
                column.name = format!("{} {}", field.name, at + 1);
                column.config.display_name_from_ds.clone_from(&column.name);
            }
            fields.push(column);
        }
    }
    let ref_id = joined[0].ref_id.clone();
    std::iter::once(Frame { name: String::new(), ref_id, fields }).chain(rest).collect()
}

/// Rows of all frames in one table; rows that agree in every column they share become one.
pub(super) fn merge(frames: Vec<Frame>) -> Vec<Frame> {
    let frames: Vec<Frame> = frames.into_iter().filter(|frame| !frame.fields.is_empty()).collect();
    if frames.is_empty() {
        return frames;
    }
    let mut columns: Vec<Field> = Vec::new();
    for field in frames.iter().flat_map(|frame| &frame.fields) {
        if !columns.iter().any(|known| known.name == field.name) {
            columns.push(field.clone_without_values());
        }
    }
    // Columns that every frame has tell rows apart.
    let shared: Vec<usize> =
        (0..columns.len()).filter(|at| frames.iter().all(|frame| frame.field(&columns[*at].name).is_some())).collect();
    let mut rows: Vec<Vec<Option<(usize, usize, usize)>>> = Vec::new();
    let mut by_key: HashMap<Vec<Key>, Vec<usize>> = HashMap::new();
    for (frame_at, frame) in frames.iter().enumerate() {
        let places: Vec<Option<usize>> =
            columns.iter().map(|column| frame.fields.iter().position(|field| field.name == column.name)).collect();
        for row in 0..frame.rows() {
            let cells: Vec<Option<(usize, usize, usize)>> =
                places.iter().map(|place| place.map(|field| (frame_at, field, row))).collect();
            let keys: Vec<Key> =
                shared.iter().filter_map(|at| places[*at]).map(|field| key(frame.fields[field].cell(row))).collect();
            let candidates = by_key.entry(keys).or_default();
            let free = if shared.len() == columns.len() || shared.is_empty() {
                None
            } else {
                candidates.iter().copied().find(|at| {
                    rows[*at]
                        .iter()
                        .zip(&cells)
                        .enumerate()
                        .all(|(column, (old, new))| shared.contains(&column) || old.is_none() || new.is_none())
                })
            };
            match free {
                Some(at) => rows[at].iter_mut().zip(cells).for_each(|(old, new)| *old = old.or(new)),
                None => {
                    candidates.push(rows.len());
                    rows.push(cells);
                }
            }
        }
    }
    for row in &rows {
        for (column, cell) in columns.iter_mut().zip(row) {
            column.values.push(cell.map_or(Cell::Null, |(frame, field, row)| frames[frame].fields[field].cell(row)));
        }
    }
    vec![Frame { name: String::new(), ref_id: frames[0].ref_id.clone(), fields: columns }]
}

/// Columns of all frames side by side.
pub(super) fn concatenate(frames: Vec<Frame>) -> Vec<Frame> {
    let rows = frames.iter().map(Frame::rows).max().unwrap_or(0);
    let Some(first) = frames.first() else { return frames };
    let ref_id = first.ref_id.clone();
    let all: Vec<usize> = (0..rows).collect();
    let fields = frames
        .iter()
        .flat_map(|frame| &frame.fields)
        .map(|field| Field { values: field.values.take(&all), ..field.clone_without_values() })
        .collect();
    vec![Frame { name: String::new(), ref_id, fields }]
}

/// An empty column of the type that a list of cells has in common.
pub(super) fn column_of(cells: &[Cell<'_>]) -> Values {
    let mut kinds = cells.iter().filter_map(|cell| match cell {
        Cell::Null => None,
        Cell::Time(_) => Some(FieldType::Time),
        Cell::Number(_) => Some(FieldType::Number),
        Cell::Text(_) => Some(FieldType::Text),
        Cell::Bool(_) => Some(FieldType::Bool),
        Cell::Frame(_) => Some(FieldType::Frame),
    });
    let first = kinds.next().unwrap_or(FieldType::Number);
    let mut values = Values::empty(if kinds.all(|kind| kind == first) { first } else { FieldType::Text });
    cells.iter().for_each(|cell| values.push(*cell));
    values
}
