//! Panels, rows, targets.

use super::{FieldConfig, links::DataLink, read::Read as _};
use serde_json::Value;

/// Columns of the grid.
pub const GRID_COLUMNS: u32 = 24;

/// One panel or row.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    json: Value,
    /// Unique in the dashboard; 0 where the file has none (the importer gives one).
    pub id: i64,
    /// `timeseries`, `stat`, `row`, …
    pub kind: String,
    pub title: String,
    /// Markdown.
    pub description: String,
    pub transparent: bool,
    pub grid: GridPos,
    pub datasource: Option<DataSourceRef>,
    pub targets: Vec<Target>,
    /// Shortest step, as `15s`, `>1m` or `$interval`; empty for none.
    pub interval: String,
    pub max_data_points: Option<u32>,
    /// Overrides the dashboard's range: `1h`, `now-1d/d`; empty for none.
    pub time_from: String,
    pub time_shift: String,
    pub hide_time_override: bool,
    /// `timeCompare`: an earlier period to compare with.
    pub time_compare: String,
    /// Name of the variable this panel or row is repeated for; empty for none.
    pub repeat: String,
    pub repeat_direction: RepeatDirection,
    pub max_per_row: u32,
    pub links: Vec<DataLink>,
    pub transformations: Vec<Transformation>,
    pub field_config: FieldConfig,
    /// `options` as stored; see the readers in this module for the known ones.
    pub options: Value,
    /// Of a row.
    pub collapsed: bool,
    /// Of a collapsed row.
    pub panels: Vec<Panel>,
    /// `libraryPanel.uid`, empty for none.
    pub library_panel: String,
    pub plugin_version: String,
    /// Set on copies that [`crate::repeat`] makes.
    pub repeated: Option<RepeatedFrom>,
}

/// Where a repeated panel comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepeatedFrom {
    /// Id of the panel that is repeated.
    pub source_id: i64,
    /// Stable name of this copy, `panel-2-clone-1`, or below a repeated row `row-1-clone-1/panel-2`.
    pub key: String,
    /// Values that stand in for the variables here: (variable, value, text).
    pub scoped: Vec<(String, String, String)>,
}

/// `gridPos`, in columns of 24 and rows of 30 px with 8 px between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridPos {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

impl Default for GridPos {
    fn default() -> Self {
        GridPos { x: 0, y: 0, w: 12, h: 9 }
    }
}

/// `datasource`: an object with type and uid, or in old files a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataSourceRef {
    /// `prometheus`, `datasource` (built-in), `loki`, … ; empty if only a uid or name is given.
    pub kind: String,
    /// Uid, name or a variable such as `${datasource}`; `-- Mixed --`, `-- Dashboard --`, `-- Grafana --` are special.
    pub uid: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepeatDirection {
    #[default]
    Horizontal,
    Vertical,
}

/// One query of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    json: Value,
    pub ref_id: String,
    pub expr: String,
    /// `{{label}}` text, `__auto` or empty.
    pub legend_format: String,
    pub range: bool,
    pub instant: bool,
    pub exemplar: bool,
    pub format: TargetFormat,
    /// Shortest step of this query; empty for the panel's.
    pub interval: String,
    pub interval_factor: u32,
    pub hide: bool,
    pub datasource: Option<DataSourceRef>,
    /// With datasource `-- Dashboard --`: the panel whose result is used.
    pub panel_id: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetFormat {
    #[default]
    TimeSeries,
    Table,
    Heatmap,
}

/// One step of `transformations`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transformation {
    pub id: String,
    pub options: Value,
    pub disabled: bool,
    /// Only frames that match take part: matcher id and options.
    pub filter: Option<(String, Value)>,
    /// `series` if empty.
    pub topic: String,
}

