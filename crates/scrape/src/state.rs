//! What a target's loop remembers between scrapes: which text means which series, and which series live.
//!
//! A scrape walks over the body with the keys of the scrape before as guesses, so that a body of the same series needs
//! neither label parsing nor hashing, and appends one row. New series make a new layout; series that are gone get the
//! staleness marker once and are absent after that.

use crate::config::Limits;
use crate::labels::{check_limits, report_labels, sample_labels};
use crate::metrics::Metrics;
use exposition::{Entry, Format, Parser, Sample};
use foldhash::fast::RandomState;
use model::stale::STALE_NAN;
use model::{Exemplar, Labels, Metadata, SampleValue};
use relabel::Rules;
use std::collections::HashMap;
use std::sync::Arc;
use storage::{Ingest, Layout, Presence, Row, SeriesSamples, StorageError};

/// A key whose sample relabelling drops.
const DROPPED: u32 = u32::MAX;
/// The caches are made anew when they hold this many times more than the last scrape, and at least so much more.
const CACHE_FACTOR: usize = 2;
const CACHE_SLACK: usize = 1000;
/// Faults of a body that its error names; the rest is counted.
const FAULTS_NAMED: usize = 3;

/// The series that every scrape adds, in this order.
const REPORT: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];
const REPORT_EXTRA: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

/// What of the job decides about series; when it changes, keys are read anew.
#[derive(Clone, Debug)]
pub(crate) struct Rulebook {
    /// Grows with every reload of the pool: a scrape that was under way belongs to the book it began with.
    pub(crate) generation: u64,
    pub(crate) target: Labels,
    pub(crate) honor_labels: bool,
    pub(crate) honor_timestamps: bool,
    pub(crate) track_timestamps_staleness: bool,
    pub(crate) legacy_names: bool,
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
    pub(crate) extra: bool,
    pub(crate) timeout_seconds: f64,
}

/// Why a scrape brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("{0}")]
    Exposition(String),
    #[error("sample limit exceeded: more than {0} samples after metric relabelling")]
    SampleLimit(u64),
    #[error("{0}")]
    LabelLimit(String),
    #[error("metric name {0:?} is not valid under the legacy scheme of names")]
    LegacyName(String),
}

/// A body to take in.
pub(crate) struct Body<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) format: Format,
}

/// What a scrape says about itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) up: bool,
    pub(crate) duration_seconds: f64,
    pub(crate) samples_scraped: u64,
    pub(crate) samples_after_relabelling: u64,
    pub(crate) series_added: u64,
    pub(crate) body_bytes: f64,
}

struct Key {
    text: Arc<str>,
    /// Index in the layout, or [`DROPPED`].
    slot: u32,
    /// Where the key stood in the last scrape.
    position: u32,
}

#[derive(Default)]
pub(crate) struct TargetState {
    /// Of the book by which the keys were read.
    generation: u64,
    keys: Vec<Key>,
    by_key: HashMap<Arc<str>, u32, RandomState>,
    /// Keys in the order of the last scrape.
    order: Vec<u32>,
    next_order: Vec<u32>,

    series: Vec<Labels>,
    by_labels: HashMap<Labels, u32, RandomState>,
    layout: Option<Layout>,
    /// Series that had a value in the last scrape and get a marker when they go.
    live: Vec<bool>,

    values: Vec<f64>,
    present: Vec<bool>,
    tracked: Vec<bool>,
    own_timestamps: Vec<(u32, i64)>,
    exemplars: Vec<(u32, Exemplar)>,
    repeated: Vec<SeriesSamples>,

    /// Series that the last good scrape had.
    last_good: usize,

    metadata: HashMap<String, Metadata, RandomState>,
    metadata_changed: Vec<String>,
}

impl TargetState {
    /// Forgets what keys mean, for another configuration; which series live stays known, so that those that do not
    /// come back get their marker.
    pub(crate) fn forget_keys(&mut self) {
        self.keys.clear();
        self.by_key.clear();
        self.order.clear();
    }

    /// Metadata of families, in no order.
    pub(crate) fn metadata(&self) -> impl Iterator<Item = (&String, &Metadata)> {
        self.metadata.iter()
    }

