//! Patterns of matchers that were compiled lately: dashboards and rules ask with the same ones over and over.

use crate::{Regexp, RegexpError};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Memory for the patterns of one generation; there are two.
const GENERATION_BYTES_MAX: usize = 16 << 20;
/// Beside the pattern and its automaton.
const ENTRY_BYTES: usize = 2048;

static CACHE: Mutex<Option<Generations>> = Mutex::new(None);

/// When the new generation is full, it becomes the old one, and what nobody asked for since is forgotten.
#[derive(Debug, Default)]
struct Generations {
    new: HashMap<String, Regexp>,
    old: HashMap<String, Regexp>,
    new_bytes: usize,
}

impl Generations {
    fn find(&mut self, pattern: &str) -> Option<Regexp> {
        if let Some(found) = self.new.get(pattern) {
            return Some(found.clone());
        }
        let found = self.old.remove(pattern)?;
        self.keep(pattern, &found);
        Some(found)
    }

    fn keep(&mut self, pattern: &str, regexp: &Regexp) {
        let bytes = ENTRY_BYTES + 4 * pattern.len() + regexp.automaton_bytes();
        if self.new_bytes + bytes > GENERATION_BYTES_MAX {
            self.old = std::mem::take(&mut self.new);
            self.new_bytes = 0;
        }
        if bytes <= GENERATION_BYTES_MAX {
            self.new_bytes += bytes;
            self.new.insert(pattern.to_owned(), regexp.clone());
        }
    }
}

/// As [`Regexp::anchored`], compiled once.
///
/// # Errors
/// As there.
pub(crate) fn anchored(pattern: &str) -> Result<Regexp, RegexpError> {
    let with = |f: &mut dyn FnMut(&mut Generations)| {
        f(CACHE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default());
    };
    let mut found = None;
    with(&mut |cache| found = cache.find(pattern));
    if let Some(found) = found {
        return Ok(found);
    }
    // Compiled outside of the lock: others need not wait.
    let regexp = Regexp::anchored(pattern)?;
    with(&mut |cache| cache.keep(pattern, &regexp));
    Ok(regexp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_what_is_asked_for_stays() {
        let mut cache = Generations::default();
        let often = Regexp::anchored("often.*[a-z]+").unwrap();
        cache.keep("often.*[a-z]+", &often);
        for index in 0..50_000 {
            let pattern = format!("seldom-{index}");
            cache.keep(&pattern, &often);
            assert!(cache.find("often.*[a-z]+").is_some());
            assert!(cache.new_bytes <= GENERATION_BYTES_MAX);
        }
        assert!(cache.find("seldom-0").is_none());
        assert!(cache.find("seldom-49999").is_some());
    }

    #[test]
    fn compiled_once() {
        let (a, b) = (anchored("x[0-9]+y").unwrap(), anchored("x[0-9]+y").unwrap());
        assert!(a.is_match("x12y") && b.is_match("x1y") && !b.is_match("ax1y"));
        assert!(a.is_same(&b));
        assert!(anchored("(").is_err());
    }
}
