//! Killed processes, torn files, flipped bits, a folder in use, a log that cannot be written.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{copy, files, folder, labels, options, read_all, samples};
use model::{Labels, Matcher, SampleValue};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use storage::{Ingest, Layout, Presence, Row, SeriesSamples, StorageError};
use tsdb::{OpenError, SyncPolicy, Tsdb, TsdbOptions, WalEvent, WalPosition};

const CHILD: &str = "VIGIE_TSDB_TEST_CHILD_DIR";

/// Writers of the killed process; series of each.
const WRITERS: usize = 3;
const OWN: usize = 20;

fn own_labels(writer: usize) -> Vec<Labels> {
    (0..OWN).map(|series| labels(writer * OWN + series)).collect()
}

fn own_value(round: i64, writer: usize, series: usize) -> f64 {
    (round * 100 + (writer * OWN + series) as i64) as f64 / 8.0
}

/// Appends one round: the first writer as scrapes do, the second as remote write does for the first time, the third as it
/// does for known series.
fn append(engine: &Tsdb, layout: &Layout, round: i64, writer: usize) {
    let values: Vec<f64> = (0..OWN).map(|series| own_value(round, writer, series)).collect();
    let report = match writer {
        0 => engine.append_rows(&[Row {
            layout,
            timestamp_ms: round,
            values: &values,
            presence: Presence::All,
            histograms: &[],
            own_timestamps: &[],
            start_timestamps: &[],
            changed: None,
            exemplars: &[],
        }]),
        1 => {
            let one = |(labels, value): (Labels, &f64)| SeriesSamples {
                labels,
                samples: vec![(round, SampleValue::Float(*value))],
                ..SeriesSamples::default()
            };
            engine.append_series(&own_labels(writer).into_iter().zip(&values).map(one).collect::<Vec<_>>())
        }
        _ => engine.append_samples(&layout.series, &[round; OWN], &values),
    };
    assert_eq!(report.unwrap().samples_appended, OWN as u64);
}

/// Not a test of its own: what the killed process runs.
#[test]
fn child_that_writes_until_killed() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    // Writers wait for each other now and then, so that none falls behind what the head takes.
    let options = TsdbOptions { segment_bytes_max: 20_000, out_of_order_window_ms: 50, ..options(Path::new(&dir)) };
    let engine = Tsdb::open(options).unwrap();
    let barrier = std::sync::Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (engine, barrier) = (&engine, &barrier);
            scope.spawn(move || {
                let layout = engine.layout(&own_labels(writer)).unwrap();
                for round in 0_i64.. {
                    if round % 10 == 0 {
                        barrier.wait();
                    }
                    append(engine, &layout, round, writer);
                    writeln!(std::io::stdout(), "ack {writer} {round}").unwrap();
                    if writer == 0 && round % 50 == 0 {
                        engine.maintain().unwrap();
                    }
                }
            });
        }
    });
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    for lines in [1, 90, 777, 2500] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged = [-1; WRITERS];
        let mut seen = 0;
        let mut killed = false;
        // After the kill, what is still in the pipe was acknowledged too.
        for line in output.lines().map_while(Result::ok) {
            if let Some((writer, round)) = line.strip_prefix("ack ").and_then(|line| line.split_once(' ')) {
                acknowledged[writer.parse::<usize>().unwrap()] = round.parse::<i64>().unwrap();
                seen += 1;
                if seen >= lines && !killed {
                    child.kill().unwrap();
                    killed = true;
                }
            }
        }
        child.wait().unwrap();
        assert!(killed);
        let engine = Tsdb::open(options(dir.path())).unwrap();
        let content = read_all(&engine);
        for (writer, newest) in acknowledged.into_iter().enumerate() {
            for (series, labels) in own_labels(writer).into_iter().enumerate() {
                for round in 0..=newest {
                    let value = format!("{:016x}", own_value(round, writer, series).to_bits());
                    let got = content.get(&labels.to_string()).and_then(|samples| samples.get(&round));
                    assert_eq!(got, Some(&value), "{labels} at {round}, killed after {lines}");
                }
            }
        }
        assert_eq!(engine.damage(), []);
    }
}

