//! Days of an engine in seconds: a writer, maintenance, deletions and readers at once, with short blocks, series that come and
//! go, a retention, and windows beyond it. Answers stay right; disk, memory and open files stay within bounds. A few seconds
//! on every run; `VIGIE_SOAK_SECONDS=3600 cargo test -p tsdb --test soak -- --nocapture` for longer, with what it sees.
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
use tsdb::{RetentionRule, Tsdb, TsdbOptions};

const STEP_MS: i64 = 15_000;
const BLOCK_MS: i64 = 40 * STEP_MS;
const RETENTION_MS: i64 = 12 * BLOCK_MS;
/// Series that stay.
const STEADY: usize = 60;
/// Series that are others after so many steps.
const PASSING: usize = 20;
const PASS_STEPS: i64 = 30;
/// Series that are deleted again and again, up to some time before now.
const DOOMED: usize = 4;
/// Series of which windows are kept beyond the retention.
const KPIS: usize = 4;
const WINDOW_MS: i64 = 4 * STEP_MS;
const KPI_RETENTION_MS: i64 = 4 * RETENTION_MS;

fn value(series: usize, time_ms: i64) -> f64 {
    (time_ms / STEP_MS * (series as i64 + 1) % 10_007) as f64
}

fn named(name: &str, series: usize) -> Labels {
    Labels::from_pairs([("__name__", name), ("s", series.to_string().as_str())])
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
        .map(|series| one(named("steady", series), series))
        .chain((0..PASSING).map(|series| one(passing(series), series)))
        .chain((0..DOOMED).map(|series| one(named("doomed", series), series)))
        .chain((0..KPIS).map(|series| one(named("kpi", series), series)))
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

/// Files that the process has open; nothing where the system does not tell.
fn open_files() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64)
}

fn read(engine: &Tsdb, name: &str, series: usize, start_ms: i64, end_ms: i64, hints: &SelectHints) -> Samples {
    let querier = engine.querier(start_ms, end_ms).unwrap();
    let matchers = [Matcher::equal("__name__", name), Matcher::equal("s", series.to_string())];
    let mut samples = Samples::default();
    for found in querier.select(hints, &matchers).unwrap() {
        found.unwrap().read(&mut samples).unwrap();
    }
    samples
}

/// A piece of a series, and what it is a piece of.
struct Piece<'a> {
    name: &'a str,
    series: usize,
    start_ms: i64,
    end_ms: i64,
    samples: Samples,
}

impl Piece<'_> {
    /// All that was written is there, and nothing else.
    fn check(&self) {
        let Piece { name, series, start_ms, end_ms, samples } = self;
        let wanted: Vec<i64> = (*start_ms..=*end_ms).filter(|time| time % STEP_MS == 0).collect();
        assert_eq!(samples.timestamps, wanted, "times of {name} {series} from {start_ms} to {end_ms}");
        for (time, own) in samples.timestamps.iter().zip(&samples.values) {
            assert_eq!(own.to_bits(), value(*series, *time).to_bits(), "{name} {series} at {time}");
        }
    }
}

fn read_from<'a>(engine: &Tsdb, name: &'a str, series: usize, start_ms: i64, end_ms: i64) -> Piece<'a> {
    let samples = read(engine, name, series, start_ms, end_ms, &SelectHints::default());
    Piece { name, series, start_ms, end_ms, samples }
}

/// Sums over windows older than any raw sample are those over what was written; both times are ends of windows.
fn ask_windows(engine: &Tsdb, series: usize, start_ms: i64, end_ms: i64) {
    let hints = SelectHints {
        start_ms: start_ms + 1,
        end_ms,
        step_ms: end_ms - start_ms,
        range_ms: end_ms - start_ms,
        function: "sum_over_time".to_owned(),
        tiers: true,
        ..SelectHints::default()
    };
    let samples = read(engine, "kpi", series, start_ms + 1, end_ms, &hints);
    let within = (0..samples.len()).filter(|at| (start_ms + 1..=end_ms).contains(&samples.timestamps[*at]));
    let (mut sum, mut count) = (0.0, 0);
    for at in within {
        sum += samples.values[at];
        count += i64::from(samples.tier(at).samples());
    }
    let wanted: f64 = (start_ms + 1..=end_ms).filter(|time| time % STEP_MS == 0).map(|time| value(series, time)).sum();
    let place = format!("kpi {series} from {start_ms} to {end_ms}");
    assert_eq!((count, sum.to_bits()), ((end_ms - start_ms) / STEP_MS, wanted.to_bits()), "{place}");
}

