//! The engine as a whole.

use crate::{
    BlockInfo, Damage, MetadataMap, OpenError, SeriesExemplars, TsdbOptions, TsdbStatus, WalFollower, WalPosition,
};
use model::{Labels, Matcher, Metadata};
use std::{path::Path, sync::Arc};
use storage::{AppendReport, Ingest, Layout, Querier, Queryable, Row, SeriesSamples, StorageError};

/// An open folder of series.
///
/// Threads: every call may block on the disk. `append_*` calls wait for each other and for nothing else;
/// `maintain`, `snapshot` and `clean_tombstones` take as long as the blocks they write and hold back neither appends nor reads.
pub struct Tsdb {}

impl Tsdb {
    /// Opens the folder, replays its log and loads its blocks. What is damaged is left out, logged and kept in [`Tsdb::damage`].
    ///
    /// # Errors
    /// `Locked` when another process has it open, `Io` when it cannot be read or written.
    pub fn open(options: TsdbOptions) -> Result<Arc<Tsdb>, OpenError> {
        let _ = options;
        todo!()
    }

    /// One step of what has to be done from time to time: cuts blocks from the head, shortens the log, compacts,
    /// applies the retention, frees memory of unused indexes. Call it every minute from a thread of its own.
    ///
    /// # Errors
    /// `Io` when a block cannot be written; nothing is lost, the next call tries again.
    pub fn maintain(&self) -> Result<(), StorageError> {
        todo!()
    }

    /// Numbers about the head, with the largest `limit` of each list (Prometheus shows 10).
    pub fn status(&self, limit: usize) -> TsdbStatus {
        let _ = limit;
        todo!()
    }

    /// Blocks, oldest first.
    pub fn blocks(&self) -> Vec<BlockInfo> {
        todo!()
    }

    /// What was found damaged since the folder was opened.
    pub fn damage(&self) -> Vec<Damage> {
        todo!()
    }

    /// Type, help and unit of all families ever noted.
    pub fn metadata(&self) -> MetadataMap {
        todo!()
    }

    /// Exemplars between two times, both inclusive, of the series that any of the matcher lists accepts.
    ///
    /// # Errors
    /// `BadMatcher`.
    pub fn exemplars(
        &self,
        start_ms: i64,
        end_ms: i64,
        selectors: &[Vec<Matcher>],
    ) -> Result<Vec<SeriesExemplars>, StorageError> {
        let _ = (start_ms, end_ms, selectors);
        todo!()
    }

    /// Deletes the samples of the accepted series between two times, both inclusive. They are gone for readers
    /// that come after; the disk is freed by [`Tsdb::clean_tombstones`] or by compaction.
    ///
    /// # Errors
    /// `BadMatcher`, `Unavailable`, `Io`.
    pub fn delete_series(&self, start_ms: i64, end_ms: i64, matchers: &[Matcher]) -> Result<(), StorageError> {
        let _ = (start_ms, end_ms, matchers);
        todo!()
    }

    /// Rewrites the blocks that hold deleted samples.
    ///
    /// # Errors
    /// `Io`.
    pub fn clean_tombstones(&self) -> Result<(), StorageError> {
        todo!()
    }

    /// Writes a copy that can be opened on its own into `dir`, which must not exist: blocks as hard links where the
    /// file system allows it, the head (unless `skip_head`) as a block.
    ///
    /// # Errors
    /// `Io`.
    pub fn snapshot(&self, dir: &Path, skip_head: bool) -> Result<(), StorageError> {
        let _ = (dir, skip_head);
        todo!()
    }

    /// The end of the log.
    pub fn wal_end(&self) -> WalPosition {
        todo!()
    }

    /// A follower of the log that begins at `from`, or at the oldest segment if `from` was deleted meanwhile.
    pub fn follow(&self, from: WalPosition) -> WalFollower {
        let _ = from;
        todo!()
    }

    /// Forces the log to the disk and ends the thread. Appends after this are refused; reads go on. Dropping does the same.
    ///
    /// # Errors
    /// `Io`.
    pub fn close(&self) -> Result<(), StorageError> {
        todo!()
    }
}

impl Ingest for Tsdb {
    fn layout(&self, series: &[Labels]) -> Result<Layout, StorageError> {
        let _ = series;
        todo!()
    }

    fn append_rows(&self, rows: &[Row<'_>]) -> Result<AppendReport, StorageError> {
        let _ = rows;
        todo!()
    }

    fn append_series(&self, series: &[SeriesSamples]) -> Result<AppendReport, StorageError> {
        let _ = series;
        todo!()
    }

    fn append_metadata(&self, metadata: &[(String, Metadata)]) -> Result<(), StorageError> {
        let _ = metadata;
        todo!()
    }
}

impl Queryable for Tsdb {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        let _ = (start_ms, end_ms);
        todo!()
    }
}
