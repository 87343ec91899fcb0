//! Appending to the log, forcing it to the disk, deleting what blocks hold.

use super::{
    WalPosition,
    segment::{self, MAGIC, segment_path},
};
use crate::{
    SyncPolicy,
    files::{self, sync_dir},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Instant,
};
use storage::StorageError;
use telemetry::{Counter, Histogram};

/// A segment that ends at a border of blocks has at least this part of the bytes of a full one: times that leap must not
/// make files without end.
const BORDER_SHARE: u64 = 32;

/// What is known of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentInfo {
    pub(crate) bytes: u64,
    /// Time of its newest sample; `i64::MIN` if it has none.
    pub(crate) max_ms: i64,
}

/// Numbers that the log counts itself.
#[derive(Clone, Debug)]
pub(crate) struct WalMetrics {
    pub(crate) fsync_seconds: Histogram,
    pub(crate) writes_failed: Counter,
}

/// The writing end. One exists per open folder, behind the lock of the appends.
pub(crate) struct WalWriter {
    dir: PathBuf,
    /// `None`: the last write failed, the next one begins a new segment.
    file: Option<Arc<File>>,
    current: u64,
    segments: BTreeMap<u64, SegmentInfo>,
    segment_bytes_max: u64,
    sync: SyncPolicy,
    syncer: Arc<Syncer>,
    thread: Option<JoinHandle<()>>,
    metrics: WalMetrics,
    /// Writes refused since the last one that was taken.
    refused: u64,
    closed: bool,
}

/// What the writer and the thread that forces the log to the disk share.
struct Syncer {
    state: Mutex<SyncState>,
    wake: Condvar,
}

#[derive(Default)]
struct SyncState {
    /// Written to and not forced yet.
    dirty: Option<Arc<File>>,
    stop: bool,
    /// The disk refused: the segment must not be trusted to take more.
    failed: Option<String>,
}

