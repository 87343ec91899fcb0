//! Readers beside writers and maintenance; what is not samples.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{labels, options, read_all, text};
use model::{Exemplar, Labels, MatchOp, Matcher, Metadata, MetricType, SampleValue};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use storage::{Ingest, Presence, Queryable, Row, SeriesSamples};
use tsdb::{SeriesExemplars, Tsdb, TsdbOptions};

#[test]
fn readers_see_everything_acknowledged_while_blocks_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Tsdb::open(options(dir.path())).unwrap();
    let (acknowledged, rounds) = (AtomicI64::new(-1), AtomicI64::new(0));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let layout = engine.layout(&(0..5).map(labels).collect::<Vec<_>>()).unwrap();
            for time in 0..3000 {
                let row = Row {
                    layout: &layout,
                    timestamp_ms: time,
                    values: &[time as f64; 5],
                    presence: Presence::All,
                    histograms: &[],
                    own_timestamps: &[],
                    start_timestamps: &[],
                    changed: None,
                    exemplars: &[],
                };
                assert_eq!(engine.append_rows(&[row]).unwrap().samples_appended, 5);
                acknowledged.store(time, Ordering::Release);
                // However fast it writes, blocks come and go meanwhile.
                while rounds.load(Ordering::Acquire) < time / 100 {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                engine.maintain().unwrap();
                rounds.fetch_add(1, Ordering::Release);
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let at_least = acknowledged.load(Ordering::Acquire) + 1;
                    let content = read_all(&engine);
                    for samples in content.values() {
                        assert!(samples.len() as i64 >= at_least, "{} of {at_least}", samples.len());
                        assert!(samples.keys().copied().eq(0..samples.len() as i64), "a gap");
                    }
                    assert!(content.len() == 5 || at_least == 0);
                }
            });
        }
    });
    assert!(engine.blocks().len() > 1);
    assert!(engine.blocks().iter().any(|block| block.compaction_level > 1));
    assert_eq!(engine.damage(), []);
}

#[test]
fn exemplars_and_metadata_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let metadata = Metadata { metric_type: MetricType::Counter, help: "Help.".into(), unit: "seconds".into() };
    let exemplar = |trace: &str, time: Option<i64>| Exemplar {
        labels: Labels::from_pairs([("trace_id", trace)]),
        value: 0.5,
        timestamp_ms: time,
    };
    let engine = Tsdb::open(options(dir.path())).unwrap();
    engine.append_metadata(&[("m".to_owned(), metadata.clone())]).unwrap();
    let layout = engine.layout(&[labels(0), labels(1)]).unwrap();
    for time in 0..800 {
        // The same exemplar is shown again and again until there is another.
        let exemplars = [(0, exemplar(if time < 790 { "a" } else { "b" }, None)), (1, exemplar("c", Some(3)))];
        let row = Row {
            layout: &layout,
            timestamp_ms: time,
            values: &[1.0, 2.0],
            presence: Presence::All,
            histograms: &[],
            own_timestamps: &[],
            start_timestamps: &[],
            changed: None,
            exemplars: &exemplars,
        };
        let report = engine.append_rows(&[row]).unwrap();
        assert_eq!(report.exemplars_appended, [2, 0, 1][usize::from(time > 0) + usize::from(time == 790)], "at {time}");
    }
    let everything = [vec![Matcher::new("s", MatchOp::Regex, "0|1")], vec![Matcher::equal("s", "7")]];
    let found = engine.exemplars(0, 1000, &everything).unwrap();
    let expected = vec![
        SeriesExemplars { labels: labels(0), exemplars: vec![exemplar("a", Some(0)), exemplar("b", Some(790))] },
        SeriesExemplars { labels: labels(1), exemplars: vec![exemplar("c", Some(3))] },
    ];
    assert_eq!(found, expected);
    assert_eq!(engine.exemplars(700, 1000, &everything).unwrap().len(), 1);
    // A snapshot has all of it, too.
    let copies = tempfile::tempdir().unwrap();
    let (snapshot, restored) = (copies.path().join("snapshot"), copies.path().join("restored"));
    engine.snapshot(&snapshot, false).unwrap();
    tsdb::restore(&snapshot, &restored, &mut |_, _| {}).unwrap();
    let copy = Tsdb::open(options(&restored)).unwrap();
    assert_eq!(copy.exemplars(0, 1000, &everything).unwrap(), expected);
    assert_eq!(copy.metadata().get("m"), Some(&metadata));
    assert_eq!(read_all(&copy), read_all(&engine));
    drop((layout, engine));
    let mut engine = Tsdb::open(options(dir.path())).unwrap();
    assert_eq!(engine.exemplars(0, 1000, &everything).unwrap(), expected);
    // The segment that had the metadata first is deleted.
    engine.maintain().unwrap();
    assert!(!dir.path().join("wal/00000001").exists());
    for round in 0..2 {
        assert_eq!(engine.exemplars(0, 1000, &everything).unwrap(), expected, "blocks and memory, round {round}");
        drop(engine);
        engine = Tsdb::open(options(dir.path())).unwrap();
        assert_eq!(engine.metadata().get("m"), Some(&metadata));
        assert_eq!(engine.exemplars(0, 1000, &everything).unwrap(), expected, "round {round}");
        assert_eq!(engine.exemplars(700, 1000, &everything).unwrap().len(), 1);
        // The whole log goes.
        engine.compact_all().unwrap();
    }
    assert_eq!(engine.damage(), []);
}

