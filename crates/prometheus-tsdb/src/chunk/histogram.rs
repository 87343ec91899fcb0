//! Native histograms, integer and float. All samples of a chunk share one layout of buckets, which stands at its start.

use super::start::Starts;
use crate::bits::{BitReader, BitWriter, Xor};
use model::{
    FloatHistogram,
    histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span},
};
use std::sync::Arc;
use storage::Samples;

/// Largest number of buckets that Prometheus can store as an integer without loss in our floats.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// Bounds up to here with at most three decimals are written as integers: four bytes at most.
const BOUND_THOUSANDTHS_MAX: f64 = 33_554_430.0;

const HINT_NOT_RESET: u8 = 0b0100_0000;
const HINT_RESET: u8 = 0b1000_0000;
const HINT_GAUGE: u8 = 0b1100_0000;

/// What all histograms of a chunk have in common.
#[derive(Clone, Debug, Default, PartialEq)]
struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive: Vec<Span>,
    negative: Vec<Span>,
    custom_values: Vec<f64>,
}

// ---- reading ----

pub(super) fn decode(reader: &mut BitReader, float: bool, start: bool, into: &mut Samples) -> Option<()> {
    let (count, hint, mut starts) = if start {
        let hint = reader.bits(2)? as u8;
        let count = reader.bits(14)?;
        (count, hint, Starts::new(reader.bits(8)? as u8))
    } else {
        let count = reader.bits(16)?;
        let hint = reader.bits(2)? as u8;
        reader.bits(6)?;
        (count, hint, Starts::new(0))
    };
    if count == 0 {
        return Some(());
    }
    let gauge = hint << 6 == HINT_GAUGE;
    let layout = Layout::read(reader)?;
    // An integer bucket takes a bit at least, a float one 64.
    let room = reader.remaining() / if float { 64 } else { 1 };
    let (positive, negative) = (bucket_count(&layout.positive)?, bucket_count(&layout.negative)?);
    if positive.checked_add(negative)? > room {
        return None;
    }
    let mut values = if float {
        Values::Float(FloatValues::new(positive, negative))
    } else {
        Values::Integer(IntegerValues::new(positive, negative))
    };
    let (mut time, mut step) = (0_i64, 0_i64);
    for index in 0..count {
        let previous = time;
        if index == 0 {
            time = reader.varbit_int()?;
        } else {
            step = step.wrapping_add(reader.varbit_int()?);
            time = time.wrapping_add(step);
        }
        let mut histogram = match &mut values {
            Values::Float(values) => values.read(reader, index == 0)?,
            Values::Integer(values) => values.read(reader, index == 0)?,
        };
        if histogram.is_stale() {
            histogram = FloatHistogram { sum: histogram.sum, ..FloatHistogram::default() };
        } else {
            histogram.schema = layout.schema;
            histogram.zero_threshold = layout.zero_threshold;
            histogram.positive_spans.clone_from(&layout.positive);
            histogram.negative_spans.clone_from(&layout.negative);
            histogram.custom_values.clone_from(&layout.custom_values);
            // What the header says of the first sample holds only if the chunk before it is still there.
            histogram.counter_reset_hint = match (gauge, index) {
                (true, _) => CounterResetHint::Gauge,
                (false, 0) => CounterResetHint::Unknown,
                (false, _) => CounterResetHint::NotReset,
            };
        }
        into.push_histogram(time, Arc::new(histogram));
        into.set_last_start_timestamp(starts.read(reader, index, time, previous)?);
    }
    Some(())
}

impl Layout {
    fn read(reader: &mut BitReader) -> Option<Self> {
        let zero_threshold = match reader.bits(8)? {
            0 => 0.0,
            255 => reader.f64()?,
            exponent => 2_f64.powi(exponent as i32 - 244),
        };
        let schema = i32::try_from(reader.varbit_int()?).ok()?;
        if !(-4..=8).contains(&schema) && schema != CUSTOM_BUCKETS_SCHEMA {
            return None;
        }
        let (positive, negative) = (read_spans(reader)?, read_spans(reader)?);
        let mut custom_values = Vec::new();
        if schema == CUSTOM_BUCKETS_SCHEMA {
            let count = reader.varbit_uint()?;
            if count > reader.remaining() as u64 {
                return None;
            }
            for _ in 0..count {
                custom_values.push(match reader.varbit_uint()? {
                    0 => reader.f64()?,
                    thousandths => (thousandths - 1) as f64 / 1000.0,
                });
            }
        }
        Some(Layout { schema, zero_threshold, positive, negative, custom_values })
    }

