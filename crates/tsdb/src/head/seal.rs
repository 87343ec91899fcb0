//! Rows of a group that are complete: the columns of its series side by side, compressed, with one column of times.

use super::bits;
use crate::{
    bytes::{Reader, put_uvarint, put_varint},
    codec::{floats, times},
};
use storage::Samples;

/// Rows of a seal at most: the presence of a series is one word.
pub(crate) const ROWS_MAX: usize = 64;
/// Flag in a length: the series is not in every row, and the word that tells where comes first.
const PARTLY: u16 = 1 << 15;

#[derive(Debug, PartialEq)]
pub(crate) struct Seal {
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    rows: u16,
    /// Bytes of the times, which come first.
    times_bytes: u16,
    /// By slot, with [`PARTLY`]; 0: the series is in none of the rows. Slots behind the end are in none either.
    lengths: Box<[u16]>,
    data: Box<[u8]>,
}

impl Seal {
    /// Seals columns. `columns` gives for a slot which rows have a value, and those values; of no rows: not there.
    pub(crate) fn new(timestamps: &[i64], slots: usize, mut column: impl FnMut(usize, &mut Vec<f64>) -> u64) -> Seal {
        let all = if timestamps.len() >= 64 { u64::MAX } else { (1 << timestamps.len()) - 1 };
        let mut data = Vec::new();
        times::encode(timestamps, &mut data);
        let times_bytes = data.len() as u16;
        let mut lengths = Vec::with_capacity(slots);
        let mut values = Vec::with_capacity(timestamps.len());
        for slot in 0..slots {
            values.clear();
            let present = column(slot, &mut values);
            let start = data.len();
            let mut flag = 0;
            if present != 0 {
                if present != all {
                    flag = PARTLY;
                    data.extend_from_slice(&present.to_le_bytes());
                }
                floats::encode(&values, &mut data);
            }
            // 64 floats take some hundred bytes, whatever they are.
            lengths.push((data.len() - start) as u16 | flag);
        }
        // Copied: giving back the spare half of a buffer leaves it where it is.
        let data: Box<[u8]> = Box::from(data.as_slice());
        Seal {
            min_ms: timestamps.first().copied().unwrap_or(0),
            max_ms: timestamps.last().copied().unwrap_or(0),
            rows: timestamps.len() as u16,
            times_bytes,
            lengths: lengths.into(),
            data,
        }
    }

