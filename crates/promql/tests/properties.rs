//! What must hold for every query: no panic, and a range query gives at each step what an instant query gives there.

mod common;

use common::{STEP_MS, at_step, data, generate};
use model::Labels;
use promql::{Engine, EngineOptions, QueryError, QueryOptions, Value};
use promql_syntax::ValueType;
use proptest::prelude::*;
use std::{sync::Arc, sync::atomic::AtomicBool, time::Duration};
use storage::{Samples, memory::MemoryStorage};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn ranges_agree_with_instants(
        numbers in proptest::collection::vec(0_usize..1000, 60),
        delayed_name_removal in any::<bool>(),
    ) {
        let mut next = 0;
        let mut choice = |below: usize| {
            next += 1;
            numbers[next % numbers.len()] % below
        };
        let query = generate(ValueType::Vector, 3, &mut choice);
        let Ok(expr) = promql_syntax::parse(&query) else { return Err(TestCaseError::reject("not well-typed")) };
        // Of equal elements the first are chosen, and an instant query has ordered them anew where a range query has not.
        let count = |words: &[&str]| words.iter().map(|word| query.matches(word).count()).sum::<usize>();
        let choosing = count(&["topk", "bottomk", "limitk"]);
        if choosing > 0 && choosing + count(&["sort"]) > 1 {
            return Ok(());
        }
        let engine = Engine::new(EngineOptions { delayed_name_removal, ..EngineOptions::default() });
        let (storage, options) = (data(), QueryOptions::default());
        let (start, end, step) = (200_000, 700_000, 50_000);
        let whole = engine.range_expr(&storage, &expr, &query, (start, end, step), &options);
        for time in (start..=end).step_by(50_000) {
            match (&whole, engine.instant_expr(&storage, &expr, &query, time, &options)) {
                (Ok(whole), Ok(one)) => {
                    prop_assert_eq!(at_step(&whole.value, time), at_step(&one.value, time), "at {} in {}", time, &query);
                }
                // A range query fails if one of its steps does.
                (Err(_), _) => {}
                (Ok(_), Err(error)) => prop_assert!(false, "`{}` fails at {} only: {}", &query, time, error),
            }
        }
    }
}

/// Quantiles of many values are worked out some steps at a time, which nobody may see.
#[test]
fn quantiles_in_parts_are_those_of_the_whole() {
    let storage = data();
    let options = QueryOptions::default();
    for query in [
        "quantile by (a) (0.3, m)",
        "quantile(0.9, {__name__=~\"m|n\"})",
        "quantile without (le) (0.5, rate(m[2m]))",
        "quantile(scalar(count(m)) / 5, m offset 30s)",
        "quantile by (__name__) (time(), {__name__=~\".+\"} @ 300)",
        "sum(quantile by (a) (0.5, abs(m)))",
    ] {
        let result = |max_memory_bytes| {
            let engine = Engine::new(EngineOptions { max_memory_bytes, ..EngineOptions::default() });
            let output = engine.range(&storage, query, 0, 900_000, 7_000, &options).unwrap();
            let Value::Matrix(series) = output.value else { panic!("no matrix") };
            let series: Vec<_> =
                series.into_iter().map(|s| (s.labels, s.samples.timestamps, s.samples.values)).collect();
            (format!("{series:?}"), output.warnings, output.infos)
        };
        // 200 kB: the limit of what is held at once is less than a column.
        assert_eq!(result(2 << 30), result(200_000), "{query}");
    }
}

#[test]
fn limits_and_cancelling() {
    let storage = data();
    let small = Engine::new(EngineOptions { max_samples: 10, ..EngineOptions::default() });
    let options = QueryOptions::default();
    let outcome = small.range(&storage, "rate(m[5m])", 0, 600_000, 15_000, &options);
    assert!(matches!(outcome, Err(QueryError::TooManySamples { limit: 10, .. })), "{outcome:?}");
    let engine = Engine::default();
    let cancelled = QueryOptions { cancel: Some(Arc::new(AtomicBool::new(true))), ..QueryOptions::default() };
    assert!(matches!(engine.instant(&storage, "m", 0, &cancelled), Err(QueryError::Canceled)));
    let late = QueryOptions { timeout: Some(Duration::ZERO), ..QueryOptions::default() };
    assert!(matches!(engine.instant(&storage, "m", 0, &late), Err(QueryError::Timeout(_))));
    assert!(matches!(engine.instant(&storage, "m{", 0, &options), Err(QueryError::Parse(_))));
    let error = engine.instant(&storage, "1 + m{a=~\"(\"}", 0, &options).unwrap_err();
    assert!(error.to_string().starts_with("1:7: parse error: error parsing regexp: "), "{error}");
    for (start, end, step) in [(0, 10, 0), (10, 0, 1), (0, 100_000_000, 1), (i64::MIN, i64::MAX, 1)] {
        assert!(engine.range(&storage, "m", start, end, step, &options).is_err());
    }
    assert!(engine.range(&storage, "m[5m]", 0, 10, 1, &options).is_err());
}

