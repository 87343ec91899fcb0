//! Down-sampled samples, as an engine gives them.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use model::{Labels, Matcher, SampleValue};
use promql::{Engine, EngineOptions, QueryOptions, Value};
use storage::{Querier, Queryable, Samples, SelectHints, Series, SeriesSet, StorageError, Tier};

const RESOLUTION_MS: i64 = 300_000;
const STEP_MS: i64 = 15_000;

/// A counter that grows by 1 every 15 s, in windows of five minutes until an hour, raw from then on.
struct Counter;

struct One(Labels, String);

impl Queryable for Counter {
    fn querier(&self, _: i64, _: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(Counter))
    }
}

impl Querier for Counter {
    fn select(&self, hints: &SelectHints, _: &[Matcher]) -> Result<SeriesSet, StorageError> {
        assert!(hints.tiers, "the reader knows");
        let one = One(Labels::from_pairs([("__name__", "c_total")]), hints.function.clone());
        Ok(Box::new(std::iter::once(Ok(Box::new(one) as Box<dyn Series>))))
    }

    fn label_names(&self, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn notes(&self) -> Vec<String> {
        vec!["samples are down-sampled".into()]
    }
}

impl Series for One {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        let each = RESOLUTION_MS / STEP_MS;
        for window in 0..12 {
            // Of samples 1 … 20 of a window the first and the last, or the sum.
            let (first, last) = (window * each + 1, (window + 1) * each);
            let mut push = |number: i64, value: i64, count: u32| {
                into.push(number * STEP_MS, SampleValue::Float(value as f64));
                into.set_last_tier(Tier { resolution_ms: RESOLUTION_MS as u32, count });
            };
            if matches!(self.1.as_str(), "avg_over_time" | "count_over_time" | "sum_over_time") {
                push(last, (first..=last).sum(), each as u32);
            } else {
                push(first, first, 0);
                push(last, last, 0);
            }
        }
        (241..480).for_each(|number| into.push_float(number * STEP_MS, number as f64));
        Ok(())
    }
}

/// Value at a time, in seconds.
const CASES: &str = "
avg_over_time(c_total[30m])       3600 => 180.5
count_over_time(c_total[30m])     3600 => 120
sum_over_time(c_total[30m])       3600 => 21660
count_over_time(c_total[30m])     4500 => 120
rate(c_total[30m])                3600 => 0.06666666666666667
increase(c_total[30m])            3600 => 120
increase(c_total[30m])            4500 => 120
increase(c_total[5m])             1234 => 20
increase(c_total[1m])             1234 => 4
max_over_time(c_total[30m])       3600 => 240
last_over_time(c_total[30m])      3600 => 240
c_total                           3600 => 240
c_total                           3599 => 221
c_total                           4500 => 300
";

#[test]
fn values_stand_for_what_they_say() {
    let engine = Engine::default();
    for case in CASES.trim().lines() {
        let (query, expected) = case.split_once("=>").unwrap();
        let (query, time) = query.trim().rsplit_once(' ').unwrap();
        let time_ms = time.parse::<i64>().unwrap() * 1000;
        let output = engine.instant(&Counter, query.trim(), time_ms, &QueryOptions::default()).unwrap();
        assert!(output.infos.iter().any(|info| info.contains("samples are down-sampled")), "{:?}", output.infos);
        let Value::Vector(vector) = output.value else { panic!("{query} gives no vector") };
        let SampleValue::Float(value) = vector[0].value else { panic!("no float") };
        let expected: f64 = expected.trim().parse().unwrap();
        assert!((value - expected).abs() < expected * 1e-9, "in case `{case}`: {value}");
    }
}

/// A counter in two windows of five minutes. It started anew between them, and had grown past its old value when it was
/// read: only its start timestamps tell.
struct Restarted;

impl Queryable for Restarted {
    fn querier(&self, _: i64, _: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(Restarted))
    }
}

impl Querier for Restarted {
    fn select(&self, _: &SelectHints, _: &[Matcher]) -> Result<SeriesSet, StorageError> {
        let labels = Labels::from_pairs([("__name__", "c_total")]);
        Ok(Box::new(std::iter::once(Ok(Box::new(RestartedSeries(labels)) as Box<dyn Series>))))
    }

    fn label_names(&self, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

struct RestartedSeries(Labels);

impl Series for RestartedSeries {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        for (time_ms, value, start_ms) in
            [(15_000, 1.0, 1), (300_000, 20.0, 1), (315_000, 25.0, 307_000), (600_000, 44.0, 307_000)]
        {
            into.push_float(time_ms, value);
            into.set_last_start_timestamp(start_ms);
            into.set_last_tier(Tier { resolution_ms: RESOLUTION_MS as u32, count: 0 });
        }
        Ok(())
    }
}

/// Time in seconds; the value with start timestamps; without.
const RESTARTS: &str = "
increase(c_total[10m])   600   => 63    => 43
increase(c_total[5m])    450   => 44    => 24
increase(c_total[4m])    307.5 => 28    => 18
increase(c_total[2m])    500   => 8     => 8
delta(c_total[5m])       450   => 24    => 24
rate(c_total[5m])        450   => 0.14666666666666667 => 0.08
";

#[test]
fn windows_tell_when_a_counter_started() {
    for case in RESTARTS.trim().lines() {
        let parts: Vec<&str> = case.split("=>").map(str::trim).collect();
        let (query, time) = parts[0].rsplit_once(' ').unwrap();
        let time_ms = (time.parse::<f64>().unwrap() * 1000.0) as i64;
        for (use_start_timestamps, expected) in [(true, parts[1]), (false, parts[2])] {
            let engine = Engine::new(EngineOptions { use_start_timestamps, ..EngineOptions::default() });
            let output = engine.instant(&Restarted, query.trim(), time_ms, &QueryOptions::default()).unwrap();
            let Value::Vector(vector) = output.value else { panic!("{query} gives no vector") };
            let SampleValue::Float(value) = vector[0].value else { panic!("no float") };
            let expected: f64 = expected.parse().unwrap();
            assert!((value - expected).abs() < 1e-9, "in case `{case}`, {use_start_timestamps}: {value}");
        }
    }
}
