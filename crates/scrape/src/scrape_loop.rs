//! The loop of one target: wait for its moment, fetch, take in, report.

use crate::config::{ScrapeJob, shown};
use crate::manager::Engine;
use crate::schedule::Schedule;
use crate::state::{Body, Report, Rulebook, TargetState};
use crate::target::Target;
use exposition::format::accept_header;
use exposition::select_format;
use http_client::{HttpClient, HttpClientError, Prepared, Request, Response};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// No target has a reason to send more, compressed or not; a job's `body_size_limit` may be lower.
const BODY_BYTES_MAX: u64 = 512 << 20;
const BODY_TOO_LARGE: &str = "body size limit exceeded";
/// A scrape that starts within this of its moment gets the moment's timestamp: even steps compress better.
const TIMESTAMP_TOLERANCE_MS: i64 = 20;

/// What the targets page shows of the last scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// `None` before the first scrape.
    pub(crate) up: Option<bool>,
    pub(crate) error: String,
    pub(crate) at_ms: Option<i64>,
    pub(crate) duration_seconds: f64,
}

/// Why a loop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Not yet.
    Running,
    /// Another loop goes on with its series, or the program ends: no markers.
    Silent,
    /// The target is gone: its series end.
    Gone,
}

/// A running loop.
pub(crate) struct TargetLoop {
    pub(crate) target: Arc<Target>,
    pub(crate) status: Arc<Mutex<Status>>,
    pub(crate) state: Arc<Mutex<TargetState>>,
    stop: watch::Sender<Stop>,
    task: JoinHandle<()>,
}

