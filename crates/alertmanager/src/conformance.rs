//! Measures against cases from Alertmanager itself: configurations with verdicts, timelines of notifications.

use crate::{
    Alertmanager, AlertmanagerOptions, Config,
    api_v2::AlertsQuery,
    matchers::parse_matcher,
    notify::{BoxFuture, Delivery, HttpSender, Mail, NotifyError},
};
use api::alerts::{PostableAlert, PostableSilence, SilenceMatcher};
use http_client::{HttpClientConfig, Request, Response};
use model::MatchOp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use system::{Clock, TokioClock};
use tokio::time::Instant;

/// When the scenarios' second 0 is.
const START_MS: i64 = 1_700_000_000_000;
/// Upstream's own tolerance, in seconds.
const TOLERANCE: f64 = 0.15;

/// Loads every file of `verdicts.tsv` that is Alertmanager's. Gives the number of right verdicts, and a line for each
/// wrong one.
///
/// # Errors
/// The list cannot be read.
pub fn run_config(folder: &Path) -> Result<(usize, Vec<String>), String> {
    let base = if folder.join("config").is_dir() { folder.join("config") } else { folder.to_owned() };
    let list = base.join("verdicts.tsv");
    let text = std::fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let (mut passed, mut failures) = (0, Vec::new());
    for line in text.lines().filter(|line| line.starts_with("alertmanager/")) {
        let mut parts = line.split('\t');
        let (file, verdict) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let said = Config::load(&base.join(file));
        match (verdict, said) {
            ("accept", Ok(_)) | ("reject", Err(_)) => passed += 1,
            ("accept", Err(faults)) => failures.push(format!("{file}: refused: {faults}")),
            _ => failures.push(format!("{file}: accepted, upstream says: {}", parts.next().unwrap_or_default())),
        }
    }
    Ok((passed, failures))
}

#[derive(Deserialize)]
struct Scenarios {
    scenarios: Vec<Scenario>,
}

#[derive(Clone, Deserialize)]
struct Scenario {
    id: String,
    #[serde(default)]
    variants: Option<String>,
    #[serde(default)]
    global: Option<Value>,
    #[serde(default)]
    route: Option<Value>,
    #[serde(default)]
    inhibit_rules: Option<Value>,
    #[serde(default)]
    receivers: Vec<Receiver>,
    #[serde(default)]
    events: Vec<ScenarioEvent>,
    #[serde(default)]
    expect: Vec<Expectation>,
}

#[derive(Clone, Deserialize)]
struct Receiver {
    name: String,
    #[serde(default)]
    send_resolved: Option<bool>,
    #[serde(default)]
    timeout: Option<String>,
    #[serde(default)]
    fails_until: Option<f64>,
    #[serde(default)]
    slow_until: Option<f64>,
    #[serde(default)]
    slow_for: Option<String>,
    #[serde(default)]
    integrations: Option<u32>,
}

#[derive(Clone, Deserialize)]
struct ScenarioEvent {
    at: f64,
    #[serde(default)]
    push: Option<Vec<ScenarioAlert>>,
    #[serde(default)]
    silence: Option<ScenarioSilence>,
    #[serde(default)]
    delete_silence: Option<String>,
    #[serde(default)]
    reload: bool,
}

