//! When a result counts as the expected one.

use model::{FloatHistogram, SampleValue, stale::is_stale_nan};

const EPSILON: f64 = 1e-6;
/// Smallest normal float.
const MIN_NORMAL: f64 = f64::MIN_POSITIVE;

/// Equal up to a relative error of one in a million.
pub fn same_float(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (difference, size) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || size < MIN_NORMAL {
        return difference < EPSILON * MIN_NORMAL;
    }
    difference / size.min(f64::MAX) < EPSILON
}

/// Equal in shape, populations as [`same_float`] has it.
pub fn same_histogram(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    promql::histogram::equal_by(a, b, same_float)
}

/// `hinted`: the expectation names a counter reset hint.
pub(crate) fn same_value(got: &SampleValue, expected: &SampleValue, hinted: bool) -> bool {
    match (got, expected) {
        (SampleValue::Float(a), SampleValue::Float(b)) => same_float(*a, *b),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => {
            same_histogram(a, b) && (!hinted || a.counter_reset_hint == b.counter_reset_hint)
        }
        _ => false,
    }
}
