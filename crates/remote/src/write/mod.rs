//! Sending what the engine's log holds to another server.

mod encode;
mod follow;
mod metrics;
mod shard;

use crate::ConfigDuration;
use http_client::{ConfigFault, HttpClient, HttpClientError};
use model::Labels;
use relabel::{RelabelConfig, Rules};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use system::Clock;
use telemetry::Registry;
use tsdb::Tsdb;

/// The message that the first version of the protocol sends.
pub const MESSAGE_1: &str = "prometheus.WriteRequest";
/// The message of the second version.
pub const MESSAGE_2: &str = "io.prometheus.write.v2.Request";

http_client::with_http_client_fields! {
    /// One entry of `remote_write`, as written.
    #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct RemoteWriteConfig {
        /// Where samples are sent.
        pub url: String,
        /// Unique among the remote_write sections; made from the URL if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// `prometheus.WriteRequest` (if absent) or `io.prometheus.write.v2.Request`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub protobuf_message: Option<String>,
        /// 30s if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub remote_timeout: Option<ConfigDuration>,
        /// Sent with every request.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub headers: BTreeMap<String, String>,
        /// Applied to series, with external labels, before they are sent.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub write_relabel_configs: Vec<RelabelConfig>,
        pub send_exemplars: bool,
        pub send_native_histograms: bool,
        /// Taken and without effect: the resolver's order is used.
        pub round_robin_dns: bool,
        /// Known, and refused: not supported.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub sigv4: Option<BTreeMap<String, String>>,
        /// Known, and refused: not supported.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub azuread: Option<AnyMap>,
        /// Known, and refused: not supported.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub google_iam: Option<BTreeMap<String, String>>,
        pub queue_config: QueueConfig,
        pub metadata_config: MetadataConfig,
    }
}

/// A section whose keys are not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnyMap;

impl<'de> serde::Deserialize<'de> for AnyMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| AnyMap)
    }
}

impl serde::Serialize for AnyMap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde::ser::SerializeMap::end(serializer.serialize_map(Some(0))?)
    }
}

/// `queue_config`: how samples are gathered into requests.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// Samples that wait in each shard.
    pub capacity: usize,
    pub max_shards: usize,
    pub min_shards: usize,
    pub max_samples_per_send: usize,
    /// Longest wait for a full request.
    pub batch_send_deadline: ConfigDuration,
    /// First pause after a failed request; doubles up to `max_backoff`.
    pub min_backoff: ConfigDuration,
    pub max_backoff: ConfigDuration,
    pub retry_on_http_429: bool,
    /// Older samples are not sent; 0s: all are.
    pub sample_age_limit: ConfigDuration,
}

fn duration(text: &str) -> ConfigDuration {
    ConfigDuration::try_from(text.to_owned()).expect("the defaults are durations")
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2000,
            batch_send_deadline: duration("5s"),
            min_backoff: duration("30ms"),
            max_backoff: duration("5s"),
            retry_on_http_429: false,
            sample_age_limit: duration("0s"),
        }
    }
}

/// `metadata_config`: types, helps and units, which are sent apart from the samples.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetadataConfig {
    pub send: bool,
    pub send_interval: ConfigDuration,
    pub max_samples_per_send: usize,
}

impl Default for MetadataConfig {
    fn default() -> Self {
        MetadataConfig { send: true, send_interval: duration("1m"), max_samples_per_send: 2000 }
    }
}

