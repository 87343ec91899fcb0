//! `/explore?schemaVersion=1&panes={…}`, and what Prometheus and older versions of Grafana write.

use super::query;
use crate::model::read::Read as _;
use crate::time_range::TimeRange;
use serde_json::{Value, json};

/// Panes and queries of an address that are read.
const PANES_MAX: usize = 2;
const QUERIES_MAX: usize = 50;

/// One query of a pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExploreQuery {
    pub ref_id: String,
    pub expr: String,
    pub datasource: String,
    pub range: bool,
    pub instant: bool,
    pub hide: bool,
    pub legend_format: String,
    pub interval: String,
    /// `code` or `builder`; empty for the default.
    pub editor_mode: String,
}

/// One pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplorePane {
    pub id: String,
    pub datasource: String,
    pub queries: Vec<ExploreQuery>,
    pub range: TimeRange,
}

/// What Explore's address says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExploreLocation {
    pub panes: Vec<ExplorePane>,
    /// Everything else, in order.
    pub other: Vec<(String, String)>,
}

impl ExploreLocation {
    /// Reads the parameters of `/explore`, `/graph` or `/query`.
    pub fn parse(query_string: &str) -> Self {
        let mut location = ExploreLocation::default();
        let mut prometheus: Vec<(usize, String, String)> = Vec::new();
        for (key, value) in query::parse(query_string) {
            match key.as_str() {
                "panes" => {
                    if let Ok(Value::Object(panes)) = serde_json::from_str(&value) {
                        location.panes.extend(panes.iter().take(PANES_MAX).map(|(id, pane)| read_pane(id, pane)));
                    }
                }
                "left" | "right" => {
                    if let Some(pane) = serde_json::from_str(&value).ok().and_then(|pane| read_old_pane(&key, &pane)) {
                        location.panes.push(pane);
                    }
                }
                "schemaVersion" | "orgId" => {}
                _ => match prometheus_key(&key) {
                    Some((index, name)) => prometheus.push((index, name.to_owned(), value)),
                    None => location.other.push((key, value)),
                },
            }
        }
        location.panes.truncate(PANES_MAX);
        if location.panes.is_empty() && !prometheus.is_empty() {
            location.panes.push(prometheus_pane(&prometheus));
        }
        location
    }

    /// The parameters, canonical, without `?`.
    pub fn query_string(&self) -> String {
        let mut panes = serde_json::Map::new();
        for pane in &self.panes {
            let queries: Vec<Value> = pane.queries.iter().map(query_json).collect();
            panes.insert(
                pane.id.clone(),
                json!({
                    "datasource": pane.datasource,
                    "queries": queries,
                    "range": {"from": pane.range.from, "to": pane.range.to},
                }),
            );
        }
        let mut pairs =
            vec![("schemaVersion".to_owned(), "1".to_owned()), ("panes".to_owned(), Value::Object(panes).to_string())];
        pairs.extend(self.other.iter().cloned());
        query::format(&pairs)
    }
}

fn query_json(query: &ExploreQuery) -> Value {
    let mut json = json!({"refId": query.ref_id, "expr": query.expr, "range": query.range, "instant": query.instant});
    for (key, text) in
        [("legendFormat", &query.legend_format), ("interval", &query.interval), ("editorMode", &query.editor_mode)]
    {
        if !text.is_empty() {
            json[key] = text.as_str().into();
        }
    }
    if query.hide {
        json["hide"] = true.into();
    }
    if !query.datasource.is_empty() {
        json["datasource"] = json!({"type": "prometheus", "uid": query.datasource});
    }
    json
}

fn read_query(json: &Value) -> ExploreQuery {
    let instant = json.flag("instant");
    ExploreQuery {
        ref_id: json.text_or("refId", "A"),
        expr: json.text("expr"),
        datasource: crate::model::DataSourceRef::read(json.child("datasource"))
            .map(|source| source.uid)
            .unwrap_or_default(),
        range: json.flag_or("range", !instant),
        instant,
        hide: json.flag("hide"),
        legend_format: json.text("legendFormat"),
        interval: json.text("interval"),
        editor_mode: json.text("editorMode"),
    }
}

fn read_range(json: &Value) -> TimeRange {
    let range = json.child("range");
    TimeRange { from: range.text_or("from", "now-1h"), to: range.text_or("to", "now") }
}

fn read_pane(id: &str, json: &Value) -> ExplorePane {
    ExplorePane {
        id: id.to_owned(),
        datasource: json.text("datasource"),
        queries: json.list("queries").iter().take(QUERIES_MAX).map(read_query).collect(),
        range: read_range(json),
    }
}

