//! Histograms of the wire: classic buckets as they are counted up, native ones as buckets of their own.
//! Source: Prometheus' specification of native histograms.

use super::wire::{Fields, Value, WireError};
use super::{Exemplar, Options, timestamp_ms};
use model::FloatHistogram;
use model::histogram::{CounterResetHint, Span};

/// Coarsest and finest exponential schema that is stored.
pub(super) const SCHEMA_MIN: i32 = -4;
pub(super) const SCHEMA_MAX: i32 = 8;
/// Finer ones are allowed on the wire, and are made coarser.
const SCHEMA_WIRE_MAX: i32 = 52;
/// Buckets of one histogram; a target may have a lower limit. Clients keep to some hundreds.
const BUCKETS_MAX: usize = 65_536;

/// Counts are floats here: those beyond 2^53 add up within so much. Below 10^12 it is less than one observation.
const ROUNDING: f64 = 1e-12;

/// The fields of a `Histogram` message. One is kept for a whole body, so that its lists are allocated once.
#[derive(Debug, Default)]
pub(super) struct Wire<'a> {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) buckets: Vec<Bucket<'a>>,
    pub(super) start_ms: Option<i64>,
    pub(super) exemplars: Vec<&'a [u8]>,
    is_float: bool,
    schema: i32,
    zero_threshold: f64,
    zero_count: f64,
    negative: Side,
    positive: Side,
}

/// A classic bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket<'a> {
    pub(super) upper_bound: f64,
    /// Observations up to the bound.
    pub(super) cumulative_count: f64,
    pub(super) exemplar: Option<&'a [u8]>,
}

/// Native buckets above or below zero.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// Why a histogram is refused.
pub(super) enum Refusal {
    Wrong(String),
    /// So many buckets are too many, even at the coarsest schema.
    Buckets(usize),
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Refusal::Wrong(message)
    }
}

impl Side {
    fn clear(&mut self) {
        self.spans.clear();
        self.deltas.clear();
        self.counts.clear();
    }
}

