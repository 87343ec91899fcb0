//! Leaves and centrals: Vigie on both sides, and Prometheus on either.

use anyhow::Result;
use harness::{Program, Vigie, free_port, http, peer};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The classic job, as every course teaches it.
fn federate_job(port: u16, matches: &[&str]) -> String {
    let matches: Vec<String> = matches.iter().map(|one| format!("        - '{one}'\n")).collect();
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params:
      'match[]':
{}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
",
        matches.concat()
    )
}

fn leaf_config(port: u16) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{datacenter: dc1}}}}
scrape_configs:
  - job_name: app
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"
    )
}

#[test]
fn vigie_under_vigie() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let leaf = Vigie::start_on(port, folder.path(), Some(&leaf_config(port)), &[])?;
    leaf.wait_value(SOON, "up{job=\"app\"}", 1.0)?;
    let central = Vigie::start(Some(&federate_job(port, &["{job=\"app\"}", "count by (job) (up)"])), &[])?;
    // The leaf's labels hold, its external label is added, and an expression is federated, too, under the
    // name that a recording rule would give it.
    central.wait_value(SOON, "up{job=\"app\",datacenter=\"dc1\"}", 1.0)?;
    central.wait_value(SOON, "job:up:count{datacenter=\"dc1\",job=\"app\"}", 1.0)?;
    central.wait_value(SOON, "up{job=\"federate\"}", 1.0)
}

#[test]
fn prometheus_as_a_leaf() -> Result<()> {
    let Some(prometheus) = peer("prometheus") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    std::fs::write(folder.path().join("prometheus.yml"), leaf_config(port))?;
    let _leaf = start_prometheus(&prometheus, folder.path(), port)?;
    let central = Vigie::start(Some(&federate_job(port, &["{job=\"app\"}"])), &[])?;
    central.wait_value(SOON, "up{job=\"app\",datacenter=\"dc1\"}", 1.0)
}

#[test]
fn prometheus_as_the_central() -> Result<()> {
    let Some(prometheus) = peer("prometheus") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let leaf_port = free_port()?;
    let leaf = Vigie::start_on(leaf_port, folder.path(), Some(&leaf_config(leaf_port)), &[])?;
    leaf.wait_value(SOON, "up{job=\"app\"}", 1.0)?;
    let central_folder = tempfile::tempdir()?;
    let port = free_port()?;
    std::fs::write(central_folder.path().join("prometheus.yml"), federate_job(leaf_port, &["{job=\"app\"}"]))?;
    let _central = start_prometheus(&prometheus, central_folder.path(), port)?;
    harness::until(SOON, "Prometheus has what Vigie federates", || {
        let query = http::encode("up{job=\"app\",datacenter=\"dc1\"}");
        let answer = http::get(&format!("http://127.0.0.1:{port}/api/v1/query?query={query}"))?.json()?;
        anyhow::ensure!(answer["data"]["result"][0]["value"][1] == "1", "{answer}");
        Ok(())
    })
}

fn start_prometheus(binary: &std::path::Path, folder: &std::path::Path, port: u16) -> Result<Program> {
    Program::start(
        "prometheus",
        Command::new(binary).current_dir(folder).args([
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=tsdb".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ]),
        folder,
    )
}
