//! Cutting out what is damaged. What can be read stays in its place; the file or block as it was is kept in `damaged/`.

use super::verify::{
    BlockState, damage_of_block, damage_of_checkpoint, damage_of_segment, missing_segments, open_block, shortfall,
};
use crate::{
    Damage, OpenError, Tsdb, TsdbOptions,
    block::{
        exemplars::{self, BySeries},
        writer::{BlockPlan, BlockWriter},
    },
    checkpoint::{self, Begin, CheckpointReader},
    db::block_dirs,
    files,
    postings::Selector,
    wal::{
        WalPosition,
        record::Decoder,
        segment::{self, segment_numbers, segment_path},
    },
};
use model::Labels;
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use storage::StorageError;

/// Below the data folder: what was damaged, as it was.
const ASIDE_DIR: &str = "damaged";
/// Below the data folder: blocks on their way to the place of a damaged one.
const READY_DIR: &str = "repaired";

/// What became of a damaged block or log segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The block's folder or the segment.
    pub path: PathBuf,
    /// Where it is now, as it was; `None` for a file that was missing.
    pub aside: Option<PathBuf>,
    /// Samples of a block, bytes of a segment.
    pub kept: u64,
    /// As `kept`; `None` when it cannot be known.
    pub lost: Option<u64>,
    pub is_block: bool,
}

/// What a repair found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    pub damage: Vec<Damage>,
    pub repaired: Vec<Repaired>,
}

impl Repair {
    /// Notes a segment that was missing.
    fn missing(&mut self, path: PathBuf, lost: Option<u64>) {
        let reason = "the file is missing".to_owned();
        self.damage.push(Damage { path: path.clone(), at: 0, reason });
        self.repaired.push(Repaired { path, aside: None, kept: 0, lost, is_block: false });
    }
}

/// Mends a folder. Blocks are written anew with what can be read of them, segments of the log end before their damage.
/// A repair that was interrupted is taken up by the next, or by the next opening. `told` hears of blocks and segments
/// looked at, and of how many.
///
/// # Errors
/// `Locked` when a process has the folder open; `Io`, for one when the disk has no room for a block more. What was
/// mended before stays so.
pub fn repair(dir: &Path, told: &mut dyn FnMut(u64, u64)) -> Result<Repair, OpenError> {
    // A folder that is not there must not be made by its lock.
    fs::read_dir(dir).map_err(files::at(dir))?;
    let Some(lock) = files::lock(dir)? else { return Err(OpenError::Locked { dir: dir.to_owned() }) };
    finish_interrupted(dir)?;
    let mut outcome = Repair::default();
    let blocks = block_dirs(dir)?;
    let wal = dir.join("wal");
    let numbers = if wal.is_dir() { segment_numbers(&wal).map_err(files::at(&wal))? } else { Vec::new() };
    let all = (blocks.len() + numbers.len()) as u64;
    let mut done = 0;
    for block in blocks {
        if let BlockState::Read(mut damage) = damage_of_block(&block)
            && !damage.is_empty()
        {
            outcome.damage.append(&mut damage);
            outcome.repaired.push(mend_block(dir, &block)?);
        }
        done += 1;
        told(done, all);
    }
    let short = shortfall(dir, &numbers);
    let mut log = Vec::with_capacity(numbers.len());
    for number in numbers {
        log.push((number, damage_of_segment(&segment_path(&wal, number), short.as_ref())));
        done += 1;
        told(done, all);
    }
    if let Some(covered) = Covered::of(dir, &log, short)? {
        let begin = covered.begin.clone();
        let damaged = covered.set_aside(dir, &mut outcome)?;
        cut_head(dir, &begin, &lock, damaged, &mut outcome)?;
        // Little is left of it.
        let numbers = segment_numbers(&wal).map_err(files::at(&wal))?;
        log =
            numbers.into_iter().map(|number| (number, damage_of_segment(&segment_path(&wal, number), None))).collect();
    }
    let numbers: Vec<u64> = log.iter().map(|(number, _)| *number).collect();
    for path in missing_segments(dir, &numbers) {
        write_segment(&path, None).map_err(files::at(&path))?;
        outcome.missing(path, None);
    }
    for (number, found) in log {
        match found {
            // A write that a crash ended: the next opening cuts it off, for nobody was told that it is stored.
            Some((_, true)) if numbers.last() == Some(&number) => {}
            Some((damage, _)) => {
                outcome.repaired.push(mend_segment(dir, &segment_path(&wal, number), damage.at)?);
                outcome.damage.push(damage);
            }
            None => {}
        }
    }
    let path = checkpoint::path(dir);
    if let Some(damage) = damage_of_checkpoint(&path) {
        let aside = aside(dir, &path)?;
        files::rename(&path, &aside).map_err(files::at(&path))?;
        outcome.damage.push(damage);
        outcome.repaired.push(Repaired { path, aside: Some(aside), kept: 0, lost: Some(0), is_block: false });
    } else if path.exists() && outcome.repaired.iter().any(|repaired| !repaired.is_block) {
        // It tells of places in segments that are others now.
        files::remove_file(&path).map_err(files::at(&path))?;
    }
    Ok(outcome)
}

