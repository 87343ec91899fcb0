//! Stable sorting for lists that people read, in little code.
//!
//! The standard library's sort is compiled anew for every type, some 4 KB of WebAssembly each time. Here the sorting
//! itself exists once, over indices; a type adds only its comparison.

use std::cmp::Ordering;

/// `Vec::sort` and its kin by other names.
pub trait Order<T> {
    /// As `sort_by`: equal items keep their order.
    fn order_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering);

    /// As `sort`.
    fn order(&mut self)
    where
        T: Ord,
    {
        self.order_by(T::cmp);
    }

    /// As `sort_by_key`; the key is taken anew for every comparison.
    fn order_by_key<K: Ord>(&mut self, mut key: impl FnMut(&T) -> K) {
        self.order_by(|a, b| key(a).cmp(&key(b)));
    }

    /// As `sort_by_cached_key`: every key is taken once.
    fn order_by_cached_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K);
}

impl<T> Order<T> for [T] {
    fn order_by(&mut self, mut compare: impl FnMut(&T, &T) -> Ordering) {
        let order = sorted(self.len(), &mut |a, b| compare(&self[a], &self[b]));
        arrange(order, &mut |a, b| self.swap(a, b));
    }

    fn order_by_cached_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K) {
        let keys: Vec<K> = self.iter().map(key).collect();
        let order = sorted(self.len(), &mut |a, b| keys[a].cmp(&keys[b]));
        arrange(order, &mut |a, b| self.swap(a, b));
    }
}

/// At each place the index of the item that belongs there.
fn sorted(len: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}

/// Swaps until every item stands where `order` wants it: each cycle of the permutation once round.
fn arrange(mut order: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    for start in 0..order.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut order[at], at);
            if from == start {
                break;
            }
            swap(at, from);
            at = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_standard_library_sorts() {
        // A fixed walk through the residues gives lists with many equal keys.
        for len in [0, 1, 2, 3, 7, 20, 21, 50, 333] {
            let list: Vec<(usize, usize)> = (0..len).map(|at| ((at * 7919 + 13) % 31, at)).collect();
            let mut wanted = list.clone();
            wanted.sort_by_key(|(key, _)| *key);
            let mut found = list.clone();
            found.order_by_key(|(key, _)| *key);
            assert_eq!(found, wanted, "{len}");
            let mut found = list.clone();
            found.order_by_cached_key(|(key, _)| *key);
            assert_eq!(found, wanted, "{len}, cached");
            wanted.sort_by(|a, b| b.cmp(a));
            found.order_by(|a, b| b.cmp(a));
            assert_eq!(found, wanted, "{len}, downwards");
        }
    }
}
