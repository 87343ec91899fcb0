//! CSV: one line a sample, one column a label; native histograms as text, exemplars in a file of their own.

use super::{
    columns::{Column, Field},
    export::{Exported, Holds},
    import::Gathered,
    select::{Selected, Survey, time_ms},
};
use anyhow::{Context, Result, anyhow, bail};
use exposition::{
    format_float,
    native::{parse_histogram, write_histogram},
    parse_float,
};
use model::{Exemplar, Labels, SampleValue, histogram::CounterResetHint};
use std::{collections::BTreeSet, fs::File, io::Write, path::Path, sync::Arc};
use storage::{Queryable, Samples};
use tsdb::SeriesExemplars;

/// Lines between two reports of progress.
const TOLD_EVERY: u64 = 4096;

/// The words of tables for what is known about resets; nothing stands for nothing.
pub(super) const HINTS: [(CounterResetHint, &str); 4] = [
    (CounterResetHint::Unknown, ""),
    (CounterResetHint::Reset, "reset"),
    (CounterResetHint::NotReset, "not_reset"),
    (CounterResetHint::Gauge, "gauge"),
];

pub(super) fn hint_word(hint: CounterResetHint) -> &'static str {
    HINTS.iter().find(|(own, _)| *own == hint).map_or("", |(_, word)| word)
}

pub(super) fn hint_of(word: &str) -> Result<CounterResetHint, String> {
    let known = HINTS.iter().find(|(_, own)| *own == word);
    known.map(|(hint, _)| *hint).ok_or_else(|| format!("{word:?} is none of reset, not_reset, gauge"))
}

pub(super) fn write(
    selected: &Selected,
    survey: Survey,
    out: impl Write,
    told: &mut dyn FnMut(u64),
) -> Result<Exported> {
    let names = selected.querier(selected.first_ms, selected.last_ms)?.label_names(&[])?;
    let mut csv = ::csv::Writer::from_writer(out);
    let mut columns = vec![Column::Time, Column::Value];
    if survey.histograms {
        columns.extend([Column::Histogram, Column::Field(Field::CounterReset)]);
    }
    if survey.starts {
        columns.push(Column::Start);
    }
    columns.extend(names.iter().cloned().map(Column::Label));
    csv.write_record(columns.iter().map(Column::name))?;
    let holds = Holds { histograms: true, starts: true, stale: false };
    let (mut exported, mut samples, mut done) = (Exported::default(), Samples::default(), 0);
    for series in selected.series(&[])? {
        let series = series?;
        samples.clear();
        series.read(&mut samples)?;
        let labels: Vec<&str> = names.iter().map(|name| series.labels().get(name).unwrap_or_default()).collect();
        exported.samples(&samples, holds, |time, start, value| {
            csv.write_field(time_text(time))?;
            match value {
                SampleValue::Float(value) => {
                    csv.write_field(format_float(value))?;
                    if survey.histograms {
                        csv.write_field("")?;
                        csv.write_field("")?;
                    }
                }
                SampleValue::Histogram(histogram) => {
                    let mut text = String::new();
                    write_histogram(&histogram, &mut text);
                    csv.write_field("")?;
                    csv.write_field(text)?;
                    csv.write_field(hint_word(histogram.counter_reset_hint))?;
                }
            }
            if survey.starts {
                csv.write_field(if start == 0 { String::new() } else { time_text(start) })?;
            }
            for label in &labels {
                csv.write_field(label)?;
            }
            Ok(csv.write_record(None::<&[u8]>)?)
        })?;
        done += 1;
        told(done);
    }
    csv.flush()?;
    Ok(exported)
}

/// Outside the calendar's years, the milliseconds themselves.
fn time_text(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms).map_or_else(|_| time_ms.to_string(), |time| format!("{time:.3}"))
}

/// The labels of the series, then those of the exemplars, each sorted.
pub(super) fn exemplar_labels(all: &[SeriesExemplars]) -> (Vec<String>, Vec<String>) {
    let names = |labels: &mut dyn Iterator<Item = &Labels>| -> Vec<String> {
        let names: BTreeSet<&str> = labels.flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
        names.into_iter().map(str::to_owned).collect()
    };
    let series = names(&mut all.iter().map(|series| &series.labels));
    let own = names(&mut all.iter().flat_map(|series| series.exemplars.iter().map(|exemplar| &exemplar.labels)));
    (series, own)
}

