//! One call: what of it is taken, its records, and how the head takes it.

use super::NewExemplar;
use crate::{
    head::{
        Bits, Head, Index, Place, Store, get_bit, iter_bits,
        loose::same_value,
        no_bits, set_bit,
        verdict::{Bounds, Verdict},
    },
    histogram_sum,
    wal::{
        Batch,
        record::{self, Logged},
    },
};
use hashbrown::HashSet;
use model::{FloatHistogram, SampleValue, histogram::CounterResetHint, stale::is_stale_nan as is_stale};
use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::Arc,
};
use storage::AppendReport;

/// A row of a group has at least one of so many series, or its samples are better kept one by one.
const SPARSE: usize = 32;

/// Numbers of samples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kinds {
    pub(crate) floats: u64,
    pub(crate) histograms: u64,
}

impl Kinds {
    fn count(&mut self, value: &SampleValue) {
        match value {
            SampleValue::Float(_) => self.floats += 1,
            SampleValue::Histogram(_) => self.histograms += 1,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) report: AppendReport,
    /// Included in `samples_too_old`, but another counter of Prometheus.
    pub(super) out_of_bounds: u64,
    pub(super) late: Kinds,
    pub(super) late_duplicates: u64,
    /// Those of `samples_out_of_order`.
    pub(super) out_of_order: Kinds,
    /// Samples that were added to sums; included in `samples_appended`.
    pub(super) folded: u64,
    pub(super) histograms: u64,
}

impl Counts {
    fn count(&mut self, verdict: Verdict, value: &SampleValue) {
        match verdict {
            Verdict::InOrder => self.report.samples_appended += 1,
            Verdict::Late => {
                self.report.samples_appended += 1;
                self.late.count(value);
            }
            Verdict::Same => {}
            Verdict::LateDuplicate => self.late_duplicates += 1,
            Verdict::Duplicate => self.report.samples_duplicate += 1,
            Verdict::OutOfOrder => {
                self.report.samples_out_of_order += 1;
                self.out_of_order.count(value);
            }
            Verdict::TooOld => self.report.samples_too_old += 1,
            Verdict::OutOfBounds => {
                self.report.samples_too_old += 1;
                self.out_of_bounds += 1;
            }
        }
    }
}

/// True for the mark at the end of a series.
fn is_end(value: &SampleValue) -> bool {
    match value {
        SampleValue::Float(value) => is_stale(*value),
        SampleValue::Histogram(histogram) => histogram.is_stale(),
    }
}

/// Collects what is taken. Everything is judged against the head and what the call itself took before, so that the log
/// has nothing that the head would refuse.
pub(super) struct Call<'a> {
    store: &'a Store,
    bounds: Bounds,
    groups: Vec<Taken>,
    /// Places in `groups`.
    by_number: HashMap<u32, usize, foldhash::fast::RandomState>,
    /// Place of the group asked for last: mostly it is the next one too.
    recent: usize,
    counts: Counts,
    min_ms: i64,
    max_ms: i64,
    /// Series that hold sums of others; `None` if there are none.
    overflow: Option<&'a HashSet<u32, foldhash::fast::RandomState>>,
    /// Sums by group, slot and time.
    sums: BTreeMap<(u32, u16, i64), SampleValue>,
}

/// What one group takes.
struct Taken {
    number: u32,
    /// Slots that have something in this call.
    seen: Bits,
    /// By time, ascending.
    rows: Vec<(i64, RowTaken)>,
    loose: Vec<(u16, i64, SampleValue)>,
    starts: Vec<(u16, i64, i64)>,
    /// By slot, the newest of this call; made when a slot comes for the second time.
    newest: Vec<Option<(i64, SampleValue)>>,
    /// What came behind the newest, by slot and time.
    late: BTreeMap<(u16, i64), SampleValue>,
}

enum RowTaken {
    Whole {
        present: Bits,
        values: Vec<f64>,
    },
    /// Slots and values, in order of arrival.
    Some(Vec<(u16, f64)>),
}

