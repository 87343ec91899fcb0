//! Any published form of a dashboard to the current model: old rows and panel types, the v2 resource, exports for
//! sharing, API answers. Nothing is dropped: what is not known stays in the JSON and is named in the report.

mod legacy;
mod v2;

use crate::model::{Dashboard, Panel, VariableKind};
use serde_json::{Value, json};

/// Panel types that Vigie draws.
pub const PANEL_TYPES: [&str; 20] = [
    "row",
    "timeseries",
    "stat",
    "gauge",
    "bargauge",
    "table",
    "heatmap",
    "text",
    "piechart",
    "barchart",
    "histogram",
    "state-timeline",
    "status-history",
    "logs",
    "alertlist",
    "dashlist",
    "annolist",
    "nodeGraph",
    "xychart",
    "trend",
];
/// The largest file that is read, in bytes.
pub const BYTES_MAX: usize = 20 * 1024 * 1024;

/// A dashboard that was read, and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Import {
    pub dashboard: Dashboard,
    pub report: ImportReport,
}

/// What an import changed, and what it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Panels that are not rows.
    pub panels: usize,
    /// What was brought into the current model, each once: `graph → timeseries`.
    pub migrated: Vec<String>,
    /// Panel types nobody here draws, with the number of panels.
    pub unknown_panels: Vec<(String, usize)>,
    /// Transformations that will be skipped, with the number of uses.
    pub unknown_transformations: Vec<(String, usize)>,
    /// Kinds of variables that are not known.
    pub unknown_variables: Vec<String>,
    /// Inputs of an export that the importer must answer: name, what it is (`datasource prometheus`, `constant`).
    pub inputs: Vec<(String, String)>,
    pub notes: Vec<String>,
}

/// Why JSON is no dashboard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("not JSON: {0}")]
    Json(String),
    #[error("no dashboard: expected an object with `panels`, `rows` or `spec.elements`, got {0}")]
    NotADashboard(&'static str),
    #[error("larger than {} MiB", BYTES_MAX / 1024 / 1024)]
    TooLarge,
}

/// Reads text.
///
/// # Errors
/// It is no JSON, or no dashboard.
pub fn import_text(text: &str) -> Result<Import, ImportError> {
    if text.len() > BYTES_MAX {
        return Err(ImportError::TooLarge);
    }
    import(serde_json::from_str(text).map_err(|error| ImportError::Json(error.to_string()))?)
}

/// Reads JSON of any published form.
///
/// # Errors
/// It is no dashboard.
pub fn import(json: Value) -> Result<Import, ImportError> {
    let mut report = ImportReport::default();
    let mut json = unwrap_envelope(json);
    let kind = match &json {
        Value::Object(_) => "another object",
        Value::Array(_) => "a list",
        _ => "a single value",
    };
    if v2::is_v2(&json) {
        json = v2::convert(json, &mut report);
    }
    let looks_like_one = json.is_object()
        && ["panels", "rows", "title", "templating", "schemaVersion"].iter().any(|key| json.get(*key).is_some());
    if !looks_like_one {
        return Err(ImportError::NotADashboard(kind));
    }
    legacy::migrate(&mut json, &mut report);
    give_ids(&mut json);
    let dashboard = Dashboard::read(json);
    describe(&dashboard, &mut report);
    Ok(Import { dashboard, report })
}

/// `{"dashboard": {…}, "meta": …}` as APIs answer and accept it, and Kubernetes' v1 resource.
fn unwrap_envelope(json: Value) -> Value {
    match json {
        Value::Object(mut map) if map.get("dashboard").is_some_and(Value::is_object) && !map.contains_key("panels") => {
            map.remove("dashboard").unwrap_or_default()
        }
        Value::Object(mut map)
            if map.contains_key("apiVersion")
                && map.get("spec").is_some_and(|spec| spec.is_object() && spec.get("elements").is_none()) =>
        {
            map.remove("spec").unwrap_or_default()
        }
        json => json,
    }
}

