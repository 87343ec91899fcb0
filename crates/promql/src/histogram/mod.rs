//! Arithmetic on native histograms.
//!
//! Buckets are taken out of their spans into lists of (index, population), worked on, and put back without the empty
//! ones, which is what Prometheus calls compact.

mod bounds;
mod buckets;
mod estimate;
mod trim;

pub use bounds::upper_bound;
pub(crate) use buckets::buckets;
pub use buckets::{Bucket, all_buckets};
pub use estimate::{QuantileNote, fraction, quantile, variance};
pub use trim::{trim_above, trim_below};

use buckets::{Sparse, from_sparse, reduce, sparse};
use model::{FloatHistogram, histogram::CounterResetHint, histogram::Span};

/// Why two histograms cannot be put together: one has exponential buckets, the other custom bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("histograms with exponential and with custom buckets do not mix")]
pub struct IncompatibleSchemas;

/// What is worth telling about a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddNotes {
    /// One side says its counter was reset, the other that it was not.
    pub counter_reset_collision: bool,
    /// Custom bounds differed; only those of both sides are left.
    pub bounds_reconciled: bool,
}

/// `left + right`.
///
/// # Errors
/// Exponential with custom buckets.
pub fn add(left: &FloatHistogram, right: &FloatHistogram) -> Result<(FloatHistogram, AddNotes), IncompatibleSchemas> {
    combine(left, right, 1.0)
}

/// `left - right`; the result is a gauge in the eyes of queries, which the caller marks.
///
/// # Errors
/// Exponential with custom buckets.
pub fn sub(left: &FloatHistogram, right: &FloatHistogram) -> Result<(FloatHistogram, AddNotes), IncompatibleSchemas> {
    combine(left, right, -1.0)
}

fn combine(
    left: &FloatHistogram,
    right: &FloatHistogram,
    sign: f64,
) -> Result<(FloatHistogram, AddNotes), IncompatibleSchemas> {
    if left.uses_custom_buckets() != right.uses_custom_buckets() {
        return Err(IncompatibleSchemas);
    }
    let mut notes = AddNotes::default();
    let mut out = FloatHistogram {
        counter_reset_hint: joint_hint(left.counter_reset_hint, right.counter_reset_hint, &mut notes),
        schema: left.schema.min(right.schema),
        count: left.count + sign * right.count,
        sum: left.sum + sign * right.sum,
        ..FloatHistogram::default()
    };
    if left.uses_custom_buckets() {
        let (a, b) = (positive(left), positive(right));
        if same_bounds(&left.custom_values, &right.custom_values) {
            out.custom_values.clone_from(&left.custom_values);
            set_positive(&mut out, &merge(&a, &b, sign));
        } else {
            notes.bounds_reconciled = true;
            let bounds: Vec<f64> =
                left.custom_values.iter().copied().filter(|bound| right.custom_values.contains(bound)).collect();
            let a = rebucket(&a, &left.custom_values, &bounds);
            let b = rebucket(&b, &right.custom_values, &bounds);
            out.custom_values = bounds;
            set_positive(&mut out, &merge(&a, &b, sign));
        }
        return Ok((out, notes));
    }
    let (mut a, mut b) = (left.clone(), right.clone());
    // The zero buckets must be equally wide; widening one may run into a bucket and widen it further.
    while a.zero_threshold != b.zero_threshold {
        if a.zero_threshold < b.zero_threshold {
            widen_zero_bucket(&mut a, b.zero_threshold);
        } else if a.zero_threshold > b.zero_threshold {
            widen_zero_bucket(&mut b, a.zero_threshold);
        } else {
            break;
        }
    }
    out.zero_threshold = a.zero_threshold;
    out.zero_count = a.zero_count + sign * b.zero_count;
    let schema = out.schema;
    let at = |h: &FloatHistogram, buckets: &Sparse| reduce(buckets, h.schema, schema);
    let positive = merge(&at(&a, &positive(&a)), &at(&b, &positive(&b)), sign);
    let negative = merge(&at(&a, &negative(&a)), &at(&b, &negative(&b)), sign);
    set_positive(&mut out, &positive);
    set_negative(&mut out, &negative);
    Ok((out, notes))
}

