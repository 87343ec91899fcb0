//! Appending: first it is seen what can be taken, then that is logged, then the head takes it.

mod call;

pub(crate) use call::Kinds;

use crate::{
    db::{Tsdb, lock},
    head::{Bits, Place, exemplars::ExemplarVerdict, no_bits, set_bit, verdict::Bounds},
    wal::{
        Batch, WalWriter,
        record::{self, Logged},
    },
};
use call::Call;
use model::{Exemplar, Labels, Metadata, SampleValue};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError, Weak, atomic::Ordering},
};
use storage::{AppendReport, Layout, Presence, Row, SeriesId, SeriesSamples, StorageError};

/// Labels of one series are not longer: the log tells a group of series in one record.
const LABELS_BYTES_MAX: usize = 4 << 20;

/// What one append at a time may touch.
pub(crate) struct Appends {
    pub(crate) wal: WalWriter,
    pub(crate) logged: Logged,
    layouts: HashMap<u64, LayoutState, foldhash::fast::RandomState>,
    next_layout: u64,
    /// Layouts after which those that nobody holds are looked for.
    layouts_before_sweep: usize,
    /// Older samples are in blocks.
    pub(crate) cut_ms: i64,
    /// The segment that has all metadata.
    metadata_segment: u64,
    block_range_ms: i64,
    /// Empty: its memory is used by one call after the other.
    batch: Batch,
}

struct LayoutState {
    /// Dead when nobody can append to the layout any more.
    alive: Weak<[SeriesId]>,
    parts: Arc<[Part]>,
}

/// Series of a layout that are in one group.
struct Part {
    group: u32,
    members: Members,
}

enum Members {
    /// The whole group, in its order, from this place of the layout on.
    Run(usize),
    /// Places in the layout and slots.
    List(Box<[(u32, u16)]>),
}

impl Appends {
    pub(crate) fn new(wal: WalWriter, cut_ms: i64, block_range_ms: i64) -> Self {
        Appends {
            wal,
            logged: Logged::default(),
            layouts: HashMap::default(),
            next_layout: 1,
            layouts_before_sweep: 64,
            cut_ms,
            metadata_segment: 0,
            block_range_ms: block_range_ms.max(1),
            batch: Batch::default(),
        }
    }

    pub(crate) fn sweep_layouts(&mut self) {
        self.layouts.retain(|_, layout| layout.alive.strong_count() > 0);
        self.layouts.shrink_to_fit();
        self.layouts_before_sweep = 64.max(self.layouts.len() * 2);
    }

    /// Indices of the series that layouts hold.
    pub(crate) fn held_series(&self) -> HashSet<u32> {
        let alive = self.layouts.values().filter_map(|layout| layout.alive.upgrade());
        alive.flat_map(|ids| ids.iter().map(|id| crate::head::index_of(*id)).collect::<Vec<_>>()).collect()
    }

    /// The prepared segment, for samples of which the newest has this time; `i64::MIN` for what is no sample.
    fn prepare(&mut self, newest_ms: i64) -> Result<u64, StorageError> {
        // Blocks end there: what comes is not to hold back the segment of what will be in a block.
        let border_ms = newest_ms.div_euclid(self.block_range_ms).saturating_mul(self.block_range_ms);
        let segment = self.wal.prepare(border_ms)?;
        self.logged.begin(segment);
        Ok(segment)
    }
}

/// An exemplar that is not refused so far.
struct NewExemplar {
    series: SeriesId,
    labels: Labels,
    exemplar: Exemplar,
    timestamp_ms: i64,
}

impl Tsdb {
    pub(crate) fn make_layout(&self, known: &[SeriesId], new: &[Labels]) -> Result<Layout, StorageError> {
        let mut appends = lock(&self.appends);
        {
            let store = self.head.store();
            if known.iter().any(|id| store.place(*id).is_none()) {
                return Err(StorageError::UnknownSeries);
            }
        }
        let list: Vec<&Labels> = new.iter().collect();
        let found = self.resolve(&list, None)?;
        let ids: Arc<[SeriesId]> = known.iter().copied().chain(found).collect();
        let parts = self.parts(&ids);
        let id = appends.next_layout;
        appends.next_layout += 1;
        if appends.layouts.len() >= appends.layouts_before_sweep {
            appends.sweep_layouts();
        }
        let state = LayoutState { alive: Arc::downgrade(&ids), parts: parts.into() };
        appends.layouts.insert(id, state);
        Ok(Layout { id, series: ids })
    }

