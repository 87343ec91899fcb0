//! Appending: first it is seen what can be taken, then that is logged, then the head takes it.

use crate::{
    db::{Tsdb, lock},
    head::{
        exemplars::ExemplarVerdict,
        series::{Bounds, MemSeries, Verdict},
    },
    wal::{
        Batch, WalWriter,
        record::{self, SamplesRecord},
    },
};
use model::{Exemplar, Labels, Metadata, SampleValue};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, Weak},
};
use storage::{AppendReport, Layout, Row, SeriesId, SeriesSamples, StorageError};

/// Records of single samples are closed when they are larger.
const RECORD_BYTES_TARGET: usize = 1 << 20;
/// Series in one record, so that it stays far below the largest record.
const SERIES_PER_RECORD: usize = 1000;

/// What one append at a time may touch.
pub(crate) struct Appends {
    pub(crate) wal: WalWriter,
    layouts: HashMap<u64, LayoutState, foldhash::fast::RandomState>,
    next_layout: u64,
    /// Layouts after which those that nobody holds are looked for.
    layouts_before_sweep: usize,
    /// Older samples are in blocks.
    pub(crate) cut_ms: i64,
    /// The segment that has all metadata.
    metadata_segment: u64,
}

struct LayoutState {
    /// Dead when nobody can append to the layout any more.
    alive: Weak<[SeriesId]>,
    members: Arc<[Arc<MemSeries>]>,
    /// The log segment that has the layout, and the values it has of it.
    logged_segment: u64,
    last: Vec<f64>,
}

/// A sample that the check let through.
struct Pending {
    row: u32,
    index: u32,
    timestamp_ms: i64,
    value: SampleValue,
}

impl Appends {
    pub(crate) fn new(wal: WalWriter, cut_ms: i64) -> Self {
        Appends {
            wal,
            layouts: HashMap::default(),
            next_layout: 1,
            layouts_before_sweep: 64,
            cut_ms,
            metadata_segment: 0,
        }
    }

    pub(crate) fn sweep_layouts(&mut self) {
        self.layouts.retain(|_, layout| layout.alive.strong_count() > 0);
        self.layouts.shrink_to_fit();
        self.layouts_before_sweep = 64.max(self.layouts.len() * 2);
    }

    /// Numbers of the series that layouts hold.
    pub(crate) fn held_series(&self) -> HashSet<u32> {
        self.layouts.values().flat_map(|layout| layout.members.iter().map(|series| series.id)).collect()
    }
}

/// Logs the labels of series that the segment does not have.
fn log_series<'a>(series: impl Iterator<Item = &'a Arc<MemSeries>>, segment: u64, batch: &mut Batch) {
    let new: Vec<&Arc<MemSeries>> = series.filter(|series| series.must_be_logged_in(segment)).collect();
    for part in new.chunks(SERIES_PER_RECORD) {
        batch.push(&record::series(part.iter().map(|series| (u64::from(series.id), &series.labels))));
    }
}

/// Counts what was not taken.
fn count(verdict: Verdict, report: &mut AppendReport, out_of_bounds: &mut u64) {
    match verdict {
        Verdict::InOrder | Verdict::Late => report.samples_appended += 1,
        Verdict::Same => {}
        Verdict::Duplicate => report.samples_duplicate += 1,
        Verdict::OutOfOrder => report.samples_out_of_order += 1,
        Verdict::TooOld => report.samples_too_old += 1,
        Verdict::OutOfBounds => {
            report.samples_too_old += 1;
            *out_of_bounds += 1;
        }
    }
}

/// Bookkeeping of one call.
struct Call {
    report: AppendReport,
    /// Included in `samples_too_old`, but another counter of Prometheus.
    out_of_bounds: u64,
    late: u64,
    histograms: u64,
    max_ms: i64,
    batch: Batch,
    singles: SamplesRecord,
    exemplars: Vec<(Arc<MemSeries>, Exemplar, i64)>,
}

impl Call {
    fn new() -> Self {
        Call {
            report: AppendReport::default(),
            out_of_bounds: 0,
            late: 0,
            histograms: 0,
            max_ms: i64::MIN,
            batch: Batch::default(),
            singles: SamplesRecord::new(),
            exemplars: Vec::new(),
        }
    }

