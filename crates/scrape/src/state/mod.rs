//! What a target's loop remembers between scrapes: the body that was read last, which of its lines means which series,
//! and which series live.
//!
//! A scrape walks over the body by its difference to the one before, so that what did not change is not read, and
//! appends one row. New series make a new layout; series that are gone get the staleness marker once and are absent after
//! that.

mod bits;
mod custom_buckets;
mod layout;
mod protobuf;
mod read;
#[cfg(test)]
mod tests;
mod verify;

use crate::config::Limits;
use crate::families::{Families, Family, OwnFamilies};
use crate::labels::report_labels;
use crate::metrics::Metrics;
use bits::{Bits, words_for};
use custom_buckets::Parts;
use exposition::diff::{Base, Line};
use exposition::protobuf::diff as messages;
use exposition::{Entry, Format};
use foldhash::fast::RandomState;
use layout::LayoutSeries;
use model::stale::STALE_NAN;
use model::{Exemplar, FloatHistogram, Labels, Metadata, SampleValue};
use relabel::Rules;
use std::collections::HashMap;
use std::sync::Arc;
use storage::{Ingest, Presence, Row, SeriesSamples, StorageError};

/// In the place of a series: relabelling drops the sample.
const DROPPED: u32 = u32::MAX;
/// Beside a series: an earlier line of the body has it, too, and that one counts.
const REPEATED: u32 = 1 << 31;
/// The caches are made anew when they hold this many times more than the last scrape, and at least so much more.
const CACHE_FACTOR: usize = 2;
const CACHE_SLACK: usize = 1000;
/// Of so many quick walks one is checked line by line.
const VERIFY_EVERY: u64 = 256;

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
    pub(crate) histograms: exposition::protobuf::Options,
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
    #[error("{0}")]
    BucketLimit(String),
    #[error("a sample has no metric name after relabelling: {0}")]
    NoName(Labels),
    #[error("{0:?} is not valid under the legacy scheme of names, in {1}")]
    LegacyName(String, Labels),
}

/// A body to take in. After a good scrape `bytes` is memory to be used again.
pub(crate) struct Body<'a> {
    pub(crate) bytes: &'a mut Vec<u8>,
    pub(crate) format: Format,
}

/// What a scrape needs of the outside.
#[derive(Clone, Copy)]
pub(crate) struct Outside<'a> {
    pub(crate) ingest: &'a dyn Ingest,
    pub(crate) metrics: &'a Metrics,
    pub(crate) families: &'a Families,
}

/// Memory of a scrape that the next one, of any target, uses again.
#[derive(Default)]
pub(crate) struct Scratch {
    /// The body; the state takes it out while it reads.
    pub(crate) body: Vec<u8>,
    lines: Vec<Line>,
    places: messages::Places,
    slots: Vec<u32>,
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
    /// Samples that were left out for their time.
    pub(crate) samples_ahead: u64,
    /// Classic histograms that could not become native ones.
    pub(crate) contradictions: u64,
}

#[derive(Default)]
pub(crate) struct TargetState {
    /// Of the book by which the lines were read.
    generation: u64,
    /// The last body that was good, if it was a text,
    base: Base,
    /// or if it was protobuf.
    messages: messages::Base,
    /// Of every sample of it the index of its series in the layout, with [`REPEATED`], or [`DROPPED`].
    slots: Vec<u32>,
    /// What stands in the place of a series where classic histograms are stored as native ones.
    parts: Parts,
    /// Lines that are [`REPEATED`] and bring no time of their own.
    repeats: u64,
    /// Lines that are not [`DROPPED`].
    kept: u64,
    /// `values` has what the lines of the base say, all of it stored.
    settled: bool,
    /// Quick walks so far, from a random start, so that not all targets are checked in the same round.
    walks: Option<u64>,
    /// A check has found a quick walk wrong: no more of them.
    distrusted: bool,

    series: LayoutSeries,
    /// Where the series of the report are in the layout; empty until they are needed.
    report_slots: Vec<u32>,

    /// Of every series the value of the last row that had one.
    values: Vec<f64>,
    /// Series that the body has.
    seen: Bits,
    /// Those of them that no scrape before had.
    added: Bits,
    /// Series whose line has a timestamp of its own that counts.
    stamped: Bits,
    /// Those of them that were read in this scrape; the others were stored before.
    fresh: Bits,
    /// Series that this row has, and those that the row before had.
    row: Bits,
    before: Bits,
    /// Series whose value in this row may differ from that of the row before.
    changed: Bits,
    /// The row before is of this layout, and was stored.
    follows: bool,
    /// Series that had a value in the last scrape and get a marker when they go.
    live: Bits,

