//! Chunks of a block: times and values apart, values scaled to integers where all of them allow it.
//! Written whole, made for the compressor that comes after. See `FORMAT.md`, "Chunks of a block".

use super::{ChunkKind, histogram, value};
use crate::bytes::{Reader, put_varint};
use model::FloatHistogram;
use std::sync::Arc;
use storage::Samples;

/// Times as differences of differences. The count stands elsewhere.
pub(crate) fn encode_times(times: &[i64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(times.len() + 16);
    let (mut time, mut delta) = (0_i64, 0_i64);
    for (index, &next) in times.iter().enumerate() {
        let step = next.wrapping_sub(time);
        put_varint(&mut out, step.wrapping_sub(delta));
        delta = if index == 0 { 0 } else { step };
        time = next;
    }
    out
}

pub(crate) fn decode_times(count: usize, reader: &mut Reader<'_>) -> Option<Vec<i64>> {
    let mut times = Vec::with_capacity(count.min(reader.remaining()));
    let (mut time, mut delta) = (0_i64, 0_i64);
    for index in 0..count {
        delta = delta.wrapping_add(reader.varint()?);
        time = time.wrapping_add(delta);
        if index == 0 {
            delta = 0;
        }
        // Readers rely on ascending times.
        if times.last().is_some_and(|&last| last >= time) {
            return None;
        }
        times.push(time);
    }
    Some(times)
}

/// Appends the values of `samples[start..end]`, all of `kind`.
pub(crate) fn encode_values(kind: ChunkKind, samples: &Samples, start: usize, end: usize, out: &mut Vec<u8>) {
    match kind {
        ChunkKind::Float => {
            let values = &samples.values[start..end];
            let scale = value::best_scale(values);
            let mut payload = Vec::with_capacity(values.len() * 2);
            out.push(scale);
            let mut previous = 0.0;
            for &next in values {
                out.push(value::encode(previous, next, scale, &mut payload));
                previous = next;
            }
            out.extend_from_slice(&payload);
        }
        ChunkKind::Histogram => {
            let mut previous = &FloatHistogram::default();
            for index in start..end {
                if let Some(next) = samples.histogram(index) {
                    histogram::encode(previous, next, out);
                    previous = next;
                }
            }
        }
    }
}

/// Reads values for `times` and appends those between two times to `into`; `None` if the bytes cannot have been written.
pub(crate) fn decode_values(
    kind: ChunkKind,
    times: &[i64],
    reader: &mut Reader<'_>,
    start_ms: i64,
    end_ms: i64,
    into: &mut Samples,
) -> Option<()> {
    match kind {
        ChunkKind::Float => {
            let scale = reader.u8().filter(|scale| *scale <= value::SCALE_MAX)?;
            let codes = reader.take(times.len())?;
            let mut previous = 0.0;
            for (&time, &code) in times.iter().zip(codes) {
                if time > end_ms {
                    break;
                }
                previous = value::decode(previous, code, scale, reader)?;
                if time >= start_ms {
                    into.push_float(time, previous);
                }
            }
        }
        ChunkKind::Histogram => {
            let mut previous = Arc::new(FloatHistogram::default());
            for &time in times {
                if time > end_ms {
                    break;
                }
                previous = Arc::new(histogram::decode(&previous, reader)?);
                if time >= start_ms {
                    into.push_histogram(time, Arc::clone(&previous));
                }
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::value::tests::any_value;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_survive(samples in proptest::collection::btree_map(any::<i64>(), any_value(), 1..60)) {
            let mut columns = Samples::default();
            for (&time, &value) in &samples {
                columns.push_float(time, value);
            }
            let times = encode_times(&columns.timestamps);
            let mut values = Vec::new();
            encode_values(ChunkKind::Float, &columns, 0, columns.len(), &mut values);
            let times = decode_times(columns.len(), &mut Reader::new(&times)).unwrap();
            let mut got = Samples::default();
            decode_values(ChunkKind::Float, &times, &mut Reader::new(&values), i64::MIN, i64::MAX, &mut got).unwrap();
            prop_assert_eq!(&got.timestamps, &columns.timestamps);
            prop_assert!(got.values.iter().zip(&columns.values).all(|(a, b)| a.to_bits() == b.to_bits()));
        }

        #[test]
        fn any_bytes_decode_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..60), count in 0_usize..20) {
            let mut into = Samples::default();
            let times = decode_times(count, &mut Reader::new(&bytes)).unwrap_or_else(|| (0..20).collect());
            for kind in [ChunkKind::Float, ChunkKind::Histogram] {
                let _ = decode_values(kind, &times, &mut Reader::new(&bytes), 0, 10, &mut into);
            }
        }
    }
}
