//! The walk over a body.

use super::histogram::{Bucket, Refusal, Wire};
use super::series::{LABEL, Part, Series};
use super::wire::{Fields, Value, WireError, delimited};
use super::{Exemplar, Family, Fault, Options, Sample, timestamp_ms};
use crate::classic::to_custom_buckets;
use model::{FloatHistogram, MetricType, SampleValue};
use std::ops::Range;
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

    /// These samples of the base are here, too, and the same in every byte; see [`super::diff::walk`], which alone
    /// calls it. They may be of several families, which are not told.
    ///
    /// # Errors
    /// Ends the walk.
    fn kept(&mut self, samples: Range<usize>) -> Result<(), Self::Error> {
        let _ = samples;
        Ok(())
    }
}

/// Tells every family and every sample of a body, in its order. A histogram whose classic buckets cannot be those of a
/// native one is left out where that is what `options` want, see [`Visit::contradiction`].
///
/// # Errors
/// The first thing that the format does not allow, or what the visitor returns.
pub fn walk<V: Visit>(body: &[u8], options: &Options, visitor: &mut V) -> Result<(), V::Error> {
    let mut rest = body;
    let mut room = Room::default();
    let mut metrics = Vec::new();
    while !rest.is_empty() {
        let at = body.len() - rest.len();
        let done = delimited(&mut rest)
            .map_err(Stop::from)
            .and_then(|message| room.family(message, &mut metrics, options, visitor));
        done.map_err(|stop| stop.told(at, options))?;
    }
    Ok(())
}

pub(super) enum Stop<E> {
    Visitor(E),
    Form(String),
    Buckets { name: String, buckets: usize },
}

impl<E: From<Fault>> Stop<E> {
    /// What is told of it; `at` is where the family begins.
    pub(super) fn told(self, at: usize, options: &Options) -> E {
        match self {
            Stop::Visitor(error) => error,
            Stop::Form(message) => Fault::Form { at, message }.into(),
            Stop::Buckets { name, buckets } => Fault::Buckets { name, buckets, limit: options.buckets_max }.into(),
        }
    }
}

impl<E> Stop<E> {
    /// The same, saying which metric of the family it is about.
    pub(super) fn of_metric(self, family: &str, index: usize) -> Self {
        match self {
            Stop::Form(message) => Stop::Form(format!("family {family:?}, metric {}: {message}", index + 1)),
            stop => stop,
        }
    }
}

impl<E> From<WireError> for Stop<E> {
    fn from(error: WireError) -> Self {
        Stop::Form(error.to_owned())
    }
}

/// Lists that are made once for a body.
#[derive(Default)]
pub(super) struct Room<'a> {
    exemplars: Vec<Exemplar<'a>>,
    bounds: Vec<(f64, f64)>,
    histogram: Wire<'a>,
    before: Wire<'a>,
}

/// A metric of the base.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) value: &'a [u8],
    /// Its first sample, and how many it has.
    pub(super) first: usize,
    pub(super) samples: usize,
}

impl Before<'_> {
    fn has_quantiles(&self, own: &[(f64, f64)]) -> bool {
        let (mut own, mut fields) = (own.iter(), Fields::new(self.value));
        while let Ok(Some((number, field))) = fields.next() {
            if number == 3 {
                let known = field.bytes().and_then(quantile);
                let same =
                    |(quantile, _): &(f64, f64)| known.is_ok_and(|known| known.0.to_bits() == quantile.to_bits());
                if !own.next().is_some_and(same) {
                    return false;
                }
            }
        }
        own.next().is_none()
    }
}

/// A metric's message and where in that of its family it starts.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) start: usize,
    pub(super) message: &'a [u8],
}

/// The fields of a family, its metrics apart.
#[derive(Clone, Copy, Default)]
pub(super) struct Outline<'a> {
    pub(super) name: &'a [u8],
    help: &'a [u8],
    unit: &'a [u8],
    pub(super) type_number: u64,
    /// Bytes before the first metric, and those up to the end of the last one.
    pub(super) head: usize,
    pub(super) tail: usize,
    /// No other field stands between metrics.
    pub(super) regular: bool,
}

