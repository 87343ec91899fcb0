//! Which series there are. The labels of a series are a metric name and two sets of pairs: one that the series of a
//! target share, and the rest, which the same series of other targets share. So a series costs some bytes, not a text.

use super::symbols::Symbols;
use crate::{
    cardinality::{OVERFLOW_LABEL, is_overflow},
    postings::{RunMatcher, Selector},
};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet, HashTable};
use model::{Labels, labels::METRIC_NAME};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher,
    sync::Arc,
};

/// The label of a job's name.
const JOB: &str = "job";
/// Stands for "no name" and, as a set, for "no series".
const NONE: u32 = u32::MAX;

/// Series of one creation that are kept together.
#[derive(Debug)]
pub(crate) struct NewGroup {
    /// Indices of the new series, in their order.
    pub(crate) series: Arc<[u32]>,
    pub(crate) target: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    symbols: Symbols,
    sets: Sets,
    /// By index.
    records: Vec<Record>,
    free: Vec<u32>,
    /// Indices by hash of the labels.
    by_labels: HashTable<u32>,
    hasher: RandomState,
    by_name: HashMap<u32, Vec<u32>, RandomState>,
    by_target: HashMap<u32, Vec<Arc<[u32]>>, RandomState>,
    /// Number of series by value of the label `job`.
    jobs: HashMap<u32, u64, RandomState>,
    /// Series that hold sums of others.
    overflow: HashSet<u32, RandomState>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    name: u32,
    /// [`NONE`]: no series has this index.
    target: u32,
    rest: u32,
    hash: u32,
}

impl Record {
    const DEAD: Record = Record { name: NONE, target: NONE, rest: NONE, hash: 0 };
}

/// Sets of pairs, counted as symbols are.
#[derive(Debug, Default)]
struct Sets {
    list: Vec<Set>,
    free: Vec<u32>,
    table: HashTable<u32>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Set {
    /// Name, value, name, value …, in order of the names' texts.
    pairs: Box<[u32]>,
    users: u32,
}

impl Sets {
    /// The number of a set, which has one more user. The symbols of a new set have one user each by the caller; those
    /// of a known one are given back.
    fn acquire(&mut self, pairs: &[u32], symbols: &mut Symbols) -> u32 {
        let hash = self.hasher.hash_one(pairs);
        if let Some(&number) = self.table.find(hash, |number| *self.list[*number as usize].pairs == *pairs) {
            self.list[number as usize].users += 1;
            for symbol in pairs {
                symbols.release(*symbol);
            }
            return number;
        }
        let set = Set { pairs: pairs.into(), users: 1 };
        let number = match self.free.pop() {
            Some(number) => {
                self.list[number as usize] = set;
                number
            }
            None => {
                self.list.push(set);
                (self.list.len() - 1) as u32
            }
        };
        let (list, hasher) = (&self.list, &self.hasher);
        self.table.insert_unique(hash, number, |number| hasher.hash_one(&*list[*number as usize].pairs));
        number
    }

    /// The number of a set, which has one more user. The symbols of a new set get one user each.
    fn share(&mut self, pairs: &[u32], symbols: &mut Symbols) -> u32 {
        for symbol in pairs {
            symbols.share(*symbol);
        }
        self.acquire(pairs, symbols)
    }

    fn release(&mut self, number: u32, mut forget: impl FnMut(u32)) {
        let set = &mut self.list[number as usize];
        set.users -= 1;
        if set.users > 0 {
            return;
        }
        let pairs = std::mem::take(&mut set.pairs);
        if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(&*pairs), |own| *own == number) {
            entry.remove();
        }
        self.free.push(number);
        pairs.iter().for_each(|symbol| forget(*symbol));
    }

    fn pairs(&self, number: u32) -> &[u32] {
        &self.list[number as usize].pairs
    }
}

/// The hash that a record keeps; the table wants more bits in the right places.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What a matcher says about a set.
const UNKNOWN: u8 = 0;
const ABSENT: u8 = 1;
const ACCEPTED: u8 = 2;
const REFUSED: u8 = 3;

/// A matcher that remembers what it said.
struct Asked<'a> {
    matcher: &'a RunMatcher,
    /// Number of the label's name.
    name: Option<u32>,
    sets: Vec<u8>,
    /// By symbol.
    values: Vec<u8>,
}

