//! What can be wrong with files.

use std::{
    io,
    path::{Path, PathBuf},
};
use storage::StorageError;

/// Why reading or writing ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} at byte {at}: {reason}", path.display())]
    Damaged { path: PathBuf, at: u64, reason: String },
    /// What is written comes from an engine, which answered with this.
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{0}")]
    TooLarge(String),
}

/// A part of a file that cannot be used, while the rest can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    /// First byte that cannot be used.
    pub at: u64,
    /// What is wrong and what is left out for it.
    pub reason: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}: {}", self.path.display(), self.at, self.reason)
    }
}

/// A damaged disk must not fill the memory with reports.
const REPORTS_MAX: usize = 1000;

/// What was found damaged on the way.
#[derive(Clone, Debug, Default)]
pub struct DamageList {
    pub list: Vec<Damage>,
    /// All of them; the list ends after a thousand.
    pub count: u64,
}

impl DamageList {
    pub(crate) fn report(&mut self, path: &Path, at: u64, reason: impl Into<String>) {
        self.count += 1;
        if self.list.len() < REPORTS_MAX {
            self.list.push(Damage { path: path.to_owned(), at, reason: reason.into() });
        }
    }
}

/// Adds the path to an I/O error.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

pub(crate) fn damaged(path: &Path, at: u64, reason: impl Into<String>) -> Error {
    Error::Damaged { path: path.to_owned(), at, reason: reason.into() }
}
