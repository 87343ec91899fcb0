//! `vigie tsdb export`: samples and exemplars as files for other programs.

use super::{
    super::{output::complain, progress::Progress},
    csv,
    import::FileFormat,
    openmetrics, parquet,
    select::{Selected, Selection},
};
use anyhow::{Context, Result, ensure};
use model::{SampleValue, stale::is_stale_nan};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};
use storage::Samples;

/// What is kept back of a file until it is written.
const BUFFER_BYTES: usize = 1 << 18;

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// The file to write, which must not be there; `-` for standard output. Beside FILE.csv and FILE.parquet, exemplars
    /// get a file of their own, FILE.exemplars.csv and FILE.exemplars.parquet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Without it, the name's ending tells: .csv, .parquet, else OpenMetrics.
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    #[command(flatten)]
    selection: Selection,
}

/// What of a sample a format has a place for, beside floats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holds {
    pub(super) histograms: bool,
    pub(super) starts: bool,
    /// Markers of staleness are no values: only formats that keep every bit keep them.
    pub(super) stale: bool,
}

/// What an export wrote and what its format has no place for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exported {
    pub(super) series: u64,
    pub(super) samples: u64,
    pub(super) exemplars: u64,
    pub(super) histograms_left_out: u64,
    pub(super) starts_left_out: u64,
    pub(super) stale_left_out: u64,
    pub(super) nameless_left_out: u64,
    pub(super) exemplars_left_out: u64,
}

impl Exported {
    /// The samples that a format can hold: time, start timestamp (0: none), value.
    pub(super) fn samples(
        &mut self,
        samples: &Samples,
        holds: Holds,
        mut take: impl FnMut(i64, i64, SampleValue) -> Result<()>,
    ) -> Result<()> {
        let before = self.samples;
        for (at, &time) in samples.timestamps.iter().enumerate() {
            let value = samples.value(at);
            let stale = match &value {
                SampleValue::Float(value) => is_stale_nan(*value),
                SampleValue::Histogram(histogram) => histogram.is_stale(),
            };
            if stale && !holds.stale {
                self.stale_left_out += 1;
            } else if matches!(value, SampleValue::Histogram(_)) && !holds.histograms {
                self.histograms_left_out += 1;
            } else {
                let start = samples.start_timestamp(at);
                self.starts_left_out += u64::from(start != 0 && !holds.starts);
                take(time, if holds.starts { start } else { 0 }, value)?;
                self.samples += 1;
            }
        }
        self.series += u64::from(self.samples > before);
        Ok(())
    }

    fn tell(&self, to: &str) {
        complain(&format!("{} samples of {} series written to {to}", self.samples, self.series));
        let left_out = [
            (self.histograms_left_out, "native histograms, which the format has no place for"),
            (self.starts_left_out, "start timestamps, which the format has no place for"),
            (self.stale_left_out, "markers of staleness, which are no values"),
            (self.nameless_left_out, "series without a metric name, which the format has no place for"),
            (self.exemplars_left_out, "exemplars without a sample that they could be written behind"),
        ];
        for (count, what) in left_out.into_iter().filter(|(count, _)| *count > 0) {
            complain(&format!("left out: {count} {what}"));
        }
    }
}

pub(super) fn run(flags: &Export) -> Result<()> {
    let format = flags.format.unwrap_or_else(|| FileFormat::of(&flags.file));
    // Texts have exemplars in their lines, tables have not.
    let table = matches!(format, FileFormat::Csv | FileFormat::Parquet);
    let to_stdout = flags.file == Path::new("-");
    let beside = exemplars_file(&flags.file);
    let there = |file: &Path| format!("{}: it is there already; remove it or choose another name", file.display());
    if !to_stdout {
        ensure!(!flags.file.exists(), there(&flags.file));
        ensure!(!table || !beside.exists(), there(&beside));
    }
    let selected = flags.selection.open()?;
    // Standard output may be the file: what is told goes to the other one.
    if to_stdout {
        write(format, &selected, std::io::stdout())?.tell("standard output");
        let exemplars = if table { selected.exemplars()?.iter().map(|series| series.exemplars.len()).sum() } else { 0 };
        if exemplars > 0 {
            complain(&format!("left out: {exemplars} exemplars, which want a file of their own; export to a file"));
        }
    } else {
        let exported = whole(&flags.file, |file| write(format, &selected, file))?;
        exported.tell(&flags.file.display().to_string());
        if table {
            let exemplars = selected.exemplars()?;
            let count: usize = exemplars.iter().map(|series| series.exemplars.len()).sum();
            if count > 0 {
                whole(&beside, |file| {
                    let out = BufWriter::with_capacity(BUFFER_BYTES, file);
                    match format {
                        FileFormat::Parquet => parquet::write_exemplars(&exemplars, out),
                        _ => csv::write_exemplars(&exemplars, out),
                    }
                })?;
                complain(&format!("{count} exemplars written to {}", beside.display()));
            }
        } else if exported.exemplars > 0 {
            complain(&format!("{} exemplars are among them", exported.exemplars));
        }
    }
    selected.tsdb.close()?;
    Ok(())
}

/// `a.csv` => `a.exemplars.csv`.
fn exemplars_file(file: &Path) -> PathBuf {
    let ending = file.extension().map(|ending| ending.to_string_lossy().into_owned());
    file.with_extension(ending.map_or_else(|| "exemplars".to_owned(), |ending| format!("exemplars.{ending}")))
}

/// Writes a file under another name first: whoever waits for it finds it whole.
fn whole<T>(file: &Path, write: impl FnOnce(File) -> Result<T>) -> Result<T> {
    let mut temporary = file.to_owned().into_os_string();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = File::create(&temporary).with_context(|| temporary.display().to_string()).and_then(write);
    let written = written.inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })?;
    fs::rename(&temporary, file).with_context(|| file.display().to_string())?;
    Ok(written)
}

/// Writes what is meant in a format.
pub(super) fn write<W: Write + Send>(format: FileFormat, selected: &Selected, out: W) -> Result<Exported> {
    let survey = selected.survey()?;
    let mut progress = Progress::new();
    let all = survey.series;
    let mut told = |done: u64| progress.tell(done, all, || format!("{done} of {all} series written"));
    let out = BufWriter::with_capacity(BUFFER_BYTES, out);
    match format {
        FileFormat::Openmetrics => openmetrics::write(selected, true, out, &mut told),
        FileFormat::Openmetrics1 => openmetrics::write(selected, false, out, &mut told),
        FileFormat::Csv => csv::write(selected, survey, out, &mut told),
        FileFormat::Parquet => parquet::write(selected, survey, out, &mut told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemplars_stand_beside() {
        for (file, beside) in
            [("a/b.csv", "a/b.exemplars.csv"), ("b.x.parquet", "b.x.exemplars.parquet"), ("b", "b.exemplars")]
        {
            assert_eq!(exemplars_file(Path::new(file)), Path::new(beside));
        }
    }
}
