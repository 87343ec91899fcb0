//! `/api/v2`: Alertmanager's HTTP API.

use super::App;
use super::error::json;
use alertmanager::api_v2::{AlertsQuery, ApiError};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

type Pairs = Query<Vec<(String, String)>>;

fn answer<T: Serialize>(done: Result<T, ApiError>) -> Response {
    match done {
        Ok(data) => json(StatusCode::OK, &data),
        Err(error) => {
            json(StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &error.body)
        }
    }
}

fn done(result: Result<(), ApiError>) -> Response {
    match result {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => answer::<()>(Err(error)),
    }
}

/// Reads a JSON body; a fault is answered with its place, as the rest of this API does.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError {
        status: 400,
        body: serde_json::json!({"code": 400, "message": format!("parsing the body: {error}")}),
    })
}

fn alerts_query(pairs: &[(String, String)]) -> AlertsQuery {
    AlertsQuery::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

pub(crate) async fn get_alerts(State(app): State<Arc<App>>, Query(pairs): Pairs) -> Response {
    answer(app.alertmanager.get_alerts(&alerts_query(&pairs)))
}

pub(crate) async fn get_alert_groups(State(app): State<Arc<App>>, Query(pairs): Pairs) -> Response {
    answer(app.alertmanager.get_alert_groups(&alerts_query(&pairs)))
}

pub(crate) async fn post_alerts(State(app): State<Arc<App>>, bytes: Bytes) -> Response {
    match body::<Vec<api::alerts::PostableAlert>>(&bytes) {
        Ok(alerts) => done(app.alertmanager.post_alerts(&alerts)),
        Err(error) => done(Err(error)),
    }
}

pub(crate) async fn get_silences(State(app): State<Arc<App>>, Query(pairs): Pairs) -> Response {
    let filter: Vec<String> = pairs.into_iter().filter(|(name, _)| name == "filter").map(|(_, value)| value).collect();
    answer(app.alertmanager.get_silences(&filter))
}

/// Runs what writes to the disk away from the threads that serve.
async fn blocking<T: Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&App) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(move || work(&app))
        .await
        .unwrap_or_else(|error| Err(ApiError { status: 500, body: serde_json::Value::String(error.to_string()) }))
}

pub(crate) async fn post_silences(State(app): State<Arc<App>>, bytes: Bytes) -> Response {
    match body::<api::alerts::PostableSilence>(&bytes) {
        Ok(silence) => answer(blocking(app, move |app| app.alertmanager.post_silence(&silence)).await),
        Err(error) => done(Err(error)),
    }
}

pub(crate) async fn get_silence(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    answer(app.alertmanager.get_silence(&id))
}

pub(crate) async fn delete_silence(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    done(blocking(app, move |app| app.alertmanager.delete_silence(&id)).await)
}

pub(crate) async fn get_receivers(State(app): State<Arc<App>>) -> Response {
    json(StatusCode::OK, &app.alertmanager.get_receivers())
}

pub(crate) async fn get_status(State(app): State<Arc<App>>) -> Response {
    json(StatusCode::OK, &app.alertmanager.get_status())
}
