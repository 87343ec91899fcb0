//! `/api/v1/admin/tsdb/*`, only with `--web.enable-admin-api`.

use super::{TIME_MAX_MS, TIME_MIN_MS};
use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use crate::http::go;
use crate::http::params::Params;
use api::ErrorType;
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn allowed(app: &App) -> ApiResult<()> {
    if app.flags.enable_admin_api {
        Ok(())
    } else {
        Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled; start with --web.enable-admin-api"))
    }
}

pub(crate) async fn delete_series(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    allowed(&app)?;
    params.whole()?;
    // One that selects everything is meant, here as with Prometheus.
    let selectors = params.any_matchers().map_err(|error| ApiError::parameter("match[]", error))?;
    if selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let start_ms = params.time_ms("start", TIME_MIN_MS)?;
    let end_ms = params.time_ms("end", TIME_MAX_MS)?;
    super::blocking(move || {
        for matchers in &selectors {
            app.tsdb.delete_series(start_ms, end_ms, matchers)?;
        }
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

pub(crate) async fn clean_tombstones(State(app): State<Arc<App>>) -> ApiResult {
    allowed(&app)?;
    super::blocking(move || {
        app.tsdb.clean_tombstones()?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

/// Not one of Prometheus: everything into blocks, and these together.
pub(crate) async fn compact(State(app): State<Arc<App>>) -> ApiResult {
    allowed(&app)?;
    super::blocking(move || {
        app.tsdb.compact_all()?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

pub(crate) async fn snapshot(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    allowed(&app)?;
    let skip_head = match params.filled("skip_head") {
        None => false,
        Some(text) => go::parse_bool(text)
            .map_err(|error| ApiError::parameter("skip_head", format!("unable to parse boolean: {error}")))?,
    };
    super::blocking(move || {
        let now = jiff::Timestamp::from_millisecond(app.clock.now_ms()).unwrap_or_default();
        // Two snapshots within one second still get names of their own.
        let name = format!("{}-{:08x}", now.strftime("%Y%m%dT%H%M%SZ"), now.subsec_nanosecond());
        app.tsdb.snapshot(&app.flags.storage_path.join("snapshots").join(&name), skip_head)?;
        Ok(success(BTreeMap::from([("name", name)])))
    })
    .await
}
