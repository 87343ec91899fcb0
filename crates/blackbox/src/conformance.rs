//! Verdicts on the files of `conformance/config`, for the tests and `cargo xtask conformance`.

use crate::Config;
use std::{fmt::Write, path::Path};

/// How many files got upstream's verdict, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct Verdicts {
    pub right: usize,
    pub total: usize,
    /// A line a file.
    pub wrong: String,
}

/// Reads every Blackbox file that `folder/verdicts.tsv` names.
///
/// # Errors
/// A file that cannot be read.
pub fn config_verdicts(folder: &Path) -> std::io::Result<Verdicts> {
    let mut verdicts = Verdicts::default();
    for line in std::fs::read_to_string(folder.join("verdicts.tsv"))?.lines() {
        let mut columns = line.split('\t');
        let (Some(name), Some(expected)) = (columns.next(), columns.next()) else { continue };
        if !name.starts_with("blackbox/") {
            continue;
        }
        let text = std::fs::read_to_string(folder.join(name))?;
        verdicts.total += 1;
        let said = Config::load(name, &text);
        if said.is_ok() == (expected == "accept") {
            verdicts.right += 1;
            continue;
        }
        // Writing to a `String` cannot fail.
        let _ = match said {
            Ok(_) => writeln!(verdicts.wrong, "{name}: accepted, {}", columns.next().unwrap_or_default()),
            Err(faults) => writeln!(verdicts.wrong, "{faults}"),
        };
    }
    Ok(verdicts)
}
