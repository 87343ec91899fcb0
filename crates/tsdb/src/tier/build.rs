//! Making blocks of windows from blocks of raw samples.

use super::{Rule, Windows};
use crate::{
    block::{
        Block,
        meta::{Compaction, Cover},
        writer::{BlockPlan, BlockWriter},
    },
    db::Tsdb,
    maintain::Maintenance,
};
use model::{Labels, MetricType};
use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Instant,
};
use storage::{Samples, SeriesSet, StorageError, fanout::merge_sets};

/// Ranges that are down-sampled in one go: cutting the head and compaction wait so long.
const RANGES_AT_ONCE: usize = 8;

impl Tsdb {
    /// Down-samples the ranges that are complete and that the rules want. A range goes from behind one multiple of the
    /// span up to the next, so that no window is in two of them.
    ///
    /// # Errors
    /// `Io`; the next call tries again.
    pub(crate) fn build_tiers(&self, state: &mut Maintenance) -> Result<(), StorageError> {
        let rules = Arc::clone(&state.rules);
        let span_ms = rules.span_ms();
        let Some(complete_ms) = self.complete_ms(state) else { return Ok(()) };
        let mut left = RANGES_AT_ONCE;
        for resolution_ms in rules.resolutions() {
            while left > 0
                && let Some(from_ms) = self.tier_end_ms(state, resolution_ms)
                && from_ms.saturating_add(span_ms) <= complete_ms
            {
                let to_ms = from_ms + span_ms;
                let due: Vec<&Rule> = (rules.of(resolution_ms))
                    .filter(|rule| self.rule_end_ms(state, rule).is_none_or(|end_ms| end_ms <= from_ms))
                    .collect();
                let blocks = self.view().blocks.clone();
                let wanted: Vec<&Rule> =
                    due.iter().filter(|rule| complete_ms.saturating_sub(to_ms) < rule.keep_ms).copied().collect();
                if !wanted.is_empty() {
                    self.build_range(state, resolution_ms, from_ms, &wanted, &blocks)?;
                    left -= 1;
                }
                for rule in due {
                    state.tiers_done.insert((resolution_ms, rule.text.clone()), to_ms);
                }
            }
        }
        Ok(())
    }

    /// Down-samples of blocks that are new (from elsewhere, or of what came late) what lies where everything else was
    /// down-sampled already.
    pub(crate) fn build_tiers_of(&self, state: &mut Maintenance, blocks: &[Arc<Block>]) -> Result<(), StorageError> {
        let rules = Arc::clone(&state.rules);
        let span_ms = rules.span_ms();
        let span_of = |time_ms: i64| time_ms.saturating_sub(1).div_euclid(span_ms);
        let all = rules.resolutions();
        let ends =
            all.iter().flat_map(|resolution_ms| rules.of(*resolution_ms)).map(|rule| self.rule_end_ms(state, rule));
        let Some(end_ms) = ends.flatten().max() else { return Ok(()) };
        // All blocks of a span at once, for a window may lie in two of them.
        let spans: BTreeSet<i64> = (blocks.iter())
            .flat_map(|block| {
                let last_ms = block.meta.max_time_ms.saturating_sub(1).min(end_ms);
                span_of(block.meta.min_time_ms)..=span_of(last_ms)
            })
            .collect();
        for resolution_ms in all {
            for span in &spans {
                let from_ms = span.saturating_mul(span_ms);
                let late: Vec<&Rule> = (rules.of(resolution_ms))
                    .filter(|rule| self.rule_end_ms(state, rule).is_some_and(|end_ms| end_ms > from_ms))
                    .collect();
                if late.is_empty() {
                    break;
                }
                self.build_range(state, resolution_ms, from_ms, &late, blocks)?;
            }
        }
        Ok(())
    }

    /// Until when, inclusive, nothing is expected any more, in whole spans; `None` while there is nothing.
    fn complete_ms(&self, state: &Maintenance) -> Option<i64> {
        let span_ms = state.rules.span_ms();
        let behind = |newest_ms: i64| newest_ms.saturating_sub(self.options.block_range_ms);
        let not_in_head_ms = match self.head.extent() {
            // Before the first cut too there may be blocks, from elsewhere, behind what the head has and takes.
            Some((oldest_ms, newest_ms, _)) => oldest_ms.min(behind(newest_ms)),
            // Nothing comes, or nothing came yet: history of imports, or of a server that stands still.
            None => behind(self.newest_ms()),
        };
        let before_ms =
            state.cut_done_ms.max(not_in_head_ms).checked_sub(self.out_of_order_window_ms.load(Ordering::Relaxed))?;
        Some(before_ms.checked_sub(1)?.div_euclid(span_ms).saturating_mul(span_ms))
    }

