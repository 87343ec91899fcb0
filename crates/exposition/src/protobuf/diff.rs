//! Reading a body by what it changes of the one before it.
//!
//! A family whose bytes are those of the [`Base`] is passed over as a whole, and so is a metric. Of a metric whose labels
//! are those of one of the base, byte for byte, the value alone is read: [`Sample::known`] tells which sample of the base
//! has its series. What came, went or moved is found by names and labels.
//!
//! [`walk`] reads every value, [`walk_quick`] passes over what did not change. A fault ends both; a quick walk does not
//! tell what it has passed over, so that whoever counts samples walks again.

use super::walk::{Before, Metric, Outline, Piece, Room, Stop};
use super::wire::delimited;
use super::{Family, Fault, Options, Sample, Visit};
use crate::diff::{BODY_BYTES_MAX, keep_body};
use foldhash::fast::RandomState;
use model::{MetricType, SampleValue};
use std::collections::HashMap;
use std::ops::Range;

/// How many known metrics ahead are looked at for one that moved up, before the index of all is asked.
const LOOK_AHEAD: usize = 64;
/// In the place of [`MetricPlace::labels`]: they stand among other fields.
const SCATTERED: u32 = u32::MAX;
/// Places that are kept may own this many times their number, and so much more.
const SLACK_FACTOR: usize = 2;
const SLACK: usize = 64;

/// Where a family stands in a body. Bodies are shorter than 1 GiB, see [`BODY_BYTES_MAX`].
#[derive(Clone, Copy, Debug)]
struct FamilyPlace {
    start: u32,
    length: u32,
    /// Bytes before its first metric and up to the end of its last one.
    head: u32,
    tail: u32,
    /// Its first metric and its first sample.
    metric: u32,
    sample: u32,
    /// No other field stands between its metrics.
    regular: bool,
    /// What is told of it are floats without a start. Native histograms and starts are told at every walk, for a row
    /// has them all.
    keepable: bool,
}

#[derive(Clone, Copy, Debug)]
struct MetricPlace {
    start: u32,
    length: u32,
    /// Bytes of the labels in front of all else, or [`SCATTERED`].
    labels: u32,
    /// Its first sample.
    sample: u32,
}

/// Where families, metrics and samples of a body stand.
#[derive(Clone, Debug, Default)]
pub struct Places {
    families: Vec<FamilyPlace>,
    metrics: Vec<MetricPlace>,
    samples: usize,
}

impl Places {
    /// Samples of the body.
    pub fn samples(&self) -> usize {
        self.samples
    }

    fn clear(&mut self) {
        self.families.clear();
        self.metrics.clear();
        self.samples = 0;
    }

    fn metrics_of(&self, family: usize) -> Range<usize> {
        let first = |family: usize| self.families.get(family).map_or(self.metrics.len(), |place| place.metric as usize);
        first(family)..first(family + 1)
    }

    fn samples_of(&self, family: usize) -> Range<usize> {
        let first = |family: usize| self.families.get(family).map_or(self.samples, |place| place.sample as usize);
        first(family)..first(family + 1)
    }

    fn samples_of_metric(&self, metric: usize) -> Range<usize> {
        let first = |metric: usize| self.metrics.get(metric).map_or(self.samples, |place| place.sample as usize);
        first(metric)..first(metric + 1)
    }
}

/// A body that was read, and where its samples stand.
#[derive(Clone, Debug, Default)]
pub struct Base {
    body: Vec<u8>,
    places: Places,
    /// By which it was read.
    options: Option<Options>,
}

impl Base {
    /// Samples of the body.
    pub fn len(&self) -> usize {
        self.places.samples
    }

