//! Folders that were written once and are read for ever: `testdata/<format>` has one of every format that was released
//! or will be. With `VIGIE_WRITE_FORMAT=1` the folder of today's format is written anew.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{Content, options, read_all, text};
use model::{FloatHistogram, Labels, SampleValue, histogram::Span, stale::STALE_NAN_BITS};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};
use tsdb::{Tsdb, TsdbOptions};

/// Times of the samples: a compacted block, one from the head, and what is in the log only.
const END_MS: i64 = 5200;

fn open(dir: &Path) -> Arc<Tsdb> {
    let options = options(dir);
    Tsdb::open(TsdbOptions { block_range_ms: 1000, block_range_ms_max: 3000, segment_bytes_max: 1 << 20, ..options })
        .unwrap()
}

/// Labels, samples, and when the counter started.
type Kept = (Labels, Vec<(i64, SampleValue)>, i64);

/// What every format has to keep. Told by rules, so that no file says what is right.
fn series() -> Vec<Kept> {
    let value = |kind: &str, time: i64| match kind {
        "constant" => 42.0,
        "counter" => (time / 30) as f64,
        "decimals" => (time % 700) as f64 / 100.0,
        "bits" => f64::from_bits((time as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2),
        _ if time % 70 == 0 => f64::from_bits(STALE_NAN_BITS),
        _ if time % 110 == 0 => f64::NEG_INFINITY,
        _ => -0.0,
    };
    let mut all: Vec<_> = (["constant", "counter", "decimals", "bits", "specials"].into_iter().zip(0_i64..))
        .map(|(kind, number)| {
            let labels = Labels::from_pairs([("__name__", "kept"), ("kind", kind), ("größe", "é")]);
            // Two of them have times of their own.
            let times = (number % 3..END_MS).step_by(10);
            let samples = times.map(|time| (time, SampleValue::Float(value(kind, time)))).collect();
            (labels, samples, if kind == "counter" { 5 } else { 0 })
        })
        .collect();
    let histogram = |time: i64| FloatHistogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: time as f64,
        count: 4.0 * time as f64,
        sum: time as f64 / 8.0,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: vec![time as f64, 2.0 * time as f64, 0.0],
        ..FloatHistogram::default()
    };
    let samples = (0..END_MS).step_by(10).map(|time| (time, SampleValue::Histogram(Arc::new(histogram(time)))));
    all.push((Labels::from_pairs([("__name__", "kept_seconds")]), samples.collect(), 0));
    all
}

fn write(dir: &Path) {
    let engine = open(dir);
    for from in (0..END_MS).step_by(100) {
        let part: Vec<SeriesSamples> = (series().into_iter())
            .map(|(labels, samples, start_ms)| {
                let samples: Vec<_> =
                    samples.into_iter().filter(|(time, _)| (from..from + 100).contains(time)).collect();
                SeriesSamples { labels, start_timestamps: vec![start_ms; samples.len()], samples, exemplars: vec![] }
            })
            .collect();
        engine.append_series(&part).unwrap();
        if from % 1000 == 0 {
            engine.maintain().unwrap();
        }
    }
    engine.delete_series(100, 199, &[model::Matcher::equal("kind", "decimals")]).unwrap();
    engine.close().unwrap();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn folders_of_all_formats_are_read() {
    if std::env::var_os("VIGIE_WRITE_FORMAT").is_some() {
        let today = folder().join("2");
        let _ = fs::remove_dir_all(&today);
        write(&today);
    }
    let mut expected = Content::new();
    for (labels, samples, _) in series() {
        let mut samples: std::collections::BTreeMap<i64, String> =
            samples.iter().map(|(time, value)| (*time, text(value))).collect();
        if labels.get("kind") == Some("decimals") {
            samples.retain(|time, _| !(100..=199).contains(time));
        }
        expected.insert(labels.to_string(), samples);
    }
    let mut formats = 0;
    for format in fs::read_dir(folder()).unwrap() {
        let format = format.unwrap().path();
        let dir = tempfile::tempdir().unwrap();
        copy(&format, dir.path());
        let engine = open(dir.path());
        assert_eq!(engine.damage(), [], "{}", format.display());
        assert!(engine.blocks().len() >= 2, "{:?}", engine.blocks());
        assert!(engine.blocks().iter().any(|block| block.compaction_level > 1), "{:?}", engine.blocks());
        assert_eq!(read_all(&engine), expected, "{}", format.display());
        let querier = engine.querier(0, END_MS).unwrap();
        for series in querier.select(&SelectHints::default(), &[model::Matcher::equal("kind", "counter")]).unwrap() {
            let mut samples = Samples::default();
            series.unwrap().read(&mut samples).unwrap();
            let starts: Vec<i64> = (0..samples.len()).map(|at| samples.start_timestamp(at)).collect();
            assert!(starts.iter().all(|start| *start == 5), "{starts:?}");
        }
        formats += 1;
    }
    assert!(formats > 0);
}
