//! Reading: whole ranges of a series at a time, in columns.

use crate::StorageError;
use model::{FloatHistogram, Labels, Matcher, SampleValue};
use std::ops::Range;
use std::sync::Arc;

/// Tells whether the reader has given up. Engines then answer [`StorageError::Cancelled`], or whatever they have.
#[derive(Clone)]
pub struct Stop(Arc<dyn Fn() -> bool + Send + Sync>);

impl Stop {
    pub fn new(has_given_up: impl Fn() -> bool + Send + Sync + 'static) -> Stop {
        Stop(Arc::new(has_given_up))
    }

    pub fn is_wanted(&self) -> bool {
        (self.0)()
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop").finish_non_exhaustive()
    }
}

/// What a reader is about to do with the answer. Engines may use it, and must be right without it.
#[derive(Clone, Debug, Default)]
pub struct SelectHints {
    /// Unix milliseconds, both ends inclusive.
    pub start_ms: i64,
    pub end_ms: i64,
    /// 0 for instant queries.
    pub step_ms: i64,
    /// Range of the enclosing matrix selector, 0 for instant selectors.
    pub range_ms: i64,
    /// Function around the selector, "" if none.
    pub function: String,
    pub grouping: Vec<String>,
    /// `by` rather than `without`.
    pub by: bool,
    /// Only labels are wanted (`/api/v1/series`).
    pub labels_only: bool,
    /// At most so many series; 0 for no limit.
    pub limit: usize,
    /// Asked now and then while the index is searched, so that a costly pattern over many values ends with its query.
    pub stop: Option<Stop>,
    /// The reader knows what down-sampled samples are (see [`Samples::tiers`]) and has use for some beyond the bounds, to
    /// tell what lies between. Without it, it gets some of the samples that were stored, as if they were all.
    pub tiers: bool,
}

/// What a value of down-sampled history stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tier {
    /// Length of its window in milliseconds; 0 for a sample as it was stored.
    pub resolution_ms: u32,
    /// So many samples are added up in it; 0 if it is one sample.
    pub count: u32,
}

impl Tier {
    /// How many samples it stands for in a sum.
    pub fn samples(self) -> u32 {
        self.count.max(1)
    }
}

/// Samples of one series in columns, ascending in time, each time once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Unix milliseconds.
    pub timestamps: Vec<i64>,
    /// Same length as `timestamps`; meaningless where `histograms` has a value.
    pub values: Vec<f64>,
    /// Empty if no sample is a histogram, else of the same length.
    pub histograms: Vec<Option<Arc<FloatHistogram>>>,
    /// When each sample's counter started, in Unix milliseconds, 0 where unknown. Empty if no sample has one
    /// (all that engines without start timestamps ever give), else of the same length.
    pub start_timestamps: Vec<i64>,
    /// What down-sampled values stand for. Empty if no sample is down-sampled, else of the same length.
    pub tiers: Vec<Tier>,
}

impl Samples {
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
        self.start_timestamps.clear();
        self.tiers.clear();
    }

    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    pub fn push_float(&mut self, timestamp_ms: i64, value: f64) {
        self.timestamps.push(timestamp_ms);
        self.values.push(value);
        if !self.histograms.is_empty() {
            self.histograms.push(None);
        }
        if !self.start_timestamps.is_empty() {
            self.start_timestamps.push(0);
        }
        if !self.tiers.is_empty() {
            self.tiers.push(Tier::default());
        }
    }

    pub fn push_histogram(&mut self, timestamp_ms: i64, histogram: Arc<FloatHistogram>) {
        self.histograms.resize(self.timestamps.len(), None);
        self.timestamps.push(timestamp_ms);
        self.values.push(0.0);
        self.histograms.push(Some(histogram));
        if !self.start_timestamps.is_empty() {
            self.start_timestamps.push(0);
        }
        if !self.tiers.is_empty() {
            self.tiers.push(Tier::default());
        }
    }

    /// Notes when the counter of the sample pushed last started (Unix milliseconds; 0: unknown).
    pub fn set_last_start_timestamp(&mut self, start_ms: i64) {
        if start_ms == 0 && self.start_timestamps.is_empty() {
            return;
        }
        self.start_timestamps.resize(self.timestamps.len(), 0);
        if let Some(last) = self.start_timestamps.last_mut() {
            *last = start_ms;
        }
    }

    /// Notes what the sample pushed last stands for.
    pub fn set_last_tier(&mut self, tier: Tier) {
        if tier == Tier::default() && self.tiers.is_empty() {
            return;
        }
        self.tiers.resize(self.timestamps.len(), Tier::default());
        if let Some(last) = self.tiers.last_mut() {
            *last = tier;
        }
    }

    /// What the sample at `index` stands for.
    pub fn tier(&self, index: usize) -> Tier {
        self.tiers.get(index).copied().unwrap_or_default()
    }

    /// Start timestamp of the sample at `index`, 0 where unknown.
    pub fn start_timestamp(&self, index: usize) -> i64 {
        self.start_timestamps.get(index).copied().unwrap_or(0)
    }

    pub fn push(&mut self, timestamp_ms: i64, value: SampleValue) {
        match value {
            SampleValue::Float(value) => self.push_float(timestamp_ms, value),
            SampleValue::Histogram(histogram) => self.push_histogram(timestamp_ms, histogram),
        }
    }

    /// Drops all but the first `len` samples.
    pub fn truncate(&mut self, len: usize) {
        self.timestamps.truncate(len);
        self.values.truncate(len);
        self.histograms.truncate(len);
        self.start_timestamps.truncate(len);
        self.tiers.truncate(len);
    }

    /// Appends `from[start..end]`, with all columns. Panics where that is out of bounds.
    pub fn extend_from(&mut self, from: &Samples, start: usize, end: usize) {
        /// Appends a column that is not there where nothing in it differs from the default.
        fn column<T: Clone + Default + PartialEq>(own: &mut Vec<T>, from: &[T], range: Range<usize>, before: usize) {
            if from.is_empty() {
                if !own.is_empty() {
                    own.resize(before + range.len(), T::default());
                }
                return;
            }
            let part = &from[range];
            if !own.is_empty() || part.iter().any(|value| *value != T::default()) {
                own.resize(before, T::default());
                own.extend_from_slice(part);
            }
        }
        let before = self.timestamps.len();
        self.timestamps.extend_from_slice(&from.timestamps[start..end]);
        self.values.extend_from_slice(&from.values[start..end]);
        column(&mut self.histograms, &from.histograms, start..end, before);
        column(&mut self.start_timestamps, &from.start_timestamps, start..end, before);
        column(&mut self.tiers, &from.tiers, start..end, before);
    }

    /// The histogram at `index`, if that sample is one.
    pub fn histogram(&self, index: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(index).and_then(Option::as_ref)
    }

    /// The value at `index`. Panics beyond the end.
    pub fn value(&self, index: usize) -> SampleValue {
        match self.histogram(index) {
            Some(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
            None => SampleValue::Float(self.values[index]),
        }
    }
}

