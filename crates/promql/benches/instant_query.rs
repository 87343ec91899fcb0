//! What a small instant query costs without HTTP: parsed, planned, evaluated over series in memory, and written as JSON by the
//! code of the server, on one thread: `cargo bench -p promql --bench instant_query`.

use model::Labels;
use promql::{Engine, EngineOptions, QueryOptions};
use std::{
    io::Write as _,
    time::{Duration, Instant},
};
use storage::{Samples, memory::MemoryStorage};

#[path = "../../../server/src/http/api_v1/encode.rs"]
#[allow(dead_code, unused_imports, reason = "the server writes other answers as well, and tests that")]
mod encode;

const TARGETS: usize = 40;
const SAMPLES: i64 = 240;
const INTERVAL_MS: i64 = 15_000;
/// How long each case is repeated.
const PATIENCE: Duration = Duration::from_millis(500);

const QUERIES: [&str; 6] =
    ["1", "up", "up == 0", "sum(up)", "sum by (job) (rate(requests_total[5m]))", "topk(5, rate(requests_total[5m]))"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let storage = MemoryStorage::new();
    for index in 0..TARGETS {
        let (job, instance) = (format!("job-{}", index % 4), format!("host-{index:04}:9100"));
        for (name, step) in [("up", 0), ("requests_total", 7)] {
            let labels = Labels::from_pairs([("__name__", name), ("job", &job), ("instance", &instance)]);
            let mut samples = Samples::default();
            for at in 0..SAMPLES {
                samples.push_float(at * INTERVAL_MS, (1 + at * step) as f64);
            }
            storage.replace_series(labels, samples);
        }
    }
    let (engine, options) =
        (Engine::new(EngineOptions { helper_threads: Some(0), ..EngineOptions::default() }), QueryOptions::default());
    let end = (SAMPLES - 1) * INTERVAL_MS;
    let mut out = std::io::stdout().lock();
    for query in QUERIES {
        let mut bytes = 0;
        let parse = measure(|| promql_syntax::parse(query).is_ok());
        let evaluate = measure(|| engine.instant(&storage, query, end, &options).is_ok());
        let whole = measure(|| {
            let Ok(output) = engine.instant(&storage, query, end, &options) else { return false };
            bytes = encode::Answer::new(output, end, None, None).into_bytes().len();
            bytes > 0
        });
        writeln!(out, "{query}: parsed {parse:?}, evaluated {evaluate:?}, and written {whole:?} ({bytes} bytes)")?;
    }
    Ok(())
}

/// Mean CPU time of a run, where the system tells it, else the time that passed; a run that gives false ends the program.
fn measure(mut run: impl FnMut() -> bool) -> Duration {
    let (begin, mut runs) = (Instant::now(), 0);
    let cpu = on_cpu();
    while begin.elapsed() < PATIENCE {
        assert!(run(), "a query of the benchmark failed");
        runs += 1;
    }
    match (cpu, on_cpu()) {
        (Some(before), Some(after)) => (after - before) / runs,
        _ => begin.elapsed() / runs,
    }
}

/// For how long this thread was on a CPU. Source: `/proc/PID/schedstat` of Linux, nanoseconds first.
fn on_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