/// Damage of the log in what a checkpoint has: opening the folder serves all of it.
struct Covered {
    begin: Begin,
    /// Segments that are damaged before the checkpoint's position.
    damage: Vec<Damage>,
    /// Damage behind it, where the log alone has what is lost: those segments go with the others.
    behind: Vec<Damage>,
    /// Segments before it that are missing.
    missing: Vec<PathBuf>,
    /// The segment with the position, if it is missing: what was logged behind the position is lost.
    gone: Option<Damage>,
}

impl Covered {
    /// `log` has the segments with what is wrong with each, `short` is the [`shortfall`]. `None` if there is no such damage,
    /// or no checkpoint that can be used.
    fn of(
        dir: &Path,
        log: &[(u64, Option<(Damage, bool)>)],
        short: Option<Damage>,
    ) -> Result<Option<Covered>, StorageError> {
        let path = checkpoint::path(dir);
        let reader = CheckpointReader::open(&path, Decoder::default()).map_err(files::at(&path))?;
        let Some(Ok(reader)) = reader else { return Ok(None) };
        let begin = reader.begin().clone();
        let WalPosition { segment, offset } = begin.position;
        // One between others is told as a gap of the log elsewhere.
        let place = segment_path(&dir.join("wal"), segment);
        let gap = || Damage { path: place.clone(), at: 0, reason: "the file is missing".to_owned() };
        let gone = short.filter(|short| !short.path.exists()).or_else(|| (!place.exists()).then(gap));
        let mut before: Vec<u64> = log.iter().map(|(number, _)| *number).filter(|number| *number <= segment).collect();
        let missing: Vec<PathBuf> = missing_segments(dir, &before).collect();
        before.extend(gone.is_some().then_some(segment));
        if begin.block_range_ms < 1 || !begin.fits(&before) || damage_of_checkpoint(&path).is_some() {
            return Ok(None);
        }
        let newest = log.last().map(|(number, _)| *number);
        let (damage, behind): (Vec<_>, Vec<_>) = (log.iter())
            .filter_map(|(number, found)| Some((*number, found.as_ref()?)))
            // A write that a crash ended is no damage.
            .filter(|(number, (_, torn))| !torn || Some(*number) != newest)
            .map(|(number, (found, _))| (number, found.clone()))
            .partition(|(number, found)| *number < segment || *number == segment && found.at < offset);
        let paths = |list: Vec<(u64, Damage)>| list.into_iter().map(|(_, found)| found).collect::<Vec<_>>();
        let (damage, behind) = (paths(damage), paths(behind));
        let is_any = !damage.is_empty() || !missing.is_empty() || gone.is_some();
        Ok(is_any.then_some(Covered { begin, damage, behind, missing, gone }))
    }

