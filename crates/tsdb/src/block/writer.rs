//! Writing a block: series by series into a temporary folder, which gets its name when everything is on the disk.

use super::{
    DATA_FILE, META_FILE,
    bundle::BundleBuilder,
    chunk, exemplars, frame,
    index::{DATA_MAGIC, Extent, IndexWriter},
    meta::{BlockMeta, BlockStats, Compaction, Cover, Cut, VERSION},
    pages::PagesWriter,
    times::TimesWriter,
    windows,
};
use crate::{
    SeriesExemplars,
    files::{self, sync_dir},
    tier::Windows,
};
use model::Labels;
use std::{
    io,
    path::{Path, PathBuf},
};
use storage::{Samples, StorageError};

/// Samples of a chunk of a block from the head: two hours of 15 s.
const CHUNK_SAMPLES_MAX: usize = 480;
/// After a compaction: a longer chunk costs more to read in part, and has less around it.
const COMPACTED_CHUNK_SAMPLES_MAX: usize = 4 * CHUNK_SAMPLES_MAX;

/// What a block will be.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockPlan {
    pub(crate) ulid: String,
    pub(crate) min_time_ms: i64,
    /// Exclusive.
    pub(crate) max_time_ms: i64,
    pub(crate) compaction: Compaction,
    pub(crate) cuts: Vec<Cut>,
    /// See [`BlockMeta::head_end_ms`].
    pub(crate) head_end_ms: Option<i64>,
    /// The block gets windows, by [`BlockWriter::add_windows`].
    pub(crate) resolution_ms: Option<i64>,
    pub(crate) covers: Vec<Cover>,
}

pub(crate) struct BlockWriter {
    parent: PathBuf,
    temporary: PathBuf,
    plan: BlockPlan,
    chunk_samples_max: usize,
    data: PagesWriter,
    bundle: BundleBuilder,
    times: TimesWriter,
    index: IndexWriter,
    extents: Vec<Extent>,
    stats: BlockStats,
    exemplars: Vec<SeriesExemplars>,
    done: bool,
}

