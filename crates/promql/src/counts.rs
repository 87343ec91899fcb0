//! How many samples a query looks at, step by step, as Prometheus counts them for `stats`: a sample counts once for every
//! step whose value depends on it.

use crate::select::Window;
use crate::value::{At, Column};
use model::FloatHistogram;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// Counts of the steps of the grid that is being evaluated; nothing unless they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    steps: Option<Mutex<Vec<u64>>>,
    /// What was counted inside the subquery that was evaluated last.
    in_subquery: AtomicU64,
}

/// Counting is under way.
#[derive(Clone, Copy)]
pub(crate) struct Running<'a>(&'a Mutex<Vec<u64>>);

impl Counts {
    pub(crate) fn begin(&mut self, steps: usize) {
        self.steps = Some(Mutex::new(vec![0; steps]));
    }

    pub(crate) fn running(&self) -> Option<Running<'_>> {
        self.steps.as_ref().map(Running)
    }

    pub(crate) fn take(self) -> Option<Vec<u64>> {
        self.steps.map(|steps| steps.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`Counts::apart`], for the inside of a subquery.
    pub(crate) fn subquery<T>(&self, steps: usize, f: impl FnOnce() -> T) -> T {
        let (result, counted) = self.apart(steps, f);
        self.in_subquery.store(counted.iter().sum(), Ordering::Relaxed);
        result
    }

    pub(crate) fn in_subquery(&self) -> u64 {
        self.in_subquery.load(Ordering::Relaxed)
    }

    /// Runs `f`, which evaluates another grid of `steps`, and gives what it counted there.
    pub(crate) fn apart<T>(&self, steps: usize, f: impl FnOnce() -> T) -> (T, Vec<u64>) {
        let Some(running) = self.running() else { return (f(), Vec::new()) };
        let before = std::mem::replace(&mut *running.steps(), vec![0; steps]);
        let result = f();
        let counted = std::mem::replace(&mut *running.steps(), before);
        (result, counted)
    }
}

impl Running<'_> {
    fn steps(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, step: usize, samples: u64) {
        if let Some(count) = self.steps().get_mut(step) {
            *count += samples;
        }
    }

    pub(crate) fn add_to_all(&self, samples: u64) {
        self.steps().iter_mut().for_each(|count| *count += samples);
    }

    /// The values of an instant selector.
    pub(crate) fn add_column(&self, column: &Column) {
        let mut steps = self.steps();
        for (step, count) in steps.iter_mut().enumerate().take(column.kinds.len()) {
            match column.get(step) {
                None => {}
                Some(At::Float(_)) => *count += 1,
                Some(At::Histogram(histogram)) => *count += weight(histogram),
            }
        }
    }

    /// The samples of a window.
    pub(crate) fn add_window(&self, step: usize, window: &Window<'_>) {
        let histograms: u64 = window.histograms.iter().map(|histogram| weight(histogram)).sum();
        self.add(step, window.floats.len() as u64 + histograms);
    }
}

/// As how many samples a histogram counts: by its memory in Prometheus, in units of a float with its time.
pub(crate) fn weight(h: &FloatHistogram) -> u64 {
    const HEAD_BYTES: usize = 168;
    const SAMPLE_BYTES: usize = 16;
    let words = h.positive_spans.len()
        + h.negative_spans.len()
        + h.positive_buckets.len()
        + h.negative_buckets.len()
        + h.custom_values.len();
    // With its time, which takes 8 bytes.
    ((HEAD_BYTES + words * 8 + 8) / SAMPLE_BYTES) as u64
}
