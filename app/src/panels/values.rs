//! Frames as single values: what stat, gauge and bar gauge show.

use crate::zone::Zone;
use dashboard::{
    colors::{self, Theme},
    field::{DisplayValue, Displayer, auto_bounds, value_bounds},
    frame::{Cell, Field, FieldType, Frame, is_null},
    model::{DataLink, ReduceOptions},
    pattern::Pattern,
    reducers,
    units::FormatContext,
};

/// More values than this in one panel nobody can read.
const VALUES_MAX: usize = 100;

/// How a viewer looks at values.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub theme: Theme,
    pub zone: Zone,
    pub now_ms: i64,
}

impl Look {
    /// Calls `work` with what formatting needs to know.
    pub fn with_context<T>(&self, work: impl FnOnce(FormatContext<'_>) -> T) -> T {
        self.zone.with_calendar(|calendar| work(FormatContext { calendar: *calendar, now_ms: self.now_ms }))
    }
}

/// One value of a panel.
#[derive(Clone, Debug)]
pub struct Single {
    pub name: String,
    pub display: DisplayValue,
    /// Values over time, for the line beside it; empty if there are none.
    pub course: Vec<f64>,
    /// Last over first, minus one.
    pub change: Option<f64>,
    pub bounds: (f64, f64),
    pub field: Field,
    pub frame_name: String,
}

impl Single {
    pub fn links(&self) -> &[DataLink] {
        &self.field.config.links
    }

    /// CSS colour of the value; the ordinary text colour if nothing gives one.
    pub fn color(&self) -> String {
        self.display.color.map_or_else(|| "var(--t1c)".to_owned(), colors::Rgba::css)
    }

    /// Number and unit as one text.
    pub fn text(&self) -> String {
        match self.display.text.to_string() {
            text if text.is_empty() => "No data".to_owned(),
            text => text,
        }
    }
}

/// The values that a panel shows, by its `reduceOptions`.
pub fn singles(frames: &[Frame], reduce: &ReduceOptions, look: &Look) -> Vec<Single> {
    let chosen = chosen_fields(frames, &reduce.fields);
    let data_bounds = auto_bounds(chosen.iter().map(|(_, field)| *field));
    let names: Vec<&str> = chosen.iter().map(|(_, field)| field.display_name.as_str()).collect();
    let series = colors::series_colors(&names);
    let mut out = Vec::new();
    for ((frame, field), color) in chosen.iter().zip(series) {
        let bounds = value_bounds(&field.config, data_bounds);
        look.with_context(|context| {
            if reduce.values {
                let displayer = Displayer::new(&field.config, look.theme, context, bounds, Some(color));
                let rows = reduce.limit.unwrap_or(25).min(VALUES_MAX);
                for row in 0..field.values.len().min(rows) {
                    let display = displayer.display(field.cell(row));
                    out.push(single(frame, field, row_name(frame, field, row), display, Vec::new(), None, bounds));
                }
                return;
            }
            let reduced = reducers::reduce(field, &reduce.calc);
            let mut config = field.config.clone();
            if !reducers::keeps_unit(&reduce.calc) {
                config.unit = String::new();
            }
            let displayer = Displayer::new(&config, look.theme, context, bounds, Some(color));
            let display = displayer.display(reduced.cell());
            let course: Vec<f64> = match frame.time_field() {
                Some(_) => field
                    .numbers()
                    .unwrap_or_default()
                    .iter()
                    .map(|value| if is_null(*value) { f64::NAN } else { *value })
                    .collect(),
                None => Vec::new(),
            };
            let change = change(&course);
            out.push(single(frame, field, field.display_name.clone(), display, course, change, bounds));
        });
        if out.len() >= VALUES_MAX {
            break;
        }
    }
    out
}

fn single(
    frame: &Frame,
    field: &Field,
    name: String,
    display: DisplayValue,
    course: Vec<f64>,
    change: Option<f64>,
    bounds: (f64, f64),
) -> Single {
    let field = Field { values: dashboard::frame::Values::empty(field.kind()), ..field.clone_without_values() };
    Single { name, display, course, change, bounds, field, frame_name: frame.name.clone() }
}

/// The texts of the row, or its number.
fn row_name(frame: &Frame, field: &Field, row: usize) -> String {
    let texts: Vec<String> = frame
        .fields
        .iter()
        .filter(|other| other.kind() == FieldType::Text)
        .map(|other| other.cell(row).to_text())
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() { field.display_name.clone() } else { texts.join(" ") }
}

/// Empty: numbers, or texts if there are none; `/regex/`; or one display name.
fn chosen_fields<'f>(frames: &'f [Frame], wanted: &str) -> Vec<(&'f Frame, &'f Field)> {
    let all = || frames.iter().flat_map(|frame| frame.fields.iter().map(move |field| (frame, field)));
    let shown = |field: &Field| !hidden(field);
    if wanted.is_empty() {
        return all().filter(|(_, field)| field.kind() == FieldType::Number && shown(field)).collect();
    }
    if wanted.starts_with('/')
        && let Ok(pattern) = Pattern::new(wanted)
    {
        return all()
            .filter(|(_, field)| field.kind() != FieldType::Time && pattern.is_match(&field.display_name))
            .collect();
    }
    all().filter(|(_, field)| field.display_name == wanted || field.name == wanted).collect()
}

/// Whether an override takes the field out of the drawing (`custom.hideFrom.viz`).
pub fn hidden(field: &Field) -> bool {
    field.config.custom.get("hideFrom").and_then(|from| from.get("viz")).and_then(serde_json::Value::as_bool)
        == Some(true)
}

fn change(course: &[f64]) -> Option<f64> {
    let first = course.iter().copied().find(|value| value.is_finite())?;
    let last = course.iter().copied().rev().find(|value| value.is_finite())?;
    (first != 0.0 && course.len() > 1).then(|| (last - first) / first.abs())
}

/// A cell as text by the field's own options.
pub fn cell_text(field: &Field, cell: Cell<'_>, look: &Look, bounds: (f64, f64)) -> DisplayValue {
    look.with_context(|context| Displayer::new(&field.config, look.theme, context, bounds, None).display(cell))
}
