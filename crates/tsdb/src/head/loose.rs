//! Samples of one series that are in no row: late ones, histograms, those with times of their own.

use crate::{
    bytes::{Reader, put_uvarint, put_varint},
    codec::{floats, histograms, times},
};
use model::SampleValue;
use std::{collections::BTreeSet, sync::Arc};
use storage::{Samples, fanout::merge_samples};

/// So many samples wait uncompressed.
const OPEN_MAX: usize = 128;

/// Equal in every bit.
pub(crate) fn same_value(a: &SampleValue, b: &SampleValue) -> bool {
    match (a, b) {
        (SampleValue::Float(a), SampleValue::Float(b)) => a.to_bits() == b.to_bits(),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => histograms::equal(a, b),
        _ => false,
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Loose {
    /// Ascending, none of these times elsewhere.
    open: Vec<(i64, SampleValue)>,
    /// They may overlap.
    pieces: Vec<Arc<Piece>>,
    /// The newest that was ever here, even if it was deleted.
    pub(crate) last: Option<(i64, SampleValue)>,
}

/// Samples of one kind, compressed.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    count: u32,
    histograms: bool,
    /// Times, then values.
    data: Box<[u8]>,
}

impl Piece {
    /// The samples, all floats or all histograms.
    fn new(samples: &[(i64, SampleValue)]) -> Piece {
        let timestamps: Vec<i64> = samples.iter().map(|(time, _)| *time).collect();
        let mut data = Vec::new();
        times::encode(&timestamps, &mut data);
        let histograms = samples.iter().any(|(_, value)| matches!(value, SampleValue::Histogram(_)));
        if histograms {
            let column: Vec<_> = samples
                .iter()
                .filter_map(|(_, value)| match value {
                    SampleValue::Histogram(histogram) => Some(Arc::clone(histogram)),
                    SampleValue::Float(_) => None,
                })
                .collect();
            histograms::encode(&column, &mut data);
        } else {
            let column: Vec<f64> = samples
                .iter()
                .filter_map(|(_, value)| match value {
                    SampleValue::Float(value) => Some(*value),
                    SampleValue::Histogram(_) => None,
                })
                .collect();
            floats::encode(&column, &mut data);
        }
        Piece {
            min_ms: timestamps.first().copied().unwrap_or(0),
            max_ms: timestamps.last().copied().unwrap_or(0),
            count: timestamps.len() as u32,
            histograms,
            data: data.into(),
        }
    }

    /// As a checkpoint tells it.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.min_ms);
        put_varint(out, self.max_ms);
        put_uvarint(out, u64::from(self.count));
        out.push(u8::from(self.histograms));
        put_uvarint(out, self.data.len() as u64);
        out.extend_from_slice(&self.data);
    }

    /// Takes what [`Piece::put`] wrote; `None` for bytes that it cannot have written.
    pub(crate) fn take(reader: &mut Reader<'_>) -> Option<Piece> {
        let (min_ms, max_ms) = (reader.varint()?, reader.varint()?);
        let count = u32::try_from(reader.uvarint()?).ok().filter(|count| (1..=OPEN_MAX as u32).contains(count))?;
        let histograms = reader.u8().filter(|kind| *kind < 2)? == 1;
        let length = reader.count()?;
        Some(Piece { min_ms, max_ms, count, histograms, data: reader.take(length)?.into() })
    }

    pub(crate) fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        self.min_ms <= end_ms && start_ms <= self.max_ms
    }

    pub(crate) fn read(&self, start_ms: i64, end_ms: i64, into: &mut Samples) {
        let mut timestamps = Vec::with_capacity(self.count as usize);
        let Ok(used) = times::decode(&self.data, &mut timestamps) else { return };
        let values = &self.data[used..];
        let within = |time: &i64| (start_ms..=end_ms).contains(time);
        if self.histograms {
            let mut column = Vec::new();
            if histograms::decode(values, timestamps.len(), &mut column).is_ok() {
                for (time, histogram) in timestamps.into_iter().zip(column).filter(|(time, _)| within(time)) {
                    into.push_histogram(time, histogram);
                }
            }
        } else {
            let mut column = Vec::with_capacity(timestamps.len());
            if floats::decode(values, timestamps.len(), &mut column).is_ok() {
                for (time, value) in timestamps.into_iter().zip(column).filter(|(time, _)| within(time)) {
                    into.push_float(time, value);
                }
            }
        }
    }
}

impl Loose {
    /// Adds a sample at a time that has none.
    pub(crate) fn insert(&mut self, timestamp_ms: i64, value: SampleValue, block_range_ms: i64) {
        if self.last.as_ref().is_none_or(|(last, _)| *last < timestamp_ms) {
            self.last = Some((timestamp_ms, value.clone()));
        }
        let at = self.open.partition_point(|(time, _)| *time < timestamp_ms);
        self.open.insert(at, (timestamp_ms, value));
        if self.open.len() >= OPEN_MAX {
            self.seal(i64::MAX, block_range_ms);
        }
    }

    /// Compresses what lies before a time. Pieces cross no border of a block.
    pub(crate) fn seal(&mut self, before_ms: i64, block_range_ms: i64) {
        let count = self.open.partition_point(|(time, _)| *time < before_ms);
        let kind = |sample: &(i64, SampleValue)| {
            (matches!(sample.1, SampleValue::Histogram(_)), sample.0.div_euclid(block_range_ms))
        };
        for run in self.open[..count].chunk_by(|a, b| kind(a) == kind(b)) {
            self.pieces.push(Arc::new(Piece::new(run)));
        }
        self.open.drain(..count);
        if self.open.is_empty() {
            self.open.shrink_to_fit();
        }
    }

