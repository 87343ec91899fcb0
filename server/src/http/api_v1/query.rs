//! `/api/v1/query`, `/api/v1/query_range`, `/api/v1/query_exemplars`.

use super::TRUNCATED;
use super::encode::Answer;
use super::units;
use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use crate::http::params::{self, Params};
use crate::http::queries::log::{self, Logged, Origin};
use crate::http::queries::{Asked, Client, Kind, Ticket};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use promql::{BatchQuery, QueryOptions, QueryOutput, QueryStats, Value};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use storage::Queryable;

/// Most points of one series in an answer, as Prometheus has it.
const POINTS_MAX: i64 = 11_000;

pub(crate) async fn instant(State(app): State<Arc<App>>, client: Client, params: Params) -> ApiResult {
    let ask = Ask::instant(&app, &params, app.clock.now_ms())?;
    ask.run(&app, client).await.map(answered)
}

pub(crate) async fn range(State(app): State<Arc<App>>, client: Client, params: Params) -> ApiResult {
    let ask = Ask::range(&app, &params)?;
    ask.run(&app, client).await.map(answered)
}

/// Longer answers are written piece by piece while they are sent, so that they are never in memory as a whole.
const WHOLE_BYTES_MAX: usize = 1 << 20;
/// About so long is a piece.
const PIECE_BYTES: usize = 256 << 10;

fn answered(answer: Answer) -> Response {
    if answer.rest() <= WHOLE_BYTES_MAX {
        return body(answer.into_bytes());
    }
    ([(header::CONTENT_TYPE, "application/json")], Body::new(Pieces(answer))).into_response()
}

/// An answer as the body of a response, written as it is taken.
struct Pieces(Answer);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let mut piece = String::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        let is_any = self.0.write(&mut piece, PIECE_BYTES);
        Poll::Ready(is_any.then(|| Ok(http_body::Frame::data(piece.into()))))
    }
}

