//! The walk over a body.

use super::histogram::{Bucket, Refusal, Wire};
use super::series::{Part, Series};
use super::wire::{Fields, WireError, delimited};
use super::{Exemplar, Family, Fault, Options, Sample, timestamp_ms};
use crate::classic::to_custom_buckets;
use model::{MetricType, SampleValue};
use std::sync::Arc;

/// What is done with what a body has.
pub trait Visit {
    type Error: From<Fault>;

    /// A family begins.
    ///
    /// # Errors
    /// Ends the walk.
    fn family(&mut self, family: &Family<'_>) -> Result<(), Self::Error>;

    /// A sample of the family that began last.
    ///
    /// # Errors
    /// Ends the walk.
    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Self::Error>;

    /// A histogram of the family was left out, for its classic buckets contradict each other.
    fn contradiction(&mut self) {}
}

/// Tells every family and every sample of a body, in its order. A histogram whose classic buckets cannot be those of a
/// native one is left out where that is what `options` want, see [`Visit::contradiction`].
///
/// # Errors
/// The first thing that the format does not allow, or what the visitor returns.
pub fn walk<V: Visit>(body: &[u8], options: &Options, visitor: &mut V) -> Result<(), V::Error> {
    let mut rest = body;
    let mut room = Room::default();
    while !rest.is_empty() {
        let at = body.len() - rest.len();
        let done = delimited(&mut rest).map_err(Stop::from).and_then(|message| room.family(message, options, visitor));
        match done {
            Ok(()) => {}
            Err(Stop::Visitor(error)) => return Err(error),
            Err(Stop::Form(message)) => return Err(Fault::Form { at, message }.into()),
            Err(Stop::Buckets { name, buckets }) => {
                return Err(Fault::Buckets { name, buckets, limit: options.buckets_max }.into());
            }
        }
    }
    Ok(())
}

enum Stop<E> {
    Visitor(E),
    Form(String),
    Buckets { name: String, buckets: usize },
}

impl<E> From<WireError> for Stop<E> {
    fn from(error: WireError) -> Self {
        Stop::Form(error.to_owned())
    }
}

/// Lists that are made once for a body.
#[derive(Default)]
struct Room<'a> {
    metrics: Vec<&'a [u8]>,
    labels: Vec<&'a [u8]>,
    exemplars: Vec<Exemplar<'a>>,
    bounds: Vec<(f64, f64)>,
    histogram: Wire<'a>,
}

/// A metric whose value is not read yet.
#[derive(Clone, Copy, Default)]
struct Metric<'a> {
    value: Option<&'a [u8]>,
    timestamp_ms: Option<i64>,
}

/// Number of the field that has the value of a metric, by the type of its family.
pub(super) fn value_field(metric_type: MetricType) -> u64 {
    match metric_type {
        MetricType::Gauge => 2,
        MetricType::Counter => 3,
        MetricType::Summary => 4,
        MetricType::Histogram | MetricType::GaugeHistogram => 7,
        _ => 5,
    }
}

/// Types by their numbers.
const TYPES: [MetricType; 6] = [
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Summary,
    MetricType::Unknown,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
];

/// The number of a type; `info` and `stateset` have none and are written as metrics without a type.
pub(super) fn type_number(metric_type: MetricType) -> u64 {
    let untyped = 3;
    TYPES.iter().position(|known| *known == metric_type).map_or(untyped, |at| at as u64)
}

