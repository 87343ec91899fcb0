//! A repair that is killed before any of its changes to files: the next one ends well, nothing that could be read is lost, and
//! what was damaged is still there as it was. `VIGIE_CRASH_SEEDS=1` for every change, and not only every third one.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use super::{repair, verify};
use crate::{
    SyncPolicy, Tsdb, TsdbOptions, checkpoint,
    killed::{copy, end_after},
    wal::segment::segment_path,
};
use model::{Exemplar, Labels, Matcher, SampleValue};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};

fn open(dir: &Path) -> Arc<Tsdb> {
    let options = TsdbOptions {
        block_range_ms: 1000,
        retention_ms: 0,
        segment_bytes_max: 600,
        checkpoint_log_bytes: 1,
        sync: SyncPolicy::Interval(Duration::from_secs(3600)),
        clock: Arc::new(system::TestClock::at(1_700_000_000_000)),
        ..TsdbOptions::new(dir)
    };
    Tsdb::open(options).unwrap()
}

/// Bits by series and time, and how many exemplars.
type Content = (BTreeMap<(String, i64), u64>, usize);

fn content(dir: &Path) -> Content {
    let engine = open(dir);
    let mut content = BTreeMap::new();
    for series in engine.querier(i64::MIN, i64::MAX).unwrap().select(&SelectHints::default(), &[]).unwrap() {
        let (series, mut samples) = (series.unwrap(), Samples::default());
        series.read(&mut samples).unwrap();
        for (time, value) in samples.timestamps.iter().zip(&samples.values) {
            let before = content.insert((series.labels().to_string(), *time), value.to_bits());
            assert_eq!(before, None, "no sample twice");
        }
    }
    let exemplars = engine.exemplars(i64::MIN, i64::MAX, &[Vec::new()]).unwrap();
    (content, exemplars.iter().map(|series| series.exemplars.len()).sum())
}

fn write(engine: &Tsdb, from_ms: i64, to_ms: i64) {
    for time in (from_ms..to_ms).step_by(20) {
        let one = |number: i64| {
            let labels = Labels::from_pairs([("__name__", "m"), ("s", number.to_string().as_str())]);
            let exemplar = Exemplar { labels: labels.clone(), value: 1.0, timestamp_ms: Some(time) };
            SeriesSamples {
                labels,
                // Too random to compress.
                samples: vec![(time, SampleValue::Float(((time + number) as f64 * 0.7315).sin()))],
                exemplars: if time % 200 == 0 { vec![exemplar] } else { Vec::new() },
                ..SeriesSamples::default()
            }
        };
        engine.append_series(&(0..3).map(one).collect::<Vec<_>>()).unwrap();
    }
}

/// Two blocks, one with deletions, and a log with a checkpoint in its middle; the numbers of its segments.
fn folder(dir: &Path) -> Vec<u64> {
    let engine = open(dir);
    for from in (0..2_600).step_by(200) {
        write(&engine, from, from + 200);
        engine.maintain().unwrap();
    }
    engine.delete_series(100, 500, &[Matcher::equal("s", "1")]).unwrap();
    write(&engine, 2_600, 2_800);
    engine.maintain().unwrap();
    write(&engine, 2_800, 3_100);
    assert!(engine.blocks().len() >= 2, "{:?}", engine.blocks());
    drop(engine);
    crate::wal::segment::segment_numbers(&dir.join("wal")).unwrap()
}

/// What is done to a folder: files, as `part/name`, that lose a bit in their middle (`~`) or go (`-`).
const CASES: &[&str] = &[
    "~block/data",
    "~block/index",
    "~block/meta.json",
    "-block/exemplars",
    "-block/tombstones",
    "-block/data -block/symbols",
    "~log/behind",
    "-log/behind",
    "~log/before",
    "-log/before",
    "~log/at",
    "-log/at",
    "~head",
    "~head ~log/before",
    "~block/data ~log/before ~log/behind",
];

