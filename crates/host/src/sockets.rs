//! `/proc/net/sockstat` and `sockstat6`: sockets by protocol.

use crate::source::{HostError, Source};
use telemetry::Collected;

pub(crate) fn collect(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    let text = source.read("proc/net/sockstat")?;
    // A machine without IPv6 has no such file.
    let text6 = source.read("proc/net/sockstat6").unwrap_or_default();
    for line in text.lines().chain(text6.lines()) {
        let Some((protocol, rest)) = line.split_once(':') else { continue };
        let words: Vec<&str> = rest.split_whitespace().collect();
        for pair in words.chunks_exact(2) {
            let [name, value] = pair else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            if protocol == "sockets" {
                out.gauge("node_sockstat_sockets_used", "IPv4 sockets in use.", &[], value);
                continue;
            }
            let mut gauge = |name: &str, value: f64| {
                let help = format!("{protocol} sockets in state {name}.");
                out.gauge(&format!("node_sockstat_{protocol}_{name}"), &help, &[], value);
            };
            gauge(name, value);
            // Counted in pages.
            if *name == "mem" {
                gauge("mem_bytes", value * page_bytes());
            }
        }
    }
    Ok(())
}

#[cfg(unix)]
fn page_bytes() -> f64 {
    rustix::param::page_size() as f64
}

#[cfg(not(unix))]
fn page_bytes() -> f64 {
    4096.0
}
