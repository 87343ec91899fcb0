//! A query that reads several times sees all of a deletion or nothing of it.

use model::Labels;
use promql::{BatchQuery, Engine, QueryOptions, Value};
use std::sync::atomic::{AtomicU64, Ordering};
use storage::{Querier, Queryable, Samples, StorageError, memory::MemoryStorage};

/// Deletes everything when it is asked for the `at`th time.
struct Deleting {
    storage: MemoryStorage,
    asked: AtomicU64,
    at: u64,
    deletions: AtomicU64,
}

impl Deleting {
    fn new(at: u64) -> Deleting {
        let storage = MemoryStorage::new();
        for name in ["a", "b"] {
            let mut samples = Samples::default();
            (0..40).for_each(|step| samples.push_float(step * 15_000, step as f64));
            storage.replace_series(Labels::from_pairs([("__name__", name)]), samples);
        }
        Deleting { storage, asked: AtomicU64::new(0), at, deletions: AtomicU64::new(0) }
    }
}

impl Queryable for Deleting {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        if self.asked.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            self.storage.clear();
            self.deletions.fetch_add(2, Ordering::SeqCst);
        }
        self.storage.querier(start_ms, end_ms)
    }

    fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::SeqCst)
    }
}

/// A query, the read that a deletion comes before, how many series the answer has, how often was read.
const CASES: &str = "
a or b                       9 => 1 2
a or b                       2 => 0 4
sum(a) + sum(b)              2 => 0 4
a + on () group_left () b    1 => 0 4
count(a) or vector(1)        1 => 1 1
a                            1 => 0 1
";

#[test]
fn a_query_sees_all_of_a_deletion_or_nothing() {
    for case in CASES.trim().lines() {
        let (query, expected) = case.split_once("=>").unwrap();
        let (query, at) = query.trim().rsplit_once(' ').unwrap();
        let storage = Deleting::new(at.parse().unwrap());
        let output = Engine::default().range(&storage, query.trim(), 0, 300_000, 15_000, &QueryOptions::default());
        let Value::Matrix(series) = output.unwrap().value else { panic!("{query} gives no matrix") };
        let got = format!("{} {}", series.len(), storage.asked.into_inner());
        assert_eq!(got, expected.trim(), "in case `{case}`");
    }
}

/// What a batch kept from before a deletion does not go with what is read after it.
#[test]
fn a_batch_mixes_nothing() {
    let engine = Engine::default();
    let storage = Deleting::new(2);
    let queries = ["sum(a)", "max(a) + max(b)", "min(b)"];
    let batch: Vec<_> = queries
        .iter()
        .map(|query| BatchQuery { query, times_ms: (0, 300_000, 15_000), lookback_delta_ms: None })
        .collect();
    let shared = engine.share(&storage, &batch);
    let series: Vec<usize> = queries
        .iter()
        .zip(shared)
        .map(|(query, shared)| {
            let options = QueryOptions { shared, ..QueryOptions::default() };
            match engine.range(&storage, query, 0, 300_000, 15_000, &options).unwrap().value {
                Value::Matrix(series) => series.len(),
                _ => 0,
            }
        })
        .collect();
    assert_eq!(series, [1, 0, 0]);
}
