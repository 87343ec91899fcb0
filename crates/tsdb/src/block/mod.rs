//! Blocks: folders of a time range that are written once and then only read. See `FORMAT.md`, "Blocks".

mod bundle;
pub(crate) mod cache;
mod chunk;
pub(crate) mod exemplars;
pub(crate) mod frame;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub(crate) mod index;
pub(crate) mod loaded;
pub(crate) mod meta;
mod pages;
mod times;
pub(crate) mod tombstones;
mod windows;
pub(crate) mod writer;

use crate::{
    Damage, SeriesExemplars, codec, files,
    postings::Selector,
    tier::{Mode, Windows},
};
use bundle::Bundle;
use cache::FrameCache;
use frame::FrameError;
use index::{BlockIndex, SeriesPage};
use loaded::{Loaded, Slot};
use meta::BlockMeta;
use model::Labels;
use pages::PagesFile;
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};
use storage::{Samples, Series, SeriesSet, StorageError};
use tombstones::Tombstones;
use windows::Wanted;

pub(crate) const DATA_FILE: &str = "data";
pub(crate) const TIMES_FILE: &str = "times";
pub(crate) const SYMBOLS_FILE: &str = "symbols";
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
    bytes: AtomicU64,
    index: Arc<Slot>,
    /// When the index was last used, in uses of all.
    used: Arc<AtomicU64>,
    /// When the index was last used, in Unix milliseconds.
    used_ms: AtomicI64,
    tombstones: RwLock<Arc<Tombstones>>,
    /// The description on the disk says that there are some.
    names_tombstones: AtomicBool,
    /// Places of damage that were reported already.
    reported: Mutex<HashSet<(PathBuf, u64, u64)>>,
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
    pub(crate) loaded: Loaded,
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

/// The labels of so few series are read from their pages rather than found by walking lists.
const PAGES_BELOW: usize = 64;

