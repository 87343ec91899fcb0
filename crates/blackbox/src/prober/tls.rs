//! TLS: the handshake, and what its certificates tell (`probe_ssl_*`, `probe_tls_*`).

use crate::probe::Run;
use http_client::{TlsConfig, client_tls_config};
use rustls::ClientConnection;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write,
    sync::{Arc, OnceLock},
};
use telemetry::Collected;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, x509::X509Name};

/// What Go's zero time is in Unix seconds: no chain was verified.
const NO_CHAIN: f64 = -62_135_596_800.0;
/// More certificates than a chain of the web has.
const CHAIN_MAX: usize = 16;

/// Shakes hands over `stream`. `host` is the name to check unless the configuration has one.
pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    run: &Run,
    stream: S,
    tls_config: &TlsConfig,
    host: &str,
    alpn: &[&[u8]],
) -> Result<TlsStream<S>, String> {
    let config = client_tls_config(tls_config, alpn).map_err(|error| error.to_string())?;
    let name = tls_config.server_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(host);
    let name =
        ServerName::try_from(name.to_owned()).map_err(|_| format!("{name:?} is no name a certificate can have"))?;
    let connected = run.limit(TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    connected.map_err(|error| format!("tls: {error}"))
}

/// Writes the metrics of a finished handshake.
pub(crate) fn record(
    metrics: &mut Collected,
    connection: &ClientConnection,
    tls_config: &TlsConfig,
    with_cipher: bool,
) {
    let presented = connection.peer_certificates().unwrap_or_default();
    let parsed: Vec<X509Certificate<'_>> =
        presented.iter().filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, parsed)| parsed).collect();
    let expiry = |certificate: &X509Certificate<'_>| certificate.validity().not_after.timestamp();
    let earliest = parsed.iter().map(expiry).min();
    let help = "Returns last SSL chain expiry in unixtime";
    metrics.gauge("probe_ssl_earliest_cert_expiry", help, &[], earliest.map_or(NO_CHAIN, seconds));
    let help = "Returns last SSL chain expiry in timestamp";
    let chain = if tls_config.insecure_skip_verify { None } else { chain_expiry(&parsed, tls_config) };
    metrics.gauge("probe_ssl_last_chain_expiry_timestamp_seconds", help, &[], chain.map_or(NO_CHAIN, seconds));
    if let (Some(leaf), Some(der)) = (parsed.first(), presented.first()) {
        let labels = [
            ("fingerprint_sha256", hex(&Sha256::digest(der))),
            ("subject", name_text(leaf.subject())),
            ("issuer", name_text(leaf.issuer())),
            ("subjectalternative", alternative_names(leaf)),
            ("serialnumber", hex(leaf.raw_serial()).trim_start_matches('0').to_owned()),
        ];
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        metrics.gauge("probe_ssl_last_chain_info", "Contains SSL leaf certificate information", &labels, 1.0);
    }
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "unknown",
    };
    let help = "Returns the TLS version used or NaN when unknown";
    metrics.gauge("probe_tls_version_info", help, &[("version", version)], 1.0);
    if let (true, Some(suite)) = (with_cipher, connection.negotiated_cipher_suite()) {
        // Go names the suites of TLS 1.3 as the standard does.
        let cipher = format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
        let help = "Returns the TLS cipher negotiated during handshake";
        metrics.gauge("probe_tls_cipher_info", help, &[("cipher", &cipher)], 1.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact in a float")]
fn seconds(unix: i64) -> f64 {
    unix as f64
}

/// When the first certificate of the verified chain expires, its root included. The handshake has verified the
/// signatures; here the chain is only walked by its names.
fn chain_expiry(presented: &[X509Certificate<'_>], tls_config: &TlsConfig) -> Option<i64> {
    let mut current = presented.first()?;
    let mut expiry = current.validity().not_after.timestamp();
    for _ in 0..CHAIN_MAX {
        let roots = trusted(tls_config);
        let root = roots.iter().filter_map(|root| X509Certificate::from_der(root).ok()).find(|(_, root)| {
            root.subject().as_raw() == current.issuer().as_raw()
                || root.subject().as_raw() == current.subject().as_raw()
        });
        if let Some((_, root)) = root {
            return Some(expiry.min(root.validity().not_after.timestamp()));
        }
        current = presented.iter().skip(1).find(|other| other.subject().as_raw() == current.issuer().as_raw())?;
        expiry = expiry.min(current.validity().not_after.timestamp());
    }
    None
}

fn trusted(tls_config: &TlsConfig) -> Arc<Vec<CertificateDer<'static>>> {
    static SYSTEM: OnceLock<Arc<Vec<CertificateDer<'static>>>> = OnceLock::new();
    let own = match (&tls_config.ca, &tls_config.ca_file) {
        (_, Some(file)) => std::fs::read(file).ok(),
        (Some(pem), None) => Some(pem.as_bytes().to_vec()),
        (None, None) => None,
    };
    match own {
        Some(pem) => Arc::new(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect()),
        None => Arc::clone(SYSTEM.get_or_init(|| Arc::new(rustls_native_certs::load_native_certs().certs))),
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> String {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return String::new() };
    let dns = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    dns.collect::<Vec<_>>().join(",")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Attributes in the order of Go's `pkix.Name.String`, whatever the certificate's is.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.3", "CN"),
    ("2.5.4.17", "POSTALCODE"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.8", "ST"),
    ("2.5.4.7", "L"),
    ("2.5.4.11", "OU"),
    ("2.5.4.10", "O"),
    ("2.5.4.6", "C"),
];

fn name_text(name: &X509Name<'_>) -> String {
    let mut parts = Vec::new();
    for (oid, short) in ATTRIBUTES {
        let values: Vec<String> = name
            .iter_attributes()
            .filter(|attribute| attribute.attr_type().to_id_string() == oid)
            .map(|attribute| format!("{short}={}", escaped(attribute.as_str().unwrap_or_default())))
            .collect();
        if !values.is_empty() {
            parts.push(values.join("+"));
        }
    }
    for attribute in name.iter_attributes() {
        let oid = attribute.attr_type().to_id_string();
        if !ATTRIBUTES.iter().any(|(known, _)| *known == oid) {
            parts.push(format!("{oid}={}", escaped(attribute.as_str().unwrap_or_default())));
        }
    }
    parts.join(",")
}

/// RFC 2253.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (i, c) in value.chars().enumerate() {
        let at_edge = (i == 0 && matches!(c, ' ' | '#')) || (i == last && c == ' ');
        if at_edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}
