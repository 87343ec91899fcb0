//! Budgets of series: what is beyond them is added up, and the label that made the series so many is named.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{options, read_all, text};
use model::{
    FloatHistogram, Labels, Matcher, SampleValue,
    histogram::{CounterResetHint, Span},
};
use std::sync::Arc;
use storage::{Ingest, Presence, Queryable, Row, Samples, SelectHints, SeriesSamples, StorageError};
use tsdb::{BudgetKind, CardinalityBudgets, Tsdb};

fn request(job: &str, user: usize) -> Labels {
    let user = format!("user-{user}");
    Labels::from_pairs([("__name__", "requests_total"), ("instance", "a:1"), ("job", job), ("user", &user)])
}

fn budgets(metric: u64) -> CardinalityBudgets {
    CardinalityBudgets { metric_series: Some(metric), ..CardinalityBudgets::default() }
}

fn engine(dir: &std::path::Path, budgets: CardinalityBudgets) -> Arc<Tsdb> {
    let engine = Tsdb::open(options(dir)).unwrap();
    engine.set_budgets(budgets);
    engine
}

fn overflow(job: &str) -> String {
    Labels::from_pairs([("__name__", "requests_total"), ("instance", "a:1"), ("job", job), ("overflow", "true")])
        .to_string()
}

/// The values of a series, by time.
fn values(engine: &Tsdb, series: &str) -> Vec<(i64, String)> {
    read_all(engine).remove(series).unwrap_or_default().into_iter().collect()
}

fn sums(list: &[(i64, f64)]) -> Vec<(i64, String)> {
    list.iter().map(|(time, value)| (*time, text(&SampleValue::Float(*value)))).collect()
}

#[test]
fn scrapes_beyond_a_budget_are_added_up() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), budgets(3));
    let layout = engine.layout(&(0..10).map(|user| request("web", user)).collect::<Vec<_>>()).unwrap();
    let append = |time: i64, values: &[f64], presence: Presence<'_>| {
        let row = Row {
            layout: &layout,
            timestamp_ms: time,
            values,
            presence,
            histograms: &[],
            own_timestamps: &[],
            start_timestamps: &[],
            changed: None,
            exemplars: &[],
        };
        engine.append_rows(&[row]).unwrap()
    };
    let ones: Vec<f64> = (0..10).map(f64::from).collect();
    assert_eq!(append(10, &ones, Presence::All).samples_appended, 10);
    // Users 3, 4 and 5 alone; one that ends; nobody at all.
    assert_eq!(append(20, &ones, Presence::Bitmap(&[0b11_1000])).samples_appended, 3);
    let mut ends = ones.clone();
    ends[9] = model::stale::STALE_NAN;
    append(30, &ends, Presence::All);
    let gone = vec![model::stale::STALE_NAN; 10];
    append(40, &gone, Presence::All);
    let expected = sums(&[(10, 42.0), (20, 12.0), (30, 33.0), (40, model::stale::STALE_NAN)]);
    assert_eq!(values(&engine, &overflow("web")), expected);
    assert_eq!(engine.status(1).series, 4);
    let over = &engine.over_budget()[0];
    assert_eq!((over.kind, &*over.name, over.limit, over.series), (BudgetKind::Metric, "requests_total", 3, 4));
    assert_eq!((over.folded, &*over.label, over.label_values), (7, "user", 7));
    assert_eq!(over.samples, ["user-3", "user-4", "user-5", "user-6", "user-7"]);
    let rule = "metric_relabel_configs:\n  - source_labels: [__name__, user]\n    regex: 'requests_total;.+'\n    action: drop\n";
    assert_eq!(over.rule, rule);
    drop(layout);
    drop(engine);
    // What is in the log is as it was.
    let engine = Tsdb::open(options(dir.path())).unwrap();
    assert_eq!(values(&engine, &overflow("web")), expected);
}

