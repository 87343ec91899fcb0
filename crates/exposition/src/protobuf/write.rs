//! Writing a body, family by family.

use super::Family;
use super::walk::{type_number, value_field};
use super::wire::Message;
use model::histogram::{CounterResetHint, Span};
use model::{Exemplar, FloatHistogram, MetricType};

/// What a metric says.
#[derive(Clone, Copy, Debug)]
pub enum MetricValue<'a> {
    /// Of a counter, a gauge, or a metric without a type.
    Float(f64),
    /// One with custom buckets is written as classic buckets: the format has no other words for it.
    Histogram(&'a FloatHistogram),
    /// Classic buckets: upper bounds and the observations up to them.
    Classic { count: f64, sum: f64, buckets: &'a [(f64, f64)] },
}

/// A metric of a family. Exemplars of classic histograms are not written.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    pub value: MetricValue<'a>,
    pub timestamp_ms: Option<i64>,
    pub start_ms: Option<i64>,
    pub exemplars: &'a [Exemplar],
}

impl<'a> Metric<'a> {
    pub fn new(value: MetricValue<'a>) -> Self {
        Metric { value, timestamp_ms: None, start_ms: None, exemplars: &[] }
    }
}

/// A body being written.
#[derive(Debug, Default)]
pub struct Writer {
    body: Message,
    family: Message,
    family_type: MetricType,
    metric: Message,
    value: Message,
    part: Message,
}

impl Writer {
    /// Begins a family; its metrics follow.
    pub fn family(&mut self, family: &Family<'_>) {
        self.end_family();
        self.family.bytes(1, family.name.as_bytes());
        if !family.help.is_empty() {
            self.family.bytes(2, family.help.as_bytes());
        }
        self.family.whole(3, type_number(family.metric_type));
        if !family.unit.is_empty() {
            self.family.bytes(5, family.unit.as_bytes());
        }
        self.family_type = family.metric_type;
    }

