//! Scraping: pools, loops, labels, staleness, limits.
//!
//! [`ScrapeConfig`] is a job as written, [`ScrapeJob`] as used. [`ScrapeManager`] keeps a pool for every job and a loop
//! for every target; a scrape appends one row for its whole target to the engine.

mod clash;
mod config;
mod desks;
mod failure_log;
mod families;
mod interval_length;
mod labels;
mod manager;
mod metrics;
mod pool;
mod rehearse;
mod schedule;
mod scrape_loop;
mod state;
mod target;

pub use clash::label_clashes;
pub use config::{GlobalScrapeDefaults, ScrapeConfig, ScrapeJob, parse_size};
pub use discovery::ConfigFault;
pub use manager::{ScrapeManager, ScrapeOptions, TargetMetadata};
pub use rehearse::{Rehearsed, rehearse};
