//! Transformations: frames to frames, in order.

mod columns;
mod join;
mod rows;

use crate::{
    field,
    frame::Frame,
    model::{Matcher, Transformation},
};

/// The transformations that run here.
pub const KNOWN: [&str; 19] = [
    "reduce",
    "organize",
    "filterFieldsByName",
    "filterByRefId",
    "renameByRegex",
    "calculateField",
    "joinByField",
    "seriesToColumns",
    "merge",
    "labelsToFields",
    "seriesToRows",
    "groupBy",
    "sortBy",
    "limit",
    "filterByValue",
    "convertFieldType",
    "timeSeriesTable",
    "concatenate",
    "prepareTimeSeries",
];

pub fn is_known(id: &str) -> bool {
    KNOWN.contains(&id)
}

/// Runs all steps. Disabled ones and those for other topics are passed over; an unknown one is passed over and named
/// in the answer.
pub fn apply(frames: Vec<Frame>, steps: &[Transformation]) -> (Vec<Frame>, Vec<String>) {
    let mut frames = frames;
    let mut problems = Vec::new();
    for step in steps.iter().filter(|step| !step.disabled && (step.topic.is_empty() || step.topic == "series")) {
        if !is_known(&step.id) {
            problems.push(format!("transformation {} is not known and was skipped", step.id));
            continue;
        }
        field::name_fields(&mut frames);
        let (mut taken, mut left) = (frames, Vec::new());
        if let Some((id, options)) = &step.filter {
            let matcher = Matcher::from_parts(id, options);
            let compiled = field::CompiledMatcher::new(&matcher);
            (taken, left) = taken
                .into_iter()
                .partition(|frame| (0..frame.fields.len().max(1)).any(|at| compiled.matches(frame, at)));
        }
        let mut out = run(&step.id, &step.options, taken);
        out.append(&mut left);
        frames = out;
    }
    (frames, problems)
}

fn run(id: &str, options: &serde_json::Value, frames: Vec<Frame>) -> Vec<Frame> {
    match id {
        "reduce" => rows::reduce(options, frames),
        "organize" => columns::organize(options, frames),
        "filterFieldsByName" => columns::filter_by_name(options, frames),
        "filterByRefId" => columns::filter_by_ref_id(options, frames),
        "renameByRegex" => columns::rename_by_regex(options, frames),
        "calculateField" => columns::calculate(options, frames),
        "convertFieldType" => columns::convert_types(options, frames),
        "labelsToFields" => columns::labels_to_fields(options, frames),
        "joinByField" | "seriesToColumns" => join::join_by_field(options, frames),
        "concatenate" => join::concatenate(frames),
        "merge" => join::merge(frames),
        "seriesToRows" => rows::series_to_rows(frames),
        "groupBy" => rows::group_by(options, frames),
        "sortBy" => rows::sort_by(options, frames),
        "limit" => rows::limit(options, frames),
        "filterByValue" => rows::filter_by_value(options, frames),
        "timeSeriesTable" => rows::time_series_table(options, frames),
        // `prepareTimeSeries` of frames that are time series already leaves them.
        _ => frames,
    }
}