/// One series of an answer.
pub trait Series: Send {
    fn labels(&self) -> &Labels;

    /// Appends the samples between the querier's bounds to `into`, ascending, stale markers included.
    ///
    /// # Errors
    /// `Io` or `Corrupt` when a block cannot be read.
    fn read(&self, into: &mut Samples) -> Result<(), StorageError>;

    /// As [`Series::read`], of another range: between two times, both inclusive.
    ///
    /// # Errors
    /// As [`Series::read`].
    fn read_between(&self, start_ms: i64, end_ms: i64, into: &mut Samples) -> Result<(), StorageError> {
        let mut all = Samples::default();
        self.read(&mut all)?;
        let from = all.timestamps.partition_point(|time| *time < start_ms);
        let to = all.timestamps.partition_point(|time| *time <= end_ms).max(from);
        into.extend_from(&all, from, to);
        Ok(())
    }
}

/// Series in order of their labels, each label set once.
pub type SeriesSet = Box<dyn Iterator<Item = Result<Box<dyn Series>, StorageError>> + Send>;

/// A consistent view of a time range.
pub trait Querier: Send + Sync {
    /// All series that every matcher accepts and that may have samples in the range. A matcher on an absent
    /// label sees "".
    ///
    /// # Errors
    /// `BadMatcher` for a pattern that is no RE2, `Io`, `Corrupt`.
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, StorageError>;

    /// The labels alone of what [`Querier::select`] gives, in their order.
    ///
    /// # Errors
    /// As [`Querier::select`].
    fn label_sets(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Vec<Labels>, StorageError> {
        self.select(hints, matchers)?.map(|series| Ok(series?.labels().clone())).collect()
    }

    /// Names of all labels of the series that the matchers accept (all series without matchers), sorted.
    ///
    /// # Errors
    /// As [`Querier::select`].
    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError>;

    /// Values of one label, sorted.
    ///
    /// # Errors
    /// As [`Querier::select`].
    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError>;

    /// What the reader of an answer should know about it: that it comes from down-sampled data, say. Sentences for
    /// people, complete once all series were read.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What has happened to the past of an engine: for those who keep results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Grows whenever something older than a `settled_before_ms` that was told before changes: a late sample, a deletion,
    /// retention, an import.
    pub epoch: u64,
    /// What was read from times before this one reads the same again for as long as `epoch` stays (Unix milliseconds).
    pub settled_before_ms: i64,
}

/// The reading side of an engine.
pub trait Queryable: Send + Sync {
    /// A view of `[start_ms, end_ms]`, both inclusive. May block on the disk or the network: call from `spawn_blocking`.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Remote`.
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError>;

    /// True if reading never waits for another machine.
    fn is_local(&self) -> bool {
        false
    }

    /// Until when the past is settled; `None` from engines that cannot tell, whose results nobody may keep.
    fn history(&self) -> Option<History> {
        None
    }

    /// A number that changes with every deletion. One answer of a querier shows a deletion as a whole or not at all; who asks
    /// several times sees by this number whether there was one in between.
    fn deletions(&self) -> u64 {
        0
    }
}
