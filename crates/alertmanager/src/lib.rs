//! Routing, grouping, inhibition, silences and notifications: what Alertmanager does, from its own `alertmanager.yml`.
//!
//! [`Alertmanager`] is the running part; [`Config`] is the file, checked; [`api_v2`] are the operations of `/api/v2`.

pub mod api_v2;
pub mod config;
mod manager;
pub mod matchers;
pub mod notify;
pub mod route;
pub mod time_interval;

pub use config::Config;
pub use manager::{Alertmanager, AlertmanagerOptions, Event, EventSink, StartError};
