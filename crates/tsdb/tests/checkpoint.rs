//! A restart begins with the checkpoint of the head, and ends where one without it ends.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{Content, copy, labels, options, read_all};
use model::{Exemplar, FloatHistogram, Labels, Matcher, Metadata, SampleValue};
use std::{fs, path::Path, sync::Arc};
use storage::{Ingest, Layout, Presence, Row, SeriesSamples};
use tsdb::{SeriesExemplars, Tsdb, TsdbOptions};

/// The same numbers in every run of a seed.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) % limit
    }
}

fn opened(dir: &Path) -> Arc<Tsdb> {
    let options =
        TsdbOptions { block_range_ms: 4_000, out_of_order_window_ms: 1_000, checkpoint_log_bytes: 1, ..options(dir) };
    Tsdb::open(options).unwrap()
}

fn row(engine: &Tsdb, layout: &Layout, time: i64, noise: &mut Noise) {
    let values: Vec<f64> = (0..70).map(|_| noise.below(5) as f64 / 4.0).collect();
    let present = [noise.0, 0x3f & noise.0];
    let exemplar = Exemplar { labels: Labels::from_pairs([("id", "x")]), value: time as f64, timestamp_ms: Some(time) };
    let row = Row {
        layout,
        timestamp_ms: time,
        values: &values,
        presence: if noise.below(3) > 0 { Presence::All } else { Presence::Bitmap(&present) },
        histograms: &[],
        own_timestamps: &[],
        start_timestamps: &[(0, time - time % 200)],
        changed: None,
        exemplars: if noise.below(8) == 0 { &[(1, exemplar)] } else { &[] },
    };
    engine.append_rows(&[row]).unwrap();
}

/// Appends of all kinds from one time to another.
fn write(engine: &Tsdb, noise: &mut Noise, from_ms: i64, length_ms: i64) {
    let to_ms = from_ms + length_ms;
    let layout = engine.layout(&(0..70).map(labels).collect::<Vec<_>>()).unwrap();
    let mut time = from_ms;
    while time < to_ms {
        time += 1 + noise.below(20) as i64;
        match noise.below(8) {
            0..5 => row(engine, &layout, time, noise),
            5 => {
                let late = time - noise.below(500) as i64;
                let histogram = FloatHistogram { count: noise.below(9) as f64, sum: 1.5, ..FloatHistogram::default() };
                let list = [
                    (noise.below(80), late, SampleValue::Float(2.5)),
                    (90, time, SampleValue::Histogram(Arc::new(histogram))),
                ]
                .map(|(number, time, value)| SeriesSamples {
                    labels: labels(number as usize),
                    samples: vec![(time, value)],
                    ..SeriesSamples::default()
                });
                engine.append_series(&list).unwrap();
            }
            6 => {
                let family = format!("family_{}", noise.below(9));
                let metadata = Metadata { help: format!("At {time}."), ..Metadata::default() };
                engine.append_metadata(&[(family, metadata)]).unwrap();
            }
            _ => {
                let matcher = Matcher::equal("s", noise.below(80).to_string());
                let start_ms = time - noise.below(300) as i64;
                engine.delete_series(start_ms, start_ms + 40, &[matcher]).unwrap();
            }
        }
    }
}

type Everything = (Content, Vec<SeriesExemplars>, Vec<(String, String)>);

fn everything(engine: &Tsdb) -> Everything {
    let metadata = engine.metadata().into_iter().map(|(family, metadata)| (family, metadata.help));
    (read_all(engine), engine.exemplars(i64::MIN, i64::MAX, &[Vec::new()]).unwrap(), metadata.collect())
}

/// A folder with a checkpoint and a log behind it.
fn folder(dir: &Path, seed: u64) -> Everything {
    let mut noise = Noise(seed);
    let engine = opened(dir);
    // A series that goes with the first cut, between others that stay.
    let layout = engine.layout(&(60..75).map(labels).collect::<Vec<_>>()).unwrap();
    engine.append_samples(&layout.series, &[1; 15], &[0.25; 15]).unwrap();
    drop(layout);
    let lengths = [4_000 + noise.below(4_000) as i64, noise.below(2_000) as i64, noise.below(400) as i64];
    write(&engine, &mut noise, 10, lengths[0]);
    engine.maintain().unwrap();
    write(&engine, &mut noise, 8_100, lengths[1]);
    engine.maintain().unwrap();
    assert!(dir.join("head").exists(), "seed {seed}");
    write(&engine, &mut noise, 10_200, lengths[2]);
    everything(&engine)
}

/// Tells where two are not the same.
fn same(got: &Everything, expected: &Everything, at: &str) {
    for (series, samples) in &expected.0 {
        let own = got.0.get(series);
        let missing: Vec<_> =
            samples.iter().filter(|(time, value)| own.and_then(|own| own.get(time)) != Some(value)).collect();
        assert!(missing.is_empty(), "{at}: {series} has not {missing:?}");
    }
    for (series, samples) in &got.0 {
        let own = expected.0.get(series);
        let more: Vec<_> =
            samples.iter().filter(|(time, value)| own.and_then(|own| own.get(time)) != Some(value)).collect();
        assert!(more.is_empty(), "{at}: {series} has {more:?}");
    }
    assert_eq!(got.1, expected.1, "{at}");
    assert_eq!(got.2, expected.2, "{at}");
}

