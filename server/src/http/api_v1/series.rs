//! `/api/v1/series`.

use super::query::body as json_body;
use super::{TIME_MAX_MS, TIME_MIN_MS, TRUNCATED, encode};
use crate::http::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::params::Params;
use crate::http::queries::{Asked, Client, Kind};
use axum::extract::State;
use model::Labels;
use std::{sync::Arc, time::Instant};
use storage::{Queryable, SelectHints};

pub(crate) async fn series(State(app): State<Arc<App>>, client: Client, params: Params) -> ApiResult {
    params.whole()?;
    if params.all("match[]").is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params.limit()?;
    let start_ms = params.time_ms("start", TIME_MIN_MS)?;
    let end_ms = params.time_ms("end", TIME_MAX_MS)?;
    let selectors = params.matchers().map_err(|error| ApiError::parameter("match[]", error))?;
    let asked = Asked { start_ms, end_ms, ..Asked::of(client, Kind::Series, params.all("match[]").join(" ")) };
    let ticket = app.queries.admit(asked).await?;
    let is_quick = app.queryable.is_local() && app.queries.quick.was(ticket.asked());
    let workers = app.workers.clone();
    let work = move || {
        let begin = Instant::now();
        let storage: &dyn Queryable = if is_quick { app.tsdb.as_ref() } else { app.queryable.as_ref() };
        let querier = storage.querier(start_ms, end_ms)?;
        let hints = SelectHints { start_ms, end_ms, labels_only: true, ..SelectHints::default() };
        let mut all: Vec<Labels> = Vec::new();
        for matchers in &selectors {
            all.append(&mut querier.label_sets(&hints, matchers)?);
        }
        if selectors.len() > 1 {
            all.sort_unstable();
            all.dedup();
        }
        let truncated = limit > 0 && all.len() > limit;
        if truncated {
            all.truncate(limit);
        }
        let warnings = if truncated { vec![TRUNCATED.to_owned()] } else { Vec::new() };
        let bytes = encode::label_sets(&all, &warnings);
        app.queries.quick.note(ticket.asked(), begin.elapsed());
        Ok(bytes)
    };
    // As with queries: waking another thread costs more than the quickest of these.
    if is_quick { work() } else { super::evaluating(&workers, work).await }.map(json_body)
}

/// `DELETE` was planned once and never came; Prometheus says so with these words.
pub(crate) async fn delete() -> ApiError {
    ApiError::internal("not implemented")
}
