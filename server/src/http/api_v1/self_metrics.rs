//! `/api/v1/status/self_metrics`: this server's own metrics as JSON.
//! Source: Prometheus 3.13; the message `io.prometheus.client.MetricFamily` in the JSON form of protocol buffers.

use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use crate::http::params::Params;
use axum::extract::State;
use model::MetricType;
use serde::{Serialize, Serializer};
use std::sync::Arc;

#[derive(Serialize)]
struct Family {
    name: String,
    help: String,
    #[serde(rename = "type")]
    metric_type: &'static str,
    metric: Vec<Metric>,
}

#[derive(Default, Serialize)]
struct Metric {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    label: Vec<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gauge: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counter: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untyped: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    histogram: Option<Histogram>,
}

#[derive(Serialize)]
struct Label {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Number {
    #[serde(serialize_with = "float")]
    value: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    #[serde(serialize_with = "integer")]
    sample_count: u64,
    #[serde(serialize_with = "float")]
    sample_sum: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quantile: Vec<Quantile>,
}

#[derive(Serialize)]
struct Quantile {
    #[serde(serialize_with = "float")]
    quantile: f64,
    #[serde(serialize_with = "float")]
    value: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Histogram {
    #[serde(serialize_with = "integer")]
    sample_count: u64,
    #[serde(serialize_with = "float")]
    sample_sum: f64,
    /// Without the one of +Inf, which is `sample_count`.
    bucket: Vec<Bucket>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    #[serde(serialize_with = "integer")]
    cumulative_count: u64,
    #[serde(serialize_with = "float")]
    upper_bound: f64,
}

/// JSON has no numbers for these three.
fn float<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_nan() {
        serializer.serialize_str("NaN")
    } else if value.is_infinite() {
        serializer.serialize_str(if *value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        serializer.serialize_f64(*value)
    }
}

/// Integers of 64 bits are texts there.
fn integer<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(crate) async fn self_metrics(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let pattern = match params.filled("metric_name_pattern") {
        None => None,
        Some(text) => {
            Some(regexp::Regexp::anchored(text).map_err(|error| ApiError::parameter("metric_name_pattern", error))?)
        }
    };
    let mut families = app.registry.collect();
    families.retain(|family| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&family.name)));
    Ok(success(families.into_iter().map(family).collect::<Vec<_>>()))
}

fn family(family: telemetry::MetricFamily) -> Family {
    let metric_type = family.metric_type;
    let metric = family.series.into_iter().map(|(labels, value)| metric(metric_type, &labels, value)).collect();
    let metric_type = match metric_type {
        MetricType::Counter => "COUNTER",
        MetricType::Gauge => "GAUGE",
        MetricType::Summary => "SUMMARY",
        MetricType::Histogram => "HISTOGRAM",
        _ => "UNTYPED",
    };
    Family { name: family.name, help: family.help, metric_type, metric }
}

fn metric(metric_type: MetricType, labels: &model::Labels, value: telemetry::Value) -> Metric {
    let label = labels.iter().map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect();
    let mut metric = Metric { label, ..Metric::default() };
    match value {
        telemetry::Value::Number(value) => {
            let number = Some(Number { value });
            match metric_type {
                MetricType::Counter => metric.counter = number,
                MetricType::Gauge => metric.gauge = number,
                _ => metric.untyped = number,
            }
        }
        telemetry::Value::Histogram { sum, buckets } => {
            let finite = buckets.iter().filter(|(upper_bound, _)| upper_bound.is_finite());
            metric.histogram = Some(Histogram {
                sample_count: buckets.last().map_or(0, |(_, count)| *count),
                sample_sum: sum,
                bucket: finite
                    .map(|(upper_bound, count)| Bucket { cumulative_count: *count, upper_bound: *upper_bound })
                    .collect(),
            });
        }
        telemetry::Value::Summary { sum, count, quantiles } => {
            let quantile = quantiles.iter().map(|(quantile, value)| Quantile { quantile: *quantile, value: *value });
            metric.summary = Some(Summary { sample_count: count, sample_sum: sum, quantile: quantile.collect() });
        }
    }
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_protocol_buffers_write_them() {
        let labels = model::Labels::from_pairs([("a", "b")]);
        let shown = |metric_type, value| serde_json::to_string(&metric(metric_type, &labels, value)).unwrap();
        assert_eq!(
            shown(MetricType::Gauge, telemetry::Value::Number(f64::NAN)),
            r#"{"label":[{"name":"a","value":"b"}],"gauge":{"value":"NaN"}}"#
        );
        assert_eq!(
            shown(
                MetricType::Histogram,
                telemetry::Value::Histogram { sum: 1.5, buckets: vec![(0.1, 1), (f64::INFINITY, 3)] }
            ),
            r#"{"label":[{"name":"a","value":"b"}],"histogram":{"sampleCount":"3","sampleSum":1.5,"bucket":[{"cumulativeCount":"1","upperBound":0.1}]}}"#
        );
    }
}
