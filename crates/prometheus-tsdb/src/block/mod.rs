//! Blocks: a folder with `meta.json`, `index`, `tombstones` and `chunks/`.

mod chunks;
mod index;
mod meta;
mod tombstones;
mod writer;

pub use index::ChunkMeta;
pub use meta::{Compaction, Downsample, Meta, Parent, Stats, Thanos, ThanosFile};
pub use writer::BlockWriter;

use crate::{DamageList, Error, chunk, error};
use chunks::{ChunkFiles, Found};
use index::{IndexReader, SeriesEntry};
use model::Labels;
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};
use storage::{Samples, fanout::merge_samples};
use tombstones::Tombstones;
pub(crate) use tombstones::remove;
use ulid::Ulid;

pub(crate) const META_FILE: &str = "meta.json";
pub(crate) const INDEX_FILE: &str = "index";
pub(crate) const TOMBSTONES_FILE: &str = "tombstones";
pub(crate) const CHUNKS_DIR: &str = "chunks";

/// The blocks of a data folder that count, oldest first: those that a later block was made from, and has not yet
/// replaced, are left out, as Prometheus itself does when it opens the folder.
///
/// # Errors
/// The folder cannot be read. A block whose `meta.json` cannot be read is reported as damage.
pub fn list(dir: &Path, damage: &mut DamageList) -> Result<Vec<(PathBuf, Meta)>, Error> {
    let mut blocks = Vec::new();
    for entry in fs::read_dir(dir).map_err(error::at(dir))? {
        let path = entry.map_err(error::at(dir))?.path();
        let is_block = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.len() == ulid::ULID_LEN && Ulid::from_string(name).is_ok());
        if !is_block {
            continue;
        }
        match Meta::load(&path) {
            Ok(meta) => blocks.push((path, meta)),
            Err(Error::Damaged { path, at, reason }) => {
                damage.report(&path, at, format!("{reason}; the block is left out"));
            }
            Err(Error::Io { path, source }) => damage.report(&path, 0, format!("{source}; the block is left out")),
            Err(other) => return Err(other),
        }
    }
    let replaced: HashSet<String> = (blocks.iter())
        .flat_map(|(_, meta)| meta.compaction.parents.iter().map(|parent| parent.ulid.clone()))
        .collect();
    blocks.retain(|(_, meta)| !replaced.contains(&meta.ulid));
    blocks.sort_by(|a, b| {
        (a.1.min_time_ms, a.1.max_time_ms, &a.1.ulid).cmp(&(b.1.min_time_ms, b.1.max_time_ms, &b.1.ulid))
    });
    Ok(blocks)
}

/// A block, read from front to back.
pub struct BlockReader {
    index: IndexReader,
    chunks: ChunkFiles,
    tombstones: Tombstones,
    entry: SeriesEntry,
}

impl BlockReader {
    /// Opens the files of a block.
    ///
    /// # Errors
    /// The index cannot be opened, or neither its table of contents nor its symbols can be used. Damaged tombstones
    /// are reported: what was deleted is then there again.
    pub fn open(dir: &Path, damage: &mut DamageList) -> Result<Self, Error> {
        Ok(BlockReader {
            index: IndexReader::open(&dir.join(INDEX_FILE))?,
            chunks: ChunkFiles::open(&dir.join(CHUNKS_DIR))?,
            tombstones: Tombstones::load(&dir.join(TOMBSTONES_FILE), damage),
            entry: SeriesEntry::default(),
        })
    }

    /// The next series, in order of labels, with all its samples that are not deleted, ascending in time. A series
    /// whose samples are all deleted or damaged comes with none.
    ///
    /// # Errors
    /// `Io`. What is damaged is reported and left out.
    pub fn next(&mut self, samples: &mut Samples, damage: &mut DamageList) -> Result<Option<Labels>, Error> {
        samples.clear();
        let Some(labels) = self.index.next(&mut self.entry, damage)? else { return Ok(None) };
        let mut overlapping: Vec<Samples> = Vec::new();
        for meta in &self.entry.chunks {
            let Some(Found { encoding, data, path, at }) = self.chunks.read(meta.reference, damage)? else { continue };
            // Chunks of one series overlap only where late samples came, or where the index lies about their times.
            let begin = samples.len();
            let mut late = samples.timestamps.last().is_some_and(|last| meta.min_ms <= *last);
            let mut own = Samples::default();
            let decoded = chunk::decode(encoding, data, if late { &mut own } else { &mut *samples });
            let (before, after) = samples.timestamps.split_at(begin);
            if before.last().zip(after.first()).is_some_and(|(last, first)| first <= last) {
                own.extend_from(samples, begin, samples.len());
                samples.truncate(begin);
                late = true;
            }
            if let Err(error) = decoded {
                damage.report(path, at + error.at as u64, format!("{error}; it is left out"));
            } else if late {
                overlapping.push(own);
            }
        }
        if !overlapping.is_empty() {
            overlapping.insert(0, std::mem::take(samples));
            merge_samples(overlapping, samples);
        }
        self.tombstones.apply(self.entry.reference, samples);
        Ok(Some(labels))
    }
}