#[test]
fn extreme_times() {
    let (storage, engine, options) = (data(), Engine::default(), QueryOptions::default());
    for time in [i64::MIN, -1, 0, i64::MAX] {
        for query in [
            "m",
            "rate(m[292y])",
            "m offset 292y",
            "m offset -292y",
            "m @ 9223372036854775",
            "predict_linear(m[5m] @ -9223372036854775, 1e300)",
            "max_over_time(m[1h:1m])",
            "max_over_time(m[1h:1m] @ 9223372036854775)",
            "rate(m[5m] smoothed)",
            "m smoothed",
            "year(vector(1e300))",
            "minute()",
        ] {
            // Only that it returns counts here.
            let _ = engine.instant(&storage, query, time, &options);
        }
    }
}

#[test]
fn lookback_and_stats() {
    let (storage, engine) = (data(), Engine::default());
    let last = 59 * STEP_MS;
    let count = |lookback_delta_ms| {
        let options = QueryOptions { lookback_delta_ms, ..QueryOptions::default() };
        let output = engine.instant(&storage, "m{a=\"1\"}", last + 20_000, &options).unwrap();
        let Value::Vector(samples) = output.value else { panic!("no vector") };
        (samples.len(), output.stats.samples_read)
    };
    assert_eq!(count(Some(10_000)).0, 0);
    assert_eq!(count(None), (1, 19));
}

/// The deepest trees that the parser lets through must not run out of stack: threads have 2 MiB.
#[test]
fn deepest_queries() {
    let (storage, engine, options) = (data(), Engine::default(), QueryOptions::default());
    let longest = |make: &dyn Fn(usize) -> String| {
        let deepest = (1..500).rev().map(make).find(|text| promql_syntax::parse(text).is_ok()).unwrap();
        engine.range(&storage, &deepest, 0, 30_000, 30_000, &options).unwrap();
        deepest.len()
    };
    assert!(longest(&|n| format!("m{}", " + m".repeat(n))) > 4 * 390);
    assert!(longest(&|n| format!("sum(m){}", " + 1".repeat(n))) > 4 * 390);
    assert!(longest(&|n| format!("m{}", " * 2 > 1".repeat(n / 2))) > 4 * 390);
    assert!(longest(&|n| format!("{}m{}", "(".repeat(n), ")".repeat(n))) > 2 * 90);
    assert!(longest(&|n| format!("{}m{}", "-abs(sum by (a) (".repeat(n), "))".repeat(n))) > 500);
    assert!(longest(&|n| format!("m{}", " ^ m".repeat(n))) > 4 * 90);
    assert!(longest(&|n| format!("{}m{}", "(".repeat(n / 5), " + m)".repeat(n / 5))) > 6 * 90);
    assert!(longest(&|n| format!("(m{}) + m{}", " + m".repeat(n / 2), " + m".repeat(n / 2))) > 4 * 390);
}

/// Float sums depend on the order of the terms: how many threads there are must not change it.
#[test]
fn threads_change_no_bit() {
    let storage = MemoryStorage::new();
    for index in 0..2000_i64 {
        let labels =
            Labels::from_pairs([("__name__", "c"), ("a", &(index % 3).to_string()), ("i", &index.to_string())]);
        let mut samples = Samples::default();
        for step in 0..40 {
            samples.push_float(step * STEP_MS, (step * index % 97) as f64 / 7.0);
        }
        storage.replace_series(labels, samples);
    }
    for query in ["sum by (a) (rate(c[2m]))", "avg(c * 1e-3)", "stddev without (i) (c)", "rate(c[1m])", "topk(3, c)"] {
        let result = |threads| {
            let options = EngineOptions { helper_threads: Some(threads), ..EngineOptions::default() };
            let output = Engine::new(options).range(&storage, query, 0, 600_000, 5_000, &QueryOptions::default());
            let Value::Matrix(series) = output.unwrap().value else { panic!("no matrix") };
            series.into_iter().map(|s| (s.labels, s.samples.values.iter().map(|v| v.to_bits()).collect())).collect()
        };
        let (alone, many): (Vec<(Labels, Vec<u64>)>, _) = (result(0), result(5));
        assert_eq!(alone, many, "{query}");
    }
}