fn without_checkpoint(dir: &Path) -> Everything {
    let other = tempfile::tempdir().unwrap();
    copy(dir, other.path());
    fs::remove_file(other.path().join("head")).unwrap();
    everything(&opened(other.path()))
}

#[test]
fn a_restart_with_a_checkpoint_is_one_without() {
    let seeds = std::env::var("VIGIE_CRASH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    for seed in 0..seeds {
        let dir = tempfile::tempdir().unwrap();
        let expected = folder(dir.path(), seed);
        same(&without_checkpoint(dir.path()), &expected, &format!("seed {seed}, no checkpoint"));
        let engine = opened(dir.path());
        same(&everything(&engine), &expected, &format!("seed {seed}"));
        assert_eq!(engine.damage(), [], "seed {seed}");
        // What is taken next, and refused, is the same as well.
        let mut noise = Noise(seed ^ 0xabc);
        let probe = |engine: &Tsdb, noise: &mut Noise| {
            let list: Vec<SeriesSamples> = (0..80)
                .map(|number| SeriesSamples {
                    labels: labels(number),
                    samples: vec![(10_000 + noise.below(800) as i64, SampleValue::Float(0.75))],
                    ..SeriesSamples::default()
                })
                .collect();
            engine.append_series(&list).unwrap()
        };
        let other = tempfile::tempdir().unwrap();
        copy(dir.path(), other.path());
        fs::remove_file(other.path().join("head")).unwrap();
        let plain = opened(other.path());
        let (mut a, mut b) = (probe(&engine, &mut noise), probe(&plain, &mut Noise(seed ^ 0xabc)));
        (a.series_created, b.series_created) = (0, 0);
        assert_eq!(a, b, "seed {seed}");
        same(&everything(&engine), &everything(&plain), &format!("seed {seed}, more"));
        // And once more, now with cuts of what the checkpoint had.
        write(&engine, &mut noise, 11_000, 9_000);
        engine.maintain().unwrap();
        write(&engine, &mut noise, 20_000, 100);
        let expected = everything(&engine);
        drop(engine);
        same(&everything(&opened(dir.path())), &expected, &format!("seed {seed}, cut"));
    }
}

/// The log before the checkpoint is not read: damage there costs nothing.
#[test]
fn the_log_before_a_checkpoint_is_not_needed() {
    let dir = tempfile::tempdir().unwrap();
    let expected = folder(dir.path(), 7);
    let mut segments: Vec<_> =
        fs::read_dir(dir.path().join("wal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    let mut bytes = fs::read(&segments[0]).unwrap();
    bytes[20] ^= 1;
    fs::write(&segments[0], bytes).unwrap();
    let engine = opened(dir.path());
    same(&everything(&engine), &expected, "damaged log");
    assert_eq!(engine.damage(), []);
    drop(engine);
    fs::remove_file(dir.path().join("head")).unwrap();
    assert_eq!(opened(dir.path()).damage().len(), 1);
}

/// Nor does damage of the checkpoint: the log has it all.
#[test]
fn a_damaged_checkpoint_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let expected = folder(dir.path(), 3);
    let path = dir.path().join("head");
    let original = fs::read(&path).unwrap();
    let mut noise = Noise(1);
    for round in 0..40 {
        let at = noise.below(original.len() as u64) as usize;
        let mut bytes = original.clone();
        if round % 3 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << noise.below(8);
        }
        fs::write(&path, bytes).unwrap();
        let found = tsdb::verify(dir.path(), &mut |_, _| {}).unwrap();
        assert!(found.damage.iter().any(|damage| damage.path == path), "round {round}, byte {at}: {found:?}");
        let engine = opened(dir.path());
        assert!(engine.damage().iter().all(|damage| damage.path == path), "{:?}", engine.damage());
        same(&everything(&engine), &expected, &format!("round {round}, byte {at}"));
        assert_eq!(engine.damage().len(), 1, "round {round}, byte {at}");
    }
    tsdb::repair(dir.path(), &mut |_, _| {}).unwrap();
    assert!(!path.exists() && dir.path().join("damaged/head").exists());
    same(&everything(&opened(dir.path())), &expected, "at last");
    // A whole one that another log left.
    fs::write(&path, &original).unwrap();
    same(&everything(&opened(dir.path())), &expected, "at last");
}

/// Appends go on while checkpoints are written: each is in the checkpoint or in the log behind its group's place.
#[test]
fn checkpoints_are_written_while_appends_go_on() {
    for seed in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let engine =
            Tsdb::open(TsdbOptions { segment_bytes_max: 60_000, checkpoint_log_bytes: 1, ..options(dir.path()) });
        let engine = engine.unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Acquire) {
                    engine.maintain().unwrap();
                }
            });
            write(&engine, &mut Noise(seed), 0, 3_000);
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        let expected = everything(&engine);
        drop(engine);
        assert!(dir.path().join("head").exists());
        let options = TsdbOptions { checkpoint_log_bytes: 1, ..options(dir.path()) };
        let engine = Tsdb::open(options).unwrap();
        same(&everything(&engine), &expected, &format!("seed {seed}"));
        assert_eq!(engine.damage(), [], "seed {seed}");
    }
}
