//! The write-ahead log: numbered segments of 32 KiB pages, before them the newest checkpoint. Also the log of late
//! samples (`wbl`), which has the same form.

mod record;
mod segment;

pub use record::{ExemplarRecord, HistogramRecord, MetadataRecord, Record, RecordError, SampleRecord, TombstoneRecord};

use crate::{DamageList, Error, error};
use segment::Segment;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A log, read from the oldest record to the newest.
pub struct WalReader {
    /// Still to be read, the next one last.
    segments: Vec<(PathBuf, u64)>,
    current: Option<Segment>,
    bytes_total: u64,
    /// Of the segments before the current one.
    bytes_done: u64,
}

/// A folder's entries that are called by a number, in order.
fn numbered(dir: &Path, prefix: &str) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut list = Vec::new();
    for entry in fs::read_dir(dir).map_err(error::at(dir))? {
        let path = entry.map_err(error::at(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(prefix));
        let number = name.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(number) = number.and_then(|digits| digits.parse().ok()) {
            list.push((number, path));
        }
    }
    list.sort_unstable();
    Ok(list)
}

impl WalReader {
    /// Opens the log of a folder; one that is not there is empty. A gap in the numbers is reported.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(dir: &Path, damage: &mut DamageList) -> Result<Self, Error> {
        let mut paths: Vec<PathBuf> = Vec::new();
        if dir.is_dir() {
            let checkpoint = numbered(dir, "checkpoint.")?.pop();
            let mut next = None;
            if let Some((number, path)) = checkpoint {
                paths.extend(numbered(&path, "")?.into_iter().map(|(_, path)| path));
                next = Some(number + 1);
            }
            for (number, path) in numbered(dir, "")? {
                if next.is_some_and(|next| number < next) {
                    continue;
                }
                if let Some(missing) = next.filter(|next| number > *next) {
                    damage.report(&path, 0, format!("segment {missing:08} is missing before it"));
                }
                next = Some(number + 1);
                paths.push(path);
            }
        }
        let mut segments = Vec::with_capacity(paths.len());
        for path in paths.into_iter().rev() {
            let bytes = fs::metadata(&path).map_err(error::at(&path))?.len();
            segments.push((path, bytes));
        }
        let bytes_total = segments.iter().map(|(_, bytes)| bytes).sum();
        Ok(WalReader { segments, current: None, bytes_total, bytes_done: 0 })
    }

    /// Bytes of all segments.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// Bytes read so far.
    pub fn bytes_done(&self) -> u64 {
        self.bytes_done + self.current.as_ref().map_or(0, Segment::position)
    }

    /// The next record. Where a segment is damaged its rest is left out and reported.
    ///
    /// # Errors
    /// `Io`.
    pub fn next(&mut self, damage: &mut DamageList) -> Result<Option<Record>, Error> {
        loop {
            let Some(segment) = &mut self.current else {
                let Some((path, _)) = self.segments.pop() else { return Ok(None) };
                self.current = Some(Segment::open(&path)?);
                continue;
            };
            let last = self.segments.is_empty();
            let Some((bytes, at)) = segment.next(last, damage)? else {
                self.bytes_done += segment.position();
                self.current = None;
                continue;
            };
            match Record::decode(&bytes) {
                Ok(record) => return Ok(Some(record)),
                Err(fault) => damage.report(segment.path(), at, format!("{fault}; the record is left out")),
            }
        }
    }
}
