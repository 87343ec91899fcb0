//! Another server's series as a `Queryable`.

use super::RemoteReadConfig;
use crate::{histogram, proto, snappy};
use http_client::{HttpClient, HttpClientError, Request};
use model::{Labels, MatchOp, Matcher, SampleValue};
use prost::Message;
use std::{sync::Arc, time::Duration};
use storage::{Querier, Queryable, Samples, SelectHints, Series, SeriesSet, StorageError};

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// Bytes of an answer on the wire, and after decompression.
const RESPONSE_BYTES_MAX: usize = 256 << 20;
const DECODED_BYTES_MAX: usize = 1 << 30;
/// Bytes of an error's text that are shown.
const ERROR_TEXT_BYTES_MAX: usize = 256;

/// What a [`ReadClient`] needs beside its configuration.
#[derive(Clone)]
pub struct ReadClientOptions {
    /// `global.external_labels`.
    pub external_labels: Labels,
    /// The oldest time that the local storage has, in Unix milliseconds; `i64::MAX` if it is empty. Without
    /// `read_recent`, only older times are asked for.
    pub local_start_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Where requests run. Queries must come from other threads than its workers (`spawn_blocking`).
    pub runtime: tokio::runtime::Handle,
}

/// One entry of `remote_read`.
#[derive(Clone)]
pub struct ReadClient(Arc<Inner>);

struct Inner {
    config: RemoteReadConfig,
    options: ReadClientOptions,
    client: HttpClient,
}

impl ReadClient {
    /// A client for a section without faults.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(config: RemoteReadConfig, options: ReadClientOptions) -> Result<Self, HttpClientError> {
        let client = HttpClient::new(&config.http_client_config())?;
        Ok(ReadClient(Arc::new(Inner { config, options, client })))
    }
}

impl Queryable for ReadClient {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        let mut end_ms = end_ms;
        let mut wanted = true;
        if !self.0.config.read_recent.unwrap_or(false) {
            let local_start_ms = (self.0.options.local_start_ms)();
            wanted = start_ms < local_start_ms;
            end_ms = end_ms.min(local_start_ms.saturating_sub(1));
        }
        Ok(Box::new(RemoteQuerier { inner: Arc::clone(&self.0), start_ms, end_ms, wanted }))
    }
}

struct RemoteQuerier {
    inner: Arc<Inner>,
    start_ms: i64,
    end_ms: i64,
    wanted: bool,
}

impl Querier for RemoteQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, StorageError> {
        let required = &self.inner.config.required_matchers;
        let has = |name: &String, value: &String| {
            matchers.iter().any(|own| own.op == MatchOp::Equal && own.name == *name && own.value == *value)
        };
        if !self.wanted || !required.iter().all(|(name, value)| has(name, value)) {
            return Ok(Box::new(std::iter::empty()));
        }
        let mut matchers = matchers.to_vec();
        let mut added: Vec<&str> = Vec::new();
        if self.inner.config.filter_external_labels.unwrap_or(true) {
            for (name, value) in &self.inner.options.external_labels {
                if !matchers.iter().any(|matcher| matcher.name == name) {
                    matchers.push(Matcher::equal(name, value));
                    added.push(name);
                }
            }
        }
        // Prometheus answers for the time of the hints; without one there, for none.
        let (hint_start_ms, hint_end_ms) = match (hints.start_ms, hints.end_ms) {
            (0, 0) => (self.start_ms, self.end_ms),
            given => given,
        };
        let query = proto::Query {
            start_timestamp_ms: self.start_ms,
            end_timestamp_ms: self.end_ms,
            matchers: matchers.iter().map(matcher_to_proto).collect(),
            hints: Some(proto::ReadHints {
                step_ms: hints.step_ms,
                func: hints.function.clone(),
                start_ms: hint_start_ms,
                end_ms: hint_end_ms,
                grouping: hints.grouping.clone(),
                by: hints.by,
                range_ms: hints.range_ms,
            }),
        };
        let request = proto::ReadRequest { queries: vec![query], accepted_response_types: vec![0] };
        let response = self.inner.ask(&request)?;
        let mut series = Vec::new();
        for one in response.results.into_iter().flat_map(|result| result.timeseries) {
            let labels = Labels::from_pairs(one.labels.iter().map(|label| (&label.name, &label.value)));
            series.push(RemoteSeries { labels: labels.without(&added), samples: self.samples(one)? });
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        // Without the labels that were taken off, two series may have become one.
        series.dedup_by(|next, kept| {
            next.labels == kept.labels && {
                let parts = vec![std::mem::take(&mut kept.samples), std::mem::take(&mut next.samples)];
                storage::fanout::merge_samples(parts, &mut kept.samples);
                true
            }
        });
        if hints.limit > 0 {
            series.truncate(hints.limit);
        }
        Ok(Box::new(series.into_iter().map(|series| Ok(Box::new(series) as Box<dyn Series>))))
    }

