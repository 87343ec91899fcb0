//! Request lines as people type them: `curl -g 'http://…/series?match[]=up{job="x"}'` sends its quotes as they are.
//! Go's server reads such lines, hyper refuses them; so they are escaped on the way in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest part of a header line that is looked at: enough for the two that tell where the next request begins.
const HEADER_BYTES_KEPT: usize = 64;
/// How HTTP/2 begins, which needs none of this.
const HTTP2: &[u8] = b"PRI ";

/// A connection of which the reader sees escaped request lines.
pub(super) struct EscapedLines<S> {
    inner: S,
    scan: Scan,
    /// Escaped bytes that did not fit where they were read to.
    pending: Vec<u8>,
}

impl<S> EscapedLines<S> {
    pub(super) fn new(inner: S) -> Self {
        EscapedLines { inner, scan: Scan::default(), pending: Vec::new() }
    }
}

/// Where in a request the next byte stands. It follows the framing only as far as needed to find the next request
/// line; in doubt it stops changing anything. What a request means is hyper's to decide.
#[derive(Debug, PartialEq, Eq)]
enum At {
    Line,
    Headers,
    /// So many bytes of a body are left.
    Body(u64),
    /// Chunks, HTTP/2: nothing is changed any more.
    Through,
}

#[derive(Debug)]
struct Scan {
    at: At,
    /// The current line, or its beginning.
    line: Vec<u8>,
    line_length: usize,
    is_first: bool,
    content_length: u64,
    is_chunked: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Scan { at: At::Line, line: Vec::new(), line_length: 0, is_first: true, content_length: 0, is_chunked: false }
    }
}

