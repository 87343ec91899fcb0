//! Both ends against each other over loopback, through outages and restarts; and against InfluxDB where it is at hand.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use model::{FloatHistogram, Labels, Matcher, Metadata, MetricType, SampleValue, histogram::Span};
use remote::{ReadClient, RemoteReadConfig, RemoteWrite, RemoteWriteConfig, RemoteWriteOptions, receive};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tsdb::{Tsdb, TsdbOptions};

/// Times and values as text, by series.
type Content = BTreeMap<String, Vec<String>>;

fn read(engine: &dyn Queryable, matchers: &[Matcher]) -> Content {
    let querier = engine.querier(i64::MIN, i64::MAX).unwrap();
    let mut content = Content::new();
    for series in querier.select(&SelectHints::default(), matchers).unwrap() {
        let series = series.unwrap();
        let mut samples = Samples::default();
        series.read(&mut samples).unwrap();
        let text = |at: usize| match samples.value(at) {
            SampleValue::Float(value) => format!("{} {:x}", samples.timestamps[at], value.to_bits()),
            SampleValue::Histogram(value) => format!("{} {value:?}", samples.timestamps[at]),
        };
        content.insert(series.labels().to_string(), (0..samples.len()).map(text).collect());
    }
    content
}

/// One HTTP request's head, in lower case, and its body.
struct Received {
    head: String,
    body: Vec<u8>,
}

type Handler = Arc<dyn Fn(Received) -> (u16, Vec<u8>) + Send + Sync>;

/// A server on a free port that answers as `handler` says.
async fn serve(handler: Handler) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let handler = Arc::clone(&handler);
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                loop {
                    let mut part = [0; 65_536];
                    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                        match stream.read(&mut part).await {
                            Ok(count) if count > 0 => bytes.extend_from_slice(&part[..count]),
                            _ => return,
                        }
                        continue;
                    };
                    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                    let length: usize = head
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok())
                        .unwrap_or(0);
                    while bytes.len() < end + 4 + length {
                        let count = stream.read(&mut part).await.unwrap();
                        bytes.extend_from_slice(&part[..count]);
                    }
                    let body = bytes[end + 4..end + 4 + length].to_vec();
                    bytes.drain(..end + 4 + length);
                    let handler = Arc::clone(&handler);
                    let (status, answer) =
                        tokio::task::spawn_blocking(move || handler(Received { head, body })).await.unwrap();
                    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", answer.len());
                    stream.write_all(head.as_bytes()).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    url
}

fn open(dir: &Path) -> Arc<Tsdb> {
    Tsdb::open(TsdbOptions { segment_bytes_max: 3000, ..TsdbOptions::new(dir) }).unwrap()
}

fn histogram(count: f64) -> SampleValue {
    SampleValue::Histogram(Arc::new(FloatHistogram {
        count,
        sum: 2.5,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 1.0,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 1, length: 1 }],
        positive_buckets: vec![1.0, 2.0, count],
        ..FloatHistogram::default()
    }))
}

fn append(engine: &Tsdb, times: std::ops::Range<i64>) {
    for time in times {
        let batch: Vec<SeriesSamples> = ["a", "b", "h", "secret"]
            .into_iter()
            .map(|name| SeriesSamples {
                labels: Labels::from_pairs([("__name__", name), ("job", "j")]),
                samples: vec![(
                    time,
                    if name == "h" { histogram(time as f64) } else { SampleValue::Float(time as f64 / 2.0) },
                )],
                ..SeriesSamples::default()
            })
            .collect();
        assert_eq!(engine.append_series(&batch).unwrap().samples_appended, 4);
    }
}

