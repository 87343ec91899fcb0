//! JSON lines on disk.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

/// Reads a file of JSON lines; no file is no lines. A last line that was cut off by a crash is left out, any other
/// that cannot be read is logged and left out.
pub(crate) fn read_lines<T: DeserializeOwned>(file: &Path) -> io::Result<Vec<T>> {
    let text = match std::fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        match serde_json::from_str(line) {
            Ok(value) => found.push(value),
            Err(error) => tracing::warn!("{}:{}: left out: {error}", file.display(), i + 1),
        }
    }
    Ok(found)
}

/// Replaces a file: after a crash at any time it holds either the old or the new lines.
pub(crate) fn write_lines<'a, T: Serialize + 'a>(file: &Path, lines: impl Iterator<Item = &'a T>) -> io::Result<()> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    let temporary = file.with_extension("tmp");
    let mut out = File::create(&temporary)?;
    out.write_all(&text)?;
    out.sync_all()?;
    std::fs::rename(&temporary, file)?;
    // The new name is durable only when the folder is.
    match file.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes a folder and its parents.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}
