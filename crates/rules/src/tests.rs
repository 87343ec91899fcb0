use super::*;
use model::{Labels, SampleValue};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use storage::{Ingest as _, SeriesSamples, memory::MemoryStorage};
use system::{Clock as _, TokioClock};

#[test]
fn files_of_upstream_and_of_the_field() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance"));
    if !folder.is_dir() {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {} is not there", folder.display());
        }
        return;
    }
    let (passed, failures) = conformance::run_conformance(folder).unwrap();
    assert!(failures.is_empty() && passed > 0, "{passed} passed; {}", failures.join("\n"));
}

#[test]
fn faults_have_places() {
    let text = "
groups:
- name: a
  rules:
  - record: x
    expr: sum(
  - alert: A
    expr: |
      up ==
        == 0
    annotations: {s: '{{ nosuch }}'}
- name: a
  interval: 5
";
    let said = check_rules("r.yml", text).unwrap_err().to_string();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    for (line, expected) in lines.iter().zip([
        "r.yml:6:15: groups[0].rules[0].expr: could not parse expression: 1:5: parse error: ",
        "r.yml:10:9: groups[0].rules[1].expr: could not parse expression: 2:3: parse error: ",
        "r.yml:11:22: groups[0].rules[1].annotations.s: annotation \"s\": template: s:1:4: function \"nosuch\" not defined",
        "r.yml:12:9: groups[1].name: groupname: \"a\" is repeated in the same file",
        "r.yml:13:13: groups[1].interval: expected a unit",
    ]) {
        assert!(line.starts_with(expected), "{line}\nnot {expected}");
    }
}

#[derive(Default)]
struct Sink(Mutex<Vec<model::Alert>>);

impl AlertSink for Sink {
    fn send(&self, alerts: Vec<model::Alert>) {
        self.0.lock().unwrap().extend(alerts);
    }
}

struct World {
    manager: RuleManager,
    storage: Arc<MemoryStorage>,
    sink: Arc<Sink>,
    clock: Arc<TokioClock>,
    registry: telemetry::Registry,
}

const START_MS: i64 = 1_700_000_000_000;

impl World {
    fn new(storage: Arc<MemoryStorage>, start_ms: i64) -> World {
        let (sink, registry) = (Arc::new(Sink::default()), telemetry::Registry::new());
        let clock = Arc::new(TokioClock::starting_at(start_ms));
        let manager = RuleManager::new(RuleManagerOptions {
            engine: Arc::new(promql::Engine::default()),
            queryable: Arc::clone(&storage) as _,
            ingest: Arc::clone(&storage) as _,
            alerts: Arc::clone(&sink) as _,
            clock: Arc::clone(&clock) as _,
            registry: registry.clone(),
            external_url: "http://vigie:9090".into(),
            outage_tolerance: Duration::from_secs(3600),
            for_grace_period: Duration::from_secs(600),
            resend_delay: Duration::from_secs(60),
            query_log: None,
        });
        World { manager, storage, sink, clock, registry }
    }

    fn apply(&self, text: &str) {
        self.manager.apply(RulesConfig {
            files: vec![check_rules("r.yml", text).unwrap()],
            evaluation_interval: Duration::from_secs(10),
            query_offset: Duration::ZERO,
            external_labels: Labels::from_pairs([("region", "eu")]),
        });
    }

    fn put(&self, job: &str, value: f64) {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", job)]);
        let samples = vec![(self.clock.now_ms(), SampleValue::Float(value))];
        self.storage
            .append_series(&[SeriesSamples { labels, samples, exemplars: Vec::new(), start_timestamps: Vec::new() }])
            .unwrap();
    }

    fn query(&self, text: &str) -> String {
        let engine = promql::Engine::default();
        let output =
            engine.instant(self.storage.as_ref(), text, self.clock.now_ms(), &promql::QueryOptions::default()).unwrap();
        let promql::Value::Vector(samples) = output.value else { panic!("no vector") };
        let texts: Vec<_> = samples
            .iter()
            .map(|sample| match &sample.value {
                SampleValue::Float(value) => format!("{} {value}", sample.labels),
                SampleValue::Histogram(_) => format!("{} histogram", sample.labels),
            })
            .collect();
        texts.join("; ")
    }

    fn sent(&self) -> Vec<model::Alert> {
        std::mem::take(&mut *self.sink.0.lock().unwrap())
    }
}

const RULES: &str = r#"
groups:
- name: g
  labels: {team: t}
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels: {kind: sum}
  - alert: Down
    expr: job:up:sum == 0
    for: 20s
    labels: {severity: '{{ if eq $value 0.0 }}page{{ end }}'}
    annotations:
      summary: '{{ $labels.job }} of {{ $externalLabels.region }} is {{ $value }}, {{ with query "count(up)" }}{{ . | first | value }}{{ end }} in all'
"#;

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn from_sample_to_alert() {
    let world = World::new(Arc::new(MemoryStorage::new()), START_MS);
    world.apply(RULES);
    world.put("a", 0.0);
    world.put("b", 1.0);
    seconds(11).await;
    assert_eq!(
        world.query("job:up:sum"),
        r#"{__name__="job:up:sum", job="a", kind="sum", team="t"} 0; {__name__="job:up:sum", job="b", kind="sum", team="t"} 1"#
    );
    let pending = r#"{__name__="ALERTS", alertname="Down", alertstate="pending", job="a", kind="sum", severity="page", team="t"} 1"#;
    // Nothing is written before it is known what was before a restart; here nothing was.
    seconds(10).await;
    assert_eq!(world.query("ALERTS"), pending);
    assert!(world.sent().is_empty());
    seconds(10).await;
    assert_eq!(world.query("ALERTS"), pending.replace("pending", "firing"));
    let sent = world.sent();
    let [alert] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(
        alert.labels.to_string(),
        r#"{alertname="Down", job="a", kind="sum", region="eu", severity="page", team="t"}"#
    );
    assert_eq!(alert.annotations.get("summary"), Some("a of eu is 0, 2 in all"));
    assert_eq!(alert.generator_url, "http://vigie:9090/graph?g0.expr=job%3Aup%3Asum+%3D%3D+0&g0.tab=1");
    assert_eq!(alert.ends_at_ms, Some(alert.starts_at_ms + 240_000));
    let data = world.manager.rules(&RulesFilter { rule_type: "alert".into(), ..RulesFilter::default() }).unwrap();
    let api::rules::Rule::Alerting { state, health, alerts, .. } = &data.groups[0].rules[0] else { panic!("no alert") };
    assert_eq!(
        (state.as_str(), health.as_str(), alerts.as_ref().unwrap()[0].value.as_str()),
        ("firing", "ok", "0e+00")
    );
    assert!(
        world
            .manager
            .rules(&RulesFilter { matches: vec![r#"{team="u"}"#.into()], ..Default::default() })
            .unwrap()
            .groups
            .is_empty()
    );
    // A reload that changes something keeps the alert.
    world.apply(&RULES.replace("{team: t}", "{team: t}\n  limit: 9"));
    seconds(10).await;
    assert_eq!(world.manager.alerts().alerts[0].state, "firing");
    world.put("a", 1.0);
    seconds(10).await;
    let sent = world.sent();
    assert!(sent.iter().any(|alert| alert.ends_at_ms <= Some(world.clock.now_ms())), "{sent:?}");
    assert_eq!(world.query("ALERTS"), "", "ended by a stale marker");
    // Rules that are gone end their series.
    world.apply("groups: []");
    seconds(1).await;
    assert_eq!(world.query("job:up:sum"), "");
    let families = world.registry.collect();
    assert!(families.iter().any(|family| family.name == "prometheus_rule_evaluations_total"));
    world.manager.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn waiting_survives_a_restart() {
    let storage = Arc::new(MemoryStorage::new());
    let rules = RULES.replace("20s", "30m");
    let world = World::new(Arc::clone(&storage), START_MS);
    world.apply(&rules);
    for _ in 0..60 {
        world.put("a", 0.0);
        seconds(10).await;
    }
    let active_at = world.manager.alerts().alerts[0].active_at.clone();
    world.manager.shutdown().await;
    let world = World::new(storage, world.clock.now_ms() + 1);
    world.apply(&rules);
    world.put("a", 0.0);
    seconds(11).await;
    let alerts = world.manager.alerts().alerts;
    let time = |text: &Option<String>| text.as_deref().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let moved_ms = time(&alerts[0].active_at) - time(&active_at);
    assert!((0..60_000).contains(&moved_ms), "moved by {moved_ms} ms");
    world.manager.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn limits_and_faults_are_told() {
    let world = World::new(Arc::new(MemoryStorage::new()), START_MS);
    world.apply(
        "
groups:
- {name: limited, limit: 1, rules: [{record: x, expr: up}]}
- {name: double, rules: [{record: x, expr: up, labels: {job: same}}]}
",
    );
    world.put("a", 0.0);
    world.put("b", 0.0);
    seconds(11).await;
    let data = world.manager.rules(&RulesFilter::default()).unwrap();
    let errors: Vec<_> = data
        .groups
        .iter()
        .map(|group| match &group.rules[0] {
            api::rules::Rule::Recording { last_error, health, .. } => format!("{health}: {last_error}"),
            api::rules::Rule::Alerting { .. } => String::new(),
        })
        .collect();
    assert_eq!(
        errors,
        [
            "err: vector contains metrics with the same labelset after applying rule labels",
            "err: exceeded limit of 1 with 2 series"
        ]
    );
    let page = world.manager.rules(&RulesFilter { group_limit: 1, ..Default::default() }).unwrap();
    let next = RulesFilter { group_limit: 1, group_next_token: page.group_next_token.unwrap(), ..Default::default() };
    let rest = world.manager.rules(&next).unwrap();
    assert_eq!((page.groups[0].name.as_str(), rest.groups[0].name.as_str()), ("double", "limited"));
    assert_eq!(rest.group_next_token, None);
}
