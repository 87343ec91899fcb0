//! Installing what the builds and tests need, saying what is installed.

use crate::shell::{command, has, output, run, say};
use anyhow::{Result, bail};
use std::path::Path;

const WASM: &str = "wasm32-unknown-unknown";

/// Adds the wasm target to the toolchain in use, if it is not there. The toolchain itself stays as it is.
pub(crate) fn wasm_target() -> Result<()> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(WASM).join("lib").is_dir() {
        return Ok(());
    }
    if !has("rustup") {
        bail!(
            "the Rust target {WASM} is missing and there is no rustup to add it; install Rust by rustup, or the target by your distribution's package"
        );
    }
    say(&format!("installing the Rust target {WASM} (about 90 MB)\n"));
    run(command("rustup").args(["target", "add", WASM]))
}

/// Installs Chromium and its driver from the distribution, if they are not there.
pub(crate) fn browser() -> Result<()> {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    if has("chromedriver") && browsers.iter().any(|name| has(name)) {
        return Ok(());
    }
    apt(&["chromium", "chromium-driver"], "the browser journeys")
}

/// Installs packages by apt, where that is possible, else says what to do.
pub(crate) fn apt(packages: &[&str], purpose: &str) -> Result<()> {
    let wanted = packages.join(" ");
    if !has("apt-get") || !is_root() {
        bail!(
            "{purpose} need {wanted}: install them with your distribution's package manager (Debian, Ubuntu: `sudo apt-get install {wanted}`) and start again"
        );
    }
    say(&format!("installing {wanted} from the distribution, for {purpose}\n"));
    run(command("apt-get").args(["-q", "update"]).stdout(std::process::Stdio::null()))?;
    run(command("apt-get")
        .args(["-q", "-y", "install", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(std::process::Stdio::null()))
}

fn is_root() -> bool {
    output(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
