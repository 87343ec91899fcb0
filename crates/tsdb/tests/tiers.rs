//! Retention by selector: down-sampled history beside what was stored.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{options, read_all};
use model::{FloatHistogram, Labels, Matcher, SampleValue, histogram::Span};
use proptest::prelude::*;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};
use tsdb::{RetentionRule, Tsdb, TsdbOptions};

const FINE_MS: i64 = 50;
const COARSE_MS: i64 = 300;
/// What raw samples are kept.
const RAW_MS: i64 = 1500;

type Series = BTreeMap<i64, SampleValue>;

fn rule(kind: &str, keep_ms: i64, resolution_ms: Option<i64>) -> RetentionRule {
    let selector = format!("{{kind=\"{kind}\"}}");
    RetentionRule { selector, matchers: vec![Matcher::equal("kind", kind)], keep_ms, resolution_ms }
}

fn open(dir: &Path) -> Arc<Tsdb> {
    Tsdb::open(TsdbOptions {
        retention_ms: RAW_MS,
        retention_rules: vec![
            rule("kpi", 1_000_000, Some(FINE_MS)),
            rule("kpi", 1_000_000, Some(COARSE_MS)),
            rule("long", 1_000_000, None),
            rule("short", 300, None),
        ],
        segment_bytes_max: 1 << 20,
        ..options(dir)
    })
    .unwrap()
}

fn named(kind: &str) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("kind", kind)])
}

/// Appends in the order of time, as it would come in.
fn fill(engine: &Tsdb, series: &BTreeMap<&str, Series>) {
    let end = series.values().filter_map(|series| series.last_key_value()).map(|(time, _)| *time).max().unwrap();
    let mut from = 0;
    while from <= end {
        let part = |(kind, samples): (&&str, &Series)| SeriesSamples {
            labels: named(kind),
            samples: samples.range(from..from + 270).map(|(time, value)| (*time, value.clone())).collect(),
            ..SeriesSamples::default()
        };
        let report = engine.append_series(&series.iter().map(part).collect::<Vec<_>>()).unwrap();
        assert_eq!(report.samples_refused(), 0);
        engine.maintain().unwrap();
        from += 270;
    }
    for _ in 0..3 {
        engine.maintain().unwrap();
    }
}

