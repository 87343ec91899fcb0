//! What the records of the log say. See `FORMAT.md`, "Records".

use crate::{
    bytes::{Reader, put_text, put_uvarint, put_varint},
    chunk::{histogram, value},
};
use model::{Exemplar, FloatHistogram, Labels, MatchOp, Matcher, Metadata, MetricType, SampleValue};
use std::{collections::HashMap, sync::Arc};

const SERIES: u8 = 1;
const LAYOUT: u8 = 2;
const ROW: u8 = 3;
const SAMPLES: u8 = 4;
const HISTOGRAMS: u8 = 5;
const METADATA: u8 = 6;
const EXEMPLARS: u8 = 7;
const TOMBSTONE: u8 = 8;

/// Flag of a row: every series of the layout has a value, no bitmap follows.
const ROW_ALL: u8 = 1;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

const TYPES: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

pub(crate) fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_text(out, name);
        put_text(out, value);
    }
}

pub(crate) fn take_labels(reader: &mut Reader<'_>) -> Option<Labels> {
    let count = reader.count()?;
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(count);
    for _ in 0..count {
        let pair = (reader.text()?, reader.text()?);
        if pair.1.is_empty() || pairs.last().is_some_and(|last| last.0 >= pair.0) {
            return None;
        }
        pairs.push(pair);
    }
    Some(Labels::from_sorted(pairs))
}

pub(crate) fn series<'a>(series: impl ExactSizeIterator<Item = (u64, &'a Labels)>) -> Vec<u8> {
    let mut out = vec![SERIES];
    put_uvarint(&mut out, series.len() as u64);
    for (id, labels) in series {
        put_uvarint(&mut out, id);
        put_labels(&mut out, labels);
    }
    out
}

pub(crate) fn layout(id: u64, series: impl ExactSizeIterator<Item = u64>) -> Vec<u8> {
    let mut out = vec![LAYOUT];
    put_uvarint(&mut out, id);
    put_uvarint(&mut out, series.len() as u64);
    let mut previous = 0;
    for id in series {
        put_varint(&mut out, id.wrapping_sub(previous) as i64);
        previous = id;
    }
    out
}

/// A row of `values`, of which those at `accepted` (ascending indices) count. `last` are the values that the segment
/// holds of the layout so far; the row's values take their places.
pub(crate) fn row(layout: u64, timestamp_ms: i64, values: &[f64], accepted: &[u32], last: &mut [f64]) -> Vec<u8> {
    let mut out = vec![ROW];
    put_uvarint(&mut out, layout);
    put_varint(&mut out, timestamp_ms);
    if accepted.len() == last.len() {
        out.push(ROW_ALL);
    } else {
        out.push(0);
        let bitmap = out.len();
        out.resize(bitmap + last.len().div_ceil(8), 0);
        for &index in accepted {
            out[bitmap + index as usize / 8] |= 1 << (index % 8);
        }
    }
    let mut unchanged = 0_u64;
    for &index in accepted {
        let index = index as usize;
        if values[index].to_bits() == last[index].to_bits() {
            unchanged += 1;
            continue;
        }
        put_unchanged(&mut out, &mut unchanged);
        let at = out.len();
        out.push(0);
        out[at] = value::encode(last[index], values[index], 0, &mut out);
        last[index] = values[index];
    }
    put_unchanged(&mut out, &mut unchanged);
    out
}

fn put_unchanged(out: &mut Vec<u8>, unchanged: &mut u64) {
    if *unchanged > 0 {
        out.push(value::CODE_SAME);
        put_uvarint(out, *unchanged - 1);
        *unchanged = 0;
    }
}

/// Float samples of single series. Ends with the last; the record's length tells.
pub(crate) struct SamplesRecord {
    out: Vec<u8>,
    series: u64,
    time: i64,
    value: f64,
}

impl SamplesRecord {
    pub(crate) fn new() -> Self {
        SamplesRecord { out: vec![SAMPLES], series: 0, time: 0, value: 0.0 }
    }

    pub(crate) fn push(&mut self, series: u64, timestamp_ms: i64, value: f64) {
        put_varint(&mut self.out, series.wrapping_sub(self.series) as i64);
        put_varint(&mut self.out, timestamp_ms.wrapping_sub(self.time));
        if series != self.series {
            self.value = 0.0;
        }
        let at = self.out.len();
        self.out.push(0);
        self.out[at] = value::encode(self.value, value, 0, &mut self.out);
        (self.series, self.time, self.value) = (series, timestamp_ms, value);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.out.len()
    }

    /// `None` if nothing was pushed.
    pub(crate) fn finish(self) -> Option<Vec<u8>> {
        (self.out.len() > 1).then_some(self.out)
    }
}

/// A histogram of one series, complete in itself.
pub(crate) fn histogram_sample(series: u64, timestamp_ms: i64, sample: &FloatHistogram) -> Vec<u8> {
    let mut out = vec![HISTOGRAMS];
    put_uvarint(&mut out, series);
    put_varint(&mut out, timestamp_ms);
    histogram::encode(&FloatHistogram::default(), sample, &mut out);
    out
}

