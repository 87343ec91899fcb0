//! `vigie tsdb …`: a data folder, without a server on it.

mod check;
mod prometheus;

use super::output::say;
use anyhow::{Context, Result, anyhow, bail};
use clap::Subcommand;
use exposition::{Entry, Format, Parser};
use model::{Labels, Metadata, MetricType, SampleValue};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use storage::{AppendReport, Ingest};
use tsdb::{Tsdb, TsdbOptions};

/// Series that one append takes.
const SERIES_PER_APPEND: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum TsdbCommand {
    /// Import OpenMetrics text with timestamps into a data folder.
    Import {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The data folder; made if it is not there.
        #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
        dir: PathBuf,
    },
    /// Take over the data folder of a Prometheus: its blocks, and its log with what no block has yet. Nothing in it is
    /// changed; what is there already is not imported again.
    ImportPrometheus {
        /// Prometheus' data folder, best with no Prometheus running on it.
        #[arg(value_name = "DIR")]
        from: PathBuf,
        /// The data folder; made if it is not there.
        #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
        dir: PathBuf,
    },
    /// Write blocks that Prometheus, promtool and Thanos read.
    ExportPrometheus(prometheus::Export),
    /// List the blocks of a data folder.
    List {
        #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
        dir: PathBuf,
    },
    /// Read the whole folder and tell what is damaged, with file and byte. Nothing is changed.
    Verify {
        #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
        dir: PathBuf,
    },
    /// Cut out what is damaged and keep the rest. Damaged files are kept as they were below `damaged/`.
    Repair {
        #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
        dir: PathBuf,
    },
}

pub(crate) fn run(command: TsdbCommand) -> Result<ExitCode> {
    match command {
        TsdbCommand::Import { file, dir } => import(&file, &dir)?,
        TsdbCommand::ImportPrometheus { from, dir } => prometheus::import(&from, &dir)?,
        TsdbCommand::ExportPrometheus(export) => prometheus::export(&export)?,
        TsdbCommand::List { dir } => list(&dir)?,
        TsdbCommand::Verify { dir } => return check::verify(&dir),
        TsdbCommand::Repair { dir } => return check::repair(&dir),
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens a folder with nothing in it falling out of a retention.
fn open(dir: &Path) -> Result<Arc<Tsdb>> {
    let mut options = TsdbOptions::new(dir);
    options.retention_ms = 0;
    Ok(Tsdb::open(options)?)
}

/// Samples by series, each in the order of its times.
type BySeries = BTreeMap<Labels, BTreeMap<i64, SampleValue>>;

fn import(file: &Path, dir: &Path) -> Result<()> {
    let body = std::fs::read(file).with_context(|| file.display().to_string())?;
    let name = file.display();
    let parser = Parser::new(&body, Format::OpenMetrics).map_err(|fault| anyhow!("{name}: {fault}"))?;
    let (mut series, mut metadata) = (BySeries::default(), Vec::<(String, Metadata)>::new());
    for entry in parser {
        match entry.map_err(|fault| anyhow!("{name}: {fault}"))? {
            Entry::Type { name, metric_type } => family(&mut metadata, &name).metric_type = metric_type,
            Entry::Help { name, help } => help.as_ref().clone_into(&mut family(&mut metadata, &name).help),
            Entry::Unit { name, unit } => unit.clone_into(&mut family(&mut metadata, &name).unit),
            Entry::Sample(sample) => {
                let Some(timestamp_ms) = sample.timestamp_ms else {
                    bail!("{name}: line {}: a sample without a timestamp cannot be imported", sample.line)
                };
                let labels = sample.labels().map_err(|fault| anyhow!("{name}: {fault}"))?;
                series.entry(labels).or_default().insert(timestamp_ms, SampleValue::Float(sample.value));
            }
        }
    }
    let tsdb = open(dir)?;
    let report = append(&tsdb, series)?;
    tsdb.append_metadata(&metadata)?;
    tsdb.maintain()?;
    tsdb.close()?;
    say(&format!(
        "{} samples of {} series imported into {}",
        report.samples_appended,
        report.series_created,
        dir.display()
    ));
    if report.samples_refused() > 0 {
        bail!("{} samples were refused: they are older than what the folder holds", report.samples_refused());
    }
    Ok(())
}

fn family<'a>(all: &'a mut Vec<(String, Metadata)>, name: &str) -> &'a mut Metadata {
    // The lines of one family stand together.
    if all.last().is_none_or(|(last, _)| last != name) {
        all.push((name.to_owned(), Metadata { metric_type: MetricType::Unknown, ..Metadata::default() }));
    }
    let last = all.len() - 1;
    &mut all[last].1
}

/// Appends in the order of time, a block's range at a time, so that what is old by then is in a block already.
fn append(tsdb: &Tsdb, series: BySeries) -> Result<AppendReport> {
    let mut total = AppendReport::default();
    let mut windows: BTreeMap<i64, Vec<storage::SeriesSamples>> = BTreeMap::new();
    for (labels, samples) in series {
        let mut by_window: BTreeMap<i64, Vec<(i64, SampleValue)>> = BTreeMap::new();
        for (timestamp_ms, value) in samples {
            by_window
                .entry(timestamp_ms.div_euclid(tsdb::BLOCK_RANGE_MS_DEFAULT))
                .or_default()
                .push((timestamp_ms, value));
        }
        for (window, samples) in by_window {
            let one = storage::SeriesSamples { labels: labels.clone(), samples, ..storage::SeriesSamples::default() };
            windows.entry(window).or_default().push(one);
        }
    }
    for all in windows.values() {
        for some in all.chunks(SERIES_PER_APPEND) {
            total.add(&tsdb.append_series(some)?);
        }
        tsdb.maintain()?;
    }
    Ok(total)
}

fn list(dir: &Path) -> Result<()> {
    let tsdb = open(dir)?;
    say("BLOCK                       FROM                  TO                    SERIES    SAMPLES      BYTES");
    for block in tsdb.blocks() {
        let time = |ms| jiff::Timestamp::from_millisecond(ms).map(|t| t.to_string()).unwrap_or_default();
        say(&format!(
            "{:27} {:21} {:21} {:<9} {:<12} {}",
            block.ulid,
            time(block.min_time_ms),
            time(block.max_time_ms),
            block.series,
            block.samples,
            block.bytes
        ));
    }
    Ok(tsdb.close()?)
}
