//! Queries under way: who may run when, what runs, what it costs so far, and how it is ended.

mod client;
mod fair_queue;
pub(crate) mod log;
mod quick;

pub(crate) use client::{AskedUri, Client};

use super::error::{ApiError, ApiResult};
use api::ErrorType;
use fair_queue::{FairQueue, Full, Slot};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use system::Clock;
use telemetry::{Counter, Registry};
use tokio::sync::Notify;

/// Limits, from the flags.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// `--query.max-concurrency`.
    pub(crate) running: usize,
    /// `--query.max-queue`.
    pub(crate) waiting: usize,
    /// `--query.queue-timeout`.
    pub(crate) wait: Duration,
}

/// What a request wants to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Instant,
    Range,
    Exemplars,
    Explain,
    Federate,
    Labels,
    RemoteRead,
    Search,
    Series,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Instant => "instant",
            Kind::Range => "range",
            Kind::Exemplars => "exemplars",
            Kind::Explain => "explain",
            Kind::Federate => "federate",
            Kind::Labels => "labels",
            Kind::RemoteRead => "remote_read",
            Kind::Search => "search",
            Kind::Series => "series",
        }
    }
}

/// A query before it runs.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) client: Client,
    pub(crate) kind: Kind,
    pub(crate) query: String,
    /// Unix milliseconds; the same for instant queries, whose step is 0.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
    /// Instead of `--query.queue-timeout`, if shorter.
    pub(crate) wait_max: Option<Duration>,
}

impl Asked {
    /// A request that is no query of a time or range.
    pub(crate) fn of(client: Client, kind: Kind, query: impl Into<String>) -> Asked {
        Asked { client, kind, query: query.into(), start_ms: 0, end_ms: 0, step_ms: 0, wait_max: None }
    }
}

/// Longest part of a query that the list of running ones shows.
const SHOWN_CHARS_MAX: usize = 4096;

/// One query while it waits or runs.
struct Entry {
    id: u64,
    asked: Asked,
    since_ms: i64,
    since: Instant,
    started: Mutex<Option<Instant>>,
    cancel: Arc<AtomicBool>,
    killed: AtomicBool,
    /// Wakes who waits in the queue when it is killed.
    wake: Notify,
    samples_read: Arc<AtomicU64>,
}

/// What the list shows of a query.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    id: u64,
    kind: &'static str,
    query: String,
    /// `queued` or `running`.
    state: &'static str,
    /// RFC 3339.
    since: String,
    /// Seconds in the queue, and of running.
    queued_seconds: f64,
    running_seconds: f64,
    samples_read: u64,
    client_address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    path: String,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<f64>,
}

/// All queries of this server.
pub(crate) struct Queries {
    limits: Limits,
    queue: Arc<FairQueue>,
    clock: Arc<dyn Clock>,
    under_way: Mutex<BTreeMap<u64, Arc<Entry>>>,
    next_id: AtomicU64,
    refused: Counter,
    timed_out: Counter,
    killed: Counter,
    /// Which of them need no thread of their own.
    pub(crate) quick: quick::Quick,
}

/// A query that may run. It goes with the work, not with the request: the slot is free when the work has ended.
pub(crate) struct Ticket {
    watched: Watched,
    _slot: Slot,
    /// How long it waited.
    pub(crate) waited: Duration,
}

/// A query in the list; leaves it when dropped.
struct Watched {
    queries: Arc<Queries>,
    entry: Arc<Entry>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.queries.lock().remove(&self.entry.id);
    }
}

impl Ticket {
    /// True from when the query should stop.
    pub(crate) fn cancel(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.watched.entry.cancel)
    }

    pub(crate) fn asked(&self) -> &Asked {
        &self.watched.entry.asked
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.watched.entry.cancel.load(Ordering::Relaxed)
    }

    /// Grows by what the query reads.
    pub(crate) fn samples_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.watched.entry.samples_read)
    }

    /// Stops the query when it is dropped: for the future of the request, which ends when the client goes away.
    pub(crate) fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.cancel())
    }

    /// The error of a query that was stopped, with the reason if it is known.
    pub(crate) fn explain(&self, error: ApiError) -> ApiError {
        if error.kind == ErrorType::Canceled && self.watched.entry.killed.load(Ordering::Relaxed) {
            return killed();
        }
        error
    }
}