    /// Logs one sample on its own.
    fn log_single(&mut self, series: &MemSeries, timestamp_ms: i64, value: &SampleValue) {
        match value {
            SampleValue::Float(value) => {
                self.singles.push(u64::from(series.id), timestamp_ms, *value);
                if self.singles.bytes() > RECORD_BYTES_TARGET {
                    self.close_singles();
                }
            }
            SampleValue::Histogram(histogram) => {
                self.batch.push(&record::histogram_sample(u64::from(series.id), timestamp_ms, histogram));
            }
        }
    }

    fn close_singles(&mut self) {
        if let Some(record) = std::mem::replace(&mut self.singles, SamplesRecord::new()).finish() {
            self.batch.push(&record);
        }
    }

    /// Gives a sample to the head.
    fn apply(&mut self, series: &MemSeries, timestamp_ms: i64, value: SampleValue, bounds: &Bounds) {
        let histogram = matches!(value, SampleValue::Histogram(_));
        let verdict = series.append(timestamp_ms, value, bounds);
        count(verdict, &mut self.report, &mut self.out_of_bounds);
        self.late += u64::from(verdict == Verdict::Late);
        self.histograms += u64::from(histogram && matches!(verdict, Verdict::InOrder | Verdict::Late));
    }
}

impl Tsdb {
    pub(crate) fn make_layout(&self, series: &[Labels]) -> Result<Layout, StorageError> {
        let mut appends = lock(&self.appends);
        let mut created = AppendReport::default();
        let mut members = Vec::with_capacity(series.len());
        for labels in series {
            members.push(self.resolve(labels, &mut created)?);
        }
        self.metrics.count(&created);
        let ids: Arc<[SeriesId]> = members.iter().map(|series| SeriesId(u64::from(series.id))).collect();
        let id = appends.next_layout;
        appends.next_layout += 1;
        if appends.layouts.len() >= appends.layouts_before_sweep {
            appends.sweep_layouts();
        }
        let last = vec![0.0; members.len()];
        let state = LayoutState { alive: Arc::downgrade(&ids), members: members.into(), logged_segment: 0, last };
        appends.layouts.insert(id, state);
        Ok(Layout { id, series: ids })
    }

    fn resolve(&self, labels: &Labels, report: &mut AppendReport) -> Result<Arc<MemSeries>, StorageError> {
        let Some((series, new)) = self.head.get_or_create(labels) else {
            return Err(StorageError::Unavailable { reason: "series numbers have run out; restart the server".into() });
        };
        report.series_created += u64::from(new);
        Ok(series)
    }

    /// What is taken now: as Prometheus, half a block behind the newest sample without a window.
    fn bounds(&self, cut_ms: i64) -> Bounds {
        let max_ms = self.head.max_ms();
        let behind = |by: i64| if max_ms == i64::MIN { i64::MIN } else { max_ms.saturating_sub(by) };
        let window = self.options.out_of_order_window_ms;
        Bounds {
            min_valid_ms: cut_ms.max(behind(self.options.block_range_ms / 2)),
            late_from_ms: (window > 0).then(|| behind(window)),
            block_range_ms: self.options.block_range_ms,
        }
    }