#[derive(Clone, Deserialize)]
struct ScenarioSilence {
    id: String,
    from: f64,
    to: f64,
    matchers: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct ScenarioAlert {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    start: Option<f64>,
    #[serde(default)]
    end: Option<f64>,
}

#[derive(Clone, Deserialize)]
struct Expectation {
    #[serde(default)]
    to: Option<String>,
    between: (f64, f64),
    #[serde(default)]
    alerts: Vec<ScenarioAlert>,
    #[serde(default)]
    none: bool,
}

/// Webhooks in this process: notes what arrives, and fails or dawdles as its scenario wants.
struct Sink {
    started: Instant,
    receivers: Vec<Receiver>,
    got: Mutex<Vec<(f64, String, Value)>>,
}

impl Sink {
    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    async fn answer(&self, request: Request) -> Response {
        let arrived = self.seconds();
        let name = request.url.rsplit('/').next().unwrap_or_default().to_owned();
        let receiver = self.receivers.iter().find(|receiver| receiver.name == name);
        if let Some(receiver) = receiver {
            let slow = receiver.slow_for.as_deref().and_then(|text| model::duration::parse_duration_ms(text).ok());
            if let Some(ms) = slow.filter(|_| receiver.slow_until.is_some_and(|until| arrived < until)) {
                tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
            }
        }
        let failing = receiver.and_then(|receiver| receiver.fails_until).is_some_and(|until| arrived < until);
        if !failing {
            let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            self.got.lock().unwrap_or_else(PoisonError::into_inner).push((arrived, name, body));
        }
        Response { status: if failing { 500 } else { 200 }, headers: Default::default(), body: bytes::Bytes::new() }
    }
}

struct SinkDelivery(Arc<Sink>);
struct SinkClient(Arc<Sink>);

impl HttpSender for SinkClient {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, String>> {
        Box::pin(async move {
            let timeout = request.timeout;
            tokio::time::timeout(timeout, self.0.answer(request)).await.map_err(|_| "timed out".to_owned())
        })
    }
}

impl Delivery for SinkDelivery {
    fn http_client(&self, _: &HttpClientConfig) -> Result<Arc<dyn HttpSender>, String> {
        Ok(Arc::new(SinkClient(Arc::clone(&self.0))))
    }

    fn mail(&self, _: Mail) -> BoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async { Ok(()) })
    }
}

fn config(scenario: &Scenario) -> Result<Config, String> {
    let mut route = scenario.route.clone().unwrap_or_else(|| json!({}));
    let by_name = route.get("routes").is_some();
    let webhook = |receiver: &Receiver| {
        let mut webhook = json!({ "url": format!("http://sink/{}", receiver.name) });
        if let Some(send_resolved) = receiver.send_resolved {
            webhook["send_resolved"] = send_resolved.into();
        }
        if let Some(timeout) = &receiver.timeout {
            webhook["timeout"] = timeout.clone().into();
        }
        webhook
    };
    let receivers: Vec<Value> = if by_name {
        let section = |receiver: &Receiver| match receiver.integrations {
            Some(0) => json!({ "name": receiver.name }),
            _ => json!({ "name": receiver.name, "webhook_configs": [webhook(receiver)] }),
        };
        scenario.receivers.iter().map(section).collect()
    } else {
        route["receiver"] = "all".into();
        let webhooks: Vec<_> = scenario.receivers.iter().map(webhook).collect();
        vec![json!({ "name": "all", "webhook_configs": webhooks })]
    };
    let mut root = json!({ "route": route, "receivers": receivers });
    if let Some(global) = &scenario.global {
        root["global"] = global.clone();
    }
    if let Some(rules) = &scenario.inhibit_rules {
        root["inhibit_rules"] = rules.clone();
    }
    Config::parse("scenario.yml", &root.to_string()).map_err(|faults| faults.to_string())
}

fn start(config: Config, sink: &Arc<Sink>) -> Result<(Alertmanager, Arc<dyn Clock>), String> {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(START_MS));
    let options = AlertmanagerOptions {
        config,
        data_dir: None,
        external_url: "http://alertmanager".into(),
        clock: Arc::clone(&clock),
        registry: telemetry::Registry::new(),
        retention: Duration::from_secs(120 * 3600),
        version: api::alerts::VersionInfo::default(),
        delivery: Arc::new(SinkDelivery(Arc::clone(sink))),
        events: None,
    };
    let alertmanager = Alertmanager::start(options).map_err(|error| error.to_string())?;
    Ok((alertmanager, clock))
}

fn time(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "scenarios last seconds")]
    go_template::time::Time::from_unix_ms(START_MS + (seconds * 1000.0).round() as i64).rfc3339_nano()
}

fn postable(alert: &ScenarioAlert, end_after: Option<f64>) -> PostableAlert {
    let end = alert.end.or_else(|| Some(alert.start? + end_after?));
    PostableAlert {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.start.map(time),
        ends_at: end.map(time),
        generator_url: None,
    }
}