/// What all loops of a pool share.
pub(crate) struct PoolContext {
    /// From 1, one more at every reload.
    pub(crate) generation: u64,
    pub(crate) job: ScrapeJob,
    pub(crate) client: HttpClient,
    pub(crate) metric_rules: relabel::Rules,
    pub(crate) engine: Arc<Engine>,
    /// An error for all targets of the pool: more of them than `target_limit`.
    pub(crate) forced_error: Mutex<Option<String>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicked scrape left behind is still a valid cache.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TargetLoop {
    /// Starts the loop of a target; `state` and `status` may come from a loop that it replaces. `new_index`: for a
    /// target that no loop scraped before, how many others came with it before it.
    pub(crate) fn start(
        context: Arc<PoolContext>,
        target: Target,
        state: Arc<Mutex<TargetState>>,
        status: Arc<Mutex<Status>>,
        new_index: Option<usize>,
    ) -> Self {
        let (stop, stopped) = watch::channel(Stop::Running);
        let target = Arc::new(target);
        let engine = Arc::clone(&context.engine);
        let runner = Runner {
            book: Arc::new(rulebook(&context, &target)),
            request: request(&context.job, &target),
            context,
            target: Arc::clone(&target),
            status: Arc::clone(&status),
            state: Arc::clone(&state),
        };
        let task = engine.spawn(runner.run(stopped, new_index));
        TargetLoop { target, status, state, stop, task }
    }

    /// Tells the loop to end.
    pub(crate) fn stop(self, why: Stop) -> JoinHandle<()> {
        let _ = self.stop.send(why);
        self.task
    }
}

fn rulebook(context: &PoolContext, target: &Target) -> Rulebook {
    let job = &context.job;
    Rulebook {
        generation: context.generation,
        target: target.labels.clone(),
        honor_labels: job.honor_labels,
        honor_timestamps: job.honor_timestamps,
        track_timestamps_staleness: job.track_timestamps_staleness,
        legacy_names: job.legacy_names,
        limits: job.limits,
        histograms: job.histograms,
        rules: context.metric_rules.clone(),
        extra: job.extra_scrape_metrics,
        timeout_seconds: target.timeout.as_secs_f64(),
    }
}

/// What is sent at every scrape.
fn request(job: &ScrapeJob, target: &Target) -> Result<Prepared, HttpClientError> {
    let mut request = Request::get(&*target.url, target.timeout, body_limit(job));
    let mut header = |name: &str, value: String| request.headers.push((name.to_owned(), value));
    header("Accept", accept_header(&job.scrape_protocols, &job.escaping));
    header("Accept-Encoding", if job.enable_compression { "zstd, gzip" } else { "identity" }.to_owned());
    header("X-Prometheus-Scrape-Timeout-Seconds", target.timeout.as_secs_f64().to_string());
    request.prepare()
}

struct Runner {
    context: Arc<PoolContext>,
    target: Arc<Target>,
    /// Or why there is none, which every scrape tells.
    request: Result<Prepared, HttpClientError>,
    book: Arc<Rulebook>,
    status: Arc<Mutex<Status>>,
    state: Arc<Mutex<TargetState>>,
}

impl Runner {
    async fn run(self, mut stopped: watch::Receiver<Stop>, new_index: Option<usize>) {
        let interval_ms = i64::try_from(self.target.interval.as_millis()).unwrap_or(i64::MAX).max(1);
        // The moment within the interval: the same for a target in every process, spread over targets.
        let hash = xxhash_rust::xxh64::xxh64(self.target.identity.as_packed().as_bytes(), 0);
        let clock = Arc::clone(&self.context.engine.clock);
        let mut schedule = Schedule::new(interval_ms, hash, clock.now_ms(), new_index);
        let interval = shown(self.target.interval);
        let mut last_even_ms: Option<i64> = None;
        loop {
            let now_ms = clock.now_ms();
            let moment = schedule.next(now_ms);
            let moment_ms = moment.at_ms;
            let wait = Duration::from_millis(u64::try_from(moment_ms - now_ms).unwrap_or(0));
            tokio::select! {
                _ = stopped.changed() => break,
                () = tokio::time::sleep(wait) => {}
            }
            if let Some(last_ms) = last_even_ms {
                let seconds = (clock.now_ms() - last_ms) as f64 / 1000.0;
                self.context.engine.metrics.interval_length.observe(&interval, seconds);
            }
            last_even_ms = moment.even.then_some(moment_ms);
            let started = (clock.now_ms(), Instant::now());
            let forced = lock(&self.context.forced_error).clone();
            let fetched = match forced {
                Some(error) => Err(error),
                // A response that is on its way is not waited for; one that is here is stored.
                None => tokio::select! {
                    _ = stopped.changed() => break,
                    fetched = self.fetch() => fetched,
                },
            };
            let tolerance_ms = (interval_ms / 100).min(TIMESTAMP_TOLERANCE_MS);
            let even = (started.0 - moment_ms).abs() <= tolerance_ms;
            self.take_in(fetched, if even { moment_ms } else { started.0 }, started.1).await;
        }
        if *stopped.borrow() == Stop::Gone {
            self.end().await;
        }
    }

    /// Decoding, parsing and appending block.
    async fn take_in(&self, fetched: Result<Response, String>, timestamp_ms: i64, started: Instant) {
        let (context, state, status) = (Arc::clone(&self.context), Arc::clone(&self.state), Arc::clone(&self.status));
        let (target, book) = (Arc::clone(&self.target), Arc::clone(&self.book));
        let _desk = self.context.engine.desks.wait().await;
        let take = move || take_in(&context, &target, &book, &state, &status, fetched, timestamp_ms, started);
        self.context.engine.block(&self.target.url, take).await;
    }

    async fn fetch(&self) -> Result<Response, String> {
        let request = self.request.as_ref().map_err(|error| self.explain(error))?;
        let response = self.context.client.send_prepared(request).await.map_err(|error| self.explain(&error))?;
        if response.status != 200 {
            return Err(format!("server returned HTTP status {}", response.status_text()));
        }
        Ok(response)
    }

