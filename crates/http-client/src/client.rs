//! Sending: credentials, redirects, limits.

use crate::connect::Connector;
use crate::oauth2::TokenSource;
use crate::{HttpClientConfig, HttpClientError, Secret};
use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// As Go's client.
const REDIRECTS_MAX: usize = 10;
/// Longer than most scrape intervals, so that connections to targets stay open between scrapes.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// What an open connection holds while nothing comes. It is not left to hyper, whose buffers grow with the answers.
const READ_BUFFER_BYTES: usize = 16 << 10;
const USER_AGENT_DEFAULT: &str = concat!("Vigie/", env!("CARGO_PKG_VERSION"));

/// One request. `Accept-Encoding` is the caller's to set: nothing is decoded behind its back.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// For everything: name resolution to the last byte, redirects included.
    pub timeout: Duration,
    /// Most bytes of a body as sent on the wire.
    pub response_bytes_max: usize,
}

impl Request {
    /// A GET without headers of its own.
    pub fn get(url: impl Into<String>, timeout: Duration, response_bytes_max: usize) -> Self {
        Request {
            method: Method::GET,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout,
            response_bytes_max,
        }
    }

    /// A POST of `body`.
    pub fn post(
        url: impl Into<String>,
        content_type: &str,
        body: impl Into<Bytes>,
        timeout: Duration,
        response_bytes_max: usize,
    ) -> Self {
        Request {
            method: Method::POST,
            url: url.into(),
            headers: vec![("Content-Type".into(), content_type.into())],
            body: body.into(),
            timeout,
            response_bytes_max,
        }
    }
}

/// A request whose URL and headers were read, to be sent any number of times.
#[derive(Clone, Debug)]
pub struct Prepared {
    method: Method,
    uri: Uri,
    /// Those that the URL had.
    credentials: Option<HeaderValue>,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
    response_bytes_max: usize,
}

impl Request {
    /// Reads URL and headers.
    ///
    /// # Errors
    /// `Url` or `Header` for those that are none.
    pub fn prepare(self) -> Result<Prepared, HttpClientError> {
        let (uri, credentials) = parse_url(&self.url)?;
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 1);
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_DEFAULT));
        for (name, value) in &self.headers {
            let bad = || HttpClientError::Header { name: name.clone() };
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            headers.insert(parsed, HeaderValue::from_str(value).map_err(|_| bad())?);
        }
        let Request { method, body, timeout, response_bytes_max, .. } = self;
        Ok(Prepared { method, uri, credentials, headers, body, timeout, response_bytes_max })
    }
}

/// A whole response, its body as it came over the wire.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header as text, "" if absent or not text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// `404 Not Found`, as errors name it.
    pub fn status_text(&self) -> String {
        match StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason()) {
            Some(reason) => format!("{} {reason}", self.status),
            None => self.status.to_string(),
        }
    }

    /// The body after undoing `Content-Encoding` (identity, gzip, deflate, zstd), at most `limit` bytes.
    ///
    /// # Errors
    /// `BodyTooLarge` beyond the limit, `Encoding` for a body that is not what the header says or an
    /// encoding that is not known.
    pub fn decoded(&self, limit: usize) -> Result<Bytes, HttpClientError> {
        crate::decode::decode(self.header("content-encoding"), &self.body, limit)
    }

    /// As [`Response::decoded`], into memory that is used again; what it held is gone.
    ///
    /// # Errors
    /// Those of [`Response::decoded`].
    pub fn decode_into(&self, limit: usize, out: &mut Vec<u8>) -> Result<(), HttpClientError> {
        crate::decode::decode_into(self.header("content-encoding"), &self.body, limit, out)
    }
}

type Pool = Client<Connector, Full<Bytes>>;

/// Sends requests as one `http_config` says. Clones share the pool of kept connections.
#[derive(Clone)]
pub struct HttpClient(Arc<Inner>);

struct Inner {
    config: HttpClientConfig,
    tokens: Option<TokenSource>,
    pool: Mutex<Option<(Vec<FileStamp>, Pool)>>,
}

