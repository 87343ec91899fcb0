//! From a body to the values of a row.

use super::custom_buckets::{CLASSIC_REPEATED, bare, is_part};
use super::{Body, BodyError, DROPPED, REPEATED, Report, Rulebook, Scratch, TargetState, VERIFY_EVERY};
use crate::labels::{check_limits, modern_name, sample_labels};
use crate::metrics::Metrics;
use exposition::diff::{Base, Step, Walk};
use exposition::{Format, Reading, Sample};
use model::{FloatHistogram, Labels, SampleValue};
use std::ops::Range;
use std::sync::Arc;

/// Faults of a body that its error names; the rest is counted.
const FAULTS_NAMED: usize = 3;
/// Samples may be so much ahead of their scrape, as in Prometheus: one far ahead would make all others too old.
const AHEAD_MS_MAX: i64 = 10 * 60 * 1000;

/// One reading of a body.
pub(super) struct Reader<'a> {
    timestamp_ms: i64,
    pub(super) book: &'a Rulebook,
    pub(super) scratch: &'a mut Scratch,
    pub(super) report: &'a mut Report,
    /// What refuses the body when all of it is counted.
    pub(super) exceeded: Option<BodyError>,
    /// A quick walk has put the slots of the lines into the scratch, for they are not those of the base.
    pub(super) reordered: bool,
}

impl Reader<'_> {
    /// The time that a sample brings, where that counts.
    pub(super) fn own_timestamp(&self, timestamp_ms: Option<i64>) -> Option<i64> {
        timestamp_ms.filter(|_| self.book.honor_timestamps)
    }
}

/// In which order the samples of the base come in the body. While it is that of the base their slots are as they were;
/// otherwise the scratch gets them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    /// The sample of the base that comes next.
    expected: usize,
    moved: bool,
}

impl Order {
    /// Samples of the base.
    pub(super) fn kept(&mut self, samples: Range<usize>, slots: &[u32], scratch: &mut Scratch) {
        self.meet(Some(samples.start), slots, scratch);
        self.expected = samples.end;
        if self.moved {
            scratch.slots.extend_from_slice(slots.get(samples).unwrap_or_default());
        }
    }

    /// A sample of the base; returns its slot.
    pub(super) fn known(&mut self, sample: usize, slots: &[u32], scratch: &mut Scratch) -> Option<u32> {
        self.meet(Some(sample), slots, scratch);
        self.expected = sample + 1;
        let slot = slots.get(sample).copied()?;
        if self.moved {
            scratch.slots.push(slot);
        }
        Some(slot)
    }

    /// A sample that the base does not have.
    pub(super) fn unknown(&mut self, slot: u32, slots: &[u32], scratch: &mut Scratch) {
        self.meet(None, slots, scratch);
        scratch.slots.push(slot);
    }

    fn meet(&mut self, sample: Option<usize>, slots: &[u32], scratch: &mut Scratch) {
        if !self.moved && sample != Some(self.expected) {
            self.leave(slots, scratch);
        }
    }

    /// From here on the order is another one.
    fn leave(&mut self, slots: &[u32], scratch: &mut Scratch) {
        self.moved = true;
        scratch.slots.clear();
        scratch.slots.extend_from_slice(slots.get(..self.expected).unwrap_or_default());
    }

    /// All samples of the base came, in its order, and no others.
    fn is_same(self, base_samples: usize) -> bool {
        !self.moved && self.expected == base_samples
    }

    /// The body ends.
    fn end(mut self, slots: &[u32], scratch: &mut Scratch) {
        if !self.moved {
            self.leave(slots, scratch);
        }
    }
}

