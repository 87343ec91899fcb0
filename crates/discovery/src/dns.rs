//! `dns_sd_configs` of the types A and AAAA, by the machine's resolver.

use crate::config::{DNS_REFRESH_DEFAULT, DnsSdConfig};
use crate::{Running, Sink, TargetGroup};
use model::Labels;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use telemetry::Counter;

pub(crate) fn run(config: DnsSdConfig, sink: Arc<dyn Sink>, failures: Counter) -> Running {
    Box::pin(async move {
        let refresh = config.refresh_interval.unwrap_or(DNS_REFRESH_DEFAULT).as_duration();
        let ipv6 = config.record_type.as_deref().is_some_and(|t| t.eq_ignore_ascii_case("AAAA"));
        let port = config.port.unwrap_or(0);
        let mut known: BTreeMap<String, TargetGroup> = BTreeMap::new();
        loop {
            for name in &config.names {
                match tokio::net::lookup_host((name.as_str(), port)).await {
                    Ok(addresses) => {
                        // A set: the resolver turns the order of addresses from answer to answer.
                        let addresses: BTreeSet<IpAddr> =
                            addresses.map(|a| a.ip()).filter(|ip| ip.is_ipv6() == ipv6).collect();
                        let targets = addresses.into_iter().map(|ip| {
                            let address = if ipv6 { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
                            Labels::from_pairs([("__address__", address.as_str()), ("__meta_dns_name", name)])
                        });
                        let (source, labels) = (name.clone(), Labels::empty());
                        known.insert(name.clone(), TargetGroup { source, labels, targets: targets.collect() });
                    }
                    Err(error) => {
                        failures.inc();
                        tracing::error!(%name, %error, "dns_sd: no answer; the previous targets stay");
                    }
                }
            }
            sink.publish(known.values().cloned().collect());
            tokio::time::sleep(refresh.max(std::time::Duration::from_millis(100))).await;
        }
    })
}