impl RemoteWriteConfig {
    /// Everything that is wrong in the section.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = self.http_client_config().faults();
        let mut fault = |path: &str, message: String| faults.push(ConfigFault::new(path, message));
        if self.url.is_empty() {
            fault("url", "url for remote_write is empty".into());
        }
        if let Some(message) = &self.protobuf_message
            && message != MESSAGE_1
            && message != MESSAGE_2
        {
            fault(
                "protobuf_message",
                format!("unknown remote write protobuf message {message}, supported: {MESSAGE_1}, {MESSAGE_2}"),
            );
        }
        for (path, given) in [
            ("sigv4", self.sigv4.is_some()),
            ("azuread", self.azuread.is_some()),
            ("google_iam", self.google_iam.is_some()),
        ] {
            if given {
                fault(
                    path,
                    format!("{path} is not supported; use basic_auth, authorization, oauth2 or TLS certificates"),
                );
            }
        }
        for name in self.headers.keys() {
            let reserved = [
                "authorization",
                "host",
                "content-encoding",
                "content-length",
                "content-type",
                "x-prometheus-remote-write-version",
                "user-agent",
                "connection",
                "keep-alive",
                "proxy-authenticate",
                "proxy-authorization",
                "www-authenticate",
                "accept-encoding",
            ];
            if reserved.contains(&name.to_ascii_lowercase().as_str()) {
                fault("headers", format!("{name} is a reserved header. It must not be changed"));
            }
        }
        let queue = &self.queue_config;
        for (path, value) in [
            ("queue_config.capacity", queue.capacity),
            ("queue_config.max_shards", queue.max_shards),
            ("queue_config.min_shards", queue.min_shards),
            ("queue_config.max_samples_per_send", queue.max_samples_per_send),
            ("metadata_config.max_samples_per_send", self.metadata_config.max_samples_per_send),
        ] {
            if value == 0 {
                fault(path, "must be at least 1".into());
            }
        }
        if queue.min_shards > queue.max_shards {
            fault(
                "queue_config.min_shards",
                format!("min_shards {} exceeds max_shards {}", queue.min_shards, queue.max_shards),
            );
        }
        if let Err(errors) = Rules::new(&self.write_relabel_configs) {
            for (at, error) in errors {
                fault(&format!("write_relabel_configs[{at}]"), error.to_string());
            }
        }
        faults
    }

    /// The name, given or made.
    pub fn resolved_name(&self) -> String {
        self.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| crate::default_name(&self.url))
    }
}

/// What a queue needs beside its configuration.
#[derive(Clone)]
pub struct RemoteWriteOptions {
    pub tsdb: Arc<Tsdb>,
    /// `global.external_labels`.
    pub external_labels: Labels,
    /// Folder for the queue's position in the log; created if absent.
    pub dir: PathBuf,
    pub registry: Registry,
    pub clock: Arc<dyn Clock>,
}

/// Why a queue cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum RemoteWriteError {
    #[error("remote_write {name:?}: {reason}")]
    Config { name: String, reason: String },
    #[error(transparent)]
    Http(#[from] HttpClientError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// A running queue of one `remote_write` section. It follows the log from where the last process stopped, so that
/// neither a restart nor an outage of the receiver loses what the log still holds.
pub struct RemoteWrite {
    stop: Arc<AtomicBool>,
    stop_shards: tokio::sync::watch::Sender<bool>,
    reader: Option<std::thread::JoinHandle<()>>,
    metadata: tokio::task::JoinHandle<()>,
}

impl RemoteWrite {
    /// Starts the queue inside a tokio runtime: a thread that reads the log, and tasks that send.
    ///
    /// # Errors
    /// When the section has faults or the thread cannot be started.
    pub fn start(config: RemoteWriteConfig, options: RemoteWriteOptions) -> Result<RemoteWrite, RemoteWriteError> {
        let name = config.resolved_name();
        if let Some(fault) = config.faults().into_iter().next() {
            return Err(RemoteWriteError::Config { name, reason: format!("{}: {}", fault.path, fault.message) });
        }
        let client = HttpClient::new(&config.http_client_config())?;
        std::fs::create_dir_all(&options.dir)
            .map_err(|source| RemoteWriteError::Io { path: options.dir.clone(), source })?;
        let metrics = metrics::Metrics::new(&options.registry, &name, &config);
        let stop = Arc::new(AtomicBool::new(false));
        let (stop_shards, stopping) = tokio::sync::watch::channel(false);
        let sender = Arc::new(shard::Sender {
            client,
            version_2: config.protobuf_message.as_deref() == Some(MESSAGE_2),
            config,
            metrics,
            name,
            tsdb: Arc::clone(&options.tsdb),
            clock: Arc::clone(&options.clock),
            stopping,
        });
        let reader = follow::Reader::new(Arc::clone(&sender), options, Arc::clone(&stop));
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new()
            .name("remote-write".into())
            .spawn(move || reader.run(&runtime))
            .map_err(|source| RemoteWriteError::Io { path: PathBuf::from("thread"), source })?;
        let metadata = tokio::spawn(sender.send_metadata_forever());
        Ok(RemoteWrite { stop, stop_shards, reader: Some(thread), metadata })
    }

    /// Ends the queue. What the log holds gets `deadline` to be sent; the rest is sent by the next queue of this name
    /// and URL.
    pub async fn stop(mut self, deadline: Duration) {
        self.stop.store(true, Ordering::Release);
        self.metadata.abort();
        let Some(reader) = self.reader.take() else { return };
        let mut joined = tokio::task::spawn_blocking(move || reader.join());
        if tokio::time::timeout(deadline, &mut joined).await.is_err() {
            let _ = self.stop_shards.send(true);
            let _ = joined.await;
        }
    }
}

impl Drop for RemoteWrite {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.stop_shards.send(true);
        self.metadata.abort();
    }
}
