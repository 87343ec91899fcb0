//! One round after the other: what is complete and not yet sent is written as a block and sent.

use crate::{
    config::ObjectStorageConfig,
    state::{Seen, State},
    window::{Content, Remaining, content},
};
use bytes::Bytes;
use futures_util::StreamExt;
use model::Labels;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, path::Path as ObjectPath};
use prometheus_tsdb::{
    block::{Downsample, Meta, Thanos},
    export::{BLOCK_RANGE_MS, new_ulid, write_block},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use storage::{Queryable, StorageError};
use telemetry::{Counter, Gauge, Registry};
use tokio::sync::watch;

/// Below the data folder: blocks on their way.
const SPOOL_DIR: &str = "shipping";
const META_FILE: &str = "meta.json";
/// Extension of a block that was taken from the bucket.
const FETCHED: &str = "there";
/// What Thanos does not take along.
const TOMBSTONES_FILE: &str = "tombstones";
/// Who made the blocks, in Thanos' `meta.json`.
const SOURCE: &str = "vigie";
/// Between two looks at what is complete.
const ROUND: Duration = Duration::from_secs(10);
/// After failures the rounds come rarer, up to this.
const ROUND_MAX: Duration = Duration::from_secs(600);
/// Files are sent in parts of this size, S3 takes no smaller ones, and at most 10,000 of them: 80 GiB.
const PART_BYTES: usize = 8 << 20;
/// Parts of a file on their way at a time.
const PARTS_AT_ONCE: usize = 4;

/// What the shipper needs of the engine.
#[derive(Clone)]
pub struct ShipperOptions {
    pub source: Arc<dyn Queryable>,
    /// Times that may have samples: first, and end (exclusive), in Unix milliseconds.
    pub extents: Arc<dyn Fn() -> Vec<(i64, i64)> + Send + Sync>,
    /// The blocks that have samples as they came: name, first time, end (exclusive). A name stands for one content.
    pub blocks: Arc<dyn Fn() -> Vec<(String, i64, i64)> + Send + Sync>,
    /// Nothing older is taken any more.
    pub complete_before_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    pub now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Hears from which time on history is still to be shipped: it should not be deleted for its age.
    pub hold_from: Arc<dyn Fn(i64) + Send + Sync>,
    /// The data folder.
    pub dir: PathBuf,
    /// Tell this history from that of others in the bucket.
    pub external_labels: Labels,
    pub registry: Registry,
}

/// Why a round ended early. The next one goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Block(#[from] prometheus_tsdb::Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("object {object}: {source}")]
    Bucket { object: String, source: object_store::Error },
    #[error("object_storage: {0}")]
    Config(String),
    #[error("a block could not be written: {0}")]
    Task(#[from] tokio::task::JoinError),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ShipError {
    let path = path.to_owned();
    move |source| ShipError::Io { path, source }
}

fn bucket(object: &ObjectPath) -> impl FnOnce(object_store::Error) -> ShipError {
    let object = object.to_string();
    move |source| ShipError::Bucket { object, source }
}

struct Metrics {
    syncs: Counter,
    sync_failures: Counter,
    uploads: Counter,
    upload_failures: Counter,
    bytes: Counter,
    shipped_before: Gauge,
}

impl Metrics {
    fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| registry.counter(name, help, &[]);
        Metrics {
            syncs: counter("thanos_shipper_dir_syncs_total", "Rounds in which it was looked for blocks to ship."),
            sync_failures: counter("thanos_shipper_dir_sync_failures_total", "Rounds that ended early."),
            uploads: counter("thanos_shipper_uploads_total", "Blocks shipped."),
            upload_failures: counter("thanos_shipper_upload_failures_total", "Attempts to ship a block that failed."),
            bytes: counter("vigie_shipper_uploaded_bytes_total", "Bytes of shipped files."),
            shipped_before: registry.gauge(
                "vigie_shipper_shipped_before_timestamp_seconds",
                "End of the newest window that is shipped.",
                &[],
            ),
        }
    }
}

