//! Starts, replaces and stops the groups.

use crate::config::RuleFile;
use std::{sync::Arc, time::Duration};

/// Takes alerts that fire or have been resolved. Must not block.
pub trait AlertSink: Send + Sync {
    fn send(&self, alerts: Vec<model::Alert>);
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
    pub external_labels: model::Labels,
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

/// Evaluates groups of rules on time.
pub struct RuleManager {}

impl RuleManager {
    /// A manager without rules. Call inside a tokio runtime.
    pub fn new(options: RuleManagerOptions) -> RuleManager {
        let _ = options;
        unimplemented!()
    }

    /// Takes a new set of rules. Groups that did not change go on undisturbed; others start anew and keep the
    /// alerts of rules that stayed the same.
    pub fn apply(&self, config: RulesConfig) {
        let _ = config;
        unimplemented!()
    }

    /// `/api/v1/rules`.
    ///
    /// # Errors
    /// What is wrong with a parameter, for a 400.
    pub fn rules(&self, filter: &RulesFilter) -> Result<api::rules::RulesData, String> {
        let _ = filter;
        unimplemented!()
    }

    /// `/api/v1/alerts`.
    pub fn alerts(&self) -> api::rules::AlertsData {
        unimplemented!()
    }

    /// Stops all groups after the evaluation under way.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
}
