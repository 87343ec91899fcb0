//! Network devices (`/proc/net/dev`, `/sys/class/net`) and protocols (`/proc/net/snmp` and its kin).

use crate::source::{HostError, Source, column};
use model::{Labels, MetricType};
use std::collections::BTreeMap;
use telemetry::{Collected, Value};

const RECEIVED: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"];
const TRANSMITTED: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"];

/// Files of `/sys/class/net/<device>`, the metric without `node_network_`, and whether it is a counter.
const ATTRIBUTES: [(&str, &str, bool); 15] = [
    ("addr_assign_type", "address_assign_type", false),
    ("carrier", "carrier", false),
    ("carrier_changes", "carrier_changes_total", true),
    ("carrier_up_count", "carrier_up_changes_total", true),
    ("carrier_down_count", "carrier_down_changes_total", true),
    ("dev_id", "device_id", false),
    ("dormant", "dormant", false),
    ("flags", "flags", false),
    ("ifindex", "iface_id", false),
    ("iflink", "iface_link", false),
    ("link_mode", "iface_link_mode", false),
    ("mtu", "mtu_bytes", false),
    ("name_assign_type", "name_assign_type", false),
    ("netdev_group", "net_dev_group", false),
    ("type", "protocol_type", false),
];

pub(crate) fn statistics(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    // Two lines of headings.
    for line in source.read("proc/net/dev")?.lines().skip(2) {
        let Some((device, rest)) = line.rsplit_once(':') else {
            return Err(HostError::Format { file: "proc/net/dev", line: line.to_owned() });
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        for (direction, names, first) in [("receive", RECEIVED, 0), ("transmit", TRANSMITTED, RECEIVED.len())] {
            for (i, name) in names.iter().enumerate() {
                if let Some(value) = column(&words, first + i) {
                    let metric = format!("node_network_{direction}_{name}_total");
                    let help = format!("Network device statistic {direction}_{name}.");
                    out.counter(&metric, &help, &[("device", device.trim())], value);
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn devices(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    for device in source.names("sys/class/net") {
        let folder = format!("sys/class/net/{device}");
        // Files such as bonding_masters stand beside the devices.
        let Some(state) = source.attribute(&format!("{folder}/operstate")) else { continue };
        let labels = [("device", device.as_str())];
        for (file, name, counter) in ATTRIBUTES {
            let Some(value) = source.number(&format!("{folder}/{file}")) else { continue };
            let (metric, help) = (format!("node_network_{name}"), format!("Network device property: {name}"));
            if counter {
                out.counter(&metric, &help, &labels, value)
            } else {
                out.gauge(&metric, &help, &labels, value)
            }
        }
        // Megabits per second; -1 where the driver does not know.
        if let Some(speed) = source.number(&format!("{folder}/speed")).filter(|speed| *speed >= 0.0) {
            let help = "Network device property: speed_bytes";
            out.gauge("node_network_speed_bytes", help, &labels, speed * 1_000_000.0 / 8.0);
        }
        if let Some(length) = source.number(&format!("{folder}/tx_queue_len")) {
            let help = "Network device property: transmit_queue_length";
            out.gauge("node_network_transmit_queue_length", help, &labels, length);
        }
        let up = f64::from(u8::from(state == "up"));
        out.gauge("node_network_up", "1 if the device's state is up, else 0.", &labels, up);
        let text = |file: &str| source.attribute(&format!("{folder}/{file}")).unwrap_or_default();
        // IFF_UP is the lowest flag.
        let flags = source.number(&format!("{folder}/flags")).unwrap_or(0.0) as u64;
        let labels = [
            ("device", device.as_str()),
            ("address", &text("address")),
            ("broadcast", &text("broadcast")),
            ("duplex", &text("duplex")),
            ("operstate", &state),
            ("adminstate", if flags & 1 == 1 { "up" } else { "down" }),
            ("ifalias", &text("ifalias")),
        ];
        out.gauge("node_network_info", "What a network device is; the value is always 1.", &labels, 1.0);
    }
    Ok(())
}

pub(crate) fn protocols(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    let mut fields: BTreeMap<(String, String), f64> = BTreeMap::new();
    for file in ["proc/net/netstat", "proc/net/snmp"] {
        let text = source.read(file)?;
        let mut lines = text.lines();
        // A line of names, then one of values, both with the protocol in front.
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let (Some((protocol, names)), Some((_, values))) = (names.split_once(':'), values.split_once(':')) else {
                continue;
            };
            for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
                if let Ok(value) = value.parse() {
                    fields.insert((protocol.to_owned(), name.to_owned()), value);
                }
            }
        }
    }
    // A machine without IPv6 has no such file.
    for line in source.read("proc/net/snmp6").unwrap_or_default().lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(Ok(value))) = (words.next(), words.next().map(str::parse))
            && let Some(six) = name.find('6')
        {
            let (protocol, name) = name.split_at(six + 1);
            fields.insert((protocol.to_owned(), name.to_owned()), value);
        }
    }
    for ((protocol, name), value) in fields {
        if is_field(&protocol, &name) {
            let metric = format!("node_netstat_{protocol}_{name}");
            let help = format!("Statistic {protocol}{name}.");
            out.push(&metric, &help, MetricType::Unknown, Labels::empty(), Value::Number(value));
        }
    }
    Ok(())
}

/// The fields that node_exporter takes by default.
fn is_field(protocol: &str, name: &str) -> bool {
    if matches!(name, "InErrors" | "InErrs") {
        return true;
    }
    match protocol {
        "Ip" => name == "Forwarding",
        "Ip6" | "IpExt" => matches!(name, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(name, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            name.starts_with("Listen")
                || name.starts_with("Syncookies")
                || matches!(name, "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop")
        }
        "Tcp" => matches!(
            name,
            "ActiveOpens" | "InSegs" | "OutSegs" | "OutRsts" | "PassiveOpens" | "RetransSegs" | "CurrEstab"
        ),
        "Udp" | "Udp6" => {
            matches!(name, "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors")
        }
        _ => false,
    }
}