/// Grafana 6 to 9: an object, or `["now-1h","now","source",{"expr":…},…]`.
fn read_old_pane(id: &str, json: &Value) -> Option<ExplorePane> {
    match json {
        Value::Object(_) => Some(read_pane(id, json)),
        Value::Array(items) => {
            let text = |at: usize| items.get(at).and_then(Value::as_str).unwrap_or_default();
            Some(ExplorePane {
                id: id.to_owned(),
                datasource: text(2).to_owned(),
                queries: items
                    .iter()
                    .skip(3)
                    .filter(|item| item.get("expr").is_some())
                    .take(QUERIES_MAX)
                    .map(read_query)
                    .collect(),
                range: TimeRange::new(text(0), text(1)),
            })
        }
        _ => None,
    }
}

/// `g0.expr` → 0, `expr`.
fn prometheus_key(key: &str) -> Option<(usize, &str)> {
    let (index, name) = key.strip_prefix('g')?.split_once('.')?;
    Some((index.parse().ok().filter(|index| *index < QUERIES_MAX)?, name))
}

fn prometheus_pane(pairs: &[(usize, String, String)]) -> ExplorePane {
    let get = |index: usize, name: &str| {
        pairs.iter().find(|(i, n, _)| *i == index && n == name).map(|(.., value)| value.as_str())
    };
    let mut indices: Vec<usize> = pairs.iter().map(|(index, ..)| *index).collect();
    indices.sort_unstable();
    indices.dedup();
    let queries = indices
        .iter()
        .enumerate()
        .map(|(at, index)| {
            let table = matches!(get(*index, "tab"), Some("1" | "table"));
            ExploreQuery {
                ref_id: char::from(b'A' + (at % 26) as u8).to_string(),
                expr: get(*index, "expr").unwrap_or_default().to_owned(),
                range: !table,
                instant: table,
                ..ExploreQuery::default()
            }
        })
        .collect();
    let first = indices.first().copied().unwrap_or(0);
    let length =
        get(first, "range_input").filter(|length| crate::interval::parse_interval_ms(length).is_some()).unwrap_or("1h");
    let range = match get(first, "end_input").or_else(|| get(first, "moment_input")) {
        Some(end) => {
            let calendar = crate::calendar::Calendar::utc();
            let length_ms = crate::interval::parse_interval_ms(length).unwrap_or(3_600_000);
            match crate::time_range::parse_time(end, crate::time_range::Bound::To, 0, &calendar) {
                Ok(end_ms) => TimeRange::new(&(end_ms.saturating_sub(length_ms)).to_string(), &end_ms.to_string()),
                Err(_) => TimeRange::new(&format!("now-{length}"), "now"),
            }
        }
        None => TimeRange::new(&format!("now-{length}"), "now"),
    };
    ExplorePane { id: "a".to_owned(), queries, range, ..ExplorePane::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let pane = ExplorePane {
            id: "a".into(),
            datasource: "local".into(),
            queries: vec![ExploreQuery {
                ref_id: "A".into(),
                expr: "rate(x{a=\"b&c\"}[5m]) + 1".into(),
                range: true,
                ..ExploreQuery::default()
            }],
            range: TimeRange::new("now-1h", "now"),
        };
        let location = ExploreLocation { panes: vec![pane], other: vec![("k".into(), "v".into())] };
        assert_eq!(ExploreLocation::parse(&location.query_string()), location);
    }

    #[test]
    fn other_writers() {
        let said = |text: &str| {
            let panes = ExploreLocation::parse(text).panes;
            panes
                .iter()
                .map(|p| {
                    format!(
                        "{}..{} {:?}",
                        p.range.from,
                        p.range.to,
                        p.queries.iter().map(|q| (&*q.ref_id, &*q.expr, q.instant)).collect::<Vec<_>>()
                    )
                })
                .collect::<Vec<_>>()
                .join(";")
        };
        assert_eq!(
            said("g0.expr=up&g0.tab=1&g0.range_input=2h&g1.expr=x"),
            r#"now-2h..now [("A", "up", true), ("B", "x", false)]"#
        );
        assert_eq!(
            said("g0.expr=up&g0.range_input=1h&g0.end_input=2026-11-22+14:00"),
            r#"1795352400000..1795356000000 [("A", "up", false)]"#
        );
        assert_eq!(said(r#"left=["now-1h","now","p",{"expr":"up"}]"#), r#"now-1h..now [("A", "up", false)]"#);
        assert_eq!(said("panes=broken&left=7"), "");
    }
}
