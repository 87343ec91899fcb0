//! How an engine is opened, and what it answers about itself.

use model::{Exemplar, Labels, Matcher, Metadata};
use std::{path::PathBuf, sync::Arc, time::Duration};
use storage::StorageError;
use system::Clock;
use telemetry::Registry;

/// Prometheus' 15 days.
pub const RETENTION_MS_DEFAULT: i64 = 15 * 24 * 3_600_000;
/// Length of the blocks that are cut from the head.
pub const BLOCK_RANGE_MS_DEFAULT: i64 = 2 * 3_600_000;
/// As many as Prometheus keeps.
pub const EXEMPLARS_MAX_DEFAULT: usize = 100_000;

/// When the write-ahead log is forced to the disk. In every case an acknowledged write has been handed to the
/// operating system, so that a killed process loses nothing; this is about power failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// By a thread, this often.
    Interval(Duration),
    /// Before every append returns.
    EveryAppend,
}

/// How long the samples of some series are kept. Of several rules of the same resolution, the first that accepts a series
/// counts.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionRule {
    /// As it was written.
    pub selector: String,
    pub matchers: Vec<Matcher>,
    pub keep_ms: i64,
    /// Length of the windows that samples are down-sampled to, in milliseconds, beside those of other rules; `None`: raw
    /// samples, in the place of [`TsdbOptions::retention_ms`]. Twelve block ranges are a multiple of it.
    pub resolution_ms: Option<i64>,
}

/// How long history is kept, and how much of it: may change while the engine runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retention {
    /// As [`TsdbOptions::retention_ms`].
    pub time_ms: i64,
    /// As [`TsdbOptions::retention_bytes`].
    pub bytes: u64,
    /// As [`TsdbOptions::retention_rules`].
    pub rules: Vec<RetentionRule>,
}

/// What [`crate::Tsdb::open`] needs.
#[derive(Clone)]
pub struct TsdbOptions {
    /// Created if absent. One process at a time.
    pub dir: PathBuf,
    /// Blocks whose newest sample is older than the newest block's by this are deleted; 0 keeps all.
    pub retention_ms: i64,
    /// Oldest blocks are deleted while blocks, log and checkpoint are larger than this; 0 for no limit.
    pub retention_bytes: u64,
    /// For which series it is otherwise.
    pub retention_rules: Vec<RetentionRule>,
    pub sync: SyncPolicy,
    /// How far behind the newest sample of the head a sample may be and still be taken; 0: only ascending times.
    pub out_of_order_window_ms: i64,
    /// Length of the first blocks in milliseconds; the others are three times longer each.
    pub block_range_ms: i64,
    /// Longest block that compaction makes; 0: a tenth of the retention, at most 31 days, as Prometheus has it.
    pub block_range_ms_max: i64,
    /// A log segment is closed when it is larger, or when samples of another block come and it has a 32nd of that.
    pub segment_bytes_max: u64,
    /// So much of the log is written, at the least, before the head is told on the disk again, so that a restart reads the
    /// log behind that only; `u64::MAX` for never.
    pub checkpoint_log_bytes: u64,
    /// Exemplars kept in memory, of all series together; 0 keeps none.
    pub exemplars_max: usize,
    pub registry: Registry,
    pub clock: Arc<dyn Clock>,
}

impl TsdbOptions {
    /// Prometheus' defaults, with a new registry and the machine's clock.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        TsdbOptions {
            dir: dir.into(),
            retention_ms: RETENTION_MS_DEFAULT,
            retention_bytes: 0,
            retention_rules: Vec::new(),
            sync: SyncPolicy::Interval(Duration::from_secs(1)),
            out_of_order_window_ms: 0,
            block_range_ms: BLOCK_RANGE_MS_DEFAULT,
            block_range_ms_max: 0,
            segment_bytes_max: 32 << 20,
            checkpoint_log_bytes: 4 << 20,
            exemplars_max: EXEMPLARS_MAX_DEFAULT,
            registry: Registry::new(),
            clock: Arc::new(system::SystemClock),
        }
    }
}

impl TsdbOptions {
    /// What [`crate::Tsdb::set_retention`] may change later.
    pub fn retention(&self) -> Retention {
        let rules = self.retention_rules.clone();
        Retention { time_ms: self.retention_ms, bytes: self.retention_bytes, rules }
    }
}

/// Why an engine does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} is in use by another process (it holds {}/lock); stop that one or choose another folder", dir.display(), dir.display())]
    Locked { dir: PathBuf },
    #[error("{} has blocks or a log of its own; restore into an empty folder", dir.display())]
    NotEmpty { dir: PathBuf },
    #[error("block_range_ms is {0}; it must be at least 1")]
    BlockRange(i64),
    /// Which rule of the retention, and what is wrong with it.
    #[error("{0}")]
    Rule(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What was damaged when the folder was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    /// First byte that cannot be used.
    pub at: u64,
    /// What is wrong and what was done about it.
    pub reason: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}: {}", self.path.display(), self.at, self.reason)
    }
}

/// What `/api/v1/status/tsdb` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TsdbStatus {
    pub series: u64,
    pub label_pairs: u64,
    pub chunks: u64,
    /// Unix milliseconds; `i64::MAX` and `i64::MIN` when the head is empty, as Prometheus has it.
    pub min_time_ms: i64,
    pub max_time_ms: i64,
    /// Largest first; ties by name.
    pub series_by_metric_name: Vec<(String, u64)>,
    pub values_by_label_name: Vec<(String, u64)>,
    pub bytes_by_label_name: Vec<(String, u64)>,
    /// Names are `name=value`.
    pub series_by_label_pair: Vec<(String, u64)>,
}

/// One block on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    pub ulid: String,
    pub min_time_ms: i64,
    /// Exclusive.
    pub max_time_ms: i64,
    pub series: u64,
    pub samples: u64,
    pub chunks: u64,
    pub bytes: u64,
    /// 1 for a block cut from the head.
    pub compaction_level: u32,
    /// Length of its windows in milliseconds, if it is down-sampled.
    pub resolution_ms: Option<i64>,
    pub tombstones: u64,
}

/// Exemplars of one series, ascending in time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    pub labels: Labels,
    pub exemplars: Vec<Exemplar>,
}

/// Type, help and unit by metric family.
pub type MetadataMap = std::collections::BTreeMap<String, Metadata>;