    fn write(&self, writer: &mut BitWriter) {
        let threshold = self.zero_threshold;
        // 2^-243 to 2^10 are written as the exponent alone.
        let exponent = (threshold.to_bits() >> 52) as i32 - 1023;
        if threshold == 0.0 {
            writer.bits(0, 8);
        } else if threshold > 0.0 && threshold.to_bits() << 12 == 0 && (-243..=10).contains(&exponent) {
            writer.bits((exponent + 244) as u64, 8);
        } else {
            writer.bits(255, 8);
            writer.f64(threshold);
        }
        writer.varbit_int(i64::from(self.schema));
        for spans in [&self.positive, &self.negative] {
            writer.varbit_uint(spans.len() as u64);
            for span in spans {
                writer.varbit_uint(u64::from(span.length));
                writer.varbit_int(i64::from(span.offset));
            }
        }
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            writer.varbit_uint(self.custom_values.len() as u64);
            for &bound in &self.custom_values {
                let thousandths = bound * 1000.0;
                let rounded = thousandths.round();
                let fits = (0.0..=BOUND_THOUSANDTHS_MAX).contains(&thousandths)
                    && (rounded / 1000.0).to_bits() == bound.to_bits();
                if fits {
                    writer.varbit_uint(rounded as u64 + 1);
                } else {
                    writer.bit(false);
                    writer.f64(bound);
                }
            }
        }
    }
}

fn read_spans(reader: &mut BitReader) -> Option<Vec<Span>> {
    let count = reader.varbit_uint()?;
    // Length and offset take a bit each at least.
    if count > reader.remaining() as u64 / 2 {
        return None;
    }
    (0..count)
        .map(|_| {
            let length = u32::try_from(reader.varbit_uint()?).ok()?;
            let offset = i32::try_from(reader.varbit_int()?).ok()?;
            Some(Span { offset, length })
        })
        .collect()
}

fn bucket_count(spans: &[Span]) -> Option<usize> {
    spans.iter().try_fold(0_usize, |sum, span| sum.checked_add(span.length as usize))
}

enum Values {
    Integer(IntegerValues),
    Float(FloatValues),
}

/// A number that is stored as the difference of its differences.
#[derive(Clone, Copy, Default)]
struct Counter {
    value: i64,
    step: i64,
}

impl Counter {
    fn advance(&mut self, difference: i64) {
        self.step = self.step.wrapping_add(difference);
        self.value = self.value.wrapping_add(self.step);
    }

    /// The difference that [`Counter::advance`] takes to get to a value.
    fn difference_to(&mut self, value: i64) -> i64 {
        let step = value.wrapping_sub(self.value);
        let difference = step.wrapping_sub(self.step);
        (self.value, self.step) = (value, step);
        difference
    }
}

#[derive(Default)]
struct IntegerValues {
    count: Counter,
    zero_count: Counter,
    sum: Xor,
    /// Each bucket's count less that of the bucket before it.
    positive: Vec<Counter>,
    negative: Vec<Counter>,
}

impl IntegerValues {
    fn new(positive: usize, negative: usize) -> Self {
        IntegerValues {
            positive: vec![Counter::default(); positive],
            negative: vec![Counter::default(); negative],
            ..IntegerValues::default()
        }
    }

