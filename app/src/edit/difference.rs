//! What differs between two states of a dashboard: in words, as lines of JSON, and both sides' changes merged.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Cells of the table that compares lines; beyond it the changed stretch is shown as a whole.
const TABLE_MAX: usize = 4_000_000;
/// Unchanged lines shown around a change.
const AROUND: usize = 3;

/// The changes in words, one sentence each.
pub fn in_words(before: &Value, after: &Value) -> Vec<String> {
    let mut out = Vec::new();
    panels_in_words(before, after, &mut out);
    variables_in_words(before, after, &mut out);
    let empty = Map::new();
    let (a, b) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for key in keys {
        if matches!(key.as_str(), "panels" | "templating" | "version" | "id") || a.get(key) == b.get(key) {
            continue;
        }
        let name = match key.as_str() {
            "time" => "default time range",
            "graphTooltip" => "shared cursor",
            "schemaVersion" => "model version",
            "timepicker" => "time picker",
            key => key,
        };
        out.push(match (a.get(key).and_then(short), b.get(key).and_then(short)) {
            (Some(was), Some(is)) => format!("Dashboard {name}: {was} → {is}"),
            (None, Some(is)) if !a.contains_key(key) => format!("Dashboard {name}: {is}"),
            _ => format!("Dashboard {name} changed"),
        });
    }
    out
}

/// A value short enough to stand in a sentence.
fn short(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) if !text.is_empty() => format!("“{text}”"),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        Value::Object(map) if map.contains_key("from") => format!("{} to {}", text(value, "from"), text(value, "to")),
        _ => return None,
    };
    (text.chars().count() <= 60).then_some(text)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Every panel and row with its id, those inside of rows included.
fn panels(dashboard: &Value) -> Vec<(i64, &Value)> {
    let list = |value: &Value| value.get("panels").and_then(Value::as_array).map_or(0, Vec::len);
    let mut out = Vec::new();
    for panel in dashboard.get("panels").and_then(Value::as_array).into_iter().flatten() {
        out.push((panel.get("id").and_then(Value::as_i64).unwrap_or(0), panel));
        if list(panel) > 0 {
            for inner in panel.get("panels").and_then(Value::as_array).into_iter().flatten() {
                out.push((inner.get("id").and_then(Value::as_i64).unwrap_or(0), inner));
            }
        }
    }
    out
}

fn name(panel: &Value) -> String {
    let what = if text(panel, "type") == "row" { "Row" } else { "Panel" };
    match text(panel, "title") {
        "" => format!("{what} without title"),
        title => format!("{what} “{title}”"),
    }
}

fn panels_in_words(before: &Value, after: &Value, out: &mut Vec<String>) {
    let (a, b) = (panels(before), panels(after));
    for (id, panel) in &b {
        if !a.iter().any(|(other, _)| other == id) {
            out.push(format!("{} added", name(panel)));
        }
    }
    for (id, panel) in &a {
        if !b.iter().any(|(other, _)| other == id) {
            out.push(format!("{} removed", name(panel)));
        }
    }
    for (id, panel) in &b {
        let Some((_, was)) = a.iter().find(|(other, _)| other == id) else { continue };
        let mut said = Vec::new();
        let (Some(old), Some(new)) = (was.as_object(), panel.as_object()) else { continue };
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let (x, y) = (old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null));
            if x == y || key == "panels" {
                continue;
            }
            match key.as_str() {
                "title" => said.push(format!("renamed from “{}”", text(was, "title"))),
                "gridPos" => {
                    let same = |keys: [&str; 2]| keys.iter().all(|key| x.get(key) == y.get(key));
                    match (same(["x", "y"]), same(["w", "h"])) {
                        (true, _) => said.push("resized".to_owned()),
                        (false, true) => said.push("moved".to_owned()),
                        (false, false) => said.push("moved and resized".to_owned()),
                    }
                }
                "type" => said.push(format!("type {} → {}", text(was, "type"), text(panel, "type"))),
                "targets" => said.push(queries_in_words(x, y)),
                "fieldConfig" => said.push(leaves_in_words(x, y)),
                "options" => said.push(leaves_in_words(x, y)),
                key => said.push(match (short(x), short(y)) {
                    (Some(was), Some(is)) => format!("{key} {was} → {is}"),
                    _ => format!("{key} changed"),
                }),
            }
        }
        if !said.is_empty() {
            out.push(format!("{}: {}", name(panel), said.join("; ")));
        }
    }
}

