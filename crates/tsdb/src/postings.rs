//! The inverted index: which series carry a label pair. Those of a block.

use model::{Labels, MatchOp, Matcher};
use regexp::LabelMatcher;
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::atomic::{AtomicBool, Ordering},
};
use storage::{Stop, StorageError};

/// So few candidates are looked at one by one rather than intersected with large lists.
const FILTER_BELOW: usize = 1024;

/// Series numbers by label name and value; every list ascending.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    names: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<u32>>>,
    all: Vec<u32>,
}

impl Postings {
    /// From lists by name and value, each pair once, and the numbers of all series; all ascending.
    pub(crate) fn from_lists<'a>(lists: impl Iterator<Item = (&'a str, &'a str, Vec<u32>)>, all: Vec<u32>) -> Self {
        let mut names: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<u32>>> = BTreeMap::new();
        for (name, value, list) in lists {
            if !names.contains_key(name) {
                names.insert(name.into(), BTreeMap::new());
            }
            if let Some(values) = names.get_mut(name) {
                values.insert(value.into(), list);
            }
        }
        Postings { names, all }
    }

    /// Bytes of memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        // A text, its place and a list of its own, in nodes that are filled by two thirds.
        const VALUE_BYTES: usize = 60;
        let bytes = |text: usize, list: &[u32]| text + list.len() * 4 + VALUE_BYTES;
        let values = self.names.values().flatten().map(|(value, list)| bytes(value.len(), list));
        self.all.len() * 4 + values.sum::<usize>()
    }

    pub(crate) fn label_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(AsRef::as_ref)
    }

    pub(crate) fn label_values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.names.get(name).into_iter().flat_map(|values| values.keys().map(AsRef::as_ref))
    }

    /// Values of a label that some of these series have; the numbers ascending.
    pub(crate) fn values_among<'a>(&'a self, name: &str, series: &[u32]) -> impl Iterator<Item = &'a str> {
        let among = Among::new(series);
        let values = self.names.get(name).into_iter().flatten();
        values.filter(move |(_, list)| among.has_any(list)).map(|(value, _)| value.as_ref())
    }

    /// Names of labels that some of these series have; the numbers ascending.
    pub(crate) fn names_among<'a>(&'a self, series: &[u32]) -> impl Iterator<Item = &'a str> {
        let among = Among::new(series);
        let names = self.names.iter();
        names.filter(move |(_, values)| values.values().any(|list| among.has_any(list))).map(|(name, _)| name.as_ref())
    }

    /// Numbers of the series that every matcher accepts, ascending; `accepts` tells of one series.
    pub(crate) fn select(&self, selector: &Selector, accepts: impl Fn(u32, &LabelMatcher) -> bool) -> Vec<u32> {
        let mut found: Option<Vec<u32>> = None;
        // `selector` has the cheap and narrow ones first.
        for matcher in &selector.matchers {
            found = Some(match found {
                Some(few) if few.len() < FILTER_BELOW => {
                    let mut few = few;
                    few.retain(|id| accepts(*id, &matcher.matcher));
                    few
                }
                other => {
                    let list = self.list(matcher, selector);
                    match (other, matcher.accepts_absent) {
                        (None, false) => list,
                        (None, true) => subtract(&self.all, &list),
                        (Some(found), false) => intersect(&found, &list),
                        (Some(found), true) => subtract(&found, &list),
                    }
                }
            });
        }
        found.unwrap_or_else(|| self.all.clone())
    }

    /// For a matcher that accepts an absent label: the series it refuses; else those it accepts.
    fn list(&self, matcher: &RunMatcher, selector: &Selector) -> Vec<u32> {
        let Some(values) = self.names.get(matcher.matcher.name()) else { return Vec::new() };
        let mut lists: Vec<&Vec<u32>> = Vec::new();
        match (&matcher.values, &matcher.prefix) {
            (Some(wanted), _) => lists.extend(wanted.iter().filter_map(|value| values.get(value.as_str()))),
            (None, Some(prefix)) => {
                let from = values.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
                let range = from.take_while(|(value, _)| value.starts_with(prefix.as_str()));
                let range = range.enumerate().take_while(|(at, _)| selector.goes_on(*at)).map(|(_, entry)| entry);
                lists.extend(range.filter(|(value, _)| matcher.matcher.matches(value)).map(|(_, list)| list));
            }
            (None, None) => {
                let wanted = !matcher.accepts_absent;
                let all = values.iter().enumerate().take_while(|(at, _)| selector.goes_on(*at)).map(|(_, entry)| entry);
                let accepted = all.filter(|(value, _)| matcher.matcher.matches(value) == wanted);
                lists.extend(accepted.map(|(_, list)| list));
            }
        }
        let mut union = Vec::with_capacity(lists.iter().map(|list| list.len()).sum());
        let single = lists.len() < 2;
        for list in lists {
            union.extend_from_slice(list);
        }
        if !single {
            // Each list is sorted, and the sort finds such runs. A label has one value, so that nothing is double.
            union.sort();
        }
        union
    }
}

/// A set of series, to look up whether a list has some of them.
struct Among {
    first: u32,
    last: u32,
    bits: Vec<u64>,
}