fn joint_hint(left: CounterResetHint, right: CounterResetHint, notes: &mut AddNotes) -> CounterResetHint {
    use CounterResetHint as H;
    match (left, right) {
        (a, b) if a == b => a,
        (H::Gauge, _) | (_, H::Gauge) => H::Gauge,
        (H::Unknown, _) | (_, H::Unknown) => H::Unknown,
        _ => {
            notes.counter_reset_collision = true;
            H::Unknown
        }
    }
}

/// All counts and the sum times a factor. A negative factor makes a gauge.
pub fn scale(histogram: &FloatHistogram, factor: f64) -> FloatHistogram {
    let mut out = map(histogram, |v| v * factor);
    if factor < 0.0 {
        out.counter_reset_hint = CounterResetHint::Gauge;
    }
    out
}

/// All counts and the sum divided. By zero, the buckets go and counts become what a float would.
pub fn divide(histogram: &FloatHistogram, divisor: f64) -> FloatHistogram {
    let mut out = map(histogram, |v| v / divisor);
    if divisor < 0.0 {
        out.counter_reset_hint = CounterResetHint::Gauge;
    }
    if divisor == 0.0 {
        out.positive_spans.clear();
        out.positive_buckets.clear();
        out.negative_spans.clear();
        out.negative_buckets.clear();
    }
    out
}

fn map(histogram: &FloatHistogram, f: impl Fn(f64) -> f64) -> FloatHistogram {
    let mut out = histogram.clone();
    out.count = f(out.count);
    out.sum = f(out.sum);
    out.zero_count = f(out.zero_count);
    out.positive_buckets.iter_mut().for_each(|v| *v = f(*v));
    out.negative_buckets.iter_mut().for_each(|v| *v = f(*v));
    out
}

/// Without empty buckets and spans.
pub fn compact(histogram: &FloatHistogram) -> FloatHistogram {
    let mut out = histogram.clone();
    set_positive(&mut out, &positive(histogram));
    set_negative(&mut out, &negative(histogram));
    out
}

/// Equal in everything but the counter reset hint; populations by `same`, bounds and widths exactly.
pub fn equal_by(left: &FloatHistogram, right: &FloatHistogram, same: impl Fn(f64, f64) -> bool) -> bool {
    let (a, b) = (compact(left), compact(right));
    let all = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(*a, *b));
    a.schema == b.schema
        && same(a.count, b.count)
        && same(a.sum, b.sum)
        && (a.uses_custom_buckets() || same(a.zero_count, b.zero_count) && a.zero_threshold == b.zero_threshold)
        && same_bounds(&a.custom_values, &b.custom_values)
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && all(&a.positive_buckets, &b.positive_buckets)
        && all(&a.negative_buckets, &b.negative_buckets)
}

/// Equal as `==` between histograms has it.
pub fn equal(left: &FloatHistogram, right: &FloatHistogram) -> bool {
    equal_by(left, right, |a, b| a.to_bits() == b.to_bits() || a == b)
}

/// True if `current` cannot have grown out of `previous`: its counter was reset in between.
pub fn is_reset(current: &FloatHistogram, previous: &FloatHistogram) -> bool {
    match current.counter_reset_hint {
        CounterResetHint::Reset => return true,
        CounterResetHint::NotReset => return false,
        CounterResetHint::Gauge | CounterResetHint::Unknown => {}
    }
    if current.count < previous.count || current.uses_custom_buckets() != previous.uses_custom_buckets() {
        return true;
    }
    if current.uses_custom_buckets() {
        let (a, b) = (positive(current), positive(previous));
        if same_bounds(&current.custom_values, &previous.custom_values) {
            return shrank(&a, &b);
        }
        let bounds: Vec<f64> =
            current.custom_values.iter().copied().filter(|bound| previous.custom_values.contains(bound)).collect();
        return shrank(&rebucket(&a, &current.custom_values, &bounds), &rebucket(&b, &previous.custom_values, &bounds));
    }
    // Finer resolution or a narrower zero bucket only come with a new start.
    if current.schema > previous.schema || current.zero_threshold < previous.zero_threshold {
        return true;
    }
    let mut previous = previous.clone();
    if current.zero_threshold > previous.zero_threshold {
        widen_zero_bucket(&mut previous, current.zero_threshold);
        if previous.zero_threshold != current.zero_threshold {
            return true;
        }
    }
    current.zero_count < previous.zero_count
        || shrank(&positive(current), &reduce(&positive(&previous), previous.schema, current.schema))
        || shrank(&negative(current), &reduce(&negative(&previous), previous.schema, current.schema))
}

