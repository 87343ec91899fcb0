//! `vigie tsdb create-blocks-from …`: promtool's names for what fills a data folder with history.

use super::super::features::FeatureFlags;
use super::super::query::{ask, http_config};
use super::api_histogram;
use super::import::{self, FileFormat, Gathered, Import};
use crate::http::params::parse_time_ms;
use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, Subcommand};
use model::{Labels, SampleValue, labels::METRIC_NAME};
use rules::{Reading, RuleFile, RuleKind};
use serde_json::Value;
use std::{path::PathBuf, sync::Arc};

#[derive(Debug, Subcommand)]
pub(crate) enum CreateBlocksFrom {
    /// Recording rules, as if they had been there before: a server evaluates them over its past. Alerting rules are left
    /// out, and rules that read what others of these record find only what the server has of it.
    Rules(Rules),
    /// OpenMetrics text with timestamps; `vigie tsdb import` is the same.
    Openmetrics {
        #[arg(value_name = "FILE")]
        input: PathBuf,
        /// The data folder; made if it is not there.
        #[arg(value_name = "DIR", default_value = "data")]
        output: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Rules {
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The server with the past to read.
    #[arg(long, default_value = "http://localhost:9090")]
    url: String,
    /// How to reach it: a file with TLS, passwords and proxies as in `http_config`.
    #[arg(long = "http.config.file", value_name = "FILE")]
    http_config_file: Option<PathBuf>,
    /// RFC 3339 or Unix seconds.
    #[arg(long, value_name = "TIME")]
    start: String,
    /// RFC 3339 or Unix seconds; three hours ago unless given.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// The data folder; made if it is not there.
    #[arg(long, alias = "storage.tsdb.path", value_name = "DIR", default_value = "data/")]
    output_dir: PathBuf,
    /// For groups that have no interval.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    eval_interval: String,
    #[command(flatten)]
    features: FeatureFlags,
}

/// How long ago the end is unless it is given: what is newer the server may still be writing.
const END_BEFORE_NOW_MS: i64 = 3 * 60 * 60 * 1000;
/// A server answers with at most 11,000 points of a series.
const STEPS_PER_QUERY: i64 = 10_000;
/// Longest range of one query: the answer is held in memory.
const RANGE_MAX_MS: i64 = 2 * 60 * 60 * 1000;

pub(super) fn run(command: CreateBlocksFrom) -> Result<()> {
    match command {
        CreateBlocksFrom::Rules(flags) => from_rules(&flags),
        CreateBlocksFrom::Openmetrics { input, output } => {
            import::run(&Import { files: vec![input], format: Some(FileFormat::Openmetrics), dir: output })
        }
    }
}

fn from_rules(flags: &Rules) -> Result<()> {
    let time = |flag: &str, text: &str| parse_time_ms(text).map_err(|error| anyhow!("--{flag}={text}: {error}"));
    let start_ms = time("start", &flags.start)?;
    let end_ms = match &flags.end {
        Some(text) => time("end", text)?,
        None => jiff::Timestamp::now().as_millisecond() - END_BEFORE_NOW_MS,
    };
    ensure!(start_ms < end_ms, "start time is not before end time");
    let interval_ms = super::super::duration_flag("eval-interval", &flags.eval_interval)?;
    ensure!(interval_ms > 0, "--eval-interval={}: must be more than 0", flags.eval_interval);
    let mut files: Vec<RuleFile> = Vec::new();
    let reading = Reading { features: flags.features.language(), ..Reading::default() };
    for file in &flags.files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let name = file.display().to_string();
        files.push(rules::check_rules_with(&name, &text, reading).map_err(|faults| anyhow!("{faults}"))?);
    }
    let config = http_config(flags.http_config_file.as_deref())?;
    ::http_client::install_default_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tsdb = super::open(&flags.output_dir)?;
    let mut gathered = Gathered::new(&tsdb);
    for group in files.iter().flat_map(|file| &file.groups) {
        let step_ms = group.interval_ms.unwrap_or(interval_ms);
        for rule in group.rules.iter().filter(|rule| rule.kind == RuleKind::Recording) {
            for (from_ms, to_ms) in ranges(start_ms, end_ms, step_ms) {
                let url = format!("{}/api/v1/query_range", flags.url.trim_end_matches('/'));
                let pairs = [
                    ("query", rule.query.clone()),
                    ("start", seconds(from_ms)),
                    ("end", seconds(to_ms)),
                    ("step", seconds(step_ms)),
                ];
                let data = runtime
                    .block_on(ask(&url, &pairs, &config, Vec::new()))
                    .with_context(|| format!("group {:?}, rule {:?}", group.name, rule.name))?;
                store(&data, &rule.name, &rule.labels, &mut gathered)
                    .with_context(|| format!("group {:?}, rule {:?}", group.name, rule.name))?;
            }
        }
    }
    let total = gathered.finish()?;
    tsdb.close()?;
    total.tell(&flags.output_dir);
    Ok(())
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

/// From `start_ms` to `end_ms` in parts that a server answers at once, all at multiples of the step, each time in one.
fn ranges(start_ms: i64, end_ms: i64, step_ms: i64) -> impl Iterator<Item = (i64, i64)> {
    let steps = (RANGE_MAX_MS / step_ms).clamp(1, STEPS_PER_QUERY);
    let first_ms = start_ms.div_euclid(step_ms) * step_ms;
    let first_ms = if first_ms < start_ms { first_ms + step_ms } else { first_ms };
    std::iter::successors(Some(first_ms), move |from_ms| from_ms.checked_add(steps * step_ms))
        .take_while(move |from_ms| *from_ms <= end_ms)
        .map(move |from_ms| (from_ms, (from_ms + (steps - 1) * step_ms).min(end_ms)))
}

/// Puts the answer to a rule's query under its name, with its labels.
fn store(
    data: &Value,
    name: &str,
    labels: &std::collections::BTreeMap<String, String>,
    gathered: &mut Gathered<'_>,
) -> Result<()> {
    for series in data["result"].as_array().into_iter().flatten() {
        let metric = series["metric"].as_object().into_iter().flatten();
        let mut builder =
            Labels::from_pairs(metric.map(|(n, v)| (n.as_str(), v.as_str().unwrap_or_default()))).to_builder();
        for (label, value) in labels {
            builder.set(label, value);
        }
        builder.set(METRIC_NAME, name);
        let labels = builder.build();
        let slot = gathered.slot(labels);
        #[expect(clippy::cast_possible_truncation, reason = "a time of the range that was asked for")]
        let time_ms = |sample: &Value| sample[0].as_f64().map(|at| (at * 1000.0).round() as i64);
        for sample in series["values"].as_array().into_iter().flatten() {
            let (Some(time_ms), Some(value)) = (time_ms(sample), sample[1].as_str()) else { continue };
            let value = model::float::parse_float(value).with_context(|| format!("{value:?} is no number"))?;
            gathered.push(slot, time_ms, SampleValue::Float(value), 0)?;
        }
        let mut schema = 0;
        for sample in series["histograms"].as_array().into_iter().flatten() {
            let Some(time_ms) = time_ms(sample) else { continue };
            let histogram = api_histogram::read(&sample[1], schema).context("native histogram")?;
            schema = histogram.schema;
            gathered.push(slot, time_ms, SampleValue::Histogram(Arc::new(histogram)), 0)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn every_time_is_asked_for_once() {
        let minute = 60_000;
        let parts: Vec<_> = ranges(30_000, 5 * 60 * minute, minute).collect();
        assert_eq!(parts, [(minute, 120 * minute), (121 * minute, 240 * minute), (241 * minute, 300 * minute)]);
        assert_eq!(ranges(0, 10, 10_000_000).collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(ranges(1, 10, 100).count(), 0);
    }
}