impl TargetState {
    /// Reads a body: afterwards `values`, `seen` and the lists of the row say what it has, and it is the base of the
    /// next one.
    pub(super) fn read(
        &mut self,
        body: Body<'_>,
        timestamp_ms: i64,
        book: &Rulebook,
        metrics: &Metrics,
        scratch: &mut Scratch,
        report: &mut Report,
    ) -> Result<(), BodyError> {
        let Body { bytes, format } = body;
        let mut reader = Reader { timestamp_ms, book, scratch, report, exceeded: None, reordered: false };
        if format == Format::Protobuf {
            return self.read_protobuf(bytes, metrics, &mut reader);
        }
        if !self.messages.is_empty() {
            // What the slots say is about messages.
            self.forget_keys();
        }
        let quick = self.settled && !self.distrusted && Walk::comparable(&self.base, bytes, format);
        let base = std::mem::take(&mut self.base);
        let done = if quick { self.quick(&base, bytes, format, &mut reader) } else { Ok(false) };
        let quick = matches!(done, Ok(true));
        let done = match done {
            Ok(false) => self.careful(&base, bytes, format, &mut reader),
            done => done.map(|_| ()),
        };
        self.base = base;
        done?;
        self.base.replace(bytes, &reader.scratch.lines, format);
        if quick && let Some(turn) = self.turn_to_check() {
            return self.check(format, turn, metrics, &mut reader);
        }
        Ok(())
    }

    /// Counts a quick walk. For one in [`VERIFY_EVERY`] returns a number that grows by one each time.
    pub(super) fn turn_to_check(&mut self) -> Option<u64> {
        let walks = self.walks.unwrap_or_else(|| self.series.any_number()).wrapping_add(1);
        self.walks = Some(walks);
        walks.is_multiple_of(VERIFY_EVERY).then_some(walks / VERIFY_EVERY)
    }

    /// A quick walk was wrong: no more of them.
    pub(super) fn distrust(&mut self, difference: &str, metrics: &Metrics, book: &Rulebook) {
        metrics.walks_wrong.inc();
        tracing::error!(target_labels = %book.target, %difference, "reading by difference was wrong; this target is read in full from now on");
        self.distrusted = true;
    }

    /// Reads the base again by the plain parser; where that says something else, it is believed from now on.
    fn check(
        &mut self,
        format: Format,
        turn: u64,
        metrics: &Metrics,
        reader: &mut Reader<'_>,
    ) -> Result<(), BodyError> {
        metrics.walks_checked.inc();
        let Err(difference) = self.verify(format, reader.book, turn) else { return Ok(()) };
        self.distrust(&difference, metrics, reader.book);
        let mut bytes = self.base.body().to_vec();
        self.forget_keys();
        self.careful(&Base::default(), &bytes, format, reader)?;
        self.base.replace(&mut bytes, &reader.scratch.lines, format);
        Ok(())
    }

    /// Reads what changed. False: it has to be read carefully.
    fn quick(&mut self, base: &Base, bytes: &[u8], format: Format, reader: &mut Reader<'_>) -> Result<bool, BodyError> {
        let mut lines = std::mem::take(&mut reader.scratch.lines);
        let done = self.quick_walk(Walk::quick(base, bytes, format, &mut lines), base.len(), reader);
        reader.report.samples_scraped = lines.len() as u64;
        reader.report.samples_after_relabelling = self.kept;
        reader.scratch.lines = lines;
        if matches!(done, Ok(true)) {
            self.make_wholes(reader)?;
            if reader.exceeded.is_some() {
                // All of it is to be counted.
                return Ok(false);
            }
            if reader.reordered {
                self.take_slots(reader.scratch);
            }
        }
        done
    }