impl<'a> Room<'a> {
    fn family<V: Visit>(
        &mut self,
        message: &'a [u8],
        options: &Options,
        visitor: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        self.metrics.clear();
        let (mut name, mut help, mut unit, mut number_of_type): (&[u8], &[u8], &[u8], u64) = (&[], &[], &[], 0);
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => name = value.bytes()?,
                2 => help = value.bytes()?,
                3 => number_of_type = value.whole()?,
                4 => self.metrics.push(value.bytes()?),
                5 => unit = value.bytes()?,
                _ => {}
            }
        }
        let text = |bytes: &'a [u8], what: &str| {
            std::str::from_utf8(bytes).map_err(|_| Stop::Form(format!("the {what} of a family is not valid UTF-8")))
        };
        let name = text(name, "name")?;
        if name.is_empty() {
            return Err(Stop::Form("a family has no name".into()));
        }
        let metric_type = usize::try_from(number_of_type).ok().and_then(|number| TYPES.get(number)).copied();
        let metric_type = metric_type
            .ok_or_else(|| Stop::Form(format!("family {name:?} has the type {number_of_type}, which is unknown")))?;
        let family = Family { name, help: text(help, "help")?, unit: text(unit, "unit")?, metric_type };
        visitor.family(&family).map_err(Stop::Visitor)?;
        let metrics = std::mem::take(&mut self.metrics);
        for (i, message) in metrics.iter().enumerate() {
            match self.metric(message, &family, options, visitor) {
                Err(Stop::Form(message)) => {
                    return Err(Stop::Form(format!("family {name:?}, metric {}: {message}", i + 1)));
                }
                done => done?,
            }
        }
        self.metrics = metrics;
        Ok(())
    }

    fn metric<V: Visit>(
        &mut self,
        message: &'a [u8],
        family: &Family<'a>,
        options: &Options,
        visitor: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        self.labels.clear();
        self.exemplars.clear();
        let value_number = value_field(family.metric_type);
        let mut metric = Metric::default();
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.labels.push(value.bytes()?),
                // 0 is what writers without a timestamp mean.
                6 => metric.timestamp_ms = Some(value.whole()? as i64).filter(|ms| *ms != 0),
                number if number == value_number => metric.value = Some(value.bytes()?),
                _ => {}
            }
        }
        let Some(value) = metric.value else {
            return Err(Stop::Form(format!("it has no value of the family's type, {}", family.metric_type.as_str())));
        };
        match family.metric_type {
            MetricType::Summary => self.summary(value, &metric, family, visitor),
            MetricType::Histogram | MetricType::GaugeHistogram => {
                self.histogram(value, &metric, family, options, visitor)
            }
            _ => self.plain(value, &metric, family, visitor),
        }
    }

    /// Gauges, counters and what has no type: a value, and for counters an exemplar and a start.
    fn plain<V: Visit>(
        &mut self,
        message: &'a [u8],
        metric: &Metric<'a>,
        family: &Family<'a>,
        visitor: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        let counter = family.metric_type == MetricType::Counter;
        let (mut value, mut start_ms) = (0.0, None);
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => value = field.float()?,
                2 if counter => self.exemplars.push(Exemplar(field.bytes()?)),
                3 if counter => start_ms = timestamp_ms(field.bytes()?)?,
                _ => {}
            }
        }
        let mut teller = Teller { family, metric, labels: &self.labels, start_ms, visitor };
        teller.tell(Part::Whole, SampleValue::Float(value), self.exemplars.last().map_or(&[], std::slice::from_ref))
    }

    fn summary<V: Visit>(
        &mut self,
        message: &'a [u8],
        metric: &Metric<'a>,
        family: &Family<'a>,
        visitor: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        let (mut count, mut sum, mut start_ms) = (0.0, 0.0, None);
        self.bounds.clear();
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => count = field.whole()? as f64,
                2 => sum = field.float()?,
                3 => self.bounds.push(quantile(field.bytes()?)?),
                4 => start_ms = timestamp_ms(field.bytes()?)?,
                _ => {}
            }
        }
        let mut teller = Teller { family, metric, labels: &self.labels, start_ms, visitor };
        teller.tell(Part::Count, SampleValue::Float(count), &[])?;
        teller.tell(Part::Sum, SampleValue::Float(sum), &[])?;
        // Quantiles are gauges: they have no start.
        teller.start_ms = None;
        for (quantile, value) in &self.bounds {
            teller.tell(Part::Quantile(*quantile), SampleValue::Float(*value), &[])?;
        }
        Ok(())
    }

    fn histogram<V: Visit>(
        &mut self,
        message: &'a [u8],
        metric: &Metric<'a>,
        family: &Family<'a>,
        options: &Options,
        visitor: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        self.histogram.read(message)?;
        let wire = &self.histogram;
        let gauge = family.metric_type == MetricType::GaugeHistogram;
        let mut teller = Teller { family, metric, labels: &self.labels, start_ms: wire.start_ms, visitor };
        let native = options.native && wire.is_native();
        let custom = options.custom_buckets && !native;
        if native || custom {
            let histogram = if native {
                Some(wire.native(gauge, options).map_err(|refusal| match refusal {
                    Refusal::Wrong(message) => Stop::Form(message),
                    Refusal::Buckets(buckets) => Stop::Buckets { name: family.name.to_owned(), buckets },
                })?)
            } else {
                self.bounds.clear();
                self.bounds.extend(wire.buckets.iter().map(|bucket| (bucket.upper_bound, bucket.cumulative_count)));
                to_custom_buckets(&mut self.bounds, Some(wire.count), Some(wire.sum), gauge)
            };
            if let Some(histogram) = histogram {
                let buckets = histogram.positive_buckets.len();
                if custom && options.buckets_max > 0 && buckets > options.buckets_max {
                    return Err(Stop::Buckets { name: family.name.to_owned(), buckets });
                }
                // Without a time of its own it would be one of this scrape, again at every scrape.
                let of_buckets = wire.buckets.iter().filter_map(Bucket::exemplar);
                let own = wire.exemplars.iter().copied().map(Exemplar);
                if wire.exemplars.is_empty() {
                    self.exemplars.extend(of_buckets.filter(Exemplar::has_timestamp));
                } else {
                    self.exemplars.extend(own.filter(Exemplar::has_timestamp));
                }
                teller.tell(Part::Whole, SampleValue::Histogram(Arc::new(histogram)), &self.exemplars)?;
            } else {
                teller.visitor.contradiction();
            }
            if !options.classic_always || (native && wire.buckets.is_empty()) {
                return Ok(());
            }
        }
        teller.tell(Part::Count, SampleValue::Float(wire.count), &[])?;
        teller.tell(Part::Sum, SampleValue::Float(wire.sum), &[])?;
        let mut infinite = false;
        for bucket in &wire.buckets {
            infinite |= bucket.upper_bound == f64::INFINITY;
            let (part, count) = (Part::Bucket(bucket.upper_bound), SampleValue::Float(bucket.cumulative_count));
            teller.tell(part, count, bucket.exemplar().as_slice())?;
        }
        if !infinite {
            teller.tell(Part::Bucket(f64::INFINITY), SampleValue::Float(wire.count), &[])?;
        }
        Ok(())
    }
}

/// Tells the samples of one metric.
struct Teller<'b, V> {
    family: &'b Family<'b>,
    metric: &'b Metric<'b>,
    labels: &'b [&'b [u8]],
    start_ms: Option<i64>,
    visitor: &'b mut V,
}

impl<V: Visit> Teller<'_, V> {
    fn tell(&mut self, part: Part, value: SampleValue, exemplars: &[Exemplar<'_>]) -> Result<(), Stop<V::Error>> {
        let series = Series { family: self.family.name, part, labels: self.labels };
        let (timestamp_ms, start_ms) = (self.metric.timestamp_ms, self.start_ms);
        self.visitor.sample(Sample { series, value, timestamp_ms, start_ms, exemplars }).map_err(Stop::Visitor)
    }
}

fn quantile(message: &[u8]) -> Result<(f64, f64), WireError> {
    let (mut quantile, mut value) = (0.0, 0.0);
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => quantile = field.float()?,
            2 => value = field.float()?,
            _ => {}
        }
    }
    Ok((quantile, value))
}
