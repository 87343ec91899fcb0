//! Runs the bodies of the conformance folder: each must be accepted or refused.

use crate::{Entry, Fault, Format, Parser, check::check};
use std::fs;
use std::path::{Path, PathBuf};

/// Reads every body below `folder` (the conformance folder, or its `exposition`). A file in a folder named `invalid`
/// must be refused by [`check`]; one in `valid` or `live` must pass it; all others must be accepted by the parser
/// alone, as a scrape does. Gives the number of bodies that did as they should, and a line for each that did not.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn run_conformance(folder: &Path) -> std::io::Result<(usize, Vec<String>)> {
    let inner = folder.join("exposition");
    let root = if inner.is_dir() { inner } else { folder.to_owned() };
    let mut files = Vec::new();
    list(&root, &mut files)?;
    files.sort();
    let (mut passed, mut failures) = (0, Vec::new());
    for path in files {
        let body = fs::read(&path)?;
        let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        let format = if name.contains("openmetrics") { Format::OpenMetrics } else { Format::Text };
        let parts: Vec<&str> = name.split('/').collect();
        let (wanted, faults) = if parts.contains(&"invalid") {
            (false, check(&body, format))
        } else if parts.contains(&"valid") || parts.contains(&"live") {
            (true, check(&body, format))
        } else {
            (true, scrape_faults(&body, format))
        };
        if faults.is_empty() == wanted {
            passed += 1;
        } else if let Some(fault) = faults.first() {
            failures.push(format!("{name}: refused: {fault}"));
        } else {
            failures.push(format!("{name}: accepted, must be refused"));
        }
    }
    Ok((passed, failures))
}

fn scrape_faults(body: &[u8], format: Format) -> Vec<Fault> {
    let parser = match Parser::new(body, format) {
        Ok(parser) => parser,
        Err(fault) => return vec![fault],
    };
    parser
        .filter_map(|entry| match entry {
            Ok(Entry::Sample(sample)) => sample.labels().err(),
            Ok(_) => None,
            Err(fault) => Some(fault),
        })
        .collect()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    Ok(())
}
