//! `POST /api/v1/write`: what other servers send, version 1 and 2 of the protocol.

mod receiver;
mod walk;

pub use receiver::{Received, Receiver};

use crate::{histogram, proto, snappy};
use model::{Exemplar, Labels, Metadata, MetricType, SampleValue};
use prost::Message;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use storage::{AppendReport, Ingest, SeriesSamples, StorageError};

/// Bytes of a request after decompression. Prometheus sends about 300 kB; large batches of others stay below 32 MB.
pub const DECODED_BYTES_MAX: usize = 128 << 20;

/// Samples may be so much later than the present, as in Prometheus: one far ahead would make all that come after it too old.
pub const AHEAD_MS_MAX: i64 = 10 * 60 * 1000;

/// The latest time that a sample may have now. Without a clock, any.
fn latest_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    now.and_then(|now| i64::try_from(now.as_millis()).ok()).map_or(i64::MAX, |now| now.saturating_add(AHEAD_MS_MAX))
}

/// A request, decoded.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    pub series: Vec<SeriesSamples>,
    pub metadata: Vec<(String, Metadata)>,
    /// Sent as version 2: the answer must carry the counts of [`Receipt`].
    pub version_2: bool,
}

/// Why a request is refused. [`ReceiveError::status`] is what the sender must be told: with 4xx it gives up,
/// with 5xx it tries again.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    #[error("Content-Type {0:?} is not supported; send application/x-protobuf")]
    ContentType(String),
    #[error("Content-Encoding {0:?} is not supported; send snappy")]
    ContentEncoding(String),
    #[error("{0}")]
    Body(String),
    /// The rest of the batch is stored.
    #[error(
        "{} of {} samples were not taken: {} out of order, {} duplicates with another value, {} too old, {} too far in the future",
        .report.samples_refused() + .ahead, .report.samples_refused() + .ahead + .report.samples_appended,
        .report.samples_out_of_order, .report.samples_duplicate, .report.samples_too_old, .ahead
    )]
    Refused {
        report: AppendReport,
        /// Samples more than [`AHEAD_MS_MAX`] ahead of the present.
        ahead: u64,
        /// Of what was taken.
        receipt: Receipt,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReceiveError {
    /// The HTTP status that Prometheus answers with.
    pub fn status(&self) -> u16 {
        match self {
            ReceiveError::ContentType(_) | ReceiveError::ContentEncoding(_) => 415,
            ReceiveError::Body(_) | ReceiveError::Refused { .. } => 400,
            ReceiveError::Storage(StorageError::Unavailable { .. }) => 503,
            ReceiveError::Storage(_) => 500,
        }
    }
}

/// What was stored; the headers `X-Prometheus-Remote-Write-{Samples,Histograms,Exemplars}-Written` tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
}

impl Receipt {
    /// Counts the samples of series.
    fn add(&mut self, series: &[SeriesSamples]) {
        let is_histogram = |sample: &&(i64, SampleValue)| matches!(sample.1, SampleValue::Histogram(_));
        let all: u64 = series.iter().map(|series| series.samples.len() as u64).sum();
        let histograms = series.iter().flat_map(|series| &series.samples).filter(is_histogram).count() as u64;
        self.samples += all - histograms;
        self.histograms += histograms;
    }

    /// Headers of the answer.
    pub fn headers(&self) -> [(&'static str, String); 3] {
        [
            ("X-Prometheus-Remote-Write-Samples-Written", self.samples.to_string()),
            ("X-Prometheus-Remote-Write-Histograms-Written", self.histograms.to_string()),
            ("X-Prometheus-Remote-Write-Exemplars-Written", self.exemplars.to_string()),
        ]
    }
}

/// Decodes a request. `content_type` and `content_encoding` are the headers' values, "" if absent.
///
/// # Errors
/// What is wrong with it.
pub fn decode(content_type: &str, content_encoding: &str, body: &[u8]) -> Result<WriteBatch, ReceiveError> {
    let version_2 = is_version_2(content_type, content_encoding)?;
    decode_bytes(version_2, &uncompressed(body)?)
}

fn is_version_2(content_type: &str, content_encoding: &str) -> Result<bool, ReceiveError> {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if !media_type.is_empty() && !media_type.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(ReceiveError::ContentType(content_type.to_owned()));
    }
    let version_2 = match parts.find_map(|part| part.strip_prefix("proto=")) {
        None | Some("prometheus.WriteRequest") => false,
        Some("io.prometheus.write.v2.Request") => true,
        Some(_) => return Err(ReceiveError::ContentType(content_type.to_owned())),
    };
    if !content_encoding.is_empty() && !content_encoding.eq_ignore_ascii_case("snappy") {
        return Err(ReceiveError::ContentEncoding(content_encoding.to_owned()));
    }
    Ok(version_2)
}

