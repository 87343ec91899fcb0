//! The store as its users see it.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

use api::dashboards::SaveDashboard;
use dashboard_store::{DashboardStore, SearchQuery, StoreError};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use system::TestClock;

fn open(dir: &Path, provisioning: Option<&Path>, clock: &TestClock) -> DashboardStore {
    DashboardStore::open(dir, provisioning, Arc::new(clock.clone())).unwrap()
}

fn save(store: &DashboardStore, dashboard: Value, user: &str) -> Result<u64, StoreError> {
    let request = SaveDashboard { dashboard, message: format!("by {user}"), ..SaveDashboard::default() };
    store.save(&request, user).map(|saved| saved.version)
}

#[test]
fn versions_are_kept_and_conflicts_told() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::at(1_700_000_000_000);
    let store = open(folder.path(), None, &clock);
    assert_eq!(save(&store, json!({"uid": "mine", "title": "One", "odd": {"kept": 1}}), "ann").unwrap(), 1);
    let edit = store.load("mine").unwrap().dashboard;
    let mut anns = edit.clone();
    anns["title"] = "Two".into();
    assert_eq!(save(&store, anns, "ann").unwrap(), 2);
    let Err(StoreError::Conflict { stored, edited, by, .. }) = save(&store, edit.clone(), "bob") else {
        panic!("bob overwrote ann")
    };
    assert_eq!((stored, edited, by.as_str()), (2, 1, "ann"));
    let request = SaveDashboard { dashboard: edit, overwrite: true, ..SaveDashboard::default() };
    assert_eq!(store.save(&request, "bob").unwrap().version, 3);

    // A new process sees the same.
    let store = open(folder.path(), None, &clock);
    let full = store.load("mine").unwrap();
    assert_eq!((full.meta.version, &full.dashboard["odd"]["kept"]), (3, &json!(1)));
    assert_eq!((full.meta.created_by.as_str(), full.meta.updated_by.as_str()), ("ann", "bob"));
    let versions: Vec<u64> = store.versions("mine").unwrap().versions.iter().map(|v| v.version).collect();
    assert_eq!(versions, [3, 2, 1]);
    assert_eq!(store.version("mine", 2).unwrap().data.unwrap()["title"], "Two");
    assert_eq!(store.restore("mine", 2, "ann").unwrap().version, 4);
    assert_eq!(store.load("mine").unwrap().dashboard["title"], "Two");

    store.delete("mine").unwrap();
    assert!(!store.exists("mine"));
    assert!(matches!(store.load("mine"), Err(StoreError::NotFound(_))));
}

#[test]
fn what_is_provisioned_is_only_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), None, &TestClock::at(0));
    let mut full = store.load("overview").unwrap();
    assert!(full.meta.provisioned && full.meta.version == 1);
    full.dashboard["title"] = "Mine".into();
    assert_eq!(save(&store, full.dashboard, "ann").unwrap(), 2);
    assert_eq!(store.load("overview").unwrap().dashboard["title"], "Mine");
    store.delete("overview").unwrap();
    assert_ne!(store.load("overview").unwrap().dashboard["title"], "Mine");
    assert!(matches!(store.delete("overview"), Err(StoreError::Bad(_))));
}

#[test]
fn a_folder_is_watched_and_broken_files_are_named() {
    let (folder, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(files.path().join("Team A")).unwrap();
    std::fs::write(files.path().join("Team A/api.json"), r#"{"title": "API", "panels": [{"title": "Requests"}]}"#)
        .unwrap();
    std::fs::write(files.path().join("bad.json"), "{").unwrap();
    let clock = TestClock::at(0);
    let store = open(folder.path(), Some(files.path()), &clock);
    let find = |text: &str| store.search(&SearchQuery { text: text.to_owned(), ..SearchQuery::default() });
    let hits = find("requests api");
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].uid.as_str(), hits[0].folder_title.as_str()), ("api", "Team A"));
    let broken = find("bad");
    assert!(broken[0].problem.contains("bad.json") && broken[0].problem.contains("line 1"), "{broken:?}");

    std::fs::write(files.path().join("bad.json"), r#"{"uid": "good", "title": "Mended"}"#).unwrap();
    clock.advance(5_000);
    assert_eq!(find("mended")[0].uid, "good");
}

#[test]
fn a_damaged_version_falls_back_to_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::at(0);
    let store = open(folder.path(), None, &clock);
    save(&store, json!({"uid": "x", "title": "One"}), "").unwrap();
    save(&store, json!({"uid": "x", "title": "Two", "version": 1}), "").unwrap();
    std::fs::write(folder.path().join("x/2.json"), "{").unwrap();
    let store = open(folder.path(), None, &clock);
    let full = store.load("x").unwrap();
    assert_eq!(full.dashboard["title"], "One");
    assert!(full.meta.problems[0].contains("2.json"), "{:?}", full.meta.problems);
}

#[test]
fn what_is_no_dashboard_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), None, &TestClock::at(0));
    for bad in [json!([]), json!({}), json!({"title": " "}), json!({"uid": "../x", "title": "a"})] {
        assert!(matches!(save(&store, bad.clone(), ""), Err(StoreError::Bad(_))), "{bad}");
    }
    let fresh =
        store.save(&SaveDashboard { dashboard: json!({"title": "New"}), ..SaveDashboard::default() }, "").unwrap();
    assert!(store.exists(&fresh.uid));
}
