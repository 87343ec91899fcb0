//! `/api/v1/queries`: what runs and waits, and an end to it.

use super::admin;
use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use api::ErrorType;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::sync::Arc;

pub(crate) async fn list(State(app): State<Arc<App>>) -> Response {
    success(app.queries.list())
}

/// Only with `--web.enable-admin-api`.
pub(crate) async fn kill(State(app): State<Arc<App>>, Path(id): Path<String>) -> ApiResult {
    admin::allowed(&app)?;
    let id: u64 = id.parse().map_err(|_| {
        ApiError::bad_data(format!("{id:?} is no number of a query; GET /api/v1/queries lists those under way"))
    })?;
    if app.queries.kill(id) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(ApiError::new(
            ErrorType::NotFound,
            format!("no query {id} is under way; GET /api/v1/queries lists those that are"),
        ))
    }
}
