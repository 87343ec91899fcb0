//! Changing the dashboard: every change is a step that can be undone.

use super::Board;
use dashboard::{layout, model::Dashboard};
use leptos::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

impl Board {
    /// Changes the JSON as one step. Steps with the same label merge if `merge` (typing into one field).
    pub fn edit(self, label: &str, merge: bool, change: impl FnOnce(&mut Value)) {
        let mut dashboard = Dashboard::clone(&self.dashboard.get_untracked());
        let changed =
            self.history.try_update(|history| history.edit(&mut dashboard, label, merge, change)).unwrap_or(false);
        if changed {
            self.editing.set(true);
            self.dashboard.set(Arc::new(dashboard));
        }
    }

    pub fn undo(self) {
        self.step(dashboard::history::History::undo);
    }

    pub fn redo(self) {
        self.step(dashboard::history::History::redo);
    }

    fn step(self, step: impl FnOnce(&mut dashboard::history::History, &mut Dashboard) -> Option<String>) {
        let mut dashboard = Dashboard::clone(&self.dashboard.get_untracked());
        let label = self.history.try_update(|history| step(history, &mut dashboard)).flatten();
        if label.is_some() {
            self.dashboard.set(Arc::new(dashboard));
        }
    }

    /// Whether there is something to save; tracked.
    pub fn is_dirty(self) -> bool {
        self.history.with(dashboard::history::History::is_dirty)
    }

    /// The stored id behind a panel's key; a repeated copy stands for its source.
    pub fn id_of(self, key: &str) -> Option<i64> {
        if let Ok(id) = key.parse() {
            return Some(id);
        }
        self.placed.with_untracked(|placed| {
            let panel = placed.iter().map(|placed| &placed.panel).find(|panel| panel.key() == key)?;
            Some(panel.repeated.as_ref().map_or(panel.id, |repeated| repeated.source_id))
        })
    }

    /// Changes one panel's JSON.
    pub fn edit_panel(self, id: i64, label: &str, merge: bool, change: impl FnOnce(&mut Value)) {
        // The label carries the id: typing into the titles of two panels makes two steps.
        self.edit(&format!("{label} of panel {id}"), merge, |json| {
            if let Some(panel) = dashboard::model::panel_json_mut(json, id) {
                change(panel);
            }
        });
    }

    pub fn remove(self, key: &str) {
        let Some(id) = self.id_of(key) else { return };
        self.edit("Remove panel", false, |json| {
            layout::remove_panel(json, id);
        });
    }

    pub fn duplicate(self, key: &str) {
        let Some(id) = self.id_of(key) else { return };
        self.edit("Duplicate panel", false, |json| {
            let copy = dashboard::model::panel_json_mut(json, id).map(|panel| panel.clone());
            if let Some(mut copy) = copy {
                let title = copy.get("title").and_then(Value::as_str).unwrap_or_default();
                copy["title"] = json!(format!("{title} (copy)"));
                layout::add_panel(json, copy);
            }
        });
    }

    /// Adds an empty panel and answers its id.
    pub fn add_panel(self, kind: &str) -> Option<i64> {
        let mut id = None;
        let panel = new_panel(kind);
        self.edit("Add panel", false, |json| id = Some(layout::add_panel(json, panel)));
        id
    }
}

/// A panel with what its type needs to show something at once.
pub fn new_panel(kind: &str) -> Value {
    if kind == "row" {
        return json!({"type": "row", "title": "Row", "collapsed": false, "panels": [], "gridPos": {"w": 24, "h": 1}});
    }
    if kind == "text" {
        return json!({"type": "text", "title": "Text", "gridPos": {"w": 12, "h": 6}, "options": {"mode": "markdown", "content": "## Notes\n\nWrite **Markdown** here."}});
    }
    json!({
        "type": kind,
        "title": "New panel",
        "gridPos": {"w": 12, "h": 8},
        "targets": [{"refId": "A", "expr": "", "legendFormat": "__auto", "range": true}],
        "fieldConfig": {"defaults": {}, "overrides": []},
        "options": {},
    })
}