    /// Takes in a body, or with `None` a failed scrape, and appends the row: samples, markers for series that are
    /// gone, and the report. A body that is refused brings nothing but markers and a report of failure; its error is
    /// returned beside.
    ///
    /// # Errors
    /// The engine's, when the row is not stored.
    pub(crate) fn scrape(
        &mut self,
        body: Option<Body<'_>>,
        timestamp_ms: i64,
        book: &Rulebook,
        ingest: &dyn Ingest,
        metrics: &Metrics,
        finish: impl FnOnce(&mut Report),
    ) -> Result<(Report, Option<BodyError>), StorageError> {
        let mut report = Report::default();
        if book.generation < self.generation {
            // The loop that was replaced comes late; what it brings was read by rules that no longer hold.
            return Ok((report, None));
        }
        if book.generation > self.generation {
            self.generation = book.generation;
            self.forget_keys();
        }
        self.compact(metrics);
        self.begin();
        let mut refused = None;
        if let Some(body) = body {
            report.body_bytes = body.bytes.len() as f64;
            match self.walk(&body, timestamp_ms, book, &mut report) {
                Ok(()) => report.up = true,
                Err(error) => {
                    match &error {
                        BodyError::SampleLimit(_) => metrics.exceeded_sample_limit.inc(),
                        BodyError::LabelLimit(_) => metrics.exceeded_label_limits.inc(),
                        _ => {}
                    }
                    self.begin();
                    refused = Some(error);
                }
            }
        }
        std::mem::swap(&mut self.order, &mut self.next_order);
        for (position, id) in self.order.iter().enumerate() {
            if let Some(key) = self.keys.get_mut(*id as usize) {
                key.position = position as u32;
            }
        }
        if report.up {
            self.last_good = self.present.iter().filter(|present| **present).count();
        }
        finish(&mut report);
        let mut stale: Vec<u32> = Vec::new();
        for (slot, live) in self.live.iter().enumerate() {
            if *live && !self.present.get(slot).copied().unwrap_or(false) {
                stale.push(slot as u32);
            }
        }
        for slot in stale {
            self.put(slot, STALE_NAN, false);
        }
        self.put_report(&report, book);
        self.append(timestamp_ms, ingest, metrics)?;
        Ok((report, refused))
    }