fn queries_in_words(before: &Value, after: &Value) -> String {
    let none = Vec::new();
    let (a, b) = (before.as_array().unwrap_or(&none), after.as_array().unwrap_or(&none));
    if b.len() != a.len() {
        let (count, word) = (b.len().abs_diff(a.len()), if b.len() > a.len() { "added" } else { "removed" });
        return format!("{count} {} {word}", if count == 1 { "query" } else { "queries" });
    }
    let changed: Vec<&str> = a.iter().zip(b).filter(|(a, b)| a != b).map(|(_, b)| text(b, "refId")).collect();
    format!("query {} changed", changed.join(", "))
}

/// The options that differ, by their last name: `unit “s” → “ms”`.
fn leaves_in_words(before: &Value, after: &Value) -> String {
    fn walk(before: &Value, after: &Value, key: &str, out: &mut Vec<String>) {
        match (before, after) {
            (Value::Object(a), Value::Object(b)) => {
                let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                for key in keys {
                    walk(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), key, out);
                }
            }
            (a, b) if a != b => out.push(match (short(a), short(b)) {
                (Some(was), Some(is)) => format!("{key} {was} → {is}"),
                (None, Some(is)) if a.is_null() => format!("{key} {is}"),
                (Some(_), None) if b.is_null() => format!("{key} reset"),
                _ => format!("{key} changed"),
            }),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(before, after, "options", &mut out);
    out.join("; ")
}

fn variables(dashboard: &Value) -> Vec<(&str, &Value)> {
    let list = dashboard.get("templating").and_then(|templating| templating.get("list")).and_then(Value::as_array);
    list.into_iter().flatten().map(|variable| (text(variable, "name"), variable)).collect()
}

fn variables_in_words(before: &Value, after: &Value, out: &mut Vec<String>) {
    let (a, b) = (variables(before), variables(after));
    for (name, variable) in &b {
        match a.iter().find(|(other, _)| other == name) {
            None => out.push(format!("Variable ${name} added")),
            Some((_, was)) if was != variable => out.push(format!("Variable ${name} changed")),
            Some(_) => {}
        }
    }
    out.extend(
        a.iter()
            .filter(|(name, _)| !b.iter().any(|(other, _)| other == name))
            .map(|(name, _)| format!("Variable ${name} removed")),
    );
    let names = |list: &[(&str, &Value)]| list.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let (mut old, mut new) = (names(&a), names(&b));
    if old != new {
        old.sort();
        new.sort();
        if old == new {
            out.push("Order of the variables changed".to_owned());
        }
    }
}

/// One line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Same(String),
    Gone(String),
    New(String),
    /// So many lines that are the same.
    Skipped(usize),
}