    fn quick_walk(
        &mut self,
        mut walk: Walk<'_>,
        base_lines: usize,
        reader: &mut Reader<'_>,
    ) -> Result<bool, BodyError> {
        let mut order = Order::default();
        let (mut new, limit) = (0, reader.book.limits.samples);
        while let Some(step) = walk.next() {
            match step {
                Step::Kept { first, end } => order.kept(first..end, &self.slots, reader.scratch),
                Step::Known { line, reading } => {
                    let Some(slot) = order.known(line, &self.slots, reader.scratch) else { return Ok(false) };
                    self.take(slot, &reading, reader);
                }
                Step::New(sample) => {
                    new += 1;
                    if limit > 0 && self.kept + new > limit {
                        // What is beyond the limit must not be remembered.
                        return Ok(false);
                    }
                    let Ok(slot) = self.learn_line(&sample, reader)? else { return Ok(false) };
                    order.unknown(slot, &self.slots, reader.scratch);
                    self.take(slot, &sample.reading(), reader);
                }
                Step::Entry(entry) => self.note(&entry),
                Step::Fault(_) | Step::Unsure => return Ok(false),
            }
        }
        Ok(self.take_order(order, base_lines, reader))
    }

    /// The end of a quick walk over a body whose base had so many samples. False: all has to be read.
    pub(super) fn take_order(&mut self, order: Order, base_samples: usize, reader: &mut Reader<'_>) -> bool {
        if order.is_same(base_samples) {
            return true;
        }
        order.end(&self.slots, reader.scratch);
        self.reorder(reader)
    }

    /// Takes other lines in the place of those of the base. False: some series comes twice, or did, and which line
    /// counts has to be found out.
    fn reorder(&mut self, reader: &mut Reader<'_>) -> bool {
        if self.slots.iter().any(|slot| *slot != DROPPED && slot & (REPEATED | CLASSIC_REPEATED) != 0) {
            return false;
        }
        self.seen.clear();
        self.parts.clear_seen();
        self.kept = 0;
        for slot in reader.scratch.slots.iter().copied().filter(|slot| *slot != DROPPED) {
            let slot = if is_part(slot) {
                match self.parts.see(slot) {
                    (false, _) => return false,
                    (true, None) => continue,
                    (true, Some(classic)) => classic,
                }
            } else {
                slot
            };
            if !self.seen.insert(slot) {
                return false;
            }
            self.kept += 1;
        }
        let limit = reader.book.limits.samples;
        if limit > 0 && self.kept > limit {
            // All of it is to be counted.
            return false;
        }
        reader.reordered = true;
        true
    }

    pub(super) fn take_slots(&mut self, scratch: &Scratch) {
        self.slots.clear();
        self.slots.reserve_exact(scratch.slots.len());
        self.slots.extend_from_slice(&scratch.slots);
    }

    /// Reads every line; keys of the base are known.
    fn careful(&mut self, base: &Base, bytes: &[u8], format: Format, reader: &mut Reader<'_>) -> Result<(), BodyError> {
        self.begin();
        self.stamped.clear();
        self.seen.clear();
        self.parts.clear_seen();
        reader.report.samples_scraped = 0;
        reader.report.samples_after_relabelling = 0;
        reader.report.samples_ahead = 0;
        reader.exceeded = None;
        let mut lines = std::mem::take(&mut reader.scratch.lines);
        let done = match Walk::careful(base, bytes, format, &mut lines) {
            Ok(walk) => self.careful_walk(walk, reader).and_then(|kept| self.make_wholes(reader).map(|()| kept)),
            Err(fault) => Err(BodyError::Exposition(fault.to_string())),
        };
        reader.scratch.lines = lines;
        let kept = done?;
        if let Some(exceeded) = reader.exceeded.take() {
            return Err(exceeded);
        }
        self.kept = kept;
        self.take_slots(reader.scratch);
        Ok(())
    }

