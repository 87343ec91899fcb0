//! Decoded frames and columns of times: series of a query lie side by side, so that a frame is wanted many times in
//! a row, and a column of times by all series of a target.

use super::{bundle::Bundle, index::SeriesPage};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes that all cached frames may have together.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// Bytes that all cached columns of times may have together.
const TIMES_BYTES_MAX: usize = 16 << 20;
/// Bytes that all cached pages of indexes may have together.
const PAGE_BYTES_MAX: usize = 32 << 20;

/// Frames kept of a block that is read from end to end: one of data and one of times, and those before them.
const PASSING_FRAMES: usize = 4;

/// Where something stands: number of the block, byte or number in it.
type Key = (u64, u64);

#[derive(Debug, Default)]
pub(crate) struct FrameCache {
    frames: Mutex<Cache<Arc<Bundle>>>,
    times: Mutex<Cache<Arc<Vec<i64>>>>,
    pages: Mutex<Cache<Arc<SeriesPage>>>,
    /// Blocks that are read from end to end, with their frames, the oldest first.
    passing: Mutex<HashMap<u64, VecDeque<Key>, foldhash::fast::RandomState>>,
}

#[derive(Debug)]
struct Cache<T> {
    /// With their sizes and when they were last used.
    entries: HashMap<Key, (T, usize, u64), foldhash::fast::RandomState>,
    bytes: usize,
    /// Counts uses; an entry's last use is its age.
    tick: u64,
    /// `tick` when [`Cache::clear_if_unused`] was last called.
    seen: u64,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Cache { entries: HashMap::default(), bytes: 0, tick: 0, seen: 0 }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Clone> Cache<T> {
    fn get(&mut self, key: Key) -> Option<T> {
        self.tick += 1;
        let tick = self.tick;
        let (value, _, used) = self.entries.get_mut(&key)?;
        *used = tick;
        Some(value.clone())
    }

    fn put(&mut self, key: Key, value: T, bytes: usize, bytes_max: usize) {
        self.tick += 1;
        self.bytes += bytes;
        if let Some((_, old, _)) = self.entries.insert(key, (value, bytes, self.tick)) {
            self.bytes -= old;
        }
        if self.bytes > bytes_max {
            // The older half at once, so that the search for the oldest is rare.
            let mut ages: Vec<u64> = self.entries.values().map(|(_, _, used)| *used).collect();
            let middle = ages.len() / 2;
            let (_, median, _) = ages.select_nth_unstable(middle);
            let median = *median;
            self.entries.retain(|_, (_, _, used)| *used >= median);
            self.bytes = self.entries.values().map(|(_, bytes, _)| bytes).sum();
        }
    }

    fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        let bytes = &mut self.bytes;
        self.entries.retain(|key, (_, own, _)| {
            let kept = keep(key);
            *bytes -= if kept { 0 } else { *own };
            kept
        });
    }

    fn remove(&mut self, key: Key) {
        if let Some((_, bytes, _)) = self.entries.remove(&key) {
            self.bytes -= bytes;
        }
    }

    fn clear_if_unused(&mut self) {
        if self.seen == self.tick {
            self.entries = HashMap::default();
            self.bytes = 0;
        }
        self.seen = self.tick;
    }
}

impl FrameCache {
    pub(crate) fn frame(&self, block: u64, at: u64) -> Option<Arc<Bundle>> {
        lock(&self.frames).get((block, at))
    }

    pub(crate) fn put_frame(&self, block: u64, at: u64, frame: &Arc<Bundle>) {
        let mut frames = lock(&self.frames);
        frames.put((block, at), Arc::clone(frame), frame.bytes(), FRAME_BYTES_MAX);
        if let Some(passing) = lock(&self.passing).get_mut(&block) {
            passing.push_back((block, at));
            if passing.len() > PASSING_FRAMES
                && let Some(key) = passing.pop_front()
            {
                frames.remove(key);
            }
        }
    }

    /// From now on a block is read from end to end, so that its frames are not wanted again.
    pub(crate) fn pass(&self, block: u64) {
        lock(&self.passing).insert(block, VecDeque::new());
    }

    /// Forgets a block that nobody will read again, or not as before.
    pub(crate) fn forget(&self, block: u64) {
        lock(&self.passing).remove(&block);
        lock(&self.frames).retain(|key| key.0 != block);
        lock(&self.times).retain(|key| key.0 != block);
        lock(&self.pages).retain(|key| key.0 != block);
    }

    pub(crate) fn times(&self, block: u64, column: u32) -> Option<Arc<Vec<i64>>> {
        lock(&self.times).get((block, u64::from(column)))
    }

    pub(crate) fn put_times(&self, block: u64, column: u32, times: &Arc<Vec<i64>>) {
        // A map's entry is larger than a column of few rows.
        let bytes = times.len() * 8 + 64;
        lock(&self.times).put((block, u64::from(column)), Arc::clone(times), bytes, TIMES_BYTES_MAX);
    }

    pub(crate) fn page(&self, block: u64, at: u64) -> Option<Arc<SeriesPage>> {
        lock(&self.pages).get((block, at))
    }

    pub(crate) fn put_page(&self, block: u64, at: u64, page: &Arc<SeriesPage>) {
        lock(&self.pages).put((block, at), Arc::clone(page), page.bytes(), PAGE_BYTES_MAX);
    }

    /// What is kept, and its bytes.
    pub(crate) fn sizes(&self) -> [(&'static str, usize); 3] {
        [("data", lock(&self.frames).bytes), ("times", lock(&self.times).bytes), ("index", lock(&self.pages).bytes)]
    }

    /// Frees what nobody asked for since the last call.
    pub(crate) fn clear_if_unused(&self) {
        lock(&self.frames).clear_if_unused();
        lock(&self.times).clear_if_unused();
        lock(&self.pages).clear_if_unused();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let mut cache = Cache::default();
        for number in 0..10 {
            cache.put((0, number), number, 10, 100);
        }
        assert_eq!(cache.get((0, 0)), Some(0));
        cache.put((0, 10), 10, 10, 100);
        assert!(cache.bytes <= 100 && cache.bytes == cache.entries.len() * 10);
        assert_eq!((cache.get((0, 0)), cache.get((0, 1)), cache.get((0, 10))), (Some(0), None, Some(10)));
        cache.clear_if_unused();
        assert_eq!(cache.get((0, 0)), Some(0));
        cache.clear_if_unused();
        cache.clear_if_unused();
        assert_eq!((cache.get((0, 0)), cache.bytes), (None, 0));
    }

    #[test]
    fn what_is_read_once_does_not_stay() {
        let cache = FrameCache::default();
        let frame = || Arc::new(Bundle::decode(vec![0, 0], false).unwrap());
        cache.put_frame(1, 0, &frame());
        cache.pass(2);
        for at in 0..10 {
            cache.put_frame(2, at, &frame());
        }
        let there = |block| (0..10).filter(|at| cache.frame(block, *at).is_some()).count();
        assert_eq!((there(1), there(2)), (1, PASSING_FRAMES));
        cache.forget(2);
        assert_eq!((there(1), there(2), lock(&cache.frames).bytes), (1, 0, frame().bytes()));
    }
}
