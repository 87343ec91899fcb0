//! The storage engine: write-ahead log, head, blocks, retention. The formats are drawn in `FORMAT.md`.

mod append;
mod block;
mod bytes;
mod cardinality;
mod check;
mod checkpoint;
pub mod codec;
mod compact;
mod db;
#[cfg(test)]
mod disk;
mod files;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod head;
mod histogram_sum;
mod import;
#[cfg(test)]
mod killed;
mod maintain;
mod metrics;
mod options;
mod postings;
mod query;
mod restore;
mod tier;
mod wal;

pub use cardinality::{BudgetKind, CardinalityBudgets, OVERFLOW_LABEL, OverBudget};
pub use check::{Repair, Repaired, Verification, repair, verify};
pub use db::Tsdb;
pub use import::BlockImport;
pub use options::{
    BLOCK_RANGE_MS_DEFAULT, BlockInfo, Damage, EXEMPLARS_MAX_DEFAULT, MetadataMap, OpenError, RETENTION_MS_DEFAULT,
    Retention, RetentionRule, SeriesExemplars, SyncPolicy, TsdbOptions, TsdbStatus,
};
pub use restore::restore;
pub use wal::{WalEvent, WalFollower, WalPosition};