    fn read(&mut self, reader: &mut BitReader, first: bool) -> Option<FloatHistogram> {
        if first {
            self.count.value = reader.varbit_uint()?.cast_signed();
            self.zero_count.value = reader.varbit_uint()?.cast_signed();
            self.sum = Xor::new(reader.f64()?);
            for bucket in self.positive.iter_mut().chain(&mut self.negative) {
                bucket.value = reader.varbit_int()?;
            }
        } else {
            self.count.advance(reader.varbit_int()?);
            self.zero_count.advance(reader.varbit_int()?);
            // Nothing follows the sum of a staleness marker.
            if !model::stale::is_stale_nan(self.sum.read(reader)?) {
                for bucket in self.positive.iter_mut().chain(&mut self.negative) {
                    bucket.advance(reader.varbit_int()?);
                }
            }
        }
        let absolute = |buckets: &[Counter]| {
            let mut sum = 0_i64;
            let add = |bucket: &Counter| {
                sum = sum.wrapping_add(bucket.value);
                sum as f64
            };
            buckets.iter().map(add).collect()
        };
        Some(FloatHistogram {
            count: self.count.value.cast_unsigned() as f64,
            zero_count: self.zero_count.value.cast_unsigned() as f64,
            sum: self.sum.value(),
            positive_buckets: absolute(&self.positive),
            negative_buckets: absolute(&self.negative),
            ..FloatHistogram::default()
        })
    }

    fn write(&mut self, histogram: &FloatHistogram, first: bool, writer: &mut BitWriter) {
        let (count, zero_count) = (histogram.count as i64, histogram.zero_count as i64);
        if first {
            writer.varbit_uint(count.cast_unsigned());
            writer.varbit_uint(zero_count.cast_unsigned());
            writer.f64(histogram.sum);
            (self.count.value, self.zero_count.value) = (count, zero_count);
            self.sum = Xor::new(histogram.sum);
        } else if histogram.is_stale() {
            writer.bits(0, 2);
            self.sum.write(histogram.sum, writer);
            return;
        } else {
            writer.varbit_int(self.count.difference_to(count));
            writer.varbit_int(self.zero_count.difference_to(zero_count));
            self.sum.write(histogram.sum, writer);
        }
        let pairs =
            [(&mut self.positive, &histogram.positive_buckets), (&mut self.negative, &histogram.negative_buckets)];
        for (counters, buckets) in pairs {
            let mut before = 0_i64;
            for (counter, bucket) in counters.iter_mut().zip(buckets) {
                let own = *bucket as i64;
                let difference = own.wrapping_sub(before);
                if first {
                    counter.value = difference;
                    writer.varbit_int(difference);
                } else {
                    writer.varbit_int(counter.difference_to(difference));
                }
                before = own;
            }
        }
    }
}

#[derive(Default)]
struct FloatValues {
    count: Xor,
    zero_count: Xor,
    sum: Xor,
    positive: Vec<Xor>,
    negative: Vec<Xor>,
}

impl FloatValues {
    fn new(positive: usize, negative: usize) -> Self {
        FloatValues {
            positive: vec![Xor::default(); positive],
            negative: vec![Xor::default(); negative],
            ..FloatValues::default()
        }
    }

    fn read(&mut self, reader: &mut BitReader, first: bool) -> Option<FloatHistogram> {
        for part in [&mut self.count, &mut self.zero_count, &mut self.sum] {
            if first {
                *part = Xor::new(reader.f64()?);
            } else {
                part.read(reader)?;
            }
        }
        if !model::stale::is_stale_nan(self.sum.value()) {
            for bucket in self.positive.iter_mut().chain(&mut self.negative) {
                if first {
                    *bucket = Xor::new(reader.f64()?);
                } else {
                    bucket.read(reader)?;
                }
            }
        }
        let absolute = |buckets: &[Xor]| buckets.iter().map(|bucket| bucket.value()).collect();
        Some(FloatHistogram {
            count: self.count.value(),
            zero_count: self.zero_count.value(),
            sum: self.sum.value(),
            positive_buckets: absolute(&self.positive),
            negative_buckets: absolute(&self.negative),
            ..FloatHistogram::default()
        })
    }

    fn write(&mut self, histogram: &FloatHistogram, first: bool, writer: &mut BitWriter) {
        let put = |xor: &mut Xor, value: f64, writer: &mut BitWriter| {
            if first {
                *xor = Xor::new(value);
                writer.f64(value);
            } else {
                xor.write(value, writer);
            }
        };
        put(&mut self.count, histogram.count, writer);
        put(&mut self.zero_count, histogram.zero_count, writer);
        put(&mut self.sum, histogram.sum, writer);
        if histogram.is_stale() {
            return;
        }
        let positive = self.positive.iter_mut().zip(&histogram.positive_buckets);
        for (xor, bucket) in positive.chain(self.negative.iter_mut().zip(&histogram.negative_buckets)) {
            put(xor, *bucket, writer);
        }
    }
}

