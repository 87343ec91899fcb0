//! From a body in protobuf to the values of a row.

use super::custom_buckets::bare;
use super::read::{Order, Reader};
use super::{BodyError, DROPPED, REPEATED, Rulebook, TargetState};
use crate::labels::sample_labels;
use crate::metrics::Metrics;
use exposition::protobuf::diff::{self, Base};
use exposition::protobuf::{self, Family, Fault, Sample, Visit};
use foldhash::fast::RandomState;
use model::{FloatHistogram, SampleValue};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Of so many samples the labels of one are checked: they cost far more than values.
const LABELS_EVERY: usize = 16;

impl From<Fault> for BodyError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Buckets { .. } => BodyError::BucketLimit(fault.to_string()),
            Fault::Form { .. } => BodyError::Exposition(fault.to_string()),
        }
    }
}

impl TargetState {
    /// Reads a body by what it changes of the one before, or all of its values.
    pub(super) fn read_protobuf(
        &mut self,
        bytes: &mut Vec<u8>,
        metrics: &Metrics,
        reader: &mut Reader<'_>,
    ) -> Result<(), BodyError> {
        if !self.base.is_empty() {
            // What the slots say is about lines of a text.
            self.forget_keys();
        }
        let quick = self.settled && !self.distrusted && !self.messages.is_empty();
        let base = std::mem::take(&mut self.messages);
        let quick = quick && self.quick_messages(&base, bytes, reader);
        let done = if quick { Ok(()) } else { self.all_messages(&base, bytes, reader) };
        self.messages = base;
        done?;
        self.messages.replace(bytes, &reader.scratch.places, &reader.book.histograms);
        if quick && let Some(turn) = self.turn_to_check() {
            return self.check_messages(turn, metrics, reader);
        }
        Ok(())
    }

    /// Reads what changed. False: all of it has to be read.
    fn quick_messages(&mut self, base: &Base, bytes: &[u8], reader: &mut Reader<'_>) -> bool {
        let mut places = std::mem::take(&mut reader.scratch.places);
        let options = reader.book.histograms;
        let mut taker = QuickTaker { state: self, reader, order: Order::default(), new: 0 };
        let done = diff::walk_quick(base, bytes, &options, &mut places, &mut taker);
        let order = taker.order;
        reader.report.samples_scraped = places.samples() as u64;
        reader.scratch.places = places;
        if done.is_err() || !self.take_order(order, base.len(), reader) {
            return false;
        }
        reader.report.samples_after_relabelling = self.kept;
        if reader.reordered {
            self.take_slots(reader.scratch);
        }
        true
    }

    /// Reads every value; series of the base are known.
    fn all_messages(&mut self, base: &Base, bytes: &[u8], reader: &mut Reader<'_>) -> Result<(), BodyError> {
        self.begin();
        self.stamped.clear();
        self.seen.clear();
        self.repeats = 0;
        reader.report.samples_scraped = 0;
        reader.report.samples_after_relabelling = 0;
        reader.report.samples_ahead = 0;
        reader.report.contradictions = 0;
        reader.exceeded = None;
        reader.scratch.slots.clear();
        let mut places = std::mem::take(&mut reader.scratch.places);
        let options = reader.book.histograms;
        let done = diff::walk(base, bytes, &options, &mut places, &mut Taker { state: self, reader });
        reader.scratch.places = places;
        done?;
        if let Some(exceeded) = reader.exceeded.take() {
            return Err(exceeded);
        }
        self.kept = reader.report.samples_after_relabelling;
        self.take_slots(reader.scratch);
        Ok(())
    }

    /// Reads the base again by the plain walk; where that says something else, it is believed from now on.
    fn check_messages(&mut self, turn: u64, metrics: &Metrics, reader: &mut Reader<'_>) -> Result<(), BodyError> {
        metrics.walks_checked.inc();
        let Err(difference) = self.verify_messages(reader.book, turn) else { return Ok(()) };
        self.distrust(&difference, metrics, reader.book);
        let mut bytes = self.messages.body().to_vec();
        self.forget_keys();
        self.all_messages(&Base::default(), &bytes, reader)?;
        self.messages.replace(&mut bytes, &reader.scratch.places, &reader.book.histograms);
        Ok(())
    }

