//! Links of dashboards, panels and fields; annotation queries.

use super::{panel::DataSourceRef, read::Read as _};
use serde_json::Value;

/// A link of a panel or a field. `url` and `title` may hold variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataLink {
    pub title: String,
    pub url: String,
    pub target_blank: bool,
    /// A click on the value follows it at once.
    pub one_click: bool,
}

impl DataLink {
    pub fn read(json: &Value) -> Self {
        DataLink {
            title: json.text("title"),
            url: json.text("url"),
            target_blank: json.flag("targetBlank"),
            one_click: json.flag("oneClick"),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkKind {
    /// To an address.
    #[default]
    Link,
    /// To all dashboards with the tags.
    Dashboards,
}

/// A link of the dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashboardLink {
    pub kind: LinkKind,
    pub title: String,
    pub tooltip: String,
    pub icon: String,
    pub url: String,
    pub tags: Vec<String>,
    pub as_dropdown: bool,
    pub include_vars: bool,
    pub keep_time: bool,
    pub target_blank: bool,
    pub in_controls_menu: bool,
}

impl DashboardLink {
    pub fn read(json: &Value) -> Self {
        DashboardLink {
            kind: if json.text("type") == "dashboards" { LinkKind::Dashboards } else { LinkKind::Link },
            title: json.text("title"),
            tooltip: json.text("tooltip"),
            icon: json.text("icon"),
            url: json.text("url"),
            tags: json.texts("tags"),
            as_dropdown: json.flag("asDropdown"),
            include_vars: json.flag("includeVars"),
            keep_time: json.flag("keepTime"),
            target_blank: json.flag("targetBlank"),
            in_controls_menu: json.text("placement") == "inControlsMenu",
        }
    }
}

/// One of `annotations.list`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnnotationQuery {
    pub name: String,
    pub datasource: Option<DataSourceRef>,
    pub enable: bool,
    pub hide: bool,
    pub icon_color: String,
    pub expr: String,
    pub step: String,
    pub title_format: String,
    pub text_format: String,
    pub tag_keys: String,
    /// The value of the sample is the time, in ms.
    pub use_value_for_time: bool,
    /// Grafana's own notes and alerts.
    pub built_in: bool,
    /// Panels it is shown on (or hidden from); none means all.
    pub filter_ids: Vec<i64>,
    pub filter_exclude: bool,
}

impl AnnotationQuery {
    pub fn read(json: &Value) -> Self {
        let filter = json.child("filter");
        let expr = match json.text("expr") {
            expr if expr.is_empty() => json.child("target").text("expr"),
            expr => expr,
        };
        AnnotationQuery {
            name: json.text("name"),
            datasource: DataSourceRef::read(json.child("datasource")),
            enable: json.flag_or("enable", true),
            hide: json.flag("hide"),
            icon_color: json.text("iconColor"),
            expr,
            step: json.text("step"),
            title_format: json.text("titleFormat"),
            text_format: json.text("textFormat"),
            tag_keys: json.text("tagKeys"),
            use_value_for_time: json.flag("useValueForTime"),
            built_in: json.number("builtIn") == Some(1.0),
            filter_ids: filter.list("ids").iter().filter_map(Value::as_i64).collect(),
            filter_exclude: filter.flag("exclude"),
        }
    }
}
