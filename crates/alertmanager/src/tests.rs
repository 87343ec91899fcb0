//! The whole, with an in-process delivery: what leaves byte for byte, what survives a restart.

use crate::{
    Alertmanager, AlertmanagerOptions, Config, Event,
    api_v2::AlertsQuery,
    notify::{BoxFuture, Delivery, HttpSender, Mail, NotifyError},
};
use api::alerts::{PostableAlert, PostableSilence, SilenceMatcher};
use http_client::{HttpClientConfig, Request, Response};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use system::TokioClock;

/// 2026-11-22T13:01:53Z, when the golden alerts began.
const STARTS_MS: i64 = 1_795_352_513_000;

#[derive(Clone, Default)]
struct Outbox {
    requests: Arc<Mutex<Vec<Request>>>,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl HttpSender for Outbox {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, String>> {
        // What WeChat's login gives.
        let body = if request.url.contains("gettoken") { r#"{"access_token":"wctoken"}"# } else { "{}" };
        self.requests.lock().unwrap().push(request);
        Box::pin(async move { Ok(Response { status: 200, headers: Default::default(), body: body.into() }) })
    }
}

impl Delivery for Outbox {
    fn http_client(&self, _: &HttpClientConfig) -> Result<Arc<dyn HttpSender>, String> {
        Ok(Arc::new(self.clone()))
    }

    fn mail(&self, mail: Mail) -> BoxFuture<'_, Result<(), NotifyError>> {
        self.mails.lock().unwrap().push(mail);
        Box::pin(async { Ok(()) })
    }
}

fn start(
    config: Config,
    outbox: &Outbox,
    now_ms: i64,
    folder: Option<PathBuf>,
    events: Option<crate::EventSink>,
) -> Alertmanager {
    Alertmanager::start(AlertmanagerOptions {
        config,
        data_dir: folder,
        external_url: "http://127.0.0.1:19193".into(),
        clock: Arc::new(TokioClock::starting_at(now_ms)),
        registry: telemetry::Registry::new(),
        retention: Duration::from_secs(120 * 3600),
        version: api::alerts::VersionInfo::default(),
        delivery: Arc::new(outbox.clone()),
        events,
    })
    .unwrap()
}

fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)], url: &str, end: Option<&str>) -> PostableAlert {
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    PostableAlert {
        labels: map(labels),
        annotations: map(annotations),
        starts_at: Some("2026-11-22T13:01:53.000Z".into()),
        ends_at: Some(end.unwrap_or("2026-11-22T14:02:53.000Z").into()),
        generator_url: Some(url.into()),
    }
}

/// The two alerts of the golden notifications of all receiver types.
fn everywhere(end: Option<&str>) -> [PostableAlert; 2] {
    let labels = |instance| [("alertname", "Everywhere"), ("severity", "page"), ("job", "api"), ("instance", instance)];
    [
        alert(
            &labels("a:80"),
            &[("runbook", "https://runbooks.example.org/golden"), ("summary", "first")],
            "http://127.0.0.1:19090/graph?g0.expr=up",
            end,
        ),
        alert(&labels("b:80"), &[("summary", "second")], "", end),
    ]
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(path);
    if !path.exists() {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {} is not there", path.display());
        }
        return None;
    }
    Some(path)
}

/// Path and body of a golden file.
fn golden(path: &Path) -> (String, String) {
    let text = std::fs::read_to_string(path).unwrap();
    let (head, body) = text.split_once("\n\n").unwrap();
    let path = head.lines().next().unwrap().trim_start_matches("# ").split_once(' ').unwrap().1;
    (path.to_owned(), body.trim_end_matches('\n').to_owned())
}