pub(super) fn body(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// The times of a query as its parameters say them.
pub(super) struct Times {
    pub(super) kind: Kind,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// 0 for an instant.
    pub(super) step_ms: i64,
}

impl Times {
    /// At `now_ms` where the parameters name no time.
    pub(super) fn instant(now_ms: i64, params: &Params) -> ApiResult<Times> {
        let time_ms = params.time_ms("time", now_ms)?;
        Ok(Times { kind: Kind::Instant, start_ms: time_ms, end_ms: time_ms, step_ms: 0 })
    }

    pub(super) fn range(params: &Params) -> ApiResult<Times> {
        let time_ms =
            |name: &str| params::parse_time_ms(params.get(name)).map_err(|error| ApiError::parameter(name, error));
        let (start_ms, end_ms) = (time_ms("start")?, time_ms("end")?);
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
        Ok(Times { kind: Kind::Range, start_ms, end_ms, step_ms })
    }
}

/// A query with all that its parameters say.
pub(super) struct Ask {
    text: String,
    times: Times,
    options: QueryOptions,
    limit: usize,
    with_stats: bool,
    /// With those of every step.
    by_step: bool,
    with_units: bool,
}

impl Ask {
    // What is wrong is told in the order in which Prometheus looks: the limit, the times, the rest.
    pub(super) fn instant(app: &App, params: &Params, now_ms: i64) -> ApiResult<Ask> {
        let limit = params.limit()?;
        Ask::new(app, params, limit, Times::instant(now_ms, params)?)
    }

    pub(super) fn range(app: &App, params: &Params) -> ApiResult<Ask> {
        let limit = params.limit()?;
        let mut ask = Ask::new(app, params, limit, Times::range(params)?)?;
        // Statistics are those of the whole query.
        if params.get("nocache").is_empty() && !ask.with_stats {
            ask.options.cache.clone_from(&app.result_cache);
        }
        Ok(ask)
    }

    fn new(app: &App, params: &Params, limit: usize, times: Times) -> ApiResult<Ask> {
        let mut options = options(params)?;
        options.count_samples = !params.get("stats").is_empty();
        Ok(Ask {
            text: params.get("query").to_owned(),
            times,
            options,
            limit,
            with_stats: !params.get("stats").is_empty(),
            by_step: params.get("stats") == "all" && app.flags.enabled().per_step_stats,
            with_units: units::are_wanted(params)?,
        })
    }

    /// Of a range where the parameters name one; an instant without a time is `now_ms`.
    pub(super) fn of(app: &App, params: &Params, now_ms: i64) -> ApiResult<Ask> {
        let is_range = ["start", "end", "step"].iter().any(|name| params.filled(name).is_some());
        if is_range { Ask::range(app, params) } else { Ask::instant(app, params, now_ms) }
    }

    /// Lets the queries of a batch evaluate once what they have in common.
    pub(super) fn share(app: &App, asks: &mut [ApiResult<Ask>]) {
        let (mut places, mut queries) = (Vec::new(), Vec::new());
        for (place, ask) in asks.iter().enumerate() {
            // Statistics are those of a query that does everything itself.
            if let Some(ask) = ask.as_ref().ok().filter(|ask| !ask.with_stats) {
                let Times { start_ms, end_ms, step_ms, .. } = ask.times;
                places.push(place);
                queries.push(BatchQuery {
                    query: &ask.text,
                    times_ms: (start_ms, end_ms, step_ms),
                    lookback_delta_ms: ask.options.lookback_delta_ms,
                });
            }
        }
        let shared = app.engine.share(app.queryable.as_ref(), &queries);
        for (place, shared) in places.into_iter().zip(shared) {
            if let Ok(ask) = &mut asks[place] {
                ask.options.shared = shared;
            }
        }
    }

    fn asked(&self, client: Client) -> Asked {
        asked(client, self.times.kind, &self.text, &self.times, &self.options)
    }

    /// Waits for its turn, evaluates, and gives the answer.
    pub(super) async fn run(mut self, app: &Arc<App>, client: Client) -> ApiResult<Answer> {
        let ticket = app.queries.admit(self.asked(client)).await?;
        let _cancel = ticket.cancel_on_drop();
        self.options.cancel = Some(ticket.cancel());
        self.options.samples_read = Some(ticket.samples_read());
        // Who shares may have to wait for others.
        let is_shared = self.options.shared.is_some();
        let is_quick =
            !is_shared && app.queryable.is_local() && !app.query_log.is_open() && app.queries.quick.was(ticket.asked());
        let workers = &app.workers;
        let app = Arc::clone(app);
        let work = move || {
            let begin = Instant::now();
            let Times { kind, start_ms, end_ms, step_ms } = self.times;
            // Where it arrives a query must not wait for other servers, not even for one that was configured just now.
            let storage: &dyn Queryable = if is_quick { app.tsdb.as_ref() } else { app.queryable.as_ref() };
            let done = if kind == Kind::Instant {
                app.engine.instant(storage, &self.text, end_ms, &self.options)
            } else {
                app.engine.range(storage, &self.text, start_ms, end_ms, step_ms, &self.options)
            };
            let done = done.map_err(|error| ticket.explain(ApiError::from(error)));
            log_query(&app, &ticket, done.as_ref().map(|output| output.stats));
            if done.is_err() && !is_shared {
                app.queries.quick.note(ticket.asked(), begin.elapsed());
            }
            let output = done?;
            let stats = self.with_stats.then(|| {
                let mut stats = log::stats(&output.stats, ticket.waited);
                // As Prometheus counts them: for every step that looks at them.
                stats.samples.total_queryable_samples = output.samples_by_step.iter().map(|(_, samples)| samples).sum();
                if self.by_step {
                    let steps = output.samples_by_step.iter();
                    stats.samples.total_queryable_samples_per_step =
                        steps.map(|(time_ms, samples)| (*time_ms as f64 / 1000.0, *samples)).collect();
                }
                stats
            });
            let inferred = if self.with_units { units::of_query(&app, &self.text) } else { None };
            let answer = answer(output, end_ms, self.limit, stats.as_ref(), inferred.as_ref());
            // What others did for it, it would have to do itself the next time.
            if !is_shared {
                app.queries.quick.note(ticket.asked(), begin.elapsed());
            }
            Ok(answer)
        };
        // Waking another thread, and this one again, costs several times what the quickest queries do.
        if is_quick { work() } else { super::evaluating(workers, work).await }
    }
}

pub(super) fn asked(client: Client, kind: Kind, text: &str, times: &Times, options: &QueryOptions) -> Asked {
    Asked {
        start_ms: times.start_ms,
        end_ms: times.end_ms,
        step_ms: times.step_ms,
        wait_max: options.timeout,
        ..Asked::of(client, kind, text)
    }
}

/// Blocks on the disk if there is a log.
pub(super) fn log_query(app: &App, ticket: &Ticket, done: Result<QueryStats, &ApiError>) {
    if !app.query_log.is_open() {
        return;
    }
    let asked = ticket.asked();
    app.query_log.write(
        app.clock.now_ms(),
        &Logged {
            query: &asked.query,
            start_ms: asked.start_ms,
            end_ms: asked.end_ms,
            step_ms: asked.step_ms,
            origin: Origin::Request(&asked.client),
            stats: done.unwrap_or_default(),
            waited: ticket.waited,
            error: done.err().map(|error| error.message.as_str()),
        },
    );
}

pub(super) fn options(params: &Params) -> ApiResult<QueryOptions> {
    let mut options = QueryOptions::default();
    if params.filled("timeout").is_some() {
        let timeout_ms = params.duration_ms("timeout")?;
        options.timeout = Some(Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0)));
    }
    if params.filled("lookback_delta").is_some() {
        let lookback_ms = params.duration_ms("lookback_delta").map_err(|error| {
            let cause = error.message.replace("invalid parameter \"lookback_delta\": ", "");
            ApiError::bad_data(format!("error parsing lookback delta duration: {cause}"))
        })?;
        options.lookback_delta_ms = Some(lookback_ms).filter(|ms| *ms > 0);
    }
    Ok(options)
}

