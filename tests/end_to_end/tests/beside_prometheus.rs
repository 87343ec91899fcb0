//! The same requests to Prometheus and to Vigie, over the same data, jobs and rules.

use anyhow::{Context, Result, bail, ensure};
use harness::{Program, Vigie, free_port, http, peer, shared, until, vigie::binary};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// See the head of the file.
const REQUESTS: &str = include_str!("../testdata/requests.txt");

const RULES: &str = "
groups:
- name: a
  rules:
  - {record: r:one, expr: vector(1), labels: {k: v}}
  - {alert: Always, expr: vector(1), labels: {severity: page}, annotations: {s: 'x {{ $value }}'}}
  - {alert: Waits, expr: vector(1), for: 1h}
- name: b
  interval: 2s
  limit: 5
  rules: [{alert: Never, expr: vector(1) > 5}]
- name: c
  rules: [{alert: Broken, expr: 'label_replace(vector(1), \"a\", \"$1\", \"b\", \"(\")'}]
";

fn config(scraped: u16) -> String {
    format!(
        "
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, external_labels: {{replica: fixed}}}}
rule_files: [rules.yml]
scrape_configs:
- {{job_name: app, static_configs: [{{targets: ['127.0.0.1:{scraped}'], labels: {{env: prod}}}}]}}
- job_name: gone
  relabel_configs: [{{source_labels: [__address__], regex: 'x.*', action: drop}}]
  static_configs: [{{targets: ['x:1', '127.0.0.1:1']}}]
"
    )
}

const FLAGS: [&str; 5] = [
    "--enable-feature=exemplar-storage,promql-experimental-functions,promql-per-step-stats",
    "--storage.tsdb.retention.time=100y",
    "--web.enable-admin-api",
    "--web.enable-lifecycle",
    "--web.enable-remote-write-receiver",
];

fn run(program: &Path, args: &[&str], folder: &Path) -> Result<()> {
    let output = Command::new(program).args(args).current_dir(folder).output()?;
    ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Of a JSON answer only the keys; of a list only its first entry.
fn keys(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), keys(value))).collect(),
        Value::Array(items) => items.first().map(keys).into_iter().collect(),
        Value::String(_) => Value::from("text"),
        Value::Number(_) => Value::from("number"),
        other => other.clone(),
    }
}

/// Headers that must be equal.
const HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "allow",
    "content-type",
];

/// What both scrape.
const TARGET: &str = r#"# HELP a_seconds Some help "quoted".
# TYPE a_seconds histogram
# UNIT a_seconds seconds
a_seconds_bucket{le="0.1"} 1
a_seconds_bucket{le="+Inf"} 3
a_seconds_sum 1.5
a_seconds_count 3
# HELP b Requests.
# TYPE b counter
b_total{code="200"} 5 # {trace_id="xyz"} 1 1700000000.5
# TYPE g gauge
g 1
{"utf.8","a.b"="c"} 3
# EOF
"#;

/// Serves [`TARGET`] to whoever asks, until the test ends; returns the port.
fn target() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            let length = TARGET.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(TARGET.as_bytes()));
        }
    });
    Ok(port)
}

/// A body in text or protobuf with the times of samples, which differ by when each scraped, taken out.
fn without_times(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.starts_with("# ") || text.is_empty() {
        return text
            .lines()
            .map(|line| if line.starts_with('#') { line } else { line.rsplit_once(' ').map_or(line, |(head, _)| head) })
            .collect::<Vec<_>>()
            .join("\n");
    }
    // In protobuf the time stands behind the value: field 5 with a field 1 of eight bytes in it.
    let value_ends = body.windows(3).position(|three| three == [0x2a, 0x09, 0x09]).map_or(body.len(), |at| at + 11);
    format!("{:?}", &body[..value_ends.min(body.len())])
}

fn comparable(how: &str, response: &http::Response) -> Value {
    let mut body = serde_json::from_slice::<Value>(&response.body).unwrap_or_else(|_| Value::String(response.text()));
    if body["data"]["resultType"] == "vector"
        && let Some(result) = body["data"]["result"].as_array_mut()
    {
        // An instant vector has no order.
        result.sort_by_key(ToString::to_string);
    }
    if let Some(data) = body.get_mut("data").and_then(Value::as_array_mut)
        && data.first().is_some_and(|first| first["target"].is_object())
    {
        // Nor has the metadata of a target.
        data.sort_by_key(ToString::to_string);
    }
    let content = match how {
        "=" | "!" => body,
        "f" => Value::String(without_times(&response.body)),
        "k" => keys(&body),
        _ => body["errorType"].clone(),
    };
    let headers: Vec<_> = HEADERS.iter().map(|name| response.header(name)).collect();
    // That answers differ by their compression, too, Prometheus leaves out.
    let by_origin = response.headers.iter().any(|(name, value)| name == "vary" && value == "Origin");
    serde_json::json!({"status": response.status, "content": content, "headers": headers, "by_origin": by_origin})
}

