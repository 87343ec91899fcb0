//! `vigie tsdb analyze`: where series and samples come from, in promtool's words and what it does not tell.

use super::{
    super::{output::say, progress::Progress},
    select::{Selected, Selection},
};
use anyhow::Result;
use model::labels::METRIC_NAME;
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};
use storage::Samples;

#[derive(Debug, clap::Args)]
pub(crate) struct Analyze {
    /// How long each list may be.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    selection: Selection,
}

pub(super) fn run(flags: &Analyze) -> Result<()> {
    let selected = flags.selection.open()?;
    let report = Analysis::of(&selected)?.report(flags.limit);
    selected.tsdb.close()?;
    say(report.trim_end());
    Ok(())
}

/// Of the series that have something in common.
#[derive(Clone, Copy, Default)]
struct Common {
    series: u64,
    samples: u64,
    /// Milliseconds between first and last sample, all series together.
    covered_ms: f64,
}

impl Common {
    fn add(&mut self, series: Common) {
        self.series += series.series;
        self.samples += series.samples;
        self.covered_ms += series.covered_ms;
    }

    /// How many series would have to live all the time to have lived as little: 0 when all did.
    fn churn(self, duration_ms: f64) -> f64 {
        if duration_ms > 0.0 { self.series as f64 - self.covered_ms / duration_ms } else { 0.0 }
    }
}

#[derive(Default)]
struct Analysis {
    min_ms: Option<i64>,
    max_ms: Option<i64>,
    total: Common,
    /// By name, then value.
    pairs: BTreeMap<String, HashMap<String, Common>>,
}

impl Analysis {
    fn of(selected: &Selected) -> Result<Self> {
        let (all, mut progress) = (selected.count()?, Progress::new());
        let (mut analysis, mut samples) = (Analysis::default(), Samples::default());
        for (series, done) in selected.series(&[])?.zip(0_u64..) {
            let series = series?;
            samples.clear();
            series.read(&mut samples)?;
            progress.tell(done, all, || format!("{done} of {all} series"));
            let (Some(&first), Some(&last)) = (samples.timestamps.first(), samples.timestamps.last()) else { continue };
            let own =
                Common { series: 1, samples: samples.len() as u64, covered_ms: last.saturating_sub(first) as f64 };
            analysis.min_ms = Some(analysis.min_ms.map_or(first, |min| min.min(first)));
            analysis.max_ms = Some(analysis.max_ms.map_or(last, |max| max.max(last)));
            analysis.total.add(own);
            for (name, value) in series.labels() {
                if !analysis.pairs.contains_key(name) {
                    analysis.pairs.insert(name.to_owned(), HashMap::new());
                }
                let Some(values) = analysis.pairs.get_mut(name) else { continue };
                match values.get_mut(value) {
                    Some(common) => common.add(own),
                    None => drop(values.insert(value.to_owned(), own)),
                }
            }
        }
        Ok(analysis)
    }

    fn report(&self, limit: usize) -> String {
        let (Some(min_ms), Some(max_ms)) = (self.min_ms, self.max_ms) else {
            return "there are no samples of that selection".into();
        };
        let duration_ms = max_ms.saturating_sub(min_ms);
        let time = |ms| jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string());
        let pairs = || self.pairs.iter().flat_map(|(name, values)| values.iter().map(move |own| (name, own)));
        let entries: u64 = pairs().map(|(_, (_, common))| common.series).sum();
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "{name}: {value}");
        };
        line("From", time(min_ms));
        line("To", time(max_ms));
        line("Duration", model::duration::format_duration_ms(duration_ms));
        line("Total Series", self.total.series.to_string());
        line("Total Samples", self.total.samples.to_string());
        line("Label names", self.pairs.len().to_string());
        line("Postings (unique label pairs)", pairs().count().to_string());
        line("Postings entries (total label pairs)", entries.to_string());

        let churn = |common: Common| common.churn(duration_ms as f64).round() as u64;
        let names = |measure: &dyn Fn(&HashMap<String, Common>) -> u64| -> Vec<(u64, String)> {
            self.pairs.iter().map(|(name, values)| (measure(values), name.clone())).collect()
        };
        let by_pair = |measure: &dyn Fn(Common) -> u64| -> Vec<(u64, String)> {
            pairs().map(|(name, (value, common))| (measure(*common), format!("{name}={value}"))).collect()
        };
        let by_metric = |measure: &dyn Fn(Common) -> u64| -> Vec<(u64, String)> {
            let metrics = self.pairs.get(METRIC_NAME).into_iter().flatten();
            metrics.map(|(name, common)| (measure(*common), name.clone())).collect()
        };
        let all = |values: &HashMap<String, Common>| {
            values.values().fold(Common::default(), |mut all, own| {
                all.add(*own);
                all
            })
        };
        let mut list = |title: &str, mut found: Vec<(u64, String)>| {
            found.retain(|(count, _)| *count > 0);
            found.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            let _ = writeln!(out, "\n{title}:");
            for (count, name) in found.into_iter().take(limit) {
                let _ = writeln!(out, "{count} {name}");
            }
        };
        list("Label pairs most involved in churning", by_pair(&churn));
        list("Label names most involved in churning", names(&|values| churn(all(values))));
        list("Most common label pairs", by_pair(&|common| common.series));
        let length = |values: &HashMap<String, Common>| values.keys().map(|value| value.len() as u64).sum();
        list("Label names with highest cumulative label value length", names(&length));
        list("Highest cardinality labels", names(&|values| values.len() as u64));
        list("Highest cardinality metric names", by_metric(&|common| common.series));
        list("Metric names with the most samples", by_metric(&|common| common.samples));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_lived_half_the_time_is_half_a_churn() {
        let mut analysis = Analysis { min_ms: Some(0), max_ms: Some(1000), ..Analysis::default() };
        let whole = Common { series: 1, samples: 10, covered_ms: 1000.0 };
        let half = Common { covered_ms: 500.0, ..whole };
        let pod = HashMap::from([("a".to_owned(), whole), ("b".to_owned(), half), ("c".to_owned(), half)]);
        let mut up = whole;
        up.add(half);
        up.add(half);
        analysis.total = up;
        analysis.pairs.insert("pod".into(), pod);
        analysis.pairs.insert(METRIC_NAME.into(), HashMap::from([("up".to_owned(), up)]));
        let report = analysis.report(2);
        let part = |title: &str| {
            let lines = report.split(&format!("\n{title}:\n")).nth(1).unwrap_or_default();
            lines.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(part("Label names most involved in churning"), "1 __name__, 1 pod");
        assert_eq!(part("Label pairs most involved in churning"), "1 __name__=up, 1 pod=b");
        assert_eq!(part("Highest cardinality labels"), "3 pod, 1 __name__");
        assert_eq!(part("Metric names with the most samples"), "30 up");
        assert!(report.contains("Postings entries (total label pairs): 6\n"), "{report}");
    }
}
