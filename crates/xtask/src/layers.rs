//! Which crate may import which. ARCHITECTURE.md shows the same table to people.

use crate::shell::{cargo, output, say};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;

/// Layers from the bottom up: a crate may import those below it.
const LAYERS: [&[&str]; 6] = [
    &["model"],
    &["api", "regexp", "yaml", "promql-syntax", "dashboard", "exposition", "relabel", "go-template", "chart"],
    &["system", "storage", "http-client", "telemetry"],
    &["tsdb", "prometheus-tsdb", "promql", "remote", "discovery"],
    &["scrape", "shipper", "rules", "alertmanager", "blackbox", "dashboard-store", "host", "promqltest"],
    &["app", "server", "harness", "mutation", "end_to_end", "browser", "bench_page", "xtask"],
];

/// Edges inside one layer that are meant.
const SIDEWAYS: [(&str, &str); 9] = [
    ("chart", "dashboard"),
    ("http-client", "system"),
    ("remote", "tsdb"),
    ("relabel", "regexp"),
    ("relabel", "yaml"),
    ("go-template", "regexp"),
    ("end_to_end", "harness"),
    ("browser", "harness"),
    ("storage", "system"),
];

/// What the browser program may use.
const APP: [&str; 5] = ["api", "chart", "dashboard", "model", "promql-syntax"];

/// Crates that compile for the browser as well.
pub(crate) const PURE: [&str; 5] = ["model", "api", "promql-syntax", "dashboard", "chart"];

/// Fails on any edge that the table does not allow.
pub(crate) fn check() -> Result<()> {
    let metadata: Value =
        serde_json::from_str(&output(cargo().args(["metadata", "--format-version=1", "--no-deps", "--offline"]))?)?;
    let packages = metadata["packages"].as_array().context("cargo metadata: no packages")?;
    let level: BTreeMap<&str, usize> =
        LAYERS.iter().enumerate().flat_map(|(i, names)| names.iter().map(move |name| (*name, i))).collect();
    let mut faults = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(own) = level.get(name) else {
            faults.push(format!("{name} stands in no layer; add it to crates/xtask/src/layers.rs and ARCHITECTURE.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let Some(other) = level.get(to).filter(|_| !dependency["path"].is_null()) else { continue };
            // Tests may look anywhere.
            if dependency["kind"] == "dev" {
                continue;
            }
            if name == "app" && !APP.contains(&to) {
                faults.push(format!("app may not import {to}: the browser knows {}", APP.join(", ")));
            } else if other >= own && !SIDEWAYS.contains(&(name, to)) {
                faults.push(format!("{name} may not import {to}: imports go down"));
            }
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    say(&format!("layers: {} crates, no forbidden import\n", packages.len()));
    Ok(())
}
