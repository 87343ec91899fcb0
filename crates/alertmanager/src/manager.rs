//! The running part: joins store, dispatcher, silences and notification log.

use crate::{config::Config, notify::Delivery};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What happened, for the event record. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A notification was sent, or given up after its retries.
    Notification {
        at_ms: i64,
        receiver: String,
        /// Name and index of the integration, as `webhook[0]`.
        integration: String,
        group_key: String,
        /// Number of alerts in it.
        alerts_firing: usize,
        alerts_resolved: usize,
        /// Empty when it was delivered.
        error: String,
    },
    /// A silence was created, replaced or expired.
    Silence { at_ms: i64, id: String, state: String, created_by: String, comment: String },
}

/// Where events go; called from tasks, must not block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// All that an Alertmanager needs from outside.
#[derive(Clone)]
pub struct AlertmanagerOptions {
    pub config: Config,
    /// Folder of silences and notification log; `None`: nothing survives the process.
    pub data_dir: Option<PathBuf>,
    /// URL that links in notifications start with, without a slash at the end.
    pub external_url: String,
    pub clock: Arc<dyn system::Clock>,
    pub registry: telemetry::Registry,
    /// How long expired silences and the notification log are kept; upstream: 120 h.
    pub retention: Duration,
    pub version: api::alerts::VersionInfo,
    /// How HTTP requests and mails leave: [`crate::notify::network`] but in tests.
    pub delivery: Arc<dyn Delivery>,
    pub events: Option<EventSink>,
}

/// Why an Alertmanager does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Config(String),
}

/// A running Alertmanager. Clones share it.
#[derive(Clone)]
pub struct Alertmanager {}

impl Alertmanager {
    /// Reads what is on disk and starts the timers; call it inside a tokio runtime.
    ///
    /// # Errors
    /// Files that cannot be read, templates or receivers that cannot be built.
    pub fn start(options: AlertmanagerOptions) -> Result<Alertmanager, StartError> {
        let _ = options;
        unimplemented!()
    }

    /// Takes a new configuration: groups start anew, what was notified is not notified again.
    ///
    /// # Errors
    /// Templates or receivers that cannot be built; the old configuration stays.
    pub fn reload(&self, config: Config) -> Result<(), StartError> {
        let _ = config;
        unimplemented!()
    }

    /// Takes alerts from rules. Never blocks.
    pub fn push_alerts(&self, alerts: Vec<model::Alert>) {
        let _ = alerts;
        unimplemented!()
    }

    /// Stops timers, waits for notifications under way (at most 10 s) and writes everything to disk.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
}