/// Sends history to a bucket.
pub struct Shipper {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    options: ShipperOptions,
    spool: PathBuf,
    /// `None` until it is known.
    state: Option<State>,
    /// Windows in which there was nothing, and the engine's past when that was so.
    empty: BTreeSet<i64>,
    empty_epoch: u64,
    /// Windows that were sent and hold more now, until that is sent: the blocks that they lie in, and what they hold.
    late: BTreeMap<i64, (u64, Content)>,
    /// What will be so when the block that was just written is sent.
    pending: Option<(i64, Seen)>,
    part_bytes: usize,
    metrics: Metrics,
}

impl Shipper {
    /// # Errors
    /// `Config` when the bucket cannot be used as it is configured.
    pub fn new(config: &ObjectStorageConfig, options: ShipperOptions) -> Result<Self, ShipError> {
        let store = config.open().map_err(ShipError::Config)?;
        let prefix = ObjectPath::parse(config.prefix.trim_matches('/'))
            .map_err(|error| ShipError::Config(format!("prefix: {error}")))?;
        Ok(Shipper::with_store(store, prefix, options))
    }

    fn with_store(store: Arc<dyn ObjectStore>, prefix: ObjectPath, options: ShipperOptions) -> Self {
        Shipper {
            store,
            prefix,
            spool: options.dir.join(SPOOL_DIR),
            state: None,
            empty: BTreeSet::new(),
            empty_epoch: 0,
            late: BTreeMap::new(),
            pending: None,
            part_bytes: PART_BYTES,
            metrics: Metrics::new(&options.registry),
            options,
        }
    }

