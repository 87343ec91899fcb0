//! The stored JSON of a dashboard with typed readers over it.
//!
//! The JSON is the truth: every reader is lenient (a value of the wrong type counts as absent), and an edit changes
//! the JSON and reads it again, so that what nobody here knows stays where it stood. Source of the format: Grafana's
//! classic dashboard model, `schemaVersion` 42.

mod field_config;
mod links;
mod options;
mod panel;
pub(crate) mod read;
mod variable;

pub use field_config::{
    ColorMode, FieldConfig, FieldOptions, Mapping, MappingResult, Matcher, Override, SpecialMatch, Threshold,
    Thresholds, ThresholdsMode,
};
pub use links::{AnnotationQuery, DashboardLink, DataLink, LinkKind};
pub use options::{
    AxisStyle, BarGaugeOptions, DrawStyle, GaugeOptions, GraphStyle, HeatmapOptions, LegendMode, LegendOptions,
    LegendPlacement, LineInterpolation, LineStyle, ReduceOptions, ScaleDistribution, ShowPoints, SpanNulls, Stacking,
    StatOptions, TableOptions, TextMode, TextOptions, ThresholdsStyle, TooltipMode, TooltipOptions, TooltipSort,
};
pub use panel::{
    DataSourceRef, GRID_COLUMNS, GridPos, Panel, RepeatDirection, RepeatedFrom, Target, TargetFormat, Transformation,
};
pub use variable::{StaticOrder, Variable, VariableHide, VariableKind, VariableOption, VariableRefresh, VariableSort};

use read::Read as _;
use serde_json::{Map, Value, json};

/// The version of Grafana's model that Vigie writes.
pub const SCHEMA_VERSION: u64 = 42;
/// Refresh intervals offered where the dashboard names none.
pub const REFRESH_INTERVALS: [&str; 10] = ["5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "1d"];

/// A dashboard: the JSON and what was read from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    json: Value,
    pub uid: String,
    pub title: String,
    pub description: String,
    pub tags: Vec<String>,
    pub editable: bool,
    /// `graphTooltip`: what moves along on the other panels.
    pub cursor: CursorSync,
    /// `time.from` and `time.to` as written, `now-6h` and `now` if absent.
    pub from: String,
    pub to: String,
    pub timepicker: TimePicker,
    /// `browser`, `utc` or an IANA name; `browser` if absent.
    pub timezone: String,
    /// `monday`, `sunday`, `saturday` or empty (the viewer's).
    pub week_start: String,
    /// 0 is January.
    pub fiscal_year_start_month: u8,
    /// `30s`, or empty for none.
    pub refresh: String,
    pub live_now: bool,
    /// All panels query at load, also those below the fold.
    pub preload: bool,
    pub variables: Vec<Variable>,
    pub annotations: Vec<AnnotationQuery>,
    pub links: Vec<DashboardLink>,
    /// In stored order; a collapsed row holds its panels, an open row is followed by them.
    pub panels: Vec<Panel>,
    pub version: u64,
}

/// `graphTooltip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CursorSync {
    #[default]
    Off,
    Crosshair,
    Tooltip,
}

/// `timepicker`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimePicker {
    pub hidden: bool,
    /// `now` lies this far back, as `1m`; empty for none.
    pub now_delay: String,
    pub quick_ranges: Vec<QuickRange>,
    pub refresh_intervals: Vec<String>,
}

/// A preset of the time picker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuickRange {
    pub display: String,
    pub from: String,
    pub to: String,
}

impl Default for Dashboard {
    fn default() -> Self {
        Dashboard::new("", "New dashboard")
    }
}

impl Dashboard {
    /// An empty dashboard.
    pub fn new(uid: &str, title: &str) -> Self {
        Dashboard::read(json!({
            "uid": uid, "title": title, "tags": [], "editable": true, "graphTooltip": 1,
            "time": {"from": "now-6h", "to": "now"}, "timepicker": {}, "timezone": "browser", "refresh": "",
            "templating": {"list": []}, "annotations": {"list": []}, "links": [], "panels": [],
            "schemaVersion": SCHEMA_VERSION, "version": 0,
        }))
    }

