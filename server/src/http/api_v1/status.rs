//! `/api/v1/status/*`, and what else tells about this server.

use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use crate::http::params::Params;
use api::status::{BuildInfo, ConfigText, HeadStats, NameValue, RuntimeInfo, TsdbStatus};
use axum::extract::State;
use axum::response::Response;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries of each list of `/status/tsdb` unless `limit` says otherwise.
const TOP_LIST: usize = 10;

/// Most entries that can be asked for.
const TOP_LIST_MAX: usize = 10_000;

/// What this program is. Clients look at `version` to learn which features Prometheus has:
/// ours are those of the named version.
pub(crate) fn build_info() -> BuildInfo {
    BuildInfo {
        version: PROMETHEUS_VERSION.to_owned(),
        revision: format!("vigie-{}", env!("CARGO_PKG_VERSION")),
        branch: "vigie".to_owned(),
        build_user: String::new(),
        build_date: String::new(),
        go_version: String::new(),
    }
}

/// The version of Prometheus whose API this is.
const PROMETHEUS_VERSION: &str = "3.14.0";

pub(crate) async fn buildinfo() -> Response {
    success(build_info())
}

pub(crate) async fn config(State(app): State<Arc<App>>) -> Response {
    success(ConfigText { yaml: app.settings.load().config_text.clone() })
}

pub(crate) async fn flags(State(app): State<Arc<App>>) -> Response {
    success(app.flags.shown().into_iter().collect::<BTreeMap<_, _>>())
}

pub(crate) async fn runtimeinfo(State(app): State<Arc<App>>) -> Response {
    let settings = app.settings.load();
    success(RuntimeInfo {
        start_time: rfc3339(app.started_at_ms),
        cwd: std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default(),
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        server_time: rfc3339(app.clock.now_ms()),
        reload_config_success: settings.reload_ok,
        last_config_time: rfc3339(settings.reloaded_at_ms),
        corruption_count: app.tsdb.damage().len() as u64,
        // Go's words, and the numbers that come nearest: there are no goroutines here.
        goroutine_count: tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64,
        gomaxprocs: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
        gomemlimit: i64::MAX,
        gogc: String::new(),
        godebug: String::new(),
        storage_retention: settings.retention.clone(),
    })
}

pub(crate) async fn tsdb(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let limit = match params.filled("limit") {
        None => TOP_LIST,
        Some(text) => match text.parse::<usize>() {
            Ok(limit) if limit > 0 => limit.min(TOP_LIST_MAX),
            _ => return Err(ApiError::bad_data("limit must be a positive number")),
        },
    };
    super::blocking(move || {
        let status = app.tsdb.status(limit);
        let list = |pairs: Vec<(String, u64)>| {
            pairs.into_iter().map(|(name, value)| NameValue { name, value }).collect::<Vec<_>>()
        };
        Ok(success(TsdbStatus {
            head_stats: HeadStats {
                num_series: status.series,
                num_label_pairs: status.label_pairs,
                chunk_count: status.chunks,
                min_time: status.min_time_ms,
                max_time: status.max_time_ms,
            },
            series_count_by_metric_name: list(status.series_by_metric_name),
            label_value_count_by_label_name: list(status.values_by_label_name),
            memory_in_bytes_by_label_name: list(status.bytes_by_label_name),
            series_count_by_label_value_pair: list(status.series_by_label_pair),
        }))
    })
    .await
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Cardinality {
    over_budget: Vec<OverBudget>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct OverBudget {
    budget: &'static str,
    name: String,
    limit: u64,
    series: u64,
    folded: u64,
    label: String,
    label_values: u64,
    samples: Vec<String>,
    rule: String,
}

/// Budgets of series that are used up, and what makes the series so many.
pub(crate) async fn cardinality(State(app): State<Arc<App>>) -> ApiResult {
    super::blocking(move || {
        let over_budget = app.tsdb.over_budget().into_iter().map(|over| OverBudget {
            budget: over.kind.as_str(),
            name: over.name,
            limit: over.limit,
            series: over.series,
            folded: over.folded,
            label: over.label,
            label_values: over.label_values,
            samples: over.samples,
            rule: over.rule,
        });
        Ok(success(Cardinality { over_budget: over_budget.collect() }))
    })
    .await
}

#[derive(serde::Serialize)]
struct Blocks {
    blocks: Vec<Block>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    ulid: String,
    min_time: i64,
    max_time: i64,
    stats: BlockStats,
    compaction: BlockCompaction,
    version: u32,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockStats {
    num_samples: u64,
    num_series: u64,
    num_chunks: u64,
    num_bytes: u64,
    num_tombstones: u64,
}

#[derive(serde::Serialize)]
struct BlockCompaction {
    level: u32,
    /// The blocks that went into it: known is only itself.
    sources: Vec<String>,
}

pub(crate) async fn blocks(State(app): State<Arc<App>>) -> Response {
    let blocks = app.tsdb.blocks().into_iter().map(|block| Block {
        compaction: BlockCompaction { level: block.compaction_level, sources: vec![block.ulid.clone()] },
        ulid: block.ulid,
        min_time: block.min_time_ms,
        max_time: block.max_time_ms,
        stats: BlockStats {
            num_samples: block.samples,
            num_series: block.series,
            num_chunks: block.chunks,
            num_bytes: block.bytes,
            num_tombstones: block.tombstones,
        },
        version: 1,
    });
    success(Blocks { blocks: blocks.collect() })
}

pub(crate) async fn walreplay() -> Response {
    // The log is replayed before the listener opens.
    success(BTreeMap::from([("min", 0), ("max", 0), ("current", 0)]))
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Alertmanagers {
    active_alertmanagers: Vec<BTreeMap<&'static str, String>>,
    dropped_alertmanagers: Vec<BTreeMap<&'static str, String>>,
}

pub(crate) async fn alertmanagers(State(app): State<Arc<App>>) -> Response {
    let active = app.settings.load().alertmanagers.iter().map(|url| BTreeMap::from([("url", url.clone())])).collect();
    success(Alertmanagers { active_alertmanagers: active, dropped_alertmanagers: Vec::new() })
}

/// Unix milliseconds as RFC 3339 in UTC.
pub(crate) fn rfc3339(timestamp_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(timestamp_ms).map(|time| time.to_string()).unwrap_or_default()
}
