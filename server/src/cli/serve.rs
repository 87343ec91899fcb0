//! `vigie serve`, with Prometheus' flags where the meaning is the same.

use super::prometheus_flags::UnusedFlags;
use crate::config::features::{self, Enabled};
use crate::http::Receivers;
use crate::supervisor;
use anyhow::{Context, Result, bail};
use clap::{ArgAction, Args};
use std::path::PathBuf;
use std::process::ExitCode;

const BOOL: &str = "true";

/// Flags of the server. Boolean flags also take `=true` and `=false`, as Go's do.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeFlags {
    /// Configuration file. Without it Vigie watches itself and the machine it runs on.
    #[arg(long = "config.file", value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,

    /// Read the configuration again when a file of it changes.
    #[arg(long = "config.auto-reload", num_args = 0..=1, default_missing_value = BOOL, require_equals = true, default_value = "false", action = ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    pub(crate) auto_reload: bool,

    /// How often to look for changes.
    #[arg(long = "config.auto-reload-interval", value_name = "DURATION", default_value = "30s")]
    pub(crate) auto_reload_interval: String,

    /// Where the samples are kept. Default: ./data
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data", hide_default_value = true)]
    pub(crate) storage_path: PathBuf,

    /// How long samples are kept (15d unless given here, by the size flag or in the configuration file).
    #[arg(long = "storage.tsdb.retention.time", value_name = "DURATION")]
    pub(crate) retention_time: Option<String>,

    /// How many bytes the blocks may take, as 512MB; the oldest go first.
    #[arg(long = "storage.tsdb.retention.size", value_name = "SIZE")]
    pub(crate) retention_size: Option<String>,

    /// How often what was written is forced to the disk; `0s` for every time. Survives a power cut but for that time.
    #[arg(long = "storage.sync", value_name = "DURATION", default_value = "1s")]
    pub(crate) storage_sync: String,

    /// Address to listen on.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    pub(crate) listen_address: Vec<String>,

    /// The URL that people reach this server by, for links in notifications; its path is the prefix of all routes.
    #[arg(long = "web.external-url", value_name = "URL")]
    pub(crate) external_url: Option<String>,

    /// Prefix of all routes, if it is not the path of the external URL.
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    pub(crate) route_prefix: Option<String>,

    /// Take samples at POST /api/v1/write.
    #[arg(long = "web.enable-remote-write-receiver", num_args = 0..=1, default_missing_value = BOOL, require_equals = true, default_value = "false", action = ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    pub(crate) enable_remote_write_receiver: bool,

    /// Reload and stop by POST /-/reload and /-/quit.
    #[arg(long = "web.enable-lifecycle", num_args = 0..=1, default_missing_value = BOOL, require_equals = true, default_value = "false", action = ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    pub(crate) enable_lifecycle: bool,

    /// Delete series and take snapshots by /api/v1/admin/tsdb.
    #[arg(long = "web.enable-admin-api", num_args = 0..=1, default_missing_value = BOOL, require_equals = true, default_value = "false", action = ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    pub(crate) enable_admin_api: bool,

    /// Origins that pages of other servers may ask from: a regular expression, anchored.
    #[arg(long = "web.cors.origin", value_name = "REGEX", default_value = ".*")]
    pub(crate) cors_origin: String,

    /// TLS, passwords and headers of this server, in the format that Prometheus and the exporters share.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub(crate) web_config_file: Option<PathBuf>,

    /// The request header in which a proxy in front names the user; places for queries are then shared by users and not
    /// by addresses. Only with a proxy that removes this header from what clients send.
    #[arg(long = "web.user-header", value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) user_header: String,

    /// Connections at one time.
    #[arg(long = "web.max-connections", value_name = "N", default_value_t = 512)]
    pub(crate) max_connections: usize,

    /// How long a client may take to send a request's body.
    #[arg(long = "web.read-timeout", value_name = "DURATION", default_value = "5m")]
    pub(crate) read_timeout: String,

    /// Alertmanager's configuration. Without it alerts are shown, and notify nobody.
    #[arg(long = "alertmanager.config.file", value_name = "FILE")]
    pub(crate) alertmanager_config_file: Option<PathBuf>,

    /// The Blackbox exporter's configuration. Without it the usual modules are there.
    #[arg(long = "blackbox.config.file", value_name = "FILE")]
    pub(crate) blackbox_config_file: Option<PathBuf>,

    /// A folder of dashboards in Grafana's JSON, shown beside those that come with Vigie.
    #[arg(long = "dashboards.path", value_name = "DIR")]
    pub(crate) dashboards_path: Option<PathBuf>,

    /// How far back a sample is looked for.
    #[arg(long = "query.lookback-delta", value_name = "DURATION", default_value = "5m")]
    pub(crate) lookback_delta: String,

    /// How long a query may take.
    #[arg(long = "query.timeout", value_name = "DURATION", default_value = "2m")]
    pub(crate) query_timeout: String,

    /// Queries at one time.
    #[arg(long = "query.max-concurrency", value_name = "N", default_value_t = 20)]
    pub(crate) query_max_concurrency: usize,

    /// Queries that may wait for one of these places; more are refused.
    #[arg(long = "query.max-queue", value_name = "N", default_value_t = 1000)]
    pub(crate) query_max_queue: usize,

    /// How long a query may wait for its place.
    #[arg(long = "query.queue-timeout", value_name = "DURATION", default_value = "2m")]
    pub(crate) query_queue_timeout: String,

    /// Samples that one query may hold in memory.
    #[arg(long = "query.max-samples", value_name = "N", default_value_t = 50_000_000)]
    pub(crate) query_max_samples: usize,

    /// Series that the selectors of one query may read, all together; 0: as many as there are.
    #[arg(long = "query.max-series", value_name = "N", default_value_t = 0)]
    pub(crate) query_max_series: usize,

    /// Memory that the intermediate results of one query may take.
    #[arg(long = "query.max-memory-bytes", value_name = "BYTES", default_value_t = 2 << 30)]
    pub(crate) query_max_memory_bytes: usize,

    /// Memory for the results of range queries, so that a refresh costs what is new; 0: none are kept.
    #[arg(long = "query.result-cache-bytes", value_name = "BYTES", default_value_t = 128 << 20)]
    pub(crate) query_result_cache_bytes: usize,

    /// Features of Prometheus to switch on, divided by commas; may be repeated. docs/command-line.md lists them.
    #[arg(long = "enable-feature", value_name = "NAMES")]
    pub(crate) enable_feature: Vec<String>,

    /// debug, info, warn or error.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: String,

    /// logfmt or json.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub(crate) log_format: String,

    /// Serve the front end from a folder instead of the one inside the program (for those who work on it).
    #[arg(long = "web.front-end", value_name = "DIR", hide = true)]
    pub(crate) front_end: Option<PathBuf>,

    /// Alerts that wait for Alertmanagers; the oldest go first.
    #[arg(long = "alertmanager.notification-queue-capacity", value_name = "N", default_value_t = 10_000)]
    pub(crate) notification_queue_capacity: usize,

    /// Alerts in one request to an Alertmanager.
    #[arg(long = "alertmanager.notification-batch-size", value_name = "N", default_value_t = 256)]
    pub(crate) notification_batch_size: usize,

    /// Send the alerts that wait before stopping, at most ten seconds.
    #[arg(long = "alertmanager.drain-notification-queue-on-shutdown", num_args = 0..=1, default_missing_value = BOOL, require_equals = true, default_value = "true", action = ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    pub(crate) drain_notification_queue: bool,

    /// How long the server may have been down for an alert to go on waiting where it was.
    #[arg(long = "rules.alert.for-outage-tolerance", value_name = "DURATION", default_value = "1h")]
    pub(crate) for_outage_tolerance: String,

    /// Least time between such an alert's return and its firing; of rules whose `for` is longer.
    #[arg(long = "rules.alert.for-grace-period", value_name = "DURATION", default_value = "10m")]
    pub(crate) for_grace_period: String,

    /// How long to wait before a firing alert is sent to Alertmanagers again.
    #[arg(long = "rules.alert.resend-delay", value_name = "DURATION", default_value = "1m")]
    pub(crate) resend_delay: String,

    /// How long remote_write may go on sending when the server stops. What is left is sent after the next start.
    #[arg(long = "storage.remote.flush-deadline", value_name = "DURATION", default_value = "5s")]
    pub(crate) remote_flush_deadline: String,

    /// Samples of one answer to remote read; 0: as many as there are.
    #[arg(long = "storage.remote.read-sample-limit", value_name = "N", default_value = "5e7", value_parser = number)]
    pub(crate) remote_read_sample_limit: usize,

    /// Clients that may listen to notifications at one time.
    #[arg(long = "web.max-notifications-subscribers", value_name = "N", default_value_t = 16)]
    pub(crate) max_notifications_subscribers: usize,

    #[command(flatten)]
    pub(crate) unused: UnusedFlags,
}

