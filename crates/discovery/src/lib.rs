//! Service discovery: where the targets are.
//!
//! A section of a configuration that finds targets is declared inside [`with_discovery_fields!`]. Its
//! [`DiscoveryConfig`] goes to the [`Manager`] under a name of the section's own; the manager keeps a task for
//! every mechanism and tells by a `watch` channel when groups of targets have changed.

pub mod config;
mod consul;
mod dns;
mod dns_query;
mod file;
mod group;
mod http;
mod manager;

pub use config::{ConfigDuration, DiscoveryConfig, FilesChecked};
pub use file::glob;
pub use group::TargetGroup;
pub use http_client;
pub use http_client::ConfigFault;
pub use manager::{Groups, Manager};
pub use serde_json;

/// Where the mechanisms put what they find: each publication replaces the one before.
pub(crate) trait Sink: Send + Sync {
    fn publish(&self, groups: Vec<TargetGroup>);
}

/// A mechanism at work. It ends when its task is aborted.
pub(crate) type Running = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
