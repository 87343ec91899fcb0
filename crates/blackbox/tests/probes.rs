//! Probes against servers of the test's own, for what the shared targets don't have.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use blackbox::{Config, Handler, ProbeParams, ProbeResult, probe};
use bytes::Bytes;
use exposition::format::Served;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Frame, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, UnixListener},
};

async fn run(module: &str, target: &str) -> ProbeResult {
    let config = Config::load("test.yml", &format!("modules:\n  m: {module}\n")).unwrap();
    probe("m", &config.modules["m"], target, "", Duration::from_secs(5)).await
}

/// Values by name and labels.
fn values(result: &ProbeResult) -> BTreeMap<String, String> {
    let text = telemetry::encode(&result.families, Served::TEXT);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[track_caller]
fn assert_values(result: &ProbeResult, expected: &[(&str, &str)]) {
    let values = values(result);
    for (name, value) in expected {
        assert_eq!(values.get(*name).map(String::as_str), Some(*value), "{name} of {values:#?}\n{:#?}", result.log);
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers with what was asked: `METHOD path host authorization`, and the redirects and tokens of the tests.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| request.headers().get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
    let (host, authorization) = (header("host"), header("authorization"));
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body);
    if let Some(location) = path.strip_prefix("/to?") {
        return Ok(Response::builder().status(302).header("location", location).body(Full::default()).unwrap());
    }
    if path == "/token" {
        let good = body.contains("grant_type=client_credentials") && body.contains("client_secret=s%2Fs");
        let (status, answer) =
            if good { (200, r#"{"access_token":"T","token_type":"bearer"}"#) } else { (401, "who are you?") };
        return Ok(Response::builder().status(status).body(Full::from(answer)).unwrap());
    }
    Ok(Response::new(Full::from(format!("{method} {path} {host} {authorization} {body}"))))
}

async fn http_server() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(echo)));
        }
    });
    address
}

#[tokio::test]
async fn redirects_keep_credentials_at_home() {
    let (home, away) = (http_server().await, http_server().await);
    // Another name for the same machine, so that the credentials must not follow.
    let module = format!(
        "{{prober: http, http: {{preferred_ip_protocol: ip4, method: POST, body: hi, bearer_token: secret, \
         fail_if_body_not_matches_regexp: ['^GET /x localhost:{} - $']}}}}",
        away.port()
    );
    let result = run(&module, &format!("http://{home}/to?http://localhost:{}/x", away.port())).await;
    assert_values(
        &result,
        &[("probe_success", "1"), ("probe_http_redirects", "1"), ("probe_failed_due_to_regex", "0")],
    );
    let module = "{prober: http, http: {preferred_ip_protocol: ip4, bearer_token: secret, \
                  fail_if_body_not_matches_regexp: ['^GET /x .* Bearer secret $']}}";
    let result = run(module, &format!("http://{home}/to?/x")).await;
    assert_values(&result, &[("probe_success", "1"), ("probe_http_redirects", "1")]);
}

#[tokio::test]
async fn tokens_are_fetched() {
    let address = http_server().await;
    let module = format!(
        "{{prober: http, http: {{preferred_ip_protocol: ip4, oauth2: {{client_id: c, client_secret: s/s, \
         token_url: 'http://{address}/token'}}, fail_if_body_not_matches_regexp: ['Bearer T']}}}}"
    );
    assert_values(&run(&module, &format!("{address}/x")).await, &[("probe_success", "1")]);
}