fn killed() -> ApiError {
    ApiError::new(ErrorType::Canceled, "query was killed by an administrator")
}

/// See [`Ticket::cancel_on_drop`].
pub(crate) struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Queries {
    pub(crate) fn new(limits: Limits, clock: Arc<dyn Clock>, registry: &Registry) -> Arc<Queries> {
        let queries = Arc::new(Queries {
            queue: FairQueue::new(limits.running, limits.waiting),
            clock,
            under_way: Mutex::default(),
            next_id: AtomicU64::new(1),
            refused: registry.counter("vigie_queries_refused_total", "Queries that found the queue full.", &[]),
            timed_out: registry.counter(
                "vigie_queries_queue_timeouts_total",
                "Queries that waited too long for a slot.",
                &[],
            ),
            killed: registry.counter("vigie_queries_killed_total", "Queries ended by an administrator.", &[]),
            limits,
            quick: quick::Quick::default(),
        });
        let weak = Arc::downgrade(&queries);
        registry.collector(move |out| {
            let Some(queries) = weak.upgrade() else { return };
            let (running, waiting) = queries.queue.figures();
            out.gauge(
                "prometheus_engine_queries",
                "The current number of queries being executed or waiting.",
                &[],
                (running + waiting) as f64,
            );
            out.gauge(
                "prometheus_engine_queries_concurrent_max",
                "The max number of concurrent queries.",
                &[],
                queries.limits.running as f64,
            );
            out.gauge("vigie_queries_waiting", "Queries that wait for a slot.", &[], waiting as f64);
        });
        queries
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Entry>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a slot.
    ///
    /// # Errors
    /// The queue is full, or there was none in time; the query was killed while it waited.
    pub(crate) async fn admit(self: &Arc<Self>, asked: Asked) -> ApiResult<Ticket> {
        let full = || {
            self.refused.inc();
            ApiError::new(
                ErrorType::Unavailable,
                format!(
                    "too many queries wait already: {} (--query.max-queue); ask again later, or raise --query.max-concurrency={}",
                    self.limits.waiting, self.limits.running
                ),
            )
        };
        let place = self.queue.take(asked.client.key()).map_err(|Full| full())?;
        let wait = asked.wait_max.map_or(self.limits.wait, |wait| wait.min(self.limits.wait));
        let watched = self.watch(asked);
        let slot = match place {
            Ok(slot) => slot,
            Err(from) => match tokio::select! {
                slot = tokio::time::timeout(wait, from) => slot,
                () = watched.entry.wake.notified() => return Err(killed()),
            } {
                Ok(Ok(slot)) => slot,
                // Others, who have fewer, got the place.
                Ok(Err(_)) => return Err(full()),
                Err(_) => {
                    self.timed_out.inc();
                    return Err(ApiError::new(
                        ErrorType::Timeout,
                        format!(
                            "query timed out in query queue after {wait:?}: {} run at one time; ask for less at once, or raise --query.max-concurrency or --query.queue-timeout",
                            self.limits.running
                        ),
                    ));
                }
            },
        };
        let waited = watched.entry.since.elapsed();
        *watched.entry.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let ticket = Ticket { watched, _slot: slot, waited };
        if ticket.is_cancelled() {
            return Err(ticket.explain(ApiError::new(ErrorType::Canceled, "query was canceled in query queue")));
        }
        Ok(ticket)
    }

    fn watch(self: &Arc<Self>, asked: Asked) -> Watched {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry {
            id,
            asked,
            since_ms: self.clock.now_ms(),
            since: Instant::now(),
            started: Mutex::new(None),
            cancel: Arc::default(),
            killed: AtomicBool::new(false),
            wake: Notify::new(),
            samples_read: Arc::default(),
        });
        self.lock().insert(id, Arc::clone(&entry));
        Watched { queries: Arc::clone(self), entry }
    }

    /// What waits and runs, oldest first.
    pub(crate) fn list(&self) -> Vec<Shown> {
        let entries: Vec<Arc<Entry>> = self.lock().values().cloned().collect();
        entries.iter().map(|entry| entry.shown()).collect()
    }

    /// Ends a query; false if there is none of that number.
    pub(crate) fn kill(&self, id: u64) -> bool {
        let Some(entry) = self.lock().get(&id).cloned() else { return false };
        entry.killed.store(true, Ordering::Relaxed);
        entry.cancel.store(true, Ordering::Relaxed);
        entry.wake.notify_one();
        self.killed.inc();
        tracing::warn!(id, client = entry.asked.client.key(), query = %entry.asked.query, "a query was killed");
        true
    }
}

