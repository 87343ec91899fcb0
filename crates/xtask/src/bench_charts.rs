//! Our charts beside uPlot in the same browser, on the same data. Prints times and asserts none.

use crate::shell::{self, cargo, command, has, root, step, target_dir};
use crate::{bundle, tools};
use anyhow::{Result, bail};
use std::fs;
use std::path::PathBuf;

/// The release of uPlot that we compare with.
const UPLOT: &str = "1.6.32";

/// Builds the page, serves it and prints the table. Arguments: the number of drawings of each, and one case alone.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    tools::browser()?;
    let uplot = uplot()?;
    let site = target_dir().join("bench-charts");
    step("bench page", || {
        let _ = fs::remove_dir_all(&site);
        bundle::wasm_package("bench_page", "wasm-release", &site)?;
        bundle::copy(&root().join("tests/bench_page/page"), &site)?;
        for file in ["uPlot.esm.js", "uPlot.min.css"] {
            fs::copy(uplot.join("dist").join(file), site.join(file))?;
        }
        Ok(())
    })?;
    shell::run(
        cargo().args(["run", "--quiet", "--package", "browser", "--bin", "chart_bench", "--"]).arg(&site).args(args),
    )
}

/// The package uPlot, fetched by npm once into the target folder; it is no part of ours.
fn uplot() -> Result<PathBuf> {
    let folder = target_dir().join("uplot");
    let package = folder.join("node_modules/uplot");
    let known = fs::read_to_string(package.join("package.json")).unwrap_or_default();
    if known.contains(&format!("\"version\": \"{UPLOT}\"")) {
        return Ok(package);
    }
    if !has("npm") {
        bail!(
            "uPlot {UPLOT} comes from npm, which is not installed; install it with your distribution's package manager"
        );
    }
    fs::create_dir_all(&folder)?;
    shell::run(
        command("npm")
            .args(["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&folder)
            .arg(format!("uplot@{UPLOT}")),
    )?;
    Ok(package)
}