impl Block {
    /// Opens a block. Damage of its parts is reported and what is left is served.
    ///
    /// # Errors
    /// When it is of another version.
    pub(crate) fn open(dir: &Path, shared: &Arc<BlockShared>) -> Result<Arc<Block>, StorageError> {
        let (meta, mut loaded) = match BlockMeta::load(dir) {
            Ok(meta) => (meta, None),
            Err(meta::MetaError::Version(version)) => {
                let reason = format!("its format is version {version}, and this program reads {}", meta::VERSION);
                return Err(StorageError::Unavailable { reason });
            }
            Err(meta::MetaError::Damaged(reason)) => {
                shared.report(Damage {
                    path: dir.join(META_FILE),
                    at: 0,
                    reason: format!("{reason}; range and numbers were taken from the index"),
                });
                let (index, damage) = BlockIndex::load(dir);
                damage.into_iter().for_each(|damage| shared.report(damage));
                (BlockMeta::from_index(dir, &index), Some(Arc::new(index)))
            }
        };
        let names_tombstones = meta.has_file(TOMBSTONES_FILE);
        let tombstones = Tombstones::load(&dir.join(TOMBSTONES_FILE), names_tombstones).unwrap_or_else(|reason| {
            let reason = format!("{reason}; deleted samples of this block are visible again");
            shared.report(Damage { path: dir.join(TOMBSTONES_FILE), at: 0, reason });
            Tombstones::default()
        });
        Ok(Arc::new(Block {
            dir: dir.to_owned(),
            damaged: AtomicBool::new(loaded.is_some()),
            meta,
            number: shared.next_number.fetch_add(1, Ordering::Relaxed),
            bytes: AtomicU64::new(files::folder_bytes(dir)),
            index: Arc::new(Mutex::new(loaded.take())),
            used: Arc::default(),
            used_ms: AtomicI64::new(shared.clock.now_ms()),
            tombstones: RwLock::new(Arc::new(tombstones)),
            names_tombstones: AtomicBool::new(names_tombstones),
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
        self.shared.loaded.touch(&self.used);
        let mut slot = self.index_slot();
        if let Some(index) = slot.as_ref() {
            return Arc::clone(index);
        }
        let (index, damage) = BlockIndex::load(&self.dir);
        for damage in damage {
            self.report(0, damage);
        }
        let index = Arc::new(index);
        *slot = Some(Arc::clone(&index));
        drop(slot);
        self.shared.loaded.add(&self.index, &self.used, index.bytes());
        index
    }

    /// Frees the index if nobody used it since a time.
    pub(crate) fn drop_index_if_unused_since(&self, since_ms: i64) {
        if self.used_ms.load(Ordering::Relaxed) < since_ms {
            *self.index_slot() = None;
        }
    }

    /// The tombstones that it has once the samples between two times, both inclusive, are deleted, too.
    pub(crate) fn tombstones_with(&self, start_ms: i64, end_ms: i64, selector: &Selector) -> Arc<Tombstones> {
        let index = self.index();
        let mut next = Tombstones::clone(&self.tombstones());
        let pages = Pages::new(self, &index);
        for number in index.select(selector, |number| pages.of(number)) {
            let Some((page, place)) = pages.find(number) else { continue };
            if page.overlaps(place, start_ms, end_ms) {
                next.add(number, start_ms, end_ms);
            }
        }
        Arc::new(next)
    }

    /// Shows these tombstones to those who read from now on.
    pub(crate) fn set_tombstones(&self, tombstones: Arc<Tombstones>) {
        *self.tombstones.write().unwrap_or_else(PoisonError::into_inner) = tombstones;
    }

    /// Writes the tombstones that are shown to the disk.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn write_tombstones(&self) -> Result<(), StorageError> {
        let path = self.dir.join(TOMBSTONES_FILE);
        files::replace_file(&path, &self.tombstones().encode()).map_err(files::at(&path))?;
        // Afterwards, so that what is named is there. A description that is damaged is left to the repair.
        if !self.names_tombstones.load(Ordering::Relaxed) && !self.is_described_by_index() {
            let path = self.dir.join(META_FILE);
            self.names_tombstones.store(true, Ordering::Relaxed);
            let written = self.description().encode().map_err(Into::into);
            if let Err(error) = written.and_then(|bytes| files::replace_file(&path, &bytes)) {
                self.names_tombstones.store(false, Ordering::Relaxed);
                return Err(files::at(&path)(error));
            }
        }
        self.bytes.store(files::folder_bytes(&self.dir), Ordering::Relaxed);
        Ok(())
    }

    /// The description as it is on the disk: the files that belong to the block are told as they are now.
    pub(crate) fn description(&self) -> BlockMeta {
        let mut meta = self.meta.clone();
        if self.names_tombstones.load(Ordering::Relaxed) && !meta.has_file(TOMBSTONES_FILE) {
            meta.files.push(TOMBSTONES_FILE.to_owned());
        }
        meta
    }

    /// Calls `take` with the exemplars of each series that has some. What is damaged is reported and left out.
    pub(crate) fn exemplars(&self, take: impl FnMut(SeriesExemplars)) {
        for (at, reason) in exemplars::read(&self.dir, self.meta.has_file(exemplars::EXEMPLARS_FILE), take) {
            self.report(0, Damage { path: self.dir.join(exemplars::EXEMPLARS_FILE), at, reason });
        }
    }

    /// `part` tells places apart that have the same byte of a file.
    fn report(&self, part: u64, damage: Damage) {
        self.damaged.store(true, Ordering::Relaxed);
        let key = (damage.path.clone(), damage.at, part);
        if self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
            self.shared.report(damage);
        }
    }

    /// Names of the labels of the series that the selector accepts.
    pub(crate) fn label_names(&self, selector: &Selector, into: &mut BTreeSet<String>) {
        let index = self.index();
        if selector.is_empty() {
            into.extend(index.postings.label_names().map(str::to_owned));
            return;
        }
        let pages = Pages::new(self, &index);
        let found = index.select(selector, |number| pages.of(number));
        if found.len() > PAGES_BELOW {
            into.extend(index.postings.names_among(&found).map(str::to_owned));
            return;
        }
        let mut seen: HashSet<u32> = HashSet::new();
        for number in found {
            let Some((page, place)) = pages.find(number) else { continue };
            for (name, _) in page.pairs(place) {
                if seen.insert(*name) {
                    into.extend(index.symbols.get(*name).map(str::to_owned));
                }
            }
        }
    }

    /// Values of a label of the series that the selector accepts.
    pub(crate) fn label_values(&self, name: &str, selector: &Selector, into: &mut BTreeSet<String>) {
        let index = self.index();
        if let Some(accepts) = selector.values_only(name) {
            into.extend(index.postings.label_values(name).filter(|value| accepts(value)).map(str::to_owned));
            return;
        }
        let pages = Pages::new(self, &index);
        let found = index.select(selector, |number| pages.of(number));
        if found.len() > PAGES_BELOW {
            into.extend(index.postings.values_among(name, &found).map(str::to_owned));
            return;
        }
        for number in found {
            let Some((page, place)) = pages.find(number) else { continue };
            let value = index.value(&page, place, name);
            if !value.is_empty() && !into.contains(value) {
                into.insert(value.to_owned());
            }
        }
    }

    /// Appends the labels of the series that the selector accepts and that may have samples between two times, in order.
    pub(crate) fn label_sets(&self, selector: &Selector, start_ms: i64, end_ms: i64, into: &mut Vec<Labels>) {
        let index = self.index();
        let pages = Pages::new(self, &index);
        for number in index.select(selector, |number| pages.of(number)) {
            let Some((page, place)) = pages.find(number) else { continue };
            if page.overlaps(place, start_ms, end_ms) {
                into.extend(index.labels(&page, place));
            }
        }
    }

    /// Series that the selector accepts, in order of their labels, with their samples between two times.
    /// What is damaged is reported and left out.
    pub(crate) fn select(self: &Arc<Self>, selector: &Selector, start_ms: i64, end_ms: i64) -> SeriesSet {
        self.select_as(selector, start_ms, end_ms, Mode::Kept)
    }

    /// As [`Block::select`], with the samples that are to stand for the windows of a down-sampled block.
    pub(crate) fn select_as(
        self: &Arc<Self>,
        selector: &Selector,
        start_ms: i64,
        end_ms: i64,
        mode: Mode,
    ) -> SeriesSet {
        let series = self.series(selector, start_ms, end_ms, mode);
        Box::new(series.map(|series| Ok(Box::new(series) as Box<dyn Series>)))
    }

    /// All series of a down-sampled block with all their windows, in order of their labels.
    pub(crate) fn windows(
        self: &Arc<Self>,
        selector: &Selector,
    ) -> impl Iterator<Item = Result<(Labels, Windows), StorageError>> + use<> {
        let series = self.series(selector, i64::MIN, i64::MAX, Mode::Kept);
        series.map(|series| Ok((series.labels.clone(), series.windows(i64::MIN, i64::MAX)?)))
    }

    fn series(
        self: &Arc<Self>,
        selector: &Selector,
        start_ms: i64,
        end_ms: i64,
        mode: Mode,
    ) -> impl Iterator<Item = BlockSeries> + Send + use<> {
        let index = self.index();
        let numbers = {
            let pages = Pages::new(self, &index);
            index.select(selector, |number| pages.of(number))
        };
        let (block, tombstones) = (Arc::clone(self), self.tombstones());
        let mut current: Option<Arc<SeriesPage>> = None;
        numbers.into_iter().filter_map(move |number| {
            let page = match current.take().filter(|page| page.place(number).is_some()) {
                Some(page) => page,
                None => block.page(&index, number)?,
            };
            let page = current.insert(page);
            let place = page.place(number)?;
            if !page.overlaps(place, start_ms, end_ms) {
                return None;
            }
            Some(BlockSeries {
                labels: index.labels(page, place)?,
                block: Arc::clone(&block),
                index: Arc::clone(&index),
                tombstones: Arc::clone(&tombstones),
                page: Arc::clone(page),
                number,
                place,
                start_ms,
                end_ms,
                mode,
            })
        })
    }

    /// The page of a series.
    fn page(&self, index: &BlockIndex, number: u32) -> Option<Arc<SeriesPage>> {
        let at = index.page_at(number)?;
        if let Some(page) = self.shared.cache.page(self.number, at) {
            return Some(page);
        }
        let page = index.read_page(at)?;
        self.shared.cache.put_page(self.number, at, &page);
        Some(page)
    }

    /// The frame that has a thing of this number. `None`, and a report, if it is damaged.
    fn bundle(&self, file: &PagesFile, kind: Kind, number: u64) -> Result<Option<Arc<Bundle>>, StorageError> {
        let (name, flag, left_out) = match kind {
            Kind::Data => (DATA_FILE, 0, "its chunks are left out"),
            Kind::Times => (TIMES_FILE, TIMES_FLAG, "the chunks of these times are left out"),
        };
        let damaged = |at: u64, reason: String| {
            let reason = format!("{reason}; {left_out}");
            self.report(0, Damage { path: self.dir.join(name), at, reason });
            Ok(None)
        };
        let Some(page) = file.find(number) else { return damaged(0, "a frame is missing".into()) };
        if let Some(bundle) = self.shared.cache.frame(self.number, page.at | flag) {
            return Ok(Some(bundle));
        }
        let raw = match file.read(page.at) {
            Ok(raw) => raw,
            Err(FrameError::Io(source)) => return Err(StorageError::Io { path: self.dir.join(name), source }),
            Err(FrameError::Damaged(reason)) => return damaged(page.at, reason),
        };
        let Some(bundle) = Bundle::decode(raw, matches!(kind, Kind::Data)) else {
            return damaged(page.at, "the frame cannot be decoded".into());
        };
        let bundle = Arc::new(bundle);
        self.shared.cache.put_frame(self.number, page.at | flag, &bundle);
        Ok(Some(bundle))
    }

    /// A column of times. `None`, and a report, if it is damaged.
    fn times(&self, index: &BlockIndex, column: u32) -> Result<Option<Arc<Vec<i64>>>, StorageError> {
        if let Some(times) = self.shared.cache.times(self.number, column) {
            return Ok(Some(times));
        }
        let number = u64::from(column);
        let Some(bundle) = self.bundle(&index.times, Kind::Times, number)? else { return Ok(None) };
        let mut times = Vec::new();
        let decoded = bundle.blob(number).is_some_and(|blob| codec::times::decode(blob, &mut times).is_ok());
        if !decoded {
            let at = index.times.find(number).map_or(0, |page| page.at);
            let reason = format!("column {column} of times cannot be decoded; the chunks of these times are left out");
            self.report(number, Damage { path: self.dir.join(TIMES_FILE), at, reason });
            return Ok(None);
        }
        let times = Arc::new(times);
        self.shared.cache.put_times(self.number, column, &times);
        Ok(Some(times))
    }

    /// Decodes a chunk from its bytes and the times of its samples. `None`, and a report, if it is damaged.
    fn read_chunk<T>(
        &self,
        index: &BlockIndex,
        chunk: u64,
        decode: impl FnOnce(&[u8], &[i64]) -> Option<T>,
    ) -> Result<Option<T>, StorageError> {
        let Some(bundle) = self.bundle(&index.data, Kind::Data, chunk)? else { return Ok(None) };
        let found = bundle.blob(chunk).zip(bundle.times(chunk));
        let Some((blob, times)) = found else {
            self.bad_chunk(index, chunk);
            return Ok(None);
        };
        let Some(column) = self.times(index, times.column)? else { return Ok(None) };
        let rows = match times.part {
            None => Some(column.as_slice()),
            Some((start, count)) => {
                (start as usize).checked_add(count as usize).and_then(|end| column.get(start as usize..end))
            }
        };
        let decoded = rows.and_then(|rows| decode(blob, rows));
        if decoded.is_none() {
            self.bad_chunk(index, chunk);
        }
        Ok(decoded)
    }

    /// Calls `take` for every series, in order of labels, with its samples that can be read and are not deleted. What
    /// cannot be read is reported and left out, be it damaged or refused by the disk.
    ///
    /// Gives the number of deleted samples.
    ///
    /// # Errors
    /// What `take` answers.
    pub(crate) fn for_each_readable<E>(
        &self,
        mut take: impl FnMut(&Labels, &Samples) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut deleted_samples = 0;
        let (index, tombstones) = (self.index(), self.tombstones());
        let (mut samples, mut chunk_samples) = (Samples::default(), Samples::default());
        for page_ref in index.pages() {
            let Some(page) = index.read_page(page_ref) else { continue };
            for (place, number) in (0..page.len()).zip(page.first..) {
                let Some(labels) = index.labels(&page, place) else { continue };
                samples.clear();
                let deleted = tombstones.of(number);
                for (chunk, extent) in (page.first_chunk(place)..).zip(page.chunks(place)) {
                    chunk_samples.clear();
                    let decode = |blob: &[u8], column: &[i64]| {
                        chunk::decode(blob, column, i64::MIN, i64::MAX, &mut chunk_samples)
                    };
                    if let Err(error) = self.read_chunk(&index, chunk, decode) {
                        let at = index.data.find(chunk).map_or(0, |page| page.at);
                        let reason = format!("{error}; its chunks are left out");
                        self.report(0, Damage { path: self.dir.join(DATA_FILE), at, reason });
                        continue;
                    }
                    let told = (chunk_samples.timestamps.first(), chunk_samples.timestamps.last());
                    let wanted = (Some(&extent.min_ms), Some(&extent.max_ms));
                    // Without samples, what is wrong with the chunk was reported.
                    if !chunk_samples.is_empty() && (told != wanted || chunk_samples.len() != extent.count as usize) {
                        let at = index.data.find(chunk).map_or(0, |page| page.at);
                        let reason = format!("chunk {chunk} has other samples than the index tells; they are kept");
                        self.report(chunk, Damage { path: self.dir.join(DATA_FILE), at, reason });
                    }
                    for (at, time) in chunk_samples.timestamps.iter().enumerate() {
                        let in_order = samples.timestamps.last().is_none_or(|last| last < time);
                        if deleted.iter().any(|(from, to)| (*from..=*to).contains(time)) {
                            deleted_samples += 1;
                        } else if in_order {
                            samples.extend_from(&chunk_samples, at, at + 1);
                        }
                    }
                }
                take(&labels, &samples)?;
            }
        }
        Ok(deleted_samples)
    }

    /// What was reported of the blocks that share with this one.
    pub(crate) fn damage(&self) -> Vec<Damage> {
        self.shared.damage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its own description is lost.
    pub(crate) fn is_described_by_index(&self) -> bool {
        BlockMeta::load(&self.dir).is_err()
    }

    /// What is wrong with the files of a block's folder, by their checksums: name of the file, byte and what.
    pub(crate) fn verify_files(dir: &Path) -> Vec<Damage> {
        let mut damage = Vec::new();
        let described = BlockMeta::load(dir);
        let belongs = |name: &str| described.as_ref().is_ok_and(|meta| meta.has_file(name));
        let mut report = |name: &str, at: u64, reason: String| damage.push(Damage { path: dir.join(name), at, reason });
        let files = [
            (DATA_FILE, index::DATA_MAGIC),
            (TIMES_FILE, index::TIMES_MAGIC),
            (SYMBOLS_FILE, index::SYMBOLS_MAGIC),
            (INDEX_FILE, index::INDEX_MAGIC),
            (exemplars::EXEMPLARS_FILE, exemplars::EXEMPLARS_MAGIC),
        ];
        for (name, magic) in files {
            if name == exemplars::EXEMPLARS_FILE && !dir.join(name).exists() {
                if belongs(name) {
                    report(name, 0, exemplars::MISSING.to_owned());
                }
                continue;
            }
            pages::verify(&dir.join(name), magic).into_iter().for_each(|(at, reason)| report(name, at, reason));
        }
        match &described {
            Ok(meta) if Some(meta.ulid.as_str()) != dir.file_name().and_then(|name| name.to_str()) => {
                report(META_FILE, 0, format!("it describes the block {}", meta.ulid));
            }
            Err(meta::MetaError::Damaged(reason)) => report(META_FILE, 0, reason.clone()),
            Ok(_) | Err(meta::MetaError::Version(_)) => {}
        }
        if let Err(reason) = Tombstones::load(&dir.join(TOMBSTONES_FILE), belongs(TOMBSTONES_FILE)) {
            report(TOMBSTONES_FILE, 0, reason);
        }
        damage
    }

    fn bad_chunk(&self, index: &BlockIndex, chunk: u64) {
        let at = index.data.find(chunk).map_or(0, |page| page.at);
        let reason = format!("chunk {chunk} cannot be decoded; it is left out");
        self.report(chunk, Damage { path: self.dir.join(DATA_FILE), at, reason });
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Data,
    Times,
}

impl Drop for Block {
    fn drop(&mut self) {
        self.shared.cache.forget(self.number);
    }
}

/// As long as it lives, reading these blocks from end to end leaves nothing in the cache.
pub(crate) struct Passing<'a>(&'a [Arc<Block>]);

impl<'a> Passing<'a> {
    pub(crate) fn new(blocks: &'a [Arc<Block>]) -> Self {
        blocks.iter().for_each(|block| block.shared.cache.pass(block.number));
        Passing(blocks)
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|block| block.shared.cache.forget(block.number));
    }
}

/// Tells frames of times from those of data in the cache, where both are known by their bytes.
const TIMES_FLAG: u64 = 1 << 63;

/// Pages of a block's index, the last one at hand: series are asked for in their order.
struct Pages<'a> {
    block: &'a Block,
    index: &'a BlockIndex,
    last: RefCell<Option<Arc<SeriesPage>>>,
}

