//! `--web.config.file`: TLS, passwords and headers of our own listener, in the format that Prometheus and the exporters
//! share ("web configuration" in the Prometheus documentation).

mod auth;
mod tls;

pub(crate) use auth::{Gate, guard};
pub(crate) use tls::Tls;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use yaml::{Fault, Faults, Places};

/// How often the files are looked at: certificates are renewed while the server runs.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Headers that may be set, and the values that a header may only have.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    tls_server_config: Option<tls::RawTls>,
    http_server_config: RawHttp,
    basic_auth_users: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawHttp {
    http2: bool,
    headers: BTreeMap<String, String>,
}

impl Default for RawHttp {
    fn default() -> Self {
        RawHttp { http2: true, headers: BTreeMap::new() }
    }
}

/// A web configuration, read and checked.
#[derive(Default)]
pub(crate) struct WebConfig {
    /// `None`: plain HTTP.
    pub(crate) tls: Option<Tls>,
    pub(crate) without_http2: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Names, and bcrypt hashes of the passwords; empty: everybody may ask.
    users: BTreeMap<String, String>,
    /// The files it was read from.
    files: Vec<PathBuf>,
}

impl WebConfig {
    /// Reads a file and those that it names, which count from its folder. Blocks.
    ///
    /// # Errors
    /// All faults, with their places.
    pub(crate) fn load(path: &Path) -> Result<WebConfig, Faults> {
        let file = path.display().to_string();
        let unreadable = |message: String| Faults {
            file: file.clone(),
            faults: vec![Fault { line: 0, column: 0, path: String::new(), message }],
        };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let mut config = WebConfig::parse(&file, &text, path.parent().unwrap_or(Path::new("")))?;
        config.files.push(path.to_owned());
        Ok(config)
    }

    fn parse(file: &str, text: &str, folder: &Path) -> Result<WebConfig, Faults> {
        let (raw, places) = yaml::from_str_with_places::<Raw>(file, text)?;
        let (mut faults, mut files) = (Vec::new(), Vec::new());
        let headers = headers(&raw.http_server_config.headers, &places, &mut faults);
        for (name, hash) in &raw.basic_auth_users {
            if !auth::is_hash(hash) {
                let message = "this is no bcrypt hash; `htpasswd -nBC 10 NAME` makes one";
                faults.push(places.fault(&format!("basic_auth_users.{name}"), message));
            }
        }
        let http2 = raw.http_server_config.http2;
        let tls = match &raw.tls_server_config {
            None => None,
            Some(raw) => match raw.resolve(folder, http2, &mut files) {
                Ok(tls) => Some(tls),
                Err(found) => {
                    faults.extend(found.into_iter().map(|(key, message)| {
                        places.fault(format!("tls_server_config.{key}").trim_end_matches('.'), message)
                    }));
                    None
                }
            },
        };
        places.check(faults)?;
        Ok(WebConfig { tls, without_http2: !http2, headers, users: raw.basic_auth_users, files })
    }
}

fn headers(
    written: &BTreeMap<String, String>,
    places: &Places,
    faults: &mut Vec<Fault>,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in written.iter().filter(|(_, value)| !value.is_empty()) {
        let path = format!("http_server_config.headers.{name}");
        let Some((_, values)) = HEADERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            let known: Vec<_> = HEADERS.iter().map(|(name, _)| *name).collect();
            faults.push(places.fault(&path, format!("this header cannot be set; known are {}", known.join(", "))));
            continue;
        };
        if !values.is_empty() && !values.contains(&value.to_lowercase().as_str()) {
            faults.push(places.fault(&path, format!("{value:?} is no value for it; known are {}", values.join(", "))));
            continue;
        }
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => faults.push(places.fault(&path, "a header's value holds printable characters only")),
        }
    }
    headers
}

