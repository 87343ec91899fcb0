//! `/api/v1/rules` and `/api/v1/alerts`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RulesData {
    pub groups: Vec<RuleGroup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_next_token: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleGroup {
    pub name: String,
    pub file: String,
    pub rules: Vec<Rule>,
    /// Seconds.
    pub interval: f64,
    pub limit: u64,
    /// Seconds.
    pub evaluation_time: f64,
    /// RFC 3339.
    pub last_evaluation: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rule {
    #[serde(rename_all = "camelCase")]
    Alerting {
        /// `inactive`, `pending` or `firing`; `unknown` before the first evaluation.
        state: String,
        name: String,
        query: String,
        /// Seconds.
        duration: f64,
        keep_firing_for: f64,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        alerts: Vec<RuleAlert>,
        /// `ok`, `err` or `unknown`.
        health: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        last_error: String,
        evaluation_time: f64,
        last_evaluation: String,
    },
    #[serde(rename_all = "camelCase")]
    Recording {
        name: String,
        query: String,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
        health: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        last_error: String,
        evaluation_time: f64,
        last_evaluation: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertsData {
    pub alerts: Vec<RuleAlert>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleAlert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// `pending` or `firing`.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// Go's `'e'` format, as `1e+00`.
    pub value: String,
}
