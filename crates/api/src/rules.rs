//! `/api/v1/rules` and `/api/v1/alerts`.

use crate::number::go_float;
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
    #[serde(serialize_with = "go_float")]
    pub interval: f64,
    pub limit: u64,
    /// Seconds.
    #[serde(serialize_with = "go_float")]
    pub evaluation_time: f64,
    /// RFC 3339.
    pub last_evaluation: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", try_from = "FlatRule")]
pub enum Rule {
    #[serde(rename_all = "camelCase")]
    Alerting {
        /// `inactive`, `pending` or `firing`; `unknown` before the first evaluation.
        state: String,
        name: String,
        query: String,
        /// Seconds.
        #[serde(serialize_with = "go_float")]
        duration: f64,
        #[serde(serialize_with = "go_float")]
        keep_firing_for: f64,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        /// None if they were not asked for.
        alerts: Option<Vec<RuleAlert>>,
        /// `ok`, `err` or `unknown`.
        health: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        last_error: String,
        #[serde(serialize_with = "go_float")]
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
        #[serde(serialize_with = "go_float")]
        evaluation_time: f64,
        last_evaluation: String,
    },
}

/// What `Rule` is read as: the keys of both kinds, so that none has to wait in a buffer for `type`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlatRule {
    r#type: String,
    state: Option<String>,
    name: String,
    query: String,
    duration: Option<f64>,
    keep_firing_for: Option<f64>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    alerts: Option<Vec<RuleAlert>>,
    health: String,
    #[serde(default)]
    last_error: String,
    evaluation_time: f64,
    last_evaluation: String,
}

impl TryFrom<FlatRule> for Rule {
    type Error = String;

    fn try_from(flat: FlatRule) -> Result<Self, String> {
        let FlatRule { name, query, health, last_error, evaluation_time, last_evaluation, .. } = flat;
        let missing = |key: &str| format!("an alerting rule without `{key}`");
        match flat.r#type.as_str() {
            "alerting" => Ok(Rule::Alerting {
                state: flat.state.ok_or_else(|| missing("state"))?,
                name,
                query,
                duration: flat.duration.ok_or_else(|| missing("duration"))?,
                keep_firing_for: flat.keep_firing_for.ok_or_else(|| missing("keepFiringFor"))?,
                labels: flat.labels.ok_or_else(|| missing("labels"))?,
                annotations: flat.annotations.ok_or_else(|| missing("annotations"))?,
                alerts: flat.alerts,
                health,
                last_error,
                evaluation_time,
                last_evaluation,
            }),
            "recording" => Ok(Rule::Recording {
                name,
                query,
                labels: flat.labels.unwrap_or_default(),
                health,
                last_error,
                evaluation_time,
                last_evaluation,
            }),
            other => Err(format!("unknown type of rule `{other}`")),
        }
    }
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
    /// `bytes/second`; with `units`, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_wherever_their_type_stands() {
        for text in [
            r#"{"type":"recording","name":"a","query":"b","health":"ok","evaluationTime":0.5,"lastEvaluation":"c"}"#,
            r#"{"type":"alerting","state":"firing","name":"a","query":"b","duration":1,"keepFiringFor":0,"labels":{"x":"y"},"annotations":{},"alerts":[{"labels":{},"annotations":{},"state":"firing","value":"1e+00"}],"health":"err","lastError":"z","evaluationTime":0.5,"lastEvaluation":"c"}"#,
        ] {
            let rule: Rule = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&rule).unwrap(), text);
            let (tag, rest) = text[1..text.len() - 1].split_once(',').unwrap();
            let last = format!("{{{rest},{tag}}}");
            assert_eq!(serde_json::from_str::<Rule>(&last).unwrap(), rule);
        }
        for text in [
            r#"{"type":"alerting","name":"a","query":"b","health":"ok","evaluationTime":0.5,"lastEvaluation":"c"}"#,
            r#"{"type":"other","name":"a","query":"b","health":"ok","evaluationTime":0.5,"lastEvaluation":"c"}"#,
            r#"{"type":"recording","query":"b","health":"ok","evaluationTime":0.5,"lastEvaluation":"c"}"#,
        ] {
            assert!(serde_json::from_str::<Rule>(text).is_err(), "{text}");
        }
    }
}