    pub(crate) fn rows(&self, rows: &[Row<'_>]) -> Result<AppendReport, StorageError> {
        let mut guard = lock(&self.appends);
        let appends = &mut *guard;
        let segment = appends.wal.prepare()?;
        let bounds = self.bounds(appends.cut_ms);
        let mut call = Call::new();
        // Everything that may be refused as a whole comes before the first record: what a record says was logged,
        // later ones rely on.
        let mut members_of: Vec<Arc<[Arc<MemSeries>]>> = Vec::with_capacity(rows.len());
        for row in rows {
            let reason = match appends.layouts.get(&row.layout.id) {
                Some(state) if row.values.len() >= state.members.len() => {
                    members_of.push(Arc::clone(&state.members));
                    continue;
                }
                Some(state) => format!("a row has {} values for {} series", row.values.len(), state.members.len()),
                None => format!("layout {} is not of this engine", row.layout.id),
            };
            return Err(StorageError::Unavailable { reason });
        }
        let mut pending: Vec<Pending> = Vec::new();
        for (row_number, (row, members)) in rows.iter().zip(&members_of).enumerate() {
            let Some(state) = appends.layouts.get_mut(&row.layout.id) else { continue };
            let mut accepted: Vec<u32> = Vec::with_capacity(members.len());
            let mut singles: Vec<usize> = Vec::new();
            let (mut histograms, mut own_timestamps) =
                (row.histograms.iter().peekable(), row.own_timestamps.iter().peekable());
            for (index, series) in members.iter().enumerate() {
                let index_u32 = index as u32;
                let histogram = histograms.next_if(|(at, _)| *at == index_u32).map(|(_, histogram)| histogram);
                let own = own_timestamps.next_if(|(at, _)| *at == index_u32).map(|(_, time)| *time);
                if !row.presence.contains(index) {
                    continue;
                }
                let value = match histogram {
                    Some(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
                    None => SampleValue::Float(row.values[index]),
                };
                let timestamp_ms = own.unwrap_or(row.timestamp_ms);
                let verdict = series.verdict(timestamp_ms, &value, &bounds);
                if !matches!(verdict, Verdict::InOrder | Verdict::Late) {
                    count(verdict, &mut call.report, &mut call.out_of_bounds);
                    continue;
                }
                if histogram.is_none() && own.is_none() {
                    accepted.push(index_u32);
                } else {
                    singles.push(pending.len());
                }
                call.max_ms = call.max_ms.max(timestamp_ms);
                pending.push(Pending { row: row_number as u32, index: index_u32, timestamp_ms, value });
            }
            if !accepted.is_empty() {
                if state.logged_segment != segment {
                    log_series(members.iter(), segment, &mut call.batch);
                    call.batch.push(&record::layout(row.layout.id, members.iter().map(|series| u64::from(series.id))));
                    state.logged_segment = segment;
                    state.last.fill(0.0);
                }
                let payload = record::row(row.layout.id, row.timestamp_ms, row.values, &accepted, &mut state.last);
                call.batch.push(&payload);
            }
            for at in singles {
                let sample = &pending[at];
                let series = &members[sample.index as usize];
                log_series(std::iter::once(series), segment, &mut call.batch);
                call.log_single(series, sample.timestamp_ms, &sample.value);
            }
            for (index, exemplar) in row.exemplars {
                if let Some(series) = members.get(*index as usize) {
                    let timestamp_ms = exemplar.timestamp_ms.unwrap_or(row.timestamp_ms);
                    self.check_exemplar(series, exemplar, timestamp_ms, segment, &mut call);
                }
            }
        }
        self.write(appends, segment, &mut call)?;
        for sample in pending {
            let series = &members_of[sample.row as usize][sample.index as usize];
            call.apply(series, sample.timestamp_ms, sample.value, &bounds);
        }
        Ok(self.finish(call))
    }

    pub(crate) fn series_samples(&self, list: &[SeriesSamples]) -> Result<AppendReport, StorageError> {
        let mut guard = lock(&self.appends);
        let appends = &mut *guard;
        let segment = appends.wal.prepare()?;
        let bounds = self.bounds(appends.cut_ms);
        let mut call = Call::new();
        let mut pending: Vec<(Arc<MemSeries>, i64, SampleValue)> = Vec::new();
        let mut resolved = Vec::with_capacity(list.len());
        for one in list {
            resolved.push(self.resolve(&one.labels, &mut call.report)?);
        }
        for (one, series) in list.iter().zip(resolved) {
            let mut order: Vec<&(i64, SampleValue)> = one.samples.iter().collect();
            // Stable: of two values at one time the first is taken and the second refused.
            order.sort_by_key(|(time, _)| *time);
            for (timestamp_ms, value) in order {
                let verdict = series.verdict(*timestamp_ms, value, &bounds);
                if !matches!(verdict, Verdict::InOrder | Verdict::Late) {
                    count(verdict, &mut call.report, &mut call.out_of_bounds);
                    continue;
                }
                log_series(std::iter::once(&series), segment, &mut call.batch);
                call.log_single(&series, *timestamp_ms, value);
                call.max_ms = call.max_ms.max(*timestamp_ms);
                pending.push((Arc::clone(&series), *timestamp_ms, value.clone()));
            }
            for exemplar in &one.exemplars {
                let newest = one.samples.iter().map(|(time, _)| *time).max();
                if let Some(timestamp_ms) = exemplar.timestamp_ms.or(newest) {
                    self.check_exemplar(&series, exemplar, timestamp_ms, segment, &mut call);
                }
            }
        }
        self.write(appends, segment, &mut call)?;
        for (series, timestamp_ms, value) in pending {
            call.apply(&series, timestamp_ms, value, &bounds);
        }
        Ok(self.finish(call))
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
        let segment = appends.wal.prepare()?;
        let mut call = Call::new();
        call.batch.push(&record::metadata(changed.iter().map(|(family, metadata)| (family, metadata))));
        self.write(&mut appends, segment, &mut call)?;
        let mut known = self.metadata.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(changed.into_iter().cloned());
        Ok(())
    }

    fn check_exemplar(
        &self,
        series: &Arc<MemSeries>,
        exemplar: &Exemplar,
        timestamp_ms: i64,
        segment: u64,
        call: &mut Call,
    ) {
        match lock(&self.exemplars).verdict(series, exemplar, timestamp_ms) {
            ExemplarVerdict::New => {
                log_series(std::iter::once(series), segment, &mut call.batch);
                call.batch.push(&record::exemplar(u64::from(series.id), exemplar, timestamp_ms));
                call.exemplars.push((Arc::clone(series), exemplar.clone(), timestamp_ms));
            }
            ExemplarVerdict::OutOfOrder => self.metrics.exemplars_out_of_order.inc(),
            ExemplarVerdict::Same | ExemplarVerdict::TooLong => {}
        }
    }

    /// Writes what the call has for the log. Before anything else, a new segment gets all metadata, so that the old
    /// segments can be deleted.
    fn write(&self, appends: &mut Appends, segment: u64, call: &mut Call) -> Result<(), StorageError> {
        call.close_singles();
        if call.batch.framed.is_empty() {
            return Ok(());
        }
        if appends.metadata_segment != segment {
            let known = self.metadata.read().unwrap_or_else(PoisonError::into_inner);
            if !known.is_empty() {
                call.batch.push(&record::metadata(known.iter()));
            }
            appends.metadata_segment = segment;
        }
        let outcome = appends.wal.write(&call.batch.framed, call.max_ms);
        if outcome.is_err() {
            // The next segment has none of what the failed batch claimed to log.
            appends.metadata_segment = 0;
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
        let segment = appends.wal.prepare()?;
        let mut call = Call::new();
        call.batch.push(&record::tombstone(start_ms, end_ms, matchers));
        self.write(&mut appends, segment, &mut call)?;
        Ok(appends)
    }

    fn finish(&self, mut call: Call) -> AppendReport {
        if call.max_ms > i64::MIN {
            self.head.note_max_ms(call.max_ms);
        }
        if !call.exemplars.is_empty() {
            let mut exemplars = lock(&self.exemplars);
            for (series, exemplar, timestamp_ms) in call.exemplars.drain(..) {
                if exemplars.verdict(&series, &exemplar, timestamp_ms) == ExemplarVerdict::New {
                    exemplars.push(&series, exemplar, timestamp_ms);
                    call.report.exemplars_appended += 1;
                }
            }
        }
        let report = call.report;
        self.metrics.floats_appended.add((report.samples_appended - call.histograms) as f64);
        self.metrics.histograms_appended.add(call.histograms as f64);
        self.metrics.late_appended.add(call.late as f64);
        self.metrics.out_of_bounds.add(call.out_of_bounds as f64);
        self.metrics
            .count(&AppendReport { samples_too_old: report.samples_too_old - call.out_of_bounds, ..report.clone() });
        report
    }
}