impl<'a> Asked<'a> {
    fn new(matcher: &'a RunMatcher, index: &Index) -> Self {
        let name = matcher.matcher.name();
        Asked {
            matcher,
            name: index.symbols.find(name),
            // Series keep their name apart from the sets.
            sets: if name == METRIC_NAME { Vec::new() } else { vec![UNKNOWN; index.sets.list.len()] },
            values: vec![UNKNOWN; index.symbols.numbers()],
        }
    }

    fn value(&mut self, symbol: u32, index: &Index) -> bool {
        let known = &mut self.values[symbol as usize];
        if *known == UNKNOWN {
            *known = if self.matcher.matcher.matches(index.symbols.text(symbol)) { ACCEPTED } else { REFUSED };
        }
        *known == ACCEPTED
    }

    fn set(&mut self, number: u32, index: &Index) -> u8 {
        let known = self.sets[number as usize];
        if known != UNKNOWN {
            return known;
        }
        let pair = index.sets.pairs(number).chunks_exact(2).find(|pair| Some(pair[0]) == self.name);
        let says = match pair {
            None => ABSENT,
            Some(pair) if self.value(pair[1], index) => ACCEPTED,
            Some(_) => REFUSED,
        };
        self.sets[number as usize] = says;
        says
    }

    fn accepts(&mut self, record: &Record, index: &Index) -> bool {
        if self.matcher.matcher.name() == METRIC_NAME {
            return if record.name == NONE { self.matcher.accepts_absent } else { self.value(record.name, index) };
        }
        let target = self.set(record.target, index);
        let says = if target == ABSENT { self.set(record.rest, index) } else { target };
        if says == ABSENT { self.matcher.accepts_absent } else { says == ACCEPTED }
    }
}

impl Index {
    pub(crate) fn len(&self) -> usize {
        self.records.len() - self.free.len()
    }

    fn hash(&self, labels: &Labels) -> u32 {
        self.hasher.hash_one(labels.as_packed()) as u32
    }

    /// Index of the series with these labels.
    pub(crate) fn find(&self, labels: &Labels) -> Option<u32> {
        let hash = self.hash(labels);
        let found = self.by_labels.find(spread(hash), |index| {
            let record = &self.records[*index as usize];
            record.hash == hash && self.pairs(record).eq(labels.iter())
        });
        found.copied()
    }

