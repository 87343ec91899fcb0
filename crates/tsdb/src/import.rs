//! History from elsewhere, written as a block at once: it takes neither the log nor the head.

use crate::{
    SeriesExemplars,
    block::{
        Block,
        exemplars::{BySeries, tidy},
        meta::Compaction,
        writer::{BlockPlan, BlockWriter},
    },
    db::{Tsdb, lock},
};
use model::Labels;
use storage::{Samples, StorageError};

/// A block in work. Dropped without [`BlockImport::finish`], nothing of it stays.
pub struct BlockImport<'a> {
    tsdb: &'a Tsdb,
    writer: BlockWriter,
    previous: Option<Labels>,
}

impl Tsdb {
    /// Begins a block with samples from `min_time_ms` to `max_time_ms`, the latter exclusive. It may overlap what is
    /// there; at equal times the older block's sample counts, and both become one block with the next compaction.
    ///
    /// # Errors
    /// `Io`; `Unavailable` for a range without length.
    pub fn import_block(&self, min_time_ms: i64, max_time_ms: i64) -> Result<BlockImport<'_>, StorageError> {
        if min_time_ms >= max_time_ms {
            let reason = format!("a block from {min_time_ms} to {max_time_ms} has no length");
            return Err(StorageError::Unavailable { reason });
        }
        let plan = BlockPlan {
            ulid: lock(&self.maintenance).next_ulid(self.options.clock.now_ms()),
            min_time_ms,
            max_time_ms,
            compaction: Compaction { level: 1, parents: Vec::new() },
            cuts: Vec::new(),
            ..BlockPlan::default()
        };
        let writer = BlockWriter::create(&self.options.dir, plan)?;
        Ok(BlockImport { tsdb: self, writer, previous: None })
    }
}

impl BlockImport<'_> {
    /// Adds a series with samples of the block's range, ascending in time. Series come in order of their labels, each
    /// once; one without samples is left out.
    ///
    /// # Errors
    /// `Io`; `Unavailable` when the order is another.
    pub fn add_series(&mut self, labels: &Labels, samples: &Samples) -> Result<(), StorageError> {
        if self.previous.as_ref().is_some_and(|previous| previous >= labels) {
            return Err(StorageError::Unavailable { reason: format!("series {labels} is not in order") });
        }
        self.previous = Some(labels.clone());
        self.writer.add_series(labels, samples)
    }

    /// Gives the block exemplars, in any order; those without a time or not of the block's range are left out, and of
    /// equal ones one stays. Their series need no samples in the block. How many it has.
    pub fn set_exemplars(&mut self, exemplars: impl IntoIterator<Item = SeriesExemplars>) -> u64 {
        let (min_ms, max_ms) = self.writer.range();
        let mut all = BySeries::new();
        for SeriesExemplars { labels, mut exemplars } in exemplars {
            exemplars.retain(|own| own.timestamp_ms.is_some_and(|time| (min_ms..max_ms).contains(&time)));
            if !exemplars.is_empty() {
                all.entry(labels).or_default().append(&mut exemplars);
            }
        }
        let all = tidy(all);
        let count = all.iter().map(|series| series.exemplars.len() as u64).sum();
        self.writer.set_exemplars(all);
        count
    }

    /// Puts the block in place, where readers see it from now on. Its name, or `None` if it has neither samples nor
    /// exemplars.
    ///
    /// # Errors
    /// `Io`; nothing of the block stays.
    pub fn finish(self) -> Result<Option<String>, StorageError> {
        let Some(dir) = self.writer.finish()? else { return Ok(None) };
        let block = Block::open(&dir, &self.tsdb.shared)?;
        let ulid = block.meta.ulid.clone();
        self.tsdb.add_block(block)?;
        Ok(Some(ulid))
    }
}
