//! What a frame holds: blobs side by side, told apart by their lengths; in data frames also where the times of each
//! are. See `FORMAT.md`, "Bundles".

use crate::bytes::{Reader, put_uvarint, put_varint};

/// The times of a chunk: a part of a column of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimesRef {
    pub(crate) column: u32,
    /// First row and number of rows; `None` for the whole column.
    pub(crate) part: Option<(u32, u32)>,
}

/// A decoded frame.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Number of the first blob.
    first: u64,
    raw: Vec<u8>,
    /// Where each blob ends, after where the first begins.
    ends: Vec<u32>,
    /// One a blob in data frames, else none.
    times: Vec<TimesRef>,
}

impl Bundle {
    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// The blob of a number.
    pub(crate) fn blob(&self, number: u64) -> Option<&[u8]> {
        let index = self.index(number)?;
        self.raw.get(*self.ends.get(index)? as usize..*self.ends.get(index + 1)? as usize)
    }

    pub(crate) fn times(&self, number: u64) -> Option<TimesRef> {
        self.times.get(self.index(number)?).copied()
    }

    /// Bytes of memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.raw.len() + self.ends.len() * 4 + self.times.len() * size_of::<TimesRef>()
    }

    /// Reads a decompressed frame; `None` if it cannot have been written.
    pub(crate) fn decode(raw: Vec<u8>, with_times: bool) -> Option<Self> {
        let mut reader = Reader::new(&raw);
        let first = reader.uvarint()?;
        let count = reader.count()?;
        let mut ends = Vec::with_capacity(count + 1);
        ends.push(0_u32);
        let mut end = 0_u32;
        for _ in 0..count {
            end = end.checked_add(u32::try_from(reader.uvarint()?).ok()?)?;
            ends.push(end);
        }
        let mut times = Vec::with_capacity(if with_times { count } else { 0 });
        let mut column = 0_i64;
        for _ in 0..if with_times { count } else { 0 } {
            let step = reader.varint()?;
            column = column.checked_add(step >> 1)?;
            let part = match step & 1 {
                0 => None,
                _ => Some((u32::try_from(reader.uvarint()?).ok()?, u32::try_from(reader.uvarint()?).ok()?)),
            };
            times.push(TimesRef { column: u32::try_from(column).ok()?, part });
        }
        if reader.remaining() != end as usize {
            return None;
        }
        let begin = u32::try_from(raw.len() - end as usize).ok()?;
        for end in &mut ends {
            *end = end.checked_add(begin)?;
        }
        Some(Bundle { first, raw, ends, times })
    }
}

/// Collects the blobs of a frame.
#[derive(Debug, Default)]
pub(crate) struct BundleBuilder {
    first: u64,
    lengths: Vec<u32>,
    times: Vec<TimesRef>,
    pub(crate) blobs: Vec<u8>,
}

impl BundleBuilder {
    /// Number of the first blob.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Number of the blob that comes next.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.lengths.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Closes a blob that was written behind `blobs`.
    pub(crate) fn close_blob(&mut self, start: usize, times: Option<TimesRef>) {
        self.lengths.push((self.blobs.len() - start) as u32);
        self.times.extend(times);
    }

    /// What goes into the frame; the builder goes on with the blobs of the next.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let next = self.next();
        let mut raw = Vec::with_capacity(self.blobs.len() + self.lengths.len() * 4 + 8);
        put_uvarint(&mut raw, self.first);
        self.first = next;
        put_uvarint(&mut raw, self.lengths.len() as u64);
        for length in self.lengths.drain(..) {
            put_uvarint(&mut raw, u64::from(length));
        }
        let mut column = 0;
        for times in self.times.drain(..) {
            let step = i64::from(times.column) - column;
            column = i64::from(times.column);
            put_varint(&mut raw, step << 1 | i64::from(times.part.is_some()));
            if let Some((start, count)) = times.part {
                put_uvarint(&mut raw, u64::from(start));
                put_uvarint(&mut raw, u64::from(count));
            }
        }
        raw.append(&mut self.blobs);
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bundles_survive(
            blobs in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..20), any::<u32>(), proptest::option::of((any::<u32>(), any::<u32>()))), 0..20),
            with_times: bool,
            first in 0_u64..1 << 40,
        ) {
            let mut builder = BundleBuilder { first, ..BundleBuilder::default() };
            for (blob, column, part) in &blobs {
                let start = builder.blobs.len();
                builder.blobs.extend_from_slice(blob);
                builder.close_blob(start, with_times.then_some(TimesRef { column: *column, part: *part }));
            }
            let bundle = Bundle::decode(builder.take(), with_times).unwrap();
            for (index, (blob, column, part)) in (first..).zip(&blobs) {
                prop_assert_eq!(bundle.blob(index), Some(blob.as_slice()));
                prop_assert_eq!(bundle.times(index), with_times.then_some(TimesRef { column: *column, part: *part }));
            }
            prop_assert_eq!(bundle.blob(first + blobs.len() as u64), None);
            prop_assert_eq!(builder.first(), first + blobs.len() as u64);
        }

        #[test]
        fn any_bytes_decode_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..80), with_times: bool) {
            if let Some(bundle) = Bundle::decode(bytes, with_times) {
                for index in 0..90 {
                    let _ = (bundle.blob(index), bundle.times(index));
                }
            }
        }
    }
}
