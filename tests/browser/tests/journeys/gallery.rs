//! A dashboard with a panel of every kind, as a file in a folder of dashboards.

use serde_json::{Value, json};

/// What the text panel tries to run.
pub const ATTACK: &str = "<p>Hello <b>$who</b></p><img src=x onerror=\"window.__attacked=1\"><script>window.__attacked=2</script><a href=\"javascript:window.__attacked=3\">press</a>";

fn panel(id: u32, kind: &str, title: &str, expr: &str, place: (u32, u32, u32, u32), custom: Value) -> Value {
    let (x, y, w, h) = place;
    json!({
        "id": id, "type": kind, "title": title, "gridPos": {"x": x, "y": y, "w": w, "h": h},
        "targets": [{"refId": "A", "expr": expr, "legendFormat": "__auto"}],
        "fieldConfig": {"defaults": {"custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []}, "tooltip": {"mode": "multi"}},
    })
}

const LOAD: &str = "node_memory_MemAvailable_bytes{env=~\"$env\"}";

/// Its JSON; the uid is `gallery`.
pub fn gallery() -> Value {
    let line = |id, title, place, custom| panel(id, "timeseries", title, LOAD, place, custom);
    let mut first = line(1, "Lines", (0, 0, 12, 8), json!({"drawStyle": "line", "lineWidth": 2}));
    first["fieldConfig"]["defaults"]["unit"] = json!("bytes");
    first["fieldConfig"]["defaults"]["links"] = json!([
        {"title": "Board of ${__field.labels.instance}", "url": "/d/gallery/gallery?who=x&i=${__field.labels.instance}&${__all_variables}&${__url_time_range}"},
        {"title": "Own path", "url": "${__url.path}?${__url.params:exclude:var-color}"}
    ]);
    first["links"] = json!([{"title": "Hosts of $site", "url": "/d/host/host?${__url_time_range}"}]);
    let mut thresholds = line(5, "Thresholds", (12, 8, 12, 8), json!({"thresholdsStyle": {"mode": "area"}}));
    thresholds["fieldConfig"]["defaults"]["thresholds"] =
        json!({"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 1000}]});
    let mut gauge = panel(7, "gauge", "Gauge", "vector(40)", (6, 24, 6, 6), json!({}));
    gauge["fieldConfig"]["defaults"]["unit"] = json!("percent");
    let mut stat = panel(6, "stat", "Stat", "vector(1234)", (0, 24, 6, 6), json!({}));
    stat["fieldConfig"]["defaults"]["unit"] = json!("short");
    stat["fieldConfig"]["defaults"]["mappings"] =
        json!([{"type": "value", "options": {"1": {"text": "one", "index": 0}}}]);
    let mut table = panel(9, "table", "Table", "up", (18, 24, 6, 6), json!({}));
    table["targets"][0]["instant"] = json!(true);
    table["targets"][0]["format"] = json!("table");
    let mut text = panel(10, "text", "Text of $color", "", (0, 30, 8, 6), json!({}));
    text["options"] = json!({"mode": "html", "content": ATTACK});
    let mut row = panel(11, "row", "More", "", (0, 50, 24, 1), json!({}));
    row["collapsed"] = json!(true);
    row["panels"] = json!([panel(12, "stat", "Inside", "vector(77)", (0, 51, 6, 6), json!({}))]);
    let query = |name: &str, of: &str| json!({"type": "query", "name": name, "query": {"query": of, "refId": name}, "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*", "current": {"text": "All", "value": "$__all"}});
    json!({
        "uid": "gallery", "title": "Gallery", "schemaVersion": 41, "tags": ["vigie"], "graphTooltip": 1, "editable": true,
        "time": {"from": "now-5m", "to": "now"},
        "templating": {"list": [
            query("env", "label_values(up, env)"),
            query("inst", "label_values(up{env=~\"$env\"}, instance)"),
            {"type": "custom", "name": "color", "query": "red,green,blue", "current": {"text": "red", "value": "red"}},
            {"type": "textbox", "name": "who", "query": "nobody", "current": {"text": "nobody", "value": "nobody"}},
            {"type": "constant", "name": "site", "query": "paris", "hide": 2},
            {"type": "interval", "name": "every", "query": "1m,5m,1h", "current": {"text": "5m", "value": "5m"}},
            {"type": "datasource", "name": "ds", "query": "prometheus", "current": {}},
            {"type": "adhoc", "name": "only", "filters": []}
        ]},
        "links": [
            {"type": "dashboards", "title": "Dashboards", "tags": ["vigie"], "asDropdown": true, "includeVars": true, "keepTime": true},
            {"type": "link", "title": "Targets", "url": "/targets", "tooltip": "All targets", "keepTime": true}
        ],
        "panels": [
            first,
            line(2, "Bars", (12, 0, 12, 8), json!({"drawStyle": "bars", "fillOpacity": 80})),
            line(3, "Points", (0, 8, 12, 8), json!({"drawStyle": "points", "pointSize": 6})),
            line(4, "Stacked", (0, 16, 24, 8), json!({"stacking": {"mode": "normal"}, "fillOpacity": 40})),
            thresholds,
            stat, gauge,
            panel(8, "bargauge", "Bars of up", "count by (job) (up)", (12, 24, 6, 6), json!({})),
            table, text,
            panel(13, "candlestick-of-tomorrow", "Unknown", "up", (8, 30, 8, 6), json!({})),
            panel(14, "timeseries", "Broken", "sum by (job) (rate(up[5m]) / )", (16, 30, 8, 6), json!({})),
            panel(15, "timeseries", "Nothing", "no_such_metric_at_all", (0, 37, 12, 6), json!({})),
            panel(16, "timeseries", "Below", "vector(4711)", (12, 37, 12, 6), json!({})),
            panel(17, "heatmap", "Heatmap", "sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[1m]))", (0, 43, 12, 6), json!({})),
            row,
        ],
    })
}