    /// Compares the samples of the base with what the plain walk tells.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn verify_messages(&mut self, book: &Rulebook, turn: u64) -> Result<(), String> {
        let base = std::mem::take(&mut self.messages);
        let turn = turn as usize % LABELS_EVERY;
        let histograms = self.histograms.iter().map(|(slot, histogram)| (*slot, Arc::clone(histogram))).collect();
        let mut judge = Judge { state: self, book, turn, histograms, samples: 0, starts: Vec::new() };
        let done = protobuf::walk(base.body(), &book.histograms, &mut judge);
        let (samples, mut starts) = (judge.samples, judge.starts);
        let count = base.len();
        self.messages = base;
        done.map_err(|wrong| wrong.0)?;
        if samples != self.slots.len() || samples != count {
            return Err(format!("{samples} samples, not {}", self.slots.len()));
        }
        let mut own = self.start_timestamps.clone();
        own.sort_unstable();
        starts.sort_unstable();
        if own == starts { Ok(()) } else { Err(format!("{} starts, not {}", starts.len(), own.len())) }
    }

    fn note_family(&mut self, family: &Family<'_>) {
        let same = self.family(family.name).is_some_and(|known| {
            known.metric_type == family.metric_type && known.help == family.help && known.unit == family.unit
        });
        if !same {
            let told = self.tell(family.name);
            told.metric_type = family.metric_type;
            family.help.clone_into(&mut told.help);
            family.unit.clone_into(&mut told.unit);
        }
    }

    /// Takes what a sample says.
    #[inline]
    fn take_sample(&mut self, slot: u32, sample: Sample<'_>, reader: &mut Reader<'_>) {
        if slot == DROPPED {
            return;
        }
        let own_ms = reader.own_timestamp(sample.timestamp_ms);
        match sample.value {
            SampleValue::Float(value) => self.take_float(slot, value, own_ms, reader),
            SampleValue::Histogram(histogram) => self.take_histogram(slot, histogram, own_ms, reader),
        }
        if slot & REPEATED != 0 {
            return;
        }
        if let Some(start_ms) = sample.start_ms {
            self.start_timestamps.push((slot, start_ms));
        }
        // A sample is worth more than an exemplar that cannot be read.
        self.exemplars.extend(sample.exemplars.iter().filter_map(|exemplar| Some((slot, exemplar.read().ok()?))));
    }

    fn learn_sample(&mut self, sample: &Sample<'_>, reader: &mut Reader<'_>) -> Result<u32, BodyError> {
        let own = sample.series.labels().map_err(BodyError::Exposition)?;
        self.learn(&own, |name| sample.series.has_empty_label(name), reader)
    }
}

/// Takes every sample.
struct Taker<'a, 'r> {
    state: &'a mut TargetState,
    reader: &'a mut Reader<'r>,
}

impl Visit for Taker<'_, '_> {
    type Error = BodyError;

    fn family(&mut self, family: &Family<'_>) -> Result<(), BodyError> {
        self.state.note_family(family);
        Ok(())
    }

    fn contradiction(&mut self) {
        self.reader.report.contradictions += 1;
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), BodyError> {
        let (state, reader) = (&mut *self.state, &mut *self.reader);
        let slot = match sample.known.and_then(|known| state.slots.get(known)) {
            Some(slot) => bare(*slot),
            None => state.learn_sample(&sample, reader)?,
        };
        let slot = state.admit(slot, reader)?;
        reader.scratch.slots.push(slot);
        if slot != DROPPED && slot & REPEATED != 0 {
            state.repeats += u64::from(reader.own_timestamp(sample.timestamp_ms).is_none());
        }
        state.take_sample(slot, sample, reader);
        Ok(())
    }
}

