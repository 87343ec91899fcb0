//! Native histograms, bit for bit, each as its difference to the one before.

use super::value;
use crate::bytes::{Reader, put_uvarint, put_varint};
use model::histogram::{CounterResetHint, FloatHistogram, Span};

/// Spans, schema, threshold and custom bounds are those of the histogram before.
const FLAG_SAME_SHAPE: u8 = 0x80;

/// Appends `histogram`, told by its difference to `previous` (the default histogram at a beginning).
pub(crate) fn encode(previous: &FloatHistogram, histogram: &FloatHistogram, out: &mut Vec<u8>) {
    let same_shape = same_shape(previous, histogram);
    let hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    };
    out.push(hint | if same_shape { FLAG_SAME_SHAPE } else { 0 });
    if !same_shape {
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
    let mut put = |previous: f64, value: f64| {
        let at = out.len();
        out.push(0);
        out[at] = value::encode(previous, value, 0, out);
    };
    put(previous.zero_count, histogram.zero_count);
    put(previous.count, histogram.count);
    put(previous.sum, histogram.sum);
    for (old, new) in [
        (&previous.positive_buckets, &histogram.positive_buckets),
        (&previous.negative_buckets, &histogram.negative_buckets),
    ] {
        for (index, &bucket) in new.iter().enumerate() {
            let before = if same_shape { old[index] } else { 0.0 };
            put(before, bucket);
        }
    }
}

/// Reads what [`encode`] wrote; `None` if it cannot have been written.
pub(crate) fn decode(previous: &FloatHistogram, reader: &mut Reader<'_>) -> Option<FloatHistogram> {
    let flags = reader.u8()?;
    let same_shape = flags & FLAG_SAME_SHAPE != 0;
    let counter_reset_hint = match flags & !FLAG_SAME_SHAPE {
        0 => CounterResetHint::Unknown,
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => return None,
    };
    let mut histogram = FloatHistogram { counter_reset_hint, ..FloatHistogram::default() };
    let (positive, negative);
    if same_shape {
        histogram.schema = previous.schema;
        histogram.zero_threshold = previous.zero_threshold;
        histogram.positive_spans.clone_from(&previous.positive_spans);
        histogram.negative_spans.clone_from(&previous.negative_spans);
        histogram.custom_values.clone_from(&previous.custom_values);
        (positive, negative) = (0, 0);
    } else {
        histogram.schema = i32::try_from(reader.varint()?).ok()?;
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
        (positive, negative) = (reader.count()?, reader.count()?);
    }
    let mut take = |previous: f64| {
        let code = reader.u8()?;
        value::decode(previous, code, 0, reader)
    };
    histogram.zero_count = take(previous.zero_count)?;
    histogram.count = take(previous.count)?;
    histogram.sum = take(previous.sum)?;
    for (old, new, count) in [
        (&previous.positive_buckets, &mut histogram.positive_buckets, positive),
        (&previous.negative_buckets, &mut histogram.negative_buckets, negative),
    ] {
        if same_shape {
            for &before in old {
                new.push(take(before)?);
            }
        } else {
            for _ in 0..count {
                new.push(take(0.0)?);
            }
        }
    }
    Some(histogram)
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

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::chunk::value::tests::any_value;
    use proptest::prelude::*;

    /// Equal in every bit, NaN included.
    fn equal(a: &FloatHistogram, b: &FloatHistogram) -> bool {
        same_shape(a, b)
            && a.counter_reset_hint == b.counter_reset_hint
            && same_bits(&[a.zero_count, a.count, a.sum], &[b.zero_count, b.count, b.sum])
            && same_bits(&a.positive_buckets, &b.positive_buckets)
            && same_bits(&a.negative_buckets, &b.negative_buckets)
    }

    pub(crate) fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
        let spans = || proptest::collection::vec((-3_i32..9, 0_u32..4), 0..3);
        let floats = || proptest::collection::vec(any_value(), 0..5);
        let hints = prop_oneof![
            Just(CounterResetHint::Unknown),
            Just(CounterResetHint::Reset),
            Just(CounterResetHint::NotReset),
            Just(CounterResetHint::Gauge)
        ];
        (
            (hints, -53_i32..9, any_value(), any_value(), any_value(), any_value()),
            (spans(), floats(), spans(), floats(), floats()),
        )
            .prop_map(
                |(
                    (counter_reset_hint, schema, zero_threshold, zero_count, count, sum),
                    (p, pb, n, nb, custom_values),
                )| {
                    let spans = |all: Vec<(i32, u32)>| {
                        all.into_iter().map(|(offset, length)| Span { offset, length }).collect()
                    };
                    FloatHistogram {
                        counter_reset_hint,
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
        fn histograms_survive_bit_for_bit(list in proptest::collection::vec((any_histogram(), 0_usize..3), 1..5)) {
            // Each shape several times in a row, so that differences are taken too.
            let list: Vec<_> = list.into_iter().flat_map(|(histogram, times)| vec![histogram; times + 1]).collect();
            let mut out = Vec::new();
            let mut previous = FloatHistogram::default();
            for histogram in &list {
                encode(&previous, histogram, &mut out);
                previous = histogram.clone();
            }
            let mut reader = Reader::new(&out);
            previous = FloatHistogram::default();
            for histogram in &list {
                previous = decode(&previous, &mut reader).unwrap();
                prop_assert!(equal(&previous, histogram));
            }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_decode_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..60), previous in any_histogram()) {
            let _ = decode(&previous, &mut Reader::new(&bytes));
        }
    }
}
