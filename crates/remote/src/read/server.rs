//! `POST /api/v1/read`: answering other servers.

use crate::{histogram, proto, snappy};
use model::{Labels, MatchOp, Matcher};
use prost::Message;
use storage::{Queryable, Samples, SelectHints, StorageError};

/// Bytes of a request after decompression: a few selectors.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// Queries of one request.
const QUERIES_MAX: usize = 100;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{0}")]
    Body(String),
    #[error("exceeded sample limit ({0})")]
    TooManySamples(usize),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReadError {
    /// The HTTP status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            ReadError::Body(_) | ReadError::TooManySamples(_) | ReadError::Storage(StorageError::BadMatcher(_)) => 400,
            ReadError::Storage(_) => 500,
        }
    }
}

/// Answers a request with samples (senders that would rather have chunks take these too). The answer's body is to be
/// sent as `Content-Type: application/x-protobuf`, `Content-Encoding: snappy`. `samples_max` 0 is no limit. Blocks.
///
/// # Errors
/// What is wrong with the request, or what the engine says.
pub fn answer(
    engine: &dyn Queryable,
    body: &[u8],
    external_labels: &Labels,
    samples_max: usize,
) -> Result<Vec<u8>, ReadError> {
    let bytes =
        snappy::decode(body, REQUEST_BYTES_MAX).map_err(|reason| ReadError::Body(format!("snappy: {reason}")))?;
    let request =
        proto::ReadRequest::decode(bytes.as_slice()).map_err(|error| ReadError::Body(format!("protobuf: {error}")))?;
    if request.queries.len() > QUERIES_MAX {
        return Err(ReadError::Body(format!("{} queries in a request, at most {QUERIES_MAX}", request.queries.len())));
    }
    let mut left = if samples_max == 0 { usize::MAX } else { samples_max };
    let mut response = proto::ReadResponse::default();
    for query in &request.queries {
        let mut timeseries = Vec::new();
        let matchers = matchers(query, external_labels)?;
        let asked = query.hints.clone().unwrap_or_default();
        let hints = SelectHints {
            start_ms: asked.start_ms,
            end_ms: asked.end_ms,
            step_ms: asked.step_ms,
            range_ms: asked.range_ms,
            function: asked.func,
            grouping: asked.grouping,
            by: asked.by,
            ..SelectHints::default()
        };
        let querier = engine.querier(query.start_timestamp_ms, query.end_timestamp_ms)?;
        let mut samples = Samples::default();
        for series in querier.select(&hints, &matchers)? {
            let series = series?;
            samples.clear();
            series.read(&mut samples)?;
            left = left.checked_sub(samples.len()).ok_or(ReadError::TooManySamples(samples_max))?;
            if !samples.is_empty() {
                timeseries.push(series_to_proto(&with_external(series.labels(), external_labels), &samples));
            }
        }
        timeseries.sort_by(|a, b| {
            let key = |series: &proto::TimeSeries| {
                series.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect::<Vec<_>>()
            };
            if external_labels.is_empty() { std::cmp::Ordering::Equal } else { key(a).cmp(&key(b)) }
        });
        response.results.push(proto::QueryResult { timeseries });
    }
    snappy::encode(&response.encode_to_vec()).map_err(ReadError::Body)
}

/// The matchers of a query, without those that ask for our external labels, which are not stored.
fn matchers(query: &proto::Query, external_labels: &Labels) -> Result<Vec<Matcher>, ReadError> {
    let mut list = Vec::with_capacity(query.matchers.len());
    for matcher in &query.matchers {
        let op = match proto::MatchType::try_from(matcher.match_type) {
            Ok(proto::MatchType::Eq) => MatchOp::Equal,
            Ok(proto::MatchType::Neq) => MatchOp::NotEqual,
            Ok(proto::MatchType::Re) => MatchOp::Regex,
            Ok(proto::MatchType::Nre) => MatchOp::NotRegex,
            Err(_) => return Err(ReadError::Body(format!("matcher type {} is not known", matcher.match_type))),
        };
        let external = op == MatchOp::Equal && external_labels.get(&matcher.name) == Some(&matcher.value);
        if !external {
            list.push(Matcher::new(matcher.name.as_str(), op, matcher.value.as_str()));
        }
    }
    Ok(list)
}

/// External labels where the series has none of that name.
fn with_external(labels: &Labels, external_labels: &Labels) -> Labels {
    if external_labels.is_empty() {
        return labels.clone();
    }
    let mut builder = external_labels.to_builder();
    for (name, value) in labels {
        builder.set(name, value);
    }
    builder.build()
}

fn series_to_proto(labels: &Labels, samples: &Samples) -> proto::TimeSeries {
    let mut series = proto::TimeSeries { labels: proto::labels_to_proto(labels), ..proto::TimeSeries::default() };
    for (index, &timestamp) in samples.timestamps.iter().enumerate() {
        match samples.histogram(index) {
            Some(value) => series.histograms.push(histogram::to_proto(value, timestamp)),
            None => series.samples.push(proto::Sample::new(timestamp, samples.values[index])),
        }
    }
    series
}
