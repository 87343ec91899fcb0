//! Why the store refuses.

use api::dashboards::DashboardProblem;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no dashboard with uid {0:?}")]
    NotFound(String),
    #[error("dashboard {uid:?} has no version {version}")]
    NoVersion { uid: String, version: u64 },
    /// Somebody else saved in between.
    #[error(
        "the dashboard was saved by {by} in between: version {stored} is stored, version {edited} was edited; compare and overwrite, or load it again"
    )]
    Conflict { stored: u64, edited: u64, by: String, at: String },
    #[error("{0}")]
    Bad(String),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl StoreError {
    /// The status of the HTTP answer.
    pub fn http_status(&self) -> u16 {
        match self {
            StoreError::NotFound(_) | StoreError::NoVersion { .. } => 404,
            StoreError::Conflict { .. } => 412,
            StoreError::Bad(_) => 400,
            StoreError::Io { .. } => 500,
        }
    }

    /// The JSON body of the HTTP answer, with Grafana's status words.
    pub fn problem(&self) -> DashboardProblem {
        let mut problem = DashboardProblem { message: self.to_string(), ..DashboardProblem::default() };
        let status = match self {
            StoreError::NotFound(_) | StoreError::NoVersion { .. } => "not-found",
            StoreError::Conflict { stored, by, at, .. } => {
                problem.stored_version = Some(*stored);
                problem.stored_by.clone_from(by);
                problem.stored_at.clone_from(at);
                "version-mismatch"
            }
            StoreError::Bad(_) => "bad-request",
            StoreError::Io { .. } => "error",
        };
        status.clone_into(&mut problem.status);
        problem
    }
}