impl Among {
    /// Numbers ascending.
    fn new(series: &[u32]) -> Self {
        // Nothing lies between 1 and 0.
        let (first, last) = (series.first().copied().unwrap_or(1), series.last().copied().unwrap_or(0));
        let mut bits = vec![0_u64; last.saturating_sub(first) as usize / 64 + 1];
        for number in series {
            let place = (number - first) as usize;
            bits[place / 64] |= 1 << (place % 64);
        }
        Among { first, last, bits }
    }

    fn has_any(&self, list: &[u32]) -> bool {
        let begin = gallop(list, self.first);
        let near = list[begin..].iter().take_while(|number| **number <= self.last);
        near.map(|number| (number - self.first) as usize).any(|place| self.bits[place / 64] >> (place % 64) & 1 == 1)
    }
}

/// Matchers that can be run.
#[derive(Debug)]
pub(crate) struct Selector {
    matchers: Vec<RunMatcher>,
    stop: Option<Stop>,
    /// The reader gave up: what was found is not all.
    stopped: AtomicBool,
}

/// So many values are matched between two questions whether the reader still waits: a fraction of a millisecond.
const UNWATCHED: usize = 1024;

#[derive(Debug)]
pub(crate) struct RunMatcher {
    pub(crate) matcher: LabelMatcher,
    pub(crate) accepts_absent: bool,
    /// The values to look up: accepted ones or, if an absent label is accepted, refused ones.
    pub(crate) values: Option<Vec<String>>,
    /// What all accepted values begin with.
    prefix: Option<String>,
}

impl Selector {
    /// Compiles matchers.
    ///
    /// # Errors
    /// `BadMatcher`.
    pub(crate) fn new(matchers: &[Matcher]) -> Result<Self, StorageError> {
        let mut compiled = Vec::with_capacity(matchers.len());
        for matcher in matchers {
            let run = LabelMatcher::new(matcher).map_err(|error| StorageError::BadMatcher(error.to_string()))?;
            let accepts_absent = run.matches("");
            let values = match matcher.op {
                MatchOp::Equal if !accepts_absent => Some(vec![matcher.value.clone()]),
                MatchOp::NotEqual if accepts_absent => Some(vec![matcher.value.clone()]),
                MatchOp::Regex if !accepts_absent => alternatives(&matcher.value),
                MatchOp::NotRegex if accepts_absent => alternatives(&matcher.value),
                _ => None,
            };
            let prefix = match matcher.op {
                MatchOp::Regex if !accepts_absent => literal_prefix(&matcher.value),
                _ => None,
            };
            compiled.push(RunMatcher { matcher: run, accepts_absent, values, prefix });
        }
        compiled.sort_by_key(|matcher| match (&matcher.values, matcher.accepts_absent) {
            (Some(values), false) => (0, values.len()),
            (None, false) => (1, usize::from(matcher.prefix.is_none())),
            (_, true) => (2, 0),
        });
        Ok(Selector { matchers: compiled, stop: None, stopped: AtomicBool::new(false) })
    }

    /// With somebody to ask whether the answer is still wanted.
    pub(crate) fn stopped_by(self, stop: Option<Stop>) -> Self {
        Selector { stop, ..self }
    }

    /// False once the reader has given up; `at` counts what was looked at.
    pub(crate) fn goes_on(&self, at: usize) -> bool {
        let Some(stop) = &self.stop else { return true };
        if at % UNWATCHED == UNWATCHED - 1 && stop.is_wanted() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        !self.stopped.load(Ordering::Relaxed)
    }

    /// # Errors
    /// `Cancelled` if the search ended early.
    pub(crate) fn check_complete(&self) -> Result<(), StorageError> {
        if self.stopped.load(Ordering::Relaxed) { Err(StorageError::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.matchers.is_empty()
    }

    /// The values that all matchers accept, if they look at nothing but the label `name`.
    pub(crate) fn values_only<'a>(&'a self, name: &str) -> Option<impl Fn(&str) -> bool + use<'a>> {
        let only = self.matchers.iter().all(|matcher| matcher.matcher.name() == name);
        only.then_some(|value: &str| self.matchers.iter().all(|matcher| matcher.matcher.matches(value)))
    }

    /// The cheap and narrow ones first.
    pub(crate) fn matchers(&self) -> impl Iterator<Item = &RunMatcher> {
        self.matchers.iter()
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matcher.matches_labels(labels))
    }
}

/// The texts that a pattern like `a|b\.c` accepts, if it is nothing but such a list.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let inner = match pattern.strip_prefix("(?:").or_else(|| pattern.strip_prefix('(')) {
        Some(rest) => rest.strip_suffix(')')?,
        None => pattern,
    };
    let mut list = vec![String::new()];
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let last = list.last_mut()?;
        match c {
            '|' => list.push(String::new()),
            '\\' => last.push(chars.next().filter(char::is_ascii_punctuation)?),
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            _ => last.push(c),
        }
    }
    list.sort_unstable();
    list.dedup();
    Some(list)
}

