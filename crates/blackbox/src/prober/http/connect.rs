//! One request over a connection of its own, its phases measured.

use super::{Asked, HttpProbe, Seen, credentials, url::Url};
use crate::{
    probe::Run,
    prober::{tcp, tls},
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header, response::Parts};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::proxy::matcher::Matcher,
    rt::{TokioExecutor, TokioIo},
};
use std::net::SocketAddr;
use telemetry::Collected;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::Instant,
};

/// Longer than any proxy's answer to CONNECT.
const CONNECT_ANSWER_BYTES_MAX: usize = 16 << 10;

/// Which proxy for which address.
pub(super) struct Proxies(Matcher);

pub(super) fn proxies(options: &HttpProbe) -> Option<Proxies> {
    if options.proxy_from_environment == Some(true) {
        return Some(Proxies(Matcher::from_env()));
    }
    let proxy = options.proxy_url.as_deref().filter(|url| !url.is_empty())?;
    let no_proxy = options.no_proxy.as_deref().unwrap_or_default();
    Some(Proxies(Matcher::builder().all(proxy).no(no_proxy).build()))
}

pub(super) struct Proxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
    /// Name and password for SOCKS.
    login: Option<(String, String)>,
}

impl Proxy {
    fn is_socks(&self) -> bool {
        self.uri.scheme_str().is_some_and(|scheme| scheme.starts_with("socks"))
    }
}

pub(super) fn proxy_for(proxies: Option<&Proxies>, url: &Url) -> Option<Proxy> {
    let uri: Uri = url.text().parse().ok()?;
    let intercept = proxies?.0.intercept(&uri)?;
    let login = intercept.raw_auth().map(|(name, password)| (name.to_owned(), password.to_owned()));
    Some(Proxy { uri: intercept.uri().clone(), authorization: intercept.basic_auth().cloned(), login })
}

/// An answer whose body is still to be read. The connection lives until this is dropped.
pub(super) struct Answered {
    pub(super) head: Parts,
    pub(super) body: Incoming,
    pub(super) driver: Driver,
}

/// The task that moves a connection's bytes; ends with the probe, whatever the peer does.
pub(crate) struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(super) async fn request(
    run: &mut Run,
    asked: &Asked<'_>,
    url: &Url,
    proxies: Option<&Proxies>,
    seen: &mut Seen,
) -> Result<Answered, String> {
    let proxy = proxy_for(proxies, url);
    let stream = connect(run, asked, url, proxy.as_ref(), seen).await?;
    let tls_config = asked.options.tls_config.clone().unwrap_or_default();
    seen.ssl = url.https;
    let mut http2 = false;
    let stream: Box<dyn Stream> = if url.https {
        let alpn: &[&[u8]] =
            if asked.options.enable_http2 == Some(false) { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
        let name = asked.host.as_deref().map_or(url.host.as_str(), |host| host.split(':').next().unwrap_or(host));
        let started = Instant::now();
        let stream = tls::connect(run, stream, &tls_config, name, alpn).await;
        let stream = stream.inspect_err(|_| seen.ssl = false)?;
        seen.phases.tls += started.elapsed();
        let mut metrics = Collected::default();
        tls::record(&mut metrics, stream.get_ref().1, &tls_config, true);
        seen.tls = Some(metrics);
        http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Box::new(stream)
    } else {
        seen.tls = None;
        Box::new(stream)
    };
    let host = asked.host.clone().unwrap_or_else(|| url.authority());
    let plain_proxy = proxy.filter(|proxy| !url.https && !proxy.is_socks());
    let uri = if http2 {
        format!("https://{host}{}", url.path)
    } else if plain_proxy.is_some() {
        url.text()
    } else {
        url.path.clone()
    };
    let mut request = Request::builder().method(asked.method.clone()).uri(uri);
    if let Some(headers) = request.headers_mut() {
        headers.clone_from(&asked.headers);
        if !http2 {
            headers.insert(header::HOST, super::parse_value(&host)?);
        }
        if let Some((name, password)) = &url.user
            && !headers.contains_key(header::AUTHORIZATION)
        {
            headers.insert(header::AUTHORIZATION, super::parse_value(&credentials::encoded(name, password))?);
        }
        if let Some(authorization) = plain_proxy.and_then(|proxy| proxy.authorization) {
            headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
    }
    let request = request.body(Full::new(asked.body.clone())).map_err(|error| error.to_string())?;
    let started = Instant::now();
    let (response, driver) = Box::pin(send(run, stream, request, http2)).await?;
    seen.phases.processing += started.elapsed();
    let (head, body) = response.into_parts();
    Ok(Answered { head, body, driver })
}

async fn send(
    run: &Run,
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    http2: bool,
) -> Result<(Response<Incoming>, Driver), String> {
    let io = TokioIo::new(stream);
    if http2 {
        let (mut sender, connection) =
            run.limit(hyper::client::conn::http2::handshake(TokioExecutor::new(), io)).await?;
        let driver = Driver(tokio::spawn(async move {
            // Its errors come out of the request as well.
            let _ = connection.await;
        }));
        return Ok((run.limit(sender.send_request(request)).await?, driver));
    }
    let handshake = hyper::client::conn::http1::Builder::new().title_case_headers(true).handshake(io);
    let (mut sender, connection) = run.limit(handshake).await?;
    let driver = Driver(tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    }));
    Ok((run.limit(sender.send_request(request)).await?, driver))
}

