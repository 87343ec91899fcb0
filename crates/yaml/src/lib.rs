//! YAML for configuration files: all faults at once, each with file, line, column, path and remedy.
//!
//! A configuration type derives `serde::Deserialize` with `#[serde(deny_unknown_fields)]` and is read
//! with [`from_str`]. `#[serde(flatten)]` and untagged enums buffer what they read and lose its place and
//! its text: they are not supported in configuration types, a fault inside is told at the place of the whole.
//!
//! Scalars are read as go-yaml reads them, since the files were written for it:
//! - where text is wanted, every scalar is text as written (`1.10`, `yes`, `0777`);
//! - `yes`, `no`, `on`, `off` are truth values only where a truth value is wanted; quoted they never are;
//! - a field without a value (`rule_files:`) keeps its default; where there is none it is "", 0, false, or an
//!   empty list or map. An empty item of a list of structs is a fault;
//! - `<<` merges maps; what stands in the map itself wins. A key given twice is a fault;
//! - `!!binary` is decoded: into text where it is UTF-8, into bytes where a type reads bytes;
//! - of several documents in a file the first counts.
//!
//! A fault made by a type itself (`#[serde(try_from = "…")]`, a hand-written `Deserialize`) gets the place of
//! the node that the type was read from. Its message needs no place, only what is wrong and how to mend it.

mod error;
mod faults;
mod nearest;
mod reader;
mod scalar;
mod tree;

use serde::de::DeserializeOwned;
use std::{fmt, sync::Arc};

/// One thing that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1; 0 when the place is unknown.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Path of the field, as `scrape_configs[0].job_name`; "" for the document itself.
    pub path: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// All faults of one file, in order of their places; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults {
    /// The name that the file was given by.
    pub file: String,
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    /// A line a fault: `prometheus.yml:14:5: scrape_configs[0].scrape_timeout: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.file)?;
            if fault.line > 0 {
                write!(f, ":{}:{}", fault.line, fault.column)?;
            }
            if !fault.path.is_empty() {
                write!(f, ": {}", fault.path)?;
            }
            write!(f, ": {}", fault.message)?;
        }
        Ok(())
    }
}

/// Reads `text` as a `T`. An empty document is read as an empty map.
///
/// # Errors
/// Every fault of syntax, type, unknown or missing field that was found.
pub fn from_str<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Faults> {
    Ok(from_str_with_places(file, text)?.0)
}

/// As [`from_str`], with the places of all nodes.
///
/// # Errors
/// As [`from_str`].
pub fn from_str_with_places<T: DeserializeOwned>(file: &str, text: &str) -> Result<(T, Places), Faults> {
    from_str_with(file, text, UnknownFields::Refuse)
}

/// What to do with fields that a type does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFields {
    /// Each is a fault.
    Refuse,
    /// They are left out, for files that others extend with fields of their own.
    Ignore,
}

/// As [`from_str_with_places`], with a choice for unknown fields.
///
/// # Errors
/// As [`from_str`].
pub fn from_str_with<T: DeserializeOwned>(
    file: &str,
    text: &str,
    unknown: UnknownFields,
) -> Result<(T, Places), Faults> {
    match faults::read(text, unknown) {
        Ok((value, tree)) => Ok((value, Places { file: file.to_owned(), tree: Arc::new(tree) })),
        Err(mut faults) => {
            faults.sort_by_key(|fault| (fault.line, fault.column));
            Err(Faults { file: file.to_owned(), faults })
        }
    }
}

/// The places of all nodes of a document, by path (`scrape_configs[0].job_name`), for faults that are
/// found after reading: contradictions between fields, names used twice.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub file: String,
    tree: Arc<tree::Tree>,
}

impl Places {
    /// A fault at the node with this path, or at its nearest parent that exists.
    pub fn fault(&self, path: &str, message: impl Into<String>) -> Fault {
        let (line, column) = self.place(path).unwrap_or((0, 0));
        Fault { line, column, path: path.to_owned(), message: message.into() }
    }

    /// Line and column of the node with this path, or of its nearest parent that exists; `None` without a document.
    pub fn place(&self, path: &str) -> Option<(usize, usize)> {
        self.tree.find(path)
    }

    /// `Err` with these faults in order of their places, unless there are none.
    ///
    /// # Errors
    /// The faults given.
    pub fn check(&self, mut faults: Vec<Fault>) -> Result<(), Faults> {
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(|fault| (fault.line, fault.column));
        Err(Faults { file: self.file.clone(), faults })
    }
}
