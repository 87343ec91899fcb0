//! `meta.json`: what a block is, with Prometheus' names where the meaning is the same.

use super::{META_FILE, index::BlockIndex};
use crate::wal::WalPosition;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

pub(crate) const VERSION: u32 = 1;

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

impl Cut {
    pub(crate) fn covers(&self, timestamp_ms: i64, position: WalPosition) -> bool {
        (self.min_ms..self.max_ms).contains(&timestamp_ms)
            && position < WalPosition { segment: self.segment, offset: self.offset }
    }
}

impl BlockMeta {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut meta = BlockMeta { crc32c: 0, ..self.clone() };
        meta.crc32c = crc32c::crc32c(&serde_json::to_vec_pretty(&meta)?);
        serde_json::to_vec_pretty(&meta)
    }

    /// Reads the file of a block's folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn load(dir: &Path) -> Result<Self, String> {
        let bytes = fs::read(dir.join(META_FILE)).map_err(|error| error.to_string())?;
        let mut meta: BlockMeta = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        let expected = std::mem::take(&mut meta.crc32c);
        let found = crc32c::crc32c(&serde_json::to_vec_pretty(&meta).map_err(|error| error.to_string())?);
        if found != expected {
            return Err(format!("checksum {expected}, data gives {found}"));
        }
        if meta.version != VERSION {
            return Err(format!("version {} is not {VERSION}", meta.version));
        }
        Ok(meta)
    }

    /// What can be known without the file.
    pub(crate) fn from_index(dir: &Path, index: &BlockIndex) -> Self {
        let chunks = || index.series.iter().flat_map(|series| series.chunks.iter());
        BlockMeta {
            version: VERSION,
            ulid: dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            min_time_ms: chunks().map(|chunk| chunk.min_ms).min().unwrap_or(0),
            max_time_ms: chunks().map(|chunk| chunk.max_ms).max().map_or(0, |max| max.saturating_add(1)),
            stats: BlockStats {
                samples: chunks().map(|chunk| u64::from(chunk.count)).sum(),
                series: index.series.len() as u64,
                chunks: chunks().count() as u64,
            },
            compaction: Compaction { level: 1, parents: Vec::new() },
            cuts: Vec::new(),
            crc32c: 0,
        }
    }
}