/// What a reader that knows windows gets for a function over ranges of this length.
fn ask(engine: &Tsdb, kind: &str, function: &str, start_ms: i64, end_ms: i64, range_ms: i64) -> Samples {
    let hints = SelectHints {
        start_ms: start_ms + 1,
        end_ms,
        step_ms: range_ms,
        range_ms,
        function: function.to_owned(),
        tiers: true,
        ..SelectHints::default()
    };
    let querier = engine.querier(start_ms + 1, end_ms).unwrap();
    let mut samples = Samples::default();
    for series in querier.select(&hints, &[Matcher::equal("kind", kind)]).unwrap() {
        series.unwrap().read(&mut samples).unwrap();
    }
    assert!(samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", samples.timestamps);
    samples
}

fn within(samples: &Samples, start_ms: i64, end_ms: i64) -> impl Iterator<Item = usize> {
    (0..samples.len()).filter(move |at| samples.timestamps[*at] > start_ms && samples.timestamps[*at] <= end_ms)
}

fn floats(series: &Series, start_ms: i64, end_ms: i64) -> Vec<f64> {
    let range = series.range(start_ms + 1..=end_ms);
    let floats = range.filter_map(|(_, value)| if let SampleValue::Float(value) = value { Some(*value) } else { None });
    floats.filter(|value| !model::stale::is_stale_nan(*value)).collect()
}

fn growth(values: &[f64]) -> f64 {
    let pairs = values.windows(2).map(|pair| if pair[1] < pair[0] { pair[1] } else { pair[1] - pair[0] });
    pairs.sum()
}

/// Every function over ranges that begin and end with windows comes to what it comes to over the raw samples.
fn check(engine: &Tsdb, kind: &str, raw: &Series, end_ms: i64, range_ms: i64) {
    let all = |function: &str| ask(engine, kind, function, 0, end_ms, range_ms);
    let (min, max, sum) = (all("min_over_time"), all("max_over_time"), all("sum_over_time"));
    let (increase, last) = (all("increase"), all("last_over_time"));
    for start in (0..end_ms).step_by(range_ms as usize) {
        let (end, place) = ((start + range_ms).min(end_ms), format!("{kind} in ({start}, {}]", start + range_ms));
        let values = floats(raw, start, end);
        let own = |samples: &Samples| -> Vec<f64> {
            let values = within(samples, start, end).map(|at| samples.values[at]);
            values.filter(|value| !model::stale::is_stale_nan(*value)).collect()
        };
        let of = |list: &[f64], better: fn(f64, f64) -> f64| list.iter().copied().reduce(better);
        assert_eq!(of(&own(&min), f64::min), of(&values, f64::min), "minimum of {place}");
        assert_eq!(of(&own(&max), f64::max), of(&values, f64::max), "maximum of {place}");
        let count: u32 = within(&sum, start, end)
            .filter(|at| !model::stale::is_stale_nan(sum.values[*at]))
            .map(|at| sum.tier(at).samples())
            .sum();
        assert_eq!(count as usize, values.len(), "count of {place}");
        assert_eq!(own(&sum).iter().sum::<f64>(), values.iter().sum::<f64>(), "sum of {place}");
        assert_eq!(growth(&own(&increase)), growth(&values), "growth of {place}");
        assert_eq!(own(&last).last(), values.last(), "last of {place}");
        assert_eq!(own(&last).first(), values.first(), "first of {place}");
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0..20_u32).prop_map(f64::from),
        3 => (0..4_u32).prop_map(|value| f64::from(value) + 1000.0),
        1 => Just(model::stale::STALE_NAN),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn windows_tell_what_the_samples_told(
        list in proptest::collection::vec((1_i64..25, value()), 300..700),
        as_counter: bool,
    ) {
        let (mut kpi, mut time, mut total) = (Series::new(), 0, 0.0);
        for (gap, value) in list {
            time += gap;
            if as_counter && !model::stale::is_stale_nan(value) {
                // Every now and then it begins anew.
                total = if value >= 1003.0 { 0.0 } else { total + value };
                kpi.insert(time, SampleValue::Float(total));
            } else {
                kpi.insert(time, SampleValue::Float(value));
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let mut engine = open(dir.path());
        fill(&engine, &BTreeMap::from([("kpi", kpi.clone())]));
        let end_ms = (time / COARSE_MS) * COARSE_MS;
        for _ in 0..2 {
            let blocks = engine.blocks();
            prop_assert!(blocks.iter().any(|block| block.resolution_ms == Some(FINE_MS)));
            if time > 2 * RAW_MS + 1500 {
                let raw = blocks.iter().filter(|block| block.resolution_ms.is_none());
                prop_assert!(raw.map(|block| block.min_time_ms).min().unwrap() > 0, "old raw samples are gone");
            }
            check(&engine, "kpi", &kpi, end_ms, COARSE_MS);
            check(&engine, "kpi", &kpi, end_ms, 2 * COARSE_MS);
            check(&engine, "kpi", &kpi, end_ms, FINE_MS);
            prop_assert_eq!(engine.damage(), []);
            drop(engine);
            engine = open(dir.path());
        }
    }
}

fn ramp(end_ms: i64, step: usize) -> Series {
    (step as i64..end_ms).step_by(step).map(|time| (time, SampleValue::Float(time as f64))).collect()
}

#[test]
fn each_series_is_kept_as_long_as_its_rule_says() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let kinds = ["kpi", "long", "other", "short"];
    let all: BTreeMap<&str, Series> = kinds.into_iter().map(|kind| (kind, ramp(9_000, 10))).collect();
    fill(&engine, &all);
    let content = read_all(&engine);
    let first = |kind: &str| *content[&named(kind).to_string()].first_key_value().unwrap().0;
    assert_eq!(first("long"), 10, "raw for ever");
    assert_eq!(first("kpi"), 10, "down-sampled for ever");
    let (other, short) = (first("other"), first("short"));
    assert!((9_000 - RAW_MS - 1200 * 2..9_000 - RAW_MS).contains(&other), "{other}");
    assert!(short > other, "{short}");
    let kpi = &content[&named("kpi").to_string()];
    // Readers that know nothing of windows get the first and the last sample of each.
    assert_eq!(kpi.keys().take(4).collect::<Vec<_>>(), [&10, &50, &60, &100]);
    assert_eq!(content[&named("long").to_string()].len(), 899);
    // Once more after an opening, which knows nothing of what was looked at before.
    drop(engine);
    let engine = open(dir.path());
    for _ in 0..3 {
        engine.maintain().unwrap();
    }
    assert_eq!(read_all(&engine), content);
    let querier = engine.querier(1, 9_000).unwrap();
    let hints =
        SelectHints { function: "quantile_over_time".into(), range_ms: 100, tiers: true, ..SelectHints::default() };
    for series in querier.select(&hints, &[]).unwrap() {
        series.unwrap().read(&mut Samples::default()).unwrap();
    }
    let notes = querier.notes();
    assert!(notes.iter().any(|note| note.contains("are down-sampled to 50ms")), "{notes:?}");
    assert!(notes.iter().any(|note| note.starts_with("quantile_over_time() of samples down-sampled")), "{notes:?}");
}

#[test]
fn a_deletion_takes_the_windows_that_it_touches() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let kpi = ramp(9_000, 10);
    fill(&engine, &BTreeMap::from([("kpi", kpi.clone()), ("long", kpi)]));
    engine.delete_series(1_020, 1_130, &[Matcher::equal("__name__", "m")]).unwrap();
    let left = |engine: &Tsdb, kind: &str| -> Vec<i64> {
        let samples = ask(engine, kind, "last_over_time", 900, 1_300, FINE_MS);
        samples.timestamps
    };
    for round in 0..3 {
        assert_eq!(left(&engine, "kpi"), [910, 950, 960, 1000, 1160, 1200, 1210, 1250, 1260, 1300], "round {round}");
        assert!(left(&engine, "long").iter().all(|time| !(1_020..=1_130).contains(time)));
        match round {
            0 => engine.clean_tombstones().unwrap(),
            _ => engine.maintain().unwrap(),
        }
    }
    assert!(engine.blocks().iter().all(|block| block.tombstones == 0));
}

#[test]
fn native_histograms_are_down_sampled_too() {
    let histogram = |time: i64| {
        let (count, number) = ((time % 2000) as f64, (time / 1000) as u32);
        // More buckets from time to time, and a reset every two seconds.
        FloatHistogram {
            schema: 2,
            count,
            sum: count * 2.0,
            positive_spans: vec![Span { offset: 1, length: 1 + number % 3 }],
            positive_buckets: vec![count; 1 + number as usize % 3],
            ..FloatHistogram::default()
        }
    };
    let raw: Series =
        (10..9_000).step_by(10).map(|time| (time, SampleValue::Histogram(Arc::new(histogram(time))))).collect();
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    fill(&engine, &BTreeMap::from([("kpi", raw.clone())]));
    let of =
        |value: &SampleValue| if let SampleValue::Histogram(own) = value { own.count } else { panic!("{value:?}") };
    let sum = ask(&engine, "kpi", "avg_over_time", 0, 8_100, COARSE_MS);
    let increase = ask(&engine, "kpi", "increase", 0, 8_100, COARSE_MS);
    assert!(sum.len() < 300 && increase.len() < 700, "{} and {} samples", sum.len(), increase.len());
    for start in (0..8_100).step_by(COARSE_MS as usize) {
        let values: Vec<f64> = raw.range(start + 1..=start + COARSE_MS).map(|(_, value)| of(value)).collect();
        let own: Vec<(f64, u32)> =
            within(&sum, start, start + COARSE_MS).map(|at| (of(&sum.value(at)), sum.tier(at).samples())).collect();
        assert_eq!(own.iter().map(|own| own.1 as usize).sum::<usize>(), values.len(), "count behind {start}");
        assert_eq!(own.iter().map(|own| own.0).sum::<f64>(), values.iter().sum::<f64>(), "sum behind {start}");
        let own: Vec<f64> = within(&increase, start, start + COARSE_MS).map(|at| of(&increase.value(at))).collect();
        assert_eq!(growth(&own), growth(&values), "growth behind {start}");
    }
}

#[test]
fn an_import_into_down_sampled_history_is_down_sampled() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    fill(&engine, &BTreeMap::from([("long", ramp(9_000, 10))]));
    let mut import = engine.import_block(1_000, 3_000).unwrap();
    let mut samples = Samples::default();
    (1_005..3_000).step_by(10).for_each(|time| samples.push_float(time, 1.0));
    import.add_series(&named("kpi"), &samples).unwrap();
    import.finish().unwrap();
    for _ in 0..3 {
        engine.maintain().unwrap();
    }
    let sum = ask(&engine, "kpi", "sum_over_time", 900, 3_300, COARSE_MS);
    assert_eq!(sum.values.iter().sum::<f64>(), 200.0);
    assert!(sum.len() <= 40, "{} windows", sum.len());
    assert!(engine.blocks().iter().any(|block| block.resolution_ms == Some(FINE_MS)));
}

