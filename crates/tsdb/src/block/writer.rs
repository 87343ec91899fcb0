//! Writing a block: series by series into a temporary folder, which gets its name when everything is on the disk.

use super::{
    DATA_FILE, INDEX_FILE, META_FILE, frame,
    index::{self, ChunkRef, PageBuilder},
    meta::{BlockMeta, BlockStats, Compaction, Cut, VERSION},
};
use crate::{
    bytes::put_uvarint,
    chunk::{ChunkKind, column},
    files::{self, sync_dir},
};
use model::Labels;
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};
use storage::{Samples, StorageError};

/// First bytes of the data file; the last of them is the version.
const DATA_MAGIC: [u8; 8] = *b"VGDAT\0\0\x01";
pub(crate) const KIND_FLOAT: u8 = 0;
pub(crate) const KIND_HISTOGRAM: u8 = 1;
/// Samples of a chunk: two hours of 15 s. Longer chunks compress no better behind zstd and cost more to read in part.
const CHUNK_SAMPLES_MAX: usize = 480;

/// What a block will be.
#[derive(Clone, Debug)]
pub(crate) struct BlockPlan {
    pub(crate) ulid: String,
    pub(crate) min_time_ms: i64,
    /// Exclusive.
    pub(crate) max_time_ms: i64,
    pub(crate) compaction: Compaction,
    pub(crate) cuts: Vec<Cut>,
}

pub(crate) struct BlockWriter {
    parent: PathBuf,
    temporary: PathBuf,
    plan: BlockPlan,
    data: BufWriter<File>,
    /// Bytes of the data file that are written; where the frame in work will be.
    data_bytes: u64,
    frame: Vec<u8>,
    /// Columns of times in the frame in work, by content: one more than their place.
    columns: HashMap<Vec<u8>, usize, foldhash::fast::RandomState>,
    index: BufWriter<File>,
    index_bytes: u64,
    page: PageBuilder,
    pages: Vec<u64>,
    stats: BlockStats,
    done: bool,
}

impl BlockWriter {
    /// Begins a block below `parent`.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn create(parent: &Path, plan: BlockPlan) -> Result<Self, StorageError> {
        let temporary = parent.join(format!("{}.tmp", plan.ulid));
        fs::create_dir_all(&temporary).map_err(files::at(&temporary))?;
        let create = |name: &str, magic: &[u8]| {
            let mut file = BufWriter::new(File::create(temporary.join(name))?);
            file.write_all(magic)?;
            Ok(file)
        };
        let data = create(DATA_FILE, &DATA_MAGIC).map_err(files::at(&temporary))?;
        let index = create(INDEX_FILE, &index::MAGIC).map_err(files::at(&temporary))?;
        Ok(BlockWriter {
            parent: parent.to_owned(),
            temporary,
            plan,
            data,
            data_bytes: DATA_MAGIC.len() as u64,
            frame: Vec::new(),
            columns: HashMap::default(),
            index,
            index_bytes: index::MAGIC.len() as u64,
            page: PageBuilder::default(),
            pages: Vec::new(),
            stats: BlockStats::default(),
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
        let mut chunks = Vec::new();
        let mut start = 0;
        while start < samples.len() {
            let histogram = samples.histogram(start).is_some();
            let mut end = start + 1;
            while end < samples.len()
                && end - start < CHUNK_SAMPLES_MAX
                && samples.histogram(end).is_some() == histogram
            {
                end += 1;
            }
            chunks.push(self.chunk(samples, start, end, histogram));
            if self.frame.len() >= frame::RAW_BYTES_TARGET {
                self.flush_frame()?;
            }
            start = end;
        }
        let number = u32::try_from(self.stats.series).map_err(|_| io::Error::other("more than 2^32 series"))?;
        self.page.push(number, labels, &chunks);
        self.stats.series += 1;
        self.stats.samples += samples.len() as u64;
        self.stats.chunks += chunks.len() as u64;
        if self.page.raw.len() >= frame::RAW_BYTES_TARGET {
            self.flush_page()?;
        }
        Ok(())
    }

    fn chunk(&mut self, samples: &Samples, start: usize, end: usize, histogram: bool) -> ChunkRef {
        let at = self.frame.len() as u32;
        let kind = if histogram { ChunkKind::Histogram } else { ChunkKind::Float };
        self.frame.push(if histogram { KIND_HISTOGRAM } else { KIND_FLOAT });
        put_uvarint(&mut self.frame, (end - start) as u64);
        let times = column::encode_times(&samples.timestamps[start..end]);
        match self.columns.get(&times) {
            // The times of a target's series are the same: they are written once a frame.
            Some(&place) => put_uvarint(&mut self.frame, place as u64),
            None => {
                self.frame.push(0);
                let place = self.frame.len() + 1;
                put_uvarint(&mut self.frame, times.len() as u64);
                self.frame.extend_from_slice(&times);
                self.columns.insert(times, place);
            }
        }
        let mut values = Vec::new();
        column::encode_values(kind, samples, start, end, &mut values);
        put_uvarint(&mut self.frame, values.len() as u64);
        self.frame.extend_from_slice(&values);
        ChunkRef {
            frame_at: self.data_bytes,
            at,
            count: (end - start) as u32,
            min_ms: samples.timestamps[start],
            max_ms: samples.timestamps[end - 1],
        }
    }

    fn flush_frame(&mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            let frame = frame::encode(&self.frame)?;
            self.data.write_all(&frame)?;
            self.data_bytes += frame.len() as u64;
            self.frame.clear();
            self.columns.clear();
        }
        Ok(())
    }

    fn flush_page(&mut self) -> io::Result<()> {
        if !self.page.raw.is_empty() {
            let frame = frame::encode(&self.page.raw)?;
            self.pages.push(self.index_bytes);
            self.index.write_all(&frame)?;
            self.index_bytes += frame.len() as u64;
            self.page.raw.clear();
        }
        Ok(())
    }

    /// Puts the block in place. `None`, and no folder, if it has no series.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn finish(mut self) -> Result<Option<PathBuf>, StorageError> {
        if self.stats.series == 0 {
            return Ok(None);
        }
        let dir = self.parent.join(&self.plan.ulid);
        self.write_rest(&dir).map_err(files::at(&dir))?;
        self.done = true;
        Ok(Some(dir))
    }

    fn write_rest(&mut self, dir: &Path) -> io::Result<()> {
        self.flush_frame()?;
        self.flush_page()?;
        let mut directory = Vec::new();
        let mut previous = 0;
        for &page in &self.pages {
            put_uvarint(&mut directory, page - previous);
            previous = page;
        }
        let place = self.index_bytes.to_le_bytes();
        self.index.write_all(&frame::encode(&directory)?)?;
        self.index.write_all(&place)?;
        self.index.write_all(&crc32c::crc32c(&place).to_le_bytes())?;
        self.index.write_all(&index::END_MAGIC)?;
        for file in [&mut self.data, &mut self.index] {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        let meta = BlockMeta {
            version: VERSION,
            ulid: self.plan.ulid.clone(),
            min_time_ms: self.plan.min_time_ms,
            max_time_ms: self.plan.max_time_ms,
            stats: self.stats,
            compaction: self.plan.compaction.clone(),
            cuts: self.plan.cuts.clone(),
            crc32c: 0,
        };
        files::replace_file(&self.temporary.join(META_FILE), &meta.encode()?)?;
        sync_dir(&self.temporary)?;
        fs::rename(&self.temporary, dir)?;
        sync_dir(&self.parent)
    }
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        // Given up, or without series: nothing of it is of use.
        if !self.done {
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}
