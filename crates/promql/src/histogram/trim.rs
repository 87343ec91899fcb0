//! `</` and `>/`: the part of a native histogram below or above a bound, interpolated inside the bucket that holds it.

use super::{buckets::Sparse, negative, positive, set_negative, set_positive, upper_bound};
use model::FloatHistogram;

/// What lies at or below `bound`. The sum is estimated anew from the middles of the buckets that are left, unless
/// nothing was cut off.
pub fn trim_above(histogram: &FloatHistogram, bound: f64) -> FloatHistogram {
    trim(histogram, bound, true)
}

/// What lies above `bound`.
pub fn trim_below(histogram: &FloatHistogram, bound: f64) -> FloatHistogram {
    trim(histogram, bound, false)
}

/// How the inside of a bucket is taken to be filled.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Linear,
    Exponential,
}

struct Cut {
    bound: f64,
    keep_low: bool,
    changed: bool,
    count: f64,
    sum: f64,
}

impl Cut {
    /// The population of a bucket that stays.
    fn bucket(&mut self, lower: f64, upper: f64, population: f64, shape: Shape) -> f64 {
        if population == 0.0 {
            return 0.0;
        }
        let (mut low, mut high) = (lower, upper);
        let kept = if self.keep_low && upper <= self.bound || !self.keep_low && lower >= self.bound {
            population
        } else if self.keep_low && lower >= self.bound || !self.keep_low && upper <= self.bound {
            0.0
        } else if self.bound.is_infinite() {
            population
        } else if lower == f64::NEG_INFINITY {
            // Nobody knows how low the first bucket reaches: it lies below the bound as a whole.
            if self.keep_low && upper != f64::INFINITY {
                high = self.bound;
                population
            } else {
                0.0
            }
        } else if upper == f64::INFINITY {
            if self.keep_low {
                0.0
            } else {
                low = self.bound;
                population
            }
        } else {
            let below = match shape {
                Shape::Linear => (self.bound - lower) / (upper - lower),
                Shape::Exponential => {
                    let (from, to) = (lower.abs().log2(), upper.abs().log2());
                    (self.bound.abs().log2() - from) / (to - from)
                }
            };
            if self.keep_low {
                high = self.bound;
                population * below
            } else {
                low = self.bound;
                population * (1.0 - below)
            }
        };
        if kept != population || high != upper || low != lower {
            self.changed = true;
        }
        if kept != 0.0 {
            let middle = match (low.is_infinite(), high.is_infinite()) {
                (true, true) => 0.0,
                (true, false) => high,
                (false, true) => low,
                _ if shape == Shape::Linear => (low + high) / 2.0,
                _ => (low * high).sqrt().copysign(high + low),
            };
            self.count += kept;
            self.sum += kept * middle;
        }
        kept
    }
}

fn trim(histogram: &FloatHistogram, bound: f64, keep_low: bool) -> FloatHistogram {
    let mut out = histogram.clone();
    let mut cut = Cut { bound, keep_low, changed: false, count: 0.0, sum: 0.0 };
    if histogram.uses_custom_buckets() {
        let bounds = &histogram.custom_values;
        let at = |index: i32| usize::try_from(index).ok().and_then(|index| bounds.get(index)).copied();
        let kept: Sparse = (positive(histogram).into_iter())
            .map(|(index, population)| {
                let upper = at(index).unwrap_or(f64::INFINITY);
                let mut lower = if index == 0 { f64::NEG_INFINITY } else { at(index - 1).unwrap_or(f64::INFINITY) };
                // A first bucket that ends above zero is taken to start there.
                if index == 0 && upper > 0.0 && upper.is_finite() && (bound >= 0.0 || keep_low) {
                    lower = 0.0;
                }
                (index, cut.bucket(lower, upper, population, Shape::Linear))
            })
            .collect();
        set_positive(&mut out, &kept);
    } else {
        let schema = histogram.schema;
        let bounds = |index: i32| (upper_bound(index - 1, schema), upper_bound(index, schema));
        let kept: Sparse = (negative(histogram).into_iter())
            .map(|(index, population)| {
                let (near, far) = bounds(index);
                (index, cut.bucket(-far, -near, population, Shape::Exponential))
            })
            .collect();
        set_negative(&mut out, &kept);
        let (mut lower, mut upper) = (-histogram.zero_threshold, histogram.zero_threshold);
        match (histogram.negative_buckets.is_empty(), histogram.positive_buckets.is_empty()) {
            (true, false) => lower = 0.0,
            (false, true) => upper = 0.0,
            _ => {}
        }
        out.zero_count = cut.bucket(lower, upper, histogram.zero_count, Shape::Linear);
        let kept: Sparse = (positive(histogram).into_iter())
            .map(|(index, population)| {
                let (near, far) = bounds(index);
                (index, cut.bucket(near, far, population, Shape::Exponential))
            })
            .collect();
        set_positive(&mut out, &kept);
    }
    if cut.changed {
        out.count = cut.count;
        out.sum = cut.sum;
    }
    out
}
