//! The metrics of the machine itself, under node_exporter's names, so that its dashboards and rules fit.
//!
//! Linux only: elsewhere [`collect`] gives nothing. One file per subsystem; each reads `/proc` and `/sys` through
//! [`Source`], which tests point at a folder of their own.

mod cpu;
mod disk;
mod filesystem;
mod kernel;
mod memory;
mod network;
mod pressure;
mod sockets;
mod source;
mod thermal;

pub use source::{HostError, Source};

use std::time::Instant;
use telemetry::Collected;

type Collect = fn(&Source, &mut Collected) -> Result<(), HostError>;

/// Under node_exporter's names of its collectors.
const COLLECTORS: [(&str, Collect); 19] = [
    ("conntrack", kernel::conntrack),
    ("cpu", cpu::collect),
    ("diskstats", disk::collect),
    ("entropy", kernel::entropy),
    ("filefd", kernel::file_descriptors),
    ("filesystem", filesystem::collect),
    ("loadavg", kernel::load_average),
    ("meminfo", memory::meminfo),
    ("netclass", network::devices),
    ("netdev", network::statistics),
    ("netstat", network::protocols),
    ("os", kernel::os_release),
    ("pressure", pressure::collect),
    ("sockstat", sockets::collect),
    ("stat", kernel::stat),
    ("thermal_zone", thermal::collect),
    ("time", kernel::time),
    ("uname", kernel::uname),
    ("vmstat", memory::vmstat),
];

/// Adds the machine's metrics. Blocks for as long as `statvfs` on the slowest mounted file system does: call it from
/// `spawn_blocking`.
pub fn collect(out: &mut Collected) {
    if cfg!(target_os = "linux") {
        collect_from(&Source::system(), out);
    }
}

/// As [`collect`], from another root folder.
pub fn collect_from(source: &Source, out: &mut Collected) {
    for (name, collect) in COLLECTORS {
        let started = Instant::now();
        let outcome = collect(source, out);
        let labels = [("collector", name)];
        let seconds = started.elapsed().as_secs_f64();
        out.gauge("node_scrape_collector_duration_seconds", "How long a collector took, in seconds.", &labels, seconds);
        if let Err(error) = &outcome {
            tracing::debug!(collector = name, %error, "a subsystem of the machine cannot be read");
        }
        let success = f64::from(u8::from(outcome.is_ok()));
        out.gauge("node_scrape_collector_success", "Whether a collector found what it reads.", &labels, success);
    }
}
