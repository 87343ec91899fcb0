//! `websocket`: the upgrade of HTTP/1.1 (RFC 6455) and a dialogue of messages.

use super::{
    http::{HttpProbe, connection::Upgraded, upgrade},
    query_response::QueryResponse,
};
use crate::{
    probe::Run,
    values::{IpProtocol, yes},
};
use http_client::HttpClientConfig;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::Instant,
};

/// Longest message that is looked at.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default = "WebsocketProbe::initial", deny_unknown_fields)]
pub struct WebsocketProbe {
    pub http_config: HttpClientConfig,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `expect` is for one message, `send` is one message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_response: Vec<QueryResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_ip_protocol: Option<IpProtocol>,
    pub ip_protocol_fallback: bool,
}

impl WebsocketProbe {
    fn initial() -> Self {
        WebsocketProbe { ip_protocol_fallback: yes(), ..WebsocketProbe::default() }
    }

    /// The options of the HTTP request that asks for the upgrade.
    fn request(&self, key: &str) -> HttpProbe {
        let mut headers = self.headers.clone();
        for (name, value) in [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key),
        ] {
            headers.insert(name.into(), value.into());
        }
        let config = self.http_config.clone();
        HttpProbe {
            preferred_ip_protocol: self.preferred_ip_protocol,
            ip_protocol_fallback: self.ip_protocol_fallback,
            headers,
            basic_auth: config.basic_auth,
            authorization: config.authorization,
            bearer_token: config.bearer_token,
            bearer_token_file: config.bearer_token_file,
            oauth2: config.oauth2,
            // Only HTTP/1.1 has this upgrade.
            enable_http2: Some(false),
            follow_redirects: Some(false),
            tls_config: config.tls_config,
            proxy_url: config.proxy_url,
            no_proxy: config.no_proxy,
            proxy_from_environment: config.proxy_from_environment,
            proxy_connect_header: config.proxy_connect_header,
            http_headers: config.http_headers,
            ..HttpProbe::initial()
        }
    }
}

pub(crate) async fn probe(run: &mut Run, options: Option<&WebsocketProbe>, target: &str) -> bool {
    let initial = WebsocketProbe::initial();
    let options = options.unwrap_or(&initial);
    let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [random(), random()].concat());
    let target = match target.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        Some(_) => target.to_owned(),
        None => format!("http://{target}"),
    };
    let request = options.request(&key);
    let upgraded = Box::pin(upgrade(run, &request, &target)).await;
    let status = upgraded.status;
    let started = Instant::now();
    let (connected, mut success, mut failed_by_regex) = (upgraded.connection.is_some(), false, false);
    if let Some(Upgraded { stream, .. }) = upgraded.connection {
        let mut messages = Messages { stream };
        success = Box::pin(converse(run, &mut messages, &options.query_response, &mut failed_by_regex)).await;
        // The answer is known; whether the farewell arrives does not matter.
        let _ = run.limit(messages.send(Opcode::CLOSE, &[0x03, 0xe8])).await;
    }
    let flag = |flag: bool| f64::from(u8::from(flag));
    run.gauge("probe_websocket_status_code", "Response HTTP status code", f64::from(status));
    let help = "Indicates if the websocket connection was successfully upgraded";
    run.gauge("probe_websocket_connection_upgraded", help, flag(connected));
    let help = "Indicates if probe failed due to regex";
    run.gauge("probe_websocket_failed_due_to_regex", help, flag(failed_by_regex));
    let dialogue = ("transfer", if connected { started.elapsed() } else { std::time::Duration::ZERO });
    for (phase, duration) in upgraded.phases.into_iter().chain([dialogue]) {
        let help = "Duration of websocket request by phase";
        run.metrics.gauge("probe_websocket_duration_seconds", help, &[("phase", phase)], duration.as_secs_f64());
    }
    success
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    run: &mut Run,
    messages: &mut Messages<S>,
    steps: &[QueryResponse],
    failed_by_regex: &mut bool,
) -> bool {
    for step in steps {
        let mut send = step.send.bytes.clone();
        if let Some(expect) = &step.expect {
            let message = match run.limit(messages.next()).await {
                Ok(message) => message,
                Err(error) => {
                    run.error("Error reading message", &[("err", error)]);
                    return false;
                }
            };
            let Some(captures) = expect.0.captures(&message) else {
                run.error("Regexp did not match", &[("regexp", expect.0.as_str().to_owned()), ("line", message)]);
                *failed_by_regex = true;
                return false;
            };
            if !step.send.binary
                && let Ok(template) = std::str::from_utf8(&send)
            {
                send = expect.0.expand(template, &message, &captures).into_bytes();
            }
        }
        if !send.is_empty() {
            let opcode = if step.send.binary { Opcode::BINARY } else { Opcode::TEXT };
            if let Err(error) = run.limit(messages.send(opcode, &send)).await {
                run.error("Error sending message", &[("err", error)]);
                return false;
            }
        }
    }
    true
}

/// What a frame is.
struct Opcode;

impl Opcode {
    const TEXT: u8 = 1;
    const BINARY: u8 = 2;
    const CLOSE: u8 = 8;
    const PING: u8 = 9;
    const PONG: u8 = 10;
}

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

struct Messages<S> {
    stream: S,
}

/// Eight bytes that nobody can guess: the standard library's hashing is seeded anew each time.
fn random() -> [u8; 8] {
    RandomState::new().build_hasher().finish().to_be_bytes()
}

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<S> {
    /// The next message, put together from its frames; pings are answered on the way.
    async fn next(&mut self) -> std::io::Result<String> {
        let mut message = Vec::new();
        loop {
            let [first, second] = self.stream.read_u16().await?.to_be_bytes();
            let length = match second & !MASKED {
                126 => u64::from(self.stream.read_u16().await?),
                127 => self.stream.read_u64().await?,
                short => u64::from(short),
            };
            let room = MESSAGE_BYTES_MAX - message.len();
            let length = usize::try_from(length).ok().filter(|length| *length <= room);
            let Some(length) = length else {
                return Err(std::io::Error::other(format!("a message has more than {MESSAGE_BYTES_MAX} bytes")));
            };
            let mask = if second & MASKED != 0 { self.stream.read_u32().await?.to_be_bytes() } else { [0; 4] };
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await?;
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            match first & 0x0f {
                Opcode::CLOSE => return Err(std::io::Error::other("the server closed the connection")),
                Opcode::PING => self.send(Opcode::PONG, &payload).await?,
                Opcode::PONG => {}
                _ => {
                    message.append(&mut payload);
                    if first & FINAL != 0 {
                        return Ok(String::from_utf8_lossy(&message).into_owned());
                    }
                }
            }
        }
    }

    /// Sends one frame, masked as clients must.
    async fn send(&mut self, opcode: u8, payload: &[u8]) -> std::io::Result<()> {
        let mut frame = vec![FINAL | opcode];
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(length @ ..126), _) => frame.push(MASKED | length),
            (_, Ok(length)) => {
                frame.push(MASKED | 126);
                frame.extend(length.to_be_bytes());
            }
            _ => {
                frame.push(MASKED | 127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        let mask = &random()[..4];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }
}
