//! `tcp`: a connection, TLS if wanted, and a dialogue.

use super::query_response::{Failures, Outcome, QueryResponse, converse};
use super::tls;
use crate::{
    probe::{Run, split_host_port},
    values::{IpProtocol, is_false, yes},
};
use http_client::TlsConfig;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default = "TcpProbe::initial", deny_unknown_fields)]
pub struct TcpProbe {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Take an address of the other kind if there is none of the preferred.
    pub ip_protocol_fallback: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip_address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_response: Vec<QueryResponse>,
    #[serde(skip_serializing_if = "is_false")]
    pub tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
}

impl TcpProbe {
    pub(crate) fn initial() -> Self {
        TcpProbe { ip_protocol_fallback: yes(), ..TcpProbe::default() }
    }
}

/// Connects from `source`, if given.
pub(crate) async fn dial(run: &Run, address: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, String> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|error| error.to_string())?;
    if let Some(source) = source {
        socket.bind((source, 0).into()).map_err(|error| format!("bind {source}: {error}"))?;
    }
    let stream = run.limit(socket.connect(address)).await.map_err(|error| format!("dial tcp {address}: {error}"))?;
    // Small requests shall leave at once; a failure costs only time.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

pub(crate) async fn probe(run: &mut Run, options: &TcpProbe, target: &str, hostname: &str) -> bool {
    let (host, port) = match split_host_port(target) {
        Ok(split) => split,
        Err(error) => {
            run.error("Error splitting target address and port", &[("err", error.clone())]);
            run.error("Error dialing TCP", &[("err", error)]);
            return false;
        }
    };
    let (ip, _) =
        run.resolve(options.preferred_ip_protocol.unwrap_or_default(), options.ip_protocol_fallback, &host).await;
    let connected = match ip {
        Ok(ip) => dial(run, SocketAddr::new(ip, port), options.source_ip_address).await,
        Err(error) => {
            run.error("Error resolving address", &[("err", error.clone())]);
            Err(error)
        }
    };
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) => {
            run.error("Error dialing TCP", &[("err", error)]);
            return false;
        }
    };
    let name = if hostname.is_empty() { host } else { hostname.to_owned() };
    talk(run, stream, &options.query_response, options.tls, options.tls_config.as_ref(), &name).await
}

/// TLS from the start if `tls`, then the dialogue, with TLS at the step that asks for it.
pub(crate) async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send>(
    run: &mut Run,
    mut stream: S,
    steps: &[QueryResponse],
    tls: bool,
    tls_config: Option<&TlsConfig>,
    host: &str,
) -> bool {
    let none = TlsConfig::default();
    let tls_config = tls_config.unwrap_or(&none);
    let mut failures = Failures::default();
    if tls {
        let mut stream = match tls::connect(run, stream, tls_config, host, &[]).await {
            Ok(stream) => stream,
            Err(error) => {
                run.error("Error dialing TCP", &[("err", error)]);
                return false;
            }
        };
        tls::record(&mut run.metrics, stream.get_ref().1, tls_config, false);
        let outcome = converse(run, &mut stream, steps, 0, &mut failures).await;
        failures.record(run);
        return match outcome {
            Outcome::Done => true,
            Outcome::Failed => false,
            Outcome::StartTls(_) => {
                run.error("TLS handshake (client) failed", &[("err", "the connection is encrypted already".into())]);
                false
            }
        };
    }
    let success = match converse(run, &mut stream, steps, 0, &mut failures).await {
        Outcome::Done => true,
        Outcome::Failed => false,
        Outcome::StartTls(step) => match tls::connect(run, stream, tls_config, host, &[]).await {
            Ok(mut stream) => {
                tls::record(&mut run.metrics, stream.get_ref().1, tls_config, false);
                matches!(converse(run, &mut stream, steps, step + 1, &mut failures).await, Outcome::Done)
            }
            Err(error) => {
                run.error("TLS Handshake (client) failed", &[("err", error)]);
                false
            }
        },
    };
    failures.record(run);
    success
}
