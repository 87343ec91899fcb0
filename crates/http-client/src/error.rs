//! Why a request gave no response.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The configuration contradicts itself; all its faults, joined by `; `.
    #[error("{0}")]
    Config(String),
    #[error("{url:?} is no URL for HTTP: {reason}")]
    Url { url: String, reason: String },
    #[error("header {name:?}: its name or value cannot be sent over HTTP")]
    Header { name: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// A certificate, key or name that TLS cannot use.
    #[error("TLS: {0}")]
    Tls(String),
    #[error("no response within {}s", .0.as_secs_f64())]
    Timeout(Duration),
    /// Name resolution, connection, TLS handshake or proxy.
    #[error("{0}")]
    Connect(String),
    /// The connection broke, or what came is not HTTP.
    #[error("{0}")]
    Protocol(String),
    #[error("the body exceeds the limit of {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("stopped after {0} redirects")]
    TooManyRedirects(usize),
    #[error("OAuth 2.0: {0}")]
    OAuth2(String),
    #[error("content encoding {encoding:?}: {reason}")]
    Encoding { encoding: String, reason: String },
}

impl HttpClientError {
    /// True when another attempt may succeed: the network or the other side failed, not the request.
    pub fn is_retryable(&self) -> bool {
        matches!(self, HttpClientError::Timeout(_) | HttpClientError::Connect(_) | HttpClientError::Protocol(_))
    }

    /// The error with its causes, which hyper keeps apart.
    pub(crate) fn chain(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let said = cause.to_string();
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            source = cause.source();
        }
        text
    }
}
