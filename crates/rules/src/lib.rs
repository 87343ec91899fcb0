//! Recording and alerting rules: files, evaluation in time, and the alerts that leave.

pub mod alertmanager_client;
pub mod config;
mod manager;

pub use config::{RuleFile, check_rules, load_rule_files};
pub use manager::{AlertSink, RuleManager, RuleManagerOptions, RulesConfig, RulesFilter};
