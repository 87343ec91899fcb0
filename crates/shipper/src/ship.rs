//! One round after the other: what is complete and not yet sent is written as a block and sent.

use crate::{config::ObjectStorageConfig, state::State};
use bytes::Bytes;
use model::Labels;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, path::Path as ObjectPath};
use prometheus_tsdb::{
    block::{Downsample, Meta, Thanos},
    export::{BLOCK_RANGE_MS, new_ulid, write_block},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use storage::Queryable;
use telemetry::{Counter, Gauge, Registry};
use tokio::sync::watch;

/// Below the data folder: blocks on their way.
const SPOOL_DIR: &str = "shipping";
const META_FILE: &str = "meta.json";
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
        for window in self.complete_windows(complete) {
            // All before it are sent, and stay so if this one fails.
            (self.options.hold_from)(window.saturating_mul(BLOCK_RANGE_MS));
            match self.write(window).await? {
                Some(block) => sent += u64::from(self.send(&block).await?),
                None => drop(self.empty.insert(window)),
            }
        }
        (self.options.hold_from)(complete.saturating_mul(BLOCK_RANGE_MS));
        Ok(sent)
    }

    /// What was sent: from the folder, else from the bucket.
    async fn find_state(&self) -> Result<State, ShipError> {
        let dir = &self.options.dir;
        if let Some(state) = State::load(dir).map_err(at(dir))? {
            return Ok(state);
        }
        let mut state = State::default();
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
            if meta.thanos.as_ref().is_some_and(|thanos| thanos.labels == self.labels()) {
                // One that Thanos made of several covers the windows of all of them.
                let last = meta.max_time_ms.saturating_sub(1).div_euclid(BLOCK_RANGE_MS);
                for window in meta.min_time_ms.div_euclid(BLOCK_RANGE_MS)..=last {
                    state.note(window, &meta.ulid);
                }
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
    async fn write(&self, window: i64) -> Result<Option<PathBuf>, ShipError> {
        let thanos = Thanos {
            labels: self.labels(),
            downsample: Downsample { resolution: 0 },
            source: SOURCE.to_owned(),
            ..Thanos::default()
        };
        let (source, spool) = (Arc::clone(&self.options.source), self.spool.clone());
        // Thanos takes the time of the name for that of the making.
        let ulid = new_ulid((self.options.now_ms)());
        let start_ms = window.saturating_mul(BLOCK_RANGE_MS);
        let range = (start_ms, start_ms.saturating_add(BLOCK_RANGE_MS));
        let task = move || write_block(source.as_ref(), &[], range, &spool, (ulid, Some(thanos)), &mut |_| {});
        Ok(tokio::task::spawn_blocking(task).await??.map(|(dir, _)| dir))
    }

    /// Sends a block and notes it; false if it was there already.
    async fn send(&mut self, block: &Path) -> Result<bool, ShipError> {
        // A shipper that was stopped may have finished its block after another had sent the window.
        let meta = Meta::load(block)?;
        let window = meta.min_time_ms.div_euclid(BLOCK_RANGE_MS);
        let sent = self.state.as_ref().and_then(|state| state.windows.get(&window));
        if sent.is_some_and(|sent| *sent != meta.ulid) {
            fs::remove_dir_all(block).map_err(at(block))?;
            return Ok(false);
        }
        let outcome = self.send_files(block, &meta.ulid).await;
        if outcome.is_err() {
            self.metrics.upload_failures.inc();
        }
        let sent = outcome?;
        if let Some(state) = &mut self.state {
            state.note(window, &meta.ulid);
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
