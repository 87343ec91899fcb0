//! Probing from outside: HTTP, TCP, TLS, DNS, ICMP, gRPC, with Blackbox exporter's modules and metrics.
//!
//! [`Config::load`] reads `blackbox.yml`; [`probe()`] runs one module against one target. [`Handler`] has all of
//! `/probe`, `/logs` and `/config` that is not HTTP serving itself.

mod config;
pub mod conformance;
mod handler;
mod log;
mod probe;
pub mod prober;
mod show;
mod values;

pub use config::{Config, Module};
pub use handler::{Answer, Handler, PastProbe, ProbeParams};
pub use log::LogLine;
pub use probe::{ProbeResult, probe};
pub use values::{ByteSize, Bytes, GoDuration, IpProtocol, Pattern};