#[tokio::test]
async fn the_hostname_is_asked_for() {
    let address = http_server().await;
    let text = "modules:\n  m: {prober: http, http: {fail_if_body_not_matches_regexp: [' example.org ']}}\n  n: {prober: \
                http, http: {headers: {Host: other}}}\n";
    let config = Arc::new(Config::load("test.yml", text).unwrap());
    let handler = Handler::new(&telemetry::Registry::new());
    let mut params = ProbeParams { module: "m".into(), target: address.to_string(), ..ProbeParams::default() };
    params.hostname = "example.org".into();
    let answer = handler.probe(&config, &params, Some("4"), Served::TEXT).await;
    assert!(answer.body.contains("\nprobe_success 1\n"), "{}", answer.body);
    params.module = "n".into();
    assert_eq!(handler.probe(&config, &params, None, Served::TEXT).await.status, 400);
    params.module = "nosuch".into();
    assert_eq!(handler.probe(&config, &params, None, Served::TEXT).await.body, "Unknown module \"nosuch\"\n");
    let params = ProbeParams { module: "m".into(), ..ProbeParams::default() };
    assert_eq!(handler.probe(&config, &params, None, Served::TEXT).await.body, "Target parameter is missing\n");
    let wrong = handler.probe(&config, &params, Some("soon"), Served::TEXT).await;
    assert_eq!((wrong.status, wrong.body.contains("\"soon\"")), (500, true));
    assert_eq!(handler.recent().len(), 1);
    assert!(handler.logs(Some("1"), None, None).body.starts_with("Logs for the probe:\n"));
    assert_eq!(handler.logs(Some("2"), None, None).status, 404);
    assert_eq!(handler.logs(None, Some(&address.to_string()), Some("m")).status, 200);
}

struct Certificates {
    /// Certificate of the authority, PEM.
    ca: String,
    server: Arc<rustls::ServerConfig>,
}

fn certificates(alpn: &[&[u8]]) -> Certificates {
    http_client::install_default_provider();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Test, CA");
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "a.test".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2035, 1, 1);
    params.serial_number = Some(rcgen::SerialNumber::from(vec![10, 11]));
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.into())
        .unwrap();
    server.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Certificates { ca: ca.pem().replace('\n', "\\n"), server: Arc::new(server) }
}

#[tokio::test]
async fn https_over_http2_and_through_a_proxy() {
    let (listener, address) = listen().await;
    let Certificates { ca, server } = certificates(&[b"h2", b"http/1.1"]);
    let acceptor = tokio_rustls::TlsAcceptor::from(server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let io = TokioIo::new(stream);
            if h2 {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(async move { builder.serve_connection(io, service_fn(echo)).await });
            } else {
                let builder = hyper::server::conn::http1::Builder::new();
                tokio::spawn(async move { builder.serve_connection(io, service_fn(echo)).await });
            }
        }
    });
    let module = |more: &str| {
        format!("{{prober: http, http: {{preferred_ip_protocol: ip4, {more} tls_config: {{ca: \"{ca}\"}}}}}}")
    };
    let target = format!("https://localhost:{}/x", address.port());
    let result = run(&module(""), &target).await;
    assert_values(
        &result,
        &[
            ("probe_success", "1"),
            ("probe_http_version", "2"),
            ("probe_http_ssl", "1"),
            // 2035-01-01, of the leaf; the root outlives it.
            ("probe_ssl_earliest_cert_expiry", "2.0512224e+09"),
            ("probe_ssl_last_chain_expiry_timestamp_seconds", "2.0512224e+09"),
            ("probe_tls_version_info{version=\"TLS 1.3\"}", "1"),
        ],
    );
    let info = values(&result).into_keys().find(|name| name.starts_with("probe_ssl_last_chain_info")).unwrap();
    assert!(info.contains(r#"issuer="CN=Test\\, CA""#), "{info}");
    assert!(
        info.contains(r#"serialnumber="a0b""#) && info.contains(r#"subjectalternative="localhost,a.test""#),
        "{info}"
    );
    let result = run(&module("enable_http2: false, fail_if_ssl: true,"), &target).await;
    assert_values(&result, &[("probe_success", "0"), ("probe_http_version", "1.1"), ("probe_http_ssl", "1")]);
    // A name that the certificate has not.
    let result = run(&module(""), &format!("https://{address}/x")).await;
    assert_values(&result, &[("probe_success", "0"), ("probe_http_ssl", "0"), ("probe_http_status_code", "0")]);

    let (proxy, proxy_address) = listen().await;
    let asked = tokio::spawn(async move {
        let (mut client, _) = proxy.accept().await.unwrap();
        let mut head = String::new();
        let mut reader = BufReader::new(&mut client);
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).await.unwrap();
        }
        let mut server = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        head
    });
    let more = format!(
        "proxy_url: 'http://u:p@{proxy_address}', skip_resolve_phase_with_proxy: true, proxy_connect_header: {{X-A: [b]}},"
    );
    let result = run(&module(&more), &format!("https://localhost:{}/x", address.port())).await;
    assert_values(&result, &[("probe_success", "1"), ("probe_http_version", "2")]);
    assert!(!values(&result).contains_key("probe_ip_protocol"), "the name was left to the proxy");
    let head = asked.await.unwrap();
    assert!(head.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", address.port())), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic dTpw\r\n") && head.contains("x-a: b\r\n"), "{head}");
}

