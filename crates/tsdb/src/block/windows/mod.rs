//! Chunks of down-sampled blocks: kept samples as an ordinary chunk, then totals in columns. See `FORMAT.md`, "data".

mod read;

pub(crate) use read::{Scratch, Wanted, read};

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
    use crate::{codec::histograms::tests::any_histogram, tier::Mode};
    use model::{SampleValue, stale::is_stale_nan};
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

    /// Whatever can be told of samples, bit for bit.
    fn told(samples: &Samples) -> Vec<String> {
        let one = |at: usize| {
            let (value, start) = (samples.values[at].to_bits(), samples.start_timestamp(at));
            let histogram = samples.histogram(at);
            format!("{} {value:x} {histogram:?} {start} {:?}", samples.timestamps[at], samples.tier(at))
        };
        (0..samples.len()).map(one).collect()
    }

    /// Samples of a counter that falls often, or of a gauge.
    fn any_floats() -> impl Strategy<Value = Samples> {
        let value = prop_oneof![
            12 => (0..20_u32).prop_map(f64::from),
            1 => Just(model::stale::STALE_NAN),
            1 => any::<f64>(),
        ];
        proptest::collection::vec((1_i64..8, value), 1..200).prop_map(|list| {
            let (mut samples, mut time) = (Samples::default(), -50);
            for (gap, value) in list {
                time += gap;
                samples.push_float(time, value);
            }
            samples
        })
    }

    proptest! {
        #[test]
        fn columns_that_a_function_needs_tell_what_all_tell(
            samples in prop_oneof![4 => any_floats(), 1 => any_samples()],
            is_gauge: bool,
            resolution_ms in 1_i64..60,
            most in 1_usize..40,
            (start_ms, length_ms) in prop_oneof![1 => Just((i64::MIN, i64::MAX)), 1 => (-60_i64..300, 0_i64..600)],
            before in any_floats(),
        ) {
            let windows = Windows::of(&samples, resolution_ms, is_gauge);
            let end_ms = start_ms.saturating_add(length_ms);
            for mode in [Mode::Kept, Mode::Counter, Mode::Min, Mode::Max, Mode::Sum] {
                let wanted = Wanted { resolution_ms, mode, start_ms, end_ms };
                // Behind other samples, raw ones.
                let (mut all, mut own, mut scratch) = (before.clone(), before.clone(), Scratch::default());
                windows.read(resolution_ms, mode, start_ms, end_ms, &mut all);
                for (kept, totals) in windows.chunks(resolution_ms, most) {
                    let mut bytes = Vec::new();
                    encode(&windows, resolution_ms, kept, totals, &mut bytes);
                    let column = &windows.kept.timestamps[kept.0..kept.1];
                    let length = own.len();
                    let other = Wanted { resolution_ms: resolution_ms + 1, ..wanted };
                    let outcome = read(&bytes, column, other, &mut scratch, &mut own);
                    prop_assert!(outcome.is_none());
                    prop_assert_eq!(own.len(), length);
                    let outcome = read(&bytes, column, wanted, &mut scratch, &mut own);
                    prop_assert!(outcome.is_some());
                }
                prop_assert_eq!(told(&own), told(&all), "{:?}", mode);
                prop_assert_eq!((own.values.len(), own.timestamps.len()), (own.len(), all.len()));
                let stale = |samples: &Samples| samples.values.iter().filter(|value| is_stale_nan(**value)).count();
                prop_assert_eq!(stale(&own), stale(&all));
            }
        }

        #[test]
        fn damaged_chunks_are_read_or_not(
            samples in prop_oneof![3 => any_floats(), 1 => any_samples()],
            resolution_ms in 1_i64..60,
            damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        ) {
            let windows = Windows::of(&samples, resolution_ms, false);
            let mut bytes = Vec::new();
            encode(&windows, resolution_ms, (0, windows.kept.len()), (0, windows.totals.len()), &mut bytes);
            for (place, byte) in damage {
                let place = place % bytes.len();
                bytes[place] = byte;
            }
            for mode in [Mode::Kept, Mode::Counter, Mode::Min, Mode::Max, Mode::Sum] {
                let wanted = Wanted { resolution_ms, mode, start_ms: i64::MIN, end_ms: i64::MAX };
                let mut own = Samples::default();
                own.push_float(i64::MIN, 1.0);
                let outcome = read(&bytes, &windows.kept.timestamps, wanted, &mut Scratch::default(), &mut own);
                // Every sample has all that samples have.
                prop_assert_eq!(own.values.len(), own.timestamps.len());
                prop_assert!(own.tiers.is_empty() || own.tiers.len() == own.len());
                prop_assert!(outcome.is_some() || own.len() == 1);
            }
        }

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
