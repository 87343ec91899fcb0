//! The engine as a whole.

use crate::{
    BlockInfo, CardinalityBudgets, Damage, MetadataMap, OpenError, OverBudget, Retention, SeriesExemplars, TsdbOptions,
    TsdbStatus, WalFollower, WalPosition,
    append::Appends,
    block::{Block, BlockShared, cache::FrameCache, exemplars, loaded::Loaded, meta::Cut},
    check, checkpoint, files,
    head::{Head, exemplars::Exemplars},
    maintain::Maintenance,
    metrics::Metrics,
    postings::Selector,
    query::{Deletions, TsdbQuerier, View},
    tier::Rules,
    wal::{
        WalWriter,
        recovery::{Recovery, Replayed},
    },
};
use model::{Labels, Matcher, Metadata};
use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Instant,
};
use storage::{
    AppendReport, History, Ingest, Layout, Querier, Queryable, Row, Samples, SeriesId, SeriesSamples, StorageError,
};
use telemetry::Collected;
use ulid::Ulid;

/// An open folder of series.
///
/// Threads: every call may block on the disk. `append_*` calls wait for each other and, shortly, for the cutting of
/// the head; `maintain`, `snapshot` and `clean_tombstones` take as long as the blocks they write and hold back
/// neither appends nor reads.
pub struct Tsdb {
    pub(crate) options: TsdbOptions,
    pub(crate) head: Arc<Head>,
    pub(crate) appends: Mutex<Appends>,
    pub(crate) wal_end: Arc<Mutex<WalPosition>>,
    view: RwLock<Arc<View>>,
    pub(crate) maintenance: Mutex<Maintenance>,
    pub(crate) exemplars: Mutex<Exemplars>,
    pub(crate) metadata: RwLock<MetadataMap>,
    pub(crate) shared: Arc<BlockShared>,
    pub(crate) metrics: Metrics,
    /// See [`Tsdb::hold_from`]; the latest time that there is for none.
    pub(crate) held_from_ms: AtomicI64,
    /// From the options at first.
    pub(crate) out_of_order_window_ms: AtomicI64,
    /// What is kept how long, as it is now.
    rules: RwLock<Arc<Rules>>,
    deletions: Arc<Deletions>,
    /// Held as long as the folder is open.
    _lock: File,
}

/// What a lock protects is whole even if a thread died with it: every change is made in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the folder of the log, if it is not there, so that its name and those above survive a power failure: what is
/// forced into it is nowhere else.
fn make_folder(wal_dir: &Path) -> io::Result<()> {
    if wal_dir.is_dir() {
        return Ok(());
    }
    let made = wal_dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).count();
    files::create_dir_all(wal_dir)?;
    for parent in wal_dir.ancestors().skip(1).take(made) {
        files::sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    }
    Ok(())
}

impl Tsdb {
    /// Opens the folder, replays its log and loads its blocks. What is damaged is left out, logged and kept in [`Tsdb::damage`].
    ///
    /// # Errors
    /// `Locked` when another process has it open, `Io` when it cannot be read or written.
    pub fn open(options: TsdbOptions) -> Result<Arc<Tsdb>, OpenError> {
        if options.block_range_ms < 1 {
            return Err(OpenError::BlockRange(options.block_range_ms));
        }
        let wal_dir = options.dir.join("wal");
        make_folder(&wal_dir).map_err(files::at(&wal_dir))?;
        let Some(lock_file) = files::lock(&options.dir)? else {
            return Err(OpenError::Locked { dir: options.dir.clone() });
        };
        Tsdb::open_locked(options, lock_file)
    }

