//! Long chains of operators, as tools write them, need no deep stack.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{at_step, data, generate};
use promql::{BatchQuery, Engine, QueryOptions, Value};
use promql_syntax::ValueType;

/// Nearly as many as may build on each other.
const MANY: usize = 4990;

/// Runs something where there is as little stack as threads of servers have.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

fn chain(first: &str, operator: &str, next: &str, count: usize) -> String {
    let mut query = first.to_owned();
    (0..count).for_each(|_| query.extend([" ", operator, " ", next]));
    query
}

/// First, operator, next; how many; what comes of it at 300 s, or how many series.
const CASES: &[(&str, &str, &str, usize, &str)] = &[
    ("1", "+", "1", MANY, "{}=4.991000000e3"),
    ("m{a=\"1\"}", "+", "1", MANY, "}=5.010000000e3"),
    ("vector(1)", "or", "vector(2)", MANY, "{}=1.000000000e0"),
    ("sum(m)", "+", "sum(m)", 1500, "{}"),
    ("m", "or", "n", 800, ""),
    ("count(m)", "> bool", "count(n)", 300, "{}"),
];

#[test]
fn long_chains_are_evaluated() {
    on_a_small_stack(|| {
        let (storage, engine) = (data(), Engine::default());
        for (first, operator, next, count, expected) in CASES {
            let query = chain(first, operator, next, *count);
            let options = QueryOptions::default();
            let range = engine.range(&storage, &query, 200_000, 400_000, 50_000, &options).unwrap();
            let range = at_step(&range.value, 300_000);
            let instant = match engine.instant(&storage, &query, 300_000, &options).unwrap().value {
                // A scalar has a time only in a range.
                Value::Scalar(value) => [("{}".to_owned(), format!("{value:.9e}"))].into(),
                value => at_step(&value, 300_000),
            };
            assert_eq!(range, instant, "{first} {operator} {next}");
            let told: Vec<_> = range.iter().map(|(labels, value)| format!("{labels}={value}")).collect();
            assert!(told.join(" ").contains(expected) && !told.is_empty(), "{told:?} of {first} {operator} {next}");
        }
    });
}

#[test]
fn long_chains_are_shared() {
    on_a_small_stack(|| {
        let (storage, engine) = (data(), Engine::default());
        // Each is the beginning of the next one.
        let first = generate(ValueType::Vector, 0, &mut |_| 0);
        let queries: Vec<String> = (1..200).map(|count| chain(&first, "or", "n", count)).collect();
        let batch: Vec<_> = queries
            .iter()
            .rev()
            .map(|query| BatchQuery { query, times_ms: (200_000, 400_000, 50_000), lookback_delta_ms: None })
            .collect();
        let mut read = 0;
        for (query, shared) in batch.iter().zip(engine.share(&storage, &batch)) {
            let run = |shared| {
                let options = QueryOptions { shared, ..QueryOptions::default() };
                engine.range(&storage, query.query, 200_000, 400_000, 50_000, &options).unwrap()
            };
            let (together, alone) = (run(shared), run(None));
            assert_eq!(format!("{:?}", together.value), format!("{:?}", alone.value));
            assert_eq!(together.stats.samples_read, alone.stats.samples_read);
            read += 1;
        }
        assert_eq!(read, 199);
    });
}

#[test]
fn longer_ones_are_refused() {
    on_a_small_stack(|| {
        let engine = Engine::default();
        for query in [chain("1", "+", "1", 5001), chain("up", "or", "up", 20_000)] {
            let error = engine.parse(&query).unwrap_err().to_string();
            assert!(error.contains("more than 5000 operators build on each other; split the query"), "{error}");
        }
        let storage = data();
        let times = promql::ExplainTimes { start_ms: 0, end_ms: 0, step_ms: 0 };
        let error = engine.explain(&storage, &chain("up", "or", "up", 500), times, &QueryOptions::default(), &|_| None);
        assert!(error.unwrap_err().to_string().contains("more than 400 operators"));
    });
}