#[test]
fn damage_costs_only_what_is_damaged() {
    let original = tempfile::tempdir().unwrap();
    let expected = folder(original.path());
    let total = samples(&expected);
    let mut paths = Vec::new();
    files(original.path(), &mut paths);
    paths.retain(|path| path.file_name().unwrap() != "lock");
    paths.sort();
    let names = |part: &str| paths.iter().filter(|path| path.to_string_lossy().contains(part)).count();
    assert!(names("/wal/") > 2 && names("/data") >= 2, "{paths:?}");
    // The first, one in the middle and the last segments stand for the others.
    let segments: Vec<PathBuf> = paths.iter().filter(|path| path.parent().unwrap().ends_with("wal")).cloned().collect();
    let chosen = [&segments[0], &segments[segments.len() / 2], &segments[segments.len() - 1]];
    paths.retain(|path| !segments.contains(path) || chosen.contains(&path));
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        let relative = path.strip_prefix(original.path()).unwrap();
        // Every place in a file once would take minutes; the steps are odd so that runs over several files differ.
        let step = (bytes.len() / 3).max(1) | 1;
        for at in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
            for cut in [true, false] {
                let dir = tempfile::tempdir().unwrap();
                copy(original.path(), dir.path());
                let mut bytes = bytes.clone();
                if cut {
                    bytes.truncate(at)
                } else {
                    bytes[at] ^= 1 << (at % 8)
                }
                fs::write(dir.path().join(relative), &bytes).unwrap();
                let what = format!("{} at {at}, cut: {cut}", relative.display());
                let engine = Tsdb::open(TsdbOptions { block_range_ms: 1000, ..options(dir.path()) }).unwrap();
                let content = read_all(&engine);
                for (series, samples) in &content {
                    for (time, value) in samples {
                        assert_eq!(expected[series].get(time), Some(value), "{what}: {series} at {time}");
                    }
                }
                let kept = samples(&content);
                let is_last_segment =
                    engine.wal_end().segment.to_string() == relative.to_string_lossy().trim_start_matches("wal/0");
                assert!(
                    kept == total || is_last_segment || cut || !engine.damage().is_empty(),
                    "{what}: a silent loss"
                );
                // One of two blocks or of several segments at most.
                assert!(kept >= total / 2 - 60, "{what}: {kept} of {total} left");
                // It forces files to the disk, which takes its time: once a file.
                if cut && at == step {
                    engine.maintain().unwrap();
                    assert_eq!(read_all(&engine), content, "{what}: maintenance changes nothing");
                }
            }
        }
    }
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = Tsdb::open(options(dir.path())).unwrap();
    let Err(error) = Tsdb::open(options(dir.path())) else { panic!("opened twice") };
    assert!(
        matches!(error, OpenError::Locked { .. }) && error.to_string().contains("in use by another process"),
        "{error}"
    );
    drop(first);
    Tsdb::open(options(dir.path())).unwrap();
}

fn one(series: usize, time: i64) -> SeriesSamples {
    SeriesSamples {
        labels: labels(series),
        samples: vec![(time, SampleValue::Float(1.0))],
        exemplars: vec![],
        start_timestamps: Vec::new(),
    }
}

#[test]
fn without_a_disk_appends_are_refused_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = TsdbOptions { segment_bytes_max: 1, sync: SyncPolicy::EveryAppend, ..options(dir.path()) };
    let engine = Tsdb::open(options.clone()).unwrap();
    engine.append_series(&[one(1, 1)]).unwrap();
    let (wal, away) = (dir.path().join("wal"), dir.path().join("away"));
    fs::rename(&wal, &away).unwrap();
    let error = engine.append_series(&[one(1, 2)]).unwrap_err();
    assert!(matches!(&error, StorageError::Unavailable { reason } if reason.contains("wal")), "{error}");
    assert_eq!(samples(&read_all(&engine)), 1);
    fs::rename(&away, &wal).unwrap();
    engine.append_series(&[one(1, 2)]).unwrap();
    engine.close().unwrap();
    assert!(matches!(engine.append_series(&[one(1, 3)]), Err(StorageError::Unavailable { .. })));
    assert_eq!(samples(&read_all(&engine)), 2);
    drop(engine);
    assert_eq!(samples(&read_all(&Tsdb::open(options).unwrap())), 2);
}

