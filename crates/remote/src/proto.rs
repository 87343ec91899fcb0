//! The messages on the wire. Source: `prompb/remote.proto`, `prompb/types.proto` and `prompb/io/prometheus/write/v2`
//! of Prometheus; only names and numbers of fields are from there.

use prost::{Enumeration, Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
    /// Version 2: when the counter started, 0: unknown.
    #[prost(int64, tag = "3")]
    pub(crate) start_timestamp: i64,
}

impl Sample {
    /// Without a start.
    pub(crate) fn new(timestamp: i64, value: f64) -> Sample {
        Sample { value, timestamp, start_timestamp: 0 }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
    #[prost(int64, tag = "3")]
    pub(crate) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(oneof = "Count", tags = "1, 2")]
    pub(crate) count: Option<Count>,
    #[prost(double, tag = "3")]
    pub(crate) sum: f64,
    #[prost(sint32, tag = "4")]
    pub(crate) schema: i32,
    #[prost(double, tag = "5")]
    pub(crate) zero_threshold: f64,
    #[prost(oneof = "ZeroCount", tags = "6, 7")]
    pub(crate) zero_count: Option<ZeroCount>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) negative_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "9")]
    pub(crate) negative_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "10")]
    pub(crate) negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    pub(crate) positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    pub(crate) positive_counts: Vec<f64>,
    #[prost(enumeration = "ResetHint", tag = "14")]
    pub(crate) reset_hint: i32,
    #[prost(int64, tag = "15")]
    pub(crate) timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    pub(crate) custom_values: Vec<f64>,
    /// Version 2: when the counter started, 0: unknown.
    #[prost(int64, tag = "17")]
    pub(crate) start_timestamp: i64,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Count {
    #[prost(uint64, tag = "1")]
    Int(u64),
    #[prost(double, tag = "2")]
    Float(f64),
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ZeroCount {
    #[prost(uint64, tag = "6")]
    Int(u64),
    #[prost(double, tag = "7")]
    Float(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum ResetHint {
    Unknown = 0,
    Yes = 1,
    No = 2,
    Gauge = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(crate) length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricMetadata {
    #[prost(enumeration = "MetricTypeProto", tag = "1")]
    pub(crate) metric_type: i32,
    #[prost(string, tag = "2")]
    pub(crate) metric_family_name: String,
    #[prost(string, tag = "4")]
    pub(crate) help: String,
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

/// The same numbers in both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum MetricTypeProto {
    Unknown = 0,
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
    GaugeHistogram = 4,
    Summary = 5,
    Info = 6,
    StateSet = 7,
}

impl From<model::MetricType> for MetricTypeProto {
    fn from(metric_type: model::MetricType) -> Self {
        use model::MetricType as M;
        match metric_type {
            M::Counter => MetricTypeProto::Counter,
            M::Gauge => MetricTypeProto::Gauge,
            M::Histogram => MetricTypeProto::Histogram,
            M::GaugeHistogram => MetricTypeProto::GaugeHistogram,
            M::Summary => MetricTypeProto::Summary,
            M::Info => MetricTypeProto::Info,
            M::StateSet => MetricTypeProto::StateSet,
            M::Unknown => MetricTypeProto::Unknown,
        }
    }
}

impl From<MetricTypeProto> for model::MetricType {
    fn from(metric_type: MetricTypeProto) -> Self {
        use model::MetricType as M;
        match metric_type {
            MetricTypeProto::Counter => M::Counter,
            MetricTypeProto::Gauge => M::Gauge,
            MetricTypeProto::Histogram => M::Histogram,
            MetricTypeProto::GaugeHistogram => M::GaugeHistogram,
            MetricTypeProto::Summary => M::Summary,
            MetricTypeProto::Info => M::Info,
            MetricTypeProto::StateSet => M::StateSet,
            MetricTypeProto::Unknown => M::Unknown,
        }
    }
}

/// Version 2: every text once, then referred to by number.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest2 {
    #[prost(string, repeated, tag = "4")]
    pub(crate) symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) timeseries: Vec<TimeSeries2>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries2 {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) exemplars: Vec<Exemplar2>,
    #[prost(message, optional, tag = "5")]
    pub(crate) metadata: Option<Metadata2>,
    /// Where senders up to Prometheus 3.5 say when the counter started, of all samples; later ones say it sample by sample.
    #[prost(int64, tag = "6")]
    pub(crate) created_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar2 {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
    #[prost(int64, tag = "3")]
    pub(crate) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metadata2 {
    #[prost(enumeration = "MetricTypeProto", tag = "1")]
    pub(crate) metric_type: i32,
    #[prost(uint32, tag = "3")]
    pub(crate) help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) unit_ref: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) queries: Vec<Query>,
    /// 0 is SAMPLES, 1 is STREAMED_XOR_CHUNKS; without any, SAMPLES.
    #[prost(int32, repeated, tag = "2")]
    pub(crate) accepted_response_types: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Query {
    #[prost(int64, tag = "1")]
    pub(crate) start_timestamp_ms: i64,
    #[prost(int64, tag = "2")]
    pub(crate) end_timestamp_ms: i64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) matchers: Vec<LabelMatcher>,
    #[prost(message, optional, tag = "4")]
    pub(crate) hints: Option<ReadHints>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LabelMatcher {
    #[prost(enumeration = "MatchType", tag = "1")]
    pub(crate) match_type: i32,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, tag = "3")]
    pub(crate) value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum MatchType {
    Eq = 0,
    Neq = 1,
    Re = 2,
    Nre = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadHints {
    #[prost(int64, tag = "1")]
    pub(crate) step_ms: i64,
    #[prost(string, tag = "2")]
    pub(crate) func: String,
    #[prost(int64, tag = "3")]
    pub(crate) start_ms: i64,
    #[prost(int64, tag = "4")]
    pub(crate) end_ms: i64,
    #[prost(string, repeated, tag = "5")]
    pub(crate) grouping: Vec<String>,
    #[prost(bool, tag = "6")]
    pub(crate) by: bool,
    #[prost(int64, tag = "7")]
    pub(crate) range_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

/// Labels as they are sent: sorted by name.
pub(crate) fn labels_to_proto(labels: &model::Labels) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect()
}
