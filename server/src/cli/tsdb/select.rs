//! What of a data folder is meant: selectors and times, the same for all commands that read.

use super::open;
use anyhow::{Context, Result, ensure};
use model::Matcher;
use std::{path::PathBuf, sync::Arc};
use storage::{Queryable, Samples, SelectHints, SeriesSet};
use tsdb::{SeriesExemplars, Tsdb};

#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Only the series of this selector; given several times, those of any of them.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Oldest time: Unix milliseconds or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    min_time: Option<i64>,
    /// Newest time, inclusive.
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    max_time: Option<i64>,
    /// The data folder to read.
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
    dir: PathBuf,
}

pub(super) fn time_ms(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|_| "expected Unix milliseconds or a time like 2026-01-31T00:00:00Z".to_owned())
}

/// An open folder, and what of it is meant.
pub(super) struct Selected {
    pub(super) tsdb: Arc<Tsdb>,
    selectors: Vec<Vec<Matcher>>,
    pub(super) first_ms: i64,
    /// Inclusive.
    pub(super) last_ms: i64,
}

impl Selection {
    pub(super) fn open(&self) -> Result<Selected> {
        ensure!(self.dir.is_dir(), "{}: there is no such folder; name it in --storage.tsdb.path", self.dir.display());
        let parse =
            |text: &String| promql_syntax::parse_metric_selector(text).with_context(|| format!("--match {text}"));
        Ok(Selected {
            selectors: self.selectors.iter().map(parse).collect::<Result<_>>()?,
            tsdb: open(&self.dir)?,
            first_ms: self.min_time.unwrap_or(i64::MIN),
            last_ms: self.max_time.unwrap_or(i64::MAX),
        })
    }
}

/// What is in a selection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    pub(super) series: u64,
    pub(super) histograms: bool,
    pub(super) starts: bool,
}

impl Selected {
    /// Series that have samples in the time meant and that `matchers` accepts too, in order of labels. Samples that are
    /// read of them are of that time.
    pub(super) fn series(&self, matchers: &[Matcher]) -> Result<SeriesSet> {
        let hints = SelectHints { start_ms: self.first_ms, end_ms: self.last_ms, ..SelectHints::default() };
        Ok(self.querier(self.first_ms, self.last_ms)?.select(&hints, matchers)?)
    }

    /// What is among them. Reads all samples until it knows, which is a small part of what writing them costs.
    pub(super) fn survey(&self) -> Result<Survey> {
        let (mut survey, mut samples) = (Survey::default(), Samples::default());
        for series in self.series(&[])?.flatten() {
            survey.series += 1;
            if !(survey.histograms && survey.starts) {
                samples.clear();
                series.read(&mut samples)?;
                survey.histograms |= samples.histograms.iter().any(Option::is_some);
                survey.starts |= samples.start_timestamps.iter().any(|start| *start != 0);
            }
        }
        Ok(survey)
    }

    /// Exemplars of these series, of the time meant; series in order of labels, exemplars of time.
    pub(super) fn exemplars(&self) -> Result<Vec<SeriesExemplars>> {
        let everything = [Vec::new()];
        let selectors = if self.selectors.is_empty() { &everything } else { self.selectors.as_slice() };
        Ok(self.tsdb.exemplars(self.first_ms, self.last_ms, selectors)?)
    }

    /// How many there are; what is damaged is told by those who read.
    pub(super) fn count(&self) -> Result<u64> {
        Ok(self.series(&[])?.flatten().count() as u64)
    }
}

impl Queryable for Selected {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn storage::Querier>, storage::StorageError> {
        let querier = self.tsdb.querier(start_ms, end_ms)?;
        Ok(Box::new(SelectedQuerier { querier, selectors: self.selectors.clone() }))
    }
}

struct SelectedQuerier {
    querier: Box<dyn storage::Querier>,
    selectors: Vec<Vec<Matcher>>,
}

impl SelectedQuerier {
    /// What all selectors together find.
    fn texts(
        &self,
        matchers: &[Matcher],
        ask: impl Fn(&[Matcher]) -> Result<Vec<String>, storage::StorageError>,
    ) -> Result<Vec<String>, storage::StorageError> {
        if self.selectors.is_empty() {
            return ask(matchers);
        }
        let mut all = Vec::new();
        for own in &self.selectors {
            all.extend(ask(&[own.as_slice(), matchers].concat())?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

impl storage::Querier for SelectedQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, storage::StorageError> {
        if self.selectors.is_empty() {
            return self.querier.select(hints, matchers);
        }
        let sets = self.selectors.iter().map(|own| self.querier.select(hints, &[own.as_slice(), matchers].concat()));
        Ok(storage::fanout::merge_sets(sets.collect::<Result<_, _>>()?))
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, storage::StorageError> {
        self.texts(matchers, |matchers| self.querier.label_names(matchers))
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, storage::StorageError> {
        self.texts(matchers, |matchers| self.querier.label_values(name, matchers))
    }
}
