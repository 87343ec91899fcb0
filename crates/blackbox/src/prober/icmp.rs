//! `icmp`: one echo request and its reply.

use crate::{
    probe::Run,
    values::{IpProtocol, yes},
};
use rustix::net::{
    sockopt,
    sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery},
};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};
use tokio::{net::UdpSocket, time::Instant};

/// An IP packet has no more room.
const PAYLOAD_BYTES_MAX: i64 = 65_507;
/// Headers before the payload, and room to see that a reply is too long.
const PACKET_BYTES_MAX: usize = 66_000;
/// As upstream's, so that packet captures look alike.
const PAYLOAD_DEFAULT: &[u8] = b"Prometheus Blackbox Exporter";
const TTL_DEFAULT: i64 = 64;
const HEADER_BYTES: usize = 8;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default = "IcmpProbe::initial", deny_unknown_fields)]
pub struct IcmpProbe {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_ip_protocol: Option<IpProtocol>,
    pub ip_protocol_fallback: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip_address: Option<IpAddr>,
    /// Bytes behind the header; 0 sends a short text.
    #[serde(skip_serializing_if = "is_zero")]
    pub payload_size: i64,
    #[serde(skip_serializing_if = "crate::values::is_false")]
    pub dont_fragment: bool,
    /// 0 leaves the system's.
    pub ttl: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl IcmpProbe {
    pub(crate) fn initial() -> Self {
        IcmpProbe { ip_protocol_fallback: yes(), ttl: TTL_DEFAULT, ..IcmpProbe::default() }
    }

    pub(crate) fn check(&self, check: &mut crate::config::Check<'_>) {
        if self.ttl < 0 {
            check.fault("ttl", "\"ttl\" cannot be negative");
        } else if self.ttl > 255 {
            check.fault("ttl", "\"ttl\" cannot exceed 255");
        }
        if !(0..=PAYLOAD_BYTES_MAX).contains(&self.payload_size) {
            check.fault("payload_size", format!("\"payload_size\" must be from 0 to {PAYLOAD_BYTES_MAX}"));
        }
    }
}

pub(crate) async fn probe(run: &mut Run, options: &IcmpProbe, target: &str) -> bool {
    let (ip, took) =
        run.resolve(options.preferred_ip_protocol.unwrap_or_default(), options.ip_protocol_fallback, target).await;
    let (ip, resolve) = match ip {
        Ok(ip) => (ip, took),
        Err(error) => {
            run.error("Error resolving address", &[("err", error)]);
            record(run, [Duration::ZERO; 3]);
            return false;
        }
    };
    let started = Instant::now();
    let echo = match Echo::open(run, options, ip) {
        Ok(echo) => echo,
        Err(error) => {
            run.error("Error listening to socket", &[("err", error.to_string())]);
            record(run, [resolve, started.elapsed(), Duration::ZERO]);
            return false;
        }
    };
    let setup = started.elapsed();
    let sent = Instant::now();
    match run.limit(echo.exchange(options, ip)).await {
        Ok(hop_limit) => {
            record(run, [resolve, setup, sent.elapsed()]);
            if let Some(hop_limit) = hop_limit {
                let help = "Replied packet hop limit (TTL for ipv4)";
                run.gauge("probe_icmp_reply_hop_limit", help, f64::from(hop_limit));
            }
            true
        }
        Err(error) => {
            record(run, [resolve, setup, Duration::ZERO]);
            run.warn("Timeout reading from socket", &[("err", error)]);
            false
        }
    }
}

fn record(run: &mut Run, durations: [Duration; 3]) {
    for (phase, duration) in ["resolve", "setup", "rtt"].iter().zip(durations) {
        let help = "Duration of icmp request by phase";
        run.metrics.gauge("probe_icmp_duration_seconds", help, &[("phase", phase)], duration.as_secs_f64());
    }
}

struct Echo {
    /// An ICMP socket: tokio's type only sends, receives and waits.
    socket: UdpSocket,
    /// A raw IPv4 socket delivers the IP header, and with it the hop limit.
    raw: bool,
    sequence: u16,
    id: u16,
}

impl Echo {
    /// A raw socket shows the reply's hop limit; without the right to one, the kernel's own echo socket serves.
    fn open(run: &mut Run, options: &IcmpProbe, ip: IpAddr) -> io::Result<Self> {
        static SEQUENCE: AtomicU16 = AtomicU16::new(0);
        let (domain, protocol) = match ip {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let (socket, raw) = match Socket::new(domain, Type::RAW, Some(protocol)) {
            Ok(socket) => (socket, true),
            Err(error) => {
                run.info(
                    "Unable to do privileged listen on socket, will attempt unprivileged",
                    &[("err", error.to_string())],
                );
                (Socket::new(domain, Type::DGRAM, Some(protocol))?, false)
            }
        };
        socket.set_nonblocking(true)?;
        if let Some(source) = options.source_ip_address {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        if let Ok(ttl @ 1..) = u8::try_from(options.ttl) {
            match ip {
                IpAddr::V4(_) => sockopt::set_ip_ttl(&socket, u32::from(ttl))?,
                IpAddr::V6(_) => sockopt::set_ipv6_unicast_hops(&socket, Some(ttl))?,
            }
        }
        match (ip, options.dont_fragment) {
            (IpAddr::V4(_), true) => sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DO)?,
            (IpAddr::V4(_), false) => sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DONT)?,
            (IpAddr::V6(_), true) => sockopt::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::DO)?,
            (IpAddr::V6(_), false) => {}
        }
        // Only this host's packets arrive.
        socket.connect(&SocketAddr::new(ip, 0).into())?;
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "upstream, too, takes the low bits")]
        let id = std::process::id() as u16;
        Ok(Echo { socket: UdpSocket::from_std(socket.into())?, raw, sequence, id })
    }

    /// Sends and waits for the reply that belongs to it; gives its hop limit where it is seen.
    async fn exchange(&self, options: &IcmpProbe, ip: IpAddr) -> io::Result<Option<u8>> {
        let payload = match usize::try_from(options.payload_size) {
            Ok(size @ 1..) => vec![b'x'; size],
            _ => PAYLOAD_DEFAULT.to_vec(),
        };
        let request = self.packet(ip.is_ipv4(), &payload);
        self.socket.send(&request).await?;
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        loop {
            let count = self.socket.recv(&mut buffer).await?;
            let packet = &buffer[..count];
            let (hop_limit, message) = if self.raw && ip.is_ipv4() {
                // The header's length is in its first byte, in words; the TTL in its ninth.
                let length = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
                (packet.get(8).copied(), packet.get(length..).unwrap_or_default())
            } else {
                (None, packet)
            };
            if self.answers(ip.is_ipv4(), message, &payload) {
                return Ok(hop_limit);
            }
        }
    }

    fn packet(&self, v4: bool, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![if v4 { 8 } else { 128 }, 0, 0, 0];
        packet.extend(self.id.to_be_bytes());
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(payload);
        if v4 {
            // For IPv6 the kernel counts it, since the addresses belong to it.
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    fn answers(&self, v4: bool, message: &[u8], payload: &[u8]) -> bool {
        let Some((header, body)) = message.split_at_checked(HEADER_BYTES) else { return false };
        let kind = if v4 { 0 } else { 129 };
        // The kernel's echo socket writes an id of its own and delivers only what belongs to it.
        let own = !self.raw || header[4..6] == self.id.to_be_bytes();
        header[0] == kind && own && header[6..8] == self.sequence.to_be_bytes() && body == payload
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .fold(0, |sum, word| {
            let sum = sum + word;
            (sum & 0xffff) + (sum >> 16)
        });
    #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits")]
    let folded = sum as u16;
    !folded
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_of_a_checked_packet_is_zero() {
        let mut packet = vec![8, 0, 0, 0, 0x12, 0x34, 0, 7, b'a', b'b', b'c'];
        let sum = super::checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(super::checksum(&packet), 0);
    }
}
