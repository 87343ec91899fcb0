//! The one way to our server: a function per endpoint, `api` types in and out. Nothing else in the program fetches.

pub mod alertmanager;
pub mod connection;
pub mod dashboards;
mod error;
pub mod operations;
mod polled;
pub mod prometheus;
pub mod queries;
mod transport;

pub use error::ClientError;
pub use polled::{Polled, every_while_visible, use_polled};
pub use transport::{Abort, Watch};

/// What every function of this module answers.
pub type Answer<T> = Result<T, ClientError>;
