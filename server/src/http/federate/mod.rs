//! `/federate`: the latest sample of every series that a `match[]` takes, as a target serves them.
//!
//! A `match[]` that is no selector is evaluated as a PromQL expression; results without a name get one by the
//! convention of recording rules. Who can read protobuf gets native histograms, too.

mod encode;
mod naming;

use super::App;
use super::api_v1::evaluating;
use super::error::{ApiError, ApiResult, text};
use super::params::Params;
use super::queries::{Asked, Client, Kind};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use exposition::ScrapeProtocol;
use exposition::format::{Served, negotiate};
use http::{HeaderMap, StatusCode, header};
use model::labels::METRIC_NAME;
use model::{Labels, Matcher, SampleValue, stale::is_stale_nan};
use promql::{QueryOptions, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{Queryable, Samples, SelectHints};

/// What a central may ask for. OpenMetrics would want a type for every family, and that is not known here.
const OFFERED: [ScrapeProtocol; 2] = [ScrapeProtocol::PrometheusProto, ScrapeProtocol::PrometheusText0_0_4];

/// The newest sample of each series.
type Found = BTreeMap<Labels, (i64, SampleValue)>;

enum Match {
    Selector(Vec<Matcher>),
    Expression { text: String, name: Option<String> },
}

pub(crate) async fn federate(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    client: Client,
    params: Params,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let served = negotiate(accept, &OFFERED);
    match answer(app, client, params, served).await {
        Ok(body) => ([(header::CONTENT_TYPE, served.content_type())], body).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            text(status, format!("{}\n", error.message))
        }
    }
}

async fn answer(app: Arc<App>, client: Client, params: Params, served: Served) -> ApiResult<Vec<u8>> {
    params.whole()?;
    let mut matches = Vec::new();
    for written in params.all("match[]") {
        matches.push(match promql_syntax::parse_metric_matchers(&written) {
            Ok(matchers) => Match::Selector(matchers),
            Err(_) => {
                let expr = (app.engine.parse(&written))
                    .map_err(|error| ApiError::bad_data(format!("match[]={written}: {error}")))?;
                Match::Expression { name: naming::name_of(&expr), text: written }
            }
        });
    }
    let now_ms = app.clock.now_ms();
    let lookback_ms = app.engine.options().lookback_delta_ms;
    let asked = Asked::of(client, Kind::Federate, params.all("match[]").join(" "));
    let ticket = app.queries.admit(asked).await?;
    evaluating(&app.workers.clone(), move || {
        let _ticket = ticket;
        let mut found = Found::new();
        for one in &matches {
            match one {
                Match::Selector(matchers) => select(&app, matchers, now_ms, lookback_ms, &mut found)?,
                Match::Expression { text, name } => evaluate(&app, text, name.as_deref(), now_ms, &mut found)?,
            }
        }
        let external = app.settings.load().external_labels.clone();
        Ok(match served.protocol {
            ScrapeProtocol::PrometheusProto => encode::protobuf(&found, &external, served.escaping),
            _ => encode::text(&found, &external, served.escaping).into_bytes(),
        })
    })
    .await
}

fn select(app: &App, matchers: &[Matcher], now_ms: i64, lookback_ms: i64, found: &mut Found) -> ApiResult<()> {
    let start_ms = now_ms - lookback_ms;
    let querier = app.tsdb.querier(start_ms, now_ms)?;
    let hints = SelectHints { start_ms, end_ms: now_ms, ..SelectHints::default() };
    let mut samples = Samples::default();
    for series in querier.select(&hints, matchers)? {
        let series = series?;
        samples.clear();
        series.read(&mut samples)?;
        let Some(last) = samples.len().checked_sub(1) else { continue };
        let value = samples.value(last);
        let stale = match &value {
            SampleValue::Float(value) => is_stale_nan(*value),
            SampleValue::Histogram(histogram) => histogram.is_stale(),
        };
        if !stale {
            found.insert(series.labels().clone(), (samples.timestamps[last], value));
        }
    }
    Ok(())
}

fn evaluate(app: &App, expression: &str, name: Option<&str>, now_ms: i64, found: &mut Found) -> ApiResult<()> {
    let output = app.engine.instant(app.tsdb.as_ref(), expression, now_ms, &QueryOptions::default())?;
    let Value::Vector(samples) = output.value else {
        return Err(ApiError::bad_data(format!("match[]={expression}: expected an instant vector")));
    };
    for sample in samples {
        let mut labels = sample.labels;
        if labels.metric_name().is_empty() {
            let Some(name) = name else {
                return Err(ApiError::bad_data(format!(
                    "match[]={expression}: the result has no name; give it one with label_replace(…, \"__name__\", \"job:requests:rate5m\", \"\", \"\")"
                )));
            };
            labels = labels.to_builder().set(METRIC_NAME, name).build();
        }
        found.insert(labels, (sample.timestamp_ms, sample.value));
    }
    Ok(())
}
