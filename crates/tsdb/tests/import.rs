//! Blocks from elsewhere.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{labels, options, read_all};
use model::{Exemplar, SampleValue};
use storage::{Ingest, Samples, SeriesSamples};
use tsdb::{SeriesExemplars, Tsdb};

fn samples(times: std::ops::Range<i64>, value: f64) -> Samples {
    let mut samples = Samples::default();
    times.for_each(|time| samples.push_float(time, value));
    samples
}

#[test]
fn an_imported_block_is_read_beside_the_head_and_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let tsdb = Tsdb::open(options(folder.path())).unwrap();
    let head = SeriesSamples {
        labels: labels(1),
        samples: (200..230).map(|time| (time, SampleValue::Float(2.0))).collect(),
        ..SeriesSamples::default()
    };
    tsdb.append_series(std::slice::from_ref(&head)).unwrap();
    let mut import = tsdb.import_block(0, 200).unwrap();
    import.add_series(&labels(0), &samples(10..60, 1.0)).unwrap();
    import.add_series(&labels(1), &samples(100..200, 1.0)).unwrap();
    assert!(import.add_series(&labels(1), &samples(0..1, 1.0)).is_err(), "a series twice");
    assert!(import.finish().unwrap().is_some());
    let content = read_all(&tsdb);
    assert_eq!(content[&labels(0).to_string()].len(), 50);
    assert_eq!(content[&labels(1).to_string()].len(), 130);
    assert_eq!(tsdb.blocks().len(), 1);
    // Again, as after an interrupted import: equal samples are one.
    let mut import = tsdb.import_block(0, 200).unwrap();
    import.add_series(&labels(1), &samples(100..200, 1.0)).unwrap();
    import.finish().unwrap();
    assert_eq!(read_all(&tsdb), content);
    tsdb.maintain().unwrap();
    assert_eq!(read_all(&tsdb), content);
    tsdb.close().unwrap();
    drop(tsdb);
    let tsdb = Tsdb::open(options(folder.path())).unwrap();
    assert_eq!(read_all(&tsdb), content);
    assert!(tsdb.import_block(5, 5).is_err(), "no length");
}

#[test]
fn an_import_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tsdb = Tsdb::open(options(folder.path())).unwrap();
    let mut import = tsdb.import_block(0, 200).unwrap();
    import.add_series(&labels(0), &samples(10..60, 1.0)).unwrap();
    drop(import);
    assert!(tsdb.import_block(0, 200).unwrap().finish().unwrap().is_none(), "no samples, no block");
    assert!(tsdb.blocks().is_empty());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "wal" || name == "lock"), "{left:?}");
}

/// Samples of one series.
fn one(series: usize, list: &[(i64, f64)]) -> SeriesSamples {
    SeriesSamples {
        labels: labels(series),
        samples: list.iter().map(|(time, value)| (*time, SampleValue::Float(*value))).collect(),
        ..SeriesSamples::default()
    }
}

#[test]
fn an_import_from_the_future_holds_nothing_back_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let tsdb = Tsdb::open(options(folder.path())).unwrap();
    tsdb.append_series(&[one(0, &[(230, 1.0)])]).unwrap();
    let mut import = tsdb.import_block(0, 5_000).unwrap();
    import.add_series(&labels(1), &samples(4_900..5_000, 1.0)).unwrap();
    import.finish().unwrap();
    for _ in 0..2 {
        tsdb.maintain().unwrap();
    }
    tsdb.close().unwrap();
    drop(tsdb);
    let tsdb = Tsdb::open(options(folder.path())).unwrap();
    let report = tsdb.append_series(&[one(0, &[(240, 2.0)])]).unwrap();
    assert_eq!((report.samples_appended, report.samples_refused()), (1, 0));
}

#[test]
fn what_was_put_into_blocks_however_new_is_refused_again_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let tsdb = Tsdb::open(options(folder.path())).unwrap();
    tsdb.append_series(&[one(0, &[(230, 1.0), (240, 2.0)]), one(1, &[(210, 5.0)])]).unwrap();
    tsdb.compact_all().unwrap();
    let content = read_all(&tsdb);
    tsdb.close().unwrap();
    drop(tsdb);
    let tsdb = Tsdb::open(options(folder.path())).unwrap();
    // As without the restart: the same again, another value, something older; and what is new to its series.
    let report = tsdb.append_series(&[one(0, &[(240, 2.0)])]).unwrap();
    assert_eq!((report.samples_appended, report.samples_refused()), (0, 0), "the same again");
    let report = tsdb.append_series(&[one(0, &[(240, 3.0)])]).unwrap();
    assert_eq!((report.samples_appended, report.samples_duplicate), (0, 1));
    let report = tsdb.append_series(&[one(0, &[(235, 3.0)])]).unwrap();
    assert_eq!((report.samples_appended, report.samples_out_of_order), (0, 1));
    assert_eq!(read_all(&tsdb), content);
    let report = tsdb.append_series(&[one(0, &[(241, 3.0)]), one(1, &[(220, 6.0)])]).unwrap();
    assert_eq!((report.samples_appended, report.samples_refused()), (2, 0), "behind the newest of their own series");
}

#[test]
fn exemplars_come_with_a_block_or_alone() {
    let exemplar = |number: usize, time: i64| SeriesExemplars {
        labels: labels(number),
        exemplars: vec![Exemplar { labels: labels(7), value: time as f64, timestamp_ms: Some(time) }],
    };
    let told = |tsdb: &Tsdb| -> Vec<(String, Option<i64>)> {
        let all = tsdb.exemplars(i64::MIN, i64::MAX, &[vec![]]).unwrap();
        let one = |series: &SeriesExemplars| {
            let name = series.labels.to_string();
            series.exemplars.iter().map(|own| (name.clone(), own.timestamp_ms)).collect::<Vec<_>>()
        };
        all.iter().flat_map(one).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let tsdb = Tsdb::open(options(folder.path())).unwrap();
    let mut import = tsdb.import_block(0, 200).unwrap();
    import.add_series(&labels(0), &samples(10..60, 1.0)).unwrap();
    // The last one is of another block.
    assert_eq!(import.set_exemplars([exemplar(0, 50), exemplar(0, 20), exemplar(0, 20), exemplar(0, 200)]), 2);
    import.finish().unwrap();
    let mut import = tsdb.import_block(0, 200).unwrap();
    assert_eq!(import.set_exemplars([exemplar(0, 20), exemplar(1, 30)]), 2);
    assert!(import.finish().unwrap().is_some(), "a block of exemplars alone");
    let name = |number: usize| labels(number).to_string();
    let wanted = [(name(0), Some(20)), (name(0), Some(50)), (name(1), Some(30))];
    assert_eq!(told(&tsdb), wanted);
    let content = read_all(&tsdb);
    tsdb.close().unwrap();
    drop(tsdb);
    assert_eq!(tsdb::verify(folder.path(), &mut |_, _| {}).unwrap().damage, []);
    let tsdb = Tsdb::open(options(folder.path())).unwrap();
    assert_eq!((told(&tsdb).as_slice(), tsdb.blocks().len()), (wanted.as_slice(), 2));
    tsdb.maintain().unwrap();
    assert_eq!((told(&tsdb).as_slice(), read_all(&tsdb), tsdb.blocks().len()), (wanted.as_slice(), content, 1));
}