    /// Until when, inclusive, a rule has its windows; `None` if it has none.
    fn rule_end_ms(&self, state: &Maintenance, rule: &Rule) -> Option<i64> {
        let view = self.view();
        let of_tier = view.blocks.iter().filter(|block| block.meta.resolution_ms == Some(rule.resolution_ms));
        let covers = of_tier.flat_map(|block| &block.meta.covers).filter(|cover| cover.selector == rule.text);
        let done = state.tiers_done.get(&(rule.resolution_ms, rule.text.clone())).copied();
        covers.map(|cover| cover.max_ms.saturating_sub(1)).max().max(done)
    }

    /// Until when, inclusive, all rules of a resolution have their windows: not before the oldest raw samples. `None` if
    /// there are no raw samples.
    pub(crate) fn tier_end_ms(&self, state: &Maintenance, resolution_ms: i64) -> Option<i64> {
        let span_ms = state.rules.span_ms();
        let view = self.view();
        let raw = view.blocks.iter().filter(|block| block.meta.resolution_ms.is_none());
        let oldest_ms = raw.map(|block| block.meta.min_time_ms).min()?;
        let begin_ms = oldest_ms.saturating_sub(1).div_euclid(span_ms).saturating_mul(span_ms);
        let ends = state.rules.of(resolution_ms).map(|rule| self.rule_end_ms(state, rule).unwrap_or(i64::MIN));
        Some(ends.min()?.max(begin_ms))
    }

    /// True if a metric is known to be a gauge.
    fn is_gauge(&self, labels: &Labels) -> bool {
        let metadata = self.metadata.read().unwrap_or_else(PoisonError::into_inner);
        metadata.get(labels.metric_name()).is_some_and(|own| own.metric_type == MetricType::Gauge)
    }

    /// Writes the windows of the range behind `from_ms` for the series that the rules accept.
    fn build_range(
        &self,
        state: &mut Maintenance,
        resolution_ms: i64,
        from_ms: i64,
        rules: &[&Rule],
        blocks: &[Arc<Block>],
    ) -> Result<(), StorageError> {
        let started = Instant::now();
        let (start_ms, end_ms) = (from_ms + 1, from_ms + state.rules.span_ms());
        let cover = |rule: &&Rule| Cover { selector: rule.text.clone(), min_ms: start_ms, max_ms: end_ms + 1 };
        let plan = BlockPlan {
            ulid: state.next_ulid(self.options.clock.now_ms()),
            min_time_ms: start_ms,
            max_time_ms: end_ms + 1,
            compaction: Compaction { level: 1, parents: Vec::new() },
            resolution_ms: Some(resolution_ms),
            covers: rules.iter().map(cover).collect(),
            ..BlockPlan::default()
        };
        let raw = blocks.iter().filter(|block| block.meta.resolution_ms.is_none() && block.overlaps(start_ms, end_ms));
        let sets: Vec<SeriesSet> =
            raw.flat_map(|block| rules.iter().map(|rule| block.select(&rule.selector, start_ms, end_ms))).collect();
        if sets.is_empty() {
            return Ok(());
        }
        let mut writer = BlockWriter::create(&self.options.dir, plan)?;
        let mut samples = Samples::default();
        for series in merge_sets(sets) {
            let series = series?;
            samples.clear();
            series.read(&mut samples)?;
            let windows = Windows::of(&samples, resolution_ms, self.is_gauge(series.labels()));
            writer.add_windows(series.labels(), &windows)?;
        }
        let Some(dir) = writer.finish()? else { return Ok(()) };
        self.metrics.compactions.inc();
        self.metrics.compaction_seconds.observe(started.elapsed().as_secs_f64());
        let mut blocks = self.view().blocks.clone();
        blocks.push(Block::open(&dir, &self.shared)?);
        self.show(state, blocks);
        Ok(())
    }
}
