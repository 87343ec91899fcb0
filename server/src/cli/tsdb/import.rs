//! `vigie tsdb import`: history from files of samples, and how blocks are put beside what is there.

use super::{
    super::{output::say, progress::Progress},
    check::bytes,
    csv, openmetrics, parquet,
};
use anyhow::{Context, Result, ensure};
use model::{Exemplar, Labels, Metadata, SampleValue};
use prometheus_tsdb::export::BLOCK_RANGE_MS;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};
use storage::{Ingest, Queryable, Samples, SelectHints, Series, SeriesSet};
use tsdb::{BlockImport, SeriesExemplars, Tsdb};

/// Samples held in memory before they are put into blocks: half a GiB.
const SAMPLES_MAX: usize = 32 << 20;
/// What a native histogram counts for among them, beside its buckets.
const HISTOGRAM_SAMPLES: usize = 8;
/// What an exemplar counts for: its labels are texts.
const EXEMPLAR_SAMPLES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileFormat {
    /// Text; native histograms and start timestamps as OpenMetrics 2.0 writes them.
    Openmetrics,
    /// Text that readers of OpenMetrics 1.0 understand: without native histograms and start timestamps.
    #[value(name = "openmetrics1")]
    Openmetrics1,
    Csv,
    Parquet,
}

impl FileFormat {
    /// By the name's ending; OpenMetrics for those that are not known.
    pub(super) fn of(path: &Path) -> Self {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("csv") => FileFormat::Csv,
            Some("parquet") => FileFormat::Parquet,
            _ => FileFormat::Openmetrics,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// Samples, or the exemplars that an export wrote beside them.
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
    /// Without it, the names' endings tell: .csv, .parquet, else OpenMetrics.
    #[arg(long, value_enum)]
    pub(super) format: Option<FileFormat>,
    /// The data folder; made if it is not there.
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
    pub(super) dir: PathBuf,
}

pub(super) fn run(flags: &Import) -> Result<()> {
    for file in &flags.files {
        ensure!(file.is_file(), "{}: there is no such file", file.display());
    }
    let tsdb = super::open(&flags.dir)?;
    let mut gathered = Gathered::new(&tsdb);
    for file in &flags.files {
        let mut progress = Progress::new();
        let mut told = |done: u64, all: u64| {
            progress.tell(done, all, || format!("{}: {} of {} read", file.display(), bytes(done), bytes(all)));
        };
        let read = match flags.format.unwrap_or_else(|| FileFormat::of(file)) {
            FileFormat::Openmetrics | FileFormat::Openmetrics1 => openmetrics::read(file, &mut gathered, &mut told),
            FileFormat::Csv => csv::read(file, &mut gathered, &mut told),
            FileFormat::Parquet => parquet::read(file, &mut gathered, &mut told),
        };
        drop(progress);
        read.with_context(|| file.display().to_string())?;
    }
    let total = gathered.finish()?;
    tsdb.close()?;
    total.tell(&flags.dir);
    Ok(())
}

/// What an import brought.
#[derive(Default)]
pub(super) struct Imported {
    pub(super) samples: u64,
    /// Samples that were there before.
    pub(super) present: u64,
    pub(super) blocks: u64,
    pub(super) exemplars: u64,
}

impl Imported {
    pub(super) fn tell(&self, dir: &Path) {
        let exemplars = match self.exemplars {
            0 => String::new(),
            count => format!("; {count} exemplars"),
        };
        say(&format!(
            "{} samples imported into {} as {} blocks; {} were there already{exemplars}",
            self.samples,
            dir.display(),
            self.blocks,
            self.present
        ));
    }
}

/// Samples in any order, on their way into blocks.
pub(super) struct Gathered<'a> {
    tsdb: &'a Tsdb,
    by_labels: HashMap<Labels, usize>,
    series: Vec<Samples>,
    samples: usize,
    pub(super) metadata: BTreeMap<String, Metadata>,
    /// By the number of their series.
    exemplars: HashMap<usize, Vec<Exemplar>>,
    total: Imported,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(tsdb: &'a Tsdb) -> Self {
        Gathered {
            tsdb,
            by_labels: HashMap::new(),
            series: Vec::new(),
            samples: 0,
            metadata: BTreeMap::new(),
            exemplars: HashMap::new(),
            total: Imported::default(),
        }
    }