/// A connection to the host, or through its proxy.
async fn connect(
    run: &mut Run,
    asked: &Asked<'_>,
    url: &Url,
    proxy: Option<&Proxy>,
    seen: &mut Seen,
) -> Result<TcpStream, String> {
    let (host, port) = match proxy {
        Some(proxy) => {
            let scheme = proxy.uri.scheme_str().unwrap_or("http");
            let port = match scheme {
                "http" => 80,
                "socks5" | "socks5h" => 1080,
                _ => return Err(format!("a proxy is reached over http or socks5, not {scheme}; change proxy_url")),
            };
            let host = proxy.uri.host().unwrap_or_default().trim_matches(['[', ']']);
            (host.to_owned(), proxy.uri.port_u16().unwrap_or(port))
        }
        None => (url.host.clone(), url.port_or_default()),
    };
    let known = asked.resolved.as_ref().filter(|(name, _)| *name == host && proxy.is_none());
    let ip = match known {
        Some((_, ip)) => *ip,
        None => {
            let started = Instant::now();
            let ip = run.limit(crate::probe::look_up(&host)).await;
            seen.phases.resolve += started.elapsed();
            let wanted = asked.options.preferred_ip_protocol.unwrap_or_default() == crate::IpProtocol::Ip4;
            let ip = ip?;
            let preferred = ip.iter().find(|ip| ip.is_ipv4() == wanted).or(ip.first());
            *preferred.ok_or_else(|| format!("lookup {host}: no address"))?
        }
    };
    let started = Instant::now();
    let mut stream = tcp::dial(run, SocketAddr::new(ip, port), None).await?;
    match proxy {
        Some(proxy) if proxy.is_socks() => socks(run, url, proxy, &mut stream).await?,
        Some(proxy) if url.https => tunnel(run, asked, url, proxy, &mut stream).await?,
        _ => {}
    }
    seen.phases.connect += started.elapsed();
    Ok(stream)
}

/// Asks the proxy for a connection to the host.
async fn tunnel(run: &Run, asked: &Asked<'_>, url: &Url, proxy: &Proxy, stream: &mut TcpStream) -> Result<(), String> {
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let address = format!("{host}:{}", url.port_or_default());
    let mut request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {}\r\n", super::USER_AGENT);
    if let Some(authorization) = proxy.authorization.as_ref().and_then(|value| value.to_str().ok()) {
        request += &format!("Proxy-Authorization: {authorization}\r\n");
    }
    for (name, values) in asked.options.proxy_connect_header.iter().flatten() {
        let name = super::parse_name(name)?;
        for value in values {
            let value = super::parse_value(value.expose())?;
            request += &format!("{name}: {}\r\n", value.to_str().unwrap_or_default());
        }
    }
    request += "\r\n";
    run.limit(stream.write_all(request.as_bytes())).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= CONNECT_ANSWER_BYTES_MAX {
            return Err("the proxy's answer to CONNECT is too long".into());
        }
        answer.push(run.limit(stream.read_u8()).await?);
    }
    let first = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    let status = first.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('2') { Ok(()) } else { Err(format!("the proxy refuses CONNECT {address}: {first}")) }
}

/// Asks a SOCKS5 proxy (RFC 1928) for a connection to the host, which it resolves itself.
async fn socks(run: &Run, url: &Url, proxy: &Proxy, stream: &mut TcpStream) -> Result<(), String> {
    const VERSION: u8 = 5;
    const NO_LOGIN: u8 = 0;
    const NAME_AND_PASSWORD: u8 = 2;
    let refused = |what: &str| format!("the SOCKS proxy {what}");
    let short = |text: &str| u8::try_from(text.len()).map_err(|_| refused("takes no text of more than 255 bytes"));
    let methods: &[u8] =
        if proxy.login.is_some() { &[VERSION, 2, NO_LOGIN, NAME_AND_PASSWORD] } else { &[VERSION, 1, NO_LOGIN] };
    run.limit(stream.write_all(methods)).await?;
    let mut answer = [0; 2];
    run.limit(stream.read_exact(&mut answer)).await?;
    match (answer, &proxy.login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, NAME_AND_PASSWORD], Some((name, password))) => {
            let (name_length, password_length) = ([1, short(name)?], [short(password)?]);
            let login = [&name_length[..], name.as_bytes(), &password_length[..], password.as_bytes()].concat();
            run.limit(stream.write_all(&login)).await?;
            run.limit(stream.read_exact(&mut answer)).await?;
            if answer[1] != 0 {
                return Err(refused("refuses the name and password"));
            }
        }
        _ => return Err(refused("wants another kind of login")),
    }
    let host = [&[VERSION, 1, 0, 3, short(&url.host)?], url.host.as_bytes()].concat();
    run.limit(stream.write_all(&[&host[..], &url.port_or_default().to_be_bytes()].concat())).await?;
    let mut head = [0; 4];
    run.limit(stream.read_exact(&mut head)).await?;
    if head[1] != 0 {
        return Err(refused(&format!("cannot connect to {}: code {}", url.authority(), head[1])));
    }
    // The address it connected from, which nobody needs.
    let length = match head[3] {
        1 => 4,
        4 => 16,
        _ => usize::from(run.limit(stream.read_u8()).await?),
    };
    run.limit(stream.read_exact(&mut vec![0; length + 2])).await.map(|_| ())
}
