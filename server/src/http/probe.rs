//! `/probe` and `/probe/logs`: what the Blackbox exporter serves.

use super::App;
use super::error::json;
use super::metrics::served;
use super::params::Params;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use blackbox::{Answer, ProbeParams};
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;

fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, answer.content_type)], answer.body).into_response()
}

pub(crate) async fn probe(State(app): State<Arc<App>>, headers: HeaderMap, params: Params) -> Response {
    let request = ProbeParams {
        target: params.get("target").to_owned(),
        module: params.get("module").to_owned(),
        hostname: params.get("hostname").to_owned(),
        debug: params.get("debug").to_owned(),
    };
    let timeout = headers.get("x-prometheus-scrape-timeout-seconds").and_then(|value| value.to_str().ok());
    let config = app.blackbox_config.load_full();
    respond(app.blackbox.probe(&config, &request, timeout, served(&headers)).await)
}

/// The log of one probe: by `id`, or the last of `target` with `module`.
pub(crate) async fn logs(State(app): State<Arc<App>>, params: Params) -> Response {
    respond(app.blackbox.logs(params.filled("id"), params.filled("target"), params.filled("module")))
}

#[derive(serde::Serialize)]
struct Past {
    id: u64,
    module: String,
    target: String,
    success: bool,
}

/// The latest probes, newest first.
pub(crate) async fn history(State(app): State<Arc<App>>) -> Response {
    let past = app.blackbox.recent().into_iter().map(|probe| Past {
        id: probe.id,
        module: probe.module,
        target: probe.target,
        success: probe.success,
    });
    json(StatusCode::OK, &past.collect::<Vec<_>>())
}
