//! Chunks: the samples of a series in a window, without their times. See `FORMAT.md`, "Chunks".

use super::windows;
use crate::{
    bytes::Reader,
    codec::{floats, histograms, times},
};
use storage::Samples;

const KIND_FLOATS: u8 = 0;
const KIND_HISTOGRAMS: u8 = 1;
const KIND_MIXED: u8 = 2;
/// Flag: the times when the counters started follow.
const FLAG_STARTS: u8 = 4;

/// Appends `samples[start..end]`, not empty.
pub(crate) fn encode(samples: &Samples, start: usize, end: usize, out: &mut Vec<u8>) {
    let starts = samples.start_timestamps.get(start..end).filter(|starts| starts.iter().any(|start| *start != 0));
    let flags = if starts.is_some() { FLAG_STARTS } else { 0 };
    let some = samples.histograms.get(start..end).unwrap_or_default();
    let found: Vec<_> = some.iter().flatten().cloned().collect();
    if found.is_empty() {
        out.push(KIND_FLOATS | flags);
        floats::encode(&samples.values[start..end], out);
    } else if found.len() == end - start {
        out.push(KIND_HISTOGRAMS | flags);
        histograms::encode(&found, out);
    } else {
        out.push(KIND_MIXED | flags);
        let which: Vec<f64> = some.iter().map(|histogram| f64::from(u8::from(histogram.is_some()))).collect();
        floats::encode(&which, out);
        let plain = (start..end).filter(|&index| samples.histogram(index).is_none());
        floats::encode(&plain.map(|index| samples.values[index]).collect::<Vec<_>>(), out);
        histograms::encode(&found, out);
    }
    if let Some(starts) = starts {
        times::encode(starts, out);
    }
}

/// The column of a chunk that is one of floats and nothing else.
pub(crate) fn plain_floats(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split_first().filter(|(head, _)| **head == KIND_FLOATS).map(|(_, column)| column)
}

/// Appends the samples between two times, both inclusive, to `into`. `None`, and `into` as before, if the bytes
/// cannot have been written.
pub(crate) fn decode(bytes: &[u8], column: &[i64], start_ms: i64, end_ms: i64, into: &mut Samples) -> Option<()> {
    let (from, to) = (column.partition_point(|time| *time < start_ms), column.partition_point(|time| *time <= end_ms));
    if from >= to {
        return Some(());
    }
    let (&head, body) = bytes.split_first()?;
    if head == windows::KIND_WINDOWS {
        return decode(windows::kept(bytes)?, column, start_ms, end_ms, into);
    }
    let before = into.len();
    if head == KIND_FLOATS && into.histograms.is_empty() && into.start_timestamps.is_empty() && into.tiers.is_empty() {
        match floats::constant(body) {
            Some(value) => into.values.resize(before + to - from, value),
            None => {
                if floats::decode(body, column.len(), &mut into.values).is_err() {
                    into.values.truncate(before);
                    return None;
                }
                into.values.truncate(before + to);
                if from > 0 {
                    into.values.drain(before..before + from);
                }
            }
        }
        into.timestamps.extend_from_slice(&column[from..to]);
        return Some(());
    }
    let all = decode_whole(head, body, column)?;
    for index in from..to {
        into.push(all.timestamps[index], all.value(index));
        into.set_last_start_timestamp(all.start_timestamp(index));
    }
    Some(())
}

fn decode_whole(head: u8, body: &[u8], column: &[i64]) -> Option<Samples> {
    let mut reader = Reader::new(body);
    let count = column.len();
    let floats = |reader: &mut Reader<'_>, count: usize| {
        let mut values = Vec::new();
        let used = floats::decode(reader.rest(), count, &mut values).ok()?;
        reader.take(used)?;
        Some(values)
    };
    let histograms = |reader: &mut Reader<'_>, count: usize| {
        let mut list = Vec::new();
        let used = histograms::decode(reader.rest(), count, &mut list).ok()?;
        reader.take(used)?;
        Some(list)
    };
    let mut all = Samples { timestamps: column.to_vec(), ..Samples::default() };
    match head & !FLAG_STARTS {
        KIND_FLOATS => all.values = floats(&mut reader, count)?,
        KIND_HISTOGRAMS => {
            all.histograms = histograms(&mut reader, count)?.into_iter().map(Some).collect();
            all.values = vec![0.0; count];
        }
        KIND_MIXED => {
            let which = floats(&mut reader, count)?;
            let found = which.iter().filter(|which| **which != 0.0).count();
            let mut values = floats(&mut reader, count - found)?.into_iter();
            let mut list = histograms(&mut reader, found)?.into_iter();
            for which in which {
                let is_histogram = which != 0.0;
                all.histograms.push(if is_histogram { Some(list.next()?) } else { None });
                all.values.push(if is_histogram { 0.0 } else { values.next()? });
            }
        }
        _ => return None,
    }
    if head & FLAG_STARTS != 0 {
        times::decode(reader.rest(), &mut all.start_timestamps).ok()?;
        if all.start_timestamps.len() != count {
            return None;
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::histograms::tests::any_histogram;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn any_samples() -> impl Strategy<Value = Samples> {
        let sample = (any::<u64>(), proptest::option::of(any_histogram()), any::<i64>());
        (proptest::collection::vec(sample, 1..20), 0_usize..3, any::<bool>()).prop_map(|(list, kind, starts)| {
            let mut samples = Samples::default();
            for (index, (bits, histogram, start)) in list.into_iter().enumerate() {
                match (kind, histogram) {
                    (0, _) => samples.push_float(index as i64 * 10, f64::from_bits(bits)),
                    (1, histogram) => {
                        samples.push_histogram(index as i64 * 10, Arc::new(histogram.unwrap_or_default()))
                    }
                    (_, None) => samples.push_float(index as i64 * 10, f64::from_bits(bits)),
                    (_, Some(histogram)) => samples.push_histogram(index as i64 * 10, Arc::new(histogram)),
                }
                if starts {
                    samples.set_last_start_timestamp(start);
                }
            }
            samples
        })
    }

    proptest! {
        #[test]
        fn chunks_survive(samples in any_samples(), other in any_samples(), start in -10_i64..210, length in 0_i64..210) {
            let mut bytes = Vec::new();
            encode(&samples, 0, samples.len(), &mut bytes);
            let mut got = other.clone();
            decode(&bytes, &samples.timestamps, start, start + length, &mut got).unwrap();
            let mut expected = other;
            for index in 0..samples.len() {
                if (start..=start + length).contains(&samples.timestamps[index]) {
                    expected.push(samples.timestamps[index], samples.value(index));
                    expected.set_last_start_timestamp(samples.start_timestamp(index));
                }
            }
            prop_assert_eq!(format!("{got:?}"), format!("{expected:?}"));
            prop_assert!(got.values.iter().zip(&expected.values).all(|(a, b)| a.to_bits() == b.to_bits()));
        }

        #[test]
        fn damaged_chunks_decode_or_not(samples in any_samples(), place: usize, byte: u8) {
            let mut bytes = Vec::new();
            encode(&samples, 0, samples.len(), &mut bytes);
            let place = place % bytes.len();
            bytes[place] = byte;
            let mut into = Samples::default();
            if decode(&bytes, &samples.timestamps, 0, 1000, &mut into).is_none() {
                prop_assert!(into.is_empty() && into.values.is_empty() && into.histograms.is_empty());
            }
        }
    }
}
