//! Dashboards on disk: those that come with Vigie, those of a provisioning folder, and those that people save,
//! with every version kept.
//!
//! A saved dashboard is a folder `<dir>/<uid>/` with a file a version, `<version>.json`; the highest one counts.
//! What is provisioned is version 1 and is never written to: the first save of it is version 2.

mod error;
mod files;
mod provisioned;
mod search;
mod store;
mod summary;

pub use error::StoreError;
pub use search::SearchQuery;
pub use store::DashboardStore;
