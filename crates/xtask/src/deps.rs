//! What the programs are built from: licences that may be shipped, and crates that must not come in by the back door.

use crate::shell::{cargo, output, say};
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// Licences that go with ours, by their SPDX names.
const LICENCES: [&str; 14] = [
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "BSL-1.0",
    "OpenSSL",
    "CDLA-Permissive-2.0",
];

/// One TLS library, one HTTP client, no system libraries: each with what is there instead.
const BANNED: [(&str, &str); 6] = [
    ("ring", "rustls runs on aws-lc-rs alone; switch the feature that pulls it off"),
    ("openssl-sys", "rustls"),
    ("native-tls", "rustls"),
    ("reqwest", "crates/http-client"),
    ("font-kit", "plotters without default features, text by ab_glyph"),
    ("serde_yaml", "crates/yaml"),
];

/// What is shipped: the program, and the front end inside it.
const SHIPPED: [(&str, Option<&str>); 2] = [("server", None), ("app", Some("wasm32-unknown-unknown"))];

/// Fails on a licence that is not in the list, and on a banned crate.
pub(crate) fn check() -> Result<()> {
    let mut found = BTreeSet::new();
    for (package, target) in SHIPPED {
        let mut command = cargo();
        command.args(["tree", "--package", package, "--prefix", "none", "--edges", "normal,build"]);
        command.args(["--format", "{p}|{l}"]);
        if let Some(target) = target {
            command.args(["--target", target]);
        }
        found.extend(output(&mut command)?.lines().map(|line| line.trim_end_matches(" (*)").to_owned()));
    }
    let (mut faults, mut count) = (Vec::new(), 0);
    for line in &found {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        // A path in parentheses marks a crate of our own.
        if package.contains("(/") {
            continue;
        }
        count += 1;
        if !is_allowed(licence) {
            faults.push(format!("{name}: licence {licence:?} is not among those in crates/xtask/src/deps.rs"));
        }
        if let Some((_, instead)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            faults.push(format!(
                "{name} must not be used; instead: {instead} (`cargo tree -i {name}` tells who wants it)"
            ));
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    say(&format!("dependencies: {count} crates are shipped, all licences known, none banned\n"));
    Ok(())
}

/// `A OR B`: one will do; `A AND B`: both must; the old `A/B` is an `OR`.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" OR ").any(|choice| {
        choice.split(" AND ").all(|part| {
            let name = part.split(" WITH ").next().unwrap_or_default().trim();
            LICENCES.contains(&name)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn licence_expressions() {
        for good in [
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "ISC AND (Apache-2.0 OR ISC)",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0"] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }
}
