//! Where the kernel's files are, and what goes wrong with them.

use std::path::{Path, PathBuf};

/// Why a collector gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{file}: line {line:?} is not what the kernel's documentation says")]
    Format { file: &'static str, line: String },
}

/// The root under which `/proc`, `/sys` and `/etc` are.
#[derive(Clone, Debug)]
pub struct Source {
    root: PathBuf,
}

impl Source {
    /// The machine's own root.
    pub fn system() -> Self {
        Source { root: PathBuf::from("/") }
    }

    /// A folder that holds `proc`, `sys` and `etc`.
    pub fn at(root: &Path) -> Self {
        Source { root: root.to_owned() }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn read(&self, path: &str) -> Result<String, HostError> {
        let path = self.path(path);
        std::fs::read_to_string(&path).map_err(|source| HostError::Io { path, source })
    }

    /// The trimmed content of a small file, or `None`: many files of `/sys` are there or not, by device.
    pub(crate) fn attribute(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok().map(|text| text.trim().to_owned())
    }

    /// A number in a small file; `0x…` is hexadecimal.
    pub(crate) fn number(&self, path: &str) -> Option<f64> {
        let text = self.attribute(path)?;
        match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(|number| number as f64),
            None => text.parse().ok(),
        }
    }

    /// Names in a folder, sorted; none if it is not there.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(path)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// The number in column `index` of a line.
pub(crate) fn column(words: &[&str], index: usize) -> Option<f64> {
    words.get(index)?.parse().ok()
}