/// More notes of a kind than these are counted, as in Prometheus.
const NOTES_MAX: usize = 10;

fn shorten(notes: &mut Vec<String>, kind: &str) {
    if notes.len() > NOTES_MAX {
        let more = notes.len() - NOTES_MAX;
        notes.truncate(NOTES_MAX);
        notes.push(format!("{more} more {kind} annotations omitted"));
    }
}

fn answer(
    mut output: QueryOutput,
    time_ms: i64,
    limit: usize,
    stats: Option<&api::query::Stats>,
    inferred: Option<&api::query::Inferred>,
) -> Answer {
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
    shorten(&mut output.warnings, "warning");
    shorten(&mut output.infos, "info");
    if truncated {
        output.warnings.push(TRUNCATED.to_owned());
    }
    Answer::new(output, time_ms, stats, inferred)
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

pub(crate) async fn exemplars(State(app): State<Arc<App>>, client: Client, params: Params) -> ApiResult {
    let start_ms = params.time_ms("start", super::TIME_MIN_MS)?;
    let end_ms = params.time_ms("end", super::TIME_MAX_MS)?;
    if end_ms < start_ms {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = app.engine.parse(params.get("query")).map_err(|error| ApiError::bad_data(error.to_string()))?;
    let mut selectors = Vec::new();
    expr.visit_selectors(&mut |selector| selectors.push(selector.matchers.clone()));
    if selectors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let asked = Asked { start_ms, end_ms, ..Asked::of(client, Kind::Exemplars, params.get("query")) };
    let ticket = app.queries.admit(asked).await?;
    super::evaluating(&app.workers.clone(), move || {
        let _ticket = ticket;
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
