//! OpenMetrics text with timestamps, family by family.

use super::{export::Exported, import::Gathered, select::Selected};
use anyhow::{Result, anyhow, bail};
use exposition::{
    Entry, Format, Parser, ScrapeProtocol, Writer,
    format::Served,
    pieces::{Piece, Pieces},
};
use model::{Exemplar, Matcher, Metadata, MetricType, labels::METRIC_NAME};
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufReader, Write},
    path::Path,
};
use storage::{Queryable, Samples};

/// What is read of a file at once.
const PIECE_BYTES: usize = 4 << 20;
const SERVED: Served =
    Served { protocol: ScrapeProtocol::OpenMetricsText1_0_0, escaping: exposition::Escaping::AllowUtf8 };
/// What the names of a family's samples add to its own, and for which types.
#[rustfmt::skip]
const SUFFIXES: [(&str, &[MetricType]); 8] = [
    ("_total", &[MetricType::Counter]),
    ("_bucket", &[MetricType::Histogram, MetricType::GaugeHistogram]),
    ("_count", &[MetricType::Histogram, MetricType::Summary]),
    ("_sum", &[MetricType::Histogram, MetricType::Summary]),
    ("_created", &[MetricType::Counter, MetricType::Histogram, MetricType::Summary]),
    ("_gcount", &[MetricType::GaugeHistogram]),
    ("_gsum", &[MetricType::GaugeHistogram]),
    ("_info", &[MetricType::Info]),
];

/// The family that a metric's name belongs to, as far as its type is known.
fn family_of<'a>(name: &'a str, metadata: &tsdb::MetadataMap) -> &'a str {
    if metadata.contains_key(name) {
        return name;
    }
    let fits = |(suffix, types): &(&str, &[MetricType])| {
        let base = name.strip_suffix(suffix)?;
        metadata.get(base).is_some_and(|metadata| types.contains(&metadata.metric_type)).then_some(base)
    };
    SUFFIXES.iter().find_map(fits).unwrap_or(name)
}

pub(super) fn write(selected: &Selected, mut out: impl Write, told: &mut dyn FnMut(u64)) -> Result<Exported> {
    let querier = selected.querier(selected.first_ms, selected.last_ms)?;
    let names = querier.label_values(METRIC_NAME, &[])?;
    let metadata = selected.tsdb.metadata();
    // The samples of a family stand together.
    let mut families: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in &names {
        families.entry(family_of(name, &metadata)).or_default().push(name);
    }
    let (mut exported, mut samples, mut done) = (Exported::default(), Samples::default(), 0);
    exported.nameless_left_out = selected.series(&[Matcher::equal(METRIC_NAME, "")])?.flatten().count() as u64;
    let mut writer = Writer::new(SERVED);
    for (family, names) in families {
        let mut told_family = false;
        for name in &names {
            for series in selected.series(&[Matcher::equal(METRIC_NAME, *name)])? {
                let series = series?;
                samples.clear();
                series.read(&mut samples)?;
                exported.floats(&samples, false, |time, value| {
                    if !told_family {
                        told_family = true;
                        if let Some(metadata) = metadata.get(family) {
                            writer.family(
                                shown(family, &names, metadata.metric_type),
                                &metadata.help,
                                metadata.metric_type,
                            );
                        }
                    }
                    writer.sample(name, series.labels(), None, value, Some(time));
                });
                out.write_all(writer.take().as_bytes())?;
                done += 1;
                told(done);
            }
        }
    }
    out.write_all(writer.finish().as_bytes())?;
    out.flush()?;
    Ok(exported)
}

/// The name that the writer wants of a family: of counters and infos that of their samples.
fn shown<'a>(family: &'a str, names: &[&'a str], metric_type: MetricType) -> &'a str {
    let suffix = match metric_type {
        MetricType::Counter => "_total",
        MetricType::Info => "_info",
        _ => return family,
    };
    names.iter().find(|name| name.ends_with(suffix)).copied().unwrap_or(family)
}

pub(super) fn read(path: &Path, gathered: &mut Gathered<'_>, told: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let file = File::open(path)?;
    let all = file.metadata()?.len();
    let mut pieces = Pieces::new(BufReader::new(file), Format::OpenMetrics, PIECE_BYTES);
    while let Some(piece) = pieces.next_piece()? {
        read_piece(&piece, gathered)?;
        told(pieces.bytes(), all);
    }
    Ok(())
}

fn read_piece(piece: &Piece, gathered: &mut Gathered<'_>) -> Result<()> {
    let parser = Parser::new(&piece.body, Format::OpenMetrics).map_err(|fault| anyhow!("{}", piece.fault(fault)))?;
    let mut slots: HashMap<&str, usize> = HashMap::new();
    for entry in parser {
        match entry.map_err(|fault| anyhow!("{}", piece.fault(fault)))? {
            Entry::Type { name, metric_type } => {
                // `le` and `quantile` get their form by the type.
                slots.clear();
                family(&mut gathered.metadata, &name).metric_type = metric_type;
            }
            Entry::Help { name, help } => help.as_ref().clone_into(&mut family(&mut gathered.metadata, &name).help),
            Entry::Unit { name, unit } => unit.clone_into(&mut family(&mut gathered.metadata, &name).unit),
            Entry::Sample(sample) => {
                let Some(timestamp_ms) = sample.timestamp_ms else {
                    bail!("line {}: a sample without a timestamp cannot be imported", piece.line(sample.line))
                };
                let slot = match slots.get(sample.key) {
                    Some(slot) => *slot,
                    None => {
                        let labels = sample.labels().map_err(|fault| anyhow!("{}", piece.fault(fault)))?;
                        let slot = gathered.slot(labels);
                        slots.insert(sample.key, slot);
                        slot
                    }
                };
                gathered.push(slot, timestamp_ms, sample.value)?;
                if let Some(exemplar) = sample.exemplar {
                    let at_ms = exemplar.timestamp_ms.unwrap_or(timestamp_ms);
                    let (labels, value) = (exemplar.labels(), exemplar.value);
                    gathered.exemplar(slot, Exemplar { labels, value, timestamp_ms: Some(at_ms) });
                }
            }
        }
    }
    Ok(())
}

fn family<'a>(all: &'a mut BTreeMap<String, Metadata>, name: &str) -> &'a mut Metadata {
    all.entry(name.to_owned()).or_insert_with(|| Metadata { metric_type: MetricType::Unknown, ..Metadata::default() })
}