    /// Keeps the segments as they are in `damaged/`, and says what is there; gives their paths.
    fn set_aside(self, dir: &Path, outcome: &mut Repair) -> Result<Vec<PathBuf>, StorageError> {
        let mut paths = Vec::new();
        if let Some(damage) = self.gone {
            // The head is taken up at its place, where nothing follows.
            let path = damage.path.clone();
            let wal = dir.join("wal");
            files::create_dir_all(&wal).and_then(|()| write_segment(&path, None)).map_err(files::at(&path))?;
            outcome.damage.push(damage);
            outcome.repaired.push(Repaired { path, aside: None, kept: 0, lost: None, is_block: false });
        }
        for path in self.missing {
            outcome.missing(path, Some(0));
        }
        let (damage, behind) = (self.damage.into_iter().map(|own| (own, true)), self.behind.into_iter());
        for (damage, is_covered) in damage.chain(behind.map(|own| (own, false))) {
            let path = damage.path.clone();
            let bytes = fs::metadata(&path).map_err(files::at(&path))?.len();
            let aside = Some(copy_aside(dir, &path)?);
            let (kept, lost) = match is_covered {
                // Where it ends before the position, nobody knows what came behind that.
                true => (bytes, (damage.at < bytes).then_some(0)),
                false => (damage.at, Some(bytes.saturating_sub(damage.at))),
            };
            outcome.damage.push(damage);
            outcome.repaired.push(Repaired { path: path.clone(), aside, kept, lost, is_block: false });
            paths.push(path);
        }
        Ok(paths)
    }
}

/// Puts all that the checkpoint and the log behind it have into blocks; then the log is not needed any more. Until the
/// blocks are there, the folder is as it was.
fn cut_head(
    dir: &Path,
    begin: &Begin,
    lock: &File,
    damaged: Vec<PathBuf>,
    outcome: &mut Repair,
) -> Result<(), OpenError> {
    let options = TsdbOptions {
        block_range_ms: begin.block_range_ms,
        retention_ms: 0,
        checkpoint_log_bytes: u64::MAX,
        ..TsdbOptions::new(dir)
    };
    // The lock is held as long as one of both handles is open.
    let engine = Tsdb::open_locked(options, lock.try_clone().map_err(files::at(dir))?)?;
    engine.cut_all()?;
    engine.close()?;
    // What is damaged behind the checkpoint, too, has lost something; nobody knows how much.
    for damage in engine.damage() {
        for repaired in outcome.repaired.iter_mut().filter(|own| own.path == damage.path && own.lost == Some(0)) {
            repaired.lost = None;
        }
    }
    drop(engine);
    // Blocks have what was in them.
    for path in damaged.iter().filter(|path| path.exists()) {
        write_segment(path, None).map_err(files::at(path))?;
    }
    Ok(())
}

/// Moves repaired blocks to their places that a process left on the way.
pub(crate) fn finish_interrupted(dir: &Path) -> Result<(), StorageError> {
    let ready = dir.join(READY_DIR);
    if !ready.is_dir() {
        return Ok(());
    }
    for block in block_dirs(&ready)? {
        let Some(place) = block.file_name().map(|name| dir.join(name)) else { continue };
        // The damaged one is still there: its repair begins anew.
        if !place.exists() {
            files::rename(&block, &place).map_err(files::at(&block))?;
        }
    }
    files::remove_tree(&ready).and_then(|()| files::sync_dir(dir)).map_err(files::at(&ready))
}

/// A path below `damaged/` where nothing is yet.
fn aside(dir: &Path, path: &Path) -> Result<PathBuf, StorageError> {
    let relative = path.strip_prefix(dir).unwrap_or(path);
    let first = dir.join(ASIDE_DIR).join(relative);
    if let Some(parent) = first.parent() {
        files::create_dir_all(parent).map_err(files::at(parent))?;
    }
    let mut target = first.clone();
    let mut number = 2_u32;
    while target.exists() {
        target = first.with_extension(number.to_string());
        number += 1;
    }
    Ok(target)
}

