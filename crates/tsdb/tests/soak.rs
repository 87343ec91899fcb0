//! Days of an engine in seconds: a writer, maintenance and readers at once, with short blocks, series that come and go, and a
//! retention. Answers stay right, disk and memory stay within bounds. A few seconds on every run;
//! `VIGIE_SOAK_SECONDS=3600 cargo test -p tsdb --test soak` for longer.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::options;
use model::{Labels, Matcher, SampleValue};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    thread,
    time::{Duration, Instant},
};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};
use tsdb::{Tsdb, TsdbOptions};

const STEP_MS: i64 = 15_000;
const BLOCK_MS: i64 = 40 * STEP_MS;
const RETENTION_MS: i64 = 12 * BLOCK_MS;
/// Series that stay.
const STEADY: usize = 60;
/// Series that are others after so many steps.
const PASSING: usize = 20;
const PASS_STEPS: i64 = 30;

fn value(series: usize, time_ms: i64) -> f64 {
    (time_ms / STEP_MS * (series as i64 + 1) % 10_007) as f64
}

fn steady(series: usize) -> Labels {
    Labels::from_pairs([("__name__", "steady"), ("s", series.to_string().as_str())])
}

fn step(time_ms: i64) -> Vec<SeriesSamples> {
    let one = |labels: Labels, series: usize| SeriesSamples {
        labels,
        samples: vec![(time_ms, SampleValue::Float(value(series, time_ms)))],
        ..SeriesSamples::default()
    };
    let age = time_ms / STEP_MS / PASS_STEPS;
    let passing = |series: usize| Labels::from_pairs([("__name__", "passing"), ("s", &format!("{series}-{age}"))]);
    (0..STEADY)
        .map(|series| one(steady(series), series))
        .chain((0..PASSING).map(|series| one(passing(series), series)))
        .collect()
}

fn folder_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Memory of the process in use; nothing where the system does not tell.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Reads a piece of one series and counts what is missing or wrong.
fn ask(engine: &Tsdb, series: usize, start_ms: i64, end_ms: i64) {
    let querier = engine.querier(start_ms, end_ms).unwrap();
    let matchers = [Matcher::equal("__name__", "steady"), Matcher::equal("s", series.to_string())];
    let mut samples = Samples::default();
    for found in querier.select(&SelectHints::default(), &matchers).unwrap() {
        found.unwrap().read(&mut samples).unwrap();
    }
    let wanted: Vec<i64> = (start_ms..=end_ms).filter(|time| time % STEP_MS == 0).collect();
    assert_eq!(samples.timestamps, wanted, "times of series {series} from {start_ms} to {end_ms}");
    for (time, own) in samples.timestamps.iter().zip(&samples.values) {
        assert_eq!(own.to_bits(), value(series, *time).to_bits(), "series {series} at {time}");
    }
}

#[test]
fn answers_stay_right_and_bounds_hold() {
    let seconds = std::env::var("VIGIE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let dir = tempfile::tempdir().unwrap();
    let options = TsdbOptions {
        block_range_ms: BLOCK_MS,
        block_range_ms_max: 3 * BLOCK_MS,
        retention_ms: RETENTION_MS,
        segment_bytes_max: 100_000,
        ..options(dir.path())
    };
    let engine = Tsdb::open(options).unwrap();
    let (newest, maintained, stop) = (AtomicI64::new(0), AtomicI64::new(0), AtomicBool::new(false));
    let begin = Instant::now();
    // Bytes of disk and memory over time.
    let mut seen: Vec<(u64, u64)> = Vec::new();
    let mut questions = 0;
    thread::scope(|scope| {
        let (engine, newest, maintained, stop) = (&engine, &newest, &maintained, &stop);
        // Whatever fails ends the others.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        scope.spawn(move || {
            let _end = End(stop);
            let mut time = 0;
            while !stop.load(Ordering::Relaxed) {
                time += STEP_MS;
                let report = engine.append_series(&step(time)).unwrap();
                assert_eq!(report.samples_appended, (STEADY + PASSING) as u64);
                newest.store(time, Ordering::Relaxed);
                // No target is scraped faster than maintenance can follow.
                while time - maintained.load(Ordering::Relaxed) > 3 * BLOCK_MS && !stop.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let reader = scope.spawn(move || {
            let _end = End(stop);
            let (mut noise, mut questions) = (mutation::Noise::new(1), 0_u64);
            while !stop.load(Ordering::Relaxed) {
                let end_ms = newest.load(Ordering::Relaxed);
                let oldest_ms = (end_ms - RETENTION_MS + BLOCK_MS).max(STEP_MS);
                if end_ms > STEP_MS {
                    let start_ms = oldest_ms + noise.below((end_ms - oldest_ms).unsigned_abs() as usize + 1) as i64;
                    ask(engine, noise.below(STEADY), start_ms, end_ms);
                    questions += 1;
                }
            }
            questions
        });
        let _end = End(stop);
        while begin.elapsed() < Duration::from_secs(seconds) && !stop.load(Ordering::Relaxed) {
            let until_ms = newest.load(Ordering::Relaxed);
            engine.maintain().unwrap();
            maintained.store(until_ms, Ordering::Relaxed);
            seen.push((folder_bytes(dir.path()), resident_bytes()));
            thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        questions = reader.join().unwrap();
    });
    (0..3).for_each(|_| engine.maintain().unwrap());
    let end_ms = newest.load(Ordering::Relaxed);
    assert!(questions > 10 && end_ms > 3 * BLOCK_MS, "{questions} questions, until {end_ms}");
    assert_eq!(engine.damage(), []);
    let blocks = engine.blocks();
    let oldest_ms = blocks.iter().map(|block| block.min_time_ms).min().unwrap_or(0);
    assert!(oldest_ms >= end_ms - RETENTION_MS - 6 * BLOCK_MS, "{oldest_ms} of {end_ms}: the retention deletes");
    assert!(blocks.len() < 40, "{} blocks", blocks.len());
    // Those that passed are forgotten with the blocks of their time.
    let most = STEADY + PASSING * (5 * BLOCK_MS / STEP_MS / PASS_STEPS + 2) as usize;
    assert!(engine.status(1).series <= most as u64, "{} series in the head", engine.status(1).series);
    // After the retention began to delete, nothing grows any more.
    if end_ms > 4 * RETENTION_MS {
        let (middle, last) = (&seen[seen.len() / 3..2 * seen.len() / 3], &seen[2 * seen.len() / 3..]);
        let most = |list: &[(u64, u64)]| {
            let of = |pick: fn(&(u64, u64)) -> u64| list.iter().map(pick).max().unwrap_or(0);
            (of(|own| own.0), of(|own| own.1))
        };
        let (before, after) = (most(middle), most(last));
        assert!(after.0 <= before.0 * 3 / 2 + (1 << 20), "disk: {after:?} bytes after {before:?}");
        assert!(after.1 <= before.1 * 5 / 4 + (32 << 20), "memory: {after:?} bytes after {before:?}");
    }
}
