//! What the tests of the engine share.
#![allow(dead_code, reason = "each test program uses a part")]

use model::{Labels, Matcher, SampleValue};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};
use tsdb::{SyncPolicy, Tsdb, TsdbOptions};

/// Values by time, by series; values as text that tells every bit.
pub(crate) type Content = BTreeMap<String, BTreeMap<i64, String>>;

/// Short blocks, and nothing is forced to the disk while the test runs.
pub(crate) fn options(dir: &Path) -> TsdbOptions {
    TsdbOptions {
        block_range_ms: 100,
        block_range_ms_max: 900,
        retention_ms: 0,
        segment_bytes_max: 2000,
        sync: SyncPolicy::Interval(Duration::from_secs(3600)),
        clock: Arc::new(system::TestClock::at(1_700_000_000_000)),
        ..TsdbOptions::new(dir)
    }
}

pub(crate) fn labels(number: usize) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("s", number.to_string().as_str())])
}

pub(crate) fn text(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format!("{:016x}", value.to_bits()),
        SampleValue::Histogram(histogram) => format!("{histogram:?} {:016x}", histogram.sum.to_bits()),
    }
}

/// Everything between two times.
pub(crate) fn read(engine: &dyn Queryable, start_ms: i64, end_ms: i64, matchers: &[Matcher]) -> Content {
    let querier = engine.querier(start_ms, end_ms).unwrap();
    let mut content = Content::new();
    let mut previous: Option<Labels> = None;
    for series in querier.select(&SelectHints::default(), matchers).unwrap() {
        let series = series.unwrap();
        assert!(previous.as_ref().is_none_or(|previous| previous < series.labels()), "series are in order");
        previous = Some(series.labels().clone());
        let mut samples = Samples::default();
        series.read(&mut samples).unwrap();
        assert!(samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]), "times are in order");
        assert!(samples.timestamps.iter().all(|time| (start_ms..=end_ms).contains(time)));
        if !samples.is_empty() {
            let values = (0..samples.len()).map(|at| (samples.timestamps[at], text(&samples.value(at))));
            content.insert(series.labels().to_string(), values.collect());
        }
    }
    content
}

pub(crate) fn read_all(engine: &Tsdb) -> Content {
    read(engine, i64::MIN, i64::MAX, &[])
}

/// Blocks of several frames, and several log segments.
pub(crate) fn folder(dir: &Path) -> Content {
    let options = TsdbOptions { segment_bytes_max: 30_000, block_range_ms: 1000, ..options(dir) };
    let engine = Tsdb::open(options).unwrap();
    let mut random = 1_u64;
    for time in (0..3400).step_by(20) {
        let series: Vec<SeriesSamples> = (0..60)
            .map(|number| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Too random to compress.
                let value = f64::from_bits(random >> 2);
                let pad = format!("{:064x}", u128::from(random).wrapping_mul(number as u128 + 3));
                let labels = if number < 40 { labels(number) } else { Labels::from_pairs([("n", pad.as_str())]) };
                SeriesSamples {
                    labels,
                    samples: vec![(time, SampleValue::Float(value))],
                    exemplars: vec![],
                    start_timestamps: Vec::new(),
                }
            })
            .collect();
        engine.append_series(&series).unwrap();
    }
    engine.maintain().unwrap();
    read_all(&engine)
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            drop(fs::copy(entry.path(), target))
        }
    }
}

pub(crate) fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

pub(crate) fn samples(content: &Content) -> usize {
    content.values().map(|samples| samples.len()).sum()
}