fn config(url: &str, message: &str) -> RemoteWriteConfig {
    let text = format!(
        "url: {url}\nprotobuf_message: {message}\nsend_native_histograms: true\nname: test\n\
         queue_config: {{max_samples_per_send: 7, batch_send_deadline: 50ms, min_shards: 3, min_backoff: 1ms, max_backoff: 5ms, capacity: 10}}\n\
         metadata_config: {{send_interval: 50ms}}\n\
         write_relabel_configs: [{{source_labels: [__name__], regex: secret, action: drop}}]\n"
    );
    yaml::from_str("test.yml", &text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_arrive_through_outages_and_restarts() {
    for message in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = open(there.path());
        let outage = Arc::new(Mutex::new(true));
        let handler: Handler = {
            let (target, outage) = (Arc::clone(&target), Arc::clone(&outage));
            Arc::new(move |request| {
                let header = |name: &str| {
                    request.head.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned)).unwrap_or_default()
                };
                // Lower case is fine but for the name of the message.
                let content_type = header("content-type: ").replace(".request", ".Request");
                let batch = receive::decode(&content_type, &header("content-encoding: "), &request.body).unwrap();
                if *outage.lock().unwrap() {
                    return (503, b"away".to_vec());
                }
                // What is sent twice around a restart is there already.
                match receive::append(&*target, batch) {
                    Ok(_) | Err(receive::ReceiveError::Refused { .. }) => (204, Vec::new()),
                    Err(error) => (error.status(), error.to_string().into_bytes()),
                }
            })
        };
        let url = serve(handler).await;
        let options = |engine: &Arc<Tsdb>| RemoteWriteOptions {
            tsdb: Arc::clone(engine),
            external_labels: Labels::from_pairs([("region", "eu"), ("job", "not this")]),
            dir: here.path().join("remote"),
            registry: telemetry::Registry::new(),
            clock: Arc::new(system::SystemClock),
        };
        let start = 1_700_000_000_000_i64;
        let engine = open(here.path());
        append(&engine, start - 10..start);
        let queue = RemoteWrite::start(config(&url, message), options(&engine)).unwrap();
        append(&engine, start..start + 40);
        queue.stop(Duration::from_millis(50)).await;
        assert_eq!(read(&*target, &[]), Content::new(), "nothing arrives during an outage");
        append(&engine, start + 40..start + 60);
        drop(engine);
        *outage.lock().unwrap() = false;
        let engine = open(here.path());
        let metadata = Metadata { metric_type: MetricType::Counter, help: "help".into(), unit: String::new() };
        engine.append_metadata(&[("a".to_owned(), metadata.clone())]).unwrap();
        let queue = RemoteWrite::start(config(&url, message), options(&engine)).unwrap();
        append(&engine, start + 60..start + 80);
        let expected = || {
            let mut expected = Content::new();
            for (series, mut samples) in read(&*engine, &[]) {
                samples.retain(|sample| sample.as_str() >= start.to_string().as_str());
                if !series.contains("secret") {
                    expected.insert(series.replace("job=\"j\"", "job=\"j\", region=\"eu\""), samples);
                }
            }
            expected
        };
        wait(|| read(&*target, &[]) == expected()).await;
        wait(|| target.metadata().get("a") == Some(&metadata)).await;
        // Everything was sent: a third start sends nothing again.
        queue.stop(Duration::from_secs(5)).await;
        let registry = telemetry::Registry::new();
        let queue = RemoteWrite::start(
            config(&url, message),
            RemoteWriteOptions { registry: registry.clone(), ..options(&engine) },
        )
        .unwrap();
        append(&engine, start + 80..start + 81);
        wait(|| read(&*target, &[]) == expected()).await;
        queue.stop(Duration::from_secs(5)).await;
        let sent = registry
            .counter("prometheus_remote_storage_samples_total", "", &[("remote_name", "test"), ("url", &url)])
            .get();
        assert_eq!(sent, 2.0, "a and b; h is a histogram");
    }
}