/// What the process and its folder take.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    disk_bytes: u64,
    memory_bytes: u64,
    files: u64,
}

impl Usage {
    fn most(list: &[Usage]) -> Usage {
        let of = |pick: fn(&Usage) -> u64| list.iter().map(pick).max().unwrap_or(0);
        Usage {
            disk_bytes: of(|own| own.disk_bytes),
            memory_bytes: of(|own| own.memory_bytes),
            files: of(|own| own.files),
        }
    }
}

/// Ends the other threads, whatever fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "with `--nocapture` it tells what it sees")]
fn answers_stay_right_and_bounds_hold() {
    let seconds = std::env::var("VIGIE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let dir = tempfile::tempdir().unwrap();
    let options = TsdbOptions {
        block_range_ms: BLOCK_MS,
        block_range_ms_max: 3 * BLOCK_MS,
        retention_ms: RETENTION_MS,
        segment_bytes_max: 100_000,
        retention_rules: vec![RetentionRule {
            selector: "kpi".into(),
            matchers: vec![Matcher::equal("__name__", "kpi")],
            keep_ms: KPI_RETENTION_MS,
            resolution_ms: Some(WINDOW_MS),
        }],
        ..options(dir.path())
    };
    let engine = Tsdb::open(options).unwrap();
    let (newest, maintained, stop) = (AtomicI64::new(0), AtomicI64::new(0), AtomicBool::new(false));
    // Up to when a deletion was begun, and up to when one is done.
    let (deleting, deleted) = (AtomicI64::new(0), AtomicI64::new(0));
    let begin = Instant::now();
    let mut seen: Vec<Usage> = Vec::new();
    let mut questions = 0;
    thread::scope(|scope| {
        let (engine, newest, maintained, stop) = (&engine, &newest, &maintained, &stop);
        let (deleting, deleted) = (&deleting, &deleted);
        scope.spawn(move || {
            let _end = End(stop);
            let mut time = 0;
            while !stop.load(Ordering::Relaxed) {
                time += STEP_MS;
                let report = engine.append_series(&step(time)).unwrap();
                assert_eq!(report.samples_appended, (STEADY + PASSING + DOOMED + KPIS) as u64);
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
            // Whoever has to wait for a processor may be overtaken by the retention.
            let is_kept = |start_ms: i64| newest.load(Ordering::SeqCst) < start_ms + RETENTION_MS;
            while !stop.load(Ordering::Relaxed) {
                let end_ms = newest.load(Ordering::Relaxed);
                let oldest_ms = (end_ms - RETENTION_MS + BLOCK_MS).max(STEP_MS);
                if end_ms > STEP_MS {
                    let start_ms = oldest_ms + noise.below((end_ms - oldest_ms).unsigned_abs() as usize + 1) as i64;
                    let own = read_from(engine, "steady", noise.below(STEADY), start_ms, end_ms);
                    if is_kept(start_ms) {
                        own.check();
                    }
                    // While a deletion is in work, a question may see it in one block and not in the next.
                    let before_ms = deleting.load(Ordering::SeqCst);
                    let own = read_from(engine, "doomed", noise.below(DOOMED), start_ms.max(before_ms + 1), end_ms);
                    if deleting.load(Ordering::SeqCst) == before_ms && is_kept(start_ms) {
                        own.check();
                    }
                    // What was deleted before the question does not come back.
                    let gone_ms = deleted.load(Ordering::SeqCst);
                    let back = read(engine, "doomed", noise.below(DOOMED), oldest_ms, gone_ms, &SelectHints::default());
                    assert!(back.is_empty(), "{:?} until {gone_ms} are back", back.timestamps);
                    questions += 1;
                }
                // Between what is surely there still and what surely has no raw samples.
                let (from, to) = (end_ms - KPI_RETENTION_MS + 6 * BLOCK_MS, end_ms - RETENTION_MS - 6 * BLOCK_MS);
                if from > 0 {
                    let start_ms = from + noise.below((to - from).unsigned_abs() as usize / 2) as i64;
                    let aligned = |time_ms: i64| time_ms / WINDOW_MS * WINDOW_MS;
                    ask_windows(engine, noise.below(KPIS), aligned(start_ms), aligned(to));
                }
            }
            questions
        });
        let _end = End(stop);
        let mut told = Duration::ZERO;
        while begin.elapsed() < Duration::from_secs(seconds) && !stop.load(Ordering::Relaxed) {
            let until_ms = newest.load(Ordering::Relaxed);
            engine.maintain().unwrap();
            maintained.store(until_ms, Ordering::Relaxed);
            let round = seen.len();
            if round % 10 == 3 {
                // Some of it in the head, some in blocks.
                let end_ms = until_ms - round as i64 / 10 % 4 * BLOCK_MS / 2;
                if end_ms > deleted.load(Ordering::SeqCst) {
                    deleting.store(end_ms, Ordering::SeqCst);
                    engine.delete_series(0, end_ms, &[Matcher::equal("__name__", "doomed")]).unwrap();
                    deleted.store(end_ms, Ordering::SeqCst);
                }
            }
            if round % 40 == 39 {
                engine.clean_tombstones().unwrap();
            }
            let usage =
                Usage { disk_bytes: folder_bytes(dir.path()), memory_bytes: resident_bytes(), files: open_files() };
            seen.push(usage);
            if begin.elapsed() >= told {
                told += Duration::from_secs(seconds) / 20;
                eprintln!(
                    "{:4} s: {:3} blocks, until hour {}, {} KiB on disk, {} MiB of memory, {} files",
                    begin.elapsed().as_secs(),
                    engine.blocks().len(),
                    until_ms / 3_600_000,
                    usage.disk_bytes >> 10,
                    usage.memory_bytes >> 20,
                    usage.files
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        questions = reader.join().unwrap();
    });
    (0..3).for_each(|_| engine.maintain().unwrap());
    let end_ms = newest.load(Ordering::Relaxed);
    assert!(questions > 2 && end_ms > 3 * BLOCK_MS, "{questions} questions, until {end_ms}");
    assert_eq!(engine.damage(), []);
    let blocks = engine.blocks();
    let oldest_of = |windows: bool| {
        let own = blocks.iter().filter(|block| block.resolution_ms.is_some() == windows);
        own.map(|block| block.min_time_ms).min().unwrap_or(end_ms)
    };
    let (raw_ms, windows_ms) = (oldest_of(false), oldest_of(true));
    assert!(raw_ms >= end_ms - RETENTION_MS - 6 * BLOCK_MS, "{raw_ms} of {end_ms}: the retention deletes");
    // Windows are made for twelve blocks at once.
    let whole_ms = 2 * 12 * BLOCK_MS;
    assert!(windows_ms >= end_ms - KPI_RETENTION_MS - whole_ms, "{windows_ms} of {end_ms}: windows go as well");
    assert!(blocks.len() < 60, "{} blocks", blocks.len());
    // Those that passed are forgotten with the blocks of their time.
    let most = STEADY + DOOMED + KPIS + PASSING * (5 * BLOCK_MS / STEP_MS / PASS_STEPS + 2) as usize;
    assert!(engine.status(1).series <= most as u64, "{} series in the head", engine.status(1).series);
    eprintln!("{questions} questions, until hour {}, {} rounds of maintenance", end_ms / 3_600_000, seen.len());
    // After the retention began to delete, nothing grows any more.
    if end_ms > 4 * KPI_RETENTION_MS {
        let thirds = seen.len() / 3;
        let (before, after) = (Usage::most(&seen[thirds..2 * thirds]), Usage::most(&seen[2 * thirds..]));
        eprintln!("at most {after:?} after {before:?}");
        assert!(after.disk_bytes <= before.disk_bytes * 3 / 2 + (1 << 20), "{after:?} after {before:?}");
        assert!(after.memory_bytes <= before.memory_bytes * 5 / 4 + (32 << 20), "{after:?} after {before:?}");
        assert!(after.files <= before.files * 3 / 2 + 16, "{after:?} after {before:?}");
    }
}