    /// Name and value of the labels of a series, in order.
    fn pairs<'a>(&'a self, record: &Record) -> impl Iterator<Item = (&'a str, &'a str)> {
        let text = |pair: &'a [u32]| (self.symbols.text(pair[0]), self.symbols.text(pair[1]));
        let [target, rest] = [record.target, record.rest].map(|set| self.sets.pairs(set).chunks_exact(2).map(text));
        merge_pairs(target, rest, (record.name != NONE).then(|| self.symbols.text(record.name)))
    }

    /// The labels of a series, made anew; `None` if it was forgotten.
    pub(crate) fn labels(&self, index: u32) -> Option<Labels> {
        let record = self.records.get(index as usize).filter(|record| record.target != NONE)?;
        Some(Labels::from_sorted(self.pairs(record)))
    }

    /// Adds series that are not there, each once, as one group.
    pub(crate) fn create(&mut self, new: &[&Labels]) -> NewGroup {
        // What all have in common describes the target.
        let mut common: Vec<(&str, &str)> = new.first().map_or_else(Vec::new, |labels| labels.iter().collect());
        common.retain(|(name, _)| *name != METRIC_NAME);
        for labels in new.iter().skip(1) {
            common.retain(|(name, value)| labels.get(name) == Some(*value));
        }
        if new.len() == 1 {
            // Nothing to compare with: what senders say of targets.
            common.retain(|(name, _)| *name == "job" || *name == "instance");
        }
        let mut pairs: Vec<u32> = Vec::new();
        let mut target = NONE;
        let mut indices = Vec::with_capacity(new.len());
        for labels in new {
            let (mut name, mut shared) = (NONE, common.iter().peekable());
            let mut target_pairs = Vec::new();
            pairs.clear();
            for (label, value) in labels.iter() {
                if label == METRIC_NAME {
                    name = self.symbols.acquire(value);
                } else if shared.next_if(|(common, _)| *common == label).is_some() {
                    if target == NONE {
                        target_pairs.extend([self.symbols.acquire(label), self.symbols.acquire(value)]);
                    }
                } else {
                    pairs.extend([self.symbols.acquire(label), self.symbols.acquire(value)]);
                }
            }
            let rest = self.sets.acquire(&pairs, &mut self.symbols);
            if target == NONE {
                target = self.sets.acquire(&target_pairs, &mut self.symbols);
            } else {
                self.sets.list[target as usize].users += 1;
            }
            let hash = self.hash(labels);
            let record = Record { name, target, rest, hash };
            let index = self.add(record);
            if let Some(job) = labels.get(JOB).and_then(|job| self.symbols.find(job)) {
                *self.jobs.entry(job).or_default() += 1;
            }
            if is_overflow(labels) {
                self.overflow.insert(index);
            }
            indices.push(index);
        }
        self.group_of(indices, target)
    }

    /// For hashes made elsewhere of packed labels; the index keeps their lowest 32 bits.
    pub(crate) fn hasher(&self) -> RandomState {
        self.hasher.clone()
    }

    /// The number of a text, which must get a user soon.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        self.symbols.intern(text)
    }

    /// Index of the series of these symbols, whose labels have this hash.
    pub(crate) fn find_told(&self, hash: u32, name: Option<u32>, target: &[u32], rest: &[u32]) -> Option<u32> {
        let text = |symbol: u32| self.symbols.text(symbol);
        let pair = |pair: &[u32]| (text(pair[0]), text(pair[1]));
        let found = self.by_labels.find(spread(hash), |index| {
            let record = &self.records[*index as usize];
            record.hash == hash
                && (self.is_told(*index, name, target, rest)
                    // The same labels may be parted in another way.
                    || self.pairs(record).eq(merge_pairs(
                        target.chunks_exact(2).map(pair),
                        rest.chunks_exact(2).map(pair),
                        name.map(text),
                    )))
        });
        found.copied()
    }

    /// True if a series has these symbols, parted in this way.
    pub(crate) fn is_told(&self, index: u32, name: Option<u32>, target: &[u32], rest: &[u32]) -> bool {
        let Some(record) = self.records.get(index as usize).filter(|record| record.target != NONE) else {
            return false;
        };
        record.name == name.unwrap_or(NONE)
            && self.sets.pairs(record.rest) == rest
            && self.sets.pairs(record.target) == target
    }

    /// Adds series that are not there, each once, as one group, by symbols: the pairs that all have, and by slot the
    /// metric name, the other pairs and the hash of the labels. A slot without a series gets the index of another one.
    pub(crate) fn restore<'a>(
        &mut self,
        target_pairs: &[u32],
        new: impl Iterator<Item = Option<(Option<u32>, &'a [u32], u32)>>,
    ) -> NewGroup {
        let mut target = NONE;
        let mut indices = Vec::with_capacity(new.size_hint().0);
        let job_name = self.symbols.find(JOB);
        let job_of = |pairs: &[u32]| pairs.chunks_exact(2).find(|pair| Some(pair[0]) == job_name).map(|pair| pair[1]);
        let overflow_name = self.symbols.find(OVERFLOW_LABEL);
        for told in new {
            let Some((name, pairs, hash)) = told else {
                indices.push(NONE);
                continue;
            };
            let rest = self.sets.share(pairs, &mut self.symbols);
            if target == NONE {
                target = self.sets.share(target_pairs, &mut self.symbols);
            } else {
                self.sets.list[target as usize].users += 1;
            }
            if let Some(name) = name {
                self.symbols.share(name);
            }
            let record = Record { name: name.unwrap_or(NONE), target, rest, hash };
            let index = self.add(record);
            if let Some(job) = job_of(target_pairs).or_else(|| job_of(pairs)) {
                *self.jobs.entry(job).or_default() += 1;
            }
            if overflow_name.is_some()
                && [target_pairs, pairs]
                    .iter()
                    .any(|pairs| pairs.iter().step_by(2).any(|own| Some(*own) == overflow_name))
                && self.labels(index).is_some_and(|labels| is_overflow(&labels))
            {
                self.overflow.insert(index);
            }
            indices.push(index);
        }
        if let Some(member) = indices.iter().copied().find(|index| *index != NONE) {
            indices.iter_mut().filter(|index| **index == NONE).for_each(|index| *index = member);
        }
        self.group_of(indices, target)
    }

    /// Gives a record its index.
    fn add(&mut self, record: Record) -> u32 {
        let index = match self.free.pop() {
            Some(index) => {
                self.records[index as usize] = record;
                index
            }
            None => {
                self.records.push(record);
                (self.records.len() - 1) as u32
            }
        };
        let records = &self.records;
        self.by_labels.insert_unique(spread(record.hash), index, |index| spread(records[*index as usize].hash));
        if record.name != NONE {
            self.by_name.entry(record.name).or_default().push(index);
        }
        index
    }

    fn group_of(&mut self, indices: Vec<u32>, target: u32) -> NewGroup {
        let series: Arc<[u32]> = indices.into();
        if target != NONE {
            self.by_target.entry(target).or_default().push(Arc::clone(&series));
        }
        NewGroup { series, target }
    }

    /// Forgets series; `forget` is told the symbols that go with them.
    pub(crate) fn remove(&mut self, gone: &[u32], mut forget: impl FnMut(u32)) {
        let mut names: BTreeSet<u32> = BTreeSet::new();
        let job = self.symbols.find(JOB);
        for &index in gone {
            let record = std::mem::replace(&mut self.records[index as usize], Record::DEAD);
            if record.target == NONE {
                continue;
            }
            if let Ok(entry) = self.by_labels.find_entry(spread(record.hash), |own| *own == index) {
                entry.remove();
            }
            self.overflow.remove(&index);
            let mut pairs =
                [record.target, record.rest].into_iter().flat_map(|set| self.sets.pairs(set).chunks_exact(2));
            if let Some(job) = pairs.find(|pair| Some(pair[0]) == job).map(|pair| pair[1])
                && let Some(count) = self.jobs.get_mut(&job)
            {
                *count -= 1;
                if *count == 0 {
                    self.jobs.remove(&job);
                }
            }
            for set in [record.target, record.rest] {
                let symbols = &mut self.symbols;
                self.sets.release(set, |symbol| {
                    if symbols.release(symbol) {
                        forget(symbol);
                    }
                });
            }
            if record.name != NONE {
                names.insert(record.name);
            }
            self.free.push(index);
            if record.name != NONE && self.symbols.release(record.name) {
                forget(record.name);
            }
        }
        for name in names {
            if let Some(list) = self.by_name.get_mut(&name) {
                list.retain(|index| self.records[*index as usize].name == name);
                if list.is_empty() {
                    self.by_name.remove(&name);
                } else if list.len() * 2 < list.capacity() {
                    list.shrink_to_fit();
                }
            }
        }
    }

    /// How many series a job has.
    pub(crate) fn job_series(&self, job: &str) -> u64 {
        self.symbols.find(job).and_then(|job| self.jobs.get(&job)).copied().unwrap_or(0)
    }

    /// How many series a metric has.
    pub(crate) fn metric_series(&self, name: &str) -> u64 {
        self.symbols.find(name).and_then(|name| self.by_name.get(&name)).map_or(0, |list| list.len() as u64)
    }

    /// Series that hold sums of others.
    pub(crate) fn overflow(&self) -> &HashSet<u32, RandomState> {
        &self.overflow
    }

    /// Forgets a group whose series are all forgotten.
    pub(crate) fn remove_group(&mut self, target: u32, series: &Arc<[u32]>) {
        if let Some(groups) = self.by_target.get_mut(&target) {
            groups.retain(|own| !Arc::ptr_eq(own, series));
            if groups.is_empty() {
                self.by_target.remove(&target);
            }
        }
    }

    /// Indices of the series that a selector accepts, in no order.
    pub(crate) fn select(&self, selector: &Selector) -> Vec<u32> {
        let mut asked: Vec<Asked<'_>> = selector.matchers().map(|matcher| Asked::new(matcher, self)).collect();
        let mut found = self.candidates(selector, &mut asked);
        let mut at = 0;
        found.retain(|index| {
            let record = self.records[*index as usize];
            at += 1;
            record.target != NONE && selector.goes_on(at) && asked.iter_mut().all(|asked| asked.accepts(&record, self))
        });
        found
    }

    /// Indices among which all are that the matchers accept, each once.
    fn candidates(&self, selector: &Selector, asked: &mut [Asked<'_>]) -> Vec<u32> {
        let named =
            selector.matchers().find(|matcher| matcher.matcher.name() == METRIC_NAME && !matcher.accepts_absent);
        if let Some(matcher) = named {
            let mut found = Vec::new();
            match &matcher.values {
                Some(values) => {
                    for list in values.iter().filter_map(|value| self.by_name.get(&self.symbols.find(value)?)) {
                        found.extend_from_slice(list);
                    }
                }
                None => {
                    for (at, (name, list)) in self.by_name.iter().enumerate() {
                        if !selector.goes_on(at) {
                            break;
                        }
                        if matcher.matcher.matches(self.symbols.text(*name)) {
                            found.extend_from_slice(list);
                        }
                    }
                }
            }
            return found;
        }
        let everything = || (0..self.records.len() as u32).collect();
        if asked.is_empty() {
            return everything();
        }
        let groups: Vec<&Arc<[u32]>> = (self.by_target.iter())
            .filter(|(target, _)| {
                (asked.iter_mut())
                    .all(|asked| asked.matcher.matcher.name() == METRIC_NAME || asked.set(**target, self) != REFUSED)
            })
            .flat_map(|(_, groups)| groups)
            .collect();
        if groups.iter().map(|group| group.len()).sum::<usize>() * 4 > self.records.len() * 3 {
            return everything();
        }
        let mut found: Vec<u32> = groups.into_iter().flat_map(|group| group.iter().copied()).collect();
        // An index that a forgotten series had may be in use again in another group.
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Names of labels of all series.
    pub(crate) fn label_names(&self) -> BTreeSet<&str> {
        let mut seen = vec![false; self.symbols.numbers()];
        for set in &self.sets.list {
            set.pairs.iter().step_by(2).for_each(|name| seen[*name as usize] = true);
        }
        let mut names: BTreeSet<&str> = seen
            .iter()
            .enumerate()
            .filter(|(_, seen)| **seen)
            .map(|(name, _)| self.symbols.text(name as u32))
            .collect();
        if !self.by_name.is_empty() {
            names.insert(METRIC_NAME);
        }
        names
    }

    /// Values of one label of all series.
    pub(crate) fn label_values(&self, name: &str) -> Vec<&str> {
        if name == METRIC_NAME {
            return self.by_name.keys().map(|name| self.symbols.text(*name)).collect();
        }
        let Some(name) = self.symbols.find(name) else { return Vec::new() };
        let mut seen = vec![false; self.symbols.numbers()];
        for set in &self.sets.list {
            if let Some(pair) = set.pairs.chunks_exact(2).find(|pair| pair[0] == name) {
                seen[pair[1] as usize] = true;
            }
        }
        let seen = seen.iter().enumerate().filter(|(_, seen)| **seen);
        seen.map(|(value, _)| self.symbols.text(value as u32)).collect()
    }

    /// Names of labels of some series.
    pub(crate) fn label_names_of(&self, series: &[u32]) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut sets = BTreeSet::new();
        for record in self.living(series) {
            if record.name != NONE {
                names.insert(METRIC_NAME);
            }
            for set in [record.target, record.rest] {
                if sets.insert(set) {
                    names.extend(self.sets.pairs(set).iter().step_by(2).map(|name| self.symbols.text(*name)));
                }
            }
        }
        names
    }

    /// Values of one label of some series.
    pub(crate) fn label_values_of(&self, name: &str, series: &[u32]) -> BTreeSet<&str> {
        let mut values = BTreeSet::new();
        let Some(symbol) = self.symbols.find(name).or((name == METRIC_NAME).then_some(NONE)) else { return values };
        let mut sets = BTreeSet::new();
        for record in self.living(series) {
            if name == METRIC_NAME {
                if record.name != NONE {
                    values.insert(self.symbols.text(record.name));
                }
                continue;
            }
            for set in [record.target, record.rest] {
                if sets.insert(set) {
                    let pair = self.sets.pairs(set).chunks_exact(2).find(|pair| pair[0] == symbol);
                    values.extend(pair.map(|pair| self.symbols.text(pair[1])));
                }
            }
        }
        values
    }

    fn living<'a>(&'a self, series: &'a [u32]) -> impl Iterator<Item = &'a Record> {
        series.iter().filter_map(|index| self.records.get(*index as usize)).filter(|record| record.target != NONE)
    }

    /// Series by label name and value.
    pub(crate) fn counts(&self) -> BTreeMap<&str, BTreeMap<&str, u64>> {
        let mut uses = vec![0_u64; self.sets.list.len()];
        let mut counts: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.target != NONE) {
            uses[record.target as usize] += 1;
            uses[record.rest as usize] += 1;
        }
        for (set, uses) in self.sets.list.iter().zip(uses) {
            for pair in set.pairs.chunks_exact(2) {
                let values = counts.entry(self.symbols.text(pair[0])).or_default();
                *values.entry(self.symbols.text(pair[1])).or_default() += uses;
            }
        }
        if !self.by_name.is_empty() {
            let names = self.by_name.iter().map(|(name, list)| (self.symbols.text(*name), list.len() as u64));
            counts.insert(METRIC_NAME, names.collect());
        }
        counts
    }

    /// What the log writes of a series: metric name, pairs of target and rest, as symbols.
    pub(crate) fn parts(&self, index: u32) -> Option<(Option<u32>, &[u32], &[u32])> {
        let record = self.records.get(index as usize).filter(|record| record.target != NONE)?;
        let name = (record.name != NONE).then_some(record.name);
        Some((name, self.sets.pairs(record.target), self.sets.pairs(record.rest)))
    }

    pub(crate) fn text(&self, symbol: u32) -> &str {
        self.symbols.text(symbol)
    }

    /// Sorts series, which come first in the pairs, by their labels.
    pub(crate) fn sort_by_labels(&self, series: &mut [(u32, u32)]) {
        // Numbers in the order of the texts are compared quicker than the texts.
        let mut texts: Vec<(&str, u32)> =
            (0..self.symbols.numbers() as u32).map(|symbol| (self.symbols.text(symbol), symbol)).collect();
        texts.sort_unstable();
        let mut rank = vec![0_u32; texts.len()];
        for (place, (_, symbol)) in texts.iter().enumerate() {
            rank[*symbol as usize] = place as u32;
        }
        let below_name = texts.partition_point(|(text, _)| *text < METRIC_NAME) as u32;
        // The name's label may be no symbol: between its neighbours there is room at twice the rank.
        let own_name = below_name * 2;
        let ranked: Vec<Vec<(u32, u32)>> = (self.sets.list.iter())
            .map(|set| {
                let pairs = set.pairs.chunks_exact(2);
                pairs.map(|pair| (rank[pair[0] as usize] * 2 + 1, rank[pair[1] as usize])).collect()
            })
            .collect();
        let key = |index: u32| {
            let record = &self.records[index as usize];
            let sets = [record.target, record.rest].map(|set| ranked.get(set as usize).map_or(&[][..], Vec::as_slice));
            let name = (record.name != NONE).then(|| (own_name, rank[record.name as usize]));
            Merged { a: sets[0], b: sets[1], name }
        };
        series.sort_by(|(a, _), (b, _)| key(*a).cmp(key(*b)));
    }
}

