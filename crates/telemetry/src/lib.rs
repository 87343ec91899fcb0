//! Our own metrics: counters, gauges and histograms that `/metrics` shows.
//!
//! A part takes a [`Registry`] when it is made, keeps the handles it gets and updates them without locks.
//! What is only known when somebody asks (numbers of series, queue lengths) is a collector.

mod encode;
mod registry;

pub use encode::encode;
pub use exposition::format::Served as Format;
pub use registry::{Collected, Counter, Gauge, Histogram, MetricFamily, Registry, Value};
