//! The front end: cargo for wasm32, wasm-bindgen as a library, stylesheets in one file, everything
//! compressed beforehand; and the release binary around it.

use crate::shell::{cargo, root, run, say, step, target_dir};
use crate::tools;
use anyhow::{Context, Result, bail};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where `cargo xtask build` leaves the program.
pub(crate) fn binary() -> PathBuf {
    target_dir().join("release/vigie")
}

/// The release binary with the front end inside.
pub(crate) fn build() -> Result<()> {
    step("front end", || front_end("wasm-release", &root().join("dist")))?;
    step("server", || run(cargo().args(["build", "--release", "--package", "server"])))?;
    let size = fs::metadata(binary())?.len();
    say(&format!("{}: {:.1} MB\n", binary().display(), size as f64 / 1e6));
    Ok(())
}

/// Builds the front end with a cargo profile (`wasm-release`, `wasm-dev`) into `out`.
pub(crate) fn front_end(profile: &str, out: &Path) -> Result<()> {
    let release = profile == "wasm-release";
    let fresh = target_dir().join(format!("dist-{profile}.new"));
    let _ = fs::remove_dir_all(&fresh);
    let bindgen_out = fresh.join("bindgen");
    wasm_package("app", profile, &bindgen_out)?;

    let (html, css) = page(&fs::read_to_string(root().join("app/index.html")).context("app/index.html")?)?;
    fs::write(bindgen_out.join("app.css"), css)?;
    // One folder named by its content: the browser may keep all of it for ever.
    let assets = format!("assets/{}", hash_of(&bindgen_out)?);
    fs::create_dir_all(fresh.join("assets"))?;
    fs::rename(&bindgen_out, fresh.join(&assets))?;
    fs::write(fresh.join("index.html"), html.replace("{assets}", &format!("/{assets}")))?;
    copy(&root().join("public"), &fresh.join("public"))?;
    let wasm_bytes = fs::metadata(fresh.join(&assets).join("app_bg.wasm"))?.len();
    if release {
        let compressed = compress(&fresh)?;
        say(&format!("front end: {wasm_bytes} bytes of wasm, {compressed} bytes to download (brotli)\n"));
    }

    let _ = fs::remove_dir_all(out);
    if let Some(parent) = out.parent() {
        fs::create_dir_all(parent)?;
    }
    if fs::rename(&fresh, out).is_err() {
        // Another file system.
        copy(&fresh, out)?;
        fs::remove_dir_all(&fresh)?;
    }
    Ok(())
}

/// Builds a package for the browser: `NAME.js` and `NAME_bg.wasm` in `out`.
pub(crate) fn wasm_package(name: &str, profile: &str, out: &Path) -> Result<()> {
    tools::wasm_target()?;
    // A target folder of its own: the outer cargo may hold the lock of the main one.
    let web = target_dir().join("web");
    run(cargo()
        .args(["build", "--package", name, "--target", "wasm32-unknown-unknown", "--profile", profile])
        .args(["--config", &short_paths(), "--target-dir"])
        .arg(&web))?;
    let wasm = web.join("wasm32-unknown-unknown").join(profile).join(format!("{name}.wasm"));
    let release = profile == "wasm-release";
    fs::create_dir_all(out)?;
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(&wasm).web(true)?.typescript(false).remove_name_section(release).remove_producers_section(true);
    bindgen.out_name(name).generate(out)?;
    if release {
        let path = out.join(format!("{name}_bg.wasm"));
        fs::write(&path, crate::shrink::shrink(&fs::read(&path)?)?)?;
    }
    Ok(())
}

/// A setting by which panics name their file without the folders of this machine: nobody's business, and bytes to load.
fn short_paths() -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
    let folders = [home.join("registry/src"), root().to_path_buf()];
    let flags: Vec<String> =
        folders.iter().map(|folder| format!("{:?}", format!("--remap-path-prefix={}/=", folder.display()))).collect();
    format!("target.wasm32-unknown-unknown.rustflags=[{}]", flags.join(", "))
}

/// The page as the server sends it, and all its stylesheets in their order. Lines for Trunk
/// (`data-trunk`) are taken out; those that name a stylesheet say what goes into `app.css`.
fn page(source: &str) -> Result<(String, String)> {
    let (mut html, mut css) = (String::new(), String::new());
    for line in source.lines() {
        if !line.contains("data-trunk") {
            html.push_str(line);
            html.push('\n');
            continue;
        }
        if line.contains("rel=\"css\"") {
            let href = line.split("href=\"").nth(1).and_then(|tail| tail.split('"').next());
            let Some(href) = href else { bail!("app/index.html: a stylesheet without href: {line}") };
            let path = root().join("app").join(href);
            css.push_str(&fs::read_to_string(&path).with_context(|| path.display().to_string())?);
            css.push('\n');
        }
    }
    let head = "<link rel=\"stylesheet\" href=\"{assets}/app.css\">\n\
        <link rel=\"modulepreload\" href=\"{assets}/app.js\">\n\
        <link rel=\"preload\" href=\"{assets}/app_bg.wasm\" as=\"fetch\" type=\"application/wasm\" crossorigin>\n\
        <script type=\"module\">import init from '{assets}/app.js'; init({module_or_path: '{assets}/app_bg.wasm'});</script>\n\
        </head>";
    if !html.contains("</head>") {
        bail!("app/index.html has no </head>");
    }
    Ok((html.replacen("</head>", head, 1), css))
}

fn hash_of(folder: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for path in files(folder)? {
        path.strip_prefix(folder)?.hash(&mut hasher);
        fs::read(&path)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// All files under a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

/// Writes `.br` and `.gz` beside every file that gets smaller by it; returns the bytes of all that a first
/// visit downloads.
fn compress(folder: &Path) -> Result<u64> {
    let mut total = 0;
    for path in files(folder)? {
        let raw = fs::read(&path)?;
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if !["html", "js", "css", "wasm", "svg", "json", "txt", "webmanifest"].contains(&extension) {
            total += raw.len() as u64;
            continue;
        }
        let mut br = Vec::new();
        let params = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
        brotli::BrotliCompress(&mut raw.as_slice(), &mut br, &params)?;
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gz.write_all(&raw)?;
        total += br.len() as u64;
        fs::write(with_suffix(&path, "br"), br)?;
        fs::write(with_suffix(&path, "gz"), gz.finish()?)?;
    }
    Ok(total)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for path in files(from)? {
        let target = to.join(path.strip_prefix(from)?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&path, &target)?;
    }
    Ok(())
}