// ---- writing ----

/// True if all counts are whole numbers that an integer histogram holds without loss.
pub(super) fn is_integer(histogram: &FloatHistogram) -> bool {
    let whole = |count: &f64| (0.0..=EXACT_MAX).contains(count) && count.fract() == 0.0;
    histogram.is_stale()
        || (whole(&histogram.count)
            && whole(&histogram.zero_count)
            && histogram.positive_buckets.iter().all(whole)
            && histogram.negative_buckets.iter().all(whole))
}

/// The chunk before, of the same series: where a counter went on or began anew.
#[derive(Default)]
pub(super) struct Runs {
    last: Option<Arc<FloatHistogram>>,
}

/// Buckets by absolute index, ascending.
fn indexed<'a>(spans: &'a [Span], buckets: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut next = 0_i64;
    let indexes = spans.iter().flat_map(move |span| {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        first..next
    });
    indexes.zip(buckets.iter().copied())
}

/// True if a bucket has fewer observations than before.
fn fell(before: (&[Span], &[f64]), now: (&[Span], &[f64])) -> bool {
    if before.0 == now.0 {
        return before.1.iter().zip(now.1).any(|(before, now)| now < before);
    }
    let mut later = indexed(now.0, now.1).peekable();
    indexed(before.0, before.1).any(|(index, count)| {
        while later.next_if(|(other, _)| *other < index).is_some() {}
        count > later.peek().filter(|(other, _)| *other == index).map_or(0.0, |(_, count)| *count)
    })
}

/// How a histogram follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It may stand in the same chunk.
    Same,
    /// Another kind of histogram.
    Other,
    /// The counter began anew.
    Reset,
}

fn step(before: &FloatHistogram, now: &FloatHistogram) -> Step {
    let gauge = |histogram: &FloatHistogram| histogram.counter_reset_hint == CounterResetHint::Gauge;
    if now.is_stale() {
        return Step::Same;
    }
    if now.counter_reset_hint == CounterResetHint::Reset {
        return Step::Reset;
    }
    if before.is_stale()
        || gauge(before) != gauge(now)
        || before.schema != now.schema
        || before.zero_threshold.to_bits() != now.zero_threshold.to_bits()
    {
        return Step::Other;
    }
    if before.custom_values != now.custom_values {
        return if gauge(now) { Step::Other } else { Step::Reset };
    }
    let reset = !gauge(now)
        && (now.count < before.count
            || now.zero_count < before.zero_count
            || fell((&before.positive_spans, &before.positive_buckets), (&now.positive_spans, &now.positive_buckets))
            || fell((&before.negative_spans, &before.negative_buckets), (&now.negative_spans, &now.negative_buckets)));
    if reset { Step::Reset } else { Step::Same }
}

impl Runs {
    /// A chunk with as many histograms of the front of `run` as fit into one, and how many those are: at least one of
    /// a run that is not empty.
    pub(super) fn encode(&mut self, run: &[(i64, &Arc<FloatHistogram>)], float: bool) -> (usize, Vec<u8>) {
        let Some((&(_, first), rest)) = run.split_first() else { return (0, Vec::new()) };
        let hint = if first.counter_reset_hint == CounterResetHint::Gauge {
            HINT_GAUGE
        } else {
            match self.last.as_ref().map(|last| step(last, first)) {
                Some(Step::Reset) => HINT_RESET,
                Some(Step::Same) => HINT_NOT_RESET,
                None if first.counter_reset_hint == CounterResetHint::Reset => HINT_RESET,
                Some(Step::Other) | None => 0,
            }
        };
        let mut length = 1;
        if !first.is_stale() {
            let mut before = first;
            for (_, now) in rest {
                if step(before, now) != Step::Same {
                    break;
                }
                length += 1;
                before = now;
                // Only markers may follow a marker in its chunk.
                if now.is_stale() {
                    break;
                }
            }
        }
        let run = &run[..length];
        self.last = run.last().map(|(_, histogram)| Arc::clone(histogram));
        (length, write(run, hint, float))
    }
}

