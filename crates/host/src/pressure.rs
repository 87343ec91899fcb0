//! `/proc/pressure`: how long tasks waited. Source: "PSI" in the kernel's documentation.

use crate::source::{HostError, Source};
use telemetry::Collected;

/// File, kind of line, metric, help. CPU has no line for all tasks at once on the machine's level.
const METRICS: [(&str, &str, &str, &str); 6] = [
    ("cpu", "some", "node_pressure_cpu_waiting_seconds_total", "Seconds in which tasks waited for a CPU."),
    ("io", "some", "node_pressure_io_waiting_seconds_total", "Seconds in which tasks waited for I/O."),
    ("io", "full", "node_pressure_io_stalled_seconds_total", "Seconds in which all tasks waited for I/O."),
    ("memory", "some", "node_pressure_memory_waiting_seconds_total", "Seconds in which tasks waited for memory."),
    ("memory", "full", "node_pressure_memory_stalled_seconds_total", "Seconds in which all tasks waited for memory."),
    ("irq", "full", "node_pressure_irq_stalled_seconds_total", "Seconds in which all tasks waited for interrupts."),
];

pub(crate) fn collect(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    for (file, kind, metric, help) in METRICS {
        let text = match source.read(&format!("proc/pressure/{file}")) {
            Ok(text) => text,
            // Kernels before 6.1 do not tell about interrupts.
            Err(_) if file == "irq" => continue,
            Err(error) => return Err(error),
        };
        let line = text.lines().find(|line| line.starts_with(kind));
        let total = line.and_then(|line| line.rsplit_once("total=")?.1.trim().parse::<f64>().ok());
        if let Some(microseconds) = total {
            out.counter(metric, help, &[], microseconds / 1e6);
        }
    }
    Ok(())
}