    /// Reads JSON that is already in the current model; [`crate::import::import`] takes any published form.
    pub fn read(json: Value) -> Self {
        let (from, to) = match json.get("time") {
            Some(time) => (time.text("from"), time.text("to")),
            None => (String::new(), String::new()),
        };
        let timepicker = json.get("timepicker").unwrap_or(&Value::Null);
        Dashboard {
            uid: json.text("uid"),
            title: json.text("title"),
            description: json.text("description"),
            tags: json.texts("tags"),
            editable: json.flag_or("editable", true),
            cursor: match json.number("graphTooltip") {
                Some(1.0) => CursorSync::Crosshair,
                Some(2.0) => CursorSync::Tooltip,
                _ => CursorSync::Off,
            },
            from: if from.is_empty() { "now-6h".to_owned() } else { from },
            to: if to.is_empty() { "now".to_owned() } else { to },
            timepicker: TimePicker {
                hidden: timepicker.flag("hidden"),
                now_delay: timepicker.text("nowDelay"),
                quick_ranges: timepicker
                    .list("quick_ranges")
                    .iter()
                    .map(|range| QuickRange {
                        display: range.text("display"),
                        from: range.text("from"),
                        to: range.text("to"),
                    })
                    .collect(),
                refresh_intervals: match timepicker.texts("refresh_intervals") {
                    named if named.is_empty() => REFRESH_INTERVALS.map(str::to_owned).to_vec(),
                    named => named,
                },
            },
            timezone: match json.text("timezone") {
                zone if zone.is_empty() => "browser".to_owned(),
                zone if zone == "UTC" => "utc".to_owned(),
                zone => zone,
            },
            week_start: json.text("weekStart"),
            fiscal_year_start_month: json
                .number("fiscalYearStartMonth")
                .map_or(0, |month| month.clamp(0.0, 11.0) as u8),
            refresh: json.text("refresh"),
            live_now: json.flag("liveNow"),
            preload: json.flag("preload"),
            variables: json.child("templating").list("list").iter().map(Variable::read).collect(),
            annotations: json.child("annotations").list("list").iter().map(AnnotationQuery::read).collect(),
            links: json.list("links").iter().map(DashboardLink::read).collect(),
            panels: json.list("panels").iter().map(Panel::read).collect(),
            version: json.number("version").map_or(0, |version| version.max(0.0) as u64),
            json,
        }
    }

    /// The JSON to store: what was read, with every edit made since.
    pub fn json(&self) -> &Value {
        &self.json
    }

    pub fn into_json(self) -> Value {
        self.json
    }

    /// Changes the JSON and reads it again. [`crate::history::History`] does the same and can undo it.
    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        let mut json = std::mem::take(&mut self.json);
        change(&mut json);
        *self = Dashboard::read(json);
    }

    /// Every panel that is not a row, those inside collapsed rows included.
    pub fn all_panels(&self) -> impl Iterator<Item = &Panel> {
        self.panels.iter().flat_map(Panel::with_children).filter(|panel| !panel.is_row())
    }

    /// A panel or row by its id.
    pub fn panel(&self, id: i64) -> Option<&Panel> {
        self.panels.iter().flat_map(Panel::with_children).find(|panel| panel.id == id)
    }

    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// The largest id in use plus one.
    pub fn next_panel_id(&self) -> i64 {
        self.panels.iter().flat_map(Panel::with_children).map(|panel| panel.id).max().unwrap_or(0).saturating_add(1)
    }

    /// The title as it stands in an address: lower case, words joined by `-`.
    pub fn slug(&self) -> String {
        slug(&self.title)
    }
}

/// Lower case letters and digits of any alphabet, everything else one `-`; `-` for a title with none.
pub fn slug(title: &str) -> String {
    let mut out = String::with_capacity(title.len());
    for c in title.chars() {
        if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "-".to_owned() } else { out.to_owned() }
}

/// Finds a panel's JSON by id, also inside rows.
pub fn panel_json_mut(dashboard: &mut Value, id: i64) -> Option<&mut Value> {
    fn search(panels: &mut [Value], id: i64) -> Option<&mut Value> {
        for panel in panels {
            if panel.get("id").and_then(Value::as_i64) == Some(id) {
                return Some(panel);
            }
            if let Some(found) =
                panel.get_mut("panels").and_then(Value::as_array_mut).and_then(|inner| search(inner, id))
            {
                return Some(found);
            }
        }
        None
    }
    search(dashboard.get_mut("panels")?.as_array_mut()?, id)
}

/// Sets the value at a path of object keys and list indices, making objects on the way; `Value::Null` as the new
/// value removes the key. Does nothing where the path meets something else than an object or an existing index.
pub fn set_at(json: &mut Value, path: &[&str], value: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = json;
    for key in parents {
        at = match at {
            Value::Array(items) => match key.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                Some(item) => item,
                None => return,
            },
            Value::Object(map) => map.entry((*key).to_owned()).or_insert_with(|| Value::Object(Map::new())),
            Value::Null => {
                *at = Value::Object(Map::new());
                let Value::Object(map) = at else { return };
                map.entry((*key).to_owned()).or_insert_with(|| Value::Object(Map::new()))
            }
            _ => return,
        };
    }
    if at.is_null() {
        *at = Value::Object(Map::new());
    }
    match at {
        Value::Object(map) if value.is_null() => {
            map.shift_remove(*last);
        }
        Value::Object(map) => {
            map.insert((*last).to_owned(), value);
        }
        Value::Array(items) => {
            if let Some(item) = last.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                *item = value;
            }
        }
        _ => {}
    }
}
