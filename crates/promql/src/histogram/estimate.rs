//! Quantiles, fractions and variances of native histograms, interpolated inside buckets: exponentially in
//! exponential schemas, linearly in custom buckets and around zero.

use super::{Bucket, all_buckets};
use model::FloatHistogram;

/// What NaN observations did to a quantile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantileNote {
    ResultIsNan,
    Skewed,
}

/// The zero bucket reaches only to where observations are known to lie.
fn narrow_zero_bucket(histogram: &FloatHistogram, bucket: &mut Bucket) {
    if histogram.negative_buckets.is_empty() && !histogram.positive_buckets.is_empty() {
        bucket.lower = 0.0;
    } else if histogram.positive_buckets.is_empty() && !histogram.negative_buckets.is_empty() {
        bucket.upper = 0.0;
    }
}

/// The quantile `q`, NaN for an empty histogram.
pub fn quantile(q: f64, histogram: &FloatHistogram) -> (f64, Option<QuantileNote>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if histogram.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    let has_nan = histogram.sum.is_nan();
    // NaN observations are counted but lie in no bucket: then only the way up from the bottom is right.
    let forward = has_nan || q < 0.5;
    let mut rank = if forward { q * histogram.count } else { (1.0 - q) * histogram.count };
    let mut buckets = all_buckets(histogram);
    if !forward {
        buckets.reverse();
    }
    let (mut bucket, mut count) = (Bucket { lower: 0.0, upper: 0.0, count: 0.0 }, 0.0);
    for next in buckets {
        bucket = next;
        count += bucket.count;
        if count >= rank {
            break;
        }
    }
    if histogram.uses_custom_buckets() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return (bucket.upper, None);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return (bucket.lower, None);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        narrow_zero_bucket(histogram, &mut bucket);
    }
    count = count.min(histogram.count);
    if count < rank {
        if has_nan {
            return (f64::NAN, Some(QuantileNote::ResultIsNan));
        }
        return (if forward { bucket.upper } else { bucket.lower }, None);
    }
    let note = has_nan.then_some(QuantileNote::Skewed);
    rank = if forward { rank - (count - bucket.count) } else { count - rank };
    let fraction = rank / bucket.count;
    if histogram.uses_custom_buckets() || bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        return (bucket.lower + (bucket.upper - bucket.lower) * fraction, note);
    }
    let (low, high) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    let value = if bucket.lower > 0.0 {
        (low + (high - low) * fraction).exp2()
    } else {
        -(high + (low - high) * (1.0 - fraction)).exp2()
    };
    (value, note)
}

/// The fraction of observations between `lower` and `upper`.
pub fn fraction(lower: f64, upper: f64, histogram: &FloatHistogram) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let custom = histogram.uses_custom_buckets();
    let buckets = all_buckets(histogram);
    let total = if histogram.sum.is_nan() { buckets.iter().map(|b| b.count).sum() } else { histogram.count };
    let rank_of = |value: f64| -> f64 {
        let mut rank = 0.0;
        for mut bucket in buckets.iter().copied() {
            let zero = !custom && bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if zero {
                narrow_zero_bucket(histogram, &mut bucket);
            }
            if custom && bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
                bucket.lower = 0.0;
            }
            if bucket.lower >= value {
                return rank;
            }
            if bucket.upper > value {
                // Nobody knows how low the first bucket reaches: it lies below the value as a whole.
                if bucket.lower == f64::NEG_INFINITY {
                    return if bucket.upper == f64::INFINITY { rank } else { rank + bucket.count };
                }
                if bucket.upper == f64::INFINITY {
                    return rank;
                }
                let inside = if custom || zero {
                    (value - bucket.lower) / (bucket.upper - bucket.lower)
                } else {
                    let (low, high) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
                    let at = value.abs().log2();
                    if value > 0.0 { (at - low) / (high - low) } else { 1.0 - (at - high) / (low - high) }
                };
                return rank + bucket.count * inside;
            }
            rank += bucket.count;
        }
        total
    };
    (rank_of(upper).min(total) - rank_of(lower).min(total)) / histogram.count
}

/// Variance of the observations, each taken to lie in the middle of its bucket.
pub fn variance(histogram: &FloatHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let (mut sum, mut compensation) = (0.0, 0.0);
    for bucket in all_buckets(histogram) {
        let middle = if histogram.uses_custom_buckets() {
            if bucket.upper == f64::INFINITY && bucket.lower == f64::NEG_INFINITY {
                0.0
            } else if bucket.upper == f64::INFINITY {
                bucket.lower
            } else if bucket.lower == f64::NEG_INFINITY {
                bucket.upper
            } else {
                (bucket.lower + bucket.upper) / 2.0
            }
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            let middle = (bucket.lower * bucket.upper).sqrt();
            if bucket.upper < 0.0 { -middle } else { middle }
        };
        let delta = middle - mean;
        crate::numbers::kahan_add(bucket.count * delta * delta, &mut sum, &mut compensation);
    }
    (sum + compensation) / histogram.count
}
