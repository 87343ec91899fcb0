//! `http`: one request, redirects followed, each phase measured, the answer judged.

mod body;
mod cel;
mod connect;
mod credentials;
mod options;
mod url;

pub use options::{HeaderMatch, HttpProbe};

use crate::probe::Run;
use bytes::Bytes;
use connect::Answered;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::fmt::rfc2822;
use std::{net::IpAddr, str::FromStr, time::Duration};
use telemetry::Collected;
use url::Url;

pub(crate) const USER_AGENT: &str = concat!("Vigie/", env!("CARGO_PKG_VERSION"));
/// As Go's client and upstream.
const REDIRECTS_MAX: usize = 10;

/// The phases of all requests of a probe.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Phases {
    resolve: Duration,
    connect: Duration,
    tls: Duration,
    processing: Duration,
    transfer: Duration,
}

/// What the metrics show at the end, filled as far as the probe came.
#[derive(Default)]
pub(super) struct Seen {
    phases: Phases,
    resolved: bool,
    requested: bool,
    redirects: usize,
    status: u16,
    version: f64,
    /// -1 when the answer tells none.
    content_length: f64,
    uncompressed: u64,
    ssl: bool,
    tls: Option<Collected>,
    failed_by_regex: bool,
    failed_by_cel: Option<bool>,
    last_modified: Option<f64>,
}

pub(crate) async fn probe(run: &mut Run, options: &HttpProbe, target: &str, hostname: &str) -> bool {
    let mut seen = Seen::default();
    let success = Box::pin(attempt(run, options, target, hostname, &mut seen)).await;
    record(run, seen);
    success
}

fn record(run: &mut Run, seen: Seen) {
    let phases = seen.phases;
    let shown = [
        ("resolve", phases.resolve, seen.resolved),
        ("connect", phases.connect, seen.requested),
        ("tls", phases.tls, seen.requested),
        ("processing", phases.processing, seen.requested),
        ("transfer", phases.transfer, seen.requested),
    ];
    for (phase, duration, _) in shown.iter().filter(|(.., shown)| *shown) {
        let help = "Duration of http request by phase, summed over all redirects";
        run.metrics.gauge("probe_http_duration_seconds", help, &[("phase", phase)], duration.as_secs_f64());
    }
    let flag = |flag: bool| f64::from(u8::from(flag));
    #[expect(clippy::cast_precision_loss, reason = "bodies are far below 2^53 bytes")]
    let (uncompressed, redirects) = (seen.uncompressed as f64, seen.redirects as f64);
    run.gauge("probe_http_content_length", "Length of http content response", seen.content_length);
    run.gauge("probe_http_uncompressed_body_length", "Length of uncompressed response body", uncompressed);
    run.gauge("probe_http_redirects", "The number of redirects", redirects);
    run.gauge("probe_http_ssl", "Indicates if SSL was used for the final redirect", flag(seen.ssl));
    run.gauge("probe_http_status_code", "Response HTTP status code", f64::from(seen.status));
    run.gauge("probe_http_version", "Returns the version of HTTP of the probe response", seen.version);
    run.gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex", flag(seen.failed_by_regex));
    if let Some(failed) = seen.failed_by_cel {
        let help = "Indicates if probe failed due to CEL expression not matching";
        run.gauge("probe_failed_due_to_cel", help, flag(failed));
    }
    if let Some(time) = seen.last_modified {
        let help = "Returns the Last-Modified HTTP response header in unixtime";
        run.gauge("probe_http_last_modified_timestamp_seconds", help, time);
    }
    for family in seen.tls.map(Collected::into_families).unwrap_or_default() {
        for (labels, value) in family.series {
            run.metrics.push(&family.name, &family.help, family.metric_type, labels, value);
        }
    }
}

/// What is asked at every hop.
struct Asked<'o> {
    options: &'o HttpProbe,
    method: Method,
    body: Bytes,
    headers: HeaderMap,
    /// The Host header, if it isn't the address's own.
    host: Option<String>,
    /// Name and address that were resolved at the start; redirects elsewhere resolve anew.
    resolved: Option<(String, IpAddr)>,
}