    pub fn is_empty(&self) -> bool {
        self.places.samples == 0
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Takes a body that was walked over to its end. `body` gets the memory of the one before.
    pub fn replace(&mut self, body: &mut Vec<u8>, places: &Places, options: &Options) {
        keep_body(&mut self.body, body);
        let own = &mut self.places;
        replace(&mut own.families, &places.families);
        replace(&mut own.metrics, &places.metrics);
        own.samples = places.samples;
        self.options = Some(*options);
    }

    /// Forgets the body.
    pub fn clear(&mut self) {
        *self = Base::default();
    }

    fn family(&self, index: usize) -> Option<(&FamilyPlace, &[u8])> {
        let place = self.places.families.get(index)?;
        Some((place, self.bytes(place.start, place.length)?))
    }

    fn metric(&self, index: usize) -> Option<(&MetricPlace, &[u8])> {
        let place = self.places.metrics.get(index)?;
        Some((place, self.bytes(place.start, place.length)?))
    }

    fn labels(&self, metric: usize) -> Option<&[u8]> {
        let (place, message) = self.metric(metric)?;
        message.get(..place.labels as usize)
    }

    fn bytes(&self, start: u32, length: u32) -> Option<&[u8]> {
        self.body.get(start as usize..)?.get(..length as usize)
    }
}

fn replace<T: Copy>(own: &mut Vec<T>, new: &[T]) {
    own.clear();
    own.reserve_exact(new.len());
    own.extend_from_slice(new);
    if own.capacity() > SLACK_FACTOR * new.len() + SLACK {
        own.shrink_to_fit();
    }
}

/// Tells every family and every sample of a body as [`super::walk()`] does, and which of them the base has.
/// `places` gets where they stand, for [`Base::replace`].
///
/// # Errors
/// As [`super::walk()`]; or the body is longer than [`BODY_BYTES_MAX`].
pub fn walk<V: Visit>(
    base: &Base,
    body: &[u8],
    options: &Options,
    places: &mut Places,
    visitor: &mut V,
) -> Result<(), V::Error> {
    Walk::new(base, options, false, places, visitor).body(body)
}

/// As [`walk`], but what did not change is told by [`Visit::kept`], and families with the same words are not told.
///
/// # Errors
/// As [`walk`].
pub fn walk_quick<V: Visit>(
    base: &Base,
    body: &[u8],
    options: &Options,
    places: &mut Places,
    visitor: &mut V,
) -> Result<(), V::Error> {
    Walk::new(base, options, true, places, visitor).body(body)
}

/// Places by what stands there.
type Index<K> = HashMap<K, usize, RandomState>;

struct Walk<'a, 'w, V> {
    base: &'a Base,
    options: &'a Options,
    quick: bool,
    places: &'w mut Places,
    told: Told<'w, V>,
    room: Room<'a>,
    /// The family of the base that is expected.
    next: usize,
    /// Families of the base by name and type, and its metrics by family and labels: made when some moved.
    by_name: Option<Index<(&'a [u8], u64)>>,
    by_labels: Option<Index<(usize, &'a [u8])>>,
}

/// Hands on what is told, and counts it.
struct Told<'w, V> {
    visitor: &'w mut V,
    samples: usize,
    /// Samples of the base that are kept and not told yet.
    kept: Range<usize>,
    /// See [`FamilyPlace::keepable`], of the family that began last.
    keepable: bool,
}

impl<V: Visit> Told<'_, V> {
    fn keep(&mut self, samples: Range<usize>) -> Result<(), V::Error> {
        self.samples += samples.len();
        if self.kept.end == samples.start {
            self.kept.end = samples.end;
            return Ok(());
        }
        self.tell_kept()?;
        self.kept = samples;
        Ok(())
    }

    #[inline]
    fn tell_kept(&mut self) -> Result<(), V::Error> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let kept = std::mem::replace(&mut self.kept, 0..0);
        self.visitor.kept(kept)
    }
}

impl<V: Visit> Visit for Told<'_, V> {
    type Error = V::Error;

    fn family(&mut self, family: &Family<'_>) -> Result<(), V::Error> {
        self.tell_kept()?;
        self.visitor.family(family)
    }

    #[inline]
    fn sample(&mut self, sample: Sample<'_>) -> Result<(), V::Error> {
        self.tell_kept()?;
        self.samples += 1;
        self.keepable &= sample.start_ms.is_none() && matches!(sample.value, SampleValue::Float(_));
        self.visitor.sample(sample)
    }

    fn contradiction(&mut self) {
        self.keepable = false;
        self.visitor.contradiction();
    }
}

impl<'a, 'w, V: Visit> Walk<'a, 'w, V> {
    fn new(base: &'a Base, options: &'a Options, quick: bool, places: &'w mut Places, visitor: &'w mut V) -> Self {
        places.clear();
        let next = if base.options == Some(*options) { 0 } else { base.places.families.len() };
        let told = Told { visitor, samples: 0, kept: 0..0, keepable: true };
        let (by_name, by_labels) = (None, None);
        Walk { base, options, quick, places, told, room: Room::default(), next, by_name, by_labels }
    }