    /// Ships until told to stop. What was not finished is taken up by the next shipper of the folder.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut pause = ROUND;
        loop {
            // A send in work may be cut short: it is repeated.
            let outcome = tokio::select! {
                outcome = self.round() => outcome,
                _ = stopped.wait_for(|stop| *stop) => return,
            };
            pause = match outcome {
                Ok(0) => ROUND,
                Ok(blocks) => {
                    tracing::info!(blocks, bucket = %self.store, "history shipped");
                    ROUND
                }
                Err(error) => {
                    tracing::warn!(%error, bucket = %self.store, "history cannot be shipped; it is tried again");
                    (pause * 2).min(ROUND_MAX)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Ships what is complete, oldest first; gives the number of blocks sent.
    ///
    /// # Errors
    /// What ended it early; what was sent by then stays sent.
    pub async fn round(&mut self) -> Result<u64, ShipError> {
        self.metrics.syncs.inc();
        let outcome = self.ship().await;
        if outcome.is_err() {
            self.metrics.sync_failures.inc();
        }
        outcome
    }

    async fn ship(&mut self) -> Result<u64, ShipError> {
        if self.state.is_none() {
            self.state = Some(self.find_state().await?);
        }
        let mut sent = 0;
        for block in self.spooled()? {
            sent += u64::from(self.send(&block).await?);
        }
        // Before the windows are listed: one that is complete a moment later waits for the next round.
        let complete = self.complete_before();
        let late = self.late_windows(complete).await?;
        let first_late = late.first().map_or(i64::MAX, |(window, ..)| *window);
        for window in self.complete_windows(complete) {
            // All before it are sent, and stay so if this one fails.
            (self.options.hold_from)(window.min(first_late).saturating_mul(BLOCK_RANGE_MS));
            match self.write(window).await? {
                Some(block) => sent += u64::from(self.send(&block).await?),
                None => drop(self.empty.insert(window)),
            }
        }
        let mut known = None;
        for (window, blocks, now) in late {
            (self.options.hold_from)(window.saturating_mul(BLOCK_RANGE_MS));
            if let Some(block) = self.write_late(window, blocks, now, &mut known).await? {
                sent += u64::from(self.send(&block).await?);
            }
            self.late.remove(&window);
        }
        (self.options.hold_from)(complete.saturating_mul(BLOCK_RANGE_MS));
        Ok(sent)
    }

    /// Windows that are sent and lie in other blocks of the engine now than when all of them was found to be sent, ascending,
    /// with what tells these blocks.
    fn changed_windows(&self, complete: i64) -> Vec<(i64, u64)> {
        let Some(state) = &self.state else { return Vec::new() };
        let blocks = (self.options.blocks)();
        let mut changed = Vec::new();
        for window in state.windows.keys().copied().filter(|window| *window < complete) {
            let Some(now) = blocks_of(&blocks, window) else { continue };
            if state.seen.get(&window).is_none_or(|seen| seen.blocks != now) {
                changed.push((window, now));
            }
        }
        changed
    }

    /// Of the windows that lie in other blocks now, those that hold other samples, ascending. The bucket is not asked, so that
    /// blocks that were joined wait for nothing while it is away.
    async fn late_windows(&mut self, complete: i64) -> Result<Vec<(i64, u64, Content)>, ShipError> {
        let changed = self.changed_windows(complete);
        self.late.retain(|window, (blocks, _)| changed.contains(&(*window, *blocks)));
        let mut late = Vec::new();
        for (window, blocks) in changed {
            let now = match self.late.get(&window) {
                Some((_, now)) => *now,
                None => {
                    let (source, range) = (Arc::clone(&self.options.source), range_of(window));
                    tokio::task::spawn_blocking(move || content(source.as_ref(), range)).await??
                }
            };
            let before = self.state.as_ref().and_then(|state| state.seen.get(&window));
            if before.is_some_and(|seen| seen.digest == now.digest) {
                // Blocks were joined.
                self.note_seen(window, Seen { blocks, digest: now.digest })?;
                continue;
            }
            self.late.insert(window, (blocks, now));
            late.push((window, blocks, now));
        }
        Ok(late)
    }

    /// Writes what came to a window after it was sent as a block of its own. `None` where nothing did. `known` are the
    /// blocks of the bucket, once somebody asked.
    async fn write_late(
        &mut self,
        window: i64,
        blocks: u64,
        now: Content,
        known: &mut Option<Vec<Meta>>,
    ) -> Result<Option<PathBuf>, ShipError> {
        let range = range_of(window);
        let seen = |content: Content| Seen { blocks, digest: content.digest };
        let is_known = self.state.as_ref().is_some_and(|state| state.seen.contains_key(&window));
        let there: Vec<Meta> = {
            let all = match known {
                Some(all) => all,
                None => known.insert(self.listed().await?),
            };
            let overlaps = |meta: &&Meta| meta.min_time_ms < range.1 && range.0 < meta.max_time_ms;
            all.iter().filter(overlaps).cloned().collect()
        };
        let is_alone = there.iter().all(|meta| range.0 <= meta.min_time_ms && meta.max_time_ms <= range.1);
        if !is_known && is_alone && there.iter().map(|meta| meta.stats.samples).sum::<u64>() == now.samples {
            // What the state of an earlier shipper, or one that was lost, does not tell.
            self.note_seen(window, seen(now))?;
            return Ok(None);
        }
        let mut fetched = Vec::new();
        for meta in &there {
            fetched.push(self.fetch(&meta.ulid).await?);
        }
        let (source, paths) = (Arc::clone(&self.options.source), fetched.clone());
        let (spool, thanos, ulid) = (self.spool.clone(), self.thanos(), new_ulid((self.options.now_ms)()));
        if let Some(state) = &mut self.state {
            // It has to be known for what it is before it is there.
            state.note_late(window, &ulid);
            state.save(&self.options.dir).map_err(at(&self.options.dir))?;
        }
        let task = move || {
            let remaining = Remaining::new(source, &paths)?;
            let block = write_block(&remaining, &[], range, &spool, (ulid, Some(thanos)), &mut |_| {})?;
            Ok::<_, prometheus_tsdb::Error>((block, remaining.content(), remaining.damage()))
        };
        let (block, now, damage) = tokio::task::spawn_blocking(task).await??;
        if let Some(damage) = damage {
            tracing::warn!(%damage, bucket = %self.store, "a block of the bucket is damaged; what it lost is sent again");
        }
        for path in fetched {
            fs::remove_dir_all(&path).map_err(at(&path))?;
        }
        let Some((path, _)) = block else {
            self.note_seen(window, seen(now))?;
            return Ok(None);
        };
        self.pending = Some((window, seen(now)));
        Ok(Some(path))
    }

    fn note_seen(&mut self, window: i64, seen: Seen) -> Result<(), ShipError> {
        let Some(state) = &mut self.state else { return Ok(()) };
        state.seen.insert(window, seen);
        state.save(&self.options.dir).map_err(at(&self.options.dir))
    }

    /// Takes a block from the bucket into the spool.
    async fn fetch(&self, ulid: &str) -> Result<PathBuf, ShipError> {
        // With an extension it is none that is on its way, and goes when it is left.
        let dir = self.spool.join(format!("{ulid}.{FETCHED}"));
        let folder = self.prefix.clone().join(ulid);
        let mut objects = self.store.list(Some(&folder));
        while let Some(object) = objects.next().await {
            let object = object.map_err(bucket(&folder))?.location;
            let parts: Vec<String> =
                object.prefix_match(&folder).into_iter().flatten().map(|part| part.as_ref().to_owned()).collect();
            let path = parts.iter().fold(dir.clone(), |path, part| path.join(part));
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(at(parent))?;
            }
            let mut file = File::create(&path).map_err(at(&path))?;
            let mut content = self.store.get(&object).await.map_err(bucket(&object))?.into_stream();
            while let Some(piece) = content.next().await {
                file.write_all(&piece.map_err(bucket(&object))?).map_err(at(&path))?;
            }
        }
        Ok(dir)
    }

    /// Descriptions of the blocks of the bucket that have our samples as they came.
    async fn listed(&self) -> Result<Vec<Meta>, ShipError> {
        let mut metas = Vec::new();
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await.map_err(bucket(&self.prefix))?;
        for folder in listed.common_prefixes {
            let object = folder.clone().join(META_FILE);
            let bytes = match self.store.get(&object).await {
                Ok(found) => found.bytes().await.map_err(bucket(&object))?,
                // Not finished, or none of a block.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(bucket(&object)(error)),
            };
            let Ok(meta) = Meta::parse(Path::new(object.as_ref()), &bytes) else { continue };
            let is_ours = |thanos: &Thanos| thanos.labels == self.labels() && thanos.downsample.resolution == 0;
            if meta.thanos.as_ref().is_some_and(is_ours) {
                metas.push(meta);
            }
        }
        Ok(metas)
    }

    /// What was sent: from the folder, else from the bucket.
    async fn find_state(&self) -> Result<State, ShipError> {
        let dir = &self.options.dir;
        if let Some(state) = State::load(dir).map_err(at(dir))? {
            return Ok(state);
        }
        let mut state = State::default();
        for meta in self.listed().await? {
            // One that Thanos made of several covers the windows of all of them.
            let last = meta.max_time_ms.saturating_sub(1).div_euclid(BLOCK_RANGE_MS);
            for window in meta.min_time_ms.div_euclid(BLOCK_RANGE_MS)..=last {
                state.note(window, &meta.ulid);
            }
        }
        if !state.windows.is_empty() {
            tracing::info!(windows = state.windows.len(), bucket = %self.store, "the bucket has history of ours already");
        }
        state.save(dir).map_err(at(dir))?;
        Ok(state)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        self.options.external_labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn thanos(&self) -> Thanos {
        Thanos {
            labels: self.labels(),
            downsample: Downsample { resolution: 0 },
            source: SOURCE.to_owned(),
            ..Thanos::default()
        }
    }

    /// Blocks that an earlier process left, oldest first.
    fn spooled(&self) -> Result<Vec<PathBuf>, ShipError> {
        let mut blocks = Vec::new();
        let entries = match fs::read_dir(&self.spool) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(blocks),
            Err(error) => return Err(at(&self.spool)(error)),
        };
        for entry in entries {
            let path = entry.map_err(at(&self.spool))?.path();
            if path.join(META_FILE).is_file() && path.extension().is_none() {
                blocks.push(path);
            } else if path.is_dir() {
                // Its writing was not finished; the window comes again.
                fs::remove_dir_all(&path).map_err(at(&path))?;
            }
        }
        blocks.sort_unstable();
        Ok(blocks)
    }

    /// Number of the first window that is not complete.
    fn complete_before(&self) -> i64 {
        (self.options.complete_before_ms)().div_euclid(BLOCK_RANGE_MS)
    }

    /// Windows with samples to which nothing comes any more, and which are not sent, ascending.
    fn complete_windows(&mut self, complete: i64) -> Vec<i64> {
        let epoch = self.options.source.history().map_or(0, |history| history.epoch);
        if epoch != self.empty_epoch {
            // History may have come from elsewhere.
            self.empty_epoch = epoch;
            self.empty.clear();
        }
        let state = self.state.as_ref();
        let mut windows = BTreeSet::new();
        for (first_ms, end_ms) in (self.options.extents)() {
            let last = end_ms.saturating_sub(1).div_euclid(BLOCK_RANGE_MS).min(complete.saturating_sub(1));
            windows.extend(first_ms.div_euclid(BLOCK_RANGE_MS)..=last);
        }
        let done = |window: &i64| state.is_some_and(|state| state.windows.contains_key(window));
        windows.retain(|window| !done(window) && !self.empty.contains(window));
        windows.into_iter().collect()
    }

    /// Writes a window as a block. `None` if it has no samples.
    async fn write(&mut self, window: i64) -> Result<Option<PathBuf>, ShipError> {
        let (source, spool, thanos) = (Arc::clone(&self.options.source), self.spool.clone(), self.thanos());
        // Before it is read: what comes meanwhile is in other blocks.
        let blocks = blocks_of(&(self.options.blocks)(), window);
        // Thanos takes the time of the name for that of the making.
        let ulid = new_ulid((self.options.now_ms)());
        let range = range_of(window);
        let task = move || {
            let all = Remaining::new(source, &[])?;
            let block = write_block(&all, &[], range, &spool, (ulid, Some(thanos)), &mut |_| {})?;
            Ok::<_, prometheus_tsdb::Error>((block, all.content()))
        };
        let (block, content) = tokio::task::spawn_blocking(task).await??;
        self.pending = blocks.map(|blocks| (window, Seen { blocks, digest: content.digest }));
        Ok(block.map(|(dir, _)| dir))
    }

    /// Sends a block and notes it; false if it was there already.
    async fn send(&mut self, block: &Path) -> Result<bool, ShipError> {
        // A shipper that was stopped may have finished its block after another had sent the window.
        let meta = Meta::load(block)?;
        let window = meta.min_time_ms.div_euclid(BLOCK_RANGE_MS);
        let is_late = self.state.as_ref().is_some_and(|state| state.is_late(window, &meta.ulid));
        let sent = self.state.as_ref().and_then(|state| state.windows.get(&window));
        if !is_late && sent.is_some_and(|sent| *sent != meta.ulid) {
            fs::remove_dir_all(block).map_err(at(block))?;
            return Ok(false);
        }
        let outcome = self.send_files(block, &meta.ulid).await;
        if outcome.is_err() {
            self.metrics.upload_failures.inc();
        }
        let sent = outcome?;
        let pending = self.pending.take().filter(|(own, _)| *own == window);
        if let Some(state) = &mut self.state {
            if is_late {
                state.note_uploaded(&meta.ulid);
            } else {
                state.note(window, &meta.ulid);
            }
            if let Some((window, seen)) = pending {
                state.seen.insert(window, seen);
            }
            state.save(&self.options.dir).map_err(at(&self.options.dir))?;
        }
        fs::remove_dir_all(block).map_err(at(block))?;
        self.metrics.uploads.add(f64::from(u8::from(sent)));
        self.metrics.shipped_before.set(((window + 1) * BLOCK_RANGE_MS) as f64 / 1000.0);
        Ok(sent)
    }

    async fn send_files(&self, block: &Path, ulid: &str) -> Result<bool, ShipError> {
        let folder = self.prefix.clone().join(ulid);
        let mut sent = false;
        // The description comes last: a block counts when it is there.
        for (name, path) in files(block).map_err(at(block))? {
            let object = name.split('/').fold(folder.clone(), |object, part| object.join(part));
            sent |= self.send_file(&path, &object).await?;
        }
        Ok(sent)
    }

    /// Sends a file unless it is there; blocks never change, so that the size tells.
    async fn send_file(&self, path: &Path, object: &ObjectPath) -> Result<bool, ShipError> {
        let bytes = fs::metadata(path).map_err(at(path))?.len();
        match self.store.head(object).await {
            Ok(there) if there.size == bytes => return Ok(false),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(bucket(object)(error)),
        }
        if bytes <= self.part_bytes as u64 {
            let content = fs::read(path).map_err(at(path))?;
            self.store.put(object, PutPayload::from(content)).await.map_err(bucket(object))?;
        } else {
            self.send_parts(path, object).await?;
        }
        self.metrics.bytes.add(bytes as f64);
        Ok(true)
    }

    async fn send_parts(&self, path: &Path, object: &ObjectPath) -> Result<(), ShipError> {
        let mut file = File::open(path).map_err(at(path))?;
        let upload = self.store.put_multipart(object).await.map_err(bucket(object))?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, self.part_bytes);
        loop {
            let mut part = Vec::with_capacity(self.part_bytes);
            if (&mut file).take(self.part_bytes as u64).read_to_end(&mut part).map_err(at(path))? == 0 {
                break;
            }
            parts.wait_for_capacity(PARTS_AT_ONCE).await.map_err(bucket(object))?;
            parts.put(Bytes::from(part));
        }
        parts.finish().await.map_err(bucket(object))?;
        Ok(())
    }
}

/// First time of a window, and its end (exclusive).
fn range_of(window: i64) -> (i64, i64) {
    let start_ms = window.saturating_mul(BLOCK_RANGE_MS);
    (start_ms, start_ms.saturating_add(BLOCK_RANGE_MS))
}

/// Tells the blocks that a window lies in from others; `None` where there are none.
fn blocks_of(blocks: &[(String, i64, i64)], window: i64) -> Option<u64> {
    let (from_ms, to_ms) = range_of(window);
    let mut names: Vec<&str> = (blocks.iter())
        .filter(|(_, min_ms, max_ms)| *min_ms < to_ms && from_ms < *max_ms)
        .map(|(name, ..)| name.as_str())
        .collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| xxhash_rust::xxh64::xxh64(names.join("/").as_bytes(), 0))
}

/// The files of a block in the order in which they are sent, with their names below it.
fn files(block: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut list = Vec::new();
    for (prefix, dir) in [("chunks/", block.join("chunks")), ("", block.to_owned())] {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && name != TOMBSTONES_FILE {
                list.push((format!("{prefix}{name}"), entry.path()));
            }
        }
    }
    list.sort_unstable_by_key(|(name, _)| (name == META_FILE, name.clone()));
    Ok(list)
}

#[cfg(test)]
mod tests;
