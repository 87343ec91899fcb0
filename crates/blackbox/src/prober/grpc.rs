//! `grpc`: the health check of gRPC (`grpc.health.v1.Health/Check`) over HTTP/2.

use super::{tcp, tls};
use crate::{
    probe::Run,
    values::{IpProtocol, is_false, yes},
};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use http_client::TlsConfig;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

/// A health answer has a few bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const STATES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: i32 = 1;

/// Status codes of gRPC.
mod code {
    pub(super) const OK: u32 = 0;
    pub(super) const UNKNOWN: u32 = 2;
    pub(super) const DEADLINE_EXCEEDED: u32 = 4;
    pub(super) const PERMISSION_DENIED: u32 = 7;
    pub(super) const UNIMPLEMENTED: u32 = 12;
    pub(super) const INTERNAL: u32 = 13;
    pub(super) const UNAVAILABLE: u32 = 14;
    pub(super) const UNAUTHENTICATED: u32 = 16;
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default = "GrpcProbe::initial", deny_unknown_fields)]
pub struct GrpcProbe {
    /// "" asks for the server as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    #[serde(skip_serializing_if = "is_false")]
    pub tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    pub ip_protocol_fallback: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Headers of the call.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Vec<String>>,
}

impl GrpcProbe {
    fn initial() -> Self {
        GrpcProbe { ip_protocol_fallback: yes(), ..GrpcProbe::default() }
    }
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// How a call ended that brought no answer.
struct Failure {
    code: u32,
    message: String,
}

impl Failure {
    fn unavailable(message: String) -> Self {
        Failure {
            code: if message.contains(crate::probe::TIMED_OUT) { code::DEADLINE_EXCEEDED } else { code::UNAVAILABLE },
            message,
        }
    }
}

pub(crate) async fn probe(run: &mut Run, options: Option<&GrpcProbe>, target: &str) -> bool {
    let initial = GrpcProbe::initial();
    let options = options.unwrap_or(&initial);
    let without_scheme = target.split_once("://").map_or(target, |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = match crate::probe::split_host_port(without_scheme) {
        Ok(split) => split,
        // As a gRPC client without a port.
        Err(error) if error.contains("missing port") => (without_scheme.trim_matches(['[', ']']).to_owned(), 443),
        Err(error) => {
            run.error("Could not parse target URL", &[("err", error)]);
            return false;
        }
    };
    let (ip, resolve) =
        run.resolve(options.preferred_ip_protocol.unwrap_or_default(), options.ip_protocol_fallback, &host).await;
    let started = Instant::now();
    let mut with_tls = false;
    let result = match ip {
        Ok(ip) => {
            let address = SocketAddr::new(ip, port);
            Some(Box::pin(check(run, options, address, &host, without_scheme, &mut with_tls)).await)
        }
        Err(error) => {
            run.error("Error resolving address", &[("err", error)]);
            None
        }
    };
    let check = if result.is_some() { started.elapsed() } else { std::time::Duration::ZERO };
    for (phase, duration) in [("resolve", resolve), ("check", check)] {
        let help = "Duration of gRPC request by phase";
        run.metrics.gauge("probe_grpc_duration_seconds", help, &[("phase", phase)], duration.as_secs_f64());
    }
    run.gauge("probe_grpc_ssl", "Indicates if SSL was used for the connection", f64::from(u8::from(with_tls)));
    let answered = result.as_ref().and_then(|result| result.as_ref().ok());
    for (number, name) in (0..).zip(STATES) {
        let value = f64::from(u8::from(answered == Some(&number)));
        let labels = [("serving_status", name)];
        run.metrics.gauge("probe_grpc_healthcheck_response", "Response HealthCheck response", &labels, value);
    }
    let (code, success) = match result {
        Some(Ok(status)) => (code::OK, status == SERVING),
        Some(Err(failure)) => {
            let message = format!("rpc error: code = {} desc = {}", failure.code, failure.message);
            run.error("can't connect grpc server:", &[("err", message)]);
            (failure.code, false)
        }
        None => (code::OK, false),
    };
    run.gauge("probe_grpc_status_code", "Response gRPC status code", f64::from(code));
    success
}

async fn check(
    run: &mut Run,
    options: &GrpcProbe,
    address: SocketAddr,
    host: &str,
    authority: &str,
    with_tls: &mut bool,
) -> Result<i32, Failure> {
    let stream = tcp::dial(run, address, None).await.map_err(Failure::unavailable)?;
    if !options.tls {
        return call(run, options, stream, "http", authority).await;
    }
    let tls_config = options.tls_config.clone().unwrap_or_default();
    let stream = tls::connect(run, stream, &tls_config, host, &[b"h2"]).await.map_err(Failure::unavailable)?;
    *with_tls = true;
    tls::record(&mut run.metrics, stream.get_ref().1, &tls_config, false);
    call(run, options, stream, "https", authority).await
}

async fn call<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    run: &Run,
    options: &GrpcProbe,
    stream: S,
    scheme: &str,
    authority: &str,
) -> Result<i32, Failure> {
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = run.limit(handshake).await.map_err(Failure::unavailable)?;
    // The connection ends with its sender.
    let driver = tokio::spawn(connection);
    let message = HealthCheckRequest { service: options.service.clone() }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    let frame = [&[0], length.as_slice(), &message].concat();
    let mut request = Request::post(format!("{scheme}://{authority}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", super::http::USER_AGENT);
    for (name, values) in &options.metadata {
        for value in values {
            request = request.header(name, value);
        }
    }
    let request = request
        .body(Full::new(Bytes::from(frame)))
        .map_err(|error| Failure { code: code::INTERNAL, message: error.to_string() })?;
    let response = match run.limit(sender.send_request(request)).await {
        Ok(response) => response,
        Err(error) => {
            // What ended the connection says more than that it ended.
            let cause = if driver.is_finished() { driver.await.ok().and_then(Result::err) } else { None };
            return Err(Failure::unavailable(cause.map_or(error, |cause| cause.to_string())));
        }
    };
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        let code = match head.status.as_u16() {
            400 => code::INTERNAL,
            401 => code::UNAUTHENTICATED,
            403 => code::PERMISSION_DENIED,
            404 => code::UNIMPLEMENTED,
            429 | 502..=504 => code::UNAVAILABLE,
            _ => code::UNKNOWN,
        };
        return Err(Failure { code, message: format!("unexpected HTTP status {}", head.status) });
    }
    // An answer without a body has its status among the headers.
    status(&head.headers).unwrap_or(Ok(()))?;
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect();
    let body = run.limit(body).await.map_err(Failure::unavailable)?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    status(&trailers).unwrap_or(Ok(()))?;
    let bytes = body.to_bytes();
    let message = bytes.get(5..).unwrap_or_default();
    match HealthCheckResponse::decode(message) {
        Ok(answer) => Ok(answer.status),
        Err(error) => Err(Failure { code: code::INTERNAL, message: error.to_string() }),
    }
}

/// `grpc-status`, if there: an error unless 0.
fn status(headers: &HeaderMap) -> Option<Result<(), Failure>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let code = text("grpc-status")?.parse().unwrap_or(code::UNKNOWN);
    let message = text("grpc-message").unwrap_or_default().to_owned();
    Some(if code == code::OK { Ok(()) } else { Err(Failure { code, message }) })
}
