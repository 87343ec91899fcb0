//! Retention by selector: for some series raw samples are kept shorter or longer than for others, and down-sampled ones
//! for years. Blocks of raw samples are read into blocks of windows ("tiers") while both are there.

mod build;
mod read;
mod retention;
mod windows;

pub(crate) use read::{Notes, Source, plan, tiered};
pub(crate) use windows::{Mode, Totals, Windows, window_of};

use crate::{options::Retention, postings::Selector};
use model::Labels;

/// So many block ranges are down-sampled at a time: a day of two-hour blocks.
const SPAN_BLOCKS: i64 = 12;

/// Rules that can be run.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// As they were asked for.
    pub(crate) retention: Retention,
    list: Vec<Rule>,
    span_ms: i64,
}

#[derive(Debug)]
pub(crate) struct Rule {
    /// As it was written; blocks tell by it which rules they were made for.
    pub(crate) text: String,
    pub(crate) selector: Selector,
    pub(crate) keep_ms: i64,
    /// 0 for raw samples.
    pub(crate) resolution_ms: i64,
}

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    /// What is wrong with which rule.
    pub(crate) fn new(retention: Retention, block_range_ms: i64) -> Result<Self, String> {
        let span_ms = block_range_ms.saturating_mul(SPAN_BLOCKS);
        let mut list = Vec::with_capacity(retention.rules.len());
        for rule in &retention.rules {
            let text = rule.selector.clone();
            let selector = Selector::new(&rule.matchers).map_err(|error| format!("retention rule {text}: {error}"))?;
            let resolution_ms = rule.resolution_ms.unwrap_or(0);
            if resolution_ms < 0 || rule.resolution_ms == Some(0) || resolution_ms > 0 && span_ms % resolution_ms != 0 {
                return Err(format!(
                    "retention rule {text}: a resolution of {resolution_ms} ms; it must divide {span_ms} ms evenly"
                ));
            }
            if rule.keep_ms <= 0 {
                return Err(format!("retention rule {text}: keep must be longer than 0"));
            }
            list.push(Rule { text, selector, keep_ms: rule.keep_ms, resolution_ms });
        }
        Ok(Rules { retention, list, span_ms })
    }

    pub(crate) fn span_ms(&self) -> i64 {
        self.span_ms
    }

    /// True if one of the rules was written so.
    pub(crate) fn has(&self, resolution_ms: i64, text: &str) -> bool {
        self.of(resolution_ms).any(|rule| rule.text == text)
    }

    /// How long samples are kept that no rule of their resolution speaks of.
    pub(crate) fn keep_otherwise_ms(&self) -> i64 {
        if self.retention.time_ms > 0 { self.retention.time_ms } else { i64::MAX }
    }

    /// Rules of one resolution, in order.
    pub(crate) fn of(&self, resolution_ms: i64) -> impl Iterator<Item = &Rule> {
        self.list.iter().filter(move |rule| rule.resolution_ms == resolution_ms)
    }

    /// Resolutions of down-sampled history, ascending.
    pub(crate) fn resolutions(&self) -> Vec<i64> {
        let mut all: Vec<i64> =
            self.list.iter().map(|rule| rule.resolution_ms).filter(|resolution_ms| *resolution_ms > 0).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// How long samples of a series are kept at a resolution: as the first rule has it that accepts the series.
    pub(crate) fn keep_ms(&self, labels: &Labels, resolution_ms: i64, otherwise_ms: i64) -> i64 {
        self.of(resolution_ms).find(|rule| rule.selector.matches(labels)).map_or(otherwise_ms, |rule| rule.keep_ms)
    }

    /// All lengths of time that samples of a resolution may be kept, ascending.
    pub(crate) fn keeps_ms(&self, resolution_ms: i64, otherwise_ms: i64) -> Vec<i64> {
        let mut all: Vec<i64> = self.of(resolution_ms).map(|rule| rule.keep_ms).collect();
        all.push(otherwise_ms);
        all.sort_unstable();
        all.dedup();
        all
    }
}