    /// Series whose value is a histogram, not what `values` has.
    of_histograms: Bits,
    /// The histograms of this row.
    histograms: Vec<(u32, Arc<FloatHistogram>)>,

    own_timestamps: Vec<(u32, i64)>,
    start_timestamps: Vec<(u32, i64)>,
    exemplars: Vec<(u32, Exemplar)>,
    /// Further samples of series that have one already, with times of their own.
    repeated: Vec<(u32, i64, SampleValue)>,

    /// Series that the last good scrape had.
    last_good: usize,

    families: OwnFamilies,
    /// Families that this scrape tells otherwise than the ones before, or for the first time.
    told: HashMap<String, Metadata, RandomState>,
    /// How many families a whole body has told; more of them are of the past.
    families_enough: usize,
}

impl TargetState {
    /// Forgets what lines mean, for another configuration; which series live stays known, so that those that do not
    /// come back get their marker.
    pub(crate) fn forget_keys(&mut self) {
        self.base.clear();
        self.messages.clear();
        self.slots.clear();
        self.parts = Parts::default();
        self.report_slots.clear();
        self.settled = false;
    }

    /// Metadata of families, sorted by name.
    pub(crate) fn families(&self) -> impl Iterator<Item = &Arc<Family>> {
        self.families.iter()
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
        outside: Outside<'_>,
        scratch: &mut Scratch,
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
        let metrics = outside.metrics;
        self.compact(metrics);
        self.begin();
        let known = self.series.len();
        let mut refused = None;
        if let Some(body) = body {
            match self.read(body, timestamp_ms, book, metrics, scratch, &mut report) {
                Ok(()) => {
                    report.up = true;
                    report.series_added = self.added.count() as u64;
                    metrics.duplicate_timestamp.add(self.repeats as f64);
                }
                Err(error) => {
                    // They are told once and never stored.
                    report.series_added = self.added.iter().filter(|slot| *slot as usize >= known).count() as u64;
                    match &error {
                        BodyError::SampleLimit(_) => metrics.exceeded_sample_limit.inc(),
                        BodyError::LabelLimit(_) => metrics.exceeded_label_limits.inc(),
                        BodyError::BucketLimit(_) => metrics.exceeded_bucket_limit.inc(),
                        _ => {}
                    }
                    refused = Some(error);
                }
            }
        }
        metrics.out_of_bounds.add(report.samples_ahead as f64);
        if report.contradictions > 0 {
            metrics.contradictions.add(report.contradictions as f64);
            tracing::debug!(
                target_labels = %book.target, histograms = report.contradictions,
                "buckets of classic histograms contradict each other; these histograms are not stored"
            );
        }
        if report.up {
            self.last_good = self.seen.count();
        } else {
            self.begin();
            self.seen.clear();
        }
        finish(&mut report);
        // From here on `values` may differ from what the lines say.
        self.settled = false;
        self.choose_row();
        self.put_report(&report, book);
        self.append(timestamp_ms, book, outside)?;
        self.settled = report.up;
        Ok((report, refused))
    }

