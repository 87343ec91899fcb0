//! `relabel_configs`: from labels to labels, or to nothing.
//!
//! [`RelabelConfig`] is the rule as written; [`Rules::new`] checks and compiles a list of them.

mod apply;
mod config;
pub mod conformance;

pub use apply::{Rule, Rules};
pub use config::{Action, RelabelConfig, RelabelError};
