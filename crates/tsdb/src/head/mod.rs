//! The newest samples, in memory: which series there are, and their samples in groups.

mod bits;
pub(crate) mod cut;
pub(crate) mod exemplars;
pub(crate) mod group;
mod history;
mod index;
pub(crate) mod loose;
pub(crate) mod seal;
mod symbols;
pub(crate) mod verdict;

pub(crate) use bits::{
    Bits, count as count_bits, full as full_bits, get as get_bit, iter as iter_bits, none as no_bits, set as set_bit,
};
pub(crate) use group::Group;
pub(crate) use index::{Index, merge_pairs};

use crate::{
    cardinality::{Guard, Pending},
    postings::Selector,
    wal::record::{GroupRecord, Logged},
};
use group::SLOTS_MAX;
use history::Told;
use model::{Labels, SampleValue};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, Ordering},
    },
};
use storage::{SeriesId, StorageError};

/// Bytes of labels in one group, about: the log tells a group in one record.
const GROUP_LABELS_BYTES: usize = 4 << 20;
/// Fewer series a target are not worth a group of their own.
const GROUP_SERIES_MIN: usize = 4;

/// Locks are taken in this order: that of the appends, `index`, `store`. Only who holds the lock of the appends
/// changes anything, so that what it has read stays true for it.
#[derive(Debug)]
pub(crate) struct Head {
    index: RwLock<Index>,
    store: RwLock<Store>,
    /// Time of the newest sample; `i64::MIN` without samples.
    max_ms: AtomicI64,
    told: Mutex<Told>,
    pub(crate) guard: Mutex<Guard>,
    pub(crate) block_range_ms: i64,
}

/// Where the samples of a series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) group: u32,
    pub(crate) slot: u16,
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    /// How many series had this index before.
    generation: u32,
    /// [`EMPTY`] if there is no series.
    group: u32,
    slot: u16,
}

const EMPTY: u32 = u32::MAX;

/// Samples of all series.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// By index of the series.
    seats: Vec<Seat>,
    groups: Vec<Option<Arc<Group>>>,
    free: Vec<u32>,
}

/// Where the series of a group of the log are.
#[derive(Debug)]
pub(crate) enum Restored {
    /// In the same slots of this group.
    Whole(u32),
    /// By slot.
    Parts(Vec<Option<Place>>),
}

impl Restored {
    pub(crate) fn place(&self, slot: u16) -> Option<Place> {
        match self {
            Restored::Whole(group) => Some(Place { group: *group, slot }),
            Restored::Parts(places) => places.get(usize::from(slot)).copied().flatten(),
        }
    }
}

/// One series of an answer, as it was when it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct HeadSeries {
    pub(crate) labels: Labels,
    pub(crate) group: Arc<Group>,
    pub(crate) slot: u16,
}

pub(crate) fn index_of(id: SeriesId) -> u32 {
    id.0 as u32
}

impl Store {
    fn id(&self, index: u32) -> SeriesId {
        let generation = self.seats.get(index as usize).map_or(0, |seat| seat.generation);
        SeriesId(u64::from(generation) << 32 | u64::from(index))
    }

    /// `None` if the number is of no series any more.
    pub(crate) fn place(&self, id: SeriesId) -> Option<Place> {
        let seat = self.seats.get(index_of(id) as usize)?;
        (seat.group != EMPTY && u64::from(seat.generation) == id.0 >> 32)
            .then_some(Place { group: seat.group, slot: seat.slot })
    }

    fn place_of_index(&self, index: u32) -> Option<Place> {
        let seat = self.seats.get(index as usize)?;
        (seat.group != EMPTY).then_some(Place { group: seat.group, slot: seat.slot })
    }

    pub(crate) fn group(&self, number: u32) -> Option<&Arc<Group>> {
        self.groups.get(number as usize)?.as_ref()
    }

    fn replace_group(&mut self, number: u32, group: Arc<Group>) {
        if let Some(own) = self.groups.get_mut(number as usize).and_then(Option::as_mut) {
            *own = group;
        }
    }

