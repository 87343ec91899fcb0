//! Adding native histograms up. Source: Prometheus' description of native histograms: bucket `i` of schema `s` ends at
//! `2^(i × 2^-s)`, and two buckets become one of the next coarser schema.

use model::{
    FloatHistogram,
    histogram::{CounterResetHint, Span},
};
use std::collections::BTreeMap;

/// Buckets by their indexes.
pub(crate) fn buckets(spans: &[Span], counts: &[f64]) -> BTreeMap<i64, f64> {
    let mut found = BTreeMap::new();
    let (mut index, mut counts) = (0_i64, counts.iter());
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            found.insert(index, *count);
            index += 1;
        }
    }
    found
}

/// Adds buckets to others.
fn add_buckets(spans: &mut Vec<Span>, counts: &mut Vec<f64>, more_spans: &[Span], more: &[f64]) {
    if *spans == more_spans && counts.len() == more.len() {
        counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        return;
    }
    let mut all = buckets(spans, counts);
    for (index, count) in buckets(more_spans, more) {
        *all.entry(index).or_insert(0.0) += count;
    }
    put_buckets(all, spans, counts);
}

/// The reverse of [`buckets`].
fn put_buckets(all: BTreeMap<i64, f64>, spans: &mut Vec<Span>, counts: &mut Vec<f64>) {
    spans.clear();
    counts.clear();
    let mut end = 0;
    for (index, count) in all {
        counts.push(count);
        match spans.last_mut() {
            Some(span) if index == end => span.length += 1,
            _ => spans.push(Span { offset: i32::try_from(index - end).unwrap_or(i32::MAX), length: 1 }),
        }
        end = index + 1;
    }
}

/// Adds a histogram to the sum of others; false if their buckets do not fit together.
pub(crate) fn add(sum: &mut FloatHistogram, more: &FloatHistogram) -> bool {
    if sum.schema != more.schema
        || sum.zero_threshold.to_bits() != more.zero_threshold.to_bits()
        || sum.custom_values != more.custom_values
    {
        return false;
    }
    if sum.counter_reset_hint != more.counter_reset_hint {
        sum.counter_reset_hint = CounterResetHint::Unknown;
    }
    sum.zero_count += more.zero_count;
    sum.count += more.count;
    sum.sum += more.sum;
    add_buckets(&mut sum.positive_spans, &mut sum.positive_buckets, &more.positive_spans, &more.positive_buckets);
    add_buckets(&mut sum.negative_spans, &mut sum.negative_buckets, &more.negative_spans, &more.negative_buckets);
    true
}

/// Adds a histogram to the sum of others, coarser ones as the finer has to become; false, with `sum` as it was, if one of
/// them has custom buckets and the other has not the same ones.
pub(crate) fn add_any(sum: &mut FloatHistogram, more: &FloatHistogram) -> bool {
    if sum.uses_custom_buckets() || more.uses_custom_buckets() {
        return add(sum, more);
    }
    let mut more = more.clone();
    let schema = sum.schema.min(more.schema);
    for own in [&mut *sum, &mut more] {
        coarsen(own, schema);
    }
    if sum.zero_threshold.to_bits() != more.zero_threshold.to_bits() {
        let mut threshold = sum.zero_threshold.max(more.zero_threshold);
        // A bucket that reaches over the end makes it longer, and that may cut one of the other.
        while let Some(longer) = [&*sum, &more].into_iter().filter_map(|own| cut_at(own, threshold)).reduce(f64::max) {
            threshold = longer;
        }
        for own in [&mut *sum, &mut more] {
            widen_zero(own, threshold);
        }
    }
    add(sum, &more)
}

/// Upper bound of a bucket, away from zero.
fn bound(schema: i32, index: i64) -> f64 {
    (index as f64 * f64::from(-schema).exp2()).exp2()
}

fn coarsen(histogram: &mut FloatHistogram, schema: i32) {
    // Schemas go from -4 to 8.
    let steps = histogram.schema.saturating_sub(schema).clamp(0, 12);
    if steps == 0 {
        return;
    }
    histogram.schema = schema;
    for (spans, counts) in [
        (&mut histogram.positive_spans, &mut histogram.positive_buckets),
        (&mut histogram.negative_spans, &mut histogram.negative_buckets),
    ] {
        let mut all = BTreeMap::new();
        for (index, count) in buckets(spans, counts) {
            *all.entry(((index - 1) >> steps) + 1).or_insert(0.0) += count;
        }
        put_buckets(all, spans, counts);
    }
}

