//! Why a query has no result.

use promql_syntax::ParseError;
use std::time::Duration;
use storage::StorageError;

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is no PromQL.
    #[error("{0}")]
    Parse(#[from] ParseError),
    /// The query cannot be evaluated on this data.
    #[error("{0}")]
    Execution(String),
    /// A range query of something that has no value at each step; holds what it is.
    #[error("invalid expression type \"{0}\" for range query, must be Scalar or instant Vector")]
    NotForRange(&'static str),
    /// Not done in time.
    #[error("query timed out in expression evaluation after {0:?}; ask for less or raise --query.timeout")]
    Timeout(Duration),
    /// The caller raised the cancel flag.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// More samples in memory at once than allowed.
    #[error(
        "query processing would load too many samples into memory in query execution: {reached}, and the limit is {limit}; \
         ask for fewer series, a shorter range or a longer step, or raise --query.max-samples"
    )]
    TooManySamples { limit: usize, reached: usize },
    /// The selectors of the query accept more series than allowed.
    #[error(
        "query would read too many series: {reached} so far, and the limit is {limit}; \
         narrow the matchers of its selectors, or raise --query.max-series"
    )]
    TooManySeries { limit: usize, reached: usize },
    /// Intermediate results take more memory than allowed.
    #[error(
        "query would take too much memory: {reached} bytes for intermediate results, and the limit is {limit}; \
         aggregate before joining, ask for fewer series, a shorter range or a longer step, or raise --query.max-memory-bytes"
    )]
    TooMuchMemory { limit: usize, reached: usize },
    #[error("{0}")]
    Storage(#[from] StorageError),
}
