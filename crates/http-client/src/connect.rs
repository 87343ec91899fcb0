//! From a URL to a connection: name, TCP, proxy, TLS.

use crate::proxy::{ProxyKind, ProxyRules, ProxyServer};
use crate::tls::client_tls_config;
use crate::{HttpClientConfig, HttpClientError, Secret};
use http::Uri;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The head of a proxy's answer to CONNECT; what is longer is no proxy.
const CONNECT_RESPONSE_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot find {host:?}: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot connect to {address}: {source}")]
    Tcp { address: String, source: io::Error },
    #[error("TLS with {host}: {source}")]
    Tls { host: String, source: io::Error },
    #[error("{0:?} is no name that a certificate can have")]
    ServerName(String),
    #[error("proxy {address}: {reason}")]
    Proxy { address: String, reason: String },
    #[error("the URL has no host")]
    NoHost,
}

/// Makes connections for hyper's pool.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Inner>);

struct Inner {
    proxies: ProxyRules,
    connect_headers: BTreeMap<String, Vec<Secret>>,
    tls: TlsConnector,
    /// For a proxy that is itself reached by TLS: HTTP/1.1 only.
    proxy_tls: TlsConnector,
    server_name: Option<String>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) struct Conn {
    io: TokioIo<Box<dyn Stream>>,
    proxied: bool,
    http2: bool,
}

impl Connector {
    pub(crate) fn new(config: &HttpClientConfig) -> Result<Self, HttpClientError> {
        let tls = config.tls_config.clone().unwrap_or_default();
        let alpn: &[&[u8]] = if config.enable_http2 == Some(false) { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
        let tls_config = client_tls_config(&tls, alpn)?;
        let mut proxy_tls_config = tls_config.clone();
        proxy_tls_config.alpn_protocols.clear();
        Ok(Connector(Arc::new(Inner {
            proxies: ProxyRules::new(config)?,
            connect_headers: config.proxy_connect_header.clone().unwrap_or_default(),
            tls: TlsConnector::from(Arc::new(tls_config)),
            proxy_tls: TlsConnector::from(Arc::new(proxy_tls_config)),
            server_name: tls.server_name.filter(|name| !name.is_empty()),
        })))
    }
}

impl Inner {
    async fn connect(&self, uri: Uri) -> Result<Conn, ConnectError> {
        let https = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or(ConnectError::NoHost)?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let mut proxied = false;
        let stream: Box<dyn Stream> = match self.proxies.server_for(https, &host, port) {
            None => Box::new(tcp(&host, port).await?),
            Some(proxy) => {
                let tcp = tcp(&proxy.host, proxy.port).await?;
                let stream: Box<dyn Stream> = match proxy.kind {
                    ProxyKind::Https => Box::new(self.handshake(&self.proxy_tls, &proxy.host, Box::new(tcp)).await?),
                    ProxyKind::Http | ProxyKind::Socks5 => Box::new(tcp),
                };
                if proxy.kind == ProxyKind::Socks5 {
                    socks5(proxy, stream, &host, port).await?
                } else if https {
                    self.tunnel(proxy, stream, &host, port).await?
                } else {
                    // Plain HTTP goes to the proxy as a request for the whole URL.
                    proxied = true;
                    stream
                }
            }
        };
        if !https {
            return Ok(Conn { io: TokioIo::new(stream), proxied, http2: false });
        }
        let name = self.server_name.as_deref().unwrap_or(&host);
        let stream = self.handshake(&self.tls, name, stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Conn { io: TokioIo::new(Box::new(stream)), proxied: false, http2 })
    }

    async fn handshake(
        &self,
        tls: &TlsConnector,
        host: &str,
        stream: Box<dyn Stream>,
    ) -> Result<tokio_rustls::client::TlsStream<Box<dyn Stream>>, ConnectError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::ServerName(host.to_owned()))?;
        tls.connect(name, stream).await.map_err(|source| ConnectError::Tls { host: host.to_owned(), source })
    }

    /// CONNECT (RFC 9110 §9.3.6).
    async fn tunnel(
        &self,
        proxy: &ProxyServer,
        mut stream: Box<dyn Stream>,
        host: &str,
        port: u16,
    ) -> Result<Box<dyn Stream>, ConnectError> {
        let failed = |reason: String| ConnectError::Proxy { address: format!("{}:{}", proxy.host, proxy.port), reason };
        let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(value) = proxy.authorization() {
            head.push_str(&format!("Proxy-Authorization: {value}\r\n"));
        }
        for (name, values) in &self.connect_headers {
            for value in values {
                if name.contains(['\r', '\n', ':']) || value.expose().contains(['\r', '\n']) {
                    return Err(failed(format!("header {name:?} of proxy_connect_header cannot be sent")));
                }
                head.push_str(&format!("{name}: {}\r\n", value.expose()));
            }
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.map_err(|error| failed(error.to_string()))?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the head belongs to the target.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= CONNECT_RESPONSE_BYTES_MAX {
                return Err(failed("its answer to CONNECT has no end".into()));
            }
            let byte = stream.read_u8().await.map_err(|error| failed(format!("no answer to CONNECT: {error}")))?;
            answer.push(byte);
        }
        let line = String::from_utf8_lossy(&answer);
        let line = line.lines().next().unwrap_or_default();
        if line.starts_with("HTTP/1.") && line.split_whitespace().nth(1).is_some_and(|status| status.starts_with('2')) {
            return Ok(stream);
        }
        Err(failed(format!("it answered {line:?} to CONNECT {target}")))
    }
}

