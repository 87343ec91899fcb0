//! `/api/v1/notifications` and `/api/v1/notifications/live`: what people at the pages of this server should know.

use crate::http::App;
use crate::http::error::{success, text};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Interval;

/// How often a listener's view is compared with the present.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A comment is sent after so many looks without news, so that both ends notice a broken connection.
const LOOKS_UNTIL_SIGN: u32 = 15;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
struct Notification {
    text: &'static str,
    /// Since when, RFC 3339.
    date: String,
    active: bool,
}

/// What is the matter now.
fn present(app: &App) -> Vec<Notification> {
    let settings = app.settings.load();
    let mut present = Vec::new();
    if !settings.reload_ok {
        present.push(Notification {
            text: "The configuration could not be reloaded; the one before goes on.",
            date: super::status::rfc3339(settings.reload_failed_at_ms),
            active: true,
        });
    }
    present
}

pub(crate) async fn list(State(app): State<Arc<App>>) -> Response {
    success(present(&app))
}

/// Server-sent events: each notification when it begins, and once more with `active` false when it ends.
pub(crate) async fn live(State(app): State<Arc<App>>) -> Response {
    let Ok(place) = Arc::clone(&app.listeners).try_acquire_owned() else {
        return text(StatusCode::NO_CONTENT, "");
    };
    let look = tokio::time::interval(LOOK_EVERY);
    let events = Events { app, told: Vec::new(), waiting: VecDeque::new(), quiet_looks: 0, look, _place: place };
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::new(events)).into_response()
}

struct Events {
    app: Arc<App>,
    told: Vec<Notification>,
    waiting: VecDeque<Bytes>,
    quiet_looks: u32,
    look: Interval,
    _place: OwnedSemaphorePermit,
}

impl Events {
    fn compare(&mut self) {
        let present = present(&self.app);
        let begun = present.iter().filter(|one| !self.told.contains(one)).cloned();
        let ended = self.told.iter().filter(|one| !present.contains(one));
        let ended = ended.map(|one| Notification { active: false, ..one.clone() });
        let news: Vec<_> = ended.chain(begun).collect();
        self.told = present;
        self.quiet_looks = if news.is_empty() { self.quiet_looks + 1 } else { 0 };
        for one in news {
            if let Ok(json) = serde_json::to_string(&one) {
                self.waiting.push_back(format!("data: {json}\n\n").into());
            }
        }
        if self.quiet_looks >= LOOKS_UNTIL_SIGN {
            self.quiet_looks = 0;
            self.waiting.push_back(Bytes::from_static(b":\n\n"));
        }
    }
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Poll::Ready(Some(Ok(http_body::Frame::data(event))));
            }
            if *self.app.stopping.borrow() {
                return Poll::Ready(None);
            }
            std::task::ready!(self.look.poll_tick(cx));
            self.compare();
        }
    }
}
