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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Field, NULL, Values};
    use serde_json::json;

    fn series(ref_id: &str, job: &str, values: Vec<f64>) -> Frame {
        let times = (0..values.len() as i64).collect();
        let value =
            Field::new("Value", Values::Number(values)).with_labels([("job".to_owned(), job.to_owned())].into());
        Frame {
            name: job.to_owned(),
            ref_id: ref_id.to_owned(),
            fields: vec![Field::new("Time", Values::Time(times)), value],
        }
    }

    /// `name: cell cell | name: …` for each frame.
    fn said(frames: &[Frame]) -> String {
        let field = |field: &Field| {
            let cells: Vec<String> = (0..field.values.len())
                .map(|row| match field.cell(row) {
                    cell if cell.is_null() => "-".to_owned(),
                    crate::frame::Cell::Frame(frame) => format!("[{}]", frame.rows()),
                    cell => cell.to_text(),
                })
                .collect();
            format!("{}: {}", field.name, cells.join(" "))
        };
        frames
            .iter()
            .map(|frame| frame.fields.iter().map(field).collect::<Vec<_>>().join(" | "))
            .collect::<Vec<_>>()
            .join(" ; ")
    }

    #[test]
    fn each_alone() {
        let series_frames = || vec![series("A", "api", vec![1.0, 3.0]), series("B", "web", vec![10.0, NULL])];
        let table = || {
            let text = |items: &[&str]| Values::Text(items.iter().map(|t| Some((*t).to_owned())).collect());
            vec![Frame {
                fields: vec![
                    Field::new("pod", text(&["b", "a", "b"])),
                    Field::new("v", Values::Number(vec![5.0, 2.0, 7.0])),
                ],
                ..Frame::default()
            }]
        };
        for (id, options, frames, expected) in [
            (
                "reduce",
                json!({"reducers": ["max", "lastNotNull"]}),
                series_frames(),
                "Field: api web | Max: 3 10 | Last *: 3 10",
            ),
            ("reduce", json!({"mode": "reduceFields", "reducers": ["sum"]}), series_frames(), "Value: 4 ; Value: 10"),
            ("joinByField", json!({"byField": "Time"}), series_frames(), "Time: 0 1 | Value: 1 3 | Value: 10 -"),
            ("seriesToRows", json!({}), series_frames(), "Time: 1 1 0 0 | Metric: api web api web | Value: 3 - 1 10"),
            ("labelsToFields", json!({}), series_frames(), "Time: 0 1 0 1 | job: api api web web | Value: 1 3 10 -"),
            ("filterByRefId", json!({"include": "B"}), series_frames(), "Time: 0 1 | Value: 10 -"),
            ("timeSeriesTable", json!({}), series_frames(), "job: api | Trend #A: [2] ; job: web | Trend #B: [2]"),
            (
                "renameByRegex",
                json!({"regex": "(a)pi", "renamePattern": "$1!"}),
                series_frames(),
                "Time: 0 1 | a!: 1 3 ; Time: 0 1 | Value: 10 -",
            ),
            ("organize", json!({"excludeByName": {"pod": true}, "renameByName": {"v": "V"}}), table(), "V: 5 2 7"),
            ("organize", json!({"indexByName": {"v": 0, "pod": 1}}), table(), "v: 5 2 7 | pod: b a b"),
            ("filterFieldsByName", json!({"include": {"pattern": "^p"}}), table(), "pod: b a b"),
            (
                "calculateField",
                json!({"mode": "binary", "binary": {"left": "v", "operator": "*", "right": "2"}, "alias": "x"}),
                table(),
                "pod: b a b | v: 5 2 7 | x: 10 4 14",
            ),
            (
                "calculateField",
                json!({"mode": "cumulativeFunctions", "cumulative": {"field": "v"}, "replaceFields": true}),
                table(),
                "cumulative sum(v): 5 7 14",
            ),
            (
                "groupBy",
                json!({"fields": {"pod": {"operation": "groupby"}, "v": {"operation": "aggregate", "aggregations": ["sum", "count"]}}}),
                table(),
                "pod: b a | v (sum): 12 2 | v (count): 2 1",
            ),
            ("sortBy", json!({"sort": [{"field": "v", "desc": true}]}), table(), "pod: b b a | v: 7 5 2"),
            ("limit", json!({"limitField": 1}), table(), "pod: b | v: 5"),
            (
                "filterByValue",
                json!({"type": "include", "match": "all", "filters": [{"fieldName": "v", "config": {"id": "greater", "options": {"value": 4}}}]}),
                table(),
                "pod: b b | v: 5 7",
            ),
            (
                "convertFieldType",
                json!({"conversions": [{"targetField": "v", "destinationType": "string"}]}),
                table(),
                "pod: b a b | v: 5 2 7",
            ),
        ] {
            let step = Transformation { id: id.to_owned(), options: options.clone(), ..Transformation::default() };
            let (frames, problems) = apply(frames, &[step]);
            assert_eq!((said(&frames).as_str(), problems.len()), (expected, 0), "{id} {options}");
        }
        let step = Transformation { id: "spatial".to_owned(), ..Transformation::default() };
        assert_eq!(apply(table(), &[step]).1, ["transformation spatial is not known and was skipped"]);
    }

    #[test]
    fn merged_queries_share_rows() {
        let table = |ref_id: &str, value: &str, rows: &[(&str, f64)]| Frame {
            ref_id: ref_id.to_owned(),
            fields: vec![
                Field::new("pod", Values::Text(rows.iter().map(|(pod, _)| Some((*pod).to_owned())).collect())),
                Field::new(value, Values::Number(rows.iter().map(|(_, v)| *v).collect())),
            ],
            ..Frame::default()
        };
        let frames = vec![
            table("A", "Value #A", &[("a", 1.0), ("b", 2.0)]),
            table("B", "Value #B", &[("b", 20.0), ("c", 30.0)]),
        ];
        let step = Transformation { id: "merge".to_owned(), ..Transformation::default() };
        assert_eq!(said(&apply(frames, &[step]).0), "pod: a b c | Value #A: 1 2 - | Value #B: - 20 30");
    }
}