/// Length and time of change: when either differs, the file is read again.
type FileStamp = Option<(u64, Option<SystemTime>)>;

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client for `config`, whose paths are already resolved. Files are read when a request needs
    /// them, and again when they have changed.
    ///
    /// # Errors
    /// `Config` with everything that contradicts itself.
    pub fn new(config: &HttpClientConfig) -> Result<Self, HttpClientError> {
        let faults = config.faults();
        if !faults.is_empty() {
            let messages: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
            return Err(HttpClientError::Config(messages.join("; ")));
        }
        let tokens = config.oauth2.as_ref().map(TokenSource::new).transpose()?;
        Ok(HttpClient(Arc::new(Inner { config: config.clone(), tokens, pool: Mutex::new(None) })))
    }

    /// Sends a request and reads the whole response. A status of 400 or above is a response, not an error.
    ///
    /// # Errors
    /// See [`HttpClientError`].
    pub async fn send(&self, request: Request) -> Result<Response, HttpClientError> {
        self.send_prepared(&request.prepare()?).await
    }

    /// As [`HttpClient::send`], for what is sent again and again.
    ///
    /// # Errors
    /// See [`HttpClientError`].
    pub async fn send_prepared(&self, request: &Prepared) -> Result<Response, HttpClientError> {
        let timeout = request.timeout;
        match tokio::time::timeout(timeout, Box::pin(self.send_without_timeout(request))).await {
            Ok(result) => result,
            Err(_) => Err(HttpClientError::Timeout(timeout)),
        }
    }

    async fn send_without_timeout(&self, request: &Prepared) -> Result<Response, HttpClientError> {
        let config = &self.0.config;
        let pool = self.pool()?;
        let mut method = request.method.clone();
        let mut body = request.body.clone();
        let mut uri = request.uri.clone();
        let mut url_credentials = request.credentials.clone();
        let mut content_headers = true;
        // Once lost by a redirect to another host, credentials do not come back.
        let mut trusted = true;
        let mut authorization_retried = false;
        let mut redirects = 0;
        loop {
            let mut sent = http::Request::new(Full::new(body.clone()));
            *sent.method_mut() = method.clone();
            *sent.uri_mut() = uri.clone();
            let headers = sent.headers_mut();
            headers.clone_from(&request.headers);
            if !trusted {
                CREDENTIALS.iter().for_each(|name| drop(headers.remove(*name)));
            }
            if !content_headers {
                CONTENT.iter().for_each(|name| drop(headers.remove(*name)));
            }
            if trusted {
                if let Some(value) = url_credentials.take() {
                    headers.entry(AUTHORIZATION).or_insert(value);
                }
                self.add_credentials(headers).await?;
                add_config_headers(config, headers).await?;
            }
            let response = pool.request(sent).await.map_err(|error| match error.is_connect() {
                true => HttpClientError::Connect(plain_connect_error(&error)),
                false => HttpClientError::Protocol(HttpClientError::chain(&error)),
            })?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED
                && !authorization_retried
                && let Some(tokens) = &self.0.tokens
            {
                // The token may have been withdrawn before its time.
                tokens.forget();
                authorization_retried = true;
                continue;
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            if let Some(location) = location
                && matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
                && config.follow_redirects != Some(false)
            {
                if redirects == REDIRECTS_MAX {
                    return Err(HttpClientError::TooManyRedirects(REDIRECTS_MAX));
                }
                redirects += 1;
                let (next, _) = parse_url(&resolve_reference(&uri, location))?;
                if !same_site(&uri, &next) {
                    trusted = false;
                }
                uri = next;
                if !matches!(status.as_u16(), 307 | 308) && method != Method::HEAD && method != Method::GET {
                    method = Method::GET;
                    body = Bytes::new();
                    content_headers = false;
                }
                continue;
            }
            let (parts, incoming) = response.into_parts();
            let body = read_limited(incoming, &parts.headers, request.response_bytes_max).await?;
            return Ok(Response { status: parts.status.as_u16(), headers: parts.headers, body });
        }
    }

    /// The pool, made anew when a file of the TLS configuration has changed.
    fn pool(&self) -> Result<Pool, HttpClientError> {
        let config = &self.0.config;
        let stamps = match &config.tls_config {
            Some(tls) => [&tls.ca_file, &tls.cert_file, &tls.key_file].map(|file| stamp(file.as_deref())).to_vec(),
            None => Vec::new(),
        };
        let mut slot = self.0.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, pool)) = &*slot
            && *known == stamps
        {
            return Ok(pool.clone());
        }
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .http1_read_buf_exact_size(READ_BUFFER_BYTES)
            .build(Connector::new(config)?);
        *slot = Some((stamps, pool.clone()));
        Ok(pool)
    }

    async fn add_credentials(&self, headers: &mut HeaderMap) -> Result<(), HttpClientError> {
        let config = &self.0.config;
        let value = if let Some(tokens) = &self.0.tokens {
            Some(tokens.authorization().await?)
        } else if let Some(basic_auth) = &config.basic_auth {
            let username = match &basic_auth.username_file {
                Some(path) => read_secret_file(path).await?,
                None => basic_auth.username.clone(),
            };
            let password = secret(basic_auth.password.as_ref(), basic_auth.password_file.as_deref()).await?;
            Some(basic(&username, &password.unwrap_or_default()))
        } else if let Some(authorization) = &config.authorization {
            let credentials =
                secret(authorization.credentials.as_ref(), authorization.credentials_file.as_deref()).await?;
            let auth_type = authorization.auth_type.as_deref().map(str::trim).filter(|t| !t.is_empty());
            credentials.map(|credentials| format!("{} {credentials}", auth_type.unwrap_or("Bearer")))
        } else {
            let token = secret(config.bearer_token.as_ref(), config.bearer_token_file.as_deref()).await?;
            token.map(|token| format!("Bearer {token}"))
        };
        if let Some(value) = value {
            // The caller's own header wins, as in Prometheus.
            headers.entry(AUTHORIZATION).or_insert(sensitive("Authorization", &value)?);
        }
        Ok(())
    }
}

