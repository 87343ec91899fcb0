//! `http_config` as written: the keys, what contradicts what, and where the files are.
//!
//! Source: `<http_config>`, `<tls_config>`, `<oauth2>` in the Prometheus configuration reference.

use crate::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Headers that the client or its caller sets itself; Prometheus refuses the same.
#[rustfmt::skip]
const RESERVED_HEADERS: [&str; 18] = [
    "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent", "connection",
    "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding",
    "x-prometheus-remote-write-version", "x-prometheus-remote-read-version", "x-prometheus-scrape-timeout-seconds",
    "x-amz-date", "x-amz-security-token", "x-amz-content-sha256",
];

/// Something wrong in a configuration section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// Path of the field within the section, as `tls_config.key_file`; "" for the section itself.
    pub path: String,
    pub message: String,
}

impl ConfigFault {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        ConfigFault { path: path.into(), message: message.into() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicAuth {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Authorization {
    /// `Bearer` if absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub auth_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "TLS10")]
    Tls10,
    #[serde(rename = "TLS11")]
    Tls11,
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM text; with `ca` or `ca_file`, only these authorities are trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM text of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Name to send and to check instead of the URL's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    pub insecure_skip_verify: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OAuth2 {
    pub client_id: String,
    /// `client_credentials` if absent. `urn:ietf:params:oauth:grant-type:jwt-bearer` is known and not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_algorithm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    pub token_url: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoint_params: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    pub proxy_from_environment: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_connect_header: Option<BTreeMap<String, Vec<Secret>>>,
}

/// One header of `http_headers`: every value, secret and content of a file is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Header {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
}

/// Declares a configuration struct that has the keys of `http_config` beside its own (serde's `flatten`
/// would lose the places of faults), with a method `http_client_config()` that gathers them. The struct
/// derives `Deserialize`; it may derive `Serialize`, `Default`, `Clone`, `Debug` and `PartialEq`.
///
/// ```
/// http_client::with_http_client_fields! {
///     #[derive(Clone, Debug, Default, serde::Deserialize)]
///     #[serde(default, deny_unknown_fields)]
///     pub struct Section {
///         pub url: String,
///     }
/// }
/// assert!(Section::default().http_client_config().basic_auth.is_none());
/// ```
#[macro_export]
macro_rules! with_http_client_fields {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $( $(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty ),* $(,)? }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $( $(#[$field_meta])* $field_vis $field: $type, )*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub basic_auth: Option<$crate::config::BasicAuth>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub authorization: Option<$crate::config::Authorization>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub bearer_token: Option<$crate::Secret>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub bearer_token_file: Option<::std::path::PathBuf>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub oauth2: Option<$crate::config::OAuth2>,
            /// True if absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub follow_redirects: Option<bool>,
            /// True if absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub enable_http2: Option<bool>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub tls_config: Option<$crate::config::TlsConfig>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub proxy_url: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub no_proxy: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub proxy_from_environment: Option<bool>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub proxy_connect_header: Option<::std::collections::BTreeMap<String, Vec<$crate::Secret>>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub http_headers: Option<::std::collections::BTreeMap<String, $crate::config::Header>>,
        }

        impl $name {
            /// The `http_config` keys of this section.
            $vis fn http_client_config(&self) -> $crate::config::HttpClientConfig {
                $crate::config::HttpClientConfig {
                    basic_auth: self.basic_auth.clone(),
                    authorization: self.authorization.clone(),
                    bearer_token: self.bearer_token.clone(),
                    bearer_token_file: self.bearer_token_file.clone(),
                    oauth2: self.oauth2.clone(),
                    follow_redirects: self.follow_redirects,
                    enable_http2: self.enable_http2,
                    tls_config: self.tls_config.clone(),
                    proxy_url: self.proxy_url.clone(),
                    no_proxy: self.no_proxy.clone(),
                    proxy_from_environment: self.proxy_from_environment,
                    proxy_connect_header: self.proxy_connect_header.clone(),
                    http_headers: self.http_headers.clone(),
                }
            }

            /// Makes relative file names of the `http_config` keys relative to `base`.
            #[allow(dead_code, reason = "a section that resolves its copy does not need this")]
            $vis fn resolve_http_paths(&mut self, base: &::std::path::Path) {
                let mut http = self.http_client_config();
                http.resolve_paths(base);
                self.basic_auth = http.basic_auth;
                self.authorization = http.authorization;
                self.bearer_token_file = http.bearer_token_file;
                self.oauth2 = http.oauth2;
                self.tls_config = http.tls_config;
                self.http_headers = http.http_headers;
            }
        }
    };
}

/// `http_config` as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpClientConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    /// True if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// True if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_http2: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// Comma-separated hosts, domains, addresses and networks that are reached without the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_from_environment: Option<bool>,
    /// Headers of the CONNECT request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_connect_header: Option<BTreeMap<String, Vec<Secret>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_headers: Option<BTreeMap<String, Header>>,
}

impl HttpClientConfig {
    /// Makes relative file names relative to `base`, the folder of the configuration file.
    pub fn resolve_paths(&mut self, base: &Path) {
        if let Some(basic_auth) = &mut self.basic_auth {
            resolve(&mut basic_auth.username_file, base);
            resolve(&mut basic_auth.password_file, base);
        }
        if let Some(authorization) = &mut self.authorization {
            resolve(&mut authorization.credentials_file, base);
        }
        resolve(&mut self.bearer_token_file, base);
        if let Some(oauth2) = &mut self.oauth2 {
            resolve(&mut oauth2.client_secret_file, base);
            resolve(&mut oauth2.client_certificate_key_file, base);
            if let Some(tls_config) = &mut oauth2.tls_config {
                tls_config.resolve_paths(base);
            }
        }
        if let Some(tls_config) = &mut self.tls_config {
            tls_config.resolve_paths(base);
        }
        for header in self.http_headers.iter_mut().flat_map(BTreeMap::values_mut) {
            for file in &mut header.files {
                *file = base.join(&*file);
            }
        }
    }