impl<'a> Outline<'a> {
    /// Reads the fields of a family's message; `metrics` gets its metrics.
    #[inline]
    pub(super) fn read(message: &'a [u8], metrics: &mut Vec<Piece<'a>>) -> Result<Self, WireError> {
        metrics.clear();
        let mut outline = Outline { regular: true, ..Outline::default() };
        let mut fields = Fields::new(message);
        let mut at = 0;
        while let Some((number, value)) = fields.next()? {
            let end = message.len() - fields.left();
            match number {
                1 => outline.name = value.bytes()?,
                2 => outline.help = value.bytes()?,
                3 => outline.type_number = value.whole()?,
                4 => {
                    let message = value.bytes()?;
                    if metrics.is_empty() {
                        outline.head = at;
                    } else {
                        outline.regular &= at == outline.tail;
                    }
                    outline.tail = end;
                    metrics.push(Piece { start: end - message.len(), message });
                }
                5 => outline.unit = value.bytes()?,
                _ => {}
            }
            at = end;
        }
        if metrics.is_empty() {
            (outline.head, outline.tail) = (message.len(), message.len());
        }
        Ok(outline)
    }

    /// Name and type alone; the words are left empty.
    pub(super) fn family<E>(&self) -> Result<Family<'a>, Stop<E>> {
        let name = text(self.name, "name")?;
        if name.is_empty() {
            return Err(Stop::Form("a family has no name".into()));
        }
        let number = self.type_number;
        let metric_type = usize::try_from(number).ok().and_then(|number| TYPES.get(number)).copied();
        let metric_type = metric_type
            .ok_or_else(|| Stop::Form(format!("family {name:?} has the type {number}, which is unknown")))?;
        Ok(Family { name, help: "", unit: "", metric_type })
    }

    /// All of it.
    pub(super) fn family_with_words<E>(&self) -> Result<Family<'a>, Stop<E>> {
        let family = self.family()?;
        Ok(Family { help: text(self.help, "help")?, unit: text(self.unit, "unit")?, ..family })
    }
}

fn text<'a, E>(bytes: &'a [u8], what: &str) -> Result<&'a str, Stop<E>> {
    std::str::from_utf8(bytes).map_err(|_| Stop::Form(format!("the {what} of a family is not valid UTF-8")))
}

/// A metric whose value is not read yet.
#[derive(Clone, Copy, Default)]
pub(super) struct Metric<'a> {
    message: &'a [u8],
    pub(super) value: Option<&'a [u8]>,
    timestamp_ms: Option<i64>,
    /// Bytes of its labels, where all of them stand in front of the other fields.
    pub(super) labels: Option<usize>,
}

impl<'a> Metric<'a> {
    pub(super) fn read(message: &'a [u8], metric_type: MetricType) -> Result<Self, WireError> {
        let mut metric = Metric { message, labels: Some(0), ..Metric::default() };
        let mut fields = Fields::new(message);
        let mut at = 0;
        while let Some((number, value)) = fields.next()? {
            if number == LABEL {
                value.bytes()?;
                metric.labels = metric.labels.filter(|labels| *labels == at).map(|_| message.len() - fields.left());
            } else {
                metric.take(number, value, metric_type)?;
            }
            at = message.len() - fields.left();
        }
        Ok(metric)
    }

    /// Reads what is behind `labels` bytes, which are whole labels; `None` if there is a further one.
    #[inline]
    pub(super) fn behind(message: &'a [u8], labels: usize, metric_type: MetricType) -> Result<Option<Self>, WireError> {
        let mut metric = Metric { message, labels: Some(labels), ..Metric::default() };
        let mut fields = Fields::new(message.get(labels..).unwrap_or_default());
        while let Some((number, value)) = fields.next()? {
            if number == LABEL {
                return Ok(None);
            }
            metric.take(number, value, metric_type)?;
        }
        Ok(Some(metric))
    }