impl<'a> Wire<'a> {
    pub(super) fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.buckets.clear();
        self.exemplars.clear();
        self.negative.clear();
        self.positive.clear();
        (self.count, self.sum, self.schema, self.zero_threshold, self.zero_count) = (0.0, 0.0, 0, 0.0, 0.0);
        (self.start_ms, self.is_float) = (None, false);
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                // Writers set one of the two forms of a count; the other one, where it is written at all, is 0.
                1 if !self.is_float => self.count = value.whole()? as f64,
                4 => self.count_float(value, |own| &mut own.count)?,
                2 => self.sum = value.float()?,
                3 => self.buckets.push(Bucket::read(value.bytes()?)?),
                5 => self.schema = i32::try_from(value.zigzag()?).map_err(|_| "a schema is out of range")?,
                6 => self.zero_threshold = value.float()?,
                7 if !self.is_float || self.zero_count == 0.0 => self.zero_count = value.whole()? as f64,
                8 => self.count_float(value, |own| &mut own.zero_count)?,
                9 => self.negative.spans.push(span(value.bytes()?)?),
                10 => value.zigzags_into(&mut self.negative.deltas)?,
                11 => value.floats_into(&mut self.negative.counts)?,
                12 => self.positive.spans.push(span(value.bytes()?)?),
                13 => value.zigzags_into(&mut self.positive.deltas)?,
                14 => value.floats_into(&mut self.positive.counts)?,
                15 => self.start_ms = timestamp_ms(value.bytes()?)?,
                16 => self.exemplars.push(value.bytes()?),
                _ => {}
            }
        }
        self.is_float |= !self.positive.counts.is_empty() || !self.negative.counts.is_empty();
        Ok(())
    }

    fn count_float(&mut self, value: Value<'a>, place: impl Fn(&mut Self) -> &mut f64) -> Result<(), WireError> {
        let count = value.float()?;
        if count != 0.0 {
            self.is_float = true;
            *place(self) = count;
        }
        Ok(())
    }

    /// True when there are native buckets, or would be after the first observation: clients without one send a span
    /// of no length, or a width of the zero bucket.
    pub(super) fn is_native(&self) -> bool {
        !self.positive.spans.is_empty()
            || !self.negative.spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0.0
    }

    /// How many samples its classic buckets are told as: count, sum, and every bucket, also that without a bound.
    pub(super) fn classic_samples(&self) -> usize {
        let infinite = self.buckets.iter().any(|bucket| bucket.upper_bound == f64::INFINITY);
        2 + self.buckets.len() + usize::from(!infinite)
    }

    /// Classic buckets have the same bounds, in the same order, and both or neither are native.
    pub(super) fn is_like(&self, other: &Wire<'_>) -> bool {
        let bound = |bucket: &Bucket<'_>| bucket.upper_bound.to_bits();
        self.is_native() == other.is_native() && self.buckets.iter().map(bound).eq(other.buckets.iter().map(bound))
    }

    /// The native histogram, in at most the resolution that `options` allow.
    pub(super) fn native(&self, gauge: bool, options: &Options) -> Result<FloatHistogram, Refusal> {
        if !(SCHEMA_MIN..=SCHEMA_WIRE_MAX).contains(&self.schema) {
            return Err(format!("schema {} is none of {SCHEMA_MIN} to {SCHEMA_WIRE_MAX}", self.schema).into());
        }
        let (positive_spans, positive_buckets) = self.positive.buckets(self.is_float)?;
        let (negative_spans, negative_buckets) = self.negative.buckets(self.is_float)?;
        let mut histogram = FloatHistogram {
            counter_reset_hint: if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            custom_values: Vec::new(),
        };
        self.check_counts(&histogram)?;
        let finest = options.schema_max.clamp(SCHEMA_MIN, SCHEMA_MAX);
        if histogram.schema > finest {
            reduce_resolution(&mut histogram, finest);
        }
        if options.buckets_max > 0 {
            let buckets = |of: &FloatHistogram| of.positive_buckets.len() + of.negative_buckets.len();
            while buckets(&histogram) > options.buckets_max {
                if histogram.schema == SCHEMA_MIN {
                    return Err(Refusal::Buckets(buckets(&histogram)));
                }
                let coarser = histogram.schema - 1;
                reduce_resolution(&mut histogram, coarser);
            }
        }
        Ok(histogram)
    }

    /// Floats may have been rounded, whole numbers add up; observations of NaN are in no bucket.
    fn check_counts(&self, histogram: &FloatHistogram) -> Result<(), String> {
        if histogram.count < 0.0 || histogram.zero_count < 0.0 || histogram.zero_threshold < 0.0 {
            return Err("a count or the width of the zero bucket is negative".into());
        }
        if self.is_float {
            return Ok(());
        }
        let buckets = histogram.positive_buckets.iter().chain(&histogram.negative_buckets);
        let observed = histogram.zero_count + buckets.sum::<f64>();
        let (more, rounding) = (observed - histogram.count, histogram.count * ROUNDING);
        if more > rounding || (more < -rounding && !histogram.sum.is_nan()) {
            let count = histogram.count;
            return Err(format!("the buckets have {observed} observations, the histogram {count}"));
        }
        Ok(())
    }
}

impl<'a> Bucket<'a> {
    fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let (mut bucket, mut fields) = (Bucket::default(), Fields::new(message));
        while let Some((number, value)) = fields.next()? {
            match number {
                1 if bucket.cumulative_count == 0.0 => bucket.cumulative_count = value.whole()? as f64,
                2 => bucket.upper_bound = value.float()?,
                3 => bucket.exemplar = Some(value.bytes()?),
                4 => match value.float()? {
                    0.0 => {}
                    count => bucket.cumulative_count = count,
                },
                _ => {}
            }
        }
        Ok(bucket)
    }

    pub(super) fn exemplar(&self) -> Option<Exemplar<'a>> {
        self.exemplar.map(Exemplar)
    }
}

fn span(message: &[u8]) -> Result<Span, WireError> {
    let (mut span, mut fields) = (Span::default(), Fields::new(message));
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => span.offset = i32::try_from(value.zigzag()?).map_err(|_| "a span starts out of range")?,
            2 => span.length = u32::try_from(value.whole()?).map_err(|_| "a span is too long")?,
            _ => {}
        }
    }
    Ok(span)
}