#[test]
fn a_follower_sees_everything_in_order_and_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut position = WalPosition::default();
    let mut times = Vec::new();
    for part in 0..4 {
        let engine = Tsdb::open(TsdbOptions { segment_bytes_max: 300, ..options(dir.path()) }).unwrap();
        let mut follower = engine.follow(position);
        for time in part * 30..part * 30 + 30 {
            engine.append_series(&[one(1, time), one(2, time)]).unwrap();
            if time % 7 == 0 {
                // Stops in the middle, for the next one to go on.
                for event in follower.read(3).unwrap() {
                    let WalEvent::Sample { labels, timestamp_ms, .. } = event else { panic!("no sample") };
                    times.push((timestamp_ms, labels.get("s").unwrap().to_owned()));
                }
            }
        }
        position = follower.position();
    }
    let engine = Tsdb::open(options(dir.path())).unwrap();
    let mut follower = engine.follow(position);
    loop {
        let events = follower.read(100).unwrap();
        if events.is_empty() {
            break;
        }
        for event in events {
            let WalEvent::Sample { labels, timestamp_ms, .. } = event else { panic!("no sample") };
            times.push((timestamp_ms, labels.get("s").unwrap().to_owned()));
        }
    }
    let expected: Vec<_> = (0..120).flat_map(|time| [(time, "1".to_owned()), (time, "2".to_owned())]).collect();
    assert_eq!(times, expected);
}

#[test]
fn old_and_surplus_blocks_are_deleted_and_the_log_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let options = TsdbOptions { retention_ms: 500, segment_bytes_max: 300, ..options(dir.path()) };
    let engine = Tsdb::open(options.clone()).unwrap();
    for time in 0..1000 {
        engine.append_series(&[one(1, time)]).unwrap();
        if time % 60 == 0 {
            engine.maintain().unwrap();
        }
    }
    engine.maintain().unwrap();
    let blocks = engine.blocks();
    assert!(blocks.iter().all(|block| block.max_time_ms > 400), "{blocks:?}");
    assert_eq!(engine.status(10).min_time_ms, 900, "the head keeps what is in no block");
    let first_kept = *read_all(&engine)[&labels(1).to_string()].keys().next().unwrap();
    assert!((300..=500).contains(&first_kept), "{first_kept}");
    assert!(fs::read_dir(dir.path().join("wal")).unwrap().count() < 20);
    drop(engine);
    let engine = Tsdb::open(TsdbOptions { retention_bytes: 1, ..options }).unwrap();
    assert!(!engine.blocks().is_empty());
    engine.maintain().unwrap();
    assert_eq!(engine.blocks(), []);
    assert_eq!(*read_all(&engine)[&labels(1).to_string()].keys().next().unwrap(), 900);
}

#[test]
fn status_lists_are_those_of_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Tsdb::open(options(dir.path())).unwrap();
    engine.append_series(&[one(1, 10), one(22, 10)]).unwrap();
    engine.delete_series(0, 5, &[Matcher::equal("s", "1")]).unwrap();
    let status = engine.status(2);
    assert_eq!(
        (status.series, status.label_pairs, status.chunks, status.min_time_ms, status.max_time_ms),
        (2, 3, 2, 10, 10)
    );
    let list = |list: &[(String, u64)]| list.iter().map(|(n, v)| format!("{n} {v}")).collect::<Vec<_>>().join(", ");
    assert_eq!(list(&status.series_by_metric_name), "m 2");
    assert_eq!(list(&status.values_by_label_name), "s 2, __name__ 1");
    assert_eq!(list(&status.bytes_by_label_name), "s 3, __name__ 2");
    assert_eq!(list(&status.series_by_label_pair), "__name__=m 2, s=1 1");
    drop(engine);
}
