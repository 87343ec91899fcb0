//! Exposition formats: what targets serve, and what we serve.
//!
//! [`Parser`] walks over a body without allocating: a sample is the raw text of its series (its key), a value
//! and what follows. Who sees a key for the first time asks for its [`Sample::labels`]. Grammar only, as
//! Prometheus' scraper; what the specifications demand beyond that is told by [`check::check`]. Bodies in protobuf have
//! a walk of their own, [`protobuf::walk`].

pub mod check;
pub mod classic;
pub mod conformance;
pub mod diff;
pub mod encode;
pub mod escaping;
pub mod format;
mod key;
pub mod native;
mod number;
mod parse;
pub mod pieces;
pub mod protobuf;

pub use check::check_guessing as check;
pub use encode::Writer;
pub use escaping::Escaping;
pub use format::{Format, FormatError, ScrapeProtocol, negotiate, select_format};
pub use number::{format_float, parse_float};
pub use parse::{DetailedSample, Entry, Exemplar, Fault, Parser, Reading, Sample};
