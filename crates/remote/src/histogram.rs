//! Native histograms between their two forms.

use crate::proto::{BucketSpan, Count, Histogram, ResetHint, ZeroCount};
use model::{
    FloatHistogram,
    histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span},
};

/// Coarsest schema, and the finest number that the format keeps for exponential ones (8 is the finest that clients send).
const EXPONENTIAL_SCHEMA_MIN: i32 = -4;
const RESERVED_SCHEMA_MAX: i32 = 52;
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
        start_timestamp: 0,
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

/// Whether a histogram that was received can be one at all: what is wrong here would be wrong in every answer. Prometheus
/// refuses the same.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(message: &Histogram, histogram: &FloatHistogram) -> Result<(), String> {
    let sides = [
        ("positive", &histogram.positive_spans, &histogram.positive_buckets),
        ("negative", &histogram.negative_spans, &histogram.negative_buckets),
    ];
    for (side, spans, buckets) in sides {
        if let Some(span) = spans.iter().skip(1).find(|span| span.offset < 0) {
            return Err(format!("a {side} span of a histogram goes back by {}", -i64::from(span.offset)));
        }
        if let Some((at, count)) = buckets.iter().enumerate().find(|(_, count)| **count < 0.0) {
            return Err(format!("{side} bucket {} of a histogram has {count} observations", at + 1));
        }
    }
    if histogram.count < 0.0 || histogram.zero_count < 0.0 {
        return Err(format!(
            "a histogram has {} observations, {} of them in the zero bucket",
            histogram.count, histogram.zero_count
        ));
    }
    if histogram.uses_custom_buckets() {
        custom_bounds(histogram)?;
    } else if !(EXPONENTIAL_SCHEMA_MIN..=RESERVED_SCHEMA_MAX).contains(&histogram.schema) {
        return Err(format!(
            "a histogram has the schema {}, which is neither one of {EXPONENTIAL_SCHEMA_MIN} to {RESERVED_SCHEMA_MAX} nor {CUSTOM_BUCKETS_SCHEMA}",
            histogram.schema
        ));
    } else if !histogram.custom_values.is_empty() {
        return Err(format!("a histogram of schema {} has custom bounds", histogram.schema));
    }
    // Sums of floats are not exact enough to be held against the count.
    if let Some(Count::Int(count)) = message.count {
        let buckets = histogram.positive_buckets.iter().chain(&histogram.negative_buckets);
        let sum: u128 = buckets.chain([&histogram.zero_count]).map(|count| *count as u128).sum();
        let count = u128::from(count);
        // NaN is counted, but in no bucket.
        if sum > count || (sum != count && !histogram.sum.is_nan()) {
            return Err(format!("a histogram has {sum} observations in its buckets and says that they are {count}"));
        }
    }
    Ok(())
}

fn custom_bounds(histogram: &FloatHistogram) -> Result<(), String> {
    let bounds = &histogram.custom_values;
    if let Some(bound) = bounds.iter().find(|bound| !bound.is_finite()) {
        return Err(format!("a custom bound of a histogram is {bound}; they are finite, +Inf is understood"));
    }
    if let Some(pair) = bounds.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!("the custom bounds of a histogram do not ascend: {} before {}", pair[0], pair[1]));
    }
    // Up to the bucket that ends at +Inf.
    let end: i64 = histogram.positive_spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
    if histogram.positive_spans.first().is_some_and(|span| span.offset < 0) || end > bounds.len() as i64 + 1 {
        return Err(format!("the buckets of a histogram go up to {end}, with {} custom bounds", bounds.len()));
    }
    let negative = !histogram.negative_spans.is_empty() || !histogram.negative_buckets.is_empty();
    if negative || histogram.zero_count != 0.0 || histogram.zero_threshold != 0.0 {
        return Err("a histogram with custom bounds has negative buckets or a zero bucket".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A histogram of integers, changed.
    fn judged(change: impl FnOnce(&mut Histogram)) -> Result<(), String> {
        let mut message = Histogram {
            count: Some(Count::Int(6)),
            sum: 12.5,
            zero_count: Some(ZeroCount::Int(1)),
            positive_spans: vec![BucketSpan { offset: -2, length: 1 }, BucketSpan { offset: 1, length: 1 }],
            positive_deltas: vec![2, 1],
            ..Histogram::default()
        };
        change(&mut message);
        check(&message, &from_proto(&message)?)
    }

    fn custom(message: &mut Histogram, bounds: &[f64]) {
        message.schema = CUSTOM_BUCKETS_SCHEMA;
        message.zero_count = None;
        message.count = Some(Count::Int(5));
        message.positive_spans = vec![BucketSpan { offset: 0, length: 2 }];
        message.custom_values = bounds.to_vec();
    }

    #[test]
    fn histograms_that_are_none_are_refused() {
        type Change = fn(&mut Histogram);
        let good: [(&str, Change); 6] = [
            ("as it is", |_| {}),
            ("NaN is in no bucket", |h| (h.count, h.sum) = (Some(Count::Int(9)), f64::NAN)),
            ("floats need not add up", |h| h.count = Some(Count::Float(7.0))),
            ("custom bounds", |h| custom(h, &[0.5, 10.0])),
            ("the last bucket ends at +Inf", |h| custom(h, &[0.5])),
            ("the end of a series", |h| {
                *h = Histogram { sum: model::stale::STALE_NAN, ..Histogram::default() };
            }),
        ];
        for (what, change) in good {
            assert_eq!(judged(change), Ok(()), "{what}");
        }
        let bad: [(&str, Change); 12] = [
            ("6 observations in its buckets and says that they are 3", |h| h.count = Some(Count::Int(3))),
            ("6 observations in its buckets and says that they are 7", |h| h.count = Some(Count::Int(7))),
            ("says that they are 5", |h| (h.count, h.sum) = (Some(Count::Int(5)), f64::NAN)),
            ("bucket 2 of a histogram has -1 observations", |h| h.positive_deltas = vec![2, -3]),
            ("goes back by 1", |h| h.positive_spans[1].offset = -1),
            ("the schema -5", |h| h.schema = -5),
            ("the schema 53", |h| h.schema = 53),
            ("of schema 0 has custom bounds", |h| h.custom_values = vec![1.0]),
            ("10 before 0.5", |h| custom(h, &[10.0, 0.5])),
            ("is inf", |h| custom(h, &[0.5, f64::INFINITY])),
            ("go up to 2, with 0 custom bounds", |h| custom(h, &[])),
            ("a zero bucket", |h| {
                custom(h, &[0.5, 10.0]);
                h.zero_count = Some(ZeroCount::Int(1));
            }),
        ];
        for (what, change) in bad {
            let reason = judged(change).unwrap_err();
            assert!(reason.contains(what), "{what:?} is not in {reason:?}");
        }
    }
}
