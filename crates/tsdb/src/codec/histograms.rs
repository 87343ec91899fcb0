//! Columns of native histograms: while their shape stays the same, each field and each bucket is a column of floats.

use super::{CodecError, floats};
use crate::bytes::{Reader, put_uvarint, put_varint};
use model::histogram::{CounterResetHint, FloatHistogram, Span};
use std::sync::Arc;

/// Floats of a run of histograms: a longer run is cut, so that no few bytes claim much memory.
const RUN_FLOATS_MAX: usize = 1 << 20;
/// Columns beside the buckets: hints, zero counts, counts, sums.
const FIELDS: usize = 4;
const HINTS: [CounterResetHint; 4] =
    [CounterResetHint::Unknown, CounterResetHint::Reset, CounterResetHint::NotReset, CounterResetHint::Gauge];

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn same_shape(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.positive_buckets.len() == b.positive_buckets.len()
        && a.negative_buckets.len() == b.negative_buckets.len()
        && same_bits(&a.custom_values, &b.custom_values)
}

/// Equal in every bit, NaN included.
pub fn equal(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    same_shape(a, b)
        && a.counter_reset_hint == b.counter_reset_hint
        && same_bits(&[a.zero_count, a.count, a.sum], &[b.zero_count, b.count, b.sum])
        && same_bits(&a.positive_buckets, &b.positive_buckets)
        && same_bits(&a.negative_buckets, &b.negative_buckets)
}

fn columns_of(histogram: &FloatHistogram) -> usize {
    FIELDS + histogram.positive_buckets.len() + histogram.negative_buckets.len()
}

/// Appends a column. Its length stands elsewhere; of no histograms there are no bytes.
pub fn encode(histograms: &[Arc<FloatHistogram>], out: &mut Vec<u8>) {
    let mut rest = histograms;
    let mut column = Vec::new();
    while let Some(first) = rest.first() {
        let most = (RUN_FLOATS_MAX / columns_of(first)).max(1);
        let length = rest.iter().take(most).take_while(|histogram| same_shape(first, histogram)).count();
        let (run, behind) = rest.split_at(length);
        rest = behind;
        put_uvarint(out, run.len() as u64);
        encode_shape(first, out);
        let mut put = |field: &dyn Fn(&FloatHistogram) -> f64| {
            column.clear();
            column.extend(run.iter().map(|histogram| field(histogram)));
            floats::encode(&column, out);
        };
        put(&|histogram| HINTS.iter().position(|hint| *hint == histogram.counter_reset_hint).unwrap_or(0) as f64);
        put(&|histogram| histogram.zero_count);
        put(&|histogram| histogram.count);
        put(&|histogram| histogram.sum);
        for bucket in 0..first.positive_buckets.len() {
            put(&|histogram| histogram.positive_buckets[bucket]);
        }
        for bucket in 0..first.negative_buckets.len() {
            put(&|histogram| histogram.negative_buckets[bucket]);
        }
    }
}

fn encode_shape(histogram: &FloatHistogram, out: &mut Vec<u8>) {
    put_varint(out, i64::from(histogram.schema));
    out.extend_from_slice(&histogram.zero_threshold.to_bits().to_le_bytes());
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        put_uvarint(out, spans.len() as u64);
        for span in spans {
            put_varint(out, i64::from(span.offset));
            put_uvarint(out, u64::from(span.length));
        }
    }
    put_uvarint(out, histogram.custom_values.len() as u64);
    for bound in &histogram.custom_values {
        out.extend_from_slice(&bound.to_bits().to_le_bytes());
    }
    put_uvarint(out, histogram.positive_buckets.len() as u64);
    put_uvarint(out, histogram.negative_buckets.len() as u64);
}

/// A histogram without values, and its numbers of buckets.
fn decode_shape(reader: &mut Reader<'_>) -> Option<(FloatHistogram, usize, usize)> {
    let mut histogram = FloatHistogram { schema: i32::try_from(reader.varint()?).ok()?, ..FloatHistogram::default() };
    histogram.zero_threshold = reader.f64_le()?;
    for spans in [&mut histogram.positive_spans, &mut histogram.negative_spans] {
        for _ in 0..reader.count()? {
            let offset = i32::try_from(reader.varint()?).ok()?;
            spans.push(Span { offset, length: u32::try_from(reader.uvarint()?).ok()? });
        }
    }
    for _ in 0..reader.count()? {
        histogram.custom_values.push(reader.f64_le()?);
    }
    let (positive, negative) = (reader.count()?, reader.count()?);
    Some((histogram, positive, negative))
}

