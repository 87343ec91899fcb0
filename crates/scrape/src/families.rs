//! What is known of metric families, once for all targets: a thousand hosts tell the same of theirs.

use crate::scrape_loop::lock;
use foldhash::fast::RandomState;
use model::Metadata;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// From so many families on, those that no target has any more are looked for.
const SWEEP_MIN: usize = 1024;

/// A family as a target tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
}

/// All families, each of its kind once.
#[derive(Default)]
pub(crate) struct Families {
    all: Mutex<Table>,
}

struct Table {
    known: HashSet<Arc<Family>, RandomState>,
    sweep_at: usize,
}

impl Default for Table {
    fn default() -> Self {
        Table { known: HashSet::default(), sweep_at: SWEEP_MIN }
    }
}

impl Families {
    /// The one that all share.
    pub(crate) fn share(&self, family: Family) -> Arc<Family> {
        let mut table = lock(&self.all);
        if let Some(known) = table.known.get::<Family>(family.borrow()) {
            return Arc::clone(known);
        }
        if table.known.len() >= table.sweep_at {
            table.known.retain(|family| Arc::strong_count(family) > 1);
            table.known.shrink_to(SWEEP_MIN);
            table.sweep_at = SWEEP_MIN.max(table.known.len() * 2);
        }
        let family = Arc::new(family);
        table.known.insert(Arc::clone(&family));
        family
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.all).known.len()
    }
}

/// The families of one target, sorted by name.
#[derive(Default)]
pub(crate) struct OwnFamilies(Vec<Arc<Family>>);

impl OwnFamilies {
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|family| family.name.as_str().cmp(name))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Metadata> {
        let place = self.place(name).ok()?;
        self.0.get(place).map(|family| &family.metadata)
    }

    /// Takes families in the place of those of the same names.
    pub(crate) fn put(&mut self, families: impl Iterator<Item = Arc<Family>>) {
        let mut new = Vec::new();
        for family in families {
            match self.place(&family.name) {
                Ok(place) => {
                    if let Some(own) = self.0.get_mut(place) {
                        *own = family;
                    }
                }
                Err(_) => new.push(family),
            }
        }
        if !new.is_empty() {
            self.0.reserve_exact(new.len());
            self.0.append(&mut new);
            self.0.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Family>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str, help: &str) -> Family {
        Family { name: name.into(), metadata: Metadata { help: help.into(), ..Metadata::default() } }
    }

    #[test]
    fn targets_that_say_the_same_share_it() {
        let families = Families::default();
        let (mut one, mut two) = (OwnFamilies::default(), OwnFamilies::default());
        one.put([family("b", "B."), family("a", "A.")].into_iter().map(|family| families.share(family)));
        two.put([family("a", "A."), family("b", "Other.")].into_iter().map(|family| families.share(family)));
        assert!(Arc::ptr_eq(&one.0[0], &two.0[0]));
        assert_eq!(families.len(), 3);
        one.put(std::iter::once(families.share(family("b", "Other."))));
        assert!(Arc::ptr_eq(&one.0[1], &two.0[1]));
        assert_eq!(one.get("b").map(|metadata| metadata.help.as_str()), Some("Other."));
        assert_eq!((one.get("c"), one.len()), (None, 2));
    }

    #[test]
    fn what_nobody_has_is_forgotten() {
        let families = Families::default();
        let kept = families.share(family("kept", ""));
        for i in 0..10 * SWEEP_MIN {
            families.share(family(&i.to_string(), ""));
        }
        assert!(families.len() <= SWEEP_MIN);
        assert!(Arc::ptr_eq(&families.share(family("kept", "")), &kept));
    }
}
