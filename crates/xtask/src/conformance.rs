//! The conformance runs: every suite whose folder is there, a line each.

use crate::shell::{cargo, root, say};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A suite: the subfolder that must be there, the one that the program is given, crate and program.
const SUITES: [(&str, &str, &str, &str); 8] = [
    ("promql", "promql/prometheus", "promqltest", "promqltest"),
    ("exposition", "", "exposition", "exposition-conformance"),
    ("config/relabel", "", "relabel", "relabel-conformance"),
    ("config/rulefmt", "", "rules", "rules-conformance"),
    ("config/alertmanager", "", "alertmanager", "alertmanager-config-conformance"),
    ("config/blackbox", "config", "blackbox", "blackbox-conformance"),
    ("alertmanager", "", "alertmanager", "alertmanager-conformance"),
    ("dashboards", "dashboards", "dashboard", "dashboards_conformance"),
];

/// Runs every suite found in `folder` (by default `../shared/conformance`). Ends with a line a suite,
/// `promql: 1748 passed, 0 failed`; fails if a suite cannot run. What a suite must at least reach is asserted by
/// the tests of its crate.
pub(crate) fn run(folder: Option<PathBuf>, list_failures: bool) -> Result<()> {
    let folder = folder.unwrap_or_else(|| root().join("../shared/conformance"));
    if !folder.is_dir() {
        say(&format!("conformance: skipped, {} is not there\n", folder.display()));
        return Ok(());
    }
    let folder = folder.canonicalize()?;
    let mut lines = Vec::new();
    let mut broken = Vec::new();
    for (needed, given, package, program) in SUITES {
        if !folder.join(needed).is_dir() {
            continue;
        }
        match suite(&folder.join(given), package, program, list_failures) {
            Ok(line) => lines.push(line),
            Err(error) => broken.push(format!("{program}: {error:#}")),
        }
    }
    say(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(())
}

fn suite(folder: &Path, package: &str, program: &str, list_failures: bool) -> Result<String> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", package, "--bin", program, "--"]).arg(folder);
    if list_failures {
        command.arg("--list-failures");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().rev().find(|line| line.contains(" passed, ")).map(str::to_owned);
    if list_failures {
        say(&text);
    }
    line.with_context(|| format!("printed no summary line; it ended with {}", output.status))
}