    /// Ends all series of the target: markers and no report. Used when the target is gone.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) fn end(&mut self, timestamp_ms: i64, book: &Rulebook, outside: Outside<'_>) -> Result<(), StorageError> {
        if self.series.is_empty() {
            return Ok(());
        }
        self.begin();
        self.settled = false;
        self.seen.clear();
        self.choose_row();
        let extra = REPORT_EXTRA.iter().filter(|_| book.extra);
        let reports: Vec<u32> = (REPORT.iter().chain(extra))
            .filter_map(|name| self.series.slot(&report_labels(name, &book.target)))
            .collect();
        for slot in reports {
            self.put(slot, STALE_NAN);
        }
        self.append(timestamp_ms, book, outside)
    }

    /// Forgets what belongs to one row.
    fn begin(&mut self) {
        self.fresh.clear();
        self.added.clear();
        self.histograms.clear();
        self.own_timestamps.clear();
        self.start_timestamps.clear();
        self.exemplars.clear();
        self.repeated.clear();
    }

    /// The row has what was seen, but for samples with a time of their own that were stored before; and markers for
    /// what was seen no more.
    fn choose_row(&mut self) {
        let words = words_for(self.series.len());
        let (seen, stamped, fresh) = (&self.seen, &self.stamped, &self.fresh);
        self.row.set_words(words, |i| seen.word(i) & !stamped.word(i) | fresh.word(i));
        for word in 0..words {
            let gone = self.live.word(word) & !self.seen.word(word);
            for slot in Bits::of_word(word, gone) {
                if self.of_histograms.contains(slot) {
                    // The marker of a histogram is one, so that the series stays of one kind.
                    let stale = FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() };
                    self.set_histogram(slot, Arc::new(stale));
                    self.row.insert(slot);
                } else {
                    self.put(slot, STALE_NAN);
                }
            }
        }
    }

    fn set_histogram(&mut self, slot: u32, histogram: Arc<FloatHistogram>) {
        self.histograms.push((slot, histogram));
        self.of_histograms.insert(slot);
        self.changed.insert(slot);
    }

    /// Puts a value into the row.
    fn put(&mut self, slot: u32, value: f64) {
        self.set_value(slot, value);
        self.row.insert(slot);
    }

    fn set_value(&mut self, slot: u32, value: f64) {
        if self.of_histograms.contains(slot) {
            self.of_histograms.remove(slot);
            self.changed.insert(slot);
        }
        if let Some(own) = self.values.get_mut(slot as usize)
            && own.to_bits() != value.to_bits()
        {
            *own = value;
            self.changed.insert(slot);
        }
    }

    /// Index of a series in the layout; a new one makes the layout old.
    fn slot(&mut self, labels: Labels) -> u32 {
        if let Some(slot) = self.series.slot(&labels) {
            return slot;
        }
        let slot = self.series.push(labels);
        self.values.push(0.0);
        slot
    }

    fn put_report(&mut self, report: &Report, book: &Rulebook) {
        if self.report_slots.is_empty() {
            let extra = REPORT_EXTRA.iter().filter(|_| book.extra);
            let labels: Vec<Labels> =
                REPORT.iter().chain(extra).map(|name| report_labels(name, &book.target)).collect();
            self.report_slots = labels.into_iter().map(|labels| self.slot(labels)).collect();
        }
        let values = [
            f64::from(u8::from(report.up)),
            report.duration_seconds,
            report.samples_scraped as f64,
            report.samples_after_relabelling as f64,
            report.series_added as f64,
            book.timeout_seconds,
            book.limits.samples as f64,
            report.body_bytes,
        ];
        // As many of them as there are series of the report.
        let slots = std::mem::take(&mut self.report_slots);
        for (slot, value) in slots.iter().zip(values) {
            self.put(*slot, value);
        }
        self.report_slots = slots;
    }

    fn append(&mut self, timestamp_ms: i64, book: &Rulebook, outside: Outside<'_>) -> Result<(), StorageError> {
        let Outside { ingest, metrics, families } = outside;
        let (layout, same) = match self.series.layout(ingest) {
            Err(StorageError::UnknownSeries) => {
                // The engine has begun anew, and so do we.
                *self = TargetState { generation: self.generation, ..TargetState::default() };
                return Err(StorageError::UnknownSeries);
            }
            made => made?,
        };
        if same {
            // Where series come and go at every scrape, the next one asks for their places again.
            self.series.rest();
        } else {
            self.values.shrink_to_fit();
        }
        let follows = std::mem::take(&mut self.follows) && same;
        self.histograms.sort_unstable_by_key(|(slot, _)| *slot);
        self.own_timestamps.sort_unstable_by_key(|(slot, _)| *slot);
        self.start_timestamps.sort_unstable_by_key(|(slot, _)| *slot);
        self.exemplars.sort_by_key(|(slot, _)| *slot);
        let words = words_for(self.series.len());
        let mut changed = std::mem::take(&mut self.changed);
        if follows {
            let (row, before, own) = (&self.row, &self.before, &changed);
            let mut all = Bits::default();
            all.set_words(words, |i| (own.word(i) | !before.word(i)) & row.word(i));
            changed = all;
        }
        let all = self.row.count() == self.series.len();
        let row = Row {
            layout: &layout,
            timestamp_ms,
            values: &self.values,
            presence: if all { Presence::All } else { Presence::Bitmap(self.row.padded(words)) },
            histograms: &self.histograms,
            own_timestamps: &self.own_timestamps,
            start_timestamps: &self.start_timestamps,
            changed: follows.then(|| changed.padded(words)),
            exemplars: &self.exemplars,
        };
        let mut stored = ingest.append_rows(&[row])?;
        changed.clear();
        self.changed = changed;
        self.follows = true;
        std::mem::swap(&mut self.before, &mut self.row);
        let (seen, stamped, track) = (&self.seen, &self.stamped, book.track_timestamps_staleness);
        self.live.set_words(words, |i| if track { seen.word(i) } else { seen.word(i) & !stamped.word(i) });
        if !self.repeated.is_empty() {
            let repeated = self.repeated.drain(..).filter_map(|(slot, own_ms, value)| {
                let labels = ingest.series_labels(*layout.series.get(slot as usize)?)?;
                Some(SeriesSamples { labels, samples: vec![(own_ms, value)], ..SeriesSamples::default() })
            });
            stored.add(&ingest.append_series(&repeated.collect::<Vec<_>>())?);
        }
        metrics.out_of_order.add(stored.samples_out_of_order as f64);
        metrics.duplicate_timestamp.add(stored.samples_duplicate as f64);
        metrics.out_of_bounds.add(stored.samples_too_old as f64);
        if !self.told.is_empty() {
            let told: Vec<(String, Metadata)> = std::mem::take(&mut self.told).into_iter().collect();
            ingest.append_metadata(&told)?;
            self.families.put(told.into_iter().map(|(name, metadata)| families.share(Family { name, metadata })));
            if self.families_enough == 0 {
                self.families_enough = self.families.len() * CACHE_FACTOR + CACHE_SLACK;
            }
        }
        Ok(())
    }

    /// What is known of a family.
    fn family(&self, name: &str) -> Option<&Metadata> {
        self.told.get(name).or_else(|| self.families.get(name))
    }

    /// Remembers what a metadata line says.
    fn note(&mut self, entry: &Entry<'_>) {
        let name = match entry {
            Entry::Help { name, .. } | Entry::Type { name, .. } | Entry::Unit { name, .. } => name,
            Entry::Sample(_) | Entry::Detailed(_) => return,
        };
        let known = self.family(name);
        let told = match entry {
            Entry::Help { help, .. } => known.is_some_and(|known| known.help == *help),
            Entry::Type { metric_type, .. } => known.is_some_and(|known| known.metric_type == *metric_type),
            Entry::Unit { unit, .. } => known.is_some_and(|known| known.unit == *unit),
            Entry::Sample(_) | Entry::Detailed(_) => true,
        };
        if told {
            return;
        }
        let family = self.tell(name);
        match entry {
            Entry::Help { help, .. } => family.help = help.to_string(),
            Entry::Type { metric_type, .. } => family.metric_type = *metric_type,
            Entry::Unit { unit, .. } => (*unit).clone_into(&mut family.unit),
            Entry::Sample(_) | Entry::Detailed(_) => {}
        }
    }

    /// What is known of a family, to be changed.
    fn tell(&mut self, name: &str) -> &mut Metadata {
        let known = &self.families;
        self.told.entry(name.to_owned()).or_insert_with(|| known.get(name).cloned().unwrap_or_default())
    }

    /// Keeps the layout near the size of a scrape: targets whose series come and go would make it grow for ever.
    fn compact(&mut self, metrics: &Metrics) {
        let families_grew = self.families_enough > 0 && self.families.len() + self.told.len() > self.families_enough;
        if self.series.len() <= self.last_good * CACHE_FACTOR + CACHE_SLACK && !families_grew {
            return;
        }
        // The next body tells its families anew, for it is read in full.
        (self.families, self.families_enough) = (OwnFamilies::default(), 0);
        self.told.clear();
        let alive: Vec<u32> = self.live.iter().filter(|slot| self.series.number(*slot).is_some()).collect();
        let are_histograms: Vec<bool> = alive.iter().map(|slot| self.of_histograms.contains(*slot)).collect();
        self.forget_keys();
        self.series.keep(alive.into_iter());
        self.values = vec![0.0; self.series.len()];
        let (seen, stamped, histograms) = (&mut self.seen, &mut self.stamped, &mut self.of_histograms);
        for bits in [seen, stamped, histograms, &mut self.before, &mut self.changed, &mut self.live] {
            bits.clear();
        }
        for (slot, is_histogram) in (0..).zip(are_histograms) {
            self.live.insert(slot);
            if is_histogram {
                self.of_histograms.insert(slot);
            }
        }
        metrics.cache_flushes.inc();
    }
}