impl Syncer {
    fn lock(&self) -> MutexGuard<'_, SyncState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WalWriter {
    /// Goes on behind the given segments, and behind number `number_min`. The first append makes the new file.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn new(
        dir: &Path,
        segments: BTreeMap<u64, SegmentInfo>,
        number_min: u64,
        segment_bytes_max: u64,
        sync: SyncPolicy,
        metrics: WalMetrics,
    ) -> io::Result<Self> {
        let syncer = Arc::new(Syncer { state: Mutex::default(), wake: Condvar::new() });
        let thread = match sync {
            SyncPolicy::EveryAppend => None,
            SyncPolicy::Interval(interval) => {
                let (syncer, metrics) = (Arc::clone(&syncer), metrics.clone());
                let body = move || {
                    let mut state = syncer.lock();
                    while !state.stop {
                        let waited = syncer.wake.wait_timeout(state, interval);
                        state = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
                        if let Some(file) = state.dirty.take() {
                            drop(state);
                            let outcome = timed_sync(&file, &metrics);
                            state = syncer.lock();
                            if let Err(error) = outcome {
                                state.failed = Some(error.to_string());
                            }
                        }
                    }
                };
                Some(std::thread::Builder::new().name("wal-sync".into()).spawn(body)?)
            }
        };
        let current = segments.keys().next_back().copied().unwrap_or(0).max(number_min);
        Ok(WalWriter {
            dir: dir.to_owned(),
            file: None,
            current,
            segments,
            segment_bytes_max,
            sync,
            syncer,
            thread,
            metrics,
            refused: 0,
            closed: false,
        })
    }

    /// Makes sure that a segment is open that can take more, and tells its number. Records that depend on others
    /// (a row on its layout) must find them in the same segment. Behind a segment whose samples are all older than
    /// `border_ms` a new one is begun, unless it is small: what is behind the border stays in the log for longer.
    ///
    /// # Errors
    /// `Unavailable` with the reason.
    pub(crate) fn prepare(&mut self, border_ms: i64) -> Result<u64, StorageError> {
        if self.closed {
            return Err(StorageError::Unavailable { reason: "the storage is closed".into() });
        }
        if let Some(reason) = self.syncer.lock().failed.take() {
            tracing::error!(
                segment = self.current,
                reason,
                "the log could not be forced to the disk; beginning a new segment"
            );
            self.file = None;
        }
        let full = self.segments.get(&self.current).is_some_and(|info| {
            let is_older = info.max_ms != i64::MIN && info.max_ms < border_ms;
            info.bytes >= if is_older { self.segment_bytes_max / BORDER_SHARE } else { self.segment_bytes_max }
        });
        if self.file.is_none() || full {
            self.rotate().map_err(|error| self.unavailable(&error))?;
        }
        Ok(self.current)
    }

    /// Makes sure that nothing more is written to the segments there are.
    ///
    /// # Errors
    /// `Unavailable` with the reason.
    pub(crate) fn begin_segment(&mut self) -> Result<(), StorageError> {
        self.prepare(i64::MIN)?;
        let has_records = |info: &SegmentInfo| info.bytes > MAGIC.len() as u64;
        if self.segments.get(&self.current).is_some_and(has_records) {
            self.rotate().map_err(|error| self.unavailable(&error))?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            self.syncer.lock().dirty = None;
            timed_sync(&file, &self.metrics)?;
        }
        let next = self.current + 1;
        let path = segment_path(&self.dir, next);
        // A file of that number can only be the rest of a failed attempt.
        let file = files::create(&path)?;
        if let Err(error) = file.write_all_at(&MAGIC, 0).and_then(|()| sync_dir(&self.dir)) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.current = next;
        self.segments.insert(next, SegmentInfo { bytes: MAGIC.len() as u64, max_ms: i64::MIN });
        self.file = Some(Arc::new(file));
        Ok(())
    }

    /// Writes framed records to the prepared segment. `max_ms` is the time of the newest sample among them.
    ///
    /// # Errors
    /// `Unavailable`: nothing of it is in the log, and the next segment will be a new one.
    pub(crate) fn write(&mut self, framed: &[u8], max_ms: i64) -> Result<(), StorageError> {
        let (Some(file), Some(info)) = (self.file.clone(), self.segments.get_mut(&self.current)) else {
            return Err(StorageError::Unavailable { reason: "no log segment is open".into() });
        };
        let offset = info.bytes;
        let written = file.write_all_at(framed, offset);
        let is_written = written.is_ok();
        let outcome = written.and_then(|()| match self.sync {
            SyncPolicy::EveryAppend => timed_sync(&file, &self.metrics),
            SyncPolicy::Interval(_) => Ok(()),
        });
        if let Err(error) = outcome {
            // What was written in part must not be replayed: the caller is told that it is not stored.
            let is_cut = file.set_len(offset).is_ok();
            // Later records would miss what the failed ones told, so that they go into a new segment; but a full disk
            // must not fill with empty ones.
            if is_written || !is_cut || offset > MAGIC.len() as u64 {
                self.file = None;
                self.syncer.lock().dirty = None;
            }
            return Err(self.unavailable(&error));
        }
        info.bytes += framed.len() as u64;
        info.max_ms = info.max_ms.max(max_ms);
        if self.refused > 0 {
            tracing::info!(refused = self.refused, "the log can be written again");
            self.refused = 0;
        }
        if self.sync != SyncPolicy::EveryAppend {
            self.syncer.lock().dirty = Some(file);
        }
        Ok(())
    }

    fn unavailable(&mut self, error: &io::Error) -> StorageError {
        self.metrics.writes_failed.inc();
        let path = segment_path(&self.dir, self.current);
        let mend = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "make room on its disk, for example by a shorter retention; "
            }
            _ => "",
        };
        let reason = format!(
            "{}: {error}; {mend}reads go on, and writes are taken again as soon as the log can be written",
            path.display()
        );
        // Every sender tries again: one line for all of them.
        if self.refused == 0 {
            tracing::error!(reason, "writes are refused");
        }
        self.refused += 1;
        StorageError::Unavailable { reason }
    }

    /// The file that is written to: all segments before it are on the disk.
    pub(crate) fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }

    /// The end of what is written.
    pub(crate) fn end(&self) -> WalPosition {
        let offset = self.segments.get(&self.current).map_or(0, |info| info.bytes);
        WalPosition { segment: self.current, offset }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|info| info.bytes).sum()
    }

    pub(crate) fn segments(&self) -> &BTreeMap<u64, SegmentInfo> {
        &self.segments
    }

    /// How much is written behind a position.
    pub(crate) fn bytes_since(&self, position: WalPosition) -> u64 {
        let own = |(number, info): (&u64, &SegmentInfo)| {
            if *number == position.segment { info.bytes.saturating_sub(position.offset) } else { info.bytes }
        };
        self.segments.range(position.segment..).map(own).sum()
    }

    /// Deletes the oldest segments as long as they lie before `position` and all their samples are older than
    /// `before_ms`. None is deleted behind one that stays: it may hold the deletion of a sample of that one.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub(crate) fn truncate(&mut self, position: WalPosition, before_ms: i64) -> io::Result<usize> {
        let done: Vec<u64> = (self.segments.iter())
            .take_while(|(number, info)| **number < position.segment && info.max_ms < before_ms)
            .map(|(number, _)| *number)
            .collect();
        for number in &done {
            match files::remove_file(&segment_path(&self.dir, *number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.segments.remove(number),
            };
        }
        if !done.is_empty() {
            sync_dir(&self.dir)?;
        }
        Ok(done.len())
    }

    /// Forces everything to the disk and takes nothing more.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.closed = true;
        {
            let mut state = self.syncer.lock();
            state.stop = true;
            state.dirty = None;
        }
        self.syncer.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        match self.file.take() {
            Some(file) => timed_sync(&file, &self.metrics),
            None => Ok(()),
        }
    }
}

impl Drop for WalWriter {
    fn drop(&mut self) {
        if !self.closed
            && let Err(error) = self.close()
        {
            tracing::error!(%error, "the log could not be forced to the disk");
        }
    }
}

fn timed_sync(file: &File, metrics: &WalMetrics) -> io::Result<()> {
    let started = Instant::now();
    files::sync_data(file)?;
    metrics.fsync_seconds.observe(started.elapsed().as_secs_f64());
    Ok(())
}

/// Collects framed records.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) framed: Vec<u8>,
}

/// A batch that is used again keeps so much memory.
const KEPT_BYTES_MAX: usize = 256 << 10;

impl Batch {
    /// The same without records, for the next ones.
    pub(crate) fn emptied(mut self) -> Batch {
        self.framed.clear();
        self.framed.shrink_to(KEPT_BYTES_MAX);
        self
    }

    /// Adds the record that `write` appends to what it is given.
    pub(crate) fn record(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        segment::frame(&mut self.framed, write);
    }
}
