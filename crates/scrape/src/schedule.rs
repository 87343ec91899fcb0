//! When a target is scraped: at even steps of its interval, and once at once when it is new.

/// New targets of one discovery are first scraped this far apart: a hundred a second.
const NEW_APART_MS: i64 = 10;
/// The even moment after a target's first scrape is left out when it comes sooner than this part of the interval:
/// rates over so short a time are noise.
const FIRST_GAP: i64 = 4;

/// The moments of one target.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    interval_ms: i64,
    /// Even moments are this far behind the multiples of the interval.
    offset_ms: i64,
    last_ms: Option<i64>,
    /// The first scrape of a new target, until it is done.
    first_ms: Option<i64>,
}

/// A moment to scrape at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
    /// It is an interval after the one before.
    pub(crate) even: bool,
}

impl Schedule {
    /// `hash` spreads targets over the interval. A new target, `new_index` others before it, need not wait for its
    /// even moment.
    pub(crate) fn new(interval_ms: i64, hash: u64, now_ms: i64, new_index: Option<usize>) -> Self {
        let offset_ms = (hash % interval_ms.unsigned_abs().max(1)) as i64;
        let first_ms = new_index.map(|index| {
            let delay_ms = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(NEW_APART_MS);
            now_ms.saturating_add(delay_ms)
        });
        Schedule { interval_ms: interval_ms.max(1), offset_ms, last_ms: None, first_ms }
    }

    /// The next moment, not before now.
    pub(crate) fn next(&mut self, now_ms: i64) -> Moment {
        let mut even_ms = self.even_after(now_ms);
        if let Some(first_ms) = self.first_ms.take()
            && first_ms < even_ms
        {
            self.last_ms = Some(first_ms);
            return Moment { at_ms: first_ms.max(now_ms), even: false };
        }
        if let Some(last_ms) = self.last_ms {
            let since_last = even_ms - last_ms;
            // A timer that fired a little early must not give the same moment twice; a clock that was set back may.
            if (0..=self.interval_ms / FIRST_GAP).contains(&since_last) {
                even_ms += self.interval_ms;
            }
        }
        self.last_ms = Some(even_ms);
        Moment { at_ms: even_ms, even: true }
    }

    fn even_after(&self, now_ms: i64) -> i64 {
        let into = (now_ms - self.offset_ms).rem_euclid(self.interval_ms);
        now_ms - into + self.interval_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(schedule: &mut Schedule, now_ms: i64) -> i64 {
        schedule.next(now_ms).at_ms
    }

    #[test]
    fn moments_are_even() {
        let mut known = Schedule::new(100, 30, 1_000, None);
        for (now_ms, expected_ms) in [(1_000, 1_030), (1_029, 1_130), (1_130, 1_230), (1_450, 1_530), (10, 30)] {
            assert_eq!(known.next(now_ms), Moment { at_ms: expected_ms, even: true }, "at {now_ms}");
        }
    }

    #[test]
    fn a_new_target_does_not_wait() {
        let mut new = Schedule::new(1_000, 500, 10_000, Some(3));
        assert_eq!(new.next(10_000), Moment { at_ms: 10_030, even: false });
        assert_eq!(at(&mut new, 10_040), 10_500);
        assert_eq!(at(&mut new, 10_510), 11_500);
        let mut near = Schedule::new(1_000, 200, 10_000, Some(0));
        assert_eq!([at(&mut near, 10_000), at(&mut near, 10_010), at(&mut near, 11_200)], [10_000, 11_200, 12_200]);
        let mut beyond = Schedule::new(1_000, 200, 10_000, Some(usize::MAX));
        assert_eq!(beyond.next(10_000), Moment { at_ms: 10_200, even: true }, "its even moment comes sooner");
    }

    #[test]
    fn many_new_targets_are_spread() {
        // Ten thousand targets within a minute: never many more at once than in the even run.
        let mut seconds = [0_u32; 60];
        for index in 0..10_000_usize {
            let hash = xxhash_rust::xxh64::xxh64(&index.to_le_bytes(), 0);
            let at_ms = Schedule::new(60_000, hash, 0, Some(index)).next(0).at_ms;
            seconds[usize::try_from(at_ms / 1000).unwrap().min(59)] += 1;
        }
        let even = 10_000 / 60;
        assert!(seconds.iter().all(|scrapes| *scrapes <= even + 100 + 60), "{seconds:?}");
    }
}
