//! The draft of a dashboard: what is edited, what is stored, and every step between.

use super::address::{Address, use_address};
use api::dashboards::DashboardMeta;
use dashboard::{
    history::History,
    layout,
    model::{Dashboard, GridPos, panel_json_mut},
};
use leptos::prelude::*;
use serde_json::{Value, json};

/// Which window is open over the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    #[default]
    None,
    Save,
    Conflict,
    Versions,
    Discard,
}

/// A panel on its way: shown, not yet an edit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    pub panel_id: i64,
    pub to: GridPos,
}

/// One dashboard's edit session. Everything that changes a dashboard goes through [`EditSession::edit`], so that undo
/// knows it.
#[derive(Clone, Copy)]
pub struct EditSession {
    pub(super) draft: RwSignal<Dashboard>,
    /// The stored state that the draft began with.
    pub(super) base: RwSignal<Dashboard>,
    pub(super) meta: RwSignal<DashboardMeta>,
    pub(super) history: RwSignal<History>,
    /// Number of steps since the stored state, backwards steps included; for "unsaved changes".
    pub editing: RwSignal<bool>,
    pub(super) moving: RwSignal<Option<Move>>,
    /// What is said to those who listen.
    pub(super) said: RwSignal<String>,
    pub(super) window: RwSignal<Window>,
    pub(super) address: Address,
    shown: Memo<Dashboard>,
}

impl EditSession {
    /// The session of a stored dashboard, not in edit mode.
    pub fn new(dashboard: Value, meta: DashboardMeta) -> Self {
        EditSession::start(Dashboard::read(dashboard), meta, false)
    }

    /// The session of a dashboard that is stored nowhere yet, in edit mode.
    pub fn new_dashboard() -> Self {
        let meta = DashboardMeta { can_edit: true, can_save: true, ..DashboardMeta::default() };
        EditSession::start(Dashboard::new("", "New dashboard"), meta, true)
    }

    fn start(dashboard: Dashboard, meta: DashboardMeta, editing: bool) -> Self {
        let draft = RwSignal::new(dashboard.clone());
        let moving = RwSignal::new(None::<Move>);
        let shown = Memo::new(move |_| {
            let mut shown = draft.get();
            if let Some(moving) = moving.get() {
                shown.edit(|json| {
                    layout::move_panel(json, moving.panel_id, moving.to);
                });
            }
            shown
        });
        EditSession {
            draft,
            base: RwSignal::new(dashboard),
            meta: RwSignal::new(meta),
            history: RwSignal::new(History::new()),
            editing: RwSignal::new(editing),
            moving,
            said: RwSignal::new(String::new()),
            window: RwSignal::new(Window::None),
            address: use_address(),
            shown,
        }
    }

    /// What to draw: the draft, with the panel that is being moved in its new place.
    pub fn shown(self) -> Signal<Dashboard> {
        self.shown.into()
    }

    /// Whether the draft differs from what is stored; tracked.
    pub fn is_dirty(self) -> bool {
        self.draft.with(|draft| self.base.with(|base| draft.json() != base.json()))
    }

    /// One edit. `label` says in words what it does ("Remove panel CPU"); successive edits of the same label become one
    /// step if `merge` says so (typing).
    pub fn edit(self, label: &str, merge: bool, change: impl FnOnce(&mut Value)) {
        self.editing.set(true);
        let mut changed = false;
        let mut draft = self.draft.get_untracked();
        self.history.update(|history| changed = history.edit(&mut draft, label, merge, change));
        if changed {
            self.draft.set(draft);
        }
    }

    /// An edit of one panel's JSON.
    pub fn edit_panel(self, panel_id: i64, label: &str, merge: bool, change: impl FnOnce(&mut Value)) {
        self.edit(label, merge, |json| {
            if let Some(panel) = panel_json_mut(json, panel_id) {
                change(panel);
            }
        });
    }

    pub fn undo(self) {
        self.step("Undone", History::undo);
    }

    pub fn redo(self) {
        self.step("Redone", History::redo);
    }

    fn step(self, word: &str, step: impl FnOnce(&mut History, &mut Dashboard) -> Option<String>) {
        let mut draft = self.draft.get_untracked();
        let mut label = None;
        self.history.update(|history| label = step(history, &mut draft));
        if let Some(label) = label {
            self.draft.set(draft);
            self.say(format!("{word}: {label}"));
        }
    }

    /// Says something to those who listen.
    pub fn say(self, text: impl Into<String>) {
        self.said.set(text.into());
    }

    /// Adds an empty time series panel and opens it.
    pub fn add_panel(self) {
        let mut id = 0;
        self.edit("Add panel", false, |json| id = layout::add_panel(json, empty_panel()));
        self.say("Panel added");
        self.open_panel_editor(id);
    }

    /// Adds a row at the bottom.
    pub fn add_row(self) {
        self.edit("Add row", false, |json| {
            let row = json!({"type": "row", "title": "Row title", "collapsed": false, "panels": [],
                "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}});
            layout::add_panel(json, row);
        });
        self.say("Row added");
    }

    pub fn duplicate_panel(self, panel_id: i64) {
        let label = format!("Duplicate panel {}", self.title_of(panel_id));
        self.edit(&label, false, |json| {
            layout::duplicate_panel(json, panel_id);
        });
        self.say(label);
    }

    pub fn remove_panel(self, panel_id: i64) {
        let label = format!("Remove panel {}", self.title_of(panel_id));
        self.edit(&label, false, |json| {
            layout::remove_panel(json, panel_id);
        });
        self.say(format!("{label}. Undo with Control Z."));
    }

    /// Puts `editPanel` into the address.
    pub fn open_panel_editor(self, panel_id: i64) {
        self.editing.set(true);
        self.address.change(|address| {
            address.edit_panel = panel_id.to_string();
            address.view_panel.clear();
        });
    }

    /// Leaves the panel editor; the draft keeps what was done.
    pub fn close_panel_editor(self) {
        self.address.change(|address| address.edit_panel.clear());
    }

    /// Opens the settings.
    pub fn open_settings(self) {
        self.editing.set(true);
        self.address.change(|address| address.editview = "settings".to_owned());
    }

    /// Opens the list of versions.
    pub fn open_versions(self) {
        self.window.set(Window::Versions);
    }

    pub(super) fn title_of(self, panel_id: i64) -> String {
        self.draft.with_untracked(|draft| draft.panel(panel_id).map(|panel| panel.title.clone()).unwrap_or_default())
    }
}

/// A new panel: a time series with one empty query.
pub fn empty_panel() -> Value {
    json!({
        "type": "timeseries", "title": "New panel", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "targets": [{"refId": "A", "expr": "", "range": true}],
        "fieldConfig": {"defaults": {"custom": {}}, "overrides": []},
        "options": {"legend": {"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"}},
    })
}
