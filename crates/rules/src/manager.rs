//! Starts, replaces and stops the groups.

use crate::{
    config::{Rule, RuleFile, RuleKind},
    group::Group,
};
use model::{Labels, Matcher};
use regexp::LabelMatcher;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};

/// How long a shutdown waits for evaluations under way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes alerts that fire or have been resolved. Must not block; is called from blocking threads of the runtime.
pub trait AlertSink: Send + Sync {
    fn send(&self, alerts: Vec<model::Alert>);
}

/// Hears of every query of a rule once it has run. Is called from blocking threads of the runtime.
pub trait RuleQueryLog: Send + Sync {
    fn ran(&self, query: &RuleQuery<'_>);
}

/// A query of a rule that has run.
#[derive(Clone, Copy, Debug)]
pub struct RuleQuery<'a> {
    pub file: &'a str,
    pub group: &'a str,
    pub query: &'a str,
    /// Unix milliseconds.
    pub time_ms: i64,
    pub stats: promql::QueryStats,
    pub error: Option<&'a str>,
}

/// What rules need from outside.
#[derive(Clone)]
pub struct RuleManagerOptions {
    pub engine: Arc<promql::Engine>,
    pub queryable: Arc<dyn storage::Queryable>,
    pub ingest: Arc<dyn storage::Ingest>,
    pub alerts: Arc<dyn AlertSink>,
    pub clock: Arc<dyn system::Clock>,
    pub registry: telemetry::Registry,
    /// For `$externalURL` and the links of alerts; without a slash at the end.
    pub external_url: String,
    /// `--rules.alert.for-outage-tolerance`, 1 h: older states are not restored.
    pub outage_tolerance: Duration,
    /// `--rules.alert.for-grace-period`, 10 min: least time between restored state and firing.
    pub for_grace_period: Duration,
    /// `--rules.alert.resend-delay`, 1 min.
    pub resend_delay: Duration,
    pub query_log: Option<Arc<dyn RuleQueryLog>>,
}

/// What a configuration says about rules.
#[derive(Clone, Debug)]
pub struct RulesConfig {
    pub files: Vec<RuleFile>,
    /// `global.evaluation_interval`.
    pub evaluation_interval: Duration,
    /// `global.rule_query_offset`.
    pub query_offset: Duration,
    /// `global.external_labels`.
    pub external_labels: Labels,
}

/// Parameters of `/api/v1/rules`.
#[derive(Clone, Debug, Default)]
pub struct RulesFilter {
    /// `alert`, `record` or "".
    pub rule_type: String,
    pub rule_names: Vec<String>,
    pub rule_groups: Vec<String>,
    pub files: Vec<String>,
    /// Selectors as text; a rule with labels that one of them accepts stays.
    pub matches: Vec<String>,
    pub exclude_alerts: bool,
    /// 0: all.
    pub group_limit: usize,
    pub group_next_token: String,
}