#[test]
fn label_names_and_values_come_from_head_and_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Tsdb::open(options(dir.path())).unwrap();
    let append = |pairs: &[(&str, &str)], time: i64| {
        let one = SeriesSamples {
            labels: Labels::from_pairs(pairs.iter().copied()),
            samples: vec![(time, SampleValue::Float(1.0))],
            exemplars: vec![],
            start_timestamps: Vec::new(),
        };
        engine.append_series(&[one]).unwrap();
    };
    append(&[("__name__", "old"), ("a", "1")], 10);
    append(&[("__name__", "new"), ("b", "2")], 500);
    engine.maintain().unwrap();
    assert_eq!(engine.blocks().len(), 1);
    let querier = engine.querier(0, 1000).unwrap();
    let old = [Matcher::equal("__name__", "old")];
    assert_eq!(querier.label_names(&[]).unwrap(), ["__name__", "a", "b"]);
    assert_eq!(querier.label_names(&old).unwrap(), ["__name__", "a"]);
    assert_eq!(querier.label_values("__name__", &[]).unwrap(), ["new", "old"]);
    assert_eq!(querier.label_values("__name__", &old).unwrap(), ["old"]);
    assert_eq!(engine.querier(400, 1000).unwrap().label_values("__name__", &[]).unwrap(), ["new"]);
    assert!(querier.label_names(&[Matcher::new("a", MatchOp::Regex, "(")]).is_err());
    assert_eq!(engine.status(10).series, 1, "the head forgot the series that is only in the block");
}

