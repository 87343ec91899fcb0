//! When targets are scraped that are new, by a simulated clock. A `target_limit` of 1 fails every scrape before it
//! asks anybody, so that only the times matter.
#![expect(clippy::unwrap_used, reason = "tests")]

use model::{MatchOp, Matcher};
use scrape::{GlobalScrapeDefaults, ScrapeConfig, ScrapeJob, ScrapeManager, ScrapeOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::memory::MemoryStorage;
use storage::{Queryable, Samples, SelectHints};
use system::TokioClock;
use telemetry::Registry;

const START_MS: i64 = 1_750_000_000_000;

fn job(name: &str, interval: &str, targets: usize) -> ScrapeJob {
    let addresses: Vec<String> = (0..targets).map(|i| format!("'10.0.{}.{}:9100'", i / 256, i % 256)).collect();
    let text = format!(
        "{{job_name: {name}, scrape_interval: {interval}, target_limit: 1, static_configs: [{{targets: [{}]}}]}}",
        addresses.join(", ")
    );
    let config: ScrapeConfig = yaml::from_str("job.yml", &text).unwrap();
    config.resolve(&GlobalScrapeDefaults::default(), Path::new("/")).unwrap()
}

/// Milliseconds since the start of every scrape, by instance.
fn scrapes(storage: &MemoryStorage) -> BTreeMap<String, Vec<i64>> {
    let querier = storage.querier(i64::MIN, i64::MAX).unwrap();
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let up = Matcher::new("__name__", MatchOp::Equal, "up");
    let series = querier.select(&hints, &[up]).unwrap();
    series
        .map(|series| {
            let series = series.unwrap();
            let mut samples = Samples::default();
            series.read(&mut samples).unwrap();
            let times = samples.timestamps.iter().map(|ms| ms - START_MS).collect();
            let labels = series.labels();
            (format!("{} {}", labels.get("job").unwrap(), labels.get("instance").unwrap()), times)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn new_targets_are_scraped_at_once_and_evenly_after_that() {
    let storage = Arc::new(MemoryStorage::new());
    let clock = Arc::new(TokioClock::starting_at(START_MS));
    let manager = ScrapeManager::new(ScrapeOptions::new(Arc::clone(&storage) as _, clock, Registry::new()));
    manager.apply(vec![job("a", "15s", 20), job("b", "60s", 2)]).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    let first = scrapes(&storage);
    assert_eq!(first.len(), 22, "every target was scraped: {first:?}");
    assert!(first.values().all(|times| times[0] <= 220), "{first:?}");
    assert!(first.values().any(|times| times[0] >= 200), "ten milliseconds apart: {first:?}");

    tokio::time::sleep(Duration::from_secs(100)).await;
    for (target, times) in scrapes(&storage) {
        let interval_ms = if target.starts_with("a ") { 15_000 } else { 60_000 };
        let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps[0] > interval_ms / 5 && gaps[0] <= interval_ms * 5 / 4 + 20, "{target}: {times:?}");
        assert!(gaps[1..].iter().all(|gap| (gap - interval_ms).abs() <= 20), "{target}: {times:?}");
    }

    // Who comes later is as new; who stays is not disturbed.
    let before = scrapes(&storage);
    manager.apply(vec![job("a", "15s", 21), job("b", "60s", 2)]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let after = scrapes(&storage);
    let new: Vec<_> = after.keys().filter(|target| !before.contains_key(*target)).collect();
    assert_eq!(new, ["a 10.0.0.20:9100"]);
    manager.shutdown().await;
}