fn damage(dir: &Path, segments: &[u64], case: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let at = checkpoint::position(dir).unwrap().segment;
    let (before, behind) = (segments.iter().rfind(|own| **own < at), segments.iter().find(|own| **own > at));
    assert!(before > segments.first() && behind < segments.last(), "{at} in {segments:?}");
    let mut damaged = Vec::new();
    for part in case.split(' ') {
        let path = match &part[1..] {
            "head" => checkpoint::path(dir),
            "log/before" => segment_path(&dir.join("wal"), *before.unwrap()),
            "log/at" => segment_path(&dir.join("wal"), at),
            "log/behind" => segment_path(&dir.join("wal"), *behind.unwrap()),
            name => {
                let mut blocks = crate::db::block_dirs(dir).unwrap();
                blocks.retain(|block| block.join("tombstones").exists());
                blocks[0].join(name.strip_prefix("block/").unwrap())
            }
        };
        if part.starts_with('-') {
            fs::remove_file(&path).unwrap();
        } else {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, &bytes).unwrap();
            damaged.push((path.strip_prefix(dir).unwrap().to_owned(), bytes));
        }
    }
    damaged
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

#[test]
fn whenever_a_repair_ends_the_next_one_ends_well() {
    let source = tempfile::tempdir().unwrap();
    let segments = folder(source.path());
    let mut ends = 0;
    let stride = if std::env::var_os("VIGIE_CRASH_SEEDS").is_some() { 1 } else { 3 };
    for (number, case) in (0_u64..).zip(CASES) {
        let broken = tempfile::tempdir().unwrap();
        copy(source.path(), broken.path());
        let damaged = damage(broken.path(), &segments, case);
        let served = {
            let dir = tempfile::tempdir().unwrap();
            copy(broken.path(), dir.path());
            content(dir.path())
        };
        let run = |end: Option<u64>| {
            let at = format!("{case}, killed before change {end:?}");
            let dir = tempfile::tempdir().unwrap();
            copy(broken.path(), dir.path());
            end_after(end);
            let outcome = repair(dir.path(), &mut |_, _| {});
            let steps = end_after(None);
            assert!(outcome.is_ok() || end.is_some(), "{at}: {outcome:?}");
            let mut there = Vec::new();
            files(dir.path(), &mut there);
            for (path, bytes) in &damaged {
                let name = path.file_stem();
                let is_there = there.iter().any(|own| own.file_stem() == name && fs::read(own).unwrap() == *bytes);
                assert!(is_there, "{at}: {} as it was is gone", path.display());
            }
            // The server may be started instead of another repair.
            let started = tempfile::tempdir().unwrap();
            copy(dir.path(), started.path());
            for (what, dir) in [("the server", started.path()), ("another repair", dir.path())] {
                if what == "another repair" {
                    repair(dir, &mut |_, _| {}).unwrap_or_else(|error| panic!("{at}: {error}"));
                    assert_eq!(verify(dir, &mut |_, _| {}).unwrap().damage, [], "{at}");
                    assert_eq!(repair(dir, &mut |_, _| {}).unwrap().repaired, [], "{at}");
                }
                let found = content(dir);
                for (place, value) in &served.0 {
                    assert_eq!(found.0.get(place), Some(value), "{at}: {place:?} was served, and {what} lost it");
                }
                assert!(found.1 >= served.1, "{at}: {} of {} exemplars, {what}", found.1, served.1);
            }
            (steps, content(dir.path()))
        };
        let (steps, expected) = run(None);
        assert!(steps >= 2, "{case}: {steps} changes");
        for end in (number % stride..steps).step_by(stride as usize) {
            let found = run(Some(end)).1;
            let differs = found.0.iter().find(|(place, value)| expected.0.get(*place) != Some(*value));
            let lacks = expected.0.keys().find(|place| !found.0.contains_key(*place));
            let at = format!("{case}, killed before change {end}");
            assert_eq!((differs, lacks, found.1), (None, None, expected.1), "{at}");
            ends += 1;
        }
    }
    assert!(ends > 70, "{ends} ends");
}