    /// Ends all series of the target: markers and no report. Used when the target is gone.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) fn end(
        &mut self,
        timestamp_ms: i64,
        book: &Rulebook,
        ingest: &dyn Ingest,
        metrics: &Metrics,
    ) -> Result<(), StorageError> {
        if self.series.is_empty() {
            return Ok(());
        }
        self.begin();
        let mut ending: Vec<u32> =
            self.live.iter().enumerate().filter(|(_, live)| **live).map(|(slot, _)| slot as u32).collect();
        let extra = REPORT_EXTRA.iter().filter(|_| book.extra);
        for name in REPORT.iter().chain(extra) {
            ending.extend(self.by_labels.get(&report_labels(name, &book.target)));
        }
        for slot in ending {
            self.put(slot, STALE_NAN, false);
        }
        self.append(timestamp_ms, ingest, metrics)
    }

    fn begin(&mut self) {
        self.values.clear();
        self.values.resize(self.series.len(), 0.0);
        self.present.clear();
        self.present.resize(self.series.len(), false);
        self.tracked.clear();
        self.tracked.resize(self.series.len(), false);
        self.own_timestamps.clear();
        self.exemplars.clear();
        self.repeated.clear();
        self.next_order.clear();
    }

    fn walk(
        &mut self,
        body: &Body<'_>,
        timestamp_ms: i64,
        book: &Rulebook,
        report: &mut Report,
    ) -> Result<(), BodyError> {
        let one = |fault: exposition::Fault| BodyError::Exposition(fault.to_string());
        let mut parser = Parser::new(body.bytes, body.format).map_err(one)?;
        let mut faults: Vec<String> = Vec::new();
        let mut fault_count = 0_usize;
        let mut position = 0_usize;
        loop {
            let guess = self.order.get(position).copied();
            let expected = guess.and_then(|id| self.keys.get(id as usize)).map_or("", |key| &key.text);
            let Some(entry) = parser.next_expecting(expected) else { break };
            let sample = match entry {
                Ok(Entry::Sample(sample)) => sample,
                Ok(entry) => {
                    self.note(&entry);
                    continue;
                }
                Err(fault) => {
                    fault_count += 1;
                    if faults.len() < FAULTS_NAMED {
                        faults.push(fault.to_string());
                    }
                    continue;
                }
            };
            report.samples_scraped += 1;
            let known = match guess {
                Some(id) if sample.key == expected => Some(id),
                _ => self.by_key.get(sample.key).copied(),
            };
            let id = match known {
                Some(id) => id,
                None if fault_count > 0 => continue,
                None => match self.learn(&sample, book, report)? {
                    Ok(id) => id,
                    Err(fault) => {
                        fault_count += 1;
                        faults.push(fault);
                        continue;
                    }
                },
            };
            self.next_order.push(id);
            let Some(key) = self.keys.get(id as usize) else { continue };
            let slot = key.slot;
            position = if known.is_some() { key.position as usize + 1 } else { position };
            if slot == DROPPED {
                continue;
            }
            report.samples_after_relabelling += 1;
            if book.limits.samples > 0 && report.samples_after_relabelling > book.limits.samples {
                return Err(BodyError::SampleLimit(book.limits.samples));
            }
            self.take(&sample, slot, timestamp_ms, book);
        }
        if fault_count > 0 {
            let more = fault_count.saturating_sub(faults.len());
            let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
            return Err(BodyError::Exposition(format!("{}{tail}", faults.join("; "))));
        }
        Ok(())
    }

    /// Reads a key for the first time. The inner error is a fault of the body.
    fn learn(
        &mut self,
        sample: &Sample<'_>,
        book: &Rulebook,
        report: &mut Report,
    ) -> Result<Result<u32, String>, BodyError> {
        let own = match sample.labels() {
            Ok(own) => own,
            Err(fault) => return Ok(Err(fault.to_string())),
        };
        if book.legacy_names && !model::labels::is_legacy_metric_name(own.metric_name()) {
            return Err(BodyError::LegacyName(own.metric_name().to_owned()));
        }
        let slot = match sample_labels(sample, &own, &book.target, book.honor_labels, &book.rules) {
            None => DROPPED,
            // Without a name it is no series; relabelling may do that.
            Some(labels) if labels.metric_name().is_empty() => DROPPED,
            Some(labels) => {
                check_limits(&labels, &book.limits).map_err(BodyError::LabelLimit)?;
                let before = self.series.len();
                let slot = self.slot(labels);
                if self.series.len() > before || !self.live.get(slot as usize).copied().unwrap_or(false) {
                    report.series_added += 1;
                }
                slot
            }
        };
        let id = self.keys.len() as u32;
        let text: Arc<str> = Arc::from(sample.key);
        self.keys.push(Key { text: Arc::clone(&text), slot, position: u32::MAX - 1 });
        self.by_key.insert(text, id);
        Ok(Ok(id))
    }

    /// Index of a series in the layout; a new one makes the layout old.
    fn slot(&mut self, labels: Labels) -> u32 {
        if let Some(slot) = self.by_labels.get(&labels) {
            return *slot;
        }
        let slot = self.series.len() as u32;
        self.series.push(labels.clone());
        self.by_labels.insert(labels, slot);
        self.live.push(false);
        self.values.push(0.0);
        self.present.push(false);
        self.tracked.push(false);
        self.layout = None;
        slot
    }

    fn take(&mut self, sample: &Sample<'_>, slot: u32, timestamp_ms: i64, book: &Rulebook) {
        let own_timestamp = sample.timestamp_ms.filter(|_| book.honor_timestamps);
        if self.present.get(slot as usize).copied().unwrap_or(false) {
            // The series again: only with a time of its own is it another sample.
            if let (Some(own), Some(labels)) = (own_timestamp, self.series.get(slot as usize)) {
                let samples = vec![(own, SampleValue::Float(sample.value))];
                self.repeated.push(SeriesSamples {
                    labels: labels.clone(),
                    samples,
                    exemplars: Vec::new(),
                    start_timestamps: Vec::new(),
                });
            }
            return;
        }
        self.put(slot, sample.value, own_timestamp.is_none() || book.track_timestamps_staleness);
        if let Some(own) = own_timestamp.filter(|own| *own != timestamp_ms) {
            self.own_timestamps.push((slot, own));
        }
        if let Some(exemplar) = &sample.exemplar {
            let labels = exemplar.labels();
            self.exemplars
                .push((slot, Exemplar { labels, value: exemplar.value, timestamp_ms: exemplar.timestamp_ms }));
        }
    }

    fn put(&mut self, slot: u32, value: f64, tracked: bool) {
        let slot = slot as usize;
        if let (Some(own), Some(present), Some(track)) =
            (self.values.get_mut(slot), self.present.get_mut(slot), self.tracked.get_mut(slot))
        {
            *own = value;
            *present = true;
            *track = tracked;
        }
    }

    fn put_report(&mut self, report: &Report, book: &Rulebook) {
        let values = [
            f64::from(u8::from(report.up)),
            report.duration_seconds,
            report.samples_scraped as f64,
            report.samples_after_relabelling as f64,
            report.series_added as f64,
        ];
        for (name, value) in REPORT.iter().zip(values) {
            let slot = self.slot(report_labels(name, &book.target));
            self.put(slot, value, false);
        }
        if book.extra {
            let values = [book.timeout_seconds, book.limits.samples as f64, report.body_bytes];
            for (name, value) in REPORT_EXTRA.iter().zip(values) {
                let slot = self.slot(report_labels(name, &book.target));
                self.put(slot, value, false);
            }
        }
    }

    fn append(&mut self, timestamp_ms: i64, ingest: &dyn Ingest, metrics: &Metrics) -> Result<(), StorageError> {
        let layout = match self.layout.take() {
            Some(layout) => layout,
            None => ingest.layout(&self.series)?,
        };
        self.own_timestamps.sort_unstable_by_key(|(slot, _)| *slot);
        self.exemplars.sort_by_key(|(slot, _)| *slot);
        let all = self.present.iter().all(|present| *present);
        let words: Vec<u64> = if all { Vec::new() } else { self.present.chunks(64).map(word).collect() };
        let row = Row {
            layout: &layout,
            timestamp_ms,
            values: &self.values,
            presence: if all { Presence::All } else { Presence::Bitmap(&words) },
            histograms: &[],
            own_timestamps: &self.own_timestamps,
            start_timestamps: &[],
            changed: None,
            exemplars: &self.exemplars,
        };
        let mut stored = ingest.append_rows(&[row])?;
        self.layout = Some(layout);
        self.live.clone_from(&self.tracked);
        if !self.repeated.is_empty() {
            stored.add(&ingest.append_series(&self.repeated)?);
        }
        metrics.out_of_order.add(stored.samples_out_of_order as f64);
        metrics.duplicate_timestamp.add(stored.samples_duplicate as f64);
        metrics.out_of_bounds.add(stored.samples_too_old as f64);
        if !self.metadata_changed.is_empty() {
            let changed = std::mem::take(&mut self.metadata_changed);
            let families: Vec<(String, Metadata)> = changed
                .into_iter()
                .filter_map(|name| {
                    let metadata = self.metadata.get(&name)?.clone();
                    Some((name, metadata))
                })
                .collect();
            ingest.append_metadata(&families)?;
        }
        Ok(())
    }

    /// Remembers what a metadata line says.
    fn note(&mut self, entry: &Entry<'_>) {
        let name = match entry {
            Entry::Help { name, .. } | Entry::Type { name, .. } | Entry::Unit { name, .. } => name,
            Entry::Sample(_) => return,
        };
        if !self.metadata.contains_key(name.as_ref()) {
            self.metadata.insert(name.to_string(), Metadata::default());
        }
        let Some(known) = self.metadata.get_mut(name.as_ref()) else { return };
        match entry {
            Entry::Help { help, .. } if known.help != *help => known.help = help.to_string(),
            Entry::Type { metric_type, .. } if known.metric_type != *metric_type => known.metric_type = *metric_type,
            Entry::Unit { unit, .. } if known.unit != *unit => (*unit).clone_into(&mut known.unit),
            _ => return,
        }
        if !self.metadata_changed.iter().any(|changed| changed == name) {
            self.metadata_changed.push(name.to_string());
        }
    }

    /// Keeps the caches near the size of a scrape: targets whose series come and go would fill them.
    fn compact(&mut self, metrics: &Metrics) {
        let bound = |now: usize| now * CACHE_FACTOR + CACHE_SLACK;
        if self.series.len() > bound(self.last_good) {
            let alive: Vec<Labels> = (self.series.iter().zip(&self.live))
                .filter(|(_, live)| **live)
                .map(|(labels, _)| labels.clone())
                .collect();
            self.forget_keys();
            self.series.clear();
            self.by_labels.clear();
            self.live.clear();
            self.layout = None;
            for labels in alive {
                let slot = self.slot(labels);
                if let Some(live) = self.live.get_mut(slot as usize) {
                    *live = true;
                }
            }
            metrics.cache_flushes.inc();
        } else if self.keys.len() > bound(self.order.len()) {
            self.forget_keys();
            metrics.cache_flushes.inc();
        }
    }
}

fn word(bits: &[bool]) -> u64 {
    bits.iter().enumerate().fold(0, |word, (i, bit)| word | u64::from(*bit) << i)
}
