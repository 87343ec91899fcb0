//! Sums that lose little, and quantiles of plain values.

use std::cmp::Ordering;

/// Adds to a sum with Neumaier's compensation. The result is `sum + compensation`.
#[inline]
pub fn kahan_add(value: f64, sum: &mut f64, compensation: &mut f64) {
    let total = *sum + value;
    if total.is_infinite() {
        *compensation = 0.0;
    } else if sum.abs() >= value.abs() {
        *compensation += (*sum - total) + value;
    } else {
        *compensation += (value - total) + *sum;
    }
    *sum = total;
}

/// The larger number, as Go has it: NaN if one is NaN, unless the other is +Inf; +0 is above -0.
pub(crate) fn largest(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// The smaller number, likewise.
pub(crate) fn smallest(a: f64, b: f64) -> f64 {
    -largest(-a, -b)
}

/// A sum that is added to one by one, with Neumaier's compensation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    sum: f64,
    compensation: f64,
}

impl Sum {
    #[inline]
    pub fn add(&mut self, value: f64) {
        kahan_add(value, &mut self.sum, &mut self.compensation);
    }

    pub fn value(&self) -> f64 {
        self.sum + self.compensation
    }
}

/// An average of values that come one by one: their sum over their number; from where the sum would overflow, a running
/// mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mean {
    sum: f64,
    compensation: f64,
    mean: f64,
    count: f64,
    running: bool,
}

impl Mean {
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.running {
            let (mut next, mut next_compensation) = (self.sum, self.compensation);
            kahan_add(value, &mut next, &mut next_compensation);
            if self.count == 1.0 || !next.is_infinite() {
                (self.sum, self.compensation) = (next, next_compensation);
                return;
            }
            self.running = true;
            self.mean = self.sum / (self.count - 1.0);
            self.compensation /= self.count - 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        self.mean *= share;
        self.compensation *= share;
        kahan_add(value / self.count, &mut self.mean, &mut self.compensation);
    }

    pub fn value(&self) -> f64 {
        if self.running {
            self.mean + self.compensation
        } else {
            self.sum / self.count + self.compensation / self.count
        }
    }
}

/// The variance of values that come one by one, by Welford's method.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variance {
    count: f64,
    mean: f64,
    mean_compensation: f64,
    square: f64,
    square_compensation: f64,
}

impl Variance {
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - (self.mean + self.mean_compensation);
        kahan_add(delta / self.count, &mut self.mean, &mut self.mean_compensation);
        let product = delta * (value - (self.mean + self.mean_compensation));
        kahan_add(product, &mut self.square, &mut self.square_compensation);
    }

    pub fn value(&self) -> f64 {
        (self.square + self.square_compensation) / self.count
    }
}

/// The quantile `q` of values, whose order is lost; NaN of none, infinite outside 0…1.
pub fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() - 1) as f64;
    let lower = (rank.floor().max(0.0) as usize).min(values.len() - 1);
    let weight = rank - rank.floor();
    // Only two neighbours of the sorted values are needed.
    let (_, low, above) = values.select_nth_unstable_by(lower, by_size);
    let high = above.iter().min_by(|a, b| by_size(a, b)).unwrap_or(low);
    *low * (1.0 - weight) + high * weight
}

/// NaN comes first, as Prometheus has it.
fn by_size(a: &f64, b: &f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.total_cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantiles_lie_between_neighbours_of_the_sorted_values(
            mut values in proptest::collection::vec(prop_oneof![8 => -50.0..50.0, 1 => Just(f64::NAN), 1 => Just(3.0)], 1..40),
            q in 0.0_f64..=1.0,
        ) {
            let mut sorted = values.clone();
            sorted.sort_by(by_size);
            let rank: f64 = q * (sorted.len() - 1) as f64;
            let (lower, weight) = (rank.floor() as usize, rank - rank.floor());
            let upper = (lower + 1).min(sorted.len() - 1);
            let expected = sorted[lower] * (1.0 - weight) + sorted[upper] * weight;
            let found = quantile(q, &mut values);
            prop_assert!(found == expected || found.is_nan() && expected.is_nan(), "{found} instead of {expected}");
        }
    }
}
