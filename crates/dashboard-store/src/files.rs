//! Reading and writing the files of the store.

use crate::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Largest dashboard file that is read.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How deep a provisioning folder is searched.
const DEPTH_MAX: usize = 8;

/// One version as it lies on disk.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct VersionFile {
    pub(crate) version: u64,
    /// RFC 3339.
    pub(crate) created: String,
    pub(crate) created_by: String,
    pub(crate) message: String,
    pub(crate) folder_uid: String,
    pub(crate) data: Value,
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| StoreError::Io { path, source }
}

/// Writes a file so that after a crash it is there as a whole or not at all.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    let fresh = path.with_extension("json.new");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(io_error(path))
}

/// Reads JSON; the message of a fault names the file and the place.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let size = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{}: {size} bytes are more than a dashboard may have ({FILE_BYTES_MAX})", path.display()));
    }
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("{}: {error}; mend the file, it is read again by itself", path.display()))
}

/// All versions of a saved dashboard, ascending.
pub(crate) fn version_numbers(folder: &Path) -> Vec<u64> {
    let mut numbers: Vec<u64> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// All `*.json` below a folder with the names of the folders that they lie in, sorted.
pub(crate) fn json_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    walk(folder, "", 0, &mut found);
    found.sort();
    found
}

fn walk(folder: &Path, title: &str, depth: usize, found: &mut Vec<(PathBuf, String)>) {
    if depth > DEPTH_MAX {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, &name, depth + 1, found);
        } else if name.ends_with(".json") {
            found.push((path, title.to_owned()));
        }
    }
}
