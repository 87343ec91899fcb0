//! `vigie tsdb import-prometheus` and `export-prometheus`: history from a Prometheus and back.

use super::{
    super::{
        output::{complain, say},
        progress::Progress,
    },
    import::{Imported, Target},
    open,
    select::Selection,
};
use anyhow::{Result, bail, ensure};
use model::Exemplar;
use prometheus_tsdb::{
    DamageList,
    block::{self, BlockReader},
    export::{BLOCK_RANGE_MS, create_data_folder, new_ulid, write_block},
    head,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use storage::{Ingest, Samples};
use tsdb::{SeriesExemplars, Tsdb};

pub(super) fn import(from: &Path, dir: &Path) -> Result<()> {
    ensure!(from.is_dir(), "{}: there is no such folder", from.display());
    let same = from.canonicalize().ok() == dir.canonicalize().ok();
    ensure!(!same, "{} is to be read and written; choose another --storage.tsdb.path", from.display());
    let mut damage = DamageList::default();
    let blocks = block::list(from, &mut damage)?;
    ensure!(
        !blocks.is_empty() || from.join("wal").is_dir(),
        "{}: there are neither blocks nor a log of Prometheus; name the folder of its --storage.tsdb.path",
        from.display()
    );
    let tsdb = open(dir)?;
    let mut total = Imported::default();
    for (number, (path, meta)) in blocks.iter().enumerate() {
        if meta.min_time_ms == meta.max_time_ms {
            continue;
        }
        let name = format!("block {} ({} of {})", meta.ulid, number + 1, blocks.len());
        let mut reader = match BlockReader::open(path, &mut damage) {
            Ok(reader) => reader,
            // The other blocks are good for themselves.
            Err(error) => {
                complain(&format!("{error}; the block is left out"));
                damage.count += 1;
                continue;
            }
        };
        let mut target = Target::begin(&tsdb, meta.min_time_ms, meta.max_time_ms)?;
        let (mut samples, mut progress, mut series) = (Samples::default(), Progress::new(), 0_u64);
        while let Some(labels) = reader.next(&mut samples, &mut damage)? {
            target.add(&labels, &samples, &mut total)?;
            series += 1;
            progress.tell(series, meta.stats.series, || format!("{name}: {series} of {} series", meta.stats.series));
        }
        drop(progress);
        total.blocks += u64::from(target.finish()?);
        complain(&format!("{name}: {series} series read"));
    }
    import_head(from, &tsdb, &blocks, &mut damage, &mut total)?;
    tsdb.close()?;
    for one in &damage.list {
        complain(&one.to_string());
    }
    total.tell(dir);
    if damage.count > 0 {
        bail!("{}: {} places are damaged; what could be read is imported", from.display(), damage.count);
    }
    Ok(())
}

/// What no block of Prometheus has yet becomes blocks of the usual length.
fn import_head(
    from: &Path,
    tsdb: &Tsdb,
    blocks: &[(PathBuf, block::Meta)],
    damage: &mut DamageList,
    total: &mut Imported,
) -> Result<()> {
    let blocks_end = blocks.iter().filter(|(_, meta)| !meta.is_late()).map(|(_, meta)| meta.max_time_ms).max();
    let mut progress = Progress::new();
    let head = head::load(from, blocks_end.unwrap_or(i64::MIN), damage, &mut |done, all| {
        progress.tell(done, all, || format!("log: {} of {} MiB read", done >> 20, all >> 20));
    })?;
    drop(progress);
    if head.orphans > 0 {
        complain(&format!(
            "log: {} samples, chunks or exemplars are of series that it does not name; left out",
            head.orphans
        ));
    }
    let mut windows: BTreeSet<i64> = (head.series.values())
        .flat_map(|samples| samples.timestamps.iter().map(|time| time.div_euclid(BLOCK_RANGE_MS)))
        .collect();
    let mut exemplars: BTreeMap<i64, Vec<SeriesExemplars>> = BTreeMap::new();
    for (labels, all) in head.exemplars {
        let mut own: BTreeMap<i64, Vec<Exemplar>> = BTreeMap::new();
        for exemplar in all {
            let window = exemplar.timestamp_ms.unwrap_or(0).div_euclid(BLOCK_RANGE_MS);
            own.entry(window).or_default().push(exemplar);
        }
        for (window, exemplars_of) in own {
            let series = SeriesExemplars { labels: labels.clone(), exemplars: exemplars_of };
            exemplars.entry(window).or_default().push(series);
        }
    }
    windows.extend(exemplars.keys());
    for window in windows {
        let min_ms = window.saturating_mul(BLOCK_RANGE_MS);
        let mut target = Target::begin(tsdb, min_ms, min_ms.saturating_add(BLOCK_RANGE_MS))?;
        for (labels, samples) in &head.series {
            target.add(labels, samples, total)?;
        }
        target.add_exemplars(exemplars.remove(&window).unwrap_or_default(), total)?;
        total.blocks += u64::from(target.finish()?);
    }
    tsdb.append_metadata(&head.metadata.into_iter().collect::<Vec<_>>())?;
    complain(&format!("log: {} series read", head.series.len()));
    Ok(())
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Where the blocks go; made if it is not there.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

pub(super) fn export(flags: &Export) -> Result<()> {
    let mut damage = DamageList::default();
    if flags.to.is_dir() {
        let there = block::list(&flags.to, &mut damage)?;
        // Blocks of the same samples side by side would make Prometheus merge them again and again.
        ensure!(there.is_empty(), "{}: there are blocks already; choose an empty folder", flags.to.display());
    }
    let source = flags.selection.open()?;
    create_data_folder(&flags.to)?;
    let (mut blocks, mut samples, mut progress) = (0_u64, 0_u64, Progress::new());
    let (first_ms, last_ms) = (source.first_ms, source.last_ms);
    let windows = windows(&source.tsdb, first_ms, last_ms);
    for (number, window) in windows.iter().enumerate() {
        let start_ms = window.saturating_mul(BLOCK_RANGE_MS);
        let end_ms = start_ms.saturating_add(BLOCK_RANGE_MS);
        let range = (first_ms.max(start_ms), last_ms.saturating_add(1).min(end_ms));
        let mut series = 0_u64;
        let told = &mut |_| {
            series += 1;
            progress.tell(number as u64, windows.len() as u64, || {
                format!("block {} of {}: {series} series written", number + 1, windows.len())
            });
        };
        let written = write_block(&source, &[], range, &flags.to, (new_ulid(range.0), None), told)?;
        if let Some((_, meta)) = written {
            (blocks, samples) = (blocks + 1, samples + meta.stats.samples);
        }
    }
    drop(progress);
    source.tsdb.close()?;
    say(&format!("{samples} samples written to {} as {blocks} blocks", flags.to.display()));
    Ok(())
}

/// Numbers of the blocks to be that may have samples between two times, both inclusive.
fn windows(tsdb: &Tsdb, first_ms: i64, last_ms: i64) -> BTreeSet<i64> {
    let head = tsdb.status(1);
    let blocks = tsdb.blocks().into_iter().map(|block| (block.min_time_ms, block.max_time_ms.saturating_sub(1)));
    blocks
        .chain([(head.min_time_ms, head.max_time_ms)])
        .map(|(min, max)| (min.max(first_ms), max.min(last_ms)))
        .filter(|(min, max)| min <= max)
        .flat_map(|(min, max)| min.div_euclid(BLOCK_RANGE_MS)..=max.div_euclid(BLOCK_RANGE_MS))
        .collect()
}
