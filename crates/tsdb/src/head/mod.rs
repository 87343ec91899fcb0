//! The newest samples, in memory.

pub(crate) mod exemplars;
pub(crate) mod series;

use crate::postings::{Postings, Selector};
use model::Labels;
use series::MemSeries;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicI64, Ordering},
    },
};

/// Series and their index. Samples are behind the lock of their series, so that appending needs no lock of the whole.
#[derive(Debug)]
pub(crate) struct Head {
    index: RwLock<Index>,
    /// Time of the newest sample; `i64::MIN` without samples.
    max_ms: AtomicI64,
    pub(crate) block_range_ms: i64,
}

#[derive(Debug, Default)]
struct Index {
    by_labels: HashMap<Labels, Arc<MemSeries>, foldhash::fast::RandomState>,
    /// By number; numbers are not used again, `None` is a series that was forgotten.
    by_id: Vec<Option<Arc<MemSeries>>>,
    postings: Postings,
}

impl Index {
    fn labels_of(&self, id: u32) -> Option<&Labels> {
        self.by_id.get(id as usize)?.as_ref().map(|series| &series.labels)
    }
}

impl Head {
    pub(crate) fn new(block_range_ms: i64) -> Self {
        Head { index: RwLock::default(), max_ms: AtomicI64::new(i64::MIN), block_range_ms }
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time of the newest sample ever appended; `i64::MIN` without samples.
    pub(crate) fn max_ms(&self) -> i64 {
        self.max_ms.load(Ordering::Acquire)
    }

    pub(crate) fn note_max_ms(&self, timestamp_ms: i64) {
        self.max_ms.fetch_max(timestamp_ms, Ordering::AcqRel);
    }

    pub(crate) fn series_count(&self) -> usize {
        self.read().by_labels.len()
    }

    /// The series of these labels and whether it is new; `None` when numbers have run out.
    pub(crate) fn get_or_create(&self, labels: &Labels) -> Option<(Arc<MemSeries>, bool)> {
        if let Some(series) = self.read().by_labels.get(labels) {
            return Some((Arc::clone(series), false));
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = index.by_labels.get(labels) {
            return Some((Arc::clone(series), false));
        }
        let id = u32::try_from(index.by_id.len()).ok()?;
        let series = Arc::new(MemSeries::new(id, labels.clone()));
        index.by_id.push(Some(Arc::clone(&series)));
        index.by_labels.insert(labels.clone(), Arc::clone(&series));
        index.postings.add(id, labels);
        Some((series, true))
    }

    /// All series, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<MemSeries>> {
        self.read().by_labels.values().cloned().collect()
    }

    /// Series that a selector accepts, in no order.
    pub(crate) fn select(&self, selector: &Selector) -> Vec<Arc<MemSeries>> {
        let index = self.read();
        let ids = index.postings.select(selector, |id| index.labels_of(id));
        ids.into_iter().filter_map(|id| index.by_id.get(id as usize)?.clone()).collect()
    }

    /// Names of labels, sorted; of all series if the selector is empty.
    pub(crate) fn label_names(&self, selector: &Selector) -> Vec<String> {
        if selector.is_empty() {
            return self.read().postings.label_names().map(str::to_owned).collect();
        }
        let series = self.select(selector);
        let names: HashSet<&str> =
            series.iter().flat_map(|series| series.labels.iter().map(|(name, _)| name)).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn label_values(&self, name: &str, selector: &Selector) -> Vec<String> {
        if selector.is_empty() {
            return self.read().postings.label_values(name).map(str::to_owned).collect();
        }
        let series = self.select(selector);
        let values: HashSet<&str> = series.iter().filter_map(|series| series.labels.get(name)).collect();
        values.into_iter().map(str::to_owned).collect()
    }

    /// Forgets the given series if they have no samples. Only under the lock of the appends, and only series that no
    /// layout holds. Gives how many are gone.
    pub(crate) fn forget(&self, candidates: &[Arc<MemSeries>]) -> usize {
        let gone: HashMap<u32, &Labels> =
            candidates.iter().filter(|series| series.is_empty()).map(|series| (series.id, &series.labels)).collect();
        if gone.is_empty() {
            return 0;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for (id, labels) in &gone {
            index.by_labels.remove(*labels);
            if let Some(slot) = index.by_id.get_mut(*id as usize) {
                *slot = None;
            }
        }
        index.postings.remove(&gone.keys().copied().collect(), gone.values().copied());
        gone.len()
    }

    /// Lets `look` see the index of label pairs.
    pub(crate) fn with_postings<T>(&self, look: impl FnOnce(&Postings) -> T) -> T {
        look(&self.read().postings)
    }
}