pub(super) fn write_exemplars(all: &[SeriesExemplars], out: impl Write) -> Result<()> {
    let (names, own_names) = exemplar_labels(all);
    let mut csv = ::csv::Writer::from_writer(out);
    let columns = [Column::Time, Column::ExemplarValue].into_iter();
    let columns = columns.chain(names.iter().cloned().map(Column::Label));
    let columns = columns.chain(own_names.iter().cloned().map(Column::ExemplarLabel));
    csv.write_record(columns.map(|column| column.name()))?;
    for series in all {
        for exemplar in &series.exemplars {
            csv.write_field(time_text(exemplar.timestamp_ms.unwrap_or(0)))?;
            csv.write_field(format_float(exemplar.value))?;
            for name in &names {
                csv.write_field(series.labels.get(name).unwrap_or_default())?;
            }
            for name in &own_names {
                csv.write_field(exemplar.labels.get(name).unwrap_or_default())?;
            }
            csv.write_record(None::<&[u8]>)?;
        }
    }
    Ok(csv.flush()?)
}

pub(super) fn read(path: &Path, gathered: &mut Gathered<'_>, told: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut csv = ::csv::Reader::from_reader(file);
    let columns: Vec<Column> = csv.headers()?.iter().map(Column::of).collect();
    let find = |wanted: Column| columns.iter().position(|column| *column == wanted);
    let place = |wanted: Column| {
        let name = wanted.name();
        find(wanted).with_context(|| format!("line 1: there is no column `{name}`; the first line names the columns"))
    };
    let time_at = place(Column::Time)?;
    let exemplar_at = find(Column::ExemplarValue);
    let value_at = if exemplar_at.is_some() { None } else { Some(place(Column::Value)?) };
    let (histogram_at, start_at) = (find(Column::Histogram), find(Column::Start));
    let hint_at = find(Column::Field(Field::CounterReset));
    let (mut record, mut before) = (::csv::StringRecord::new(), ::csv::StringRecord::new());
    let mut slot = None;
    let mut count = 0;
    while csv.read_record(&mut record)? {
        let line = record.position().map_or(0, ::csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default();
        let filled = |at: Option<usize>| at.map(field).filter(|text| !text.is_empty());
        let time =
            |at: usize, what: &str| time_ms(field(at)).map_err(|reason| anyhow!("line {line}: {what}: {reason}"));
        let float =
            |at: usize| parse_float(field(at)).with_context(|| format!("line {line}: `{}` is no value", field(at)));
        let timestamp_ms = time(time_at, "timestamp")?;
        // Mostly a line is of the series of the line before.
        let labels = || columns.iter().zip(0_usize..).filter(|(column, _)| matches!(column, Column::Label(_)));
        let same = record.len() == before.len() && labels().all(|(_, at)| record.get(at) == before.get(at));
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
        if let Some(at) = exemplar_at {
            let pairs = columns.iter().zip(&record).filter_map(|(column, text)| match column {
                Column::ExemplarLabel(name) if !text.is_empty() => Some((name.as_str(), text)),
                _ => None,
            });
            let (labels, value) = (Labels::from_pairs(pairs), float(at)?);
            gathered.exemplar(number, Exemplar { labels, value, timestamp_ms: Some(timestamp_ms) })?;
        } else {
            let value = match filled(histogram_at) {
                Some(text) => {
                    let place = |reason| anyhow!("line {line}: native histogram: {reason}");
                    let mut histogram = parse_histogram(text).map_err(place)?;
                    if let Some(word) = filled(hint_at) {
                        histogram.counter_reset_hint = hint_of(word).map_err(place)?;
                    }
                    SampleValue::Histogram(Arc::new(histogram))
                }
                None => SampleValue::Float(float(value_at.unwrap_or(time_at))?),
            };
            let start_ms = match filled(start_at) {
                Some(_) => time(start_at.unwrap_or(time_at), "start timestamp")?,
                None => 0,
            };
            gathered.push(number, timestamp_ms, value, start_ms)?;
        }
        std::mem::swap(&mut record, &mut before);
        count += 1;
        if count % TOLD_EVERY == 0 {
            told(csv.position().byte(), bytes);
        }
    }
    Ok(())
}
