//! Reading head and blocks as one.

use crate::{
    block::Block,
    head::{Head, HeadSeries},
    postings::Selector,
    tier::{self, Notes, Source},
};
use model::{Labels, Matcher};
use std::{
    collections::BTreeSet,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
};
use storage::{Querier, Samples, SelectHints, Series, SeriesSet, StorageError, fanout::merge_sets};

/// The blocks at one time. Whoever reads holds one: what it names is not deleted before it is dropped, and neither
/// are the samples that went from the head to a newer block.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// In order of creation.
    pub(crate) blocks: Vec<Arc<Block>>,
}

/// Counts deletions, so that readers see by it whether one came in between: odd while one is being shown.
#[derive(Debug, Default)]
pub(crate) struct Deletions(AtomicU64);

/// So many times a selection that a deletion came into is made anew.
const SELECTS_MAX: usize = 10;

impl Deletions {
    /// Runs `show`, which does no more than show a deletion to the readers. Only one at a time.
    pub(crate) fn show(&self, show: impl FnOnce()) {
        self.0.fetch_add(1, Ordering::SeqCst);
        show();
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> u64 {
        loop {
            match self.0.load(Ordering::SeqCst) {
                even if even % 2 == 0 => return even,
                // Some pointers are being exchanged.
                _ => std::thread::yield_now(),
            }
        }
    }
}

pub(crate) struct TsdbQuerier {
    pub(crate) head: Arc<Head>,
    pub(crate) view: Arc<View>,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) notes: Arc<Notes>,
    pub(crate) deletions: Arc<Deletions>,
}

impl TsdbQuerier {
    /// Joins raw samples with those of down-sampled blocks, if there are any.
    fn with_tiers(&self, hints: &SelectHints, selector: &Selector, raw: SeriesSet) -> SeriesSet {
        let resolutions: BTreeSet<i64> =
            self.view.blocks.iter().filter_map(|block| block.meta.resolution_ms).filter(|ms| *ms > 0).collect();
        if resolutions.is_empty() {
            return raw;
        }
        let resolutions: Vec<i64> = resolutions.into_iter().collect();
        let plan = tier::plan(hints, self.start_ms, self.end_ms, &resolutions);
        let mut raw = Some(raw);
        let mut sources = Vec::with_capacity(plan.order.len());
        for &resolution_ms in &plan.order {
            let set = if resolution_ms == 0 {
                raw.take()
            } else {
                let (start_ms, end_ms) = plan.bounds(resolution_ms, self.start_ms, self.end_ms);
                let blocks = self.view.blocks.iter().filter(|block| {
                    block.meta.resolution_ms == Some(resolution_ms) && block.overlaps(start_ms, end_ms)
                });
                let sets: Vec<SeriesSet> =
                    blocks.map(|block| block.select_as(selector, start_ms, end_ms, plan.mode)).collect();
                (!sets.is_empty()).then(|| merge_sets(sets))
            };
            sources.extend(set.map(|set| Source { resolution_ms, set }));
        }
        tier::tiered(sources, plan, self.start_ms, self.end_ms, Arc::clone(&self.notes))
    }

    fn select_now(&self, hints: &SelectHints, selector: &Selector) -> Result<SeriesSet, StorageError> {
        let (start_ms, end_ms) = (self.start_ms, self.end_ms);
        let raw = self.blocks().filter(|block| block.meta.resolution_ms.is_none());
        let mut sets: Vec<SeriesSet> = raw.map(|block| block.select(selector, start_ms, end_ms)).collect();
        let mut series = self.head.select(selector, start_ms, end_ms);
        selector.check_complete()?;
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let view = Arc::clone(&self.view);
        sets.push(Box::new(series.into_iter().map(move |series| {
            let series = Newest { series, _view: Arc::clone(&view), start_ms, end_ms };
            Ok(Box::new(series) as Box<dyn Series>)
        })));
        Ok(self.with_tiers(hints, selector, merge_sets(sets)))
    }

    fn blocks(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.view.blocks.iter().filter(|block| block.overlaps(self.start_ms, self.end_ms))
    }
}

impl Querier for TsdbQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, StorageError> {
        let selector = Selector::new(matchers)?.stopped_by(hints.stop.clone());
        // What is selected is read as it is now, however long that takes.
        let mut tries = 0;
        let merged = loop {
            let deletions = self.deletions.count();
            let merged = self.select_now(hints, &selector)?;
            tries += 1;
            if self.deletions.count() == deletions || tries == SELECTS_MAX {
                break merged;
            }
        };
        Ok(if hints.limit > 0 { Box::new(merged.take(hints.limit)) } else { merged })
    }

    fn label_sets(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Vec<Labels>, StorageError> {
        let selector = Selector::new(matchers)?;
        let mut all = Vec::new();
        for block in self.blocks() {
            block.label_sets(&selector, self.start_ms, self.end_ms, &mut all);
        }
        self.head.label_sets(&selector, self.start_ms, self.end_ms, &mut all);
        // Every block gives its series in order, and this sort finds such runs.
        all.sort();
        all.dedup();
        if hints.limit > 0 {
            all.truncate(hints.limit);
        }
        Ok(all)
    }

    fn notes(&self) -> Vec<String> {
        self.notes.texts()
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let selector = Selector::new(matchers)?;
        let mut names: BTreeSet<String> =
            self.head.label_names(&selector, self.start_ms, self.end_ms).into_iter().collect();
        for block in self.blocks() {
            block.label_names(&selector, &mut names);
        }
        Ok(names.into_iter().collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let selector = Selector::new(matchers)?;
        let mut values: BTreeSet<String> =
            self.head.label_values(name, &selector, self.start_ms, self.end_ms).into_iter().collect();
        for block in self.blocks() {
            block.label_values(name, &selector, &mut values);
        }
        Ok(values.into_iter().collect())
    }
}

struct Newest {
    series: HeadSeries,
    /// Keeps the samples in the head.
    _view: Arc<View>,
    start_ms: i64,
    end_ms: i64,
}

impl Series for Newest {
    fn labels(&self) -> &Labels {
        &self.series.labels
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        let slot = usize::from(self.series.slot);
        self.series.group.read(slot, self.start_ms, self.end_ms, into);
        Ok(())
    }

    fn read_between(&self, start_ms: i64, end_ms: i64, into: &mut Samples) -> Result<(), StorageError> {
        self.series.group.read(usize::from(self.series.slot), start_ms, end_ms, into);
        Ok(())
    }
}
