//! `/api/v1`.

use super::{
    Answer,
    transport::{encode, encode_pairs, get_v1, post_form_v1},
};
use api::{
    query::{Inferred, QueryData, QueryResult},
    rules::RulesData,
    status::{BuildInfo, ConfigText, RuntimeInfo, TsdbStatus},
    targets::TargetsData,
};
use std::collections::BTreeMap;
use web_sys::AbortSignal;

fn seconds(ms: i64) -> String {
    api::query::format_value(ms as f64 / 1000.0)
}

/// What a query gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub result: QueryResult,
    /// Type and unit of the values.
    pub inferred: Inferred,
    /// The server's warnings and infos.
    pub warnings: Vec<String>,
}

impl Found {
    fn new((data, warnings): (QueryData, Vec<String>)) -> Found {
        Found { result: data.result, inferred: data.inferred.unwrap_or_default(), warnings }
    }
}

/// `POST /api/v1/query` at a moment in Unix milliseconds.
pub async fn query(expr: &str, at_ms: i64, signal: Option<AbortSignal>) -> Answer<Found> {
    let time = seconds(at_ms);
    let form = [("query", expr), ("time", time.as_str()), ("units", "true")];
    post_form_v1("/api/v1/query", &form, signal).await.map(Found::new)
}

/// `POST /api/v1/query_range`; times and step in milliseconds.
pub async fn query_range(
    expr: &str,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    signal: Option<AbortSignal>,
) -> Answer<Found> {
    let (start, end, step) = (seconds(start_ms), seconds(end_ms), seconds(step_ms));
    let form =
        [("query", expr), ("start", start.as_str()), ("end", end.as_str()), ("step", step.as_str()), ("units", "true")];
    post_form_v1("/api/v1/query_range", &form, signal).await.map(Found::new)
}

fn with_range<'a>(matches: &'a [String], range: &'a Option<(String, String)>) -> String {
    let mut pairs: Vec<(&str, &str)> = matches.iter().map(|matcher| ("match[]", matcher.as_str())).collect();
    if let Some((start, end)) = range {
        pairs.push(("start", start));
        pairs.push(("end", end));
    }
    if pairs.is_empty() { String::new() } else { format!("?{}", encode_pairs(pairs)) }
}

fn range_text(range_ms: Option<(i64, i64)>) -> Option<(String, String)> {
    range_ms.map(|(start_ms, end_ms)| (seconds(start_ms), seconds(end_ms)))
}

/// `GET /api/v1/labels`: names of labels, of the series that match any of `matches` (all if empty).
pub async fn label_names(matches: &[String], range_ms: Option<(i64, i64)>) -> Answer<Vec<String>> {
    let url = format!("/api/v1/labels{}", with_range(matches, &range_text(range_ms)));
    get_v1(&url, None).await.map(|(names, _)| names)
}

/// `GET /api/v1/label/<name>/values`.
pub async fn label_values(name: &str, matches: &[String], range_ms: Option<(i64, i64)>) -> Answer<Vec<String>> {
    let url = format!("/api/v1/label/{}/values{}", encode(name), with_range(matches, &range_text(range_ms)));
    get_v1(&url, None).await.map(|(values, _)| values)
}

/// `GET /api/v1/series`.
pub async fn series(matches: &[String], range_ms: Option<(i64, i64)>) -> Answer<Vec<BTreeMap<String, String>>> {
    let url = format!("/api/v1/series{}", with_range(matches, &range_text(range_ms)));
    get_v1(&url, None).await.map(|(series, _)| series)
}

/// `GET /api/v1/targets`, active and dropped.
pub async fn targets() -> Answer<TargetsData> {
    get_v1("/api/v1/targets", None).await.map(|(targets, _)| targets)
}

/// `GET /api/v1/rules`, with the units of alerts.
pub async fn rules() -> Answer<RulesData> {
    get_v1("/api/v1/rules?units=true", None).await.map(|(rules, _)| rules)
}

/// `GET /api/v1/status/buildinfo`.
pub async fn build_info() -> Answer<BuildInfo> {
    get_v1("/api/v1/status/buildinfo", None).await.map(|(info, _)| info)
}

/// `GET /api/v1/status/runtimeinfo`.
pub async fn runtime_info() -> Answer<RuntimeInfo> {
    get_v1("/api/v1/status/runtimeinfo", None).await.map(|(info, _)| info)
}

/// `GET /api/v1/status/config`.
pub async fn config() -> Answer<ConfigText> {
    get_v1("/api/v1/status/config", None).await.map(|(config, _)| config)
}

/// `GET /api/v1/status/flags`.
pub async fn flags() -> Answer<BTreeMap<String, String>> {
    get_v1("/api/v1/status/flags", None).await.map(|(flags, _)| flags)
}

/// `GET /api/v1/status/tsdb`.
pub async fn tsdb_status() -> Answer<TsdbStatus> {
    get_v1("/api/v1/status/tsdb", None).await.map(|(status, _)| status)
}
