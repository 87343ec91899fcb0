//! Native histograms with float counts. Source: Prometheus' native histogram specification.

/// The schema of histograms whose bounds are given one by one (NHCB).
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// What is known about a counter reset before this sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterResetHint {
    #[default]
    Unknown,
    Reset,
    NotReset,
    /// The histogram is a gauge: resets have no meaning.
    Gauge,
}

/// A run of buckets: `offset` empty buckets after the previous span (for the first span: the index
/// of its first bucket), then `length` buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub offset: i32,
    pub length: u32,
}

/// A native histogram with absolute float bucket counts.
///
/// Schemas -4…8 are exponential: bucket `i` covers `(2^((i-1)/2^s), 2^(i/2^s)]`.
/// Schema -53 has its upper bounds in `custom_values` (ascending, without +Inf) and no negative buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatHistogram {
    pub counter_reset_hint: CounterResetHint,
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive_spans: Vec<Span>,
    pub positive_buckets: Vec<f64>,
    pub negative_spans: Vec<Span>,
    pub negative_buckets: Vec<f64>,
    pub custom_values: Vec<f64>,
}

impl FloatHistogram {
    /// A histogram whose sum is the staleness marker: the end of a histogram series.
    pub fn is_stale(&self) -> bool {
        crate::stale::is_stale_nan(self.sum)
    }

    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }
}
