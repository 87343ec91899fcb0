//! The client against servers on loopback: credentials, redirects, limits, proxies, TLS.
#![expect(clippy::unwrap_used, reason = "tests")]

use http_client::{HttpClient, HttpClientConfig, HttpClientError, Request, Response};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// Requests as they came, in lower case.
type Seen = Arc<Mutex<Vec<String>>>;
/// From the head of a request to the bytes of the answer.
type Answer = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

struct Server {
    address: String,
    seen: Seen,
}

impl Server {
    fn last(&self) -> String {
        self.seen.lock().unwrap().last().cloned().unwrap()
    }
}

async fn handle(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: Seen, answer: Answer) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&head).to_lowercase();
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        seen.lock().unwrap().push(format!("{text}{}", String::from_utf8_lossy(&body)));
        if stream.write_all(&answer(&text)).await.is_err() {
            return;
        }
        head.clear();
    }
}

async fn server(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (seen, answer): (Seen, Answer) = (Seen::default(), Arc::new(answer));
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream, Arc::clone(&shared), Arc::clone(&answer)));
        }
    });
    Server { address, seen }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    out.extend_from_slice(body);
    out
}

fn config(text: &str) -> HttpClientConfig {
    yaml::from_str("http.yml", text).unwrap()
}

async fn get(config: &HttpClientConfig, url: &str) -> Result<Response, HttpClientError> {
    HttpClient::new(config)?.send(Request::get(url, Duration::from_secs(10), 1 << 20)).await
}

#[tokio::test]
async fn credentials_and_headers() {
    let server = server(|_| answer("200 OK", "", b"hello")).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "from-file\n").unwrap();
    let url = format!("http://{}/x?y=1#z", server.address);
    for (text, expected) in [
        ("basic_auth: {username: u, password: p}", "authorization: basic dtpw\r\n"),
        ("authorization: {credentials: abc}", "authorization: bearer abc\r\n"),
        ("authorization: {type: Token, credentials_file: token}", "authorization: token from-file\r\n"),
        ("bearer_token_file: token", "authorization: bearer from-file\r\n"),
        (
            "http_headers: {X-A: {values: [one], secrets: [two], files: [token]}}",
            "x-a: one\r\nx-a: two\r\nx-a: from-file\r\n",
        ),
    ] {
        let mut config = config(text);
        config.resolve_paths(folder.path());
        let response = get(&config, &url).await.unwrap();
        assert_eq!((response.status, &response.body[..]), (200, &b"hello"[..]));
        let seen = server.last();
        assert!(seen.starts_with("get /x?y=1 http/1.1\r\n"), "{seen}");
        assert!(seen.contains(expected), "{expected:?} is not in {seen}");
    }
    get(&HttpClientConfig::default(), &format!("http://user:p%40ss@{}/", server.address)).await.unwrap();
    assert!(server.last().contains("authorization: basic dxnlcjpwqhnz\r\n"), "{}", server.last());
    assert!(server.last().contains(&format!("host: {}\r\n", server.address)));
    // A file that has changed is read again, by the same client.
    let mut config = config("bearer_token_file: token");
    config.resolve_paths(folder.path());
    let client = HttpClient::new(&config).unwrap();
    std::fs::write(folder.path().join("token"), "renewed").unwrap();
    client.send(Request::get(&url, Duration::from_secs(10), 100)).await.unwrap();
    assert!(server.last().contains("bearer renewed"), "{}", server.last());
}

#[tokio::test]
async fn redirects_keep_credentials_on_their_host() {
    let other = server(|_| answer("200 OK", "", b"other")).await;
    let location = format!("Location: http://localhost:{}/there\r\n", other.address.rsplit_once(':').unwrap().1);
    let server = server(move |head| match head.split_whitespace().nth(1) {
        Some("/near") => answer("302 Found", "Location: final\r\n", b""),
        Some("/far") => answer("307 Temporary Redirect", &location, b""),
        Some("/round") => answer("301 Moved Permanently", "Location: /round\r\n", b""),
        _ => answer("200 OK", "", b"here"),
    })
    .await;
    let config = config("bearer_token: secret");
    let url = |path: &str| format!("http://{}/{path}", server.address);
    assert_eq!(&get(&config, &url("near")).await.unwrap().body[..], b"here");
    assert!(server.last().starts_with("get /final") && server.last().contains("bearer secret"), "{}", server.last());
    assert_eq!(&get(&config, &url("far")).await.unwrap().body[..], b"other");
    assert!(!other.last().contains("secret"), "{}", other.last());
    assert!(matches!(get(&config, &url("round")).await, Err(HttpClientError::TooManyRedirects(10))));
    let client = HttpClient::new(&config).unwrap();
    client.send(Request::post(url("near"), "text/plain", "body", Duration::from_secs(10), 100)).await.unwrap();
    assert!(server.last().starts_with("get /final") && !server.last().contains("content-type"), "{}", server.last());
    // What one redirect takes away is there again the next time.
    let headers = vec![("Cookie".to_owned(), "a=b".to_owned()), ("X-Own".to_owned(), "1".to_owned())];
    let prepared = Request { headers, ..Request::get(url("far"), Duration::from_secs(10), 100) }.prepare().unwrap();
    for _ in 0..2 {
        assert_eq!(&client.send_prepared(&prepared).await.unwrap().body[..], b"other");
        assert!(server.last().contains("cookie: a=b") && server.last().contains("bearer secret"), "{}", server.last());
        let seen = other.last();
        assert!(seen.contains("x-own: 1") && !seen.contains("cookie") && !seen.contains("secret"), "{seen}");
    }
    let stay = self::config("follow_redirects: false");
    assert_eq!(get(&stay, &url("near")).await.unwrap().status, 302);
}