fn uncompressed(body: &[u8]) -> Result<Vec<u8>, ReceiveError> {
    snappy::decode(body, DECODED_BYTES_MAX).map_err(|reason| ReceiveError::Body(format!("snappy: {reason}")))
}

fn wrong(error: prost::DecodeError) -> ReceiveError {
    ReceiveError::Body(format!("protobuf: {error}"))
}

fn decode_bytes(version_2: bool, bytes: &[u8]) -> Result<WriteBatch, ReceiveError> {
    if version_2 {
        from_version_2(proto::WriteRequest2::decode(bytes).map_err(wrong)?)
    } else {
        from_version_1(proto::WriteRequest::decode(bytes).map_err(wrong)?)
    }
}

fn from_version_1(request: proto::WriteRequest) -> Result<WriteBatch, ReceiveError> {
    let mut batch = WriteBatch::default();
    for series in request.timeseries {
        batch.series.push(series_of(series)?);
    }
    batch.metadata.extend(request.metadata.into_iter().map(family_of));
    Ok(batch)
}

fn series_of(series: proto::TimeSeries) -> Result<SeriesSamples, ReceiveError> {
    let labels = checked(series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())))?;
    let mut samples = floats(&series.samples);
    histograms(&series.histograms, &mut samples)?;
    let exemplars = (series.exemplars.iter())
        .map(|exemplar| Exemplar {
            labels: Labels::from_pairs(exemplar.labels.iter().map(|label| (&label.name, &label.value))),
            value: exemplar.value,
            timestamp_ms: Some(exemplar.timestamp),
        })
        .collect();
    Ok(SeriesSamples { labels, samples, exemplars, start_timestamps: Vec::new() })
}

fn family_of(family: proto::MetricMetadata) -> (String, Metadata) {
    let metric_type = MetricType::from(family.metric_type());
    (family.metric_family_name, Metadata { metric_type, help: family.help, unit: family.unit })
}

fn from_version_2(request: proto::WriteRequest2) -> Result<WriteBatch, ReceiveError> {
    let symbol = |at: u32| {
        let found = request.symbols.get(at as usize).map(String::as_str);
        found.ok_or_else(|| ReceiveError::Body(format!("symbol {at} of {} is not there", request.symbols.len())))
    };
    let pairs = |refs: &[u32]| {
        if !refs.len().is_multiple_of(2) {
            return Err(ReceiveError::Body("an odd number of label references".into()));
        }
        refs.chunks_exact(2).map(|pair| Ok((symbol(pair[0])?, symbol(pair[1])?))).collect::<Result<Vec<_>, _>>()
    };
    let mut batch = WriteBatch { version_2: true, ..WriteBatch::default() };
    for series in &request.timeseries {
        let labels = checked(pairs(&series.labels_refs)?.into_iter())?;
        let mut samples = floats(&series.samples);
        histograms(&series.histograms, &mut samples)?;
        let starts = series.samples.iter().map(|sample| sample.start_timestamp);
        let starts = starts.chain(series.histograms.iter().map(|histogram| histogram.start_timestamp));
        let mut start_timestamps: Vec<i64> =
            starts.map(|start_ms| if start_ms == 0 { series.created_timestamp } else { start_ms }).collect();
        if start_timestamps.iter().all(|start_ms| *start_ms == 0) {
            start_timestamps = Vec::new();
        }
        let mut exemplars = Vec::with_capacity(series.exemplars.len());
        for exemplar in &series.exemplars {
            let labels = Labels::from_pairs(pairs(&exemplar.labels_refs)?);
            let timestamp_ms = (exemplar.timestamp != 0).then_some(exemplar.timestamp);
            exemplars.push(Exemplar { labels, value: exemplar.value, timestamp_ms });
        }
        if let Some(metadata) = &series.metadata {
            let metric_type = MetricType::from(metadata.metric_type());
            let (help, unit) = (symbol(metadata.help_ref)?.to_owned(), symbol(metadata.unit_ref)?.to_owned());
            if metric_type != MetricType::Unknown || !help.is_empty() || !unit.is_empty() {
                let name = labels.metric_name();
                // Series carry their own names; those of classic histograms and summaries belong to a family.
                let family = match metric_type {
                    MetricType::Histogram | MetricType::Summary | MetricType::GaugeHistogram => {
                        ["_bucket", "_sum", "_count"]
                            .iter()
                            .find_map(|suffix| name.strip_suffix(suffix))
                            .unwrap_or(name)
                    }
                    _ => name,
                };
                batch.metadata.push((family.to_owned(), Metadata { metric_type, help, unit }));
            }
        }
        batch.series.push(SeriesSamples { labels, samples, exemplars, start_timestamps });
    }
    batch.metadata.sort();
    batch.metadata.dedup();
    Ok(batch)
}

