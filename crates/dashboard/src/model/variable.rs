//! `templating.list`.

use super::{
    panel::DataSourceRef,
    read::{Read as _, as_text},
};
use serde_json::Value;

/// One variable as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    json: Value,
    pub kind: VariableKind,
    pub name: String,
    /// Shown instead of the name if not empty.
    pub label: String,
    pub description: String,
    pub hide: VariableHide,
    pub skip_url_sync: bool,
    pub multi: bool,
    pub include_all: bool,
    /// Inserted raw for All; empty for none.
    pub all_value: String,
    pub allow_custom_value: bool,
    /// Saved selection.
    pub current: Vec<VariableOption>,
    /// Saved options.
    pub options: Vec<VariableOption>,
    /// What produces the options; its meaning depends on the kind.
    pub query: String,
    pub datasource: Option<DataSourceRef>,
    pub refresh: VariableRefresh,
    pub regex: String,
    /// The regex reads the option's text, not its value.
    pub regex_on_text: bool,
    pub sort: VariableSort,
    pub static_options: Vec<VariableOption>,
    pub static_order: StaticOrder,
    /// A custom variable whose query is a JSON list.
    pub values_json: bool,
    /// An interval variable offers `auto`.
    pub auto: bool,
    pub auto_count: u32,
    pub auto_min: String,
    /// Ad hoc filters saved with the dashboard: key, operator, values.
    pub filters: Vec<(String, String, Vec<String>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableKind {
    Query,
    Custom,
    TextBox,
    Constant,
    DataSource,
    Interval,
    AdHoc,
    GroupBy,
    Switch,
    System,
    Snapshot,
    /// Kept and shown as it is.
    Unknown(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariableHide {
    #[default]
    Show,
    HideLabel,
    Hidden,
    InControlsMenu,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariableRefresh {
    #[default]
    Never,
    OnLoad,
    OnTimeChange,
}

/// `sort`: none, or an order, ascending unless `descending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariableSort {
    #[default]
    None,
    Alphabetical {
        descending: bool,
    },
    Numerical {
        descending: bool,
    },
    CaseInsensitive {
        descending: bool,
    },
    Natural {
        descending: bool,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StaticOrder {
    #[default]
    Before,
    After,
    Sorted,
}

/// One option: what is inserted and what is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariableOption {
    pub text: String,
    pub value: String,
}

impl VariableOption {
    pub fn new(text: &str, value: &str) -> Self {
        VariableOption { text: text.to_owned(), value: value.to_owned() }
    }

    /// An option whose text is its value.
    pub fn plain(value: &str) -> Self {
        VariableOption::new(value, value)
    }

    fn read(json: &Value) -> Self {
        match json {
            Value::Object(_) => {
                let value = single(json.child("value"));
                let text = single(json.child("text"));
                VariableOption { text: if text.is_empty() { value.clone() } else { text }, value }
            }
            other => VariableOption::plain(&as_text(other)),
        }
    }
}

fn single(json: &Value) -> String {
    match json {
        Value::Array(items) => items.first().map(as_text).unwrap_or_default(),
        other => as_text(other),
    }
}

impl Variable {
    pub fn read(json: &Value) -> Self {
        let kind = match json.text("type").as_str() {
            "query" => VariableKind::Query,
            "custom" => VariableKind::Custom,
            "textbox" => VariableKind::TextBox,
            "constant" => VariableKind::Constant,
            "datasource" => VariableKind::DataSource,
            "interval" => VariableKind::Interval,
            "adhoc" => VariableKind::AdHoc,
            "groupby" => VariableKind::GroupBy,
            "switch" => VariableKind::Switch,
            "system" => VariableKind::System,
            "snapshot" => VariableKind::Snapshot,
            other => VariableKind::Unknown(other.to_owned()),
        };
        let query = match json.child("query") {
            query @ Value::Object(_) => query.text_or("query", &query.text("expr")),
            query => as_text(query),
        };
        let query = if query.is_empty() { json.text("definition") } else { query };
        let descending = |sort: u32| sort.is_multiple_of(2);
        let sort = json.number("sort").map_or(0, |sort| sort as u32);
        Variable {
            name: json.text("name"),
            label: json.text("label"),
            description: json.text("description"),
            hide: match json.child("hide") {
                Value::String(word) => match word.as_str() {
                    "hideLabel" => VariableHide::HideLabel,
                    "hideVariable" => VariableHide::Hidden,
                    "inControlsMenu" => VariableHide::InControlsMenu,
                    _ => VariableHide::Show,
                },
                _ => match json.number("hide").map_or(0, |hide| hide as u32) {
                    1 => VariableHide::HideLabel,
                    2 => VariableHide::Hidden,
                    3 => VariableHide::InControlsMenu,
                    _ => VariableHide::Show,
                },
            },
            skip_url_sync: json.flag("skipUrlSync"),
            multi: json.flag("multi"),
            include_all: json.flag("includeAll"),
            all_value: json.text("allValue"),
            allow_custom_value: json.flag_or("allowCustomValue", true),
            current: read_current(json.child("current")),
            options: json.list("options").iter().map(VariableOption::read).collect(),
            query,
            datasource: DataSourceRef::read(json.child("datasource")),
            refresh: match json.child("refresh") {
                Value::Bool(true) => VariableRefresh::OnLoad,
                _ => match json.number("refresh").map_or(0, |refresh| refresh as u32) {
                    1 => VariableRefresh::OnLoad,
                    2 => VariableRefresh::OnTimeChange,
                    _ => VariableRefresh::Never,
                },
            },
            regex: json.text("regex"),
            regex_on_text: json.text("regexApplyTo") == "text",
            sort: match sort {
                1 | 2 => VariableSort::Alphabetical { descending: descending(sort) },
                3 | 4 => VariableSort::Numerical { descending: descending(sort) },
                5 | 6 => VariableSort::CaseInsensitive { descending: descending(sort) },
                7 | 8 => VariableSort::Natural { descending: descending(sort) },
                _ => VariableSort::None,
            },
            static_options: json.list("staticOptions").iter().map(VariableOption::read).collect(),
            static_order: match json.text("staticOptionsOrder").as_str() {
                "after" => StaticOrder::After,
                "sorted" => StaticOrder::Sorted,
                _ => StaticOrder::Before,
            },
            values_json: json.text("valuesFormat") == "json",
            auto: json.flag("auto"),
            auto_count: json.number("auto_count").map_or(30, |count| count.clamp(1.0, 10_000.0) as u32),
            auto_min: json.text_or("auto_min", "10s"),
            filters: json
                .list("filters")
                .iter()
                .map(|filter| {
                    let values = match filter.texts("values") {
                        values if values.is_empty() => vec![filter.text("value")],
                        values => values,
                    };
                    (filter.text("key"), filter.text_or("operator", "="), values)
                })
                .collect(),
            kind,
            json: json.clone(),
        }
    }

    pub fn json(&self) -> &Value {
        &self.json
    }

    /// What stands before the control.
    pub fn shown_name(&self) -> &str {
        if self.label.is_empty() { &self.name } else { &self.label }
    }
}

/// `current`: text and value are each one text or a list.
fn read_current(json: &Value) -> Vec<VariableOption> {
    let values: Vec<String> = match json.child("value") {
        Value::Array(items) => items.iter().map(as_text).collect(),
        Value::Null => return Vec::new(),
        one => vec![as_text(one)],
    };
    let texts: Vec<String> = match json.child("text") {
        Value::Array(items) => items.iter().map(as_text).collect(),
        // Old files join several texts by ` + `.
        Value::String(text) if values.len() > 1 => text.split(" + ").map(str::to_owned).collect(),
        one => vec![as_text(one)],
    };
    values
        .into_iter()
        .enumerate()
        .map(|(i, value)| {
            let text = texts.get(i).filter(|text| !text.is_empty()).cloned().unwrap_or_else(|| value.clone());
            VariableOption { text, value }
        })
        .collect()
}
