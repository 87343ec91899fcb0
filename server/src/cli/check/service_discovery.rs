//! `vigie check service-discovery`: what the discovery of a job finds, and what relabelling makes of it.

use super::super::output::{complain, say};
use crate::config::prometheus_yml::PrometheusConfig;
use anyhow::{Result, anyhow};
use discovery::TargetGroup;
use scrape::{Rehearsed, ScrapeJob};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    discovered_labels: BTreeMap<String, String>,
    /// None are left of a target that is dropped.
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Prints the targets of a job; false if there is no such job.
pub(super) fn show(file: &Path, job: &str, timeout: Duration) -> Result<bool> {
    let loaded = PrometheusConfig::load(file).map_err(|faults| anyhow!("{faults}"))?;
    let Some(wanted) = loaded.jobs.iter().find(|one| one.job_name == job) else {
        let names: String = loaded.jobs.iter().map(|one| format!("\t{}\n", one.job_name)).collect();
        complain(&format!("Job {job} not found. Select one of:\n{}", names.trim_end_matches('\n')));
        return Ok(false);
    };
    let groups = if wanted.discovery.http.is_empty() && wanted.discovery.dns.is_empty() {
        wanted.discovery.offline_groups()
    } else {
        found(wanted, timeout)?
    };
    let map = |labels: &model::Labels| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    for Rehearsed { discovered, labels, fault } in scrape::rehearse(&groups, wanted) {
        if seen.insert((discovered.clone(), labels.clone())) {
            all.push(Shown { discovered_labels: map(&discovered), labels: map(&labels), error: fault });
        }
    }
    say(&serde_json::to_string_pretty(&all)?);
    Ok(true)
}

/// What the mechanisms find within `timeout`.
fn found(job: &ScrapeJob, timeout: Duration) -> Result<Vec<TargetGroup>> {
    ::http_client::install_default_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let groups = runtime.block_on(async {
        let manager = discovery::Manager::new("scrape", &telemetry::Registry::new());
        let groups = manager.subscribe();
        manager.apply(BTreeMap::from([(job.job_name.clone(), job.discovery.clone())]));
        tokio::time::sleep(timeout).await;
        groups.borrow().get(&job.job_name).cloned().unwrap_or_default()
    });
    Ok(groups)
}