/// Everything that went to `/path` of the sink, bodies as they left.
fn sent(outbox: &Outbox) -> Vec<(String, String)> {
    let requests = outbox.requests.lock().unwrap();
    requests
        .iter()
        .map(|r| (r.url.replace("http://127.0.0.1:19099", ""), String::from_utf8_lossy(&r.body).into_owned()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn every_receiver_sends_what_upstream_sends() {
    let (Some(config), Some(folder)) =
        (shared("tools/e2e/alertmanager-all.yml"), shared("conformance/golden/alertmanager/sent"))
    else {
        return;
    };
    let config = Config::load(&config).unwrap();
    assert_eq!(config.warnings().len(), 2, "sns and jira cannot deliver: {:?}", config.warnings());
    let outbox = Outbox::default();
    let alertmanager = start(config, &outbox, STARTS_MS + 79_000, None, None);
    let [first, second] = everywhere(None);
    alertmanager.post_alerts(&[first]).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    alertmanager.post_alerts(&[second]).unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    alertmanager.post_alerts(&everywhere(Some("2026-11-22T13:03:19Z"))).unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let sent = sent(&outbox);
    let mut compared = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let of_this_run = [
            "discord",
            "msteams",
            "opsgenie",
            "pagerduty",
            "rocketchat",
            "slack",
            "victorops",
            "webex",
            "webhook",
            "wechat",
        ];
        if !of_this_run.iter().any(|kind| name.starts_with(kind)) {
            continue;
        }
        let (path, body) = golden(&file);
        let expected: Value = serde_json::from_str(&body).unwrap();
        compared += 1;
        let same = |(own_path, own): &&(String, String)| {
            // The webhook's bytes are a format; elsewhere JSON is JSON.
            let same_body = if name.starts_with("webhook") {
                *own == body
            } else {
                serde_json::from_str::<Value>(own).is_ok_and(|own| own == expected)
            };
            *own_path == path && same_body
        };
        if !sent.iter().any(|one| same(&one)) {
            let own: Vec<_> = sent.iter().filter(|(own, _)| *own == path).map(|(_, body)| body.as_str()).collect();
            wrong.push(format!("{name} {path}\n  {body}\n not among\n  {}", own.join("\n  ")));
        }
    }
    assert!(wrong.is_empty() && compared > 15, "{compared} compared\n{}", wrong.join("\n"));
    let mails = std::mem::take(&mut *outbox.mails.lock().unwrap());
    let text = String::from_utf8_lossy(&mails[0].message).into_owned();
    assert!(text.contains("Subject: [FIRING:1] Everywhere (a:80 api page)"), "{text}");
    assert_eq!(
        (mails[0].from.as_str(), mails[0].to.as_slice()),
        ("alertmanager@example.org", ["ops@example.org".to_owned()].as_slice())
    );
    alertmanager.shutdown().await;
}

const CONFIG: &str = "
route: {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers:
- name: a
  webhook_configs: [{url: 'http://127.0.0.1:19099/a'}]
";

fn silence(start_ms: i64, seconds: i64) -> PostableSilence {
    let time = |ms| go_template::time::Time::from_unix_ms(ms).rfc3339_nano();
    PostableSilence {
        comment: "c".into(),
        created_by: "me".into(),
        starts_at: time(start_ms),
        ends_at: time(start_ms + seconds * 1000),
        matchers: vec![SilenceMatcher {
            is_equal: true,
            is_regex: false,
            name: "alertname".into(),
            value: "Quiet".into(),
        }],
        ..PostableSilence::default()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_twice_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config::parse("a.yml", CONFIG).unwrap();
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let events = Arc::clone(&seen);
    let sink: crate::EventSink = Arc::new(move |event| events.lock().unwrap().push(event));
    let alerts = [alert(&[("alertname", "Loud")], &[], "", None), alert(&[("alertname", "Quiet")], &[], "", None)];
    for round in 0..2 {
        let outbox = Outbox::default();
        let now_ms = STARTS_MS + 60_000 + round * 10_000;
        let own = start(config(), &outbox, now_ms, Some(folder.path().to_owned()), Some(Arc::clone(&sink)));
        if round == 0 {
            own.post_silence(&silence(now_ms, 3600)).unwrap();
        }
        own.post_alerts(&alerts).unwrap();
        tokio::time::sleep(Duration::from_secs(7)).await;
        let told = sent(&outbox);
        assert_eq!(told.len(), if round == 0 { 1 } else { 0 }, "round {round}: {told:?}");
        assert_eq!(own.get_silences(&[]).unwrap().len(), 1);
        own.shutdown().await;
    }
    let seen = seen.lock().unwrap();
    assert!(matches!(&seen[0], Event::Silence { state, .. } if state == "active"), "{seen:?}");
    assert!(matches!(&seen[1], Event::Notification { alerts_firing: 1, error, .. } if error.is_empty()), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn the_api_refuses_as_upstream_does() {
    let outbox = Outbox::default();
    let own = start(Config::parse("a.yml", CONFIG).unwrap(), &outbox, STARTS_MS, None, None);
    let refused = |silence: PostableSilence| {
        let error = own.post_silence(&silence).unwrap_err();
        (error.status, error.body)
    };
    let mut empty = silence(STARTS_MS, 60);
    empty.matchers[0] = SilenceMatcher { is_equal: true, is_regex: true, name: "a".into(), value: ".*".into() };
    let text = "invalid silence: matcher set 0: at least one matcher must not match the empty string";
    assert_eq!(refused(empty), (400, json!(text)));
    let unknown = PostableSilence { id: Some("00000000-0000-0000-0000-000000000000".into()), ..silence(STARTS_MS, 60) };
    assert_eq!(refused(unknown), (404, json!("silence not found")));
    assert_eq!(refused(silence(STARTS_MS, -60)).0, 400);
    assert_eq!(
        refused(silence(STARTS_MS - 120_000, 60)),
        (400, json!("failed to create silence: end time can't be in the past"))
    );
    let error = own.get_silence("x").unwrap_err();
    assert_eq!(
        (error.status, error.body),
        (422, json!({"code": 601, "message": "silenceID in path must be of type uuid: \"x\""}))
    );
    assert_eq!(own.get_silences(&["==".into()]).unwrap_err().body, json!("bad matcher format: =="));
    assert_eq!(own.get_alerts(&AlertsQuery::from_pairs([("receiver", "(")])).unwrap_err().status, 400);
    assert_eq!(
        own.post_alerts(&[PostableAlert { labels: BTreeMap::new(), ..alert(&[], &[], "", None) }]).unwrap_err().status,
        400
    );
    // A silence that only ends later keeps its id; another matcher makes a new one.
    let id = own.post_silence(&silence(STARTS_MS, 60)).unwrap().silence_id;
    let longer = PostableSilence { id: Some(id.clone()), ..silence(STARTS_MS, 120) };
    assert_eq!(own.post_silence(&longer).unwrap().silence_id, id);
    let mut other = PostableSilence { id: Some(id.clone()), ..silence(STARTS_MS, 120) };
    other.matchers[0].value = "Other".into();
    assert_ne!(own.post_silence(&other).unwrap().silence_id, id);
    assert_eq!(own.get_silence(&id).unwrap().status.state, "expired");
    assert_eq!(own.delete_silence(&id), Ok(()));
    own.shutdown().await;
}