/// Keeps a file as it is in `damaged/`, while it stays in its place, too; gives the path there.
fn copy_aside(dir: &Path, path: &Path) -> Result<PathBuf, StorageError> {
    let aside = aside(dir, path)?;
    files::link_or_copy(path, &aside).map_err(files::at(&aside))?;
    Ok(aside)
}

fn mend_block(dir: &Path, path: &Path) -> Result<Repaired, StorageError> {
    let block = open_block(path)?;
    let ready = dir.join(READY_DIR);
    files::create_dir_all(&ready).map_err(files::at(&ready))?;
    let had = block.meta.stats.samples;
    // The name stays: it tells which of two samples at the same time counts. What the log still has of a block comes
    // back from there, so that the new one does not claim it.
    let plan = BlockPlan {
        ulid: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        min_time_ms: block.meta.min_time_ms,
        max_time_ms: block.meta.max_time_ms,
        compaction: block.meta.compaction.clone(),
        cuts: Vec::new(),
        head_end_ms: block.meta.head_end_ms(),
        resolution_ms: block.meta.resolution_ms,
        covers: block.meta.covers.clone(),
    };
    let mut writer = BlockWriter::create(&ready, plan)?;
    let (mut kept, mut last) = (0, None::<Labels>);
    let mut is_next = |labels: &Labels| {
        let is_next = last.as_ref().is_none_or(|last| last < labels);
        if is_next {
            last = Some(labels.clone());
        }
        is_next
    };
    let mut exemplars = BySeries::new();
    block.exemplars(|mut series| exemplars.entry(series.labels).or_default().append(&mut series.exemplars));
    writer.set_exemplars(exemplars::tidy(exemplars));
    let deleted = if block.meta.resolution_ms.is_some() {
        for series in block.windows(&Selector::new(&[])?) {
            let (labels, windows) = series?;
            if is_next(&labels) {
                kept += windows.kept.len() as u64;
                writer.add_windows(&labels, &windows)?;
            }
        }
        0
    } else {
        block.for_each_readable(|labels, samples| {
            if is_next(labels) {
                kept += samples.len() as u64;
                writer.add_series(labels, samples)?;
            }
            Ok::<(), StorageError>(())
        })?
    };
    let written = writer.finish()?;
    let aside = aside(dir, path)?;
    files::rename(path, &aside).map_err(files::at(path))?;
    if let Some(written) = written {
        files::rename(&written, path).map_err(files::at(path))?;
    }
    files::remove_tree(&ready).and_then(|()| files::sync_dir(dir)).map_err(files::at(&ready))?;
    // A description that was lost is made from what the index tells, which may be damaged as well.
    let lost = (!block.is_described_by_index()).then(|| had.saturating_sub(kept + deleted));
    Ok(Repaired { path: path.to_owned(), aside: Some(aside), kept, lost, is_block: true })
}

fn mend_segment(dir: &Path, path: &Path, at: u64) -> Result<Repaired, StorageError> {
    let length = fs::metadata(path).map_err(files::at(path))?.len();
    let aside = copy_aside(dir, path)?;
    write_segment(path, Some((&aside, at))).map_err(files::at(path))?;
    Ok(Repaired {
        path: path.to_owned(),
        aside: Some(aside),
        kept: at,
        lost: Some(length.saturating_sub(at)),
        is_block: false,
    })
}

/// Puts a segment in place that has the first bytes of another, or nothing.
fn write_segment(path: &Path, begin_of: Option<(&Path, u64)>) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = files::create(&temporary)?;
    match begin_of {
        Some((from, bytes)) if bytes >= segment::MAGIC.len() as u64 => {
            io::copy(&mut File::open(from)?.take(bytes), &mut file)?;
        }
        _ => file.write_all(&segment::MAGIC)?,
    }
    files::sync(&file)?;
    files::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), files::sync_dir)
}
