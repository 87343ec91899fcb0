//! Why an engine refuses.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A matcher that cannot be run.
    #[error("{0}")]
    BadMatcher(String),
    /// The write was not taken and nothing of it is stored; the client may send it again later.
    #[error("the write was refused: {reason}")]
    Unavailable { reason: String },
    /// A series number that the engine does not know any more.
    #[error("a series number is no longer known")]
    UnknownSeries,
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// Data on disk that is not what was written.
    #[error("{} at byte {at}: {reason}", path.display())]
    Corrupt { path: PathBuf, at: u64, reason: String },
    /// The answer would be larger than the limit.
    #[error("{0}")]
    TooLarge(String),
    /// Another server answered with an error.
    #[error("{0}")]
    Remote(String),
    #[error("the query was cancelled")]
    Cancelled,
}
