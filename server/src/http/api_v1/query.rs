//! `/api/v1/query`, `/api/v1/query_range`, `/api/v1/query_exemplars`.

use super::{TRUNCATED, encode};
use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use crate::http::params::Params;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use promql::{QueryOptions, QueryOutput, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Most points of one series in an answer, as Prometheus has it.
const POINTS_MAX: i64 = 11_000;

pub(crate) async fn instant(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let time_ms = params.time_ms("time", app.clock.now_ms())?;
    let text = params.get("query").to_owned();
    let options = options(&params)?;
    let limit = params.limit()?;
    let work = Arc::clone(&app);
    let output =
        run(&app, options, move |options| work.engine.instant(work.queryable.as_ref(), &text, time_ms, options))
            .await?;
    Ok(answer(output, time_ms, limit, !params.get("stats").is_empty()))
}

pub(crate) async fn range(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let required = |name: &str| {
        params.filled(name).ok_or_else(|| ApiError::parameter(name, "cannot parse \"\" to a valid timestamp"))
    };
    required("start")?;
    let start_ms = params.time_ms("start", 0)?;
    required("end")?;
    let end_ms = params.time_ms("end", 0)?;
    if end_ms < start_ms {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step_ms = params.duration_ms("step")?;
    if step_ms <= 0 {
        return Err(ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end_ms - start_ms) / step_ms > POINTS_MAX {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let text = params.get("query").to_owned();
    let mut options = options(&params)?;
    // Statistics are those of the whole query.
    if params.get("nocache").is_empty() && params.get("stats").is_empty() {
        options.cache.clone_from(&app.result_cache);
    }
    let limit = params.limit()?;
    let work = Arc::clone(&app);
    let output = run(&app, options, move |options| {
        work.engine.range(work.queryable.as_ref(), &text, start_ms, end_ms, step_ms, options)
    })
    .await?;
    Ok(answer(output, end_ms, limit, !params.get("stats").is_empty()))
}

fn options(params: &Params) -> ApiResult<QueryOptions> {
    let mut options = QueryOptions { cancel: Some(Arc::new(AtomicBool::new(false))), ..QueryOptions::default() };
    if params.filled("timeout").is_some() {
        let timeout_ms = params.duration_ms("timeout")?;
        options.timeout = Some(Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0)));
    }
    if params.filled("lookback_delta").is_some() {
        options.lookback_delta_ms = Some(params.duration_ms("lookback_delta")?).filter(|ms| *ms > 0);
    }
    Ok(options)
}

/// Sets the flag when the client goes away, so that the query stops.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn run(
    app: &App,
    options: QueryOptions,
    work: impl FnOnce(&QueryOptions) -> Result<QueryOutput, promql::QueryError> + Send + 'static,
) -> ApiResult<QueryOutput> {
    let _cancel = options.cancel.clone().map(CancelOnDrop);
    let slot = Arc::clone(&app.query_slots).acquire_owned().await;
    super::blocking(move || {
        let _slot = slot;
        work(&options).map_err(ApiError::from)
    })
    .await
}

fn answer(mut output: QueryOutput, time_ms: i64, limit: usize, with_stats: bool) -> Response {
    let truncated = limit > 0
        && match &mut output.value {
            Value::Vector(samples) if samples.len() > limit => {
                samples.truncate(limit);
                true
            }
            Value::Matrix(series) if series.len() > limit => {
                series.truncate(limit);
                true
            }
            _ => false,
        };
    if truncated {
        output.warnings.push(TRUNCATED.to_owned());
    }
    let body = encode::query_answer(&output, time_ms, with_stats);
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct SeriesExemplars {
    series_labels: BTreeMap<String, String>,
    exemplars: Vec<Exemplar>,
}

#[derive(serde::Serialize)]
struct Exemplar {
    labels: BTreeMap<String, String>,
    value: String,
    timestamp: f64,
}

pub(crate) async fn exemplars(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let start_ms = params.time_ms("start", super::TIME_MIN_MS)?;
    let end_ms = params.time_ms("end", super::TIME_MAX_MS)?;
    if end_ms < start_ms {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = promql_syntax::parse(params.get("query")).map_err(|error| ApiError::parameter("query", error))?;
    let mut selectors = Vec::new();
    expr.visit_selectors(&mut |selector| selectors.push(selector.matchers.clone()));
    super::blocking(move || {
        let mut found = Vec::new();
        for series in app.tsdb.exemplars(start_ms, end_ms, &selectors)? {
            found.push(SeriesExemplars {
                series_labels: label_map(&series.labels),
                exemplars: series
                    .exemplars
                    .iter()
                    .map(|exemplar| Exemplar {
                        labels: label_map(&exemplar.labels),
                        value: api::query::format_value(exemplar.value),
                        timestamp: exemplar.timestamp_ms.unwrap_or_default() as f64 / 1000.0,
                    })
                    .collect(),
            });
        }
        Ok(success(found))
    })
    .await
}

pub(super) fn label_map(labels: &model::Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