/// A health server: service `ok` serves, `down` does not, others are not known.
async fn health(request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
    let path = request.uri().path().to_owned();
    let meta = request.headers().get("x-meta").is_some();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let service = body.get(7..).map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
    let (message, code): (&[u8], &str) = match (path.as_str(), service.as_str(), meta) {
        ("/grpc.health.v1.Health/Check", "ok", true) => (&[0, 0, 0, 0, 2, 8, 1], "0"),
        ("/grpc.health.v1.Health/Check", "down", _) => (&[0, 0, 0, 0, 2, 8, 2], "0"),
        _ => (&[], "5"),
    };
    let mut trailers = hyper::HeaderMap::new();
    trailers.insert("grpc-status", code.parse().unwrap());
    let frames = vec![Frame::data(Bytes::copy_from_slice(message)), Frame::trailers(trailers)];
    Ok(Response::builder().header("content-type", "application/grpc").body(Frames(frames.into_iter())).unwrap())
}

/// A body whose frames are all there.
struct Frames(std::vec::IntoIter<Frame<Bytes>>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.next().map(Ok))
    }
}

#[tokio::test]
async fn grpc_health() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(async move { builder.serve_connection(TokioIo::new(stream), service_fn(health)).await });
        }
    });
    let state = |name: &str| format!("probe_grpc_healthcheck_response{{serving_status=\"{name}\"}}");
    for (service, success, code, serving, not_serving) in
        [("ok", "1", "0", "1", "0"), ("down", "0", "0", "0", "1"), ("other", "0", "5", "0", "0")]
    {
        let module = format!("{{prober: grpc, grpc: {{service: {service}, metadata: {{x-meta: [a]}}}}}}");
        let result = run(&module, &address.to_string()).await;
        let expected = [
            ("probe_success", success),
            ("probe_grpc_status_code", code),
            (&state("SERVING"), serving),
            (&state("NOT_SERVING"), not_serving),
            (&state("UNKNOWN"), "0"),
        ];
        assert_values(&result, &expected);
    }
}

#[tokio::test]
async fn dialogues() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let socket = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            stream.write_all(format!("noise\r\nPONG {line}").as_bytes()).await.unwrap();
        }
    });
    let steps = "[{send: PING}, {expect: '^PONG (.*)$', labels: [{name: said, value: '${1}'}]}]";
    let result = run(&format!("{{prober: unix, unix: {{query_response: {steps}}}}}"), path.to_str().unwrap()).await;
    assert_values(&result, &[("probe_success", "1"), ("probe_expect_info{said=\"PING\"}", "1")]);

    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = [0; 8];
            stream.read_exact(&mut question).await.unwrap();
            stream.write_all(if question[7] == 0x2f { b"S" } else { b"N" }).await.unwrap();
        }
    });
    for (expected, success, failed) in [("S", "1", "0"), ("T", "0", "1")] {
        let steps = format!("[{{send: !!binary AAAACATSFi8=}}, {{expect_bytes: {expected}}}]");
        let result = run(&format!("{{prober: tcp, tcp: {{query_response: {steps}}}}}"), &address.to_string()).await;
        assert_values(&result, &[("probe_success", success), ("probe_failed_due_to_bytes", failed)]);
    }
}