/// Upper bound of the bucket that a zero bucket of this width would cut in two, if it has observations.
fn cut_at(histogram: &FloatHistogram, threshold: f64) -> Option<f64> {
    let sides = [
        (&histogram.positive_spans, &histogram.positive_buckets),
        (&histogram.negative_spans, &histogram.negative_buckets),
    ];
    sides.into_iter().find_map(|(spans, counts)| {
        buckets(spans, counts).into_iter().find_map(|(index, count)| {
            let (from, to) = (bound(histogram.schema, index - 1), bound(histogram.schema, index));
            (count != 0.0 && from < threshold && threshold < to).then_some(to)
        })
    })
}

/// Observations that are no farther from zero than this become those of the zero bucket.
fn widen_zero(histogram: &mut FloatHistogram, threshold: f64) {
    let schema = histogram.schema;
    let mut inside = 0.0;
    for (spans, counts) in [
        (&mut histogram.positive_spans, &mut histogram.positive_buckets),
        (&mut histogram.negative_spans, &mut histogram.negative_buckets),
    ] {
        let mut all = buckets(spans, counts);
        all.retain(|index, count| {
            // Empty buckets that are cut go as well.
            let stays = bound(schema, *index - 1) >= threshold;
            inside += if stays { 0.0 } else { *count };
            stays
        });
        put_buckets(all, spans, counts);
    }
    histogram.zero_count += inside;
    histogram.zero_threshold = threshold;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i32, threshold: f64, zero: f64, first: i32, counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema,
            zero_threshold: threshold,
            zero_count: zero,
            count: zero + counts.iter().sum::<f64>(),
            sum: 1.0,
            positive_spans: vec![Span { offset: first, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..FloatHistogram::default()
        }
    }

    fn told(own: &FloatHistogram) -> String {
        let buckets = buckets(&own.positive_spans, &own.positive_buckets);
        format!("{} {} zero {}<={} {buckets:?}", own.schema, own.count, own.zero_count, own.zero_threshold)
    }

    #[test]
    fn sums() {
        let cases = [
            // Equal ones; others of the same schema.
            ((1, 0.0, 1.0, 1, &[1.0, 2.0][..]), (1, 0.0, 1.0, 1, &[1.0, 2.0][..]), "1 8 zero 2<=0 {1: 2.0, 2: 4.0}"),
            ((1, 0.0, 0.0, 1, &[1.0]), (1, 0.0, 0.0, 5, &[3.0]), "1 4 zero 0<=0 {1: 1.0, 5: 3.0}"),
            // The coarser schema counts: two buckets of schema 1 are one of schema 0.
            ((1, 0.0, 0.0, 1, &[1.0, 2.0, 4.0]), (0, 0.0, 0.0, 1, &[8.0]), "0 15 zero 0<=0 {1: 11.0, 2: 4.0}"),
            ((-1, 0.0, 0.0, 0, &[1.0]), (2, 0.0, 0.0, -3, &[1.0, 1.0]), "-1 3 zero 0<=0 {0: 3.0}"),
            // The wider zero bucket takes (0.5, 1] in; one that it cuts makes it wider still.
            ((0, 1.0, 1.0, 1, &[5.0]), (0, 0.5, 1.0, 0, &[2.0, 3.0]), "0 12 zero 4<=1 {1: 8.0}"),
            ((0, 0.75, 1.0, 2, &[5.0]), (0, 0.0, 0.0, 0, &[2.0, 3.0]), "0 11 zero 3<=1 {1: 3.0, 2: 5.0}"),
        ];
        for ((s, t, z, f, c), (s2, t2, z2, f2, c2), expected) in cases {
            for (a, b) in [
                (histogram(s, t, z, f, c), histogram(s2, t2, z2, f2, c2)),
                (histogram(s2, t2, z2, f2, c2), histogram(s, t, z, f, c)),
            ] {
                let mut sum = a;
                assert!(add_any(&mut sum, &b));
                assert_eq!(told(&sum), expected);
                assert_eq!(sum.count, sum.zero_count + sum.positive_buckets.iter().sum::<f64>());
            }
        }
    }

    #[test]
    fn custom_buckets_fit_their_like_alone() {
        let custom = |bound: f64| FloatHistogram {
            custom_values: vec![bound],
            ..histogram(model::histogram::CUSTOM_BUCKETS_SCHEMA, 0.0, 0.0, 0, &[1.0])
        };
        let mut sum = custom(1.0);
        assert!(add_any(&mut sum, &custom(1.0)));
        let before = sum.clone();
        assert!(!add_any(&mut sum, &custom(2.0)) && !add_any(&mut sum, &histogram(1, 0.0, 0.0, 1, &[1.0])));
        assert_eq!(sum, before);
    }
}
