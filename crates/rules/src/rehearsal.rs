//! Groups of rules evaluated at the times that the caller says: for tests of rules, and for filling in history.

use crate::{
    config::RuleKind,
    group::Group,
    manager::{RuleManagerOptions, RulesConfig},
};
use model::Labels;

/// A rule whose evaluation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFailure {
    pub group: String,
    pub rule: String,
    pub error: String,
}

/// An alert that fires.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FiringAlert {
    pub labels: Labels,
    pub annotations: Labels,
}

/// All groups of a configuration, evaluated one after the other and only when told to.
pub struct Rehearsal {
    groups: Vec<Group>,
}

impl Rehearsal {
    /// Nothing is restored from the storage: the groups begin without a past. `order` names groups in the order of
    /// evaluation; those that it does not name go with the first of it.
    pub fn new(config: &RulesConfig, options: &RuleManagerOptions, order: &[String]) -> Rehearsal {
        let mut groups = Vec::new();
        for file in &config.files {
            for rules in &file.groups {
                let group = Group::new(&file.path, rules.clone(), config, options);
                group.set_restored();
                groups.push(group);
            }
        }
        groups.sort_by_key(|group| order.iter().position(|name| *name == group.rules.name).unwrap_or(0));
        Rehearsal { groups }
    }

    /// Evaluates every rule once, whatever the intervals of the groups say. Blocks. Times must not go back.
    pub fn evaluate(&self, now_ms: i64) -> Vec<RuleFailure> {
        let mut failures = Vec::new();
        for group in &self.groups {
            group.evaluate(now_ms);
            failures.extend(group.failures().into_iter().map(|(rule, error)| RuleFailure {
                group: group.rules.name.clone(),
                rule,
                error,
            }));
        }
        failures
    }

    /// The alerts of this name that fire, of all rules that have it, sorted.
    pub fn firing(&self, name: &str) -> Vec<FiringAlert> {
        let mut firing: Vec<_> = self.groups.iter().flat_map(|group| group.firing(name)).collect();
        firing.sort();
        firing
    }

    /// How many rules there are: recording, alerting.
    pub fn counts(&self) -> (usize, usize) {
        let rules = self.groups.iter().flat_map(|group| &group.rules.rules);
        let recording = rules.clone().filter(|rule| rule.kind == RuleKind::Recording).count();
        (recording, rules.count() - recording)
    }
}
