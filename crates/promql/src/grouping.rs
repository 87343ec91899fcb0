//! Sorting series by some of their labels, without building a label set for each of them.

use model::Labels;
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The labels that never survive `without` and `ignoring`.
const METADATA: [&str; 3] = ["__name__", "__type__", "__unit__"];

/// True for the labels that say what a metric is.
pub(crate) fn is_metadata(name: &str) -> bool {
    METADATA.contains(&name)
}

/// Which labels of a series count: those of a list, or all others.
#[derive(Clone, Debug)]
pub(crate) struct LabelFilter {
    /// Sorted.
    names: Vec<String>,
    keep: bool,
}

impl LabelFilter {
    /// Only the labels in `names`: `by`, `on`.
    pub(crate) fn only(names: &[String]) -> LabelFilter {
        LabelFilter::new(names.to_vec(), true)
    }

    /// All labels but those in `names` and the metadata labels: `without`, `ignoring`.
    pub(crate) fn but(names: &[String]) -> LabelFilter {
        let names = names.iter().cloned().chain(METADATA.map(str::to_owned)).collect();
        LabelFilter::new(names, false)
    }

    fn new(mut names: Vec<String>, keep: bool) -> LabelFilter {
        names.sort_unstable();
        names.dedup();
        LabelFilter { names, keep }
    }

    fn is_empty(&self) -> bool {
        self.keep && self.names.is_empty()
    }

    /// The pairs that count, in order.
    fn pairs<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (mut next, mut rest) = (0, labels.iter());
        std::iter::from_fn(move || {
            // Both sides are sorted, so that one walk is enough, and it ends with the last name that is kept.
            while !self.keep || next < self.names.len() {
                let (name, value) = rest.next()?;
                while self.names.get(next).is_some_and(|own| own.as_str() < name) {
                    next += 1;
                }
                if self.names.get(next).is_some_and(|own| own == name) == self.keep {
                    return Some((name, value));
                }
            }
            None
        })
    }

    fn hash(&self, labels: &Labels) -> u64 {
        if self.is_empty() {
            return 0;
        }
        self.pairs(labels).fold(0, |seed, (name, value)| {
            xxh3_64_with_seed(value.as_bytes(), xxh3_64_with_seed(name.as_bytes(), seed))
        })
    }

    /// The label set of what counts.
    pub(crate) fn apply(&self, labels: &Labels) -> Labels {
        if self.is_empty() { Labels::empty() } else { Labels::from_sorted(self.pairs(labels)) }
    }
}

/// Numbers groups of series in the order in which they appear.
#[derive(Debug, Default)]
pub(crate) struct GroupTable {
    /// The latest group of each hash.
    heads: HashMap<u64, usize>,
    /// Label set of each group, and the group before it with the same hash.
    groups: Vec<(Labels, Option<usize>)>,
}

impl GroupTable {
    /// The group of a series.
    pub(crate) fn place(&mut self, filter: &LabelFilter, labels: &Labels) -> usize {
        let hash = filter.hash(labels);
        if let Some(place) = self.search(hash, filter, labels) {
            return place;
        }
        let place = self.groups.len();
        let before = self.heads.insert(hash, place);
        self.groups.push((filter.apply(labels), before));
        place
    }

    /// The group of a series, if there is one.
    pub(crate) fn find(&self, filter: &LabelFilter, labels: &Labels) -> Option<usize> {
        self.search(filter.hash(labels), filter, labels)
    }

    fn search(&self, hash: u64, filter: &LabelFilter, labels: &Labels) -> Option<usize> {
        let mut next = self.heads.get(&hash).copied();
        while let Some(place) = next {
            let (own, before) = &self.groups[place];
            if own.iter().eq(filter.pairs(labels)) {
                return Some(place);
            }
            next = *before;
        }
        None
    }

    pub(crate) fn labels(&self, place: usize) -> &Labels {
        &self.groups[place].0
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.groups.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_of_the_label_sets() {
        let all: Vec<Labels> = (0..200)
            .map(|n| {
                Labels::from_pairs([
                    ("__name__", format!("m{}", n % 2)),
                    ("a", format!("{}", n % 7)),
                    ("b", format!("{}", n % 11)),
                ])
            })
            .collect();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for filter in [
            LabelFilter::only(&names(&["b", "a", "x"])),
            LabelFilter::only(&[]),
            LabelFilter::but(&names(&["a"])),
            LabelFilter::but(&[]),
        ] {
            let mut table = GroupTable::default();
            let mut expected: Vec<Labels> = Vec::new();
            for labels in &all {
                let own = filter.apply(labels);
                let place = expected.iter().position(|other| *other == own).unwrap_or_else(|| {
                    expected.push(own.clone());
                    expected.len() - 1
                });
                assert_eq!(table.place(&filter, labels), place);
                assert_eq!(table.find(&filter, labels), Some(place));
                assert_eq!(table.labels(place), &own);
            }
            assert_eq!(table.len(), expected.len());
        }
    }
}
