//! What explain and analyze tell: estimates before, costs after, units and hints.

use model::{Labels, Metadata, MetricType, SampleValue};
use promql::{Engine, ExplainNode, ExplainTimes, QueryError, QueryOptions};
use std::sync::{Arc, atomic::AtomicBool};
use storage::{Samples, memory::MemoryStorage};

const STEP_MS: i64 = 15_000;
/// Ten minutes, step 1 m: 11 steps; 41 samples of each series.
const TIMES: ExplainTimes = ExplainTimes { start_ms: 0, end_ms: 600_000, step_ms: 60_000 };

fn data() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let add = |pairs: &[(&str, &str)]| {
        let mut samples = Samples::default();
        for index in 0..=40_i64 {
            samples.push(index * STEP_MS, SampleValue::Float(index as f64));
        }
        storage.replace_series(Labels::from_pairs(pairs.iter().copied()), samples);
    };
    for cpu in ["0", "1", "2", "3"] {
        for mode in ["idle", "user", "system"] {
            let name = "node_cpu_seconds_total";
            add(&[("__name__", name), ("job", "node"), ("cpu", cpu), ("mode", mode)]);
        }
    }
    for job in ["node", "api"] {
        add(&[("__name__", "up"), ("job", job)]);
        add(&[("__name__", "queue_length"), ("job", job)]);
        for le in ["0.1", "1", "+Inf"] {
            add(&[("__name__", "request_duration_seconds_bucket"), ("job", job), ("le", le)]);
        }
    }
    storage
}

fn metadata(name: &str) -> Option<Metadata> {
    let metric_type = match name {
        "queue_length" | "up" => MetricType::Gauge,
        "node_cpu_seconds_total" => MetricType::Counter,
        _ => return None,
    };
    Some(Metadata { metric_type, unit: String::new(), help: String::new() })
}

fn show(node: &ExplainNode, depth: usize, out: &mut String) {
    let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    let unit = node.unit.as_deref().unwrap_or("?");
    let (series, samples) = (number(node.estimate.series), number(node.estimate.samples));
    out.push_str(&format!("{:1$}{2}: {3} series, {4} samples, {5}", "", depth * 2, node.title, series, samples, unit));
    if let Some(cost) = node.cost {
        out.push_str(&format!("; was {}, {}", cost.series, cost.samples));
    }
    out.push('\n');
    for hint in &node.hints {
        out.push_str(&format!("{:1$}! {2} at {3}: {4}\n", "", depth * 2, hint.kind, hint.span.start, hint.text));
        if let Some(replacement) = &hint.replacement {
            out.push_str(&format!("{:1$}! write {2}\n", "", depth * 2, replacement));
        }
    }
    node.children.iter().for_each(|child| show(child, depth + 1, out));
}

/// Queries, each followed by its tree.
const TREES: &str = r#"
> sum by (mode) (rate(node_cpu_seconds_total{job="node"}[5m])) * 100
*: 3 series, 33 samples, percent; was 3, 30
  sum by (mode): 3 series, 33 samples, ratio; was 3, 30
    rate: 12 series, 132 samples, ratio; was 12, 120
      node_cpu_seconds_total{job="node"}[5m]: 12 series, 492 samples, seconds; was 12, 492
  100: 1 series, 11 samples, ?; was 0, 11

> queue_length{job="node"} / on (job) group_left up
/: 1 series, 11 samples, ?; was 1, 11
! move-matcher at 47: only series with job="node" can match: write it on the right side, too, or all are read, of 2 series
! write up{job="node"}
  queue_length{job="node"}: 1 series, 41 samples, ?; was 1, 41
  up: 2 series, 82 samples, ?; was 2, 82

> histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket[5m])))
histogram_quantile: 1 series, 11 samples, seconds; was 1, 10
  0.9: 1 series, 11 samples, ?; was 0, 11
  sum by (le): 3 series, 33 samples, 1/second; was 3, 30
    rate: 6 series, 66 samples, 1/second; was 6, 60
      request_duration_seconds_bucket[5m]: 6 series, 246 samples, 1; was 6, 246

> topk(1, up) + time()
+: 1 series, 11 samples, seconds; was 1, 11
  topk: 1 series, 11 samples, ?; was 1, 11
    1: 1 series, 11 samples, ?; was 0, 11
    up: 2 series, 82 samples, ?; was 2, 82
  time: 1 series, 11 samples, seconds; was 0, 11

> max_over_time((up > 0)[5m:1m])
max_over_time: 2 series, 22 samples, ?; was 2, 20
  [5m:1m]: 2 series, 32 samples, ?
    ( ): 2 series, 32 samples, ?; was 2, 20
      >: 2 series, 32 samples, ?; was 2, 20
        up: 2 series, 82 samples, ?; was 2, 82
        0: 1 series, 16 samples, ?; was 0, 15
"#;

