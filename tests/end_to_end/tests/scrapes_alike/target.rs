//! One port with all targets: `/CASE/SERVER/…` gives a server the answers of a case, one at each request, the last one for
//! ever. It is a proxy, too, and gives out tokens.

use super::cases::{Answer, CASES};
use anyhow::Result;
use harness::http;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What a server has asked for in a case.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub times: usize,
    /// Of the first request, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Path and query of the first request.
    pub path: String,
}

pub(super) struct Target {
    pub port: u16,
    asked: Arc<Mutex<BTreeMap<(String, String), Asked>>>,
}

impl Target {
    /// `base_ms` is the time that the answers count from.
    ///
    /// # Errors
    /// No port.
    pub(super) fn start(base_ms: i64) -> Result<Target> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let asked = Arc::new(Mutex::new(BTreeMap::new()));
        let shared = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&shared);
                std::thread::spawn(move || while let Ok(true) = serve(&stream, base_ms, &asked) {});
            }
        });
        Ok(Target { port, asked })
    }

    pub(super) fn asked(&self, case: &str, server: &str) -> Asked {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&(case.to_owned(), server.to_owned())).cloned().unwrap_or_default()
    }
}

/// One request. False: the connection ends.
fn serve(stream: &TcpStream, base_ms: i64, asked: &Mutex<BTreeMap<(String, String), Asked>>) -> Result<bool> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(false);
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    std::io::copy(&mut std::io::Read::take(&mut reader, length), &mut std::io::sink())?;
    let target = first.split(' ').nth(1).unwrap_or_default();
    // A proxy is asked for the whole URL.
    let path = target.strip_prefix("http://").map_or(target, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
    let mut out = stream;
    if path == "/token" {
        let body = r#"{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}"#;
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        out.write_all(format!("{head}{body}").as_bytes())?;
        return Ok(true);
    }
    let mut parts = path.split(['/', '?']).skip(1).map(str::to_owned);
    let (name, server) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let moved = parts.next().is_some_and(|part| part == "moved");
    let case = CASES.iter().find(|case| case.name == name);
    let answer = case.and_then(|case| {
        if case.redirects && !moved {
            return None;
        }
        let mut all = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = all.entry((name.clone(), server.clone())).or_default();
        if asked.times == 0 {
            (asked.headers, asked.path) = (headers.clone(), path.to_owned());
            if target != path {
                asked.path.insert_str(0, "by proxy: ");
            }
        }
        asked.times += 1;
        case.answers.get(asked.times - 1).or(case.answers.last())
    });
    let Some(Answer { status, head, body }) = answer else {
        let location = format!("/{name}/{server}/moved");
        out.write_all(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
        return Ok(true);
    };
    let wants = case.map_or("", |case| case.wants_authorization);
    let authorized = wants.is_empty() || headers.get("authorization").is_some_and(|sent| sent == wants);
    let (status, body) = if authorized { (*status, body.bytes(base_ms)) } else { (401, Vec::new()) };
    let reason = if status == 200 { "OK" } else { "Not so" };
    let head = format!("HTTP/1.1 {status} {reason}\r\n{head}Content-Length: {}\r\n\r\n", body.len());
    out.write_all(head.as_bytes())?;
    out.write_all(&body)?;
    Ok(true)
}

/// Every series of a job with what was stored of it.
pub(super) fn read_api(base: &str, path: &str) -> Result<serde_json::Value> {
    Ok(http::get(&format!("{base}{path}"))?.json()?["data"].take())
}
