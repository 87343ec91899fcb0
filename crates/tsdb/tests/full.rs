//! A disk without room: appends are refused with a reason, reads go on, and it goes on by itself when there is room.
//!
//! The disk is real: a small file system in memory where mounting is allowed, and everywhere the limit of the process
//! on the size of its files.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![allow(clippy::print_stdout, reason = "what was skipped, and how far the child came")]

mod common;

use common::{Content, labels, options, read_all};
use model::SampleValue;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{fs, path::Path, process::Command, sync::Arc};
use storage::{Ingest, SeriesSamples, StorageError};
use tsdb::{SyncPolicy, Tsdb, TsdbOptions};

const CHILD: &str = "VIGIE_TSDB_TEST_FULL_DIR";
const DISK: &str = "VIGIE_TSDB_TEST_FULL_DISK";
const SERIES: usize = 50;

/// Values that take room.
fn samples(time: i64) -> Vec<SeriesSamples> {
    let noise = |series: usize| (time as u64 * 1000 + series as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12;
    let value = |series: usize| f64::from_bits(0x3ff0_0000_0000_0000 | noise(series));
    (0..SERIES)
        .map(|series| SeriesSamples {
            labels: labels(series),
            samples: vec![(time, SampleValue::Float(value(series)))],
            ..SeriesSamples::default()
        })
        .collect()
}

fn count(content: &Content) -> usize {
    content.values().map(|samples| samples.len()).sum()
}

/// Appends until it is refused, then some times more; gives the time that was refused.
fn fill(engine: &Arc<Tsdb>, from: i64) -> i64 {
    for time in from..from + 1_000_000 {
        match engine.append_series(&samples(time)) {
            Ok(report) => assert_eq!(report.samples_appended, SERIES as u64),
            Err(error) => {
                let StorageError::Unavailable { reason } = &error else { panic!("{error}") };
                assert!(reason.contains("/wal/0") && reason.contains("make room on its disk"), "{reason}");
                for _ in 0..20 {
                    assert!(matches!(engine.append_series(&samples(time)), Err(StorageError::Unavailable { .. })));
                }
                return time;
            }
        }
    }
    panic!("the disk never was full");
}

fn segments(dir: &Path) -> usize {
    fs::read_dir(dir.join("wal")).unwrap().count()
}

/// One life of a folder on a disk: `make_full` and `make_room` change it.
fn live(options: &TsdbOptions, make_full: impl Fn(), make_room: impl Fn()) {
    let engine = Tsdb::open(options.clone()).unwrap();
    engine.append_series(&samples(1)).unwrap();
    make_full();
    let refused = fill(&engine, 2);
    let mut acknowledged = (refused - 1) as usize * SERIES;
    assert_eq!(count(&read_all(&engine)), acknowledged);
    let before = segments(&options.dir);
    // Blocks need room too; without it everything stays where it is.
    let _ = engine.maintain();
    assert_eq!(count(&read_all(&engine)), acknowledged);
    for _ in 0..20 {
        acknowledged += engine.append_series(&samples(refused)).map_or(0, |report| report.samples_appended as usize);
    }
    assert!(segments(&options.dir) <= before + 1, "segments without anything fill the disk");
    make_room();
    engine.append_series(&samples(refused + 1)).unwrap();
    acknowledged += SERIES;
    assert_eq!(count(&read_all(&engine)), acknowledged);
    drop(engine);
    let engine = Tsdb::open(options.clone()).unwrap();
    assert_eq!((count(&read_all(&engine)), engine.damage()), (acknowledged, vec![]));
    drop(engine);
    empty(&options.dir);
}

fn empty(dir: &Path) {
    fs::remove_dir_all(dir).unwrap();
    fs::create_dir(dir).unwrap();
}

/// Not a test of its own: what the child processes run.
#[test]
fn child_on_a_full_disk() {
    let (Ok(dir), Ok(disk)) = (std::env::var(CHILD), std::env::var(DISK)) else { return };
    let root = Path::new(&dir);
    let dir = root.join("data");
    fs::create_dir(&dir).unwrap();
    for sync in [options(&dir).sync, SyncPolicy::EveryAppend] {
        for segment_bytes_max in [5_000, 1 << 30] {
            let options = TsdbOptions { segment_bytes_max, block_range_ms: 1 << 40, sync, ..options(&dir) };
            if disk == "limit" {
                let limit = |bytes: Option<u64>| {
                    let maximum = getrlimit(Resource::Fsize).maximum;
                    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
                };
                // No file may have more than so many bytes: first none may grow at all.
                live(&options, || limit(Some(4)), || limit(None));
                if segment_bytes_max > 5_000 {
                    // Here a write ends in the middle.
                    let engine = Tsdb::open(options.clone()).unwrap();
                    limit(Some(30_001));
                    let refused = (1..).find(|time| engine.append_series(&samples(*time)).is_err()).unwrap();
                    engine.append_series(&samples(refused)).unwrap();
                    let expected = read_all(&engine);
                    assert_eq!((count(&expected), segments(&dir)), (refused as usize * SERIES, 2));
                    limit(None);
                    drop(engine);
                    let engine = Tsdb::open(options).unwrap();
                    assert_eq!((read_all(&engine), engine.damage()), (expected, vec![]));
                    drop(engine);
                    empty(&dir);
                }
            } else {
                let ballast = root.join("ballast");
                live(
                    &TsdbOptions { block_range_ms: 200, ..options },
                    || fs::write(&ballast, vec![1; 200_000]).unwrap(),
                    || fs::remove_file(&ballast).unwrap(),
                );
            }
        }
    }
    println!("the child came to its end");
}

fn run(mut command: Command, dir: &Path, disk: &str) -> (bool, String) {
    let output = command.env(CHILD, dir).env(DISK, disk).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (said.contains("the child came to its end"), said)
}

fn shell(script: &str, dir: &Path) -> Command {
    let mut command = Command::new("sh");
    let this = std::env::current_exe().unwrap();
    command.args(["-c", script]).arg(this).args(["--exact", "child_on_a_full_disk", "--nocapture"]);
    command.current_dir(dir);
    command
}

#[test]
fn files_that_may_not_grow_refuse_appends_until_they_may() {
    let dir = tempfile::tempdir().unwrap();
    // Else the signal that comes with the error ends the process.
    let command = shell("trap '' XFSZ; exec \"$0\" \"$@\"", dir.path());
    let (done, said) = run(command, dir.path(), "limit");
    assert!(done, "{said}");
}

#[test]
fn a_full_disk_refuses_appends_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=448k vigie-test . && cd . && echo mounted && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    let this = std::env::current_exe().unwrap();
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", mount]).arg(this);
    command.args(["--exact", "child_on_a_full_disk", "--nocapture"]).current_dir(dir.path());
    if Command::new("unshare").arg("--version").output().is_err() {
        println!("skipped: there is no unshare to mount a small disk with");
        return;
    }
    let (done, said) = run(command, dir.path(), "disk");
    if !said.contains("mounted") {
        println!("skipped: no small disk can be mounted here: {said}");
        return;
    }
    assert!(done, "{said}");
}
