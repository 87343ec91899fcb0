//! Jobs against targets on loopback: every wait is for a request that arrives, none for time.
#![expect(clippy::unwrap_used, reason = "tests")]

use model::stale::is_stale_nan;
use model::{MatchOp, Matcher};
use scrape::{GlobalScrapeDefaults, ScrapeConfig, ScrapeJob, ScrapeManager, ScrapeOptions};
use std::path::Path;
use std::sync::{Arc, Mutex};
use storage::memory::MemoryStorage;
use storage::{Queryable, Samples, SelectHints};
use system::SystemClock;
use telemetry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A target that answers every request with the same bytes and tells of each.
struct Target {
    address: String,
    answer: Arc<Mutex<Vec<u8>>>,
    requests: mpsc::UnboundedReceiver<String>,
}

fn http(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

const TEXT: &str = "text/plain; version=0.0.4";

async fn target(answer: Vec<u8>) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(Mutex::new(answer));
    let (sender, requests) = mpsc::unbounded_channel();
    let answers = Arc::clone(&answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (sender, answers) = (sender.clone(), Arc::clone(&answers));
            tokio::spawn(async move {
                let mut head = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    head.push(byte);
                    if head.ends_with(b"\r\n\r\n") {
                        let _ = sender.send(String::from_utf8_lossy(&head).to_lowercase());
                        head.clear();
                        let bytes = answers.lock().unwrap().clone();
                        if stream.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    Target { address, answer, requests }
}

impl Target {
    fn answer(&self, bytes: Vec<u8>) {
        *self.answer.lock().unwrap() = bytes;
    }

    /// After this, at least one scrape that began after the call is stored.
    async fn scraped(&mut self) -> String {
        while self.requests.try_recv().is_ok() {}
        self.requests.recv().await.unwrap();
        // The next begins only when the one before is stored.
        self.requests.recv().await.unwrap();
        self.requests.recv().await.unwrap()
    }
}

fn job(text: &str) -> ScrapeJob {
    let config: ScrapeConfig = yaml::from_str("job.yml", text).unwrap();
    config.resolve(&GlobalScrapeDefaults::default(), Path::new("/")).unwrap()
}

fn manager() -> (ScrapeManager, Arc<MemoryStorage>) {
    let storage = Arc::new(MemoryStorage::new());
    let options = ScrapeOptions::new(Arc::clone(&storage) as _, Arc::new(SystemClock), Registry::new());
    (ScrapeManager::new(options), storage)
}

/// Last values of a metric's series, with their labels.
fn last(storage: &MemoryStorage, metric: &str) -> Vec<String> {
    let querier = storage.querier(i64::MIN, i64::MAX).unwrap();
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let series = querier.select(&hints, &[Matcher::new("__name__", MatchOp::Equal, metric)]).unwrap();
    series
        .map(|series| {
            let series = series.unwrap();
            let mut samples = Samples::default();
            series.read(&mut samples).unwrap();
            let value = *samples.values.last().unwrap();
            let value = if is_stale_nan(value) { "stale".into() } else { value.to_string() };
            format!("{} {value}", series.labels().without(&["__name__", "instance"]))
        })
        .collect()
}

fn errors(manager: &ScrapeManager) -> Vec<(String, String)> {
    manager.targets().active_targets.into_iter().map(|target| (target.health, target.last_error)).collect()
}

/// Loops with threads of their own do what the others do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_may_have_threads_of_their_own() {
    let mut target = target(http("200 OK", TEXT, "a 1\n")).await;
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let storage = Arc::new(MemoryStorage::new());
    let mut options = ScrapeOptions::new(Arc::clone(&storage) as _, Arc::new(SystemClock), Registry::new());
    options.threads = Some(threads.handle().clone());
    let manager = ScrapeManager::new(options);
    let text = format!(
        "{{job_name: j, scrape_interval: 50ms, scrape_timeout: 50ms, scrape_native_histograms: true, \
          static_configs: [{{targets: ['{}']}}]}}",
        target.address
    );
    manager.apply(vec![job(&text)]).await;
    let request = target.scraped().await;
    assert!(
        request.contains("\r\naccept: application/vnd.google.protobuf;proto=io.prometheus.client.metricfamily;"),
        "{request}"
    );
    assert_eq!(last(&storage, "a"), ["{job=\"j\"} 1"]);
    target.answer(http("200 OK", TEXT, "a 2\n"));
    target.scraped().await;
    assert_eq!(last(&storage, "a"), ["{job=\"j\"} 2"]);
    manager.shutdown().await;
    threads.shutdown_background();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_scrapes_are_logged_to_a_file() {
    let mut target = target(http("503 Service Unavailable", TEXT, "")).await;
    let (manager, _storage) = manager();
    let folder = tempfile::tempdir().unwrap();
    let config: ScrapeConfig = yaml::from_str(
        "job.yml",
        &format!(
            "{{job_name: j, scrape_interval: 50ms, scrape_timeout: 50ms, static_configs: [{{targets: ['{}']}}]}}",
            target.address
        ),
    )
    .unwrap();
    let file = Some("failures.log".to_owned());
    let defaults = GlobalScrapeDefaults { scrape_failure_log_file: file, ..GlobalScrapeDefaults::default() };
    let job = config.resolve(&defaults, folder.path()).unwrap();
    let log = folder.path().join("failures.log");
    let lines = || std::fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    manager.apply(vec![job.clone()]).await;
    target.scraped().await;
    let expected = format!(
        "\"level\":\"ERROR\",\"source\":\"vigie\",\"msg\":\"server returned HTTP status 503 Service Unavailable\",\
         \"job_name\":\"j\",\"target\":\"http://{}/metrics\"}}",
        target.address
    );
    let told = lines();
    // A busy machine may time out once in between.
    assert!(told.iter().any(|line| line.ends_with(&expected)), "{told:?}");
    // A file that was moved away is made anew by a reload; good scrapes are not logged.
    std::fs::rename(&log, folder.path().join("old.log")).unwrap();
    target.answer(http("200 OK", TEXT, "a 1\n"));
    target.scraped().await;
    manager.apply(vec![job]).await;
    target.scraped().await;
    assert!(log.exists() && !lines().iter().any(|line| line.ends_with(&expected)), "{:?}", lines());
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_is_scraped_reloaded_and_ended() {
    let mut target = target(http("200 OK", TEXT, "# HELP a Help.\n# TYPE a gauge\na{k=\"v\"} 7\nb 1\n")).await;
    let (manager, storage) = manager();
    let text = format!(
        "{{job_name: j, scrape_interval: 150ms, params: {{p: [x y]}}, static_configs: [{{targets: ['{}'], labels: {{zone: eu}}}}]",
        target.address
    );
    manager.apply(vec![job(&format!("{text}}}"))]).await;
    let request = target.scraped().await;
    assert!(request.starts_with("get /metrics?p=x+y http/1.1"), "{request}");
    for header in [
        "user-agent: vigie/",
        "x-prometheus-scrape-timeout-seconds: 0.15",
        "accept: application/openmetrics-text;version=1.0.0",
    ] {
        assert!(request.contains(header), "{header} is not in {request}");
    }
    assert_eq!(last(&storage, "a"), [r#"{job="j", k="v", zone="eu"} 7"#]);
    assert_eq!(last(&storage, "up"), [r#"{job="j", zone="eu"} 1"#]);
    assert_eq!(errors(&manager), [("up".to_owned(), String::new())]);
    let metadata = manager.metadata();
    assert_eq!(metadata[0].metadata["a"].help, "Help.");

    // A reload that drops a metric ends its series and keeps the others.
    let relabel = "metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]";
    manager.apply(vec![job(&format!("{text}, {relabel}}}"))]).await;
    target.scraped().await;
    assert_eq!(last(&storage, "b"), [r#"{job="j", zone="eu"} stale"#]);
    assert_eq!(last(&storage, "a"), [r#"{job="j", k="v", zone="eu"} 7"#]);
    assert_eq!(manager.scrape_pools(), ["j"]);

    // Without its job the target's series end.
    manager.apply(Vec::new()).await;
    assert!(manager.targets().active_targets.is_empty());
    while last(&storage, "up") != [r#"{job="j", zone="eu"} stale"#] {
        tokio::task::yield_now().await;
    }
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_no_metrics() {
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 999999999\r\n\r\n".to_vec();
    let mut latin = http("200 OK", TEXT, "a 1\nb 2");
    *latin.last_mut().unwrap() = 0xff;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (http("200 OK", TEXT, "<html>nothing here</html>\n"), "line 1: expected a metric name, got '<'"),
        (
            http("200 OK", "text/html", "a 1\n"),
            "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for target",
        ),
        (http("503 Service Unavailable", TEXT, "a 1\n"), "server returned HTTP status 503 Service Unavailable"),
        (latin, "line 2: not valid UTF-8"),
        (endless, "body size limit exceeded"),
        (
            http("200 OK", "application/openmetrics-text; version=1.0.0", "a 1\n"),
            "line 1: data does not end with # EOF",
        ),
    ];
    let mut target = target(http("200 OK", TEXT, "a 1\n")).await;
    let (manager, storage) = manager();
    let text = format!(
        "{{job_name: j, scrape_interval: 150ms, body_size_limit: 1MB, static_configs: [{{targets: ['{}']}}]}}",
        target.address
    );
    manager.apply(vec![job(&text)]).await;
    target.scraped().await;
    for (answer, expected) in cases {
        target.answer(answer);
        target.scraped().await;
        assert_eq!(errors(&manager), [("down".to_owned(), expected.to_owned())]);
        assert_eq!(last(&storage, "up"), [r#"{job="j"} 0"#]);
        assert_eq!(last(&storage, "a"), [r#"{job="j"} stale"#]);
    }
    target.answer(http("200 OK", TEXT, "a 2\n"));
    target.scraped().await;
    assert_eq!(errors(&manager), [("up".to_owned(), String::new())]);
    assert_eq!(last(&storage, "a"), [r#"{job="j"} 2"#]);
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_are_relabelled_dropped_and_limited() {
    let mut target = target(http("200 OK", TEXT, "a 1\n")).await;
    let (manager, _) = manager();
    let text = format!(
        "{{job_name: j, scrape_interval: 150ms, target_limit: 1, static_configs: [{{targets: ['{}', 'drop.me:1']}}],
         relabel_configs: [{{source_labels: [__address__], regex: 'drop.*', action: drop}},
                           {{target_label: __metrics_path__, replacement: other}},
                           {{target_label: __scrape_timeout__, replacement: 100ms}}]}}",
        target.address
    );
    manager.apply(vec![job(&text)]).await;
    let request = target.scraped().await;
    assert!(request.starts_with("get /other http/1.1"), "{request}");
    assert!(request.contains("x-prometheus-scrape-timeout-seconds: 0.1"), "{request}");
    let targets = manager.targets();
    assert_eq!(targets.active_targets[0].scrape_timeout, "100ms");
    assert_eq!(targets.active_targets[0].discovered_labels["__metrics_path__"], "/metrics");
    assert_eq!(targets.dropped_targets[0].discovered_labels["__address__"], "drop.me:1");
    assert_eq!(targets.dropped_target_counts, Some([("j".to_owned(), 1)].into()));
    manager.shutdown().await;
}
