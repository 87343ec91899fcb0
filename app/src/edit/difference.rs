//! What changed between two dashboards, in words: panels by their id and title, everything else by its key.

use serde_json::Value;
use std::collections::BTreeMap;

/// More lines than this say only that there are more.
pub const LINES_MAX: usize = 60;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where: `Panel "CPU"`, `title`.
    pub place: String,
    /// As JSON, shortened; empty for what is not there.
    pub before: String,
    pub after: String,
}

/// Differences of two dashboards; `version` and `id`, which the server writes, do not count.
pub fn difference(before: &Value, after: &Value) -> Vec<Line> {
    let mut lines = Vec::new();
    let (before_panels, after_panels) = (panels(before), panels(after));
    for (id, old) in &before_panels {
        match after_panels.get(id) {
            None => lines.push(Line { place: name(old), before: "there".to_owned(), after: "removed".to_owned() }),
            Some(new) => compare(&name(new), "", old, new, &mut lines),
        }
    }
    for (_, new) in after_panels.iter().filter(|(id, _)| !before_panels.contains_key(*id)) {
        lines.push(Line { place: name(new), before: String::new(), after: "added".to_owned() });
    }
    let without_panels = |json: &Value| {
        let mut json = json.clone();
        if let Value::Object(map) = &mut json {
            for key in ["panels", "version", "id", "uid"] {
                map.shift_remove(key);
            }
        }
        json
    };
    compare("Dashboard", "", &without_panels(before), &without_panels(after), &mut lines);
    lines
}

/// Every panel by its id, those in folded rows too, without their panels.
fn panels(dashboard: &Value) -> BTreeMap<i64, Value> {
    let mut out = BTreeMap::new();
    let mut queue: Vec<&Value> = dashboard.get("panels").and_then(Value::as_array).into_iter().flatten().collect();
    while let Some(panel) = queue.pop() {
        queue.extend(panel.get("panels").and_then(Value::as_array).into_iter().flatten());
        let mut own = panel.clone();
        if let Value::Object(map) = &mut own {
            map.shift_remove("panels");
        }
        out.insert(panel.get("id").and_then(Value::as_i64).unwrap_or(0), own);
    }
    out
}

fn name(panel: &Value) -> String {
    match panel.get("title").and_then(Value::as_str) {
        Some(title) if !title.is_empty() => format!("Panel \"{title}\""),
        _ => format!("Panel {}", panel.get("id").and_then(Value::as_i64).unwrap_or(0)),
    }
}

fn compare(place: &str, path: &str, before: &Value, after: &Value, out: &mut Vec<Line>) {
    if before == after {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                compare(place, &below(key), value, b.get(key).unwrap_or(&Value::Null), out);
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                compare(place, &below(key), &Value::Null, value, out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                compare(place, &below(&(i + 1).to_string()), a, b, out);
            }
        }
        (before, after) => {
            let place = if path.is_empty() { place.to_owned() } else { format!("{place}: {path}") };
            out.push(Line { place, before: short(before), after: short(after) });
        }
    }
}

fn short(value: &Value) -> String {
    /// Long values say enough with their beginning.
    const LENGTH_MAX: usize = 80;
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() > LENGTH_MAX { text.chars().take(LENGTH_MAX).chain(['…']).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn in_words() {
        let before = json!({"title": "a", "version": 3, "panels": [{"id": 1, "title": "CPU", "targets": [{"expr": "up"}]}, {"id": 2, "title": "Gone"}]});
        let after = json!({"title": "b", "version": 4, "panels": [{"id": 1, "title": "CPU", "targets": [{"expr": "down"}]}, {"id": 3}]});
        let said: Vec<String> = difference(&before, &after)
            .into_iter()
            .map(|line| format!("{} {} → {}", line.place, line.before, line.after))
            .collect();
        assert_eq!(
            said,
            [
                "Panel \"CPU\": targets.1.expr up → down",
                "Panel \"Gone\" there → removed",
                "Panel 3  → added",
                "Dashboard: title a → b"
            ]
        );
        assert!(difference(&before, &before).is_empty());
    }
}
