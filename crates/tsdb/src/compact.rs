//! Which blocks are to become one.

use crate::{
    TsdbOptions,
    block::{Block, meta::BlockMeta},
};
use std::sync::Arc;

/// Each range is so many times longer than the one before, as in Prometheus.
const RANGE_FACTOR: i64 = 3;
/// Longest range without another wish: 31 days, as in Prometheus.
const RANGE_MS_MAX: i64 = 31 * 24 * 3_600_000;
/// So many lengths of down-sampled blocks: with days, up to 81 of them.
const TIER_RANGES: u32 = 5;

/// Lengths of blocks, ascending, the first that of blocks from the head.
pub(crate) fn ranges(options: &TsdbOptions, retention_ms: i64) -> Vec<i64> {
    let max = match (options.block_range_ms_max, retention_ms) {
        (0, 0) => RANGE_MS_MAX,
        (0, retention) => (retention / 10).min(RANGE_MS_MAX),
        (max, _) => max,
    };
    let mut ranges = vec![options.block_range_ms];
    let mut next = options.block_range_ms.saturating_mul(RANGE_FACTOR);
    while next <= max {
        ranges.push(next);
        next = next.saturating_mul(RANGE_FACTOR);
    }
    ranges
}

/// Lengths of down-sampled blocks, ascending, the first that of one range. Blocks go as a whole: as those of raw samples, none
/// is longer than a tenth of what its windows are kept for, so that they do not outlive it by much.
pub(crate) fn tier_ranges(span_ms: i64, keep_ms: i64) -> Vec<i64> {
    let longer = (1..TIER_RANGES).map(|power| span_ms.saturating_mul(RANGE_FACTOR.pow(power)));
    std::iter::once(span_ms).chain(longer.take_while(|range_ms| *range_ms <= keep_ms / 10)).collect()
}

/// What is to be compacted.
pub(crate) struct Sources {
    /// In order of creation.
    pub(crate) blocks: Vec<Arc<Block>>,
    /// They overlap in time.
    pub(crate) vertical: bool,
}

/// The next compaction, if there is anything to do: overlapping blocks first, then full windows, short ones first.
pub(crate) fn plan_compaction(blocks: &[Arc<Block>], ranges: &[i64]) -> Option<Sources> {
    let mut spans: Vec<(i64, i64, usize)> =
        blocks.iter().enumerate().map(|(at, block)| span(&block.meta, at)).collect();
    spans.sort_unstable();
    let (mut chosen, vertical) = plan(&spans, ranges)?;
    chosen.sort_by(|a, b| blocks[*a].meta.ulid.cmp(&blocks[*b].meta.ulid));
    Some(Sources { blocks: chosen.into_iter().map(|at| Arc::clone(&blocks[at])).collect(), vertical })
}

fn span(meta: &BlockMeta, at: usize) -> (i64, i64, usize) {
    // Windows end with the millisecond that blocks of raw samples begin with.
    let shift = i64::from(meta.resolution_ms.is_some());
    (meta.min_time_ms.saturating_sub(shift), meta.max_time_ms.saturating_sub(shift), at)
}

/// `spans`: start, end (exclusive) and name of blocks, sorted.
fn plan(spans: &[(i64, i64, usize)], ranges: &[i64]) -> Option<(Vec<usize>, bool)> {
    let mut overlapping: Vec<usize> = Vec::new();
    let mut end = i64::MIN;
    for &(min, max, at) in spans {
        if min >= end {
            if overlapping.len() > 1 {
                return Some((overlapping, true));
            }
            overlapping.clear();
        }
        overlapping.push(at);
        end = end.max(max);
    }
    if overlapping.len() > 1 {
        return Some((overlapping, true));
    }
    // The newest is left alone: the next may belong to its window.
    let (&(newest_min, _, _), older) = spans.split_last()?;
    for &range in ranges.iter().skip(1) {
        let mut at = 0;
        while at < older.len() {
            let window = older[at].0.div_euclid(range);
            let fits = |span: &&(i64, i64, usize)| {
                span.0.div_euclid(range) == window && span.1 <= (window + 1).saturating_mul(range)
            };
            let group: Vec<_> = older[at..].iter().take_while(fits).collect();
            let end = (window + 1).saturating_mul(range);
            let complete = group.last().is_some_and(|last| last.1 == end) || newest_min >= end;
            if group.len() > 1 && complete {
                return Some((group.iter().map(|span| span.2).collect(), false));
            }
            at += group.len().max(1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks as `start-end`; what is to become one.
    const CASES: &str = "
0-2 2-4                  => nothing
0-2 2-4 4-6              => nothing
0-2 2-4 4-6 6-8          => 0-2 2-4 4-6
0-2 4-6 6-8              => 0-2 4-6
0-2 2-4 6-8              => 0-2 2-4
0-2 1-3 6-8              => 0-2 1-3 overlapping
2-4 0-6 6-8              => 0-6 2-4 overlapping
0-6 6-12 12-18 18-20     => 0-6 6-12 12-18
0-6 6-8 8-10 12-14       => 6-8 8-10
0-18 18-20               => nothing
-4--2 -6--4 0-2          => -6--4 -4--2
";

    #[test]
    fn blocks_of_windows_do_not_outlive_their_windows_by_much() {
        for (keep, expected) in
            [(0, vec![1]), (29, vec![1]), (30, vec![1, 3]), (365, vec![1, 3, 9, 27]), (1826, vec![1, 3, 9, 27, 81])]
        {
            assert_eq!(tier_ranges(1, keep), expected, "{keep} days");
        }
        assert_eq!(tier_ranges(i64::MAX / 2, i64::MAX), [i64::MAX / 2]);
    }

    #[test]
    fn plans() {
        for case in CASES.trim().lines() {
            let (blocks, expected) = case.split_once("=>").unwrap();
            let mut spans = Vec::new();
            for (at, block) in blocks.split_whitespace().enumerate() {
                let (_, rest) = block.split_at(1);
                let middle = 1 + rest.find('-').unwrap();
                spans.push((block[..middle].parse::<i64>().unwrap(), block[middle + 1..].parse::<i64>().unwrap(), at));
            }
            spans.sort_unstable();
            let said = match plan(&spans, &[2, 6, 18]) {
                None => "nothing".to_owned(),
                Some((chosen, vertical)) => {
                    let mut texts: Vec<String> = (chosen.iter())
                        .map(|at| spans.iter().find(|span| span.2 == *at).unwrap())
                        .map(|span| format!("{}-{}", span.0, span.1))
                        .collect();
                    texts.extend(vertical.then(|| "overlapping".to_owned()));
                    texts.join(" ")
                }
            };
            assert_eq!(said, expected.trim(), "in case `{case}`");
        }
    }
}
