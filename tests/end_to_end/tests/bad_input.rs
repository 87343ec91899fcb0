//! Bad input gets a clear error in the place where a person looks, and nothing else is affected.

use anyhow::{Result, ensure};
use harness::{Vigie, free_port, until};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// A target that answers every request with this body, for ever if it is `endless`.
fn target(body: &'static [u8], endless: bool) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n\r\n",
                );
                while stream.write_all(body).is_ok() && endless {}
            });
        }
    });
    Ok(port)
}

#[test]
fn bad_targets_are_named_and_good_ones_go_on() -> Result<()> {
    let garbage = target(b"this is { not = a metric\n", false)?;
    let binary = target(b"a{b=\"\xff\xfe\"} 1\n", false)?;
    let endless = target(b"endless_metric_line 1\n", true)?;
    let good = target(b"good 1\n", false)?;
    let vigie = Vigie::start(
        Some(&format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: bad
    body_size_limit: 1MB
    static_configs: [{{targets: ['127.0.0.1:{garbage}', '127.0.0.1:{binary}', '127.0.0.1:{endless}']}}]
  - job_name: good
    static_configs: [{{targets: ['127.0.0.1:{good}']}}]
"
        )),
        &[],
    )?;
    vigie.wait_value(SOON, "good", 1.0)?;
    vigie.wait_value(SOON, "sum(up{job=\"bad\"})", 0.0)?;
    vigie.wait_value(SOON, "count(up{job=\"bad\"})", 3.0)?;
    until(SOON, "each bad target has its own error", || {
        let targets = vigie.api("/api/v1/targets")?;
        for target in targets["activeTargets"].as_array().into_iter().flatten() {
            let error = target["lastError"].as_str().unwrap_or_default();
            ensure!((target["scrapePool"] == "good") == error.is_empty(), "{target}");
        }
        Ok(())
    })
}

#[test]
fn bad_queries_say_where() -> Result<()> {
    let vigie = Vigie::start(Some("scrape_configs: []"), &[])?;
    let answer = vigie.get("/api/v1/query?query=sum(")?;
    assert_eq!(answer.status, 400);
    let json = answer.json()?;
    assert_eq!(json["errorType"], "bad_data");
    assert_eq!(json["error"], "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis");
    assert_eq!(vigie.get("/api/v1/query_range?query=up&start=2&end=1&step=1")?.status, 400);
    assert_eq!(vigie.get("/api/v1/query_range?query=up&start=0&end=99999999&step=1")?.status, 400);
    assert_eq!(vigie.get("/api/v1/series?match[]={}")?.status, 400);
    // A hundred thousand parentheses are refused, not followed.
    let deep = "(".repeat(100_000);
    let answer = harness::http::post(
        &vigie.url("/api/v1/query"),
        "application/x-www-form-urlencoded",
        format!("query={}", harness::http::encode(&deep)),
    )?;
    assert_eq!(answer.status, 400);
    assert_eq!(vigie.get("/-/healthy")?.status, 200);
    Ok(())
}

#[test]
fn a_broken_dashboard_file_is_shown_as_broken() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dashboards = folder.path().join("dashboards");
    std::fs::create_dir(&dashboards)?;
    std::fs::write(dashboards.join("broken.json"), "{\"title\": \"Half")?;
    std::fs::write(dashboards.join("good.json"), "{\"uid\": \"good-one\", \"title\": \"Good\", \"panels\": []}")?;
    let vigie = Vigie::start_in(folder.path(), Some("scrape_configs: []"), &["--dashboards.path=dashboards"])?;
    let hits = vigie.get("/api/search")?.json()?;
    let hits = hits.as_array().cloned().unwrap_or_default();
    assert!(hits.iter().any(|hit| hit["uid"] == "good-one"), "{hits:?}");
    assert!(
        hits.iter().any(|hit| hit["problem"].as_str().is_some_and(|problem| problem.contains("broken.json"))),
        "{hits:?}"
    );
    assert_eq!(vigie.get("/api/dashboards/uid/good-one")?.status, 200);
    assert_eq!(vigie.get("/api/dashboards/uid/nosuch")?.status, 404);
    Ok(())
}

#[test]
fn a_broken_configuration_stops_the_start_with_all_faults() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("prometheus.yml"), "global: {scrape_interval: x}\nnosuch: 1\n")?;
    let output = Command::new(harness::vigie::binary()?)
        .arg("--config.file=prometheus.yml")
        .arg(format!("--web.listen-address=127.0.0.1:{}", free_port()?))
        .current_dir(folder.path())
        .output()?;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("prometheus.yml:1:") && said.contains("prometheus.yml:2:1"), "{said}");
    Ok(())
}
