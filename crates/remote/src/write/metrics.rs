//! What a queue counts, under Prometheus' names.

use super::RemoteWriteConfig;
use telemetry::{Counter, Gauge, Histogram, Registry};

pub(super) struct Metrics {
    pub(super) samples: Counter,
    pub(super) histograms: Counter,
    pub(super) exemplars: Counter,
    pub(super) metadata: Counter,
    pub(super) failed: Counter,
    pub(super) retried: Counter,
    pub(super) dropped_relabel: Counter,
    pub(super) dropped_too_old: Counter,
    pub(super) dropped_unwanted: Counter,
    pub(super) bytes: Counter,
    pub(super) pending: Gauge,
    pub(super) shards: Gauge,
    pub(super) highest_sent_seconds: Gauge,
    pub(super) highest_read_seconds: Gauge,
    pub(super) send_seconds: Histogram,
}

impl Metrics {
    pub(super) fn new(registry: &Registry, name: &str, config: &RemoteWriteConfig) -> Self {
        let own = [("remote_name", name), ("url", config.url.as_str())];
        let counter =
            |metric: &str, help: &str| registry.counter(&format!("prometheus_remote_storage_{metric}"), help, &own);
        let gauge =
            |metric: &str, help: &str| registry.gauge(&format!("prometheus_remote_storage_{metric}"), help, &own);
        let dropped = |reason: &str| {
            let labels = [own[0], own[1], ("reason", reason)];
            registry.counter(
                "prometheus_remote_storage_samples_dropped_total",
                "Samples that were not sent on purpose.",
                &labels,
            )
        };
        gauge("shards_max", "Most shards.").set(config.queue_config.max_shards as f64);
        gauge("shards_min", "Fewest shards.").set(config.queue_config.min_shards as f64);
        gauge("shard_capacity", "Samples that wait in a shard at most.").set(config.queue_config.capacity as f64);
        gauge("max_samples_per_send", "Samples in a request at most.")
            .set(config.queue_config.max_samples_per_send as f64);
        Metrics {
            samples: counter("samples_total", "Samples sent."),
            histograms: counter("histograms_total", "Native histograms sent."),
            exemplars: counter("exemplars_total", "Exemplars sent."),
            metadata: counter("metadata_total", "Metadata entries sent."),
            failed: counter("samples_failed_total", "Samples that the receiver refused for good."),
            retried: counter("samples_retried_total", "Samples that were sent again after a failure."),
            dropped_relabel: dropped("dropped_series"),
            dropped_too_old: dropped("too_old"),
            dropped_unwanted: dropped("native_histogram_or_exemplar_not_enabled"),
            bytes: counter("bytes_total", "Bytes of samples sent, compressed."),
            pending: gauge("samples_pending", "Samples read from the log and not sent yet."),
            shards: gauge("shards", "Shards that send."),
            highest_sent_seconds: gauge("queue_highest_sent_timestamp_seconds", "Time of the newest sample sent."),
            highest_read_seconds: gauge(
                "queue_highest_timestamp_seconds",
                "Time of the newest sample read from the log.",
            ),
            send_seconds: registry.histogram(
                "prometheus_remote_storage_sent_batch_duration_seconds",
                "Time of a request, failed ones included.",
                &own,
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0],
            ),
        }
    }
}
