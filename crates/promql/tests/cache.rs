//! Steps from the cache are those that would be evaluated.

mod common;

use common::{STEP_MS, at_step, data, generate};
use model::{Labels, Matcher, SampleValue};
use promql::{CacheOptions, Engine, EngineOptions, QueryOptions, ResultCache, Value};
use promql_syntax::ValueType;
use proptest::prelude::*;
use std::{
    sync::Arc,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};
use storage::{
    History, Querier, Queryable, Samples, SelectHints, SeriesSet, StorageError, fanout::Fanout, memory::MemoryStorage,
};

/// A storage whose past changes when the test says so.
struct Settled {
    storage: MemoryStorage,
    epoch: AtomicU64,
    settled_ms: AtomicI64,
}

impl Queryable for Settled {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        self.storage.querier(start_ms, end_ms)
    }

    fn history(&self) -> Option<History> {
        let settled_before_ms = self.settled_ms.load(Ordering::SeqCst);
        Some(History { epoch: self.epoch.load(Ordering::SeqCst), settled_before_ms })
    }
}

fn settled(settled_ms: i64) -> Settled {
    Settled { storage: data(), epoch: AtomicU64::new(1), settled_ms: AtomicI64::new(settled_ms) }
}

fn cache(max_bytes: usize) -> Arc<ResultCache> {
    Arc::new(ResultCache::new(CacheOptions { max_bytes, min_cost: Duration::ZERO }))
}

/// Engines that remark on what they give.
struct Noted(Settled, &'static str);
struct NotedQuerier(Box<dyn Querier>, &'static str);

impl Queryable for Noted {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(NotedQuerier(self.0.querier(start_ms, end_ms)?, self.1)))
    }

    fn history(&self) -> Option<History> {
        self.0.history()
    }
}

impl Querier for NotedQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, StorageError> {
        self.0.select(hints, matchers)
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.0.label_names(matchers)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.0.label_values(name, matchers)
    }

    fn notes(&self) -> Vec<String> {
        vec![self.1.to_owned()]
    }
}

/// What engines remark reaches the answer, through a fan-out and past the cache; and a fan-out is settled where all are.
#[test]
fn notes_and_histories_of_several_engines() {
    let (first, second) = (Noted(settled(600_000), "of hours"), Noted(settled(300_000), "of days"));
    let storage = Fanout::new(Arc::new(first), vec![Arc::new(second)], Arc::new(|_| {}));
    assert_eq!(storage.history(), Some(History { epoch: 2, settled_before_ms: 300_000 }));
    let deaf: Arc<dyn Queryable> = Arc::new(MemoryStorage::new());
    assert_eq!(Fanout::new(Arc::new(settled(1)), vec![deaf], Arc::new(|_| {})).history(), None);
    let options = QueryOptions { cache: Some(cache(1 << 20)), ..QueryOptions::default() };
    for query in ["m", "sum(m)", "absent_over_time(m[1m] offset 1m)", "max_over_time(m[1m])"] {
        for _ in 0..2 {
            let output = Engine::default().range(&storage, query, 0, 300_000, 30_000, &options).unwrap();
            let infos = output.infos.join(", ");
            assert!(infos.contains("of hours (1:") && infos.contains("of days (1:"), "{query}: {infos}");
        }
    }
}

/// One sample of `m{a="1"}`.
fn put(storage: &Settled, at_ms: i64, value: f64) {
    let labels = Labels::from_pairs([("__name__", "m"), ("a", "1"), ("le", "1")]);
    let mut samples = Samples::default();
    samples.push(at_ms, SampleValue::Float(value));
    storage.storage.extend_series(&labels, &samples);
}

