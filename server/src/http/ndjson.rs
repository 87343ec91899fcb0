//! Answers that come line by line: one JSON value a line, sent as soon as it is there.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, header};
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Lines that may wait for a slow reader.
const LINES_WAITING: usize = 4;

/// The writing end. Ends the answer when it is dropped.
pub(crate) struct Lines {
    to: mpsc::Sender<Bytes>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Lines {
    /// Sends a line, which must not hold a line break; waits while the reader is slow. False if the reader is gone.
    pub(crate) async fn send(&mut self, mut line: Vec<u8>) -> bool {
        line.push(b'\n');
        let bytes = match &mut self.gzip {
            None => line,
            // Flushed, so that the reader can unpack the line when it arrives. Writing to memory cannot fail.
            Some(gzip) => match gzip.write_all(&line).and_then(|()| gzip.flush()) {
                Ok(()) => std::mem::take(gzip.get_mut()),
                Err(_) => return false,
            },
        };
        self.to.send(bytes.into()).await.is_ok()
    }

    /// As [`Lines::send`], of anything that serializes.
    pub(crate) async fn send_json<T: serde::Serialize>(&mut self, value: &T) -> bool {
        match serde_json::to_vec(value) {
            Ok(line) => self.send(line).await,
            Err(_) => false,
        }
    }

    /// Resolves when the reader is gone.
    pub(crate) async fn closed(&self) {
        self.to.closed().await;
    }

    /// Ends the answer properly.
    pub(crate) async fn finish(self) {
        if let Some(gzip) = self.gzip
            && let Ok(rest) = gzip.finish()
        {
            // The reader has the lines; if it is gone by now, nobody misses the end.
            let _ = self.to.send(rest.into()).await;
        }
    }
}

struct Receiving(mpsc::Receiver<Bytes>);

impl http_body::Body for Receiving {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|line| line.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}

/// An answer and the end to write its lines to. Compressed here line by line, if the request takes gzip: a layer around
/// it would hold lines back.
pub(crate) fn answer(headers: &HeaderMap) -> (Response, Lines) {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes_gzip = accepted.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("gzip") && parts.next() != Some("q=0")
    });
    let (to, from) = mpsc::channel(LINES_WAITING);
    let mut response = Body::new(Receiving(from)).into_response();
    let own = response.headers_mut();
    own.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson; charset=utf-8"));
    own.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if takes_gzip {
        own.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let gzip = takes_gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    (response, Lines { to, gzip })
}
