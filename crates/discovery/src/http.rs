//! `http_sd_configs`: groups of targets from a URL, in JSON.

use crate::config::ConfigDuration;
use crate::group::parse_json;
use crate::{Running, Sink, TargetGroup};
use http_client::{HttpClient, Request};
use std::sync::Arc;
use telemetry::Counter;

/// Answers beyond this are a mistake.
const RESPONSE_BYTES_MAX: usize = 256 << 20;

pub(crate) fn run(
    url: String,
    refresh: ConfigDuration,
    client: HttpClient,
    sink: Arc<dyn Sink>,
    failures: Counter,
) -> Running {
    Box::pin(async move {
        let refresh_interval = refresh.as_duration().max(std::time::Duration::from_millis(100));
        loop {
            match fetch(&url, refresh_interval, &client).await {
                Ok(groups) => sink.publish(groups),
                Err(error) => {
                    failures.inc();
                    tracing::error!(%url, %error, "http_sd: no answer that can be used; the previous groups stay");
                }
            }
            tokio::time::sleep(refresh_interval).await;
        }
    })
}

async fn fetch(url: &str, refresh: std::time::Duration, client: &HttpClient) -> Result<Vec<TargetGroup>, String> {
    let mut request = Request::get(url, refresh, RESPONSE_BYTES_MAX);
    request.headers.push(("Accept".into(), "application/json".into()));
    request.headers.push(("Accept-Encoding".into(), "gzip".into()));
    request.headers.push(("X-Prometheus-Refresh-Interval-Seconds".into(), refresh.as_secs_f64().to_string()));
    let response = client.send(request).await.map_err(|error| error.to_string())?;
    if response.status != 200 {
        return Err(format!("server returned HTTP status {}", response.status_text()));
    }
    let content_type = response.header("content-type").to_ascii_lowercase();
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(format!("unsupported content type {content_type:?}; answer with application/json"));
    }
    let body = response.decoded(RESPONSE_BYTES_MAX).map_err(|error| error.to_string())?;
    let meta = [("__meta_url", url)];
    let groups = parse_json(&body)?;
    Ok(groups.into_iter().enumerate().map(|(i, group)| group.into_group(format!("{url}:{i}"), &meta)).collect())
}
