//! Is every byte of a folder as it was written?

use crate::{
    Damage, OpenError,
    block::{Block, BlockShared, META_FILE, cache::FrameCache, loaded::Loaded, meta::BlockStats},
    checkpoint,
    db::block_dirs,
    files,
    wal::{
        WalPosition,
        record::Decoder,
        segment::{Next, SegmentReader, segment_numbers, segment_path},
    },
};
use std::{
    convert::Infallible,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicU64},
};
use storage::StorageError;

/// What was found in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    pub blocks: u64,
    pub segments: u64,
    /// Read of both.
    pub bytes: u64,
    /// In order of blocks, then of the checkpoint and the log.
    pub damage: Vec<Damage>,
    /// What looks like damage and is none: the last write before a crash, blocks of another version.
    pub notes: Vec<Damage>,
}

/// Reads the whole folder, checksums and contents, and changes nothing. `told` hears how many bytes are read, and of how
/// many.
///
/// # Errors
/// `Locked` when a process has the folder open; `Io` when the folder itself cannot be read. Files that cannot be read
/// are damage.
pub fn verify(dir: &Path, told: &mut dyn FnMut(u64, u64)) -> Result<Verification, OpenError> {
    let _lock = lock_if_used(dir)?;
    let mut found = Verification::default();
    let mut work = Work::of(dir, told)?;
    for block in std::mem::take(&mut work.blocks) {
        found.blocks += 1;
        match damage_of_block(&block) {
            BlockState::Read(mut damage) => found.damage.append(&mut damage),
            BlockState::Foreign(note) => found.notes.push(note),
        }
        found.bytes += work.done(files::folder_bytes(&block));
    }
    let path = checkpoint::path(dir);
    found.damage.extend(damage_of_checkpoint(&path));
    found.bytes += work.done(fs::metadata(&path).map_or(0, |meta| meta.len()));
    let segments = std::mem::take(&mut work.segments);
    found.damage.extend(missing_segments(dir, &segments).map(|path| Damage {
        path,
        at: 0,
        reason: "the file is missing; its samples are lost, unless blocks have them".into(),
    }));
    let short = shortfall(dir, &segments);
    found.damage.extend(short.clone().filter(|short| !short.path.exists()));
    for (place, &number) in segments.iter().enumerate() {
        found.segments += 1;
        let path = segment_path(&dir.join("wal"), number);
        match damage_of_segment(&path, short.as_ref()) {
            Some((damage, true)) if place + 1 == segments.len() => found.notes.push(damage),
            Some((damage, _)) => found.damage.push(damage),
            None => {}
        }
        found.bytes += work.done(fs::metadata(&path).map_or(0, |meta| meta.len()));
    }
    Ok(found)
}

/// What there is to read, and how far it is read.
struct Work<'a> {
    blocks: Vec<PathBuf>,
    segments: Vec<u64>,
    bytes: u64,
    bytes_all: u64,
    told: &'a mut dyn FnMut(u64, u64),
}

impl<'a> Work<'a> {
    fn of(dir: &Path, told: &'a mut dyn FnMut(u64, u64)) -> Result<Self, StorageError> {
        let blocks = block_dirs(dir)?;
        let wal = dir.join("wal");
        let segments = if wal.is_dir() { segment_numbers(&wal).map_err(files::at(&wal))? } else { Vec::new() };
        let bytes_all = blocks.iter().map(|block| files::folder_bytes(block)).sum::<u64>()
            + files::folder_bytes(&wal)
            + fs::metadata(checkpoint::path(dir)).map_or(0, |meta| meta.len());
        Ok(Work { blocks, segments, bytes: 0, bytes_all, told })
    }

    fn done(&mut self, bytes: u64) -> u64 {
        self.bytes += bytes;
        (self.told)(self.bytes, self.bytes_all);
        bytes
    }
}

/// A folder that nobody ever opened (a copy, perhaps on a medium that cannot be written) has no lock.
pub(crate) fn lock_if_used(dir: &Path) -> Result<Option<File>, OpenError> {
    if !dir.join("lock").exists() {
        return Ok(None);
    }
    match files::lock(dir)? {
        Some(file) => Ok(Some(file)),
        None => Err(OpenError::Locked { dir: dir.to_owned() }),
    }
}

/// Numbers between those that are there: no segment is ever left out.
pub(super) fn missing_segments(dir: &Path, numbers: &[u64]) -> impl Iterator<Item = PathBuf> {
    let wal = dir.join("wal");
    let gaps: Vec<u64> = numbers.windows(2).flat_map(|pair| pair[0] + 1..pair[1]).take(1000).collect();
    gaps.into_iter().map(move |number| segment_path(&wal, number))
}