impl Panel {
    pub fn read(json: &Value) -> Self {
        Panel {
            id: json.number("id").map_or(0, |id| id as i64),
            kind: json.text("type"),
            title: json.text("title"),
            description: json.text("description"),
            transparent: json.flag("transparent"),
            grid: GridPos::read(json.child("gridPos")),
            datasource: DataSourceRef::read(json.child("datasource")),
            targets: json.list("targets").iter().map(Target::read).collect(),
            interval: json.text("interval"),
            max_data_points: json.number("maxDataPoints").filter(|points| *points >= 1.0).map(|points| points as u32),
            time_from: json.text("timeFrom"),
            time_shift: json.text("timeShift"),
            hide_time_override: json.flag("hideTimeOverride"),
            time_compare: json.text("timeCompare"),
            repeat: json.text("repeat"),
            repeat_direction: match json.text("repeatDirection").as_str() {
                "v" => RepeatDirection::Vertical,
                _ => RepeatDirection::Horizontal,
            },
            max_per_row: json.number("maxPerRow").map_or(4, |count| count.clamp(1.0, 24.0) as u32),
            links: json.list("links").iter().map(DataLink::read).collect(),
            transformations: json.list("transformations").iter().map(Transformation::read).collect(),
            field_config: FieldConfig::read(json.child("fieldConfig")),
            options: json.child("options").clone(),
            collapsed: json.flag("collapsed"),
            panels: json.list("panels").iter().map(Panel::read).collect(),
            library_panel: json.child("libraryPanel").text("uid"),
            plugin_version: json.text("pluginVersion"),
            repeated: None,
            json: json.clone(),
        }
    }

    pub fn json(&self) -> &Value {
        &self.json
    }

    pub fn is_row(&self) -> bool {
        self.kind == "row"
    }

    /// Name of this panel in the address and in element ids: the copy's key, or the id.
    pub fn key(&self) -> String {
        match &self.repeated {
            Some(repeated) => repeated.key.clone(),
            None => self.id.to_string(),
        }
    }

    /// The panel, and for a collapsed row those inside.
    pub fn with_children(&self) -> impl Iterator<Item = &Panel> {
        std::iter::once(self).chain(self.panels.iter())
    }

    /// Moves the panel; only for copies on the way to the screen, the stored JSON stays.
    pub fn placed(mut self, grid: GridPos) -> Self {
        self.grid = grid;
        self
    }
}

impl GridPos {
    fn read(json: &Value) -> Self {
        // A dashboard of a million rows is a mistake in the file, not a wish.
        let coordinate =
            |key: &str, default: u32| json.number(key).map_or(default, |value| value.clamp(0.0, 1e6) as u32);
        let w = coordinate("w", 12).clamp(1, GRID_COLUMNS);
        GridPos { x: coordinate("x", 0).min(GRID_COLUMNS - w), y: coordinate("y", 0), w, h: coordinate("h", 9).max(1) }
    }

    /// The JSON of `gridPos`.
    pub fn to_json(self) -> Value {
        serde_json::json!({"h": self.h, "w": self.w, "x": self.x, "y": self.y})
    }
}

impl DataSourceRef {
    pub fn read(json: &Value) -> Option<Self> {
        match json {
            Value::String(name) => Some(DataSourceRef { kind: String::new(), uid: name.clone() }),
            Value::Object(_) => Some(DataSourceRef { kind: json.text("type"), uid: json.text("uid") }),
            _ => None,
        }
    }
}

impl Target {
    pub fn read(json: &Value) -> Self {
        let instant = json.flag("instant");
        Target {
            ref_id: json.text("refId"),
            expr: json.text("expr"),
            legend_format: json.text("legendFormat"),
            instant,
            // Files that say neither mean a range query.
            range: json.flag_or("range", !instant),
            exemplar: json.flag("exemplar"),
            format: match json.text("format").as_str() {
                "table" => TargetFormat::Table,
                "heatmap" => TargetFormat::Heatmap,
                _ => TargetFormat::TimeSeries,
            },
            interval: json.text("interval"),
            interval_factor: json.number("intervalFactor").map_or(1, |factor| factor.clamp(1.0, 1000.0) as u32),
            hide: json.flag("hide"),
            datasource: DataSourceRef::read(json.child("datasource")),
            panel_id: json.number("panelId").map(|id| id as i64),
            json: json.clone(),
        }
    }

    pub fn json(&self) -> &Value {
        &self.json
    }
}

impl Transformation {
    pub fn read(json: &Value) -> Self {
        let filter = json.child("filter");
        Transformation {
            id: json.text("id"),
            options: json.child("options").clone(),
            disabled: json.flag("disabled"),
            filter: filter.is_object().then(|| (filter.text("id"), filter.child("options").clone())),
            topic: json.text("topic"),
        }
    }
}
