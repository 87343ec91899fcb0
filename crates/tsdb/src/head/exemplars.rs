//! Exemplars, in memory: the newest of all series, up to a number.

use super::series::MemSeries;
use crate::{SeriesExemplars, postings::Selector};
use model::{Exemplar, Labels};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

/// A label set of an exemplar may have so many characters, as OpenMetrics says; longer ones are refused.
pub(crate) const LABELS_CHARS_MAX: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    max: usize,
    /// In order of arrival.
    ring: VecDeque<(Arc<MemSeries>, i64, Exemplar)>,
    /// By series number: the newest exemplar and how many are in the ring.
    newest: HashMap<u32, (i64, Exemplar, usize), foldhash::fast::RandomState>,
}

/// What becomes of an exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExemplarVerdict {
    New,
    /// It is the newest of its series already: targets show an exemplar until there is another.
    Same,
    OutOfOrder,
    TooLong,
}

impl Exemplars {
    pub(crate) fn new(max: usize) -> Self {
        Exemplars { max, ..Exemplars::default() }
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    pub(crate) fn series(&self) -> usize {
        self.newest.len()
    }

    pub(crate) fn oldest_ms(&self) -> Option<i64> {
        self.ring.front().map(|(_, time, _)| *time)
    }

    pub(crate) fn verdict(&self, series: &MemSeries, exemplar: &Exemplar, timestamp_ms: i64) -> ExemplarVerdict {
        let chars: usize = exemplar.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        if chars > LABELS_CHARS_MAX {
            return ExemplarVerdict::TooLong;
        }
        match self.newest.get(&series.id) {
            Some((_, newest, _))
                if newest.labels == exemplar.labels && newest.value.to_bits() == exemplar.value.to_bits()
                    // Without a time of its own, it has the time of the scrape, which proves nothing new.
                    && exemplar.timestamp_ms.is_none_or(|own| newest.timestamp_ms == Some(own)) =>
            {
                ExemplarVerdict::Same
            }
            Some((time, _, _)) if timestamp_ms <= *time => ExemplarVerdict::OutOfOrder,
            _ => ExemplarVerdict::New,
        }
    }

    pub(crate) fn push(&mut self, series: &Arc<MemSeries>, mut exemplar: Exemplar, timestamp_ms: i64) {
        if self.max == 0 {
            return;
        }
        exemplar.timestamp_ms = Some(timestamp_ms);
        if self.ring.len() >= self.max
            && let Some((old, _, _)) = self.ring.pop_front()
            && let Some(entry) = self.newest.get_mut(&old.id)
        {
            entry.2 -= 1;
            if entry.2 == 0 {
                self.newest.remove(&old.id);
            }
        }
        let entry = self.newest.entry(series.id).or_insert_with(|| (timestamp_ms, exemplar.clone(), 0));
        *entry = (timestamp_ms, exemplar.clone(), entry.2 + 1);
        self.ring.push_back((Arc::clone(series), timestamp_ms, exemplar));
    }

    /// Between two times, both inclusive, of series that any selector accepts; sorted by labels.
    pub(crate) fn select(&self, start_ms: i64, end_ms: i64, selectors: &[Selector]) -> Vec<SeriesExemplars> {
        let mut found: BTreeMap<&Labels, Vec<Exemplar>> = BTreeMap::new();
        for (series, time, exemplar) in &self.ring {
            if (start_ms..=end_ms).contains(time) && selectors.iter().any(|selector| selector.matches(&series.labels)) {
                found.entry(&series.labels).or_default().push(exemplar.clone());
            }
        }
        found.into_iter().map(|(labels, exemplars)| SeriesExemplars { labels: labels.clone(), exemplars }).collect()
    }
}
