//! Models before `schemaVersion` 16 (rows) and panel types that newer ones replaced.

use super::{ImportReport, note};
use crate::model::{GRID_COLUMNS, SCHEMA_VERSION, read::Read as _};
use serde_json::{Map, Value, json};

pub(super) fn migrate(json: &mut Value, report: &mut ImportReport) {
    rows_to_grid(json, report);
    if let Value::Object(map) = json
        && !map.get("panels").is_some_and(Value::is_array)
    {
        map.insert("panels".to_owned(), json!([]));
        note(&mut report.migrated, "no panels → an empty list");
    }
    panels(json.get_mut("panels"), report, 0);
    let missing_ids = has_id_trouble(json);
    if missing_ids {
        note(&mut report.migrated, "panels without an id of their own got one");
    }
    let version = json.number("schemaVersion").unwrap_or(0.0) as u64;
    // From 16 on the stored form is the current one but for panel types.
    if version < 16
        && !report.migrated.is_empty()
        && let Value::Object(map) = json
    {
        map.insert("schemaVersion".to_owned(), json!(SCHEMA_VERSION));
    }
}

fn has_id_trouble(json: &Value) -> bool {
    fn walk(list: &[Value], seen: &mut std::collections::HashSet<i64>) -> bool {
        list.iter().any(|panel| {
            let own = panel.get("id").and_then(Value::as_i64).filter(|id| *id > 0);
            !own.is_some_and(|id| seen.insert(id))
                || panel.get("panels").and_then(Value::as_array).is_some_and(|inner| walk(inner, seen))
        })
    }
    json.get("panels").and_then(Value::as_array).is_some_and(|list| walk(list, &mut std::collections::HashSet::new()))
}

/// `rows[]` with spans of 12 and heights in px become panels on the grid, with a row panel where a title or a fold
/// says so.
fn rows_to_grid(json: &mut Value, report: &mut ImportReport) {
    let Value::Object(map) = json else { return };
    if !map.get("rows").is_some_and(Value::is_array) {
        return;
    }
    let Some(Value::Array(rows)) = map.shift_remove("rows") else { return };
    note(&mut report.migrated, "rows → grid");
    let mut out: Vec<Value> = match map.shift_remove("panels") {
        Some(Value::Array(panels)) => panels,
        _ => Vec::new(),
    };
    let bottom = |list: &[Value]| {
        list.iter()
            .map(|panel| panel.child("gridPos"))
            .map(|grid| grid.number("y").unwrap_or(0.0) + grid.number("h").unwrap_or(0.0))
            .fold(0.0, f64::max) as u64
    };
    let mut y = bottom(&out);
    let titled = rows.iter().any(|row| row.flag("showTitle") || row.flag("collapse") || !row.text("repeat").is_empty());
    for mut row in rows {
        let height = match row.child("height") {
            Value::Number(px) => px.as_f64().unwrap_or(250.0),
            Value::String(text) => text.trim_end_matches("px").parse().unwrap_or(250.0),
            _ => 250.0,
        };
        // A grid unit was 38 px with its gap, and old panels had a header of their own.
        let row_h = ((height.max(30.0) + 8.0) / 38.0).ceil().max(1.0) as u64;
        let collapsed = row.flag("collapse");
        let mut panels = match row.get_mut("panels").map(Value::take) {
            Some(Value::Array(panels)) => panels,
            _ => Vec::new(),
        };
        let mut row_panel = None;
        if titled {
            let mut panel = json!({"type": "row", "title": row.text("title"), "collapsed": collapsed, "panels": [], "gridPos": {"h": 1, "w": GRID_COLUMNS, "x": 0, "y": y}});
            if !row.text("repeat").is_empty() {
                panel["repeat"] = json!(row.text("repeat"));
            }
            row_panel = Some(panel);
            y += 1;
        }
        let (mut x, mut line_h) = (0_u64, 0_u64);
        for panel in &mut panels {
            let Value::Object(panel) = panel else { continue };
            let span = panel.get("span").and_then(crate::model::read::as_number).unwrap_or(4.0).clamp(1.0, 12.0);
            let w = ((span * 2.0).floor() as u64).clamp(1, u64::from(GRID_COLUMNS));
            let h = panel
                .get("height")
                .and_then(|height| match height {
                    Value::String(text) => text.trim_end_matches("px").parse::<f64>().ok(),
                    other => other.as_f64(),
                })
                .map_or(row_h, |px| ((px.max(30.0) + 8.0) / 38.0).ceil() as u64);
            if x + w > u64::from(GRID_COLUMNS) {
                (x, y, line_h) = (0, y + line_h, 0);
            }
            panel.insert("gridPos".to_owned(), json!({"h": h, "w": w, "x": x, "y": y}));
            panel.shift_remove("span");
            x += w;
            line_h = line_h.max(h);
        }
        y += line_h;
        match row_panel {
            Some(mut row_panel) if collapsed => {
                y = row_panel.child("gridPos").number("y").unwrap_or(0.0) as u64 + 1;
                row_panel["panels"] = Value::Array(panels);
                out.push(row_panel);
            }
            row_panel => {
                out.extend(row_panel);
                out.extend(panels);
            }
        }
    }
    map.insert("panels".to_owned(), Value::Array(out));
}

