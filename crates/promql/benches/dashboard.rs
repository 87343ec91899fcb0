//! A dashboard of twenty panels, each query for itself and all of them as a batch: `cargo bench -p promql --bench dashboard`.

use model::Labels;
use promql::{BatchQuery, Engine, EngineOptions, QueryOptions, SharedParts, Value};
use std::{
    io::Write as _,
    time::{Duration, Instant},
};
use storage::{Samples, memory::MemoryStorage};

const INSTANCES: usize = 200;
const INTERVAL_MS: i64 = 15_000;
/// Three hours, a point every 30 seconds.
const SAMPLES: i64 = 720;
const STEP_MS: i64 = 30_000;
const ROUNDS: usize = 10;

const BUCKETS: [&str; 8] = ["0.01", "0.05", "0.1", "0.5", "1", "5", "10", "+Inf"];

/// As dashboards of services have them: the same rates by this and that, several quantiles, parts of a whole.
const PANELS: [&str; 20] = [
    "sum(rate(requests_total[5m]))",
    "sum by (code) (rate(requests_total[5m]))",
    "sum by (instance) (rate(requests_total[5m]))",
    "topk(5, sum by (instance) (rate(requests_total[5m])))",
    "sum(rate(requests_total{code=\"500\"}[5m])) / sum(rate(requests_total[5m]))",
    "sum by (instance) (rate(requests_total{code=\"500\"}[5m])) / sum by (instance) (rate(requests_total[5m]))",
    "histogram_quantile(0.5, sum by (le) (rate(duration_seconds_bucket[5m])))",
    "histogram_quantile(0.9, sum by (le) (rate(duration_seconds_bucket[5m])))",
    "histogram_quantile(0.99, sum by (le) (rate(duration_seconds_bucket[5m])))",
    "histogram_quantile(0.99, sum by (le, instance) (rate(duration_seconds_bucket[5m])))",
    "sum by (le) (rate(duration_seconds_bucket[5m]))",
    "memory_bytes",
    "sum(memory_bytes)",
    "max by (instance) (memory_bytes) / 1e9",
    "avg(memory_bytes)",
    "increase(requests_total[5m]) > 1000",
    "up",
    "count(up == 0) or vector(0)",
    "avg_over_time(up[1h])",
    "max_over_time(memory_bytes[1h])",
];

fn data() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let add = |labels: &[(&str, &str)], seed: usize, is_counter: bool| {
        let mut samples = Samples::default();
        for step in 0..SAMPLES {
            let value = if is_counter { step * (seed as i64 % 97 + 1) } else { step * 7919 % (seed as i64 + 1009) };
            samples.push_float(step * INTERVAL_MS, value as f64);
        }
        storage.replace_series(Labels::from_pairs(labels.iter().copied()), samples);
    };
    for number in 0..INSTANCES {
        let instance = number.to_string();
        for code in ["200", "404", "500"] {
            add(&[("__name__", "requests_total"), ("instance", &instance), ("code", code)], number, true);
        }
        for le in BUCKETS {
            add(&[("__name__", "duration_seconds_bucket"), ("instance", &instance), ("le", le)], number, true);
        }
        for name in ["memory_bytes", "up"] {
            add(&[("__name__", name), ("instance", &instance)], number, false);
        }
    }
    storage
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (storage, engine) = (data(), Engine::new(EngineOptions::default()));
    let end_ms = (SAMPLES - 1) * INTERVAL_MS;
    let run = |query: &str, shared: Option<SharedParts>| {
        let options = QueryOptions { shared, ..QueryOptions::default() };
        engine.range(&storage, query, 0, end_ms, STEP_MS, &options).map(|output| output.value)
    };
    let queries: Vec<_> = PANELS
        .iter()
        .map(|query| BatchQuery { query, times_ms: (0, end_ms, STEP_MS), lookback_delta_ms: None })
        .collect();
    let (mut alone, mut batch, mut planning) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let answers = PANELS.iter().map(|query| run(query, None)).collect::<Result<Vec<Value>, _>>()?;
        alone.push(begin.elapsed());
        let begin = Instant::now();
        let shared = engine.share(&storage, &queries);
        planning.push(begin.elapsed());
        let together = PANELS.iter().zip(shared).map(|(query, shared)| run(query, shared));
        let together = together.collect::<Result<Vec<Value>, _>>()?;
        batch.push(begin.elapsed());
        for ((query, one), other) in PANELS.iter().zip(&answers).zip(&together) {
            assert_eq!(one, other, "{query} answers differently in a batch");
        }
    }
    let (alone, batch, planning) = (median(alone), median(batch), median(planning));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} panels: {alone:?} alone, {batch:?} as a batch (of which finding what they share: {planning:?}), {:.2} times",
        PANELS.len(),
        alone.as_secs_f64() / batch.as_secs_f64()
    )?;
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
