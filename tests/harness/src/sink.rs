//! What receives notifications in tests: a webhook and a mail server.

use anyhow::Result;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// Accepts every POST and keeps the bodies.
pub struct WebhookSink {
    pub port: u16,
    bodies: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl WebhookSink {
    /// # Errors
    /// No port.
    pub fn start() -> Result<WebhookSink> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Ok(body) = take_request(stream) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(body);
                }
            }
        });
        Ok(WebhookSink { port, bodies })
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<serde_json::Value> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn take_request(mut stream: TcpStream) -> Result<serde_json::Value> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(serde_json::from_slice(&body)?)
}

/// A mail server without log-in that keeps the mails.
pub struct MailSink {
    pub port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl MailSink {
    /// # Errors
    /// No port.
    pub fn start() -> Result<MailSink> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&mails);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    let _ = take_mails(stream, &kept);
                });
            }
        });
        Ok(MailSink { port, mails })
    }

    /// Every mail so far: envelope lines, an empty line, the data.
    pub fn received(&self) -> Vec<String> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// RFC 5321, as far as a client that sends one plain mail needs it.
fn take_mails(mut stream: TcpStream, kept: &Mutex<Vec<String>>) -> Result<()> {
    stream.write_all(b"220 sink ESMTP\r\n")?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut mail = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => stream.write_all(b"250-sink\r\n250 8BITMIME\r\n")?,
            "MAIL" | "RCPT" => {
                mail.push_str(&line);
                stream.write_all(b"250 OK\r\n")?;
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                mail.push_str("\r\n");
                loop {
                    let mut data = String::new();
                    if reader.read_line(&mut data)? == 0 || data == ".\r\n" {
                        break;
                    }
                    mail.push_str(&data);
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut mail));
                stream.write_all(b"250 taken\r\n")?;
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => stream.write_all(b"250 OK\r\n")?,
        }
    }
}
