//! The storage engine: write-ahead log, head, blocks, retention. The formats are drawn in `FORMAT.md`.

mod db;
mod options;
mod wal;

pub use db::Tsdb;
pub use options::{
    BLOCK_RANGE_MS_DEFAULT, BlockInfo, Damage, EXEMPLARS_MAX_DEFAULT, MetadataMap, OpenError, RETENTION_MS_DEFAULT,
    SeriesExemplars, SyncPolicy, TsdbOptions, TsdbStatus,
};
pub use wal::{WalEvent, WalFollower, WalPosition};
