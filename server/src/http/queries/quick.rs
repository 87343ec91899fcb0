//! Queries that were done sooner than another thread wakes up: the same ones are run where they arrive.

use super::Asked;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// What takes longer may hold up other connections, and goes to a thread of its own.
const QUICK_MAX: Duration = Duration::from_micros(150);
/// So many queries are known at once; then all are forgotten and learned anew.
const KNOWN_MAX: usize = 4096;

/// Which queries are quick, as they were when they ran last.
#[derive(Default)]
pub(crate) struct Quick {
    /// Hashes of the queries with the length of their range; only ever a guess.
    known: RwLock<HashSet<u64>>,
    state: RandomState,
}

impl Quick {
    fn key(&self, asked: &Asked) -> u64 {
        let length_ms = asked.end_ms.saturating_sub(asked.start_ms);
        self.state.hash_one((asked.kind as u8, asked.query.as_str(), asked.step_ms, length_ms))
    }

    /// True if the query was quick when it ran last.
    pub(crate) fn was(&self, asked: &Asked) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).contains(&self.key(asked))
    }

    /// Remembers how long a query took.
    pub(crate) fn note(&self, asked: &Asked, took: Duration) {
        let (is_quick, key) = (took <= QUICK_MAX, self.key(asked));
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(&key) == is_quick {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if !is_quick {
            known.remove(&key);
            return;
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Client, Kind};
    use super::*;

    #[test]
    fn what_was_quick_is_known_until_it_is_slow() {
        let quick = Quick::default();
        let asked = |kind, query: &str, end_ms| Asked { end_ms, ..Asked::of(Client::default(), kind, query) };
        let up = asked(Kind::Instant, "up", 0);
        assert!(!quick.was(&up));
        quick.note(&up, Duration::from_micros(20));
        assert!(quick.was(&up));
        assert!(!quick.was(&asked(Kind::Instant, "down", 0)));
        assert!(!quick.was(&asked(Kind::Range, "up", 0)));
        assert!(!quick.was(&asked(Kind::Range, "up", 60_000)));
        quick.note(&up, Duration::from_millis(1));
        assert!(!quick.was(&up));
        for n in 0..3 * KNOWN_MAX {
            quick.note(&asked(Kind::Instant, &n.to_string(), 0), Duration::ZERO);
        }
        assert!(quick.known.read().unwrap().len() <= KNOWN_MAX);
    }
}