/// A label set that a series may have.
fn checked<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Labels, ReceiveError> {
    let pairs: Vec<(&str, &str)> = pairs.collect();
    let labels = Labels::from_pairs(pairs.iter().copied());
    let wrong = |reason: String| Err(ReceiveError::Body(reason));
    if labels.get(model::labels::METRIC_NAME).is_none() {
        return wrong(format!("series {labels} has no metric name"));
    }
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return wrong(format!("series {labels} has a label without a name"));
    }
    // An empty value means that there is no such label; a name twice has no meaning.
    if labels.len() != pairs.iter().filter(|(_, value)| !value.is_empty()).count() {
        return wrong(format!("series {labels} has a label twice"));
    }
    Ok(labels)
}

fn floats(samples: &[proto::Sample]) -> Vec<(i64, SampleValue)> {
    samples.iter().map(|sample| (sample.timestamp, SampleValue::Float(sample.value))).collect()
}

fn histograms(list: &[proto::Histogram], samples: &mut Vec<(i64, SampleValue)>) -> Result<(), ReceiveError> {
    for sample in list {
        let value = histogram::from_proto(sample).map_err(ReceiveError::Body)?;
        histogram::check(sample, &value).map_err(ReceiveError::Body)?;
        samples.push((sample.timestamp, SampleValue::Histogram(Arc::new(value))));
    }
    Ok(())
}

/// Stores a batch, but for samples of the far future. Blocks on the disk.
///
/// # Errors
/// `Refused` with the counts when samples were not taken (the others are stored), `Storage` when nothing is stored.
pub fn append(engine: &dyn Ingest, mut batch: WriteBatch) -> Result<Receipt, ReceiveError> {
    let ahead = batch.series.iter_mut().map(|series| leave_out_later(series, latest_ms())).sum();
    let (mut report, mut receipt) = (AppendReport::default(), Receipt::default());
    // Senders of version 2 want to know how many of either kind were taken.
    let has_histograms =
        |series: &SeriesSamples| series.samples.iter().any(|(_, value)| matches!(value, SampleValue::Histogram(_)));
    let (histograms, floats): (Vec<_>, Vec<_>) =
        if batch.version_2 { batch.series.into_iter().partition(has_histograms) } else { (Vec::new(), batch.series) };
    for part in [floats, histograms].iter().filter(|part| !part.is_empty()) {
        let appended = engine.append_series(part)?;
        let mut taken = Receipt::default();
        taken.add(part);
        // In a part with histograms there may be floats of the same series: those are taken to be the refused ones last.
        let refused = appended.samples_refused();
        let of_histograms = refused.min(taken.histograms);
        receipt.histograms += taken.histograms - of_histograms;
        receipt.samples += taken.samples.saturating_sub(refused - of_histograms);
        report.add(&appended);
    }
    receipt.exemplars = report.exemplars_appended;
    if !batch.metadata.is_empty() {
        engine.append_metadata(&batch.metadata)?;
    }
    // What was there already counts as written: the sender has nothing more to do.
    settled(report, ahead, receipt)
}

/// The answer to what was stored.
fn settled(report: AppendReport, ahead: u64, receipt: Receipt) -> Result<Receipt, ReceiveError> {
    if report.samples_refused() + ahead > 0 {
        return Err(ReceiveError::Refused { report, ahead, receipt });
    }
    Ok(receipt)
}

/// Takes samples out that are later than `latest_ms`; how many they were. Exemplars stay: they move no clock.
fn leave_out_later(series: &mut SeriesSamples, latest_ms: i64) -> u64 {
    if series.samples.iter().all(|(timestamp_ms, _)| *timestamp_ms <= latest_ms) {
        return 0;
    }
    let before = series.samples.len();
    let keep: Vec<bool> = series.samples.iter().map(|(timestamp_ms, _)| *timestamp_ms <= latest_ms).collect();
    let mut kept = keep.iter();
    series.start_timestamps.retain(|_| kept.next().is_none_or(|keep| *keep));
    let mut kept = keep.iter();
    series.samples.retain(|_| kept.next().is_none_or(|keep| *keep));
    (before - series.samples.len()) as u64
}
