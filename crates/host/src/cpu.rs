//! `/proc/stat`: time by processor and mode.

use crate::source::{HostError, Source, column};
use telemetry::Collected;

/// Columns of a `cpuN` line; guest times, which the kernel also counts in user and nice, stand apart.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

pub(crate) fn collect(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    let ticks = ticks_per_second();
    for line in source.read("proc/stat")?.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(cpu) = words.first().and_then(|word| word.strip_prefix("cpu")).filter(|cpu| !cpu.is_empty()) else {
            continue;
        };
        for (i, mode) in MODES.iter().enumerate() {
            if let Some(value) = column(&words, i + 1) {
                let labels = [("cpu", cpu), ("mode", mode)];
                out.counter("node_cpu_seconds_total", "Seconds that a CPU spent in each mode.", &labels, value / ticks);
            }
        }
        for (i, mode) in [(9, "user"), (10, "nice")] {
            if let Some(value) = column(&words, i) {
                let help = "Seconds that a CPU spent in guests (virtual machines) in each mode.";
                let labels = [("cpu", cpu), ("mode", mode)];
                out.counter("node_cpu_guest_seconds_total", help, &labels, value / ticks);
            }
        }
    }
    Ok(())
}

#[cfg(unix)]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(not(unix))]
fn ticks_per_second() -> f64 {
    100.0
}