/// What every text begins with that a pattern without alternatives accepts.
fn literal_prefix(pattern: &str) -> Option<String> {
    if pattern.contains('|') {
        return None;
    }
    let mut prefix = String::new();
    for c in pattern.chars() {
        match c {
            '*' | '?' | '{' => {
                prefix.pop();
                break;
            }
            '.' | '+' | '(' | ')' | '[' | ']' | '}' | '^' | '$' | '\\' => break,
            _ => prefix.push(c),
        }
    }
    (!prefix.is_empty()).then_some(prefix)
}

fn intersect(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let mut out = Vec::with_capacity(short.len());
    let mut rest = long;
    for &id in short {
        rest = &rest[gallop(rest, id)..];
        if rest.first() == Some(&id) {
            out.push(id);
        }
    }
    out
}

fn subtract(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut rest = b;
    let mut out = Vec::with_capacity(a.len());
    for &id in a {
        rest = &rest[gallop(rest, id)..];
        if rest.first() != Some(&id) {
            out.push(id);
        }
    }
    out
}

/// Index of the first element that is not below `id`, searched from the front.
fn gallop(list: &[u32], id: u32) -> usize {
    let mut step = 1;
    while step < list.len() && list[step] < id {
        step *= 2;
    }
    let start = step / 2;
    let end = (step + 1).min(list.len());
    start.min(end) + list[start.min(end)..end].partition_point(|own| *own < id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_search_ends_with_its_reader() {
        let values: Vec<String> = (0..5_000).map(|n| format!("v{n:04}")).collect();
        let lists = (0..).zip(&values).map(|(id, value)| ("x", value.as_str(), vec![id]));
        let postings = Postings::from_lists(lists, (0..5_000).collect());
        for (pattern, all) in [(".*7", 500), ("v.*7", 500)] {
            let selector = || Selector::new(&[Matcher::new("x", MatchOp::Regex, pattern)]).unwrap();
            let patient = selector().stopped_by(Some(Stop::new(|| false)));
            assert_eq!(postings.select(&patient, |_, _| true).len(), all);
            assert!(patient.check_complete().is_ok());
            let gone = selector().stopped_by(Some(Stop::new(|| true)));
            assert!(postings.select(&gone, |_, _| true).len() < all / 2, "{pattern}");
            assert!(matches!(gone.check_complete(), Err(StorageError::Cancelled)));
        }
    }

    proptest! {
        #[test]
        fn selecting_is_filtering(
            series in proptest::collection::vec(("[ab]?", "[abc.]{0,2}"), 0..30),
            matchers in proptest::collection::vec(("[xyz]", 0_usize..4, prop_oneof![Just("a"), Just(""), Just("a|b"), Just("a.*"), Just("(a|b\\.)"), Just(".+"), Just("a?b")]), 0..4),
        ) {
            let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
            let all: Vec<Labels> = series.iter().map(|(x, y)| Labels::from_pairs([("x", x), ("y", y)])).collect();
            let matchers: Vec<Matcher> = matchers.into_iter().map(|(name, op, value)| Matcher::new(name, ops[op], value)).collect();
            let mut lists: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
            for (id, labels) in (0..).zip(&all) {
                labels.iter().for_each(|pair| lists.entry(pair).or_default().push(id));
            }
            let lists = lists.into_iter().map(|((name, value), list)| (name, value, list));
            let postings = Postings::from_lists(lists, (0..all.len() as u32).collect());
            let selector = Selector::new(&matchers).unwrap();
            let run: Vec<LabelMatcher> = matchers.iter().map(|matcher| LabelMatcher::new(matcher).unwrap()).collect();
            let expected: Vec<u32> = (0..all.len() as u32).filter(|id| run.iter().all(|m| m.matches_labels(&all[*id as usize]))).collect();
            prop_assert_eq!(&postings.select(&selector, |id, matcher| matcher.matches_labels(&all[id as usize])), &expected);
            for name in ["x", "y"] {
                let values: Vec<&str> = postings.values_among(name, &expected).collect();
                let mut wanted: Vec<&str> = expected.iter().filter_map(|id| all[*id as usize].get(name)).collect();
                wanted.sort_unstable();
                wanted.dedup();
                prop_assert_eq!(&values, &wanted);
                if let Some(accepts) = selector.values_only(name) {
                    prop_assert_eq!(postings.label_values(name).filter(|value| accepts(value)).collect::<Vec<_>>(), values);
                }
            }
            let names: Vec<&str> = postings.names_among(&expected).collect();
            let has = |name: &&str| expected.iter().any(|id| all[*id as usize].get(name).is_some());
            prop_assert_eq!(names, ["x", "y"].into_iter().filter(has).collect::<Vec<_>>());
            // Without the shortcut for few candidates.
            let mut found: Option<Vec<u32>> = None;
            for matcher in &selector.matchers {
                let list = postings.list(matcher, &selector);
                let before = found.unwrap_or_else(|| postings.all.clone());
                found = Some(if matcher.accepts_absent { subtract(&before, &list) } else { intersect(&before, &list) });
            }
            prop_assert_eq!(found.unwrap_or_else(|| postings.all.clone()), expected);
        }
    }
}