    /// With samples that are ascending in time.
    pub(crate) fn of(open: Vec<(i64, SampleValue)>, last: Option<(i64, SampleValue)>) -> Loose {
        Loose { open, pieces: Vec::new(), last }
    }

    pub(crate) fn open(&self) -> &[(i64, SampleValue)] {
        &self.open
    }

    pub(crate) fn add_piece(&mut self, piece: Piece) {
        self.pieces.push(Arc::new(piece));
    }

    pub(crate) fn pieces(&self) -> &[Arc<Piece>] {
        &self.pieces
    }

    /// Drops pieces that are in a block now.
    pub(crate) fn forget(&mut self, pieces: &[Arc<Piece>]) -> usize {
        let before = self.pieces.len();
        self.pieces.retain(|own| !pieces.iter().any(|piece| Arc::ptr_eq(own, piece)));
        before - self.pieces.len()
    }

    /// Deletes the samples between two times, both inclusive.
    pub(crate) fn delete(&mut self, start_ms: i64, end_ms: i64) {
        let outside = |time: i64| !(start_ms..=end_ms).contains(&time);
        self.open.retain(|(time, _)| outside(*time));
        for piece in std::mem::take(&mut self.pieces) {
            if !piece.overlaps(start_ms, end_ms) {
                self.pieces.push(piece);
                continue;
            }
            let mut samples = Samples::default();
            piece.read(i64::MIN, i64::MAX, &mut samples);
            let left: Vec<(i64, SampleValue)> = (0..samples.len())
                .filter(|at| outside(samples.timestamps[*at]))
                .map(|at| (samples.timestamps[at], samples.value(at)))
                .collect();
            if !left.is_empty() {
                self.pieces.push(Arc::new(Piece::new(&left)));
            }
        }
    }

    /// Adds the numbers of the block ranges that have samples.
    pub(crate) fn block_numbers(&self, block_range_ms: i64, into: &mut BTreeSet<i64>) {
        let times = self.pieces.iter().map(|piece| piece.min_ms).chain(self.open.iter().map(|(time, _)| *time));
        into.extend(times.map(|time| time.div_euclid(block_range_ms)));
    }

    /// Oldest and newest time.
    pub(crate) fn extent(&self) -> Option<(i64, i64)> {
        let open = self.open.first().zip(self.open.last()).map(|(first, last)| (first.0, last.0));
        let pieces = self.pieces.iter().map(|piece| (piece.min_ms, piece.max_ms));
        pieces.chain(open).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The samples between two times, both inclusive.
    pub(crate) fn read(&self, start_ms: i64, end_ms: i64) -> Samples {
        let mut parts = Vec::with_capacity(self.pieces.len() + 1);
        for piece in self.pieces.iter().filter(|piece| piece.overlaps(start_ms, end_ms)) {
            let mut samples = Samples::default();
            piece.read(start_ms, end_ms, &mut samples);
            parts.push(samples);
        }
        let mut open = Samples::default();
        for (time, value) in self.open.iter().filter(|(time, _)| (start_ms..=end_ms).contains(time)) {
            open.push(*time, value.clone());
        }
        parts.push(open);
        if parts.len() == 1 {
            return parts.pop().unwrap_or_default();
        }
        let mut merged = Samples::default();
        merge_samples(parts, &mut merged);
        merged
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
mod tests {
    use super::*;
    use model::FloatHistogram;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn text(value: &SampleValue) -> String {
        match value {
            SampleValue::Float(value) => format!("{:x}", value.to_bits()),
            SampleValue::Histogram(histogram) => format!("{histogram:?}"),
        }
    }

    proptest! {
        #[test]
        fn it_is_a_map(
            operations in proptest::collection::vec((0_i64..600, 0_u8..6, any::<bool>()), 0..400),
            from in 0_i64..600, length in 0_i64..300,
        ) {
            let (mut loose, mut expected) = (Loose::default(), BTreeMap::new());
            for (time, what, histogram) in operations {
                let value = if histogram {
                    SampleValue::Histogram(Arc::new(FloatHistogram { count: time as f64, ..FloatHistogram::default() }))
                } else {
                    SampleValue::Float(f64::from(what))
                };
                match what {
                    0 => loose.seal(time, 100),
                    1 if histogram => {
                        loose.delete(time, time + 20);
                        expected.retain(|at, _| !(time..=time + 20).contains(at));
                    }
                    _ => if let std::collections::btree_map::Entry::Vacant(entry) = expected.entry(time) {
                        entry.insert(text(&value));
                        loose.insert(time, value, 100);
                    },
                }
            }
            for piece in loose.pieces() {
                prop_assert_eq!(piece.min_ms / 100, piece.max_ms / 100);
            }
            let samples = loose.read(from, from + length);
            let got: BTreeMap<i64, String> = (0..samples.len()).map(|at| (samples.timestamps[at], text(&samples.value(at)))).collect();
            prop_assert_eq!(got, expected.range(from..=from + length).map(|(time, value)| (*time, value.clone())).collect::<BTreeMap<_, _>>());
            prop_assert_eq!(loose.extent(), expected.first_key_value().zip(expected.last_key_value()).map(|(a, b)| (*a.0, *b.0)));
        }
    }
}
