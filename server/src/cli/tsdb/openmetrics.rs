//! OpenMetrics text with timestamps, family by family.

use super::{
    export::{Exported, Holds},
    import::Gathered,
    select::Selected,
};
use anyhow::{Result, anyhow, bail};
use exposition::{
    Entry, Format, Parser, Sample, ScrapeProtocol, Writer,
    format::Served,
    pieces::{Piece, Pieces},
};
use model::{Exemplar, Labels, Matcher, Metadata, MetricType, SampleValue, labels::METRIC_NAME};
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
pub(super) fn family_of<'a>(name: &'a str, metadata: &tsdb::MetadataMap) -> &'a str {
    if metadata.contains_key(name) {
        return name;
    }
    let fits = |(suffix, types): &(&str, &[MetricType])| {
        let base = name.strip_suffix(suffix)?;
        metadata.get(base).is_some_and(|metadata| types.contains(&metadata.metric_type)).then_some(base)
    };
    SUFFIXES.iter().find_map(fits).unwrap_or(name)
}

/// `version_2`: native histograms and start timestamps in the words of OpenMetrics 2.0; else they are left out.
pub(super) fn write(
    selected: &Selected,
    version_2: bool,
    mut out: impl Write,
    told: &mut dyn FnMut(u64),
) -> Result<Exported> {
    let querier = selected.querier(selected.first_ms, selected.last_ms)?;
    let names = querier.label_values(METRIC_NAME, &[])?;
    let metadata = selected.tsdb.metadata();
    // The samples of a family stand together.
    let mut families: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in &names {
        families.entry(family_of(name, &metadata)).or_default().push(name);
    }
    let mut exemplars: HashMap<Labels, Vec<Exemplar>> =
        selected.exemplars()?.into_iter().map(|series| (series.labels, series.exemplars)).collect();
    let holds = Holds { histograms: version_2, starts: version_2, stale: false };
    let (mut exported, mut samples, mut done) = (Exported::default(), Samples::default(), 0);
    exported.nameless_left_out = selected.series(&[Matcher::equal(METRIC_NAME, "")])?.flatten().count() as u64;
    let mut writer = Writer::new(SERVED);
    let mut lines: Vec<(i64, i64, SampleValue)> = Vec::new();
    for (family, names) in families {
        let mut told_family = false;
        for name in &names {
            for series in selected.series(&[Matcher::equal(METRIC_NAME, *name)])? {
                let series = series?;
                samples.clear();
                lines.clear();
                series.read(&mut samples)?;
                exported.samples(&samples, holds, |time, start, value| {
                    lines.push((time, start, value));
                    Ok(())
                })?;
                let own = exemplars.remove(series.labels()).unwrap_or_default();
                let first = !lines.is_empty() && !std::mem::replace(&mut told_family, true);
                if let Some(metadata) = metadata.get(family).filter(|_| first) {
                    let shown = shown(family, &names, metadata.metric_type);
                    writer.family(shown, &metadata.help, metadata.metric_type);
                    writer.unit(&metadata.unit);
                }
                let places = places(&lines, &own);
                let left_out = places.iter().filter(|place| place.is_none()).count();
                exported.exemplars_left_out += left_out as u64;
                exported.exemplars += (own.len() - left_out) as u64;
                let mut next = left_out;
                for (at, (time, start, value)) in lines.iter().enumerate() {
                    let end = next + places.iter().skip(next).take_while(|place| **place == Some(at)).count();
                    let own = own.get(next..end).unwrap_or_default();
                    writer.detailed(name, series.labels(), value, (*time, (*start != 0).then_some(*start)), own);
                    next = end;
                }
                out.write_all(writer.take().as_bytes())?;
                done += 1;
                told(done);
            }
        }
    }
    exported.exemplars_left_out += exemplars.values().map(|own| own.len() as u64).sum::<u64>();
    out.write_all(writer.finish().as_bytes())?;
    out.flush()?;
    Ok(exported)
}

/// Behind which line each exemplar stands: behind the first one that is not older, and where there is one already, behind
/// the next, for only histograms have several. Those that find no place before the end move the others forward, and the
/// oldest get none.
fn places(lines: &[(i64, i64, SampleValue)], exemplars: &[Exemplar]) -> Vec<Option<usize>> {
    let Some(last) = lines.len().checked_sub(1) else { return vec![None; exemplars.len()] };
    let several = lines.iter().all(|(_, _, value)| matches!(value, SampleValue::Histogram(_)));
    let mut free = 0;
    let mut places: Vec<Option<usize>> = exemplars
        .iter()
        .map(|exemplar| {
            let at = lines.partition_point(|(time, ..)| Some(*time) < exemplar.timestamp_ms);
            let at = if several { at.min(last) } else { at.max(free) };
            free = at + 1;
            Some(at)
        })
        .collect();
    if !several {
        let mut limit = Some(last);
        for place in places.iter_mut().rev() {
            *place = place.and_then(|at| limit.map(|limit| at.min(limit)));
            limit = place.and_then(|at| at.checked_sub(1));
        }
    }
    places
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
    let parser = parser.with_version_2();
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
                let exemplar = sample.exemplar;
                let value = SampleValue::Float(sample.value);
                read_sample(piece, &sample, value, 0, exemplar.as_slice(), &mut slots, gathered)?;
            }
            Entry::Detailed(own) => {
                let start_ms = own.start_ms.unwrap_or(0);
                read_sample(piece, &own.sample, own.value, start_ms, &own.exemplars, &mut slots, gathered)?;
            }
        }
    }
    Ok(())
}

fn read_sample<'a>(
    piece: &Piece,
    sample: &Sample<'a>,
    value: SampleValue,
    start_ms: i64,
    exemplars: &[exposition::Exemplar<'_>],
    slots: &mut HashMap<&'a str, usize>,
    gathered: &mut Gathered<'_>,
) -> Result<()> {
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
    gathered.push(slot, timestamp_ms, value, start_ms)?;
    for exemplar in exemplars {
        let at_ms = exemplar.timestamp_ms.unwrap_or(timestamp_ms);
        gathered.exemplar(slot, Exemplar { timestamp_ms: Some(at_ms), ..exemplar.to_exemplar() })?;
    }
    Ok(())
}

fn family<'a>(all: &'a mut BTreeMap<String, Metadata>, name: &str) -> &'a mut Metadata {
    all.entry(name.to_owned()).or_insert_with(|| Metadata { metric_type: MetricType::Unknown, ..Metadata::default() })
}
