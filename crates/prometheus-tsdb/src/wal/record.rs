//! What a record of the log says.

use crate::bytes::Reader;
use model::{
    Exemplar, FloatHistogram, Labels, LabelsBuilder, Metadata, MetricType,
    histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span},
};
use std::sync::Arc;

const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const TOMBSTONES: u8 = 3;
const EXEMPLARS: u8 = 4;
const MMAP_MARKERS: u8 = 5;
const METADATA: u8 = 6;
const HISTOGRAMS: u8 = 7;
const FLOAT_HISTOGRAMS: u8 = 8;
const CUSTOM_BUCKETS_HISTOGRAMS: u8 = 9;
const CUSTOM_BUCKETS_FLOAT_HISTOGRAMS: u8 = 10;
/// With start timestamps, since Prometheus 3.12.
const SAMPLES_V2: u8 = 11;
const HISTOGRAMS_V2: u8 = 12;
const FLOAT_HISTOGRAMS_V2: u8 = 13;
const CUSTOM_BUCKETS_HISTOGRAMS_V2: u8 = 14;
const CUSTOM_BUCKETS_FLOAT_HISTOGRAMS_V2: u8 = 15;

/// How a record of version 2 tells a start timestamp.
const START_NONE: u8 = 0;
const START_AS_BEFORE: u8 = 1;