    fn parts(&self, ids: &[SeriesId]) -> Vec<Part> {
        let store = self.head.store();
        let mut by_group: BTreeMap<u32, Vec<(u32, u16)>> = BTreeMap::new();
        for (at, id) in ids.iter().enumerate() {
            if let Some(Place { group, slot }) = store.place(*id) {
                by_group.entry(group).or_default().push((at as u32, slot));
            }
        }
        let part = |(group, list): (u32, Vec<(u32, u16)>)| {
            let first = list.first().map_or(0, |(at, _)| *at);
            let is_run = store.group(group).is_some_and(|group| group.slots() == list.len())
                && list.iter().enumerate().all(|(slot, own)| *own == (first + slot as u32, slot as u16));
            Part { group, members: if is_run { Members::Run(first as usize) } else { Members::List(list.into()) } }
        };
        by_group.into_iter().map(part).collect()
    }

    fn resolve(&self, labels: &[&Labels], times: Option<&[i64]>) -> Result<Vec<SeriesId>, StorageError> {
        if let Some(long) = labels.iter().find(|labels| labels.as_packed().len() > LABELS_BYTES_MAX) {
            let reason = format!(
                "labels of {} bytes, the longest that are stored have {LABELS_BYTES_MAX}; metric {}",
                long.as_packed().len(),
                long.metric_name().chars().take(100).collect::<String>(),
            );
            return Err(StorageError::Unavailable { reason });
        }
        let (ids, created) = self.head.resolve(labels, times)?;
        self.metrics.count(&AppendReport { series_created: created, ..AppendReport::default() });
        Ok(ids)
    }

    /// Appends take nothing older than this any more (Unix milliseconds): that part of the past changes only by deletion,
    /// import and retention. Before the first append, what is not expected any more.
    pub fn complete_before_ms(&self) -> i64 {
        if self.head.max_ms() == i64::MIN {
            // Anything would be taken, but nothing comes: what is in blocks, by an import perhaps, does not wait for it.
            let behind_ms = self.out_of_order_window_ms.load(Ordering::Relaxed).max(self.options.block_range_ms / 2);
            return self.newest_ms().saturating_sub(behind_ms);
        }
        let bounds = self.bounds(lock(&self.appends).cut_ms);
        bounds.late_from_ms.map_or(bounds.min_valid_ms, |late_ms| late_ms.min(bounds.min_valid_ms))
    }

    /// What is taken now: as Prometheus, half a block behind the newest sample without a window.
    fn bounds(&self, cut_ms: i64) -> Bounds {
        let max_ms = self.head.max_ms();
        let behind = |by: i64| if max_ms == i64::MIN { i64::MIN } else { max_ms.saturating_sub(by) };
        let window = self.out_of_order_window_ms.load(Ordering::Relaxed);
        Bounds {
            min_valid_ms: cut_ms.max(behind(self.options.block_range_ms / 2)),
            late_from_ms: (window > 0).then(|| behind(window)),
        }
    }