#[test]
fn requests_are_answered_alike() -> Result<()> {
    let (Some(prometheus), Some(promtool), Some(tools)) = (peer("prometheus"), peer("promtool"), shared("tools/e2e"))
    else {
        return Ok(());
    };
    let (theirs, ours) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let seed = Command::new("python3").arg(tools.join("seed.py")).output().context("python3")?;
    let scraped = target()?;
    for folder in [theirs.path(), ours.path()] {
        std::fs::write(folder.join("seed.om"), &seed.stdout)?;
        std::fs::write(folder.join("rules.yml"), RULES)?;
    }
    run(&promtool, &["tsdb", "create-blocks-from", "openmetrics", "seed.om", "data"], theirs.path())?;
    run(&binary()?, &["tsdb", "import", "seed.om"], ours.path())?;
    std::fs::write(theirs.path().join("prometheus.yml"), config(scraped))?;
    let port = free_port()?;
    let _running = Program::start(
        "prometheus",
        Command::new(&prometheus)
            .current_dir(theirs.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(FLAGS),
        theirs.path(),
    )?;
    let vigie = Vigie::start_in(ours.path(), Some(&config(scraped)), &FLAGS)?;
    let theirs = format!("http://127.0.0.1:{port}");
    for base in [&theirs, &vigie.url("")] {
        until(SOON, "targets scraped and rules evaluated", || {
            let targets = http::get(&format!("{base}/api/v1/targets?scrapePool=gone"))?.json()?;
            ensure!(targets["data"]["activeTargets"][0]["health"] == "down", "{targets}");
            let scraped = http::get(&format!("{base}/api/v1/query?query=g"))?.json()?;
            ensure!(scraped["data"]["result"][0]["value"][1] == "1", "{scraped}");
            let rules = http::get(&format!("{base}/api/v1/rules?rule_group[]=b"))?.json()?;
            ensure!(rules["data"]["groups"][0]["rules"][0]["health"] == "ok", "{rules}");
            let alerts = http::get(&format!("{base}/api/v1/rules?rule_name[]=Always"))?.json()?;
            ensure!(alerts["data"]["groups"][0]["rules"][0]["state"] == "firing", "{alerts}");
            Ok(())
        })?;
    }

    let (mut count, mut different) = (0, Vec::new());
    for request in REQUESTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = request.splitn(5, ' ');
        let mut part = || parts.next().unwrap_or_default();
        let (how, method, path, form, header) = (part(), part(), part(), part(), part());
        let mut headers = Vec::new();
        if !form.is_empty() && form != "-" {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        headers.extend(header.split_once(": "));
        let body = if form == "-" { "" } else { form };
        let ask = |base: &str| http::send(method, &format!("{base}{path}"), &headers, body.as_bytes());
        let (theirs, ours) = (ask(&theirs)?, ask(&vigie.url(""))?);
        count += 1;
        let is_equal = comparable(how, &theirs) == comparable(how, &ours);
        if is_equal == (how == "!") {
            let short = |r: &http::Response| format!("{} {}", r.status, r.text().chars().take(400).collect::<String>());
            different.push(format!("{request}\n  theirs {}\n  ours   {}", short(&theirs), short(&ours)));
        }
    }
    assert!(different.is_empty(), "{} of {count} differ:\n{}", different.len(), different.join("\n"));
    Ok(())
}

#[test]
fn what_only_newer_versions_have() -> Result<()> {
    let vigie = Vigie::start_with_port(config, &["--web.enable-lifecycle"])?;
    std::fs::write(vigie.folder.join("rules.yml"), RULES)?;
    let openapi = vigie.get("/api/v1/openapi.yaml")?;
    assert_eq!((openapi.status, openapi.header("content-type")), (200, Some("application/yaml; charset=utf-8")));
    ensure!(
        openapi.text().starts_with("openapi: 3.1.0\n") && !openapi.text().contains("VERSION"),
        "{}",
        openapi.text()
    );
    let pool = vigie.api("/api/v1/scrape_pools/config?scrapePool=gone")?;
    ensure!(pool["yaml"].as_str().is_some_and(|yaml| yaml.contains("job_name: gone")), "{pool}");
    let labels = http::encode(r#"{"__address__": "x:1"}"#);
    let steps = vigie.api(&format!("/api/v1/targets/relabel_steps?scrapePool=gone&labels={labels}"))?;
    assert_eq!(steps["steps"][0]["keep"], false, "{steps}");
    assert_eq!(vigie.get("/api/v1/scrape_pools/config?scrapePool=nosuch")?.status, 400);
    let own = vigie.api("/api/v1/status/self_metrics")?;
    ensure!(
        own.as_array().is_some_and(|all| all.iter().any(|one| {
            one["name"] == "process_cpu_seconds_total" && one["metric"][0]["counter"]["value"].is_number()
        })),
        "{own}"
    );

    let own = vigie.api("/api/v1/status/self_metrics?metric_name_pattern=process_.*_fds")?;
    assert_eq!(own.as_array().map(Vec::len), Some(2), "{own}");
    assert_eq!(vigie.get("/api/v1/status/self_metrics?metric_name_pattern=(")?.status, 400);

    // A reload that fails is a notification until one does not.
    let good = std::fs::read_to_string(vigie.folder.join("prometheus.yml"))?;
    std::fs::write(vigie.folder.join("prometheus.yml"), "nonsense: 1")?;
    assert_eq!(http::post(&vigie.url("/-/reload"), "", "")?.status, 500);
    let told = vigie.api("/api/v1/notifications")?;
    assert_eq!(told[0]["active"], true, "{told}");
    std::fs::write(vigie.folder.join("prometheus.yml"), good)?;
    assert_eq!(http::post(&vigie.url("/-/reload"), "", "")?.status, 200);
    assert_eq!(vigie.api("/api/v1/notifications")?, serde_json::json!([]));
    let many = format!("/api/v1/series?{}", "match[]=up&".repeat(1001));
    assert_eq!(vigie.get(&many)?.status, 400);
    Ok(())
}

/// Entries of the query log have the keys of Prometheus'.
#[test]
fn query_logs_are_alike() -> Result<()> {
    let Some(prometheus) = peer("prometheus") else { return Ok(()) };
    let config = "global: {query_log_file: queries.log, evaluation_interval: 1s}\nrule_files: [rules.yml]\n";
    let (theirs, ours) = (tempfile::tempdir()?, tempfile::tempdir()?);
    std::fs::write(theirs.path().join("prometheus.yml"), config)?;
    for folder in [&theirs, &ours] {
        std::fs::write(folder.path().join("rules.yml"), RULES)?;
    }
    let port = free_port()?;
    let _running = Program::start(
        "prometheus",
        Command::new(&prometheus)
            .current_dir(theirs.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
        theirs.path(),
    )?;
    let vigie = Vigie::start_in(ours.path(), Some(config), &[])?;
    let duplicates = http::encode("label_replace(vector(1), \"a\", \"$1\", \"b\", \"(\")");
    let mut logged = Vec::new();
    for (base, folder) in [(format!("http://127.0.0.1:{port}"), &theirs), (vigie.url(""), &ours)] {
        until(SOON, "readiness", || {
            ensure!(http::get(&format!("{base}/-/ready"))?.status == 200, "not yet");
            Ok(())
        })?;
        for path in [
            "/api/v1/query?query=vector(1)&time=5".to_owned(),
            "/api/v1/query_range?query=vector(1)&start=5&end=65&step=15".to_owned(),
            format!("/api/v1/query?query={duplicates}&time=5"),
        ] {
            http::get(&format!("{base}{path}"))?;
        }
        http::post(&format!("{base}/api/v1/query"), "application/x-www-form-urlencoded", "query=time()&time=1.5")?;
        let (entries, of_rules) = until(SOON, "four entries, and some of rules", || {
            let text = std::fs::read_to_string(folder.path().join("queries.log"))?;
            let entries: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            let (of_rules, entries): (Vec<_>, Vec<_>) =
                entries.into_iter().partition(|entry| entry["ruleGroup"].is_object());
            // One each of a rule that works and of one that does not.
            let first = |group: &str| of_rules.iter().find(|entry| entry["ruleGroup"]["name"] == group).cloned();
            let (Some(good), Some(bad)) = (first("b"), first("c")) else { bail!("no rules in {text}") };
            ensure!(entries.len() == 4, "{text}");
            Ok((entries, [good, bad]))
        })?;
        // What was asked is compared to the value, what it cost by its keys.
        let comparable = |entry: &Value| {
            let same = ["httpRequest", "ruleGroup", "error", "msg", "level"].map(|key| entry[key].clone());
            let of_time = ["start", "end", "step"].map(|key| entry["params"][key].clone());
            (same, entry["params"]["query"].clone(), entry["httpRequest"].is_object().then_some(of_time), keys(entry))
        };
        logged.push(entries.iter().chain(&of_rules).map(comparable).collect::<Vec<_>>());
    }
    assert_eq!(logged[1], logged[0]);
    Ok(())
}
