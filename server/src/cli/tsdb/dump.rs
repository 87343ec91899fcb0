//! `vigie tsdb dump`: every sample as a line, as `promtool tsdb dump` writes them, but for the numbers
//! inside native histograms: without exponents.

use super::{
    super::progress::Progress,
    select::{Selected, Selection},
};
use anyhow::Result;
use exposition::format_float;
use std::io::{BufWriter, ErrorKind, Write};
use storage::Samples;

pub(super) fn run(selection: &Selection) -> Result<()> {
    let selected = selection.open()?;
    let written = write(&selected, BufWriter::new(std::io::stdout().lock()));
    selected.tsdb.close()?;
    match written {
        // `dump | head` is no fault.
        Err(error)
            if error.downcast_ref().is_some_and(|error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn write(selected: &Selected, mut out: impl Write) -> Result<()> {
    let (all, mut progress, mut samples) = (selected.count()?, Progress::new(), Samples::default());
    for (series, done) in selected.series(&[])?.zip(0_u64..) {
        let series = series?;
        samples.clear();
        series.read(&mut samples)?;
        progress.tell(done, all, || format!("{done} of {all} series"));
        let labels = series.labels().to_string();
        for (at, (time, value)) in samples.timestamps.iter().zip(&samples.values).enumerate() {
            let value = match samples.histogram(at) {
                Some(histogram) => promql::describe_histogram(histogram),
                None => format_float(*value),
            };
            writeln!(out, "{labels} {value} {time}")?;
        }
    }
    Ok(out.flush()?)
}
