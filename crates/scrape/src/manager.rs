//! All jobs: pools made, changed and ended as the configuration says, targets followed as discovery finds them.

use crate::ScrapeJob;
use crate::config::shown;
use crate::desks::Desks;
use crate::failure_log::FailureLogs;
use crate::families::Families;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::scrape_loop::{Stop, lock};
use crate::state::Outside;
use api::targets::{ActiveTarget, DroppedTarget, TargetsData};
use model::{Labels, Metadata};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use storage::Ingest;
use system::Clock;
use telemetry::Registry;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Hosts that mean "this machine" and are replaced in `globalUrl`.
const LOCAL_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];
/// What Go prints for a time that was never set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What scraping needs.
#[derive(Clone)]
pub struct ScrapeOptions {
    pub ingest: Arc<dyn Ingest>,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    /// How others reach this machine: `localhost` in a target's address is shown as this in `globalUrl`.
    pub external_host: Option<String>,
    /// Where the loops run: threads of their own, which may wait for the disk. Without them the loops run where
    /// [`ScrapeManager::apply`] is called, and bodies are read on tokio's threads for what blocks, which costs two changes
    /// of the thread a scrape.
    pub threads: Option<Handle>,
}

impl ScrapeOptions {
    pub fn new(ingest: Arc<dyn Ingest>, clock: Arc<dyn Clock>, registry: Registry) -> Self {
        ScrapeOptions { ingest, clock, registry, external_host: None, threads: None }
    }
}

/// What every loop needs of the outside.
pub(crate) struct Engine {
    pub(crate) ingest: Arc<dyn Ingest>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) desks: Desks,
    pub(crate) failure_logs: FailureLogs,
    pub(crate) families: Families,
    pub(crate) threads: Option<Handle>,
}

impl Engine {
    /// What a target's state needs of the outside.
    pub(crate) fn outside(&self) -> Outside<'_> {
        Outside { ingest: self.ingest.as_ref(), metrics: &self.metrics, families: &self.families }
    }

    /// Runs a loop.
    pub(crate) fn spawn(&self, run: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        match &self.threads {
            Some(threads) => threads.spawn(run),
            None => tokio::spawn(run),
        }
    }

    /// Does what may block.
    pub(crate) async fn block(&self, url: &str, work: impl FnOnce() + Send + 'static) {
        let finished = match self.threads {
            // What a panic leaves behind is a valid cache, see `lock`.
            Some(_) => catch_unwind(AssertUnwindSafe(work)).is_ok(),
            None => tokio::task::spawn_blocking(work).await.is_ok(),
        };
        if !finished {
            tracing::error!(url, "a scrape was not finished; its panic stands above");
        }
    }
}

/// Metadata of one target.
#[derive(Clone, Debug)]
pub struct TargetMetadata {
    /// The target's labels, as its series have them.
    pub labels: Labels,
    /// By metric family.
    pub metadata: BTreeMap<String, Metadata>,
}

