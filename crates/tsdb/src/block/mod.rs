//! Blocks: folders of a time range that are written once and then only read. See `FORMAT.md`, "Blocks".

pub(crate) mod cache;
pub(crate) mod frame;
pub(crate) mod index;
pub(crate) mod meta;
pub(crate) mod tombstones;
pub(crate) mod writer;

use crate::{
    Damage,
    bytes::Reader,
    chunk::{ChunkKind, column},
    files,
    postings::Selector,
};
use cache::FrameCache;
use index::{BlockIndex, ChunkRef};
use meta::BlockMeta;
use model::Labels;
use std::{
    collections::HashSet,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};
use storage::{Samples, Series, SeriesSet, StorageError};
use tombstones::Tombstones;

pub(crate) const DATA_FILE: &str = "data";
pub(crate) const INDEX_FILE: &str = "index";
pub(crate) const META_FILE: &str = "meta.json";
pub(crate) const TOMBSTONES_FILE: &str = "tombstones";

/// An open block. The index is loaded when it is needed and dropped when it is not.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) dir: PathBuf,
    pub(crate) meta: BlockMeta,
    /// Number in this process, for the cache.
    number: u64,
    data: File,
    bytes: AtomicU64,
    index: Mutex<Option<Arc<BlockIndex>>>,
    /// When the index was last used, in Unix milliseconds.
    used_ms: AtomicI64,
    tombstones: RwLock<Arc<Tombstones>>,
    /// Places of damage that were reported already.
    reported: Mutex<HashSet<u64>>,
    /// Not to be rewritten: what is damaged may be wanted for repair.
    damaged: AtomicBool,
    shared: Arc<BlockShared>,
}

/// What all blocks of an engine share.
pub(crate) struct BlockShared {
    pub(crate) cache: FrameCache,
    pub(crate) damage: Mutex<Vec<Damage>>,
    pub(crate) damage_total: telemetry::Counter,
    pub(crate) clock: Arc<dyn system::Clock>,
    pub(crate) next_number: AtomicU64,
}

/// A damaged disk must not fill the memory with reports.
const DAMAGE_REPORTS_MAX: usize = 1000;

impl std::fmt::Debug for BlockShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockShared").finish_non_exhaustive()
    }
}

impl BlockShared {
    /// Logs and keeps a report.
    pub(crate) fn report(&self, damage: Damage) {
        tracing::error!(path = %damage.path.display(), byte = damage.at, reason = damage.reason, "damaged data");
        self.damage_total.inc();
        let mut list = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() < DAMAGE_REPORTS_MAX {
            list.push(damage);
        }
    }
}

impl Block {
    /// Opens a block. Damage of its parts is reported and what is left is served.
    ///
    /// # Errors
    /// When the data file cannot be opened.
    pub(crate) fn open(dir: &Path, shared: &Arc<BlockShared>) -> Result<Arc<Block>, StorageError> {
        let data_path = dir.join(DATA_FILE);
        let data = File::open(&data_path).map_err(files::at(&data_path))?;
        let (meta, mut loaded) = match BlockMeta::load(dir) {
            Ok(meta) => (meta, None),
            Err(reason) => {
                shared.report(Damage {
                    path: dir.join(META_FILE),
                    at: 0,
                    reason: format!("{reason}; range and numbers were taken from the index"),
                });
                let (index, damage) = BlockIndex::load(&dir.join(INDEX_FILE));
                damage.into_iter().for_each(|damage| shared.report(damage));
                (BlockMeta::from_index(dir, &index), Some(Arc::new(index)))
            }
        };
        let tombstones = Tombstones::load(&dir.join(TOMBSTONES_FILE)).unwrap_or_else(|reason| {
            let reason = format!("{reason}; deleted samples of this block are visible again");
            shared.report(Damage { path: dir.join(TOMBSTONES_FILE), at: 0, reason });
            Tombstones::default()
        });
        Ok(Arc::new(Block {
            dir: dir.to_owned(),
            damaged: AtomicBool::new(loaded.is_some()),
            meta,
            number: shared.next_number.fetch_add(1, Ordering::Relaxed),
            data,
            bytes: AtomicU64::new(files::folder_bytes(dir)),
            index: Mutex::new(loaded.take()),
            used_ms: AtomicI64::new(shared.clock.now_ms()),
            tombstones: RwLock::new(Arc::new(tombstones)),
            reported: Mutex::default(),
            shared: Arc::clone(shared),
        }))
    }