    pub(crate) fn group_mut(&mut self, number: u32) -> Option<&mut Group> {
        Some(Arc::make_mut(self.groups.get_mut(number as usize)?.as_mut()?))
    }

    /// One more than the largest number of a group.
    pub(crate) fn group_numbers(&self) -> u32 {
        self.groups.len() as u32
    }

    /// True if the series of a slot is still the group's own.
    pub(crate) fn is_member(&self, number: u32, group: &Group, slot: usize) -> bool {
        let place = Place { group: number, slot: slot as u16 };
        group.series.get(slot).is_some_and(|index| self.place_of_index(*index) == Some(place))
    }

    /// Indices of the series of a group that are still its own, with their slots.
    pub(crate) fn members<'a>(&'a self, number: u32, group: &'a Group) -> impl Iterator<Item = (u16, u32)> + 'a {
        group.series.iter().enumerate().filter_map(move |(slot, index)| {
            let place = Place { group: number, slot: slot as u16 };
            (self.place_of_index(*index) == Some(place)).then_some((slot as u16, *index))
        })
    }

    /// Adds a group whose series have no place yet. `is_member` tells whether a slot has its series.
    fn add(&mut self, group: Group, is_member: impl Fn(usize) -> bool) -> u32 {
        let series = Arc::clone(&group.series);
        let number = match self.free.pop() {
            Some(number) => {
                self.groups[number as usize] = Some(Arc::new(group));
                number
            }
            None => {
                self.groups.push(Some(Arc::new(group)));
                (self.groups.len() - 1) as u32
            }
        };
        for (slot, index) in series.iter().enumerate().filter(|(slot, _)| is_member(*slot)) {
            let index = *index as usize;
            if index >= self.seats.len() {
                self.seats.resize(index + 1, Seat { generation: 0, group: EMPTY, slot: 0 });
            }
            let seat = &mut self.seats[index];
            (seat.group, seat.slot) = (number, slot as u16);
        }
        number
    }
}

