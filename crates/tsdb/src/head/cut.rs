//! From the head into blocks.

use super::{Group, Head, group::Sealed};
use model::Labels;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use storage::{Samples, StorageError};

/// What goes into one block. It stays in the head until [`Head::forget`].
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) min_ms: i64,
    /// Exclusive.
    pub(crate) max_ms: i64,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    number: u32,
    group: Arc<Group>,
    sealed: Sealed,
}

impl Head {
    /// Windows of all samples before a time, which is a border of blocks. Later appends do not change them. Only under
    /// the lock of the appends.
    pub(crate) fn windows_before(&self, before_ms: i64) -> Vec<Window> {
        let range = self.block_range_ms;
        let numbers: Vec<u32> = {
            let store = self.store();
            let has = |number: &u32| store.group(*number).is_some_and(|group| group.has_before(before_ms));
            (0..store.group_numbers()).filter(has).collect()
        };
        let mut windows: BTreeMap<i64, Vec<Part>> = BTreeMap::new();
        for number in numbers {
            // Readers get in between.
            let mut store = self.store_mut();
            if let Some(group) = store.group_mut(number) {
                group.seal_before(before_ms, range);
            }
            let Some(group) = store.group(number) else { continue };
            let all = group.sealed_before(before_ms);
            let mut by_range: BTreeMap<i64, Sealed> = BTreeMap::new();
            for seal in all.rows {
                by_range.entry(seal.min_ms.div_euclid(range)).or_default().rows.push(seal);
            }
            for (slot, pieces) in all.loose {
                for piece in pieces {
                    let loose = &mut by_range.entry(piece.min_ms.div_euclid(range)).or_default().loose;
                    match loose.last_mut() {
                        Some((own, pieces)) if *own == slot => pieces.push(piece),
                        _ => loose.push((slot, vec![piece])),
                    }
                }
            }
            for (range, sealed) in by_range {
                windows.entry(range).or_default().push(Part { number, group: Arc::clone(group), sealed });
            }
        }
        windows
            .into_iter()
            .map(|(number, parts)| Window {
                min_ms: number.saturating_mul(range),
                max_ms: (number + 1).saturating_mul(range),
                parts,
            })
            .collect()
    }

    /// A window of everything between two borders of blocks as it is now, which cannot be forgotten.
    pub(crate) fn window(&self, min_ms: i64, max_ms: i64) -> Window {
        let store = self.store();
        let parts = (0..store.group_numbers()).filter_map(|number| {
            let group = store.group(number)?;
            let (min, max) = group.extent()?;
            (min < max_ms && min_ms <= max).then(|| Part {
                number,
                group: Arc::clone(group),
                sealed: Sealed::default(),
            })
        });
        Window { min_ms, max_ms, parts: parts.collect() }
    }

    /// Calls `take` for the series of a window that have samples in it, in order of their labels.
    ///
    /// # Errors
    /// Those of `take`.
    pub(crate) fn for_each(
        &self,
        window: &Window,
        mut take: impl FnMut(&Labels, &Samples) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        // Index of the series, place of its part, slot.
        let mut series: Vec<(u32, u32, u16)> = Vec::new();
        let mut order: Vec<(u32, u32)> = Vec::new();
        {
            let (index, store) = (self.index(), self.store());
            for (part, own) in window.parts.iter().enumerate() {
                for (slot, member) in store.members(own.number, &own.group) {
                    order.push((member, series.len() as u32));
                    series.push((member, part as u32, slot));
                }
            }
            index.sort_by_labels(&mut order);
        }
        let mut samples = Samples::default();
        for (_, place) in order {
            let (index, part, slot) = series[place as usize];
            let part = &window.parts[part as usize];
            samples.clear();
            if part.sealed.is_empty() {
                part.group.read(usize::from(slot), window.min_ms, window.max_ms - 1, &mut samples);
            } else {
                part.sealed.read(usize::from(slot), window.min_ms, window.max_ms - 1, &mut samples);
                for at in 0..samples.len() {
                    let start_ms = part.group.start(usize::from(slot), samples.timestamps[at]);
                    if start_ms != 0 {
                        samples.start_timestamps.resize(samples.timestamps.len(), 0);
                        samples.start_timestamps[at] = start_ms;
                    }
                }
            }
            if samples.is_empty() {
                continue;
            }
            // Nobody but the one who cuts forgets series that have samples.
            let Some(labels) = self.index().labels(index) else { continue };
            take(&labels, &samples)?;
        }
        Ok(())
    }

    /// Drops the samples of a window, which are in a block now, and gives how many pieces it was. Only under the lock
    /// of the appends.
    pub(crate) fn forget(&self, window: Window) -> usize {
        let mut dropped = 0;
        for Part { number, group, sealed } in window.parts {
            // Else the group would be copied.
            drop(group);
            if let Some(group) = self.store_mut().group_mut(number) {
                dropped += group.forget(&sealed);
            }
        }
        dropped
    }

    /// Numbers of the block ranges that have samples.
    pub(crate) fn block_numbers(&self) -> BTreeSet<i64> {
        let store = self.store();
        let mut numbers = BTreeSet::new();
        for group in (0..store.group_numbers()).filter_map(|number| store.group(number)) {
            group.block_numbers(self.block_range_ms, &mut numbers);
        }
        numbers
    }
}