impl<'a> Pages<'a> {
    fn new(block: &'a Block, index: &'a BlockIndex) -> Self {
        Pages { block, index, last: RefCell::default() }
    }

    fn of(&self, number: u32) -> Option<Arc<SeriesPage>> {
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|page| page.place(number).is_none()) {
            *last = self.block.page(self.index, number);
        }
        last.clone()
    }

    fn find(&self, number: u32) -> Option<(Arc<SeriesPage>, usize)> {
        let page = self.of(number)?;
        let place = page.place(number)?;
        Some((page, place))
    }
}

struct BlockSeries {
    block: Arc<Block>,
    index: Arc<BlockIndex>,
    tombstones: Arc<Tombstones>,
    labels: Labels,
    page: Arc<SeriesPage>,
    number: u32,
    place: usize,
    start_ms: i64,
    end_ms: i64,
    mode: Mode,
}

impl BlockSeries {
    /// The chunks that may have samples between two times.
    fn chunks(&self, start_ms: i64, end_ms: i64) -> impl Iterator<Item = u64> {
        let chunks = (self.page.first_chunk(self.place)..).zip(self.page.chunks(self.place));
        chunks.filter(move |(_, extent)| extent.min_ms <= end_ms && start_ms <= extent.max_ms).map(|(chunk, _)| chunk)
    }

