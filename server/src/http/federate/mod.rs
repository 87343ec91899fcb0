//! `/federate`: the latest sample of every series that a `match[]` takes, as a target serves them.
//!
//! A `match[]` that is no selector is evaluated as a PromQL expression; results without a name get one by the
//! convention of recording rules.

mod naming;

use super::App;
use super::api_v1::blocking;
use super::error::{ApiError, ApiResult, text};
use super::params::Params;
use super::queries::{Asked, Client, Kind};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use model::labels::{METRIC_NAME, is_legacy_metric_name, quote};
use model::{Labels, Matcher, SampleValue, stale::is_stale_nan};
use promql::{QueryOptions, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{Queryable, Samples, SelectHints};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

enum Match {
    Selector(Vec<Matcher>),
    Expression { text: String, name: Option<String> },
}

pub(crate) async fn federate(State(app): State<Arc<App>>, client: Client, params: Params) -> Response {
    match answer(app, client, params).await {
        Ok(body) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            text(status, format!("{}\n", error.message))
        }
    }
}

async fn answer(app: Arc<App>, client: Client, params: Params) -> ApiResult<String> {
    let mut matches = Vec::new();
    for written in params.all("match[]") {
        matches.push(match promql_syntax::parse_metric_selector(&written) {
            Ok(matchers) => Match::Selector(matchers),
            Err(_) => {
                let expr = promql_syntax::parse(&written)
                    .map_err(|error| ApiError::bad_data(format!("match[]={written}: {error}")))?;
                Match::Expression { name: naming::name_of(&expr), text: written }
            }
        });
    }
    let now_ms = app.clock.now_ms();
    let lookback_ms = app.engine.options().lookback_delta_ms;
    let asked = Asked::of(client, Kind::Federate, params.all("match[]").join(" "));
    let ticket = app.queries.admit(asked).await?;
    blocking(move || {
        let _ticket = ticket;
        let mut found: BTreeMap<Labels, (i64, f64)> = BTreeMap::new();
        for one in &matches {
            match one {
                Match::Selector(matchers) => select(&app, matchers, now_ms, lookback_ms, &mut found)?,
                Match::Expression { text, name } => evaluate(&app, text, name.as_deref(), now_ms, &mut found)?,
            }
        }
        let external = app.settings.load().external_labels.clone();
        Ok(encode(&found, &external))
    })
    .await
}

fn select(
    app: &App,
    matchers: &[Matcher],
    now_ms: i64,
    lookback_ms: i64,
    found: &mut BTreeMap<Labels, (i64, f64)>,
) -> ApiResult<()> {
    let start_ms = now_ms - lookback_ms;
    let querier = app.tsdb.querier(start_ms, now_ms)?;
    let hints = SelectHints { start_ms, end_ms: now_ms, ..SelectHints::default() };
    let mut samples = Samples::default();
    for series in querier.select(&hints, matchers)? {
        let series = series?;
        samples.clear();
        series.read(&mut samples)?;
        let Some(last) = samples.len().checked_sub(1) else { continue };
        // Histograms need the protobuf format, which this endpoint does not speak yet.
        if samples.histogram(last).is_some() || is_stale_nan(samples.values[last]) {
            continue;
        }
        found.insert(series.labels().clone(), (samples.timestamps[last], samples.values[last]));
    }
    Ok(())
}

fn evaluate(
    app: &App,
    expression: &str,
    name: Option<&str>,
    now_ms: i64,
    found: &mut BTreeMap<Labels, (i64, f64)>,
) -> ApiResult<()> {
    let output = app.engine.instant(app.tsdb.as_ref(), expression, now_ms, &QueryOptions::default())?;
    let Value::Vector(samples) = output.value else {
        return Err(ApiError::bad_data(format!("match[]={expression}: expected an instant vector")));
    };
    for sample in samples {
        let SampleValue::Float(value) = sample.value else { continue };
        let mut labels = sample.labels;
        if labels.metric_name().is_empty() {
            let Some(name) = name else {
                return Err(ApiError::bad_data(format!(
                    "match[]={expression}: the result has no name; give it one with label_replace(…, \"__name__\", \"job:requests:rate5m\", \"\", \"\")"
                )));
            };
            labels = labels.to_builder().set(METRIC_NAME, name).build();
        }
        found.insert(labels, (sample.timestamp_ms, value));
    }
    Ok(())
}

/// Text 0.0.4, families together, external labels behind the series' own where these lack them.
fn encode(found: &BTreeMap<Labels, (i64, f64)>, external: &Labels) -> String {
    // Labels sort by name first, and `__name__` is not always the first label: families are gathered here.
    let mut by_name: BTreeMap<&str, Vec<(&Labels, i64, f64)>> = BTreeMap::new();
    for (labels, (timestamp_ms, value)) in found {
        let name = labels.metric_name();
        if !name.is_empty() {
            by_name.entry(name).or_default().push((labels, *timestamp_ms, *value));
        }
    }
    let mut out = String::new();
    for (name, series) in by_name {
        let quoted = !is_legacy_metric_name(name);
        let shown = if quoted { quote(name) } else { name.to_owned() };
        out.push_str(&format!("# TYPE {shown} untyped\n"));
        for (labels, timestamp_ms, value) in series {
            let mut pairs: Vec<String> = if quoted { vec![shown.clone()] } else { Vec::new() };
            let own = labels.iter().filter(|(label, _)| *label != METRIC_NAME);
            let added = external.iter().filter(|(label, _)| labels.get(label).is_none());
            let instance =
                (labels.get("instance").is_none() && external.get("instance").is_none()).then_some(("instance", ""));
            pairs.extend(own.chain(added).chain(instance).map(|(label, value)| {
                let label = if model::labels::is_legacy_label_name(label) { label.to_owned() } else { quote(label) };
                format!("{label}=\"{}\"", escape(value))
            }));
            if !quoted {
                out.push_str(name);
            }
            out.push_str(&format!("{{{}}} {} {timestamp_ms}\n", pairs.join(","), api::query::format_value(value)));
        }
    }
    out
}

/// Label values as the text format escapes them.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_stand_together_with_external_labels() {
        let series = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        let found = BTreeMap::from([
            (series(&[("__name__", "up"), ("Zone", "a"), ("instance", "i")]), (1_000, 1.0)),
            (series(&[("__name__", "up"), ("instance", "i"), ("region", "own")]), (2_000, f64::NAN)),
            (series(&[("__name__", "a_total"), ("path", "a\"b\\c\nd")]), (3_000, 1e21)),
            (series(&[("__name__", "a.b"), ("instance", "i")]), (4_000, 0.5)),
        ]);
        assert_eq!(
            encode(&found, &series(&[("region", "eu")])),
            "# TYPE \"a.b\" untyped\n\
             {\"a.b\",instance=\"i\",region=\"eu\"} 0.5 4000\n\
             # TYPE a_total untyped\n\
             a_total{path=\"a\\\"b\\\\c\\nd\",region=\"eu\",instance=\"\"} 1e+21 3000\n\
             # TYPE up untyped\n\
             up{Zone=\"a\",instance=\"i\",region=\"eu\"} 1 1000\n\
             up{instance=\"i\",region=\"own\"} NaN 2000\n"
        );
    }
}
