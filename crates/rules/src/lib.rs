//! Recording and alerting rules: files, evaluation in time, and the alerts that leave.

mod alerting;
pub mod alertmanager_client;
pub mod config;
pub mod conformance;
mod group;
mod manager;
mod rehearsal;

pub use config::{Reading, RuleFile, RuleKind, check_rules, check_rules_with, load_rule_files};
pub use manager::{AlertSink, RuleManager, RuleManagerOptions, RuleQuery, RuleQueryLog, RulesConfig, RulesFilter};
pub use rehearsal::{FiringAlert, Rehearsal, RuleFailure};
pub use yaml::UnknownFields;

#[cfg(test)]
mod tests;
