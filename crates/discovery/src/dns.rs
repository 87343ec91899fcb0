//! `dns_sd_configs`: A and AAAA by the machine's resolver, SRV, MX and NS by asking its servers.

use crate::config::{DNS_REFRESH_DEFAULT, DnsSdConfig};
use crate::dns_query::{RecordType, ResolvConf, lookup};
use crate::{Running, Sink, TargetGroup};
use model::Labels;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use telemetry::Counter;

pub(crate) fn run(config: DnsSdConfig, sink: Arc<dyn Sink>, failures: Counter) -> Running {
    Box::pin(async move {
        let refresh = config.refresh_interval.unwrap_or(DNS_REFRESH_DEFAULT).as_duration();
        let mut known: BTreeMap<String, TargetGroup> = BTreeMap::new();
        loop {
            for name in &config.names {
                match find(name, &config).await {
                    Ok(targets) => {
                        let (source, labels) = (name.clone(), Labels::empty());
                        known.insert(name.clone(), TargetGroup { source, labels, targets });
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

async fn find(name: &str, config: &DnsSdConfig) -> Result<Vec<Labels>, String> {
    let port = config.port.unwrap_or(0);
    let record_type = match config.record_type.as_deref().unwrap_or("SRV").to_ascii_uppercase().as_str() {
        "A" => return addresses(name, port, false).await,
        "AAAA" => return addresses(name, port, true).await,
        "MX" => RecordType::Mx,
        "NS" => RecordType::Ns,
        _ => RecordType::Srv,
    };
    let records = lookup(&ResolvConf::load().await, name, record_type).await?;
    Ok(records
        .into_iter()
        .map(|record| {
            let host = record.target.trim_end_matches('.');
            let port = record.port.unwrap_or(port).to_string();
            let address = format!("{host}:{port}");
            let mut pairs = vec![("__address__", address.as_str()), ("__meta_dns_name", name)];
            match record_type {
                RecordType::Srv => {
                    pairs.push(("__meta_dns_srv_record_target", &record.target));
                    pairs.push(("__meta_dns_srv_record_port", &port));
                }
                RecordType::Mx => pairs.push(("__meta_dns_mx_record_target", &record.target)),
                RecordType::Ns => pairs.push(("__meta_dns_ns_record_target", &record.target)),
            }
            Labels::from_pairs(pairs)
        })
        .collect())
}

async fn addresses(name: &str, port: u16, ipv6: bool) -> Result<Vec<Labels>, String> {
    let found = tokio::net::lookup_host((name, port)).await.map_err(|error| error.to_string())?;
    // A set: the resolver turns the order of addresses from answer to answer.
    let found: BTreeSet<IpAddr> = found.map(|address| address.ip()).filter(|ip| ip.is_ipv6() == ipv6).collect();
    Ok(found
        .into_iter()
        .map(|ip| {
            let address = if ipv6 { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
            Labels::from_pairs([("__address__", address.as_str()), ("__meta_dns_name", name)])
        })
        .collect())
}
