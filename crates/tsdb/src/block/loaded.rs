//! The indexes of blocks that are in memory: only so many bytes of them, for there may be many blocks.

use super::index::BlockIndex;
use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

/// Bytes that the indexes of all blocks may have together. The one that is asked for stays, however large.
const INDEX_BYTES_MAX: usize = 128 << 20;

/// Where a block has its index, if that is loaded.
pub(crate) type Slot = Mutex<Option<Arc<BlockIndex>>>;

#[derive(Debug, Default)]
pub(crate) struct Loaded {
    list: Mutex<Vec<Entry>>,
    /// Counts uses; an index's last use is its age.
    tick: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    slot: Weak<Slot>,
    used: Arc<AtomicU64>,
    bytes: usize,
}

impl Loaded {
    /// Notes a use.
    pub(crate) fn touch(&self, used: &AtomicU64) {
        used.store(self.tick.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Notes that an index was loaded, and frees those that nobody used for longest if there are too many bytes. Nobody may
    /// hold the slot's lock.
    pub(crate) fn add(&self, slot: &Arc<Slot>, used: &Arc<AtomicU64>, bytes: usize) {
        self.add_below(slot, used, bytes, INDEX_BYTES_MAX);
    }

    /// Bytes of the indexes that are loaded.
    pub(crate) fn bytes(&self) -> usize {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().filter(|entry| is_there(entry)).map(|entry| entry.bytes).sum()
    }

    fn add_below(&self, slot: &Arc<Slot>, used: &Arc<AtomicU64>, bytes: usize, bytes_max: usize) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|entry| !std::ptr::eq(entry.slot.as_ptr(), Arc::as_ptr(slot)) && is_there(entry));
        list.sort_by_key(|entry| std::cmp::Reverse(entry.used.load(Ordering::Relaxed)));
        let mut all = list.iter().map(|entry| entry.bytes).sum::<usize>().saturating_add(bytes);
        while all > bytes_max
            && let Some(oldest) = list.pop()
        {
            all -= oldest.bytes;
            if let Some(slot) = oldest.slot.upgrade() {
                // Whoever reads with it holds it; it goes with the last of them.
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
        list.push(Entry { slot: Arc::downgrade(slot), used: Arc::clone(used), bytes });
    }
}

fn is_there(entry: &Entry) -> bool {
    let slot = entry.slot.upgrade();
    slot.is_some_and(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let loaded = Loaded::default();
        let blocks: Vec<(Arc<Slot>, Arc<AtomicU64>)> = (0..4).map(|_| (Arc::default(), Arc::default())).collect();
        let load = |at: usize| {
            let (slot, used) = &blocks[at];
            loaded.touch(used);
            *slot.lock().unwrap() = Some(Arc::default());
            loaded.add_below(slot, used, 40, 100);
        };
        let there = || blocks.iter().map(|(slot, _)| slot.lock().unwrap().is_some()).collect::<Vec<_>>();
        load(0);
        load(1);
        assert_eq!(there(), [true, true, false, false]);
        loaded.touch(&blocks[0].1);
        load(2);
        assert_eq!(there(), [true, false, true, false]);
        // One that went by itself does not count.
        *blocks[0].0.lock().unwrap() = None;
        load(3);
        load(3);
        assert_eq!(there(), [false, false, true, true]);
    }
}