#[test]
fn everything_goes_into_blocks_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let options = TsdbOptions { block_range_ms: 1000, ..options(dir.path()) };
    let append = |engine: &Tsdb, number: usize, times: std::ops::Range<i64>| {
        let series = SeriesSamples {
            labels: labels(number),
            samples: times.map(|time| (time, SampleValue::Float(time as f64))).collect(),
            ..SeriesSamples::default()
        };
        engine.append_series(&[series]).unwrap().samples_appended
    };
    let engine = Tsdb::open(options.clone()).unwrap();
    assert_eq!(append(&engine, 0, 100..2500), 2400);
    assert_eq!(append(&engine, 1, 2300..2400), 100);
    let content = read_all(&engine);
    engine.compact_all().unwrap();
    assert_eq!(read_all(&engine), content);
    assert_eq!(engine.blocks().iter().map(|block| block.samples).sum::<u64>(), 2500, "{:?}", engine.blocks());
    let wal: u64 =
        std::fs::read_dir(dir.path().join("wal")).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(wal < 100, "{wal} bytes of log");
    // What comes late is taken as before, what comes twice is not.
    assert_eq!(append(&engine, 1, 2350..2450), 50);
    let content = read_all(&engine);
    drop(engine);
    let engine = Tsdb::open(options).unwrap();
    assert_eq!(read_all(&engine), content);
    assert_eq!(append(&engine, 1, 2450..2460), 10);
    assert_eq!(append(&engine, 0, 2500..2600), 100);
    let content = read_all(&engine);
    engine.compact_all().unwrap();
    engine.maintain().unwrap();
    assert_eq!(read_all(&engine), content);
    let blocks = engine.blocks();
    assert!(blocks.windows(2).all(|pair| pair[0].max_time_ms <= pair[1].min_time_ms), "{blocks:?}");
    assert_eq!(engine.damage(), []);
}

/// One series with one sample.
fn one(number: usize, timestamp_ms: i64) -> SeriesSamples {
    SeriesSamples {
        labels: labels(number),
        samples: vec![(timestamp_ms, SampleValue::Float(1.0))],
        ..SeriesSamples::default()
    }
}

#[test]
fn the_window_for_samples_out_of_order_changes_while_the_engine_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Tsdb::open(TsdbOptions { block_range_ms: 7_200_000, ..options(dir.path()) }).unwrap();
    let refused = |timestamp_ms| {
        let report = engine.append_series(&[one(0, timestamp_ms)]).unwrap();
        report.samples_refused()
    };
    assert_eq!(refused(10_000_000), 0);
    assert_eq!(refused(9_940_000), 1);
    engine.set_out_of_order_window(120_000);
    assert_eq!((refused(9_940_000), refused(9_870_000)), (0, 1));
    engine.set_out_of_order_window(0);
    assert_eq!(refused(9_950_000), 1);
}

/// As in Prometheus: of what comes late nobody is told that another value is there already, of the newest sample they are.
#[test]
fn another_value_for_a_late_time_is_left_out_silently() {
    let dir = tempfile::tempdir().unwrap();
    let options = TsdbOptions { block_range_ms: 7_200_000, out_of_order_window_ms: 1_800_000, ..options(dir.path()) };
    let registry = options.registry.clone();
    let engine = Tsdb::open(options).unwrap();
    let append = |list: &[(i64, f64)]| {
        let samples = list.iter().map(|(time, value)| (*time, SampleValue::Float(*value))).collect();
        let report = engine.append_series(&[SeriesSamples { samples, ..one(0, 0) }]).unwrap();
        (report.samples_appended, report.samples_duplicate, report.samples_too_old)
    };
    for (list, expected) in [
        (&[(9_000_000, 1.0)][..], (1, 0, 0)),
        (&[(9_540_000, 2.0)], (1, 0, 0)),
        (&[(9_300_000, 3.0)], (1, 0, 0)),
        (&[(9_300_000, 3.0)], (0, 0, 0)),
        (&[(9_300_000, 4.0)], (0, 0, 0)),
        (&[(9_000_000, 9.0)], (0, 0, 0)),
        (&[(9_540_000, 8.0)], (0, 1, 0)),
        (&[(5_600_000, 7.0)], (0, 0, 1)),
        (&[(9_400_000, 5.0), (9_400_000, 6.0)], (1, 0, 0)),
        (&[(9_500_000, 1.0), (9_300_000, 11.0)], (1, 0, 0)),
    ] {
        assert_eq!(append(list), expected, "{list:?}");
    }
    let expected = [(9_000_000, 1.0), (9_300_000, 3.0), (9_400_000, 5.0), (9_500_000, 1.0), (9_540_000, 2.0)];
    let expected = expected.map(|(time, value)| (time, text(&SampleValue::Float(value))));
    assert_eq!(read_all(&engine).into_values().collect::<Vec<_>>(), [expected.into()]);
    let counted = |name: &str| -> Vec<(String, f64)> {
        let families = registry.collect();
        let found = families.iter().filter(|family| family.name == name).flat_map(|family| &family.series);
        found
            .map(|(labels, value)| match value {
                telemetry::Value::Number(value) => (labels.get("type").unwrap_or_default().to_owned(), *value),
                _ => (labels.to_string(), f64::NAN),
            })
            .collect()
    };
    let late = counted("prometheus_tsdb_head_out_of_order_samples_appended_total");
    assert_eq!(late, [("float".to_owned(), 3.0), ("histogram".to_owned(), 0.0)]);
    assert_eq!(counted("vigie_tsdb_duplicate_samples_total"), [(String::new(), 5.0)]);
}

