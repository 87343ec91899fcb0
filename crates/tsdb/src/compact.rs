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

/// The next compaction, if there is anything to do: overlapping blocks first, then full windows, short ones first. What is
/// damaged is left alone, and nothing is joined over it: a block that spans another one would have to be read beside it.
pub(crate) fn plan_compaction(blocks: &[Arc<Block>], ranges: &[i64]) -> Option<Sources> {
    let all = blocks.iter().enumerate().map(|(at, block)| span(&block.meta, at));
    let (fixed, mut spans): (Vec<Span>, Vec<Span>) = all.partition(|span| blocks[span.2].is_damaged());
    spans.sort_unstable();
    let (mut chosen, vertical) = plan(&spans, &fixed, ranges)?;
    chosen.sort_by(|a, b| blocks[*a].meta.ulid.cmp(&blocks[*b].meta.ulid));
    Some(Sources { blocks: chosen.into_iter().map(|at| Arc::clone(&blocks[at])).collect(), vertical })
}

/// Start, end (exclusive) and name of a block.
type Span = (i64, i64, usize);

fn span(meta: &BlockMeta, at: usize) -> Span {
    // Windows end with the millisecond that blocks of raw samples begin with.
    let shift = i64::from(meta.resolution_ms.is_some());
    (meta.min_time_ms.saturating_sub(shift), meta.max_time_ms.saturating_sub(shift), at)
}

/// `spans` are sorted; `fixed` are blocks that stay as they are.
fn plan(spans: &[Span], fixed: &[Span], ranges: &[i64]) -> Option<(Vec<usize>, bool)> {
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
            let end = (window + 1).saturating_mul(range);
            let fits = |span: &Span| span.0.div_euclid(range) == window && span.1 <= end;
            // Nothing may lie in the gap to the one before.
            let follows = |before: &Span, span: &Span| {
                before.1 >= span.0 || !fixed.iter().any(|own| own.0 < span.0 && own.1 > before.1)
            };
            let mut count = usize::from(fits(&older[at]));
            while count > 0
                && older.get(at + count).is_some_and(|span| fits(span) && follows(&older[at + count - 1], span))
            {
                count += 1;
            }
            let group = &older[at..at + count];
            let complete = group.last().is_some_and(|last| last.1 == end) || newest_min >= end;
            if group.len() > 1 && complete {
                return Some((group.iter().map(|span| span.2).collect(), false));
            }
            at += count.max(1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Blocks as `start-end`, with `!` behind those that are damaged; what is to become one.
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
0-2 2-4! 4-6 6-8         => nothing
0-2 2-4 4-6! 6-8         => 0-2 2-4
0-2! 2-4 4-6 6-8         => 2-4 4-6
0-2 3-4! 2-3 4-6 6-8     => 0-2 2-3
0-2 1-3! 2-4 6-8         => 0-2 2-4
0-2 1-3! 3-4 6-8         => nothing
0-2 2-4 6-8!             => nothing
0-2 2-4 4-5 6-8!         => nothing
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
            let (mut spans, mut fixed) = (Vec::new(), Vec::new());
            for (at, block) in blocks.split_whitespace().enumerate() {
                let times = block.trim_end_matches('!');
                let middle = 1 + times[1..].find('-').unwrap();
                let span = (times[..middle].parse::<i64>().unwrap(), times[middle + 1..].parse::<i64>().unwrap(), at);
                if times == block { spans.push(span) } else { fixed.push(span) }
            }
            spans.sort_unstable();
            let said = match plan(&spans, &fixed, &[2, 6, 18]) {
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

    proptest! {
        /// Blocks that lie side by side, with gaps and with damaged ones among them, are joined until nothing is left to do:
        /// never over one that stays, and each only into one of the ranges.
        #[test]
        fn ranges_never_come_to_overlap(lengths in proptest::collection::vec((1_i64..4, 0_i64..3, 0_u8..5), 1..40)) {
            let (mut spans, mut fixed, mut end) = (Vec::new(), Vec::new(), 0);
            for (at, (length, gap, kind)) in lengths.into_iter().enumerate() {
                let span = (end + gap, end + gap + length, at);
                end = span.1;
                if kind == 0 { fixed.push(span) } else { spans.push(span) }
            }
            for _ in 0..100 {
                let Some((chosen, vertical)) = plan(&spans, &fixed, &[2, 6, 18]) else { return Ok(()) };
                prop_assert!(!vertical && chosen.len() > 1);
                let (parts, mut rest): (Vec<Span>, Vec<Span>) = spans.iter().partition(|span| chosen.contains(&span.2));
                let (min, max) = (parts[0].0, parts[parts.len() - 1].1);
                prop_assert!([6, 18].iter().any(|range| min.div_euclid(*range) == (max - 1).div_euclid(*range)));
                let others = rest.iter().chain(&fixed);
                prop_assert!(others.clone().all(|own| own.1 <= min || max <= own.0), "{min}-{max} over {rest:?} {fixed:?}");
                rest.push((min, max, chosen[0]));
                rest.sort_unstable();
                spans = rest;
            }
            prop_assert!(false, "no end");
        }
    }
}
