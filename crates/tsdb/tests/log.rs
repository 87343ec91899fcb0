//! What stays of the log when blocks have been cut.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{labels, options, read_all};
use std::{fs, path::Path};
use storage::Ingest;
use tsdb::{Tsdb, TsdbOptions};

const RANGE_MS: i64 = 1_000;
const SERIES: usize = 100;

fn log_bytes(dir: &Path) -> u64 {
    fs::read_dir(dir.join("wal")).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn the_log_has_little_of_what_is_in_blocks() {
    let dir = tempfile::tempdir().unwrap();
    // Far larger than what is written.
    let with_large_segments =
        TsdbOptions { block_range_ms: RANGE_MS, segment_bytes_max: 1 << 20, ..options(dir.path()) };
    let engine = Tsdb::open(with_large_segments.clone()).unwrap();
    let layout = engine.layout(&(0..SERIES).map(labels).collect::<Vec<_>>()).unwrap();
    let mut random = 1_u64;
    let mut row = |time: i64| {
        let values: Vec<f64> = (0..SERIES)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                f64::from_bits(random >> 2)
            })
            .collect();
        engine.append_samples(&layout.series, &[time; SERIES], &values).unwrap();
        engine.maintain().unwrap();
    };
    (0..RANGE_MS).step_by(10).for_each(&mut row);
    // Nothing is in a block yet.
    let of_a_block = log_bytes(dir.path());
    assert!(of_a_block > (1 << 20) / 32, "{of_a_block} bytes");
    let mut largest = 0;
    for time in (RANGE_MS..5 * RANGE_MS).step_by(10) {
        row(time);
        largest = largest.max(log_bytes(dir.path()));
    }
    // Half a block behind the newest sample the head is cut: a block and a half are in the log before.
    assert!(largest < of_a_block * 8 / 5, "{largest} bytes, a block takes {of_a_block}");
    assert!(log_bytes(dir.path()) < of_a_block * 11 / 10);
    let all = read_all(&engine);
    drop(engine);
    assert!(read_all(&Tsdb::open(with_large_segments).unwrap()) == all, "the same after a restart");
}
