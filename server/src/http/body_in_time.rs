//! A bound on the time that a request's body may take: whoever sends a byte a minute holds a connection for nothing.

use super::App;
use crate::cli::{ServeFlags, duration_flag};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body::Body as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// `--web.read-timeout`.
///
/// # Errors
/// The flag is no duration, or zero.
pub(crate) fn timeout(flags: &ServeFlags) -> anyhow::Result<Duration> {
    let ms = duration_flag("web.read-timeout", &flags.read_timeout)?;
    match u64::try_from(ms) {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => anyhow::bail!("--web.read-timeout={}: nothing could be read; write for example 5m", flags.read_timeout),
    }
}

/// Gives every request's body its time.
pub(crate) async fn read_in_time(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let limit = app.read_timeout;
    let request = request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        Body::new(InTime { body, deadline: Box::pin(tokio::time::sleep(limit)), limit })
    });
    next.run(request).await
}

struct InTime {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    limit: Duration,
}

#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("the request's body did not arrive within {0:?}; --web.read-timeout sets this limit")]
    Late(Duration),
    #[error(transparent)]
    Broken(#[from] axum::Error),
}

impl http_body::Body for InTime {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        std::task::ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Late(self.limit))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, Full};

    /// A body that never comes.
    struct Never;

    impl http_body::Body for Never {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }

    fn in_time(body: Body) -> InTime {
        let limit = Duration::from_secs(300);
        InTime { body, deadline: Box::pin(tokio::time::sleep(limit)), limit }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_end_and_others_pass() {
        let error = in_time(Body::new(Never)).collect().await.unwrap_err();
        assert!(error.to_string().starts_with("the request's body did not arrive within 300s"), "{error}");
        let body = in_time(Body::new(Full::new(Bytes::from_static(b"abc")))).collect().await.unwrap();
        assert_eq!(body.to_bytes(), "abc");
    }
}
