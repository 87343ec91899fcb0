//! `vigie tsdb import-prometheus` and `export-prometheus`: history from a Prometheus and back.

use super::{
    super::{
        output::{complain, say},
        progress::Progress,
    },
    open,
};
use anyhow::{Context, Result, bail, ensure};
use model::{Labels, Matcher};
use prometheus_tsdb::{
    DamageList,
    block::{self, BlockReader},
    export::{BLOCK_RANGE_MS, create_data_folder, new_ulid, write_block},
    head,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use storage::{Ingest, Queryable, Samples, SelectHints, Series, SeriesSet};
use tsdb::{BlockImport, Tsdb};

/// What an import brought.
#[derive(Default)]
struct Imported {
    samples: u64,
    /// Samples that were there before.
    present: u64,
    blocks: u64,
}

pub(super) fn import(from: &Path, dir: &Path) -> Result<()> {
    ensure!(from.is_dir(), "{}: there is no such folder", from.display());
    let same = from.canonicalize().ok() == dir.canonicalize().ok();
    ensure!(!same, "{} is to be read and written; choose another --storage.tsdb.path", from.display());
    let mut damage = DamageList::default();
    let blocks = block::list(from, &mut damage)?;
    ensure!(
        !blocks.is_empty() || from.join("wal").is_dir(),
        "{}: there are neither blocks nor a log of Prometheus; name the folder of its --storage.tsdb.path",
        from.display()
    );
    let tsdb = open(dir)?;
    let mut total = Imported::default();
    for (number, (path, meta)) in blocks.iter().enumerate() {
        if meta.min_time_ms == meta.max_time_ms {
            continue;
        }
        let name = format!("block {} ({} of {})", meta.ulid, number + 1, blocks.len());
        let mut reader = match BlockReader::open(path, &mut damage) {
            Ok(reader) => reader,
            // The other blocks are good for themselves.
            Err(error) => {
                complain(&format!("{error}; the block is left out"));
                damage.count += 1;
                continue;
            }
        };
        let mut target = Target::begin(&tsdb, meta.min_time_ms, meta.max_time_ms)?;
        let (mut samples, mut progress, mut series) = (Samples::default(), Progress::new(), 0_u64);
        while let Some(labels) = reader.next(&mut samples, &mut damage)? {
            target.add(&labels, &samples, &mut total)?;
            series += 1;
            progress.tell(series, meta.stats.series, || format!("{name}: {series} of {} series", meta.stats.series));
        }
        drop(progress);
        total.blocks += u64::from(target.block.finish()?.is_some());
        complain(&format!("{name}: {series} series read"));
    }
    import_head(from, &tsdb, &blocks, &mut damage, &mut total)?;
    tsdb.close()?;
    for one in &damage.list {
        complain(&one.to_string());
    }
    say(&format!(
        "{} samples imported into {} as {} blocks; {} were there already",
        total.samples,
        dir.display(),
        total.blocks,
        total.present
    ));
    if damage.count > 0 {
        bail!("{}: {} places are damaged; what could be read is imported", from.display(), damage.count);
    }
    Ok(())
}

/// What no block of Prometheus has yet becomes blocks of the usual length.
fn import_head(
    from: &Path,
    tsdb: &Tsdb,
    blocks: &[(PathBuf, block::Meta)],
    damage: &mut DamageList,
    total: &mut Imported,
) -> Result<()> {
    let blocks_end = blocks.iter().filter(|(_, meta)| !meta.is_late()).map(|(_, meta)| meta.max_time_ms).max();
    let mut progress = Progress::new();
    let head = head::load(from, blocks_end.unwrap_or(i64::MIN), damage, &mut |done, all| {
        progress.tell(done, all, || format!("log: {} of {} MiB read", done >> 20, all >> 20));
    })?;
    drop(progress);
    if head.orphans > 0 {
        complain(&format!("log: {} samples or chunks are of series that it does not name; left out", head.orphans));
    }
    let windows: BTreeSet<i64> = (head.series.values())
        .flat_map(|samples| samples.timestamps.iter().map(|time| time.div_euclid(BLOCK_RANGE_MS)))
        .collect();
    for window in windows {
        let min_ms = window.saturating_mul(BLOCK_RANGE_MS);
        let mut target = Target::begin(tsdb, min_ms, min_ms.saturating_add(BLOCK_RANGE_MS))?;
        for (labels, samples) in &head.series {
            target.add(labels, samples, total)?;
        }
        total.blocks += u64::from(target.block.finish()?.is_some());
    }
    tsdb.append_metadata(&head.metadata.into_iter().collect::<Vec<_>>())?;
    complain(&format!("log: {} series read", head.series.len()));
    Ok(())
}

/// A block to be, beside what the folder has at its times.
struct Target<'a> {
    block: BlockImport<'a>,
    present: std::iter::Peekable<SeriesSet>,
    min_ms: i64,
    /// Exclusive.
    max_ms: i64,
    own: Samples,
    new: Samples,
}

impl<'a> Target<'a> {
    fn begin(tsdb: &'a Tsdb, min_ms: i64, max_ms: i64) -> Result<Self> {
        let hints = SelectHints { start_ms: min_ms, end_ms: max_ms.saturating_sub(1), ..SelectHints::default() };
        Ok(Target {
            block: tsdb.import_block(min_ms, max_ms)?,
            present: tsdb.querier(min_ms, max_ms.saturating_sub(1))?.select(&hints, &[])?.peekable(),
            min_ms,
            max_ms,
            own: Samples::default(),
            new: Samples::default(),
        })
    }

