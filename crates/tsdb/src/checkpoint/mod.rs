//! The head on the disk, written now and then, so that a restart reads a part of the log only. The log alone has
//! everything too: a checkpoint that cannot be used costs time and nothing else. See `FORMAT.md`, "Checkpoint".

mod read;
mod write;

pub(crate) use read::{CheckpointReader, Piece, damage};
pub(crate) use write::Written;

use crate::{
    bytes::{Reader, put_uvarint, put_varint},
    wal::{SegmentInfo, WalPosition, record::Decoder},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// First bytes; the last of them is the version.
pub(crate) const MAGIC: [u8; 8] = *b"VGCKP\0\0\x01";

/// Kinds of records beside those of the log.
const BEGIN: u8 = 16;
const STATE: u8 = 17;
const SEAL: u8 = 18;
const LOOSE: u8 = 19;
const PIECE: u8 = 20;
const END: u8 = 21;

/// The checkpoint of a data folder.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("head")
}

/// Up to where the checkpoint of a data folder has the log; `None` without one that can be read.
pub(crate) fn position(dir: &Path) -> Option<WalPosition> {
    let reader = CheckpointReader::open(&path(dir), Decoder::default()).ok()??.ok()?;
    Some(reader.begin().position)
}

/// What stands at the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Begin {
    /// What is sealed lies within one of these ranges.
    pub(crate) block_range_ms: i64,
    /// The log is read from here on.
    pub(crate) position: WalPosition,
    /// Time of the last row in that segment before the position.
    pub(crate) row_ms: i64,
    /// The segments up to that one.
    pub(crate) segments: BTreeMap<u64, SegmentInfo>,
}

impl Begin {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(BEGIN);
        put_varint(out, self.block_range_ms);
        put_uvarint(out, self.position.segment);
        put_uvarint(out, self.position.offset);
        put_varint(out, self.row_ms);
        put_uvarint(out, self.segments.len() as u64);
        for (number, info) in &self.segments {
            put_uvarint(out, *number);
            put_uvarint(out, info.bytes);
            put_varint(out, info.max_ms);
        }
    }

    fn take(payload: &[u8]) -> Option<Begin> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != BEGIN {
            return None;
        }
        let block_range_ms = reader.varint()?;
        let position = WalPosition { segment: reader.uvarint()?, offset: reader.uvarint()? };
        let row_ms = reader.varint()?;
        let mut segments = BTreeMap::new();
        for _ in 0..reader.count()? {
            segments.insert(reader.uvarint()?, SegmentInfo { bytes: reader.uvarint()?, max_ms: reader.varint()? });
        }
        reader.is_empty().then_some(Begin { block_range_ms, position, row_ms, segments })
    }

    /// True if a log of these segments goes on where the checkpoint ends.
    pub(crate) fn fits(&self, segments: &[u64]) -> bool {
        segments.contains(&self.position.segment)
            && segments
                .iter()
                .take_while(|number| **number <= self.position.segment)
                .all(|number| self.segments.contains_key(number))
    }
}
