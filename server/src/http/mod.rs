//! HTTP: routes, parameters, answers. Nothing but this knows axum.

pub(crate) mod api_v1;
mod api_v2;
pub(crate) mod body_in_time;
mod dashboards;
mod error;
mod federate;
mod go;
mod health;
mod markdown;
mod methods;
mod metrics;
mod ndjson;
pub(crate) mod params;
mod probe;
pub(crate) mod queries;
mod request_line;
mod router;
pub(crate) mod serve;
mod static_files;
pub(crate) mod web_config;
mod workers;

pub(crate) use api_v1::remote_write::Receivers;
pub(crate) use metrics::{HttpMetrics, register_process};
pub(crate) use router::router;
pub(crate) use static_files::FrontEnd;
pub(crate) use workers::Workers;

use crate::cli::ServeFlags;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// What every handler may need.
pub(crate) struct App {
    pub(crate) flags: ServeFlags,
    pub(crate) clock: Arc<dyn system::Clock>,
    /// Unix milliseconds.
    pub(crate) started_at_ms: i64,
    pub(crate) registry: telemetry::Registry,
    pub(crate) tsdb: Arc<tsdb::Tsdb>,
    pub(crate) receiver: remote::receive::Receiver,
    pub(crate) receivers: Receivers,
    /// Our engine and the servers that are read from, merged.
    pub(crate) queryable: Arc<dyn storage::Queryable>,
    pub(crate) engine: Arc<promql::Engine>,
    /// Steps of range queries over `queryable`.
    pub(crate) result_cache: Option<Arc<promql::ResultCache>>,
    /// What runs and what waits to run.
    pub(crate) queries: Arc<queries::Queries>,
    /// Where queries run.
    pub(crate) workers: Workers,
    pub(crate) query_log: Arc<queries::log::QueryLog>,
    pub(crate) scrape: Arc<scrape::ScrapeManager>,
    pub(crate) rules: Arc<rules::RuleManager>,
    pub(crate) alertmanager: alertmanager::Alertmanager,
    pub(crate) blackbox: blackbox::Handler,
    pub(crate) blackbox_config: Arc<ArcSwap<blackbox::Config>>,
    pub(crate) dashboards: Arc<dashboard_store::DashboardStore>,
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) lifecycle: Arc<dyn Lifecycle>,
    /// True when the server is about to end.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Places for those who wait for notifications.
    pub(crate) listeners: Arc<Semaphore>,
    /// How long a client may take to send a body.
    pub(crate) read_timeout: Duration,
    pub(crate) front_end: FrontEnd,
    pub(crate) metrics: HttpMetrics,
}

/// What the configuration file says to handlers; replaced as a whole by a reload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The file as it was read, secrets hidden.
    pub(crate) config_text: String,
    pub(crate) external_labels: model::Labels,
    pub(crate) reloaded_at_ms: i64,
    pub(crate) reload_ok: bool,
    /// When a reload failed last.
    pub(crate) reload_failed_at_ms: i64,
    /// For people: `15d`, `512MiB`.
    pub(crate) retention: String,
    /// The shortest scrape interval, for `$__rate_interval`.
    pub(crate) scrape_interval_ms: i64,
    /// Alertmanagers that alerts go to besides our own.
    pub(crate) alertmanagers: Vec<String>,
}

/// What the supervisor does when it is asked.
pub(crate) trait Lifecycle: Send + Sync {
    /// Reads the configuration again; a bad file keeps the running one.
    fn reload(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
    /// Starts the shutdown.
    fn stop(&self);
}
