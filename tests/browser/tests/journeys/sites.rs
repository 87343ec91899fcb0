//! Servers for journeys: what they scrape, which dashboards they have.

use anyhow::Result;
use harness::{Vigie, free_port, until};
use std::path::Path;
use std::time::Duration;

pub const SOON: Duration = Duration::from_secs(30);

/// A server that scrapes itself and its machine every second, the machine under two names with an `env` each.
/// `head` are more lines of the configuration, `jobs` more scrape jobs.
pub fn two_environments(folder: &Path, head: &str, jobs: &str, flags: &[&str]) -> Result<Vigie> {
    let port = free_port()?;
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