/// Every panel needs an id of its own; old files have duplicates or none.
fn give_ids(json: &mut Value) {
    fn collect(list: &[Value], out: &mut Vec<i64>) {
        for panel in list {
            out.extend(panel.get("id").and_then(Value::as_i64));
            if let Some(inner) = panel.get("panels").and_then(Value::as_array) {
                collect(inner, out);
            }
        }
    }
    fn give(list: &mut [Value], seen: &mut std::collections::HashSet<i64>, next: &mut i64) {
        for panel in list {
            let Value::Object(map) = panel else { continue };
            let id = map.get("id").and_then(Value::as_i64);
            if !id.is_some_and(|id| id > 0 && seen.insert(id)) {
                map.insert("id".to_owned(), json!(*next));
                seen.insert(*next);
                *next += 1;
            }
            if let Some(Value::Array(inner)) = map.get_mut("panels") {
                give(inner, seen, next);
            }
        }
    }
    let Some(list) = json.get_mut("panels").and_then(Value::as_array_mut) else { return };
    let mut ids = Vec::new();
    collect(list, &mut ids);
    let mut next = ids.iter().max().copied().unwrap_or(0).clamp(0, i64::MAX / 2) + 1;
    give(list, &mut std::collections::HashSet::new(), &mut next);
}

fn describe(dashboard: &Dashboard, report: &mut ImportReport) {
    let mut count = |list: fn(&mut ImportReport) -> &mut Vec<(String, usize)>, name: &str| {
        let list = list(report);
        match list.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => list.push((name.to_owned(), 1)),
        }
    };
    for panel in dashboard.panels.iter().flat_map(Panel::with_children) {
        let kind = if panel.kind.is_empty() { "(none)" } else { &panel.kind };
        if !PANEL_TYPES.contains(&kind) && panel.library_panel.is_empty() {
            count(|report| &mut report.unknown_panels, kind);
        }
        for step in &panel.transformations {
            if !crate::transform::is_known(&step.id) {
                count(|report| &mut report.unknown_transformations, &step.id);
            }
        }
    }
    report.panels = dashboard.all_panels().count();
    for variable in &dashboard.variables {
        if let VariableKind::Unknown(kind) = &variable.kind {
            report.unknown_variables.push(kind.clone());
        }
    }
    if let Some(inputs) = dashboard.json().get("__inputs").and_then(Value::as_array) {
        let text = |input: &Value, key: &str| input.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        report.inputs = inputs
            .iter()
            .map(|input| {
                (text(input, "name"), format!("{} {}", text(input, "type"), text(input, "pluginId")).trim().to_owned())
            })
            .collect();
    }
}

pub(crate) fn note(list: &mut Vec<String>, text: &str) {
    if !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}

