//! What the engine counts, under Prometheus' names where the meaning is the same.

use crate::{append::Kinds, wal::WalMetrics};
use storage::AppendReport;
use telemetry::{Counter, Gauge, Histogram, Registry};

pub(crate) struct Metrics {
    pub(crate) floats_appended: Counter,
    pub(crate) histograms_appended: Counter,
    late_appended: ByKind,
    pub(crate) folded: Counter,
    out_of_order: ByKind,
    pub(crate) out_of_bounds: Counter,
    too_old: Counter,
    pub(crate) duplicate: Counter,
    series_created: Counter,
    pub(crate) series_removed: Counter,
    pub(crate) chunks_removed: Counter,
    pub(crate) head_truncations: Counter,
    pub(crate) compactions: Counter,
    pub(crate) compactions_failed: Counter,
    pub(crate) vertical_compactions: Counter,
    pub(crate) compaction_seconds: Histogram,
    pub(crate) wal_truncations: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) checkpoints_failed: Counter,
    pub(crate) wal_corruptions: Counter,
    pub(crate) time_retentions: Counter,
    pub(crate) size_retentions: Counter,
    pub(crate) unshipped_deleted: Counter,
    pub(crate) held_blocks: Gauge,
    pub(crate) exemplars_appended: Counter,
    pub(crate) exemplars_out_of_order: Counter,
    pub(crate) wal: WalMetrics,
}

/// A counter for each kind of samples.
struct ByKind {
    floats: Counter,
    histograms: Counter,
}

impl ByKind {
    fn new(registry: &Registry, name: &str, help: &str) -> Self {
        let typed = |kind: &str| registry.counter(name, help, &[("type", kind)]);
        ByKind { floats: typed("float"), histograms: typed("histogram") }
    }

    fn add(&self, by: &Kinds) {
        for (counter, by) in [(&self.floats, by.floats), (&self.histograms, by.histograms)] {
            if by > 0 {
                counter.add(by as f64);
            }
        }
    }
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let plain = |name: &str, help: &str| registry.counter(name, help, &[]);
        let typed = |name: &str, help: &str, kind: &str| registry.counter(name, help, &[("type", kind)]);
        let appended = "Samples appended to the head.";
        Metrics {
            floats_appended: typed("prometheus_tsdb_head_samples_appended_total", appended, "float"),
            histograms_appended: typed("prometheus_tsdb_head_samples_appended_total", appended, "histogram"),
            late_appended: ByKind::new(
                registry,
                "prometheus_tsdb_head_out_of_order_samples_appended_total",
                "Samples appended thanks to the out-of-order window.",
            ),
            folded: plain(
                "vigie_cardinality_folded_samples_total",
                "Samples added to sums, for their series are beyond a budget.",
            ),
            out_of_order: ByKind::new(
                registry,
                "prometheus_tsdb_out_of_order_samples_total",
                "Samples refused because their series has newer ones.",
            ),
            out_of_bounds: typed(
                "prometheus_tsdb_out_of_bound_samples_total",
                "Samples refused because they are older than the head takes.",
                "float",
            ),
            too_old: typed(
                "prometheus_tsdb_too_old_samples_total",
                "Samples refused because they are older than the out-of-order window.",
                "float",
            ),
            duplicate: plain(
                "vigie_tsdb_duplicate_samples_total",
                "Samples left out because their time has another value already.",
            ),
            series_created: plain("prometheus_tsdb_head_series_created_total", "Series created in the head."),
            series_removed: plain("prometheus_tsdb_head_series_removed_total", "Series that the head forgot."),
            chunks_removed: plain(
                "prometheus_tsdb_head_chunks_removed_total",
                "Chunks of the head that are in blocks now.",
            ),
            checkpoints: plain(
                "prometheus_tsdb_checkpoint_creations_total",
                "Times that the head was written as a checkpoint.",
            ),
            checkpoints_failed: plain(
                "prometheus_tsdb_checkpoint_creations_failed_total",
                "Checkpoints that could not be written.",
            ),
            head_truncations: plain("prometheus_tsdb_head_truncations_total", "Times that the head was shortened."),
            compactions: plain(
                "prometheus_tsdb_compactions_total",
                "Blocks written from the head or from other blocks.",
            ),
            compactions_failed: plain("prometheus_tsdb_compactions_failed_total", "Blocks that could not be written."),
            vertical_compactions: plain(
                "prometheus_tsdb_vertical_compactions_total",
                "Compactions of overlapping blocks.",
            ),
            compaction_seconds: registry.histogram(
                "prometheus_tsdb_compaction_duration_seconds",
                "Time to write a block.",
                &[],
                &[0.1, 1.0, 10.0, 60.0, 600.0],
            ),
            wal_truncations: plain("prometheus_tsdb_wal_truncations_total", "Times that the log was shortened."),
            wal_corruptions: plain("prometheus_tsdb_wal_corruptions_total", "Damaged places found in log and blocks."),
            time_retentions: plain("prometheus_tsdb_time_retentions_total", "Blocks deleted because of their age."),
            size_retentions: plain(
                "prometheus_tsdb_size_retentions_total",
                "Blocks deleted because of the size limit.",
            ),
            unshipped_deleted: plain(
                "vigie_tsdb_unshipped_blocks_deleted_total",
                "Blocks deleted because of the size limit before all of them was shipped to object storage.",
            ),
            held_blocks: registry.gauge(
                "vigie_tsdb_retention_held_blocks",
                "Blocks older than the retention that are still to be shipped to object storage.",
                &[],
            ),
            exemplars_appended: plain("prometheus_tsdb_exemplar_exemplars_appended_total", "Exemplars appended."),
            exemplars_out_of_order: plain(
                "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
                "Exemplars refused because their series has newer ones.",
            ),
            wal: WalMetrics {
                fsync_seconds: registry.histogram(
                    "prometheus_tsdb_wal_fsync_duration_seconds",
                    "Time to force the log to the disk.",
                    &[],
                    &[0.001, 0.01, 0.1, 1.0, 10.0],
                ),
                writes_failed: plain("prometheus_tsdb_wal_writes_failed_total", "Writes to the log that failed."),
            },
        }
    }

    pub(crate) fn count_kinds(&self, late: &Kinds, out_of_order: &Kinds) {
        self.late_appended.add(late);
        self.out_of_order.add(out_of_order);
    }

    pub(crate) fn count(&self, report: &AppendReport) {
        for (counter, by) in [
            (&self.duplicate, report.samples_duplicate),
            (&self.too_old, report.samples_too_old),
            (&self.series_created, report.series_created),
            (&self.exemplars_appended, report.exemplars_appended),
        ] {
            if by > 0 {
                counter.add(by as f64);
            }
        }
    }
}
