//! Targets whose layout is another one at every scrape, as of cAdvisor: series in an order that never comes back, some of them
//! missing, some replaced by others. Answers stay right over restarts; what a layout takes goes when it is no longer used.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{Content, options, read_all, text};
use model::{Labels, SampleValue};
use std::{fs, path::Path, sync::Arc};
use storage::{Ingest, Layout, Presence, Row};
use tsdb::{Tsdb, TsdbOptions};

const ROWS: u64 = 500;
const CONTAINERS: u64 = 120;
/// Containers live so many rows.
const LIFE: u64 = 40;
const STEP_MS: i64 = 10;

fn open(dir: &Path) -> Arc<Tsdb> {
    Tsdb::open(TsdbOptions { segment_bytes_max: 64 << 10, checkpoint_log_bytes: 64 << 10, ..options(dir) }).unwrap()
}

/// Whoever is there at a row, in no order.
fn containers(row: u64, noise: &mut mutation::Noise) -> Vec<Labels> {
    let mut all: Vec<(u64, Labels)> = (0..CONTAINERS)
        .filter_map(|number| {
            let generation = (row + number * 7) / LIFE;
            let pairs = [("__name__", "m"), ("generation", &generation.to_string()), ("id", &number.to_string())];
            (noise.below(10) > 0).then(|| (noise.roll(), Labels::from_pairs(pairs)))
        })
        .collect();
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, labels)| labels).collect()
}

fn log_bytes(dir: &Path) -> u64 {
    fs::read_dir(dir.join("wal")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn no_two_rows_have_one_layout() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = open(dir.path());
    let mut noise = mutation::Noise::new(3);
    let mut expected = Content::new();
    // As a scrape does it: the layout before is held until the next one is made.
    let mut previous: Option<Layout> = None;
    let (mut logs, mut layouts) = (Vec::new(), std::collections::BTreeSet::new());
    for row in 0..ROWS {
        let series = containers(row, &mut noise);
        let layout = engine.layout(&series).unwrap();
        layouts.insert(layout.series.to_vec());
        let time = row as i64 * STEP_MS;
        let values: Vec<f64> = (0..series.len()).map(|at| (row * 1000 + at as u64) as f64).collect();
        let all = Row {
            layout: &layout,
            timestamp_ms: time,
            values: &values,
            presence: Presence::All,
            changed: None,
            histograms: &[],
            own_timestamps: &[],
            start_timestamps: &[],
            exemplars: &[],
        };
        assert_eq!(engine.append_rows(&[all]).unwrap().samples_appended, series.len() as u64, "row {row}");
        for (labels, value) in series.iter().zip(values) {
            let own = expected.entry(labels.to_string()).or_default();
            own.insert(time, text(&SampleValue::Float(value)));
        }
        previous.replace(layout);
        if row % 20 == 19 {
            engine.maintain().unwrap();
            logs.push(log_bytes(dir.path()));
            // Two lives at most in the rows that no block has yet, and those that wait to be forgotten.
            let most = CONTAINERS * (2 + 4 * 100 / STEP_MS as u64 / LIFE + 1);
            let own = engine.status(1).series;
            assert!(own <= most, "{own} series in the head at row {row}, expected {most} at most");
        }
        if row % 250 == 249 {
            drop(previous.take());
            drop(engine);
            engine = open(dir.path());
        }
    }
    assert_eq!(layouts.len() as u64, ROWS, "each row had a layout of its own");
    assert!(read_all(&engine) == expected, "what was written is there");
    let (middle, last) = (logs[logs.len() / 2], logs[logs.len() - 1]);
    assert!(last <= middle * 2 + (64 << 10), "the log grows: {logs:?}");
    drop(engine);
    assert!(read_all(&open(dir.path())) == expected, "and after a restart");
}
