//! Series that come and go for hours, as the containers of a cluster that is deployed all day: the head forgets those that
//! ended, and memory follows how many live, not how many there have been. 3,000 series on every run;
//! `VIGIE_CHURN_SERIES=1000000 cargo test --release -p tsdb --test churn -- --nocapture` for a million, with what it sees.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::options;
use model::{Labels, Matcher, SampleValue};
use std::time::Instant;
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};
use tsdb::{Tsdb, TsdbOptions};

const STEP_MS: i64 = 60_000;
/// A series lives for an hour; so twenty hours see twenty times as many as live at one time.
const LIFE_STEPS: i64 = 60;
const HOURS: i64 = 20;
const BLOCK_MS: i64 = 2 * 3_600_000;

fn labels(number: i64) -> Labels {
    let (pod, container) = (number / 10, number % 10);
    Labels::from_pairs([
        (
            "__name__",
            ["container_cpu_usage_seconds_total", "container_memory_working_set_bytes"][(number % 2) as usize],
        ),
        ("container", ["app", "proxy", "log", "init", "sidecar"][(container / 2) as usize]),
        (
            "id",
            &format!("/kubepods/burstable/pod{pod:08x}/{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)),
        ),
        ("image", &format!("registry.example.org/team-{}/app:{}", pod % 40, pod / 400)),
        ("instance", &format!("node-{}:10250", pod % 50)),
        ("job", "kubelet"),
        ("namespace", &format!("team-{}", pod % 40)),
        ("pod", &format!("app-{}-{pod:x}", pod % 400)),
    ])
}

fn value(number: i64, step: i64) -> f64 {
    (number * 7 + step * 13 % 101) as f64
}

/// Memory of the process in use; nothing where the system does not tell.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

#[test]
#[allow(clippy::print_stderr, reason = "with `--nocapture` it tells what it sees")]
fn memory_follows_those_that_live() {
    let wanted: i64 = std::env::var("VIGIE_CHURN_SERIES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let a_step = (wanted / (HOURS * 60)).max(1);
    let living = a_step * LIFE_STEPS;
    let dir = tempfile::tempdir().unwrap();
    let options = TsdbOptions {
        block_range_ms: BLOCK_MS,
        block_range_ms_max: 10 * BLOCK_MS,
        segment_bytes_max: 128 << 20,
        ..options(dir.path())
    };
    let engine = Tsdb::open(options).unwrap();
    let (begin, mut seen) = (Instant::now(), Vec::new());
    for step in 0..HOURS * 60 {
        // The oldest `a_step` of them end, as many begin.
        let first = step * a_step;
        let rows: Vec<SeriesSamples> = (first..first + living)
            .map(|number| SeriesSamples {
                labels: labels(number),
                samples: vec![(step * STEP_MS, SampleValue::Float(value(number, step)))],
                ..SeriesSamples::default()
            })
            .collect();
        let report = engine.append_series(&rows).unwrap();
        assert_eq!(report.samples_appended, living as u64);
        drop(rows);
        if step % 10 == 9 {
            engine.maintain().unwrap();
        }
        if step % 60 == 59 {
            let (series, memory) = (engine.status(1).series, resident_bytes());
            seen.push((series, memory));
            eprintln!(
                "hour {:2}: {} series so far, {series} in the head, {} MiB of memory, {} blocks, {} s",
                (step + 1) / 60,
                first + living,
                memory >> 20,
                engine.blocks().len(),
                begin.elapsed().as_secs()
            );
        }
    }
    // The head holds up to one and a half blocks and what is being cut: four hours of newcomers and those that live.
    let most = (living + a_step * 60 * 4) as u64;
    assert!(seen.iter().all(|(series, _)| *series <= most), "{seen:?}, at most {most}");
    let hours = |from: usize, to: usize| seen[from..to].iter().map(|(_, memory)| *memory).max().unwrap_or(0);
    let (before, after) = (hours(4, 10), hours(14, 20));
    assert!(after <= before * 5 / 4 + (32 << 20), "{after} bytes of memory after {before}");
    assert_eq!(engine.damage(), []);
    // Those that ended long ago, yesterday and now are there, whole.
    let last = HOURS * 60 - 1;
    for number in [living - 1, (last / 2) * a_step + living / 2, last * a_step + living - 1] {
        let querier = engine.querier(0, HOURS * 3_600_000).unwrap();
        let own = labels(number);
        let matchers: Vec<Matcher> = own.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
        let mut samples = Samples::default();
        for series in querier.select(&SelectHints::default(), &matchers).unwrap() {
            series.unwrap().read(&mut samples).unwrap();
        }
        let steps = (0..=last).filter(|step| (step * a_step..step * a_step + living).contains(&number));
        let expected: Vec<(i64, f64)> = steps.map(|step| (step * STEP_MS, value(number, step))).collect();
        let found: Vec<(i64, f64)> = samples.timestamps.iter().copied().zip(samples.values).collect();
        assert_eq!(found, expected, "series {number}");
    }
}
