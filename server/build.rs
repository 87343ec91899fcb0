//! Makes a table of the bundled front end (`dist/`), for `http/static_files.rs` to include.
//! Without a bundle the table is empty and the server says so on its pages.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist = manifest.join("../dist");
    // Only release binaries carry the pages: a debug build is for tests of the API and stays quick.
    let wanted = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!("cargo:rerun-if-changed={}", dist.join("index.html").display());
    println!("cargo:rerun-if-changed=build.rs");
    let mut table = String::from("/// The bundled front end.\npub(crate) static ASSETS: &[Asset] = &[\n");
    if wanted && dist.is_dir() {
        let mut files = Vec::new();
        list(&dist, &mut files)?;
        files.sort();
        for file in &files {
            let name = file.strip_prefix(&dist).unwrap_or(file).display().to_string();
            if name.ends_with(".br") || name.ends_with(".gz") {
                continue;
            }
            let include = |suffix: &str| {
                let path = PathBuf::from(format!("{}{suffix}", file.display()));
                if path.exists() {
                    format!("include_bytes!({:?})", path.display().to_string())
                } else {
                    "&[]".to_owned()
                }
            };
            let gzip = include(".gz");
            // What has a compressed twin is not carried twice.
            let raw = if gzip == "&[]" { include("") } else { "&[]".to_owned() };
            // Writing to a `String` cannot fail.
            let _ = writeln!(
                table,
                "    Asset {{ path: {name:?}, raw: {raw}, brotli: {}, gzip: {gzip} }},",
                include(".br")
            );
        }
    }
    table.push_str("];\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("assets.rs"), table)
}

fn list(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { list(&path, into)? } else { into.push(path) }
    }
    Ok(())
}