    pub(crate) fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        self.meta.min_time_ms <= end_ms && start_ms < self.meta.max_time_ms
    }

    /// Size of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(crate) fn tombstones(&self) -> Arc<Tombstones> {
        Arc::clone(&self.tombstones.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn index_slot(&self) -> MutexGuard<'_, Option<Arc<BlockIndex>>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index(&self) -> Arc<BlockIndex> {
        self.used_ms.store(self.shared.clock.now_ms(), Ordering::Relaxed);
        let mut slot = self.index_slot();
        if let Some(index) = slot.as_ref() {
            return Arc::clone(index);
        }
        let (index, damage) = BlockIndex::load(&self.dir.join(INDEX_FILE));
        for damage in damage {
            self.report(damage.at | 1 << 63, damage);
        }
        let index = Arc::new(index);
        *slot = Some(Arc::clone(&index));
        index
    }

    /// Frees the index if nobody used it since a time.
    pub(crate) fn drop_index_if_unused_since(&self, since_ms: i64) {
        if self.used_ms.load(Ordering::Relaxed) < since_ms {
            *self.index_slot() = None;
        }
    }

    /// Notes that samples between two times, both inclusive, are deleted.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn delete(&self, start_ms: i64, end_ms: i64, selector: &Selector) -> Result<(), StorageError> {
        let index = self.index();
        let mut next = Tombstones::clone(&self.tombstones());
        for place in index.select(selector) {
            let series = &index.series[place as usize];
            let has_samples = series.chunks.iter().any(|chunk| chunk.min_ms <= end_ms && start_ms <= chunk.max_ms);
            if has_samples {
                next.add(series.number, start_ms, end_ms);
            }
        }
        let path = self.dir.join(TOMBSTONES_FILE);
        files::replace_file(&path, &next.encode()).map_err(files::at(&path))?;
        *self.tombstones.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.bytes.store(files::folder_bytes(&self.dir), Ordering::Relaxed);
        Ok(())
    }

    fn report(&self, key: u64, damage: Damage) {
        self.damaged.store(true, Ordering::Relaxed);
        if self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
            self.shared.report(damage);
        }
    }

    /// Series that the selector accepts, in order of their labels, with their samples between two times.
    /// What is damaged is reported and left out.
    pub(crate) fn select(self: &Arc<Self>, selector: &Selector, start_ms: i64, end_ms: i64) -> SeriesSet {
        let index = self.index();
        let places = index.select(selector);
        let (block, tombstones) = (Arc::clone(self), self.tombstones());
        Box::new(places.into_iter().filter_map(move |place| {
            let chunks = &index.series[place as usize].chunks;
            let any = chunks.iter().any(|chunk| chunk.min_ms <= end_ms && start_ms <= chunk.max_ms);
            any.then(|| {
                Ok(Box::new(BlockSeries {
                    block: Arc::clone(&block),
                    index: Arc::clone(&index),
                    tombstones: Arc::clone(&tombstones),
                    place: place as usize,
                    start_ms,
                    end_ms,
                }) as Box<dyn Series>)
            })
        }))
    }

    /// Appends the samples of a chunk between two times to `into`.
    fn read_chunk(&self, chunk: &ChunkRef, start_ms: i64, end_ms: i64, into: &mut Samples) -> Result<(), StorageError> {
        let frame = match self.shared.cache.get(self.number, chunk.frame_at) {
            Some(frame) => frame,
            None => match frame::read(&self.data, chunk.frame_at) {
                Ok(frame) => self.shared.cache.put(self.number, chunk.frame_at, frame),
                Err(frame::FrameError::Io(source)) => {
                    return Err(StorageError::Io { path: self.dir.join(DATA_FILE), source });
                }
                Err(frame::FrameError::Damaged(reason)) => {
                    let reason = format!("{reason}; its chunks are left out");
                    self.report(chunk.frame_at, Damage { path: self.dir.join(DATA_FILE), at: chunk.frame_at, reason });
                    return Ok(());
                }
            },
        };
        let before = into.len();
        if decode_chunk(&frame, chunk.at as usize, start_ms, end_ms, into).is_none() {
            truncate(into, before);
            let reason = format!("chunk at byte {} of the frame cannot be decoded; it is left out", chunk.at);
            let key = chunk.frame_at.wrapping_add(u64::from(chunk.at) << 40);
            self.report(key, Damage { path: self.dir.join(DATA_FILE), at: chunk.frame_at, reason });
        }
        Ok(())
    }
}

fn truncate(samples: &mut Samples, length: usize) {
    samples.timestamps.truncate(length);
    samples.values.truncate(length);
    samples.histograms.truncate(length);
    samples.start_timestamps.truncate(length);
}

/// Reads a chunk of a frame; `None` if it cannot have been written.
fn decode_chunk(frame: &[u8], at: usize, start_ms: i64, end_ms: i64, into: &mut Samples) -> Option<()> {
    let mut reader = Reader::new(frame.get(at..)?);
    let kind = match reader.u8()? {
        writer::KIND_FLOAT => ChunkKind::Float,
        writer::KIND_HISTOGRAM => ChunkKind::Histogram,
        _ => return None,
    };
    let count = usize::try_from(reader.uvarint()?).ok()?;
    let times = match reader.uvarint()? {
        0 => {
            let length = reader.count()?;
            column::decode_times(count, &mut Reader::new(reader.take(length)?))?
        }
        back => {
            let mut column = Reader::new(frame.get(usize::try_from(back).ok()?.checked_sub(1)?..)?);
            let length = column.count()?;
            column::decode_times(count, &mut Reader::new(column.take(length)?))?
        }
    };
    let length = reader.count()?;
    column::decode_values(kind, &times, &mut Reader::new(reader.take(length)?), start_ms, end_ms, into)
}

struct BlockSeries {
    block: Arc<Block>,
    index: Arc<BlockIndex>,
    tombstones: Arc<Tombstones>,
    place: usize,
    start_ms: i64,
    end_ms: i64,
}

impl Series for BlockSeries {
    fn labels(&self) -> &Labels {
        &self.index.series[self.place].labels
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        let series = &self.index.series[self.place];
        let deleted = self.tombstones.of(series.number);
        for chunk in &series.chunks {
            if chunk.min_ms > self.end_ms || chunk.max_ms < self.start_ms {
                continue;
            }
            if deleted.is_empty() {
                self.block.read_chunk(chunk, self.start_ms, self.end_ms, into)?;
                continue;
            }
            let mut all = Samples::default();
            self.block.read_chunk(chunk, self.start_ms, self.end_ms, &mut all)?;
            for (index, &time) in all.timestamps.iter().enumerate() {
                if !deleted.iter().any(|(from, to)| (*from..=*to).contains(&time)) {
                    into.push(time, all.value(index));
                }
            }
        }
        Ok(())
    }
}
