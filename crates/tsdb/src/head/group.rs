//! Series that arrive together, and their newest samples. Whoever reads holds a group as it was: appends change a copy
//! of what is held.

mod image;

use super::{
    bits::{self, Bits},
    loose::{Loose, Piece, same_value},
    seal::{ROWS_MAX, Seal},
    verdict::{Bounds, Verdict},
};
use model::SampleValue;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use storage::{Samples, fanout::merge_samples};

/// Series of a group at most: what is copied when a reader holds the group stays small.
pub(crate) const SLOTS_MAX: usize = 4096;
/// Fewer rows are not sealed, unless they are the last of a block.
const ROWS_MIN: usize = 16;
/// Changed values a series, on average, that may wait in open rows.
const CHANGED_MAX: usize = 16;

/// What came at one time. Rows tell what was before, so that reading goes backwards from the newest values.
#[derive(Clone, Debug)]
struct Row {
    timestamp_ms: i64,
    /// Slots without a sample; `None` if all have one.
    absent: Option<Bits>,
    /// Slots whose value became another with this row, and in their order what it was before.
    changed: Bits,
    before: Vec<f64>,
}

impl Row {
    fn has(&self, slot: usize) -> bool {
        self.absent.as_ref().is_none_or(|absent| !bits::get(absent, slot))
    }

