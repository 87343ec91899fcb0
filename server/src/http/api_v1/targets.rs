//! `/api/v1/targets`, `/api/v1/metadata` and their kin.

use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use crate::http::params::Params;
use api::targets::{MetadataEntry, TargetsData};
use axum::extract::State;
use axum::response::Response;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) async fn targets(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let state = params.get("state").to_lowercase();
    let pool = params.filled("scrapePool");
    let mut data = app.scrape.targets();
    if let Some(pool) = pool {
        data.active_targets.retain(|target| target.scrape_pool == pool);
        data.dropped_targets.retain(|target| target.scrape_pool == pool);
    }
    match state.as_str() {
        "" | "any" => {}
        "active" => {
            data.dropped_targets.clear();
            data.dropped_target_counts = None;
        }
        "dropped" => data.active_targets.clear(),
        // A state that no target has.
        _ => {
            data = TargetsData::default();
        }
    }
    Ok(success(data))
}

/// A count; as anything negative, none given is as many as there are.
fn number(params: &Params, name: &str) -> ApiResult<usize> {
    match params.filled(name).map(str::parse::<i64>) {
        None => Ok(usize::MAX),
        Some(Ok(number)) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        Some(Err(_)) => Err(ApiError::bad_data(format!("{name} must be a number"))),
    }
}

pub(crate) async fn scrape_pools(State(app): State<Arc<App>>) -> Response {
    success(BTreeMap::from([("scrapePools", app.scrape.scrape_pools())]))
}

/// Entries by metric; `limit` counts metrics.
pub(crate) async fn metadata(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let limit = number(&params, "limit")?;
    // Here 0 is no limit, other than with `limit`.
    let per_metric = Some(number(&params, "limit_per_metric")?).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let wanted = params.filled("metric");
    let mut found: BTreeMap<String, Vec<MetadataEntry>> = BTreeMap::new();
    for target in app.scrape.metadata() {
        for (metric, metadata) in target.metadata {
            if wanted.is_some_and(|wanted| wanted != metric) {
                continue;
            }
            let entry = MetadataEntry {
                metric_type: metadata.metric_type.as_str().to_owned(),
                help: metadata.help,
                unit: metadata.unit,
            };
            let entries = found.entry(metric).or_default();
            if !entries.contains(&entry) && entries.len() < per_metric {
                entries.push(entry);
            }
        }
    }
    // What was written to us from elsewhere brings its metadata into the engine only.
    for (metric, metadata) in app.tsdb.metadata() {
        if wanted.is_none_or(|wanted| wanted == metric) && !found.contains_key(&metric) {
            let entry = MetadataEntry {
                metric_type: metadata.metric_type.as_str().to_owned(),
                help: metadata.help,
                unit: metadata.unit,
            };
            found.insert(metric, vec![entry]);
        }
    }
    Ok(success(found.into_iter().take(limit).collect::<BTreeMap<_, _>>()))
}

#[derive(serde::Serialize)]
struct TargetMetadata {
    target: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    metric: String,
    #[serde(rename = "type")]
    metric_type: &'static str,
    help: String,
    unit: String,
}

/// No target begins once there are `limit` entries; the one before gives all it has.
pub(crate) async fn targets_metadata(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let limit = number(&params, "limit")?;
    let wanted = params.filled("metric");
    let matchers = match params.filled("match_target") {
        None => Vec::new(),
        Some(text) => promql_syntax::parse_metric_matchers(text)
            .map_err(|error| ApiError::parameter("match_target", error))?
            .iter()
            .map(regexp::LabelMatcher::new)
            .collect::<Result<_, _>>()
            .map_err(|error| ApiError::parameter("match_target", error))?,
    };
    let mut found = Vec::new();
    for target in app.scrape.metadata() {
        if found.len() >= limit {
            break;
        }
        if !matchers.iter().all(|matcher| matcher.matches_labels(&target.labels)) {
            continue;
        }
        for (metric, metadata) in target.metadata {
            if wanted.is_some_and(|wanted| wanted != metric) {
                continue;
            }
            found.push(TargetMetadata {
                target: super::query::label_map(&target.labels),
                metric: if wanted.is_some() { String::new() } else { metric },
                metric_type: metadata.metric_type.as_str(),
                help: metadata.help,
                unit: metadata.unit,
            });
        }
    }
    Ok(success(found))
}
