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
    /// Not done in time.
    #[error("query timed out in expression evaluation after {0:?}; ask for less or raise the query timeout")]
    Timeout(Duration),
    /// The caller raised the cancel flag.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// More samples in memory at once than allowed.
    #[error("query processing would load too many samples into memory in query execution (limit {0})")]
    TooManySamples(usize),
    #[error("{0}")]
    Storage(#[from] StorageError),
}