/// Results are kept until samples come late; whoever came late once is not waited for without end.
#[test]
fn the_past_is_settled_again_some_time_after_a_late_sample() {
    let dir = tempfile::tempdir().unwrap();
    let minute = 60_000;
    let engine = Tsdb::open(TsdbOptions {
        block_range_ms: 120 * minute,
        out_of_order_window_ms: 120 * minute,
        ..options(dir.path())
    })
    .unwrap();
    let behind = |now: i64| {
        engine.append_series(&[one(0, now * minute)]).unwrap();
        let history = engine.history().unwrap();
        (now - history.settled_before_ms / minute, history.epoch)
    };
    let (first, epoch) = behind(1000);
    assert_eq!(first, 2);
    engine.append_series(&[one(1, 970 * minute)]).unwrap();
    let (_, changed) = behind(1001);
    assert_eq!(changed, epoch + 1, "what was told is taken back");
    // It comes again, just as late: it was waited for.
    engine.append_series(&[one(1, 972 * minute)]).unwrap();
    let (_, again) = behind(1002);
    assert!(again <= changed + 1);
    // What is told never goes back, so that the present has to get ahead first.
    assert_eq!(behind(1030), (2, again));
}

/// One call deletes from several blocks and from the head; no reader sees a part of it.
#[test]
fn a_deletion_shows_as_a_whole() {
    const PAIRS: usize = 30;
    const TIMES: i64 = 640;
    let dir = tempfile::tempdir().unwrap();
    let engine = Tsdb::open(options(dir.path())).unwrap();
    for time in 0..TIMES {
        let series: Vec<SeriesSamples> = (0..2 * PAIRS)
            .map(|number| SeriesSamples {
                labels: labels(number),
                samples: vec![(time, SampleValue::Float(time as f64))],
                exemplars: vec![],
                start_timestamps: Vec::new(),
            })
            .collect();
        engine.append_series(&series).unwrap();
    }
    engine.maintain().unwrap();
    assert!(engine.blocks().len() > 1);
    let (done, partly) = (AtomicBool::new(false), AtomicI64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let content = read_all(&engine);
                    for samples in content.values() {
                        assert_eq!(samples.len() as i64, TIMES, "a part of a deletion");
                    }
                    for pair in 0..PAIRS {
                        let has = |number: usize| content.contains_key(&labels(number).to_string());
                        assert_eq!(has(2 * pair), has(2 * pair + 1), "half a deletion");
                    }
                    let is_partly = (1..2 * PAIRS).contains(&content.len());
                    partly.fetch_add(i64::from(is_partly), Ordering::Relaxed);
                }
            });
        }
        let before = engine.deletions();
        for pair in 0..PAIRS {
            let matcher = Matcher::new("s", MatchOp::Regex, format!("{}|{}", 2 * pair, 2 * pair + 1));
            engine.delete_series(0, TIMES, &[matcher]).unwrap();
        }
        assert_ne!(engine.deletions(), before);
        done.store(true, Ordering::Release);
    });
    assert!(partly.into_inner() > 0, "nobody read between two deletions");
    assert!(read_all(&engine).is_empty());
}