#[test]
fn remote_write_beyond_a_budget_is_added_up() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = CardinalityBudgets { jobs: [("web".to_owned(), 2)].into(), ..CardinalityBudgets::default() };
    let engine = engine(dir.path(), jobs);
    let list = |job: &str, time: i64| -> Vec<SeriesSamples> {
        let one = |user| SeriesSamples {
            labels: request(job, user),
            samples: vec![(time, SampleValue::Float(1.0)), (time + 1, SampleValue::Float(2.0))],
            ..SeriesSamples::default()
        };
        (0..6).map(one).collect()
    };
    let report = engine.append_series(&list("web", 10)).unwrap();
    assert_eq!((report.samples_appended, report.samples_refused()), (12, 0));
    // Other jobs have room.
    engine.append_series(&list("db", 10)).unwrap();
    // Sent twice: the older samples of the two series with places are refused, and no sum is added to what is there.
    assert_eq!(engine.append_series(&list("web", 10)).unwrap().samples_refused(), 2);
    assert_eq!(values(&engine, &overflow("web")), sums(&[(10, 4.0), (11, 8.0)]));
    assert!(!read_all(&engine).contains_key(&overflow("db")));
    assert_eq!(engine.status(1).series, 3 + 6);
    let over = &engine.over_budget()[0];
    assert_eq!((over.kind, &*over.name, &*over.label), (BudgetKind::Job, "web", "user"));

    // By numbers, as known series come.
    let known: Vec<Labels> = (0..6).map(|user| request("web", user)).collect();
    let ids = engine.layout(&known).unwrap().series;
    engine.append_samples(&ids, &[20; 6], &[1.0; 6]).unwrap();
    assert_eq!(values(&engine, &overflow("web")), sums(&[(10, 4.0), (11, 8.0), (20, 4.0)]));
    // With a larger budget they are asked about again, and have places of their own.
    engine.set_budgets(CardinalityBudgets::default());
    assert!(matches!(engine.append_samples(&ids, &[30; 6], &[1.0; 6]), Err(StorageError::UnknownSeries)));
    let ids = engine.layout(&known).unwrap().series;
    engine.append_samples(&ids, &[30; 6], &[1.0; 6]).unwrap();
    assert_eq!(engine.status(1).series, 3 + 6 + 4);
    assert_eq!(engine.over_budget(), []);
}

/// `/metrics` names label, values and rule, and makes few series of it however many values come.
#[test]
fn metrics_tell_the_label_without_many_series() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let registry = options.registry.clone();
    let engine = Tsdb::open(options).unwrap();
    engine.set_budgets(budgets(3));
    let infos = || -> Vec<Labels> {
        let families = registry.collect();
        let family = families.iter().find(|family| family.name == "vigie_cardinality_guilty_label_info");
        family.map_or_else(Vec::new, |family| family.series.iter().map(|(labels, _)| labels.clone()).collect())
    };
    assert_eq!(infos(), []);
    let mut told = std::collections::BTreeSet::new();
    for user in 0..2000 {
        engine.layout(&[request("web", user)]).unwrap();
        told.extend(infos());
    }
    // 1997 were refused: told at the first, and each time that twice as many had been, which may be in the same words.
    assert!((2..=11).contains(&told.len()), "{told:?}");
    let now = infos().remove(0);
    assert_eq!(
        (now.get("budget"), now.get("name"), now.get("label")),
        (Some("metric"), Some("requests_total"), Some("user"))
    );
    assert_eq!(now.get("values"), Some("user-1000, user-1001, user-1002, user-1003, user-1004"));
    assert_eq!(now.get("rule"), Some(&*engine.over_budget()[0].rule));

    // Long values are cut, and what has no end in names does not get there.
    for metric in 0..50 {
        let name = format!("metric_{metric}");
        let long = "é".repeat(1000);
        for user in 0..4 {
            let user = format!("{long}{user}");
            engine.layout(&[Labels::from_pairs([("__name__", &*name), ("user", &user)])]).unwrap();
        }
    }
    let infos = infos();
    assert_eq!(infos.len(), 20);
    let cut = format!("{}…", "é".repeat(64));
    assert!(infos.iter().skip(1).all(|labels| labels.get("values") == Some(&*cut)), "{:?}", infos[1]);
    // Other budgets begin anew.
    engine.set_budgets(CardinalityBudgets::default());
    assert!(!registry.collect().iter().any(|family| family.name == "vigie_cardinality_guilty_label_info"));
}

