//! Several engines as one: reads are merged.

use crate::{History, Querier, Queryable, Samples, SelectHints, Series, SeriesSet, StorageError};
use model::{Labels, Matcher};
use std::{cmp::Ordering, sync::Arc};

/// Called with what went wrong in a secondary engine; the answer then lacks what only that engine has.
pub type OnWarning = Arc<dyn Fn(&StorageError) + Send + Sync>;

/// A primary engine, whose errors are errors, and secondary ones (other servers), whose errors are warnings,
/// as in Prometheus. Where two engines have a sample at the same time, the earlier engine's counts.
#[derive(Clone)]
pub struct Fanout {
    primary: Arc<dyn Queryable>,
    secondaries: Vec<Arc<dyn Queryable>>,
    on_warning: OnWarning,
}

impl Fanout {
    pub fn new(primary: Arc<dyn Queryable>, secondaries: Vec<Arc<dyn Queryable>>, on_warning: OnWarning) -> Self {
        Fanout { primary, secondaries, on_warning }
    }
}

impl Queryable for Fanout {
    fn querier(&self, start_ms: i64, end_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        let primary = self.primary.querier(start_ms, end_ms)?;
        let mut secondaries = Vec::with_capacity(self.secondaries.len());
        for engine in &self.secondaries {
            match engine.querier(start_ms, end_ms) {
                Ok(querier) => secondaries.push(querier),
                Err(error) => (self.on_warning)(&error),
            }
        }
        Ok(Box::new(FanoutQuerier { primary, secondaries, on_warning: Arc::clone(&self.on_warning) }))
    }

    fn is_local(&self) -> bool {
        self.primary.is_local() && self.secondaries.iter().all(|engine| engine.is_local())
    }

    fn deletions(&self) -> u64 {
        self.secondaries.iter().fold(self.primary.deletions(), |all, engine| all.wrapping_add(engine.deletions()))
    }

    fn history(&self) -> Option<History> {
        // Of several, the sum of the epochs changes with each of them.
        self.secondaries.iter().try_fold(self.primary.history()?, |all, engine| {
            let own = engine.history()?;
            Some(History {
                epoch: all.epoch.wrapping_add(own.epoch),
                settled_before_ms: all.settled_before_ms.min(own.settled_before_ms),
            })
        })
    }
}

struct FanoutQuerier {
    primary: Box<dyn Querier>,
    secondaries: Vec<Box<dyn Querier>>,
    on_warning: OnWarning,
}

