//! `vigie tsdb export`: samples as files for other programs.

use super::{
    super::{output::complain, progress::Progress},
    csv,
    import::FileFormat,
    openmetrics, parquet,
    select::{Selected, Selection},
};
use anyhow::{Context, Result, ensure};
use model::stale::is_stale_nan;
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
    /// The file to write, which must not be there; `-` for standard output.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Without it, the name's ending tells: .csv, .parquet, else OpenMetrics.
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    #[command(flatten)]
    selection: Selection,
}

/// What an export wrote and what its format has no place for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exported {
    pub(super) series: u64,
    pub(super) samples: u64,
    pub(super) histograms_left_out: u64,
    pub(super) stale_left_out: u64,
    pub(super) nameless_left_out: u64,
}

impl Exported {
    /// The samples that a table or a text can hold, as times and values. Markers of staleness are no values: but for
    /// formats that keep every bit, they are left out.
    pub(super) fn floats(&mut self, samples: &Samples, keep_stale: bool, mut take: impl FnMut(i64, f64)) {
        let mut any = false;
        for (at, (&time, &value)) in samples.timestamps.iter().zip(&samples.values).enumerate() {
            if samples.histogram(at).is_some() {
                self.histograms_left_out += 1;
            } else if !keep_stale && is_stale_nan(value) {
                self.stale_left_out += 1;
            } else {
                any = true;
                self.samples += 1;
                take(time, value);
            }
        }
        self.series += u64::from(any);
    }
}

pub(super) fn run(flags: &Export) -> Result<()> {
    let format = flags.format.unwrap_or_else(|| FileFormat::of(&flags.file));
    let selected = flags.selection.open()?;
    let name = flags.file.display();
    let (exported, to) = if flags.file == Path::new("-") {
        (write(format, &selected, std::io::stdout())?, "standard output".to_owned())
    } else {
        ensure!(!flags.file.exists(), "{name}: it is there already; remove it or choose another name");
        // Whoever waits for the file finds it whole.
        let mut temporary = flags.file.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let written = File::create(&temporary)
            .with_context(|| temporary.display().to_string())
            .and_then(|file| write(format, &selected, file));
        let written = written.inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })?;
        fs::rename(&temporary, &flags.file).with_context(|| name.to_string())?;
        (written, name.to_string())
    };
    selected.tsdb.close()?;
    // Standard output may be the file.
    complain(&format!("{} samples of {} series written to {to}", exported.samples, exported.series));
    let left_out = [
        (exported.histograms_left_out, "native histograms, which the format has no place for"),
        (exported.stale_left_out, "markers of staleness, which are no values"),
        (exported.nameless_left_out, "series without a metric name, which the format has no place for"),
    ];
    for (count, what) in left_out.into_iter().filter(|(count, _)| *count > 0) {
        complain(&format!("left out: {count} {what}"));
    }
    Ok(())
}

/// Writes what is meant in a format.
pub(super) fn write<W: Write + Send>(format: FileFormat, selected: &Selected, out: W) -> Result<Exported> {
    let all = selected.count()?;
    let mut progress = Progress::new();
    let mut told = |done: u64| progress.tell(done, all, || format!("{done} of {all} series written"));
    let out = BufWriter::with_capacity(BUFFER_BYTES, out);
    match format {
        FileFormat::Openmetrics => openmetrics::write(selected, out, &mut told),
        FileFormat::Csv => csv::write(selected, out, &mut told),
        FileFormat::Parquet => parquet::write(selected, out, &mut told),
    }
}