#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Numbers of series, used by the other records, and their labels.
    Series(Vec<(u64, Labels)>),
    Samples(Vec<SampleRecord>),
    Histograms(Vec<HistogramRecord>),
    Tombstones(Vec<TombstoneRecord>),
    Exemplars(Vec<ExemplarRecord>),
    Metadata(Vec<MetadataRecord>),
    /// Late samples that went to chunks of the head: series and place of the chunk.
    MmapMarkers(Vec<(u64, u64)>),
    /// A kind of a later version.
    Unknown(u8),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRecord {
    pub series: u64,
    pub timestamp_ms: i64,
    /// 0: unknown.
    pub start_ms: i64,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct HistogramRecord {
    pub series: u64,
    pub timestamp_ms: i64,
    /// 0: unknown.
    pub start_ms: i64,
    pub histogram: Arc<FloatHistogram>,
}

/// Samples of a series between two times, both inclusive, are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TombstoneRecord {
    pub series: u64,
    pub min_ms: i64,
    pub max_ms: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarRecord {
    pub series: u64,
    pub exemplar: Exemplar,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataRecord {
    pub series: u64,
    pub metadata: Metadata,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of kind {kind} cannot be decoded at its byte {at}")]
pub struct RecordError {
    pub kind: u8,
    pub at: usize,
}

impl Record {
    /// # Errors
    /// The place where the record cannot have been written.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let Some(kind) = reader.u8() else { return Err(RecordError { kind: 0, at: 0 }) };
        let record = match kind {
            SERIES => all(&mut reader, |reader| Some((reader.u64()?, labels(reader)?))).map(Record::Series),
            TOMBSTONES => all(&mut reader, |reader| {
                Some(TombstoneRecord { series: reader.u64()?, min_ms: reader.varint()?, max_ms: reader.varint()? })
            })
            .map(Record::Tombstones),
            MMAP_MARKERS => all(&mut reader, |reader| Some((reader.u64()?, reader.u64()?))).map(Record::MmapMarkers),
            METADATA => all(&mut reader, metadata).map(Record::Metadata),
            SAMPLES => timed(&mut reader, false, Reader::f64)
                .map(|list| Record::Samples(list.into_iter().map(|(place, value)| place.sample(value)).collect())),
            SAMPLES_V2 => timed(&mut reader, true, Reader::f64)
                .map(|list| Record::Samples(list.into_iter().map(|(place, value)| place.sample(value)).collect())),
            EXEMPLARS => timed(&mut reader, false, |reader| Some((reader.f64()?, labels(reader)?))).map(|list| {
                let exemplar = |(place, (value, labels)): (Place, _)| ExemplarRecord {
                    series: place.series,
                    exemplar: Exemplar { labels, value, timestamp_ms: Some(place.timestamp_ms) },
                };
                Record::Exemplars(list.into_iter().map(exemplar).collect())
            }),
            HISTOGRAMS | CUSTOM_BUCKETS_HISTOGRAMS => histograms(&mut reader, false, integer_histogram),
            FLOAT_HISTOGRAMS | CUSTOM_BUCKETS_FLOAT_HISTOGRAMS => histograms(&mut reader, false, float_histogram),
            HISTOGRAMS_V2 | CUSTOM_BUCKETS_HISTOGRAMS_V2 => histograms(&mut reader, true, integer_histogram),
            FLOAT_HISTOGRAMS_V2 | CUSTOM_BUCKETS_FLOAT_HISTOGRAMS_V2 => histograms(&mut reader, true, float_histogram),
            other => return Ok(Record::Unknown(other)),
        };
        record.ok_or(RecordError { kind, at: bytes.len() - reader.remaining() })
    }
}

/// Entries to the end of the record.
fn all<'a, T>(reader: &mut Reader<'a>, entry: impl Fn(&mut Reader<'a>) -> Option<T>) -> Option<Vec<T>> {
    let mut list = Vec::new();
    while !reader.is_empty() {
        list.push(entry(reader)?);
    }
    Some(list)
}

/// Where a value belongs.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    series: u64,
    timestamp_ms: i64,
    start_ms: i64,
}

impl Place {
    fn sample(self, value: f64) -> SampleRecord {
        let Place { series, timestamp_ms, start_ms } = self;
        SampleRecord { series, timestamp_ms, start_ms, value }
    }
}

/// Values with series and time, which are differences: in version 1 to what stands before the first entry; in version
/// 2 the first entry has them in full, series count from the entry before and times from the first.
fn timed<'a, T>(
    reader: &mut Reader<'a>,
    starts: bool,
    value: impl Fn(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<(Place, T)>> {
    let mut list: Vec<(Place, T)> = Vec::new();
    if reader.is_empty() {
        return Some(list);
    }
    let mut base = Place::default();
    if !starts {
        base = Place { series: reader.u64()?, timestamp_ms: reader.i64()?, start_ms: 0 };
    }
    let mut before = base;
    while !reader.is_empty() {
        let series = reader.varint()?.cast_unsigned();
        let time = reader.varint()?;
        let place = if !starts {
            Place {
                series: base.series.wrapping_add(series),
                timestamp_ms: base.timestamp_ms.wrapping_add(time),
                start_ms: 0,
            }
        } else if list.is_empty() {
            base = Place { series, timestamp_ms: time, start_ms: reader.varint()? };
            base
        } else {
            let start_ms = match reader.u8()? {
                START_NONE => 0,
                START_AS_BEFORE => before.start_ms,
                _ => base.start_ms.wrapping_add(reader.varint()?),
            };
            Place {
                series: before.series.wrapping_add(series),
                timestamp_ms: base.timestamp_ms.wrapping_add(time),
                start_ms,
            }
        };
        before = place;
        list.push((place, value(reader)?));
    }
    Some(list)
}

fn labels(reader: &mut Reader) -> Option<Labels> {
    let mut builder = LabelsBuilder::default();
    for _ in 0..reader.count(2)? {
        let name = reader.text()?;
        builder.set(name, reader.text()?);
    }
    Some(builder.build())
}

fn metadata(reader: &mut Reader) -> Option<MetadataRecord> {
    let series = reader.uvarint()?;
    let metric_type = match reader.u8()? {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    };
    let mut metadata = Metadata { metric_type, ..Metadata::default() };
    for _ in 0..reader.count(2)? {
        let (name, value) = (reader.text()?, reader.text()?);
        match name {
            "UNIT" => value.clone_into(&mut metadata.unit),
            "HELP" => value.clone_into(&mut metadata.help),
            _ => {}
        }
    }
    Some(MetadataRecord { series, metadata })
}

fn histograms<'a>(
    reader: &mut Reader<'a>,
    starts: bool,
    value: impl Fn(&mut Reader<'a>) -> Option<FloatHistogram>,
) -> Option<Record> {
    let list = timed(reader, starts, value)?;
    let record = |(place, histogram): (Place, FloatHistogram)| {
        let Place { series, timestamp_ms, start_ms } = place;
        HistogramRecord { series, timestamp_ms, start_ms, histogram: Arc::new(histogram) }
    };
    Some(Record::Histograms(list.into_iter().map(record).collect()))
}

fn hint(byte: u8) -> CounterResetHint {
    match byte {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn spans(reader: &mut Reader) -> Option<Vec<Span>> {
    (0..reader.count(2)?)
        .map(|_| {
            let offset = i32::try_from(reader.varint()?).ok()?;
            Some(Span { offset, length: u32::try_from(reader.uvarint()?).ok()? })
        })
        .collect()
}

/// What stands behind the counts of both kinds.
fn rest<'a>(
    reader: &mut Reader<'a>,
    mut histogram: FloatHistogram,
    bucket_bytes: usize,
    mut bucket: impl FnMut(&mut Reader<'a>, f64) -> Option<f64>,
) -> Option<FloatHistogram> {
    histogram.positive_spans = spans(reader)?;
    histogram.negative_spans = spans(reader)?;
    for buckets in [&mut histogram.positive_buckets, &mut histogram.negative_buckets] {
        let mut before = 0.0;
        for _ in 0..reader.count(bucket_bytes)? {
            before = bucket(reader, before)?;
            buckets.push(before);
        }
    }
    let count = |spans: &[Span]| spans.iter().map(|span| u64::from(span.length)).sum::<u64>();
    if count(&histogram.positive_spans) != histogram.positive_buckets.len() as u64
        || count(&histogram.negative_spans) != histogram.negative_buckets.len() as u64
    {
        return None;
    }
    if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
        for _ in 0..reader.count(8)? {
            histogram.custom_values.push(reader.f64()?);
        }
    }
    if histogram.is_stale() {
        return Some(FloatHistogram { sum: histogram.sum, ..FloatHistogram::default() });
    }
    Some(histogram)
}

fn integer_histogram(reader: &mut Reader) -> Option<FloatHistogram> {
    let histogram = FloatHistogram {
        counter_reset_hint: hint(reader.u8()?),
        schema: i32::try_from(reader.varint()?).ok()?,
        zero_threshold: reader.f64()?,
        zero_count: reader.uvarint()? as f64,
        count: reader.uvarint()? as f64,
        sum: reader.f64()?,
        ..FloatHistogram::default()
    };
    // Buckets are differences to the one before.
    rest(reader, histogram, 1, |reader, before| Some((before as i64).wrapping_add(reader.varint()?) as f64))
}

fn float_histogram(reader: &mut Reader) -> Option<FloatHistogram> {
    let histogram = FloatHistogram {
        counter_reset_hint: hint(reader.u8()?),
        schema: i32::try_from(reader.varint()?).ok()?,
        zero_threshold: reader.f64()?,
        zero_count: reader.f64()?,
        count: reader.f64()?,
        sum: reader.f64()?,
        ..FloatHistogram::default()
    };
    rest(reader, histogram, 8, |reader, _| reader.f64())
}