    /// Adds the samples of the block's range at times at which there are none yet. Series come in order of labels.
    fn add(&mut self, labels: &Labels, samples: &Samples, total: &mut Imported) -> Result<()> {
        self.own.clear();
        let before = |next: &Result<Box<dyn Series>, _>| next.as_ref().map_or(true, |next| next.labels() <= labels);
        while let Some(present) = self.present.next_if(before) {
            let present = present?;
            if present.labels() == labels {
                present.read(&mut self.own)?;
            }
        }
        let from = samples.timestamps.partition_point(|time| *time < self.min_ms);
        let to = samples.timestamps.partition_point(|time| *time < self.max_ms);
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
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Where the blocks go; made if it is not there.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Only the series of this selector; given several times, those of any of them.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Oldest time to export: Unix milliseconds or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    min_time: Option<i64>,
    /// Newest time to export, inclusive.
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    max_time: Option<i64>,
    /// The data folder to read.
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
    dir: PathBuf,
}

fn time_ms(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|_| "expected Unix milliseconds or a time like 2026-01-31T00:00:00Z".to_owned())
}

pub(super) fn export(flags: &Export) -> Result<()> {
    ensure!(flags.dir.is_dir(), "{}: there is no such folder; name it in --storage.tsdb.path", flags.dir.display());
    let selectors: Vec<Vec<Matcher>> = (flags.selectors.iter())
        .map(|text| promql_syntax::parse_metric_selector(text).with_context(|| format!("--match {text}")))
        .collect::<Result<_>>()?;
    let mut damage = DamageList::default();
    if flags.to.is_dir() {
        let there = block::list(&flags.to, &mut damage)?;
        // Blocks of the same samples side by side would make Prometheus merge them again and again.
        ensure!(there.is_empty(), "{}: there are blocks already; choose an empty folder", flags.to.display());
    }
    let tsdb = open(&flags.dir)?;
    create_data_folder(&flags.to)?;
    let source = Selected { tsdb: &tsdb, selectors: &selectors };
    let (mut blocks, mut samples, mut progress) = (0_u64, 0_u64, Progress::new());
    let (first_ms, last_ms) = (flags.min_time.unwrap_or(i64::MIN), flags.max_time.unwrap_or(i64::MAX));
    let windows = windows(&tsdb, first_ms, last_ms);
    for (number, window) in windows.iter().enumerate() {
        let start_ms = window.saturating_mul(BLOCK_RANGE_MS);
        let end_ms = start_ms.saturating_add(BLOCK_RANGE_MS);
        let range = (first_ms.max(start_ms), last_ms.saturating_add(1).min(end_ms));
        let mut series = 0_u64;
        let told = &mut |_| {
            series += 1;
            progress.tell(number as u64, windows.len() as u64, || {
                format!("block {} of {}: {series} series written", number + 1, windows.len())
            });
        };
        let written = write_block(&source, &[], range, &flags.to, (new_ulid(range.0), None), told)?;
        if let Some((_, meta)) = written {
            (blocks, samples) = (blocks + 1, samples + meta.stats.samples);
        }
    }
    drop(progress);
    tsdb.close()?;
    say(&format!("{samples} samples written to {} as {blocks} blocks", flags.to.display()));
    Ok(())
}

/// Numbers of the blocks to be that may have samples between two times, both inclusive.
fn windows(tsdb: &Tsdb, first_ms: i64, last_ms: i64) -> BTreeSet<i64> {
    let head = tsdb.status(1);
    let blocks = tsdb.blocks().into_iter().map(|block| (block.min_time_ms, block.max_time_ms.saturating_sub(1)));
    blocks
        .chain([(head.min_time_ms, head.max_time_ms)])
        .map(|(min, max)| (min.max(first_ms), max.min(last_ms)))
        .filter(|(min, max)| min <= max)
        .flat_map(|(min, max)| min.div_euclid(BLOCK_RANGE_MS)..=max.div_euclid(BLOCK_RANGE_MS))
        .collect()
}

/// The series that any of the selectors accepts; all without selectors.
struct Selected<'a> {
    tsdb: &'a Tsdb,
    selectors: &'a [Vec<Matcher>],
}

impl Queryable for Selected<'_> {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn storage::Querier>, storage::StorageError> {
        let querier = self.tsdb.querier(start_ms, end_ms)?;
        Ok(Box::new(SelectedQuerier { querier, selectors: self.selectors.to_vec() }))
    }
}

struct SelectedQuerier {
    querier: Box<dyn storage::Querier>,
    selectors: Vec<Vec<Matcher>>,
}

impl storage::Querier for SelectedQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, storage::StorageError> {
        if self.selectors.is_empty() {
            return self.querier.select(hints, matchers);
        }
        let sets = self.selectors.iter().map(|own| self.querier.select(hints, &[own.as_slice(), matchers].concat()));
        Ok(storage::fanout::merge_sets(sets.collect::<Result<_, _>>()?))
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, storage::StorageError> {
        self.querier.label_names(matchers)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, storage::StorageError> {
        self.querier.label_values(name, matchers)
    }
}