/// Takes what changed.
struct QuickTaker<'a, 'r> {
    state: &'a mut TargetState,
    reader: &'a mut Reader<'r>,
    order: Order,
    /// Samples that the base does not have.
    new: u64,
}

/// A quick walk ends early, and all has to be read: it does not count what it passes over, which those want to know who
/// are told of a fault.
struct Unsure;

impl From<Fault> for Unsure {
    fn from(_: Fault) -> Self {
        Unsure
    }
}

impl Visit for QuickTaker<'_, '_> {
    type Error = Unsure;

    fn family(&mut self, family: &Family<'_>) -> Result<(), Unsure> {
        self.state.note_family(family);
        Ok(())
    }

    fn contradiction(&mut self) {
        self.reader.report.contradictions += 1;
    }

    fn kept(&mut self, samples: Range<usize>) -> Result<(), Unsure> {
        self.order.kept(samples, &self.state.slots, self.reader.scratch);
        Ok(())
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Unsure> {
        let (state, reader) = (&mut *self.state, &mut *self.reader);
        let slot = if let Some(known) = sample.known {
            self.order.known(known, &state.slots, reader.scratch).ok_or(Unsure)?
        } else {
            self.new += 1;
            let limit = reader.book.limits.samples;
            if limit > 0 && state.kept + self.new > limit {
                // What is beyond the limit must not be remembered.
                return Err(Unsure);
            }
            let slot = state.learn_sample(&sample, reader).map_err(|_| Unsure)?;
            self.order.unknown(slot, &state.slots, reader.scratch);
            slot
        };
        state.take_sample(slot, sample, reader);
        Ok(())
    }
}

/// Compares what the plain walk tells with what the state has.
struct Judge<'a> {
    state: &'a mut TargetState,
    book: &'a Rulebook,
    turn: usize,
    histograms: HashMap<u32, Arc<FloatHistogram>, RandomState>,
    samples: usize,
    starts: Vec<(u32, i64)>,
}

/// A difference.
struct Wrong(String);

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Wrong(fault.to_string())
    }
}

impl Visit for Judge<'_> {
    type Error = Wrong;

    fn family(&mut self, _: &Family<'_>) -> Result<(), Wrong> {
        Ok(())
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Wrong> {
        let (at, state, book) = (self.samples, &mut *self.state, self.book);
        self.samples += 1;
        let Some(&slot) = state.slots.get(at) else { return Err(Wrong(format!("sample {at} is one more"))) };
        let series = bare(slot);
        if at % LABELS_EVERY == self.turn {
            let own = sample.series.labels().map_err(Wrong)?;
            let empty = |name: &str| sample.series.has_empty_label(name);
            let labels = sample_labels(&own, empty, &book.target, book.honor_labels, &book.rules);
            if labels.map_or(Some(DROPPED), |labels| state.series.slot(&labels)) != Some(series) {
                return Err(Wrong(format!("sample {at} is another series: {own}")));
            }
        }
        if slot == DROPPED || slot & REPEATED != 0 {
            return Ok(());
        }
        self.starts.extend(sample.start_ms.map(|start_ms| (slot, start_ms)));
        if state.report_slots.contains(&slot) {
            // The report may have taken the place of the value.
            return Ok(());
        }
        let same = match &sample.value {
            SampleValue::Float(value) => {
                let own = state.values.get(slot as usize).map(|own| own.to_bits());
                own == Some(value.to_bits()) && !state.of_histograms.contains(slot)
            }
            SampleValue::Histogram(value) => {
                // Written out, values that are no numbers are equal, too.
                self.histograms.get(&slot).is_some_and(|own| format!("{own:?}") == format!("{value:?}"))
            }
        };
        if !same {
            return Err(Wrong(format!("sample {at} has the value {:?}", sample.value)));
        }
        let stamped = sample.timestamp_ms.is_some() && book.honor_timestamps;
        if stamped != state.stamped.contains(slot) || !state.seen.contains(slot) {
            return Err(Wrong(format!("sample {at} is of another kind")));
        }
        Ok(())
    }
}