fn silence(silence: &ScenarioSilence) -> Result<PostableSilence, String> {
    let matchers: Result<Vec<_>, String> = silence
        .matchers
        .iter()
        .map(|text| {
            let matcher = parse_matcher(text)?;
            let matcher = matcher.matcher();
            Ok(SilenceMatcher {
                is_equal: matches!(matcher.op, MatchOp::Equal | MatchOp::Regex),
                is_regex: matcher.op.is_regex(),
                name: matcher.name.clone(),
                value: matcher.value.clone(),
            })
        })
        .collect();
    Ok(PostableSilence {
        comment: "c".into(),
        created_by: "me".into(),
        ends_at: time(silence.to),
        matchers: matchers?,
        starts_at: time(silence.from),
        ..PostableSilence::default()
    })
}

async fn timeline(scenario: &Scenario, end_after: Option<f64>) -> Result<(), String> {
    let sink = Arc::new(Sink { started: Instant::now(), receivers: scenario.receivers.clone(), got: Mutex::default() });
    let parsed = config(scenario)?;
    let (alertmanager, _) = start(parsed.clone(), &sink)?;
    let mut silences = BTreeMap::new();
    for event in &scenario.events {
        tokio::time::sleep_until(sink.started + Duration::from_secs_f64(event.at)).await;
        if let Some(alerts) = &event.push {
            let posted: Vec<_> = alerts.iter().map(|alert| postable(alert, end_after)).collect();
            alertmanager.post_alerts(&posted).map_err(|error| error.body.to_string())?;
        }
        if let Some(own) = &event.silence {
            let created = alertmanager.post_silence(&silence(own)?).map_err(|error| error.body.to_string())?;
            silences.insert(own.id.clone(), created.silence_id);
        }
        if let Some(id) = event.delete_silence.as_ref().and_then(|id| silences.get(id)) {
            alertmanager.delete_silence(id).map_err(|error| error.body.to_string())?;
        }
        if event.reload {
            alertmanager.reload(parsed.clone()).map_err(|error| error.to_string())?;
        }
    }
    let last = scenario.expect.iter().map(|expected| expected.between.1).fold(0.0, f64::max);
    tokio::time::sleep_until(sink.started + Duration::from_secs_f64(last + TOLERANCE)).await;
    alertmanager.shutdown().await;
    let got = std::mem::take(&mut *sink.got.lock().unwrap_or_else(PoisonError::into_inner));
    judge(scenario, got)
}

fn judge(scenario: &Scenario, mut got: Vec<(f64, String, Value)>) -> Result<(), String> {
    let only = scenario.receivers.first().map_or("", |receiver| receiver.name.as_str());
    for expected in &scenario.expect {
        let to = expected.to.as_deref().unwrap_or(only);
        let (from, until) = (expected.between.0 - TOLERANCE, expected.between.1 + TOLERANCE);
        let within = |(at, name, _): &(f64, String, Value)| *name == to && *at >= from && *at <= until;
        if expected.none {
            if let Some((at, ..)) = got.iter().find(|one| within(one)) {
                return Err(format!(
                    "nothing was to come to {to} between {from} and {until}, something came at {at:.3}"
                ));
            }
            continue;
        }
        let found = got.iter().position(|one| within(one) && same_alerts(&expected.alerts, &one.2).is_ok());
        match found {
            Some(at) => {
                got.remove(at);
            }
            None => {
                let seen: Vec<_> = got
                    .iter()
                    .map(|one| {
                        format!(
                            "{:.3} {}: {}",
                            one.0,
                            one.1,
                            same_alerts(&expected.alerts, &one.2).err().unwrap_or_default()
                        )
                    })
                    .collect();
                return Err(format!(
                    "nothing right came to {to} between {from} and {until}; came: {}",
                    seen.join(" | ")
                ));
            }
        }
    }
    match got.first() {
        Some((at, name, body)) => Err(format!("{} came too many, the first to {name} at {at:.3}: {body}", got.len())),
        None => Ok(()),
    }
}