impl FanoutQuerier {
    fn merged(
        &self,
        ask: impl Fn(&dyn Querier) -> Result<Vec<String>, StorageError>,
    ) -> Result<Vec<String>, StorageError> {
        let mut all = ask(self.primary.as_ref())?;
        for querier in &self.secondaries {
            match ask(querier.as_ref()) {
                Ok(more) => all.extend(more),
                Err(error) => (self.on_warning)(&error),
            }
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

impl Querier for FanoutQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<SeriesSet, StorageError> {
        let mut sets = vec![self.primary.select(hints, matchers)?];
        for querier in &self.secondaries {
            match querier.select(hints, matchers) {
                Ok(set) => sets.push(tolerant(set, Arc::clone(&self.on_warning))),
                Err(error) => (self.on_warning)(&error),
            }
        }
        Ok(merge_sets(sets))
    }

    fn label_sets(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Vec<Labels>, StorageError> {
        if self.secondaries.is_empty() {
            return self.primary.label_sets(hints, matchers);
        }
        self.select(hints, matchers)?.map(|series| Ok(series?.labels().clone())).collect()
    }

    fn notes(&self) -> Vec<String> {
        std::iter::once(&self.primary).chain(&self.secondaries).flat_map(|querier| querier.notes()).collect()
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.merged(|querier| querier.label_names(matchers))
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.merged(|querier| querier.label_values(name, matchers))
    }
}

/// A set that ends with a warning where `set` ends with an error.
fn tolerant(set: SeriesSet, on_warning: OnWarning) -> SeriesSet {
    Box::new(set.map_while(move |series| match series {
        Ok(series) => Some(Ok(series)),
        Err(error) => {
            on_warning(&error);
            None
        }
    }))
}

/// Merges sets that are in order of labels each. Series with equal labels become one, whose samples are merged in time;
/// at equal times the sample of the earlier set counts.
pub fn merge_sets(mut sets: Vec<SeriesSet>) -> SeriesSet {
    match (sets.pop(), sets.is_empty()) {
        (None, _) => Box::new(std::iter::empty()),
        (Some(only), true) => only,
        (Some(last), false) => {
            sets.push(last);
            let heads = sets.iter_mut().map(|set| set.next()).collect();
            Box::new(MergedSets { sets, heads })
        }
    }
}

struct MergedSets {
    sets: Vec<SeriesSet>,
    /// The next series of each set.
    heads: Vec<Option<Result<Box<dyn Series>, StorageError>>>,
}

impl MergedSets {
    fn take(&mut self, index: usize) -> Option<Result<Box<dyn Series>, StorageError>> {
        let next = self.sets[index].next();
        std::mem::replace(&mut self.heads[index], next)
    }
}

impl Iterator for MergedSets {
    type Item = Result<Box<dyn Series>, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut smallest: Vec<usize> = Vec::new();
        // Few sets, so that looking at all heads is quicker than keeping a heap.
        for index in 0..self.heads.len() {
            let labels = match &self.heads[index] {
                None => continue,
                Some(Err(_)) => return self.take(index),
                Some(Ok(series)) => series.labels(),
            };
            let best = smallest.first().and_then(|&best| self.heads[best].as_ref()?.as_ref().ok());
            match best.map_or(Ordering::Less, |best| labels.cmp(best.labels())) {
                Ordering::Less => smallest = vec![index],
                Ordering::Equal => smallest.push(index),
                Ordering::Greater => {}
            }
        }
        let mut parts = Vec::with_capacity(smallest.len());
        for index in smallest {
            match self.take(index)? {
                Ok(series) => parts.push(series),
                Err(error) => return Some(Err(error)),
            }
        }
        if parts.len() < 2 { parts.pop().map(Ok) } else { Some(Ok(Box::new(MergedSeries { parts }))) }
    }
}

struct MergedSeries {
    /// At least two.
    parts: Vec<Box<dyn Series>>,
}

impl Series for MergedSeries {
    fn labels(&self) -> &Labels {
        self.parts[0].labels()
    }

    fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
        self.read_with(|part, into| part.read(into), into)
    }

    fn read_between(&self, start_ms: i64, end_ms: i64, into: &mut Samples) -> Result<(), StorageError> {
        self.read_with(|part, into| part.read_between(start_ms, end_ms, into), into)
    }
}

impl MergedSeries {
    fn read_with(
        &self,
        read: impl Fn(&dyn Series, &mut Samples) -> Result<(), StorageError>,
        into: &mut Samples,
    ) -> Result<(), StorageError> {
        // Mostly the parts follow each other in time: an old block, a newer one, the head. Then nothing is copied.
        let begin = into.len();
        for (index, part) in self.parts.iter().enumerate() {
            let before = into.len();
            read(part.as_ref(), into)?;
            if before > begin && into.timestamps.get(before).is_some_and(|time| *time <= into.timestamps[before - 1]) {
                let mut parts = vec![Samples::default(), Samples::default()];
                parts[0].extend_from(into, begin, before);
                parts[1].extend_from(into, before, into.len());
                into.truncate(begin);
                for part in &self.parts[index + 1..] {
                    let mut samples = Samples::default();
                    read(part.as_ref(), &mut samples)?;
                    parts.push(samples);
                }
                merge_samples(parts, into);
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Appends the samples of all parts to `into` in order of time. Each part is ascending; at equal times the sample
/// of the earlier part counts.
pub fn merge_samples(mut parts: Vec<Samples>, into: &mut Samples) {
    parts.retain(|part| !part.is_empty());
    // Mostly the parts follow each other in time: an old block, a newer one, the head.
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&index| parts[index].timestamps[0]);
    let mut rest = order.as_mut_slice();
    while let Some((&mut first, _)) = rest.split_first_mut() {
        let mut end = parts[first].timestamps.last();
        let mut count = 1;
        while let Some(part) = rest.get(count).map(|&index| &parts[index])
            && part.timestamps.first() <= end
        {
            end = end.max(part.timestamps.last());
            count += 1;
        }
        let (together, others) = rest.split_at_mut(count);
        // An earlier part goes first.
        together.sort_unstable();
        merge_overlapping(&parts, together, into);
        rest = others;
    }
}

/// As [`merge_samples`], of some of the parts; an earlier one in `which` counts at equal times.
fn merge_overlapping(parts: &[Samples], which: &[usize], into: &mut Samples) {
    if let [only] = which {
        into.extend_from(&parts[*only], 0, parts[*only].len());
        return;
    }
    let mut at = vec![0_usize; which.len()];
    loop {
        let next = |place: usize, at: &[usize]| parts[which[place]].timestamps.get(at[place]).copied();
        let mut first: Option<(i64, usize)> = None;
        for place in 0..which.len() {
            if let Some(time) = next(place, &at)
                && first.is_none_or(|(best, _)| time < best)
            {
                first = Some((time, place));
            }
        }
        let Some((time, winner)) = first else { return };
        // Up to where another part goes on.
        let mut until = i64::MAX;
        for (place, at) in at.iter_mut().enumerate().filter(|(place, _)| *place != winner) {
            let times = &parts[which[place]].timestamps;
            *at += usize::from(times.get(*at) == Some(&time));
            until = times.get(*at).map_or(until, |time| until.min(*time));
        }
        let part = &parts[which[winner]];
        let run = 1 + part.timestamps[at[winner] + 1..].iter().take_while(|time| **time < until).count();
        into.extend_from(part, at[winner], at[winner] + run);
        at[winner] += run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeMap, sync::Mutex};

    /// Series by label value of `s`, samples by time.
    type Content = BTreeMap<String, BTreeMap<i64, u32>>;

    #[derive(Clone)]
    struct Engine(Content);
    struct One(Labels, BTreeMap<i64, u32>);

    impl Queryable for Engine {
        fn querier(&self, _: i64, _: i64) -> Result<Box<dyn Querier>, StorageError> {
            Ok(Box::new(self.clone()))
        }
    }

    impl Querier for Engine {
        fn select(&self, _: &SelectHints, _: &[Matcher]) -> Result<SeriesSet, StorageError> {
            let all: Vec<_> = self.0.clone().into_iter().collect();
            Ok(Box::new(all.into_iter().map(|(name, samples)| {
                Ok(Box::new(One(Labels::from_pairs([("s", name.as_str())]), samples)) as Box<dyn Series>)
            })))
        }

        fn label_names(&self, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
            Ok(self.0.keys().cloned().collect())
        }

        fn label_values(&self, _: &str, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
            Ok(self.0.keys().cloned().collect())
        }
    }

    impl Series for One {
        fn labels(&self) -> &Labels {
            &self.0
        }

        fn read(&self, into: &mut Samples) -> Result<(), StorageError> {
            for (&time, &value) in &self.1 {
                into.push_float(time, f64::from(value));
            }
            Ok(())
        }
    }

    struct Broken;

    impl Queryable for Broken {
        fn querier(&self, _: i64, _: i64) -> Result<Box<dyn Querier>, StorageError> {
            Err(StorageError::Remote("no answer".into()))
        }
    }

    fn content() -> impl Strategy<Value = Content> {
        let samples = proptest::collection::btree_map(0_i64..12, 0_u32..100, 0..8);
        proptest::collection::btree_map("[a-d]", samples, 0..4)
    }

    proptest! {
        #[test]
        fn merging_is_union_where_the_first_wins(engines in proptest::collection::vec(content(), 1..4)) {
            let mut expected = Content::new();
            for engine in &engines {
                for (name, samples) in engine {
                    let merged = expected.entry(name.clone()).or_default();
                    for (&time, &value) in samples {
                        merged.entry(time).or_insert(value);
                    }
                }
            }
            let mut engines = engines.into_iter().map(|content| Arc::new(Engine(content)) as Arc<dyn Queryable>);
            let first = engines.next().unwrap();
            let fanout = Fanout::new(first, engines.collect(), Arc::new(|_| panic!("no warning expected")));
            let querier = fanout.querier(0, 100).unwrap();
            let mut got = Content::new();
            let mut order = Vec::new();
            for series in querier.select(&SelectHints::default(), &[]).unwrap() {
                let series = series.unwrap();
                let mut samples = Samples::default();
                series.read(&mut samples).unwrap();
                prop_assert!(samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]));
                let name = series.labels().get("s").unwrap().to_owned();
                order.push(name.clone());
                got.insert(name, samples.timestamps.into_iter().zip(samples.values.into_iter().map(|v| v as u32)).collect());
            }
            prop_assert!(order.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(&got, &expected);
            prop_assert_eq!(querier.label_names(&[]).unwrap(), expected.into_keys().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_broken_secondary_is_a_warning_a_broken_primary_an_error() {
        let good = Arc::new(Engine(Content::from([("a".to_owned(), BTreeMap::from([(1, 2)]))])));
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&warnings);
        let on_warning: OnWarning = Arc::new(move |error| sink.lock().unwrap().push(error.to_string()));
        let fanout = Fanout::new(good.clone(), vec![Arc::new(Broken)], Arc::clone(&on_warning));
        let querier = fanout.querier(0, 1).unwrap();
        assert_eq!(querier.select(&SelectHints::default(), &[]).unwrap().count(), 1);
        assert_eq!(*warnings.lock().unwrap(), ["no answer"]);
        assert!(Fanout::new(Arc::new(Broken), vec![good], on_warning).querier(0, 1).is_err());
    }
}
