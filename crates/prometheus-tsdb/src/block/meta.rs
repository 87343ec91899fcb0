//! `meta.json`, with what Thanos adds to it.

use super::META_FILE;
use crate::{Error, error};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The only version there is.
const VERSION: u32 = 1;
/// A `meta.json` is some kilobytes, with the parents of many compactions some hundred.
const BYTES_MAX: u64 = 16 << 20;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    pub ulid: String,
    #[serde(rename = "minTime")]
    pub min_time_ms: i64,
    /// Exclusive.
    #[serde(rename = "maxTime")]
    pub max_time_ms: i64,
    #[serde(default)]
    pub stats: Stats,
    pub compaction: Compaction,
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thanos: Option<Thanos>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    #[serde(rename = "numSamples")]
    pub samples: u64,
    #[serde(rename = "numFloatSamples", skip_serializing_if = "is_zero")]
    pub float_samples: u64,
    #[serde(rename = "numHistogramSamples", skip_serializing_if = "is_zero")]
    pub histogram_samples: u64,
    #[serde(rename = "numSeries")]
    pub series: u64,
    #[serde(rename = "numChunks")]
    pub chunks: u64,
    #[serde(rename = "numTombstones", skip_serializing_if = "is_zero")]
    pub tombstones: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// 1 for a block that was cut from the head.
    pub level: u32,
    /// The level-1 blocks that went into it, itself included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parent>,
    /// What it came from: `from-out-of-order`, for one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub ulid: String,
    #[serde(rename = "minTime")]
    pub min_time_ms: i64,
    #[serde(rename = "maxTime")]
    pub max_time_ms: i64,
}

/// What Thanos' store gateway and querier want to know of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thanos {
    /// The external labels of the one who made the block.
    pub labels: BTreeMap<String, String>,
    pub downsample: Downsample,
    /// Which program wrote it.
    pub source: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segment_files: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ThanosFile>,
}

/// 0: as scraped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downsample {
    pub resolution: i64,
}

/// A file of the block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThanosFile {
    pub rel_path: String,
    /// 0 for `meta.json`, which cannot know its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size_bytes: u64,
}

impl Meta {
    /// Made of late samples: its times say nothing about how far the blocks of the others reach.
    pub fn is_late(&self) -> bool {
        self.compaction.hints.iter().any(|hint| hint == "from-out-of-order")
    }

    /// Reads the file of a block's folder.
    ///
    /// # Errors
    /// `Io`; `Damaged` when it is no description of a block of version 1.
    pub fn load(block: &Path) -> Result<Self, Error> {
        let path = block.join(META_FILE);
        let length = fs::metadata(&path).map_err(error::at(&path))?.len();
        if length > BYTES_MAX {
            return Err(error::damaged(&path, BYTES_MAX, format!("{length} bytes are too many for a description")));
        }
        let bytes = fs::read(&path).map_err(error::at(&path))?;
        Meta::parse(&path, &bytes)
    }

    /// Reads the content of a file that is called `path`.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let meta: Meta = serde_json::from_slice(bytes).map_err(|fault| {
            let before = bytes.split_inclusive(|byte| *byte == b'\n').take(fault.line().saturating_sub(1));
            let at = before.map(<[u8]>::len).sum::<usize>() + fault.column();
            error::damaged(path, at as u64, fault.to_string())
        })?;
        if meta.version != VERSION {
            return Err(error::damaged(path, 0, format!("version {} is not {VERSION}", meta.version)));
        }
        if meta.min_time_ms > meta.max_time_ms {
            let reason = format!("minTime {} is after maxTime {}", meta.min_time_ms, meta.max_time_ms);
            return Err(error::damaged(path, 0, reason));
        }
        Ok(meta)
    }

    /// The file's content, as Prometheus lays it out.
    ///
    /// # Errors
    /// `Io` when it cannot be written as JSON, which does not happen.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        let meta = Meta { version: VERSION, ..self.clone() };
        meta.serialize(&mut serializer)
            .map_err(|fault| Error::Io { path: PathBuf::from(META_FILE), source: fault.into() })?;
        out.push(b'\n');
        Ok(out)
    }
}