fn same_alerts(expected: &[ScenarioAlert], body: &Value) -> Result<(), String> {
    let mut got: Vec<Value> = body.get("alerts").and_then(Value::as_array).cloned().unwrap_or_default();
    for alert in expected {
        let near = |key: &str, wanted: Option<f64>, got: &Value| {
            wanted.is_none_or(|wanted| {
                let text = got.get(key).and_then(Value::as_str).unwrap_or_default();
                text.parse::<jiff::Timestamp>().is_ok_and(|time| {
                    #[expect(clippy::cast_precision_loss, reason = "scenarios last seconds")]
                    let seconds = (time.as_millisecond() - START_MS) as f64 / 1000.0;
                    (seconds - wanted).abs() <= TOLERANCE
                })
            })
        };
        let status = if alert.end.is_some() { "resolved" } else { "firing" };
        let at = got.iter().position(|one| {
            one.get("labels") == Some(&json!(alert.labels))
                && one.get("annotations") == Some(&json!(alert.annotations))
                && one.get("status") == Some(&Value::from(status))
                && near("startsAt", alert.start, one)
                && near("endsAt", alert.end, one)
        });
        match at {
            Some(at) => {
                got.remove(at);
            }
            None => return Err(format!("lacks {} {status} in {body}", json!(alert.labels))),
        }
    }
    if got.is_empty() { Ok(()) } else { Err(format!("too many alerts: {body}")) }
}