/// With tokio's clock paused the time jumps to the deadline as soon as nothing happens any more.
#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    for module in [
        "{prober: http}",
        "{prober: tcp, tcp: {tls: true}}",
        "{prober: tcp, tcp: {query_response: [{expect: a}]}}",
        "{prober: grpc}",
        "{prober: dns, dns: {query_name: a., transport_protocol: tcp}}",
    ] {
        let result = run(module, &address.to_string()).await;
        assert_values(&result, &[("probe_success", "0")]);
        let log = format!("{:?}", result.log);
        assert!(log.contains("deadline exceeded"), "{module}: {log}");
        assert!(result.duration >= Duration::from_secs(5) && result.duration < Duration::from_secs(6), "{module}");
    }
}

/// Answers a text message `m` with the messages `noise` (a ping) and `got m`, the second in two frames.
async fn chat(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| request.headers().get(name).is_some_and(|value| !value.is_empty());
    if !(header("upgrade") && header("sec-websocket-key") && header("authorization")) {
        return Ok(Response::builder().status(400).body(Full::default()).unwrap());
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut head = [0; 6];
        while stream.read_exact(&mut head).await.is_ok() && head[0] == 0x81 {
            let mut text = vec![0; usize::from(head[1] & 0x7f)];
            stream.read_exact(&mut text).await.unwrap();
            text.iter_mut().zip(head[2..].iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            let rest = [&[0x80, u8::try_from(text.len()).unwrap()], text.as_slice()].concat();
            stream.write_all(&[&[0x01, 4], b"got ".as_slice(), &rest].concat()).await.unwrap();
        }
    });
    let response = Response::builder().status(101).header("connection", "Upgrade").header("upgrade", "websocket");
    Ok(response.body(Full::default()).unwrap())
}

#[tokio::test]
async fn websockets() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(chat)).with_upgrades());
        }
    });
    let module = |auth: &str, expect: &str| {
        format!(
            "{{prober: websocket, websocket: {{http_config: {{{auth}}}, query_response: [{{send: one}}, {{expect: 'got \
             (.*)', send: '${{1}} two'}}, {{expect: '{expect}'}}]}}}}"
        )
    };
    let target = format!("ws://{address}/chat");
    let result = run(&module("bearer_token: t", "^got one two$"), &target).await;
    let upgraded = ("probe_websocket_connection_upgraded", "1");
    assert_values(&result, &[("probe_success", "1"), ("probe_websocket_status_code", "101"), upgraded]);
    let result = run(&module("bearer_token: t", "^other$"), &target).await;
    assert_values(&result, &[("probe_success", "0"), ("probe_websocket_failed_due_to_regex", "1"), upgraded]);
    let result = run(&module("", "x"), &target).await;
    assert_values(&result, &[("probe_success", "0"), ("probe_websocket_status_code", "400")]);
}

#[tokio::test]
async fn through_socks() {
    let server = http_server().await;
    let (proxy, address) = listen().await;
    tokio::spawn(async move {
        let (mut client, _) = proxy.accept().await.unwrap();
        let mut methods = [0; 4];
        client.read_exact(&mut methods).await.unwrap();
        assert_eq!(methods, [5, 2, 0, 2]);
        client.write_all(&[5, 2]).await.unwrap();
        let mut login = vec![0; 5];
        client.read_exact(&mut login).await.unwrap();
        assert_eq!(login, [1, 1, b'u', 1, b'p']);
        client.write_all(&[1, 0]).await.unwrap();
        let mut wanted = vec![0; 5 + "a.test".len() + 2];
        client.read_exact(&mut wanted).await.unwrap();
        assert_eq!(wanted[..11], [&[5, 1, 0, 3, 6], b"a.test".as_slice()].concat());
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        let mut server = tokio::net::TcpStream::connect(server).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    let module = format!(
        "{{prober: http, http: {{skip_resolve_phase_with_proxy: true, proxy_url: 'socks5://u:p@{address}', \
         fail_if_body_not_matches_regexp: ['^GET /x a.test ']}}}}"
    );
    assert_values(&run(&module, "http://a.test/x").await, &[("probe_success", "1")]);
}
