//! Work spread over the cores whose result does not depend on how many there are.

use crate::error::QueryError;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Work that is done sooner than this is not worth a second thread.
const PATIENCE: Duration = Duration::from_micros(400);

/// How many threads beside their own all queries of an engine may use together.
#[derive(Clone, Debug)]
pub(crate) struct Helpers(Arc<AtomicUsize>);

impl Helpers {
    pub(crate) fn new(count: usize) -> Helpers {
        Helpers(Arc::new(AtomicUsize::new(count)))
    }

    /// Takes all that are free, until the guard is dropped.
    fn take(&self) -> Taken<'_> {
        Taken { count: self.0.swap(0, Ordering::AcqRel), free: &self.0 }
    }
}

struct Taken<'a> {
    count: usize,
    free: &'a AtomicUsize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.free.fetch_add(self.count, Ordering::AcqRel);
    }
}

/// What waits to be folded.
struct Waiting<T, F> {
    next: usize,
    done: BTreeMap<usize, T>,
    fold: F,
    /// The first error, by the place of its chunk.
    error: Option<(usize, QueryError)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `map` for every chunk, on as many threads as are free, and `fold` with the results, one after the other in the
/// order of the chunks: whatever `fold` sums up is the same as on one thread. Few results wait at any time.
///
/// # Errors
/// Those of the chunks, `map` and `fold`; the rest of the work is given up.
pub(crate) fn ordered<C, T, F>(
    helpers: &Helpers,
    mut chunks: impl Iterator<Item = Result<C, QueryError>> + Send,
    map: impl Fn(C) -> Result<T, QueryError> + Sync,
    mut fold: F,
) -> Result<(), QueryError>
where
    T: Send,
    F: FnMut(T) -> Result<(), QueryError> + Send,
{
    let begin = Instant::now();
    loop {
        let Some(chunk) = chunks.next() else { return Ok(()) };
        fold(map(chunk?)?)?;
        if begin.elapsed() > PATIENCE {
            break;
        }
    }
    let taken = helpers.take();
    if taken.count == 0 {
        for chunk in chunks {
            fold(map(chunk?)?)?;
        }
        return Ok(());
    }
    let waiting_max = 4 * (taken.count + 1);
    let source = Mutex::new(chunks.enumerate());
    let waiting = Mutex::new(Waiting { next: 0, done: BTreeMap::new(), fold, error: None });
    let (folded, stop) = (Condvar::new(), AtomicBool::new(false));
    let fail = |place: usize, error: QueryError| {
        let mut waiting = lock(&waiting);
        if waiting.error.as_ref().is_none_or(|(other, _)| place < *other) {
            waiting.error = Some((place, error));
        }
        stop.store(true, Ordering::Release);
        folded.notify_all();
    };
    let work = || {
        loop {
            // Whoever works on the next result to be folded is not here, so that somebody always gets on.
            let mut guard = lock(&waiting);
            while guard.done.len() >= waiting_max && !stop.load(Ordering::Acquire) {
                guard = folded.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            drop(guard);
            if stop.load(Ordering::Acquire) {
                return;
            }
            let Some((place, chunk)) = lock(&source).next() else { return };
            let result = match chunk.and_then(&map) {
                Ok(result) => result,
                Err(error) => return fail(place, error),
            };
            let mut guard = lock(&waiting);
            guard.done.insert(place, result);
            loop {
                let next = guard.next;
                let Some(result) = guard.done.remove(&next) else { break };
                if let Err(error) = (guard.fold)(result) {
                    drop(guard);
                    return fail(next, error);
                }
                guard.next += 1;
            }
            drop(guard);
            folded.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..taken.count {
            // Where no thread can be had, this one does the work alone.
            let _ = std::thread::Builder::new().name("query".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let waiting = waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
    waiting.error.map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        for threads in [0, 1, 7] {
            let helpers = Helpers::new(threads);
            let mut seen = Vec::new();
            let chunks = (0..300_u64).map(Ok);
            ordered(
                &helpers,
                chunks,
                |n| {
                    std::thread::sleep(Duration::from_micros(n * 37 % 101));
                    Ok(n)
                },
                |n| {
                    seen.push(n);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(seen, (0..300).collect::<Vec<_>>());
            assert_eq!(helpers.take().count, threads);
        }
    }

    #[test]
    fn errors_end_the_work() {
        for threads in [0, 3] {
            let error = ordered(
                &Helpers::new(threads),
                (0..).map(Ok),
                |n: u64| {
                    std::thread::sleep(Duration::from_micros(50));
                    if n >= 40 { Err(QueryError::Execution("late".to_owned())) } else { Ok(n) }
                },
                |_| Ok(()),
            );
            assert_eq!(error.unwrap_err().to_string(), "late");
        }
    }
}