#[test]
fn native_histograms_are_added_up() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), budgets(1));
    let histogram = |schema: i32, own: f64| {
        SampleValue::Histogram(Arc::new(FloatHistogram {
            schema,
            count: 2.0 * own,
            sum: own / 2.0,
            positive_spans: vec![Span { offset: 1, length: 2 }],
            positive_buckets: vec![own, own],
            counter_reset_hint: CounterResetHint::NotReset,
            ..FloatHistogram::default()
        }))
    };
    let stale =
        SampleValue::Histogram(Arc::new(FloatHistogram { sum: model::stale::STALE_NAN, ..FloatHistogram::default() }));
    let rows: [(i64, Vec<SampleValue>); 4] = [
        (10, vec![histogram(1, 1.0), histogram(1, 2.0), histogram(1, 3.0)]),
        // One is coarser: so is the sum.
        (20, vec![histogram(1, 1.0), histogram(1, 2.0), histogram(0, 3.0)]),
        (30, vec![histogram(1, 1.0), stale.clone(), histogram(1, 3.0)]),
        // Not both kinds at one time.
        (40, vec![histogram(1, 1.0), histogram(1, 2.0), SampleValue::Float(5.0)]),
    ];
    for (time, values) in rows {
        let one = |(user, value): (usize, SampleValue)| SeriesSamples {
            labels: request("web", user),
            samples: vec![(time, value)],
            ..SeriesSamples::default()
        };
        let list: Vec<SeriesSamples> = values.into_iter().enumerate().map(one).collect();
        assert_eq!(engine.append_series(&list).unwrap().samples_appended, 3, "at {time}");
    }
    let querier = engine.querier(0, 100).unwrap();
    let set = querier.select(&SelectHints::default(), &[Matcher::equal("overflow", "true")]).unwrap();
    let mut samples = Samples::default();
    for series in set {
        series.unwrap().read(&mut samples).unwrap();
    }
    let told: Vec<String> = (0..samples.len())
        .map(|at| {
            let own = samples.histogram(at).unwrap();
            assert_eq!(own.counter_reset_hint, CounterResetHint::Unknown);
            let (time, buckets) = (samples.timestamps[at], &own.positive_buckets);
            format!("{time}: schema {} count {} sum {} {buckets:?}", own.schema, own.count, own.sum)
        })
        .collect();
    assert_eq!(
        told,
        [
            "10: schema 1 count 10 sum 2.5 [5.0, 5.0]",
            "20: schema 0 count 10 sum 2.5 [7.0, 3.0]",
            "30: schema 1 count 6 sum 1.5 [3.0, 3.0]",
            "40: schema 1 count 4 sum 1 [2.0, 2.0]",
        ]
    );
}

#[test]
fn names_without_end_cost_no_series_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = CardinalityBudgets { job_series: Some(5), ..CardinalityBudgets::default() };
    let engine = engine(dir.path(), jobs);
    for part in 0..30 {
        let one = |at: usize| SeriesSamples {
            labels: Labels::from_pairs([
                ("__name__", format!("it's_{at}")),
                ("instance", format!("{at}:1")),
                ("job", "web".to_owned()),
            ]),
            samples: vec![(10, SampleValue::Float(1.0))],
            ..SeriesSamples::default()
        };
        engine.append_series(&(part * 100..part * 100 + 100).map(one).collect::<Vec<_>>()).unwrap();
    }
    let series = engine.status(1).series;
    assert!(series <= 5 + 1000 + 1, "{series} series");
    let over = &engine.over_budget()[0];
    assert_eq!((over.folded, &*over.label, over.label_values), (3000 - 5, "instance", 256));
}
