//! Where the page stands: the parameters of the address, through the codec of `dashboard::url`.

use dashboard::url::{DashboardLocation, query};
use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate},
};
use std::sync::Arc;

/// The address as a signal, and the way to change it. Works for `/d/<uid>` and for `/dashboard/new`.
#[derive(Clone, Copy)]
pub struct Address {
    path: Memo<String>,
    now: Memo<DashboardLocation>,
    go: StoredValue<Arc<dyn Fn(&str, NavigateOptions) + Send + Sync>>,
}

/// The address of the page; to be called while the page is built.
pub fn use_address() -> Address {
    let location = use_location();
    let (path, search) = (location.pathname, location.search);
    let now = Memo::new(move |_| {
        let mut now = DashboardLocation::default();
        search.with(|search| now.read_query(&query::parse(search.trim_start_matches('?'))));
        now
    });
    let navigate = use_navigate();
    Address { path, now, go: StoredValue::new(Arc::new(move |path: &str, options| navigate(path, options))) }
}

impl Address {
    /// One part of the address; tracked.
    pub fn read<T>(self, pick: impl FnOnce(&DashboardLocation) -> T) -> T {
        self.now.with(pick)
    }

    /// Changes the parameters; the browser's back button leads back.
    pub fn change(self, change: impl FnOnce(&mut DashboardLocation)) {
        let mut next = self.now.get_untracked();
        change(&mut next);
        let (path, query) = (self.path.get_untracked(), next.query_string());
        self.open(&if query.is_empty() { path } else { format!("{path}?{query}") }, false);
    }

    /// Goes to a path.
    pub fn open(self, path: &str, replace: bool) {
        let options = NavigateOptions { scroll: false, replace, ..NavigateOptions::default() };
        self.go.with_value(|go| go(path, options));
    }
}