#[tokio::test]
async fn limits() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&vec![b'a'; 1 << 20]).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&b"zstd body"[..], 1).unwrap();
    let server = server(move |head| match head.split_whitespace().nth(1) {
        Some("/gzip") => answer("200 OK", "Content-Encoding: gzip\r\n", &gzip),
        Some("/zstd") => answer("200 OK", "Content-Encoding: zstd\r\n", &zstd),
        Some("/br") => answer("200 OK", "Content-Encoding: br\r\n", b"?"),
        Some("/bad") => answer("200 OK", "Content-Encoding: gzip\r\n", b"no gzip"),
        Some("/chunked") => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n".to_vec()
        }
        Some("/silent") => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
        _ => answer("200 OK", "", b"0123456789"),
    })
    .await;
    let client = HttpClient::new(&HttpClientConfig::default()).unwrap();
    let send = async |path: &str, limit| {
        client.send(Request::get(format!("http://{}{path}", server.address), Duration::from_millis(500), limit)).await
    };
    assert_eq!(send("/", 10).await.unwrap().body.len(), 10);
    assert!(matches!(send("/", 9).await, Err(HttpClientError::BodyTooLarge { limit: 9 })));
    assert_eq!(send("/chunked", 10).await.unwrap().body, "0123456789");
    assert!(matches!(send("/chunked", 9).await, Err(HttpClientError::BodyTooLarge { limit: 9 })));
    assert!(matches!(send("/silent", 9).await, Err(HttpClientError::Timeout(_))));
    let bomb = send("/gzip", 1 << 20).await.unwrap();
    assert!(bomb.body.len() < 10_000);
    assert_eq!(bomb.decoded(1 << 20).unwrap().len(), 1 << 20);
    let mut reused = b"what was there".to_vec();
    bomb.decode_into(1 << 20, &mut reused).unwrap();
    assert_eq!(reused, bomb.decoded(1 << 20).unwrap());
    assert!(matches!(bomb.decode_into((1 << 20) - 1, &mut reused), Err(HttpClientError::BodyTooLarge { .. })));
    assert!(matches!(bomb.decoded((1 << 20) - 1), Err(HttpClientError::BodyTooLarge { .. })));
    assert_eq!(send("/zstd", 1 << 20).await.unwrap().decoded(100).unwrap(), "zstd body");
    for path in ["/br", "/bad"] {
        let error = send(path, 100).await.unwrap().decoded(100).unwrap_err();
        assert!(matches!(error, HttpClientError::Encoding { .. }), "{error}");
    }
}

#[tokio::test]
async fn errors_say_what_and_where() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, expected) in [
        (format!("http://{closed}/"), format!("cannot connect to {closed}: Connection refused (os error 111)")),
        ("ftp://a/".to_owned(), "\"ftp://a/\" is no URL for HTTP: its scheme must be http or https".to_owned()),
        ("http:///x".to_owned(), "\"http:///x\" is no URL for HTTP: invalid format".to_owned()),
    ] {
        assert_eq!(get(&HttpClientConfig::default(), &url).await.unwrap_err().to_string(), expected);
    }
    let contradiction = config("{bearer_token: a, basic_auth: {username: u}, proxy_url: 'ftp://p'}");
    assert_eq!(
        HttpClient::new(&contradiction).unwrap_err().to_string(),
        "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured; \
         \"ftp://p\" is no URL for HTTP: a proxy is reached by http, https or socks5"
    );
    assert!(!format!("{contradiction:?}").contains("\"a\""), "secrets are not printed");
}

