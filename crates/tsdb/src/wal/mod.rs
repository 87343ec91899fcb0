//! The write-ahead log.

use model::{Exemplar, Labels, Metadata, SampleValue};

/// A place in the log. Ordered as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WalPosition {
    pub segment: u64,
    /// Byte of a record's start in the segment.
    pub offset: u64,
}

/// What a follower of the log sees, in the order of writing.
#[derive(Clone, Debug, PartialEq)]
pub enum WalEvent {
    Sample { labels: Labels, timestamp_ms: i64, value: SampleValue },
    Exemplar { labels: Labels, exemplar: Exemplar },
    Metadata { family: String, metadata: Metadata },
}

/// Reads the log while it is written. See [`crate::Tsdb::follow`].
pub struct WalFollower {
    position: WalPosition,
}

impl WalFollower {
    /// Where the next read begins; give it to [`crate::Tsdb::follow`] to go on from here after a restart.
    pub fn position(&self) -> WalPosition {
        self.position
    }

    /// Events since the last call, about `events_max` of them (a record is never split); empty when there is nothing new.
    /// Damaged or deleted segments are passed over. Blocks on the disk.
    ///
    /// # Errors
    /// `Io`.
    pub fn read(&mut self, events_max: usize) -> Result<Vec<WalEvent>, storage::StorageError> {
        let _ = events_max;
        todo!()
    }
}
