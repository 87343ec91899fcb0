//! `tls_server_config`.

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, NamedGroup, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::extensions::GeneralName;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTls {
    cert: String,
    key: String,
    cert_file: String,
    key_file: String,
    client_auth_type: String,
    client_ca: String,
    client_ca_file: String,
    client_allowed_sans: Vec<String>,
    min_version: String,
    max_version: String,
    cipher_suites: Vec<String>,
    /// Which suite is taken is the library's choice.
    #[serde(rename = "prefer_server_cipher_suites")]
    _prefer_server_cipher_suites: Option<bool>,
    curve_preferences: Vec<String>,
}

/// How connections are encrypted, and whose are taken.
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    /// Names of which a client's certificate must have one; empty: any.
    allowed_sans: Vec<String>,
}

/// Key and message.
type Found = (&'static str, String);

const AUTH_TYPES: [&str; 5] = [
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
];
const VERSIONS: [&str; 4] = ["TLS10", "TLS11", "TLS12", "TLS13"];
/// Go's names of groups that keys are agreed on by.
const CURVES: [(&str, NamedGroup); 5] = [
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
    ("CurveP521", NamedGroup::secp521r1),
    ("X25519", NamedGroup::X25519),
    ("X25519MLKEM768", NamedGroup::X25519MLKEM768),
];

impl RawTls {
    /// Reads certificates and keys, relative to `folder`; notes the files.
    pub(super) fn resolve(&self, folder: &Path, http2: bool, files: &mut Vec<PathBuf>) -> Result<Tls, Vec<Found>> {
        let mut faults = Vec::new();
        let mut pem = |inline: &str, file: &str, key: &'static str| match (inline, file) {
            ("", "") => Ok(None),
            (_, "") => Ok(Some(inline.as_bytes().to_vec())),
            ("", file) => {
                let path = folder.join(file);
                let read = std::fs::read(&path).map_err(|error| (key, format!("{}: {error}", path.display())));
                files.push(path);
                read.map(Some)
            }
            _ => Err((key, "the text and the name of a file are both there; keep one".to_owned())),
        };
        let cert = pem(&self.cert, &self.cert_file, "cert_file");
        let key = pem(&self.key, &self.key_file, "key_file");
        let client_ca = pem(&self.client_ca, &self.client_ca_file, "client_ca_file");
        if matches!(cert, Ok(None)) {
            faults.push(("", "cert_file or cert is missing; name the certificate in PEM".to_owned()));
        }
        if matches!(key, Ok(None)) {
            faults.push(("", "key_file or key is missing; name the certificate's key in PEM".to_owned()));
        }
        let mut take = |read: Result<Option<Vec<u8>>, Found>| {
            read.unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })
        };
        let (cert, key, client_ca) = (take(cert), take(key), take(client_ca));
        let provider = self.provider(&mut faults);
        let versions = self.versions(&mut faults);
        let verifier = self.verifier(client_ca.as_deref(), &provider, &mut faults);
        let (Some(cert), Some(key), true) = (cert, key, faults.is_empty()) else { return Err(faults) };
        let config = server_config(&cert, &key, provider, &versions, verifier, http2).map_err(|fault| vec![fault])?;
        Ok(Tls { config: Arc::new(config), allowed_sans: self.client_allowed_sans.clone() })
    }

    fn provider(&self, faults: &mut Vec<Found>) -> Arc<CryptoProvider> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        if !self.cipher_suites.is_empty() {
            let all = std::mem::take(&mut provider.cipher_suites);
            // Go calls those of TLS 1.3 as the standard does, without "13".
            let name = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
            for wanted in &self.cipher_suites {
                match all.iter().find(|suite| name(suite) == *wanted) {
                    Some(suite) => provider.cipher_suites.push(*suite),
                    None => {
                        let known: Vec<_> = all.iter().map(name).collect();
                        let known = known.join(", ");
                        faults.push(("cipher_suites", format!("{wanted:?} is not supported; supported are {known}")));
                    }
                }
            }
            // As in Go, the list is about TLS 1.2; the suites of 1.3 stay.
            for suite in all.iter().filter(|suite| suite.tls13().is_some()) {
                if !provider.cipher_suites.contains(suite) {
                    provider.cipher_suites.push(*suite);
                }
            }
        }
        if !self.curve_preferences.is_empty() {
            let all = std::mem::take(&mut provider.kx_groups);
            for wanted in &self.curve_preferences {
                let group = CURVES.iter().find(|(name, _)| name == wanted).map(|(_, group)| *group);
                match all.iter().find(|known| Some(known.name()) == group) {
                    Some(known) => provider.kx_groups.push(*known),
                    None => {
                        let known = CURVES.map(|(name, _)| name).join(", ");
                        faults.push(("curve_preferences", format!("{wanted:?} is not supported; known are {known}")));
                    }
                }
            }
        }
        Arc::new(provider)
    }

    fn versions(&self, faults: &mut Vec<Found>) -> Vec<&'static SupportedProtocolVersion> {
        let mut place = |key: &'static str, text: &str, default: usize| match text {
            "" => default,
            text => VERSIONS.iter().position(|name| *name == text).unwrap_or_else(|| {
                faults.push((key, format!("{text:?} is unknown; known are {}", VERSIONS.join(", "))));
                default
            }),
        };
        let (min, max) = (place("min_version", &self.min_version, 2), place("max_version", &self.max_version, 3));
        // What is older than 1.2 nobody should speak any more, and the library does not.
        let versions: Vec<_> = [(2, &rustls::version::TLS12), (3, &rustls::version::TLS13)]
            .into_iter()
            .filter(|(place, _)| (min..=max).contains(place))
            .map(|(_, version)| version)
            .collect();
        if versions.is_empty() {
            let message = "no version is left: TLS12 and TLS13 are spoken, and min_version must not be above";
            faults.push(("max_version", message.to_owned()));
        }
        versions
    }

    fn verifier(
        &self,
        client_ca: Option<&[u8]>,
        provider: &Arc<CryptoProvider>,
        faults: &mut Vec<Found>,
    ) -> Option<Arc<dyn ClientCertVerifier>> {
        let auth = if self.client_auth_type.is_empty() { "NoClientCert" } else { self.client_auth_type.as_str() };
        if !AUTH_TYPES.contains(&auth) {
            let known = AUTH_TYPES.join(", ");
            faults.push(("client_auth_type", format!("{auth:?} is unknown; known are {known}")));
            return None;
        }
        if !self.client_allowed_sans.is_empty() && auth != "RequireAndVerifyClientCert" {
            let message =
                "names are compared of verified certificates only; set client_auth_type to RequireAndVerifyClientCert";
            faults.push(("client_allowed_sans", message.to_owned()));
        }
        let algorithms = provider.signature_verification_algorithms;
        match (auth, client_ca) {
            ("NoClientCert", Some(_)) => {
                let message = "client_ca is there, but client_auth_type asks for no certificate; set it to RequireAndVerifyClientCert or VerifyClientCertIfGiven";
                faults.push(("", message.to_owned()));
                None
            }
            ("NoClientCert", None) => None,
            ("RequestClientCert", _) => Some(Arc::new(AnyCertificate { is_required: false, algorithms })),
            ("RequireAnyClientCert", _) => Some(Arc::new(AnyCertificate { is_required: true, algorithms })),
            (_, None) => {
                let message = "client_ca_file or client_ca is missing; without it no certificate can be verified";
                faults.push(("client_auth_type", message.to_owned()));
                None
            }
            (auth, Some(pem)) => {
                let mut roots = RootCertStore::empty();
                let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).flatten().collect();
                roots.add_parsable_certificates(certificates);
                let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
                let builder = if auth == "VerifyClientCertIfGiven" { builder.allow_unauthenticated() } else { builder };
                match builder.build() {
                    Ok(verifier) => Some(verifier),
                    Err(error) => {
                        faults.push(("client_ca_file", format!("no usable certificate in PEM: {error}")));
                        None
                    }
                }
            }
        }
    }
}

