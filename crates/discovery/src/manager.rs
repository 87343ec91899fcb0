//! All mechanisms of all sections, each in a task of its own.

use crate::{DiscoveryConfig, Running, Sink, TargetGroup, consul, dns, file, http};
use http_client::HttpClient;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use telemetry::{Counter, Gauge, Registry};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The groups of every section, by its name.
pub type Groups = Arc<BTreeMap<String, Vec<TargetGroup>>>;

/// Runs discovery. Dropping it ends all its tasks.
pub struct Manager {
    shared: Arc<Shared>,
    sections: Mutex<BTreeMap<String, Section>>,
    metrics: Metrics,
}

struct Section {
    config: DiscoveryConfig,
    tasks: Vec<JoinHandle<()>>,
    /// Tells publications of tasks that were replaced from those of today.
    generation: u64,
}

struct Shared {
    found: Mutex<BTreeMap<String, Found>>,
    sender: watch::Sender<Groups>,
    discovered: Registry,
    name: &'static str,
}

/// The generation of a section, and its groups by mechanism.
type Found = (u64, Vec<Vec<TargetGroup>>);

struct Metrics {
    file_errors: Counter,
    http_failures: Counter,
    dns_failures: Counter,
    consul_failures: Counter,
    failed_configs: Gauge,
}

struct SectionSink {
    shared: Arc<Shared>,
    section: String,
    mechanism: usize,
    generation: u64,
}

impl Sink for SectionSink {
    fn publish(&self, groups: Vec<TargetGroup>) {
        {
            let mut found = self.shared.found.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((generation, mechanisms)) = found.get_mut(&self.section) else { return };
            let Some(slot) = mechanisms.get_mut(self.mechanism) else { return };
            if *generation != self.generation || *slot == groups {
                return;
            }
            *slot = groups;
        }
        self.shared.tell();
    }
}

impl Shared {
    fn tell(&self) {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let groups: BTreeMap<String, Vec<TargetGroup>> =
            found.iter().map(|(name, (_, m))| (name.clone(), m.iter().flatten().cloned().collect())).collect();
        for (section, groups) in &groups {
            let targets: usize = groups.iter().map(|group| group.targets.len()).sum();
            self.gauge(section).set(targets as f64);
        }
        self.sender.send_replace(Arc::new(groups));
    }

    fn gauge(&self, section: &str) -> Gauge {
        let labels = [("config", section), ("name", self.name)];
        self.discovered.gauge("prometheus_sd_discovered_targets", "Current number of discovered targets.", &labels)
    }
}

impl Manager {
    /// A manager without sections. `name` tells several managers apart in metrics: `scrape`, `notify`.
    pub fn new(name: &'static str, registry: &Registry) -> Self {
        let (sender, _) = watch::channel(Groups::default());
        let labels = [("name", name)];
        Manager {
            shared: Arc::new(Shared { found: Mutex::default(), sender, discovered: registry.clone(), name }),
            sections: Mutex::default(),
            metrics: Metrics {
                file_errors: registry.counter(
                    "prometheus_sd_file_read_errors_total",
                    "The number of File-SD read errors.",
                    &[],
                ),
                http_failures: registry.counter(
                    "prometheus_sd_http_failures_total",
                    "Number of HTTP service discovery refresh failures.",
                    &[],
                ),
                dns_failures: registry.counter(
                    "prometheus_sd_dns_lookup_failures_total",
                    "The number of DNS-SD lookup failures.",
                    &[],
                ),
                consul_failures: registry.counter(
                    "prometheus_sd_consul_rpc_failures_total",
                    "The number of Consul RPC call failures.",
                    &[],
                ),
                failed_configs: registry.gauge(
                    "prometheus_sd_failed_configs",
                    "Current number of service discovery configurations that failed to load.",
                    &labels,
                ),
            },
        }
    }

