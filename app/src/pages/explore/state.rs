//! What Explore shows, as the address says it: Grafana's `panes` JSON of schema 1, its older `left` and `right`, and the
//! `g0.expr` parameters of Prometheus' own page. Unknown fields of a pane survive a round trip.

use model::duration::parse_duration_ms;
use serde_json::{Map, Value, json};

/// Grafana shows two panes at most.
const PANES_MAX: usize = 2;
/// More queries than letters would need two-letter names, and nobody reads that many lines.
const QUERIES_MAX: usize = 26;
/// Prometheus' page opens with an hour.
const RANGE_DEFAULT: &str = "1h";

/// How a pane shows its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    #[default]
    Graph,
    Table,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `A`, `B`, …
    pub ref_id: String,
    pub expr: String,
    /// Switched off: it is kept and not run.
    pub hide: bool,
    /// Everything else the address said about it.
    rest: Map<String, Value>,
}

impl Query {
    pub fn new(ref_id: impl Into<String>, expr: impl Into<String>) -> Self {
        Query { ref_id: ref_id.into(), expr: expr.into(), hide: false, rest: Map::new() }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pane {
    pub id: String,
    pub queries: Vec<Query>,
    /// As typed: `now-1h`, a date, epoch milliseconds.
    pub from: String,
    pub to: String,
    pub tab: Tab,
    rest: Map<String, Value>,
}

impl Pane {
    pub fn new(id: impl Into<String>) -> Self {
        Pane {
            id: id.into(),
            queries: vec![Query::new("A", "")],
            from: format!("now-{RANGE_DEFAULT}"),
            to: "now".to_owned(),
            tab: Tab::Graph,
            rest: Map::new(),
        }
    }

    /// The first name of `A`…`Z` that no query has.
    pub fn free_ref_id(&self) -> Option<String> {
        ('A'..='Z').map(String::from).find(|name| self.queries.iter().all(|query| query.ref_id != *name))
    }
}

/// Reads the panes from the query parameters of the address; never empty.
pub fn read_panes(params: &[(String, String)]) -> Vec<Pane> {
    let get = |key: &str| params.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let mut panes: Vec<Pane> = Vec::new();
    if let Some(Value::Object(found)) = get("panes").and_then(|text| serde_json::from_str(text).ok()) {
        panes.extend(found.into_iter().take(PANES_MAX).map(|(id, pane)| read_pane(&id, pane)));
    }
    if panes.is_empty() {
        let sides = ["left", "right"].into_iter().filter_map(|side| Some((side, get(side)?)));
        panes.extend(sides.filter_map(|(side, text)| read_old_pane(side, text)));
    }
    if panes.is_empty() {
        panes.extend(read_prometheus(params));
    }
    if panes.is_empty() {
        let mut pane = Pane::new("a");
        // The short form of other pages of ours: `/explore?expr=up&from=now-6h`.
        if let (Some(expr), Some(query)) = (get("expr"), pane.queries.first_mut()) {
            query.expr = expr.to_owned();
        }
        pane.from = get("from").unwrap_or(&pane.from).to_owned();
        pane.to = get("to").unwrap_or(&pane.to).to_owned();
        panes.push(pane);
    }
    for pane in &mut panes {
        if get(&format!("v.tab.{}", pane.id)) == Some("table") {
            pane.tab = Tab::Table;
        }
    }
    panes
}

/// The parameters that say `panes`, in Grafana's form plus `v.tab.<pane>=table`.
pub fn write_panes(panes: &[Pane]) -> Vec<(String, String)> {
    let json: Map<String, Value> = panes.iter().map(|pane| (pane.id.clone(), write_pane(pane))).collect();
    let mut params =
        vec![("schemaVersion".to_owned(), "1".to_owned()), ("panes".to_owned(), Value::Object(json).to_string())];
    let tables = panes.iter().filter(|pane| pane.tab == Tab::Table);
    params.extend(tables.map(|pane| (format!("v.tab.{}", pane.id), "table".to_owned())));
    params
}

fn text(value: Option<Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn read_pane(id: &str, value: Value) -> Pane {
    let mut pane = Pane::new(id);
    let Value::Object(mut rest) = value else { return pane };
    if let Some(Value::Array(queries)) = rest.remove("queries") {
        let queries: Vec<Query> = queries.into_iter().take(QUERIES_MAX).filter_map(read_query).collect();
        if !queries.is_empty() {
            pane.queries = queries;
        }
    }
    if let Some(Value::Object(mut range)) = rest.remove("range") {
        pane.from = text(range.remove("from")).unwrap_or(pane.from);
        pane.to = text(range.remove("to")).unwrap_or(pane.to);
    }
    name_queries(&mut pane);
    pane.rest = rest;
    pane
}

fn read_query(value: Value) -> Option<Query> {
    let Value::Object(mut rest) = value else { return None };
    let mut query = Query::new(text(rest.remove("refId")).unwrap_or_default(), "");
    query.expr = text(rest.remove("expr")).unwrap_or_default();
    query.hide = rest.remove("hide") == Some(Value::Bool(true));
    query.rest = rest;
    Some(query)
}

/// Gives a name to the queries that came without one.
fn name_queries(pane: &mut Pane) {
    for at in 0..pane.queries.len() {
        let free = pane.free_ref_id();
        if let (Some(query), Some(free)) = (pane.queries.get_mut(at), free)
            && query.ref_id.is_empty()
        {
            query.ref_id = free;
        }
    }
}

fn write_pane(pane: &Pane) -> Value {
    let queries = pane.queries.iter().map(|query| {
        let mut json = Map::from_iter([
            ("refId".to_owned(), json!(query.ref_id)),
            ("expr".to_owned(), json!(query.expr)),
        ]);
        if query.hide {
            json.insert("hide".to_owned(), json!(true));
        }
        json.extend(query.rest.clone());
        for (key, default) in [("range", true), ("instant", true)] {
            json.entry(key).or_insert(json!(default));
        }
        json.entry("editorMode").or_insert(json!("code"));
        Value::Object(json)
    });
    let mut json = Map::from_iter([("datasource".to_owned(), json!("prometheus"))]);
    json.extend(pane.rest.clone());
    json.insert("queries".to_owned(), queries.collect());
    json.insert("range".to_owned(), json!({"from": pane.from, "to": pane.to}));
    Value::Object(json)
}

/// `left` and `right` of Grafana 6 to 9: an object, or `["now-1h","now","source",{"expr":"up"}]`.
fn read_old_pane(id: &str, text_of_pane: &str) -> Option<Pane> {
    match serde_json::from_str(text_of_pane).ok()? {
        Value::Object(pane) => Some(read_pane(id, Value::Object(pane))),
        Value::Array(parts) => {
            let mut pane = Pane::new(id);
            let mut parts = parts.into_iter();
            pane.from = text(parts.next())?;
            pane.to = text(parts.next())?;
            let queries: Vec<Query> =
                parts.filter(|part| part.get("expr").is_some()).take(QUERIES_MAX).filter_map(read_query).collect();
            if !queries.is_empty() {
                pane.queries = queries;
            }
            name_queries(&mut pane);
            Some(pane)
        }
        _ => None,
    }
}

/// `g0.expr=…&g0.tab=…&g0.range_input=…&g0.end_input=…&g1.expr=…`: one pane whose range is that of the first panel.
fn read_prometheus(params: &[(String, String)]) -> Option<Pane> {
    let get = |at: usize, key: &str| {
        let key = format!("g{at}.{key}");
        params.iter().find(|(name, _)| *name == key).map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let mut pane = Pane::new("a");
    pane.queries = (0..QUERIES_MAX).filter_map(|at| Some(Query::new("", get(at, "expr")?))).collect();
    if pane.queries.is_empty() {
        return None;
    }
    name_queries(&mut pane);
    if matches!(get(0, "tab"), Some("1" | "table")) {
        pane.tab = Tab::Table;
    }
    let range = get(0, "range_input").filter(|range| parse_duration_ms(range).is_ok()).unwrap_or(RANGE_DEFAULT);
    let end_ms = get(0, "end_input").or(get(0, "moment_input")).and_then(read_moment);
    match (end_ms, parse_duration_ms(range)) {
        (Some(end_ms), Ok(range_ms)) => {
            pane.from = (end_ms - range_ms).to_string();
            pane.to = end_ms.to_string();
        }
        _ => pane.from = format!("now-{range}"),
    }
    Some(pane)
}

/// Prometheus writes moments as `2026-11-22 14:00:00` in UTC.
fn read_moment(text: &str) -> Option<i64> {
    let mut text = text.replacen(' ', "T", 1);
    if text.matches(':').count() == 1 {
        text.push_str(":00");
    }
    crate::pages::parts::time_text::parse_rfc3339_ms(&text)
        .or_else(|| crate::pages::parts::time_text::parse_rfc3339_ms(&format!("{text}Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Vec<(String, String)> {
        text.split('&').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    const CASES: &str = r#"
x=                                                        => a Graph now-1h..now A:
expr=up&from=now-6h                                       => a Graph now-6h..now A:up
g0.expr=up&g0.tab=1                                       => a Table now-1h..now A:up
g0.expr=up&g0.tab=0&g0.range_input=2d&g1.expr=rate(a[5m]) => a Graph now-2d..now A:up B:rate(a[5m])
g0.expr=up&g0.tab=graph&g0.range_input=1h&g0.end_input=2026-11-22 14:00:00 => a Graph 1795352400000..1795356000000 A:up
g0.expr=up&g0.end_input=2026-11-22 14:00                  => a Graph 1795352400000..1795356000000 A:up
panes={"p1":{"queries":[{"refId":"C","expr":"up"},{"expr":"down","hide":true}],"range":{"from":"now-3h","to":"now"}}} => p1 Graph now-3h..now C:up A:down-
panes={"p1":{"queries":[],"range":{"from":1,"to":2}}}&v.tab.p1=table => p1 Table 1..2 A:
left=["now-2h","now","Prometheus",{"expr":"up"},{"ui":[true]}] => left Graph now-2h..now A:up
left={"queries":[{"refId":"A","expr":"up"}],"range":{"from":"now-1d","to":"now"}} => left Graph now-1d..now A:up
panes=[                                                   => a Graph now-1h..now A:
"#;

    #[test]
    fn addresses() {
        for case in CASES.trim().lines() {
            let (text, expected) = case.split_once("=> ").unwrap();
            let panes = read_panes(&params(text.trim_end()));
            let say = |pane: &Pane| {
                let queries = pane.queries.iter().map(|q| format!(" {}:{}{}", q.ref_id, q.expr, if q.hide { "-" } else { "" }));
                format!("{} {:?} {}..{}{}", pane.id, pane.tab, pane.from, pane.to, queries.collect::<String>())
            };
            let said = panes.iter().map(say).collect::<Vec<_>>().join(" | ");
            assert_eq!(said, expected, "in case `{case}`");
            let again = read_panes(&write_panes(&panes));
            assert_eq!(again.iter().map(say).collect::<Vec<_>>().join(" | "), expected, "written and read: `{case}`");
        }
    }

    #[test]
    fn what_nobody_knows_survives() {
        let text = r#"{"a":{"datasource":"xyz","panelsState":{"logs":1},"queries":[{"refId":"A","expr":"up","legendFormat":"{{job}}","instant":false}],"range":{"from":"now-1h","to":"now"}}}"#;
        let written = write_panes(&read_panes(&[("panes".to_owned(), text.to_owned())]));
        let panes: Value = serde_json::from_str(&written.iter().find(|(key, _)| key == "panes").unwrap().1).unwrap();
        assert_eq!(panes.pointer("/a/panelsState/logs"), Some(&json!(1)));
        assert_eq!(panes.pointer("/a/datasource"), Some(&json!("xyz")));
        assert_eq!(panes.pointer("/a/queries/0/legendFormat"), Some(&json!("{{job}}")));
        assert_eq!(panes.pointer("/a/queries/0/instant"), Some(&json!(false)));
    }
}