    /// The windows of the chunks that have some between two times, without what is deleted.
    fn windows(&self, start_ms: i64, end_ms: i64) -> Result<Windows, StorageError> {
        let resolution_ms = self.block.meta.resolution_ms.unwrap_or(1).max(1);
        let mut parts = Vec::new();
        for chunk in self.chunks(start_ms, end_ms) {
            let decode = |blob: &[u8], column: &[i64]| windows::decode(blob, column, resolution_ms);
            parts.extend(self.block.read_chunk(&self.index, chunk, decode)?);
        }
        Ok(Windows::joined(parts).without(self.tombstones.of(self.number), resolution_ms))
    }

    /// Appends what stands for windows, none of which is deleted.
    fn read_windows(&self, wanted: Wanted, into: &mut Samples) -> Result<(), StorageError> {
        self.reserve(wanted.start_ms, wanted.end_ms, into);
        let mut scratch = windows::Scratch::default();
        for chunk in self.chunks(wanted.start_ms, wanted.end_ms) {
            let decode = |blob: &[u8], column: &[i64]| windows::read(blob, column, wanted, &mut scratch, into);
            self.block.read_chunk(&self.index, chunk, decode)?;
        }
        Ok(())
    }

    /// Makes room for the chunks that lie between two times as a whole; of others nobody knows how much will be read.
    fn reserve(&self, start_ms: i64, end_ms: i64, into: &mut Samples) {
        let chunks = self.page.chunks(self.place);
        let whole = chunks.filter(|extent| start_ms <= extent.min_ms && extent.max_ms <= end_ms);
        let samples: usize = whole.map(|extent| extent.count as usize).sum();
        // Of windows, one sample comes out of two or more where totals are asked for.
        let is_one_a_window = matches!(self.mode, Mode::Min | Mode::Max | Mode::Sum);
        let samples = if is_one_a_window { samples / 2 } else { samples };
        into.timestamps.reserve(samples);
        into.values.reserve(samples);
        if self.block.meta.resolution_ms.is_some() {
            into.tiers.reserve(samples);
        }
    }
}

