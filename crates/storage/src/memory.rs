//! The simplest engine that keeps the promises of the traits, for tests and for `promqltest`: nothing is durable.

use crate::{
    AppendReport, Ingest, Layout, Querier, Queryable, Row, Samples, SelectHints, Series, SeriesId, SeriesSamples,
    SeriesSet, StorageError,
};
use model::{Labels, Matcher, Metadata, SampleValue};
use regexp::LabelMatcher;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// All series in memory, in order of their labels.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    series: BTreeMap<Labels, Arc<Samples>>,
    /// Labels by series number.
    ids: Vec<Labels>,
    by_labels: BTreeMap<Labels, SeriesId>,
    layouts: u64,
    metadata: BTreeMap<String, Metadata>,
}

impl MemoryStorage {
    pub fn new() -> Self {
        MemoryStorage::default()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.write() = Inner::default();
    }

    /// Puts a whole series in place of whatever its labels had before. `samples` must be ascending in time.
    pub fn replace_series(&self, labels: Labels, samples: Samples) {
        self.write().series.insert(labels, Arc::new(samples));
    }

    /// Adds samples, start timestamps included, to a series; a time that has a sample already gets the new one.
    pub fn extend_series(&self, labels: &Labels, samples: &Samples) {
        let mut inner = self.write();
        let series = Arc::make_mut(inner.series.entry(labels.clone()).or_default());
        for index in 0..samples.len() {
            let (at, start) = (samples.timestamps[index], samples.start_timestamp(index));
            insert(series, at, samples.value(index), true, start);
        }
    }

