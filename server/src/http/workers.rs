//! Threads that evaluate: as few as get on, for each keeps some memory of the largest query that it had.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Who has waited so long for a thread while others go on with long work gets one more.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long a thread waits for work, its freed memory in hand: longer than a page with charts takes to ask for them.
const IDLE: Duration = Duration::from_secs(5);

/// Work ended without a result: it panicked, or no thread could be had.
#[derive(Debug, thiserror::Error)]
#[error("the work on this request ended early")]
pub(crate) struct EndedEarly;

type Job = Box<dyn FnOnce() + Send>;

/// One thread a core; more while work waits behind long work.
#[derive(Clone)]
pub(crate) struct Workers(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    wake: Condvar,
    /// So many threads stay while there is work.
    steady: usize,
    idle: Duration,
    runtime: tokio::runtime::Handle,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Workers {
    /// No thread yet. Work may use what the runtime offers.
    pub(crate) fn new(runtime: tokio::runtime::Handle) -> Workers {
        Workers::with_idle(runtime, IDLE)
    }

    fn with_idle(runtime: tokio::runtime::Handle, idle: Duration) -> Workers {
        let steady = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        Workers(Arc::new(Inner { state: Mutex::default(), wake: Condvar::new(), steady, idle, runtime }))
    }

    /// Runs work that may block. How much of it there is at a time is the caller's to limit.
    ///
    /// # Errors
    /// See [`EndedEarly`].
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, EndedEarly> {
        let (to, mut from) = oneshot::channel();
        let started = Arc::new(AtomicBool::new(false));
        let begun = Arc::clone(&started);
        let waits = self.push(Box::new(move || {
            begun.store(true, Ordering::Relaxed);
            // The panic hook has told of a panic; the receiver learns of it by the sender's end.
            if let Ok(done) = catch_unwind(AssertUnwindSafe(work)) {
                let _ = to.send(done);
            }
        }));
        // A timer may wake a thread that sleeps, which costs more than many a query: only who waits has one.
        while waits && !started.load(Ordering::Relaxed) {
            match tokio::time::timeout(PATIENCE, &mut from).await {
                Ok(done) => return done.map_err(|_| EndedEarly),
                Err(_) => self.relieve(&started),
            }
        }
        from.await.map_err(|_| EndedEarly)
    }

    /// True if all threads have other work to do first.
    fn push(&self, job: Job) -> bool {
        let mut state = self.0.lock();
        state.jobs.push_back(job);
        if state.jobs.len() <= state.idle {
            drop(state);
            self.0.wake.notify_one();
            return false;
        }
        if state.threads < self.0.steady {
            self.0.start(&mut state);
            return false;
        }
        true
    }

    /// One more thread for work that still waits.
    fn relieve(&self, started: &AtomicBool) {
        let mut state = self.0.lock();
        if !started.load(Ordering::Relaxed) && state.idle == 0 && !state.jobs.is_empty() {
            self.0.start(&mut state);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, state: &mut State) {
        let own = Arc::clone(self);
        let spawned = std::thread::Builder::new().name("evaluate".to_owned()).spawn(move || own.work());
        match spawned {
            Ok(_) => state.threads += 1,
            Err(error) if state.threads == 0 => {
                tracing::error!(%error, "no thread could be started; queries are refused");
                // Their senders end with them.
                state.jobs.clear();
            }
            Err(error) => tracing::warn!(%error, "no further thread could be started; queries wait for each other"),
        }
    }

    fn work(&self) {
        let _runtime = self.runtime.enter();
        while let Some(job) = self.next() {
            job();
        }
    }

    /// `None` when the thread is to end.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        let mut waited = false;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if waited || state.threads > self.steady {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let (guard, timeout) = self.wake.wait_timeout(state, self.idle).unwrap_or_else(PoisonError::into_inner);
            (state, waited) = (guard, timeout.timed_out());
            state.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const IDLE_IN_TESTS: Duration = Duration::from_millis(300);

    fn workers() -> Workers {
        Workers::with_idle(tokio::runtime::Handle::current(), IDLE_IN_TESTS)
    }

    /// Ends when the number of threads is as wanted.
    async fn until(workers: &Workers, wanted: impl Fn(usize) -> bool) {
        while !wanted(workers.0.lock().threads) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn threads_end_when_nothing_comes() {
        let workers = workers();
        let sum: usize = {
            let tasks = (0..200).map(|n| {
                let workers = workers.clone();
                tokio::spawn(async move { workers.run(move || n).await.unwrap() })
            });
            let mut sum = 0;
            for task in tasks.collect::<Vec<_>>() {
                sum += task.await.unwrap();
            }
            sum
        };
        assert_eq!(sum, 199 * 200 / 2);
        until(&workers, |threads| threads == 0).await;
        assert_eq!(workers.run(|| 7).await.unwrap(), 7);
    }

    /// Work that waits for other work behind it would wait for ever on a fixed number of threads.
    #[tokio::test]
    async fn long_work_does_not_hold_up_what_comes_behind() {
        let workers = workers();
        let count = workers.0.steady * 3;
        let mut long = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..count {
            let (end, ended) = mpsc::channel::<()>();
            let workers = workers.clone();
            long.push(tokio::spawn(async move { workers.run(move || ended.recv().is_ok()).await.unwrap() }));
            ends.push(end);
        }
        // Each gets a thread in the end, and so does what comes last.
        until(&workers, |threads| threads >= count).await;
        assert_eq!(workers.run(|| 7).await.unwrap(), 7);
        ends.iter().for_each(|end| end.send(()).unwrap());
        for long in long {
            assert!(long.await.unwrap());
        }
        let steady = workers.0.steady;
        until(&workers, |threads| threads <= steady).await;
    }

    #[tokio::test]
    async fn a_panic_costs_one_request() {
        let workers = workers();
        for _ in 0..workers.0.steady * 2 {
            assert!(workers.run(|| panic!("on purpose")).await.is_err());
        }
        assert_eq!(workers.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_may_use_the_runtime() {
        let done = workers().run(|| tokio::runtime::Handle::try_current().is_ok()).await;
        assert!(done.unwrap());
    }
}