    /// As a checkpoint tells it.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.min_ms);
        put_varint(out, self.max_ms);
        put_uvarint(out, u64::from(self.rows));
        put_uvarint(out, u64::from(self.times_bytes));
        put_uvarint(out, self.lengths.len() as u64);
        for length in &self.lengths {
            put_uvarint(out, u64::from(length & !PARTLY) << 1 | u64::from(length & PARTLY != 0));
        }
        put_uvarint(out, self.data.len() as u64);
        out.extend_from_slice(&self.data);
    }

    /// Takes what [`Seal::put`] wrote, for a group of so many slots; `None` for bytes that it cannot have written.
    pub(crate) fn take(slots: usize, reader: &mut Reader<'_>) -> Option<Seal> {
        let (min_ms, max_ms) = (reader.varint()?, reader.varint()?);
        let rows = u16::try_from(reader.uvarint()?).ok().filter(|rows| (1..=ROWS_MAX).contains(&usize::from(*rows)))?;
        let times_bytes = u16::try_from(reader.uvarint()?).ok()?;
        let count = reader.count().filter(|count| *count <= slots)?;
        let mut lengths = Vec::with_capacity(count);
        let mut bytes = usize::from(times_bytes);
        for _ in 0..count {
            let told = reader.uvarint()?;
            let length = u16::try_from(told >> 1).ok().filter(|length| *length < PARTLY)?;
            bytes += usize::from(length);
            lengths.push(if told & 1 == 1 { length | PARTLY } else { length });
        }
        let length = reader.count().filter(|length| *length == bytes)?;
        let seal =
            Seal { min_ms, max_ms, rows, times_bytes, lengths: lengths.into(), data: reader.take(length)?.into() };
        let times = seal.timestamps();
        let is_whole = times.len() == seal.rows() && times.first() == Some(&min_ms) && times.last() == Some(&max_ms);
        (is_whole && times.is_sorted_by(|a, b| a < b)).then_some(seal)
    }

    pub(crate) fn rows(&self) -> usize {
        usize::from(self.rows)
    }

    pub(crate) fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        self.min_ms <= end_ms && start_ms <= self.max_ms
    }

    /// True if the series has samples here.
    pub(crate) fn has(&self, slot: usize) -> bool {
        self.lengths.get(slot).is_some_and(|length| *length != 0)
    }

    /// Number of series that have samples here.
    pub(crate) fn columns(&self) -> usize {
        self.lengths.iter().filter(|length| **length != 0).count()
    }

    pub(crate) fn timestamps(&self) -> Vec<i64> {
        let mut timestamps = Vec::with_capacity(self.rows());
        // What this module encoded can be decoded.
        let decoded = times::decode(&self.data[..usize::from(self.times_bytes)], &mut timestamps);
        if decoded.is_err() {
            timestamps.clear();
        }
        timestamps
    }

    /// Which rows the series is in, and its values there, appended to `values`.
    pub(crate) fn column(&self, slot: usize, values: &mut Vec<f64>) -> u64 {
        let Some(&length) = self.lengths.get(slot) else { return 0 };
        let start: usize = self.lengths[..slot].iter().map(|length| usize::from(length & !PARTLY)).sum();
        self.column_at(usize::from(self.times_bytes) + start, length, values)
    }

    fn column_at(&self, start: usize, length: u16, values: &mut Vec<f64>) -> u64 {
        let mut bytes = self.data.get(start..start + usize::from(length & !PARTLY)).unwrap_or_default();
        let mut present = if self.rows >= 64 { u64::MAX } else { (1 << self.rows) - 1 };
        if length & PARTLY != 0 {
            let Some((word, rest)) = bytes.split_first_chunk::<8>() else { return 0 };
            (present, bytes) = (u64::from_le_bytes(*word) & present, rest);
        }
        let count = present.count_ones() as usize;
        let before = values.len();
        if bytes.is_empty() || floats::decode(bytes, count, values).is_err() || values.len() - before != count {
            values.truncate(before);
            return 0;
        }
        present
    }

    /// Appends the samples between two times, both inclusive.
    pub(crate) fn read(&self, slot: usize, start_ms: i64, end_ms: i64, into: &mut Samples) {
        let Some(&length) = self.lengths.get(slot).filter(|length| **length != 0) else { return };
        let is_plain = into.histograms.is_empty() && into.start_timestamps.is_empty();
        if length & PARTLY == 0 && is_plain && start_ms <= self.min_ms && self.max_ms <= end_ms {
            let before = into.values.len();
            if self.column(slot, &mut into.values) != 0 {
                let decoded = times::decode(&self.data[..usize::from(self.times_bytes)], &mut into.timestamps);
                debug_assert!(decoded.is_ok() && into.timestamps.len() == into.values.len());
            }
            debug_assert!(into.values.len() == before || into.values.len() == before + self.rows());
            return;
        }
        let mut values = Vec::with_capacity(self.rows());
        let present = self.column(slot, &mut values);
        let mut values = values.into_iter();
        for (row, time) in self.timestamps().into_iter().enumerate() {
            if present >> row & 1 == 1
                && let Some(value) = values.next()
                && (start_ms..=end_ms).contains(&time)
            {
                into.push_float(time, value);
            }
        }
    }

    /// The same without what `keep` refuses; `None` if nothing is left.
    pub(crate) fn retain(&self, slots: &[u64], keep: impl Fn(i64) -> bool) -> Option<Seal> {
        let timestamps = self.timestamps();
        let kept: u64 = (timestamps.iter().enumerate()).filter(|(_, time)| keep(**time)).map(|(row, _)| 1 << row).sum();
        let mut all = Vec::new();
        let seal = Seal::new(&timestamps, self.lengths.len(), |slot, values| {
            all.clear();
            let present = self.column(slot, &mut all);
            let left = if bits::get(slots, slot) { present & kept } else { present };
            let mut own = all.iter();
            for row in 0..timestamps.len() {
                if present >> row & 1 == 1
                    && let Some(value) = own.next()
                    && left >> row & 1 == 1
                {
                    values.push(*value);
                }
            }
            left
        });
        (seal.columns() > 0).then_some(seal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_survive(
            rows in 1_usize..=64,
            columns in proptest::collection::vec((any::<u64>(), proptest::collection::vec(prop_oneof![any::<u64>().prop_map(f64::from_bits), (0_i64..9).prop_map(|v| v as f64)], 64)), 0..9),
            cut in 0_i64..700,
        ) {
            let timestamps: Vec<i64> = (0..rows as i64).map(|row| row * 10 + row % 3).collect();
            let mask = if rows == 64 { u64::MAX } else { (1 << rows) - 1 };
            let seal = Seal::new(&timestamps, columns.len(), |slot, values| {
                values.extend((0..rows).filter(|row| columns[slot].0 >> row & 1 == 1).map(|row| columns[slot].1[row]));
                columns[slot].0 & mask
            });
            let expected = |slot: usize, keep: &dyn Fn(i64) -> bool| -> Vec<(i64, u64)> {
                (0..rows).filter(|row| columns[slot].0 >> row & 1 == 1 && keep(timestamps[*row]))
                    .map(|row| (timestamps[row], columns[slot].1[row].to_bits())).collect()
            };
            let got = |seal: &Seal, slot: usize, start: i64, end: i64| -> Vec<(i64, u64)> {
                let mut samples = Samples::default();
                seal.read(slot, start, end, &mut samples);
                samples.timestamps.iter().copied().zip(samples.values.iter().map(|v| v.to_bits())).collect()
            };
            for slot in 0..columns.len() {
                prop_assert_eq!(got(&seal, slot, i64::MIN, i64::MAX), expected(slot, &|_| true));
                prop_assert_eq!(got(&seal, slot, cut, cut + 99), expected(slot, &|t| (cut..=cut + 99).contains(&t)));
            }
            let slots = [0b101_u64];
            match seal.retain(&slots, |time| time >= cut) {
                Some(left) => for slot in 0..columns.len() {
                    prop_assert_eq!(got(&left, slot, i64::MIN, i64::MAX), expected(slot, &|t| t >= cut || (slot != 0 && slot != 2)));
                },
                None => prop_assert!((0..columns.len()).all(|slot| expected(slot, &|t| t >= cut || (slot != 0 && slot != 2)).is_empty())),
            }
        }
    }
}