    /// A number for a series.
    pub(super) fn slot(&mut self, labels: Labels) -> usize {
        let next = self.series.len();
        let slot = *self.by_labels.entry(labels).or_insert(next);
        if slot == next {
            self.series.push(Samples::default());
        }
        slot
    }

    /// Of equal times, the sample that comes first counts. `start_ms`: when its counter started, 0 if unknown.
    pub(super) fn push(&mut self, slot: usize, timestamp_ms: i64, value: SampleValue, start_ms: i64) -> Result<()> {
        if let Some(samples) = self.series.get_mut(slot) {
            self.samples += match &value {
                SampleValue::Float(_) => 1,
                SampleValue::Histogram(own) => {
                    HISTOGRAM_SAMPLES + own.positive_buckets.len() + own.negative_buckets.len()
                }
            };
            samples.push(timestamp_ms, value);
            samples.set_last_start_timestamp(start_ms);
        }
        self.flush_if_full()
    }

    /// An exemplar with its time.
    pub(super) fn exemplar(&mut self, slot: usize, exemplar: Exemplar) -> Result<()> {
        self.exemplars.entry(slot).or_default().push(exemplar);
        self.samples += EXEMPLAR_SAMPLES;
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<()> {
        if self.samples >= SAMPLES_MAX { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let mut windows = BTreeSet::new();
        for samples in &mut self.series {
            self.total.present += in_order(samples);
            windows.extend(samples.timestamps.iter().map(|time| time.div_euclid(BLOCK_RANGE_MS)));
        }
        let mut sorted: Vec<(&Labels, usize)> = self.by_labels.iter().map(|(labels, slot)| (labels, *slot)).collect();
        sorted.sort_unstable();
        let mut exemplars: BTreeMap<i64, Vec<SeriesExemplars>> = BTreeMap::new();
        for (labels, slot) in &sorted {
            let mut by_window: BTreeMap<i64, Vec<Exemplar>> = BTreeMap::new();
            for exemplar in self.exemplars.remove(slot).unwrap_or_default() {
                let window = exemplar.timestamp_ms.unwrap_or(0).div_euclid(BLOCK_RANGE_MS);
                by_window.entry(window).or_default().push(exemplar);
            }
            for (window, own) in by_window {
                let series = SeriesExemplars { labels: (*labels).clone(), exemplars: own };
                exemplars.entry(window).or_default().push(series);
            }
        }
        windows.extend(exemplars.keys());
        let mut progress = Progress::new();
        for (number, window) in windows.iter().enumerate() {
            progress.tell(number as u64, windows.len() as u64, || format!("block {} of {}", number + 1, windows.len()));
            let min_ms = window.saturating_mul(BLOCK_RANGE_MS);
            let mut target = Target::begin(self.tsdb, min_ms, min_ms.saturating_add(BLOCK_RANGE_MS))?;
            for (labels, slot) in &sorted {
                if let Some(samples) = self.series.get(*slot) {
                    target.add(labels, samples, &mut self.total)?;
                }
            }
            target.add_exemplars(exemplars.remove(window).unwrap_or_default(), &mut self.total)?;
            self.total.blocks += u64::from(target.finish()?);
        }
        self.series.iter_mut().for_each(|samples| *samples = Samples::default());
        self.exemplars = HashMap::new();
        self.samples = 0;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Imported> {
        self.flush()?;
        let metadata: Vec<(String, Metadata)> = std::mem::take(&mut self.metadata).into_iter().collect();
        if !metadata.is_empty() {
            self.tsdb.append_metadata(&metadata)?;
        }
        Ok(self.total)
    }
}

/// Sorts by time; gives the number of samples left out, for their times had one already.
fn in_order(samples: &mut Samples) -> u64 {
    if samples.timestamps.is_sorted_by(|a, b| a < b) {
        return 0;
    }
    let all = std::mem::take(samples);
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|&at| all.timestamps[at]);
    order.dedup_by_key(|at| all.timestamps[*at]);
    let left_out = all.len() - order.len();
    for at in order {
        samples.extend_from(&all, at, at + 1);
    }
    left_out as u64
}

/// A block to be, beside what the folder has at its times.
pub(super) struct Target<'a> {
    tsdb: &'a Tsdb,
    block: BlockImport<'a>,
    present: std::iter::Peekable<SeriesSet>,
    min_ms: i64,
    /// Exclusive.
    max_ms: i64,
    own: Samples,
    new: Samples,
}

impl<'a> Target<'a> {
    pub(super) fn begin(tsdb: &'a Tsdb, min_ms: i64, max_ms: i64) -> Result<Self> {
        let hints = SelectHints { start_ms: min_ms, end_ms: max_ms.saturating_sub(1), ..SelectHints::default() };
        Ok(Target {
            tsdb,
            block: tsdb.import_block(min_ms, max_ms)?,
            present: tsdb.querier(min_ms, max_ms.saturating_sub(1))?.select(&hints, &[])?.peekable(),
            min_ms,
            max_ms,
            own: Samples::default(),
            new: Samples::default(),
        })
    }

