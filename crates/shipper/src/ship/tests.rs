#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use super::*;
use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
    PutResult, Result, local::LocalFileSystem,
};
use prometheus_tsdb::{DamageList, block::BlockReader};
use std::sync::{
    Mutex,
    atomic::{AtomicI64, Ordering},
};
use storage::{Samples, memory::MemoryStorage};

/// A bucket that ends working after a number of steps and counts what is put.
#[derive(Debug)]
struct Failing {
    inner: LocalFileSystem,
    steps_left: AtomicI64,
    put: Mutex<BTreeMap<String, usize>>,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Failing")
    }
}

impl Failing {
    fn new(dir: &Path) -> Arc<Self> {
        let inner = LocalFileSystem::new_with_prefix(dir).unwrap();
        Arc::new(Failing { inner, steps_left: AtomicI64::new(i64::MAX), put: Mutex::default() })
    }

    fn step(&self) -> Result<()> {
        if self.steps_left.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Ok(());
        }
        Err(object_store::Error::Generic { store: "test", source: "the bucket is away".into() })
    }
}

#[async_trait::async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, location: &ObjectPath, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.step()?;
        *self.put.lock().unwrap().entry(location.to_string()).or_default() += 1;
        let done = self.inner.put_opts(location, payload, options).await?;
        // It is there, and nobody hears of it.
        self.step()?;
        Ok(done)
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.step()?;
        *self.put.lock().unwrap().entry(location.to_string()).or_default() += 1;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        self.step()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.step()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Four windows of samples, the third without any.
fn history() -> Arc<MemoryStorage> {
    let memory = MemoryStorage::new();
    for series in 0..5 {
        let labels = Labels::from_pairs([("__name__", "m"), ("series", series.to_string().as_str())]);
        let mut samples = Samples::default();
        for step in 0..480_i64 {
            let time = step * 60_000;
            if time.div_euclid(BLOCK_RANGE_MS) != 2 {
                samples.push_float(time, (step * series) as f64);
            }
        }
        memory.replace_series(labels, samples);
    }
    Arc::new(memory)
}

fn shipper(memory: &Arc<MemoryStorage>, store: &Arc<Failing>, dir: &Path, complete: &Arc<AtomicI64>) -> Shipper {
    shipper_of(memory, store, dir, complete, &Arc::new(Mutex::new(vec![("a".to_owned(), 0, 4 * BLOCK_RANGE_MS)])))
}

type Blocks = Arc<Mutex<Vec<(String, i64, i64)>>>;

fn shipper_of(
    memory: &Arc<MemoryStorage>,
    store: &Arc<Failing>,
    dir: &Path,
    complete: &Arc<AtomicI64>,
    blocks: &Blocks,
) -> Shipper {
    let blocks = Arc::clone(blocks);
    let complete = Arc::clone(complete);
    let options = ShipperOptions {
        source: Arc::clone(memory) as Arc<dyn Queryable>,
        extents: Arc::new(|| vec![(0, 4 * BLOCK_RANGE_MS)]),
        blocks: Arc::new(move || blocks.lock().unwrap().clone()),
        complete_before_ms: Arc::new(move || complete.load(Ordering::Relaxed)),
        now_ms: Arc::new(|| 1_700_000_000_000),
        hold_from: Arc::new(|_| {}),
        dir: dir.to_owned(),
        external_labels: Labels::from_pairs([("site", "a")]),
        registry: Registry::new(),
    };
    Shipper::with_store(Arc::clone(store) as Arc<dyn ObjectStore>, ObjectPath::from("history"), options)
}

/// Samples of all blocks of the bucket, by series and time; no two blocks may have the same.
fn content(bucket: &Path) -> BTreeMap<(String, i64), u64> {
    let (all, damage) = found(bucket);
    assert_eq!(damage.list, []);
    all
}

/// As [`content`], and what is there in part.
fn found(bucket: &Path) -> (BTreeMap<(String, i64), u64>, DamageList) {
    let mut damage = DamageList::default();
    let mut all = BTreeMap::new();
    for (path, meta) in prometheus_tsdb::block::list(&bucket.join("history"), &mut damage).unwrap() {
        let thanos = meta.thanos.unwrap();
        assert_eq!((thanos.labels["site"].as_str(), thanos.source.as_str()), ("a", "vigie"));
        assert_eq!(thanos.downsample.resolution, 0);
        for file in &thanos.files {
            let there = fs::metadata(path.join(&file.rel_path)).unwrap();
            assert!(file.rel_path == META_FILE || there.len() == file.size_bytes, "{}", file.rel_path);
        }
        let mut reader = BlockReader::open(&path, &mut damage).unwrap();
        let mut samples = Samples::default();
        while let Some(labels) = reader.next(&mut samples, &mut damage).unwrap() {
            for (time, value) in samples.timestamps.iter().zip(&samples.values) {
                assert_eq!(time.div_euclid(BLOCK_RANGE_MS), meta.min_time_ms.div_euclid(BLOCK_RANGE_MS));
                assert_eq!(all.insert((labels.to_string(), *time), value.to_bits()), None, "sent twice");
            }
        }
    }
    (all, damage)
}

