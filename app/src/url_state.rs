//! The one reader and writer of a dashboard's address. Pages derive from it and keep no second copy.

use crate::memo::{Memo, memo};
use crate::{
    router::{self, Go},
    zone::now_ms,
};
use dashboard::url::DashboardLocation;
use leptos::prelude::*;

/// Choices within this time share one entry of the history.
const ONE_ENTRY_MS: i64 = 400;

/// Whether the back button takes a change back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Push,
    Replace,
}

/// What the address of a dashboard says, and the way to change it.
#[derive(Clone, Copy)]
pub struct UrlState {
    location: Memo<DashboardLocation>,
    pushed_ms: StoredValue<i64>,
}

impl UrlState {
    /// Of the page around. Addresses that are no dashboard's (a new one) read as one without uid.
    pub fn here() -> UrlState {
        let (path, search) = (router::use_path(), router::use_search());
        let location = memo(move || {
            let (path, search) = (path.get(), search.get());
            DashboardLocation::parse(&format!("{path}?{search}")).unwrap_or_else(|| {
                let mut location = DashboardLocation::default();
                location.read_query(&dashboard::url::query::parse(&search));
                location
            })
        });
        UrlState { location, pushed_ms: StoredValue::new(0) }
    }

    /// Reads; tracked.
    pub fn with<T>(self, read: impl FnOnce(&DashboardLocation) -> T) -> T {
        self.location.with(read)
    }

    /// Reads; not tracked.
    pub fn peek<T>(self, read: impl FnOnce(&DashboardLocation) -> T) -> T {
        self.location.with_untracked(read)
    }

    /// Writes a changed location. Nothing happens when it stays the same.
    pub fn change(self, entry: Entry, change: impl FnOnce(&mut DashboardLocation)) {
        let before = self.location.get_untracked();
        let mut location = before.clone();
        change(&mut location);
        if location == before {
            return;
        }
        let now = now_ms();
        let joined = now - self.pushed_ms.get_value() < ONE_ENTRY_MS;
        if entry == Entry::Push {
            self.pushed_ms.set_value(now);
        }
        let how = if entry == Entry::Replace || joined { Go::Replace } else { Go::Push };
        router::go(&address(&location), how);
    }

    /// Goes elsewhere.
    pub fn go(self, url: &str) {
        router::go(url, Go::Visit);
    }
}

/// Path and query of a location; one without uid is a dashboard that is not stored yet.
pub fn address(location: &DashboardLocation) -> String {
    if !location.uid.is_empty() {
        return location.format();
    }
    match location.query_string() {
        query if query.is_empty() => "/dashboard/new".to_owned(),
        query => format!("/dashboard/new?{query}"),
    }
}