impl Taken {
    fn row(&mut self, timestamp_ms: i64) -> &mut RowTaken {
        let at = match self.rows.last() {
            Some((last, _)) if *last == timestamp_ms => self.rows.len() - 1,
            Some((last, _)) if *last > timestamp_ms => {
                let found = self.rows.binary_search_by_key(&timestamp_ms, |(time, _)| *time);
                found.unwrap_or_else(|at| {
                    self.rows.insert(at, (timestamp_ms, RowTaken::Some(Vec::new())));
                    at
                })
            }
            _ => {
                self.rows.push((timestamp_ms, RowTaken::Some(Vec::new())));
                self.rows.len() - 1
            }
        };
        &mut self.rows[at].1
    }

    /// Notes the newest samples of this call by slot.
    fn find_newest(&mut self, slots: usize) {
        self.newest = vec![None; slots];
        for (time, row) in &self.rows {
            let mut note = |slot: usize, value: f64| self.newest[slot] = Some((*time, SampleValue::Float(value)));
            match row {
                RowTaken::Whole { present, values } => {
                    iter_bits(present).zip(values).for_each(|(slot, value)| note(slot, *value));
                }
                RowTaken::Some(list) => list.iter().for_each(|(slot, value)| note(usize::from(*slot), *value)),
            }
        }
        for (slot, time, value) in self.loose.iter().filter(|(slot, time, _)| !self.late.contains_key(&(*slot, *time)))
        {
            let newest = &mut self.newest[usize::from(*slot)];
            if newest.as_ref().is_none_or(|(own, _)| own < time) {
                *newest = Some((*time, value.clone()));
            }
        }
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(store: &'a Store, index: &'a Index, bounds: Bounds) -> Self {
        Call {
            overflow: Some(index.overflow()).filter(|series| !series.is_empty()),
            sums: BTreeMap::new(),
            store,
            bounds,
            groups: Vec::new(),
            by_number: HashMap::default(),
            recent: 0,
            counts: Counts::default(),
            min_ms: i64::MAX,
            max_ms: i64::MIN,
        }
    }

    /// Number of slots of a group.
    pub(super) fn slots(&self, group: u32) -> usize {
        self.store.group(group).map_or(0, |group| group.slots())
    }

    /// If every series of a group takes a sample of this time as its newest, the number of them.
    pub(super) fn takes_whole(&self, number: u32, timestamp_ms: i64) -> Option<usize> {
        let group = self.store.group(number)?;
        if group.series.first().is_some_and(|series| self.is_overflow(*series)) {
            return None;
        }
        let in_order = timestamp_ms > group.max_ms && timestamp_ms >= self.bounds.min_valid_ms;
        (in_order && !self.by_number.contains_key(&number)).then(|| group.slots())
    }

    /// Takes a row as [`Call::takes_whole`] allows.
    pub(super) fn whole(&mut self, number: u32, timestamp_ms: i64, present: Bits, values: Vec<f64>) {
        if values.is_empty() {
            return;
        }
        self.counts.report.samples_appended += values.len() as u64;
        self.note(timestamp_ms);
        let at = self.taken(number);
        let taken = &mut self.groups[at];
        taken.seen = present.clone();
        taken.rows.push((timestamp_ms, RowTaken::Whole { present, values }));
    }

    fn note(&mut self, timestamp_ms: i64) {
        self.min_ms = self.min_ms.min(timestamp_ms);
        self.max_ms = self.max_ms.max(timestamp_ms);
    }

    /// Place of what a group takes.
    fn taken(&mut self, number: u32) -> usize {
        if self.groups.get(self.recent).is_some_and(|taken| taken.number == number) {
            return self.recent;
        }
        let next = self.groups.len();
        let at = *self.by_number.entry(number).or_insert(next);
        if at == next {
            self.groups.push(Taken {
                number,
                seen: no_bits(self.slots(number)),
                rows: Vec::new(),
                loose: Vec::new(),
                starts: Vec::new(),
                newest: Vec::new(),
                late: BTreeMap::new(),
            });
        }
        self.recent = at;
        at
    }

    fn is_overflow(&self, series: u32) -> bool {
        self.overflow.is_some_and(|all| all.contains(&series))
    }

    /// True if the sample is taken.
    pub(super) fn sample(&mut self, place: Place, timestamp_ms: i64, value: &SampleValue) -> bool {
        let Some(group) = self.store.group(place.group) else { return false };
        if self.overflow.is_some()
            && group.series.get(usize::from(place.slot)).is_some_and(|series| self.is_overflow(*series))
        {
            self.add_up(place, timestamp_ms, value);
            return false;
        }
        self.own_sample(place, timestamp_ms, value)
    }

    /// Adds a sample to a sum. A series that ends takes nothing away; of floats and histograms of one time, and of custom
    /// buckets, those count that came first.
    fn add_up(&mut self, place: Place, timestamp_ms: i64, value: &SampleValue) {
        self.counts.folded += 1;
        self.counts.report.samples_appended += 1;
        let part = match value {
            SampleValue::Histogram(histogram) if histogram.counter_reset_hint != CounterResetHint::Gauge => {
                // What is in a sum changes: whether it was reset is to be seen by its buckets.
                let hint = CounterResetHint::Unknown;
                SampleValue::Histogram(Arc::new(FloatHistogram { counter_reset_hint: hint, ..(**histogram).clone() }))
            }
            other => other.clone(),
        };
        match self.sums.entry((place.group, place.slot, timestamp_ms)) {
            Entry::Vacant(entry) => drop(entry.insert(part)),
            Entry::Occupied(mut entry) => match (entry.get_mut(), part) {
                (_, part) if is_end(&part) => {}
                (sum, part) if is_end(sum) => *sum = part,
                (SampleValue::Float(sum), SampleValue::Float(value)) => *sum += value,
                (SampleValue::Histogram(sum), SampleValue::Histogram(more)) => {
                    histogram_sum::add_any(Arc::make_mut(sum), &more);
                }
                _ => {}
            },
        }
    }

    fn own_sample(&mut self, place: Place, timestamp_ms: i64, value: &SampleValue) -> bool {
        let Some(group) = self.store.group(place.group) else { return false };
        let group = Arc::as_ref(group);
        let at = self.taken(place.group);
        let slot = usize::from(place.slot);
        let taken = &mut self.groups[at];
        let seen = get_bit(&taken.seen, slot);
        let verdict = if !seen && timestamp_ms > group.max_ms && timestamp_ms >= self.bounds.min_valid_ms {
            Verdict::InOrder
        } else if !seen {
            group.verdict(slot, timestamp_ms, value, &self.bounds)
        } else {
            if taken.newest.is_empty() {
                taken.find_newest(group.slots());
            }
            verdict_again(taken, group, place.slot, timestamp_ms, value, &self.bounds)
        };
        self.counts.count(verdict, value);
        if !verdict.is_taken() {
            return false;
        }
        let late = verdict == Verdict::Late;
        set_bit(&mut taken.seen, slot);
        if late {
            taken.late.insert((place.slot, timestamp_ms), value.clone());
        } else if let Some(newest) = taken.newest.get_mut(slot) {
            *newest = Some((timestamp_ms, value.clone()));
        }
        match value {
            SampleValue::Float(value) if !late && group.takes_in_row(timestamp_ms) => {
                match taken.row(timestamp_ms) {
                    RowTaken::Some(list) => list.push((place.slot, *value)),
                    // A row that came as a whole; another layout has a series of its group that was absent there.
                    RowTaken::Whole { .. } => taken.loose.push((place.slot, timestamp_ms, SampleValue::Float(*value))),
                }
            }
            _ => {
                self.counts.histograms += u64::from(matches!(value, SampleValue::Histogram(_)));
                taken.loose.push((place.slot, timestamp_ms, value.clone()));
            }
        }
        self.note(timestamp_ms);
        true
    }

    /// Notes when the counter of a sample that was taken started.
    pub(super) fn start(&mut self, place: Place, timestamp_ms: i64, start_ms: i64) {
        if self
            .store
            .group(place.group)
            .is_some_and(|group| group.start(usize::from(place.slot), timestamp_ms) != start_ms)
        {
            let at = self.taken(place.group);
            self.groups[at].starts.push((place.slot, timestamp_ms, start_ms));
        }
    }

    /// The records of what was taken.
    ///
    /// They are written to an empty batch.
    pub(super) fn encode(
        mut self,
        index: &Index,
        logged: &mut Logged,
        mut batch: Batch,
        exemplars: &[NewExemplar],
    ) -> Encoded {
        for ((group, slot, timestamp_ms), sum) in std::mem::take(&mut self.sums) {
            // Their parts are counted, as taken: another call may have brought others of this time, which are not missed.
            let counts = self.counts.clone();
            self.own_sample(Place { group, slot }, timestamp_ms, &sum);
            self.counts = counts;
        }
        let mut parts = Vec::with_capacity(self.groups.len());
        let log_group = |number: u32, logged: &mut Logged, batch: &mut Batch| {
            let Some(group) = self.store.group(number).filter(|_| !logged.has_group(number)) else { return };
            let is_member = |slot: usize| self.store.is_member(number, group, slot);
            batch.record(|out| logged.group(number, group, index, is_member, out));
            for (slot, from_ms, start_ms) in group.starts() {
                batch.record(|out| record::start(number, slot as u16, from_ms, start_ms, out));
            }
        };
        let mut last: Vec<f64> = Vec::new();
        for mut taken in self.groups {
            let number = taken.number;
            let Some(group) = self.store.group(number) else { continue };
            let slots = group.slots();
            let mut rows: Vec<PartRow> = Vec::with_capacity(taken.rows.len());
            for (timestamp_ms, row) in taken.rows {
                match row {
                    RowTaken::Whole { present, values } => rows.push(PartRow { timestamp_ms, present, values }),
                    RowTaken::Some(list) if list.len() * SPARSE < slots && !group.has_open_row(timestamp_ms) => {
                        let loose =
                            list.into_iter().map(|(slot, value)| (slot, timestamp_ms, SampleValue::Float(value)));
                        taken.loose.extend(loose);
                    }
                    RowTaken::Some(mut list) => {
                        if !list.is_sorted_by_key(|(slot, _)| *slot) {
                            list.sort_unstable_by_key(|(slot, _)| *slot);
                        }
                        let mut present = no_bits(slots);
                        list.iter().for_each(|(slot, _)| set_bit(&mut present, usize::from(*slot)));
                        let values = list.into_iter().map(|(_, value)| value).collect();
                        rows.push(PartRow { timestamp_ms, present, values });
                    }
                }
            }
            if rows.is_empty() && taken.loose.is_empty() && taken.starts.is_empty() {
                continue;
            }
            log_group(number, logged, &mut batch);
            for (at, row) in rows.iter().enumerate() {
                // Later rows are told against the earlier ones, which the head does not have yet.
                let before = if at == 0 { group.last() } else { &last };
                batch.record(|out| logged.row(number, row.timestamp_ms, &row.present, &row.values, before, out));
                if at + 1 < rows.len() {
                    if at == 0 {
                        last.clear();
                        last.extend_from_slice(group.last());
                    }
                    iter_bits(&row.present).zip(&row.values).for_each(|(slot, value)| last[slot] = *value);
                }
            }
            for (slot, timestamp_ms, value) in &taken.loose {
                batch.record(|out| record::loose(number, *slot, *timestamp_ms, value, out));
            }
            for (slot, from_ms, start_ms) in &taken.starts {
                batch.record(|out| record::start(number, *slot, *from_ms, *start_ms, out));
            }
            parts.push(Part { number, rows, loose: taken.loose, starts: taken.starts });
        }
        for NewExemplar { series, exemplar, timestamp_ms, .. } in exemplars {
            if let Some(Place { group, slot }) = self.store.place(*series) {
                log_group(group, logged, &mut batch);
                batch.record(|out| record::exemplar(group, slot, exemplar, *timestamp_ms, out));
            }
        }
        Encoded { batch, counts: self.counts, parts, min_ms: self.min_ms, max_ms: self.max_ms }
    }
}

/// What becomes of a sample of a series that has one in this call already.
fn verdict_again(
    taken: &Taken,
    group: &crate::head::Group,
    slot: u16,
    timestamp_ms: i64,
    value: &SampleValue,
    bounds: &Bounds,
) -> Verdict {
    let judge = |old: &SampleValue, other: Verdict| if same_value(old, value) { Verdict::Same } else { other };
    let at = usize::from(slot);
    if let Some(old) = taken.late.get(&(slot, timestamp_ms)) {
        return judge(old, Verdict::LateDuplicate);
    }
    let Some((newest_ms, newest)) = taken.newest.get(at).and_then(Option::as_ref) else {
        return group.verdict(at, timestamp_ms, value, bounds);
    };
    if timestamp_ms == *newest_ms {
        return judge(newest, Verdict::Duplicate);
    }
    if timestamp_ms > *newest_ms {
        // The newest was taken, so that a newer one is no older than what is taken at all.
        return Verdict::InOrder;
    }
    let own = taken.rows.binary_search_by_key(&timestamp_ms, |(time, _)| *time).ok().and_then(|row| {
        match &taken.rows[row].1 {
            RowTaken::Whole { .. } => None,
            RowTaken::Some(list) => {
                list.iter().find(|(own, _)| *own == slot).map(|(_, value)| SampleValue::Float(*value))
            }
        }
    });
    let loose = || taken.loose.iter().find(|(own, time, _)| *own == slot && *time == timestamp_ms);
    match own.or_else(|| loose().map(|(_, _, value)| value.clone())) {
        Some(old) if bounds.late_from_ms.is_some() => judge(&old, Verdict::LateDuplicate),
        // For the head alone it might be the newest, or as new as that.
        _ => match (group.verdict(at, timestamp_ms, value, bounds), bounds.late_from_ms) {
            (Verdict::InOrder | Verdict::Same | Verdict::Duplicate, None) => Verdict::OutOfOrder,
            (Verdict::InOrder, Some(from_ms)) if timestamp_ms < from_ms => Verdict::TooOld,
            (Verdict::InOrder, Some(_)) => Verdict::Late,
            (verdict, _) => verdict,
        },
    }
}

/// A call as records, and what the head has to do once they are written.
pub(super) struct Encoded {
    pub(super) batch: Batch,
    pub(super) counts: Counts,
    parts: Vec<Part>,
    min_ms: i64,
    pub(super) max_ms: i64,
}

struct Part {
    number: u32,
    rows: Vec<PartRow>,
    loose: Vec<(u16, i64, SampleValue)>,
    starts: Vec<(u16, i64, i64)>,
}

struct PartRow {
    timestamp_ms: i64,
    present: Bits,
    values: Vec<f64>,
}

impl Encoded {
    /// Gives everything to the head, for readers at one moment.
    pub(super) fn apply(self, head: &Head) {
        if self.parts.is_empty() {
            return;
        }
        let range = head.block_range_ms;
        let mut store = head.store_mut();
        if self.max_ms > i64::MIN {
            head.samples_come(self.min_ms, self.max_ms);
            head.note_max_ms(self.max_ms);
        }
        for part in self.parts {
            let Some(group) = store.group_mut(part.number) else { continue };
            for row in part.rows {
                group.add_row(row.timestamp_ms, &row.present, &row.values, range);
            }
            for (slot, timestamp_ms, value) in part.loose {
                group.add_loose(usize::from(slot), timestamp_ms, value, range);
            }
            for (slot, from_ms, start_ms) in part.starts {
                group.set_start(usize::from(slot), from_ms, start_ms);
            }
        }
    }
}
