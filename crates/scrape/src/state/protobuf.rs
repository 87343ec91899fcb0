//! From a body in protobuf to the values of a row.

use super::custom_buckets::bare;
use super::read::Reader;
use super::{BodyError, DROPPED, REPEATED, TargetState};
use exposition::protobuf::{Family, Fault, Sample, Visit, walk};
use foldhash::fast::RandomState;
use model::SampleValue;
use std::collections::HashMap;

/// How many known series ahead are looked at for one that moved up, before the index of all is asked.
const LOOK_AHEAD: usize = 64;

/// The keys of a body's samples, one behind the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// Where each ends. A body has less than 4 GiB, and its keys are parts of it but for some bytes each.
    ends: Vec<usize>,
}

impl Keys {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(start..end)
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Ends the key that was written behind the others.
    fn end_key(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Takes other keys, with no more memory than they need.
    fn replace(&mut self, other: &Keys) {
        self.clear();
        self.bytes.reserve_exact(other.bytes.len());
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.reserve_exact(other.ends.len());
        self.ends.extend_from_slice(&other.ends);
    }
}

impl From<Fault> for BodyError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Buckets { .. } => BodyError::BucketLimit(fault.to_string()),
            Fault::Form { .. } => BodyError::Exposition(fault.to_string()),
        }
    }
}

impl TargetState {
    /// Reads a body. Series that stand where they stood are known by their bytes.
    pub(super) fn read_protobuf(&mut self, bytes: &[u8], reader: &mut Reader<'_>) -> Result<(), BodyError> {
        if !self.base.is_empty() {
            // What the slots say is about lines of a text.
            self.forget_keys();
        }
        self.begin();
        self.stamped.clear();
        self.seen.clear();
        let known = std::mem::take(&mut self.keys);
        let mut keys = std::mem::take(&mut reader.scratch.keys);
        keys.clear();
        reader.scratch.slots.clear();
        self.repeats = 0;
        let options = reader.book.histograms;
        let mut taker =
            Taker { state: self, reader, known: &known, keys: &mut keys, next: 0, moved: false, index: None };
        let done = walk(bytes, &options, &mut taker);
        let same = !taker.moved && taker.next == known.len();
        self.keys = known;
        let done = done.and_then(|()| reader.exceeded.take().map_or(Ok(()), Err));
        if done.is_ok() {
            if !same {
                self.keys.replace(&keys);
            }
            self.take_slots(reader.scratch);
        }
        reader.scratch.keys = keys;
        done
    }
}

struct Taker<'a, 'r, 'k> {
    state: &'a mut TargetState,
    reader: &'a mut Reader<'r>,
    /// Of the body before, in its order; the state's slots are those of them.
    known: &'k Keys,
    /// Of this body.
    keys: &'a mut Keys,
    /// The known key that is expected.
    next: usize,
    /// The keys are others, or in another order.
    moved: bool,
    /// Made when a key is not among the next ones.
    index: Option<HashMap<&'k [u8], usize, RandomState>>,
}

impl Taker<'_, '_, '_> {
    /// Which of the known keys it is that was written last.
    fn place(&mut self, start: usize) -> Option<usize> {
        let key = self.keys.bytes.get(start..)?;
        let known = self.known;
        let ahead = (self.next..known.len().min(self.next + LOOK_AHEAD)).find(|at| known.get(*at) == Some(key));
        if ahead.is_some() || known.len() == 0 {
            return ahead;
        }
        let index = self.index.get_or_insert_with(|| known.iter().enumerate().map(|(at, key)| (key, at)).collect());
        index.get(key).copied()
    }
}

impl Visit for Taker<'_, '_, '_> {
    type Error = BodyError;

    fn family(&mut self, family: &Family<'_>) -> Result<(), BodyError> {
        let same = self.state.family(family.name).is_some_and(|known| {
            known.metric_type == family.metric_type && known.help == family.help && known.unit == family.unit
        });
        if !same {
            let told = self.state.tell(family.name);
            told.metric_type = family.metric_type;
            family.help.clone_into(&mut told.help);
            family.unit.clone_into(&mut told.unit);
        }
        Ok(())
    }

    fn contradiction(&mut self) {
        self.reader.report.contradictions += 1;
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), BodyError> {
        let start = self.keys.bytes.len();
        sample.series.put_key(&mut self.keys.bytes);
        let place = self.place(start);
        self.keys.end_key();
        self.moved |= place != Some(self.next);
        let slot = match place.and_then(|place| Some((place, *self.state.slots.get(place)?))) {
            Some((place, slot)) => {
                self.next = place + 1;
                bare(slot)
            }
            None => {
                let own = sample.series.labels().map_err(BodyError::Exposition)?;
                self.state.learn(&own, |name| sample.series.has_empty_label(name), self.reader)?
            }
        };
        let slot = self.state.admit(slot, self.reader)?;
        self.reader.scratch.slots.push(slot);
        if slot == DROPPED {
            return Ok(());
        }
        let (state, own_ms) = (&mut *self.state, self.reader.own_timestamp(sample.timestamp_ms));
        match sample.value {
            SampleValue::Float(value) => state.take_float(slot, value, own_ms, self.reader),
            SampleValue::Histogram(histogram) => state.take_histogram(slot, histogram, own_ms, self.reader),
        }
        if slot & REPEATED != 0 {
            self.state.repeats += u64::from(own_ms.is_none());
            return Ok(());
        }
        if let Some(start_ms) = sample.start_ms {
            state.start_timestamps.push((slot, start_ms));
        }
        // A sample is worth more than an exemplar that cannot be read.
        state.exemplars.extend(sample.exemplars.iter().filter_map(|exemplar| Some((slot, exemplar.read().ok()?))));
        Ok(())
    }
}
