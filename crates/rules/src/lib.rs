//! Recording and alerting rules: files, evaluation in time, and the alerts that leave.

mod alerting;
pub mod alertmanager_client;
pub mod config;
pub mod conformance;
mod group;
mod manager;

pub use config::{RuleFile, check_rules, load_rule_files};
pub use manager::{AlertSink, RuleManager, RuleManagerOptions, RulesConfig, RulesFilter};

#[cfg(test)]
mod tests;
