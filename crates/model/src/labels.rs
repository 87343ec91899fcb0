//! Label sets: sorted, unique names, no empty values, in one allocation.

use std::{cmp::Ordering, fmt, sync::Arc};

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// An immutable label set, cheap to clone, compare and hash.
///
/// Invariants: names are unique and sorted by bytes; no value is empty (an empty value means
/// "no such label", as in Prometheus).
///
/// Layout: one string in which every name and value is preceded by its length. A length is
/// written in base 64, least digit first, each digit as one ASCII character, digits that are
/// followed by another one carrying 0x40. So the whole is valid UTF-8 and needs no `unsafe`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Default for Labels {
    fn default() -> Self {
        Labels::empty()
    }
}

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Labels(Arc::from(""))
    }

    /// Builds a set from pairs in any order. Empty values are left out; of a repeated name the
    /// last value counts.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Builds a set from pairs that are already sorted by name, unique and non-empty.
    /// The caller answers for the invariants; debug builds check them.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        // Room for most sets, so that it need not grow label by label.
        let mut packed = String::with_capacity(256);
        #[cfg(debug_assertions)]
        let mut previous: Option<String> = None;
        for (name, value) in pairs {
            #[cfg(debug_assertions)]
            {
                debug_assert!(!value.is_empty(), "label {name:?} is empty");
                debug_assert!(previous.as_deref().is_none_or(|previous| previous < name), "labels are not sorted");
                previous = Some(name.to_owned());
            }
            push_text(&mut packed, name);
            push_text(&mut packed, value);
        }
        Labels(Arc::from(packed))
    }

    /// As [`Labels::from_sorted`] for pairs that come from elsewhere; `None` if a name is not behind the one before it or
    /// a value is empty.
    pub fn checked_sorted(pairs: &[(&str, &str)]) -> Option<Self> {
        let good = pairs.is_sorted_by(|a, b| a.0 < b.0) && pairs.iter().all(|(_, value)| !value.is_empty());
        good.then(|| Labels::from_sorted(pairs.iter().copied()))
    }

    /// The packed form of a set, see [`Labels::as_packed`], written behind what `into` has. The pairs are as
    /// [`Labels::from_sorted`] wants them.
    pub fn pack<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, into: &mut String) {
        for (name, value) in pairs {
            push_text(into, name);
            push_text(into, value);
        }
    }

    /// The value of `name`, or `None` if the set has no such label.
    pub fn get(&self, name: &str) -> Option<&str> {
        for (own, value) in self.iter() {
            match own.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(value),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The metric's name, or "" if there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or_default()
    }

    /// Pairs in order of their names.
    pub fn iter(&self) -> LabelsIter<'_> {
        LabelsIter { rest: &self.0 }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of labels; walks the set.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Only the labels that `names` holds.
    pub fn keep(&self, names: &[impl AsRef<str>]) -> Labels {
        Labels::from_sorted(self.iter().filter(|(name, _)| names.iter().any(|n| n.as_ref() == *name)))
    }

    /// All labels but those in `names`.
    pub fn without(&self, names: &[impl AsRef<str>]) -> Labels {
        Labels::from_sorted(self.iter().filter(|(name, _)| !names.iter().any(|n| n.as_ref() == *name)))
    }

    /// All labels but the metric's name.
    pub fn without_name(&self) -> Labels {
        if self.get(METRIC_NAME).is_none() {
            return self.clone();
        }
        Labels::from_sorted(self.iter().filter(|(name, _)| *name != METRIC_NAME))
    }

    /// A builder that starts with these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// The packed form: equal strings are equal sets. For hashing and for tables of one's own,
    /// not for storage on disk.
    pub fn as_packed(&self) -> &str {
        &self.0
    }
}

impl Ord for Labels {
    /// By name, then value, pair by pair; a set that is a prefix of the other comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        let common = common_bytes(a, b);
        // The first text that is not the same in both, with its length before it.
        let mut at = 0;
        while let Some((start, end)) = text_at(a, at).filter(|(_, end)| *end <= common) {
            debug_assert!(start <= end);
            at = end;
        }
        match (text_at(a, at), text_at(b, at)) {
            (Some((start, end)), Some((other_start, other_end))) => a[start..end].cmp(&b[other_start..other_end]),
            (own, other) => own.is_some().cmp(&other.is_some()),
        }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Labels {
    /// As Prometheus prints a label set: `{a="b", c="d"}`; names outside the classic alphabet in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(name) {
                f.write_str(name)?
            } else {
                write!(f, "{}", quote(name))?
            }
            write!(f, "={}", quote(value))?;
        }
        f.write_str("}")
    }
}

/// True for `[a-zA-Z_][a-zA-Z0-9_]*`, the names that need no quotes.
pub fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// True for `[a-zA-Z_:][a-zA-Z0-9_:]*`, the metric names that need no quotes.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// A string in double quotes, escaped as Go's `strconv.Quote` does it.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() || c == '\u{feff}' => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn push_text(packed: &mut String, text: &str) {
    let mut rest = text.len();
    loop {
        // `rest & 63` fits six bits, so both characters are ASCII.
        let digit = (rest & 63) as u8;
        rest >>= 6;
        if rest == 0 {
            packed.push(char::from(digit));
            break;
        }
        packed.push(char::from(digit | 0x40));
    }
    packed.push_str(text);
}