    /// Everything that contradicts itself. Files are not looked at.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, message: &str| faults.push(ConfigFault::new(path, message));
        let bearer = self.bearer_token.is_some() || self.bearer_token_file.is_some();
        if self.bearer_token.is_some() && self.bearer_token_file.is_some() {
            fault("bearer_token_file", "at most one of bearer_token & bearer_token_file must be configured");
        }
        if bearer && (self.basic_auth.is_some() || self.oauth2.is_some()) {
            fault("", "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
        }
        if let Some(basic_auth) = &self.basic_auth {
            if !basic_auth.username.is_empty() && basic_auth.username_file.is_some() {
                fault("basic_auth", "at most one of basic_auth username & username_file must be configured");
            }
            if basic_auth.password.is_some() && basic_auth.password_file.is_some() {
                fault("basic_auth", "at most one of basic_auth password & password_file must be configured");
            }
        }
        if let Some(authorization) = &self.authorization {
            if bearer {
                fault("authorization", "authorization is not compatible with bearer_token & bearer_token_file");
            }
            if authorization.credentials.is_some() && authorization.credentials_file.is_some() {
                fault(
                    "authorization",
                    "at most one of authorization credentials & credentials_file must be configured",
                );
            }
            if authorization.auth_type.as_deref().is_some_and(|t| t.trim().eq_ignore_ascii_case("basic")) {
                fault(
                    "authorization.type",
                    "authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
                );
            }
            if self.basic_auth.is_some() || self.oauth2.is_some() {
                fault("authorization", "at most one of basic_auth, oauth2 & authorization must be configured");
            }
        } else if self.basic_auth.is_some() && self.oauth2.is_some() {
            fault("oauth2", "at most one of basic_auth, oauth2 & authorization must be configured");
        }
        let proxy_url = self.proxy_url.as_deref().filter(|url| !url.is_empty());
        proxy_faults(proxy_url, self, &mut fault);
        for name in self.http_headers.iter().flat_map(BTreeMap::keys) {
            if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                fault("http_headers", &format!("setting header {name:?} is not allowed"));
            } else if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                fault("http_headers", &format!("{name:?} is no name of an HTTP header"));
            }
        }
        if let Some(oauth2) = &self.oauth2 {
            faults.extend(prefixed("oauth2", oauth2.faults()));
        }
        if let Some(tls_config) = &self.tls_config {
            faults.extend(prefixed("tls_config", tls_config.faults()));
        }
        faults
    }
}

