//! Gathering items into requests and sending them until the receiver has them.

use super::{RemoteWriteConfig, encode, encode::Item, metrics::Metrics};
use http_client::{HttpClient, Request, Response};
use model::SampleValue;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use system::Clock;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tsdb::Tsdb;

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Receivers answer with nothing or with a line of text.
const RESPONSE_BYTES_MAX: usize = 1 << 20;
/// Bytes of an error's text that are shown.
const ERROR_TEXT_BYTES_MAX: usize = 256;
/// Longest pause that a receiver may ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Reached when every shard has sent what came before it.
#[derive(Debug)]
pub(super) struct Checkpoint {
    remaining: AtomicUsize,
}

impl Checkpoint {
    pub(super) fn of_shards(shards: usize) -> Arc<Self> {
        Arc::new(Checkpoint { remaining: AtomicUsize::new(shards) })
    }

    pub(super) fn is_reached(&self) -> bool {
        self.remaining.load(Ordering::Acquire) == 0
    }

    fn pass(&self) {
        self.remaining.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What flows through a shard.
pub(super) enum Entry {
    Item(Item),
    Checkpoint(Arc<Checkpoint>),
}

/// The queue was told to end before the receiver had everything.
#[derive(Debug)]
pub(super) struct Stopped;

/// What all shards of a queue share.
pub(super) struct Sender {
    pub(super) client: HttpClient,
    pub(super) config: RemoteWriteConfig,
    pub(super) version_2: bool,
    pub(super) metrics: Metrics,
    pub(super) name: String,
    pub(super) tsdb: Arc<Tsdb>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Sender {
    /// Runs one shard until its channel is closed and empty, or until the queue is stopped.
    pub(super) async fn run_shard(self: Arc<Self>, mut entries: mpsc::Receiver<Entry>) {
        let samples_max = self.config.queue_config.max_samples_per_send;
        let mut batch: Vec<Item> = Vec::new();
        let mut behind: Vec<Arc<Checkpoint>> = Vec::new();
        let mut deadline: Option<Instant> = None;
        loop {
            let entry = match deadline {
                None => Ok(entries.recv().await),
                Some(deadline) => tokio::time::timeout_at(deadline, entries.recv()).await,
            };
            let (flush, end) = match entry {
                Ok(Some(Entry::Item(item))) => {
                    if batch.is_empty() {
                        deadline = Some(Instant::now() + self.config.queue_config.batch_send_deadline.get());
                    }
                    batch.push(item);
                    (batch.len() >= samples_max, false)
                }
                Ok(Some(Entry::Checkpoint(checkpoint))) if batch.is_empty() => {
                    checkpoint.pass();
                    (false, false)
                }
                Ok(Some(Entry::Checkpoint(checkpoint))) => {
                    behind.push(checkpoint);
                    (false, false)
                }
                Ok(None) => (true, true),
                Err(_) => (true, false),
            };
            if flush {
                deadline = None;
                let items = std::mem::take(&mut batch);
                let count = items.len();
                if !items.is_empty() && self.send(items).await.is_err() {
                    // The checkpoints are not passed: the next process sends this again.
                    return;
                }
                self.metrics.pending.add(-(count as f64));
                behind.drain(..).for_each(|checkpoint| checkpoint.pass());
            }
            if end {
                return;
            }
        }
    }

    async fn send(&self, mut items: Vec<Item>) -> Result<(), Stopped> {
        let age_limit = self.config.queue_config.sample_age_limit.get();
        if !age_limit.is_zero() {
            let oldest_ms = self.clock.now_ms() - i64::try_from(age_limit.as_millis()).unwrap_or(i64::MAX);
            let before = items.len();
            items.retain(|item| !matches!(item, Item::Sample { timestamp_ms, .. } if *timestamp_ms < oldest_ms));
            self.metrics.dropped_too_old.add((before - items.len()) as f64);
        }
        if items.is_empty() {
            return Ok(());
        }
        let encoded =
            if self.version_2 { encode::version_2(&items, &self.tsdb.metadata()) } else { encode::version_1(&items) };
        let body = match encoded {
            Ok(body) => body,
            Err(reason) => {
                tracing::error!(remote_name = self.name, reason, "a batch cannot be encoded and is left out");
                self.metrics.failed.add(items.len() as f64);
                return Ok(());
            }
        };
        let bytes = body.len();
        if !self.deliver(body, items.len()).await? {
            self.metrics.failed.add(items.len() as f64);
            return Ok(());
        }
        let (mut floats, mut histograms, mut exemplars, mut newest_ms) = (0_u32, 0_u32, 0_u32, i64::MIN);
        for item in &items {
            match item {
                Item::Sample { value, timestamp_ms, .. } => {
                    newest_ms = newest_ms.max(*timestamp_ms);
                    if matches!(value, SampleValue::Float(_)) { floats += 1 } else { histograms += 1 }
                }
                Item::Exemplar { .. } => exemplars += 1,
            }
        }
        self.metrics.samples.add(f64::from(floats));
        self.metrics.histograms.add(f64::from(histograms));
        self.metrics.exemplars.add(f64::from(exemplars));
        self.metrics.bytes.add(bytes as f64);
        let newest = newest_ms as f64 / 1000.0;
        if newest_ms > i64::MIN && newest > self.metrics.highest_sent_seconds.get() {
            self.metrics.highest_sent_seconds.set(newest);
        }
        Ok(())
    }

    /// Sends a body until the receiver takes it (true) or refuses it for good (false).
    async fn deliver(&self, body: Vec<u8>, count: usize) -> Result<bool, Stopped> {
        let queue = &self.config.queue_config;
        let mut backoff = queue.min_backoff.get();
        let mut stopping = self.stopping.clone();
        let body = bytes::Bytes::from(body);
        let mut attempt = 0_u32;
        loop {
            let started = Instant::now();
            let outcome = tokio::select! {
                outcome = Box::pin(self.client.send(self.request(body.clone(), attempt))) => outcome,
                _ = stopping.wait_for(|stop| *stop) => return Err(Stopped),
            };
            self.metrics.send_seconds.observe(started.elapsed().as_secs_f64());
            let mut pause = backoff;
            let reason = match outcome {
                Ok(response) if response.is_success() => return Ok(true),
                Ok(response) => {
                    let retry = response.status >= 500 || (response.status == 429 && queue.retry_on_http_429);
                    let reason = describe(&response);
                    if !retry {
                        tracing::error!(
                            remote_name = self.name,
                            url = self.config.url,
                            reason,
                            samples = count,
                            "the receiver refuses samples; they are not sent again"
                        );
                        return Ok(false);
                    }
                    if let Ok(seconds) = response.header("retry-after").parse() {
                        pause = Duration::from_secs(seconds).min(RETRY_AFTER_MAX).max(backoff);
                    }
                    reason
                }
                Err(error) => error.to_string(),
            };
            if attempt == 0 {
                // Once per batch: an outage would fill the log.
                tracing::warn!(
                    remote_name = self.name,
                    url = self.config.url,
                    reason,
                    "samples could not be sent; trying again"
                );
            }
            self.metrics.retried.add(count as f64);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.wait_for(|stop| *stop) => return Err(Stopped),
            }
            backoff = (backoff * 2).min(queue.max_backoff.get());
            attempt += 1;
        }
    }

    fn request(&self, body: bytes::Bytes, attempt: u32) -> Request {
        let timeout = self.config.remote_timeout.map_or(TIMEOUT_DEFAULT, |timeout| timeout.get());
        let (content_type, version) = if self.version_2 {
            ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0")
        } else {
            ("application/x-protobuf", "0.1.0")
        };
        let mut request = Request::post(self.config.url.as_str(), content_type, body, timeout, RESPONSE_BYTES_MAX);
        let mut header = |name: &str, value: &str| request.headers.push((name.to_owned(), value.to_owned()));
        header("Content-Encoding", "snappy");
        header("X-Prometheus-Remote-Write-Version", version);
        if attempt > 0 {
            header("Retry-Attempt", &attempt.to_string());
        }
        request.headers.extend(self.config.headers.clone());
        request
    }

    /// Version 1 tells metadata apart from samples, from time to time.
    pub(super) async fn send_metadata_forever(self: Arc<Self>) {
        let config = &self.config.metadata_config;
        if !config.send || self.version_2 || config.send_interval.get().is_zero() {
            return;
        }
        loop {
            tokio::time::sleep(config.send_interval.get()).await;
            let metadata = self.tsdb.metadata();
            let families: Vec<_> = metadata.iter().collect();
            for part in families.chunks(config.max_samples_per_send) {
                let Ok(body) = encode::metadata_only(part.iter().copied()) else { continue };
                match self.deliver(body, 0).await {
                    Ok(true) => self.metrics.metadata.add(part.len() as f64),
                    Ok(false) => {}
                    Err(Stopped) => return,
                }
            }
        }
    }
}

fn describe(response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.body[..response.body.len().min(ERROR_TEXT_BYTES_MAX)]).into_owned();
    format!("server returned HTTP status {}: {}", response.status_text(), text.lines().next().unwrap_or_default())
}