async fn add_config_headers(config: &HttpClientConfig, headers: &mut HeaderMap) -> Result<(), HttpClientError> {
    for (name, header) in config.http_headers.iter().flatten() {
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| HttpClientError::Header { name: name.clone() })?;
        for value in &header.values {
            let value = HeaderValue::from_str(value).map_err(|_| HttpClientError::Header { name: name.clone() })?;
            headers.append(parsed.clone(), value);
        }
        for value in &header.secrets {
            headers.append(parsed.clone(), sensitive(name, value.expose())?);
        }
        for path in &header.files {
            headers.append(parsed.clone(), sensitive(name, &read_secret_file(path).await?)?);
        }
    }
    Ok(())
}

/// Not for other hosts.
const CREDENTIALS: [&str; 5] = ["authorization", "cookie", "cookie2", "www-authenticate", "proxy-authorization"];
/// Of a body, which a redirect may take away.
const CONTENT: [&str; 3] = ["content-type", "content-length", "content-encoding"];

fn sensitive(name: &str, value: &str) -> Result<HeaderValue, HttpClientError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| HttpClientError::Header { name: name.to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

/// Checks a URL and takes the credentials out of it, which are sent as a header.
fn parse_url(url: &str) -> Result<(Uri, Option<HeaderValue>), HttpClientError> {
    let bad = |reason: String| HttpClientError::Url { url: url.to_owned(), reason };
    // What follows `#` is for browsers.
    let without_fragment = url.split_once('#').map_or(url, |(before, _)| before);
    let mut uri: Uri = without_fragment.parse().map_err(|error: http::uri::InvalidUri| bad(error.to_string()))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad("its scheme must be http or https".into()));
    }
    let Some(authority) = uri.authority().cloned() else { return Err(bad("it has no host".into())) };
    if authority.host().is_empty() {
        return Err(bad("it has no host".into()));
    }
    let mut credentials = None;
    if let Some((user_info, host)) = authority.as_str().rsplit_once('@') {
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let plain = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        credentials = Some(sensitive("Authorization", &basic(&plain(user), &plain(password)))?);
        let mut parts = uri.into_parts();
        parts.authority = Some(host.parse().map_err(|error: http::uri::InvalidUri| bad(error.to_string()))?);
        uri = Uri::from_parts(parts).map_err(|error| bad(error.to_string()))?;
    }
    Ok((uri, credentials))
}

/// Credentials may follow a redirect to the same host, but not from TLS to plain text.
fn same_site(from: &Uri, to: &Uri) -> bool {
    let downgrade = from.scheme_str() == Some("https") && to.scheme_str() == Some("http");
    from.host().map(str::to_ascii_lowercase) == to.host().map(str::to_ascii_lowercase) && !downgrade
}

/// RFC 3986 §5.2 for the references that `Location` carries.
fn resolve_reference(base: &Uri, reference: &str) -> String {
    let scheme = base.scheme_str().unwrap_or("http");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    if reference.split_once(':').is_some_and(|(scheme, rest)| {
        rest.starts_with("//") && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    }) {
        return reference.to_owned();
    }
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    if reference.starts_with('/') {
        return format!("{scheme}://{authority}{reference}");
    }
    if reference.starts_with('?') {
        return format!("{scheme}://{authority}{}{reference}", base.path());
    }
    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut segments: Vec<&str> = folder.split('/').filter(|s| !s.is_empty()).collect();
    let (path, query) = reference.split_once('?').map_or((reference, None), |(path, query)| (path, Some(query)));
    for segment in path.split('/') {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{}{query}", segments.join("/"))
}

async fn read_limited(
    mut incoming: hyper::body::Incoming,
    headers: &HeaderMap,
    limit: usize,
) -> Result<Bytes, HttpClientError> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(HttpClientError::BodyTooLarge { limit });
    }
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| HttpClientError::Protocol(HttpClientError::chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = first.as_ref().map_or(0, Bytes::len) + joined.len() + data.len();
        if length > limit {
            return Err(HttpClientError::BodyTooLarge { limit });
        }
        // Bodies of one frame are not copied.
        match first.take() {
            None if joined.is_empty() => first = Some(data),
            None => joined.extend_from_slice(&data),
            Some(first) => {
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}

/// The cause that our connector gave, without hyper's words around it.
fn plain_connect_error(error: &hyper_util::client::legacy::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(cause) = deepest.source() {
        if let Some(own) = cause.downcast_ref::<crate::connect::ConnectError>() {
            return own.to_string();
        }
        deepest = cause;
    }
    HttpClientError::chain(error)
}

pub(crate) async fn secret(value: Option<&Secret>, file: Option<&Path>) -> Result<Option<String>, HttpClientError> {
    match (value, file) {
        (_, Some(path)) => Ok(Some(read_secret_file(path).await?)),
        (Some(value), None) => Ok(Some(value.expose().to_owned())),
        (None, None) => Ok(None),
    }
}

/// Editors end files with a newline that is no part of the secret.
pub(crate) async fn read_secret_file(path: &Path) -> Result<String, HttpClientError> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(HttpClientError::File { path: path.to_owned(), source }),
    }
}

fn stamp(path: Option<&Path>) -> FileStamp {
    let metadata = std::fs::metadata(path?).ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}
