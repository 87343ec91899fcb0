//! One test: series are fed in step by step, rules evaluated, and what came of it compared.

use super::file::{AlertTest, ExprTest, Test, TestFile};
use crate::cli::output::say;
use crate::config::features::Enabled;
use model::float::format_float;
use model::{Labels, SampleValue};
use promql::{Engine, EngineOptions, QueryOptions, Value};
use promqltest::histogram_expression;
use rules::{AlertSink, FiringAlert, Rehearsal, RuleFile, RuleManagerOptions, RulesConfig};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use storage::memory::MemoryStorage;
use storage::{Queryable as _, Samples, SelectHints};

/// Something that a test expected otherwise. Times count from the start of the test.
pub(super) enum Failure {
    Rule { time_ms: i64, failure: rules::RuleFailure },
    Alerts { time_ms: i64, name: String, expected: Vec<FiringAlert>, got: Vec<FiringAlert> },
    Query { time_ms: i64, text: String, error: String },
    Samples { time_ms: i64, text: String, expected: Vec<(Labels, SampleValue)>, got: Vec<(Labels, SampleValue)> },
    Input { error: String },
}

/// Notifications are not what is tested.
struct Nobody;

impl AlertSink for Nobody {
    fn send(&self, _: Vec<model::Alert>) {}
}

/// Runs a test and tells everything that went otherwise than expected. Rules that cannot be evaluated end it.
pub(super) fn run(
    test: &Test,
    file: &TestFile,
    rule_files: &[RuleFile],
    enabled: Enabled,
    debug: bool,
) -> Vec<Failure> {
    let storage = Arc::new(MemoryStorage::new());
    let engine = Arc::new(Engine::new(EngineOptions {
        default_step_ms: file.interval_ms,
        helper_threads: Some(0),
        delayed_name_removal: enabled.delayed_name_removal,
        features: enabled.language,
        ..EngineOptions::default()
    }));
    let options = RuleManagerOptions {
        engine: Arc::clone(&engine),
        queryable: Arc::clone(&storage) as _,
        ingest: Arc::clone(&storage) as _,
        alerts: Arc::new(Nobody),
        clock: Arc::new(system::SystemClock),
        registry: telemetry::Registry::new(),
        external_url: test.external_url.clone(),
        outage_tolerance: Duration::ZERO,
        for_grace_period: Duration::ZERO,
        resend_delay: Duration::from_secs(60),
        query_log: None,
    };
    let config = RulesConfig {
        files: rule_files.to_vec(),
        evaluation_interval: Duration::from_millis(file.interval_ms.unsigned_abs()),
        query_offset: Duration::ZERO,
        external_labels: test.external_labels.clone(),
    };
    let groups = Rehearsal::new(&config, &options, &file.group_order);

    let mut failures = Vec::new();
    let mut alert_tests: Vec<&AlertTest> = test.alerts.iter().collect();
    alert_tests.sort_by_key(|test| test.time_ms);
    let mut alert_tests = alert_tests.into_iter().peekable();
    let mut fed = vec![0; test.input.len()];
    let mut time_ms = 0;
    while time_ms <= test.end_ms() {
        feed(&storage, test, &mut fed, test.start_ms + time_ms);
        let broken = groups.evaluate(test.start_ms + time_ms);
        if !broken.is_empty() {
            failures.extend(broken.into_iter().map(|failure| Failure::Rule { time_ms, failure }));
            return failures;
        }
        let next_ms = time_ms + file.interval_ms;
        // What is tested between two evaluations is as the one before left it.
        while let Some(test) = alert_tests.next_if(|test| test.time_ms < next_ms) {
            let got = groups.firing(&test.name);
            if got != test.expected {
                failures.push(Failure::Alerts {
                    time_ms: test.time_ms,
                    name: test.name.clone(),
                    expected: test.expected.clone(),
                    got,
                });
            }
        }
        time_ms = next_ms;
    }
    failures.extend(test.expressions.iter().filter_map(|one| expression(one, test, file, &engine, &storage)));
    if debug {
        match dump(&storage) {
            Ok(text) => say(&format!("DEBUG: all series of {:?}, from input and rules:\n{text}", test.name)),
            Err(error) => failures.push(Failure::Input { error }),
        }
    }
    failures
}