/// Rows within rows are no more than this deep in any file that a program wrote.
const DEPTH_MAX: usize = 5;

fn panels(list: Option<&mut Value>, report: &mut ImportReport, depth: usize) {
    let Some(Value::Array(list)) = list else { return };
    for panel in list {
        match panel.text("type").as_str() {
            "graph" => graph(panel, report),
            "singlestat" => single_stat(panel, report),
            "table-old" => rename(panel, "table", report),
            "grafana-piechart-panel" => rename(panel, "piechart", report),
            // The old table has `styles`, the new one `fieldConfig`.
            "table" if panel.get("styles").is_some() && panel.get("fieldConfig").is_none() => {
                note(&mut report.notes, "an old table's `styles` are kept, not shown")
            }
            _ => {}
        }
        if depth < DEPTH_MAX {
            panels(panel.get_mut("panels"), report, depth + 1);
        }
    }
}

fn rename(panel: &mut Value, to: &str, report: &mut ImportReport) {
    note(&mut report.migrated, &format!("{} → {to}", panel.text("type")));
    panel["type"] = json!(to);
}

/// Adds what a migration found, without touching what is there.
fn put(panel: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = panel
        && map.get(key).is_none_or(|old| old.is_null() || old.as_object().is_some_and(Map::is_empty))
    {
        map.insert(key.to_owned(), value);
    }
}

