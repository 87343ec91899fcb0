//! JSON of the HTTP API, as the server writes and the browser reads it: Prometheus' shapes to the key.

pub mod alerts;
pub mod dashboards;
pub mod envelope;
pub mod explain;
pub mod number;
pub mod query;
pub mod rules;
pub mod status;
pub mod syntax;
pub mod targets;

pub use envelope::{ApiResponse, ErrorType};