    /// Adds the samples of the block's range at times at which there are none yet. Series come in order of labels.
    pub(super) fn add(&mut self, labels: &Labels, samples: &Samples, total: &mut Imported) -> Result<()> {
        let from = samples.timestamps.partition_point(|time| *time < self.min_ms);
        let to = samples.timestamps.partition_point(|time| *time < self.max_ms);
        if from >= to {
            return Ok(());
        }
        self.own.clear();
        let before = |next: &Result<Box<dyn Series>, _>| next.as_ref().map_or(true, |next| next.labels() <= labels);
        while let Some(present) = self.present.next_if(before) {
            let present = present?;
            if present.labels() == labels {
                present.read(&mut self.own)?;
            }
        }
        self.new.clear();
        if self.own.is_empty() {
            self.new.extend_from(samples, from, to);
        } else {
            for at in from..to {
                if self.own.timestamps.binary_search(&samples.timestamps[at]).is_err() {
                    self.new.extend_from(samples, at, at + 1);
                }
            }
        }
        self.block.add_series(labels, &self.new)?;
        total.samples += self.new.len() as u64;
        total.present += (to - from - self.new.len()) as u64;
        Ok(())
    }

    /// Gives the block the exemplars that the folder does not have yet.
    pub(super) fn add_exemplars(&mut self, mut all: Vec<SeriesExemplars>, total: &mut Imported) -> Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        let present = self.tsdb.exemplars(self.min_ms, self.max_ms.saturating_sub(1), &[Vec::new()])?;
        for series in &mut all {
            let at = present.binary_search_by(|present| present.labels.cmp(&series.labels));
            let there = at.ok().and_then(|at| present.get(at)).map_or(&[][..], |present| &present.exemplars);
            series.exemplars.retain(|new| {
                !there.iter().any(|old| {
                    old.timestamp_ms == new.timestamp_ms
                        && old.value.to_bits() == new.value.to_bits()
                        && old.labels == new.labels
                })
            });
        }
        total.exemplars += self.block.set_exemplars(all);
        Ok(())
    }

    /// Puts the block in place; false if there is nothing for it.
    pub(super) fn finish(self) -> Result<bool> {
        Ok(self.block.finish()?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_sorted_and_the_first_of_a_time_counts() {
        let mut samples = Samples::default();
        for (time, value) in [(3, 1.0), (1, 2.0), (3, 3.0), (2, 4.0), (1, 5.0)] {
            samples.push_float(time, value);
        }
        assert_eq!(in_order(&mut samples), 2);
        assert_eq!((samples.timestamps, samples.values), (vec![1, 2, 3], vec![2.0, 4.0, 1.0]));
    }
}
