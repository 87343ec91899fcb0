//! What is done from time to time: cutting the head, compaction, retention, freeing memory; and the copies and
//! rewritings that somebody asks for. None of it holds back readers: they keep the view they began with.

use crate::{
    block::{
        Block, META_FILE, Passing,
        exemplars::{self, BySeries},
        meta::{BlockMeta, Compaction, Cover, Cut},
        writer::{BlockPlan, BlockWriter},
    },
    checkpoint,
    compact::{plan_compaction, ranges, tier_ranges},
    db::{Tsdb, lock},
    files,
    head::cut::Window,
    postings::Selector,
    query::View,
    tier::{Rules, Windows},
    wal::{WalPosition, record, segment},
};
use model::Labels;
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    hash::{BuildHasher, RandomState},
    io,
    iter::Peekable,
    path::{Path, PathBuf},
    sync::{Arc, MutexGuard, PoisonError, Weak},
    time::Instant,
};
use storage::{Samples, SeriesSet, StorageError, fanout::merge_sets};
use ulid::Ulid;

/// Indexes and frames that nobody asked for during this time are dropped.
const IDLE_MS: i64 = 5 * 60_000;

/// State of the one who maintains.
pub(crate) struct Maintenance {
    /// Views that readers may still hold.
    retired: Vec<Weak<View>>,
    /// Samples that are in a block now and go from the head when no reader holds an older view.
    cut: Option<Vec<Window>>,
    /// The cut took what is new too: its series stay, for the order of their next samples is still to be watched.
    keep_series: bool,
    /// Folders to delete when no reader holds an older view.
    pub(crate) doomed: Vec<PathBuf>,
    /// Everything older is in blocks.
    pub(crate) cut_done_ms: i64,
    /// Until when, inclusive, windows were made, by resolution and rule: more than blocks say where no series was there.
    pub(crate) tiers_done: HashMap<(i64, String), i64>,
    /// Blocks that were searched for series that are too old, and how many lengths of time were over for them then.
    pub(crate) stripped: HashMap<String, usize>,
    /// What the retention is, as of the last time somebody looked.
    pub(crate) rules: Arc<Rules>,
    last_ulid: Ulid,
    trimmed_ms: i64,
    /// The one that is there.
    pub(crate) checkpoint: Option<checkpoint::Written>,
    /// None is written before.
    pub(crate) checkpoint_retry_ms: i64,
}

impl Maintenance {
    pub(crate) fn new(blocks: &[Arc<Block>], cut_ms: i64, checkpoint: Option<checkpoint::Written>) -> Self {
        let last_ulid = blocks.iter().filter_map(|block| Ulid::from_string(&block.meta.ulid).ok()).max();
        Maintenance {
            retired: Vec::new(),
            cut: None,
            keep_series: false,
            doomed: Vec::new(),
            cut_done_ms: cut_ms,
            tiers_done: HashMap::new(),
            stripped: HashMap::new(),
            rules: Arc::default(),
            last_ulid: last_ulid.unwrap_or(Ulid::nil()),
            trimmed_ms: i64::MIN,
            checkpoint,
            checkpoint_retry_ms: i64::MIN,
        }
    }

    /// True while samples are in a block and in the head as well.
    pub(crate) fn is_cutting(&self) -> bool {
        self.cut.is_some()
    }

    /// A name that is greater than all before, as the order of creation is the order of names.
    pub(crate) fn next_ulid(&mut self, now_ms: i64) -> String {
        let now_ms = u64::try_from(now_ms).unwrap_or(0).max(self.last_ulid.timestamp_ms() + 1);
        let random =
            (u128::from(RandomState::new().hash_one(now_ms)) << 64) | u128::from(RandomState::new().hash_one(1));
        self.last_ulid = Ulid::from_parts(now_ms, random);
        self.last_ulid.to_string()
    }
}