/// How many bytes two texts have in common at the front.
fn common_bytes(a: &[u8], b: &[u8]) -> usize {
    let (whole, other) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    for (index, (x, y)) in whole.iter().zip(other).enumerate() {
        let differing = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differing != 0 {
            return index * 8 + differing.trailing_zeros() as usize / 8;
        }
    }
    let same = whole.len().min(other.len()) * 8;
    same + a[same..].iter().zip(&b[same..]).take_while(|(x, y)| x == y).count()
}

/// Where the text begins and ends whose length stands at `at`; `None` at the end.
fn text_at(packed: &[u8], at: usize) -> Option<(usize, usize)> {
    let (mut length, mut shift) = (0_usize, 0_u32);
    for (index, byte) in packed.get(at..)?.iter().enumerate() {
        length |= usize::from(byte & 63) << shift;
        shift += 6;
        if byte & 0x40 == 0 {
            let start = at + index + 1;
            return Some((start, start + length));
        }
    }
    None
}

fn take_text(packed: &str) -> Option<(&str, &str)> {
    // Most texts are shorter than 64 bytes.
    let first = *packed.as_bytes().first()?;
    if first & 0x40 == 0 {
        return packed.get(1..)?.split_at_checked(usize::from(first));
    }
    let (mut length, mut shift) = (0_usize, 0_u32);
    for (at, byte) in packed.bytes().enumerate() {
        length |= usize::from(byte & 63) << shift;
        shift += 6;
        if byte & 0x40 == 0 {
            let (text, rest) = packed.get(at + 1..)?.split_at_checked(length)?;
            return Some((text, rest));
        }
    }
    None
}

/// Iterator over the pairs of a [`Labels`].
#[derive(Clone)]
pub struct LabelsIter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = take_text(self.rest)?;
        let (value, rest) = take_text(rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelsIter<'a>;
    fn into_iter(self) -> LabelsIter<'a> {
        self.iter()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        Labels::from_pairs(pairs)
    }
}

/// Changes label sets: set and delete in any order, then [`LabelsBuilder::build`].
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    /// Sorted by name.
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets a label; an empty value deletes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.binary_search_by(|(own, _)| own.as_str().cmp(name)) {
            Ok(at) if value.is_empty() => {
                self.pairs.remove(at);
            }
            Ok(at) => value.clone_into(&mut self.pairs[at].1),
            Err(_) if value.is_empty() => {}
            Err(at) => self.pairs.insert(at, (name.to_owned(), value.to_owned())),
        }
        self
    }

    pub fn delete(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.pairs.binary_search_by(|(own, _)| own.as_str().cmp(name)).ok()?;
        Some(&self.pairs[at].1)
    }

    /// Pairs in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pairs_survive(pairs in proptest::collection::btree_map(".{0,200}", ".{1,200}", 0..8)) {
            let labels = Labels::from_pairs(&pairs);
            let back: Vec<_> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(back, pairs.clone().into_iter().collect::<Vec<_>>());
            for (name, value) in &pairs {
                prop_assert_eq!(labels.get(name), Some(value.as_str()));
            }
        }

        #[test]
        fn order_is_that_of_the_pairs(
            a in proptest::collection::btree_map("[ab]{1,2}", prop_oneof!["[ab]{1,3}", "a{60,70}", "é{31,33}"], 0..5),
            b in proptest::collection::btree_map("[ab]{1,2}", prop_oneof!["[ab]{1,3}", "a{60,70}", "é{31,33}"], 0..5),
            same in 0_usize..5,
        ) {
            // Random sets have little in common at the front.
            let shared: std::collections::BTreeMap<_, _> = a.iter().take(same).map(|(n, v)| (n.clone(), v.clone())).collect();
            for b in [b.clone(), shared.clone(), shared.into_iter().chain(b).collect()] {
                let (x, y) = (Labels::from_pairs(&a), Labels::from_pairs(&b));
                prop_assert_eq!(x.cmp(&y), a.iter().cmp(b.iter()), "{} and {}", x, y);
                prop_assert_eq!(y.cmp(&x), b.iter().cmp(a.iter()), "{} and {}", y, x);
                prop_assert_eq!(x.cmp(&x), Ordering::Equal);
            }
        }
    }

    #[test]
    fn builder_sorts_and_deletes() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.to_builder().delete("a").build().to_string(), r#"{b="3"}"#);
    }

    #[test]
    fn order_is_by_pairs() {
        let small = Labels::from_pairs([("a", "1")]);
        let large = Labels::from_pairs([("a", "1"), ("b", "1")]);
        assert!(small < large);
        assert!(Labels::from_pairs([("a", "2")]) > large);
    }
}