impl Entry {
    fn shown(&self) -> Shown {
        let started = *self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let queued = started.map_or_else(|| self.since.elapsed(), |started| started - self.since);
        let has_times = matches!(self.asked.kind, Kind::Instant | Kind::Range | Kind::Explain);
        let seconds = |ms: i64| has_times.then_some(ms as f64 / 1000.0);
        Shown {
            id: self.id,
            kind: self.asked.kind.as_str(),
            query: self.asked.query.chars().take(SHOWN_CHARS_MAX).collect(),
            state: if started.is_some() { "running" } else { "queued" },
            since: super::api_v1::status::rfc3339(self.since_ms),
            queued_seconds: queued.as_secs_f64(),
            running_seconds: started.map_or(0.0, |started| started.elapsed().as_secs_f64()),
            samples_read: self.samples_read.load(Ordering::Relaxed),
            client_address: self.asked.client.address.clone(),
            user: self.asked.client.user.clone(),
            path: self.asked.client.path.clone(),
            start: seconds(self.asked.start_ms),
            end: seconds(self.asked.end_ms),
            step: seconds(self.asked.step_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(running: usize, waiting: usize, wait_ms: u64) -> Arc<Queries> {
        let limits = Limits { running, waiting, wait: Duration::from_millis(wait_ms) };
        Queries::new(limits, Arc::new(system::SystemClock), &Registry::new())
    }

    fn asked(query: &str) -> Asked {
        let client = Client { address: "10.0.0.1".to_owned(), ..Client::default() };
        Asked::of(client, Kind::Instant, query)
    }

    #[tokio::test(start_paused = true)]
    async fn waits_in_vain_with_the_limits_named() {
        let queries = queries(1, 1, 50);
        let running = queries.admit(asked("a")).await.unwrap();
        let waiting = tokio::spawn({
            let queries = Arc::clone(&queries);
            async move { queries.admit(asked("b")).await.map(|_| ()) }
        });
        tokio::task::yield_now().await;
        let states: Vec<_> = queries.list().iter().map(|q| (q.query.clone(), q.state)).collect();
        assert_eq!(states, [("a".to_owned(), "running"), ("b".to_owned(), "queued")]);
        let full = queries.admit(asked("c")).await.map(|_| ()).unwrap_err();
        assert!(full.message.contains("--query.max-queue"), "{}", full.message);
        let late = waiting.await.unwrap().unwrap_err();
        assert_eq!(late.kind, ErrorType::Timeout);
        assert!(late.message.starts_with("query timed out in query queue after 50ms"), "{}", late.message);
        drop(running);
        assert!(queries.list().is_empty());
    }

    #[tokio::test]
    async fn kills_and_cancels() {
        let queries = queries(2, 1, 1000);
        let ticket = queries.admit(asked("a")).await.unwrap();
        let id = queries.list()[0].id;
        assert!(queries.kill(id) && !queries.kill(id + 1));
        assert!(ticket.is_cancelled());
        let error = ticket.explain(ApiError::new(ErrorType::Canceled, "query was canceled in expression evaluation"));
        assert_eq!(error.message, "query was killed by an administrator");
        let other = queries.admit(asked("b")).await.unwrap();
        drop(other.cancel_on_drop());
        assert!(other.is_cancelled());
    }
}
