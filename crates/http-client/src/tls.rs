//! `tls_config` into rustls: aws-lc-rs is the only provider.

use crate::{HttpClientError, TlsConfig, TlsVersion};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Makes aws-lc-rs rustls' provider for the whole process, for libraries that ask for the default. May be called twice.
pub fn install_default_provider() {
    // An error says that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

/// The authorities that the machine trusts, read once.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| {
        let loaded = rustls_native_certs::load_native_certs();
        for error in &loaded.errors {
            tracing::warn!(%error, "a file of the system's trusted certificates cannot be read");
        }
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(loaded.certs);
        Arc::new(store)
    }))
}

/// A rustls configuration for `tls_config`, its files read now. `alpn`: protocols to offer, best first.
///
/// # Errors
/// `File` for files that cannot be read, `Tls` for what is no certificate or key.
pub fn client_tls_config(tls: &TlsConfig, alpn: &[&[u8]]) -> Result<ClientConfig, HttpClientError> {
    let versions = protocol_versions(tls)?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions)
        .map_err(|error| HttpClientError::Tls(error.to_string()))?;
    let builder = if tls.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(NoVerification(provider())))
    } else {
        builder.with_root_certificates(roots(tls)?)
    };
    let certificate = pem_text(tls.cert.as_deref(), tls.cert_file.as_deref())?;
    let key = pem_text(tls.key.as_ref().map(|key| key.expose()), tls.key_file.as_deref())?;
    let mut config = match (certificate, key) {
        (Some((certificate, name)), Some((key, key_name))) => {
            let chain = certificates(&certificate, &name)?;
            let key = PrivateKeyDer::from_pem_slice(&key)
                .map_err(|error| HttpClientError::Tls(format!("{key_name} has no private key in PEM: {error}")))?;
            let built = builder.with_client_auth_cert(chain, key);
            built.map_err(|error| HttpClientError::Tls(format!("{name} with {key_name}: {error}")))?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

fn protocol_versions(tls: &TlsConfig) -> Result<Vec<&'static SupportedProtocolVersion>, HttpClientError> {
    // Go speaks TLS 1.2 and above by default, too.
    let (min, max) = (tls.min_version.unwrap_or(TlsVersion::Tls12), tls.max_version.unwrap_or(TlsVersion::Tls13));
    let mut versions = Vec::new();
    if max >= TlsVersion::Tls13 {
        versions.push(&rustls::version::TLS13);
    }
    if min <= TlsVersion::Tls12 && max >= TlsVersion::Tls12 {
        versions.push(&rustls::version::TLS12);
    }
    if versions.is_empty() {
        return Err(HttpClientError::Tls("TLS 1.0 and 1.1 are not spoken here; raise max_version".into()));
    }
    Ok(versions)
}

fn roots(tls: &TlsConfig) -> Result<Arc<RootCertStore>, HttpClientError> {
    let Some((pem, name)) = pem_text(tls.ca.as_deref(), tls.ca_file.as_deref())? else {
        return Ok(system_roots());
    };
    let mut store = RootCertStore::empty();
    for certificate in certificates(&pem, &name)? {
        store.add(certificate).map_err(|error| HttpClientError::Tls(format!("{name}: {error}")))?;
    }
    Ok(Arc::new(store))
}

fn certificates(pem: &[u8], name: &str) -> Result<Vec<CertificateDer<'static>>, HttpClientError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(HttpClientError::Tls(format!("{name} has no certificate in PEM"))),
        Err(error) => Err(HttpClientError::Tls(format!("{name}: {error}"))),
    }
}

/// The PEM text and what to call it in messages.
fn pem_text(text: Option<&str>, file: Option<&Path>) -> Result<Option<(Vec<u8>, String)>, HttpClientError> {
    match (text, file) {
        (_, Some(path)) => match std::fs::read(path) {
            Ok(pem) => Ok(Some((pem, path.display().to_string()))),
            Err(source) => Err(HttpClientError::File { path: path.to_owned(), source }),
        },
        (Some(text), None) => Ok(Some((text.as_bytes().to_vec(), "the text in tls_config".to_owned()))),
        (None, None) => Ok(None),
    }
}

/// `insecure_skip_verify`: any certificate is good, but its signature of the handshake is still checked.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