pub(crate) fn metadata<'a>(families: impl ExactSizeIterator<Item = (&'a String, &'a Metadata)>) -> Vec<u8> {
    let mut out = vec![METADATA];
    put_uvarint(&mut out, families.len() as u64);
    for (family, metadata) in families {
        put_text(&mut out, family);
        out.push(TYPES.iter().position(|known| *known == metadata.metric_type).unwrap_or(0) as u8);
        put_text(&mut out, &metadata.help);
        put_text(&mut out, &metadata.unit);
    }
    out
}

pub(crate) fn exemplar(series: u64, exemplar: &Exemplar, timestamp_ms: i64) -> Vec<u8> {
    let mut out = vec![EXEMPLARS];
    put_uvarint(&mut out, series);
    put_varint(&mut out, timestamp_ms);
    out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
    put_labels(&mut out, &exemplar.labels);
    out
}

pub(crate) fn tombstone(start_ms: i64, end_ms: i64, matchers: &[Matcher]) -> Vec<u8> {
    let mut out = vec![TOMBSTONE];
    put_varint(&mut out, start_ms);
    put_varint(&mut out, end_ms);
    put_uvarint(&mut out, matchers.len() as u64);
    for matcher in matchers {
        out.push(match matcher.op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        });
        put_text(&mut out, &matcher.name);
        put_text(&mut out, &matcher.value);
    }
    out
}

/// A record as its readers want it. Numbers of series mean something within their segment only.
#[derive(Debug)]
pub(crate) enum Record {
    Series(Vec<(u64, Labels)>),
    Samples(Vec<(u64, i64, SampleValue)>),
    Metadata(Vec<(String, Metadata)>),
    Exemplar(u64, Exemplar),
    Tombstone {
        start_ms: i64,
        end_ms: i64,
        matchers: Vec<Matcher>,
    },
    /// A record that only the decoder needs.
    Nothing,
}

#[derive(Debug)]
struct LayoutState {
    series: Vec<u64>,
    last: Vec<f64>,
}

/// Decodes the records of one segment, from its beginning.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    layouts: Map<u64, LayoutState>,
}

impl Decoder {
    /// `None` if the payload cannot have been written by this version.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Option<Record> {
        let mut reader = Reader::new(payload);
        let record = match reader.u8()? {
            SERIES => {
                let count = reader.count()?;
                let mut series = Vec::with_capacity(count);
                for _ in 0..count {
                    series.push((reader.uvarint()?, take_labels(&mut reader)?));
                }
                Record::Series(series)
            }
            LAYOUT => {
                let id = reader.uvarint()?;
                let count = reader.count()?;
                let mut series = Vec::with_capacity(count);
                let mut previous = 0_u64;
                for _ in 0..count {
                    previous = previous.wrapping_add(reader.varint()? as u64);
                    series.push(previous);
                }
                let last = vec![0.0; count];
                self.layouts.insert(id, LayoutState { series, last });
                Record::Nothing
            }
            ROW => Record::Samples(self.row(&mut reader)?),
            SAMPLES => Record::Samples(samples(&mut reader)?),
            HISTOGRAMS => {
                let (series, time) = (reader.uvarint()?, reader.varint()?);
                let sample = histogram::decode(&FloatHistogram::default(), &mut reader)?;
                Record::Samples(vec![(series, time, SampleValue::Histogram(Arc::new(sample)))])
            }
            METADATA => {
                let count = reader.count()?;
                let mut families = Vec::with_capacity(count);
                for _ in 0..count {
                    let family = reader.text()?.to_owned();
                    let metric_type = *TYPES.get(usize::from(reader.u8()?))?;
                    let help = reader.text()?.to_owned();
                    families.push((family, Metadata { metric_type, help, unit: reader.text()?.to_owned() }));
                }
                Record::Metadata(families)
            }
            EXEMPLARS => {
                let (series, time, value) = (reader.uvarint()?, reader.varint()?, reader.f64_le()?);
                let labels = take_labels(&mut reader)?;
                Record::Exemplar(series, Exemplar { labels, value, timestamp_ms: Some(time) })
            }
            TOMBSTONE => {
                let (start_ms, end_ms, count) = (reader.varint()?, reader.varint()?, reader.count()?);
                let mut matchers = Vec::with_capacity(count);
                for _ in 0..count {
                    let op = match reader.u8()? {
                        0 => MatchOp::Equal,
                        1 => MatchOp::NotEqual,
                        2 => MatchOp::Regex,
                        3 => MatchOp::NotRegex,
                        _ => return None,
                    };
                    matchers.push(Matcher::new(reader.text()?, op, reader.text()?));
                }
                Record::Tombstone { start_ms, end_ms, matchers }
            }
            _ => return None,
        };
        reader.is_empty().then_some(record)
    }

    fn row(&mut self, reader: &mut Reader<'_>) -> Option<Vec<(u64, i64, SampleValue)>> {
        let layout = self.layouts.get_mut(&reader.uvarint()?)?;
        let time = reader.varint()?;
        let bitmap = match reader.u8()? {
            0 => Some(reader.take(layout.series.len().div_ceil(8))?),
            ROW_ALL => None,
            _ => return None,
        };
        let mut out = Vec::with_capacity(layout.series.len());
        let mut unchanged = 0_u64;
        for (index, (&series, last)) in layout.series.iter().zip(&mut layout.last).enumerate() {
            if bitmap.is_some_and(|bitmap| bitmap[index / 8] >> (index % 8) & 1 == 0) {
                continue;
            }
            if unchanged > 0 {
                unchanged -= 1;
            } else {
                match reader.u8()? {
                    value::CODE_SAME => unchanged = reader.uvarint()?,
                    code => *last = value::decode(*last, code, 0, reader)?,
                }
            }
            out.push((series, time, SampleValue::Float(*last)));
        }
        (unchanged == 0).then_some(out)
    }
}

