//! axe-core, the accessibility checker: brought from npm into the target folder, never shipped.

use crate::Browser;
use anyhow::{Context, Result};
use harness::peers::skip;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Violations of WCAG 2.2 A and AA on the page, one line each; `None`, with a line that says so, where axe cannot be had.
///
/// # Errors
/// The check itself fails.
pub async fn violations(browser: &Browser) -> Result<Option<Vec<String>>> {
    static SOURCE: OnceLock<Option<String>> = OnceLock::new();
    let Some(source) = SOURCE.get_or_init(source) else { return Ok(None) };
    browser.eval(source).await?;
    let script = "const done = arguments[arguments.length - 1];
        axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})
           .then(r => done(r.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + (n.any[0] ? n.any[0].message : '')).join(' | '))))
           .catch(e => done(['axe failed: ' + e]));";
    let found = browser.client.execute_async(script, vec![]).await.context("axe")?;
    Ok(Some(found.as_array().into_iter().flatten().map(|v| v.as_str().unwrap_or_default().to_owned()).collect()))
}

fn source() -> Option<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/axe");
    let script = folder.join("node_modules/axe-core/axe.min.js");
    if !script.exists() {
        std::fs::create_dir_all(&folder).ok()?;
        let npm = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .arg("axe-core@4")
            .stdin(Stdio::null())
            .output();
        if !npm.is_ok_and(|output| output.status.success()) {
            skip("axe-core cannot be installed from npm; accessibility is not checked by it");
            return None;
        }
    }
    std::fs::read_to_string(script).ok()
}