/// Scrapes all targets of all jobs.
pub struct ScrapeManager {
    engine: Arc<Engine>,
    pools: Arc<Mutex<BTreeMap<String, Pool>>>,
    discovery: Arc<discovery::Manager>,
    external_host: Option<String>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl ScrapeManager {
    pub fn new(options: ScrapeOptions) -> Self {
        let metrics = Metrics::new(&options.registry);
        ScrapeManager {
            discovery: Arc::new(discovery::Manager::new("scrape", &options.registry)),
            engine: Arc::new(Engine {
                ingest: options.ingest,
                clock: options.clock,
                metrics,
                desks: Desks::default(),
                failure_logs: FailureLogs::default(),
                families: Families::default(),
                threads: options.threads,
            }),
            pools: Arc::default(),
            external_host: options.external_host,
            follower: Mutex::default(),
        }
    }

    /// Scrapes just these jobs from now on. Unchanged jobs go on undisturbed; changed ones keep the series of targets
    /// that stay. Targets of `static_configs` are there when this returns.
    pub async fn apply(&self, jobs: Vec<ScrapeJob>) {
        let configs = jobs.iter().map(|job| (job.job_name.clone(), job.discovery.clone())).collect();
        let logs = jobs.iter().filter_map(|job| job.scrape_failure_log_file.clone()).collect();
        self.engine.failure_logs.apply(logs);
        self.apply_pools(jobs);
        self.discovery.apply(configs);
        sync(&self.pools, &self.discovery.subscribe().borrow().clone());
        let mut follower = lock(&self.follower);
        if follower.is_none() {
            let (pools, mut groups) = (Arc::clone(&self.pools), self.discovery.subscribe());
            *follower = Some(tokio::spawn(async move {
                while groups.changed().await.is_ok() {
                    let now = groups.borrow_and_update().clone();
                    sync(&pools, &now);
                }
            }));
        }
    }

    fn apply_pools(&self, jobs: Vec<ScrapeJob>) {
        let mut pools = lock(&self.pools);
        pools.retain(|name, pool| {
            let keep = jobs.iter().any(|job| job.job_name == *name);
            if !keep {
                pool.stop(Stop::Gone);
                self.engine.metrics.pool_gone(name);
            }
            keep
        });
        for job in jobs {
            let name = job.job_name.clone();
            let metrics = &self.engine.metrics;
            let done = match pools.get_mut(&name) {
                Some(pool) if pool.context.job == job => Ok(()),
                Some(pool) => {
                    metrics.pool_reloads.inc();
                    pool.reload(job, &self.engine).map_err(|error| (&metrics.pool_reload_failures, error))
                }
                None => {
                    metrics.pools.inc();
                    let made = Pool::new(job, &self.engine).map(|pool| {
                        pools.insert(name, pool);
                    });
                    made.map_err(|error| (&metrics.pool_failures, error))
                }
            };
            if let Err((failures, error)) = done {
                failures.inc();
                tracing::error!(%error, "a scrape pool cannot be made");
            }
        }
    }

    /// Ends all loops, without staleness markers: whoever starts next goes on with the series.
    pub async fn shutdown(&self) {
        if let Some(follower) = lock(&self.follower).take() {
            follower.abort();
        }
        self.discovery.apply(BTreeMap::new());
        let tasks: Vec<_> = lock(&self.pools).values_mut().flat_map(|pool| pool.stop(Stop::Silent)).collect();
        for task in tasks {
            // A loop that panicked has ended, too.
            let _ = task.await;
        }
        lock(&self.pools).clear();
    }

    /// Names of the jobs, sorted.
    pub fn scrape_pools(&self) -> Vec<String> {
        lock(&self.pools).keys().cloned().collect()
    }

    /// All targets, for `/api/v1/targets`.
    pub fn targets(&self) -> TargetsData {
        let mut data = TargetsData::default();
        for (name, pool) in lock(&self.pools).iter() {
            for target_loop in pool.loops.values() {
                let status = lock(&target_loop.status).clone();
                let target = &target_loop.target;
                data.active_targets.push(ActiveTarget {
                    discovered_labels: map(&target.discovered),
                    labels: map(&target.labels),
                    scrape_pool: name.clone(),
                    scrape_url: target.url.clone(),
                    global_url: self.global_url(&target.url),
                    last_error: status.error,
                    last_scrape: status.at_ms.map_or(NEVER.to_owned(), rfc3339),
                    last_scrape_duration: status.duration_seconds,
                    health: match status.up {
                        None => "unknown",
                        Some(true) => "up",
                        Some(false) => "down",
                    }
                    .to_owned(),
                    scrape_interval: shown(target.interval),
                    scrape_timeout: shown(target.timeout),
                });
            }
            for dropped in &pool.dropped {
                let (discovered_labels, scrape_pool) = (map(dropped), name.clone());
                data.dropped_targets.push(DroppedTarget { discovered_labels, scrape_pool });
            }
            data.dropped_target_counts.get_or_insert_default().insert(name.clone(), pool.dropped_count);
        }
        data
    }

    /// Type, help and unit of the metrics of every target.
    pub fn metadata(&self) -> Vec<TargetMetadata> {
        let loops: Vec<_> = lock(&self.pools)
            .values()
            .flat_map(|pool| pool.loops.values())
            .map(|target_loop| (target_loop.target.labels.clone(), Arc::clone(&target_loop.state)))
            .collect();
        loops
            .into_iter()
            .map(|(labels, state)| {
                let state = lock(&state);
                let families = state.families();
                let metadata = families.map(|family| (family.name.clone(), family.metadata.clone())).collect();
                TargetMetadata { labels, metadata }
            })
            .collect()
    }

    fn global_url(&self, url: &str) -> String {
        let Some(external) = &self.external_host else { return url.to_owned() };
        let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
        for host in LOCAL_HOSTS {
            if let Some(tail) = rest.strip_prefix(host)
                && (tail.is_empty() || tail.starts_with([':', '/', '?']))
            {
                return format!("{scheme}://{external}{tail}");
            }
        }
        url.to_owned()
    }
}

fn sync(pools: &Mutex<BTreeMap<String, Pool>>, groups: &discovery::Groups) {
    let mut new_targets = 0;
    for (name, pool) in lock(pools).iter_mut() {
        if let Some(groups) = groups.get(name) {
            pool.sync(groups, &mut new_targets);
        }
    }
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or(NEVER.to_owned(), |timestamp| timestamp.to_string())
}

impl Drop for ScrapeManager {
    fn drop(&mut self) {
        if let Some(follower) = lock(&self.follower).take() {
            follower.abort();
        }
    }
}