fn proxy_faults(proxy_url: Option<&str>, config: &HttpClientConfig, fault: &mut impl FnMut(&str, &str)) {
    let from_environment = config.proxy_from_environment == Some(true);
    let no_proxy = config.no_proxy.as_deref().is_some_and(|hosts| !hosts.is_empty());
    let connect_header = config.proxy_connect_header.as_ref().is_some_and(|headers| !headers.is_empty());
    if from_environment && proxy_url.is_some() {
        fault("proxy_url", "if proxy_from_environment is configured, proxy_url must not be configured");
    }
    if from_environment && no_proxy {
        fault("no_proxy", "if proxy_from_environment is configured, no_proxy must not be configured");
    }
    if no_proxy && proxy_url.is_none() && !from_environment {
        fault("no_proxy", "if no_proxy is configured, proxy_url must also be configured");
    }
    if connect_header && proxy_url.is_none() && !from_environment {
        fault(
            "proxy_connect_header",
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
        );
    }
    if let Some(url) = proxy_url
        && let Err(error) = crate::proxy::ProxyServer::parse(url)
    {
        fault("proxy_url", &error.to_string());
    }
}

impl OAuth2 {
    /// Everything that contradicts itself.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if self.client_id.is_empty() {
            faults.push(ConfigFault::new("client_id", "oauth2 client_id must be configured"));
        }
        if self.token_url.is_empty() {
            faults.push(ConfigFault::new("token_url", "oauth2 token_url must be configured"));
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            faults.push(ConfigFault::new(
                "",
                "at most one of oauth2 client_secret & client_secret_file must be configured",
            ));
        }
        match self.grant_type.as_deref() {
            None | Some("" | "client_credentials") => {}
            Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => faults.push(ConfigFault::new(
                "grant_type",
                "the jwt-bearer grant is not supported yet; use client_credentials",
            )),
            Some(other) => faults.push(ConfigFault::new(
                "grant_type",
                format!("unknown grant type {other:?}; write client_credentials"),
            )),
        }
        if let Some(tls_config) = &self.tls_config {
            faults.extend(prefixed("tls_config", tls_config.faults()));
        }
        faults
    }
}

impl TlsConfig {
    /// Makes relative file names relative to `base`.
    pub fn resolve_paths(&mut self, base: &Path) {
        resolve(&mut self.ca_file, base);
        resolve(&mut self.cert_file, base);
        resolve(&mut self.key_file, base);
    }

    /// Everything that contradicts itself.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, message: &str| faults.push(ConfigFault::new(path, message));
        if self.ca.is_some() && self.ca_file.is_some() {
            fault("ca_file", "at most one of ca & ca_file must be configured");
        }
        if self.cert.is_some() && self.cert_file.is_some() {
            fault("cert_file", "at most one of cert & cert_file must be configured");
        }
        if self.key.is_some() && self.key_file.is_some() {
            fault("key_file", "at most one of key & key_file must be configured");
        }
        let cert = self.cert.is_some() || self.cert_file.is_some();
        let key = self.key.is_some() || self.key_file.is_some();
        if cert && !key {
            fault("", "exactly one of key or key_file must be configured when a client certificate is configured");
        }
        if key && !cert {
            fault("", "exactly one of cert or cert_file must be configured when a client key is configured");
        }
        if let (Some(min), Some(max)) = (self.min_version, self.max_version)
            && min > max
        {
            fault(
                "max_version",
                "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified",
            );
        }
        if self.max_version.is_some_and(|max| max < TlsVersion::Tls12) {
            fault("max_version", "TLS 1.0 and 1.1 are broken and not spoken here; set max_version to TLS12 or TLS13");
        }
        faults
    }
}

/// The faults of a nested section, their paths below `field`.
pub fn prefixed(field: &str, faults: Vec<ConfigFault>) -> impl Iterator<Item = ConfigFault> {
    faults.into_iter().map(move |fault| ConfigFault {
        path: if fault.path.is_empty() { field.to_owned() } else { format!("{field}.{}", fault.path) },
        message: fault.message,
    })
}

fn resolve(path: &mut Option<PathBuf>, base: &Path) {
    if let Some(path) = path {
        // `join` keeps an absolute path as it is.
        *path = base.join(&*path);
    }
}
