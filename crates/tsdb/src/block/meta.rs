//! `meta.json`: what a block is, with Prometheus' names where the meaning is the same.

use super::{META_FILE, index::BlockIndex};
use crate::wal::WalPosition;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

pub(crate) const VERSION: u32 = 2;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockMeta {
    pub(crate) version: u32,
    pub(crate) ulid: String,
    #[serde(rename = "minTime")]
    pub(crate) min_time_ms: i64,
    /// Exclusive.
    #[serde(rename = "maxTime")]
    pub(crate) max_time_ms: i64,
    pub(crate) stats: BlockStats,
    pub(crate) compaction: Compaction,
    /// Which part of the log the block replaces.
    #[serde(default)]
    pub(crate) cuts: Vec<Cut>,
    /// All samples before this time that the head ever had are in blocks. Not of blocks that came from elsewhere.
    #[serde(rename = "headEnd", default, skip_serializing_if = "Option::is_none")]
    pub(crate) head_end_ms: Option<i64>,
    /// Length of the windows of a down-sampled block, in milliseconds.
    #[serde(rename = "resolution", default, skip_serializing_if = "Option::is_none")]
    pub(crate) resolution_ms: Option<i64>,
    /// For which series of which times the windows were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) covers: Vec<Cover>,
    /// Of the files that most blocks do not have, those that belong to this one. Older blocks name none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<String>,
    /// CRC32C of this document with 0 in this place.
    pub(crate) crc32c: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockStats {
    #[serde(rename = "numSamples")]
    pub(crate) samples: u64,
    #[serde(rename = "numSeries")]
    pub(crate) series: u64,
    #[serde(rename = "numChunks")]
    pub(crate) chunks: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compaction {
    /// 1 for a block that was cut from the head.
    pub(crate) level: u32,
    /// Blocks that this one replaces: they are deleted if they are still there.
    pub(crate) parents: Vec<String>,
}

/// Samples of a time range that were logged before a place are in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    #[serde(rename = "minTime")]
    pub(crate) min_ms: i64,
    /// Exclusive.
    #[serde(rename = "maxTime")]
    pub(crate) max_ms: i64,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// A rule of the retention, and the times of which the block has all windows that the rule asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cover {
    pub(crate) selector: String,
    #[serde(rename = "minTime")]
    pub(crate) min_ms: i64,
    /// Exclusive.
    #[serde(rename = "maxTime")]
    pub(crate) max_ms: i64,
}

impl Cover {
    /// Those of several blocks; what touches is one.
    pub(crate) fn joined(mut covers: Vec<Cover>) -> Vec<Cover> {
        covers.sort_by(|a, b| (&a.selector, a.min_ms).cmp(&(&b.selector, b.min_ms)));
        let mut joined: Vec<Cover> = Vec::with_capacity(covers.len());
        for cover in covers {
            match joined.last_mut() {
                Some(last) if last.selector == cover.selector && cover.min_ms <= last.max_ms => {
                    last.max_ms = last.max_ms.max(cover.max_ms);
                }
                _ => joined.push(cover),
            }
        }
        joined
    }
}

impl Cut {
    pub(crate) fn covers(&self, timestamp_ms: i64, position: WalPosition) -> bool {
        (self.min_ms..self.max_ms).contains(&timestamp_ms)
            && position < WalPosition { segment: self.segment, offset: self.offset }
    }
}

/// Why a description cannot be used.
#[derive(Debug)]
pub(crate) enum MetaError {
    /// It is whole, and that of another version.
    Version(u32),
    Damaged(String),
}

impl BlockMeta {
    /// Until when the head had been cut when the block was made, as far as the block knows.
    pub(crate) fn head_end_ms(&self) -> Option<i64> {
        // Blocks of the first builds of this version tell it by their cuts.
        self.head_end_ms.or_else(|| self.cuts.iter().map(|cut| cut.max_ms).max())
    }

    /// True if a file that most blocks do not have belongs to this one.
    pub(crate) fn has_file(&self, name: &str) -> bool {
        self.files.iter().any(|own| own == name)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut meta = BlockMeta { crc32c: 0, ..self.clone() };
        meta.crc32c = crc32c::crc32c(&serde_json::to_vec_pretty(&meta)?);
        serde_json::to_vec_pretty(&meta)
    }

    /// Reads the file of a block's folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn load(dir: &Path) -> Result<Self, MetaError> {
        let bytes = fs::read(dir.join(META_FILE)).map_err(|error| MetaError::Damaged(error.to_string()))?;
        Self::decode(&bytes)
    }

    /// # Errors
    /// What is wrong with the bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, MetaError> {
        let damaged = |error: &dyn std::fmt::Display| MetaError::Damaged(error.to_string());
        let mut meta: BlockMeta = serde_json::from_slice(bytes).map_err(|error| damaged(&error))?;
        let expected = std::mem::take(&mut meta.crc32c);
        let found = crc32c::crc32c(&serde_json::to_vec_pretty(&meta).map_err(|error| damaged(&error))?);
        if found != expected {
            return Err(damaged(&format_args!("checksum {expected}, data gives {found}")));
        }
        if meta.version != VERSION {
            return Err(MetaError::Version(meta.version));
        }
        Ok(meta)
    }

    /// What can be known without the file.
    pub(crate) fn from_index(dir: &Path, index: &BlockIndex) -> Self {
        let (mut min_ms, mut max_ms, mut stats) = (i64::MAX, i64::MIN, BlockStats::default());
        index.for_each_page(|page| {
            stats.series += page.len() as u64;
            for chunk in (0..page.len()).flat_map(|place| page.chunks(place)) {
                min_ms = min_ms.min(chunk.min_ms);
                max_ms = max_ms.max(chunk.max_ms);
                stats.chunks += 1;
                stats.samples += u64::from(chunk.count);
            }
        });
        BlockMeta {
            version: VERSION,
            ulid: dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            min_time_ms: if stats.chunks == 0 { 0 } else { min_ms },
            max_time_ms: if stats.chunks == 0 { 0 } else { max_ms.saturating_add(1) },
            stats,
            compaction: Compaction { level: 1, parents: Vec::new() },
            cuts: Vec::new(),
            head_end_ms: None,
            resolution_ms: None,
            covers: Vec::new(),
            files: Vec::new(),
            crc32c: 0,
        }
    }
}