/// Pairs of two sets, each in order of the names, and the metric name, in order.
pub(crate) fn merge_pairs<'a>(
    target: impl Iterator<Item = (&'a str, &'a str)>,
    rest: impl Iterator<Item = (&'a str, &'a str)>,
    name: Option<&'a str>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let (mut target, mut rest) = (target.peekable(), rest.peekable());
    let mut name = name.map(|name| (METRIC_NAME, name));
    std::iter::from_fn(move || {
        let from_target = match (target.peek(), rest.peek()) {
            (Some(a), Some(b)) => a.0 < b.0,
            (a, _) => a.is_some(),
        };
        let next = if from_target { target.peek() } else { rest.peek() };
        match (next, name) {
            (Some(next), Some(own)) if own.0 < next.0 => name.take(),
            (None, _) => name.take(),
            _ if from_target => target.next(),
            _ => rest.next(),
        }
    })
}

/// Pairs of a series by rank, from both sets and the name, in order.
struct Merged<'a> {
    a: &'a [(u32, u32)],
    b: &'a [(u32, u32)],
    name: Option<(u32, u32)>,
}

impl Iterator for Merged<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        let first = |list: &[(u32, u32)]| list.first().copied();
        let (a, b) = (first(self.a), first(self.b));
        let next = [a, b, self.name].into_iter().flatten().min()?;
        if Some(next) == a {
            self.a = &self.a[1..];
        } else if Some(next) == b {
            self.b = &self.b[1..];
        } else {
            self.name = None;
        }
        Some(next)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
