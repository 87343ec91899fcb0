//! File names with wildcards, as Go's `filepath.Glob` reads them: `*`, `?`, `[a-z]`, `[^a]` in any part of a path.

use regexp::Regexp;
use std::{
    io,
    path::{Path, PathBuf},
};

/// True when a name has wildcards.
pub fn has_wildcards(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// The files that a pattern names, sorted within each folder; a pattern that names nothing gives none.
///
/// # Errors
/// A folder that cannot be listed to its end.
pub fn glob(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy().into_owned();
        if !has_wildcards(&text) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let Some(regexp) = compile(&text) else { return Ok(Vec::new()) };
        let mut next = Vec::new();
        for folder in found {
            let listed = std::fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder });
            for entry in listed.into_iter().flatten() {
                let name = entry?.file_name();
                if regexp.is_match(&name.to_string_lossy()) {
                    next.push(folder.join(name));
                }
            }
        }
        next.sort();
        found = next;
    }
    found.retain(|path| path.is_file());
    Ok(found)
}

/// A pattern of one part as a regular expression; `None` for one that is not closed.
fn compile(pattern: &str) -> Option<Regexp> {
    let mut regexp = String::new();
    let mut inside = false;
    for c in pattern.chars() {
        match c {
            '*' if !inside => regexp.push_str(".*"),
            '?' if !inside => regexp.push('.'),
            '[' | ']' => {
                inside = c == '[';
                regexp.push(c);
            }
            '^' | '-' if inside => regexp.push(c),
            c if c.is_alphanumeric() || c == '_' => regexp.push(c),
            c => {
                regexp.push('\\');
                regexp.push(c);
            }
        }
    }
    Regexp::anchored(&regexp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", true),
            ("*.yml", "a.yaml", false),
            ("r?les-[a-c].yml", "rules-b.yml", true),
            ("r?les-[^a-c].yml", "rules-b.yml", false),
            ("a+b", "aab", false),
            ("[", "[", false),
        ] {
            let found = compile(pattern).is_some_and(|regexp| regexp.is_match(name));
            assert_eq!(found, expected, "{pattern} on {name}");
        }
    }
}
