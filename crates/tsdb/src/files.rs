//! What the engine does with files and folders, in one place each.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};
use storage::StorageError;

/// What changes names or forces something to the disk goes through here, so that tests can end the process before each, or
/// the power.
#[cfg(not(test))]
#[inline]
fn step(_: &Force<'_>) -> io::Result<()> {
    Ok(())
}
#[cfg(test)]
fn step(force: &Force<'_>) -> io::Result<()> {
    crate::disk::step(force);
    crate::killed::step()
}

/// What an operation is about to force to the disk.
#[cfg_attr(not(test), allow(dead_code, reason = "tests alone look at it"))]
pub(crate) enum Force<'a> {
    Nothing,
    File(&'a File),
    Dir(&'a Path),
}

/// The tests beside the code end processes, not the power.
const IS_FORCED: bool = !cfg!(test);

/// Makes names in a folder (created, renamed, deleted) survive a power failure.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    step(&Force::Dir(dir))?;
    if IS_FORCED { File::open(dir)?.sync_all() } else { Ok(()) }
}

pub(crate) fn sync(file: &File) -> io::Result<()> {
    step(&Force::File(file))?;
    if IS_FORCED { file.sync_all() } else { Ok(()) }
}

/// As [`sync`], where of what the file system knows about the file only the length counts.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    step(&Force::File(file))?;
    if IS_FORCED { file.sync_data() } else { Ok(()) }
}

pub(crate) fn create(path: &Path) -> io::Result<File> {
    step(&Force::Nothing)?;
    File::create(path)
}

pub(crate) fn create_dir_all(dir: &Path) -> io::Result<()> {
    step(&Force::Nothing)?;
    fs::create_dir_all(dir)
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step(&Force::Nothing)?;
    fs::rename(from, to)
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    step(&Force::Nothing)?;
    fs::remove_file(path)
}

/// Deletes a folder of files.
pub(crate) fn remove_dir(dir: &Path) -> io::Result<()> {
    // One by one, for the process may end in between.
    for entry in fs::read_dir(dir)? {
        remove_file(&entry?.path())?;
    }
    step(&Force::Nothing)?;
    fs::remove_dir(dir)
}

/// Deletes a folder with all that is in it.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { remove_tree(&entry.path())? } else { remove_file(&entry.path())? }
    }
    step(&Force::Nothing)?;
    fs::remove_dir(dir)
}

/// A second name of a file, or a copy where the file system has no such names.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    step(&Force::Nothing)?;
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    // Named when it is whole.
    let temporary = to.with_extension("tmp");
    fs::copy(from, &temporary)?;
    sync(&File::open(&temporary)?)?;
    rename(&temporary, to)
}

/// Writes a file so that after a crash either the old content or the new one is there.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let file = create(&temporary)?;
    io::Write::write_all(&mut &file, content)?;
    sync(&file)?;
    rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Adds the path to an I/O error.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> StorageError {
    let path: PathBuf = path.to_owned();
    move |source| StorageError::Io { path, source }
}

/// Takes the lock of a folder, held as long as the file is open; `None` if another process has it.
pub(crate) fn lock(dir: &Path) -> Result<Option<File>, StorageError> {
    let path = dir.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(at(&path)(error)),
    }
}

/// Size of all files in a folder, without subfolders.
pub(crate) fn folder_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|meta| meta.len())
        .sum()
}
