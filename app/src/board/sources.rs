//! The data sources the server has, asked once.

use crate::client;
use api::dashboards::DataSource;
use dashboard::{interval::parse_interval_ms, variables::SourceInfo};
use leptos::{prelude::*, task::spawn_local};

/// Prometheus' own default, where a source says nothing.
const SCRAPE_INTERVAL_MS: i64 = 15_000;

/// All sources; empty until the answer is there.
#[derive(Clone, Copy)]
pub struct Sources {
    list: RwSignal<Vec<SourceInfo>>,
    scrape_ms: RwSignal<i64>,
    /// Whether the answer is there, or failed.
    asked: RwSignal<bool>,
}

/// Asks, once, by the shell: pages come and go, the answer stays.
pub fn provide_sources() {
    let sources = Sources {
        list: RwSignal::new(Vec::new()),
        scrape_ms: RwSignal::new(SCRAPE_INTERVAL_MS),
        asked: RwSignal::new(false),
    };
    provide_context(sources);
    spawn_local(async move {
        if let Ok(found) = client::dashboards::data_sources().await {
            sources.take(&found);
        }
        sources.asked.try_set(true);
    });
}

/// The sources.
///
/// # Panics
/// Outside of the shell.
pub fn use_sources() -> Sources {
    expect_context::<Sources>()
}

impl Sources {
    fn take(self, found: &[DataSource]) {
        let standard = found.iter().find(|source| source.is_default).or_else(|| found.first());
        if let Some(ms) = standard.and_then(|source| parse_interval_ms(&source.time_interval)).filter(|ms| *ms > 0) {
            self.scrape_ms.set(ms);
        }
        let info = |source: &DataSource| SourceInfo {
            uid: source.uid.clone(),
            name: source.name.clone(),
            kind: source.kind.clone(),
            is_default: source.is_default,
        };
        self.list.set(found.iter().map(info).collect());
    }

    /// Whether it is known what there is; tracked.
    pub fn known(self) -> bool {
        self.asked.get()
    }

    /// Reads without tracking.
    pub fn with<T>(self, read: impl FnOnce(&[SourceInfo]) -> T) -> T {
        self.list.with_untracked(|list| read(list))
    }

    /// Shortest distance of samples of the default source; tracked.
    pub fn scrape_interval_ms(self) -> i64 {
        self.scrape_ms.get()
    }
}
