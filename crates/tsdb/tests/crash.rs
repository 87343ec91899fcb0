//! A crash at every write, by seed: the log is cut where a crash may have left it, and bits are flipped in it.
//! `VIGIE_CRASH_SEEDS=50` for more seeds.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{Content, labels, options, read_all, text};
use model::{FloatHistogram, SampleValue};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};
use storage::{Ingest, Presence, Row, SeriesSamples};
use tsdb::{Tsdb, WalPosition};

const SERIES: usize = 6;

fn seeds(default: u64) -> u64 {
    std::env::var("VIGIE_CRASH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A folder in memory where there is one: thousands of logs are opened.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn reopened(dir: &Path) -> Arc<Tsdb> {
    let options = tsdb::TsdbOptions { block_range_ms: 1 << 40, out_of_order_window_ms: 500, ..options(dir) };
    Tsdb::open(options).unwrap()
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

/// Where the log ended after an append that was acknowledged, and what was readable then.
type Acknowledged = Vec<(WalPosition, Content)>;

fn write(dir: &Path, seed: u64) -> Acknowledged {
    let mut noise = Noise(seed);
    // A window, so that late samples are in the log too; no blocks, for what is tested is the log.
    let engine = reopened(dir);
    let layout = engine.layout(&(0..4).map(labels).collect::<Vec<_>>()).unwrap();
    let mut acknowledged = vec![(engine.wal_end(), Content::new())];
    let mut time = 1_000;
    for _ in 0..25 {
        time += noise.below(40) as i64;
        let values: Vec<f64> = (0..4).map(|_| noise.below(5) as f64 / 4.0).collect();
        match noise.below(5) {
            0..=2 => {
                let present = [noise.below(16)];
                let row = Row {
                    layout: &layout,
                    timestamp_ms: time,
                    values: &values,
                    presence: if present[0] == 0 { Presence::All } else { Presence::Bitmap(&present) },
                    histograms: &[],
                    own_timestamps: &[],
                    start_timestamps: &[],
                    changed: None,
                    exemplars: &[],
                };
                engine.append_rows(&[row]).unwrap();
            }
            3 => {
                let histogram =
                    Arc::new(FloatHistogram { count: values[0], sum: values[1], ..FloatHistogram::default() });
                let late = time - noise.below(100) as i64;
                let one = |series: usize, samples| SeriesSamples {
                    labels: labels(series),
                    samples,
                    ..SeriesSamples::default()
                };
                let list = [
                    one(
                        noise.below(SERIES as u64) as usize,
                        vec![(late, SampleValue::Float(values[2])), (time, SampleValue::Float(values[3]))],
                    ),
                    one(SERIES, vec![(time, SampleValue::Histogram(histogram))]),
                ];
                engine.append_series(&list).unwrap();
            }
            _ => {
                let matcher = model::Matcher::equal("s", noise.below(SERIES as u64).to_string());
                engine.delete_series(time - 60, time - 20, &[matcher]).unwrap();
            }
        }
        acknowledged.push((engine.wal_end(), read_all(&engine)));
    }
    acknowledged
}

/// A copy of the log, cut behind a position.
fn cut(from: &Path, to: &Path, at: WalPosition) {
    fs::create_dir_all(to.join("wal")).unwrap();
    for entry in fs::read_dir(from.join("wal")).unwrap() {
        let entry = entry.unwrap();
        let number: u64 = entry.file_name().to_string_lossy().parse().unwrap();
        if number > at.segment {
            continue;
        }
        let mut bytes = fs::read(entry.path()).unwrap();
        if number == at.segment {
            bytes.truncate(at.offset as usize);
        }
        fs::write(to.join("wal").join(entry.file_name()), bytes).unwrap();
    }
}

/// What must be there: at least what the last acknowledged append showed, each sample with its value; of the append in
/// work any part.
fn check(seed: u64, at: WalPosition, got: &Content, before: &Content, after: &Content) {
    for (series, samples) in before {
        // A deletion in work may have happened or not.
        let left: BTreeMap<_, _> =
            samples.iter().filter(|(time, _)| after.get(series).is_some_and(|own| own.contains_key(time))).collect();
        for (time, value) in left {
            assert_eq!(
                got.get(series).and_then(|own| own.get(time)),
                Some(value),
                "seed {seed}, cut at {at:?}, {series} at {time}"
            );
        }
    }
    for (series, samples) in got {
        for (time, value) in samples {
            let known = |content: &Content| content.get(series).and_then(|own| own.get(time)) == Some(value);
            assert!(known(before) || known(after), "seed {seed}, cut at {at:?}: {series} has {value} at {time}");
        }
    }
}

#[test]
fn a_cut_anywhere_loses_nothing_acknowledged() {
    let seeds = seeds(4);
    let mut cuts = 0;
    for seed in 0..seeds {
        let dir = folder();
        let acknowledged = write(dir.path(), seed);
        for pair in acknowledged.windows(2) {
            let ((from, before), (to, after)) = (&pair[0], &pair[1]);
            let start = if from.segment == to.segment { from.offset } else { 0 };
            // Some bytes of each write.
            let step = ((to.offset - start) / 8).max(1);
            let mut offsets: Vec<u64> = (start..to.offset).step_by(step as usize).collect();
            offsets.push(to.offset);
            for offset in offsets {
                let at = WalPosition { segment: to.segment, offset };
                let copy = folder();
                cut(dir.path(), copy.path(), at);
                let engine = reopened(copy.path());
                let got = read_all(&engine);
                check(seed, at, &got, before, after);
                if offset == to.offset {
                    assert_eq!(&got, after, "seed {seed}, whole up to {at:?}");
                }
                assert_eq!(engine.damage(), [], "a torn end is no damage");
                // It goes on from there, and once more.
                let one = SeriesSamples {
                    labels: labels(9),
                    samples: vec![(5_000, SampleValue::Float(1.0))],
                    ..SeriesSamples::default()
                };
                assert_eq!(engine.append_series(&[one]).unwrap().samples_appended, 1);
                let expected = read_all(&engine);
                drop(engine);
                assert_eq!(read_all(&reopened(copy.path())), expected, "seed {seed}, after {at:?}");
                assert_eq!(expected[&labels(9).to_string()][&5_000], text(&SampleValue::Float(1.0)));
                cuts += 1;
            }
        }
    }
    assert!(cuts > 100 * seeds, "{cuts} cuts");
}

/// A damaged place costs at most what follows in its segment; nothing is made up, and nobody panics.
#[test]
fn flipped_bits_cost_what_follows_in_their_segment() {
    let (mut flips, mut found) = (0, 0);
    for seed in 0..seeds(8) {
        let dir = folder();
        let acknowledged = write(dir.path(), seed);
        let mut noise = Noise(seed ^ 0xf1e5);
        let mut files: Vec<_> =
            fs::read_dir(dir.path().join("wal")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for _ in 0..100 {
            let file = &files[noise.below(files.len() as u64) as usize];
            let original = fs::read(file).unwrap();
            let at = noise.below(original.len() as u64);
            let mut bytes = original.clone();
            bytes[at as usize] ^= 1 << noise.below(8);
            fs::write(file, bytes).unwrap();
            let segment = file.file_name().unwrap().to_string_lossy().parse().unwrap();
            let position = WalPosition { segment, offset: at };
            let engine = reopened(dir.path());
            let got = read_all(&engine);
            // A flipped length of the last record looks like a torn one, which a crash explains.
            found += usize::from(!engine.damage().is_empty());
            drop(engine);
            let before = acknowledged.iter().rposition(|(end, _)| *end <= position).unwrap_or(0);
            for (series, samples) in &acknowledged[before].1 {
                for (time, value) in samples {
                    let stays =
                        |(_, content): &(_, Content)| content.get(series).is_some_and(|own| own.contains_key(time));
                    if acknowledged[before..].iter().all(stays) {
                        let there = got.get(series).and_then(|own| own.get(time));
                        assert_eq!(there, Some(value), "seed {seed}, bit at {position:?}, {series} at {time}");
                    }
                }
            }
            for (series, samples) in &got {
                for (time, value) in samples {
                    let known =
                        |(_, content): &(_, Content)| content.get(series).and_then(|own| own.get(time)) == Some(value);
                    assert!(
                        acknowledged.iter().any(known),
                        "seed {seed}, bit at {position:?}: {series} has {value} at {time}"
                    );
                }
            }
            // The opening may have cut the end off.
            fs::write(file, original).unwrap();
            flips += 1;
        }
    }
    assert!(found * 10 > flips * 8, "{found} of {flips} flipped bits were found");
}
