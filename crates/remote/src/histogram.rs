//! Native histograms between their two forms.

use crate::proto::{BucketSpan, Count, Histogram, ResetHint, ZeroCount};
use model::{
    FloatHistogram,
    histogram::{CounterResetHint, Span},
};

/// Buckets of one histogram that a message may bring.
const BUCKETS_MAX: usize = 65_536;

/// As a float histogram, which is what we keep.
pub(crate) fn to_proto(histogram: &FloatHistogram, timestamp_ms: i64) -> Histogram {
    let spans =
        |spans: &[Span]| spans.iter().map(|span| BucketSpan { offset: span.offset, length: span.length }).collect();
    let reset_hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => ResetHint::Unknown,
        CounterResetHint::Reset => ResetHint::Yes,
        CounterResetHint::NotReset => ResetHint::No,
        CounterResetHint::Gauge => ResetHint::Gauge,
    };
    Histogram {
        count: Some(Count::Float(histogram.count)),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: Some(ZeroCount::Float(histogram.zero_count)),
        negative_spans: spans(&histogram.negative_spans),
        negative_deltas: Vec::new(),
        negative_counts: histogram.negative_buckets.clone(),
        positive_spans: spans(&histogram.positive_spans),
        positive_deltas: Vec::new(),
        positive_counts: histogram.positive_buckets.clone(),
        reset_hint: reset_hint as i32,
        timestamp: timestamp_ms,
        custom_values: histogram.custom_values.clone(),
    }
}

/// # Errors
/// Why the histogram is none.
pub(crate) fn from_proto(histogram: &Histogram) -> Result<FloatHistogram, String> {
    let (positive_spans, positive_buckets) =
        side(&histogram.positive_spans, &histogram.positive_deltas, &histogram.positive_counts)?;
    let (negative_spans, negative_buckets) =
        side(&histogram.negative_spans, &histogram.negative_deltas, &histogram.negative_counts)?;
    let counter_reset_hint = match histogram.reset_hint() {
        ResetHint::Unknown => CounterResetHint::Unknown,
        ResetHint::Yes => CounterResetHint::Reset,
        ResetHint::No => CounterResetHint::NotReset,
        ResetHint::Gauge => CounterResetHint::Gauge,
    };
    Ok(FloatHistogram {
        counter_reset_hint,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: match histogram.zero_count {
            Some(ZeroCount::Int(count)) => count as f64,
            Some(ZeroCount::Float(count)) => count,
            None => 0.0,
        },
        count: match histogram.count {
            Some(Count::Int(count)) => count as f64,
            Some(Count::Float(count)) => count,
            None => 0.0,
        },
        sum: histogram.sum,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values: histogram.custom_values.clone(),
    })
}

/// Integer histograms bring the difference of each bucket to the one before, float histograms the counts.
fn side(spans: &[BucketSpan], deltas: &[i64], counts: &[f64]) -> Result<(Vec<Span>, Vec<f64>), String> {
    let expected: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    let buckets: Vec<f64> = if counts.is_empty() {
        let mut count = 0_i64;
        let counts = deltas.iter().map(|delta| {
            count = count.checked_add(*delta)?;
            Some(count as f64)
        });
        counts.collect::<Option<_>>().ok_or("a bucket's count is out of range")?
    } else {
        counts.to_vec()
    };
    if buckets.len() > BUCKETS_MAX || buckets.len() as u64 != expected {
        return Err(format!("the spans of a histogram need {expected} buckets, have {}", buckets.len()));
    }
    Ok((spans.iter().map(|span| Span { offset: span.offset, length: span.length }).collect(), buckets))
}