/// Queries that would take hours or all memory end soon, with a word about the limit that stopped them.
#[test]
fn hostile_queries() {
    const CASES: &str = r#"
count_values("v", c + time() / 1e9)                     => too much memory
histogram_quantiles(b, "q", time() / 1e9)               => too much memory
max_over_time(c[1y:1ms])                                => too many samples
max_over_time(sum(c)[1w:100ms])                         => too many samples
max_over_time(c[30d:1s])                                => too
quantile_over_time(0.5, c[1d:1s])                       => too
c * on () group_left c                                  => found duplicate series
sum(c) by (i) + sum(c) by (i) + count_values by (i) ("x", c * time())  => too much memory
mad_over_time(sum(c)[1h:200ms])                          => timed out
quantile_over_time(0.5, sum(c)[1h:200ms])                => timed out
stddev_over_time(sum(c)[1h:200ms])                      => timed out
stddev_over_time(sum(c)[1h:50ms])                       => too much memory
c                                                       => too many series
"#;
    let storage = MemoryStorage::new();
    for index in 0..40_i64 {
        for name in ["c", "b"] {
            let labels = Labels::from_pairs([("__name__", name), ("le", "1"), ("i", &index.to_string())]);
            let mut samples = Samples::default();
            for step in 0..4_000 {
                samples.push_float(step * STEP_MS, (step * index % 97) as f64);
            }
            storage.replace_series(labels, samples);
        }
    }
    let options = EngineOptions { max_samples: 2_000_000, max_memory_bytes: 64 << 20, ..EngineOptions::default() };
    let engine = Engine::new(options.clone());
    // A busy machine must not time out where another limit is asked for.
    let hasty = Engine::new(EngineOptions { timeout: Duration::from_millis(200), ..options.clone() });
    let few = Engine::new(EngineOptions { max_series: Some(39), ..options });
    for case in CASES.trim().lines() {
        let (query, expected) = case.split_once("=>").unwrap();
        let engine = match expected.trim() {
            "too many series" => &few,
            "timed out" => &hasty,
            _ => &engine,
        };
        let begin = std::time::Instant::now();
        let error = engine.range(&storage, query.trim(), 0, 55_000_000, 5_500, &QueryOptions::default()).unwrap_err();
        assert!(error.to_string().contains(expected.trim()), "`{}`: {error}", query.trim());
        assert!(begin.elapsed() < Duration::from_secs(60), "`{}` took {:?}", query.trim(), begin.elapsed());
    }
}

/// Parts that stand in a query twice are read once, and the answer is that of parts that are written differently. Each
/// case: the query, the same with its parts written differently, the share of the samples that it reads.
#[test]
fn repeated_parts_are_read_once() {
    const CASES: &str = "
sum(m) + sum(m)                                        => sum(m) + sum((m))                                 => 1/2
sum(m) / (sum(m) + count(m))                           => sum(m) / (sum((m)) + count(m))                    => 2/3
max(sum by (a) (m)) - min(sum by (a) (m))              => max(sum by (a) (m)) - min(sum by (a) ((m)))       => 1/2
max_over_time(sum(m)[1m:15s]) + sum(m)                 => max_over_time(sum(m)[1m:15s]) + sum((m))          => 1/1
histogram_count(sum(h)) + histogram_quantile(0.9, sum(h)) => histogram_count(sum(h)) + histogram_quantile(0.9, sum((h))) => 1/1
sum(m @ 300) + sum(m @ 300) + sum(m)                   => sum(m @ 300) + sum((m @ 300)) + sum(m)            => 10/13
";
    let (storage, engine, options) = (data(), Engine::default(), QueryOptions::default());
    for case in CASES.trim().lines() {
        let parts: Vec<&str> = case.split("=>").map(str::trim).collect();
        let run = |query: &str| engine.range(&storage, query, 200_000, 700_000, 50_000, &options).unwrap();
        let (once, twice) = (run(parts[0]), run(parts[1]));
        for time in (200_000..=700_000).step_by(50_000) {
            assert_eq!(at_step(&once.value, time), at_step(&twice.value, time), "{case}");
        }
        let (a, b) = parts[2].split_once('/').unwrap();
        let (a, b): (u64, u64) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(once.stats.samples_read * b, twice.stats.samples_read * a, "{case}");
    }
}