    pub(crate) fn rows(&self, rows: &[Row<'_>]) -> Result<AppendReport, StorageError> {
        let mut guard = lock(&self.appends);
        let appends = &mut *guard;
        appends.prepare(rows.iter().map(|row| row.timestamp_ms).max().unwrap_or(i64::MIN))?;
        let mut parts_of: Vec<Arc<[Part]>> = Vec::with_capacity(rows.len());
        for row in rows {
            let reason = match appends.layouts.get(&row.layout.id) {
                Some(state) if row.values.len() >= row.layout.series.len() => {
                    parts_of.push(Arc::clone(&state.parts));
                    continue;
                }
                Some(_) => format!("a row has {} values for {} series", row.values.len(), row.layout.series.len()),
                None => format!("layout {} is not of this engine", row.layout.id),
            };
            return Err(StorageError::Unavailable { reason });
        }
        let mut exemplars = Vec::new();
        let call = {
            let index = self.head.index();
            let store = self.head.store();
            let mut call = Call::new(&store, &index, self.bounds(appends.cut_ms));
            for (row, parts) in rows.iter().zip(&parts_of) {
                for part in parts.iter() {
                    add_part(&mut call, row, part);
                }
                let mut own = row.own_timestamps.iter().peekable();
                for (at, start_ms) in row.start_timestamps {
                    // Both ascend.
                    while own.next_if(|(own, _)| own < at).is_some() {}
                    let there = row.presence.contains(*at as usize);
                    if let Some(place) = row.layout.series.get(*at as usize).and_then(|id| store.place(*id))
                        && there
                    {
                        let own_ms = own.peek().filter(|(own, _)| own == at).map(|(_, own_ms)| *own_ms);
                        call.start(place, own_ms.unwrap_or(row.timestamp_ms), *start_ms);
                    }
                }
                for (at, exemplar) in row.exemplars {
                    if let Some(id) = row.layout.series.get(*at as usize) {
                        let timestamp_ms = exemplar.timestamp_ms.unwrap_or(row.timestamp_ms);
                        self.check_exemplar(*id, exemplar, timestamp_ms, &mut exemplars, || {
                            index.labels(crate::head::index_of(*id))
                        });
                    }
                }
            }
            call.encode(&index, &mut appends.logged, std::mem::take(&mut appends.batch), &exemplars)
        };
        self.write_and_apply(appends, call, exemplars)
    }

    pub(crate) fn series_samples(&self, list: &[SeriesSamples]) -> Result<AppendReport, StorageError> {
        let mut guard = lock(&self.appends);
        let appends = &mut *guard;
        appends.prepare(list.iter().flat_map(|one| &one.samples).map(|(time, _)| *time).max().unwrap_or(i64::MIN))?;
        let labels: Vec<&Labels> = list.iter().map(|one| &one.labels).collect();
        let times: Vec<i64> = list.iter().map(|one| one.samples.first().map_or(0, |(time, _)| *time)).collect();
        let ids = self.resolve(&labels, Some(&times))?;
        let mut exemplars = Vec::new();
        let call = {
            let index = self.head.index();
            let store = self.head.store();
            let mut call = Call::new(&store, &index, self.bounds(appends.cut_ms));
            for (one, id) in list.iter().zip(ids) {
                let Some(place) = store.place(id) else { continue };
                let start_ms = |at: usize| one.start_timestamps.get(at).copied().unwrap_or(0);
                let mut add = |at: usize| {
                    let (timestamp_ms, value) = &one.samples[at];
                    if call.sample(place, *timestamp_ms, value) && start_ms(at) != 0 {
                        call.start(place, *timestamp_ms, start_ms(at));
                    }
                };
                if one.samples.is_sorted_by_key(|(time, _)| *time) {
                    (0..one.samples.len()).for_each(&mut add);
                } else {
                    let mut order: Vec<usize> = (0..one.samples.len()).collect();
                    // Stable: of two values at one time the first is taken and the second refused.
                    order.sort_by_key(|at| one.samples[*at].0);
                    order.into_iter().for_each(&mut add);
                }
                for exemplar in &one.exemplars {
                    let newest = one.samples.iter().map(|(time, _)| *time).max();
                    if let Some(timestamp_ms) = exemplar.timestamp_ms.or(newest) {
                        self.check_exemplar(id, exemplar, timestamp_ms, &mut exemplars, || Some(one.labels.clone()));
                    }
                }
            }
            call.encode(&index, &mut appends.logged, std::mem::take(&mut appends.batch), &exemplars)
        };
        self.write_and_apply(appends, call, exemplars)
    }

    pub(crate) fn samples(
        &self,
        series: &[SeriesId],
        timestamps_ms: &[i64],
        values: &[f64],
    ) -> Result<AppendReport, StorageError> {
        if series.len() != timestamps_ms.len() || series.len() != values.len() {
            let (times, values) = (timestamps_ms.len(), values.len());
            let reason = format!("{} series, {times} times and {values} values do not match", series.len());
            return Err(StorageError::Unavailable { reason });
        }
        let mut guard = lock(&self.appends);
        let appends = &mut *guard;
        appends.prepare(timestamps_ms.iter().copied().max().unwrap_or(i64::MIN))?;
        let call = {
            let index = self.head.index();
            let store = self.head.store();
            let mut call = Call::new(&store, &index, self.bounds(appends.cut_ms));
            for ((id, timestamp_ms), value) in series.iter().zip(timestamps_ms).zip(values) {
                let place = store.place(*id).ok_or(StorageError::UnknownSeries)?;
                call.sample(place, *timestamp_ms, &SampleValue::Float(*value));
            }
            call.encode(&index, &mut appends.logged, std::mem::take(&mut appends.batch), &[])
        };
        self.write_and_apply(appends, call, Vec::new())
    }

    pub(crate) fn metadata_records(&self, list: &[(String, Metadata)]) -> Result<(), StorageError> {
        let changed: Vec<&(String, Metadata)> = {
            let known = self.metadata.read().unwrap_or_else(PoisonError::into_inner);
            list.iter().filter(|(family, metadata)| known.get(family) != Some(metadata)).collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        let mut appends = lock(&self.appends);
        appends.prepare(i64::MIN)?;
        let mut batch = Batch::default();
        batch.record(|out| record::metadata(changed.iter().map(|(family, metadata)| (family, metadata)), out));
        self.write(&mut appends, &mut batch, i64::MIN)?;
        let mut known = self.metadata.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(changed.into_iter().cloned());
        Ok(())
    }

    /// Logs what a segment with samples begins with: the segments before may be deleted.
    pub(crate) fn log_all_metadata(&self, appends: &mut Appends) -> Result<(), StorageError> {
        let segment = appends.prepare(i64::MIN)?;
        let mut batch = Batch::default();
        {
            let known = self.metadata.read().unwrap_or_else(PoisonError::into_inner);
            if known.is_empty() || appends.metadata_segment == segment {
                return Ok(());
            }
            batch.record(|out| record::metadata(known.iter(), out));
        }
        appends.metadata_segment = segment;
        self.write(appends, &mut batch, i64::MIN)
    }

    fn check_exemplar(
        &self,
        series: SeriesId,
        exemplar: &Exemplar,
        timestamp_ms: i64,
        into: &mut Vec<NewExemplar>,
        labels: impl FnOnce() -> Option<Labels>,
    ) {
        match lock(&self.exemplars).verdict(series, exemplar, timestamp_ms) {
            ExemplarVerdict::New => {
                if let Some(labels) = labels() {
                    into.push(NewExemplar { series, labels, exemplar: exemplar.clone(), timestamp_ms });
                }
            }
            ExemplarVerdict::OutOfOrder => self.metrics.exemplars_out_of_order.inc(),
            ExemplarVerdict::Same | ExemplarVerdict::TooLong => {}
        }
    }

    /// Writes records. Before them, a new segment gets all metadata, so that the old segments can be deleted.
    fn write(&self, appends: &mut Appends, batch: &mut Batch, max_ms: i64) -> Result<(), StorageError> {
        if batch.framed.is_empty() {
            return Ok(());
        }
        let segment = appends.wal.end().segment;
        if appends.metadata_segment != segment {
            let known = self.metadata.read().unwrap_or_else(PoisonError::into_inner);
            if !known.is_empty() {
                // In front: what the batch tells of a family is newer.
                let mut whole = Batch::default();
                whole.record(|out| record::metadata(known.iter(), out));
                whole.framed.append(&mut batch.framed);
                batch.framed = whole.framed;
            }
            appends.metadata_segment = segment;
        }
        let outcome = appends.wal.write(&batch.framed, max_ms);
        if outcome.is_err() {
            // The next segment has none of what the failed batch claimed to log.
            appends.metadata_segment = 0;
            appends.logged.reset();
        }
        *lock(&self.wal_end) = appends.wal.end();
        outcome
    }

    /// Logs a deletion. What was appended before is what it deletes at a replay.
    pub(crate) fn log_tombstone(
        &self,
        start_ms: i64,
        end_ms: i64,
        matchers: &[model::Matcher],
    ) -> Result<std::sync::MutexGuard<'_, Appends>, StorageError> {
        let mut appends = lock(&self.appends);
        appends.prepare(i64::MIN)?;
        let mut batch = Batch::default();
        batch.record(|out| record::tombstone(start_ms, end_ms, matchers, out));
        self.write(&mut appends, &mut batch, i64::MIN)?;
        Ok(appends)
    }

    fn write_and_apply(
        &self,
        appends: &mut Appends,
        mut call: call::Encoded,
        exemplars: Vec<NewExemplar>,
    ) -> Result<AppendReport, StorageError> {
        self.write(appends, &mut call.batch, call.max_ms)?;
        appends.batch = std::mem::take(&mut call.batch).emptied();
        let counts = call.counts.clone();
        call.apply(&self.head);
        let mut report = counts.report;
        if !exemplars.is_empty() {
            let mut all = lock(&self.exemplars);
            for NewExemplar { series, labels, exemplar, timestamp_ms } in exemplars {
                if all.verdict(series, &exemplar, timestamp_ms) == ExemplarVerdict::New {
                    all.push(series, &labels, exemplar, timestamp_ms);
                    report.exemplars_appended += 1;
                }
            }
        }
        self.metrics.floats_appended.add((report.samples_appended - counts.histograms) as f64);
        self.metrics.histograms_appended.add(counts.histograms as f64);
        self.metrics.count_kinds(&counts.late, &counts.out_of_order);
        self.metrics.duplicate.add(counts.late_duplicates as f64);
        self.metrics.folded.add(counts.folded as f64);
        self.metrics.out_of_bounds.add(counts.out_of_bounds as f64);
        self.metrics
            .count(&AppendReport { samples_too_old: report.samples_too_old - counts.out_of_bounds, ..report.clone() });
        Ok(report)
    }
}

/// Gives a call what a row has for one group.
fn add_part(call: &mut Call<'_>, row: &Row<'_>, part: &Part) {
    if let Members::Run(first) = part.members
        && row.histograms.is_empty()
        && row.own_timestamps.is_empty()
        && let Some(slots) = call.takes_whole(part.group, row.timestamp_ms)
    {
        let values = &row.values[first..first + slots];
        let mut present: Bits = no_bits(slots);
        let taken: Vec<f64> = match row.presence {
            Presence::All => {
                (0..slots).for_each(|slot| set_bit(&mut present, slot));
                values.to_vec()
            }
            Presence::Bitmap(_) => {
                let there = (0..slots).filter(|slot| row.presence.contains(first + slot));
                there.inspect(|slot| set_bit(&mut present, *slot)).map(|slot| values[slot]).collect()
            }
        };
        call.whole(part.group, row.timestamp_ms, present, taken);
        return;
    }
    let slots = call.slots(part.group);
    let mut one = |at: usize, slot: u16| {
        if !row.presence.contains(at) {
            return;
        }
        let found = row.histograms.binary_search_by_key(&(at as u32), |(own, _)| *own);
        let value = match found {
            Ok(place) => SampleValue::Histogram(Arc::clone(&row.histograms[place].1)),
            Err(_) => SampleValue::Float(row.values[at]),
        };
        let own = row.own_timestamps.binary_search_by_key(&(at as u32), |(own, _)| *own);
        let timestamp_ms = own.map_or(row.timestamp_ms, |place| row.own_timestamps[place].1);
        call.sample(Place { group: part.group, slot }, timestamp_ms, &value);
    };
    match &part.members {
        Members::Run(first) => {
            let slots = slots.min(row.layout.series.len().saturating_sub(*first));
            (0..slots).for_each(|slot| one(first + slot, slot as u16));
        }
        Members::List(list) => list.iter().for_each(|(at, slot)| one(*at as usize, *slot)),
    }
}