/// SOCKS 5 (RFC 1928) with the name resolved by the proxy, and user and password (RFC 1929) if given.
async fn socks5(
    proxy: &ProxyServer,
    mut stream: Box<dyn Stream>,
    host: &str,
    port: u16,
) -> Result<Box<dyn Stream>, ConnectError> {
    let failed = |reason: &str| ConnectError::Proxy {
        address: format!("{}:{}", proxy.host, proxy.port),
        reason: format!("SOCKS 5: {reason}"),
    };
    let broken = |error: io::Error| failed(&error.to_string());
    let methods: &[u8] = if proxy.user.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(methods).await.map_err(broken)?;
    let mut chosen = [0_u8; 2];
    stream.read_exact(&mut chosen).await.map_err(broken)?;
    match (chosen, &proxy.user) {
        ([5, 0], _) => {}
        ([5, 2], Some((user, password))) => {
            let (Ok(user_length), Ok(password_length)) = (u8::try_from(user.len()), u8::try_from(password.len()))
            else {
                return Err(failed("user or password is longer than 255 bytes"));
            };
            let mut login = vec![1, user_length];
            login.extend_from_slice(user.as_bytes());
            login.push(password_length);
            login.extend_from_slice(password.as_bytes());
            stream.write_all(&login).await.map_err(broken)?;
            let mut answer = [0_u8; 2];
            stream.read_exact(&mut answer).await.map_err(broken)?;
            if answer[1] != 0 {
                return Err(failed("user or password is wrong"));
            }
        }
        _ => return Err(failed("no way to log in that both sides know")),
    }
    let Ok(length) = u8::try_from(host.len()) else { return Err(failed("the host's name is longer than 255 bytes")) };
    let mut request = vec![5, 1, 0, 3, length];
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await.map_err(broken)?;
    let mut answer = [0_u8; 4];
    stream.read_exact(&mut answer).await.map_err(broken)?;
    if answer[1] != 0 {
        return Err(failed(&format!("it refused {host}:{port} with code {}", answer[1])));
    }
    let rest = match answer[3] {
        1 => 4 + 2,
        4 => 16 + 2,
        _ => usize::from(stream.read_u8().await.map_err(broken)?) + 2,
    };
    let mut bound = vec![0; rest];
    stream.read_exact(&mut bound).await.map_err(broken)?;
    Ok(stream)
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| ConnectError::Resolve { host: host.to_owned(), source })?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut tried = format!("{host}:{port}");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) if is_own_peer(&stream) => {
                last = io::ErrorKind::ConnectionRefused.into();
                tried = address.to_string();
            }
            Ok(stream) => {
                // Requests are written whole; waiting for more only costs time.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => {
                last = error;
                tried = address.to_string();
            }
        }
    }
    Err(ConnectError::Tcp { address: tried, source: last })
}

/// A port of the range that the system gives to clients, with nobody behind it, may be connected with itself: as long as
/// that lasted, its server could not come back to it.
fn is_own_peer(stream: &TcpStream) -> bool {
    stream.local_addr().ok().zip(stream.peer_addr().ok()).is_some_and(|(local, peer)| local == peer)
}

impl tower::Service<Uri> for Connector {
    type Response = Conn;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Conn, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.connect(uri).await })
    }
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.proxied);
        if self.http2 { connected.negotiated_h2() } else { connected }
    }
}

impl hyper::rt::Read for Conn {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    #[tokio::test]
    async fn a_connection_with_itself_is_told_from_one_with_a_server() -> io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let address = socket.local_addr()?;
        assert!(is_own_peer(&socket.connect(address).await?));
        let server = TcpListener::bind("127.0.0.1:0").await?;
        assert!(!is_own_peer(&TcpStream::connect(server.local_addr()?).await?));
        Ok(())
    }
}