    fn body(&mut self, body: &'a [u8]) -> Result<(), V::Error> {
        if body.len() > BODY_BYTES_MAX {
            let message = format!("the body has more than {BODY_BYTES_MAX} bytes");
            return Err(Fault::Form { at: 0, message }.into());
        }
        let mut rest = body;
        let mut metrics = Vec::new();
        while !rest.is_empty() {
            let at = body.len() - rest.len();
            let done = delimited(&mut rest)
                .map_err(Stop::from)
                .and_then(|message| self.family(message, body.len() - rest.len() - message.len(), &mut metrics));
            done.map_err(|stop| stop.told(at, self.options))?;
        }
        self.places.samples = self.told.samples;
        self.told.tell_kept()
    }

    /// The message of a family, which starts at `start`.
    fn family(&mut self, message: &'a [u8], start: usize, metrics: &mut Vec<Piece<'a>>) -> Result<(), Stop<V::Error>> {
        if self.keep_family(self.next, message, start)? {
            return Ok(());
        }
        let outline = Outline::read(message, metrics)?;
        let known;
        let family = if self.has_same_words(message, &outline) {
            known = Some(self.next);
            let family = outline.family()?;
            if !self.quick {
                self.told.family(&outline.family_with_words()?).map_err(Stop::Visitor)?;
            }
            family
        } else {
            let family = outline.family_with_words()?;
            self.told.family(&family).map_err(Stop::Visitor)?;
            known = self.find_family(&outline);
            if let Some(known) = known
                && self.keep_family(known, message, start)?
            {
                return Ok(());
            }
            family
        };
        let mut place = FamilyPlace {
            start: start as u32,
            length: message.len() as u32,
            head: outline.head as u32,
            tail: outline.tail as u32,
            metric: self.places.metrics.len() as u32,
            sample: self.told.samples as u32,
            regular: outline.regular,
            keepable: true,
        };
        self.told.keepable = true;
        let known = known.map(|index| {
            self.next = index + 1;
            Known {
                family: index,
                metrics: self.base.places.metrics_of(index),
                keepable: self.quick && self.base.places.families.get(index).is_some_and(|place| place.keepable),
            }
        });
        let mut next = known.as_ref().map_or(0, |known| known.metrics.start);
        for (i, piece) in metrics.iter().enumerate() {
            let piece = Piece { start: start + piece.start, ..*piece };
            self.metric(&piece, &family, known.as_ref(), &mut next).map_err(|stop| stop.of_metric(family.name, i))?;
        }
        place.keepable = self.told.keepable;
        self.places.families.push(place);
        Ok(())
    }

    /// Passes over a family that is that of the base, byte for byte.
    fn keep_family(&mut self, index: usize, message: &[u8], start: usize) -> Result<bool, Stop<V::Error>> {
        let base = self.base;
        let Some((place, _)) =
            base.family(index).filter(|(place, known)| self.quick && place.keepable && *known == message)
        else {
            return Ok(false);
        };
        let samples = base.places.samples_of(index);
        let metrics = self.places.metrics.len();
        let (from, to) = (self.told.samples as u32, start as u32);
        self.places.families.push(FamilyPlace { start: to, metric: metrics as u32, sample: from, ..*place });
        let known = base.places.metrics.get(base.places.metrics_of(index)).unwrap_or_default();
        self.places.metrics.extend(known.iter().map(|metric| MetricPlace {
            start: metric.start - place.start + to,
            sample: metric.sample - place.sample + from,
            ..*metric
        }));
        self.next = index + 1;
        self.told.keep(samples).map_err(Stop::Visitor)?;
        Ok(true)
    }

    /// The expected family of the base has the same fields but for the metrics.
    fn has_same_words(&self, message: &[u8], outline: &Outline<'_>) -> bool {
        self.base.family(self.next).is_some_and(|(place, known)| {
            place.regular
                && outline.regular
                && known.get(..place.head as usize) == message.get(..outline.head)
                && known.get(place.tail as usize..) == message.get(outline.tail..)
        })
    }

