//! Classic histograms of a text, stored as native ones with custom buckets: `convert_classic_histograms_to_nhcb`.
//!
//! Their lines are parts of a whole and no series of their own. The walk by difference keeps the value of each part, and
//! the whole is made from all of them at the end of a scrape.

use super::bits::Bits;
use super::read::Reader;
use super::{BodyError, DROPPED, REPEATED, TargetState};
use exposition::classic::to_custom_buckets;
use exposition::{Reading, parse_float};
use foldhash::fast::RandomState;
use model::labels::METRIC_NAME;
use model::{Labels, MetricType};
use std::collections::HashMap;
use std::sync::Arc;

/// In the place of a series: the rest is the number of a part.
pub(super) const PART: u32 = 1 << 30;

/// Beside a part: an earlier line of the body has its classic series, and that one counts.
pub(super) const CLASSIC_REPEATED: u32 = 1 << 29;

/// True for what stands in the place of a series.
pub(super) fn is_part(slot: u32) -> bool {
    slot != DROPPED && slot & PART != 0
}

fn number(slot: u32) -> u32 {
    slot & !(PART | REPEATED | CLASSIC_REPEATED)
}

/// The place of a line without what is said beside it.
pub(super) fn bare(slot: u32) -> u32 {
    match slot {
        DROPPED => DROPPED,
        part if is_part(part) => number(part) | PART,
        series => series & !REPEATED,
    }
}

/// What a line says of its histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Bucket(f64),
    Count,
    Sum,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    role: Role,
    whole: u32,
    /// The slot of the classic series where that is stored, too, else [`DROPPED`].
    classic: u32,
    value: f64,
}

#[derive(Debug)]
struct Whole {
    slot: u32,
    gauge: bool,
    parts: Vec<u32>,
    /// The time of the part that was read last, where parts bring one that counts.
    own_ms: Option<i64>,
    /// Some part was read in this scrape.
    read: bool,
}

#[derive(Default)]
pub(super) struct Parts {
    parts: Vec<Part>,
    wholes: Vec<Whole>,
    /// Wholes by their slots.
    by_slot: HashMap<u32, u32, RandomState>,
    /// Parts that the body has.
    seen: Bits,
    bounds: Vec<(f64, f64)>,
}

impl Parts {
    fn get(&self, slot: u32) -> Option<&Part> {
        self.parts.get(number(slot) as usize)
    }

    pub(super) fn value(&self, slot: u32) -> Option<f64> {
        self.get(slot).map(|part| part.value)
    }

    pub(super) fn clear_seen(&mut self) {
        self.seen.clear();
    }

    /// Notes that the body has the part; false if it was noted. With it the classic series, if that is stored.
    pub(super) fn see(&mut self, slot: u32) -> (bool, Option<u32>) {
        let classic = self.get(slot).map(|part| part.classic).filter(|slot| *slot != DROPPED);
        (self.seen.insert(number(slot)), classic)
    }
}