/// Puts in what the input has up to `until_ms`: rules must not see what lies ahead of them.
fn feed(storage: &MemoryStorage, test: &Test, fed: &mut [usize], until_ms: i64) {
    for ((labels, samples), fed) in test.input.iter().zip(fed) {
        let end = samples.timestamps.partition_point(|time| *time <= until_ms);
        if end == *fed {
            continue;
        }
        let mut part = Samples::default();
        for index in *fed..end {
            if let Some(time) = samples.timestamps.get(index) {
                part.push(*time, samples.value(index));
            }
        }
        storage.extend_series(labels, &part);
        *fed = end;
    }
}

fn expression(
    one: &ExprTest,
    test: &Test,
    file: &TestFile,
    engine: &Engine,
    storage: &MemoryStorage,
) -> Option<Failure> {
    let output = engine.instant(storage, &one.text, test.start_ms + one.time_ms, &QueryOptions::default());
    let value = output.map_err(|error| error.to_string()).and_then(|output| match output.value {
        Value::Vector(samples) => Ok(samples.into_iter().map(|sample| (sample.labels, sample.value)).collect()),
        Value::Scalar(value) => Ok(vec![(Labels::empty(), SampleValue::Float(value))]),
        Value::String(_) => Err("the result is a string; only instant vectors and scalars can be tested".to_owned()),
        Value::Matrix(_) => {
            Err("the result is a range vector; only instant vectors and scalars can be tested".to_owned())
        }
    });
    let mut got: Vec<_> = match value {
        Ok(got) => got,
        Err(error) => return Some(Failure::Query { time_ms: one.time_ms, text: one.text.clone(), error }),
    };
    got.sort_by(|a, b| a.0.cmp(&b.0));
    let same = if file.is_fuzzy { nearly_same_float } else { same_float };
    let all_same = got.len() == one.expected.len()
        && got
            .iter()
            .zip(&one.expected)
            .all(|(got, expected)| got.0 == expected.0 && same_value(&got.1, &expected.1, same));
    (!all_same).then(|| Failure::Samples {
        time_ms: one.time_ms,
        text: one.text.clone(),
        expected: one.expected.clone(),
        got,
    })
}

#[expect(clippy::float_cmp, reason = "tests of rules expect values to the last bit")]
fn same_float(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// Equal, or neighbours among floats.
fn nearly_same_float(a: f64, b: f64) -> bool {
    same_float(a, b) || same_float(a.next_up(), b) || same_float(a.next_down(), b)
}

fn same_value(a: &SampleValue, b: &SampleValue, same: fn(f64, f64) -> bool) -> bool {
    match (a, b) {
        (SampleValue::Float(a), SampleValue::Float(b)) => same(*a, *b),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => {
            a.counter_reset_hint == b.counter_reset_hint && promql::histogram::equal_by(a, b, same)
        }
        _ => false,
    }
}

pub(super) fn show_value(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format_float(*value),
        SampleValue::Histogram(histogram) => histogram_expression(histogram),
    }
}

/// All series with their samples, `value@seconds`.
fn dump(storage: &MemoryStorage) -> Result<String, String> {
    let text = |error: storage::StorageError| error.to_string();
    let querier = storage.querier(i64::MIN, i64::MAX).map_err(text)?;
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let (mut out, mut samples) = (String::new(), Samples::default());
    for series in querier.select(&hints, &[]).map_err(text)? {
        let series = series.map_err(text)?;
        samples.clear();
        series.read(&mut samples).map_err(text)?;
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{}", series.labels());
        for (index, time_ms) in samples.timestamps.iter().enumerate() {
            let value = samples.value(index);
            let shown = if samples.values.get(index).is_some_and(|value| model::stale::is_stale_nan(*value)) {
                "stale".to_owned()
            } else {
                show_value(&value)
            };
            let _ = write!(out, " {shown}@{}", seconds(*time_ms));
        }
        out.push('\n');
    }
    Ok(out)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of any time that is tested fit")]
fn seconds(ms: i64) -> String {
    format_float(ms as f64 / 1000.0)
}
