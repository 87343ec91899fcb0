//! Deleting what is too old, by series where rules say so, and what is too much.

use crate::{
    block::Block,
    db::{Tsdb, lock},
    maintain::Maintenance,
    options::RETENTION_MS_DEFAULT,
    postings::Selector,
};
use std::sync::{Arc, atomic::Ordering};
use storage::StorageError;

impl Tsdb {
    /// Deletes blocks of which no series is to be kept, then the oldest while there are too many bytes. With rules, also
    /// rewrites blocks some of whose series are too old.
    ///
    /// # Errors
    /// `Io` when a block could not be rewritten; what could be deleted as a whole is.
    pub(crate) fn apply_retention(&self, state: &mut Maintenance) -> Result<(), StorageError> {
        let outcome = self.delete_too_old(state);
        self.delete_too_many(state);
        outcome
    }

    fn delete_too_old(&self, state: &mut Maintenance) -> Result<(), StorageError> {
        let blocks = self.view().blocks.clone();
        let Some(newest_ms) = blocks.iter().map(|block| block.meta.max_time_ms).max() else { return Ok(()) };
        let rules = Arc::clone(&state.rules);
        let otherwise_ms = rules.keep_otherwise_ms();
        // Raw samples stay until they are down-sampled.
        let ends = rules.resolutions().into_iter().filter_map(|resolution_ms| self.tier_end_ms(state, resolution_ms));
        let tiers_end_ms = ends.min().unwrap_or(i64::MAX);
        let held_from_ms = self.held_from_ms.load(Ordering::Relaxed);
        let mut held = 0_u32;
        let mut gone: Vec<Arc<Block>> = Vec::new();
        let mut outcome = Ok(());
        for block in &blocks {
            let resolution_ms = block.meta.resolution_ms.unwrap_or(0);
            if resolution_ms == 0 && block.meta.max_time_ms.saturating_sub(1) > tiers_end_ms {
                continue;
            }
            let age_ms = newest_ms.saturating_sub(block.meta.max_time_ms);
            let keeps_ms = rules.keeps_ms(resolution_ms, otherwise_ms);
            // How many of the lengths of time are over.
            let over = keeps_ms.partition_point(|keep_ms| *keep_ms <= age_ms);
            if resolution_ms == 0 && block.meta.max_time_ms > held_from_ms {
                held += u32::from(over > 0);
                continue;
            }
            if over == keeps_ms.len() {
                gone.push(Arc::clone(block));
                continue;
            }
            if over == 0 || block.is_damaged() || state.stripped.get(&block.meta.ulid) == Some(&over) {
                continue;
            }
            state.stripped.insert(block.meta.ulid.clone(), over);
            let stays = |labels: &model::Labels| rules.keep_ms(labels, resolution_ms, otherwise_ms) > age_ms;
            match count_stays(block, &stays) {
                Ok((0, _)) => gone.push(Arc::clone(block)),
                Ok((_, 0)) => {}
                Ok(_) => {
                    let level = block.meta.compaction.level;
                    outcome = outcome.and(self.rewrite(state, std::slice::from_ref(block), level, &stays));
                    self.head.past_changed();
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        if held > 0 && self.metrics.held_blocks.get() == 0.0 {
            tracing::warn!(blocks = held, "history is older than its retention and still to be shipped; it is kept");
        }
        self.metrics.held_blocks.set(f64::from(held));
        let there: Vec<String> = self.view().blocks.iter().map(|block| block.meta.ulid.clone()).collect();
        state.stripped.retain(|ulid, _| there.contains(ulid));
        self.metrics.time_retentions.add(gone.len() as f64);
        self.delete_blocks(state, &gone);
        outcome
    }

    /// History of every kind is shortened by the same part of what it is kept for, so that a limit on bytes does not take
    /// years of windows, which are small, before it takes raw samples.
    fn delete_too_many(&self, state: &mut Maintenance) {
        let rules = Arc::clone(&state.rules);
        let bytes_max = rules.retention.bytes;
        if bytes_max == 0 {
            return;
        }
        let mut blocks = self.view().blocks.clone();
        let Some(newest_ms) = blocks.iter().map(|block| block.meta.max_time_ms).max() else { return };
        let part_over = |block: &Block| {
            let resolution_ms = block.meta.resolution_ms.unwrap_or(0);
            let longest_ms = rules.of(resolution_ms).map(|rule| rule.keep_ms).max();
            let time_ms = rules.retention.time_ms;
            let keep_ms = if time_ms > 0 { time_ms } else { RETENTION_MS_DEFAULT };
            let age_ms = newest_ms.saturating_sub(block.meta.max_time_ms);
            age_ms as f64 / longest_ms.unwrap_or(keep_ms).max(1) as f64
        };
        blocks.sort_by(|a, b| part_over(a).total_cmp(&part_over(b)).then(b.meta.max_time_ms.cmp(&a.meta.max_time_ms)));
        let mut bytes = lock(&self.appends).wal.bytes() + state.checkpoint.map_or(0, |own| own.bytes);
        let kept = blocks.iter().take_while(|block| {
            bytes += block.bytes();
            bytes <= bytes_max
        });
        let gone = blocks.split_off(kept.count());
        let held_from_ms = self.held_from_ms.load(Ordering::Relaxed);
        let is_held = |block: &&Arc<Block>| block.meta.resolution_ms.is_none() && block.meta.max_time_ms > held_from_ms;
        let unshipped = gone.iter().filter(is_held).count();
        if unshipped > 0 {
            tracing::error!(
                blocks = unshipped,
                "too many bytes: history is deleted that was not shipped; see why shipping fails, or raise retention.size"
            );
            self.metrics.unshipped_deleted.add(unshipped as f64);
        }
        self.metrics.size_retentions.add(gone.len() as f64);
        self.delete_blocks(state, &gone);
    }

    fn delete_blocks(&self, state: &mut Maintenance, gone: &[Arc<Block>]) {
        if gone.is_empty() {
            return;
        }
        let mut blocks = self.view().blocks.clone();
        blocks.retain(|block| !gone.iter().any(|gone| Arc::ptr_eq(gone, block)));
        tracing::info!(blocks = gone.len(), "old blocks deleted");
        self.show(state, blocks);
        self.head.past_changed();
        state.doomed.extend(gone.iter().map(|block| block.dir.clone()));
    }
}

/// How many series of a block stay and how many go.
fn count_stays(block: &Arc<Block>, stays: &dyn Fn(&model::Labels) -> bool) -> Result<(usize, usize), StorageError> {
    let everything = Selector::new(&[])?;
    let (mut stay, mut go) = (0, 0);
    for series in block.select(&everything, i64::MIN, i64::MAX) {
        let there = stays(series?.labels());
        stay += usize::from(there);
        go += usize::from(!there);
    }
    Ok((stay, go))
}
