//! `/api/v1`: Prometheus' HTTP API.

pub(crate) mod admin;
mod encode;
pub(crate) mod explain;
pub(crate) mod features;
pub(crate) mod labels;
pub(crate) mod notifications;
pub(crate) mod openapi;
pub(crate) mod pool_config;
pub(crate) mod queries;
pub(crate) mod query;
pub(crate) mod query_batch;
pub(crate) mod remote_read;
pub(crate) mod remote_write;
pub(crate) mod rules;
pub(crate) mod search;
pub(crate) mod self_metrics;
pub(crate) mod series;
pub(crate) mod status;
pub(crate) mod syntax;
pub(crate) mod targets;
mod units;

use super::Workers;
use super::error::{ApiError, ApiResult};

/// Runs work that may block on the disk, away from the threads that serve.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> ApiResult<T> + Send + 'static) -> ApiResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ApiError::internal(format!("the work on this request ended early: {error}"))),
    }
}

/// Runs a query, which has its turn, on the threads for that.
pub(super) async fn evaluating<T: Send + 'static>(
    workers: &Workers,
    work: impl FnOnce() -> ApiResult<T> + Send + 'static,
) -> ApiResult<T> {
    workers.run(work).await.unwrap_or_else(|error| Err(ApiError::internal(error.to_string())))
}

/// Before any sample, for requests without bounds: far enough, and no sum with a duration overflows.
pub(super) const TIME_MIN_MS: i64 = -9_000_000_000_000_000;
/// See [`TIME_MIN_MS`].
pub(super) const TIME_MAX_MS: i64 = 9_000_000_000_000_000;

/// What a request with `limit` warns of when it left something out.
pub(super) const TRUNCATED: &str = "results truncated due to limit";
