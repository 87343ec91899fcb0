//! Routes by what may be done at them. Prometheus answers other methods with 405, `HEAD` among them, and names in
//! `Allow` those that it takes.

use super::error::refusal;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::{HeaderValue, StatusCode, header};
use std::future::ready;

/// Methods as `Allow` names them, in the order of the alphabet.
type Allowed = &'static str;

/// `GET`.
pub(super) fn read<H, T, S>(handler: H) -> MethodRouter<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    only("GET, OPTIONS", get(handler).head(|| ready(refused("GET, OPTIONS"))))
}

/// `GET`, and `POST` for what is too long for an address.
pub(super) fn ask<H, T, S>(handler: H) -> MethodRouter<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let allowed = "GET, OPTIONS, POST";
    only(allowed, get(handler.clone()).post(handler).head(move || ready(refused(allowed))))
}

/// `POST`.
pub(super) fn send<H, T, S>(handler: H) -> MethodRouter<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    only("OPTIONS, POST", post(handler))
}

/// `POST` and `PUT`.
pub(super) fn act<H, T, S>(handler: H) -> MethodRouter<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    only("OPTIONS, POST, PUT", post(handler.clone()).put(handler))
}

/// Other methods than those of `routes` are refused.
pub(super) fn only<S: Clone + Send + Sync + 'static>(allowed: Allowed, routes: MethodRouter<S>) -> MethodRouter<S> {
    // What is asked before a request from another origin is answered around the routes.
    let options = move || ready((StatusCode::OK, [(header::ALLOW, HeaderValue::from_static(allowed))]));
    routes.options(options).fallback(move || ready(refused(allowed)))
}

/// 405.
pub(super) fn refused(allowed: Allowed) -> Response {
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response.into_response()
}