/// The web configuration of the running server; follows its files.
pub(crate) struct WebConfigFile {
    path: PathBuf,
    current: ArcSwap<WebConfig>,
    looked: Mutex<(Instant, Vec<Option<SystemTime>>)>,
}

impl WebConfigFile {
    /// # Errors
    /// All faults of the file.
    pub(crate) fn open(path: &Path) -> Result<WebConfigFile, Faults> {
        let config = WebConfig::load(path)?;
        let looked = Mutex::new((Instant::now(), stamps(&config.files)));
        Ok(WebConfigFile { path: path.to_owned(), current: ArcSwap::from_pointee(config), looked })
    }

    /// What holds now. A file that went bad is logged, and what it said before stays.
    pub(crate) fn now(&self) -> Arc<WebConfig> {
        let current = self.current.load_full();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.0.elapsed() < LOOK_EVERY {
            return current;
        }
        looked.0 = Instant::now();
        let stamps_now = stamps(&current.files);
        if stamps_now == looked.1 {
            return current;
        }
        looked.1 = stamps_now;
        match WebConfig::load(&self.path) {
            Ok(config) => {
                looked.1 = stamps(&config.files);
                self.current.store(Arc::new(config));
                tracing::info!(file = %self.path.display(), "the web configuration was read again");
            }
            Err(faults) => tracing::error!("the web configuration stays as it was: {faults}"),
        }
        self.current.load_full()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    files.iter().map(|file| std::fs::metadata(file).and_then(|meta| meta.modified()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file (`;` ends a line), and what is said about it.
    const CASES: &str = r#"
 => good
http_server_config: {http2: false, headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1}} => good
basic_auth_users: {alice: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi} => good
basic_auth_users: {alice: secret} => basic_auth_users.alice: this is no bcrypt hash; `htpasswd -nBC 10 NAME` makes one
http_server_config: {headers: {X-Other: a}} => http_server_config.headers.X-Other: this header cannot be set; known are Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection
http_server_config: {headers: {X-Frame-Options: allow}} => http_server_config.headers.X-Frame-Options: "allow" is no value for it; known are deny, sameorigin
tls_server_config: {} => tls_server_config: cert_file or cert is missing; name the certificate in PEM
tls_server_config: {cert_file: a} => tls_server_config: key_file or key is missing; name the certificate's key in PEM
tls_server_config: {cert_file: nosuch.pem, key_file: nosuch.key} => tls_server_config.cert_file: nosuch.pem: No such file or directory (os error 2)
tls_server_config: {cert: x, key: y, min_version: TLS9} => tls_server_config.min_version: "TLS9" is unknown; known are TLS10, TLS11, TLS12, TLS13
tls_server_config: {cert: x, key: y, cipher_suites: [RC4]} => tls_server_config.cipher_suites: "RC4" is not supported; supported are TLS_
tls_server_config: {cert: x, key: y, client_auth_type: Maybe} => tls_server_config.client_auth_type: "Maybe" is unknown; known are NoClientCert, RequestClientCert
tls_server_config: {cert: x, key: y, client_auth_type: RequireAndVerifyClientCert} => tls_server_config.client_auth_type: client_ca_file or client_ca is missing; without it no certificate can be verified
tls_server_config: {cert: x, key: y, client_ca: z} => tls_server_config: client_ca is there, but client_auth_type asks for no certificate
rate: 1 => rate: unknown field `rate`
"#;

    #[test]
    fn files_and_faults() {
        ::http_client::install_default_provider();
        for case in CASES.lines().skip(1) {
            let (text, expected) = case.split_once(" => ").unwrap();
            let said = match WebConfig::parse("web.yml", text, Path::new("")) {
                Ok(_) => "good".to_owned(),
                Err(faults) => faults.to_string(),
            };
            // Behind file, line and column.
            let told = |line: &str| line.splitn(4, ':').last().unwrap_or_default().trim_start().starts_with(expected);
            assert!(said.lines().any(told), "in case `{case}`:\n{said}");
        }
    }
}