    #[inline]
    fn take(&mut self, number: u64, value: Value<'a>, metric_type: MetricType) -> Result<(), WireError> {
        if number == value_field(metric_type) {
            self.value = Some(value.bytes()?);
        } else if number == 6 {
            // 0 is what writers without a timestamp mean.
            self.timestamp_ms = Some(value.whole()? as i64).filter(|ms| *ms != 0);
        }
        Ok(())
    }

    pub(super) fn value<E>(&self, metric_type: MetricType) -> Result<&'a [u8], Stop<E>> {
        self.value.ok_or_else(|| Stop::Form(format!("it has no value of the family's type, {}", metric_type.as_str())))
    }
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
        metrics: &mut Vec<Piece<'a>>,
        options: &Options,
        visitor: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        let family = Outline::read(message, metrics)?.family_with_words()?;
        visitor.family(&family).map_err(Stop::Visitor)?;
        for (i, piece) in metrics.iter().enumerate() {
            let metric = Metric::read(piece.message, family.metric_type).map_err(Stop::from);
            metric
                .and_then(|metric| self.metric(&metric, None, &family, options, visitor))
                .map_err(|stop| stop.of_metric(family.name, i))?;
        }
        Ok(())
    }

    /// Tells the samples of a metric. `before` is a metric of the base with the same labels, and type of its family.
    #[inline]
    pub(super) fn metric<V: Visit>(
        &mut self,
        metric: &Metric<'a>,
        before: Option<&Before<'a>>,
        family: &Family<'a>,
        options: &Options,
        visitor: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        let value = metric.value(family.metric_type)?;
        match family.metric_type {
            MetricType::Summary => self.summary(value, metric, before, family, visitor),
            MetricType::Histogram | MetricType::GaugeHistogram => {
                self.histogram.read(value)?;
                let whole = self.whole(family, options)?;
                self.histogram(whole, metric, before, family, options, visitor)
            }
            _ => self.plain(value, metric, before, family, visitor),
        }
    }

    /// Gauges, counters and what has no type: a value, and for counters an exemplar and a start.
    #[inline]
    fn plain<V: Visit>(
        &mut self,
        message: &'a [u8],
        metric: &Metric<'a>,
        before: Option<&Before<'a>>,
        family: &Family<'a>,
        visitor: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        let counter = family.metric_type == MetricType::Counter;
        self.exemplars.clear();
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
        let known = before.map(|before| before.first);
        let mut teller = Teller { family, metric, known, start_ms, visitor };
        teller.tell(Part::Whole, SampleValue::Float(value), self.exemplars.last().map_or(&[], std::slice::from_ref))
    }

    fn summary<V: Visit>(
        &mut self,
        message: &'a [u8],
        metric: &Metric<'a>,
        before: Option<&Before<'a>>,
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
        let known = before.filter(|before| before.has_quantiles(&self.bounds)).map(|before| before.first);
        let mut teller = Teller { family, metric, known, start_ms, visitor };
        teller.tell(Part::Count, SampleValue::Float(count), &[])?;
        teller.tell(Part::Sum, SampleValue::Float(sum), &[])?;
        // Quantiles are gauges: they have no start.
        teller.start_ms = None;
        for (quantile, value) in &self.bounds {
            teller.tell(Part::Quantile(*quantile), SampleValue::Float(*value), &[])?;
        }
        Ok(())
    }

    /// What the histogram that was read last is as a native one.
    fn whole<E>(&mut self, family: &Family<'a>, options: &Options) -> Result<Whole, Stop<E>> {
        let wire = &self.histogram;
        let gauge = family.metric_type == MetricType::GaugeHistogram;
        let too_many = |buckets| Stop::Buckets { name: family.name.to_owned(), buckets };
        if options.native && wire.is_native() {
            let native = wire.native(gauge, options).map_err(|refusal| match refusal {
                Refusal::Wrong(message) => Stop::Form(message),
                Refusal::Buckets(buckets) => too_many(buckets),
            })?;
            return Ok(Whole::Native(native));
        }
        if !options.custom_buckets {
            return Ok(Whole::None);
        }
        self.bounds.clear();
        self.bounds.extend(wire.buckets.iter().map(|bucket| (bucket.upper_bound, bucket.cumulative_count)));
        let Some(custom) = to_custom_buckets(&mut self.bounds, Some(wire.count), Some(wire.sum), gauge) else {
            return Ok(Whole::Contradiction);
        };
        let buckets = custom.positive_buckets.len();
        if options.buckets_max > 0 && buckets > options.buckets_max {
            return Err(too_many(buckets));
        }
        Ok(Whole::Custom(custom))
    }

    fn histogram<V: Visit>(
        &mut self,
        whole: Whole,
        metric: &Metric<'a>,
        before: Option<&Before<'a>>,
        family: &Family<'a>,
        options: &Options,
        visitor: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        let classic = whole.with_classic(&self.histogram, options);
        let mut known = None;
        if let Some(before) = before {
            let is_whole = matches!(whole, Whole::Native(_) | Whole::Custom(_));
            let told = usize::from(is_whole) + if classic { self.histogram.classic_samples() } else { 0 };
            self.before.read(before.value)?;
            let same = told == before.samples && self.before.is_like(&self.histogram);
            known = same.then_some(before.first);
        }
        let wire = &self.histogram;
        let mut teller = Teller { family, metric, known, start_ms: wire.start_ms, visitor };
        match whole {
            Whole::None => {}
            Whole::Contradiction => teller.visitor.contradiction(),
            Whole::Native(histogram) | Whole::Custom(histogram) => {
                // Without a time of its own it would be one of this scrape, again at every scrape.
                let of_buckets = wire.buckets.iter().filter_map(Bucket::exemplar);
                let own = wire.exemplars.iter().copied().map(Exemplar);
                self.exemplars.clear();
                if wire.exemplars.is_empty() {
                    self.exemplars.extend(of_buckets.filter(Exemplar::has_timestamp));
                } else {
                    self.exemplars.extend(own.filter(Exemplar::has_timestamp));
                }
                teller.tell(Part::Whole, SampleValue::Histogram(Arc::new(histogram)), &self.exemplars)?;
            }
        }
        if !classic {
            return Ok(());
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

/// A histogram as a native one.
enum Whole {
    Native(FloatHistogram),
    Custom(FloatHistogram),
    /// Its classic buckets cannot be those of a native one.
    Contradiction,
    /// It has classic buckets alone.
    None,
}

impl Whole {
    /// The classic buckets are told, too.
    fn with_classic(&self, wire: &Wire<'_>, options: &Options) -> bool {
        match self {
            Whole::Native(_) => options.classic_always && !wire.buckets.is_empty(),
            Whole::Custom(_) | Whole::Contradiction => options.classic_always,
            Whole::None => true,
        }
    }
}

/// Tells the samples of one metric.
struct Teller<'b, V> {
    family: &'b Family<'b>,
    metric: &'b Metric<'b>,
    /// The sample of the base that has the series of the next one.
    known: Option<usize>,
    start_ms: Option<i64>,
    visitor: &'b mut V,
}

impl<V: Visit> Teller<'_, V> {
    fn tell(&mut self, part: Part, value: SampleValue, exemplars: &[Exemplar<'_>]) -> Result<(), Stop<V::Error>> {
        let series = Series { family: self.family.name, part, metric: self.metric.message };
        let (timestamp_ms, start_ms) = (self.metric.timestamp_ms, self.start_ms);
        let known = self.known;
        self.known = known.map(|known| known + 1);
        self.visitor.sample(Sample { series, known, value, timestamp_ms, start_ms, exemplars }).map_err(Stop::Visitor)
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
