//! What the one test command does, cheapest first.

use crate::layers::PURE;
use crate::shell::{cargo, has, root, run, say, step};
use crate::{bundle, conformance, deps, layers, peers, tools};
use anyhow::Result;

const WASM: &str = "wasm32-unknown-unknown";
/// Packages that are not part of a plain `cargo test`.
const APART: [&str; 3] = ["end_to_end", "browser", "bench_page"];

/// Formatting, layers, lints for both targets, documentation.
pub(crate) fn check() -> Result<()> {
    tools::wasm_target()?;
    step("formatting", || run(cargo().args(["fmt", "--all", "--", "--check"])))?;
    step("layers", layers::check)?;
    step("dependencies", deps::check)?;
    step("lints", || {
        run(cargo().args([
            "clippy",
            "--workspace",
            "--exclude",
            "app",
            "--exclude",
            "bench_page",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    step("lints of the front end", || {
        let mut command = cargo();
        command.args(["clippy", "--target", WASM, "--target-dir"]).arg(crate::shell::target_dir().join("web"));
        for name in PURE.iter().chain(&["app", "bench_page"]) {
            command.args(["--package", name]);
        }
        run(command.args(["--", "-D", "warnings"]))
    })?;
    step("documentation", || {
        run(cargo()
            .args([
                "doc",
                "--workspace",
                "--exclude",
                "app",
                "--exclude",
                "bench_page",
                "--no-deps",
                "--document-private-items",
                "--quiet",
            ])
            .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"))
    })
}

/// Tests of the crates: with nextest, for its time-outs, where it is installed, else with cargo itself.
pub(crate) fn unit() -> Result<()> {
    step("tests", || {
        let mut command = cargo();
        if has("cargo-nextest") {
            command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        } else {
            command.args(["test", "--workspace", "--no-fail-fast"]);
        }
        for name in APART {
            command.args(["--exclude", name]);
        }
        run(&mut command)
    })
}

/// The tests of one package against the release binary: with nextest, which ends what hangs and tries once more what a
/// busy machine made too slow, where it is installed, else with cargo itself.
fn against_binary(package: &str, filter: &[&str]) -> std::process::Command {
    let mut command = cargo();
    if has("cargo-nextest") {
        command.args(["nextest", "run", "--no-fail-fast", "--package", package]).args(filter);
    } else {
        command.args(["test", "--no-fail-fast", "--package", package, "--", "--test-threads=2"]).args(filter);
    }
    command.env("VIGIE_BIN", bundle::binary()).env("RUST_LIB_BACKTRACE", "0");
    command
}

/// The tests against real peers; needs the release binary.
pub(crate) fn e2e(filter: &[&str]) -> Result<()> {
    let peers = peers::ensure()?;
    step("end to end", || run(against_binary("end_to_end", filter).env("VIGIE_PEERS", &peers)))
}

/// The browser journeys; needs the release binary.
pub(crate) fn browser(filter: &[&str]) -> Result<()> {
    tools::browser()?;
    let screenshots = crate::shell::target_dir().join("screenshots");
    step("browser journeys", || run(against_binary("browser", filter).env("VIGIE_SCREENSHOTS", &screenshots)))
}

/// Everything.
pub(crate) fn test() -> Result<()> {
    check()?;
    unit()?;
    bundle::build()?;
    e2e(&[])?;
    browser(&[])
}

/// Everything, and the conformance runs if their folder is there.
pub(crate) fn ci() -> Result<()> {
    test()?;
    step("conformance", || conformance::run(None, false))
}

/// Prints timings of the whole; asserts none.
pub(crate) fn bench() -> Result<()> {
    bundle::build()?;
    tools::browser()?;
    run(cargo().args(["run", "--quiet", "--package", "browser", "--bin", "bench"]).env("VIGIE_BIN", bundle::binary()))?;
    let page = root().join("app/src/pages/dashboard.rs");
    if page.exists() {
        say("incremental build of the front end after a change in one panel:\n");
        run(crate::shell::command("touch").arg(&page))?;
        step("bundle wasm-dev", || bundle::front_end("wasm-dev", &crate::shell::target_dir().join("dist-bench")))?;
    }
    Ok(())
}