fn write(run: &[(i64, &Arc<FloatHistogram>)], hint: u8, float: bool) -> Vec<u8> {
    let layout = layout(run);
    let (positive, negative) = (buckets_of(&layout.positive), buckets_of(&layout.negative));
    let mut header = (run.len() as u16).to_be_bytes().to_vec();
    header.push(hint);
    let mut writer = BitWriter::after(header);
    layout.write(&mut writer);
    let (mut integers, mut floats) = (IntegerValues::new(positive, negative), FloatValues::new(positive, negative));
    let mut time = Counter::default();
    for (index, (timestamp_ms, histogram)) in run.iter().enumerate() {
        if index == 0 {
            writer.varbit_int(*timestamp_ms);
            time.value = *timestamp_ms;
        } else {
            writer.varbit_int(time.difference_to(*timestamp_ms));
        }
        let spread;
        let stale;
        let histogram = if histogram.is_stale() {
            stale = FloatHistogram { sum: histogram.sum, ..FloatHistogram::default() };
            &stale
        } else if histogram.positive_spans == layout.positive && histogram.negative_spans == layout.negative {
            histogram.as_ref()
        } else {
            spread = FloatHistogram {
                positive_buckets: spread_over(
                    &layout.positive,
                    indexed(&histogram.positive_spans, &histogram.positive_buckets),
                ),
                negative_buckets: spread_over(
                    &layout.negative,
                    indexed(&histogram.negative_spans, &histogram.negative_buckets),
                ),
                ..FloatHistogram::clone(histogram)
            };
            &spread
        };
        if float {
            floats.write(histogram, index == 0, &mut writer);
        } else {
            integers.write(histogram, index == 0, &mut writer);
        }
    }
    writer.into_bytes()
}

fn buckets_of(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.length as usize).sum()
}

/// A layout that has the buckets of all histograms of a chunk.
fn layout(run: &[(i64, &Arc<FloatHistogram>)]) -> Layout {
    let mut histograms = run.iter().map(|(_, histogram)| *histogram).filter(|histogram| !histogram.is_stale());
    let Some(first) = histograms.next() else { return Layout::default() };
    let mut layout = Layout {
        schema: first.schema,
        zero_threshold: first.zero_threshold,
        positive: first.positive_spans.clone(),
        negative: first.negative_spans.clone(),
        custom_values: first.custom_values.clone(),
    };
    for histogram in histograms {
        if histogram.positive_spans != layout.positive {
            layout.positive = union(&layout.positive, &histogram.positive_spans);
        }
        if histogram.negative_spans != layout.negative {
            layout.negative = union(&layout.negative, &histogram.negative_spans);
        }
    }
    layout
}

/// Spans over the buckets that either list has.
fn union(a: &[Span], b: &[Span]) -> Vec<Span> {
    let ranges = |spans: &[Span]| {
        let mut next = 0_i64;
        let ranges: Vec<(i64, i64)> = (spans.iter())
            .map(|span| {
                let first = next + i64::from(span.offset);
                next = first + i64::from(span.length);
                (first, next)
            })
            .filter(|(first, end)| first < end)
            .collect();
        ranges
    };
    let mut all = ranges(a);
    all.extend(ranges(b));
    all.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (first, end) in all {
        match merged.last_mut() {
            Some(last) if first <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((first, end)),
        }
    }
    let mut next = 0;
    (merged.into_iter())
        .map(|(first, end)| {
            // Offsets and lengths come from spans of 32 bits and lie between them.
            let span = Span { offset: (first - next) as i32, length: (end - first) as u32 };
            next = end;
            span
        })
        .collect()
}

/// Counts in a wider layout, 0 in the buckets that the histogram does not have.
fn spread_over(spans: &[Span], buckets: impl Iterator<Item = (i64, f64)>) -> Vec<f64> {
    let mut buckets = buckets.peekable();
    let zeros = vec![0.0; buckets_of(spans)];
    let mut out: Vec<f64> = Vec::with_capacity(zeros.len());
    for (index, _) in indexed(spans, &zeros) {
        // Buckets of one histogram may repeat an index only if its spans overlap, which no spans of targets do.
        while buckets.next_if(|(other, _)| *other < index).is_some() {}
        out.push(buckets.next_if(|(other, _)| *other == index).map_or(0.0, |(_, count)| count));
    }
    out
}
