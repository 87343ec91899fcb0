//! The HTTP API beyond the recorded answers: search, lists of queries, the query log, explanations.

use anyhow::{Context, Result, ensure};
use harness::{Vigie, http, until};
use serde_json::Value;
use std::io::{Read, Write};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// One that watches itself and logs its queries.
fn start(flags: &[&str]) -> Result<Vigie> {
    let config = |port| {
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, query_log_file: query.log}}
scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]
"
        )
    };
    let vigie = Vigie::start_with_port(config, flags)?;
    vigie.wait_value(SOON, "up", 1.0)?;
    Ok(vigie)
}

fn lines(vigie: &Vigie, path: &str) -> Result<Vec<Value>> {
    let response = vigie.get(path)?;
    ensure!(response.status == 200, "{path}: {} {}", response.status, response.text());
    response.text().lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

#[test]
fn search_in_batches() -> Result<()> {
    let vigie = start(&[])?;
    until(SOON, "metadata", || {
        let found =
            lines(&vigie, "/api/v1/search/metric_names?search[]=process_resident&include_metadata=true&limit=1")?;
        ensure!(found[0]["results"][0]["type"] == "gauge", "{found:?}");
        Ok(())
    })?;
    let found = lines(
        &vigie,
        "/api/v1/search/metric_names?search[]=process&sort_by=score&batch_size=2&limit=3&include_score=true",
    )?;
    let sizes: Vec<_> = found.iter().map(|line| line["results"].as_array().map_or(0, Vec::len)).collect();
    assert_eq!(sizes, [2, 1, 0], "{found:?}");
    assert_eq!(found[2], serde_json::json!({"status": "success", "has_more": true}));
    assert_eq!(found[0]["results"][0]["score"], 1.0);
    let jobs = lines(&vigie, "/api/v1/search/label_values?label=job")?;
    assert_eq!(jobs[0], serde_json::json!({"results": [{"name": "self"}]}));
    let names = lines(&vigie, "/api/v1/search/label_names?search[]=nst&sort_by=score")?;
    assert_eq!(names[0]["results"][0]["name"], "instance");
    assert_eq!(vigie.get("/api/v1/search/label_values")?.status, 400);
    assert_eq!(vigie.get("/api/v1/search/metric_names?sort_by=score")?.status, 400);
    Ok(())
}

#[test]
fn query_log_and_lists() -> Result<()> {
    let vigie = start(&[])?;
    vigie.api("/api/v1/query_range?query=up%2B1&start=100&end=200&step=10")?;
    let refused = vigie.get("/api/v1/query?query=up%2B")?;
    assert_eq!(refused.status, 400);
    let log = std::fs::read_to_string(vigie.folder.join("query.log"))?;
    let entries: Vec<Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let range = entries.iter().find(|entry| entry["params"]["query"] == "up+1").context("the range query")?;
    assert_eq!(range["params"]["step"], 10);
    assert_eq!(range["params"]["start"], "1970-01-01T00:01:40.000Z");
    assert_eq!(range["httpRequest"]["path"], "/api/v1/query_range");
    assert_eq!(range["httpRequest"]["clientIP"], "127.0.0.1");
    let failed = entries.iter().find(|entry| entry["params"]["query"] == "up+").context("the bad query")?;
    ensure!(failed["error"].as_str().is_some_and(|error| error.contains("parse error")), "{failed}");

    assert_eq!(vigie.api("/api/v1/queries")?, serde_json::json!([]));
    let stats = vigie.api("/api/v1/query?query=up&stats=all")?;
    ensure!(stats["stats"]["samples"]["totalQueryableSamples"].as_u64() >= Some(1), "{stats}");
    // Killing is for administrators.
    assert_eq!(http::send("DELETE", &vigie.url("/api/v1/queries/1"), &[], b"")?.status, 503);
    Ok(())
}

/// A query that would take minutes is listed, and ends when it is killed.
#[test]
fn a_query_is_killed() -> Result<()> {
    let vigie = start(&["--web.enable-admin-api", "--query.max-concurrency=1"])?;
    assert_eq!(http::send("DELETE", &vigie.url("/api/v1/queries/999999"), &[], b"")?.status, 404);
    // Sorts 36,000 values at each of 11,000 steps.
    let slow = format!(
        "/api/v1/query_range?timeout=100s&start=0&end=11000&step=1&query={}",
        http::encode("quantile_over_time(0.5, (time() % 977 * vector(1))[10h:1s])")
    );
    let url = vigie.url(&slow);
    let asked = std::thread::spawn(move || http::get(&url));
    let running = until(SOON, "the query in the list", || {
        let list = vigie.api("/api/v1/queries")?;
        let first = list.get(0).cloned().context("none yet")?;
        ensure!(first["state"] == "running", "{first}");
        Ok(first)
    })?;
    assert_eq!(running["kind"], "range");
    let id = running["id"].as_u64().context("an id")?;
    assert_eq!(http::send("DELETE", &vigie.url(&format!("/api/v1/queries/{id}")), &[], b"")?.status, 204);
    let answer = asked.join().map_err(|_| anyhow::anyhow!("the asking thread panicked"))??;
    assert_eq!(answer.status, 499, "{}", answer.text());
    assert_eq!(answer.json()?["error"], "query was killed by an administrator");
    Ok(())
}

#[test]
fn explains_and_analyzes() -> Result<()> {
    let vigie = start(&[])?;
    let query = http::encode("sum(rate(process_cpu_seconds_total[1m]))");
    let tree = vigie.api(&format!("/api/v1/query_explain?query={query}"))?;
    assert_eq!(tree["kind"], "aggregation");
    assert_eq!(tree["children"][0]["kind"], "function");
    assert_eq!(tree["place"]["start"], 0);
    ensure!(tree.get("cost").is_none(), "nothing ran: {tree}");
    let analysis = vigie.api(&format!("/api/v1/query_analyze?query={query}"))?;
    ensure!(analysis["tree"]["cost"]["seconds"].is_number(), "{analysis}");
    ensure!(analysis["stats"]["samples"]["totalQueryableSamples"].as_u64() > Some(0), "{analysis}");
    Ok(())
}

/// Types and units, from metadata (scraped from the server itself) and from names; nothing is added unasked.
#[test]
fn units_come_with_results() -> Result<()> {
    let vigie = start(&[])?;
    until(SOON, "metadata", || {
        ensure!(
            vigie.api("/api/v1/metadata?metric=process_resident_memory_bytes")? != serde_json::json!({}),
            "none yet"
        );
        Ok(())
    })?;
    for (query, expected) in [
        ("process_resident_memory_bytes", r#"{"metricType":"gauge","unit":"bytes"}"#),
        ("process_cpu_seconds_total", r#"{"metricType":"counter","unit":"seconds"}"#),
        ("rate(process_cpu_seconds_total[5m])", r#"{"metricType":"gauge","unit":"ratio"}"#),
        ("sum(process_resident_memory_bytes) / 1024", r#"{"metricType":"gauge","unit":"kibibytes"}"#),
        ("up", r#"{"metricType":"unknown"}"#),
    ] {
        let path = format!("query={}&units=true", http::encode(query));
        let inferred: Value = serde_json::from_str(expected)?;
        assert_eq!(vigie.api(&format!("/api/v1/query?{path}"))?["inferred"], inferred, "{query}");
        let range = vigie.api(&format!("/api/v1/query_range?{path}&start=0&end=20&step=10"))?;
        assert_eq!(range["inferred"], inferred, "{query}");
        let body = format!(r#"{{"queries": [{{"query": {}, "units": true}}]}}"#, Value::from(query));
        let line = http::post(&vigie.url("/api/v1/query_batch"), "application/json", &body)?.json()?;
        assert_eq!(line["data"]["inferred"], inferred, "{query}");
    }
    for plain in ["", "&units=false", "&units="] {
        let answer = vigie.api(&format!("/api/v1/query?query=up{plain}"))?;
        ensure!(answer.get("inferred").is_none(), "{plain}: {answer}");
    }
    assert_eq!(vigie.get("/api/v1/query?query=up&units=metric")?.status, 400);
    Ok(())
}

#[test]
fn a_batch_in_the_order_asked() -> Result<()> {
    let vigie = start(&[])?;
    let body = r#"{"queries": [
        {"id": "range", "query": "vector(1)", "start": 0, "end": 20, "step": "10"},
        {"id": "bad", "query": "up+"},
        {"id": "now", "query": "up", "limit": 1},
        {"id": "again", "query": "vector(1)", "start": 0, "end": 20, "step": "10"}]}"#;
    let url = vigie.url("/api/v1/query_batch");
    let plain = http::post(&url, "application/json", body)?;
    assert_eq!(plain.status, 200, "{}", plain.text());
    assert_eq!(plain.header("content-type"), Some("application/x-ndjson; charset=utf-8"));
    let answers: Vec<Value> = plain.text().lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let told: Vec<_> = answers.iter().map(|line| format!("{} {}", line["id"], line["status"])).collect();
    assert_eq!(told, [r#""range" "success""#, r#""bad" "error""#, r#""now" "success""#, r#""again" "success""#]);
    // What is asked twice is evaluated once.
    let log = std::fs::read_to_string(vigie.folder.join("query.log"))?;
    let entries: Vec<Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(entries.iter().filter(|entry| entry["params"]["query"] == "vector(1)").count(), 1, "{log}");
    // The line is what the endpoint of one query answers.
    let one = vigie.get("/api/v1/query_range?query=vector(1)&start=0&end=20&step=10")?.json()?;
    assert_eq!(answers[0]["data"], one["data"]);
    assert_eq!(answers[3]["data"], one["data"]);
    assert_eq!(answers[1]["errorType"], "bad_data");
    assert_eq!(http::post(&url, "application/json", "{}")?.status, 400);
    Ok(())
}

/// Lines come as they are ready, and what still runs ends when the client goes away.
#[test]
fn a_batch_streams_to_who_still_listens() -> Result<()> {
    let vigie = start(&[])?;
    // Would take minutes.
    let slow = "quantile_over_time(0.5, (time() % 977 * vector(1))[10h:1s])";
    let body = format!(
        r#"{{"queries": [{{"id": "visible", "query": "vector(7)"}},
            {{"id": "bad", "query": "up+"}},
            {{"id": "slow", "query": "{slow}", "start": 0, "end": 11000, "step": 1, "timeout": "100s"}},
            {{"id": "below", "query": "vector(8)"}}]}}"#
    );
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", vigie.port))?;
    stream.set_read_timeout(Some(SOON))?;
    // As a browser asks, with a connection that stays.
    let head = format!(
        "POST /api/v1/query_batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\nOrigin: http://localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut told = String::new();
    while !told.contains(r#""id":"bad""#) {
        let mut some = [0; 4096];
        let count = stream.read(&mut some)?;
        ensure!(count > 0, "the answer ends early: {told}");
        told.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    ensure!(told.contains(r#""id":"visible","status":"success""#) && told.contains("bad_data"), "{told}");
    ensure!(!told.contains(r#""id":"slow""#) && !told.contains(r#""id":"below""#), "{told}");
    until(SOON, "the slow query in the list", || {
        let list = vigie.api("/api/v1/queries")?;
        ensure!(list[0]["query"] == slow && list[0]["state"] == "running", "{list}");
        Ok(())
    })?;
    drop(stream);
    until(SOON, "an end to the query of nobody", || {
        let list = vigie.api("/api/v1/queries")?;
        ensure!(list.as_array().is_some_and(Vec::is_empty), "{list}");
        Ok(())
    })
}

/// An origin, and whether pages of it may read answers: the expression must fit the whole of it.
const ORIGINS: &[(&str, bool)] = &[
    ("http://a.example", true),
    ("https://b.example", true),
    ("http://c.example", false),
    ("http://a.example.evil", false),
    ("http://x/?http://a.example", false),
    ("null", false),
];

#[test]
fn pages_of_some_origins_may_read() -> Result<()> {
    let vigie = start(&["--web.cors.origin=https?://(a|b)\\.example"])?;
    for (origin, may) in ORIGINS {
        for method in ["GET", "OPTIONS"] {
            let answer = http::send(method, &vigie.url("/api/v1/query?query=1"), &[("Origin", origin)], b"")?;
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed, may.then_some(*origin), "{method} from {origin}");
            ensure!(answer.headers.iter().any(|(name, value)| name == "vary" && value == "Origin"), "{origin}");
        }
    }
    Ok(())
}