    /// Follows the groups. Static ones are there when [`Manager::apply`] returns; the others follow.
    pub fn subscribe(&self) -> watch::Receiver<Groups> {
        self.shared.sender.subscribe()
    }

    /// Starts, keeps and ends mechanisms so that just these sections are served; a section whose configuration is
    /// the same keeps its tasks and groups. Paths are resolved already. Call inside a tokio runtime.
    pub fn apply(&self, configs: BTreeMap<String, DiscoveryConfig>) {
        let mut sections = self.sections.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failed = 0;
        sections.retain(|name, section| {
            let keep = configs.get(name) == Some(&section.config);
            if !keep {
                section.tasks.iter().for_each(JoinHandle::abort);
                if !configs.contains_key(name) {
                    self.shared.found.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                    let labels = [("config", name.as_str()), ("name", self.shared.name)];
                    self.shared.discovered.remove("prometheus_sd_discovered_targets", &labels);
                }
            }
            keep
        });
        for (name, config) in configs {
            if sections.contains_key(&name) {
                continue;
            }
            let generation = {
                let mut found = self.shared.found.lock().unwrap_or_else(PoisonError::into_inner);
                let mechanisms = 1 + config.file.len() + config.http.len() + config.dns.len() + config.consul.len();
                let generation = found.get(&name).map_or(0, |(generation, _)| generation + 1);
                // Until a changed mechanism has its first answer, what was known before stays: no target is
                // given up for the time of a reload.
                let mut slots = match found.remove(&name) {
                    Some((_, before)) if before.len() == mechanisms => before,
                    _ => vec![Vec::new(); mechanisms],
                };
                if let Some(first) = slots.first_mut() {
                    *first = config.static_groups();
                }
                found.insert(name.clone(), (generation, slots));
                generation
            };
            let sink = |mechanism| {
                let (shared, section) = (Arc::clone(&self.shared), name.clone());
                Arc::new(SectionSink { shared, section, mechanism, generation })
            };
            let mut mechanism = 0;
            let mut tasks: Vec<JoinHandle<()>> = Vec::new();
            let mut start = |running: Running| tasks.push(tokio::spawn(running));
            for file in &config.file {
                mechanism += 1;
                start(file::run(file.clone(), sink(mechanism), self.metrics.file_errors.clone()));
            }
            for (url, refresh, http_config) in &config.http {
                mechanism += 1;
                match HttpClient::new(http_config) {
                    Ok(client) => {
                        let failures = self.metrics.http_failures.clone();
                        start(http::run(url.clone(), *refresh, client, sink(mechanism), failures));
                    }
                    Err(error) => {
                        failed += 1;
                        tracing::error!(section = %name, %url, %error, "http_sd cannot start");
                    }
                }
            }
            for dns in &config.dns {
                mechanism += 1;
                start(dns::run(dns.clone(), sink(mechanism), self.metrics.dns_failures.clone()));
            }
            for (consul, http_config) in &config.consul {
                mechanism += 1;
                match HttpClient::new(http_config) {
                    Ok(client) => {
                        let failures = self.metrics.consul_failures.clone();
                        start(consul::run(consul.clone(), client, sink(mechanism), failures));
                    }
                    Err(error) => {
                        failed += 1;
                        tracing::error!(section = %name, %error, "consul_sd cannot start");
                    }
                }
            }
            sections.insert(name, Section { config, tasks, generation });
        }
        self.metrics.failed_configs.set(f64::from(failed));
        self.shared.tell();
    }

    /// Names of the sections and how often each was configured anew.
    pub fn sections(&self) -> Vec<(String, u64)> {
        let sections = self.sections.lock().unwrap_or_else(PoisonError::into_inner);
        sections.iter().map(|(name, section)| (name.clone(), section.generation)).collect()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let sections = self.sections.lock().unwrap_or_else(PoisonError::into_inner);
        sections.values().flat_map(|section| &section.tasks).for_each(JoinHandle::abort);
    }
}
