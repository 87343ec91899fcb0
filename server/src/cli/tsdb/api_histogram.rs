//! Native histograms out of answers of the HTTP API, which give bounds and counts of the buckets that are not empty, and
//! not the schema: it is the one whose bounds these are, to the last bit. Where none fits they are custom buckets. What an
//! answer does not tell is lost: the threshold of an empty zero bucket, and empty buckets.

use anyhow::{Context, Result, ensure};
use model::{
    FloatHistogram,
    float::parse_float,
    histogram::{CUSTOM_BUCKETS_SCHEMA, Span},
};
use promql::histogram::upper_bound;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where nothing is in the zero bucket: 2^-128, which the client libraries take.
const ZERO_THRESHOLD: f64 = 1.0 / (1_u128 << 64) as f64 / (1_u128 << 64) as f64;
/// The bucket that ends with the largest float begins a power of two that floats do not reach.
const EXPONENT_MAX: i32 = 1024;

struct Bucket {
    lower: f64,
    upper: f64,
    count: f64,
}

/// Reads `{"count":"…","sum":"…","buckets":[[boundaries,"lower","upper","count"],…]}`. `schema`: that of a histogram
/// without any bucket to tell it by.
pub(super) fn read(value: &Value, schema: i32) -> Result<FloatHistogram> {
    let number = |value: &Value| value.as_str().and_then(parse_float).with_context(|| format!("{value} is no number"));
    let mut buckets = Vec::new();
    for bucket in value["buckets"].as_array().into_iter().flatten() {
        let (lower, upper, count) = (number(&bucket[1])?, number(&bucket[2])?, number(&bucket[3])?);
        ensure!(lower <= upper, "bucket {bucket} ends before it begins");
        buckets.push(Bucket { lower, upper, count });
    }
    let mut histogram = FloatHistogram {
        count: number(&value["count"])?,
        sum: number(&value["sum"])?,
        schema,
        zero_threshold: ZERO_THRESHOLD,
        ..FloatHistogram::default()
    };
    if buckets.is_empty() {
        histogram.schema = if schema == CUSTOM_BUCKETS_SCHEMA { 0 } else { schema };
        return Ok(histogram);
    }
    match (-4..=8).find_map(|schema| exponential(&buckets, schema)) {
        Some((schema, zero, [negative, positive])) => {
            histogram.schema = schema;
            if let Some((threshold, count)) = zero {
                (histogram.zero_threshold, histogram.zero_count) = (threshold, count);
            }
            (histogram.negative_spans, histogram.negative_buckets) = spans(&negative);
            (histogram.positive_spans, histogram.positive_buckets) = spans(&positive);
        }
        None => custom(&buckets, &mut histogram)?,
    }
    Ok(histogram)
}

/// Counts by the index of their bucket.
type Counts = BTreeMap<i32, f64>;

/// Schema, zero bucket (threshold and count), negative and positive buckets, if all bounds are those of the schema.
#[expect(clippy::type_complexity, reason = "taken apart at once")]
fn exponential(buckets: &[Bucket], schema: i32) -> Option<(i32, Option<(f64, f64)>, [Counts; 2])> {
    // The zero bucket is as far to the left as to the right.
    let zero = buckets.iter().find(|bucket| bucket.lower == -bucket.upper).map(|bucket| (bucket.upper, bucket.count));
    let mut sides = [Counts::new(), Counts::new()];
    for bucket in buckets.iter().filter(|bucket| bucket.lower != -bucket.upper) {
        let (side, near, far) =
            if bucket.upper <= 0.0 { (0, -bucket.upper, -bucket.lower) } else { (1, bucket.lower, bucket.upper) };
        let index = index(far, schema)?;
        // A wide zero bucket cuts the one beside it.
        let fits = near == upper_bound(index - 1, schema)
            || zero.is_some_and(|(threshold, _)| near == threshold && near > upper_bound(index - 1, schema));
        if !fits || sides[side].insert(index, bucket.count).is_some() {
            return None;
        }
    }
    Some((schema, zero, sides))
}

/// The bucket that ends with this bound.
fn index(bound: f64, schema: i32) -> Option<i32> {
    let last = if schema < 0 { EXPONENT_MAX >> -schema } else { EXPONENT_MAX << schema };
    if bound == f64::INFINITY {
        return Some(last + 1);
    }
    if bound == f64::MAX {
        return Some(last);
    }
    let near = (bound.log2() * f64::from(schema).exp2()).round();
    let near = if near.is_finite() { near as i32 } else { return None };
    (near - 1..=near + 1).find(|index| upper_bound(*index, schema) == bound)
}

