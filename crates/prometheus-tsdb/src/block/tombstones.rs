//! `tombstones`: what of which series is deleted.

use crate::{DamageList, bytes::Reader};
use std::{collections::HashMap, fs, io, path::Path};
use storage::Samples;

const MAGIC: u32 = 0x0130_ba30;
const VERSION: u8 = 1;

/// Deleted times, both ends inclusive, by reference of a series.
#[derive(Debug, Default)]
pub(super) struct Tombstones(HashMap<u64, Vec<(i64, i64)>, foldhash::fast::RandomState>);

/// The file of a block in which nothing is deleted.
pub(super) fn none() -> Vec<u8> {
    let mut out = MAGIC.to_be_bytes().to_vec();
    out.push(VERSION);
    out.extend_from_slice(&crc32c::crc32c(&[]).to_be_bytes());
    out
}

impl Tombstones {
    /// No file means nothing deleted.
    pub(super) fn load(path: &Path, damage: &mut DamageList) -> Self {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Tombstones::default(),
            Err(error) => {
                damage.report(path, 0, format!("{error}; deleted samples of this block are there again"));
                return Tombstones::default();
            }
        };
        Tombstones::decode(&bytes).unwrap_or_else(|(at, reason)| {
            damage.report(path, at as u64, format!("{reason}; deleted samples of this block are there again"));
            Tombstones::default()
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, (usize, &'static str)> {
        let mut reader = Reader::new(bytes);
        if reader.u32() != Some(MAGIC) || reader.u8() != Some(VERSION) {
            return Err((0, "these are no tombstones of version 1"));
        }
        let stones = reader.remaining().checked_sub(4).and_then(|length| reader.take(length));
        let Some(stones) = stones else { return Err((bytes.len(), "the file ends too early")) };
        if reader.u32() != Some(crc32c::crc32c(stones)) {
            return Err((5, "the checksum is another"));
        }
        let mut all = Tombstones::default();
        let mut reader = Reader::new(stones);
        while !reader.is_empty() {
            let at = bytes.len() - 4 - reader.remaining();
            let mut stone = || Some((reader.uvarint()?, reader.varint()?, reader.varint()?));
            let Some((series, min_ms, max_ms)) = stone() else { return Err((at, "a tombstone is cut off")) };
            all.0.entry(series).or_default().push((min_ms, max_ms));
        }
        Ok(all)
    }

    /// Takes deleted samples out.
    pub(super) fn apply(&self, series: u64, samples: &mut Samples) {
        if let Some(deleted) = self.0.get(&series) {
            remove(samples, |time| deleted.iter().any(|(min, max)| (*min..=*max).contains(&time)));
        }
    }
}

/// Takes out the samples at some times.
pub(crate) fn remove(samples: &mut Samples, deleted: impl Fn(i64) -> bool) {
    if !samples.timestamps.iter().any(|time| deleted(*time)) {
        return;
    }
    let all = std::mem::take(samples);
    for (at, &time) in all.timestamps.iter().enumerate() {
        if !deleted(time) {
            samples.push(time, all.value(at));
            samples.set_last_start_timestamp(all.start_timestamp(at));
        }
    }
}