impl ServeFlags {
    /// What `--enable-feature` switches on.
    pub(crate) fn enabled(&self) -> Enabled {
        Enabled::read(&self.enable_feature).0
    }

    /// All flags with their values, as `/api/v1/status/flags` shows them.
    pub(crate) fn shown(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
        vec![
            ("alertmanager.config.file", path(&self.alertmanager_config_file)),
            ("alertmanager.drain-notification-queue-on-shutdown", self.drain_notification_queue.to_string()),
            ("alertmanager.notification-batch-size", self.notification_batch_size.to_string()),
            ("alertmanager.notification-queue-capacity", self.notification_queue_capacity.to_string()),
            ("blackbox.config.file", path(&self.blackbox_config_file)),
            ("config.auto-reload", self.auto_reload.to_string()),
            ("config.auto-reload-interval", self.auto_reload_interval.clone()),
            ("config.file", path(&self.config_file)),
            ("dashboards.path", path(&self.dashboards_path)),
            ("enable-feature", self.enable_feature.join(",")),
            ("log.format", self.log_format.clone()),
            ("log.level", self.log_level.clone()),
            ("query.lookback-delta", self.lookback_delta.clone()),
            ("query.max-concurrency", self.query_max_concurrency.to_string()),
            ("query.max-queue", self.query_max_queue.to_string()),
            ("query.max-samples", self.query_max_samples.to_string()),
            ("query.max-series", self.query_max_series.to_string()),
            ("query.max-memory-bytes", self.query_max_memory_bytes.to_string()),
            ("query.queue-timeout", self.query_queue_timeout.clone()),
            ("query.result-cache-bytes", self.query_result_cache_bytes.to_string()),
            ("query.timeout", self.query_timeout.clone()),
            ("rules.alert.for-grace-period", self.for_grace_period.clone()),
            ("rules.alert.for-outage-tolerance", self.for_outage_tolerance.clone()),
            ("rules.alert.resend-delay", self.resend_delay.clone()),
            ("storage.remote.flush-deadline", self.remote_flush_deadline.clone()),
            ("storage.remote.read-sample-limit", self.remote_read_sample_limit.to_string()),
            ("storage.sync", self.storage_sync.clone()),
            ("storage.tsdb.path", self.storage_path.display().to_string()),
            ("storage.tsdb.retention.size", self.retention_size.clone().unwrap_or_else(|| "0B".to_owned())),
            ("storage.tsdb.retention.time", self.retention_time.clone().unwrap_or_else(|| "0s".to_owned())),
            ("web.config.file", path(&self.web_config_file)),
            ("web.cors.origin", self.cors_origin.clone()),
            ("web.enable-admin-api", self.enable_admin_api.to_string()),
            ("web.enable-lifecycle", self.enable_lifecycle.to_string()),
            ("web.enable-remote-write-receiver", self.enable_remote_write_receiver.to_string()),
            ("web.external-url", self.external_url.clone().unwrap_or_default()),
            ("web.listen-address", self.listen_address.join(",")),
            ("web.max-connections", self.max_connections.to_string()),
            ("web.max-notifications-subscribers", self.max_notifications_subscribers.to_string()),
            ("web.read-timeout", self.read_timeout.clone()),
            ("web.route-prefix", self.route_prefix.clone().unwrap_or_else(|| "/".to_owned())),
            ("web.user-header", self.user_header.clone()),
        ]
    }
}

