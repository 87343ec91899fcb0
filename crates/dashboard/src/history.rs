//! Undo and redo of edits, as differences of the JSON: a dashboard of a megabyte may be edited for hours.

use crate::model::Dashboard;
use serde_json::Value;

/// Steps that can be undone.
const STEPS_MAX: usize = 200;

/// One difference.
#[derive(Clone, Debug, PartialEq)]
enum Change {
    /// A key of an object: its place, and the value before and after.
    Key { path: Vec<String>, key: String, index: usize, before: Option<Value>, after: Option<Value> },
    /// A run within a list.
    Run { path: Vec<String>, at: usize, before: Vec<Value>, after: Vec<Value> },
    /// The value itself.
    Whole { path: Vec<String>, before: Value, after: Value },
}

#[derive(Clone, Debug)]
struct Step {
    label: String,
    changes: Vec<Change>,
}

/// The edits of one session.
#[derive(Clone, Debug, Default)]
pub struct History {
    done: Vec<Step>,
    undone: Vec<Step>,
    /// Position of the saved state in `done`; `None` if it cannot be reached any more.
    saved_at: Option<usize>,
}

impl History {
    pub fn new() -> Self {
        History { saved_at: Some(0), ..History::default() }
    }

    /// Edits the dashboard. A change that changes nothing leaves no step. Successive edits with the same label merge
    /// if `merge` says so (typing into one field).
    pub fn edit(
        &mut self,
        dashboard: &mut Dashboard,
        label: &str,
        merge: bool,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let mut json = dashboard.json().clone();
        change(&mut json);
        let mut changes = Vec::new();
        diff(dashboard.json(), &json, &mut Vec::new(), &mut changes);
        if changes.is_empty() {
            return false;
        }
        *dashboard = Dashboard::read(json);
        self.undone.clear();
        if self.saved_at.is_some_and(|saved| saved > self.done.len()) {
            self.saved_at = None;
        }
        let just_saved = self.saved_at == Some(self.done.len());
        match self.done.last_mut() {
            Some(last) if merge && !just_saved && last.label == label => {
                last.changes.extend(changes);
            }
            _ => self.done.push(Step { label: label.to_owned(), changes }),
        }
        if self.done.len() > STEPS_MAX {
            self.done.remove(0);
            self.saved_at = self.saved_at.and_then(|saved| saved.checked_sub(1));
        }
        true
    }

    /// Takes the last edit back; answers its label.
    pub fn undo(&mut self, dashboard: &mut Dashboard) -> Option<String> {
        let step = self.done.pop()?;
        dashboard.edit(|json| step.changes.iter().rev().for_each(|change| apply(json, change, true)));
        let label = step.label.clone();
        self.undone.push(step);
        Some(label)
    }

    /// Does the last edit that was taken back again; answers its label.
    pub fn redo(&mut self, dashboard: &mut Dashboard) -> Option<String> {
        let step = self.undone.pop()?;
        dashboard.edit(|json| step.changes.iter().for_each(|change| apply(json, change, false)));
        let label = step.label.clone();
        self.done.push(step);
        Some(label)
    }

    pub fn can_undo(&self) -> bool {
        !self.done.is_empty()
    }

    pub fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }

    /// What undo would take back.
    pub fn undo_label(&self) -> Option<&str> {
        self.done.last().map(|step| step.label.as_str())
    }

    /// Whether there is something to save.
    pub fn is_dirty(&self) -> bool {
        self.saved_at != Some(self.done.len())
    }

    /// The state now is the stored one.
    pub fn mark_saved(&mut self) {
        self.saved_at = Some(self.done.len());
    }
}