/// Both as indented JSON, line by line, with a few unchanged lines around each change.
pub fn in_lines(before: &Value, after: &Value) -> Vec<Line> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (a, b) = (pretty(before), pretty(after));
    let (a, b): (Vec<&str>, Vec<&str>) = (a.lines().collect(), b.lines().collect());
    let start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let end = a[start..].iter().rev().zip(b[start..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut lines: Vec<Line> = a[..start].iter().map(|line| Line::Same((*line).to_owned())).collect();
    compare(&a[start..a.len() - end], &b[start..b.len() - end], &mut lines);
    lines.extend(a[a.len() - end..].iter().map(|line| Line::Same((*line).to_owned())));
    fold(lines)
}

/// Longest common subsequence, by the table.
fn compare(a: &[&str], b: &[&str], out: &mut Vec<Line>) {
    let gone = |line: &&str| Line::Gone((*line).to_owned());
    let new = |line: &&str| Line::New((*line).to_owned());
    if a.len().saturating_mul(b.len()) > TABLE_MAX {
        out.extend(a.iter().map(gone).chain(b.iter().map(new)));
        return;
    }
    let width = b.len() + 1;
    let mut table = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            table[i * width + j] = if a[i] == b[j] {
                table[(i + 1) * width + j + 1] + 1
            } else {
                table[(i + 1) * width + j].max(table[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            out.push(Line::Same(a[i].to_owned()));
            (i, j) = (i + 1, j + 1);
        } else if table[(i + 1) * width + j] >= table[i * width + j + 1] {
            out.push(gone(&a[i]));
            i += 1;
        } else {
            out.push(new(&b[j]));
            j += 1;
        }
    }
    out.extend(a[i..].iter().map(gone).chain(b[j..].iter().map(new)));
}

fn fold(lines: Vec<Line>) -> Vec<Line> {
    let changed: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| !matches!(line, Line::Same(_))).map(|(at, _)| at).collect();
    let mut out = Vec::new();
    let (mut skipped, mut next) = (0, 0);
    for (at, line) in lines.into_iter().enumerate() {
        while changed.get(next).is_some_and(|change| change + AROUND < at) {
            next += 1;
        }
        if changed.get(next).is_some_and(|change| change.saturating_sub(AROUND) <= at) {
            if skipped > 0 {
                out.push(Line::Skipped(std::mem::take(&mut skipped)));
            }
            out.push(line);
        } else {
            skipped += 1;
        }
    }
    if skipped > 0 && !out.is_empty() {
        out.push(Line::Skipped(skipped));
    }
    out
}

/// Both sides' changes since `base` in one. Where both changed the same value, mine stands; the second part counts those.
pub fn merge(base: &Value, mine: &Value, theirs: &Value) -> (Value, usize) {
    let mut collisions = 0;
    (merge_value(base, mine, theirs, &mut collisions), collisions)
}

fn merge_value(base: &Value, mine: &Value, theirs: &Value, collisions: &mut usize) -> Value {
    if mine == base || mine == theirs {
        return theirs.clone();
    }
    if theirs == base {
        return mine.clone();
    }
    match (base, mine, theirs) {
        (Value::Object(b), Value::Object(m), Value::Object(t)) => {
            let mut out = Map::new();
            for key in t.keys().chain(m.keys().filter(|key| !t.contains_key(*key))) {
                let merged = merge_entry(b.get(key), m.get(key), t.get(key), collisions);
                if let Some(value) = merged {
                    out.insert(key.clone(), value);
                }
            }
            Value::Object(out)
        }
        (Value::Array(b), Value::Array(m), Value::Array(t)) => {
            // Lists whose items have names: panels, queries, variables.
            let all: Vec<Option<String>> = b.iter().chain(m).chain(t).map(item_name).collect();
            if all.iter().any(Option::is_none) {
                *collisions += 1;
                return mine.clone();
            }
            let find =
                |list: &[Value], name: &Option<String>| list.iter().find(|item| item_name(item) == *name).cloned();
            let mut out = Vec::new();
            let added = m.iter().filter(|item| find(t, &item_name(item)).is_none());
            for item in t.iter().chain(added) {
                let name = item_name(item);
                let (b, m, t) = (find(b, &name), find(m, &name), find(t, &name));
                if let Some(value) = merge_entry(b.as_ref(), m.as_ref(), t.as_ref(), collisions) {
                    out.push(value);
                }
            }
            Value::Array(out)
        }
        _ => {
            *collisions += 1;
            mine.clone()
        }
    }
}

fn merge_entry(
    base: Option<&Value>,
    mine: Option<&Value>,
    theirs: Option<&Value>,
    collisions: &mut usize,
) -> Option<Value> {
    match (base, mine, theirs) {
        (Some(b), Some(m), Some(t)) => Some(merge_value(b, m, t, collisions)),
        (None, Some(m), Some(t)) => Some(merge_value(&Value::Null, m, t, collisions)),
        (None, Some(one), None) | (None, None, Some(one)) => Some(one.clone()),
        // Taken away by one side: gone, unless the other side changed it.
        (Some(b), Some(one), None) | (Some(b), None, Some(one)) => (b != one).then(|| {
            *collisions += 1;
            one.clone()
        }),
        (_, None, None) => None,
    }
}

fn item_name(item: &Value) -> Option<String> {
    ["id", "refId", "name"].iter().find_map(|key| match item.get(key) {
        Some(Value::String(name)) => Some(format!("{key} {name}")),
        Some(Value::Number(id)) => Some(format!("{key} {id}")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn board() -> Value {
        json!({"title": "Board", "version": 3, "tags": ["a"], "time": {"from": "now-6h", "to": "now"},
            "templating": {"list": [{"name": "env", "query": "x"}]},
            "panels": [
                {"id": 1, "type": "stat", "title": "CPU", "gridPos": {"x": 0, "y": 0, "w": 6, "h": 4},
                 "fieldConfig": {"defaults": {"unit": "s"}}, "targets": [{"refId": "A", "expr": "up"}]},
                {"id": 2, "type": "row", "title": "Row", "panels": [{"id": 3, "type": "table", "title": "In"}]}]})
    }

    #[test]
    fn words() {
        let mut after = board();
        after["title"] = json!("Wall");
        after["version"] = json!(4);
        after["time"] = json!({"from": "now-1h", "to": "now"});
        after["panels"][0]["fieldConfig"]["defaults"]["unit"] = json!("ms");
        after["panels"][0]["gridPos"]["w"] = json!(8);
        after["panels"][0]["targets"][0]["expr"] = json!("down");
        after["panels"][1]["panels"] = json!([]);
        after["templating"]["list"] = json!([{"name": "job"}]);
        assert_eq!(
            in_words(&board(), &after),
            [
                "Panel “In” removed",
                "Panel “CPU”: unit “s” → “ms”; resized; query A changed",
                "Variable $job added",
                "Variable $env removed",
                "Dashboard default time range: now-6h to now → now-1h to now",
                "Dashboard title: “Board” → “Wall”",
            ]
        );
        assert!(in_words(&board(), &board()).is_empty());
    }

    #[test]
    fn lines() {
        let (a, b) = (json!({"a": [1, 2, 3, 4, 5, 6, 7, 8], "b": 1}), json!({"a": [1, 2, 3, 4, 5, 6, 7, 8], "b": 2}));
        let lines = in_lines(&a, &b);
        assert_eq!(lines.first(), Some(&Line::Skipped(8)));
        assert!(lines.contains(&Line::Gone("  \"b\": 1".into())) && lines.contains(&Line::New("  \"b\": 2".into())));
        assert!(in_lines(&a, &a).is_empty());
    }

    #[test]
    fn merging() {
        let (mut mine, mut theirs) = (board(), board());
        mine["title"] = json!("Mine");
        mine["panels"][0]["title"] = json!("Load");
        theirs["panels"][0]["type"] = json!("gauge");
        theirs["panels"].as_array_mut().unwrap().push(json!({"id": 9, "title": "Theirs"}));
        mine["panels"].as_array_mut().unwrap().push(json!({"id": 8, "title": "Mine"}));
        let (merged, collisions) = merge(&board(), &mine, &theirs);
        assert_eq!(collisions, 0);
        assert_eq!(
            (&merged["title"], &merged["panels"][0]["title"], &merged["panels"][0]["type"]),
            (&json!("Mine"), &json!("Load"), &json!("gauge"))
        );
        let ids: Vec<i64> = merged["panels"].as_array().unwrap().iter().map(|p| p["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, [1, 2, 9, 8]);
        theirs["title"] = json!("Theirs");
        assert_eq!(merge(&board(), &mine, &theirs).1, 1);
        // Removed by one side and untouched by the other: removed.
        theirs["panels"].as_array_mut().unwrap().remove(1);
        assert!(!merge(&board(), &mine, &theirs).0.to_string().contains("\"Row\""));
    }
}