    /// What `append_metadata` noted.
    pub fn metadata(&self, family: &str) -> Option<Metadata> {
        self.read().metadata.get(family).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Inserted {
    New,
    Same,
    Duplicate,
}

/// Puts one sample in its place in time.
fn insert(series: &mut Samples, at: i64, value: SampleValue, overwrite: bool, start_ms: i64) -> Inserted {
    if series.timestamps.last().is_none_or(|&last| last < at) {
        series.push(at, value);
        series.set_last_start_timestamp(start_ms);
        return Inserted::New;
    }
    let place = series.timestamps.partition_point(|&own| own < at);
    if series.timestamps[place] == at {
        if series.value(place) == value && series.start_timestamp(place) == start_ms {
            return Inserted::Same;
        }
        if !overwrite {
            return Inserted::Duplicate;
        }
    }
    // Out of order is rare here: the series is written anew.
    let mut sorted = Samples::default();
    for index in 0..series.len() {
        if index == place {
            sorted.push(at, value.clone());
            sorted.set_last_start_timestamp(start_ms);
        }
        if series.timestamps[index] != at {
            sorted.push(series.timestamps[index], series.value(index));
            sorted.set_last_start_timestamp(series.start_timestamp(index));
        }
    }
    *series = sorted;
    Inserted::New
}

impl Inner {
    fn append(&mut self, labels: &Labels, at: i64, value: SampleValue, start_ms: i64, report: &mut AppendReport) {
        if !self.series.contains_key(labels) {
            report.series_created += 1;
        }
        let series = Arc::make_mut(self.series.entry(labels.clone()).or_default());
        match insert(series, at, value, false, start_ms) {
            Inserted::New => report.samples_appended += 1,
            Inserted::Same => {}
            Inserted::Duplicate => report.samples_duplicate += 1,
        }
    }
}

impl Ingest for MemoryStorage {
    fn extend_layout(&self, known: &[SeriesId], new: &[Labels]) -> Result<Layout, StorageError> {
        let mut inner = self.write();
        if known.iter().any(|id| id.0 >= inner.ids.len() as u64) {
            return Err(StorageError::UnknownSeries);
        }
        inner.layouts += 1;
        let id = inner.layouts;
        let numbers = new.iter().map(|labels| {
            if let Some(&id) = inner.by_labels.get(labels) {
                return id;
            }
            let id = SeriesId(inner.ids.len() as u64);
            inner.ids.push(labels.clone());
            inner.by_labels.insert(labels.clone(), id);
            id
        });
        let series = known.iter().copied().chain(numbers).collect();
        Ok(Layout { id, series })
    }

    fn series_labels(&self, series: SeriesId) -> Option<Labels> {
        self.read().ids.get(usize::try_from(series.0).ok()?).cloned()
    }

    fn append_rows(&self, rows: &[Row<'_>]) -> Result<AppendReport, StorageError> {
        let mut inner = self.write();
        let mut report = AppendReport::default();
        for row in rows {
            for (index, id) in row.layout.series.iter().enumerate() {
                if !row.presence.contains(index) {
                    continue;
                }
                let Some(labels) = usize::try_from(id.0).ok().and_then(|id| inner.ids.get(id)).cloned() else {
                    return Err(StorageError::Unavailable {
                        reason: format!("series {} is unknown; make the layout anew", id.0),
                    });
                };
                let at = (row.own_timestamps.iter().find(|(own, _)| *own as usize == index))
                    .map_or(row.timestamp_ms, |(_, at)| *at);
                let value = match row.histograms.iter().find(|(own, _)| *own as usize == index) {
                    Some((_, histogram)) => SampleValue::Histogram(Arc::clone(histogram)),
                    None => SampleValue::Float(row.values.get(index).copied().unwrap_or(f64::NAN)),
                };
                let start_ms = row.start_timestamps.iter().find(|(own, _)| *own as usize == index);
                inner.append(&labels, at, value, start_ms.map_or(0, |(_, start_ms)| *start_ms), &mut report);
            }
        }
        Ok(report)
    }

    fn append_series(&self, series: &[SeriesSamples]) -> Result<AppendReport, StorageError> {
        let mut inner = self.write();
        let mut report = AppendReport::default();
        for one in series {
            for (index, (at, value)) in one.samples.iter().enumerate() {
                let start_ms = one.start_timestamps.get(index).copied().unwrap_or(0);
                inner.append(&one.labels, *at, value.clone(), start_ms, &mut report);
            }
        }
        Ok(report)
    }

    fn append_metadata(&self, metadata: &[(String, Metadata)]) -> Result<(), StorageError> {
        self.write().metadata.extend(metadata.iter().cloned());
        Ok(())
    }
}

impl Queryable for MemoryStorage {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        // Sharing each series makes the view consistent: writers copy what is shared.
        let series = self.read().series.iter().map(|(labels, samples)| (labels.clone(), Arc::clone(samples))).collect();
        Ok(Box::new(MemoryQuerier { series, start_ms, end_ms }))
    }
}

struct MemoryQuerier {
    series: Vec<(Labels, Arc<Samples>)>,
    start_ms: i64,
    end_ms: i64,
}

impl MemoryQuerier {
    fn matching(&self, matchers: &[Matcher]) -> Result<impl Iterator<Item = &(Labels, Arc<Samples>)>, StorageError> {
        let matchers = (matchers.iter())
            .map(|matcher| LabelMatcher::new(matcher).map_err(|error| StorageError::BadMatcher(error.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.series.iter().filter(move |(labels, samples)| {
            overlaps(samples, self.start_ms, self.end_ms)
                && matchers.iter().all(|matcher| matcher.matches_labels(labels))
        }))
    }
}

fn overlaps(samples: &Samples, start_ms: i64, end_ms: i64) -> bool {
    let first = samples.timestamps.partition_point(|&at| at < start_ms);
    samples.timestamps.get(first).is_some_and(|&at| at <= end_ms)
}

impl Querier for MemoryQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, StorageError> {
        let limit = if hints.limit == 0 { usize::MAX } else { hints.limit };
        let found: Vec<_> = (self.matching(matchers)?.take(limit))
            .map(|(labels, samples)| {
                let (start_ms, end_ms) = (self.start_ms, self.end_ms);
                let series = MemorySeries { labels: labels.clone(), samples: Arc::clone(samples), start_ms, end_ms };
                Ok(Box::new(series) as Box<dyn Series>)
            })
            .collect();
        Ok(Box::new(found.into_iter()))
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let names: BTreeSet<&str> =
            self.matching(matchers)?.flat_map(|(labels, _)| labels.iter().map(|(name, _)| name)).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let values: BTreeSet<&str> = self.matching(matchers)?.filter_map(|(labels, _)| labels.get(name)).collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }
}

struct MemorySeries {
    labels: Labels,
    samples: Arc<Samples>,
    start_ms: i64,
    end_ms: i64,
}

impl Series for MemorySeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        let from = self.samples.timestamps.partition_point(|&at| at < self.start_ms);
        let to = self.samples.timestamps.partition_point(|&at| at <= self.end_ms);
        into.extend_from(&self.samples, from, to);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_order_duplicate_and_range() {
        let storage = MemoryStorage::new();
        let labels = Labels::from_pairs([("__name__", "m"), ("a", "1")]);
        let samples = [(20, 2.0), (10, 1.0), (20, 3.0), (10, 1.0)].map(|(at, v)| (at, SampleValue::Float(v))).to_vec();
        let report = storage
            .append_series(&[SeriesSamples {
                labels: labels.clone(),
                samples,
                exemplars: Vec::new(),
                start_timestamps: Vec::new(),
            }])
            .unwrap();
        assert_eq!((report.samples_appended, report.samples_duplicate, report.series_created), (2, 1, 1));
        let querier = storage.querier(0, 15).unwrap();
        let mut read = Samples::default();
        for series in querier.select(&SelectHints::default(), &[Matcher::equal("a", "1")]).unwrap() {
            series.unwrap().read(&mut read).unwrap();
        }
        assert_eq!((read.timestamps, read.values), (vec![10], vec![1.0]));
        assert_eq!(querier.label_names(&[]).unwrap(), ["__name__", "a"]);
        assert!(storage.querier(30, 40).unwrap().label_values("a", &[]).unwrap().is_empty());
    }

    #[test]
    fn rows() {
        let storage = MemoryStorage::new();
        let labels = ["a", "b"].map(|name| Labels::from_pairs([("__name__", name)]));
        let layout = storage.layout(&labels).unwrap();
        let row = Row {
            layout: &layout,
            timestamp_ms: 5,
            values: &[1.0, 2.0],
            presence: crate::Presence::Bitmap(&[0b10]),
            histograms: &[],
            own_timestamps: &[(1, 7)],
            start_timestamps: &[],
            changed: None,
            exemplars: &[],
        };
        assert_eq!(storage.append_rows(&[row]).unwrap().samples_appended, 1);
        let querier = storage.querier(7, 7).unwrap();
        assert_eq!(querier.label_values("__name__", &[]).unwrap(), ["b"]);
    }
}