/// A block of each second with a sample of two kinds every 10 ms.
fn import(engine: &Tsdb, to_ms: i64) {
    for from_ms in (0..to_ms).step_by(1_000) {
        let mut import = engine.import_block(from_ms, from_ms + 1_000).unwrap();
        let mut samples = Samples::default();
        (from_ms..from_ms + 1_000).step_by(10).for_each(|time| samples.push_float(time, 1.0));
        import.add_series(&named("kpi"), &samples).unwrap();
        import.add_series(&named("other"), &samples).unwrap();
        import.finish().unwrap();
    }
}

#[test]
fn history_grows_old_where_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let oldest_raw = |engine: &Tsdb| {
        let raw = engine.blocks().into_iter().filter(|block| block.resolution_ms.is_none());
        raw.map(|block| block.min_time_ms).min().unwrap()
    };
    let check = |engine: &Tsdb, what: &str| {
        (0..3).for_each(|_| engine.maintain().unwrap());
        let oldest = oldest_raw(engine);
        // Blocks go as a whole, and not before their day of windows is complete.
        assert!((9_000 - RAW_MS - 2_400..9_000 - RAW_MS).contains(&oldest), "{what}: {oldest}");
        let sum = ask(engine, "kpi", "sum_over_time", 0, 6_000, COARSE_MS);
        // One every 10 ms, and of those at 0 none is asked for.
        assert_eq!(sum.values.iter().sum::<f64>(), 600.0, "{what}");
        assert!(sum.len() < 200, "{what}: {} windows", sum.len());
    };
    // Nothing but imports, and no head ever.
    let engine = open(dir.path());
    import(&engine, 9_000);
    assert_eq!(engine.complete_before_ms(), 8_950);
    check(&engine, "imported");
    drop(engine);
    let engine = open(dir.path());
    check(&engine, "opened again");
    // What comes now to what was down-sampled meanwhile is down-sampled as well.
    let samples = (10..3_000).step_by(10).map(|time| (time, SampleValue::Float(1.0))).collect();
    let series = SeriesSamples {
        labels: Labels::from_pairs([("__name__", "late"), ("kind", "kpi")]),
        samples,
        ..SeriesSamples::default()
    };
    assert_eq!(engine.append_series(&[series]).unwrap().samples_refused(), 0);
    engine.compact_all().unwrap();
    (0..3).for_each(|_| engine.maintain().unwrap());
    let hints = SelectHints {
        start_ms: 1,
        end_ms: 3_000,
        step_ms: COARSE_MS,
        range_ms: COARSE_MS,
        function: "sum_over_time".into(),
        tiers: true,
        ..SelectHints::default()
    };
    let querier = engine.querier(1, 3_000).unwrap();
    let mut samples = Samples::default();
    for series in querier.select(&hints, &[Matcher::equal("__name__", "late")]).unwrap() {
        series.unwrap().read(&mut samples).unwrap();
    }
    assert_eq!(samples.values.iter().sum::<f64>(), 299.0, "the windows of what came late");
    assert!(oldest_raw(&engine) >= 5_000, "and its raw samples are gone");
    drop(engine);
    // A head that was put into blocks as a whole: nothing is left that could be cut.
    let dir = tempfile::tempdir().unwrap();
    let keep_all = TsdbOptions { retention_ms: 0, ..options(dir.path()) };
    let engine = Tsdb::open(keep_all).unwrap();
    for from in (0..9_000).step_by(270) {
        let part = |kind: &str| SeriesSamples {
            labels: named(kind),
            samples: ((from..9_000.min(from + 270)).step_by(10)).map(|time| (time, SampleValue::Float(1.0))).collect(),
            ..SeriesSamples::default()
        };
        engine.append_series(&[part("kpi"), part("other")]).unwrap();
    }
    engine.compact_all().unwrap();
    drop(engine);
    check(&open(dir.path()), "stopped, with shorter retention");
}

