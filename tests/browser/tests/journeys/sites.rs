//! Servers for journeys: what they scrape, which dashboards they have.

use anyhow::Result;
use harness::{Vigie, free_port, until};
use std::path::Path;
use std::time::Duration;

pub const SOON: Duration = Duration::from_secs(30);

/// A server that scrapes itself and its machine every second, the machine under two names with an `env` each.
/// `head` are more lines of the configuration, `jobs` more scrape jobs.
pub fn two_environments(folder: &Path, head: &str, jobs: &str, flags: &[&str]) -> Result<Vigie> {
    on_port(free_port()?, folder, head, jobs, flags)
}

fn on_port(port: u16, folder: &Path, head: &str, jobs: &str, flags: &[&str]) -> Result<Vigie> {
    let config = format!(
        "
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
{head}
scrape_configs:
  - job_name: vigie
    static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{env: prod}}}}]
  - job_name: node
    metrics_path: /metrics/host
    static_configs:
      - {{targets: ['127.0.0.1:{port}'], labels: {{env: prod, instance: web-1}}}}
      - {{targets: ['127.0.0.1:{port}'], labels: {{env: stage, instance: web-2}}}}
{jobs}"
    );
    let vigie = Vigie::start_on(port, folder, Some(&config), flags)?;
    // Two rounds, so that rates exist.
    until(SOON, "both names were scraped twice", || {
        let count = vigie.value("count(count_over_time(node_load1[1m]) >= 3)")?;
        anyhow::ensure!(count >= 2.0, "{count}");
        Ok(())
    })?;
    Ok(vigie)
}

const RULES: &str = r#"
groups:
  - name: targets
    interval: 1s
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: TargetDown
        expr: up{job="gone"} == 0
        labels: {severity: critical}
        annotations: {summary: '{{ $labels.instance }} of {{ $labels.job }} is down'}
      - alert: NeverFires
        expr: up == 2
        labels: {severity: warning}
"#;

const ALERTMANAGER: &str = "
route: {receiver: nobody, group_by: [alertname], group_wait: 0s, group_interval: 1s}
receivers: [{name: nobody}]
";

/// As [`two_environments`], with a target that is gone, a critical alert about it, and two probes of which one fails.
pub fn troubled(folder: &Path, flags: &[&str]) -> Result<Vigie> {
    std::fs::write(folder.join("rules.yml"), RULES)?;
    std::fs::write(folder.join("alertmanager.yml"), ALERTMANAGER)?;
    let port = free_port()?;
    let jobs = format!(
        "  - job_name: gone
    static_configs: [{{targets: ['127.0.0.1:1']}}]
  - job_name: web
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: ['http://127.0.0.1:{port}/-/healthy', 'http://127.0.0.1:1/']}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: '127.0.0.1:{port}'}}
"
    );
    let mut all = vec!["--alertmanager.config.file=alertmanager.yml"];
    all.extend(flags);
    let vigie = on_port(port, folder, "rule_files: [rules.yml]", &jobs, &all)?;
    vigie.wait_value(SOON, "ALERTS{alertname=\"TargetDown\",alertstate=\"firing\"}", 1.0)?;
    vigie.wait_value(SOON, "count(probe_success)", 2.0)?;
    Ok(vigie)
}
