//! Which samples of a block are deleted. The file is small and written anew at every deletion.

use crate::bytes::{Reader, put_uvarint, put_varint};
use std::{collections::BTreeMap, fs, io, path::Path};

/// First bytes of the file; the last of them is the version.
const MAGIC: [u8; 8] = *b"VGTMB\0\0\x01";

/// What is told of a file that belongs to the block.
pub(super) const MISSING: &str = "the file is missing";

/// Deleted ranges, both ends inclusive, by number of the series; ranges of a series ascending and apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tombstones {
    ranges: BTreeMap<u32, Vec<(i64, i64)>>,
}

impl Tombstones {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Number of ranges.
    pub(crate) fn len(&self) -> u64 {
        self.ranges.values().map(|ranges| ranges.len() as u64).sum()
    }

    pub(crate) fn of(&self, series: u32) -> &[(i64, i64)] {
        self.ranges.get(&series).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn add(&mut self, series: u32, start_ms: i64, end_ms: i64) {
        let ranges = self.ranges.entry(series).or_default();
        ranges.push((start_ms, end_ms));
        ranges.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
        for &(from, to) in ranges.iter() {
            match merged.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        *ranges = merged;
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for (series, ranges) in &self.ranges {
            for (from, to) in ranges {
                put_uvarint(&mut out, u64::from(*series));
                put_varint(&mut out, *from);
                put_varint(&mut out, *to);
            }
        }
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads the file; without one nothing is deleted, unless it `is_expected`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn load(path: &Path, is_expected: bool) -> Result<Self, String> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if is_expected { Err(MISSING.to_owned()) } else { Ok(Tombstones::default()) };
            }
            Err(error) => return Err(error.to_string()),
        };
        Self::decode(&bytes)
    }

    /// # Errors
    /// What is wrong with the bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or("the file is cut short")?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return Err("the checksum is wrong".into());
        }
        let mut reader = Reader::new(body.strip_prefix(&MAGIC).ok_or("the header is not that of version 1")?);
        let mut tombstones = Tombstones::default();
        while !reader.is_empty() {
            let entry = (|| Some((u32::try_from(reader.uvarint()?).ok()?, reader.varint()?, reader.varint()?)))();
            let (series, from, to) = entry.ok_or("an entry cannot be decoded")?;
            tombstones.add(series, from, to);
        }
        Ok(tombstones)
    }
}
