//! The series of a layout, found by their labels.

use hashbrown::HashTable;
use model::Labels;
use std::hash::BuildHasher;
use std::sync::Arc;
use storage::{Ingest, Layout, SeriesId, StorageError};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Label sets in the order in which they came, each once.
///
/// The labels are the engine's to keep, for they are the most of what there is to know of a target. Here they have a
/// print of 128 bits: of a million series of one target, two have the same by chance in one case of 10^26, and then one
/// of them would be taken for the other.
pub(super) struct LayoutSeries {
    seed: u64,
    /// By slot.
    prints: Vec<u128>,
    /// Numbers of the first slots; the others have theirs to come, in order.
    known: Arc<[SeriesId]>,
    new: Vec<Labels>,
    /// What was made last. It keeps the numbers valid until there is another one.
    made: Option<Layout>,
    /// The slots and the numbers are as they were when it was made.
    current: bool,
    /// Slots by print, while a scrape needs them.
    slots: HashTable<u32>,
}

impl Default for LayoutSeries {
    fn default() -> Self {
        LayoutSeries {
            // Another one for each target and process, so that nobody can look for labels of the same print.
            seed: std::hash::RandomState::new().hash_one(0),
            prints: Vec::new(),
            known: Arc::from([]),
            new: Vec::new(),
            made: None,
            current: false,
            slots: HashTable::new(),
        }
    }
}

impl LayoutSeries {
    pub(super) fn len(&self) -> usize {
        self.prints.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.prints.is_empty()
    }

    fn print(&self, labels: &Labels) -> u128 {
        xxh3_128_with_seed(labels.as_packed().as_bytes(), self.seed)
    }

    pub(super) fn slot(&mut self, labels: &Labels) -> Option<u32> {
        if self.slots.is_empty() {
            self.slots.reserve(self.prints.len(), |_| 0);
            for (slot, print) in self.prints.iter().enumerate() {
                self.slots.insert_unique(*print as u64, slot as u32, |_| 0);
            }
        }
        let print = self.print(labels);
        let same = |slot: &u32| self.prints.get(*slot as usize) == Some(&print);
        self.slots.find(print as u64, same).copied()
    }

    /// Adds a label set that is not there yet, see [`LayoutSeries::slot`].
    pub(super) fn push(&mut self, labels: Labels) -> u32 {
        let slot = self.prints.len() as u32;
        let print = self.print(&labels);
        self.prints.push(print);
        self.new.push(labels);
        self.current = false;
        let prints = &self.prints;
        self.slots
            .insert_unique(print as u64, slot, |slot| prints.get(*slot as usize).map_or(0, |print| *print as u64));
        slot
    }

    /// The layout of all slots, and whether it is the one of the call before. On an error everything is as it was.
    ///
    /// # Errors
    /// The engine's.
    pub(super) fn layout(&mut self, ingest: &dyn Ingest) -> Result<(Layout, bool), StorageError> {
        if let Some(made) = self.made.as_ref().filter(|_| self.current) {
            return Ok((made.clone(), true));
        }
        let made = ingest.extend_layout(&self.known, &self.new)?;
        self.known = Arc::clone(&made.series);
        self.new = Vec::new();
        self.prints.shrink_to_fit();
        self.made = Some(made.clone());
        self.current = true;
        Ok((made, false))
    }

    /// The number of a slot that had one in the last layout.
    pub(super) fn number(&self, slot: u32) -> Option<SeriesId> {
        self.known.get(slot as usize).copied()
    }

    /// Keeps only these slots, which get new numbers of slots, in order. Those without an engine's number are not kept.
    pub(super) fn keep(&mut self, slots: impl Iterator<Item = u32>) {
        let kept = slots.filter_map(|slot| Some((*self.prints.get(slot as usize)?, self.number(slot)?)));
        let (prints, known): (Vec<u128>, Vec<SeriesId>) = kept.unzip();
        self.prints = prints;
        self.known = known.into();
        self.new = Vec::new();
        self.current = false;
        self.slots = HashTable::new();
    }

    /// Gives back what only a scrape needs that meets new series.
    pub(super) fn rest(&mut self) {
        self.slots = HashTable::new();
    }

    /// A random number that is this layout's own.
    pub(super) fn any_number(&self) -> u64 {
        self.seed
    }
}