    fn value_before(&self, slot: usize) -> Option<f64> {
        bits::get(&self.changed, slot).then(|| self.before.get(bits::rank(&self.changed, slot)).copied())?
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// By slot; an index may be another series' by now.
    pub(crate) series: Arc<[u32]>,
    pub(crate) target: u32,
    /// The newest value that came in a row, by slot.
    last: Vec<f64>,
    rows: Vec<Arc<Row>>,
    seals: Vec<Arc<Seal>>,
    /// Time of the newest sealed row. Slots that are not in it have theirs in `lag`, if that is not empty.
    sealed_ms: i64,
    lag: Vec<i64>,
    loose: BTreeMap<u16, Arc<Loose>>,
    /// By slot: from a time on, when the counter started. A start holds until the next entry.
    starts: BTreeMap<u16, Vec<(i64, i64)>>,
    /// No sample ever was newer.
    pub(crate) max_ms: i64,
    changed_values: usize,
}

impl Group {
    pub(crate) fn new(series: Arc<[u32]>, target: u32) -> Self {
        Group {
            last: vec![0.0; series.len()],
            series,
            target,
            rows: Vec::new(),
            seals: Vec::new(),
            sealed_ms: i64::MIN,
            lag: Vec::new(),
            loose: BTreeMap::new(),
            starts: BTreeMap::new(),
            max_ms: i64::MIN,
            changed_values: 0,
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.series.len()
    }

    /// The newest value that came in a row, by slot; 0.0 where none did.
    pub(crate) fn last(&self) -> &[f64] {
        &self.last
    }

    /// Time of the newest row, open or sealed.
    fn newest_row_ms(&self) -> i64 {
        self.rows.last().map_or(self.sealed_ms, |row| row.timestamp_ms)
    }

    /// Time of the newest sample of a series that came in a row, even if it was deleted.
    fn last_row_ms(&self, slot: usize) -> i64 {
        let open = self.rows.iter().rev().find(|row| row.has(slot)).map_or(i64::MIN, |row| row.timestamp_ms);
        open.max(self.lag.get(slot).copied().unwrap_or(self.sealed_ms))
    }

    /// Newest time and value of a series, even if it was deleted.
    pub(crate) fn newest(&self, slot: usize) -> Option<(i64, SampleValue)> {
        let loose = self.loose.get(&(slot as u16)).and_then(|loose| loose.last.clone());
        let row_ms = self.last_row_ms(slot);
        if row_ms == i64::MIN || loose.as_ref().is_some_and(|(time, _)| *time > row_ms) {
            return loose;
        }
        Some((row_ms, SampleValue::Float(self.last[slot])))
    }

    /// What an append of this sample comes to.
    pub(crate) fn verdict(&self, slot: usize, timestamp_ms: i64, value: &SampleValue, bounds: &Bounds) -> Verdict {
        if bounds.late_from_ms.is_none() && timestamp_ms < bounds.min_valid_ms {
            return Verdict::OutOfBounds;
        }
        match self.newest(slot) {
            None if timestamp_ms >= bounds.min_valid_ms => return Verdict::InOrder,
            Some((last, _)) if timestamp_ms > last && timestamp_ms >= bounds.min_valid_ms => return Verdict::InOrder,
            Some((last, old)) if timestamp_ms == last => {
                return if same_value(&old, value) { Verdict::Same } else { Verdict::Duplicate };
            }
            _ => {}
        }
        match bounds.late_from_ms {
            None => Verdict::OutOfOrder,
            Some(from) if timestamp_ms < from => Verdict::TooOld,
            Some(_) => {
                let mut there = Samples::default();
                self.read(slot, timestamp_ms, timestamp_ms, &mut there);
                match (!there.is_empty()).then(|| there.value(0)) {
                    None => Verdict::Late,
                    Some(old) if same_value(&old, value) => Verdict::Same,
                    Some(_) => Verdict::LateDuplicate,
                }
            }
        }
    }

    /// True if a sample that is in order can come in a row: a new one behind all others, or one that is still open.
    pub(crate) fn takes_in_row(&self, timestamp_ms: i64) -> bool {
        timestamp_ms > self.newest_row_ms() || self.has_open_row(timestamp_ms)
    }

    /// True if a row of this time is open.
    pub(crate) fn has_open_row(&self, timestamp_ms: i64) -> bool {
        self.rows.last().is_some_and(|row| row.timestamp_ms == timestamp_ms)
            || self.rows.binary_search_by_key(&timestamp_ms, |row| row.timestamp_ms).is_ok()
    }

    /// Adds samples of one time. `present` has the slots, `values` their values in order. Each sample is the newest of
    /// its series, and [`Group::takes_in_row`] holds.
    pub(crate) fn add_row(&mut self, timestamp_ms: i64, present: &[u64], values: &[f64], block_range_ms: i64) {
        self.max_ms = self.max_ms.max(timestamp_ms);
        if timestamp_ms <= self.newest_row_ms() {
            self.merge_row(timestamp_ms, present, values);
            return;
        }
        let block = |time: i64| time.div_euclid(block_range_ms);
        if self.rows.first().is_some_and(|first| block(first.timestamp_ms) != block(timestamp_ms))
            || self.rows.len() >= ROWS_MAX
            || (self.rows.len() >= ROWS_MIN && self.changed_values > CHANGED_MAX * self.slots())
        {
            self.seal_rows();
        }
        let slots = self.slots();
        let mut row = Row { timestamp_ms, absent: None, changed: Box::default(), before: Vec::new() };
        let mut changed: Option<Bits> = None;
        if values.len() == slots {
            for (slot, (last, value)) in self.last.iter_mut().zip(values).enumerate() {
                if last.to_bits() != value.to_bits() {
                    bits::set(changed.get_or_insert_with(|| bits::none(slots)), slot);
                    row.before.push(*last);
                    *last = *value;
                }
            }
        } else {
            row.absent = Some(absent_of(present, slots));
            for (slot, value) in bits::iter(present).zip(values) {
                let last = &mut self.last[slot];
                if last.to_bits() != value.to_bits() {
                    bits::set(changed.get_or_insert_with(|| bits::none(slots)), slot);
                    row.before.push(*last);
                    *last = *value;
                }
            }
        }
        row.changed = changed.unwrap_or_default();
        row.before.shrink_to_fit();
        self.changed_values += row.before.len();
        self.rows.push(Arc::new(row));
    }

    /// Adds samples to a row that is open already.
    fn merge_row(&mut self, timestamp_ms: i64, present: &[u64], values: &[f64]) {
        let slots = self.slots();
        let Ok(at) = self.rows.binary_search_by_key(&timestamp_ms, |row| row.timestamp_ms) else {
            debug_assert!(false, "no open row of this time");
            return;
        };
        let row = Arc::make_mut(&mut self.rows[at]);
        for (slot, value) in bits::iter(present).zip(values) {
            if let Some(absent) = &mut row.absent {
                bits::clear(absent, slot);
            }
            let last = &mut self.last[slot];
            // The sample is the newest of its series, so that no later row changed the value.
            if last.to_bits() != value.to_bits() {
                if row.changed.is_empty() {
                    row.changed = bits::none(slots);
                }
                row.before.insert(bits::rank(&row.changed, slot), *last);
                bits::set(&mut row.changed, slot);
                *last = *value;
                self.changed_values += 1;
            }
        }
        if row.absent.as_ref().is_some_and(|absent| bits::count(absent) == 0) {
            row.absent = None;
        }
    }

    /// Adds a sample that is in no row, at a time that has none.
    pub(crate) fn add_loose(&mut self, slot: usize, timestamp_ms: i64, value: SampleValue, block_range_ms: i64) {
        self.max_ms = self.max_ms.max(timestamp_ms);
        Arc::make_mut(self.loose.entry(slot as u16).or_default()).insert(timestamp_ms, value, block_range_ms);
    }

    /// Notes that a sample, which is elsewhere, is the newest of a series.
    pub(crate) fn recall(&mut self, slot: usize, timestamp_ms: i64, value: SampleValue) {
        if self.newest(slot).is_none_or(|(newest, _)| newest < timestamp_ms) {
            self.max_ms = self.max_ms.max(timestamp_ms);
            Arc::make_mut(self.loose.entry(slot as u16).or_default()).last = Some((timestamp_ms, value));
        }
    }

    /// When the counter of a sample started, 0 if nobody knows.
    pub(crate) fn start(&self, slot: usize, timestamp_ms: i64) -> i64 {
        let Some(list) = self.starts.get(&(slot as u16)) else { return 0 };
        list.partition_point(|(from, _)| *from <= timestamp_ms).checked_sub(1).map_or(0, |at| list[at].1)
    }

    /// Notes that the counter of the samples from a time on started then, until the next entry.
    pub(crate) fn set_start(&mut self, slot: usize, timestamp_ms: i64, start_ms: i64) {
        if self.start(slot, timestamp_ms) == start_ms {
            return;
        }
        let list = self.starts.entry(slot as u16).or_default();
        let at = list.partition_point(|(from, _)| *from < timestamp_ms);
        match list.get_mut(at) {
            Some(entry) if entry.0 == timestamp_ms => entry.1 = start_ms,
            _ => list.insert(at, (timestamp_ms, start_ms)),
        }
    }

    pub(crate) fn starts(&self) -> impl Iterator<Item = (usize, i64, i64)> {
        let all = self.starts.iter();
        all.flat_map(|(slot, list)| list.iter().map(|(from, start)| (usize::from(*slot), *from, *start)))
    }

    /// Seals all open rows.
    pub(crate) fn seal_rows(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let Some(newest) = rows.last() else { return };
        let (count, slots) = (rows.len(), self.slots());
        let timestamps: Vec<i64> = rows.iter().map(|row| row.timestamp_ms).collect();
        // What never changes within these rows needs no columns to be laid out.
        let mut restless = bits::none(slots);
        for row in &rows[1..] {
            restless.iter_mut().zip(&row.changed).for_each(|(all, own)| *all |= own);
        }
        let restless_slots: Vec<usize> = bits::iter(&restless).collect();
        let mut place = vec![0_u32; slots];
        let mut values: Vec<f64> = Vec::with_capacity(restless_slots.len());
        for (at, slot) in restless_slots.iter().enumerate() {
            place[*slot] = at as u32;
            values.push(self.last[*slot]);
        }
        let mut columns = vec![0.0; restless_slots.len() * count];
        for (at, row) in rows.iter().enumerate().rev() {
            for (own, value) in columns.chunks_exact_mut(count).zip(&values) {
                own[at] = *value;
            }
            if at > 0 {
                for (slot, before) in bits::iter(&row.changed).zip(&row.before) {
                    values[place[slot] as usize] = *before;
                }
            }
        }
        let all = if count >= 64 { u64::MAX } else { (1 << count) - 1 };
        let complete = rows.iter().all(|row| row.absent.is_none());
        let seal = Seal::new(&timestamps, slots, |slot, column| {
            let present = if complete {
                all
            } else {
                rows.iter().enumerate().filter(|(_, row)| row.has(slot)).map(|(at, _)| 1 << at).sum()
            };
            if bits::get(&restless, slot) {
                let own = &columns[place[slot] as usize * count..][..count];
                if present == all {
                    column.extend_from_slice(own);
                } else {
                    column.extend(
                        own.iter().enumerate().filter(|(at, _)| present >> at & 1 == 1).map(|(_, value)| *value),
                    );
                }
            } else {
                column.extend(std::iter::repeat_n(self.last[slot], present.count_ones() as usize));
            }
            present
        });
        let newest_ms = newest.timestamp_ms;
        if newest.absent.is_none() {
            self.lag = Vec::new();
        } else {
            let before = |slot: usize| self.lag.get(slot).copied().unwrap_or(self.sealed_ms);
            let own = |slot: usize| rows.iter().rev().find(|row| row.has(slot)).map(|row| row.timestamp_ms);
            self.lag = (0..slots).map(|slot| own(slot).map_or(before(slot), |own| own.max(before(slot)))).collect();
        }
        self.sealed_ms = newest_ms;
        if seal.columns() > 0 {
            self.seals.push(Arc::new(seal));
        }
        self.changed_values = 0;
    }

    /// Appends the samples of a series between two times, both inclusive.
    pub(crate) fn read(&self, slot: usize, start_ms: i64, end_ms: i64, into: &mut Samples) {
        let begin = into.len();
        match self.loose.get(&(slot as u16)) {
            None => self.read_rows(slot, start_ms, end_ms, into),
            Some(loose) => {
                let mut rows = Samples::default();
                self.read_rows(slot, start_ms, end_ms, &mut rows);
                merge_samples(vec![rows, loose.read(start_ms, end_ms)], into);
            }
        }
        if self.starts.contains_key(&(slot as u16)) {
            for at in begin..into.len() {
                let start_ms = self.start(slot, into.timestamps[at]);
                if start_ms != 0 {
                    into.start_timestamps.resize(into.timestamps.len(), 0);
                    into.start_timestamps[at] = start_ms;
                }
            }
        }
    }

    fn read_rows(&self, slot: usize, start_ms: i64, end_ms: i64, into: &mut Samples) {
        for seal in self.seals.iter().filter(|seal| seal.overlaps(start_ms, end_ms)) {
            seal.read(slot, start_ms, end_ms, into);
        }
        if self.rows.last().is_none_or(|row| row.timestamp_ms < start_ms) {
            return;
        }
        let mut found = [(0, 0.0); ROWS_MAX];
        let mut count = 0;
        let mut value = self.last[slot];
        for row in self.rows.iter().rev() {
            if row.timestamp_ms < start_ms {
                break;
            }
            if row.timestamp_ms <= end_ms && row.has(slot) && count < ROWS_MAX {
                found[count] = (row.timestamp_ms, value);
                count += 1;
            }
            if let Some(before) = row.value_before(slot) {
                value = before;
            }
        }
        for (time, value) in found[..count].iter().rev() {
            into.push_float(*time, *value);
        }
    }

    /// True if a series has samples between two times; perhaps true if it has them nearby.
    pub(crate) fn may_have(&self, slot: usize, start_ms: i64, end_ms: i64) -> bool {
        let within = |time: i64| (start_ms..=end_ms).contains(&time);
        self.rows.iter().rev().any(|row| within(row.timestamp_ms) && row.has(slot))
            || self.seals.iter().rev().any(|seal| seal.overlaps(start_ms, end_ms) && seal.has(slot))
            || (self.loose.get(&(slot as u16)).and_then(|loose| loose.extent()))
                .is_some_and(|(min, max)| min <= end_ms && start_ms <= max)
    }

    /// True if a series has no samples.
    pub(crate) fn is_empty(&self, slot: usize) -> bool {
        !self.may_have(slot, i64::MIN, i64::MAX)
    }

    /// Oldest and newest time, of all series together.
    pub(crate) fn extent(&self) -> Option<(i64, i64)> {
        let seals = self.seals.iter().map(|seal| (seal.min_ms, seal.max_ms));
        let rows = self.rows.first().zip(self.rows.last()).map(|(first, last)| (first.timestamp_ms, last.timestamp_ms));
        let loose = self.loose.values().filter_map(|loose| loose.extent());
        seals.chain(rows).chain(loose).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Adds the numbers of the block ranges that have samples.
    pub(crate) fn block_numbers(&self, block_range_ms: i64, into: &mut BTreeSet<i64>) {
        let seals = self.seals.iter().map(|seal| seal.min_ms);
        let rows = self.rows.iter().map(|row| row.timestamp_ms);
        into.extend(seals.chain(rows).map(|time| time.div_euclid(block_range_ms)));
        for loose in self.loose.values() {
            loose.block_numbers(block_range_ms, into);
        }
    }

    /// Pieces of all series: what Prometheus calls chunks.
    pub(crate) fn chunks(&self) -> usize {
        let loose: usize = self.loose.values().map(|loose| loose.pieces().len() + 1).sum();
        let open = if self.rows.is_empty() { 0 } else { self.slots() };
        self.seals.iter().map(|seal| seal.columns()).sum::<usize>() + open + loose
    }

    /// Deletes the samples between two times, both inclusive, of some slots. Newer samples are still wanted, older
    /// ones still refused.
    pub(crate) fn delete(&mut self, slots: &[u64], start_ms: i64, end_ms: i64) {
        let within = |time: i64| (start_ms..=end_ms).contains(&time);
        if self.rows.iter().any(|row| within(row.timestamp_ms)) {
            self.lag = (0..self.slots()).map(|slot| self.last_row_ms_kept(slots, slot)).collect();
            let count = self.slots();
            for row in self.rows.iter_mut().filter(|row| within(row.timestamp_ms)) {
                let absent = Arc::make_mut(row).absent.get_or_insert_with(|| bits::none(count));
                absent.iter_mut().zip(slots).for_each(|(absent, gone)| *absent |= gone);
            }
            self.rows.retain(|row| (0..count).any(|slot| row.has(slot)) || !row.changed.is_empty());
        }
        let seals = std::mem::take(&mut self.seals);
        for seal in seals {
            if !seal.overlaps(start_ms, end_ms) || !bits::iter(slots).any(|slot| seal.has(slot)) {
                self.seals.push(seal);
            } else if let Some(left) = seal.retain(slots, |time| !within(time)) {
                self.seals.push(Arc::new(left));
            }
        }
        for slot in bits::iter(slots) {
            if let Some(loose) = self.loose.get_mut(&(slot as u16))
                && loose.extent().is_some_and(|(min, max)| min <= end_ms && start_ms <= max)
            {
                Arc::make_mut(loose).delete(start_ms, end_ms);
            }
        }
    }

    /// What `lag` must say before rows lose samples: for the slots that lose some, their newest time.
    fn last_row_ms_kept(&self, slots: &[u64], slot: usize) -> i64 {
        if bits::get(slots, slot) {
            self.last_row_ms(slot)
        } else {
            self.lag.get(slot).copied().unwrap_or(self.sealed_ms)
        }
    }

    /// Seals what lies before a time and gives it, by number of the block range. It stays until [`Group::forget`].
    pub(crate) fn seal_before(&mut self, before_ms: i64, block_range_ms: i64) {
        if self.rows.first().is_some_and(|row| row.timestamp_ms < before_ms) {
            // Rows of two block ranges are never open together, and `before_ms` is a border.
            self.seal_rows();
        }
        for loose in self.loose.values_mut().filter(|loose| loose.extent().is_some_and(|(min, _)| min < before_ms)) {
            Arc::make_mut(loose).seal(before_ms, block_range_ms);
        }
    }

    /// True if there is something to seal before a time, or something sealed.
    pub(crate) fn has_before(&self, before_ms: i64) -> bool {
        self.rows.first().is_some_and(|row| row.timestamp_ms < before_ms)
            || self.seals.iter().any(|seal| seal.min_ms < before_ms)
            || self.loose.values().any(|loose| loose.extent().is_some_and(|(min, _)| min < before_ms))
    }

    /// What is sealed before a time.
    pub(crate) fn sealed_before(&self, before_ms: i64) -> Sealed {
        let rows = self.seals.iter().filter(|seal| seal.max_ms < before_ms).cloned().collect();
        let loose = self.loose.iter().filter_map(|(slot, loose)| {
            let pieces: Vec<Arc<Piece>> =
                loose.pieces().iter().filter(|piece| piece.max_ms < before_ms).cloned().collect();
            (!pieces.is_empty()).then_some((*slot, pieces))
        });
        Sealed { rows, loose: loose.collect() }
    }

    /// Drops what is in a block now, and gives how many pieces it was.
    pub(crate) fn forget(&mut self, sealed: &Sealed) -> usize {
        let mut dropped = 0;
        self.seals.retain(|own| {
            let gone = sealed.rows.iter().any(|seal| Arc::ptr_eq(own, seal));
            dropped += if gone { own.columns() } else { 0 };
            !gone
        });
        if self.seals.capacity() > 2 * self.seals.len() + 4 {
            self.seals.shrink_to_fit();
        }
        for (slot, pieces) in &sealed.loose {
            if let Some(loose) = self.loose.get_mut(slot) {
                dropped += Arc::make_mut(loose).forget(pieces);
            }
        }
        let oldest_ms = self.extent().map_or(i64::MAX, |(min, _)| min);
        for list in self.starts.values_mut() {
            let unused = list.partition_point(|(from, _)| *from <= oldest_ms).saturating_sub(1);
            list.drain(..unused);
        }
        dropped
    }

    /// Drops what a series has beside rows, for its slot is not used any more.
    pub(crate) fn clear_slot(&mut self, slot: usize) {
        self.loose.remove(&(slot as u16));
        self.starts.remove(&(slot as u16));
    }
}

/// Complement within so many slots.
fn absent_of(present: &[u64], slots: usize) -> Bits {
    let mut absent: Bits = (0..bits::words(slots)).map(|at| !present.get(at).copied().unwrap_or(0)).collect();
    if !slots.is_multiple_of(64)
        && let Some(last) = absent.last_mut()
    {
        *last &= (1 << (slots % 64)) - 1;
    }
    absent
}

/// Parts of a group that go into blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sealed {
    pub(crate) rows: Vec<Arc<Seal>>,
    pub(crate) loose: Vec<(u16, Vec<Arc<Piece>>)>,
}

impl Sealed {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.loose.is_empty()
    }

    /// The samples of a slot between two times, both inclusive.
    pub(crate) fn read(&self, slot: usize, start_ms: i64, end_ms: i64, into: &mut Samples) {
        let mut parts = vec![Samples::default()];
        for seal in self.rows.iter().filter(|seal| seal.overlaps(start_ms, end_ms)) {
            seal.read(slot, start_ms, end_ms, &mut parts[0]);
        }
        let own = self.loose.iter().filter(|(own, _)| usize::from(*own) == slot).flat_map(|(_, pieces)| pieces);
        for piece in own.filter(|piece| piece.overlaps(start_ms, end_ms)) {
            let mut samples = Samples::default();
            piece.read(start_ms, end_ms, &mut samples);
            parts.push(samples);
        }
        merge_samples(parts, into);
    }
}