    /// As [`Tsdb::open`], for who holds the folder's lock and has its `wal/`.
    ///
    /// # Errors
    /// As [`Tsdb::open`], but `Locked`.
    pub(crate) fn open_locked(options: TsdbOptions, lock_file: File) -> Result<Arc<Tsdb>, OpenError> {
        let rules = Rules::new(options.retention(), options.block_range_ms).map_err(OpenError::Rule)?;
        let started = Instant::now();
        let wal_dir = options.dir.join("wal");
        let metrics = Metrics::new(&options.registry);
        let shared = Arc::new(BlockShared {
            cache: FrameCache::default(),
            damage: Mutex::default(),
            damage_total: metrics.wal_corruptions.clone(),
            clock: Arc::clone(&options.clock),
            next_number: AtomicU64::new(0),
            loaded: Loaded::default(),
        });
        let blocks = open_blocks(&options.dir, &shared)?;
        let cuts: Vec<Cut> = blocks.iter().flat_map(|block| block.meta.cuts.iter().copied()).collect();
        // A block may end inside a block range whose other samples are still to come.
        let border = |time_ms: i64| time_ms.div_euclid(options.block_range_ms).saturating_mul(options.block_range_ms);
        // Blocks from elsewhere say nothing about what the head takes.
        let head_end_ms = blocks.iter().filter_map(|block| block.meta.head_end_ms()).max();
        let cut_ms = head_end_ms.map_or(i64::MIN, border);
        // What a process left that ended while it wrote.
        let _ = fs::remove_file(checkpoint::path(&options.dir).with_extension("tmp"));
        let replay = |with_checkpoint: bool| -> Result<Option<_>, StorageError> {
            let head = Arc::new(Head::new(options.block_range_ms));
            let (mut exemplars, mut metadata) = (Exemplars::new(options.exemplars_max), MetadataMap::new());
            let mut recovery = Recovery {
                head: &head,
                exemplars: &mut exemplars,
                metadata: &mut metadata,
                cuts: &cuts,
                shared: &shared,
            };
            let replayed = recovery.replay(&options.dir, with_checkpoint)?;
            Ok(replayed.map(|replayed| (head, exemplars, metadata, replayed)))
        };
        let replayed = match replay(true)? {
            Some(replayed) => Some(replayed),
            None => replay(false)?,
        };
        let Some((head, exemplars, metadata, Replayed { segments, checkpoint: replayed_to })) = replayed else {
            // Without a checkpoint there is none to be refused.
            let source = io::Error::other("the log could not be read");
            return Err(StorageError::Io { path: wal_dir, source }.into());
        };
        if let Some(end_ms) = head_end_ms.filter(|end_ms| *end_ms > cut_ms) {
            recall_newest(&head, &blocks, cut_ms, end_ms)?;
        }
        // Numbers are never used again, or a block, or a checkpoint whose segment is gone, would claim to hold what a new
        // segment has.
        let told = checkpoint::position(&options.dir).map(|position| position.segment);
        let first = cuts.iter().map(|cut| cut.segment).chain(told).max().unwrap_or(0);
        let wal =
            WalWriter::new(&wal_dir, segments, first, options.segment_bytes_max, options.sync, metrics.wal.clone())
                .map_err(files::at(&wal_dir))?;
        let path = checkpoint::path(&options.dir);
        let bytes = fs::metadata(&path).ok().map(|meta| meta.len());
        // One that was of no use goes with the next cut, or is replaced.
        let written = bytes.map(|bytes| match replayed_to {
            Some(position) => checkpoint::Written { position, bytes },
            None => checkpoint::Written { position: WalPosition::default(), bytes: 0 },
        });
        let maintenance = Maintenance::new(&blocks, cut_ms, written);
        let tsdb = Arc::new(Tsdb {
            wal_end: Arc::new(Mutex::new(wal.end())),
            appends: Mutex::new(Appends::new(wal, cut_ms, options.block_range_ms)),
            head,
            view: RwLock::new(Arc::new(View { blocks })),
            maintenance: Mutex::new(maintenance),
            exemplars: Mutex::new(exemplars),
            metadata: RwLock::new(metadata),
            shared,
            metrics,
            held_from_ms: AtomicI64::new(i64::MAX),
            out_of_order_window_ms: AtomicI64::new(options.out_of_order_window_ms),
            rules: RwLock::new(Arc::new(rules)),
            deletions: Arc::default(),
            _lock: lock_file,
            options,
        });
        let registry = &tsdb.options.registry;
        registry
            .gauge("prometheus_tsdb_data_replay_duration_seconds", "Time to open the folder and replay the log.", &[])
            .set(started.elapsed().as_secs_f64());
        let weak: Weak<Tsdb> = Arc::downgrade(&tsdb);
        registry.collector(move |out| {
            if let Some(tsdb) = weak.upgrade() {
                tsdb.collect(out);
            }
        });
        tracing::info!(
            dir = %tsdb.options.dir.display(),
            series = tsdb.head.series_count(),
            blocks = tsdb.view().blocks.len(),
            milliseconds = started.elapsed().as_millis() as u64,
            "storage opened"
        );
        Ok(tsdb)
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps history so from now on: the next [`Tsdb::maintain`] follows it.
    ///
    /// # Errors
    /// `Rule`; everything is then as it was.
    pub fn set_retention(&self, retention: Retention) -> Result<(), OpenError> {
        if self.rules().retention != retention {
            let rules = Rules::new(retention, self.options.block_range_ms).map_err(OpenError::Rule)?;
            *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        }
        Ok(())
    }

    /// Takes samples so far behind the newest one from now on, 0: none out of order.
    pub fn set_out_of_order_window(&self, window_ms: i64) {
        let _appends = lock(&self.appends);
        self.out_of_order_window_ms.store(window_ms, Ordering::Relaxed);
    }

    /// Raw samples at this time and later are still to be copied elsewhere: blocks that have some are not deleted for their
    /// age, only where there are too many bytes. `None`, as at first: nothing waits.
    pub fn hold_from(&self, from_ms: Option<i64>) {
        self.held_from_ms.store(from_ms.unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Shows readers other blocks from now on; gives what they saw until now.
    pub(crate) fn publish(&self, view: View) -> Arc<View> {
        let mut current = self.view.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, Arc::new(view))
    }

    /// Numbers about the head, with the largest `limit` of each list (Prometheus shows 10).
    pub fn status(&self, limit: usize) -> TsdbStatus {
        let mut status = TsdbStatus { min_time_ms: i64::MAX, max_time_ms: i64::MIN, ..TsdbStatus::default() };
        status.series = self.head.series_count() as u64;
        if let Some((min_ms, max_ms, chunks)) = self.head.extent() {
            (status.min_time_ms, status.max_time_ms, status.chunks) = (min_ms, max_ms, chunks as u64);
        }
        self.head.with_counts(|counts| {
            for (name, values) in counts {
                let (mut count, mut bytes) = (0, 0);
                for (value, series) in values {
                    count += 1;
                    bytes += value.len() as u64 * series;
                    if name == model::labels::METRIC_NAME {
                        status.series_by_metric_name.push((value.to_owned(), series));
                    }
                    status.series_by_label_pair.push((format!("{name}={value}"), series));
                }
                status.label_pairs += count;
                status.values_by_label_name.push((name.to_owned(), count));
                status.bytes_by_label_name.push((name.to_owned(), bytes));
            }
        });
        for list in [
            &mut status.series_by_metric_name,
            &mut status.values_by_label_name,
            &mut status.bytes_by_label_name,
            &mut status.series_by_label_pair,
        ] {
            list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            list.truncate(limit);
        }
        status
    }

    /// Blocks, oldest first.
    pub fn blocks(&self) -> Vec<BlockInfo> {
        let view = self.view();
        let mut list: Vec<BlockInfo> = (view.blocks.iter())
            .map(|block| BlockInfo {
                ulid: block.meta.ulid.clone(),
                min_time_ms: block.meta.min_time_ms,
                max_time_ms: block.meta.max_time_ms,
                series: block.meta.stats.series,
                samples: block.meta.stats.samples,
                chunks: block.meta.stats.chunks,
                bytes: block.bytes(),
                compaction_level: block.meta.compaction.level,
                resolution_ms: block.meta.resolution_ms,
                tombstones: block.tombstones().len(),
            })
            .collect();
        list.sort_by_key(|block| (block.min_time_ms, block.max_time_ms));
        list
    }

    /// Times that may have samples, of each block and of the head: first, and end (exclusive), in Unix milliseconds.
    pub fn extents(&self) -> Vec<(i64, i64)> {
        let head = self.head.extent().map(|(min_ms, max_ms, _)| (min_ms, max_ms.saturating_add(1)));
        let view = self.view();
        view.blocks.iter().map(|block| (block.meta.min_time_ms, block.meta.max_time_ms)).chain(head).collect()
    }

    /// Until when there are samples, in the head ever or in blocks, but not later than now; `i64::MIN` without any.
    pub(crate) fn newest_ms(&self) -> i64 {
        let view = self.view();
        let raw = view.blocks.iter().filter(|block| block.meta.resolution_ms.is_none());
        let of_blocks_ms = raw.map(|block| block.meta.max_time_ms).max().unwrap_or(i64::MIN);
        of_blocks_ms.max(self.head.max_ms()).min(self.options.clock.now_ms())
    }

    /// What was found damaged since the folder was opened.
    pub fn damage(&self) -> Vec<Damage> {
        lock(&self.shared.damage).clone()
    }

    /// Type, help and unit of all families ever noted.
    pub fn metadata(&self) -> MetadataMap {
        self.metadata.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Type, help and unit of one family.
    pub fn metadata_of(&self, family: &str) -> Option<Metadata> {
        self.metadata.read().unwrap_or_else(PoisonError::into_inner).get(family).cloned()
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
        let selectors: Vec<Selector> =
            selectors.iter().map(|matchers| Selector::new(matchers)).collect::<Result<_, _>>()?;
        let mut found = lock(&self.exemplars).select(start_ms, end_ms, &selectors);
        for block in self.view().blocks.iter().filter(|block| block.overlaps(start_ms, end_ms)) {
            block.exemplars(|SeriesExemplars { labels, mut exemplars }| {
                exemplars.retain(|own| own.timestamp_ms.is_some_and(|time| (start_ms..=end_ms).contains(&time)));
                if !exemplars.is_empty() && selectors.iter().any(|selector| selector.matches(&labels)) {
                    found.entry(labels).or_default().append(&mut exemplars);
                }
            });
        }
        Ok(exemplars::tidy(found))
    }

    /// Budgets from now on. Series that were refused a place by others are asked about again.
    pub fn set_budgets(&self, budgets: CardinalityBudgets) {
        let _appends = lock(&self.appends);
        let mut guard = lock(&self.head.guard);
        if guard.budgets != budgets {
            guard.set(budgets);
            drop(guard);
            self.head.renumber_overflow();
        }
    }

    /// Budgets that are used up, those that refused most series first.
    pub fn over_budget(&self) -> Vec<OverBudget> {
        let index = self.head.index();
        lock(&self.head.guard).over(&index)
    }

    /// Deletes the samples of the accepted series between two times, both inclusive. They are gone for readers
    /// that come after, all at one moment; the disk is freed by [`Tsdb::clean_tombstones`] or by compaction.
    ///
    /// # Errors
    /// `BadMatcher`, `Unavailable`, `Io`.
    pub fn delete_series(&self, start_ms: i64, end_ms: i64, matchers: &[Matcher]) -> Result<(), StorageError> {
        let selector = Selector::new(matchers)?;
        // No block may be made from what is being deleted.
        let _maintenance = lock(&self.maintenance);
        let view = self.view();
        let of_blocks: Vec<_> = (view.blocks.iter().filter(|block| block.overlaps(start_ms, end_ms)))
            .map(|block| (block, block.tombstones_with(start_ms, end_ms, &selector)))
            .collect();
        {
            let _appends = self.log_tombstone(start_ms, end_ms, matchers)?;
            let of_head = self.head.without(&selector, start_ms, end_ms, |_| true);
            self.deletions.show(|| {
                self.head.replace_groups(of_head);
                for (block, tombstones) in &of_blocks {
                    block.set_tombstones(Arc::clone(tombstones));
                }
            });
            self.head.past_changed();
        }
        let outcome = of_blocks.iter().try_for_each(|(block, _)| block.write_tombstones());
        self.head.past_changed();
        outcome
    }

    /// The end of the log.
    pub fn wal_end(&self) -> WalPosition {
        *lock(&self.wal_end)
    }

    /// A follower of the log that begins at `from`, or at the oldest segment if `from` was deleted meanwhile.
    pub fn follow(&self, from: WalPosition) -> WalFollower {
        let end = Arc::clone(&self.wal_end);
        WalFollower::new(self.options.dir.join("wal"), from, Box::new(move || *lock(&end)))
    }

    /// Forces the log to the disk and ends the thread. Appends after this are refused; reads go on. Dropping does the same.
    ///
    /// # Errors
    /// `Io`.
    pub fn close(&self) -> Result<(), StorageError> {
        let _maintenance = lock(&self.maintenance);
        let wal_dir = self.options.dir.join("wal");
        lock(&self.appends).wal.close().map_err(files::at(&wal_dir))
    }

    /// What is only known when somebody asks.
    fn collect(&self, out: &mut Collected) {
        let (wal_bytes, end) = {
            let appends = lock(&self.appends);
            (appends.wal.bytes(), appends.wal.end())
        };
        let (min_ms, max_ms, chunks) = self.head.extent().unwrap_or((i64::MAX, i64::MIN, 0));
        let view = self.view();
        let rules = self.rules();
        let retention = &rules.retention;
        let blocks_bytes: u64 = view.blocks.iter().map(|block| block.bytes()).sum();
        let lowest = view.blocks.iter().map(|block| block.meta.min_time_ms).min().unwrap_or(i64::MAX).min(min_ms);
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let (exemplars, exemplar_series, exemplars_max, oldest) = {
            let exemplars = lock(&self.exemplars);
            (exemplars.len(), exemplars.series(), exemplars.max(), exemplars.oldest_ms().unwrap_or(0))
        };
        #[rustfmt::skip]
        let gauges = [
            ("prometheus_tsdb_head_series", "Series in the head.", self.head.series_count() as f64),
            ("prometheus_tsdb_head_chunks", "Chunks in the head.", chunks as f64),
            ("prometheus_tsdb_head_min_time", "Oldest time in the head, in milliseconds.", min_ms as f64),
            ("prometheus_tsdb_head_max_time", "Newest time in the head, in milliseconds.", max_ms as f64),
            ("prometheus_tsdb_head_min_time_seconds", "Oldest time in the head.", seconds(min_ms)),
            ("prometheus_tsdb_head_max_time_seconds", "Newest time in the head.", seconds(max_ms)),
            ("prometheus_tsdb_lowest_timestamp", "Oldest time stored, in milliseconds.", lowest as f64),
            ("prometheus_tsdb_lowest_timestamp_seconds", "Oldest time stored.", seconds(lowest)),
            ("prometheus_tsdb_blocks_loaded", "Blocks open.", view.blocks.len() as f64),
            ("prometheus_tsdb_storage_blocks_bytes", "Bytes of all blocks.", blocks_bytes as f64),
            ("prometheus_tsdb_wal_storage_size_bytes", "Bytes of the log.", wal_bytes as f64),
            ("prometheus_tsdb_wal_segment_current", "Number of the newest log segment.", end.segment as f64),
            ("prometheus_tsdb_retention_limit_bytes", "Most bytes of log and blocks, 0 for no limit.", retention.bytes as f64),
            ("prometheus_tsdb_retention_limit_seconds", "How long samples are kept, 0 for always.", seconds(retention.time_ms)),
            ("prometheus_tsdb_exemplar_exemplars_in_storage", "Exemplars kept.", exemplars as f64),
            ("prometheus_tsdb_exemplar_series_with_exemplars_in_storage", "Series with exemplars.", exemplar_series as f64),
            ("prometheus_tsdb_exemplar_max_exemplars", "Most exemplars that are kept.", exemplars_max as f64),
            ("prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds", "Time of the oldest exemplar kept.", seconds(oldest)),
        ];
        for (name, help, value) in gauges {
            out.gauge(name, help, &[], value);
        }
        let cached = "Memory of what was read of blocks and is kept decoded, about.";
        for (kind, bytes) in self.shared.cache.sizes().into_iter().chain([("postings", self.shared.loaded.bytes())]) {
            out.gauge("vigie_tsdb_cache_bytes", cached, &[("kind", kind)], bytes as f64);
        }
        for over in self.over_budget() {
            let labels = [("budget", over.kind.as_str()), ("name", &over.name)];
            let limit = "Series that the job or metric may have.";
            out.gauge("vigie_cardinality_limit_series", limit, &labels, over.limit as f64);
            out.gauge("vigie_cardinality_series", "Series that it has.", &labels, over.series as f64);
            let folded = "Times that a new series was refused a place of its own.";
            out.counter("vigie_cardinality_folded_series_total", folded, &labels, over.folded as f64);
            let guilty = [labels[0], labels[1], ("label", &over.label)];
            let values = "Different values of the label that makes the series so many, among those refused last.";
            out.gauge("vigie_cardinality_guilty_label_values", values, &guilty, over.label_values as f64);
        }
        let guilty =
            "The label that makes the series of a budget so many, some of its values, and what keeps them out.";
        for told in lock(&self.head.guard).told() {
            let labels = [
                ("budget", told.kind.as_str()),
                ("name", &told.name),
                ("label", &told.label),
                ("values", &told.values),
                ("rule", &told.rule),
            ];
            out.gauge("vigie_cardinality_guilty_label_info", guilty, &labels, 1.0);
        }
    }
}

/// Folders of blocks, in order of their creation, and what earlier processes left unfinished of some.
fn block_entries(dir: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), StorageError> {
    let (mut dirs, mut unfinished) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir).map_err(files::at(dir))? {
        let path = entry.map_err(files::at(dir))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = name.strip_suffix(".tmp").or_else(|| name.strip_suffix(".deleting"));
        if let Some(stem) = stem {
            if Ulid::from_string(stem).is_ok() {
                unfinished.push(path);
            }
        } else if name.len() == ulid::ULID_LEN && Ulid::from_string(&name).is_ok() {
            dirs.push(path);
        }
    }
    dirs.sort_unstable();
    Ok((dirs, unfinished))
}

/// Folders of blocks, in order of their creation.
pub(crate) fn block_dirs(dir: &Path) -> Result<Vec<PathBuf>, StorageError> {
    Ok(block_entries(dir)?.0)
}

/// Opens the blocks of a folder, in order of creation, after clearing away what earlier processes left unfinished.
fn open_blocks(dir: &Path, shared: &Arc<BlockShared>) -> Result<Vec<Arc<Block>>, StorageError> {
    check::finish_interrupted(dir)?;
    let (dirs, unfinished) = block_entries(dir)?;
    for path in unfinished {
        files::remove_tree(&path).map_err(files::at(&path))?;
    }
    let mut blocks = Vec::new();
    for dir in dirs {
        match Block::open(&dir, shared) {
            Ok(block) => blocks.push(block),
            Err(error) => shared.report(Damage { path: dir, at: 0, reason: format!("{error}; the block is left out") }),
        }
    }
    // The process ended between the writing of a block and the deletion of those it was made from.
    let replaced: HashSet<String> =
        blocks.iter().flat_map(|block| block.meta.compaction.parents.iter().cloned()).collect();
    let (gone, kept): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|block| replaced.contains(&block.meta.ulid));
    for block in gone {
        // By a name that tells what it is: a process that ends meanwhile leaves no half of a block.
        let deleting = block.dir.with_extension("deleting");
        files::rename(&block.dir, &deleting)
            .and_then(|()| files::sync_dir(dir))
            .and_then(|()| files::remove_tree(&deleting))
            .map_err(files::at(&block.dir))?;
    }
    Ok(kept)
}

/// Tells the head of the newest samples of a range that was put into blocks as a whole, however new: the order of the
/// next ones is still to be watched.
fn recall_newest(head: &Head, blocks: &[Arc<Block>], start_ms: i64, end_ms: i64) -> Result<(), StorageError> {
    let everything = Selector::new(&[])?;
    let recent = blocks.iter().filter(|block| block.meta.head_end_ms().is_some() && block.overlaps(start_ms, end_ms));
    for block in recent {
        let (mut samples, mut newest) = (Samples::default(), Vec::new());
        for series in block.select(&everything, start_ms, end_ms) {
            let series = series?;
            samples.clear();
            series.read(&mut samples)?;
            if let Some(last) = samples.len().checked_sub(1) {
                newest.push((series.labels().clone(), samples.timestamps[last], samples.value(last)));
            }
        }
        head.recall(newest)?;
    }
    Ok(())
}

impl Ingest for Tsdb {
    fn extend_layout(&self, known: &[SeriesId], new: &[Labels]) -> Result<Layout, StorageError> {
        self.make_layout(known, new)
    }

    fn series_labels(&self, series: SeriesId) -> Option<Labels> {
        self.head.labels(series)
    }

    fn append_rows(&self, rows: &[Row<'_>]) -> Result<AppendReport, StorageError> {
        self.rows(rows)
    }

    fn append_series(&self, series: &[SeriesSamples]) -> Result<AppendReport, StorageError> {
        self.series_samples(series)
    }

    fn append_samples(
        &self,
        series: &[SeriesId],
        timestamps_ms: &[i64],
        values: &[f64],
    ) -> Result<AppendReport, StorageError> {
        self.samples(series, timestamps_ms, values)
    }

    fn append_metadata(&self, metadata: &[(String, Metadata)]) -> Result<(), StorageError> {
        self.metadata_records(metadata)
    }
}

impl Queryable for Tsdb {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        let (head, view, notes) = (Arc::clone(&self.head), self.view(), Arc::default());
        let deletions = Arc::clone(&self.deletions);
        Ok(Box::new(TsdbQuerier { head, view, start_ms, end_ms, notes, deletions }))
    }

    fn deletions(&self) -> u64 {
        self.deletions.count()
    }

    fn is_local(&self) -> bool {
        true
    }

    fn history(&self) -> Option<History> {
        Some(self.head.history())
    }
}
