//! Dashboards, folders and search under Grafana's paths and shapes. The dashboard itself stays a JSON
//! value here: `dashboard::model` reads it, and what nobody knows must survive.

use serde::{Deserialize, Serialize};

/// `GET /api/dashboards/uid/{uid}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DashboardFull {
    pub dashboard: serde_json::Value,
    pub meta: DashboardMeta,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DashboardMeta {
    pub slug: String,
    pub url: String,
    pub folder_uid: String,
    pub folder_title: String,
    pub version: u64,
    pub can_edit: bool,
    pub can_save: bool,
    /// It comes from a file: saving makes a copy of it that takes precedence.
    pub provisioned: bool,
    pub provisioned_external_id: String,
    /// RFC 3339.
    pub created: String,
    pub updated: String,
    pub created_by: String,
    pub updated_by: String,
    /// What is wrong with the file, if it could only be shown in part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// `POST /api/dashboards/db`. The version that was edited stands in `dashboard.version`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SaveDashboard {
    pub dashboard: serde_json::Value,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub overwrite: bool,
    #[serde(default)]
    pub folder_uid: String,
}

/// The answer when saved (200).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedDashboard {
    /// `success`.
    pub status: String,
    pub uid: String,
    pub url: String,
    pub slug: String,
    pub version: u64,
}

/// The answer when not: 412 with status `version-mismatch` or `name-exists`, 400, 404.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DashboardProblem {
    pub status: String,
    pub message: String,
    /// With `version-mismatch`: the version that is stored, and who stored it when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_version: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stored_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stored_at: String,
}

/// One hit of `GET /api/search?query=&tag=&type=dash-db`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SearchHit {
    pub uid: String,
    pub title: String,
    pub url: String,
    /// `dash-db` or `dash-folder`.
    #[serde(rename = "type")]
    pub kind: String,
    pub tags: Vec<String>,
    pub is_starred: bool,
    pub folder_uid: String,
    pub folder_title: String,
    pub description: String,
    /// Number of panels that are not rows.
    pub panels: u64,
    pub updated: String,
    /// Set when the file could not be read: what is wrong with it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub problem: String,
}

/// `GET /api/dashboards/uid/{uid}/versions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DashboardVersions {
    pub versions: Vec<DashboardVersion>,
}

/// One version; `data` only in `GET …/versions/{version}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DashboardVersion {
    pub version: u64,
    pub created: String,
    pub created_by: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

/// `POST /api/dashboards/uid/{uid}/restore`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RestoreDashboard {
    pub version: u64,
}

/// One of `GET /api/datasources`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataSource {
    pub uid: String,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub is_default: bool,
    /// Shortest interval between samples, as `15s`.
    pub time_interval: String,
}

/// `POST /api/markdown`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MarkdownSource {
    pub text: String,
}

/// The answer: HTML in which links and raw HTML stand as they were written; who shows it sees to its safety.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RenderedMarkdown {
    pub html: String,
}