#[tokio::test]
async fn wherever_it_is_interrupted_everything_is_sent_once() {
    let memory = history();
    let complete = Arc::new(AtomicI64::new(4 * BLOCK_RANGE_MS + 1));
    let mut rounds = 0;
    for steps in 0.. {
        let (dir, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Failing::new(bucket.path());
        store.steps_left.store(steps, Ordering::Relaxed);
        let first = shipper(&memory, &store, dir.path(), &complete).round().await;
        let interrupted = first.is_err();
        // A new process, and the bucket is back.
        store.steps_left.store(i64::MAX, Ordering::Relaxed);
        let mut second = shipper(&memory, &store, dir.path(), &complete);
        second.round().await.unwrap();
        assert_eq!(second.round().await.unwrap(), 0);
        assert_eq!(content(bucket.path()).len(), 3 * 120 * 5, "after {steps} steps");
        let twice: Vec<String> =
            store.put.lock().unwrap().iter().filter(|(_, count)| **count > 1).map(|(name, _)| name.clone()).collect();
        assert_eq!(twice, Vec::<String>::new(), "after {steps} steps");
        assert_eq!(fs::read_dir(dir.path().join(SPOOL_DIR)).unwrap().count(), 0);
        // A folder restored from a backup, without the file: the bucket knows.
        fs::remove_file(dir.path().join(crate::state::STATE_FILE)).unwrap();
        assert_eq!(shipper(&memory, &store, dir.path(), &complete).round().await.unwrap(), 0);
        assert_eq!(content(bucket.path()).len(), 3 * 120 * 5);
        rounds += 1;
        if !interrupted {
            break;
        }
    }
    assert!(rounds > 15, "{rounds}");
}

#[tokio::test]
async fn only_what_is_complete_is_sent() {
    let (dir, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (memory, store) = (history(), Failing::new(bucket.path()));
    let complete = Arc::new(AtomicI64::new(2 * BLOCK_RANGE_MS - 1));
    let mut shipper = shipper(&memory, &store, dir.path(), &complete);
    assert_eq!(shipper.round().await.unwrap(), 1);
    assert_eq!(shipper.round().await.unwrap(), 0);
    complete.store(2 * BLOCK_RANGE_MS, Ordering::Relaxed);
    assert_eq!(shipper.round().await.unwrap(), 1);
    complete.store(i64::MAX, Ordering::Relaxed);
    assert_eq!(shipper.round().await.unwrap(), 1);
    let state: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join(crate::state::STATE_FILE)).unwrap()).unwrap();
    assert_eq!((state["version"].as_i64(), state["uploaded"].as_array().unwrap().len()), (Some(1), 3));
}