    /// Returns how many lines relabelling keeps.
    fn careful_walk(&mut self, mut walk: Walk<'_>, reader: &mut Reader<'_>) -> Result<u64, BodyError> {
        reader.scratch.slots.clear();
        self.repeats = 0;
        let mut faults: Vec<String> = Vec::new();
        let mut fault_count = 0_usize;
        while let Some(step) = walk.next() {
            let (slot, reading) = match step {
                // The body is refused; what stood before the fault is counted.
                Step::Known { .. } | Step::New(_) if fault_count > 0 => continue,
                Step::Known { line, reading } => {
                    let slot = self.slots.get(line).copied().unwrap_or(DROPPED);
                    (bare(slot), reading)
                }
                Step::New(sample) => match self.learn_line(&sample, reader)? {
                    Ok(slot) => (slot, sample.reading()),
                    Err(fault) => {
                        reader.report.samples_scraped += u64::from(sample.is_well_formed());
                        fault_count += 1;
                        faults.push(fault);
                        continue;
                    }
                },
                Step::Entry(entry) => {
                    self.note(&entry);
                    continue;
                }
                Step::Fault(fault) => {
                    fault_count += 1;
                    if faults.len() < FAULTS_NAMED {
                        faults.push(fault.to_string());
                    }
                    continue;
                }
                Step::Kept { .. } | Step::Unsure => continue,
            };
            let slot = self.admit(slot, reader)?;
            if slot != bare(slot) && reader.own_timestamp(reading.timestamp_ms).is_none() {
                self.repeats += 1;
            }
            reader.scratch.slots.push(slot);
            self.take(slot, &reading, reader);
        }
        if fault_count > 0 {
            let more = fault_count.saturating_sub(faults.len());
            let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
            return Err(BodyError::Exposition(format!("{}{tail}", faults.join("; "))));
        }
        Ok(reader.report.samples_after_relabelling)
    }

    /// Counts a sample of a body that is read in full. Returns the slot, with [`REPEATED`] where an earlier sample has
    /// the series, too.
    pub(super) fn admit(&mut self, slot: u32, reader: &mut Reader<'_>) -> Result<u32, BodyError> {
        reader.report.samples_scraped += 1;
        if slot == DROPPED {
            return Ok(slot);
        }
        if is_part(slot) {
            let (new, classic) = self.parts.see(slot);
            let mut place = if new { slot } else { slot | REPEATED };
            if let Some(classic) = classic {
                self.count_kept(reader);
                if !self.seen.insert(classic) {
                    place |= CLASSIC_REPEATED;
                }
            }
            return Ok(place);
        }
        self.count_kept(reader);
        Ok(if self.seen.insert(slot) { slot } else { slot | REPEATED })
    }

    /// One sample more that relabelling keeps.
    pub(super) fn count_kept(&self, reader: &mut Reader<'_>) {
        reader.report.samples_after_relabelling += 1;
        let limit = reader.book.limits.samples;
        if limit > 0 && reader.report.samples_after_relabelling > limit {
            reader.exceeded.get_or_insert(BodyError::SampleLimit(limit));
        }
    }

    /// Reads a key of a text for the first time. The inner error is a fault of the body.
    fn learn_line(&mut self, sample: &Sample<'_>, reader: &mut Reader<'_>) -> Result<Result<u32, String>, BodyError> {
        let own = match sample.labels() {
            Ok(own) => own,
            Err(fault) => return Ok(Err(fault.to_string())),
        };
        let wanted_empty = |name: &str| sample.has_empty_label(name);
        if reader.book.histograms.custom_buckets
            && let Some(part) = self.learn_part(&own, sample.family_type(), wanted_empty, reader)?
        {
            return Ok(Ok(part));
        }
        self.learn(&own, wanted_empty, reader).map(Ok)
    }

    /// The slot of a series that is met for the first time. `own` is what the target says; `wanted_empty` tells which
    /// labels it writes without a value.
    pub(super) fn learn(
        &mut self,
        own: &Labels,
        wanted_empty: impl Fn(&str) -> bool,
        reader: &mut Reader<'_>,
    ) -> Result<u32, BodyError> {
        let learned = self.learn_kept(own, wanted_empty, reader);
        if learned.is_err() {
            // It was read, though it refuses the body.
            reader.report.samples_scraped += 1;
        }
        learned
    }

