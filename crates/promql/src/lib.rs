//! Evaluation of PromQL over anything queryable. Synchronous: call it from `spawn_blocking`.
//!
//! Every node of the tree is evaluated for all steps of the query at once: columns in, columns out.

// A step is an index into many columns at once: iterating over one of them would hide that.
#![allow(clippy::needless_range_loop)]

mod aggregate;
mod annotations;
mod binary;
mod cache;
mod counts;
mod engine;
mod error;
mod eval;
mod explain;
mod functions;
mod grouping;
pub mod histogram;
mod kernels;
mod layout;
mod logarithm;
pub mod numbers;
mod parallel;
mod profile;
mod select;
mod shared;
mod stream;
mod trigonometry;
mod value;

pub use aggregate::describe as describe_histogram;
pub use cache::{CacheOptions, CacheStats, ResultCache};
pub use engine::{Engine, EngineOptions, QueryOptions, QueryOutput, QueryStats};
pub use error::QueryError;
pub use explain::{Estimate, ExplainNode, ExplainTimes, Hint, MetadataOf};
pub use profile::NodeCost;
pub use shared::{BatchQuery, SharedParts};
pub use value::{MatrixSeries, Value, VectorSample};
