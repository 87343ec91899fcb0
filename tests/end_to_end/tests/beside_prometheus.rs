//! The same requests to Prometheus and to Vigie, over the same data, jobs and rules.

use anyhow::{Context, Result, ensure};
use harness::{Program, Vigie, free_port, http, peer, shared, until, vigie::binary};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// How answers are compared: `=` to the value, `k` by their keys, for what differs between any two servers, `s` by
/// status and kind of error, for refusals that each words in its own way. Then method, path, form and headers.
const REQUESTS: &str = r#"
= GET /api/v1/query?query=up&time=1735691400
= GET /api/v1/query?query=up&time=2025-01-01T00:30:00Z
= GET /api/v1/query?query=up&time=1735691400&limit=2
= GET /api/v1/query?query=up&time=1735691400&limit=-1
s GET /api/v1/query?query=up&time=1735691400&limit=x
= GET /api/v1/query?query=up&time=x
= GET /api/v1/query?query=up&time=1735691400&timeout=x
= GET /api/v1/query?query=up&time=1735691400&timeout=0.5
= GET /api/v1/query?query=up&time=1735691410&lookback_delta=5s
= GET /api/v1/query?query=up&time=1735691410&lookback_delta=x
= GET /api/v1/query?query=up&time=1735691410&lookback_delta=-5s
= GET /api/v1/query?query=up&time=1735691410&lookback_delta=0
s GET /api/v1/query
s GET /api/v1/query?query=up(
= GET /api/v1/query?query={}
= GET /api/v1/query?query="a"&time=1
= GET /api/v1/query?query=foo{__name__="bar"}
= GET /api/v1/query?query=absent(nosuch{a="b"})&time=1735691400
= GET /api/v1/query?query=up<1&time=1735691400
= GET /api/v1/query?query=up[1m]&time=1735691400
= GET /api/v1/query?query=1/0&time=1
= GET /api/v1/query?query=up*on(job)up&time=1735691400
= GET /api/v1/query?query=quantile(2,up)&time=1735691400
= GET /api/v1/query?query=rate(up[1m])&time=1735691400
k GET /api/v1/query?query=up&time=1735691400&stats=true
k GET /api/v1/query?query=up&time=1735691400&stats=all
= POST /api/v1/query query=up&time=1735691400
= POST /api/v1/query?time=1735691400 query=up
= POST /api/v1/query?query=nosuch&time=1735691400 query=up
s PUT /api/v1/query query=up
s DELETE /api/v1/query
= OPTIONS /api/v1/query - Origin: http://x
= GET /api/v1/query?query=1&time=0 - Origin: http://x
= GET /api/v1/query_range?query=up&start=1735691400&end=1735691460&step=30
= GET /api/v1/query_range?query=up&start=1735691400&end=1735691460&step=30&limit=1
= GET /api/v1/query_range?query=up&start=1735691400.123&end=1735691460.5&step=0.7&limit=1
= GET /api/v1/query_range?query=1&start=2025-01-01T00:00:00Z&end=2025-01-01T00:01:00Z&step=30s
= GET /api/v1/query_range?query=up&start=1735691400&end=1735691460
= GET /api/v1/query_range?query=up&start=1735691400&end=1735691460&step=0
= GET /api/v1/query_range?query=up&start=1735691400&end=1735691460&step=-1
= GET /api/v1/query_range?query=up&start=1735691400&end=1735691460&step=x
= GET /api/v1/query_range?query=up&start=1735691460&end=1735691400&step=1
= GET /api/v1/query_range?query=up&start=x&end=1735691400&step=1
= GET /api/v1/query_range?query=up&start=1&end=1735691400&step=1
= GET /api/v1/query_range?query=up[1m]&start=1735691400&end=1735691460&step=30
= GET /api/v1/query_range?query="a"&start=1735691400&end=1735691460&step=30
= GET /api/v1/query_range?query=up&start=1735691400&end=1735691460&step=30&lookback_delta=1s
k GET /api/v1/query_range?query=up&start=1735691400&end=1735691460&step=30&stats=all
= GET /api/v1/query_exemplars?query=http_requests_total&start=1735689600&end=1735696800
= GET /api/v1/query_exemplars?query=up&start=1735696800&end=1735689600
s GET /api/v1/query_exemplars?query=up(&start=1735689600&end=1735696800
= GET /api/v1/format_query?query=sum(up)by(job)
= POST /api/v1/format_query query=sum(up)by(job)
= GET /api/v1/parse_query?query=sum(up)by(job)
= GET /api/v1/parse_query?query=sum(
= GET /api/v1/labels?start=1735696800&end=1735689600
= GET /api/v1/labels?match[]=http_requests_total&start=1735689600&end=1735696800
= GET /api/v1/labels?match[]=http_requests_total&match[]=build_info&start=1735689600&end=1735696800&limit=2
= GET /api/v1/labels?match[]={}
s GET /api/v1/labels?match[]=
= GET /api/v1/labels?start=x
= POST /api/v1/labels match[]=http_requests_total&start=1735689600&end=1735696800
= GET /api/v1/label/job/values?match[]=http_requests_total&start=1735689600&end=1735696800
= GET /api/v1/label/job/values?match[]=up{job="db"}&start=1735689600&end=1735696800
= GET /api/v1/label/U__http_2e_x/values?start=1735689600&end=1735696800
= GET /api/v1/label/code/values?start=1735689600&end=1735696800&limit=1
s POST /api/v1/label/job/values start=1
= GET /api/v1/series
= GET /api/v1/series?match[]=up&start=1735689600&end=1735696800
= GET /api/v1/series?match[]=up&start=1735689600&end=1735696800&limit=1
= GET /api/v1/series?match[]=http_requests_total{code="500"}&match[]={job="db"}&start=1735689600&end=1735696800
= GET /api/v1/series?match[]={}
= GET /api/v1/series?match[]=up&start=x
= POST /api/v1/series match[]=up&start=1735689600&end=1735696800
= GET /api/v1/metadata?metric=nosuch
= GET /api/v1/metadata?limit=x
= GET /api/v1/metadata?limit_per_metric=x
k GET /api/v1/targets
s GET /api/v1/targets?state=x
k GET /api/v1/targets?state=dropped
k GET /api/v1/targets?scrapePool=gone
k GET /api/v1/targets?scrapePool=nosuch
= GET /api/v1/scrape_pools
= GET /api/v1/targets/metadata?match_target={job="nosuch"}
= GET /api/v1/targets/metadata?match_target={job="ww
= GET /api/v1/targets/metadata?limit=x
k GET /api/v1/rules
k GET /api/v1/rules?type=record
= GET /api/v1/rules?type=x
k GET /api/v1/rules?rule_name[]=Never
k GET /api/v1/rules?rule_group[]=a
= GET /api/v1/rules?file[]=nosuch
k GET /api/v1/rules?match[]={severity="page"}
s GET /api/v1/rules?match[]={severity="page
s GET /api/v1/rules?exclude_alerts=x
k GET /api/v1/rules?group_limit=1
k GET /api/v1/rules?group_limit=9
= GET /api/v1/rules?group_limit=0
s GET /api/v1/rules?group_limit=x
= GET /api/v1/rules?group_next_token=abc
s GET /api/v1/rules?group_limit=1&group_next_token=abc
k GET /api/v1/alerts
= GET /api/v1/alertmanagers
k GET /api/v1/status/config
k GET /api/v1/status/runtimeinfo
k GET /api/v1/status/buildinfo
k GET /api/v1/status/tsdb
= GET /api/v1/status/tsdb?limit=x
= GET /api/v1/status/tsdb?limit=0
= GET /api/v1/status/walreplay
= GET /api/v1/notifications
= GET /api/v1/nosuch
= POST /api/v1/admin/tsdb/delete_series
= POST /api/v1/admin/tsdb/delete_series?match[]=nosuch{a="b"}
= PUT /api/v1/admin/tsdb/delete_series?match[]=nosuch&start=x
s GET /api/v1/admin/tsdb/delete_series?match[]=nosuch
= POST /api/v1/admin/tsdb/clean_tombstones
k POST /api/v1/admin/tsdb/snapshot
s POST /api/v1/admin/tsdb/snapshot?skip_head=x
s POST /api/v1/write x
s POST /api/v1/read x
s GET /api/v1/read
s GET /-/healthy
s GET /-/ready
s GET /-/reload
s GET /-/quit
s GET /federate
s GET /federate?match[]=up(
= GET /federate?match[]=nosuch
"#;

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

const FLAGS: [&str; 4] = [
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

fn comparable(how: &str, response: &http::Response) -> Value {
    let mut body = serde_json::from_slice::<Value>(&response.body).unwrap_or_else(|_| Value::String(response.text()));
    if body["data"]["resultType"] == "vector"
        && let Some(result) = body["data"]["result"].as_array_mut()
    {
        // An instant vector has no order.
        result.sort_by_key(ToString::to_string);
    }
    let content = match how {
        "=" => body,
        "k" => keys(&body),
        _ => body["errorType"].clone(),
    };
    let origin = response.header("access-control-allow-origin").map(str::to_owned);
    serde_json::json!({"status": response.status, "content": content, "origin": origin})
}

#[test]
fn requests_are_answered_alike() -> Result<()> {
    let (Some(prometheus), Some(promtool), Some(tools)) = (peer("prometheus"), peer("promtool"), shared("tools/e2e"))
    else {
        return Ok(());
    };
    let (theirs, ours) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let seed = Command::new("python3").arg(tools.join("seed.py")).output().context("python3")?;
    // Both scrape the same third server.
    let scraped = Vigie::start(None, &[])?;
    for folder in [theirs.path(), ours.path()] {
        std::fs::write(folder.join("seed.om"), &seed.stdout)?;
        std::fs::write(folder.join("rules.yml"), RULES)?;
    }
    run(&promtool, &["tsdb", "create-blocks-from", "openmetrics", "seed.om", "data"], theirs.path())?;
    run(&binary()?, &["tsdb", "import", "seed.om"], ours.path())?;
    std::fs::write(theirs.path().join("prometheus.yml"), config(scraped.port))?;
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
    let vigie = Vigie::start_in(ours.path(), Some(&config(scraped.port)), &FLAGS)?;
    let theirs = format!("http://127.0.0.1:{port}");
    for base in [&theirs, &vigie.url("")] {
        until(SOON, "targets scraped and rules evaluated", || {
            let targets = http::get(&format!("{base}/api/v1/targets?scrapePool=gone"))?.json()?;
            ensure!(targets["data"]["activeTargets"][0]["health"] == "down", "{targets}");
            let rules = http::get(&format!("{base}/api/v1/rules?rule_group[]=b"))?.json()?;
            ensure!(rules["data"]["groups"][0]["rules"][0]["health"] == "ok", "{rules}");
            let alerts = http::get(&format!("{base}/api/v1/rules?rule_name[]=Always"))?.json()?;
            ensure!(alerts["data"]["groups"][0]["rules"][0]["state"] == "firing", "{alerts}");
            Ok(())
        })?;
    }

    let (mut count, mut different) = (0, Vec::new());
    for request in REQUESTS.trim().lines() {
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
        if comparable(how, &theirs) != comparable(how, &ours) {
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
        own.as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "process_cpu_seconds_total")),
        "{own}"
    );

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