/// Answers the inputs of an export: every `${NAME}` becomes the value given for it, and the list of inputs goes.
pub fn fill_inputs(json: &mut Value, answers: &[(String, String)]) {
    fn fill(value: &mut Value, answers: &[(String, String)]) {
        match value {
            Value::String(text) if text.contains("${") => {
                for (name, answer) in answers {
                    *text = text.replace(&format!("${{{name}}}"), answer);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| fill(item, answers)),
            Value::Object(map) => map.values_mut().for_each(|item| fill(item, answers)),
            _ => {}
        }
    }
    if let Value::Object(map) = json {
        map.shift_remove("__inputs");
        map.shift_remove("__requires");
    }
    fill(json, answers);
}

/// Takes every `*.json` below a folder in; answers the number of dashboards and what failed, with paths. It is the
/// measure behind `cargo xtask conformance`.
///
/// A file passes if it imports, keeps its panels and their types (as far as old types are not replaced), and what is
/// written reads back the same; a file of the current model comes out letter for letter.
pub fn check_folder(folder: &std::path::Path) -> (usize, Vec<String>) {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut failures = Vec::new();
    for path in &files {
        if let Err(problem) =
            std::fs::read_to_string(path).map_err(|error| error.to_string()).and_then(|text| check_text(&text))
        {
            failures.push(format!("{}: {problem}", path.display()));
        }
    }
    (files.len(), failures)
}

/// As text, for two objects count as equal whatever the order of their keys.
fn text_of(json: &Value) -> String {
    json.to_string()
}

fn check_text(text: &str) -> Result<(), String> {
    let original: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let import = import(original.clone()).map_err(|error| error.to_string())?;
    let written = import.dashboard.json().clone();
    let again = crate::import::import(written.clone()).map_err(|error| format!("the second time: {error}"))?;
    if text_of(again.dashboard.json()) != text_of(&written) {
        return Err("a second import changes it".to_owned());
    }
    let plain = unwrap_envelope(original.clone());
    if import.report.migrated.is_empty() && text_of(&plain) != text_of(&written) {
        return Err("what is written differs from what was read".to_owned());
    }
    // Every panel of the source is there, with its title, unless the source is of the v2 kind.
    let mut wanted = 0;
    let mut lists = vec![plain.get("panels"), plain.get("rows")];
    while let Some(list) = lists.pop() {
        for panel in list.and_then(Value::as_array).into_iter().flatten() {
            let kind = panel.get("type").and_then(Value::as_str);
            wanted += usize::from(kind != Some("row") && (panel.get("gridPos").is_some() || kind.is_some()));
            lists.push(panel.get("panels"));
        }
    }
    let elements = plain
        .get("spec")
        .and_then(|spec| spec.get("elements"))
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len);
    let got = import.report.panels;
    if elements > 0 && got < elements || elements == 0 && got != wanted {
        return Err(format!("{} panels became {got}", wanted.max(elements)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    fn real_dashboards() {
        let folder =
            std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/dashboards"));
        if !folder.exists() {
            println!("skipped: {} is not there", folder.display());
            return;
        }
        let (count, failures) = check_folder(folder);
        assert!(count >= 223, "only {count} files");
        assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    }

    #[test]
    fn refused() {
        for (text, expected) in [
            ("{", "not JSON: EOF while parsing an object at line 1 column 1"),
            ("[1]", "no dashboard: expected an object with `panels`, `rows` or `spec.elements`, got a list"),
            (
                "{\"a\":1}",
                "no dashboard: expected an object with `panels`, `rows` or `spec.elements`, got another object",
            ),
        ] {
            assert_eq!(import_text(text).map(|_| ()).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn old_ones() {
        let import = import(json!({"title": "Old", "schemaVersion": 14, "rows": [
            {"title": "One", "showTitle": true, "height": "250px", "panels": [
                {"id": 1, "type": "graph", "span": 6, "datasource": "$ds", "stack": true, "fill": 3, "lines": true, "legend": {"show": true, "values": true, "avg": true, "alignAsTable": true, "rightSide": true},
                 "yaxes": [{"format": "bytes", "min": "0"}, {"format": "short"}], "targets": [{"expr": "up", "refId": "A"}], "thresholds": [{"value": 5, "colorMode": "critical", "line": true}]},
                {"id": 2, "type": "singlestat", "span": 6, "format": "s", "valueName": "avg", "thresholds": "1,2", "colors": ["green", "orange", "red"], "colorBackground": true, "sparkline": {"show": true},
                 "valueMaps": [{"op": "=", "value": "null", "text": "N/A"}], "nullText": "-"}]},
            {"title": "Two", "collapse": true, "repeat": "job", "panels": [{"id": 1, "type": "moon-panel", "span": 12}]}]})).unwrap();
        let panels = &import.dashboard.panels;
        assert_eq!(panels.iter().map(|p| p.kind.as_str()).collect::<Vec<_>>(), ["row", "timeseries", "stat", "row"]);
        let graph = &panels[1];
        assert_eq!((graph.grid.x, graph.grid.w, graph.grid.h), (0, 12, 7));
        assert_eq!((graph.field_config.defaults.unit.as_str(), graph.field_config.defaults.min), ("bytes", Some(0.0)));
        let style = crate::model::GraphStyle::read(&graph.field_config.defaults.custom);
        assert_eq!(
            (style.fill_opacity, style.stacking, style.thresholds_style.line),
            (30.0, crate::model::Stacking::Normal("A".into()), true)
        );
        let stat = &panels[2];
        assert_eq!(crate::model::StatOptions::read(&stat.options).reduce.calc, "mean");
        assert_eq!(stat.field_config.defaults.thresholds.as_ref().unwrap().steps.len(), 3);
        assert_eq!(stat.field_config.defaults.mappings.len(), 1);
        let row = &panels[3];
        assert!(row.collapsed && row.repeat == "job" && row.panels.len() == 1 && row.panels[0].id > 2);
        assert_eq!(import.report.unknown_panels, [("moon-panel".to_owned(), 1)]);
    }
}
