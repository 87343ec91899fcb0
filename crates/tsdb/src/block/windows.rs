//! Chunks of down-sampled blocks: kept samples as an ordinary chunk, then totals in columns. See `FORMAT.md`, "data".

use super::chunk;
use crate::{
    bytes::{Reader, put_uvarint},
    codec::{floats, histograms},
    tier::{Totals, Windows, window_of},
};

/// Beside the kinds of `chunk`.
pub(crate) const KIND_WINDOWS: u8 = 3;

/// Appends parts of `windows`: kept samples and totals of the same windows, not empty.
pub(crate) fn encode(
    windows: &Windows,
    resolution_ms: i64,
    kept: (usize, usize),
    totals: (usize, usize),
    out: &mut Vec<u8>,
) {
    out.push(KIND_WINDOWS);
    put_uvarint(out, resolution_ms.unsigned_abs());
    let mut part = Vec::new();
    chunk::encode(&windows.kept, kept.0, kept.1, &mut part);
    put_uvarint(out, part.len() as u64);
    out.append(&mut part);
    let totals = &windows.totals[totals.0..totals.1];
    let mut column = |values: &mut dyn Iterator<Item = f64>, out: &mut Vec<u8>| {
        part.clear();
        floats::encode(&values.collect::<Vec<_>>(), &mut part);
        put_uvarint(out, part.len() as u64);
        out.extend_from_slice(&part);
    };
    // A negative count tells of histograms.
    let sign = |totals: &Totals| if totals.histogram.is_some() { -1.0 } else { 1.0 };
    column(&mut totals.iter().map(|totals| sign(totals) * f64::from(totals.count)), out);
    let of_floats = || totals.iter().filter(|totals| totals.count > 0 && totals.histogram.is_none());
    for field in [|t: &Totals| t.min, |t: &Totals| t.max, |t: &Totals| t.sum, |t: &Totals| t.hidden] {
        column(&mut of_floats().map(field), out);
    }
    let sums: Vec<_> = totals.iter().filter_map(|totals| totals.histogram.clone()).collect();
    histograms::encode(&sums, out);
}

/// The parts of such a chunk that tell where its others are: resolution, chunk of the kept samples, the rest.
fn split(bytes: &[u8]) -> Option<(i64, &[u8], Reader<'_>)> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != KIND_WINDOWS {
        return None;
    }
    let resolution_ms = i64::try_from(reader.uvarint()?).ok().filter(|resolution_ms| *resolution_ms > 0)?;
    let length = usize::try_from(reader.uvarint()?).ok()?;
    // One within the other would be read without end.
    let kept = reader.take(length).filter(|kept| kept.first() != Some(&KIND_WINDOWS))?;
    Some((resolution_ms, kept, reader))
}

/// The chunk of the samples that are kept.
pub(crate) fn kept(bytes: &[u8]) -> Option<&[u8]> {
    split(bytes).map(|(_, kept, _)| kept)
}

/// Reads a chunk whose kept samples have the times of `column`; `None` if it cannot have been written so.
pub(crate) fn decode(bytes: &[u8], column: &[i64], resolution_ms: i64) -> Option<Windows> {
    let (own_ms, kept, mut reader) = split(bytes)?;
    if own_ms != resolution_ms {
        return None;
    }
    let mut windows = Windows::default();
    chunk::decode(kept, column, i64::MIN, i64::MAX, &mut windows.kept)?;
    for time in column {
        let window = window_of(*time, resolution_ms);
        match windows.totals.last() {
            Some(last) if last.window == window => {}
            // Windows ascend with the times.
            Some(last) if last.window > window => return None,
            _ => windows.totals.push(Totals { window, ..Totals::default() }),
        }
    }
    let mut column = |count: usize| {
        let length = usize::try_from(reader.uvarint()?).ok()?;
        let bytes = reader.take(length)?;
        let mut values = Vec::new();
        floats::decode(bytes, count, &mut values).ok()?;
        Some(values)
    };
    let counts = column(windows.totals.len())?;
    let of_floats = counts.iter().filter(|count| **count > 0.0).count();
    let columns = [column(of_floats)?, column(of_floats)?, column(of_floats)?, column(of_floats)?];
    let mut sums = Vec::new();
    let of_histograms = counts.iter().filter(|count| **count < 0.0).count();
    histograms::decode(reader.rest(), of_histograms, &mut sums).ok()?;
    let (mut sums, mut at) = (sums.into_iter(), 0);
    for (totals, count) in windows.totals.iter_mut().zip(counts) {
        if count > 0.0 {
            let [min, max, sum, hidden] = &columns;
            (totals.min, totals.max) = (*min.get(at)?, *max.get(at)?);
            (totals.sum, totals.hidden) = (*sum.get(at)?, *hidden.get(at)?);
            at += 1;
        } else if count < 0.0 {
            totals.histogram = Some(sums.next()?);
        }
        // Counts are whole numbers far below the limit.
        totals.count = count.abs() as u32;
    }
    Some(windows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::histograms::tests::any_histogram;
    use model::SampleValue;
    use proptest::prelude::*;
    use std::sync::Arc;
    use storage::Samples;

    fn any_samples() -> impl Strategy<Value = Samples> {
        let value = prop_oneof![
            4 => (0..20_u32).prop_map(|value| SampleValue::Float(f64::from(value))),
            1 => any::<u64>().prop_map(|bits| SampleValue::Float(f64::from_bits(bits))),
            1 => Just(SampleValue::Float(model::stale::STALE_NAN)),
            1 => any_histogram().prop_map(|histogram| SampleValue::Histogram(Arc::new(histogram))),
        ];
        proptest::collection::vec((1_i64..8, value), 1..60).prop_map(|list| {
            let (mut samples, mut time) = (Samples::default(), -50);
            for (gap, value) in list {
                time += gap;
                samples.push(time, value);
            }
            samples
        })
    }

    proptest! {
        #[test]
        fn chunks_survive(samples in any_samples(), resolution_ms in 1_i64..40, most in 1_usize..20, place: usize, byte: u8) {
            let windows = Windows::of(&samples, resolution_ms, false);
            let mut parts = Vec::new();
            for (kept, totals) in windows.chunks(resolution_ms, most) {
                let mut bytes = Vec::new();
                encode(&windows, resolution_ms, kept, totals, &mut bytes);
                let column = &windows.kept.timestamps[kept.0..kept.1];
                parts.push(decode(&bytes, column, resolution_ms).unwrap());
                prop_assert!(decode(&bytes, column, resolution_ms + 1).is_none());
                let mut plain = Samples::default();
                chunk::decode(&bytes, column, i64::MIN, i64::MAX, &mut plain).unwrap();
                prop_assert_eq!(&plain.timestamps, column);
                // Damage is found or gives something else, and ends nothing.
                let place = place % bytes.len();
                bytes[place] = byte;
                let _ = decode(&bytes, column, resolution_ms);
            }
            let merged = Windows::merge(parts, resolution_ms);
            prop_assert_eq!(format!("{merged:?}"), format!("{windows:?}"));
            prop_assert!(merged.kept.values.iter().zip(&windows.kept.values).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }
}
