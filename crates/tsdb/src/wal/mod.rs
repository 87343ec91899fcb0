//! The write-ahead log: numbered segments of records, each of which can be read without its predecessors.

mod follow;
mod reading;
pub(crate) mod record;
pub(crate) mod recovery;
pub(crate) mod segment;
pub(crate) mod value;
mod writer;

pub use follow::{WalEvent, WalFollower};
pub(crate) use writer::{Batch, SegmentInfo, WalMetrics, WalWriter};

/// A place in the log. Ordered as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WalPosition {
    pub segment: u64,
    /// Byte of a record's start in the segment.
    pub offset: u64,
}
