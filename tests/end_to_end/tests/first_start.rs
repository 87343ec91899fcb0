//! Started bare, Vigie watches itself and the machine it runs on.

use anyhow::{Context, Result};
use harness::{Vigie, until};
use std::time::Duration;

#[test]
fn without_configuration_it_watches_itself_and_the_machine() -> Result<()> {
    let vigie = Vigie::start(None, &[])?;
    // Two jobs, both scraped as soon as they are known.
    until(Duration::from_secs(20), "both default jobs are up", || {
        let up = vigie.query("up == 1")?;
        anyhow::ensure!(up.len() == 2, "{up:?}");
        Ok(())
    })?;
    for metric in [
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_load1",
        "node_filesystem_size_bytes",
        "node_network_receive_bytes_total",
        "prometheus_tsdb_head_series",
        "process_resident_memory_bytes",
    ] {
        assert!(!vigie.query(metric)?.is_empty(), "{metric} is missing");
    }
    let cores = std::thread::available_parallelism()?.get();
    assert!(vigie.value("count(node_cpu_seconds_total{mode=\"idle\"})")? >= cores as f64);
    assert!(vigie.folder.join("data").is_dir());
    Ok(())
}

#[test]
fn it_tells_what_it_is_and_ends_calmly() -> Result<()> {
    let mut vigie = Vigie::start(None, &[])?;
    assert_eq!(vigie.get("/-/healthy")?.status, 200);
    let build = vigie.api("/api/v1/status/buildinfo")?;
    assert!(build["version"].as_str().is_some_and(|version| version.starts_with("3.")), "{build}");
    assert!(vigie.api("/api/v1/status/config")?["yaml"].as_str().is_some_and(|yaml| yaml.contains("scrape_configs")));
    assert_eq!(vigie.api("/api/v1/status/flags")?["web.enable-lifecycle"], "false");
    assert!(vigie.api("/api/v1/status/runtimeinfo")?["startTime"].is_string());
    let page = vigie.get("/")?;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(vigie.get("/no/such/page")?.status, 404);
    assert_eq!(vigie.get("/d/nosuch")?.status, 404);
    assert_eq!(vigie.get("/api/v1/nosuch")?.status, 404);
    vigie.program.signal("TERM")?;
    assert!(vigie.program.wait(Duration::from_secs(10))?, "{}", vigie.program.output());
    Ok(())
}

#[test]
fn dashboards_come_with_it_and_are_kept() -> Result<()> {
    let mut vigie = Vigie::start(None, &[])?;
    let hits = vigie.get("/api/search")?.json()?;
    let uids: Vec<&str> = hits.as_array().context("no list")?.iter().filter_map(|hit| hit["uid"].as_str()).collect();
    for uid in ["overview", "host", "probe", "vigie"] {
        assert!(uids.contains(&uid), "{uid} is missing among {uids:?}");
    }
    let mut full = vigie.get("/api/dashboards/uid/overview")?.json()?;
    full["dashboard"]["title"] = "Mine".into();
    full["dashboard"]["unknownKey"] = serde_json::json!({"kept": [1, 2]});
    let body = serde_json::json!({"dashboard": full["dashboard"], "message": "renamed"}).to_string();
    let save = || harness::http::post(&vigie.url("/api/dashboards/db"), "application/json", &body);
    let saved = save()?;
    assert_eq!(saved.status, 200, "{}", saved.text());
    // The same edit of the same version again: somebody was faster.
    let conflict = save()?;
    assert_eq!(conflict.status, 412, "{}", conflict.text());
    assert_eq!(conflict.json()?["status"], "version-mismatch");
    vigie.restart()?;
    let again = vigie.get("/api/dashboards/uid/overview")?.json()?;
    assert_eq!(again["dashboard"]["title"], "Mine");
    assert_eq!(again["dashboard"]["unknownKey"]["kept"][1], 2);
    let versions = vigie.get("/api/dashboards/uid/overview/versions")?.json()?;
    assert_eq!(versions["versions"][0]["message"], "renamed", "{versions}");
    Ok(())
}
