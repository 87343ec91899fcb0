//! The resource of Grafana's newer model: elements, a layout that places them, variables by kind.

use super::{ImportReport, note};
use crate::model::{GRID_COLUMNS, SCHEMA_VERSION, read::Read as _};
use serde_json::{Map, Value, json};

/// Layouts within layouts, at most.
const DEPTH_MAX: usize = 8;

pub(super) fn is_v2(json: &Value) -> bool {
    spec_of(json).get("elements").is_some_and(Value::is_object)
}

fn spec_of(json: &Value) -> &Value {
    json.get("spec").unwrap_or(json)
}

/// Brings it into the classic model; the original is kept under `__v2`, for export.
pub(super) fn convert(json: Value, report: &mut ImportReport) -> Value {
    note(&mut report.migrated, "v2 resource → classic model");
    let spec = spec_of(&json);
    let time = spec.child("timeSettings");
    let mut panels = Vec::new();
    let mut placed = Vec::new();
    let mut y = 0;
    layout(spec.child("layout"), spec.child("elements"), &mut panels, &mut placed, &mut y, report, 0);
    for (name, element) in spec.child("elements").as_object().into_iter().flatten() {
        if !placed.contains(name) {
            // An element that no layout shows is still part of the dashboard.
            panels.push(panel(element, json!({"x": 0, "y": y, "w": 12, "h": 8})));
            y += 8;
        }
    }
    let variables: Vec<Value> = spec.list("variables").iter().map(convert_variable).collect();
    let annotations: Vec<Value> = spec.list("annotations").iter().map(|query| query.child("spec").clone()).collect();
    let uid = json.child("metadata").text("name");
    json!({
        "uid": uid,
        "title": spec.text("title"),
        "description": spec.text("description"),
        "tags": spec.child("tags"),
        "editable": spec.flag_or("editable", true),
        "liveNow": spec.flag("liveNow"),
        "preload": spec.flag("preload"),
        "graphTooltip": match spec.text("cursorSync").as_str() { "Crosshair" => 1, "Tooltip" => 2, _ => 0 },
        "links": spec.child("links"),
        "time": {"from": time.text_or("from", "now-6h"), "to": time.text_or("to", "now")},
        "timezone": time.text_or("timezone", "browser"),
        "refresh": time.text("autoRefresh"),
        "weekStart": time.text("weekStart"),
        "fiscalYearStartMonth": time.number("fiscalYearStartMonth").unwrap_or(0.0),
        "timepicker": {"hidden": time.flag("hideTimepicker"), "refresh_intervals": time.child("autoRefreshIntervals"), "quick_ranges": time.child("quickRanges")},
        "templating": {"list": variables},
        "annotations": {"list": annotations},
        "panels": panels,
        "schemaVersion": SCHEMA_VERSION,
        "version": 0,
        "__v2": json.clone(),
    })
}

fn layout(
    layout: &Value,
    elements: &Value,
    out: &mut Vec<Value>,
    placed: &mut Vec<String>,
    y: &mut u64,
    report: &mut ImportReport,
    depth: usize,
) {
    if depth > DEPTH_MAX {
        return;
    }
    let spec = layout.child("spec");
    match layout.text("kind").as_str() {
        "GridLayout" => {
            let mut bottom = 0;
            for item in spec.list("items") {
                let item_spec = item.child("spec");
                let number = |key: &str, default: f64| item_spec.number(key).unwrap_or(default).clamp(0.0, 1e6) as u64;
                let grid = json!({"x": number("x", 0.0), "y": *y + number("y", 0.0), "w": number("width", 12.0), "h": number("height", 8.0)});
                bottom = bottom.max(number("y", 0.0) + number("height", 8.0));
                place(item_spec, elements, grid, out, placed);
            }
            *y += bottom;
        }
        "AutoGridLayout" => {
            let columns = spec.number("maxColumnCount").unwrap_or(3.0).clamp(1.0, 24.0) as u64;
            let w = u64::from(GRID_COLUMNS) / columns;
            let items = spec.list("items");
            for (at, item) in items.iter().enumerate() {
                let grid = json!({"x": at as u64 % columns * w, "y": *y + at as u64 / columns * 9, "w": w, "h": 9});
                place(item.child("spec"), elements, grid, out, placed);
            }
            *y += (items.len() as u64).div_ceil(columns) * 9;
        }
        kind @ ("RowsLayout" | "TabsLayout") => {
            let tabs = kind == "TabsLayout";
            if tabs {
                note(&mut report.notes, "tabs are shown as rows");
            }
            for item in spec.list(if tabs { "tabs" } else { "rows" }) {
                let row = item.child("spec");
                let collapsed = row.flag("collapse");
                let mut panel = json!({"type": "row", "title": row.text("title"), "collapsed": collapsed, "panels": [], "gridPos": {"x": 0, "y": *y, "w": GRID_COLUMNS, "h": 1}});
                let repeat = row.child("repeat").text("value");
                if !repeat.is_empty() {
                    panel["repeat"] = json!(repeat);
                }
                *y += 1;
                let mut inside = Vec::new();
                self::layout(row.child("layout"), elements, &mut inside, placed, y, report, depth + 1);
                // Rows within a closed row would have no place of their own.
                let flat = !inside.iter().any(|panel: &Value| panel.text("type") == "row");
                if collapsed && flat {
                    panel["panels"] = Value::Array(std::mem::take(&mut inside));
                } else {
                    panel["collapsed"] = json!(false);
                }
                out.push(panel);
                out.extend(inside);
            }
        }
        "" => {}
        other => note(&mut report.notes, &format!("layout {other} is not known; its panels stand below each other")),
    }
}