fn graph(panel: &mut Value, report: &mut ImportReport) {
    rename(panel, "timeseries", report);
    let axes = panel.list("yaxes");
    let axis = axes.first().cloned().unwrap_or(Value::Null);
    let mut defaults = Map::new();
    let mut custom = Map::new();
    if !axis.text("format").is_empty() {
        defaults.insert("unit".to_owned(), json!(axis.text("format")));
    }
    for key in ["min", "max", "decimals"] {
        if let Some(number) = axis.number(key) {
            defaults.insert(key.to_owned(), json!(number));
        }
    }
    if !axis.text("label").is_empty() {
        custom.insert("axisLabel".to_owned(), json!(axis.text("label")));
    }
    if let Some(base) = axis.number("logBase").filter(|base| *base > 1.0) {
        custom.insert("scaleDistribution".to_owned(), json!({"type": "log", "log": base}));
    }
    let style = if panel.flag("bars") {
        "bars"
    } else if panel.flag_or("lines", true) {
        "line"
    } else {
        "points"
    };
    custom.insert("drawStyle".to_owned(), json!(style));
    custom.insert("lineWidth".to_owned(), json!(panel.number("linewidth").unwrap_or(1.0)));
    custom.insert("fillOpacity".to_owned(), json!(panel.number("fill").unwrap_or(1.0).clamp(0.0, 10.0) * 10.0));
    custom.insert("showPoints".to_owned(), json!(if panel.flag("points") { "always" } else { "never" }));
    custom.insert("spanNulls".to_owned(), json!(panel.text("nullPointMode") == "connected"));
    if panel.flag("steppedLine") {
        custom.insert("lineInterpolation".to_owned(), json!("stepAfter"));
    }
    if panel.flag("stack") {
        let mode = if panel.flag("percentage") { "percent" } else { "normal" };
        custom.insert("stacking".to_owned(), json!({"mode": mode, "group": "A"}));
    }
    let limits: Vec<&Value> = panel.list("thresholds").iter().filter(|limit| limit.number("value").is_some()).collect();
    if !limits.is_empty() {
        let mut steps = vec![json!({"color": "transparent", "value": null})];
        steps.extend(limits.iter().map(|limit| {
            let color = match limit.text("colorMode").as_str() {
                "critical" => "red".to_owned(),
                "warning" => "orange".to_owned(),
                "ok" => "green".to_owned(),
                _ => limit.text_or("lineColor", "red"),
            };
            json!({"color": color, "value": limit.number("value")})
        }));
        defaults.insert("thresholds".to_owned(), json!({"mode": "absolute", "steps": steps}));
        let line = limits.iter().any(|limit| limit.flag("line"));
        let area = limits.iter().any(|limit| limit.flag("fill"));
        custom.insert(
            "thresholdsStyle".to_owned(),
            json!({"mode": match (line, area) { (true, true) => "line+area", (false, true) => "area", _ => "line" }}),
        );
    }
    defaults.insert("color".to_owned(), json!({"mode": "palette-classic"}));
    defaults.insert("custom".to_owned(), Value::Object(custom));
    let mut overrides: Vec<Value> = Vec::new();
    for (name, color) in panel.child("aliasColors").as_object().into_iter().flatten() {
        overrides.push(json!({"matcher": {"id": "byName", "options": name}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}]}));
    }
    for change in panel.list("seriesOverrides") {
        let alias = change.text("alias");
        let matcher = if alias.starts_with('/') { "byRegexp" } else { "byName" };
        let mut properties = Vec::new();
        let mut property = |id: &str, value: Value| properties.push(json!({"id": id, "value": value}));
        if change.number("yaxis") == Some(2.0) {
            property("custom.axisPlacement", json!("right"));
            if let Some(format) = axes.get(1).map(|axis| axis.text("format")).filter(|format| !format.is_empty()) {
                property("unit", json!(format));
            }
        }
        if let Some(fill) = change.number("fill") {
            property("custom.fillOpacity", json!(fill * 10.0));
        }
        if let Some(width) = change.number("linewidth") {
            property("custom.lineWidth", json!(width));
        }
        if change.text("transform") == "negative-Y" {
            property("custom.transform", json!("negative-Y"));
        }
        if !change.text("color").is_empty() {
            property("color", json!({"mode": "fixed", "fixedColor": change.text("color")}));
        }
        if change.child("stack") == &Value::Bool(false) {
            property("custom.stacking", json!({"mode": "none"}));
        }
        if change.flag("dashes") {
            property("custom.lineStyle", json!({"fill": "dash", "dash": [10, 10]}));
        }
        if !properties.is_empty() {
            overrides.push(json!({"matcher": {"id": matcher, "options": alias}, "properties": properties}));
        }
    }
    let legend = panel.child("legend");
    let calcs: Vec<&str> =
        [("min", "min"), ("max", "max"), ("avg", "mean"), ("current", "lastNotNull"), ("total", "sum")]
            .into_iter()
            .filter(|(old, _)| legend.flag("values") && legend.flag(old))
            .map(|(_, new)| new)
            .collect();
    let options = json!({
        "legend": {
            "showLegend": legend.flag_or("show", true),
            "displayMode": if legend.flag("alignAsTable") { "table" } else { "list" },
            "placement": if legend.flag("rightSide") { "right" } else { "bottom" },
            "calcs": calcs,
        },
        "tooltip": {"mode": if panel.child("tooltip").flag_or("shared", true) { "multi" } else { "single" }, "sort": match panel.child("tooltip").number("sort") { Some(1.0) => "asc", Some(2.0) => "desc", _ => "none" }},
    });
    put(panel, "fieldConfig", json!({"defaults": defaults, "overrides": overrides}));
    merge_defaults(panel, &defaults);
    put(panel, "options", options);
}