fn spans(counts: &Counts) -> (Vec<Span>, Vec<f64>) {
    let (mut spans, mut next) = (Vec::<Span>::new(), 0);
    for &index in counts.keys() {
        match spans.last_mut() {
            Some(last) if index == next => last.length += 1,
            _ => spans.push(Span { offset: index - next, length: 1 }),
        }
        next = index + 1;
    }
    (spans, counts.values().copied().collect())
}

/// Bounds that are told are those of the histogram; where buckets do not touch, an empty one is between them.
fn custom(buckets: &[Bucket], histogram: &mut FloatHistogram) -> Result<()> {
    let mut end = f64::NEG_INFINITY;
    let (mut bounds, mut counts) = (Vec::new(), Vec::new());
    for bucket in buckets {
        ensure!(bucket.lower >= end, "the buckets are not ascending");
        if bucket.lower > end {
            bounds.push(bucket.lower);
            counts.push(0.0);
        }
        counts.push(bucket.count);
        if bucket.upper < f64::INFINITY {
            bounds.push(bucket.upper);
        }
        end = bucket.upper;
    }
    counts.resize(bounds.len() + 1, 0.0);
    histogram.schema = CUSTOM_BUCKETS_SCHEMA;
    histogram.zero_threshold = 0.0;
    histogram.custom_values = bounds;
    histogram.positive_spans = vec![Span { offset: 0, length: u32::try_from(counts.len())? }];
    histogram.positive_buckets = counts;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use exposition::native::{parse_histogram, write_histogram};
    use serde_json::json;

    /// As an answer of the API, with every bound in full.
    fn answered(histogram: &FloatHistogram) -> Value {
        let buckets = promql::histogram::all_buckets(histogram).into_iter().filter(|bucket| bucket.count != 0.0);
        let buckets: Vec<Value> = buckets
            .map(|own| json!([0, own.lower.to_string(), own.upper.to_string(), own.count.to_string()]))
            .collect();
        json!({"count": histogram.count.to_string(), "sum": histogram.sum.to_string(), "buckets": buckets})
    }

    /// Histograms that come back as they were.
    #[rustfmt::skip]
    const SAME: &[&str] = &[
        "{count:6,sum:18.4,schema:0,zero_threshold:0.001,zero_count:2,negative_spans:[-2:1],negative_buckets:[1],positive_spans:[0:2,3:1],positive_buckets:[1,1,1]}",
        "{count:3,sum:-1.5,schema:8,zero_threshold:1e-09,zero_count:1,negative_spans:[-2000:1],negative_buckets:[1],positive_spans:[1234:2],positive_buckets:[1,0.25]}",
        "{count:3,sum:+Inf,schema:3,zero_threshold:0.5,zero_count:1,positive_spans:[-7:1,8198:2],positive_buckets:[1,2,1]}",
        "{count:2,sum:7,schema:-4,zero_threshold:1,zero_count:1,positive_spans:[1:1,62:2],positive_buckets:[1,1,1]}",
        "{count:14,sum:9,bucket:[0.3:2,0.7:9,+Inf:14]}",
    ];

    #[test]
    fn bounds_tell_the_schema() {
        for text in SAME {
            let histogram = parse_histogram(text).unwrap();
            let mut found = String::new();
            write_histogram(&read(&answered(&histogram), 5).unwrap(), &mut found);
            assert_eq!(found, *text);
        }
        // Empty buckets between are all that is left of the bounds in them.
        let gaps = parse_histogram("{count:5,sum:9,bucket:[0.3:0,0.7:0,0.8:5,0.9:5,+Inf:5]}").unwrap();
        let found = read(&answered(&gaps), 5).unwrap();
        assert_eq!((found.custom_values, found.positive_buckets), (vec![0.7, 0.8], vec![0.0, 5.0, 0.0]));
        let empty = read(&json!({"count": "0", "sum": "0"}), 5).unwrap();
        assert_eq!((empty.schema, empty.zero_threshold), (5, 2f64.powi(-128)));
        for bad in [
            json!({}),
            json!({"count": "1", "sum": "x"}),
            json!({"count": "1", "sum": "1", "buckets": [[0, "2", "1", "1"]]}),
        ] {
            assert!(read(&bad, 0).is_err(), "{bad}");
        }
    }
}
