//! `/-/healthy`, `/-/ready`, `/-/reload`, `/-/quit`, `/version`.

use super::App;
use super::error::text;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use std::sync::Arc;

pub(crate) async fn healthy() -> Response {
    text(StatusCode::OK, "Vigie is Healthy.\n")
}

pub(crate) async fn ready() -> Response {
    // The listener opens only after the log was replayed: who can ask gets a yes.
    text(StatusCode::OK, "Vigie is Ready.\n")
}

pub(crate) async fn reload(State(app): State<Arc<App>>, method: Method) -> Response {
    if method != Method::POST && method != Method::PUT {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed");
    }
    if !app.flags.enable_lifecycle {
        return text(StatusCode::FORBIDDEN, "Lifecycle API is not enabled; start with --web.enable-lifecycle");
    }
    match app.lifecycle.reload().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {error}\n")),
    }
}

pub(crate) async fn quit(State(app): State<Arc<App>>, method: Method) -> Response {
    if method != Method::POST && method != Method::PUT {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed");
    }
    if !app.flags.enable_lifecycle {
        return text(StatusCode::FORBIDDEN, "Lifecycle API is not enabled; start with --web.enable-lifecycle");
    }
    app.lifecycle.stop();
    text(StatusCode::OK, "Requesting termination... Goodbye!")
}

pub(crate) async fn version() -> Response {
    // Prometheus' own answer has no JSON type either, and ends the line.
    let info = serde_json::to_string(&super::api_v1::status::build_info()).unwrap_or_default();
    text(StatusCode::OK, info + "\n")
}