async fn attempt(run: &mut Run, options: &HttpProbe, target: &str, hostname: &str, seen: &mut Seen) -> bool {
    let lower = target.to_ascii_lowercase();
    let has_scheme = lower.starts_with("http://") || lower.starts_with("https://");
    let url = Url::parse(&if has_scheme { target.to_owned() } else { format!("http://{target}") });
    let url = match url {
        Ok(url) => url,
        Err(error) => {
            run.error("Could not parse target URL", &[("err", error)]);
            return false;
        }
    };
    if options.enable_http3 {
        run.error("HTTP/3 is not available in this version", &[]);
        return false;
    }
    let proxies = connect::proxies(options);
    let proxied = connect::proxy_for(proxies.as_ref(), &url).is_some();
    let mut resolved = None;
    if !(proxied && options.skip_resolve_phase_with_proxy) {
        let preferred = options.preferred_ip_protocol.unwrap_or_default();
        let (ip, took) = run.resolve(preferred, options.ip_protocol_fallback, &url.host).await;
        seen.phases.resolve += took;
        seen.resolved = true;
        match ip {
            Ok(ip) => resolved = Some((url.host.clone(), ip)),
            Err(error) => {
                run.error("Error resolving address", &[("err", error)]);
                return false;
            }
        }
    }
    seen.requested = true;
    let asked = match ask(run, options, hostname, resolved).await {
        Ok(asked) => asked,
        Err(error) => {
            run.error("Error creating request", &[("err", error)]);
            return false;
        }
    };
    match Box::pin(follow(run, asked, url, proxies.as_ref(), seen)).await {
        Ok(answered) => Box::pin(judge(run, options, answered, seen)).await,
        Err(error) => {
            run.error("Error for HTTP request", &[("err", error)]);
            // As upstream: what was not seen is not a version or code that could be wrong.
            seen.status = 0;
            false
        }
    }
}

/// What came of asking for an upgrade.
pub(crate) struct Upgrade {
    pub(crate) status: u16,
    pub(crate) connection: Option<connection::Upgraded>,
    pub(crate) phases: [(&'static str, Duration); 4],
}

pub(crate) mod connection {
    use hyper_util::rt::TokioIo;

    /// A connection that has left HTTP behind; ends when this is dropped.
    pub(crate) struct Upgraded {
        pub(crate) stream: TokioIo<hyper::upgrade::Upgraded>,
        pub(super) _driver: super::connect::Driver,
    }
}

/// Asks `target` for what the headers of `options` name, for the prober of websockets. Faults are logged.
pub(crate) async fn upgrade(run: &mut Run, options: &HttpProbe, target: &str) -> Upgrade {
    let mut seen = Seen::default();
    let connection = Box::pin(try_upgrade(run, options, target, &mut seen)).await;
    let connection = connection.map_err(|error| run.error("Error dialing websocket", &[("err", error)])).ok();
    let Phases { resolve, connect, tls, processing, .. } = seen.phases;
    let phases = [("resolve", resolve), ("connect", connect), ("tls", tls), ("processing", processing)];
    Upgrade { status: seen.status, connection, phases }
}

async fn try_upgrade(
    run: &mut Run,
    options: &HttpProbe,
    target: &str,
    seen: &mut Seen,
) -> Result<connection::Upgraded, String> {
    let url = Url::parse(target)?;
    let preferred = options.preferred_ip_protocol.unwrap_or_default();
    let (ip, took) = run.resolve(preferred, options.ip_protocol_fallback, &url.host).await;
    seen.phases.resolve += took;
    let asked = ask(run, options, "", Some((url.host.clone(), ip?))).await?;
    let proxies = connect::proxies(options);
    let answered = connect::request(run, &asked, &url, proxies.as_ref(), seen).await?;
    seen.status = answered.head.status.as_u16();
    if answered.head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("bad handshake: the server answers {}", answered.head.status));
    }
    let upgraded = run.limit(hyper::upgrade::on(http::Response::from_parts(answered.head, ()))).await?;
    Ok(connection::Upgraded { stream: hyper_util::rt::TokioIo::new(upgraded), _driver: answered.driver })
}

async fn ask<'o>(
    run: &Run,
    options: &'o HttpProbe,
    hostname: &str,
    resolved: Option<(String, IpAddr)>,
) -> Result<Asked<'o>, String> {
    let method = if options.method.is_empty() { "GET" } else { &options.method };
    let method = Method::from_str(method).map_err(|error| error.to_string())?;
    let body = match &options.body_file {
        Some(file) => {
            let read = run.limit(tokio::fs::read(file)).await;
            Bytes::from(read.map_err(|error| format!("body_file {}: {error}", file.display()))?)
        }
        None => Bytes::from(options.body.clone()),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in credentials::http_headers(options)? {
        headers.append(parse_name(&name)?, parse_value(&value)?);
    }
    for (name, value) in options.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        headers.insert(parse_name(name)?, parse_value(value)?);
    }
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    if !matches!(options.compression.as_str(), "" | "identity") {
        headers.entry(header::ACCEPT_ENCODING).or_insert(parse_value(&options.compression)?);
    }
    if let Some(authorization) = credentials::authorization(run, options).await? {
        let mut value = parse_value(&authorization)?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    let host = if hostname.is_empty() { options.host_header() } else { Some(hostname) };
    Ok(Asked { options, method, body, headers, host: host.map(str::to_owned), resolved })
}

fn parse_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no name of a header"))
}

fn parse_value(value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|_| "a header's value has characters that HTTP forbids".to_owned())
}

