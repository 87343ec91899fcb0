//! Exemplars, in memory: the newest of all series, up to a number.

use crate::{
    SeriesExemplars,
    block::exemplars::{BySeries, tidy},
    postings::Selector,
};
use model::{Exemplar, Labels};
use std::collections::{HashMap, VecDeque};
use storage::SeriesId;

/// A label set of an exemplar may have so many characters, as OpenMetrics says; longer ones are refused.
pub(crate) const LABELS_CHARS_MAX: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    max: usize,
    /// In order of arrival.
    ring: VecDeque<(SeriesId, i64, Exemplar)>,
    newest: HashMap<SeriesId, Newest, foldhash::fast::RandomState>,
}

/// Of one series that has exemplars in the ring.
#[derive(Debug)]
struct Newest {
    labels: Labels,
    timestamp_ms: i64,
    exemplar: Exemplar,
    /// How many are in the ring.
    count: usize,
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

    pub(crate) fn verdict(&self, series: SeriesId, exemplar: &Exemplar, timestamp_ms: i64) -> ExemplarVerdict {
        let chars: usize = exemplar.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        if chars > LABELS_CHARS_MAX {
            return ExemplarVerdict::TooLong;
        }
        match self.newest.get(&series) {
            Some(Newest { exemplar: newest, .. })
                if newest.labels == exemplar.labels && newest.value.to_bits() == exemplar.value.to_bits()
                    // Without a time of its own, it has the time of the scrape, which proves nothing new.
                    && exemplar.timestamp_ms.is_none_or(|own| newest.timestamp_ms == Some(own)) =>
            {
                ExemplarVerdict::Same
            }
            Some(newest) if timestamp_ms <= newest.timestamp_ms => ExemplarVerdict::OutOfOrder,
            _ => ExemplarVerdict::New,
        }
    }

    pub(crate) fn push(&mut self, series: SeriesId, labels: &Labels, mut exemplar: Exemplar, timestamp_ms: i64) {
        if self.max == 0 {
            return;
        }
        exemplar.timestamp_ms = Some(timestamp_ms);
        if self.ring.len() >= self.max
            && let Some((old, _, _)) = self.ring.pop_front()
            && let Some(newest) = self.newest.get_mut(&old)
        {
            newest.count -= 1;
            if newest.count == 0 {
                self.newest.remove(&old);
            }
        }
        let newest = self.newest.entry(series).or_insert_with(|| Newest {
            labels: labels.clone(),
            timestamp_ms,
            exemplar: exemplar.clone(),
            count: 0,
        });
        (newest.timestamp_ms, newest.exemplar) = (timestamp_ms, exemplar.clone());
        newest.count += 1;
        self.ring.push_back((series, timestamp_ms, exemplar));
    }

    /// All exemplars, in order of arrival.
    pub(crate) fn all(&self) -> impl Iterator<Item = (SeriesId, &Labels, &Exemplar, i64)> {
        let labels = |series: &SeriesId| self.newest.get(series).map(|newest| &newest.labels);
        let ring = self.ring.iter();
        ring.filter_map(move |(series, time, exemplar)| Some((*series, labels(series)?, exemplar, *time)))
    }

    /// From one time to another, which is not included, by series.
    pub(crate) fn between(&self, min_ms: i64, max_ms: i64) -> Vec<SeriesExemplars> {
        let mut found = BySeries::new();
        for (_, labels, exemplar, time) in self.all() {
            if (min_ms..max_ms).contains(&time) {
                found.entry(labels.clone()).or_default().push(exemplar.clone());
            }
        }
        tidy(found)
    }

    /// Between two times, both inclusive, of series that any selector accepts; sorted by labels.
    pub(crate) fn select(&self, start_ms: i64, end_ms: i64, selectors: &[Selector]) -> BySeries {
        let mut found = BySeries::new();
        for (_, labels, exemplar, time) in self.all() {
            if (start_ms..=end_ms).contains(&time) && selectors.iter().any(|selector| selector.matches(labels)) {
                found.entry(labels.clone()).or_default().push(exemplar.clone());
            }
        }
        found
    }
}
