//! Measures against Prometheus' rule files with verdicts, and against rule files from the field, which all must load.

use crate::check_rules;
use std::path::{Path, PathBuf};

/// Bad only under the legacy name-validation scheme, which is not the default.
const LEGACY_ONLY: &str = "rulefmt/legacy_validation_annotation.bad.yaml";

/// Loads every rule file of a conformance folder. Gives the number of right verdicts, and a line for each wrong one.
///
/// # Errors
/// The list of verdicts cannot be read.
pub fn run_conformance(folder: &Path) -> Result<(usize, Vec<String>), String> {
    let base = if folder.join("config").is_dir() { folder.join("config") } else { folder.to_owned() };
    let list = base.join("verdicts.tsv");
    let text = std::fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let (mut passed, mut failures) = (0, Vec::new());
    for line in text.lines().filter(|line| line.starts_with("rulefmt/") && !line.starts_with(LEGACY_ONLY)) {
        let mut parts = line.split('\t');
        let (file, verdict) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match (verdict, check(&base.join(file))) {
            ("accept", Ok(())) | ("reject", Err(_)) => passed += 1,
            ("accept", Err(error)) => failures.push(format!("{file}: refused: {error}")),
            _ => failures.push(format!("{file}: accepted, upstream says: {}", parts.next().unwrap_or_default())),
        }
    }
    let mut real = Vec::new();
    find(&base.join("rules-real"), &mut real);
    real.sort();
    for path in real {
        match check(&path) {
            Ok(()) => passed += 1,
            Err(error) => failures.push(format!("refused: {error}")),
        }
    }
    Ok((passed, failures))
}

fn check(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    check_rules(&path.to_string_lossy(), &text).map(|_| ()).map_err(|faults| faults.to_string())
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            found.push(path);
        }
    }
}
