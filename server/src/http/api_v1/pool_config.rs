//! `/api/v1/scrape_pools/config` and `/api/v1/targets/relabel_steps`: what a job's configuration says, and what it
//! makes of a target.

use crate::config::show;
use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use crate::http::params::Params;
use axum::extract::State;
use model::Labels;
use relabel::RelabelConfig;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The section of a job in the running configuration, defaults filled in and secrets hidden.
fn section(app: &App, params: &Params) -> ApiResult<Value> {
    let Some(pool) = params.filled("scrapePool") else {
        return Err(ApiError::bad_data("no scrapePool parameter provided"));
    };
    let settings = app.settings.load();
    let mut config: Value = yaml::from_str("configuration", &settings.config_text)
        .map_err(|error| ApiError::internal(format!("the running configuration cannot be read: {error}")))?;
    let jobs = config.get_mut("scrape_configs").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let is_wanted = |job: &Value| job.get("job_name").and_then(Value::as_str) == Some(pool);
    jobs.into_iter()
        .find(is_wanted)
        .ok_or_else(|| ApiError::bad_data(format!("no scrape pool {pool:?}; /api/v1/scrape_pools lists them")))
}

pub(crate) async fn config(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let section = section(&app, &params)?;
    Ok(success(api::status::ConfigText { yaml: show::yaml(&section) }))
}

#[derive(serde::Serialize)]
struct Steps {
    steps: Vec<Step>,
}

#[derive(serde::Serialize)]
struct Step {
    rule: Rule,
    /// The labels behind the rule.
    output: BTreeMap<String, String>,
    /// False if the rule drops the target; no step follows.
    keep: bool,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    source_labels: Vec<String>,
    separator: String,
    regex: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    modulus: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_label: Option<String>,
    replacement: String,
    action: &'static str,
}

pub(crate) async fn relabel_steps(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let mut section = section(&app, &params)?;
    let Some(labels) = params.filled("labels") else {
        return Err(ApiError::bad_data("no labels parameter provided"));
    };
    let labels: BTreeMap<String, String> = serde_json::from_str(labels).map_err(|error| {
        ApiError::parameter("labels", format!("{error}; write for example {{\"__address__\":\"x:1\"}}"))
    })?;
    let rules: Vec<RelabelConfig> = match section.get_mut("relabel_configs").map(Value::take) {
        None | Some(Value::Null) => Vec::new(),
        Some(rules) => serde_json::from_value(rules)
            .map_err(|error| ApiError::internal(format!("relabel_configs of the running configuration: {error}")))?,
    };
    Ok(success(Steps { steps: steps(rules, &labels)? }))
}

fn steps(rules: Vec<RelabelConfig>, labels: &BTreeMap<String, String>) -> ApiResult<Vec<Step>> {
    let mut builder = Labels::from_pairs(labels).to_builder();
    let mut steps = Vec::with_capacity(rules.len());
    for rule in rules {
        let unreadable = |error: relabel::RelabelError| ApiError::internal(format!("relabel_configs: {error}"));
        let action = rule.action().map_err(unreadable)?.as_str();
        let keep = relabel::Rule::new(&rule).map_err(unreadable)?.apply(&mut builder);
        let output = super::query::label_map(&builder.clone().build());
        steps.push(Step {
            rule: Rule {
                source_labels: rule.source_labels.unwrap_or_default(),
                separator: rule.separator.unwrap_or_else(|| ";".to_owned()),
                regex: rule.regex.unwrap_or_else(|| "(.*)".to_owned()),
                modulus: rule.modulus,
                target_label: rule.target_label,
                replacement: rule.replacement.unwrap_or_else(|| "$1".to_owned()),
                action,
            },
            output,
            keep,
        });
        if !keep {
            break;
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_end_where_a_target_is_dropped() {
        let rules: Vec<RelabelConfig> = serde_json::from_value(serde_json::json!([
            {"source_labels": ["__address__"], "target_label": "host", "regex": "(.*):.*"},
            {"source_labels": ["host"], "regex": "x", "action": "drop"},
            {"action": "labeldrop", "regex": "host"}
        ]))
        .unwrap();
        let steps = |address: &str| {
            let labels = BTreeMap::from([("__address__".to_owned(), address.to_owned())]);
            serde_json::to_value(steps(rules.clone(), &labels).unwrap()).unwrap()
        };
        let dropped = steps("x:1");
        assert_eq!(dropped.as_array().map(Vec::len), Some(2));
        assert_eq!(dropped[0]["output"], serde_json::json!({"__address__": "x:1", "host": "x"}));
        assert_eq!(dropped[0]["rule"]["sourceLabels"], serde_json::json!(["__address__"]));
        assert_eq!(dropped[0]["rule"]["action"], "replace");
        assert_eq!(dropped[1]["keep"], false);
        let kept = steps("y:1");
        assert_eq!(kept[2]["output"], serde_json::json!({"__address__": "y:1"}));
    }
}
