//! CSV: one line a sample, one column a label.

use super::{
    export::Exported,
    import::{Column, Gathered},
    select::{Selected, time_ms},
};
use anyhow::{Context, Result, anyhow, bail};
use exposition::{format_float, parse_float};
use model::Labels;
use std::{fs::File, io::Write, path::Path};
use storage::{Queryable, Samples};

/// Lines between two reports of progress.
const TOLD_EVERY: u64 = 4096;

pub(super) fn write(selected: &Selected, out: impl Write, told: &mut dyn FnMut(u64)) -> Result<Exported> {
    let names = selected.querier(selected.first_ms, selected.last_ms)?.label_names(&[])?;
    let mut csv = ::csv::Writer::from_writer(out);
    csv.write_record(Column::names(&names))?;
    let (mut exported, mut samples, mut done) = (Exported::default(), Samples::default(), 0);
    for series in selected.series(&[])? {
        let series = series?;
        samples.clear();
        series.read(&mut samples)?;
        let values: Vec<&str> = names.iter().map(|name| series.labels().get(name).unwrap_or_default()).collect();
        let mut outcome = Ok(());
        exported.floats(&samples, false, |time, value| {
            if outcome.is_ok() {
                outcome = line(&mut csv, time, value, &values);
            }
        });
        outcome?;
        done += 1;
        told(done);
    }
    csv.flush()?;
    Ok(exported)
}

fn line(csv: &mut ::csv::Writer<impl Write>, time_ms: i64, value: f64, labels: &[&str]) -> Result<()> {
    // Outside the calendar's years, the milliseconds themselves.
    let time =
        jiff::Timestamp::from_millisecond(time_ms).map_or_else(|_| time_ms.to_string(), |time| format!("{time:.3}"));
    csv.write_field(time)?;
    csv.write_field(format_float(value))?;
    for label in labels {
        csv.write_field(label)?;
    }
    Ok(csv.write_record(None::<&[u8]>)?)
}

pub(super) fn read(path: &Path, gathered: &mut Gathered<'_>, told: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut csv = ::csv::Reader::from_reader(file);
    let columns: Vec<Column> = csv.headers()?.iter().map(Column::of).collect();
    let place = |wanted: &Column, name: &str| {
        let place = columns.iter().position(|column| column == wanted);
        place.with_context(|| format!("line 1: there is no column `{name}`; the first line names the columns"))
    };
    let (time_at, value_at) = (place(&Column::Time, "timestamp")?, place(&Column::Value, "value")?);
    let (mut record, mut before) = (::csv::StringRecord::new(), ::csv::StringRecord::new());
    let mut slot = None;
    let mut count = 0;
    while csv.read_record(&mut record)? {
        let line = record.position().map_or(0, ::csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default();
        let time = time_ms(field(time_at)).map_err(|reason| anyhow!("line {line}: timestamp: {reason}"))?;
        let Some(value) = parse_float(field(value_at)) else { bail!("line {line}: `{}` is no value", field(value_at)) };
        // Mostly a line is of the series of the line before.
        let same = record.len() == before.len()
            && (0..columns.len()).all(|at| at == time_at || at == value_at || record.get(at) == before.get(at));
        let number = match slot.filter(|_| same) {
            Some(number) => number,
            None => {
                let pairs = columns.iter().zip(&record).filter_map(|(column, text)| match column {
                    Column::Label(name) if !text.is_empty() => Some((name.as_str(), text)),
                    _ => None,
                });
                let labels = Labels::from_pairs(pairs);
                if labels.is_empty() {
                    bail!("line {line}: the sample has no label, so that nothing would find it");
                }
                *slot.insert(gathered.slot(labels))
            }
        };
        gathered.push(number, time, value)?;
        std::mem::swap(&mut record, &mut before);
        count += 1;
        if count % TOLD_EVERY == 0 {
            told(csv.position().byte(), bytes);
        }
    }
    Ok(())
}
