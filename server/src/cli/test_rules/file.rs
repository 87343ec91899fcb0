//! The file of tests, as promtool's documentation of "unit testing rules" describes it.

use crate::http::params::parse_time_ms;
use model::duration::{format_duration_ms, parse_duration_ms};
use model::{FloatHistogram, Labels, SampleValue};
use promqltest::parse_series;
use rules::{FiringAlert, UnknownFields};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use storage::Samples;
use yaml::{Fault, Faults, Places};

const INTERVAL_MS: i64 = 60_000;
/// Evaluations of one test; more is a slip in a unit, and would take hours.
const EVALUATIONS_MAX: i64 = 10_000_000;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawFile {
    rule_files: Vec<String>,
    evaluation_interval: Option<String>,
    group_eval_order: Vec<String>,
    fuzzy_compare: bool,
    tests: Vec<RawTest>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTest {
    name: String,
    interval: Option<String>,
    start_timestamp: Option<String>,
    input_series: Vec<RawSeries>,
    alert_rule_test: Vec<RawAlertTest>,
    promql_expr_test: Vec<RawExprTest>,
    external_labels: BTreeMap<String, String>,
    external_url: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawSeries {
    series: String,
    values: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawAlertTest {
    eval_time: Option<String>,
    alertname: String,
    exp_alerts: Vec<RawAlert>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawAlert {
    exp_labels: BTreeMap<String, String>,
    exp_annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawExprTest {
    expr: String,
    eval_time: Option<String>,
    exp_samples: Vec<RawSample>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawSample {
    labels: String,
    value: f64,
    histogram: String,
}

/// A file of tests, checked. Times of tests count from their start.
pub(super) struct TestFile {
    /// Globs, as written.
    pub(super) rule_files: Vec<String>,
    pub(super) interval_ms: i64,
    pub(super) group_order: Vec<String>,
    pub(super) is_fuzzy: bool,
    pub(super) tests: Vec<Test>,
}

pub(super) struct Test {
    /// As written, or `unnamed#N`, from 0.
    pub(super) name: String,
    pub(super) start_ms: i64,
    pub(super) input: Vec<(Labels, Samples)>,
    pub(super) alerts: Vec<AlertTest>,
    pub(super) expressions: Vec<ExprTest>,
    pub(super) external_labels: Labels,
    pub(super) external_url: String,
}

pub(super) struct AlertTest {
    pub(super) time_ms: i64,
    pub(super) name: String,
    /// Sorted.
    pub(super) expected: Vec<FiringAlert>,
}

pub(super) struct ExprTest {
    pub(super) time_ms: i64,
    pub(super) text: String,
    /// Sorted by labels.
    pub(super) expected: Vec<(Labels, SampleValue)>,
}

impl Test {
    /// When the last thing is tested.
    pub(super) fn end_ms(&self) -> i64 {
        let alerts = self.alerts.iter().map(|test| test.time_ms);
        alerts.chain(self.expressions.iter().map(|test| test.time_ms)).max().unwrap_or(0)
    }
}

/// Reads a file; tests whose name `is_wanted` refuses are left out unread.
///
/// # Errors
/// All faults, with their places.
pub(super) fn load(
    file: &str,
    text: &str,
    unknown: UnknownFields,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<TestFile, Faults> {
    let (raw, places) = yaml::from_str_with::<RawFile>(file, text, unknown)?;
    let mut check = Check { places: &places, faults: Vec::new() };
    let interval_ms = check.duration("evaluation_interval", raw.evaluation_interval.as_deref()).filter(|ms| *ms > 0);
    let interval_ms = interval_ms.unwrap_or(INTERVAL_MS);
    let mut seen = BTreeSet::new();
    for (i, name) in raw.group_eval_order.iter().enumerate() {
        if !seen.insert(name) {
            check.fault(&format!("group_eval_order[{i}]"), format!("the group {name:?} stands here twice"));
        }
    }
    let mut tests = Vec::new();
    for (i, test) in raw.tests.iter().enumerate() {
        let name = if test.name.is_empty() { format!("unnamed#{i}") } else { test.name.clone() };
        // Who wants one test by its name does not want those without.
        if is_wanted(&test.name) {
            tests.push(check.test(&format!("tests[{i}]"), name, test, interval_ms));
        }
    }
    let faults = check.faults;
    places.check(faults)?;
    Ok(TestFile {
        rule_files: raw.rule_files,
        interval_ms,
        group_order: raw.group_eval_order,
        is_fuzzy: raw.fuzzy_compare,
        tests,
    })
}

struct Check<'a> {
    places: &'a Places,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(self.places.fault(path, message));
    }

    fn duration(&mut self, path: &str, text: Option<&str>) -> Option<i64> {
        match parse_duration_ms(text?) {
            Ok(ms) => Some(ms),
            Err(error) => {
                self.fault(path, error.to_string());
                None
            }
        }
    }

    fn test(&mut self, path: &str, name: String, raw: &RawTest, evaluation_interval_ms: i64) -> Test {
        let interval_ms = self.duration(&format!("{path}.interval"), raw.interval.as_deref()).filter(|ms| *ms > 0);
        let interval_ms = interval_ms.unwrap_or(evaluation_interval_ms);
        let start_ms = match raw.start_timestamp.as_deref().map(parse_time_ms) {
            None => 0,
            Some(Ok(ms)) => ms,
            Some(Err(error)) => {
                self.fault(
                    &format!("{path}.start_timestamp"),
                    format!("{error}; write Unix seconds or for example 2026-01-31T12:00:00Z"),
                );
                0
            }
        };
        // Of two lines for one series the later counts.
        let mut input = BTreeMap::new();
        for (i, series) in raw.input_series.iter().enumerate() {
            let line = parse_series(&format!("{} {}", series.series, series.values));
            match line.and_then(|line| Ok((line.samples(start_ms, interval_ms)?, line.labels))) {
                Ok((samples, labels)) => _ = input.insert(labels, samples),
                Err(error) => self.fault(&format!("{path}.input_series[{i}]"), error.to_string()),
            }
        }
        let alerts = raw.alert_rule_test.iter().enumerate();
        let alerts = alerts.map(|(i, test)| self.alert_test(&format!("{path}.alert_rule_test[{i}]"), test)).collect();
        let expressions = raw.promql_expr_test.iter().enumerate();
        let expressions =
            expressions.map(|(i, test)| self.expr_test(&format!("{path}.promql_expr_test[{i}]"), test)).collect();
        let test = Test {
            name,
            start_ms,
            input: input.into_iter().collect(),
            alerts,
            expressions,
            external_labels: Labels::from_pairs(&raw.external_labels),
            external_url: raw.external_url.trim_end_matches('/').to_owned(),
        };
        if test.end_ms() / evaluation_interval_ms > EVALUATIONS_MAX {
            let (end, interval) = (format_duration_ms(test.end_ms()), format_duration_ms(evaluation_interval_ms));
            self.fault(
                path,
                format!(
                    "{end} in steps of {interval} are more than {EVALUATIONS_MAX} evaluations; lower the last eval_time or raise evaluation_interval"
                ),
            );
        }
        test
    }

    fn alert_test(&mut self, path: &str, raw: &RawAlertTest) -> AlertTest {
        let time_ms = self.duration(&format!("{path}.eval_time"), raw.eval_time.as_deref()).unwrap_or(0);
        if raw.alertname.is_empty() {
            self.fault(path, "alertname is missing; write the name of the alert to test");
        }
        let mut expected: Vec<_> = raw
            .exp_alerts
            .iter()
            .map(|alert| {
                let mut labels = Labels::from_pairs(&alert.exp_labels).to_builder();
                labels.set("alertname", &raw.alertname);
                FiringAlert { labels: labels.build(), annotations: Labels::from_pairs(&alert.exp_annotations) }
            })
            .collect();
        expected.sort();
        AlertTest { time_ms, name: raw.alertname.clone(), expected }
    }

    fn expr_test(&mut self, path: &str, raw: &RawExprTest) -> ExprTest {
        let time_ms = self.duration(&format!("{path}.eval_time"), raw.eval_time.as_deref()).unwrap_or(0);
        let mut expected = Vec::with_capacity(raw.exp_samples.len());
        for (i, sample) in raw.exp_samples.iter().enumerate() {
            let path = format!("{path}.exp_samples[{i}]");
            let labels = match sample.labels.trim() {
                "" => Ok(Labels::empty()),
                text => match parse_series(text) {
                    Ok(line) if line.values.is_empty() => Ok(line.labels),
                    Ok(_) => Err(format!("`{text}`: something stands behind the labels")),
                    Err(error) => Err(error.to_string()),
                },
            };
            let labels = labels.unwrap_or_else(|error| {
                self.fault(&format!("{path}.labels"), error);
                Labels::empty()
            });
            let value = match sample.histogram.trim() {
                "" => SampleValue::Float(sample.value),
                text => SampleValue::Histogram(Arc::new(self.histogram(&format!("{path}.histogram"), text))),
            };
            expected.push((labels, value));
        }
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        ExprTest { time_ms, text: raw.expr.clone(), expected }
    }

    fn histogram(&mut self, path: &str, text: &str) -> FloatHistogram {
        let values = parse_series(&format!("{{}} {text}")).map(|line| line.values);
        let message = match values.as_deref() {
            Ok([Some(SampleValue::Histogram(histogram))]) => return FloatHistogram::clone(histogram),
            Ok(_) => format!("`{text}` is not one histogram; write for example {{{{schema:0 count:1 buckets:[1]}}}}"),
            Err(error) => error.to_string(),
        };
        self.fault(path, message);
        FloatHistogram::default()
    }
}

/// The globs of a file that name nothing, relative to `folder`.
pub(super) fn empty_globs(globs: &[String], folder: &Path) -> Vec<String> {
    let is_empty = |glob: &&String| system::glob::glob(&folder.join(glob)).is_ok_and(|found| found.is_empty());
    globs.iter().filter(is_empty).cloned().collect()
}
