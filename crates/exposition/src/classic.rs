//! Classic histograms as native ones with custom buckets (NHCB).

use model::FloatHistogram;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};

/// The native histogram of classic buckets: upper bounds with the observations up to them, in any order, `+Inf` among
/// them or not. `None`: what they say cannot be, as it happens where a target counts while it answers.
///
/// Without `count` it is that of the last bucket; without `sum` it is 0.
pub fn to_custom_buckets(
    buckets: &mut [(f64, f64)],
    count: Option<f64>,
    sum: Option<f64>,
    gauge: bool,
) -> Option<FloatHistogram> {
    buckets.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let last = buckets.last().copied();
    let count = count.or(last.map(|(_, count)| count))?;
    let infinite = last.is_some_and(|(bound, _)| bound == f64::INFINITY);
    let length = buckets.len() + usize::from(!infinite);
    let mut counts = Vec::with_capacity(length);
    let mut custom_values = Vec::with_capacity(length);
    let mut below = 0.0;
    let mut bound_before = f64::NEG_INFINITY;
    for (bound, up_to) in buckets.iter().copied().chain((!infinite).then_some((f64::INFINITY, count))) {
        // Also not a NaN.
        if !(bound > bound_before && up_to >= below) {
            return None;
        }
        counts.push(up_to - below);
        if bound < f64::INFINITY {
            custom_values.push(bound);
        }
        (bound_before, below) = (bound, up_to);
    }
    if below != count {
        return None;
    }
    Some(FloatHistogram {
        counter_reset_hint: if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
        schema: CUSTOM_BUCKETS_SCHEMA,
        count,
        sum: sum.unwrap_or(0.0),
        positive_spans: vec![Span { offset: 0, length: u32::try_from(counts.len()).ok()? }],
        positive_buckets: counts,
        custom_values,
        ..FloatHistogram::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    #[test]
    fn conversions() {
        type Case<'a> = (&'a [(f64, f64)], Option<f64>, Option<(&'a [f64], &'a [f64])>);
        #[rustfmt::skip]
        let cases: [Case<'_>; 10] = [
            (&[(0.5, 2.0), (1.0, 5.0), (INF, 6.0)], Some(6.0), Some((&[0.5, 1.0], &[2.0, 3.0, 1.0]))),
            (&[(INF, 6.0), (1.0, 5.0), (0.5, 2.0)], None, Some((&[0.5, 1.0], &[2.0, 3.0, 1.0]))),
            (&[(0.5, 2.0)], Some(7.0), Some((&[0.5], &[2.0, 5.0]))),
            (&[(0.5, 2.0)], None, Some((&[0.5], &[2.0, 0.0]))),
            (&[], Some(3.0), Some((&[], &[3.0]))),
            (&[], None, None),
            (&[(0.5, 3.0), (1.0, 2.0)], Some(3.0), None),
            (&[(0.5, 2.0), (0.5, 2.0)], Some(3.0), None),
            (&[(0.5, 2.0), (INF, 4.0)], Some(3.0), None),
            (&[(f64::NAN, 2.0)], Some(3.0), None),
        ];
        for (buckets, count, expected) in cases {
            let got = to_custom_buckets(&mut buckets.to_vec(), count, Some(1.5), false);
            let shown = got.as_ref().map(|own| (&own.custom_values[..], &own.positive_buckets[..]));
            assert_eq!(shown, expected, "{buckets:?} {count:?}");
            assert!(got.is_none_or(|own| own.sum == 1.5 && own.schema == CUSTOM_BUCKETS_SCHEMA));
        }
    }
}
