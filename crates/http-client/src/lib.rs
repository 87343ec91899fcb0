//! HTTP client built from `http_config`: TLS, credentials, proxy, redirects, limits.
//!
//! Scraping, discovery, probes, notifications and remote storage all send through [`HttpClient`]. A
//! section of a configuration file that carries the `http_config` keys beside its own is declared
//! inside [`with_http_client_fields!`].

mod client;
pub mod config;
mod connect;
mod decode;
mod error;
mod oauth2;
mod proxy;
mod secret;
mod tls;

pub use client::{HttpClient, Prepared, Request, Response};
pub use config::{Authorization, BasicAuth, ConfigFault, Header, HttpClientConfig, OAuth2, TlsConfig, TlsVersion};
pub use error::HttpClientError;
pub use http;
pub use secret::Secret;
pub use tls::{client_tls_config, install_default_provider};
