//! What an engine promises to those who write and read: [`Ingest`] and [`Queryable`].
//!
//! `scrape`, `rules`, `promql` and `remote` know these traits and no engine.

pub mod append;
pub mod error;
pub mod fanout;
pub mod memory;
pub mod select;

pub use append::{AppendReport, Ingest, Layout, Presence, Row, SeriesId, SeriesSamples};
pub use error::StorageError;
pub use select::{History, Querier, Queryable, Samples, SelectHints, Series, SeriesSet, Stop, Tier};
