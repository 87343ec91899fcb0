//! The series of a layout, found by their labels.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use model::Labels;
use std::hash::BuildHasher;

/// Label sets in the order in which they came, each once. A map with the labels as keys would hold them twice.
#[derive(Default)]
pub(super) struct LayoutSeries {
    labels: Vec<Labels>,
    slots: HashTable<u32>,
    hasher: RandomState,
}

impl LayoutSeries {
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub(super) fn all(&self) -> &[Labels] {
        &self.labels
    }

    pub(super) fn labels(&self, slot: u32) -> Option<&Labels> {
        self.labels.get(slot as usize)
    }

    pub(super) fn slot(&self, labels: &Labels) -> Option<u32> {
        let same = |slot: &u32| self.labels(*slot) == Some(labels);
        self.slots.find(self.hasher.hash_one(labels), same).copied()
    }

    /// Adds a label set that is not there yet.
    pub(super) fn push(&mut self, labels: Labels) -> u32 {
        let slot = self.labels.len() as u32;
        let hash = self.hasher.hash_one(&labels);
        self.labels.push(labels);
        let (all, hasher) = (&self.labels, &self.hasher);
        self.slots
            .insert_unique(hash, slot, |slot| all.get(*slot as usize).map_or(0, |labels| hasher.hash_one(labels)));
        slot
    }

    /// Gives back memory that was taken for growth.
    pub(super) fn shrink(&mut self) {
        self.labels.shrink_to_fit();
    }

    /// A random number that is this layout's own.
    pub(super) fn any_number(&self) -> u64 {
        self.hasher.hash_one(0)
    }
}
