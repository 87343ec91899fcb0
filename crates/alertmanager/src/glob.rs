//! `templates/*.tmpl`: Go's `filepath.Glob` for the last part of a path and for folders.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The files that a pattern names, sorted; a pattern that names nothing gives none.
pub(crate) fn matching(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy().into_owned();
        if !text.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            let listed = std::fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder });
            for entry in listed.into_iter().flatten() {
                let name = entry?.file_name();
                if glob_match(&text, &name.to_string_lossy()) {
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

/// Shell patterns: `*`, `?`, `[a-z]`, `[^a]`.
fn glob_match(pattern: &str, name: &str) -> bool {
    let mut regex = String::from("^");
    let mut inside = false;
    for c in pattern.chars() {
        match c {
            '*' if !inside => regex.push_str(".*"),
            '?' if !inside => regex.push('.'),
            '[' | ']' => {
                inside = c == '[';
                regex.push(c);
            }
            '^' | '-' if inside => regex.push(c),
            c if c.is_alphanumeric() || c == '_' => regex.push(c),
            c => {
                regex.push('\\');
                regex.push(c);
            }
        }
    }
    regex.push('$');
    regexp::Regexp::new(&regex).is_ok_and(|regex| regex.is_match(name))
}
