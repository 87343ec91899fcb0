//! Dashboards under Grafana's paths.

use super::App;
use super::error::json;
use api::dashboards::{DashboardProblem, DataSource, RestoreDashboard, SaveDashboard};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use dashboard_store::{SearchQuery, StoreError};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who saves, as long as nobody signs in: what the browser says, or nobody in particular.
const USER_HEADER: &str = "x-vigie-user";
/// Longest name that is taken from it.
const USER_BYTES_MAX: usize = 80;

fn problem(error: StoreError) -> Response {
    json(StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &error.problem())
}

async fn answer<T: Serialize + Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&dashboard_store::DashboardStore) -> Result<T, StoreError> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(move || work(&app.dashboards)).await {
        Ok(Ok(data)) => json(StatusCode::OK, &data),
        Ok(Err(error)) => problem(error),
        Err(error) => json(
            StatusCode::INTERNAL_SERVER_ERROR,
            &DashboardProblem { status: "error".into(), message: error.to_string(), ..DashboardProblem::default() },
        ),
    }
}

fn user(headers: &HeaderMap) -> String {
    let name = headers.get(USER_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    name.chars().filter(|c| !c.is_control()).take(USER_BYTES_MAX).collect()
}

pub(crate) async fn search(State(app): State<Arc<App>>, Query(pairs): Query<Vec<(String, String)>>) -> Response {
    let all = |wanted: &str| -> Vec<String> {
        pairs.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
    };
    let query = SearchQuery {
        text: all("query").into_iter().next().unwrap_or_default(),
        tags: all("tag"),
        folder_uids: all("folderUIDs"),
        limit: all("limit").first().and_then(|text| text.parse().ok()).unwrap_or(1000),
    };
    answer(app, move |store| Ok(store.search(&query))).await
}

pub(crate) async fn load(State(app): State<Arc<App>>, Path(uid): Path<String>) -> Response {
    answer(app, move |store| store.load(&uid)).await
}

pub(crate) async fn save(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let request: SaveDashboard = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            return json(
                StatusCode::BAD_REQUEST,
                &DashboardProblem {
                    status: "bad-request".into(),
                    message: format!("the body is no dashboard to save: {error}"),
                    ..DashboardProblem::default()
                },
            );
        }
    };
    let user = user(&headers);
    answer(app, move |store| store.save(&request, &user)).await
}

pub(crate) async fn remove(State(app): State<Arc<App>>, Path(uid): Path<String>) -> Response {
    answer(app, move |store| {
        store.delete(&uid)?;
        Ok(BTreeMap::from([("message", "Dashboard deleted"), ("title", "")]))
    })
    .await
}

pub(crate) async fn versions(State(app): State<Arc<App>>, Path(uid): Path<String>) -> Response {
    answer(app, move |store| store.versions(&uid)).await
}

pub(crate) async fn version(State(app): State<Arc<App>>, Path((uid, version)): Path<(String, u64)>) -> Response {
    answer(app, move |store| store.version(&uid, version)).await
}

pub(crate) async fn restore(
    State(app): State<Arc<App>>,
    Path(uid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request: RestoreDashboard = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            return json(
                StatusCode::BAD_REQUEST,
                &DashboardProblem {
                    status: "bad-request".into(),
                    message: format!("expected {{\"version\": N}}: {error}"),
                    ..DashboardProblem::default()
                },
            );
        }
    };
    let user = user(&headers);
    answer(app, move |store| store.restore(&uid, request.version, &user)).await
}

/// The one data source that there is: this server.
pub(crate) async fn datasources(State(app): State<Arc<App>>) -> Response {
    let interval_ms = app.settings.load().scrape_interval_ms;
    json(
        StatusCode::OK,
        &[DataSource {
            uid: "vigie".to_owned(),
            name: "Vigie".to_owned(),
            kind: "prometheus".to_owned(),
            is_default: true,
            time_interval: model::duration::format_duration_ms(interval_ms),
        }],
    )
}

pub(crate) async fn health() -> Response {
    json(StatusCode::OK, &BTreeMap::from([("database", "ok"), ("version", env!("CARGO_PKG_VERSION"))]))
}