#[test]
fn trees() {
    let (engine, storage) = (Engine::default(), data());
    for case in TREES.split("\n> ").skip(1) {
        let (query, expected) = case.split_once('\n').unwrap();
        let (output, tree) = engine.analyze(&storage, query, TIMES, &QueryOptions::default(), &metadata).unwrap();
        let mut shown = String::new();
        show(&tree, 0, &mut shown);

        assert_eq!(shown.trim(), expected.trim(), "in case `{query}`");
        // Looking on does not change the answer.
        let plain = engine.range(&storage, query, 0, 600_000, 60_000, &QueryOptions::default()).unwrap();
        assert_eq!(format!("{:?}", output.value), format!("{:?}", plain.value));
    }
}

/// Queries and the names of the hints that they get.
const HINTS: &str = r#"
rate(node_cpu_seconds_total[1m])                          =>
rate(queue_length[1m])                                    => rate-of-gauge
delta(node_cpu_seconds_total[1m])                         => delta-of-counter
rate(sum(node_cpu_seconds_total)[5m:])                    => rate-of-sum
max_over_time(sum(node_cpu_seconds_total)[5m:])           =>
up{job=~"node"}                                           => plain-matcher
up{job!~"node"}                                           => plain-matcher
up{job=~"no.*"}                                           =>
up{job=~".*"}                                             => useless-matcher
{__name__=~".*_total"}                                    => wide-matcher
rate(node_cpu_seconds_total[20s])                         => short-range, gaps-between-ranges
rate(node_cpu_seconds_total[30s])                         => gaps-between-ranges
queue_length{job="node"} / on (job) up                    => move-matcher
queue_length{job="node"} / on (instance) up               =>
queue_length{job="node"} unless on (job) up               => move-matcher
up unless on (job) queue_length{job="node"}               =>
queue_length{job=~"no.*"} / on (job) up                    => move-matcher
queue_length{job!="node"} / on (job) up                    =>
sum by (job) (queue_length{job="node"}) / sum by (job) (up) => move-matcher
sum by (job) (rate(up{job="node"}[5m])) > on (job) max by (job) (sum by (job, instance) (queue_length)) => move-matcher, rate-of-gauge
sum by (job) (queue_length{job="node"}) / on (instance) sum by (instance) (up) =>
sum(queue_length{job="node"}) / sum(up)                   =>
max without (instance) (up{job=~"n.+"}) and max without (instance) (queue_length) => move-matcher
max without (job) (up{job="node"}) and max without (job) (queue_length) =>
up + node_cpu_seconds_total                               => 
node_cpu_seconds_total + node_memory_free_bytes           => units
"#;

#[test]
fn hints() {
    let (engine, storage) = (Engine::default(), data());
    for case in HINTS.trim().lines() {
        let (query, expected) = case.split_once("=>").unwrap();
        let tree = engine.explain(&storage, query.trim(), TIMES, &QueryOptions::default(), &metadata).unwrap();
        let mut kinds = Vec::new();
        let mut all = vec![&tree];
        while let Some(node) = all.pop() {
            kinds.extend(node.hints.iter().map(|hint| hint.kind));
            all.extend(&node.children);
            for replacement in node.hints.iter().filter_map(|hint| hint.replacement.as_deref()) {
                promql_syntax::parse(replacement).unwrap();
            }
        }
        assert_eq!(kinds.join(", "), expected.trim(), "in case `{}`", query.trim());
    }
}

#[test]
fn estimates_are_no_less_than_what_comes() {
    let (engine, storage) = (Engine::default(), data());
    for query in [
        "node_cpu_seconds_total",
        "sum by (mode) (rate(node_cpu_seconds_total[1m]))",
        "topk(2, node_cpu_seconds_total)",
        "histogram_quantile(0.9, rate(request_duration_seconds_bucket[5m]))",
        "queue_length / on (job) up",
        "up or queue_length",
        "max_over_time(up[5m:1m])",
    ] {
        let (_, tree) = engine.analyze(&storage, query, TIMES, &QueryOptions::default(), &metadata).unwrap();
        let mut all = vec![&tree];
        while let Some(node) = all.pop() {
            if let (Some(cost), Some(series), Some(samples)) = (node.cost, node.estimate.series, node.estimate.samples)
            {
                assert!(
                    cost.series <= series,
                    "{query}: {} gave {} series, expected {series}",
                    node.title,
                    cost.series
                );
                assert!(cost.samples <= samples, "{query}: {} gave {}, expected {samples}", node.title, cost.samples);
            }
            all.extend(&node.children);
        }
        assert!(tree.cost.is_some(), "{query}");
    }
}

#[test]
fn stops_when_told() {
    let (engine, storage) = (Engine::default(), data());
    let options = QueryOptions { cancel: Some(Arc::new(AtomicBool::new(true))), ..QueryOptions::default() };
    let error = engine.explain(&storage, "up", TIMES, &options, &metadata).unwrap_err();
    assert!(matches!(error, QueryError::Canceled), "{error}");
}