/// Until something on other threads has happened.
async fn wait(mut happened: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if happened() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within 10 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_not_sent_again() {
    let here = tempfile::tempdir().unwrap();
    let requests = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&requests);
    let url = serve(Arc::new(move |_| {
        *seen.lock().unwrap() += 1;
        (400, b"no".to_vec())
    }))
    .await;
    let engine = open(here.path());
    let registry = telemetry::Registry::new();
    let options = RemoteWriteOptions {
        tsdb: Arc::clone(&engine),
        external_labels: Labels::empty(),
        dir: here.path().join("remote"),
        registry: registry.clone(),
        clock: Arc::new(system::SystemClock),
    };
    let queue = RemoteWrite::start(config(&url, "prometheus.WriteRequest"), options).unwrap();
    append(&engine, 0..7);
    let failed = registry.counter(
        "prometheus_remote_storage_samples_failed_total",
        "",
        &[("remote_name", "test"), ("url", &url)],
    );
    wait(|| failed.get() == 21.0).await;
    queue.stop(Duration::from_secs(5)).await;
    assert!(*requests.lock().unwrap() <= 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_from_another_server() {
    let there = tempfile::tempdir().unwrap();
    let engine = open(there.path());
    append(&engine, 0..30);
    let external = Labels::from_pairs([("region", "eu")]);
    let (served, added) = (Arc::clone(&engine), external.clone());
    let url = serve(Arc::new(move |request| {
        assert!(request.head.contains("x-prometheus-remote-read-version: 0.1.0"));
        match remote::read::answer(&*served, &request.body, &added, 70) {
            Ok(body) => (200, body),
            Err(error) => (error.status(), error.to_string().into_bytes()),
        }
    }))
    .await;
    let config = RemoteReadConfig {
        url,
        required_matchers: BTreeMap::from([("job".to_owned(), "j".to_owned())]),
        ..RemoteReadConfig::default()
    };
    let runtime = tokio::runtime::Handle::current();
    let client = move |local_start_ms: i64, external_labels: Labels| {
        let options = remote::read::ReadClientOptions {
            external_labels,
            local_start_ms: Arc::new(move || local_start_ms),
            runtime: runtime.clone(),
        };
        ReadClient::new(config.clone(), options).unwrap()
    };
    tokio::task::spawn_blocking(move || {
        let job = Matcher::equal("job", "j");
        let two = Matcher::new("__name__", model::MatchOp::Regex, "a|h");
        let expected = read(&*engine, std::slice::from_ref(&two));
        // With our external labels, the same series; with others, nobody's.
        assert_eq!(read(&client(i64::MAX, external), &[job.clone(), two.clone()]), expected);
        assert_eq!(
            read(&client(i64::MAX, Labels::from_pairs([("region", "us")])), &[job.clone(), two.clone()]),
            Content::new()
        );
        let older = read(&client(10, Labels::empty()), &[job.clone(), two.clone()]);
        assert!(older.len() == 2 && older.values().all(|samples| samples.len() == 10), "{older:?}");
        assert_eq!(read(&client(i64::MAX, Labels::empty()), &[two]), Content::new(), "without the required matcher");
        let querier = client(i64::MAX, Labels::empty()).querier(0, 100).unwrap();
        let Err(error) = querier.select(&SelectHints::default(), &[job]) else { panic!("120 samples are too many") };
        assert!(error.to_string().ends_with("HTTP status 400 Bad Request: exceeded sample limit (70)"), "{error}");
    })
    .await
    .unwrap();
}

#[test]
fn requests_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    for (content_type, encoding, body, status, text) in [
        ("text/plain", "snappy", &b""[..], 415, "Content-Type"),
        ("application/x-protobuf;proto=x", "snappy", b"", 415, "Content-Type"),
        ("application/x-protobuf", "gzip", b"", 415, "Content-Encoding"),
        ("application/x-protobuf", "snappy", b"\xff", 400, "snappy"),
        ("application/x-protobuf", "snappy", &bomb, 400, "exceed the limit"),
        ("application/x-protobuf", "snappy", b"\x02\x04\xff\xff", 400, "protobuf"),
    ] {
        let error = receive::decode(content_type, encoding, body).unwrap_err();
        assert_eq!((error.status(), error.to_string().contains(text)), (status, true), "{error}");
    }
    let one = |time: i64, value: f64| receive::WriteBatch {
        series: vec![SeriesSamples {
            labels: Labels::from_pairs([("__name__", "x")]),
            samples: vec![(time, SampleValue::Float(value))],
            ..SeriesSamples::default()
        }],
        ..receive::WriteBatch::default()
    };
    assert_eq!(receive::append(&*engine, one(10, 1.0)).unwrap().samples, 1);
    assert_eq!(receive::append(&*engine, one(10, 1.0)).unwrap().samples, 1, "the same again is fine");
    let error = receive::append(&*engine, one(10, 2.0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 of 1 samples were not taken: 0 out of order, 1 duplicates with another value, 0 too old, 0 too far in the future"
    );
    assert_eq!(error.status(), 400);
    engine.close().unwrap();
    assert_eq!(receive::append(&*engine, one(11, 2.0)).unwrap_err().status(), 503);
}

#[test]
fn configuration() {
    let faults = |text: &str| match yaml::from_str::<RemoteWriteConfig>("x.yml", text) {
        Ok(config) => config
            .faults()
            .into_iter()
            .map(|fault| format!("{}: {}", fault.path, fault.message))
            .collect::<Vec<_>>()
            .join("; "),
        Err(faults) => faults.to_string(),
    };
    for (text, expected) in [
        ("url: http://x", ""),
        ("name: x", "url: url for remote_write is empty"),
        (
            "url: http://x\nqueue_config: {min_shards: 9, max_shards: 3}",
            "queue_config.min_shards: min_shards 9 exceeds max_shards 3",
        ),
        ("url: http://x\nheaders: {Host: y}", "headers: Host is a reserved header. It must not be changed"),
        (
            "url: http://x\nsigv4: {region: a}",
            "sigv4: sigv4 is not supported; use basic_auth, authorization, oauth2 or TLS certificates",
        ),
    ] {
        assert_eq!(faults(text), expected, "{text}");
    }
    let everything = "
url: http://x
name: n
protobuf_message: prometheus.WriteRequest
remote_timeout: 30s
headers: {X-Scope-OrgID: a}
write_relabel_configs: [{action: labeldrop, regex: a}]
send_exemplars: true
send_native_histograms: true
round_robin_dns: false
queue_config: {capacity: 1, max_shards: 1, min_shards: 1, max_samples_per_send: 1, batch_send_deadline: 5s, min_backoff: 30ms, max_backoff: 5s, retry_on_http_429: true, sample_age_limit: 1h}
metadata_config: {send: false, send_interval: 1m, max_samples_per_send: 5}
basic_auth: {username: u, password: p}
enable_http2: true
";
    assert_eq!(faults(everything), "");
    let reading: RemoteReadConfig = yaml::from_str("x.yml", "url: http://x\nread_recent: true\nrequired_matchers: {a: b}\nremote_timeout: 1m\nfilter_external_labels: false\n").unwrap();
    assert_eq!(reading.faults(), []);
}

/// InfluxDB 1.x speaks both protocols. Start it with `influxd -config …` and name it, as in
/// `VIGIE_INFLUXDB_URL=http://127.0.0.1:18086 cargo test -p remote influxdb`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn influxdb_takes_and_gives_back() {
    let Some(base) = peer("VIGIE_INFLUXDB_URL") else { return };
    let client = http_client::HttpClient::new(&http_client::HttpClientConfig::default()).unwrap();
    let create = format!("{base}/query?q=CREATE%20DATABASE%20vigie");
    let request = http_client::Request::post(create, "text/plain", "", Duration::from_secs(5), 10_000);
    assert!(client.send(request).await.unwrap().is_success());
    round_trip(
        &format!("{base}/api/v1/prom/write?db=vigie"),
        format!("{base}/api/v1/prom/read?db=vigie"),
        "prometheus.WriteRequest",
    )
    .await;
}

/// Prometheus with `--web.enable-remote-write-receiver`, named by `VIGIE_PROMETHEUS_URL`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_takes_and_gives_back() {
    let Some(base) = peer("VIGIE_PROMETHEUS_URL") else { return };
    for message in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        round_trip(&format!("{base}/api/v1/write"), format!("{base}/api/v1/read"), message).await;
    }
}