impl Series for BlockSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        self.read_between(self.start_ms, self.end_ms, into)
    }

    fn read_between(&self, start_ms: i64, end_ms: i64, into: &mut Samples) -> Result<(), StorageError> {
        let deleted = self.tombstones.of(self.number);
        if let Some(resolution_ms) = self.block.meta.resolution_ms {
            let wanted = Wanted { resolution_ms: resolution_ms.max(1), mode: self.mode, start_ms, end_ms };
            return if deleted.is_empty() {
                self.read_windows(wanted, into)
            } else {
                let windows = self.windows(start_ms, end_ms)?;
                windows.read(wanted.resolution_ms, self.mode, start_ms, end_ms, into);
                Ok(())
            };
        }
        self.reserve(start_ms, end_ms, into);
        for chunk in self.chunks(start_ms, end_ms) {
            let read = |into: &mut Samples| {
                let decode = |blob: &[u8], column: &[i64]| chunk::decode(blob, column, start_ms, end_ms, into);
                self.block.read_chunk(&self.index, chunk, decode)
            };
            if deleted.is_empty() {
                read(into)?;
                continue;
            }
            let mut all = Samples::default();
            read(&mut all)?;
            for (index, &time) in all.timestamps.iter().enumerate() {
                if !deleted.iter().any(|(from, to)| (*from..=*to).contains(&time)) {
                    into.push(time, all.value(index));
                    into.set_last_start_timestamp(all.start_timestamp(index));
                }
            }
        }
        Ok(())
    }
}
