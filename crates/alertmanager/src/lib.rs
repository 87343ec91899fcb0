//! Routing, grouping, inhibition, silences and notifications: what Alertmanager does, from its own `alertmanager.yml`.
//!
//! [`Alertmanager`] is the running part; [`Config`] is the file, checked; [`api_v2`] are the operations of `/api/v2`.

mod alert;
pub mod api_v2;
pub mod config;
pub mod conformance;
mod files;
mod group;
mod manager;
pub mod matchers;
mod metrics;
mod notification_log;
pub mod notify;
pub mod route;
mod silence;
mod template;
pub mod time_interval;

pub use alert::fingerprint;
pub use config::Config;
pub use manager::{Alertmanager, AlertmanagerOptions, Event, EventSink, StartError};

#[cfg(test)]
mod tests;
