//! What only the pages of operations ask: alerts by every filter of the API, the latest value and the course of an
//! expression.

use super::{
    Answer, ClientError, prometheus,
    transport::{encode_pairs, get},
};
use api::{
    alerts::GettableAlert,
    query::{InstantSample, QueryResult, RangeSeries},
};

/// `GET /api/v2/alerts` with all its parameters, as the pages hold them: `active`, `silenced`, `inhibited`, `receiver`,
/// and any number of `filter`.
pub async fn alerts_by(params: &[(&str, &str)]) -> Answer<Vec<GettableAlert>> {
    get(&format!("/api/v2/alerts?{}", encode_pairs(params.iter().copied())), None).await
}

/// The vector that `expr` gives at `at_ms`.
pub async fn vector(expr: &str, at_ms: i64) -> Answer<Vec<InstantSample>> {
    match prometheus::query(expr, at_ms, None).await?.result {
        QueryResult::Vector(samples) => Ok(samples),
        _ => Err(not_a("vector", expr)),
    }
}

/// The course of `expr` over a range.
pub async fn matrix(expr: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer<Vec<RangeSeries>> {
    match prometheus::query_range(expr, start_ms, end_ms, step_ms, None).await?.result {
        QueryResult::Matrix(series) => Ok(series),
        _ => Err(not_a("matrix", expr)),
    }
}

fn not_a(wanted: &str, expr: &str) -> ClientError {
    ClientError::Unreadable { path: format!("query {expr}"), message: format!("no {wanted}") }
}
