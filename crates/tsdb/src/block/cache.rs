//! Decompressed frames: series of a query lie side by side, so that a frame is wanted many times in a row.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes that all cached frames may have together.
const BYTES_MAX: usize = 32 << 20;

#[derive(Debug, Default)]
pub(crate) struct FrameCache {
    inner: Mutex<Inner>,
}

/// A decompressed frame and when it was last used.
type Cached = (Arc<Vec<u8>>, u64);

#[derive(Debug, Default)]
struct Inner {
    frames: HashMap<(u64, u64), Cached, foldhash::fast::RandomState>,
    bytes: usize,
    /// Counts uses; a frame's last use is its age.
    tick: u64,
    /// `tick` when [`FrameCache::clear_if_unused`] was last called.
    seen: u64,
}

impl FrameCache {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, block: u64, at: u64) -> Option<Arc<Vec<u8>>> {
        let mut inner = self.lock();
        inner.tick += 1;
        let tick = inner.tick;
        let (frame, used) = inner.frames.get_mut(&(block, at))?;
        *used = tick;
        Some(Arc::clone(frame))
    }

    pub(crate) fn put(&self, block: u64, at: u64, frame: Vec<u8>) -> Arc<Vec<u8>> {
        let frame = Arc::new(frame);
        let mut inner = self.lock();
        inner.tick += 1;
        let tick = inner.tick;
        inner.bytes += frame.len();
        if let Some((old, _)) = inner.frames.insert((block, at), (Arc::clone(&frame), tick)) {
            inner.bytes -= old.len();
        }
        if inner.bytes > BYTES_MAX {
            // The older half at once, so that the search for the oldest is rare.
            let mut ages: Vec<u64> = inner.frames.values().map(|(_, used)| *used).collect();
            let middle = ages.len() / 2;
            let (_, median, _) = ages.select_nth_unstable(middle);
            let median = *median;
            inner.frames.retain(|_, (_, used)| *used >= median);
            inner.bytes = inner.frames.values().map(|(frame, _)| frame.len()).sum();
        }
        frame
    }

    /// Frees everything if nothing was asked since the last call.
    pub(crate) fn clear_if_unused(&self) {
        let mut inner = self.lock();
        if inner.seen == inner.tick {
            inner.frames = HashMap::default();
            inner.bytes = 0;
        }
        inner.seen = inner.tick;
    }
}
