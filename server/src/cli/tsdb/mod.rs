//! `vigie tsdb …`: a data folder, without a server on it.

mod analyze;
mod api_histogram;
mod backfill;
mod check;
mod columns;
mod csv;
mod dump;
mod export;
mod import;
mod openmetrics;
mod parquet;
mod prometheus;
mod select;
#[cfg(test)]
mod tests;

use super::output::say;
use anyhow::Result;
use clap::Subcommand;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use tsdb::{Tsdb, TsdbOptions};

#[derive(Debug, Subcommand)]
pub(crate) enum TsdbCommand {
    /// Import samples from OpenMetrics text with timestamps, CSV or Parquet. Samples at times at which the folder has one
    /// for the same series already are left as they are.
    Import(import::Import),
    /// Fill a data folder with history, as promtool does: of recording rules, or of OpenMetrics text.
    #[command(subcommand)]
    CreateBlocksFrom(backfill::CreateBlocksFrom),
    /// Write samples as OpenMetrics text, CSV or Parquet.
    Export(export::Export),
    /// Print every sample as a line, as `promtool tsdb dump` does.
    Dump(select::Selection),
    /// Tell where series and samples come from, and what churns.
    Analyze(analyze::Analyze),
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
        /// Sizes and counts for people.
        #[arg(short = 'r', long)]
        human_readable: bool,
        #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
        dir: PathBuf,
    },
    /// Copy a data folder, blocks as hard links, into a folder that can be opened on its own. A running server does the
    /// same by POST /api/v1/admin/tsdb/snapshot.
    Snapshot {
        /// Where the copy goes; must not be there.
        #[arg(value_name = "DIR")]
        to: PathBuf,
        #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
        dir: PathBuf,
    },
    /// Make a data folder of a snapshot, or of a copy of another data folder.
    Restore {
        #[arg(value_name = "SNAPSHOT")]
        from: PathBuf,
        /// The data folder to be, empty or absent.
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
        TsdbCommand::Import(flags) => import::run(&flags)?,
        TsdbCommand::CreateBlocksFrom(command) => backfill::run(command)?,
        TsdbCommand::Export(flags) => export::run(&flags)?,
        TsdbCommand::Dump(selection) => dump::run(&selection)?,
        TsdbCommand::Analyze(flags) => analyze::run(&flags)?,
        TsdbCommand::ImportPrometheus { from, dir } => prometheus::import(&from, &dir)?,
        TsdbCommand::ExportPrometheus(export) => prometheus::export(&export)?,
        TsdbCommand::List { human_readable, dir } => list(&dir, human_readable)?,
        TsdbCommand::Snapshot { to, dir } => snapshot(&dir, &to)?,
        TsdbCommand::Restore { from, dir } => restore(&from, &dir)?,
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

fn snapshot(dir: &Path, to: &Path) -> Result<()> {
    anyhow::ensure!(dir.is_dir(), "{}: there is no such folder; name it in --storage.tsdb.path", dir.display());
    let tsdb = open(dir)?;
    tsdb.snapshot(to, false)?;
    tsdb.close()?;
    say(&format!("{} is a copy of {}", to.display(), dir.display()));
    Ok(())
}

fn restore(from: &Path, dir: &Path) -> Result<()> {
    let mut progress = super::progress::Progress::new();
    let blocks = tsdb::restore(from, dir, &mut |done, all| {
        progress.tell(done, all, || format!("{done} of {all} blocks and log segments"));
    })?;
    drop(progress);
    anyhow::ensure!(blocks > 0 || from.join("wal").is_dir(), "{}: there is neither a block nor a log", from.display());
    say(&format!("{blocks} blocks restored into {}; `vigie tsdb verify` tells whether they are whole", dir.display()));
    Ok(())
}

fn list(dir: &Path, human_readable: bool) -> Result<()> {
    anyhow::ensure!(dir.is_dir(), "{}: there is no such folder; name it in --storage.tsdb.path", dir.display());
    let tsdb = open(dir)?;
    say(
        "BLOCK                       FROM                  TO                    DURATION  LEVEL  SERIES    SAMPLES      \
         CHUNKS     BYTES",
    );
    for block in tsdb.blocks() {
        let time = |ms| jiff::Timestamp::from_millisecond(ms).map(|t| t.to_string()).unwrap_or_default();
        let size = if human_readable { check::bytes(block.bytes) } else { block.bytes.to_string() };
        say(&format!(
            "{:27} {:21} {:21} {:<9} {:<6} {:<9} {:<12} {:<10} {size}",
            block.ulid,
            time(block.min_time_ms),
            time(block.max_time_ms),
            model::duration::format_duration_ms(block.max_time_ms.saturating_sub(block.min_time_ms)),
            block.compaction_level,
            block.series,
            block.samples,
            block.chunks,
        ));
    }
    Ok(tsdb.close()?)
}