fn diff(before: &Value, after: &Value, path: &mut Vec<String>, out: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            for (index, (key, value)) in a.iter().enumerate() {
                match b.get(key) {
                    Some(other) => {
                        path.push(key.clone());
                        diff(value, other, path, out);
                        path.pop();
                    }
                    None => out.push(Change::Key {
                        path: path.clone(),
                        key: key.clone(),
                        index,
                        before: Some(value.clone()),
                        after: None,
                    }),
                }
            }
            for (index, (key, value)) in b.iter().enumerate().filter(|(_, (key, _))| !a.contains_key(*key)) {
                out.push(Change::Key {
                    path: path.clone(),
                    key: key.clone(),
                    index,
                    before: None,
                    after: Some(value.clone()),
                });
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() == b.len() && a.iter().zip(b).filter(|(a, b)| a != b).count() <= a.len() / 2 + 1 {
                for (index, (a, b)) in a.iter().zip(b).enumerate() {
                    path.push(index.to_string());
                    diff(a, b, path, out);
                    path.pop();
                }
                return;
            }
            let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
            let end = a[start..].iter().rev().zip(b[start..].iter().rev()).take_while(|(a, b)| a == b).count();
            out.push(Change::Run {
                path: path.clone(),
                at: start,
                before: a[start..a.len() - end].to_vec(),
                after: b[start..b.len() - end].to_vec(),
            });
        }
        (a, b) if a != b => out.push(Change::Whole { path: path.clone(), before: a.clone(), after: b.clone() }),
        _ => {}
    }
}

fn at_path<'v>(json: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(json, |at, key| match at {
        Value::Object(map) => map.get_mut(key),
        Value::Array(list) => list.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}

fn apply(json: &mut Value, change: &Change, backwards: bool) {
    match change {
        Change::Key { path, key, index, before, after } => {
            let Some(Value::Object(map)) = at_path(json, path) else { return };
            match if backwards { before } else { after } {
                Some(value) => {
                    // Back to its place among the keys.
                    map.shift_insert((*index).min(map.len()), key.clone(), value.clone());
                }
                None => {
                    map.shift_remove(key);
                }
            }
        }
        Change::Run { path, at, before, after } => {
            let Some(Value::Array(list)) = at_path(json, path) else { return };
            let (from, to) = if backwards { (after, before) } else { (before, after) };
            let end = (at + from.len()).min(list.len());
            list.splice((*at).min(end)..end, to.iter().cloned());
        }
        Change::Whole { path, before, after } => {
            if let Some(value) = at_path(json, path) {
                *value = if backwards { before.clone() } else { after.clone() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;
    use serde_json::json;

    #[test]
    fn a_hundred_and_fifty_steps_back_and_forth() {
        let mut dashboard = Dashboard::new("u", "Board");
        let mut history = History::new();
        let mut states = vec![dashboard.json().to_string()];
        for i in 0..150_i64 {
            history.edit(&mut dashboard, &format!("edit {i}"), false, |json| match i % 5 {
                0 | 1 => {
                    layout::add_panel(
                        json,
                        json!({"type": "stat", "title": format!("p{i}"), "gridPos": {"w": 6, "h": 4}}),
                    );
                }
                2 => json["title"] = json!(format!("Board {i}")),
                3 => {
                    let id = json["panels"][0]["id"].as_i64().unwrap_or(0);
                    layout::remove_panel(json, id);
                }
                _ => {
                    json.as_object_mut().map(|map| map.shift_remove("tags"));
                    json[format!("key{i}")] = json!([i]);
                }
            });
            states.push(dashboard.json().to_string());
        }
        for state in states.iter().rev().skip(1) {
            history.undo(&mut dashboard).unwrap();
            assert_eq!(&dashboard.json().to_string(), state);
        }
        assert!(!history.can_undo() && !history.is_dirty());
        for state in &states[1..] {
            history.redo(&mut dashboard).unwrap();
            assert_eq!(&dashboard.json().to_string(), state);
        }
        assert!(!history.can_redo() && history.is_dirty());
    }

    #[test]
    fn typing_merges_and_nothing_leaves_no_step() {
        let mut dashboard = Dashboard::new("u", "Board");
        let mut history = History::new();
        for title in ["a", "ab", "abc"] {
            history.edit(&mut dashboard, "title", true, |json| json["title"] = json!(title));
        }
        assert!(!history.edit(&mut dashboard, "title", true, |_| {}));
        assert_eq!(history.undo(&mut dashboard).as_deref(), Some("title"));
        assert_eq!((dashboard.title.as_str(), history.can_undo()), ("Board", false));
    }
}