#[tokio::test]
async fn oauth2_token_is_fetched_once_and_sent() {
    let tokens =
        server(|_| answer("200 OK", "", br#"{"access_token":"t0k","token_type":"Bearer","expires_in":3600}"#)).await;
    let api = server(|_| answer("200 OK", "", b"ok")).await;
    let config = config(&format!(
        "oauth2: {{client_id: id, client_secret: s, scopes: [a, b], endpoint_params: {{x: 'y z'}}, token_url: 'http://{}/token'}}",
        tokens.address
    ));
    let client = HttpClient::new(&config).unwrap();
    for _ in 0..2 {
        let request = Request::get(format!("http://{}/", api.address), Duration::from_secs(10), 100);
        assert_eq!(client.send(request).await.unwrap().status, 200);
        assert!(api.last().contains("authorization: bearer t0k\r\n"), "{}", api.last());
    }
    assert_eq!(tokens.seen.lock().unwrap().len(), 1);
    assert!(tokens.last().ends_with("grant_type=client_credentials&scope=a%20b&x=y%20z"), "{}", tokens.last());
    assert!(tokens.last().contains("authorization: basic aw"), "{}", tokens.last());
}

#[tokio::test]
async fn plain_requests_go_to_the_proxy_whole() {
    let proxy = server(|_| answer("200 OK", "", b"by proxy")).await;
    let config = config(&format!("{{proxy_url: 'http://u:p@{}', no_proxy: 'direct.test'}}", proxy.address));
    assert_eq!(&get(&config, "http://far.test:81/x").await.unwrap().body[..], b"by proxy");
    assert!(proxy.last().starts_with("get http://far.test:81/x http/1.1"), "{}", proxy.last());
}

struct Tls {
    address: String,
    ca: String,
    client_certificate: String,
    client_key: String,
}

/// A TLS server for `name.test`; with `mutual` only for clients with a certificate of its authority.
async fn tls_server(mutual: bool) -> Tls {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut ca_params = CertificateParams::new(Vec::new()).unwrap();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca_params, KeyPair::generate().unwrap()).unwrap();
    let leaf = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        (certificate, key)
    };
    let (certificate, key) = leaf("name.test");
    let (client_certificate, client_key) = leaf("client.test");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if mutual {
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server_config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server_config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    handle(stream, Seen::default(), Arc::new(|_: &str| answer("200 OK", "", b"secure"))).await;
                }
            });
        }
    });
    Tls { address, ca: ca.pem(), client_certificate: client_certificate.pem(), client_key: client_key.serialize_pem() }
}

#[tokio::test]
async fn tls() {
    let plain = tls_server(false).await;
    let url = format!("https://{}/", plain.address);
    let with = |edit: &dyn Fn(&mut http_client::TlsConfig)| {
        let mut tls = http_client::TlsConfig { ca: Some(plain.ca.clone()), ..Default::default() };
        edit(&mut tls);
        HttpClientConfig { tls_config: Some(tls), ..HttpClientConfig::default() }
    };
    let named = with(&|tls| tls.server_name = Some("name.test".into()));
    assert_eq!(&get(&named, &url).await.unwrap().body[..], b"secure");
    let wrong_name = get(&with(&|_| ()), &url).await.unwrap_err().to_string();
    assert!(
        wrong_name.starts_with("TLS with 127.0.0.1: invalid peer certificate: certificate not valid for name"),
        "{wrong_name}"
    );
    let unknown = with(&|tls| (tls.ca, tls.server_name) = (None, Some("name.test".into())));
    let unknown = get(&unknown, &url).await.unwrap_err().to_string();
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    let blind = with(&|tls| (tls.ca, tls.insecure_skip_verify) = (None, true));
    assert_eq!(get(&blind, &url).await.unwrap().status, 200);
    let no_pem = get(&with(&|tls| tls.ca = Some("x".into())), &url).await.unwrap_err().to_string();
    assert_eq!(no_pem, "TLS: the text in tls_config has no certificate in PEM");

    // Mutual, through a CONNECT proxy, with files that come into being after the client.
    let mutual = tls_server(true).await;
    let target = mutual.address.clone();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_address = proxy.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = proxy.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"CONNECT name.test:443 HTTP/1.1\r\n"));
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        let mut upstream = tokio::net::TcpStream::connect(target).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
    });
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&format!(
        "{{proxy_url: 'http://{proxy_address}', tls_config: {{ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem}}}}"
    ));
    config.resolve_paths(folder.path());
    let client = HttpClient::new(&config).unwrap();
    let request = || Request::get("https://name.test/", Duration::from_secs(10), 100);
    assert!(matches!(client.send(request()).await, Err(HttpClientError::File { .. })));
    for (name, text) in
        [("ca.pem", &mutual.ca), ("cert.pem", &mutual.client_certificate), ("key.pem", &mutual.client_key)]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    assert_eq!(&client.send(request()).await.unwrap().body[..], b"secure");
}