#[test]
fn rules_that_cannot_be_followed_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |rule: RetentionRule| {
        let options = TsdbOptions { retention_rules: vec![rule], ..options(dir.path()) };
        Tsdb::open(options).err().unwrap().to_string()
    };
    assert_eq!(
        refused(rule("kpi", 1000, Some(70))),
        "retention rule {kind=\"kpi\"}: a resolution of 70 ms; it must divide 1200 ms evenly"
    );
    assert!(refused(rule("kpi", 0, None)).contains("keep must be longer than 0"));
    assert!(refused(rule("kpi", 1000, Some(0))).contains("a resolution of 0 ms"));
}

#[test]
fn a_limit_on_bytes_shortens_every_kind_of_history() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let noisy: Series = (10..20_000)
        .step_by(20)
        .map(|time| (time, SampleValue::Float(f64::from_bits((time as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2))))
        .collect();
    fill(&engine, &BTreeMap::from([("kpi", noisy.clone()), ("other", noisy)]));
    let raw_from = engine
        .blocks()
        .iter()
        .filter(|block| block.resolution_ms.is_none())
        .map(|block| block.min_time_ms)
        .min()
        .unwrap();
    let (mut bytes, mut raw) = (0, 0);
    for block in engine.blocks() {
        bytes += block.bytes;
        raw += if block.resolution_ms.is_none() { block.bytes } else { 0 };
    }
    drop(engine);
    let log = std::fs::read_dir(dir.path().join("wal")).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    let limit = log.sum::<u64>() + bytes - raw / 2;
    let years = 1000 * tsdb::RETENTION_MS_DEFAULT;
    let engine = Tsdb::open(TsdbOptions {
        retention_ms: 0,
        retention_bytes: limit,
        retention_rules: vec![rule("kpi", years, Some(FINE_MS)), rule("kpi", years, Some(COARSE_MS))],
        ..options(dir.path())
    })
    .unwrap();
    engine.maintain().unwrap();
    engine.maintain().unwrap();
    let blocks = engine.blocks();
    let bytes: u64 = blocks.iter().map(|block| block.bytes).sum();
    assert!(bytes <= limit, "{bytes} of {limit}");
    let oldest = |resolution_ms: Option<i64>| {
        blocks.iter().filter(|block| block.resolution_ms == resolution_ms).map(|block| block.min_time_ms).min().unwrap()
    };
    assert_eq!((oldest(Some(FINE_MS)), oldest(Some(COARSE_MS))), (1, 1), "windows of years stay");
    assert!(oldest(None) > raw_from, "raw samples make room");
}