fn pairs(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn want(ok: bool, what: &str) -> Result<(), String> {
    if ok { Ok(()) } else { Err(format!("not so: {what}")) }
}

/// The scenarios that are told in prose.
async fn by_api(id: &str) -> Result<(), String> {
    let text = "{\"route\": {\"receiver\": \"all\", \"group_by\": [], \"group_wait\": \"1s\", \"group_interval\": \"10m\", \"repeat_interval\": \"1h\"}, \
                \"inhibit_rules\": [{\"source_matchers\": [\"severity=critical\"], \"target_matchers\": [\"severity=warning\"], \"equal\": [\"alertname\"]}], \
                \"receivers\": [{\"name\": \"all\", \"webhook_configs\": [{\"url\": \"http://sink/w\"}]}]}";
    let parsed = Config::parse("scenario.yml", text).map_err(|faults| faults.to_string())?;
    let sink = Arc::new(Sink { started: Instant::now(), receivers: Vec::new(), got: Mutex::default() });
    let (alertmanager, _) = start(parsed, &sink)?;
    let post = |labels: &[(&str, &str)]| {
        let alert = PostableAlert {
            labels: pairs(labels),
            starts_at: Some(time(sink.seconds())),
            ends_at: Some(time(sink.seconds() + 300.0)),
            ..PostableAlert::default()
        };
        alertmanager.post_alerts(&[alert]).map_err(|error| error.body.to_string())
    };
    let get = |filter: &[&str]| {
        let query =
            AlertsQuery { filter: filter.iter().map(|text| (*text).to_owned()).collect(), ..AlertsQuery::default() };
        alertmanager.get_alerts(&query).map_err(|error| error.body.to_string())
    };
    match id {
        "api-utf8-alert" => {
            let labels = [("a", "a"), ("00", "b"), ("Σ", "c"), ("🙂", "dΘ")];
            post(&labels)?;
            let filters: [&[&str]; 2] = [&[], &["00=b", "Σ=c", r#""\xf0\x9f\x99\x82"=dΘ"#]];
            for filter in filters {
                let alerts = get(filter)?;
                want(
                    alerts.len() == 1 && alerts.iter().all(|alert| alert.labels == pairs(&labels)),
                    "the alert is found",
                )?;
                let query =
                    AlertsQuery { filter: filter.iter().map(|t| (*t).to_owned()).collect(), ..AlertsQuery::default() };
                let groups = alertmanager.get_alert_groups(&query).map_err(|error| error.body.to_string())?;
                let first = groups.first().and_then(|group| group.alerts.first());
                want(first.is_some_and(|alert| alert.labels == pairs(&labels)), "the group is found")?;
            }
        }
        "api-filter-alerts" => {
            post(&[("alertname", "test1"), ("severity", "warning")])?;
            post(&[("system", "foo"), ("severity", "critical")])?;
            let alerts = get(&["alertname=test1", "severity=warning"])?;
            want(alerts.len() == 1 && alerts.iter().all(|alert| alert.status.state == "active"), "one active alert")?;
        }
        "api-status-is-live" => {
            let warning = [("alertname", "test1"), ("severity", "warning")];
            post(&warning)?;
            let state = |alerts: &[api::alerts::GettableAlert], severity: &str| {
                alerts
                    .iter()
                    .find(|a| a.labels.get("severity").is_some_and(|s| s == severity))
                    .cloned()
                    .unwrap_or_default()
            };
            want(state(&get(&[])?, "warning").status.state == "active", "active at first")?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            let own = ScenarioSilence {
                id: String::new(),
                // A start in the past is now; one of this very millisecond may still lie ahead.
                from: sink.seconds() - 1.0,
                to: sink.seconds() + 600.0,
                matchers: vec!["alertname=test1".into()],
            };
            let silence_id =
                alertmanager.post_silence(&silence(&own)?).map_err(|error| error.body.to_string())?.silence_id;
            let alert = state(&get(&[])?, "warning");
            want(
                alert.status.state == "suppressed" && alert.status.silenced_by == [silence_id.clone()],
                "silenced at once",
            )?;
            let fingerprint = crate::fingerprint(&model::Labels::from_pairs(warning));
            want(alert.fingerprint == format!("{fingerprint:016x}"), "the fingerprint")?;
            post(&[("alertname", "test1"), ("severity", "critical")])?;
            let alerts = get(&[])?;
            let (warning, critical) = (state(&alerts, "warning"), state(&alerts, "critical"));
            want(critical.status.silenced_by == [silence_id.clone()], "both silenced")?;
            want(warning.status.silenced_by == [silence_id.clone()], "both silenced")?;
            want(warning.status.inhibited_by == [critical.fingerprint.clone()], "the warning inhibited")?;
            alertmanager.delete_silence(&silence_id).map_err(|error| error.body.to_string())?;
            let alerts = get(&[])?;
            let (warning, critical) = (state(&alerts, "warning"), state(&alerts, "critical"));
            want(critical.status.state == "active" && critical.status.silenced_by.is_empty(), "critical active again")?;
            want(
                warning.status.state == "suppressed" && warning.status.silenced_by.is_empty(),
                "warning still inhibited",
            )?;
        }
        _ => return Err("not known here".into()),
    }
    alertmanager.shutdown().await;
    Ok(())
}

async fn run_one(scenario: Scenario) -> Vec<Result<(), String>> {
    if scenario.route.is_none() {
        return vec![by_api(&scenario.id).await];
    }
    let mut results = vec![timeline(&scenario, None).await];
    if scenario.variants.is_some() {
        results.push(timeline(&scenario, Some(3.0)).await);
    }
    results
}

/// Scenarios of the server (paths) and of clusters, which Vigie's Alertmanager is not part of.
const NOT_HERE: [&str; 2] = ["web-route-prefix", "cluster-dedup"];

/// Runs the scenarios of `folder`'s `alertmanager/scenarios.yml`, all at once; with tokio's time paused in no time, else
/// in about a quarter of a minute. Gives the number that passed (variants count), and a line for each that did not.
///
/// # Errors
/// The file cannot be read.
pub async fn run_scenarios(folder: &Path) -> Result<(usize, Vec<String>), String> {
    let whole = folder.join("alertmanager");
    let path = if whole.is_dir() { whole } else { folder.to_owned() }.join("scenarios.yml");
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
    let scenarios: Scenarios = yaml::from_str(&name, &text).map_err(|faults| faults.to_string())?;
    let mut tasks = Vec::new();
    for scenario in scenarios.scenarios.into_iter().filter(|scenario| !NOT_HERE.contains(&scenario.id.as_str())) {
        tasks.push((scenario.id.clone(), tokio::spawn(run_one(scenario))));
    }
    let (mut passed, mut failures) = (0, Vec::new());
    for (id, task) in tasks {
        for result in task.await.map_err(|error| error.to_string())? {
            match result {
                Ok(()) => passed += 1,
                Err(error) => failures.push(format!("{id}: {error}")),
            }
        }
    }
    Ok((passed, failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> Option<std::path::PathBuf> {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance"));
        if !folder.is_dir() {
            #[expect(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: {} is not there", folder.display());
            }
            return None;
        }
        Some(folder.to_owned())
    }

    #[test]
    fn configurations_of_upstream() {
        let Some(folder) = folder() else { return };
        let (passed, failures) = run_config(&folder).unwrap();
        assert!(failures.is_empty() && passed > 0, "{passed} passed; {}", failures.join("\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn timelines_of_upstream() {
        let Some(folder) = folder() else { return };
        let (passed, failures) = run_scenarios(&folder).await.unwrap();
        assert!(failures.is_empty() && passed > 0, "{passed} passed; {}", failures.join("\n"));
    }
}