/// Deletes the samples of `{__name__=name, a="1"}` before a time.
fn forget(storage: &Settled, name: &str, before_ms: i64) -> Result<(), StorageError> {
    let querier = storage.storage.querier(i64::MIN, i64::MAX)?;
    let matchers = [Matcher::equal("__name__", name), Matcher::equal("a", "1")];
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    for series in querier.select(&hints, &matchers)? {
        let series = series?;
        let (mut all, mut rest) = (Samples::default(), Samples::default());
        series.read(&mut all)?;
        rest.extend_from(&all, all.timestamps.partition_point(|time| *time < before_ms), all.len());
        storage.storage.replace_series(series.labels().clone(), rest);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nobody_sees_the_cache(
        numbers in proptest::collection::vec(0_usize..1000, 60),
        moves in proptest::collection::vec((0_i64..20, 1_i64..20, 0_u8..6), 1..12),
        small in any::<bool>(),
    ) {
        let mut next = 0;
        let mut choice = |below: usize| {
            next += 1;
            numbers[next % numbers.len()] % below
        };
        let query = generate(ValueType::Vector, 3, &mut choice);
        let Ok(expr) = promql_syntax::parse(&query) else { return Err(TestCaseError::reject("not well-typed")) };
        let (storage, engine) = (settled(300_000), Engine::new(EngineOptions::default()));
        let plain = QueryOptions::default();
        let cached = QueryOptions { cache: Some(cache(if small { 20_000 } else { 1 << 30 })), ..plain.clone() };
        let step = 30_000;
        let mut late = 0;
        for (start, length, event) in moves {
            match event {
                // The present goes on.
                0 | 1 => {
                    storage.settled_ms.fetch_add(60_000, Ordering::SeqCst);
                }
                // A late sample comes into the settled past.
                2 => {
                    late += 1;
                    put(&storage, 7 * late * STEP_MS / 2, f64::from(event) + late as f64);
                    storage.epoch.fetch_add(1, Ordering::SeqCst);
                }
                // A sample comes into what is not settled yet.
                3 => put(&storage, storage.settled_ms.load(Ordering::SeqCst) + 1_000, 5.0),
                // The beginning of a series is deleted, of floats or of histograms.
                4 => {
                    prop_assert!(forget(&storage, ["m", "h"][late as usize % 2], start * STEP_MS).is_ok());
                    storage.epoch.fetch_add(1, Ordering::SeqCst);
                }
                _ => {}
            }
            let times = (start * step, (start + length) * step, step);
            let fresh = engine.range_expr(&storage, &expr, &query, times, &plain);
            let kept = engine.range_expr(&storage, &expr, &query, times, &cached);
            match (fresh, kept) {
                (Ok(fresh), Ok(kept)) => {
                    prop_assert_eq!(&fresh.warnings, &kept.warnings);
                    prop_assert_eq!(&fresh.infos, &kept.infos);
                    let labels = |value: &Value| match value {
                        Value::Matrix(series) => series.iter().map(|one| one.labels.clone()).collect(),
                        _ => Vec::new(),
                    };
                    prop_assert_eq!(labels(&fresh.value), labels(&kept.value), "{}", &query);
                    for step in 0..=length {
                        let at = times.0 + step * times.2;
                        prop_assert_eq!(at_step(&fresh.value, at), at_step(&kept.value, at), "at {} in {}", at, &query);
                    }
                }
                (Err(fresh), Err(kept)) => prop_assert_eq!(fresh.to_string(), kept.to_string()),
                (fresh, kept) => prop_assert!(false, "{}: {:?}, cached {:?}", &query, fresh.err(), kept.err()),
            }
        }
    }
}

#[test]
fn a_refresh_costs_what_is_new() {
    let (storage, engine, cache) = (settled(600_000), Engine::default(), cache(1 << 20));
    let options = QueryOptions { cache: Some(Arc::clone(&cache)), ..QueryOptions::default() };
    let query = |start: i64, end: i64| {
        let before = cache.stats();
        let output = engine.range(&storage, "sum(m) by (a)", start, end, 30_000, &options).unwrap();
        let after = cache.stats();
        let Value::Matrix(series) = output.value else { panic!("no matrix") };
        assert_eq!(series[0].samples.timestamps.first(), Some(&start));
        (after.steps_reused - before.steps_reused, after.steps_evaluated - before.steps_evaluated)
    };
    // Steps before 600 000 are settled: up to 570 000.
    assert_eq!(query(0, 600_000), (0, 21));
    assert_eq!(query(30_000, 630_000), (19, 2));
    assert_eq!(query(30_000, 570_000), (19, 0));
    storage.settled_ms.store(700_000, Ordering::SeqCst);
    assert_eq!(query(60_000, 660_000), (18, 3));
    assert_eq!(query(60_000, 660_000), (21, 0));
    // A shorter window, then the long one again, and one that begins earlier.
    assert_eq!(query(300_000, 660_000), (13, 0));
    assert_eq!(query(0, 660_000), (23, 0));
    // Steps that lie elsewhere share nothing.
    assert_eq!(query(15_000, 615_000), (0, 21));
    // A change of the past.
    storage.epoch.store(9, Ordering::SeqCst);
    assert_eq!(query(60_000, 660_000), (0, 21));
    let stats = cache.stats();
    assert!(stats.bytes > 0 && stats.entries == 2, "{stats:?}");
    cache.clear();
    assert_eq!((cache.stats().bytes, cache.stats().entries), (0, 0));
}

/// A result that has something to tell is kept as well: as long as the new steps tell the same.
#[test]
fn what_was_told_is_told_again() {
    let (storage, engine, cache) = (settled(600_000), Engine::default(), cache(1 << 20));
    let options = QueryOptions { cache: Some(Arc::clone(&cache)), ..QueryOptions::default() };
    let query = |start: i64, end: i64| {
        let before = cache.stats();
        let output = engine.range(&storage, "sum(rate(m[2m]))", start, end, 30_000, &options).unwrap();
        assert_eq!(output.warnings.len() + output.infos.len(), 1, "{:?} {:?}", output.warnings, output.infos);
        let after = cache.stats();
        (after.steps_reused - before.steps_reused, after.steps_evaluated - before.steps_evaluated)
    };
    assert_eq!(query(120_000, 600_000), (0, 17));
    assert_eq!(query(150_000, 630_000), (15, 2));
    // With nothing new to tell it, nobody knows whether the steps that are left had it to tell.
    assert_eq!(query(150_000, 570_000), (0, 15));
}

#[test]
fn memory_is_bounded() {
    let (storage, engine, cache) = (settled(900_000), Engine::default(), cache(40_000));
    let options = QueryOptions { cache: Some(Arc::clone(&cache)), ..QueryOptions::default() };
    for factor in 0..100 {
        engine.range(&storage, &format!("m * {factor}"), 0, 600_000, 10_000, &options).unwrap();
        assert!(cache.stats().bytes <= 40_000, "{:?}", cache.stats());
    }
    assert!(cache.stats().entries > 3, "{:?}", cache.stats());
}
