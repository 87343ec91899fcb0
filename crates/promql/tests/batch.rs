//! What queries of a batch have in common is evaluated once, and nobody can tell from the answers.

mod common;

use common::{at_step, data, generate};
use model::{Labels, Matcher, SampleValue};
use promql::{
    BatchQuery, CacheOptions, Engine, EngineOptions, QueryError, QueryOptions, QueryOutput, ResultCache, SharedParts,
};
use promql_syntax::ValueType;
use proptest::prelude::*;
use std::{
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use storage::{
    History, Querier, Queryable, Samples, SelectHints, Series, SeriesSet, StorageError, memory::MemoryStorage,
};

/// Counts what is selected and read; reads wait.
struct Counted {
    storage: MemoryStorage,
    selects: AtomicU64,
    samples: Arc<AtomicU64>,
    wait: Duration,
}

struct CountedQuerier<'a>(Box<dyn Querier>, &'a Counted);

struct CountedSeries(Box<dyn Series>, Arc<AtomicU64>, Duration);

impl Counted {
    fn new(storage: MemoryStorage) -> &'static Counted {
        // Queriers live as long as they like.
        Box::leak(Box::new(Counted {
            storage,
            selects: AtomicU64::new(0),
            samples: Arc::default(),
            wait: Duration::from_micros(200),
        }))
    }

    fn take(&self) -> (u64, u64) {
        (self.selects.swap(0, Ordering::SeqCst), self.samples.swap(0, Ordering::SeqCst))
    }
}

impl Queryable for &'static Counted {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(CountedQuerier(self.storage.querier(start_ms, end_ms)?, self)))
    }

    fn history(&self) -> Option<History> {
        None
    }
}

impl Querier for CountedQuerier<'_> {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, StorageError> {
        self.1.selects.fetch_add(1, Ordering::SeqCst);
        let (samples, wait) = (Arc::clone(&self.1.samples), self.1.wait);
        Ok(Box::new(
            self.0
                .select(hints, matchers)?
                .map(move |series| Ok(Box::new(CountedSeries(series?, Arc::clone(&samples), wait)) as Box<dyn Series>)),
        ))
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.0.label_names(matchers)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.0.label_values(name, matchers)
    }

    fn notes(&self) -> Vec<String> {
        vec!["some of it is guessed".to_owned()]
    }
}

impl Series for CountedSeries {
    fn labels(&self) -> &Labels {
        self.0.labels()
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        std::thread::sleep(self.2);
        let before = into.len();
        self.0.read(into)?;
        self.1.fetch_add((into.len() - before) as u64, Ordering::SeqCst);
        Ok(())
    }
}

/// Start, end and step.
type TimesMs = (i64, i64, i64);

const TIMES_MS: TimesMs = (200_000, 700_000, 50_000);

fn share(engine: &Engine, queries: &[String], times_ms: TimesMs) -> Vec<Option<SharedParts>> {
    let queries: Vec<_> = queries.iter().map(|query| BatchQuery { query, times_ms, lookback_delta_ms: None }).collect();
    engine.share(&data(), &queries)
}

fn run(
    engine: &Engine,
    storage: &dyn Queryable,
    query: &str,
    times_ms: TimesMs,
    shared: Option<SharedParts>,
) -> Result<QueryOutput, QueryError> {
    let options = QueryOptions { shared, ..QueryOptions::default() };
    let (start_ms, end_ms, step_ms) = times_ms;
    if step_ms == 0 {
        return engine.instant(storage, query, end_ms, &options);
    }
    engine.range(storage, query, start_ms, end_ms, step_ms, &options)
}

/// Memory that is enough.
const MUCH: usize = 2 << 30;

