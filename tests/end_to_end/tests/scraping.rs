//! Scraping real targets.

use anyhow::{Result, ensure};
use harness::{Program, Vigie, free_port, peer, until};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn node_exporter_is_scraped_and_goes_stale() -> Result<()> {
    let Some(node_exporter) = peer("node_exporter") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let mut node = Program::start(
        "node_exporter",
        Command::new(node_exporter).arg(format!("--web.listen-address=127.0.0.1:{port}")),
        folder.path(),
    )?;
    let vigie = Vigie::start(
        Some(&format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{env: prod}}}}]
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: 'go_.*', action: drop}}
"
        )),
        &[],
    )?;
    vigie.wait_value(SOON, "up{job=\"node\",env=\"prod\"}", 1.0)?;
    assert!(vigie.value("count({job=\"node\"})")? > 200.0);
    assert!(vigie.query("go_goroutines")?.is_empty(), "metric_relabel_configs had no effect");
    until(SOON, "a rate over real CPU counters", || {
        let busy = vigie.value("sum(rate(node_cpu_seconds_total[10s]))")?;
        ensure!(busy > 0.1, "rate is {busy}");
        Ok(())
    })?;
    for own in ["scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added"] {
        assert_eq!(vigie.query(&format!("{own}{{job=\"node\"}}"))?.len(), 1, "{own}");
    }
    let metadata = vigie.api("/api/v1/metadata?metric=node_load1")?;
    assert_eq!(metadata["node_load1"][0]["type"], "gauge", "{metadata}");

    node.kill()?;
    vigie.wait_value(SOON, "up{job=\"node\"}", 0.0)?;
    // A staleness marker ends the series at once, not after five minutes.
    assert!(vigie.query("node_load1")?.is_empty());
    let targets = vigie.api("/api/v1/targets")?;
    assert_eq!(targets["activeTargets"][0]["health"], "down");
    assert!(targets["activeTargets"][0]["lastError"].as_str().is_some_and(|error| !error.is_empty()));
    Ok(())
}

#[test]
fn files_name_targets_and_reloads_keep_the_rest() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    std::fs::write(folder.path().join("targets.json"), "[]")?;
    let config = |interval: &str| {
        format!(
            "global: {{scrape_interval: {interval}, scrape_timeout: 1s}}
scrape_configs:
  - job_name: files
    file_sd_configs: [{{files: [targets.json], refresh_interval: 1s}}]
"
        )
    };
    let vigie = Vigie::start_on(port, folder.path(), Some(&config("1s")), &["--web.enable-lifecycle"])?;
    std::fs::write(
        folder.path().join("targets.json"),
        format!("[{{\"targets\": [\"127.0.0.1:{port}\"], \"labels\": {{\"team\": \"a\"}}}}]"),
    )?;
    vigie.wait_value(SOON, "up{job=\"files\",team=\"a\"}", 1.0)?;

    std::fs::write(folder.path().join("prometheus.yml"), "scrape_configs: [{job_name: a, nosuch: 1}]")?;
    let refused = harness::http::post(&vigie.url("/-/reload"), "text/plain", "")?;
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("prometheus.yml:1:") && refused.text().contains("nosuch"), "{}", refused.text());
    assert_eq!(vigie.value("up{job=\"files\"}")?, 1.0);
    assert_eq!(vigie.api("/api/v1/status/runtimeinfo")?["reloadConfigSuccess"], false);

    std::fs::write(folder.path().join("prometheus.yml"), config("2s"))?;
    vigie.program.signal("HUP")?;
    until(SOON, "the new interval is taken", || {
        let targets = vigie.api("/api/v1/targets")?;
        ensure!(targets["activeTargets"][0]["scrapeInterval"] == "2s", "{targets}");
        Ok(())
    })
}