impl TargetState {
    /// Whether labels are those of a line of a classic histogram: its name, what the line says, whether it is a gauge.
    fn role<'l>(&self, own: &'l Labels, family_type: MetricType) -> Option<(&'l str, Role, bool)> {
        if !matches!(family_type, MetricType::Histogram | MetricType::GaugeHistogram) {
            return None;
        }
        let name = own.metric_name();
        let (family, role) = if let Some(family) = name.strip_suffix("_bucket") {
            (family, Role::Bucket(own.get("le").and_then(parse_float)?))
        } else if let Some(family) = name.strip_suffix("_count").or_else(|| name.strip_suffix("_gcount")) {
            (family, Role::Count)
        } else {
            (name.strip_suffix("_sum").or_else(|| name.strip_suffix("_gsum"))?, Role::Sum)
        };
        // A line of another name may follow a histogram where nobody told its type.
        let gauge = family_type == MetricType::GaugeHistogram;
        (self.family(family)?.metric_type == family_type).then_some((family, role, gauge))
    }

    /// The place of a line that is part of a histogram and is met for the first time; `None` if it is no such line.
    pub(super) fn learn_part(
        &mut self,
        own: &Labels,
        family_type: MetricType,
        wanted_empty: impl Fn(&str) -> bool,
        reader: &mut Reader<'_>,
    ) -> Result<Option<u32>, BodyError> {
        let Some((family, role, gauge)) = self.role(own, family_type) else { return Ok(None) };
        let mut builder = own.to_builder();
        builder.set(METRIC_NAME, family);
        builder.delete("le");
        let slot = self.learn(&builder.build(), &wanted_empty, reader)?;
        let known = self.parts.by_slot.get(&slot).copied();
        let always = reader.book.histograms.classic_always;
        let classic = if always { self.learn(own, &wanted_empty, reader)? } else { DROPPED };
        if slot == DROPPED {
            return Ok(Some(classic));
        }
        let parts = &mut self.parts;
        let whole = known.unwrap_or_else(|| {
            let whole = parts.wholes.len() as u32;
            parts.wholes.push(Whole { slot, gauge, parts: Vec::new(), own_ms: None, read: false });
            parts.by_slot.insert(slot, whole);
            whole
        });
        let Some(of_whole) = parts.wholes.get_mut(whole as usize) else { return Ok(None) };
        let same = |part: &u32| parts.parts.get(*part as usize).is_some_and(|known| known.role == role);
        let part = match of_whole.parts.iter().copied().find(same) {
            Some(part) => part,
            None => {
                let part = parts.parts.len() as u32;
                of_whole.parts.push(part);
                parts.parts.push(Part { role, whole, classic, value: 0.0 });
                part
            }
        };
        Ok(Some(part | PART))
    }

    /// Takes what a line says that is a part.
    pub(super) fn take_part(&mut self, slot: u32, reading: &Reading<'_>, reader: &mut Reader<'_>) {
        let own_ms = reader.own_timestamp(reading.timestamp_ms);
        let Some(part) = self.parts.parts.get_mut(number(slot) as usize) else { return };
        let classic = part.classic;
        if slot & REPEATED == 0 {
            part.value = reading.value;
            if let Some(whole) = self.parts.wholes.get_mut(part.whole as usize) {
                (whole.own_ms, whole.read) = (own_ms, true);
                // Without a time it would be one of this scrape, again at every scrape.
                if let Some(exemplar) = reading.exemplar.filter(|exemplar| exemplar.timestamp_ms.is_some()) {
                    self.exemplars.push((whole.slot, exemplar.to_exemplar()));
                }
            }
        }
        if classic != DROPPED {
            let repeated = slot & (REPEATED | CLASSIC_REPEATED) != 0;
            self.take_line(if repeated { classic | REPEATED } else { classic }, reading, reader);
        }
    }

    /// Makes the histograms of the parts that the body has. One whose parts contradict each other is left out.
    pub(super) fn make_wholes(&mut self, reader: &mut Reader<'_>) -> Result<(), BodyError> {
        let mut parts = std::mem::take(&mut self.parts);
        let done = self.make_wholes_of(&mut parts, reader);
        self.parts = parts;
        done
    }

    fn make_wholes_of(&mut self, parts: &mut Parts, reader: &mut Reader<'_>) -> Result<(), BodyError> {
        let options = reader.book.histograms;
        if !options.classic_always {
            // As lines they were counted, as series they are not there.
            let lines = parts.seen.count() as u64;
            reader.report.samples_scraped = reader.report.samples_scraped.saturating_sub(lines);
        }
        for whole in &mut parts.wholes {
            let read = std::mem::take(&mut whole.read);
            parts.bounds.clear();
            let (mut count, mut sum, mut there) = (None, None, false);
            for index in whole.parts.iter().filter(|part| parts.seen.contains(**part)) {
                let Some(part) = parts.parts.get(*index as usize) else { continue };
                there = true;
                match part.role {
                    Role::Bucket(bound) => parts.bounds.push((bound, part.value)),
                    Role::Count => count = Some(part.value),
                    Role::Sum => sum = Some(part.value),
                }
            }
            let histogram = if there { to_custom_buckets(&mut parts.bounds, count, sum, whole.gauge) } else { None };
            let Some(histogram) = histogram else {
                reader.report.contradictions += u64::from(there);
                self.seen.remove(whole.slot);
                continue;
            };
            let (buckets, limit) = (histogram.positive_buckets.len(), options.buckets_max);
            if limit > 0 && buckets > limit {
                reader.exceeded.get_or_insert(BodyError::BucketLimit(format!(
                    "a histogram has {buckets} custom buckets, native_histogram_bucket_limit is {limit}"
                )));
                self.added.remove(whole.slot);
            }
            self.seen.insert(whole.slot);
            reader.report.samples_scraped += 1;
            self.count_kept(reader);
            // What has a time of its own and was not read was stored before.
            if read || whole.own_ms.is_none() {
                self.set_histogram(whole.slot, Arc::new(histogram));
                self.stamp(whole.slot, whole.own_ms, reader);
            }
        }
        Ok(())
    }
}