    /// Adds a metric to the family. `labels` are without the name.
    pub fn metric<'l>(&mut self, labels: impl IntoIterator<Item = (&'l str, &'l str)>, metric: &Metric<'_>) {
        self.metric.0.clear();
        for (name, value) in labels {
            put_label(&mut self.part, name, value);
            self.metric.bytes(1, &self.part.0);
        }
        self.value.0.clear();
        let start_field = match metric.value {
            MetricValue::Float(value) => {
                self.value.float(1, value);
                3
            }
            MetricValue::Histogram(histogram) if histogram.uses_custom_buckets() => {
                self.custom_buckets(histogram);
                15
            }
            MetricValue::Histogram(histogram) => {
                self.native(histogram);
                15
            }
            MetricValue::Classic { count, sum, buckets } => {
                self.count_and_sum(count, sum);
                buckets.iter().for_each(|(bound, count)| self.bucket(*bound, *count));
                15
            }
        };
        if let Some(start_ms) = metric.start_ms {
            put_timestamp(&mut self.part, start_ms);
            self.value.bytes(start_field, &self.part.0);
        }
        let exemplar_field = match metric.value {
            MetricValue::Float(_) if self.family_type == MetricType::Counter => Some(2),
            MetricValue::Histogram(histogram) if !histogram.uses_custom_buckets() => Some(16),
            _ => None,
        };
        if let Some(field) = exemplar_field {
            for exemplar in metric.exemplars {
                let message = exemplar_message(exemplar, &mut self.part);
                self.value.bytes(field, &message.0);
            }
        }
        let histogram = !matches!(metric.value, MetricValue::Float(_));
        let field = if histogram { value_field(MetricType::Histogram) } else { value_field(self.family_type) };
        self.metric.bytes(field, &self.value.0);
        if let Some(timestamp_ms) = metric.timestamp_ms {
            self.metric.whole(6, timestamp_ms as u64);
        }
        self.family.bytes(4, &self.metric.0);
    }

    /// The body.
    pub fn finish(mut self) -> Vec<u8> {
        self.end_family();
        self.body.0
    }

    fn end_family(&mut self) {
        if !self.family.0.is_empty() {
            self.body.put_delimited(&self.family.0);
            self.family.0.clear();
        }
    }

    fn count_and_sum(&mut self, count: f64, sum: f64) {
        self.value.float(4, count);
        self.value.float(2, sum);
    }

    fn bucket(&mut self, bound: f64, count: f64) {
        self.part.0.clear();
        self.part.float(4, count);
        self.part.float(2, bound);
        self.value.bytes(3, &self.part.0);
    }

    fn custom_buckets(&mut self, histogram: &FloatHistogram) {
        self.count_and_sum(histogram.count, histogram.sum);
        let mut counts = vec![0.0; histogram.custom_values.len()];
        let (mut index, mut given) = (0_i64, histogram.positive_buckets.iter());
        for span in &histogram.positive_spans {
            index += i64::from(span.offset);
            for count in given.by_ref().take(span.length as usize) {
                if let Some(place) = usize::try_from(index).ok().and_then(|index| counts.get_mut(index)) {
                    *place = *count;
                }
                index += 1;
            }
        }
        let mut below = 0.0;
        for (bound, count) in histogram.custom_values.iter().zip(counts) {
            below += count;
            self.bucket(*bound, below);
        }
        self.bucket(f64::INFINITY, histogram.count);
    }

    fn native(&mut self, histogram: &FloatHistogram) {
        self.count_and_sum(histogram.count, histogram.sum);
        self.value.zigzag(5, i64::from(histogram.schema));
        self.value.float(6, histogram.zero_threshold);
        self.value.float(8, histogram.zero_count);
        // Readers take counts for those of floats by a count above 0; without any there is nothing in the buckets.
        let observed = histogram.count > 0.0 || histogram.zero_count > 0.0;
        for (spans, buckets, span_field, count_field) in [
            (&histogram.negative_spans, &histogram.negative_buckets, 9, 11),
            (&histogram.positive_spans, &histogram.positive_buckets, 12, 14),
        ] {
            if observed {
                spans.iter().for_each(|span| self.span(span_field, *span));
                self.value.floats(count_field, buckets);
            }
        }
        let empty = histogram.positive_spans.is_empty() && histogram.negative_spans.is_empty();
        if (empty || !observed) && histogram.zero_threshold == 0.0 {
            // So that it can be told from one with classic buckets.
            self.span(12, Span::default());
        }
    }

    fn span(&mut self, field: u64, span: Span) {
        self.part.0.clear();
        self.part.zigzag(1, i64::from(span.offset));
        self.part.whole(2, u64::from(span.length));
        self.value.bytes(field, &self.part.0);
    }
}

/// The type of a family whose metrics are such histograms.
pub fn histogram_type(histogram: &FloatHistogram) -> MetricType {
    if histogram.counter_reset_hint == CounterResetHint::Gauge {
        MetricType::GaugeHistogram
    } else {
        MetricType::Histogram
    }
}

fn put_label(into: &mut Message, name: &str, value: &str) {
    into.0.clear();
    into.bytes(1, name.as_bytes());
    into.bytes(2, value.as_bytes());
}

fn put_timestamp(into: &mut Message, timestamp_ms: i64) {
    into.0.clear();
    into.whole(1, timestamp_ms.div_euclid(1000) as u64);
    into.whole(2, timestamp_ms.rem_euclid(1000) as u64 * 1_000_000);
}

fn exemplar_message(exemplar: &Exemplar, part: &mut Message) -> Message {
    let mut message = Message::default();
    for (name, value) in &exemplar.labels {
        put_label(part, name, value);
        message.bytes(1, &part.0);
    }
    message.float(2, exemplar.value);
    if let Some(timestamp_ms) = exemplar.timestamp_ms {
        put_timestamp(part, timestamp_ms);
        message.bytes(3, &part.0);
    }
    message
}
