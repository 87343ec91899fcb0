//! One probe from its start to its metrics.

use crate::{Module, log::LogLine, prober};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use system::{Clock, SystemClock};
use telemetry::{Collected, MetricFamily};
use tokio::time::{Instant, timeout_at};

/// What came of a probe.
#[derive(Clone, Debug)]
pub struct ProbeResult {
    pub success: bool,
    pub duration: Duration,
    /// By name, `probe_success` and `probe_duration_seconds` among them.
    pub families: Vec<MetricFamily>,
    /// What happened, for people.
    pub log: Vec<LogLine>,
}

/// Probes `target` as `module` says. `hostname`, if not empty, is the name to ask the target for: the Host
/// header of HTTP, the server name of TLS. Never takes longer than `timeout`.
pub async fn probe(module_name: &str, module: &Module, target: &str, hostname: &str, timeout: Duration) -> ProbeResult {
    let started = Instant::now();
    let mut run = Run {
        metrics: Collected::default(),
        log: Vec::new(),
        deadline: started + timeout,
        context: vec![("module".into(), module_name.into()), ("target".into(), target.into())],
    };
    let success = prober::run(&mut run, module, target, hostname).await;
    let duration = started.elapsed();
    let seconds = ("duration_seconds", duration.as_secs_f64().to_string());
    if success {
        run.info("Probe succeeded", &[seconds]);
    } else {
        run.error("Probe failed", &[seconds]);
    }
    run.gauge("probe_success", "Displays whether or not the probe was a success", f64::from(u8::from(success)));
    let help = "Returns how long the probe took to complete in seconds";
    run.gauge("probe_duration_seconds", help, duration.as_secs_f64());
    let mut families = run.metrics.into_families();
    families.iter_mut().for_each(|family| family.series.sort_by(|(a, _), (b, _)| a.cmp(b)));
    ProbeResult { success, duration, families, log: run.log }
}

/// A probe under way: what it has measured and said so far.
pub(crate) struct Run {
    pub(crate) metrics: Collected,
    log: Vec<LogLine>,
    pub(crate) deadline: Instant,
    context: Vec<(String, String)>,
}

/// The words of every network operation that takes too long.
pub(crate) const TIMED_OUT: &str = "context deadline exceeded";

impl Run {
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Run { metrics: Collected::default(), log: Vec::new(), deadline: Instant::now(), context: Vec::new() }
    }

    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.metrics.gauge(name, help, &[], value);
    }

    pub(crate) fn error(&mut self, message: &str, fields: &[(&str, String)]) {
        self.say("ERROR", message, fields);
    }

    pub(crate) fn warn(&mut self, message: &str, fields: &[(&str, String)]) {
        self.say("WARN", message, fields);
    }

    pub(crate) fn info(&mut self, message: &str, fields: &[(&str, String)]) {
        self.say("INFO", message, fields);
    }

    fn say(&mut self, level: &'static str, message: &str, fields: &[(&str, String)]) {
        let own = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let fields = self.context.iter().cloned().chain(own).collect();
        self.log.push(LogLine { time_ms: SystemClock.now_ms(), level, message: message.to_owned(), fields });
    }

    /// Waits for `work` until the probe's time is over.
    pub(crate) async fn limit<T, E: std::fmt::Display>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        match timeout_at(self.deadline, work).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err(TIMED_OUT.to_owned()),
        }
    }

    /// The address to probe at for `host`, and how long its look-up took; writes the metrics of the look-up.
    pub(crate) async fn resolve(
        &mut self,
        preferred: crate::IpProtocol,
        fallback: bool,
        host: &str,
    ) -> (Result<IpAddr, String>, Duration) {
        let started = Instant::now();
        let found = self.limit(look_up(host)).await;
        let took = started.elapsed();
        let wanted = |ip: &&IpAddr| ip.is_ipv4() == (preferred == crate::IpProtocol::Ip4);
        let chosen = found.and_then(|addresses| {
            let other = if fallback { addresses.first() } else { None };
            let none = || format!("address {host}: no suitable address found");
            addresses.iter().find(wanted).or(other).copied().ok_or_else(none)
        });
        if let Err(error) = &chosen {
            let protocol = if preferred == crate::IpProtocol::Ip4 { "ip4" } else { "ip6" };
            let fields = [("target", host.to_owned()), ("ip_protocol", protocol.to_owned()), ("err", error.clone())];
            self.error("Resolution with IP protocol failed", &fields);
        }
        let (protocol, hash) = match &chosen {
            Ok(ip) => (if ip.is_ipv4() { 4.0 } else { 6.0 }, f64::from(ip_hash(*ip))),
            Err(_) => (0.0, 0.0),
        };
        let help = "Returns the time taken for probe dns lookup in seconds";
        self.gauge("probe_dns_lookup_time_seconds", help, took.as_secs_f64());
        self.gauge("probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", protocol);
        let help = "Specifies the hash of IP address. It's useful to detect if the IP address changes.";
        self.gauge("probe_ip_addr_hash", help, hash);
        (chosen, took)
    }
}

pub(crate) async fn look_up(host: &str) -> Result<Vec<IpAddr>, String> {
    // A zone (`fe80::1%eth0`) is left to the system's resolver.
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    match tokio::net::lookup_host((host, 0)).await {
        Ok(found) => Ok(found.map(|address: SocketAddr| address.ip()).collect()),
        Err(error) => Err(format!("lookup {host}: {error}")),
    }
}

/// FNV-1a over the address's bytes, as upstream counts it.
fn ip_hash(ip: IpAddr) -> u32 {
    let bytes = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// `host:port`, `[v6]:port`; the error in the words of Go's `net.SplitHostPort`.
pub(crate) fn split_host_port(target: &str) -> Result<(String, u16), String> {
    let missing = || format!("address {target}: missing port in address");
    let (host, port) = match target.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) =
                rest.split_once(']').ok_or_else(|| format!("address {target}: missing ']' in address"))?;
            (host, rest.strip_prefix(':').ok_or_else(missing)?)
        }
        None => {
            let (host, port) = target.rsplit_once(':').ok_or_else(missing)?;
            if host.contains(':') {
                return Err(format!("address {target}: too many colons in address"));
            }
            (host, port)
        }
    };
    let port = port.parse().map_err(|_| format!("address {target}: invalid port"))?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_upstreams() {
        assert_eq!(ip_hash(IpAddr::from([127, 0, 0, 1])), 3_668_918_509);
    }

    #[test]
    fn hosts_and_ports() {
        for (target, expected) in [
            ("a:80", "a 80"),
            ("[::1]:80", "::1 80"),
            ("127.0.0.1", "address 127.0.0.1: missing port in address"),
            ("::1:80", "address ::1:80: too many colons in address"),
            ("[::1", "address [::1: missing ']' in address"),
            ("a:b", "address a:b: invalid port"),
        ] {
            let said = split_host_port(target).map_or_else(|error| error, |(host, port)| format!("{host} {port}"));
            assert_eq!(said, expected);
        }
    }
}