mod tests {
    use super::*;
    use model::{MatchOp, Matcher};
    use proptest::prelude::*;
    use regexp::LabelMatcher;

    proptest! {
        #[test]
        fn selecting_is_filtering(
            groups in proptest::collection::vec(proptest::collection::vec(("[mn]?", "[ab]?", "[abc.]{0,2}", "[jk]?"), 0..8), 0..8),
            matchers in proptest::collection::vec((prop_oneof![Just("x"), Just("y"), Just("Z"), Just("job"), Just("__name__")], 0_usize..4,
                prop_oneof![Just("a"), Just(""), Just("a|b"), Just("a.*"), Just("(a|b\\.)"), Just(".+"), Just("m"), Just("j|n")]), 0..4),
            gone in any::<u64>(),
        ) {
            let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
            let mut index = Index::default();
            let mut all: BTreeMap<u32, Labels> = BTreeMap::new();
            let mut made = Vec::new();
            for group in &groups {
                let mut new: Vec<Labels> = Vec::new();
                for (name, x, y, job) in group {
                    let labels = Labels::from_pairs([("__name__", name), ("x", x), ("y", y), ("job", job), ("Z", x)]);
                    if index.find(&labels).is_none() && !new.contains(&labels) {
                        new.push(labels);
                    }
                }
                if new.is_empty() {
                    continue;
                }
                let created = index.create(&new.iter().collect::<Vec<_>>());
                all.extend(created.series.iter().copied().zip(new));
                made.push(created);
            }
            let matchers: Vec<Matcher> = matchers.into_iter().map(|(name, op, value)| Matcher::new(name, ops[op], value)).collect();
            let selector = Selector::new(&matchers).unwrap();
            let run: Vec<LabelMatcher> = matchers.iter().map(|matcher| LabelMatcher::new(matcher).unwrap()).collect();
            for round in 0..2 {
                for (number, labels) in &all {
                    prop_assert_eq!(index.labels(*number), Some(labels.clone()));
                    prop_assert_eq!(index.find(labels), Some(*number));
                }
                let expected: Vec<u32> = all.iter().filter(|(_, labels)| run.iter().all(|m| m.matches_labels(labels))).map(|(number, _)| *number).collect();
                let mut got = index.select(&selector);
                got.sort_unstable();
                prop_assert_eq!(&got, &expected);
                let mut sorted: Vec<(u32, u32)> = all.keys().map(|number| (*number, 0)).collect();
                index.sort_by_labels(&mut sorted);
                prop_assert!(sorted.is_sorted_by_key(|(number, _)| &all[number]));
                let names: BTreeSet<&str> = all.values().flat_map(Labels::iter).map(|(name, _)| name).collect();
                prop_assert_eq!(index.label_names(), names);
                for name in ["x", "job", "__name__"] {
                    let values: BTreeSet<&str> = all.values().filter_map(|labels| labels.get(name)).collect();
                    prop_assert_eq!(index.label_values(name).into_iter().collect::<BTreeSet<_>>(), values);
                    let values: BTreeSet<&str> = expected.iter().filter_map(|number| all[number].get(name)).collect();
                    prop_assert_eq!(index.label_values_of(name, &expected), values);
                }
                if round == 0 {
                    let dead: Vec<u32> = all.keys().copied().filter(|number| gone >> (number % 64) & 1 == 1).collect();
                    index.remove(&dead, |_| {});
                    all.retain(|number, _| !dead.contains(number));
                    for group in &made {
                        if group.series.iter().all(|number| dead.contains(number)) {
                            index.remove_group(group.target, &group.series);
                        }
                    }
                }
            }
            prop_assert_eq!(index.len(), all.len());
        }
    }
}