    /// The protocol has no such question; names come from the local storage, as in Prometheus.
    fn label_names(&self, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

impl RemoteQuerier {
    /// Samples in order, each time once, within the range: other servers' answers are not trusted to be so.
    fn samples(&self, series: proto::TimeSeries) -> Result<Samples, StorageError> {
        let mut list: Vec<(i64, SampleValue)> =
            series.samples.iter().map(|sample| (sample.timestamp, SampleValue::Float(sample.value))).collect();
        for sample in &series.histograms {
            let value = histogram::from_proto(sample).map_err(|reason| self.inner.error(&reason))?;
            list.push((sample.timestamp, SampleValue::Histogram(Arc::new(value))));
        }
        list.retain(|(time, _)| (self.start_ms..=self.end_ms).contains(time));
        list.sort_by_key(|(time, _)| *time);
        list.dedup_by_key(|(time, _)| *time);
        let mut samples = Samples::default();
        list.into_iter().for_each(|(time, value)| samples.push(time, value));
        Ok(samples)
    }
}

impl Inner {
    fn error(&self, reason: &str) -> StorageError {
        StorageError::Remote(format!("remote_read from {}: {reason}", self.config.url))
    }

    fn ask(&self, request: &proto::ReadRequest) -> Result<proto::ReadResponse, StorageError> {
        let body = snappy::encode(&request.encode_to_vec()).map_err(|reason| self.error(&reason))?;
        let timeout = self.config.remote_timeout.map_or(TIMEOUT_DEFAULT, |timeout| timeout.get());
        let mut request =
            Request::post(self.config.url.as_str(), "application/x-protobuf", body, timeout, RESPONSE_BYTES_MAX);
        let own = [
            ("Content-Encoding", "snappy"),
            ("Accept-Encoding", "snappy"),
            ("X-Prometheus-Remote-Read-Version", "0.1.0"),
        ];
        request.headers.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        request.headers.extend(self.config.headers.clone());
        let response =
            self.options.runtime.block_on(self.client.send(request)).map_err(|error| self.error(&error.to_string()))?;
        if !response.is_success() {
            let text =
                String::from_utf8_lossy(&response.body[..response.body.len().min(ERROR_TEXT_BYTES_MAX)]).into_owned();
            return Err(self.error(&format!(
                "server returned HTTP status {}: {}",
                response.status_text(),
                text.trim()
            )));
        }
        let bytes = snappy::decode(&response.body, DECODED_BYTES_MAX)
            .map_err(|reason| self.error(&format!("snappy: {reason}")))?;
        proto::ReadResponse::decode(bytes.as_slice()).map_err(|error| self.error(&format!("protobuf: {error}")))
    }
}

fn matcher_to_proto(matcher: &Matcher) -> proto::LabelMatcher {
    let match_type = match matcher.op {
        MatchOp::Equal => proto::MatchType::Eq,
        MatchOp::NotEqual => proto::MatchType::Neq,
        MatchOp::Regex => proto::MatchType::Re,
        MatchOp::NotRegex => proto::MatchType::Nre,
    };
    proto::LabelMatcher { match_type: match_type as i32, name: matcher.name.clone(), value: matcher.value.clone() }
}

struct RemoteSeries {
    labels: Labels,
    samples: Samples,
}

impl Series for RemoteSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        storage::fanout::merge_samples(vec![self.samples.clone()], into);
        Ok(())
    }
}
