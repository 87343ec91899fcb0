//! A window of the engine as it is read for the bucket: what is in it, told by one number, and without what is there already.

use model::{Labels, Matcher};
use prometheus_tsdb::{DamageList, Error, block::BlockReader};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use storage::{Querier, Queryable, Samples, SelectHints, Series, SeriesSet, StorageError};
use xxhash_rust::xxh64::xxh64;

/// What a window holds: a sum over its samples, each with its series and its time, in whatever order they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) digest: u64,
    pub(crate) samples: u64,
}

impl Content {
    fn add(&mut self, labels: &Labels, samples: &Samples) {
        let series = xxh64(labels.to_string().as_bytes(), 0);
        for time in &samples.timestamps {
            let mixed = (series ^ time.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.digest = self.digest.wrapping_add((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        }
        self.samples += samples.len() as u64;
    }
}

/// Reads a window, and gives what is in it.
pub(crate) fn content(source: &dyn Queryable, (from_ms, to_ms): (i64, i64)) -> Result<Content, StorageError> {
    let last_ms = to_ms.saturating_sub(1);
    let hints = SelectHints { start_ms: from_ms, end_ms: last_ms, ..SelectHints::default() };
    let querier = source.querier(from_ms, last_ms)?;
    let (mut content, mut samples) = (Content::default(), Samples::default());
    for series in querier.select(&hints, &[])? {
        let series = series?;
        samples.clear();
        series.read(&mut samples)?;
        content.add(series.labels(), &samples);
    }
    Ok(content)
}

/// A block that was fetched, read along with the engine.
struct Fetched {
    path: PathBuf,
    reader: BlockReader,
    labels: Option<Labels>,
    samples: Samples,
}

impl Fetched {
    fn open(path: &Path, damage: &mut DamageList) -> Result<Self, Error> {
        let reader = BlockReader::open(path, damage)?;
        let mut own = Fetched { path: path.to_owned(), reader, labels: None, samples: Samples::default() };
        own.step(damage)?;
        Ok(own)
    }

    fn step(&mut self, damage: &mut DamageList) -> Result<(), Error> {
        let before = self.labels.take();
        self.labels = self.reader.next(&mut self.samples, damage)?;
        if self.labels.is_some() && before >= self.labels {
            return Err(Error::Damaged {
                path: self.path.clone(),
                at: 0,
                reason: "series are not in order".to_owned(),
            });
        }
        Ok(())
    }
}

#[derive(Default)]
struct Reading {
    content: Content,
    fetched: Vec<Fetched>,
    damage: DamageList,
}

impl Reading {
    /// Takes from `samples` those of the series that are in a fetched block.
    fn subtract(&mut self, labels: &Labels, samples: &mut Samples) -> Result<(), Error> {
        for block in &mut self.fetched {
            while block.labels.as_ref().is_some_and(|own| own < labels) {
                block.step(&mut self.damage)?;
            }
            if block.labels.as_ref() == Some(labels) {
                *samples = difference(samples, &block.samples.timestamps);
            }
        }
        Ok(())
    }
}

/// The samples at times that are not among `gone`; both ascend.
fn difference(samples: &Samples, gone: &[i64]) -> Samples {
    let (mut left, mut begin, mut other) = (Samples::default(), 0, 0);
    for (index, time) in samples.timestamps.iter().enumerate() {
        while gone.get(other).is_some_and(|gone| gone < time) {
            other += 1;
        }
        if gone.get(other) == Some(time) {
            left.extend_from(samples, begin, index);
            begin = index + 1;
        }
    }
    left.extend_from(samples, begin, samples.len());
    left
}

/// The engine without what is in some blocks, for one window that is read once, in order.
#[derive(Clone)]
pub(crate) struct Remaining {
    source: Arc<dyn Queryable>,
    reading: Arc<Mutex<Reading>>,
}

impl Remaining {
    /// # Errors
    /// A block that cannot be opened.
    pub(crate) fn new(source: Arc<dyn Queryable>, blocks: &[PathBuf]) -> Result<Self, Error> {
        let mut reading = Reading::default();
        for path in blocks {
            let block = Fetched::open(path, &mut reading.damage)?;
            reading.fetched.push(block);
        }
        Ok(Remaining { source, reading: Arc::new(Mutex::new(reading)) })
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was read of the engine, what is in the blocks included.
    pub(crate) fn content(&self) -> Content {
        self.reading().content
    }

    /// What of the blocks could not be read, so that it may be sent again.
    pub(crate) fn damage(&self) -> Option<String> {
        self.reading().damage.list.first().map(ToString::to_string)
    }
}

impl Queryable for Remaining {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(RemainingQuerier { inner: self.source.querier(start_ms, end_ms)?, own: self.clone() }))
    }
}

struct RemainingQuerier {
    inner: Box<dyn Querier>,
    own: Remaining,
}

impl Querier for RemainingQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, StorageError> {
        let own = self.own.clone();
        Ok(Box::new(
            self.inner.select(hints, matchers)?.map(move |series| {
                Ok(Box::new(RemainingSeries { inner: series?, own: own.clone() }) as Box<dyn Series>)
            }),
        ))
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.inner.label_names(matchers)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.inner.label_values(name, matchers)
    }
}

struct RemainingSeries {
    inner: Box<dyn Series>,
    own: Remaining,
}

impl Series for RemainingSeries {
    fn labels(&self) -> &Labels {
        self.inner.labels()
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        let mut samples = Samples::default();
        self.inner.read(&mut samples)?;
        let mut reading = self.own.reading();
        reading.content.add(self.labels(), &samples);
        reading.subtract(self.labels(), &mut samples).map_err(of_storage)?;
        into.extend_from(&samples, 0, samples.len());
        Ok(())
    }
}

/// A fault of a fetched block, as the engine would tell it of one of its own.
fn of_storage(error: Error) -> StorageError {
    match error {
        Error::Io { path, source } => StorageError::Io { path, source },
        Error::Damaged { path, at, reason } => StorageError::Corrupt { path, at, reason },
        Error::Storage(error) => error,
        Error::TooLarge(reason) => StorageError::Corrupt { path: PathBuf::new(), at: 0, reason },
    }
}
