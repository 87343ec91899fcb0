//! How long parsing and typical range queries take, over series in memory: `cargo bench -p promql`.

use model::Labels;
use promql::{Engine, EngineOptions, QueryOptions, Value};
use std::{
    io::Write as _,
    time::{Duration, Instant},
};
use storage::{Samples, memory::MemoryStorage};

const SERIES: usize = 1000;
const SAMPLES: i64 = 720;
const INTERVAL_MS: i64 = 15_000;
/// How long each case is repeated.
const PATIENCE: Duration = Duration::from_millis(500);

const QUERIES: [&str; 6] = [
    "requests_total",
    "rate(requests_total[5m])",
    "sum by (job) (rate(requests_total[5m]))",
    "max_over_time(requests_total[5m])",
    "requests_total / on (job, instance) requests_total",
    "topk(5, requests_total)",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let storage = MemoryStorage::new();
    for index in 0..SERIES {
        let (job, instance) = ((index % 10).to_string(), index.to_string());
        let labels = Labels::from_pairs([("__name__", "requests_total"), ("job", &job), ("instance", &instance)]);
        let mut samples = Samples::default();
        for step in 0..SAMPLES {
            samples.push_float(step * INTERVAL_MS, (step * 7 + index as i64) as f64);
        }
        storage.replace_series(labels, samples);
    }
    let mut out = std::io::stdout().lock();
    let text = "sum by (job) (rate(requests_total{job=~\"a|b\"}[5m])) / on (job) group_left sum(up) by (job) > 0.5";
    let parse = measure(|| promql_syntax::parse(text).is_ok());
    writeln!(out, "parse of {} bytes: {parse:?}", text.len())?;
    let engine = Engine::new(EngineOptions::default());
    let end = (SAMPLES - 1) * INTERVAL_MS;
    for query in QUERIES {
        let each = measure(|| {
            let output = engine.range(&storage, query, 0, end, 60_000, &QueryOptions::default());
            matches!(output.map(|output| output.value), Ok(Value::Matrix(series)) if !series.is_empty())
        });
        writeln!(out, "{query}: {each:?} for {SERIES} series, {} steps", end / 60_000 + 1)?;
    }
    Ok(())
}

/// Mean time of a run; a run that gives false ends the program.
fn measure(mut run: impl FnMut() -> bool) -> Duration {
    let (begin, mut runs) = (Instant::now(), 0);
    while begin.elapsed() < PATIENCE {
        assert!(run(), "a query of the benchmark failed");
        runs += 1;
    }
    begin.elapsed() / runs
}