    fn learn_kept(
        &mut self,
        own: &Labels,
        wanted_empty: impl Fn(&str) -> bool,
        reader: &mut Reader<'_>,
    ) -> Result<u32, BodyError> {
        let book = reader.book;
        Ok(match sample_labels(own, wanted_empty, &book.target, book.honor_labels, &book.rules) {
            None => DROPPED,
            Some(labels) if labels.metric_name().is_empty() => return Err(BodyError::NoName(labels)),
            Some(labels) => {
                if book.legacy_names
                    && let Some(name) = modern_name(&labels)
                {
                    return Err(BodyError::LegacyName(name, labels));
                }
                check_limits(&labels, &book.limits).map_err(BodyError::LabelLimit)?;
                let limit = book.limits.samples;
                if limit > 0 && reader.report.samples_after_relabelling >= limit {
                    // What is beyond the limit is counted and not remembered.
                    self.count_kept(reader);
                    return Ok(DROPPED);
                }
                let slot = self.slot(labels);
                if !self.live.contains(slot) {
                    self.added.insert(slot);
                }
                slot
            }
        })
    }

    /// Takes what a line says.
    fn take(&mut self, slot: u32, reading: &Reading<'_>, reader: &mut Reader<'_>) {
        if slot == DROPPED {
            return;
        }
        if is_part(slot) {
            return self.take_part(slot, reading, reader);
        }
        self.take_line(slot, reading, reader);
    }

    /// Takes what the line of a series says.
    pub(super) fn take_line(&mut self, slot: u32, reading: &Reading<'_>, reader: &mut Reader<'_>) {
        self.take_float(slot, reading.value, reader.own_timestamp(reading.timestamp_ms), reader);
        if let Some(exemplar) = reading.exemplar.as_ref().filter(|_| slot & REPEATED == 0) {
            self.exemplars.push((slot, exemplar.to_exemplar()));
        }
    }

    /// Takes a value for a series; `own_ms` is its time where it brings one that counts.
    pub(super) fn take_float(&mut self, slot: u32, value: f64, own_ms: Option<i64>, reader: &mut Reader<'_>) {
        if slot & REPEATED != 0 {
            return self.repeat(
                slot,
                own_ms.filter(|own_ms| !Self::is_ahead(*own_ms, reader)),
                SampleValue::Float(value),
            );
        }
        self.set_value(slot, value);
        self.stamp(slot, own_ms, reader);
    }

    pub(super) fn take_histogram(
        &mut self,
        slot: u32,
        histogram: Arc<FloatHistogram>,
        own_ms: Option<i64>,
        reader: &mut Reader<'_>,
    ) {
        if slot & REPEATED != 0 {
            return self.repeat(
                slot,
                own_ms.filter(|own_ms| !Self::is_ahead(*own_ms, reader)),
                SampleValue::Histogram(histogram),
            );
        }
        self.set_histogram(slot, histogram);
        self.stamp(slot, own_ms, reader);
    }

    /// The series again: only with a time of its own is it another sample.
    fn repeat(&mut self, slot: u32, own_ms: Option<i64>, value: SampleValue) {
        if let Some(own_ms) = own_ms {
            self.repeated.push((slot & !REPEATED, own_ms, value));
        }
    }

    /// True for a time that no clock of a target can show; its sample is counted and not stored.
    fn is_ahead(own_ms: i64, reader: &mut Reader<'_>) -> bool {
        let ahead = own_ms > reader.timestamp_ms.saturating_add(AHEAD_MS_MAX);
        reader.report.samples_ahead += u64::from(ahead);
        ahead
    }

    /// Notes whether a sample brings a time that counts, and which.
    pub(super) fn stamp(&mut self, slot: u32, own_ms: Option<i64>, reader: &mut Reader<'_>) {
        match own_ms {
            None => self.stamped.remove(slot),
            Some(own) if Self::is_ahead(own, reader) => {
                self.stamped.insert(slot);
            }
            Some(own) => {
                self.stamped.insert(slot);
                self.fresh.insert(slot);
                self.changed.insert(slot);
                if own != reader.timestamp_ms {
                    self.own_timestamps.push((slot, own));
                }
            }
        }
    }
}
