//! The script language of PromQL tests: `load`, `eval`, `expect`, as Prometheus' own test files are written.
//!
//! [`run_file`] runs one file on a storage in memory; [`parse_series`] reads the series notation, which rule tests
//! use as well.

mod compare;
mod expression;
mod nhcb;
mod run;
mod script;
mod series;

pub use compare::{same_float, same_histogram};
pub use expression::histogram_expression;
pub use run::{Failure, FileReport, run_file};
pub use series::{SeriesError, SeriesLine, parse_series};