/// Half-migrated files have a `fieldConfig` with nothing in it but links.
fn merge_defaults(panel: &mut Value, defaults: &Map<String, Value>) {
    if let Some(Value::Object(own)) = panel.get_mut("fieldConfig").and_then(|config| config.get_mut("defaults")) {
        for (key, value) in defaults {
            if own.get(key).is_none_or(|old| old.as_object().is_some_and(Map::is_empty)) {
                own.insert(key.clone(), value.clone());
            }
        }
    }
}

fn single_stat(panel: &mut Value, report: &mut ImportReport) {
    let gauge = panel.child("gauge").flag("show");
    rename(panel, if gauge { "gauge" } else { "stat" }, report);
    let mut defaults = Map::new();
    if !panel.text("format").is_empty() {
        defaults.insert("unit".to_owned(), json!(panel.text("format")));
    }
    if let Some(decimals) = panel.number("decimals") {
        defaults.insert("decimals".to_owned(), json!(decimals));
    }
    if gauge {
        defaults.insert("min".to_owned(), json!(panel.child("gauge").number("minValue").unwrap_or(0.0)));
        defaults.insert("max".to_owned(), json!(panel.child("gauge").number("maxValue").unwrap_or(100.0)));
    }
    let colors = panel.texts("colors");
    let limits: Vec<f64> = panel.text("thresholds").split(',').filter_map(|limit| limit.trim().parse().ok()).collect();
    if !colors.is_empty() {
        let mut steps = vec![json!({"color": colors[0], "value": null})];
        steps.extend(
            limits.iter().zip(colors.iter().skip(1)).map(|(limit, color)| json!({"color": color, "value": limit})),
        );
        defaults.insert("thresholds".to_owned(), json!({"mode": "absolute", "steps": steps}));
    }
    let mut mappings = Vec::new();
    for (at, map) in panel.list("valueMaps").iter().enumerate() {
        let result = json!({"text": map.text("text"), "index": at});
        mappings.push(if map.text("value") == "null" {
            json!({"type": "special", "options": {"match": "null", "result": result}})
        } else {
            json!({"type": "value", "options": {(map.text("value")): result}})
        });
    }
    for (at, map) in panel.list("rangeMaps").iter().enumerate() {
        let result = json!({"text": map.text("text"), "index": at});
        mappings.push(if map.text("from") == "null" {
            json!({"type": "special", "options": {"match": "null", "result": result}})
        } else {
            json!({"type": "range", "options": {"from": map.number("from"), "to": map.number("to"), "result": result}})
        });
    }
    if !mappings.is_empty() {
        defaults.insert("mappings".to_owned(), json!(mappings));
    }
    let calc = match panel.text("valueName").as_str() {
        "avg" | "" => "mean",
        "current" => "lastNotNull",
        "total" => "sum",
        "first" => "firstNotNull",
        "min" => "min",
        "max" => "max",
        "delta" => "delta",
        "diff" => "diff",
        "range" => "range",
        _ => "lastNotNull",
    };
    let color = if panel.flag("colorBackground") {
        "background"
    } else if panel.flag("colorValue") {
        "value"
    } else {
        "none"
    };
    let options = json!({
        "reduceOptions": {"calcs": [calc], "values": false, "fields": if panel.text("valueName") == "name" { "/.*/" } else { "" }},
        "colorMode": color,
        "graphMode": if panel.child("sparkline").flag("show") { "area" } else { "none" },
        "textMode": if panel.text("valueName") == "name" { "name" } else { "auto" },
        "orientation": "auto",
    });
    put(panel, "fieldConfig", json!({"defaults": defaults, "overrides": []}));
    merge_defaults(panel, &defaults);
    put(panel, "options", options);
}