struct Running {
    group: Arc<Group>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Evaluates groups of rules on time.
pub struct RuleManager {
    options: RuleManagerOptions,
    /// By file and name, in the order of the API.
    running: Arc<Mutex<BTreeMap<(String, String), Running>>>,
    runtime: tokio::runtime::Handle,
    was_applied: std::sync::atomic::AtomicBool,
}

type Groups = BTreeMap<(String, String), Running>;

fn lock(mutex: &Mutex<Groups>) -> MutexGuard<'_, Groups> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RuleManager {
    /// A manager without rules. Call inside a tokio runtime.
    pub fn new(options: RuleManagerOptions) -> RuleManager {
        let running: Arc<Mutex<Groups>> = Arc::default();
        let weak = Arc::downgrade(&running);
        options.registry.collector(move |out| {
            if let Some(running) = weak.upgrade() {
                collect(&lock(&running), out);
            }
        });
        RuleManager {
            options,
            running,
            runtime: tokio::runtime::Handle::current(),
            was_applied: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Takes a new set of rules. Groups that did not change go on undisturbed; others start anew and keep the
    /// alerts of rules that stayed the same. Call from any thread; waits for nothing.
    pub fn apply(&self, config: RulesConfig) {
        let is_first = !self.was_applied.swap(true, std::sync::atomic::Ordering::SeqCst);
        let mut running = lock(&self.running);
        let mut old = std::mem::take(&mut *running);
        for file in &config.files {
            for rules in &file.groups {
                let key = (file.path.clone(), rules.name.clone());
                let group = Arc::new(Group::new(&file.path, rules.clone(), &config, &self.options));
                let before = old.remove(&key);
                if let Some(before) = before {
                    if before.group.is_same(&group) {
                        running.insert(key, before);
                        continue;
                    }
                    running.insert(key, self.start(group, Some(before)));
                    continue;
                }
                if !is_first {
                    group.set_restored();
                }
                running.insert(key, self.start(group, None));
            }
        }
        drop(running);
        for removed in old.into_values() {
            removed.stop.send_replace(true);
            self.runtime.spawn(async move {
                // The evaluation under way still writes; its series end after it.
                let _ = removed.task.await;
                let _ = tokio::task::spawn_blocking(move || removed.group.end_series()).await;
            });
        }
    }

    fn start(&self, group: Arc<Group>, before: Option<Running>) -> Running {
        let (stop, stopped) = watch::channel(false);
        let own = Arc::clone(&group);
        let task = self.runtime.spawn(async move {
            if let Some(before) = before {
                before.stop.send_replace(true);
                let _ = before.task.await;
                own.take_over(&before.group);
            }
            own.run(stopped).await;
        });
        Running { group, stop, task }
    }

    /// `/api/v1/rules`.
    ///
    /// # Errors
    /// What is wrong with a parameter, for a 400.
    pub fn rules(&self, filter: &RulesFilter) -> Result<api::rules::RulesData, String> {
        if !matches!(filter.rule_type.as_str(), "" | "alert" | "record") {
            return Err(format!("invalid parameter \"type\": not supported value {:?}", filter.rule_type));
        }
        let mut selectors: Vec<Vec<LabelMatcher>> = Vec::new();
        for text in &filter.matches {
            let matchers: Vec<Matcher> =
                promql_syntax::parse_metric_matchers(text).map_err(|error| error.to_string())?;
            let compiled: Result<Vec<LabelMatcher>, _> = matchers.iter().map(LabelMatcher::new).collect();
            let compiled = compiled.map_err(|error| error.to_string())?;
            if compiled.iter().all(|matcher| matcher.matches("")) {
                return Err("match[] must contain at least one non-empty matcher".to_owned());
            }
            selectors.push(compiled);
        }
        let wanted = |rule: &Rule| {
            let type_fits = match filter.rule_type.as_str() {
                "alert" => rule.kind != RuleKind::Recording,
                "record" => rule.kind == RuleKind::Recording,
                _ => true,
            };
            let labels = rule.label_set();
            type_fits
                && (filter.rule_names.is_empty() || filter.rule_names.contains(&rule.name))
                && (selectors.is_empty()
                    || selectors.iter().any(|matchers| matchers.iter().all(|matcher| matcher.matches_labels(&labels))))
        };
        let filters_rules = !filter.rule_names.is_empty() || !filter.matches.is_empty() || !filter.rule_type.is_empty();
        let mut data = api::rules::RulesData::default();
        let mut skipping = !filter.group_next_token.is_empty();
        for running in lock(&self.running).values() {
            let group = &running.group;
            if skipping {
                // The token names the last group that was given.
                skipping = token(group) != filter.group_next_token;
                continue;
            }
            if (!filter.rule_groups.is_empty() && !filter.rule_groups.contains(&group.rules.name))
                || (!filter.files.is_empty() && !filter.files.contains(&group.file))
            {
                continue;
            }
            let json = group.to_api(&wanted, filter.exclude_alerts);
            if filters_rules && json.rules.is_empty() {
                continue;
            }
            if filter.group_limit > 0 && data.groups.len() == filter.group_limit {
                let last = data.groups.last().map(|group| format!("{};{}", group.file, group.name));
                data.group_next_token = last.map(|key| token_of(&key));
                break;
            }
            data.groups.push(json);
        }
        if skipping {
            return Err(format!(
                "invalid parameter \"group_next_token\": invalid group_next_token '{}'. were rule groups changed?",
                filter.group_next_token
            ));
        }
        Ok(data)
    }

    /// `/api/v1/alerts`.
    pub fn alerts(&self) -> api::rules::AlertsData {
        let alerts = lock(&self.running).values().flat_map(|running| running.group.alerts()).collect();
        api::rules::AlertsData { alerts }
    }

    /// Stops all groups after the evaluation under way, at most ten seconds.
    pub async fn shutdown(&self) {
        let groups = std::mem::take(&mut *lock(&self.running));
        let all = async {
            for running in groups.into_values() {
                running.stop.send_replace(true);
                // A group that panicked has nothing more to say.
                let _ = running.task.await;
            }
        };
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await;
    }
}

fn token(group: &Group) -> String {
    token_of(&group.key())
}

fn token_of(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds fit")]
fn collect(running: &Groups, out: &mut telemetry::Collected) {
    for own in running.values() {
        let key = own.group.key();
        let labels = [("rule_group", key.as_str())];
        let (last_ms, took, samples) = own.group.figures();
        out.gauge(
            "prometheus_rule_group_interval_seconds",
            "The interval of a rule group.",
            &labels,
            own.group.interval_ms as f64 / 1000.0,
        );
        out.gauge("prometheus_rule_group_rules", "The number of rules.", &labels, own.group.rules.rules.len() as f64);
        out.gauge(
            "prometheus_rule_group_last_evaluation_timestamp_seconds",
            "The timestamp of the last rule group evaluation in seconds.",
            &labels,
            last_ms.unwrap_or(0) as f64 / 1000.0,
        );
        out.gauge(
            "prometheus_rule_group_last_duration_seconds",
            "The duration of the last rule group evaluation.",
            &labels,
            took.as_secs_f64(),
        );
        out.gauge(
            "prometheus_rule_group_last_evaluation_samples",
            "The number of samples returned during the last rule group evaluation.",
            &labels,
            samples as f64,
        );
    }
}
