//! A process that ends before any of its changes to files, by seed: checkpoints, cutting, compaction, windows, retention, deletion.
//! `VIGIE_CRASH_SEEDS=50` for more seeds.

use crate::{RetentionRule, SyncPolicy, Tsdb, TsdbOptions};
use model::{Labels, Matcher, SampleValue};
use std::{cell::Cell, collections::BTreeMap, fs, io, path::Path, sync::Arc, time::Duration};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples, StorageError};

thread_local! {
    /// So many changes are left to the process of this thread; `None` for a life without end.
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Lets the process of this thread end before so many changes more, or live on; gives how many there were since the last call.
pub(crate) fn end_after(changes: Option<u64>) -> u64 {
    LEFT.set(changes);
    DONE.replace(0)
}

/// Called before every change. Once the process has ended, nothing is changed any more, by clean-up either.
pub(crate) fn step() -> io::Result<()> {
    DONE.set(DONE.get() + 1);
    match LEFT.get() {
        Some(0) => Err(io::Error::other("the process was killed")),
        Some(left) => {
            LEFT.set(Some(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}

/// The same numbers in every run of a seed.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) % limit
    }
}

/// Of so many changes one is the last, in each seed another.
const STRIDE: u64 = 37;

type Content = BTreeMap<String, BTreeMap<i64, u64>>;

fn open(dir: &Path, seed: u64) -> Arc<Tsdb> {
    let rule = |keep_ms: i64, resolution_ms: Option<i64>| RetentionRule {
        selector: "{s=\"1\"}".into(),
        matchers: vec![Matcher::equal("s", "1")],
        keep_ms,
        resolution_ms,
    };
    let with_rules = seed % 2 == 1;
    let options = TsdbOptions {
        block_range_ms: 100,
        block_range_ms_max: 900,
        retention_ms: if with_rules { 1500 } else { 0 },
        retention_rules: if with_rules { vec![rule(100_000, Some(60)), rule(3_000, None)] } else { Vec::new() },
        segment_bytes_max: 500,
        checkpoint_log_bytes: 300,
        sync: SyncPolicy::Interval(Duration::from_secs(3600)),
        clock: Arc::new(system::TestClock::at(1_700_000_000_000)),
        ..TsdbOptions::new(dir)
    };
    Tsdb::open(options).unwrap()
}

fn content(engine: &Tsdb) -> Content {
    let mut content = Content::new();
    for series in engine.querier(i64::MIN, i64::MAX).unwrap().select(&SelectHints::default(), &[]).unwrap() {
        let (series, mut samples) = (series.unwrap(), Samples::default());
        series.read(&mut samples).unwrap();
        assert!(samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]), "no sample twice");
        let values = samples.timestamps.iter().copied().zip(samples.values.iter().map(|value| value.to_bits()));
        content.insert(series.labels().to_string(), values.collect());
    }
    content.retain(|_, samples| !samples.is_empty());
    content
}

/// Rows of three series from one time to another.
fn write(engine: &Tsdb, noise: &mut Noise, from_ms: i64, to_ms: i64) {
    let mut time = from_ms;
    while time < to_ms {
        time += 3 + noise.below(12) as i64;
        let one = |number: usize, value: u64| SeriesSamples {
            labels: Labels::from_pairs([("__name__", "m"), ("s", number.to_string().as_str())]),
            samples: vec![(time, SampleValue::Float(value as f64))],
            ..SeriesSamples::default()
        };
        let list: Vec<SeriesSamples> = (0..3).map(|number| one(number, noise.below(50))).collect();
        assert_eq!(engine.append_series(&list).unwrap().samples_appended, 3);
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

type Work = fn(&Tsdb) -> Result<(), StorageError>;

const WORKS: [(&str, Work); 4] = [
    ("maintain", |engine| engine.maintain()),
    ("compact_all", |engine| engine.compact_all()),
    ("clean_tombstones", |engine| engine.clean_tombstones()),
    ("delete_series", |engine| engine.delete_series(400, 900, &[Matcher::equal("s", "2")])),
];

/// Brings everything to its end.
fn settle(engine: &Tsdb) {
    for _ in 0..4 {
        engine.maintain().unwrap();
    }
}

#[test]
fn the_end_before_any_change_loses_nothing_and_doubles_nothing() {
    let seeds = std::env::var("VIGIE_CRASH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let mut ends = 0;
    for seed in 0..seeds {
        let mut noise = Noise(seed);
        let source = tempfile::tempdir().unwrap();
        let engine = open(source.path(), seed);
        let mut time = 0;
        for _ in 0..3 {
            let next = time + 500 + noise.below(500) as i64;
            write(&engine, &mut noise, time, next);
            engine.maintain().unwrap();
            time = next + 20;
        }
        engine.delete_series(200, 700, &[Matcher::equal("s", "0")]).unwrap();
        // What is still to be cut, made windows of and deleted.
        write(&engine, &mut noise, time, time + 1_300);
        drop(engine);
        for (name, work) in WORKS {
            let at = |end: Option<u64>| format!("seed {seed}, {name}, killed before change {end:?}");
            let run = |end: Option<u64>| {
                let dir = tempfile::tempdir().unwrap();
                copy(source.path(), dir.path());
                let engine = open(dir.path(), seed);
                let before = content(&engine);
                DONE.set(0);
                LEFT.set(end);
                let outcome = work(&engine);
                let after = content(&engine);
                drop(engine);
                LEFT.set(None);
                let steps = DONE.get();
                let engine = open(dir.path(), seed);
                let reopened = content(&engine);
                assert_eq!(engine.damage(), [], "{}", at(end));
                // What was done, and no more, is what a new process finds; a deletion that was not acknowledged may be
                // there in part.
                if name == "delete_series" {
                    for (series, samples) in &before {
                        let left = reopened.get(series).unwrap();
                        let gone = |time: &i64| series.contains("s=\"2\"") && (400..=900).contains(time);
                        assert!(left.iter().all(|(time, value)| samples.get(time) == Some(value)), "{}", at(end));
                        let missing = samples.keys().filter(|time| !left.contains_key(time));
                        assert!(missing.into_iter().all(gone), "{}", at(end));
                    }
                    if outcome.is_ok() {
                        assert_eq!(reopened, after, "{}", at(end));
                    }
                } else if seed % 2 == 0 {
                    assert_eq!((&reopened, &reopened), (&before, &after), "{}", at(end));
                }
                // The next process brings it to the same end.
                settle(&engine);
                work(&engine).unwrap();
                settle(&engine);
                let settled = content(&engine);
                drop(engine);
                let left: Vec<String> = fs::read_dir(dir.path())
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                    .filter(|name| name.ends_with(".tmp") || name.ends_with(".deleting"))
                    .collect();
                assert!(left.is_empty(), "{}: {left:?} left", at(end));
                assert_eq!(content(&open(dir.path(), seed)), settled, "{}", at(end));
                (steps, settled)
            };
            let (steps, expected) = run(None);
            // With each seed some of them, so that a few seeds take seconds.
            for end in (seed % STRIDE..steps).step_by(STRIDE as usize) {
                assert_eq!(run(Some(end)).1, expected, "{}", at(Some(end)));
                ends += 1;
            }
        }
    }
    assert!(ends >= 8 * seeds, "{ends} ends");
}