impl Tsdb {
    /// One step of what has to be done from time to time: cuts blocks from the head, shortens the log, compacts,
    /// applies the retention, frees memory of unused indexes. Call it every minute from a thread of its own.
    ///
    /// # Errors
    /// `Io` when a block cannot be written; nothing is lost, the next call tries again.
    pub fn maintain(&self) -> Result<(), StorageError> {
        let mut state = self.maintenance();
        self.settle(&mut state);
        let mut outcome = Ok(());
        if state.cut.is_none() {
            outcome = self.cut_head(&mut state);
            self.settle(&mut state);
        }
        self.checkpoint_if_due(&mut state);
        // A full disk stops the cutting, and only the retention can mend that.
        let retention = self.apply_retention(&mut state);
        outcome = outcome.and(retention);
        if outcome.is_ok() {
            outcome = self.compact(&mut state).and_then(|()| self.build_tiers(&mut state));
        }
        let retention = self.apply_retention(&mut state);
        outcome = outcome.and(retention);
        self.settle(&mut state);
        self.trim(&mut state);
        if outcome.is_err() {
            self.metrics.compactions_failed.inc();
        }
        outcome
    }

    /// The state of the one who maintains, who follows the retention as it is now.
    fn maintenance(&self) -> MutexGuard<'_, Maintenance> {
        let mut state = lock(&self.maintenance);
        let rules = self.rules();
        if !Arc::ptr_eq(&rules, &state.rules) {
            // What was found with other rules means nothing any more.
            state.stripped.clear();
            state.tiers_done.retain(|(resolution_ms, text), _| rules.has(*resolution_ms, text));
            state.rules = rules;
        }
        state
    }

    /// Shows a new list of blocks to readers.
    pub(crate) fn show(&self, state: &mut Maintenance, mut blocks: Vec<Arc<Block>>) {
        blocks.sort_by(|a, b| a.meta.ulid.cmp(&b.meta.ulid));
        let old = self.publish(View { blocks });
        state.retired.push(Arc::downgrade(&old));
    }

    /// Shows a block that came from elsewhere.
    ///
    /// # Errors
    /// `Io` when it could not be down-sampled; it is shown all the same.
    pub(crate) fn add_block(&self, block: Arc<Block>) -> Result<(), StorageError> {
        let mut state = self.maintenance();
        let mut blocks = self.view().blocks.clone();
        blocks.push(Arc::clone(&block));
        self.show(&mut state, blocks);
        self.head.past_changed();
        self.build_tiers_of(&mut state, std::slice::from_ref(&block))
    }

    /// Does what waited for readers to end.
    fn settle(&self, state: &mut Maintenance) {
        state.retired.retain(|view| view.strong_count() > 0);
        if !state.retired.is_empty() {
            return;
        }
        self.delete_doomed(state);
        if let Some(cut) = state.cut.take() {
            let mut dropped = 0;
            for window in cut {
                // Appends may come in between.
                let _appends = lock(&self.appends);
                dropped += self.head.forget(window);
            }
            self.metrics.chunks_removed.add(dropped as f64);
            self.metrics.head_truncations.inc();
            if std::mem::take(&mut state.keep_series) {
                return;
            }
            let mut appends = lock(&self.appends);
            appends.sweep_layouts();
            let held = appends.held_series();
            let gone = self.head.forget_empty(&held, &mut appends.logged);
            if gone > 0 {
                // There may be room for some of those that were refused.
                self.head.renumber_overflow();
            }
            self.metrics.series_removed.add(gone as f64);
        }
    }

    /// Deletes the folders of blocks that nobody reads any more. After the renaming, which is forced to the disk before
    /// the first file goes, neither a crash nor a power failure leaves anything that looks like a block.
    fn delete_doomed(&self, state: &mut Maintenance) {
        let complain = |dir: &Path, error: &io::Error| {
            tracing::error!(dir = %dir.display(), %error, "a block could not be deleted");
        };
        let mut renamed = Vec::with_capacity(state.doomed.len());
        for dir in state.doomed.drain(..) {
            let deleting = dir.with_extension("deleting");
            match files::rename(&dir, &deleting) {
                Ok(()) => renamed.push(deleting),
                Err(error) => complain(&dir, &error),
            }
        }
        if renamed.is_empty() {
            return;
        }
        if let Err(error) = files::sync_dir(&self.options.dir) {
            // They are deleted when the folder is opened the next time.
            return complain(&self.options.dir, &error);
        }
        for dir in renamed {
            if let Err(error) = files::remove_dir(&dir) {
                complain(&dir, &error);
            }
        }
    }

    /// Where the head is to be cut, if it is time: half a block behind the newest sample, in whole blocks.
    fn cut_border(&self, state: &Maintenance) -> Option<i64> {
        let range = self.options.block_range_ms;
        let max_ms = self.head.max_ms();
        let before_ms = max_ms.saturating_sub(range / 2).div_euclid(range).saturating_mul(range);
        (max_ms != i64::MIN && before_ms > state.cut_done_ms).then_some(before_ms)
    }

    /// True if [`Tsdb::maintain`] would cut the head or write a checkpoint, which should not wait: both grow with what is
    /// sent. False while somebody maintains.
    pub fn is_maintenance_due(&self) -> bool {
        match self.maintenance.try_lock() {
            Ok(state) => state.cut.is_some() || self.cut_border(&state).is_some() || self.is_checkpoint_due(&state),
            Err(_) => false,
        }
    }

    /// Puts everything into blocks, however new, and compacts them: before a backup, or to see what history takes on
    /// the disk. Later samples of the same time go into another block, and both become one.
    ///
    /// # Errors
    /// `Io`; `Unavailable` while a query still reads what the last cut left, or when the log cannot be written.
    pub fn compact_all(&self) -> Result<(), StorageError> {
        let mut state = self.maintenance();
        self.cut_everything(&mut state)?;
        self.compact(&mut state)?;
        self.build_tiers(&mut state)?;
        self.settle(&mut state);
        Ok(())
    }

    /// Puts everything into blocks, however new.
    ///
    /// # Errors
    /// As [`Tsdb::compact_all`].
    pub(crate) fn cut_all(&self) -> Result<(), StorageError> {
        self.cut_everything(&mut self.maintenance())
    }

    fn cut_everything(&self, state: &mut Maintenance) -> Result<(), StorageError> {
        self.settle(state);
        if state.cut.is_some() {
            let reason = "a query reads what is to be cut from memory; try again when it has ended".to_owned();
            return Err(StorageError::Unavailable { reason });
        }
        let (windows, position, before_ms) = {
            let mut appends = lock(&self.appends);
            // What is in blocks shall not share a segment with what comes.
            appends.wal.begin_segment()?;
            self.log_all_metadata(&mut appends)?;
            let before_ms = self.head.max_ms().saturating_add(1);
            (self.head.windows_before(before_ms), appends.wal.end(), before_ms)
        };
        state.keep_series = true;
        self.write_windows(state, windows, position, before_ms)?;
        self.settle(state);
        Ok(())
    }

    /// Writes what lies more than half a block behind the newest sample, in whole blocks.
    fn cut_head(&self, state: &mut Maintenance) -> Result<(), StorageError> {
        let Some(before_ms) = self.cut_border(state) else { return Ok(()) };
        let (windows, position) = {
            let mut appends = lock(&self.appends);
            appends.cut_ms = appends.cut_ms.max(before_ms);
            (self.head.windows_before(before_ms), appends.wal.end())
        };
        state.keep_series = false;
        self.write_windows(state, windows, position, before_ms)?;
        state.cut_done_ms = before_ms;
        Ok(())
    }

    /// Makes blocks of windows that hold all samples before a time which were logged before `position`.
    fn write_windows(
        &self,
        state: &mut Maintenance,
        windows: Vec<Window>,
        position: WalPosition,
        before_ms: i64,
    ) -> Result<(), StorageError> {
        let mut blocks = self.view().blocks.clone();
        let mut cut: Vec<Window> = Vec::new();
        let mut written: Vec<Arc<Block>> = Vec::new();
        let mut outcome = Ok(());
        for window in windows {
            let (min_ms, max_ms) = (window.min_ms, window.max_ms.min(before_ms));
            let plan = BlockPlan {
                ulid: state.next_ulid(self.options.clock.now_ms()),
                min_time_ms: min_ms,
                max_time_ms: max_ms,
                compaction: Compaction { level: 1, parents: Vec::new() },
                cuts: vec![Cut { min_ms, max_ms, segment: position.segment, offset: position.offset }],
                head_end_ms: Some(max_ms),
                ..BlockPlan::default()
            };
            match self.write_cut(plan, &window) {
                Ok(block) => {
                    written.extend(block.clone());
                    blocks.extend(block);
                    cut.push(window);
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if !cut.is_empty() {
            self.show(state, blocks);
            state.cut = Some(cut);
        }
        outcome?;
        // What came when its range was down-sampled already.
        self.build_tiers_of(state, &written)?;
        // What blocks say of the log holds for the checkpoint as long as they say it: they forget it with the segments.
        self.drop_checkpoint(state).map_err(files::at(&checkpoint::path(&self.options.dir)))?;
        let truncated = lock(&self.appends).wal.truncate(position, before_ms);
        match truncated {
            Ok(0) => {}
            Ok(segments) => {
                self.metrics.wal_truncations.inc();
                tracing::info!(segments, "log segments deleted, blocks hold their samples");
            }
            Err(error) => tracing::error!(%error, "log segments could not be deleted"),
        }
        Ok(())
    }

    fn write_cut(&self, plan: BlockPlan, window: &Window) -> Result<Option<Arc<Block>>, StorageError> {
        let started = Instant::now();
        let max_ms = plan.max_time_ms;
        let mut writer = BlockWriter::create(&self.options.dir, plan)?;
        let exemplars = lock(&self.exemplars).between(window.min_ms, max_ms);
        writer.set_exemplars(exemplars);
        self.head.for_each(window, |labels, samples| writer.add_series(labels, samples))?;
        let dir = writer.finish()?;
        self.metrics.compactions.inc();
        self.metrics.compaction_seconds.observe(started.elapsed().as_secs_f64());
        dir.map(|dir| Block::open(&dir, &self.shared)).transpose()
    }

    fn compact(&self, state: &mut Maintenance) -> Result<(), StorageError> {
        let resolutions: BTreeSet<Option<i64>> =
            self.view().blocks.iter().map(|block| block.meta.resolution_ms).collect();
        for resolution_ms in resolutions {
            let ranges = match resolution_ms {
                None => ranges(&self.options, state.rules.retention.time_ms),
                Some(resolution_ms) => {
                    let keep_ms = state.rules.of(resolution_ms).map(|rule| rule.keep_ms).max();
                    tier_ranges(state.rules.span_ms(), keep_ms.unwrap_or(0))
                }
            };
            loop {
                let view = self.view();
                let candidates = view.blocks.iter().filter(|block| block.meta.resolution_ms == resolution_ms);
                let candidates: Vec<Arc<Block>> = candidates.cloned().collect();
                drop(view);
                let Some(sources) = plan_compaction(&candidates, &ranges) else { break };
                if sources.vertical {
                    self.metrics.vertical_compactions.inc();
                }
                let level = sources.blocks.iter().map(|block| block.meta.compaction.level).max().unwrap_or(0) + 1;
                self.rewrite(state, &sources.blocks, level, &|_| true)?;
            }
        }
        Ok(())
    }

    /// Puts one block in the place of several of the same resolution, with the series that stay and without what is
    /// deleted. Blocks that turn out to be damaged stay as they are.
    pub(crate) fn rewrite(
        &self,
        state: &mut Maintenance,
        sources: &[Arc<Block>],
        level: u32,
        stays: &dyn Fn(&Labels) -> bool,
    ) -> Result<(), StorageError> {
        let started = Instant::now();
        let oldest_segment = segment::segment_numbers(&self.options.dir.join("wal"))
            .ok()
            .and_then(|numbers| numbers.first().copied())
            .unwrap_or(0);
        let plan = BlockPlan {
            ulid: state.next_ulid(self.options.clock.now_ms()),
            min_time_ms: sources.iter().map(|block| block.meta.min_time_ms).min().unwrap_or(0),
            max_time_ms: sources.iter().map(|block| block.meta.max_time_ms).max().unwrap_or(0),
            compaction: Compaction { level, parents: sources.iter().map(|block| block.meta.ulid.clone()).collect() },
            cuts: (sources.iter())
                .flat_map(|block| block.meta.cuts.iter().copied())
                .filter(|cut| cut.segment >= oldest_segment)
                .collect(),
            head_end_ms: sources.iter().filter_map(|block| block.meta.head_end_ms()).max(),
            resolution_ms: sources.first().and_then(|block| block.meta.resolution_ms),
            covers: Cover::joined(sources.iter().flat_map(|block| block.meta.covers.iter().cloned()).collect()),
        };
        let everything = Selector::new(&[])?;
        let _passing = Passing::new(sources);
        let mut writer = BlockWriter::create(&self.options.dir, plan)?;
        let mut exemplars = BySeries::new();
        for block in sources {
            block.exemplars(|mut series| {
                if stays(&series.labels) {
                    exemplars.entry(series.labels).or_default().append(&mut series.exemplars);
                }
            });
        }
        writer.set_exemplars(exemplars::tidy(exemplars));
        if let Some(resolution_ms) = sources.first().and_then(|block| block.meta.resolution_ms) {
            let mut sets: Vec<_> = sources.iter().map(|block| block.windows(&everything).peekable()).collect();
            while let Some((labels, parts)) = next_windows(&mut sets)? {
                if stays(&labels) {
                    writer.add_windows(&labels, &Windows::merge(parts, resolution_ms))?;
                }
            }
        } else {
            let sets: Vec<SeriesSet> =
                sources.iter().map(|block| block.select(&everything, i64::MIN, i64::MAX)).collect();
            let mut samples = Samples::default();
            for series in merge_sets(sets) {
                let series = series?;
                if stays(series.labels()) {
                    samples.clear();
                    series.read(&mut samples)?;
                    writer.add_series(series.labels(), &samples)?;
                }
            }
        }
        if sources.iter().any(|block| block.is_damaged()) {
            return Ok(());
        }
        let dir = writer.finish()?;
        self.metrics.compactions.inc();
        self.metrics.compaction_seconds.observe(started.elapsed().as_secs_f64());
        let mut blocks = self.view().blocks.clone();
        blocks.retain(|block| !sources.iter().any(|source| Arc::ptr_eq(source, block)));
        if let Some(dir) = dir {
            blocks.push(Block::open(&dir, &self.shared)?);
        }
        self.show(state, blocks);
        state.doomed.extend(sources.iter().map(|block| block.dir.clone()));
        Ok(())
    }

    fn trim(&self, state: &mut Maintenance) {
        let now_ms = self.options.clock.now_ms();
        for block in &self.view().blocks {
            block.drop_index_if_unused_since(now_ms.saturating_sub(IDLE_MS));
        }
        if now_ms.saturating_sub(state.trimmed_ms) >= IDLE_MS {
            state.trimmed_ms = now_ms;
            self.shared.cache.clear_if_unused();
        }
    }

    /// Rewrites the blocks that hold deleted samples.
    ///
    /// # Errors
    /// `Io`.
    pub fn clean_tombstones(&self) -> Result<(), StorageError> {
        let mut state = lock(&self.maintenance);
        let blocks = self.view().blocks.clone();
        for block in blocks.iter().filter(|block| !block.is_damaged() && !block.tombstones().is_empty()) {
            self.rewrite(&mut state, std::slice::from_ref(block), block.meta.compaction.level, &|_| true)?;
        }
        drop(blocks);
        self.settle(&mut state);
        Ok(())
    }

    /// Writes a copy that can be opened on its own into `dir`, which must not exist: blocks as hard links where the
    /// file system allows it, the head (unless `skip_head`) as blocks.
    ///
    /// # Errors
    /// `Io`.
    pub fn snapshot(&self, dir: &Path, skip_head: bool) -> Result<(), StorageError> {
        let mut state = lock(&self.maintenance);
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(files::at(parent))?;
        }
        fs::create_dir(dir).map_err(files::at(dir))?;
        for block in &self.view().blocks {
            let target = dir.join(&block.meta.ulid);
            copy_block(block, &target).map_err(files::at(&target))?;
        }
        self.copy_metadata(dir)?;
        if skip_head {
            return Ok(());
        }
        let range = self.options.block_range_ms;
        for number in self.head.block_numbers() {
            let (min_ms, max_ms) = (number.saturating_mul(range), (number + 1).saturating_mul(range));
            let plan = BlockPlan {
                ulid: state.next_ulid(self.options.clock.now_ms()),
                min_time_ms: min_ms,
                max_time_ms: max_ms,
                compaction: Compaction { level: 1, parents: Vec::new() },
                ..BlockPlan::default()
            };
            let mut writer = BlockWriter::create(dir, plan)?;
            let window = self.head.window(min_ms, max_ms);
            writer.set_exemplars(lock(&self.exemplars).between(window.min_ms, max_ms));
            self.head.for_each(&window, |labels, samples| writer.add_series(labels, samples))?;
            writer.finish()?;
        }
        files::sync_dir(dir).map_err(files::at(dir))
    }

    /// A log that has nothing but what is known about metric families.
    fn copy_metadata(&self, dir: &Path) -> Result<(), StorageError> {
        let mut segment = segment::MAGIC.to_vec();
        {
            let known = self.metadata.read().unwrap_or_else(PoisonError::into_inner);
            if known.is_empty() {
                return Ok(());
            }
            segment::frame(&mut segment, |out| record::metadata(known.iter(), out));
        }
        let wal = dir.join("wal");
        fs::create_dir(&wal).map_err(files::at(&wal))?;
        let path = segment::segment_path(&wal, 1);
        files::replace_file(&path, &segment).and_then(|()| files::sync_dir(&wal)).map_err(files::at(&path))
    }
}

/// The next series of blocks of windows, with the windows of each that has it.
fn next_windows<I>(sets: &mut [Peekable<I>]) -> Result<Option<(Labels, Vec<Windows>)>, StorageError>
where
    I: Iterator<Item = Result<(Labels, Windows), StorageError>>,
{
    let heads = sets.iter_mut().filter_map(|set| set.peek());
    let Some(labels) = heads.filter_map(|head| head.as_ref().ok()).map(|(labels, _)| labels).min().cloned() else {
        // Nothing is left, or nothing but a fault.
        return sets.iter_mut().find_map(Iterator::next).transpose().map(|_| None);
    };
    let mut parts = Vec::new();
    for set in sets {
        if let Some(next) = set.next_if(|head| head.as_ref().map_or(true, |(own, _)| *own == labels)) {
            parts.push(next?.1);
        }
    }
    Ok(Some((labels, parts)))
}

/// Links the files of a block, which never change, and writes its description anew: the copy has no log.
fn copy_block(block: &Block, target: &Path) -> io::Result<()> {
    fs::create_dir(target)?;
    for entry in fs::read_dir(&block.dir)? {
        let entry = entry?;
        let to = target.join(entry.file_name());
        if entry.file_name() == META_FILE {
            let meta = BlockMeta { cuts: Vec::new(), ..block.description() };
            files::replace_file(&to, &meta.encode()?)?;
        } else if fs::hard_link(entry.path(), &to).is_err() {
            fs::copy(entry.path(), &to)?;
        }
    }
    files::sync_dir(target)
}
