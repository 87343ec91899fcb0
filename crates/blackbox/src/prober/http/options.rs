//! `http:` as the file writes it, and what contradicts itself there.

use super::cel;
use crate::{
    config::Check,
    values::{ByteSize, IpProtocol, Pattern, is_false, yes},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

http_client::with_http_client_fields! {
    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default = "HttpProbe::initial", deny_unknown_fields)]
    pub struct HttpProbe {
        /// 200 to 299 if empty.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub valid_status_codes: Vec<u16>,
        /// `HTTP/1.1`, `HTTP/2.0`; any if empty.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub valid_http_versions: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub preferred_ip_protocol: Option<IpProtocol>,
        pub ip_protocol_fallback: bool,
        /// Leave name resolution to the proxy.
        #[serde(skip_serializing_if = "is_false")]
        pub skip_resolve_phase_with_proxy: bool,
        /// Older form of `follow_redirects: false`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub no_follow_redirects: Option<bool>,
        #[serde(skip_serializing_if = "is_false")]
        pub fail_if_ssl: bool,
        #[serde(skip_serializing_if = "is_false")]
        pub fail_if_not_ssl: bool,
        /// `GET` if empty.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub method: String,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub headers: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub fail_if_body_matches_regexp: Vec<Pattern>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub fail_if_body_not_matches_regexp: Vec<Pattern>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub fail_if_body_json_matches_cel: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub fail_if_body_json_not_matches_cel: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub fail_if_header_matches: Vec<HeaderMatch>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub fail_if_header_not_matches: Vec<HeaderMatch>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub body: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub body_file: Option<PathBuf>,
        /// `gzip`, `br`, `deflate` or `identity`: how the body is undone before it is looked at.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub compression: String,
        /// Bytes on the wire; no limit if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub body_size_limit: Option<ByteSize>,
        #[serde(skip_serializing_if = "is_false")]
        pub enable_http3: bool,
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    #[serde(default)]
    pub header: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regexp: Option<Pattern>,
    /// A response without the header passes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_missing: bool,
}

impl HttpProbe {
    pub(crate) fn initial() -> Self {
        HttpProbe { ip_protocol_fallback: yes(), ..HttpProbe::default() }
    }

    /// Writes out the defaults that the file left to us.
    pub(crate) fn resolve(&mut self) {
        let follow = !self.no_follow_redirects.unwrap_or(false);
        self.follow_redirects.get_or_insert(follow);
        self.enable_http2.get_or_insert(true);
    }

    pub(crate) fn resolve_paths(&mut self, base: &Path) {
        let mut config = self.http_client_config();
        config.resolve_paths(base);
        self.basic_auth = config.basic_auth;
        self.authorization = config.authorization;
        self.bearer_token_file = config.bearer_token_file;
        self.oauth2 = config.oauth2;
        self.tls_config = config.tls_config;
        self.http_headers = config.http_headers;
        if let Some(file) = &mut self.body_file {
            *file = base.join(&*file);
        }
    }

    pub(crate) fn host_header(&self) -> Option<&str> {
        self.header("host")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn check(&self, check: &mut Check<'_>) {
        check.all("", self.http_client_config().faults());
        if !self.body.is_empty() && self.body_file.is_some() {
            check.fault("body", "setting body and body_file both are not allowed");
        }
        for (field, matches) in [
            ("fail_if_header_matches", &self.fail_if_header_matches),
            ("fail_if_header_not_matches", &self.fail_if_header_not_matches),
        ] {
            for (index, header) in matches.iter().enumerate() {
                if header.header.is_empty() {
                    check.fault(&format!("{field}[{index}]"), "header name must be set for HTTP header matchers");
                }
                if header.regexp.is_none() {
                    check.fault(&format!("{field}[{index}]"), "regexp must be set for HTTP header matchers");
                }
            }
        }
        for (field, expression) in [
            ("fail_if_body_json_matches_cel", &self.fail_if_body_json_matches_cel),
            ("fail_if_body_json_not_matches_cel", &self.fail_if_body_json_not_matches_cel),
        ] {
            if !expression.is_empty()
                && let Err(error) = cel::check(expression)
            {
                check.fault(field, format!("error compiling CEL program: {error}"));
            }
        }
        if !self.method.is_empty() && http::Method::from_bytes(self.method.as_bytes()).is_err() {
            check.fault("method", format!("{:?} is no method of HTTP", self.method));
        }
        for (name, value) in &self.headers {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() || http::HeaderValue::from_str(value).is_err() {
                check.fault("headers", format!("{name:?}: {value:?} is no header of HTTP"));
            }
        }
        if !matches!(self.compression.as_str(), "" | "gzip" | "br" | "deflate" | "identity") {
            check.fault(
                "compression",
                format!("unknown compression {:?}; write gzip, br, deflate or identity", self.compression),
            );
        }
        if let Some(accepted) = self.header("accept-encoding")
            && !accepts(accepted, &self.compression)
        {
            let message =
                format!("invalid configuration \"Accept-Encoding: {accepted}\", \"compression: {}\"", self.compression);
            check.fault("headers", message);
        }
        self.check_http3(check);
    }

    fn check_http3(&self, check: &mut Check<'_>) {
        let is_http3 = |version: &&String| version.starts_with("HTTP/3");
        if self.enable_http3 && self.enable_http2.unwrap_or(true) {
            check.fault("enable_http2", "when enable_http3 is true, enable_http2 must be set to false");
        }
        let (has, others) = (
            self.valid_http_versions.iter().any(|version| is_http3(&version)),
            self.valid_http_versions.iter().any(|version| !is_http3(&version)),
        );
        if (self.enable_http3 || has) && others {
            let message =
                "HTTP/3 and HTTP/2.0/1.1 cannot be used together - only HTTP/3.0 is allowed when enable_http3 is true";
            check.fault("valid_http_versions", message);
        } else if has && !self.enable_http3 {
            check.fault("valid_http_versions", "HTTP/3.0 needs enable_http3: true and enable_http2: false");
        }
    }
}

/// True when a server that reads `accept_encoding` may answer in `compression`.
fn accepts(accept_encoding: &str, compression: &str) -> bool {
    if compression.is_empty() || accept_encoding.is_empty() {
        return true;
    }
    let mut ranges: Vec<(&str, f64)> = accept_encoding
        .split(',')
        .map(|range| {
            let (name, quality) = range.split_once(';').unwrap_or((range, ""));
            let quality = quality.trim().strip_prefix("q=").and_then(|quality| quality.parse().ok());
            (name.trim(), quality.unwrap_or(1.0))
        })
        .collect();
    ranges.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let found = ranges.iter().find(|(name, _)| *name == compression || *name == "*");
    found.is_some_and(|(_, quality)| *quality > 0.0)
}