    /// Any family of the base with this name and this type.
    fn find_family(&mut self, outline: &Outline<'_>) -> Option<usize> {
        let base = self.base;
        if base.options != Some(*self.options) {
            return None;
        }
        let index = self.by_name.get_or_insert_with(|| {
            let mut metrics = Vec::new();
            (0..base.places.families.len())
                .filter_map(|index| {
                    let outline = Outline::read(base.family(index)?.1, &mut metrics).ok()?;
                    Some(((outline.name, outline.type_number), index))
                })
                .collect()
        });
        index.get(&(outline.name, outline.type_number)).copied()
    }

    /// Reads a metric; `next` is the one of the base that is expected.
    #[inline]
    fn metric(
        &mut self,
        piece: &Piece<'a>,
        family: &Family<'a>,
        known: Option<&Known>,
        next: &mut usize,
    ) -> Result<(), Stop<V::Error>> {
        let sample = self.told.samples as u32;
        let length = piece.message.len() as u32;
        let mut place = MetricPlace { start: piece.start as u32, length, labels: SCATTERED, sample };
        let metric = match known.and_then(|known| self.expected(piece.message, known, *next)) {
            Some((known, before)) if known.keepable && before == piece.message => {
                let (at, base) = (*next, &self.base.places);
                place.labels = base.metrics.get(at).map_or(SCATTERED, |metric| metric.labels);
                self.places.metrics.push(place);
                *next += 1;
                return self.told.keep(base.samples_of_metric(at)).map_err(Stop::Visitor);
            }
            Some((_, before)) => {
                let labels = self.base.labels(*next).unwrap_or_default().len();
                let metric = Metric::behind(piece.message, labels, family.metric_type)?;
                metric.map(|metric| (metric, Some((*next, before))))
            }
            None => None,
        };
        let (metric, before) = match metric {
            Some(read) => read,
            None => {
                let metric = Metric::read(piece.message, family.metric_type)?;
                let place = known.and_then(|known| self.find_metric(&metric, piece.message, known, *next));
                (metric, place.and_then(|place| Some((place, self.base.metric(place)?.1))))
            }
        };
        let before = before.and_then(|(at, message)| {
            *next = at + 1;
            self.before(at, message, family.metric_type)
        });
        place.labels = metric.labels.map_or(SCATTERED, |labels| labels as u32);
        self.room.metric(&metric, before.as_ref(), family, self.options, &mut self.told)?;
        self.places.metrics.push(place);
        Ok(())
    }

    /// The expected metric of the base, if this one begins with its labels.
    #[inline]
    fn expected<'k>(&self, message: &[u8], known: &'k Known, next: usize) -> Option<(&'k Known, &'a [u8])> {
        let base = self.base;
        if next >= known.metrics.end {
            return None;
        }
        let (place, before) = base.metric(next)?;
        message.starts_with(before.get(..place.labels as usize)?).then_some((known, before))
    }

    /// What is known of a metric of the base. Its value is read again only where the samples depend on it.
    #[inline]
    fn before(&self, at: usize, message: &'a [u8], metric_type: MetricType) -> Option<Before<'a>> {
        let samples = self.base.places.samples_of_metric(at);
        let value = match metric_type {
            MetricType::Summary | MetricType::Histogram | MetricType::GaugeHistogram => {
                Metric::read(message, metric_type).ok()?.value?
            }
            _ => &[],
        };
        Some(Before { value, first: samples.start, samples: samples.len() })
    }

    /// A metric of the family in the base that has the same labels.
    fn find_metric(&mut self, metric: &Metric<'a>, message: &[u8], known: &Known, next: usize) -> Option<usize> {
        let labels = message.get(..metric.labels?)?;
        let base = self.base;
        let ahead = next..known.metrics.end.min(next + LOOK_AHEAD);
        if let Some(at) = ahead.into_iter().find(|at| base.labels(*at) == Some(labels)) {
            return Some(at);
        }
        let index = self.by_labels.get_or_insert_with(|| {
            (0..base.places.families.len())
                .flat_map(|family| base.places.metrics_of(family).map(move |metric| (family, metric)))
                .filter_map(|(family, metric)| Some(((family, base.labels(metric)?), metric)))
                .collect()
        });
        index.get(&(known.family, labels)).copied()
    }
}

/// A family of the base.
struct Known {
    family: usize,
    metrics: Range<usize>,
    /// Its metrics may be kept.
    keepable: bool,
}