    fn explain(&self, error: &HttpClientError) -> String {
        match error {
            HttpClientError::BodyTooLarge { .. } => {
                self.context.engine.metrics.exceeded_body_size_limit.inc();
                BODY_TOO_LARGE.to_owned()
            }
            HttpClientError::Timeout(_) => {
                format!("Get {:?}: context deadline exceeded ({error})", self.target.url)
            }
            other => format!("Get {:?}: {other}", self.target.url),
        }
    }

    async fn end(&self) {
        let timestamp_ms = self.context.engine.clock.now_ms();
        let (context, state, book) = (Arc::clone(&self.context), Arc::clone(&self.state), Arc::clone(&self.book));
        let url = self.target.url.clone();
        let end = move || {
            let engine = &context.engine;
            if let Err(error) = lock(&state).end(timestamp_ms, &book, engine.outside()) {
                tracing::warn!(%url, %error, "staleness markers of a target that is gone could not be stored");
            }
        };
        self.context.engine.block(&self.target.url, end).await;
    }
}

#[expect(clippy::too_many_arguments, reason = "what a blocking task takes with it")]
fn take_in(
    context: &PoolContext,
    target: &Target,
    book: &Rulebook,
    state: &Mutex<TargetState>,
    status: &Mutex<Status>,
    fetched: Result<Response, String>,
    timestamp_ms: i64,
    started: Instant,
) {
    let job = &context.job;
    let engine = &context.engine;
    let mut scratch = engine.desks.take();
    let mut bytes = std::mem::take(&mut scratch.body);
    // What is said of the size of a body that is not read: nothing came, or too much.
    let mut body_bytes = if fetched.as_ref().is_err_and(|error| error == BODY_TOO_LARGE) { -1.0 } else { 0.0 };
    let decoded = fetched.and_then(|response| {
        response.decode_into(body_limit(job), &mut bytes).map_err(|error| match error {
            HttpClientError::BodyTooLarge { .. } => {
                engine.metrics.exceeded_body_size_limit.inc();
                body_bytes = -1.0;
                BODY_TOO_LARGE.to_owned()
            }
            other => other.to_string(),
        })?;
        body_bytes = bytes.len() as f64;
        select_format(response.header("content-type"), job.fallback_scrape_protocol).map_err(|error| error.to_string())
    });
    let body = decoded.as_ref().ok().map(|format| Body { bytes: &mut bytes, format: *format });
    let mut duration_seconds = 0.0;
    let finish = |report: &mut Report| {
        duration_seconds = started.elapsed().as_secs_f64();
        report.duration_seconds = duration_seconds;
        report.body_bytes = body_bytes;
    };
    let outcome = lock(state).scrape(body, timestamp_ms, book, engine.outside(), &mut scratch, finish);
    scratch.body = bytes;
    engine.desks.give_back(scratch);
    let error = match (decoded, outcome) {
        (Err(error), Ok(_)) => error,
        (Ok(_), Ok((_, Some(refused)))) => refused.to_string(),
        (Ok(_), Ok((_, None))) => String::new(),
        (_, Err(error)) => {
            tracing::error!(job = %job.job_name, url = %target.url, %error, "a scrape could not be stored");
            format!("the scrape could not be stored: {error}")
        }
    };
    let up = error.is_empty();
    if let Some(path) = job.scrape_failure_log_file.as_ref().filter(|_| !up) {
        engine.failure_logs.write(path, engine.clock.now_ms(), &job.job_name, &target.url, &error);
    }
    let mut status = lock(status);
    if status.up != Some(up) && !up {
        tracing::warn!(job = %job.job_name, url = %target.url, %error, "a target went down");
    } else if status.up == Some(false) && up {
        tracing::info!(job = %job.job_name, url = %target.url, "a target is up again");
    }
    *status = Status { up: Some(up), error, at_ms: Some(timestamp_ms), duration_seconds };
}

fn body_limit(job: &ScrapeJob) -> usize {
    let limit = if job.limits.body_size == 0 { BODY_BYTES_MAX } else { job.limits.body_size.min(BODY_BYTES_MAX) };
    usize::try_from(limit).unwrap_or(usize::MAX)
}