/// A whole number, which may be written as `5e7`.
fn number(text: &str) -> Result<usize, String> {
    let fault = || format!("{text:?} is no whole number, such as 5000 or 5e7");
    text.parse().or_else(|_| match text.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and in the range")]
        Ok(value) if (0.0..=1e15).contains(&value) && value.fract() == 0.0 => Ok(value as usize),
        _ => Err(fault()),
    })
}

/// Reads a duration flag, in milliseconds.
pub(crate) fn duration_flag(name: &str, text: &str) -> Result<i64> {
    model::duration::parse_duration_ms(text).with_context(|| format!("--{name}={text}"))
}

/// Reads a size flag: a number with B, KB, MB, GB, TB, PB or EB, each 1024 times the one before, as Prometheus has it.
pub(crate) fn size_flag(name: &str, text: &str) -> Result<u64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let power = match unit.to_ascii_uppercase().as_str() {
        "B" => 0,
        "KB" | "KIB" => 1,
        "MB" | "MIB" => 2,
        "GB" | "GIB" => 3,
        "TB" | "TIB" => 4,
        "PB" | "PIB" => 5,
        "EB" | "EIB" => 6,
        _ => bail!("--{name}={text}: expected a number with a unit, for example 512MB"),
    };
    let number: u64 = digits.parse().with_context(|| format!("--{name}={text}: {digits:?} is no whole number"))?;
    1024_u64.pow(power).checked_mul(number).with_context(|| format!("--{name}={text}: too large"))
}

/// Starts the server and waits until it is told to stop.
pub(crate) fn run(flags: ServeFlags) -> Result<ExitCode> {
    crate::config::logging::start(&flags.log_level, &flags.log_format)?;
    features::log(&Enabled::read(&flags.enable_feature).1);
    flags.unused.notes().for_each(|note| tracing::warn!("{note}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("vigie").build()?;
    let (receiving, receivers) = Receivers::start()?;
    let done = runtime.block_on(supervisor::run(flags, receivers));
    // Blocking tasks (a query, a look-up of a name) must not hold the exit up.
    receiving.shutdown_timeout(std::time::Duration::from_secs(2));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    done.map(|()| ExitCode::SUCCESS)
}