#[test]
fn what_is_still_to_be_copied_is_not_deleted_for_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Tsdb::open(TsdbOptions { retention_ms: 300, ..options(dir.path()) }).unwrap();
    engine.hold_from(Some(i64::MIN));
    let one = |time: i64| SeriesSamples {
        labels: common::labels(1),
        samples: vec![(time, SampleValue::Float(time as f64))],
        ..SeriesSamples::default()
    };
    for time in (0..2_000).step_by(10) {
        engine.append_series(&[one(time)]).unwrap();
        engine.maintain().unwrap();
    }
    let oldest = || oldest_of(&engine);
    assert_eq!(oldest(), Some(0), "nothing was copied");
    engine.hold_from(Some(900));
    (0..2).for_each(|_| engine.maintain().unwrap());
    assert_eq!(oldest(), Some(900), "what was copied goes");
    // Nobody copies any more.
    engine.hold_from(None);
    for time in (2_000..3_000).step_by(10) {
        engine.append_series(&[one(time)]).unwrap();
        engine.maintain().unwrap();
    }
    assert!(oldest() >= Some(1_800), "{:?}", oldest());
    drop(engine);
    // A limit on bytes knows no mercy, and counts.
    let registry = telemetry::Registry::new();
    let small = TsdbOptions { retention_bytes: 1, registry: registry.clone(), ..options(dir.path()) };
    let engine = Tsdb::open(small).unwrap();
    engine.hold_from(Some(i64::MIN));
    (0..2).for_each(|_| engine.maintain().unwrap());
    assert_eq!(oldest_of(&engine), None);
}

fn oldest_of(engine: &Tsdb) -> Option<i64> {
    engine.blocks().first().map(|block| block.min_time_ms)
}
