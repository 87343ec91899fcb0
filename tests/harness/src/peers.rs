//! Where the real programs are.

use std::path::{Path, PathBuf};

/// A peer by name, from the folder in `VIGIE_PEERS`; `None`, with a line that says so, where it is not there.
pub fn peer(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("VIGIE_PEERS").unwrap_or_default()).join(name);
    if path.is_file() {
        return Some(path);
    }
    skip(&format!("there is no {name} in VIGIE_PEERS; `cargo xtask e2e` brings it"));
    None
}

/// A path below `../shared`; `None`, with a line that says so, in a plain clone.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if found.exists() {
        return found.canonicalize().ok();
    }
    skip(&format!("../shared/{path} is not there"));
    None
}

/// Says why a test does nothing.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