#[tokio::test]
async fn what_is_not_sent_is_held() {
    let (dir, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (memory, store) = (history(), Failing::new(bucket.path()));
    let complete = Arc::new(AtomicI64::new(4 * BLOCK_RANGE_MS + 1));
    fs::create_dir_all(bucket.path().join("history")).unwrap();
    let held = Arc::new(AtomicI64::new(i64::MIN));
    let mut seen = BTreeSet::new();
    for steps in 0.. {
        store.steps_left.store(steps, Ordering::Relaxed);
        let mut shipper = shipper(&memory, &store, dir.path(), &complete);
        let own = Arc::clone(&held);
        shipper.options.hold_from = Arc::new(move |from_ms| own.store(from_ms, Ordering::Relaxed));
        let outcome = shipper.round().await;
        let from_ms = held.load(Ordering::Relaxed);
        // All that is not held is in the bucket.
        let (there, _) = found(bucket.path());
        let wanted = memory.querier(i64::MIN, from_ms.saturating_sub(1)).unwrap();
        for series in wanted.select(&storage::SelectHints::default(), &[]).unwrap() {
            let (series, mut samples) = (series.unwrap(), Samples::default());
            series.read(&mut samples).unwrap();
            let name = series.labels().to_string();
            assert!(samples.timestamps.iter().all(|time| there.contains_key(&(name.clone(), *time))), "{steps} steps");
        }
        seen.insert(from_ms);
        if outcome.is_ok() {
            break;
        }
    }
    assert_eq!(held.load(Ordering::Relaxed), 4 * BLOCK_RANGE_MS);
    assert!(seen.len() > 2, "{seen:?}");
}

/// Samples to windows that are sent already: between those that are there, and of a series that is new.
fn come_late(memory: &MemoryStorage) {
    for (name, series, window) in [("m", "3", 0), ("m", "4", 1), ("new", "1", 1)] {
        let labels = Labels::from_pairs([("__name__", name), ("series", series)]);
        let querier = memory.querier(i64::MIN, i64::MAX).unwrap();
        let mut parts = vec![Samples::default()];
        for own in querier.select(&storage::SelectHints::default(), &[]).unwrap() {
            let own = own.unwrap();
            if *own.labels() == labels {
                let mut samples = Samples::default();
                own.read(&mut samples).unwrap();
                parts.push(samples);
            }
        }
        (0..7).for_each(|step| parts[0].push_float(window * BLOCK_RANGE_MS + step * 60_000 + 30_000, step as f64));
        let mut merged = Samples::default();
        storage::fanout::merge_samples(parts, &mut merged);
        memory.replace_series(labels, merged);
    }
}

const ALL: usize = 3 * 120 * 5;
const LATE: usize = 3 * 7;

#[tokio::test]
async fn what_comes_late_is_sent_once_wherever_it_is_interrupted() {
    let complete = Arc::new(AtomicI64::new(4 * BLOCK_RANGE_MS + 1));
    let mut rounds = 0;
    for steps in 0.. {
        let (dir, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (memory, store) = (history(), Failing::new(bucket.path()));
        let blocks: Blocks = Arc::new(Mutex::new(vec![("a".to_owned(), 0, 4 * BLOCK_RANGE_MS)]));
        let start = || shipper_of(&memory, &store, dir.path(), &complete, &blocks);
        assert_eq!(start().round().await.unwrap(), 3);
        come_late(&memory);
        // They are in the head: nobody knows of them until they are in a block.
        assert_eq!(start().round().await.unwrap(), 0);
        blocks.lock().unwrap().push(("b".to_owned(), 30_000, BLOCK_RANGE_MS + 500_000));
        store.steps_left.store(steps, Ordering::Relaxed);
        let first = start().round().await;
        let interrupted = first.is_err();
        store.steps_left.store(i64::MAX, Ordering::Relaxed);
        start().round().await.unwrap();
        assert_eq!(start().round().await.unwrap(), 0, "after {steps} steps");
        assert_eq!(content(bucket.path()).len(), ALL + LATE, "after {steps} steps");
        let put = store.put.lock().unwrap().clone();
        assert!(put.values().all(|count| *count == 1), "{put:?} after {steps} steps");
        assert_eq!(fs::read_dir(dir.path().join(SPOOL_DIR)).unwrap().count(), 0);
        // Without the file the bucket knows, and what comes then is told from what is there.
        fs::remove_file(dir.path().join(crate::state::STATE_FILE)).unwrap();
        assert_eq!(start().round().await.unwrap(), 0);
        let labels = Labels::from_pairs([("__name__", "last")]);
        let mut samples = Samples::default();
        samples.push_float(90_000, 1.0);
        memory.replace_series(labels, samples);
        blocks.lock().unwrap().push(("c".to_owned(), 90_000, 90_001));
        assert_eq!(start().round().await.unwrap(), 1);
        assert_eq!(content(bucket.path()).len(), ALL + LATE + 1, "after {steps} steps");
        rounds += 1;
        if !interrupted {
            assert_eq!(first.unwrap(), 2);
            break;
        }
    }
    assert!(rounds > 10, "{rounds}");
}

/// What came late may be older than history is kept: it is held, whatever else is to be sent first, from the moment that it is
/// found until it is there.
#[tokio::test]
async fn what_comes_late_is_held() {
    let (dir, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (memory, store) = (history(), Failing::new(bucket.path()));
    let complete = Arc::new(AtomicI64::new(2 * BLOCK_RANGE_MS + 1));
    let blocks: Blocks = Arc::new(Mutex::new(vec![("a".to_owned(), 0, 4 * BLOCK_RANGE_MS)]));
    assert_eq!(shipper_of(&memory, &store, dir.path(), &complete, &blocks).round().await.unwrap(), 2);
    // A new process: an import, and a window that is complete.
    come_late(&memory);
    blocks.lock().unwrap().push(("b".to_owned(), 30_000, BLOCK_RANGE_MS + 500_000));
    complete.store(4 * BLOCK_RANGE_MS + 1, Ordering::Relaxed);
    let (held, mut failed) = (Arc::new(Mutex::new(Vec::new())), 0);
    for steps in 0.. {
        store.steps_left.store(steps, Ordering::Relaxed);
        let mut shipper = shipper_of(&memory, &store, dir.path(), &complete, &blocks);
        held.lock().unwrap().clear();
        let (own, path) = (Arc::clone(&held), bucket.path().to_owned());
        shipper.options.hold_from = Arc::new(move |from_ms| {
            let late = found(&path).0.into_keys().filter(|(_, time)| time % 60_000 == 30_000);
            own.lock().unwrap().push((from_ms, late.count()));
        });
        let outcome = shipper.round().await;
        for (from_ms, late) in held.lock().unwrap().iter() {
            let first = [(7, 0), (LATE, BLOCK_RANGE_MS)].into_iter().find(|(count, _)| late < count);
            assert!(
                first.is_none_or(|(_, window_ms)| *from_ms <= window_ms),
                "from {from_ms} with {late} after {steps}"
            );
        }
        failed += usize::from(outcome.is_err());
        if outcome.is_ok() {
            break;
        }
    }
    assert!(failed > 5, "{failed}");
    assert_eq!(held.lock().unwrap().last(), Some(&(4 * BLOCK_RANGE_MS, LATE)));
    assert_eq!(content(bucket.path()).len(), ALL + LATE);
}

/// Blocks that are joined, deleted or not complete ask the bucket for nothing.
#[tokio::test]
async fn joined_blocks_are_no_news() {
    let (dir, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (memory, store) = (history(), Failing::new(bucket.path()));
    let blocks: Blocks = Arc::new(Mutex::new(vec![("a".to_owned(), 0, 4 * BLOCK_RANGE_MS)]));
    let complete = Arc::new(AtomicI64::new(4 * BLOCK_RANGE_MS + 1));
    let mut shipper = shipper_of(&memory, &store, dir.path(), &complete, &blocks);
    assert_eq!(shipper.round().await.unwrap(), 3);
    // From here on the bucket answers nothing.
    store.steps_left.store(0, Ordering::Relaxed);
    for list in [vec![("b".to_owned(), 0, 4 * BLOCK_RANGE_MS)], vec![("b".to_owned(), 0, BLOCK_RANGE_MS)], Vec::new()] {
        *blocks.lock().unwrap() = list;
        assert_eq!(shipper.round().await.unwrap(), 0);
    }
    come_late(&memory);
    *blocks.lock().unwrap() = vec![("c".to_owned(), 0, 4 * BLOCK_RANGE_MS)];
    assert!(shipper.round().await.is_err());
    store.steps_left.store(i64::MAX, Ordering::Relaxed);
    assert_eq!(shipper.round().await.unwrap(), 2);
    assert_eq!(content(bucket.path()).len(), ALL + LATE);
}

/// What S3 answers to the requests of a shipper, for one bucket, from memory.
mod s3 {
    use axum::{
        Router,
        body::Bytes,
        extract::{Query, State},
        http::{HeaderMap, Method, StatusCode, Uri},
        response::{IntoResponse, Response},
    };
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::{Arc, Mutex},
    };

    #[derive(Default)]
    pub(super) struct Bucket {
        pub(super) objects: BTreeMap<String, Bytes>,
        parts: BTreeMap<(String, u32), Bytes>,
        pub(super) parts_taken: usize,
        pub(super) unsigned: usize,
    }

    pub(super) type Shared = Arc<Mutex<Bucket>>;

    fn xml(body: String) -> Response {
        ([("content-type", "application/xml")], format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}"))
            .into_response()
    }

    async fn answer(
        State(bucket): State<Shared>,
        Query(query): Query<BTreeMap<String, String>>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let mut bucket = bucket.lock().unwrap();
        let key =
            uri.path().strip_prefix("/b").unwrap().trim_start_matches('/').replace("%2F", "/").replace("%2E", ".");
        let signed =
            headers.get("authorization").is_some_and(|value| value.to_str().unwrap().starts_with("AWS4-HMAC-SHA256 "));
        bucket.unsigned += usize::from(!signed);
        let etag = [("etag", "\"1\""), ("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT")];
        let (upload, part) = (query.get("uploadId"), query.get("partNumber"));
        match method {
            Method::GET if query.contains_key("list-type") => {
                let prefix = query.get("prefix").cloned().unwrap_or_default();
                let folders: BTreeSet<String> = (bucket.objects.keys())
                    .filter_map(|key| Some(format!("{prefix}{}/", key.strip_prefix(&prefix)?.split_once('/')?.0)))
                    .collect();
                let folders: String = folders
                    .iter()
                    .map(|name| format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"))
                    .collect();
                xml(format!(
                    "<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>{folders}</ListBucketResult>"
                ))
            }
            Method::GET | Method::HEAD => match bucket.objects.get(&key) {
                Some(object) => (etag, object.clone()).into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
            Method::POST if query.contains_key("uploads") => xml(format!(
                "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>{key}</Key><UploadId>{key}</UploadId></InitiateMultipartUploadResult>"
            )),
            Method::PUT => {
                match (upload, part) {
                    (Some(upload), Some(part)) => {
                        bucket.parts_taken += 1;
                        bucket.parts.insert((upload.clone(), part.parse().unwrap()), body);
                    }
                    _ => drop(bucket.objects.insert(key, body)),
                }
                etag.into_response()
            }
            Method::POST => {
                let upload = upload.unwrap().clone();
                let whole: Vec<u8> = (bucket.parts.iter())
                    .filter(|((own, _), _)| *own == upload)
                    .flat_map(|(_, part)| part.to_vec())
                    .collect();
                bucket.objects.insert(key.clone(), whole.into());
                xml(format!(
                    "<CompleteMultipartUploadResult><Key>{key}</Key><ETag>\"1\"</ETag></CompleteMultipartUploadResult>"
                ))
            }
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    }

    /// Address of a new bucket, and the bucket.
    pub(super) async fn start() -> (String, Shared) {
        let bucket = Shared::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&bucket));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, bucket)
    }
}

#[tokio::test]
async fn s3_gets_the_same_over_our_own_client() {
    http_client::install_default_provider();
    let (address, bucket) = s3::start().await;
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "{{type: S3, prefix: history, config: {{bucket: b, endpoint: '{address}', region: here, insecure: true, \
         access_key: a, secret_key: s}}}}"
    );
    let config: ObjectStorageConfig = yaml::from_str("test", &text).unwrap();
    let (memory, complete) = (history(), Arc::new(AtomicI64::new(i64::MAX)));
    let local = tempfile::tempdir().unwrap();
    let options = shipper(&memory, &Failing::new(local.path()), dir.path(), &complete).options;
    let mut shipper = Shipper::new(&config, options.clone()).unwrap();
    // Parts of some bytes, so that the small blocks of a test have several.
    shipper.part_bytes = 100;
    assert_eq!(shipper.round().await.unwrap(), 3);
    assert_eq!(shipper.round().await.unwrap(), 0);
    {
        let bucket = bucket.lock().unwrap();
        assert!(bucket.parts_taken > 5 && bucket.unsigned == 0, "{} parts", bucket.parts_taken);
        for (name, content) in &bucket.objects {
            let path = local.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
    assert_eq!(content(local.path()).len(), 3 * 120 * 5);
    // Another folder with the same labels finds it all there.
    let options = ShipperOptions { dir: local.path().to_owned(), ..options };
    assert_eq!(Shipper::new(&config, options).unwrap().round().await.unwrap(), 0);
}

/// Google's XML API is S3's but for the signature and some headers.
#[tokio::test]
async fn google_gets_the_same() {
    http_client::install_default_provider();
    let (address, bucket) = s3::start().await;
    let dir = tempfile::tempdir().unwrap();
    let key = serde_json::json!({
        "gcs_base_url": format!("http://{address}"), "disable_oauth": true,
        "client_email": "", "private_key": "", "private_key_id": "",
    });
    let text = format!("{{type: GCS, prefix: history, config: {{bucket: b, service_account: '{key}'}}}}");
    let config: ObjectStorageConfig = yaml::from_str("test", &text).unwrap();
    let (memory, complete) = (history(), Arc::new(AtomicI64::new(i64::MAX)));
    let local = tempfile::tempdir().unwrap();
    let options = shipper(&memory, &Failing::new(local.path()), dir.path(), &complete).options;
    let mut shipper = Shipper::new(&config, options.clone()).unwrap();
    shipper.part_bytes = 100;
    assert_eq!(shipper.round().await.unwrap(), 3);
    assert_eq!(shipper.round().await.unwrap(), 0);
    {
        let bucket = bucket.lock().unwrap();
        assert!(bucket.parts_taken > 5, "{} parts", bucket.parts_taken);
        for (name, content) in &bucket.objects {
            let path = local.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
    assert_eq!(content(local.path()).len(), ALL);
    let options = ShipperOptions { dir: local.path().to_owned(), ..options };
    assert_eq!(Shipper::new(&config, options).unwrap().round().await.unwrap(), 0);
}
