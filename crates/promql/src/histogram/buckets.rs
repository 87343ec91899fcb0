//! Spans to lists and back, and buckets with their bounds.

use super::bounds::upper_bound;
use model::{FloatHistogram, histogram::Span};

/// (index, population), ascending by index.
pub(crate) type Sparse = Vec<(i32, f64)>;

/// A bucket with its bounds: `(lower, upper]` above zero, `[lower, upper)` below, both inclusive around zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
}

pub(crate) fn sparse(spans: &[Span], buckets: &[f64]) -> Sparse {
    let mut out = Vec::with_capacity(buckets.len());
    let (mut index, mut values) = (0_i32, buckets.iter());
    for span in spans {
        index = index.saturating_add(span.offset);
        for _ in 0..span.length {
            let Some(&value) = values.next() else { return out };
            if value != 0.0 {
                out.push((index, value));
            }
            index = index.saturating_add(1);
        }
    }
    out
}

pub(crate) fn from_sparse(buckets: &Sparse) -> (Vec<Span>, Vec<f64>) {
    let (mut spans, mut values): (Vec<Span>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut next = 0_i32;
    for &(index, value) in buckets {
        if value == 0.0 {
            continue;
        }
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: index.saturating_sub(if spans.is_empty() { 0 } else { next }), length: 1 }),
        }
        values.push(value);
        next = index.saturating_add(1);
    }
    (spans, values)
}

/// Sorts buckets of schema `from` into those of the coarser schema `to`.
pub(crate) fn reduce(buckets: &Sparse, from: i32, to: i32) -> Sparse {
    if from <= to {
        return buckets.clone();
    }
    let mut out: Sparse = Vec::with_capacity(buckets.len());
    for &(index, value) in buckets {
        let target = (index.saturating_sub(1) >> (from - to).min(31)) + 1;
        match out.last_mut() {
            Some((last, sum)) if *last == target => *sum += value,
            _ => out.push((target, value)),
        }
    }
    out
}

/// All populated buckets from the lowest to the highest, the zero bucket among them if its count is above zero.
pub fn all_buckets(histogram: &FloatHistogram) -> Vec<Bucket> {
    buckets(histogram, histogram.zero_count > 0.0)
}

/// As [`all_buckets`], with the zero bucket or without.
pub(crate) fn buckets(histogram: &FloatHistogram, with_zero: bool) -> Vec<Bucket> {
    let positive = sparse(&histogram.positive_spans, &histogram.positive_buckets);
    if histogram.uses_custom_buckets() {
        let bound =
            |index: i32| usize::try_from(index).ok().and_then(|index| histogram.custom_values.get(index)).copied();
        return (positive.iter())
            .map(|&(index, count)| Bucket {
                lower: if index == 0 { f64::NEG_INFINITY } else { bound(index - 1).unwrap_or(f64::INFINITY) },
                upper: bound(index).unwrap_or(f64::INFINITY),
                count,
            })
            .collect();
    }
    let schema = histogram.schema;
    let negative = sparse(&histogram.negative_spans, &histogram.negative_buckets);
    let mut out: Vec<Bucket> = (negative.iter().rev())
        .map(|&(index, count)| Bucket {
            lower: -upper_bound(index, schema),
            upper: -upper_bound(index - 1, schema),
            count,
        })
        .collect();
    let zero = histogram.zero_threshold;
    // A zero bucket may have been widened into its neighbours: they end where it begins.
    for bucket in &mut out {
        bucket.upper = bucket.upper.min(-zero);
    }
    if with_zero {
        out.push(Bucket { lower: -zero, upper: zero, count: histogram.zero_count });
    }
    out.extend(positive.iter().map(|&(index, count)| Bucket {
        lower: upper_bound(index - 1, schema).max(zero),
        upper: upper_bound(index, schema),
        count,
    }));
    out
}