impl BlockWriter {
    /// Begins a block below `parent`.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn create(parent: &Path, plan: BlockPlan) -> Result<Self, StorageError> {
        let temporary = parent.join(format!("{}.tmp", plan.ulid));
        let first = plan.compaction.level <= 1;
        let level = if first { frame::LEVEL_FIRST } else { frame::LEVEL_LAST };
        let create = || {
            files::create_dir_all(&temporary)?;
            let data = PagesWriter::create(&temporary.join(DATA_FILE), DATA_MAGIC, level)?;
            let times = TimesWriter::create(&temporary, level)?;
            Ok((data, times, IndexWriter::create(&temporary, level)?))
        };
        let (data, times, index) = create().map_err(files::at(&temporary))?;
        Ok(BlockWriter {
            parent: parent.to_owned(),
            temporary,
            plan,
            chunk_samples_max: if first { CHUNK_SAMPLES_MAX } else { COMPACTED_CHUNK_SAMPLES_MAX },
            data,
            bundle: BundleBuilder::default(),
            times,
            index,
            extents: Vec::new(),
            stats: BlockStats::default(),
            exemplars: Vec::new(),
            done: false,
        })
    }

    /// Adds a series, in order of labels. A series without samples is left out.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn add_series(&mut self, labels: &Labels, samples: &Samples) -> Result<(), StorageError> {
        self.add(labels, samples).map_err(files::at(&self.temporary))
    }

    fn add(&mut self, labels: &Labels, samples: &Samples) -> io::Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        self.extents.clear();
        let mut start = 0;
        while start < samples.len() {
            let end = samples.len().min(start + self.chunk_samples_max);
            self.add_chunk(&samples.timestamps[start..end], |out| chunk::encode(samples, start, end, out))?;
            start = end;
        }
        self.end_series(labels, samples.len())
    }

    /// Adds a series of a down-sampled block, in order of labels. A series without windows is left out.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn add_windows(&mut self, labels: &Labels, windows: &Windows) -> Result<(), StorageError> {
        let resolution_ms = self.plan.resolution_ms.unwrap_or(i64::MAX);
        let mut add = || {
            self.extents.clear();
            for (kept, totals) in windows.chunks(resolution_ms, self.chunk_samples_max) {
                let encode = |out: &mut Vec<u8>| windows::encode(windows, resolution_ms, kept, totals, out);
                self.add_chunk(&windows.kept.timestamps[kept.0..kept.1], encode)?;
            }
            if windows.kept.is_empty() { Ok(()) } else { self.end_series(labels, windows.kept.len()) }
        };
        add().map_err(files::at(&self.temporary))
    }

    /// Adds a chunk of the series in work, whose samples have these times, not none.
    fn add_chunk(&mut self, times: &[i64], encode: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let column = self.times.column(times)?;
        let begin = self.bundle.blobs.len();
        encode(&mut self.bundle.blobs);
        self.bundle.close_blob(begin, Some(column));
        self.extents.push(Extent { min_ms: times[0], max_ms: times[times.len() - 1], count: times.len() as u32 });
        if self.bundle.blobs.len() >= frame::RAW_BYTES_TARGET {
            self.flush_frame()?;
        }
        Ok(())
    }

    fn end_series(&mut self, labels: &Labels, samples: usize) -> io::Result<()> {
        u32::try_from(self.stats.series).map_err(|_| io::Error::other("more than 2^32 series"))?;
        self.index.push(labels, &self.extents)?;
        self.stats.series += 1;
        self.stats.samples += samples as u64;
        self.stats.chunks += self.extents.len() as u64;
        Ok(())
    }

    /// The exemplars that go into the block, by series in order of labels.
    pub(crate) fn set_exemplars(&mut self, exemplars: Vec<SeriesExemplars>) {
        self.exemplars = exemplars;
    }

    /// Times of the block, the latter exclusive (Unix milliseconds).
    pub(crate) fn range(&self) -> (i64, i64) {
        (self.plan.min_time_ms, self.plan.max_time_ms)
    }

    fn flush_frame(&mut self) -> io::Result<()> {
        if !self.bundle.is_empty() {
            let first = self.bundle.first();
            let raw = self.bundle.take();
            self.data.push(first, &raw)?;
        }
        Ok(())
    }

    /// Puts the block in place. `None`, and no folder, if it has neither series nor exemplars.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn finish(mut self) -> Result<Option<PathBuf>, StorageError> {
        if self.stats.series == 0 && self.exemplars.is_empty() {
            return Ok(None);
        }
        let dir = self.parent.join(&self.plan.ulid);
        self.write_rest(&dir).map_err(files::at(&dir))?;
        self.done = true;
        Ok(Some(dir))
    }

    fn write_rest(&mut self, dir: &Path) -> io::Result<()> {
        self.flush_frame()?;
        self.data.finish()?;
        self.times.finish()?;
        self.index.finish()?;
        exemplars::write(&self.temporary, frame::LEVEL_LAST, &self.exemplars)?;
        let meta = BlockMeta {
            version: VERSION,
            ulid: self.plan.ulid.clone(),
            min_time_ms: self.plan.min_time_ms,
            max_time_ms: self.plan.max_time_ms,
            stats: self.stats,
            compaction: self.plan.compaction.clone(),
            cuts: self.plan.cuts.clone(),
            head_end_ms: self.plan.head_end_ms,
            resolution_ms: self.plan.resolution_ms,
            covers: self.plan.covers.clone(),
            files: if self.exemplars.is_empty() { Vec::new() } else { vec![exemplars::EXEMPLARS_FILE.to_owned()] },
            crc32c: 0,
        };
        files::replace_file(&self.temporary.join(META_FILE), &meta.encode()?)?;
        sync_dir(&self.temporary)?;
        files::rename(&self.temporary, dir)?;
        sync_dir(&self.parent)
    }
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        // Given up, or without series: nothing of it is of use.
        if !self.done {
            let _ = files::remove_dir(&self.temporary);
        }
    }
}