impl Head {
    pub(crate) fn new(block_range_ms: i64) -> Self {
        Head {
            index: RwLock::default(),
            store: RwLock::default(),
            max_ms: AtomicI64::new(i64::MIN),
            told: Mutex::default(),
            guard: Mutex::default(),
            block_range_ms,
        }
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store_mut(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time of the newest sample ever appended; `i64::MIN` without samples.
    pub(crate) fn max_ms(&self) -> i64 {
        self.max_ms.load(Ordering::Acquire)
    }

    pub(crate) fn note_max_ms(&self, timestamp_ms: i64) {
        self.max_ms.fetch_max(timestamp_ms, Ordering::AcqRel);
    }

    pub(crate) fn series_count(&self) -> usize {
        self.index().len()
    }

    /// The numbers of series, made if they are not there, and how many were. `times` are those of their first samples,
    /// if known: what comes with one time goes into one group. Only under the lock of the appends.
    ///
    /// # Errors
    /// `Unavailable` when there are too many series.
    pub(crate) fn resolve(
        &self,
        labels: &[&Labels],
        times: Option<&[i64]>,
    ) -> Result<(Vec<SeriesId>, u64), StorageError> {
        let mut ids = Vec::with_capacity(labels.len());
        let mut new: Vec<(&Labels, i64)> = Vec::new();
        {
            let (index, store) = (self.index(), self.store());
            for (at, labels) in labels.iter().enumerate() {
                let found = index.find(labels);
                if found.is_none() {
                    new.push((labels, times.map_or(0, |times| times[at])));
                }
                ids.push(found.map_or(SeriesId(u64::MAX), |found| store.id(found)));
            }
        }
        if new.is_empty() {
            return Ok((ids, 0));
        }
        let mut seen: HashSet<&Labels, foldhash::fast::RandomState> = HashSet::default();
        new.retain(|(labels, _)| seen.insert(labels));
        drop(seen);
        if self.series_count() + new.len() >= EMPTY as usize {
            return Err(StorageError::Unavailable { reason: "there are more than 4 billion series".into() });
        }
        let folded = self.fold(&mut new);
        let mut created = new.len() as u64;
        let mut index = self.index_mut();
        for group in grouped(new) {
            let group = index.create(&group);
            self.store_mut().add(Group::new(group.series, group.target), |_| true);
        }
        // Sums have groups of their own, for they come differently.
        let mut sums: Vec<&Labels> = folded.values().filter(|labels| index.find(labels).is_none()).collect();
        sums.sort_unstable();
        sums.dedup();
        created += sums.len() as u64;
        for part in sums.chunks(SLOTS_MAX) {
            let group = index.create(part);
            self.store_mut().add(Group::new(group.series, group.target), |_| true);
        }
        let store = self.store();
        for (id, labels) in ids.iter_mut().zip(labels).filter(|(id, _)| id.0 == u64::MAX) {
            if let Some(found) = index.find(labels).or_else(|| index.find(folded.get(labels)?)) {
                *id = store.id(found);
            }
        }
        Ok((ids, created))
    }

    /// Takes out the new series that are beyond a budget, and gives for each the labels of the one with its sum.
    fn fold<'a>(&self, new: &mut Vec<(&'a Labels, i64)>) -> HashMap<&'a Labels, Labels> {
        let mut folded = HashMap::new();
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.is_active() {
            let index = self.index();
            let mut pending = Pending::default();
            new.retain(|(labels, _)| match guard.fold(labels, &index, &mut pending) {
                None => true,
                Some(sum) => {
                    folded.insert(*labels, sum);
                    false
                }
            });
        }
        folded
    }

    /// Gives new numbers to the series with sums: who still has an old one asks again, and may get a place of its own.
    /// Only under the lock of the appends.
    pub(crate) fn renumber_overflow(&self) {
        let index = self.index();
        if index.overflow().is_empty() {
            return;
        }
        let mut store = self.store_mut();
        for series in index.overflow() {
            if let Some(seat) = store.seats.get_mut(*series as usize) {
                seat.generation = seat.generation.wrapping_add(1);
            }
        }
    }

    /// Makes a group as the log tells it, unless it is there. `texts` and `symbols` are what the record's places stand for.
    pub(crate) fn restore_group(&self, told: &GroupRecord, texts: &[Arc<str>], symbols: &[u32]) -> Restored {
        let symbol = |place: &u32| symbols.get(*place as usize).copied().unwrap_or(EMPTY);
        let target: Vec<u32> = told.target.iter().map(symbol).collect();
        let mut rest: Vec<u32> = Vec::new();
        let mut ends: Vec<usize> = Vec::with_capacity(told.series.len());
        for series in &told.series {
            rest.extend(series.iter().flat_map(|series| told.rest(series).iter().map(symbol)));
            ends.push(rest.len());
        }
        // By slot: metric name, pairs, hash.
        let slot = |slot: usize| {
            let series = told.series[slot].as_ref()?;
            let start = slot.checked_sub(1).map_or(0, |before| ends[before]);
            Some((series.name.as_ref().map(symbol), &rest[start..ends[slot]], series.hash))
        };
        let mut index = self.index_mut();
        let mut store = self.store_mut();
        let Some((first, found)) = (0..ends.len()).find_map(|at| Some((at, slot(at)?))) else {
            return Restored::Parts(Vec::new());
        };
        if let Some(known) = index.find_told(found.2, found.0, &target, found.1)
            && let Some(place) = store.place_of_index(known).filter(|place| usize::from(place.slot) == first)
            && let Some(group) = store.group(place.group).filter(|group| group.slots() == ends.len())
            && (0..ends.len()).all(|at| match slot(at) {
                None => !store.is_member(place.group, group, at),
                Some((name, pairs, _)) => {
                    store.is_member(place.group, group, at) && index.is_told(group.series[at], name, &target, pairs)
                }
            })
        {
            return Restored::Whole(place.group);
        }
        let mut known: Vec<Option<u32>> = Vec::with_capacity(ends.len());
        let mut hashes: Vec<u32> = Vec::with_capacity(ends.len());
        for at in 0..ends.len() {
            let own = slot(at);
            hashes.extend(own.map(|(_, _, hash)| hash));
            known.push(own.and_then(|(name, pairs, hash)| index.find_told(hash, name, &target, pairs)));
        }
        hashes.sort_unstable();
        let may_repeat = hashes.windows(2).any(|pair| pair[0] == pair[1]);
        if known.iter().all(Option::is_none) && !may_repeat && ends.len() <= SLOTS_MAX {
            let group = index.restore(&target, (0..ends.len()).map(slot));
            return Restored::Whole(store.add(Group::new(group.series, group.target), |at| told.series[at].is_some()));
        }
        let labels: Vec<Option<Labels>> =
            told.series.iter().map(|series| Some(told.labels(series.as_ref()?, texts))).collect();
        let mut seen: HashSet<&Labels, foldhash::fast::RandomState> = HashSet::default();
        let mut new: Vec<&Labels> = labels
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .filter_map(|(labels, _)| labels.as_ref())
            .collect();
        new.retain(|labels| seen.insert(labels));
        for part in new.chunks(SLOTS_MAX) {
            let group = index.create(part);
            store.add(Group::new(group.series, group.target), |_| true);
        }
        let found = labels.iter().zip(known).map(|(labels, known)| known.or_else(|| index.find(labels.as_ref()?)));
        Restored::Parts(found.map(|index| store.place_of_index(index?)).collect())
    }

    /// Notes the newest samples of series, which are in a block.
    ///
    /// # Errors
    /// `Unavailable` when there are too many series.
    pub(crate) fn recall(&self, newest: Vec<(Labels, i64, SampleValue)>) -> Result<(), StorageError> {
        let labels: Vec<&Labels> = newest.iter().map(|(labels, ..)| labels).collect();
        let times: Vec<i64> = newest.iter().map(|(_, time, _)| *time).collect();
        let (ids, _) = self.resolve(&labels, Some(&times))?;
        let mut store = self.store_mut();
        for (id, (_, timestamp_ms, value)) in ids.into_iter().zip(newest) {
            self.note_max_ms(timestamp_ms);
            if let Some(place) = store.place(id)
                && let Some(group) = store.group_mut(place.group)
            {
                group.recall(usize::from(place.slot), timestamp_ms, value);
            }
        }
        Ok(())
    }

    /// Series that a selector accepts and that may have samples between two times, both inclusive, in no order.
    pub(crate) fn select(&self, selector: &Selector, start_ms: i64, end_ms: i64) -> Vec<HeadSeries> {
        let mut found: Vec<(SeriesId, Arc<Group>, u16)> = Vec::new();
        {
            let index = self.index();
            let selected = index.select(selector);
            // All groups as they are at one moment; appends wait for this alone, not for the matchers.
            let store = self.store();
            for series in selected {
                if let Some(place) = store.place_of_index(series)
                    && let Some(group) = store.group(place.group)
                    && group.may_have(usize::from(place.slot), start_ms, end_ms)
                {
                    found.push((store.id(series), Arc::clone(group), place.slot));
                }
            }
        }
        let mut out = Vec::with_capacity(found.len());
        // New series wait for nobody's long answer.
        for part in found.chunks(1024) {
            let (index, store) = (self.index(), self.store());
            for (id, group, slot) in part {
                if store.place(*id).is_some()
                    && let Some(labels) = index.labels(index_of(*id))
                {
                    out.push(HeadSeries { labels, group: Arc::clone(group), slot: *slot });
                }
            }
        }
        out
    }

    /// Appends the labels of what [`Head::select`] gives, in no order.
    pub(crate) fn label_sets(&self, selector: &Selector, start_ms: i64, end_ms: i64, into: &mut Vec<Labels>) {
        let mut found: Vec<SeriesId> = Vec::new();
        {
            let (index, store) = (self.index(), self.store());
            for series in index.select(selector) {
                if let Some(place) = store.place_of_index(series)
                    && let Some(group) = store.group(place.group)
                    && group.may_have(usize::from(place.slot), start_ms, end_ms)
                {
                    found.push(store.id(series));
                }
            }
        }
        // New series wait for nobody's long answer.
        for part in found.chunks(1024) {
            let (index, store) = (self.index(), self.store());
            into.extend(
                part.iter().filter(|id| store.place(**id).is_some()).filter_map(|id| index.labels(index_of(*id))),
            );
        }
    }

    /// Number of the series of a place.
    pub(crate) fn id_of(&self, place: Place) -> Option<SeriesId> {
        let store = self.store();
        let index = *store.group(place.group)?.series.get(usize::from(place.slot))?;
        (store.place_of_index(index) == Some(place)).then(|| store.id(index))
    }

    /// Labels of a series; `None` if it is forgotten.
    pub(crate) fn labels(&self, id: SeriesId) -> Option<Labels> {
        let (index, store) = (self.index(), self.store());
        store.place(id)?;
        index.labels(index_of(id))
    }

    /// Names of the labels, sorted, of the series that the selector accepts and that have samples between two times; all
    /// of the head's where the newest of its samples is asked for.
    pub(crate) fn label_names(&self, selector: &Selector, start_ms: i64, end_ms: i64) -> Vec<String> {
        let index = self.index();
        let names = if selector.is_empty() && !self.is_past(end_ms) {
            index.label_names()
        } else {
            index.label_names_of(&self.chosen(&index, selector, start_ms, end_ms))
        };
        names.into_iter().map(str::to_owned).collect()
    }

    /// Values of a label, as [`Head::label_names`].
    pub(crate) fn label_values(&self, name: &str, selector: &Selector, start_ms: i64, end_ms: i64) -> Vec<String> {
        let index = self.index();
        if !self.is_past(end_ms)
            && let Some(accepts) = selector.values_only(name)
        {
            return index.label_values(name).into_iter().filter(|value| accepts(value)).map(str::to_owned).collect();
        }
        let series = self.chosen(&index, selector, start_ms, end_ms);
        index.label_values_of(name, &series).into_iter().map(str::to_owned).collect()
    }

    fn is_past(&self, end_ms: i64) -> bool {
        end_ms < self.max_ms()
    }

    /// The series that a question for labels is about.
    fn chosen(&self, index: &Index, selector: &Selector, start_ms: i64, end_ms: i64) -> Vec<u32> {
        let mut series = index.select(selector);
        if self.is_past(end_ms) {
            let store = self.store();
            series.retain(|series| {
                let place = store.place_of_index(*series);
                place.is_some_and(|place| {
                    let group = store.group(place.group);
                    group.is_some_and(|group| group.may_have(usize::from(place.slot), start_ms, end_ms))
                })
            });
        }
        series
    }

    /// Oldest time, newest time, number of chunks; `None` without samples.
    pub(crate) fn extent(&self) -> Option<(i64, i64, usize)> {
        let store = self.store();
        let groups = store.groups.iter().flatten();
        groups
            .filter_map(|group| group.extent().map(|(min, max)| (min, max, group.chunks())))
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1), a.2 + b.2))
    }

    /// Deletes the samples between two times, both inclusive, in some groups. Only under the lock of the appends.
    pub(crate) fn delete_in(&self, selector: &Selector, start_ms: i64, end_ms: i64, is_in: impl Fn(u32) -> bool) {
        self.replace_groups(self.without(selector, start_ms, end_ms, is_in));
        self.past_changed();
    }

    /// Takes groups for those of the same numbers, all at one moment.
    pub(crate) fn replace_groups(&self, groups: Vec<(u32, Arc<Group>)>) {
        let mut store = self.store_mut();
        for (number, group) in groups {
            store.replace_group(number, group);
        }
    }

    /// The groups that change if the samples between two times are deleted, as they are then. Only under the lock of the
    /// appends, and they must be replaced before it goes.
    pub(crate) fn without(
        &self,
        selector: &Selector,
        start_ms: i64,
        end_ms: i64,
        is_in: impl Fn(u32) -> bool,
    ) -> Vec<(u32, Arc<Group>)> {
        let mut by_group: BTreeMap<u32, Bits> = BTreeMap::new();
        {
            let (index, store) = (self.index(), self.store());
            for series in index.select(selector) {
                if let Some(place) = store.place_of_index(series).filter(|place| is_in(place.group))
                    && let Some(group) = store.group(place.group)
                {
                    let slots = by_group.entry(place.group).or_insert_with(|| bits::none(group.slots()));
                    bits::set(slots, usize::from(place.slot));
                }
            }
        }
        let mut changed = Vec::with_capacity(by_group.len());
        for (number, slots) in by_group {
            let group = self.store().group(number).cloned();
            if let Some(mut group) = group {
                Arc::make_mut(&mut group).delete(&slots, start_ms, end_ms);
                changed.push((number, group));
            }
        }
        changed
    }

    /// Forgets series that have no samples, but for those that `held` has. Only under the lock of the appends, whose
    /// `logged` must not take new series for old ones. Gives how many are gone.
    pub(crate) fn forget_empty(&self, held: &HashSet<u32>, logged: &mut Logged) -> usize {
        let mut gone: Vec<u32> = Vec::new();
        let mut empty_groups: Vec<u32> = Vec::new();
        {
            let store = self.store();
            for number in 0..store.group_numbers() {
                let Some(group) = store.group(number) else { continue };
                let mut kept = false;
                for (slot, index) in store.members(number, group) {
                    if !held.contains(&index) && group.is_empty(usize::from(slot)) {
                        gone.push(index);
                    } else {
                        kept = true;
                    }
                }
                if !kept {
                    empty_groups.push(number);
                }
            }
        }
        if gone.is_empty() && empty_groups.is_empty() {
            return 0;
        }
        let mut index = self.index_mut();
        let mut store = self.store_mut();
        for number in empty_groups {
            if let Some(group) = store.groups[number as usize].take() {
                index.remove_group(group.target, &group.series);
                store.free.push(number);
                logged.forget_group(number);
            }
        }
        for series in &gone {
            let seat = &mut store.seats[*series as usize];
            let (group, slot) = (seat.group, seat.slot);
            *seat = Seat { generation: seat.generation.wrapping_add(1), group: EMPTY, slot: 0 };
            if let Some(group) = store.group_mut(group) {
                group.clear_slot(usize::from(slot));
            }
        }
        index.remove(&gone, |symbol| logged.forget_symbol(symbol));
        gone.len()
    }

    /// Series by label name and value.
    pub(crate) fn with_counts<T>(&self, look: impl FnOnce(BTreeMap<&str, BTreeMap<&str, u64>>) -> T) -> T {
        look(self.index().counts())
    }
}

/// New series in groups: by target and time if that gives groups of some size, else by time.
fn grouped<'a>(new: Vec<(&'a Labels, i64)>) -> Vec<Vec<&'a Labels>> {
    let target =
        |labels: &'a Labels| (labels.get("job").unwrap_or_default(), labels.get("instance").unwrap_or_default());
    let count: BTreeSet<_> = new.iter().map(|(labels, time)| (target(labels), *time)).collect();
    let by_target = new.len() >= count.len() * GROUP_SERIES_MIN;
    // In order of arrival: a target's series come in the same order again.
    let mut places: HashMap<((&str, &str), i64), usize, foldhash::fast::RandomState> = HashMap::default();
    let mut groups: Vec<Vec<&Labels>> = Vec::new();
    let mut bytes: Vec<usize> = Vec::new();
    for (labels, time) in new {
        let key = (if by_target { target(labels) } else { ("", "") }, time);
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() || groups[place].len() >= SLOTS_MAX || bytes[place] >= GROUP_LABELS_BYTES {
            places.insert(key, groups.len());
            groups.push(vec![labels]);
            bytes.push(labels.as_packed().len());
        } else {
            groups[place].push(labels);
            bytes[place] += labels.as_packed().len();
        }
    }
    groups
}
