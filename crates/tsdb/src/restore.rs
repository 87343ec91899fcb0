//! A data folder from a snapshot, or from a copy of another folder.

use crate::{
    OpenError,
    block::META_FILE,
    check::lock_if_used,
    db::block_dirs,
    files,
    wal::segment::{segment_numbers, segment_path},
};
use std::{collections::BTreeSet, fs, io, path::Path};
use storage::StorageError;

/// Makes of `to`, which has to be empty or absent, a data folder with what `from` has. The files of blocks never change,
/// so that they become hard links where the file system allows it, and are copied where it does not; a log is copied.
/// One that was interrupted is taken up by calling it again. `told` hears of blocks and segments done, and of how many.
/// Gives the number of blocks.
///
/// # Errors
/// `NotEmpty` when `to` has something that `from` has not; `Locked` when a process has either open; `Io`.
pub fn restore(from: &Path, to: &Path, told: &mut dyn FnMut(u64, u64)) -> Result<u64, OpenError> {
    let blocks = block_dirs(from)?;
    let _from_lock = lock_if_used(from)?;
    let wal = from.join("wal");
    let segments = if wal.is_dir() { segment_numbers(&wal).map_err(files::at(&wal))? } else { Vec::new() };
    fs::create_dir_all(to).map_err(files::at(to))?;
    let Some(_lock) = files::lock(to)? else { return Err(OpenError::Locked { dir: to.to_owned() }) };
    let to_wal = to.join("wal");
    fs::create_dir_all(&to_wal).map_err(files::at(&to_wal))?;
    let names: BTreeSet<_> = blocks.iter().filter_map(|block| block.file_name()).collect();
    let strangers = block_dirs(to)?.iter().any(|block| block.file_name().is_none_or(|name| !names.contains(name)));
    let own_segments = segment_numbers(&to_wal).map_err(files::at(&to_wal))?;
    if strangers || own_segments.iter().any(|number| !segments.contains(number)) {
        return Err(OpenError::NotEmpty { dir: to.to_owned() });
    }
    let all = (blocks.len() + segments.len()) as u64;
    for (block, done) in blocks.iter().zip(1..) {
        restore_block(block, to)?;
        told(done, all);
    }
    for (number, done) in segments.into_iter().zip(blocks.len() as u64 + 1..) {
        let (source, target) = (segment_path(&wal, number), segment_path(&to_wal, number));
        let temporary = target.with_extension("tmp");
        let copied = fs::copy(&source, &temporary).and_then(|_| fs::File::open(&temporary)?.sync_all());
        copied.and_then(|()| fs::rename(&temporary, &target)).map_err(files::at(&target))?;
        told(done, all);
    }
    files::sync_dir(&to_wal).and_then(|()| files::sync_dir(to)).map_err(files::at(to))?;
    Ok(blocks.len() as u64)
}

fn restore_block(block: &Path, to: &Path) -> Result<(), StorageError> {
    let Some(name) = block.file_name() else { return Ok(()) };
    let target = to.join(name);
    if target.exists() {
        return Ok(());
    }
    let temporary = target.with_extension("tmp");
    link_files(block, &temporary).and_then(|()| fs::rename(&temporary, &target)).map_err(files::at(&target))
}

fn link_files(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        // The description is small, and the only file that is ever edited by hand.
        if entry.file_name() == META_FILE || fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), &target)?;
            fs::File::open(&target)?.sync_all()?;
        }
    }
    files::sync_dir(to)
}
