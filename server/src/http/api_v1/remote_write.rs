//! `POST /api/v1/write`, only with `--web.enable-remote-write-receiver`.

use crate::http::App;
use crate::http::error::text;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use remote::receive::{Receipt, ReceiveError, Received};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::{Handle, Runtime},
    sync::Semaphore,
};

/// How long a thread that receives waits for the next request, its freed memory in hand.
const IDLE: Duration = Duration::from_secs(1);

/// Threads that decode and store requests of remote write, a few and their own: each keeps some of the memory of the largest
/// request it had, and more of them would only wait for each other.
#[derive(Clone)]
pub(crate) struct Receivers {
    slots: Arc<Semaphore>,
    threads: Handle,
}

impl Receivers {
    /// The threads end with the runtime, which must not be dropped by a thread of another one.
    ///
    /// # Errors
    /// When the runtime cannot be made.
    pub(crate) fn start() -> std::io::Result<(Runtime, Receivers)> {
        let count = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(count)
            .thread_keep_alive(IDLE)
            .thread_name("receive")
            .build()?;
        let receivers = Receivers { slots: Arc::new(Semaphore::new(count)), threads: runtime.handle().clone() };
        Ok((runtime, receivers))
    }
}

pub(crate) async fn write(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    if !app.flags.enable_remote_write_receiver {
        return text(
            StatusCode::NOT_FOUND,
            "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n",
        );
    }
    let get = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (content_type, encoding) = (get(header::CONTENT_TYPE), get(header::CONTENT_ENCODING));
    let Ok(slot) = Arc::clone(&app.receivers.slots).acquire_owned().await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n");
    };
    let threads = app.receivers.threads.clone();
    let work = threads.spawn_blocking(move || {
        let _slot = slot;
        app.receiver.receive(app.tsdb.as_ref(), &content_type, &encoding, &body)
    });
    match work.await {
        Ok(Ok(Received { version_2, receipt })) => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            if version_2 {
                tell(receipt, &mut response);
            }
            response
        }
        Ok(Err(error)) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = text(status, format!("{error}\n"));
            // Senders of version 1 do not look at them.
            if let ReceiveError::Refused { receipt, .. } = error {
                tell(receipt, &mut response);
            }
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// Says what was stored.
fn tell(receipt: Receipt, response: &mut Response) {
    for (name, value) in receipt.headers() {
        if let Ok(value) = http::HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
}