impl Side {
    /// The spans that have buckets, and a count for each bucket.
    fn buckets(&self, is_float: bool) -> Result<(Vec<Span>, Vec<f64>), String> {
        let expected: u64 = self.spans.iter().map(|span| u64::from(span.length)).sum();
        let given = if is_float { self.counts.len() } else { self.deltas.len() };
        if given as u64 != expected {
            return Err(format!("the spans need {expected} buckets, there are {given}"));
        }
        if given > BUCKETS_MAX {
            return Err(format!("{given} buckets are more than the {BUCKETS_MAX} that are taken"));
        }
        let mut next = 0_i64;
        let mut spans: Vec<Span> = Vec::with_capacity(self.spans.len());
        for (i, span) in self.spans.iter().enumerate() {
            if i > 0 && span.offset < 0 {
                return Err(format!("span {i} begins {} buckets before the one before it ends", span.offset));
            }
            let first = next + i64::from(span.offset);
            next = first + i64::from(span.length);
            if i32::try_from(first).is_err() || i32::try_from(next).is_err() {
                return Err(format!("span {i} is out of range"));
            }
            match spans.last_mut() {
                // A span of no length says nothing; what it skips is skipped by the next one.
                Some(last) if last.length == 0 => {
                    *last = Span { offset: last.offset.saturating_add(span.offset), length: span.length };
                }
                _ => spans.push(*span),
            }
        }
        if spans.last().is_some_and(|last| last.length == 0) {
            spans.pop();
        }
        let mut buckets = Vec::with_capacity(given);
        if is_float {
            buckets.extend_from_slice(&self.counts);
        } else {
            let mut count = 0_i64;
            for delta in &self.deltas {
                count = count.checked_add(*delta).ok_or("the count of a bucket is out of range")?;
                buckets.push(count as f64);
            }
        }
        match buckets.iter().position(|count| *count < 0.0) {
            Some(at) => Err(format!("bucket {} has the negative count {}", at + 1, buckets.get(at).unwrap_or(&0.0))),
            None => Ok((spans, buckets)),
        }
    }
}

/// Merges the buckets of an exponential histogram into those of a coarser schema.
fn reduce_resolution(histogram: &mut FloatHistogram, schema: i32) {
    let by = histogram.schema - schema;
    for (spans, buckets) in [
        (&mut histogram.positive_spans, &mut histogram.positive_buckets),
        (&mut histogram.negative_spans, &mut histogram.negative_buckets),
    ] {
        let (coarse_spans, coarse) = reduced(spans, buckets, by);
        (*spans, *buckets) = (coarse_spans, coarse);
    }
    histogram.schema = schema;
}

/// Bucket `i` goes into bucket `ceil(i / 2^by)`.
fn reduced(spans: &[Span], buckets: &[f64], by: i32) -> (Vec<Span>, Vec<f64>) {
    let (mut coarse_spans, mut coarse): (Vec<Span>, Vec<f64>) = (Vec::new(), Vec::new());
    // One behind the last bucket of what is written.
    let mut end = 0_i64;
    let mut index = 0_i64;
    let mut counts = buckets.iter();
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            let target = ((index - 1) >> by.clamp(0, 62)) + 1;
            index += 1;
            match (coarse_spans.last_mut(), coarse.last_mut()) {
                (Some(_), Some(last)) if target == end - 1 => *last += count,
                (Some(span), _) if target == end => {
                    span.length += 1;
                    coarse.push(*count);
                    end += 1;
                }
                _ => {
                    // Both are indexes of buckets, which are checked to be in range.
                    let offset = (target - end) as i32;
                    coarse_spans.push(Span { offset, length: 1 });
                    coarse.push(*count);
                    end = target + 1;
                }
            }
        }
    }
    (coarse_spans, coarse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn by_index(spans: &[Span], buckets: &[f64]) -> BTreeMap<i64, f64> {
        let (mut index, mut counts, mut found) = (0_i64, buckets.iter(), BTreeMap::new());
        for span in spans {
            index += i64::from(span.offset);
            for count in counts.by_ref().take(span.length as usize) {
                assert!(found.insert(index, *count).is_none(), "bucket {index} comes twice");
                index += 1;
            }
        }
        assert_eq!(counts.next(), None, "more buckets than the spans have");
        found
    }

    proptest! {
        #[test]
        fn coarser_buckets_hold_what_the_finer_ones_held(
            list in proptest::collection::vec((-40_i32..40, 1_u32..5), 0..6),
            by in 0_i32..6,
        ) {
            let spans: Vec<Span> = (list.iter().enumerate())
                .map(|(i, (offset, length))| Span { offset: if i == 0 { *offset } else { offset.abs() }, length: *length })
                .collect();
            let count: u32 = spans.iter().map(|span| span.length).sum();
            let buckets: Vec<f64> = (0..count).map(|i| f64::from(i + 1)).collect();
            let mut expected: BTreeMap<i64, f64> = BTreeMap::new();
            for (index, count) in by_index(&spans, &buckets) {
                let coarse = (index as f64 / f64::from(1 << by)).ceil() as i64;
                *expected.entry(coarse).or_default() += count;
            }
            let (spans, buckets) = reduced(&spans, &buckets, by);
            prop_assert_eq!(by_index(&spans, &buckets), expected);
            prop_assert!(spans.iter().skip(1).all(|span| span.offset >= 0));
        }
    }
}
