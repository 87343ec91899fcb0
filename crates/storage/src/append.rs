//! Writing: a scrape appends one row for its whole target, not samples one by one.

use crate::StorageError;
use model::{Exemplar, FloatHistogram, Labels, Metadata, SampleValue};
use std::sync::Arc;

/// An engine's number for a series. Never used for another series while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u64);

/// The series that arrive together with one timestamp, in a fixed order: a target, a rule group, a
/// sender. Made once with [`Ingest::layout`], used for every row after that; cheap to clone.
#[derive(Clone, Debug)]
pub struct Layout {
    pub id: u64,
    pub series: Arc<[SeriesId]>,
}

/// Which series of a layout have a value in a row.
#[derive(Clone, Copy, Debug)]
pub enum Presence<'a> {
    All,
    /// Bit `i % 64` of word `i / 64` is set when series `i` is present.
    Bitmap(&'a [u64]),
}

impl Presence<'_> {
    /// True when series `index` has a value.
    pub fn contains(&self, index: usize) -> bool {
        match self {
            Presence::All => true,
            Presence::Bitmap(words) => words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1),
        }
    }
}

/// One arrival of a layout: values of all its series at one time.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub layout: &'a Layout,
    /// Unix milliseconds.
    pub timestamp_ms: i64,
    /// One per series of the layout; what stands at absent series and at histograms is ignored.
    pub values: &'a [f64],
    pub presence: Presence<'a>,
    /// Bit `i % 64` of word `i / 64` is set when the value of series `i` may differ, in any bit, from the one in this
    /// layout's previous row. A hint from senders that know; `None` from those that do not.
    pub changed: Option<&'a [u64]>,
    /// Series, by index in the layout, ascending, whose value is a histogram.
    pub histograms: &'a [(u32, Arc<FloatHistogram>)],
    /// Series, by index in the layout, ascending, that bring a timestamp of their own.
    pub own_timestamps: &'a [(u32, i64)],
    /// Series, by index in the layout, ascending, whose counter is known to have started at a time (Unix milliseconds).
    pub start_timestamps: &'a [(u32, i64)],
    /// Exemplars, by index in the layout.
    pub exemplars: &'a [(u32, Exemplar)],
}

/// Samples of one series, each with its own time: what remote write and imports bring.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesSamples {
    pub labels: Labels,
    /// In any order of time; most senders send them ascending.
    pub samples: Vec<(i64, SampleValue)>,
    /// When the counter of each sample started (Unix milliseconds, 0: unknown). Empty, or one per sample.
    pub start_timestamps: Vec<i64>,
    pub exemplars: Vec<Exemplar>,
}

/// What became of an append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendReport {
    pub samples_appended: u64,
    /// Older than the series' newest sample and outside the out-of-order window.
    pub samples_out_of_order: u64,
    /// Another value at a time that has one already.
    pub samples_duplicate: u64,
    /// Older than anything the engine still takes.
    pub samples_too_old: u64,
    /// Series never seen before, or not seen since the head forgot them.
    pub series_created: u64,
    pub exemplars_appended: u64,
}

impl AppendReport {
    pub fn samples_refused(&self) -> u64 {
        self.samples_out_of_order + self.samples_duplicate + self.samples_too_old
    }

    pub fn add(&mut self, other: &AppendReport) {
        self.samples_appended += other.samples_appended;
        self.samples_out_of_order += other.samples_out_of_order;
        self.samples_duplicate += other.samples_duplicate;
        self.samples_too_old += other.samples_too_old;
        self.series_created += other.series_created;
        self.exemplars_appended += other.exemplars_appended;
    }
}

/// The writing side of an engine. Calls block for as long as the disk does: from async code,
/// short appends may be called directly, large ones belong into `spawn_blocking`.
pub trait Ingest: Send + Sync {
    /// Registers the series of a layout. The same labels always give the same series.
    ///
    /// # Errors
    /// `Unavailable` or `Io` when the new series cannot be logged.
    fn layout(&self, series: &[Labels]) -> Result<Layout, StorageError> {
        self.extend_layout(&[], series)
    }

    /// A layout of series that have numbers, and behind them of others: who makes layouts again and again needs not to
    /// keep the labels. `known` are of a layout that the caller still holds, which keeps the numbers valid.
    ///
    /// # Errors
    /// As [`Ingest::layout`]; `UnknownSeries` when a number is not known.
    fn extend_layout(&self, known: &[SeriesId], new: &[Labels]) -> Result<Layout, StorageError>;

    /// The labels of a series, `None` if the number is not known.
    fn series_labels(&self, series: SeriesId) -> Option<Labels>;

    /// Appends rows, all or none in the sense of durability: when this returns `Ok`, every sample
    /// that the report counts as appended survives a kill of the process. Samples that are out of
    /// order, duplicates with other values or too old are left out and counted.
    ///
    /// # Errors
    /// `Unavailable` or `Io`: nothing of the call is stored.
    fn append_rows(&self, rows: &[Row<'_>]) -> Result<AppendReport, StorageError>;

    /// Appends samples of many series, each with its own time.
    ///
    /// # Errors
    /// As [`Ingest::append_rows`].
    fn append_series(&self, series: &[SeriesSamples]) -> Result<AppendReport, StorageError>;

    /// Appends float samples of series whose numbers the caller knows from [`Ingest::layout`]: column by column,
    /// one entry a sample, each series ascending in time. The quick way for senders that repeat their series.
    ///
    /// # Errors
    /// As [`Ingest::append_rows`]; `UnknownSeries` when the engine no longer knows one of the numbers (or takes none
    /// at all): nothing is stored, the caller asks for the numbers again or uses [`Ingest::append_series`].
    fn append_samples(
        &self,
        series: &[SeriesId],
        timestamps_ms: &[i64],
        values: &[f64],
    ) -> Result<AppendReport, StorageError> {
        let _ = (series, timestamps_ms, values);
        Err(StorageError::UnknownSeries)
    }

    /// Notes type, help and unit of metric families.
    ///
    /// # Errors
    /// `Unavailable` or `Io`.
    fn append_metadata(&self, metadata: &[(String, Metadata)]) -> Result<(), StorageError>;
}