/// Requests, and requests again where the answers point.
async fn follow(
    run: &mut Run,
    mut asked: Asked<'_>,
    mut url: Url,
    proxies: Option<&connect::Proxies>,
    seen: &mut Seen,
) -> Result<Answered, String> {
    loop {
        let answered = connect::request(run, &asked, &url, proxies, seen)
            .await
            .map_err(|error| format!("{} \"{}\": {error}", titled(&asked.method), url.text()))?;
        let status = answered.head.status;
        let location = answered.head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let (301 | 302 | 303 | 307 | 308, Some(location)) = (status.as_u16(), location) else { return Ok(answered) };
        run.warn("Received redirect", &[("location", location.to_owned())]);
        seen.redirects += 1;
        if seen.redirects > REDIRECTS_MAX || asked.options.follow_redirects == Some(false) {
            run.warn("Not following redirect", &[]);
            return Ok(answered);
        }
        let next = url.join(location).map_err(|error| format!("failed to parse Location header: {error}"))?;
        if (next.host != url.host || next.port_or_default() != url.port_or_default())
            && !next.host.ends_with(&format!(".{}", url.host))
        {
            // Credentials are for the host that they were given for, and so is the name.
            asked.headers.remove(header::AUTHORIZATION);
            asked.headers.remove(header::COOKIE);
        }
        if next.host != url.host {
            asked.host = None;
        }
        if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
            && asked.method != Method::HEAD
        {
            asked.method = Method::GET;
            asked.body = Bytes::new();
            asked.headers.remove(header::CONTENT_TYPE);
        }
        url = next;
    }
}

/// `Get`, as Go's client begins its errors.
fn titled(method: &Method) -> String {
    let (first, rest) = method.as_str().split_at(1);
    format!("{first}{}", rest.to_ascii_lowercase())
}

async fn judge(run: &mut Run, options: &HttpProbe, answered: Answered, seen: &mut Seen) -> bool {
    let Answered { head, body, driver } = answered;
    let status = head.status.as_u16();
    seen.status = status;
    seen.content_length = body::content_length(&head.headers, &body);
    let mut success = true;
    if options.valid_status_codes.is_empty() {
        if !head.status.is_success() {
            run.error("Invalid HTTP response status code, wanted 2xx", &[("status_code", status.to_string())]);
            success = false;
        }
    } else if !options.valid_status_codes.contains(&status) {
        let valid = options.valid_status_codes.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
        let fields = [("status_code", status.to_string()), ("valid_status_codes", format!("[{valid}]"))];
        run.error("Invalid HTTP response status code", &fields);
        success = false;
    }
    if success && !headers_pass(run, options, &head.headers) {
        seen.failed_by_regex = true;
        success = false;
    }
    success = Box::pin(body::judge(run, options, body, success, seen)).await && success;
    drop(driver);
    if let Some(modified) = head.headers.get(header::LAST_MODIFIED).and_then(|value| value.to_str().ok())
        && let Ok(time) = rfc2822::parse(modified)
    {
        #[expect(clippy::cast_precision_loss, reason = "seconds are exact in a float")]
        let seconds = time.timestamp().as_second() as f64;
        seen.last_modified = Some(seconds);
    }
    let (number, version) = match head.version {
        http::Version::HTTP_2 => (2.0, "HTTP/2.0"),
        http::Version::HTTP_10 => (1.0, "HTTP/1.0"),
        _ => (1.1, "HTTP/1.1"),
    };
    seen.version = number;
    let valid = &options.valid_http_versions;
    // `HTTP/2` means `HTTP/2.0`.
    if !valid.is_empty() && !valid.iter().any(|own| own == version || (own == "HTTP/2" && version == "HTTP/2.0")) {
        run.error("Invalid HTTP version number", &[("version", version.to_owned())]);
        success = false;
    }
    if seen.ssl && options.fail_if_ssl {
        run.error("Final request was over SSL", &[]);
        success = false;
    }
    if !seen.ssl && options.fail_if_not_ssl && success {
        run.error("Final request was not over SSL", &[]);
        success = false;
    }
    success
}

fn headers_pass(run: &mut Run, options: &HttpProbe, headers: &HeaderMap) -> bool {
    let lists = [(&options.fail_if_header_matches, true), (&options.fail_if_header_not_matches, false)];
    for (matches, fails_if) in lists {
        for wanted in matches {
            let values: Vec<String> = headers
                .get_all(&wanted.header)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            if values.is_empty() {
                if wanted.allow_missing {
                    continue;
                }
                run.error("Missing required header", &[("header", wanted.header.clone())]);
                return false;
            }
            let Some(pattern) = &wanted.regexp else { continue };
            if values.iter().any(|value| pattern.0.is_match(value)) == fails_if {
                let message = if fails_if {
                    "Header matched regular expression"
                } else {
                    "Header did not match regular expression"
                };
                let fields = [("header", wanted.header.clone()), ("regexp", pattern.0.as_str().to_owned())];
                run.error(message, &fields);
                return false;
            }
        }
    }
    true
}