/// The histogram with at most the resolution of `schema`.
pub fn to_schema(histogram: &FloatHistogram, schema: i32) -> FloatHistogram {
    if histogram.uses_custom_buckets() || histogram.schema <= schema {
        return histogram.clone();
    }
    let mut out = histogram.clone();
    out.schema = schema;
    set_positive(&mut out, &reduce(&positive(histogram), histogram.schema, schema));
    set_negative(&mut out, &reduce(&negative(histogram), histogram.schema, schema));
    out
}

fn shrank(current: &Sparse, previous: &Sparse) -> bool {
    let mut rest = current.iter().peekable();
    for &(index, population) in previous {
        while rest.peek().is_some_and(|(own, _)| *own < index) {
            rest.next();
        }
        let now = rest.peek().filter(|(own, _)| *own == index).map_or(0.0, |(_, v)| *v);
        if now < population {
            return true;
        }
    }
    false
}

fn same_bounds(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn positive(histogram: &FloatHistogram) -> Sparse {
    sparse(&histogram.positive_spans, &histogram.positive_buckets)
}

fn negative(histogram: &FloatHistogram) -> Sparse {
    sparse(&histogram.negative_spans, &histogram.negative_buckets)
}

fn set_positive(histogram: &mut FloatHistogram, buckets: &Sparse) {
    (histogram.positive_spans, histogram.positive_buckets) = from_sparse(buckets);
}

fn set_negative(histogram: &mut FloatHistogram, buckets: &Sparse) {
    (histogram.negative_spans, histogram.negative_buckets) = from_sparse(buckets);
}

fn merge(a: &Sparse, b: &Sparse, sign: f64) -> Sparse {
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        match (a.peek(), b.peek()) {
            (Some((i, v)), Some((j, w))) if i == j => {
                out.push((*i, v + sign * w));
                a.next();
                b.next();
            }
            (Some((i, v)), Some((j, _))) if i < j => {
                out.push((*i, *v));
                a.next();
            }
            (_, Some((j, w))) => {
                out.push((*j, sign * w));
                b.next();
            }
            (Some((i, v)), None) => {
                out.push((*i, *v));
                a.next();
            }
            (None, None) => return out,
        }
    }
}

/// Sorts populations between `from` bounds into the wider buckets between `to` bounds, a subset of them.
fn rebucket(buckets: &Sparse, from: &[f64], to: &[f64]) -> Sparse {
    let mut out: Sparse = Vec::new();
    for &(index, population) in buckets {
        let upper = usize::try_from(index).ok().and_then(|index| from.get(index)).copied().unwrap_or(f64::INFINITY);
        let target = to.partition_point(|bound| *bound < upper);
        // Bounds are limited by what a sample can hold, far below 2^31.
        let target = i32::try_from(target).unwrap_or(i32::MAX);
        match out.last_mut() {
            Some((last, sum)) if *last == target => *sum += population,
            _ => out.push((target, population)),
        }
    }
    out
}

/// Widens the zero bucket to at least `threshold`, further if that falls into a populated bucket.
fn widen_zero_bucket(histogram: &mut FloatHistogram, threshold: f64) {
    let (mut positive, mut negative) = (positive(histogram), negative(histogram));
    let mut threshold = threshold;
    loop {
        let before = threshold;
        for (index, population) in positive.iter().chain(&negative) {
            let (lower, upper) = (upper_bound(index - 1, histogram.schema), upper_bound(*index, histogram.schema));
            if lower < threshold && upper > threshold && *population != 0.0 {
                threshold = upper;
            }
        }
        if threshold == before {
            break;
        }
    }
    let schema = histogram.schema;
    let mut absorbed = 0.0;
    for buckets in [&mut positive, &mut negative] {
        buckets.retain(|(index, population)| {
            let inside = upper_bound(*index, schema) <= threshold;
            if inside {
                absorbed += population;
            }
            !inside
        });
    }
    histogram.zero_count += absorbed;
    histogram.zero_threshold = threshold;
    set_positive(histogram, &positive);
    set_negative(histogram, &negative);
}

/// One span of buckets, as test notations write them: `offset` and populations.
pub fn single_span(offset: i32, buckets: &[f64]) -> Vec<Span> {
    // More buckets than 2^32 do not fit a line.
    if buckets.is_empty() {
        Vec::new()
    } else {
        vec![Span { offset, length: u32::try_from(buckets.len()).unwrap_or(0) }]
    }
}