pub(super) enum BlockState {
    /// With what is wrong, if anything is.
    Read(Vec<Damage>),
    Foreign(Damage),
}

/// A block as it is read outside an engine, with a list of its own for what is damaged.
pub(crate) fn open_block(dir: &Path) -> Result<Arc<Block>, StorageError> {
    Block::open(
        dir,
        &Arc::new(BlockShared {
            cache: FrameCache::default(),
            damage: Mutex::default(),
            damage_total: telemetry::Registry::new().counter("damage", "Places of damage.", &[]),
            clock: Arc::new(system::SystemClock),
            next_number: AtomicU64::new(0),
            loaded: Loaded::default(),
        }),
    )
}

pub(super) fn damage_of_block(dir: &Path) -> BlockState {
    let block = match open_block(dir) {
        Ok(block) => block,
        Err(error) => {
            let reason = format!("{error}; the block is left as it is");
            return BlockState::Foreign(Damage { path: dir.join(META_FILE), at: 0, reason });
        }
    };
    let damage = Block::verify_files(dir);
    if !damage.is_empty() {
        return BlockState::Read(damage);
    }
    // All bytes are as they were written. Does it all make sense as well?
    let (mut series, mut samples) = (0, 0);
    let read = block.for_each_readable(|_, own| {
        series += 1;
        samples += own.len() as u64;
        Ok::<(), Infallible>(())
    });
    let Ok(deleted) = read;
    let mut damage = block.damage();
    let told = block.meta.stats;
    let read = BlockStats { series, samples: samples + deleted, chunks: told.chunks };
    if damage.is_empty() && told != read {
        let reason = format!(
            "it tells of {} series and {} samples, the block has {series} and {}",
            told.series, told.samples, read.samples
        );
        damage.push(Damage { path: dir.join(META_FILE), at: 0, reason });
    }
    BlockState::Read(damage)
}

/// Where the log ends before the place up to which the checkpoint tells it; the checkpoint is as it was written.
pub(super) fn shortfall(dir: &Path, numbers: &[u64]) -> Option<Damage> {
    let WalPosition { segment, offset } = checkpoint::position(dir)?;
    let path = segment_path(&dir.join("wal"), segment);
    if !numbers.contains(&segment) {
        // A gap between others is told by itself.
        let is_at_an_end =
            numbers.iter().all(|number| *number < segment) || numbers.iter().all(|number| *number > segment);
        let reason = format!("the file is missing; the checkpoint of the head tells of its first {offset} bytes");
        return is_at_an_end.then_some(Damage { path, at: 0, reason });
    }
    let bytes = fs::metadata(&path).ok()?.len();
    let reason = format!(
        "it ends here, and had {offset} bytes when the checkpoint of the head was written; what came behind that is lost"
    );
    (bytes < offset).then_some(Damage { path, at: bytes, reason })
}

/// The log has everything of a checkpoint too.
pub(super) fn damage_of_checkpoint(path: &Path) -> Option<Damage> {
    let (at, reason) = match checkpoint::damage(path) {
        Ok(None) => return None,
        Ok(Some(unusable)) => (unusable.at, unusable.reason),
        Err(error) => (0, format!("cannot be read: {error}")),
    };
    Some(Damage { path: path.to_owned(), at, reason: format!("{reason}; nothing is lost, the log has it all") })
}

/// The first byte that cannot be used, and whether it looks like a write that was not finished. `short` is the
/// [`shortfall`] of the log: what ends too soon is no such write.
pub(super) fn damage_of_segment(path: &Path, short: Option<&Damage>) -> Option<(Damage, bool)> {
    let short = short.filter(|short| short.path == path).map(|short| (short.clone(), false));
    unreadable_from(path).filter(|(_, torn)| !torn || short.is_none()).or(short)
}

fn unreadable_from(path: &Path) -> Option<(Damage, bool)> {
    let damage = |at: u64, reason: String| Damage { path: path.to_owned(), at, reason };
    let unreadable = |at: u64, error: io::Error| Some((damage(at, format!("cannot be read: {error}")), false));
    let mut reader = match SegmentReader::open(path) {
        Ok(reader) => reader,
        Err(error) => return unreadable(0, error),
    };
    let bytes = match reader.file_bytes() {
        Ok(bytes) => bytes,
        Err(error) => return unreadable(0, error),
    };
    let mut decoder = Decoder::default();
    loop {
        match reader.next(bytes) {
            Ok(Next::End) => return None,
            Ok(Next::Record { at, payload }) => {
                if decoder.decode(&payload, at).is_none() {
                    return Some((damage(at, "a record cannot be decoded".into()), false));
                }
            }
            Ok(Next::Damaged { at, reason, torn }) => return Some((damage(at, reason), torn)),
            Err(error) => return unreadable(reader.offset(), error),
        }
    }
}