fn server_config(
    cert: &[u8],
    key: &[u8],
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    http2: bool,
) -> Result<ServerConfig, Found> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
    let chain = chain.map_err(|error| ("cert_file", format!("no certificate in PEM: {error}")))?;
    if chain.is_empty() {
        return Err(("cert_file", "no certificate in PEM: there is no CERTIFICATE section".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| ("key_file", format!("no key in PEM: {error}")))?;
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let builder = builder.map_err(|error| ("cipher_suites", format!("no suite for these versions: {error}")))?;
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| ("key_file", format!("certificate and key do not belong together: {error}")))?;
    config.alpn_protocols = if http2 { vec![b"h2".to_vec()] } else { Vec::new() };
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}

impl Tls {
    /// Whether a connection with these certificates of the client is wanted.
    pub(crate) fn accepts(&self, certificates: Option<&[CertificateDer<'_>]>) -> bool {
        if self.allowed_sans.is_empty() {
            return true;
        }
        let Some(first) = certificates.and_then(<[_]>::first) else { return false };
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(first) else { return false };
        let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
        names.value.general_names.iter().any(|name| {
            let text = match name {
                GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
                    (*text).to_owned()
                }
                GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                    (Ok(v4), _) => std::net::Ipv4Addr::from(v4).to_string(),
                    (_, Ok(v6)) => std::net::Ipv6Addr::from(v6).to_string(),
                    _ => return false,
                },
                _ => return false,
            };
            self.allowed_sans.contains(&text)
        })
    }
}

/// Takes any certificate whose key the client has, whoever signed it.
#[derive(Debug)]
struct AnyCertificate {
    is_required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