/// Appends the `count` histograms of a column to `out` and gives the number of bytes read.
///
/// # Errors
/// When the bytes cannot have been written; `out` may then have more histograms than before, never more than `count`.
pub fn decode(bytes: &[u8], count: usize, out: &mut Vec<Arc<FloatHistogram>>) -> Result<usize, CodecError> {
    let mut reader = Reader::new(bytes);
    match decode_runs(&mut reader, count, out) {
        Some(()) => Ok(bytes.len() - reader.remaining()),
        None => Err(CodecError::at(bytes, &reader, "histograms that cannot be decoded")),
    }
}

fn decode_runs(reader: &mut Reader<'_>, count: usize, out: &mut Vec<Arc<FloatHistogram>>) -> Option<()> {
    let mut left = count;
    let mut columns = Vec::new();
    while left > 0 {
        let run = usize::try_from(reader.uvarint()?).ok().filter(|run| (1..=left).contains(run))?;
        left -= run;
        let (shape, positive, negative) = decode_shape(reader)?;
        let width = FIELDS + positive + negative;
        // One histogram alone may be as large as it is; each of its buckets takes bytes.
        if run > 1 && run.checked_mul(width).is_none_or(|floats| floats > RUN_FLOATS_MAX) {
            return None;
        }
        columns.clear();
        for _ in 0..width {
            let used = floats::decode(reader.rest(), run, &mut columns).ok()?;
            reader.take(used)?;
        }
        for row in 0..run {
            let at = |column: usize| columns[column * run + row];
            let hint = HINTS.get(at(0) as usize).filter(|_| (0.0..4.0).contains(&at(0)))?;
            out.push(Arc::new(FloatHistogram {
                counter_reset_hint: *hint,
                zero_count: at(1),
                count: at(2),
                sum: at(3),
                positive_buckets: (FIELDS..FIELDS + positive).map(at).collect(),
                negative_buckets: (FIELDS + positive..width).map(at).collect(),
                ..shape.clone()
            }));
        }
    }
    Some(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
        let any_value = || prop_oneof![any::<f64>(), any::<u64>().prop_map(f64::from_bits), Just(7.0)];
        let spans = || proptest::collection::vec((-3_i32..9, 0_u32..4), 0..3);
        let floats = || proptest::collection::vec(any_value(), 0..5);
        (
            (0_usize..4, -53_i32..9, any_value(), any_value(), any_value(), any_value()),
            (spans(), floats(), spans(), floats(), floats()),
        )
            .prop_map(
                |((hint, schema, zero_threshold, zero_count, count, sum), (p, pb, n, nb, custom_values))| {
                    let spans = |all: Vec<(i32, u32)>| {
                        all.into_iter().map(|(offset, length)| Span { offset, length }).collect()
                    };
                    FloatHistogram {
                        counter_reset_hint: HINTS[hint],
                        schema,
                        zero_threshold,
                        zero_count,
                        count,
                        sum,
                        custom_values,
                        positive_spans: spans(p),
                        positive_buckets: pb,
                        negative_spans: spans(n),
                        negative_buckets: nb,
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn histograms_survive_bit_for_bit(list in proptest::collection::vec((any_histogram(), 0_usize..3), 0..5)) {
            // Each shape several times in a row.
            let list: Vec<_> = list
                .into_iter()
                .flat_map(|(histogram, times)| (0..=times).map(move |time| {
                    Arc::new(FloatHistogram { count: histogram.count + time as f64, ..histogram.clone() })
                }))
                .collect();
            let mut bytes = Vec::new();
            encode(&list, &mut bytes);
            let mut got = Vec::new();
            prop_assert_eq!(decode(&bytes, list.len(), &mut got), Ok(bytes.len()));
            prop_assert!(got.len() == list.len() && got.iter().zip(&list).all(|(a, b)| equal(a, b)));
        }

        #[test]
        fn damaged_histograms_decode_or_not(list in proptest::collection::vec(any_histogram(), 1..3), place: usize, byte: u8) {
            let list: Vec<_> = list.into_iter().map(Arc::new).collect();
            let mut bytes = Vec::new();
            encode(&list, &mut bytes);
            let place = place % bytes.len();
            bytes[place] = byte;
            let _ = decode(&bytes, list.len(), &mut Vec::new());
            let _ = decode(&bytes, usize::MAX, &mut Vec::new());
        }
    }
}
