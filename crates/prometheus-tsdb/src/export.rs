//! Writing what an engine holds as Prometheus' blocks.

use crate::{
    Error,
    block::{BlockWriter, Meta, Thanos},
    error,
};
use model::Matcher;
use std::{
    fs,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
};
use storage::{Queryable, Samples, SelectHints};
use ulid::Ulid;

/// Length of the blocks that Prometheus cuts from its head, and the one that all its tools expect.
pub const BLOCK_RANGE_MS: i64 = 2 * 3_600_000;

/// A name for a block made at a time (Unix milliseconds).
pub fn new_ulid(now_ms: i64) -> String {
    let random = |salt: u64| u128::from(RandomState::new().hash_one((now_ms, salt)));
    Ulid::from_parts(u64::try_from(now_ms).unwrap_or(0), random(0) << 64 | random(1)).to_string()
}

/// Makes a data folder for blocks, as a whole for Prometheus' tools: `promtool tsdb dump` wants a log, if an empty one.
///
/// # Errors
/// `Io`.
pub fn create_data_folder(dir: &Path) -> Result<(), Error> {
    let wal = dir.join("wal");
    fs::create_dir_all(&wal).map_err(error::at(&wal))
}

/// Writes the series that the matchers accept (all without matchers), with their samples from `from_ms` to `to_ms`, the
/// latter exclusive, as the block `ulid` below `dir`. `told` hears of every series with the number of its samples.
/// `None`, and no folder, if there is none.
///
/// # Errors
/// `Io`, `TooLarge`, and what the engine answers.
pub fn write_block(
    source: &dyn Queryable,
    matchers: &[Matcher],
    (from_ms, to_ms): (i64, i64),
    dir: &Path,
    (ulid, thanos): (String, Option<Thanos>),
    told: &mut dyn FnMut(usize),
) -> Result<Option<(PathBuf, Meta)>, Error> {
    fs::create_dir_all(dir).map_err(error::at(dir))?;
    let querier = source.querier(from_ms, to_ms.saturating_sub(1))?;
    let hints = SelectHints { start_ms: from_ms, end_ms: to_ms.saturating_sub(1), ..SelectHints::default() };
    let mut writer = BlockWriter::create(dir, ulid, thanos)?;
    let mut samples = Samples::default();
    for series in querier.select(&hints, matchers)? {
        let series = series?;
        samples.clear();
        series.read(&mut samples)?;
        writer.add_series(series.labels(), &samples)?;
        told(samples.len());
    }
    writer.finish()
}