fn peer(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        let _ =
            std::io::Write::write_all(&mut std::io::stdout(), format!("skipped: {variable} is not set\n").as_bytes());
    }
    url
}

async fn round_trip(write_url: &str, read_url: String, message: &str) {
    let here = tempfile::tempdir().unwrap();
    let engine = open(here.path());
    let options = RemoteWriteOptions {
        tsdb: Arc::clone(&engine),
        external_labels: Labels::empty(),
        dir: here.path().join("remote"),
        registry: telemetry::Registry::new(),
        clock: Arc::new(system::SystemClock),
    };
    let mut write = config(write_url, message);
    write.send_native_histograms = false;
    let queue = RemoteWrite::start(write, options).unwrap();
    let start = system::Clock::now_ms(&system::SystemClock) - 100_000;
    append(&engine, start..start + 50);
    queue.stop(Duration::from_secs(10)).await;
    let read_config = RemoteReadConfig { url: read_url, ..RemoteReadConfig::default() };
    let options = remote::read::ReadClientOptions {
        external_labels: Labels::empty(),
        local_start_ms: Arc::new(|| i64::MAX),
        runtime: tokio::runtime::Handle::current(),
    };
    let client = ReadClient::new(read_config, options).unwrap();
    tokio::task::spawn_blocking(move || {
        let selector = [Matcher::new("__name__", model::MatchOp::Regex, "a|b"), Matcher::equal("job", "j")];
        let content = |engine: &dyn Queryable| {
            let querier = engine.querier(start, start + 100).unwrap();
            let mut content = Content::new();
            for series in querier.select(&SelectHints::default(), &selector).unwrap() {
                let series = series.unwrap();
                let mut samples = Samples::default();
                series.read(&mut samples).unwrap();
                let list =
                    samples.timestamps.iter().zip(&samples.values).map(|(time, value)| format!("{time} {value}"));
                content.insert(series.labels().to_string(), list.collect());
            }
            content
        };
        assert_eq!(content(&client), content(&*engine));
        assert_eq!(content(&client).len(), 2);
    })
    .await
    .unwrap();
}