/// All at once, as a server runs them.
fn run_all(
    engine: &Engine,
    storage: &impl Queryable,
    queries: &[String],
    times_ms: TimesMs,
) -> Vec<Result<QueryOutput, QueryError>> {
    let shared = share(engine, queries, times_ms);
    std::thread::scope(|scope| {
        let running: Vec<_> = queries
            .iter()
            .zip(shared)
            .map(|(query, shared)| scope.spawn(move || run(engine, storage, query, times_ms, shared)))
            .collect();
        running
            .into_iter()
            .map(|running| running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// All that an answer tells, but for times.
fn told(done: &Result<QueryOutput, QueryError>) -> String {
    match done {
        Ok(output) => {
            let value = format!("{:?}", output.value);
            format!("{value} {:?} {:?} {}", output.warnings, output.infos, output.stats.samples_read)
        }
        Err(error) => error.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    /// Dashboards whose panels are built of the same few pieces.
    #[test]
    fn batches_answer_as_single_queries(
        numbers in proptest::collection::vec(0_usize..1000, 80),
        instant in any::<bool>(),
        delayed_name_removal in any::<bool>(),
        memory in prop_oneof![Just(MUCH), Just(40_000), Just(400_000)],
    ) {
        let mut next = 0;
        let mut choice = |below: usize| {
            next += 1;
            (numbers[next % numbers.len()] + next / numbers.len()) % below
        };
        let mut pieces: Vec<String> = (0..3).map(|depth| generate(ValueType::Vector, depth, &mut choice)).collect();
        pieces.extend(["rate(m[1m])", "rate(n[2m] )", "m{a=\"1\"}", "histogram_quantile(0.9, h)"].map(str::to_owned));
        let queries: Vec<String> = (0..7).map(|_| {
            let piece = pieces[choice(pieces.len())].clone();
            let other = pieces[choice(pieces.len())].clone();
            match choice(11) {
                0 => piece,
                1 => format!("sum by (a) ({piece})"),
                2 => format!("  max without (a) (({piece}))"),
                3 => format!("({piece}) * 8 > bool 2"),
                4 => format!("({piece}) or ({other})"),
                5 => format!("max_over_time(({piece})[2m:20s])"),
                6 => format!("quantile(0.3, {piece}) / on () sum({other})"),
                7 => format!("topk(2, -({piece}))"),
                8 => format!("sum({piece}) + sum({piece})"),
                9 => format!("increase(m[1m]) or ({other})"),
                _ => format!("count_values(\"v\", {other})"),
            }
        }).collect();
        let engine = Engine::new(EngineOptions {
            max_memory_bytes: memory,
            // Which error comes first would depend on which thread does.
            helper_threads: Some(0),
            delayed_name_removal,
            ..EngineOptions::default()
        });
        let storage = data();
        let times_ms = if instant { (500_000, 500_000, 0) } else { TIMES_MS };
        for (query, batch) in queries.iter().zip(run_all(&engine, &storage, &queries, times_ms)) {
            let alone = run(&engine, &storage, query, times_ms, None);
            if memory < MUCH {
                // Where memory is scarce, quantiles are worked out in parts and read more than once, how often depends on what
                // they are given; and how far a query came before it failed.
                let brief = |done: &Result<QueryOutput, QueryError>| match done {
                    Ok(output) => format!("{:?} {:?} {:?}", output.value, output.warnings, output.infos),
                    Err(QueryError::TooMuchMemory { .. }) => "too much memory".to_owned(),
                    Err(error) => error.to_string(),
                };
                prop_assert_eq!(brief(&batch), brief(&alone), "`{}` of {:?}", query, &queries);
            } else {
                prop_assert_eq!(told(&batch), told(&alone), "`{}` of {:?}", query, &queries);
            }
        }
    }
}

/// Queries, and how many selects they come to, of how many they are alone.
const ONCE: &str = "
sum by (a) (rate(m[1m])); sum by (le) (rate(m[1m])); rate( m[1m] )          => 1 of 3
sum(rate(m[1m])); rate(m[1m]) * 8; max(rate(m[1m]) * 8); -(rate(m[1m]))     => 1 of 4
quantile_over_time(0.5, m[1m]); quantile_over_time(0.9, m[1m])              => 1 of 2
rate(m[1m]); increase(m[1m]); irate(m[1m])                                  => 2 of 3
m; m + 1; sum(m); m / n; sum by (a) (n)                                     => 2 of 6
histogram_quantile(0.5, sum(h)); histogram_quantile(0.9, sum(h)); histogram_avg(sum(h)) => 2 of 3
max_over_time(rate(m[1m])[2m:20s]); min_over_time(rate(m[1m])[2m:20s])      => 1 of 2
sum(m @ 300); max(m @ 300); m @ end()                                       => 2 of 3
m; n; h                                                                     => 3 of 3
m; m offset 1m                                                              => 2 of 2
absent(m); m                                                                => 1 of 2
";

#[test]
fn what_is_common_is_read_once() {
    let storage = Counted::new(data());
    let engine = Engine::default();
    for case in ONCE.trim().lines() {
        let (queries, expected) = case.split_once("=>").unwrap();
        let queries: Vec<String> = queries.split(';').map(str::to_owned).collect();
        let mut samples = [0, 0];
        let answers: Vec<_> = queries.iter().map(|query| run(&engine, &storage, query, TIMES_MS, None)).collect();
        let (alone, read) = storage.take();
        samples[0] = read;
        let batch = run_all(&engine, &storage, &queries, TIMES_MS);
        let (together, read) = storage.take();
        samples[1] = read;
        assert_eq!(format!("{together} of {alone}"), expected.trim(), "{case}");
        assert!(together == alone || samples[1] < samples[0], "{samples:?} in {case}");
        for (batch, alone) in batch.iter().zip(&answers) {
            assert_eq!(told(batch), told(alone), "{case}");
        }
    }
}

/// Warnings point to their places in the query that is answered, whoever evaluated what they are about.
#[test]
fn places_are_those_of_the_query() {
    let queries = ["sum(rate(m[1m]))", "1 +  max( rate(\n m[1m]))"].map(str::to_owned);
    let engine = Engine::default();
    let storage = Counted::new(data());
    let infos: Vec<_> =
        run_all(&engine, &storage, &queries, TIMES_MS).into_iter().map(|done| done.unwrap().infos).collect();
    assert_eq!(storage.take().0, 1);
    let place = |info: &String| info.rsplit_once(' ').unwrap().1.to_owned();
    assert_eq!(infos[0].iter().map(place).collect::<Vec<_>>(), ["(1:10)", "(1:10)"]);
    assert_eq!(infos[1].iter().map(place).collect::<Vec<_>>(), ["(2:2)", "(2:2)"]);
}

/// A query that ends early, by itself or because nobody waits for it, leaves its part to the next one.
#[test]
fn who_is_stopped_leaves_the_part_to_others() {
    let storage = Counted::new(data());
    let queries = ["sum(rate(m[1m]))", "max(rate(m[1m]))", "min(rate(m[1m]))"].map(str::to_owned);
    let engine = Engine::default();
    let shared = share(&engine, &queries, TIMES_MS);
    let options = QueryOptions {
        shared: shared[0].clone(),
        cancel: Some(Arc::new(AtomicBool::new(true))),
        ..QueryOptions::default()
    };
    let stopped = engine.range(&storage, &queries[0], TIMES_MS.0, TIMES_MS.1, TIMES_MS.2, &options);
    assert!(matches!(stopped, Err(QueryError::Canceled)), "{stopped:?}");
    for (query, shared) in queries.iter().zip(shared).skip(1) {
        let alone = run(&engine, &storage, query, TIMES_MS, None);
        storage.take();
        let batch = run(&engine, &storage, query, TIMES_MS, shared);
        assert_eq!(told(&batch), told(&alone));
    }
    // The last one took what the one before it kept.
    assert_eq!(storage.take().0, 0);
}

/// Limits hold for every query, whoever does the work.
#[test]
fn limits_hold_for_each() {
    let storage = data();
    for options in [
        EngineOptions { max_series: Some(3), ..EngineOptions::default() },
        EngineOptions { max_samples: 80, ..EngineOptions::default() },
        EngineOptions { max_memory_bytes: 1_000, ..EngineOptions::default() },
    ] {
        let engine = Engine::new(EngineOptions { helper_threads: Some(0), ..options });
        let queries = ["m", "m + m", "sum(m) + on () sum(n)", "sum(m)"].map(str::to_owned);
        let mut failed = 0;
        for (query, batch) in queries.iter().zip(run_all(&engine, &storage, &queries, TIMES_MS)) {
            let alone = run(&engine, &storage, query, TIMES_MS, None);
            failed += usize::from(alone.is_err());
            assert_eq!(batch.is_err(), alone.is_err(), "{query}: {batch:?} and {alone:?}");
        }
        assert!((1..queries.len()).contains(&failed), "{failed} of {queries:?} with {:?}", engine.options());
    }
}

/// What has different times, or is of another query, is not taken.
#[test]
fn other_times_share_nothing() {
    let storage = data();
    let engine = Engine::default();
    let query = |query, start_ms| BatchQuery { query, times_ms: (start_ms, 700_000, 50_000), lookback_delta_ms: None };
    let shared = engine.share(&data(), &[query("sum(m)", 200_000), query("max(m)", 250_000), query("min(m", 200_000)]);
    assert!(shared.iter().all(Option::is_none), "{shared:?}");
    let shared = engine.share(&data(), &[query("sum(m)", 200_000), query("max(m)", 200_000)]);
    assert!(shared.iter().all(Option::is_some), "{shared:?}");
    let other = run(&engine, &storage, "count(n)", TIMES_MS, shared[0].clone());
    assert_eq!(told(&other), told(&run(&engine, &storage, "count(n)", TIMES_MS, None)));
    let points = other.map(|output| at_step(&output.value, 300_000)).unwrap();
    assert_eq!(points.into_keys().collect::<Vec<_>>(), ["{}"]);
}

/// A storage whose past changes when the test says so.
struct Changing {
    storage: MemoryStorage,
    epoch: AtomicU64,
}

impl Queryable for Changing {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        self.storage.querier(start_ms, end_ms)
    }

    fn history(&self) -> Option<History> {
        Some(History { epoch: self.epoch.load(Ordering::SeqCst), settled_before_ms: i64::MAX })
    }
}

/// What a batch read before late samples came does not stay in the cache.
#[test]
fn the_cache_keeps_nothing_older_than_a_change() {
    let storage = Changing { storage: data(), epoch: AtomicU64::new(1) };
    let cache = Arc::new(ResultCache::new(CacheOptions { max_bytes: 1 << 20, min_cost: Duration::ZERO }));
    let engine = Engine::new(EngineOptions::default());
    let queries = ["sum(rate(m[1m]))", "max(rate(m[1m]))"];
    let planned = queries.map(|query| BatchQuery { query, times_ms: TIMES_MS, lookback_delta_ms: None });
    let mut shared = engine.share(&storage, &planned).into_iter();
    let ask = |query: &str, shared, cache| {
        let options = QueryOptions { shared, cache, ..QueryOptions::default() };
        told(&engine.range(&storage, query, TIMES_MS.0, TIMES_MS.1, TIMES_MS.2, &options))
    };
    ask(queries[0], shared.next().flatten(), Some(Arc::clone(&cache)));
    let mut samples = Samples::default();
    (0..60).for_each(|index| samples.push(index * common::STEP_MS, SampleValue::Float((index * 1000) as f64)));
    storage.storage.replace_series(Labels::from_pairs([("__name__", "m"), ("a", "late")]), samples);
    storage.epoch.store(2, Ordering::SeqCst);
    ask(queries[1], shared.next().flatten(), Some(Arc::clone(&cache)));
    for query in queries {
        assert_eq!(ask(query, None, Some(Arc::clone(&cache))), ask(query, None, None), "{query}");
    }
}

/// Queries of which each is a part of the one before take no more stack than one.
#[test]
fn parts_in_parts() {
    let (storage, engine) = (data(), Engine::new(EngineOptions::default()));
    let queries: Vec<String> =
        (1..99).rev().map(|depth| format!("{}m{}", "sum(".repeat(depth), ")".repeat(depth))).collect();
    let ask = |query: &str, shared| {
        let options = QueryOptions { shared, ..QueryOptions::default() };
        told(&engine.range(&storage, query, TIMES_MS.0, TIMES_MS.1, TIMES_MS.2, &options))
    };
    let expected = ask("sum(m)", None);
    for (query, shared) in queries.iter().zip(share(&engine, &queries, TIMES_MS)) {
        assert_eq!(ask(query, shared), expected, "{query}");
    }
}