fn samples(reader: &mut Reader<'_>) -> Option<Vec<(u64, i64, SampleValue)>> {
    let (mut series, mut time, mut value) = (0_u64, 0_i64, 0.0);
    let mut out = Vec::with_capacity(reader.remaining() / 4);
    while !reader.is_empty() {
        let step = reader.varint()?;
        series = series.wrapping_add(step as u64);
        time = time.wrapping_add(reader.varint()?);
        if step != 0 {
            value = 0.0;
        }
        let code = reader.u8()?;
        value = value::decode(value, code, 0, reader)?;
        out.push((series, time, SampleValue::Float(value)));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::value::tests::any_value;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_survive(rows in proptest::collection::vec((any::<i64>(), proptest::collection::vec((any_value(), any::<bool>()), 9)), 1..6)) {
            let mut decoder = Decoder::default();
            prop_assert!(decoder.decode(&layout(7, (100..109_u32).rev().map(u64::from))).is_some());
            let mut last = vec![0.0; 9];
            for (time, cells) in rows {
                let values: Vec<f64> = cells.iter().map(|cell| cell.0).collect();
                let accepted: Vec<u32> = (0..9).filter(|&index| cells[index as usize].1).collect();
                let record = row(7, time, &values, &accepted, &mut last);
                let Some(Record::Samples(samples)) = decoder.decode(&record) else { panic!("no row") };
                prop_assert_eq!(samples.len(), accepted.len());
                for (sample, index) in samples.iter().zip(accepted) {
                    let SampleValue::Float(value) = sample.2 else { panic!("no float") };
                    prop_assert_eq!((sample.0, sample.1, value.to_bits()), (108 - u64::from(index), time, values[index as usize].to_bits()));
                }
            }
        }

        #[test]
        fn samples_survive(list in proptest::collection::vec((1_u64..9, any::<i64>(), any_value()), 1..30)) {
            let mut record = SamplesRecord::new();
            for &(series, time, value) in &list {
                record.push(series, time, value);
            }
            let record = record.finish().unwrap();
            let Some(Record::Samples(got)) = Decoder::default().decode(&record) else { panic!("no samples") };
            prop_assert_eq!(got.len(), list.len());
            for (got, expected) in got.iter().zip(&list) {
                let SampleValue::Float(value) = got.2 else { panic!("no float") };
                prop_assert_eq!((got.0, got.1, value.to_bits()), (expected.0, expected.1, expected.2.to_bits()));
            }
        }

        #[test]
        fn any_bytes_decode_or_not(kind in 0_u8..10, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut decoder = Decoder::default();
            decoder.decode(&layout(1, (0..9_u32).map(u64::from)));
            decoder.decode(&[&[kind], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn other_records_survive() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
        let meta = Metadata { metric_type: MetricType::Gauge, help: "h".into(), unit: "u".into() };
        let mut decoder = Decoder::default();
        let example = Exemplar { labels: labels.clone(), value: 1.5, timestamp_ms: None };
        let matchers = [Matcher::new("a", MatchOp::NotRegex, "b.*")];
        let family = "up".to_owned();
        let records = [
            series([(3, &labels)].into_iter()),
            metadata([(&family, &meta)].into_iter()),
            exemplar(3, &example, 9),
            tombstone(-1, 5, &matchers),
        ];
        let texts: Vec<String> =
            records.iter().map(|record| format!("{:?}", decoder.decode(record).unwrap())).collect();
        assert_eq!(
            texts,
            [
                r#"Series([(3, {__name__="up", job="a"})])"#,
                r#"Metadata([("up", Metadata { metric_type: Gauge, help: "h", unit: "u" })])"#,
                r#"Exemplar(3, Exemplar { labels: {__name__="up", job="a"}, value: 1.5, timestamp_ms: Some(9) })"#,
                r#"Tombstone { start_ms: -1, end_ms: 5, matchers: [Matcher { name: "a", op: NotRegex, value: "b.*" }] }"#,
            ]
        );
    }
}