impl Scan {
    /// Reads on; gives the bytes as they should have been, if something had to be escaped.
    fn read(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut escaped: Option<Vec<u8>> = None;
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.at {
                At::Through => {
                    if let Some(escaped) = &mut escaped {
                        escaped.extend_from_slice(rest);
                    }
                    return escaped;
                }
                At::Body(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let (body, behind) = rest.split_at(count);
                    if let Some(escaped) = &mut escaped {
                        escaped.extend_from_slice(body);
                    }
                    let left = left - count as u64;
                    self.at = if left == 0 { At::Line } else { At::Body(left) };
                    rest = behind;
                    continue;
                }
                At::Line => {
                    let code: Option<&[u8; 3]> = match byte {
                        b'"' => Some(b"%22"),
                        b'<' => Some(b"%3C"),
                        b'>' => Some(b"%3E"),
                        _ => None,
                    };
                    if let Some(code) = code {
                        let done = bytes.len() - rest.len();
                        let escaped = escaped.get_or_insert_with(|| bytes.get(..done).unwrap_or_default().to_vec());
                        escaped.extend_from_slice(code);
                        self.keep(byte);
                        rest = tail;
                        continue;
                    }
                    self.keep(byte);
                    if self.is_first && self.line == HTTP2 {
                        self.at = At::Through;
                    }
                    // An empty line before a request is none.
                    if byte == b'\n' && self.end_line() > 0 {
                        (self.at, self.is_first) = (At::Headers, false);
                        (self.content_length, self.is_chunked) = (0, false);
                    }
                }
                At::Headers => {
                    self.keep(byte);
                    if byte == b'\n' {
                        self.header();
                        if self.end_line() == 0 {
                            self.at = match self.content_length {
                                _ if self.is_chunked => At::Through,
                                0 => At::Line,
                                length => At::Body(length),
                            };
                        }
                    }
                }
            }
            if let Some(escaped) = &mut escaped {
                escaped.push(byte);
            }
            rest = tail;
        }
        escaped
    }

    fn keep(&mut self, byte: u8) {
        self.line_length = self.line_length.saturating_add(1);
        if self.line.len() < HEADER_BYTES_KEPT {
            self.line.push(byte);
        }
    }

    /// Ends the line and gives its length without its end.
    fn end_line(&mut self) -> usize {
        let is_bare = self.line_length <= 2 && self.line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        let length = if is_bare { 0 } else { self.line_length };
        self.line.clear();
        self.line_length = 0;
        length
    }

    fn header(&mut self) {
        let Some(colon) = self.line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = self.line.split_at(colon);
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = value.trim_ascii_start().strip_prefix(b":").unwrap_or_default().trim_ascii();
            match std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()) {
                Some(length) => self.content_length = length,
                None => self.is_chunked = true,
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_chunked = true;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for EscapedLines<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let own = &mut *self;
        if own.pending.is_empty() {
            let before = buf.filled().len();
            std::task::ready!(Pin::new(&mut own.inner).poll_read(cx, buf))?;
            let Some(escaped) = own.scan.read(buf.filled().get(before..).unwrap_or_default()) else {
                return Poll::Ready(Ok(()));
            };
            buf.set_filled(before);
            own.pending = escaped;
        }
        let count = own.pending.len().min(buf.remaining());
        buf.put_slice(own.pending.get(..count).unwrap_or_default());
        own.pending.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EscapedLines<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent, and what is read; `\n` stands for the end of a line.
    const CASES: &[(&str, &str)] = &[
        (
            "GET /q?query=up{a=\"b\"}>0 HTTP/1.1\nHost: \"x\"\n\n",
            "GET /q?query=up{a=%22b%22}%3E0 HTTP/1.1\nHost: \"x\"\n\n",
        ),
        ("GET / HTTP/1.1\n\nGET /\" HTTP/1.1\n\n", "GET / HTTP/1.1\n\nGET /%22 HTTP/1.1\n\n"),
        (
            "POST / HTTP/1.1\nContent-Length: 4\n\n\"\n\n\"\n\nGET /\" HTTP/1.1\n\n",
            "POST / HTTP/1.1\nContent-Length: 4\n\n\"\n\n\"\n\nGET /%22 HTTP/1.1\n\n",
        ),
        (
            "POST /\" HTTP/1.1\ntransfer-encoding: chunked\n\n1\n\"\n0\n\nGET /\" HTTP/1.1\n\n",
            "POST /%22 HTTP/1.1\ntransfer-encoding: chunked\n\n1\n\"\n0\n\nGET /\" HTTP/1.1\n\n",
        ),
        ("PRI * HTTP/2.0\n\n\"", "PRI * HTTP/2.0\n\n\""),
        ("POST / HTTP/1.1\nContent-Length: x\n\n\"", "POST / HTTP/1.1\nContent-Length: x\n\n\""),
    ];

    fn read_in(sent: &[u8], part: usize) -> Vec<u8> {
        let mut scan = Scan::default();
        sent.chunks(part).flat_map(|part| scan.read(part).unwrap_or_else(|| part.to_vec())).collect()
    }

    #[test]
    fn request_lines_are_escaped_and_nothing_else() {
        for (sent, expected) in CASES {
            // A body of four bytes is `"`, two ends of lines of one byte and `"`: only heads end in two bytes.
            for end in ["\n", "\r\n"] {
                if end == "\r\n" && sent.contains("Content-Length: 4") {
                    continue;
                }
                let (sent, expected) = (sent.replace('\n', end), expected.replace('\n', end));
                for part in 1..=sent.len() {
                    let read = read_in(sent.as_bytes(), part);
                    assert_eq!(String::from_utf8_lossy(&read), expected, "{sent:?} in parts of {part}");
                }
            }
        }
    }

    #[tokio::test]
    async fn small_buffers_get_everything() {
        use tokio::io::AsyncReadExt as _;
        let sent = b"GET /?\"\"\"\"\"\"\" HTTP/1.1\r\n\r\n".as_slice();
        let mut reader = EscapedLines::new(tokio::io::join(sent, tokio::io::sink()));
        let (mut all, mut part) = (Vec::new(), [0; 3]);
        loop {
            let count = reader.read(&mut part).await.unwrap();
            if count == 0 {
                break;
            }
            all.extend_from_slice(&part[..count]);
        }
        assert_eq!(String::from_utf8_lossy(&all), format!("GET /?{} HTTP/1.1\r\n\r\n", "%22".repeat(7)));
    }
}
