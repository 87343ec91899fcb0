//! Appending, memory, and reading the log again: `cargo bench -p tsdb --bench head [-- SERIES ROWS]`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends where something is not as it should be, and prints"
)]

use model::Labels;
use std::time::{Duration, Instant};
use storage::{Ingest, Layout, Presence, Queryable, Row, Samples, SelectHints};
use tsdb::{SyncPolicy, Tsdb, TsdbOptions};

/// Series of a target.
const TARGET: usize = 500;
const INTERVAL_MS: i64 = 15_000;

/// Resident memory of this process in kB, 0 where the system does not tell.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Half constants, a third counters, the rest gauges, as exporters of machines have them.
fn advance(values: &mut [f64], random: &mut u64) {
    for (at, value) in values.iter_mut().enumerate() {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        match at % 6 {
            0 | 2 | 4 => {}
            1 | 3 => *value += (*random % 100) as f64,
            _ => *value = (*random % 100_000) as f64 / 100.0,
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let (series, rows) = (arguments.next().unwrap_or(100_000), arguments.next().unwrap_or(300));
    let dir = tempfile::tempdir().unwrap();
    let options = || TsdbOptions { sync: SyncPolicy::Interval(Duration::from_secs(1)), ..TsdbOptions::new(dir.path()) };
    let tsdb = Tsdb::open(options()).unwrap();
    let base = resident_kb();
    let started = Instant::now();
    let layouts: Vec<Layout> = (0..series.div_ceil(TARGET))
        .map(|target| {
            let labels: Vec<Labels> = (0..TARGET)
                .map(|at| {
                    let (name, instance) = (format!("metric_{}_total", at / 5), format!("host-{target}:9100"));
                    let device = format!("device-{}", at % 5);
                    Labels::from_pairs([
                        ("__name__", &*name),
                        ("device", &device),
                        ("instance", &instance),
                        ("job", "node"),
                    ])
                })
                .collect();
            tsdb.layout(&labels).unwrap()
        })
        .collect();
    let count = layouts.len() * TARGET;
    let new = started.elapsed();
    println!(
        "{count} new series: {:.0} ns each, {} B each",
        new.as_nanos() as f64 / count as f64,
        (resident_kb() - base) * 1024 / count as u64
    );
    let mut values = vec![vec![0.0; TARGET]; layouts.len()];
    let mut random = 1;
    let mut busy = Duration::ZERO;
    for row in 0..rows as i64 {
        for (layout, values) in layouts.iter().zip(&mut values) {
            advance(values, &mut random);
            let row = Row {
                layout,
                timestamp_ms: 1_700_000_000_000 + row * INTERVAL_MS,
                values,
                presence: Presence::All,
                changed: None,
                histograms: &[],
                own_timestamps: &[],
                start_timestamps: &[],
                exemplars: &[],
            };
            let started = Instant::now();
            tsdb.append_rows(&[row]).unwrap();
            busy += started.elapsed();
        }
    }
    let samples = (count * rows) as f64;
    let kb = resident_kb() - base;
    println!(
        "append: {:.1} ns a sample, {:.2} B of memory a sample, {} B a series",
        busy.as_nanos() as f64 / samples,
        kb as f64 * 1024.0 / samples,
        kb * 1024 / count as u64
    );
    let started = Instant::now();
    let querier = tsdb.querier(i64::MIN, i64::MAX).unwrap();
    let (mut read, mut into) = (0, Samples::default());
    for series in querier.select(&SelectHints::default(), &[]).unwrap() {
        into.clear();
        series.unwrap().read(&mut into).unwrap();
        read += into.len();
    }
    println!("read: {:.1} ns a sample", started.elapsed().as_nanos() as f64 / read as f64);
    drop(querier);
    let end = tsdb.wal_end();
    let bytes: u64 =
        std::fs::read_dir(dir.path().join("wal")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    println!("log: {:.2} B a sample, {} segments", bytes as f64 / samples, end.segment);
    drop((layouts, tsdb));
    let started = Instant::now();
    let tsdb = Tsdb::open(options()).unwrap();
    println!(
        "open: {:.2} s, {:.1} ns a sample",
        started.elapsed().as_secs_f64(),
        started.elapsed().as_nanos() as f64 / samples
    );
    drop(tsdb);
}
