//! All targets of one job.

use crate::clash::ByLabels;
use crate::config::ScrapeJob;
use crate::manager::Engine;
use crate::scrape_loop::{PoolContext, Stop, TargetLoop, lock};
use crate::target::{Resolved, Target, discovered, resolve};
use discovery::TargetGroup;
use http_client::HttpClient;
use model::Labels;
use relabel::Rules;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// Dropped targets that are kept to be shown where the job sets no `keep_dropped_targets`.
const DROPPED_KEPT_MAX: usize = 10_000;

pub(crate) struct Pool {
    pub(crate) context: Arc<PoolContext>,
    relabel: Rules,
    /// By identity.
    pub(crate) loops: BTreeMap<Labels, TargetLoop>,
    pub(crate) dropped: Vec<Labels>,
    pub(crate) dropped_count: usize,
    /// Label sets with several targets that the log told of.
    clashes_told: Vec<String>,
}

/// Rules were checked when the job was resolved.
fn compiled(configs: &[relabel::RelabelConfig], job: &str) -> Result<Rules, String> {
    Rules::new(configs).map_err(|errors| {
        let messages: Vec<String> = errors.into_iter().map(|(_, error)| error.to_string()).collect();
        format!("job {job:?}: {}", messages.join("; "))
    })
}

fn context(job: ScrapeJob, engine: &Arc<Engine>, generation: u64) -> Result<(Arc<PoolContext>, Rules), String> {
    let client = HttpClient::new(&job.http).map_err(|error| format!("job {:?}: {error}", job.job_name))?;
    let relabel = compiled(&job.relabel_configs, &job.job_name)?;
    let metric_rules = compiled(&job.metric_relabel_configs, &job.job_name)?;
    let forced_error = Mutex::new(None);
    Ok((
        Arc::new(PoolContext { generation, job, client, metric_rules, engine: Arc::clone(engine), forced_error }),
        relabel,
    ))
}

impl Pool {
    pub(crate) fn new(job: ScrapeJob, engine: &Arc<Engine>) -> Result<Self, String> {
        let (context, relabel) = context(job, engine, 1)?;
        Ok(Pool {
            context,
            relabel,
            loops: BTreeMap::new(),
            dropped: Vec::new(),
            dropped_count: 0,
            clashes_told: Vec::new(),
        })
    }

    /// Takes another configuration: every loop is replaced by one that goes on with its series.
    pub(crate) fn reload(&mut self, job: ScrapeJob, engine: &Arc<Engine>) -> Result<(), String> {
        let (context, relabel) = context(job, engine, self.context.generation + 1)?;
        self.context = context;
        self.relabel = relabel;
        for (identity, old) in std::mem::take(&mut self.loops) {
            let (target, state, status) = (Target::clone(&old.target), Arc::clone(&old.state), Arc::clone(&old.status));
            old.stop(Stop::Silent);
            self.loops.insert(identity, TargetLoop::start(Arc::clone(&self.context), target, state, status, None));
        }
        Ok(())
    }

    /// Starts loops for new targets and ends those of targets that are gone. `new_targets` counts the new ones of all
    /// pools, so that their first scrapes are spread.
    pub(crate) fn sync(&mut self, groups: &[TargetGroup], new_targets: &mut usize) {
        let job = &self.context.job;
        let keep_dropped = match usize::try_from(job.keep_dropped_targets) {
            Ok(limit) if limit > 0 => limit,
            _ => DROPPED_KEPT_MAX,
        };
        self.dropped.clear();
        self.dropped_count = 0;
        let mut found: BTreeMap<Labels, Target> = BTreeMap::new();
        for labels in groups.iter().flat_map(discovered) {
            match resolve(labels, job, &self.relabel) {
                Resolved::Target(target) => {
                    found.entry(target.identity.clone()).or_insert(*target);
                }
                Resolved::Dropped(before) => {
                    self.dropped_count += 1;
                    if self.dropped.len() < keep_dropped {
                        self.dropped.push(before);
                    }
                }
                Resolved::Nothing => {}
                Resolved::Fault(fault) => {
                    tracing::error!(job = %job.job_name, %fault, "a target cannot be scraped");
                }
            }
        }
        // Those of static targets are told when the configuration is read.
        if job.discovery.is_dynamic() {
            let mut by_labels = ByLabels::default();
            found.values().for_each(|target| by_labels.add(&job.job_name, target));
            let clashes = by_labels.sentences();
            for clash in clashes.iter().filter(|clash| !self.clashes_told.contains(clash)) {
                tracing::warn!("{clash}");
            }
            self.clashes_told = clashes;
        }
        let metrics = &self.context.engine.metrics;
        let over = job.target_limit > 0 && found.len() as u64 > job.target_limit;
        if over {
            metrics.exceeded_target_limit.inc();
        }
        *lock(&self.context.forced_error) = over.then(|| {
            format!("target_limit exceeded (number of targets: {}, limit: {})", found.len(), job.target_limit)
        });
        metrics.pool_targets(&job.job_name).set(found.len() as f64);
        metrics.pool_syncs(&job.job_name).inc();

        // Gone by their identity; one of the same public labels goes on with the series, so that no gap is written.
        let mut gone: BTreeMap<Labels, TargetLoop> = BTreeMap::new();
        let mut ended = Vec::new();
        for (identity, target_loop) in std::mem::take(&mut self.loops) {
            if found.contains_key(&identity) {
                self.loops.insert(identity, target_loop);
            } else if let Some(twin) = gone.insert(target_loop.target.labels.clone(), target_loop) {
                ended.push(twin);
            }
        }
        for (identity, target) in found {
            if let Some(running) = self.loops.get_mut(&identity) {
                let same =
                    Target { discovered: running.target.discovered.clone(), ..target.clone() } == *running.target;
                if same {
                    if running.target.discovered != target.discovered {
                        running.target = Arc::new(target);
                    }
                    continue;
                }
            }
            let before = self.loops.remove(&identity).or_else(|| gone.remove(&target.labels));
            let (state, status, new_index) = match before {
                Some(old) => {
                    let kept = (Arc::clone(&old.state), Arc::clone(&old.status), None);
                    old.stop(Stop::Silent);
                    kept
                }
                None => {
                    *new_targets += 1;
                    (Arc::default(), Arc::default(), Some(*new_targets - 1))
                }
            };
            let context = Arc::clone(&self.context);
            self.loops.insert(identity, TargetLoop::start(context, target, state, status, new_index));
        }
        for target_loop in ended.into_iter().chain(gone.into_values()) {
            target_loop.stop(Stop::Gone);
        }
    }

    /// Ends all loops.
    pub(crate) fn stop(&mut self, why: Stop) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.loops).into_values().map(|target_loop| target_loop.stop(why)).collect()
    }
}