fn place(item: &Value, elements: &Value, grid: Value, out: &mut Vec<Value>, placed: &mut Vec<String>) {
    let name = item.child("element").text("name");
    let Some(element) = elements.get(&name) else { return };
    let mut panel = panel(element, grid);
    let repeat = item.child("repeat");
    if !repeat.text("value").is_empty() {
        panel["repeat"] = json!(repeat.text("value"));
        panel["repeatDirection"] = json!(repeat.text_or("direction", "h"));
    }
    out.push(panel);
    placed.push(name);
}

fn panel(element: &Value, grid: Value) -> Value {
    let spec = element.child("spec");
    let data = spec.child("data").child("spec");
    let viz = spec.child("vizConfig");
    // `group` since v2beta1, `kind` before.
    let kind = viz.text_or("group", &viz.text("kind"));
    let targets: Vec<Value> = data
        .list("queries")
        .iter()
        .map(|query| {
            let query = query.child("spec");
            let inner = query.child("query");
            let mut target = inner.child("spec").as_object().cloned().unwrap_or_else(Map::new);
            target.insert("refId".to_owned(), json!(query.text("refId")));
            target.insert("hide".to_owned(), json!(query.flag("hidden")));
            let uid = inner.child("datasource").text_or("name", &query.child("datasource").text("uid"));
            if !uid.is_empty() {
                target.insert(
                    "datasource".to_owned(),
                    json!({"type": inner.text_or("group", &inner.text("kind")), "uid": uid}),
                );
            }
            Value::Object(target)
        })
        .collect();
    let transformations: Vec<Value> = data
        .list("transformations")
        .iter()
        .map(|step| {
            let mut out = step.child("spec").as_object().cloned().unwrap_or_else(Map::new);
            let id = step.text_or("group", &step.text("kind"));
            out.entry("id").or_insert_with(|| json!(id));
            Value::Object(out)
        })
        .collect();
    let mut out = json!({
        "id": spec.child("id"),
        "type": kind,
        "title": spec.text("title"),
        "description": spec.text("description"),
        "transparent": spec.flag("transparent"),
        "gridPos": grid,
        "links": spec.child("links"),
        "targets": targets,
        "transformations": transformations,
        "fieldConfig": viz.child("spec").child("fieldConfig"),
        "options": viz.child("spec").child("options"),
    });
    for (key, value) in data.child("queryOptions").as_object().into_iter().flatten() {
        out[key] = value.clone();
    }
    if element.text("kind") == "LibraryPanel" {
        out["libraryPanel"] = spec.child("libraryPanel").clone();
    }
    out
}

fn convert_variable(variable: &Value) -> Value {
    let mut out = variable.child("spec").as_object().cloned().unwrap_or_else(Map::new);
    let kind = match variable.text("kind").as_str() {
        "QueryVariable" => "query".to_owned(),
        "TextVariable" => "textbox".to_owned(),
        "ConstantVariable" => "constant".to_owned(),
        "DatasourceVariable" => "datasource".to_owned(),
        "IntervalVariable" => "interval".to_owned(),
        "CustomVariable" => "custom".to_owned(),
        "GroupByVariable" => "groupby".to_owned(),
        "AdhocVariable" => "adhoc".to_owned(),
        "SwitchVariable" => "switch".to_owned(),
        other => other.to_owned(),
    };
    if kind == "query"
        && let Some(query) = out.get("query").and_then(|query| query.get("spec")).cloned()
    {
        out.insert("query".to_owned(), query);
    }
    if kind == "datasource"
        && let Some(plugin) = out.get("pluginId").cloned()
    {
        out.insert("query".to_owned(), plugin);
    }
    let words = |out: &Map<String, Value>, key: &str| out.get(key).and_then(Value::as_str).map(str::to_owned);
    if let Some(refresh) = words(&out, "refresh") {
        out.insert(
            "refresh".to_owned(),
            json!(match refresh.as_str() {
                "onDashboardLoad" => 1,
                "onTimeRangeChanged" => 2,
                _ => 0,
            }),
        );
    }
    if let Some(sort) = words(&out, "sort") {
        let orders = [
            "disabled",
            "alphabeticalAsc",
            "alphabeticalDesc",
            "numericalAsc",
            "numericalDesc",
            "alphabeticalCaseInsensitiveAsc",
            "alphabeticalCaseInsensitiveDesc",
            "naturalAsc",
            "naturalDesc",
        ];
        out.insert("sort".to_owned(), json!(orders.iter().position(|order| *order == sort).unwrap_or(0)));
    }
    out.insert("type".to_owned(), json!(kind));
    Value::Object(out)
}
