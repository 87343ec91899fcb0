//! The programs of `fuzz/`, one after the other: built with coverage and AddressSanitizer by the nightly compiler, begun with
//! what the tests begin with, each for some seconds.

use crate::shell::{self, root, run, say, step};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// AddressSanitizer's library comes with the compiler for this one.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const SECONDS: u64 = 60;
/// What libFuzzer needs to be told by the program: which edges were taken, and what was compared with what.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions \
                     -Zsanitizer=address -Ccodegen-units=1";
/// Limits of one input: the largest allocation as in the tests, and what AddressSanitizer keeps of freed memory on top.
const LIMITS: [&str; 4] = ["-malloc_limit_mb=192", "-rss_limit_mb=2048", "-timeout=10", "-max_len=65536"];
/// The tests that begin with the same inputs: crates, targets, and parts of the tests' names.
const SEEDS: &str =
    "-p tsdb -p prometheus-tsdb -p exposition -p remote -p promql --lib --test mutated -- fuzz:: refused";

/// What a run of a program said.
struct Outcome {
    name: String,
    executions: u64,
    /// Edges of the program that were taken.
    edges: u64,
    /// Inputs that are kept, for each took an edge that no other did.
    kept: u64,
    peak_mib: u64,
    finding: Option<String>,
}

/// `[SECONDS] [FILTER …]`: seconds for each program, and parts of the names of those to run.
pub(crate) fn run_all(args: &[&str]) -> Result<()> {
    let (seconds, filter) = match args.split_first() {
        Some((first, rest)) if first.parse::<u64>().is_ok() => (first.parse()?, rest),
        _ => (SECONDS, args),
    };
    let names: Vec<String> = programs()?
        .into_iter()
        .filter(|name| filter.is_empty() || filter.iter().any(|part| name.contains(part)))
        .collect();
    ensure!(!names.is_empty(), "no program of fuzz/fuzz_targets has a name with {}", filter.join(" or "));
    let folder = root().join("fuzz");
    step("seeds", || seeds(&folder.join("corpus")))?;
    step("build", || build(&folder, &names))?;
    let mut outcomes = Vec::new();
    for name in &names {
        let outcome = one(&folder, name, seconds)?;
        say(&format!("{}\n", line(&outcome)));
        outcomes.push(outcome);
    }
    say("\n| program | executions | edges | inputs kept | peak memory, MiB | findings |\n|---|--:|--:|--:|--:|---|\n");
    outcomes.iter().for_each(|outcome| say(&format!("{}\n", line(outcome))));
    let findings = outcomes.iter().filter(|outcome| outcome.finding.is_some()).count();
    ensure!(
        findings == 0,
        "{findings} of {} programs found something; the inputs lie in fuzz/artifacts, and what was said beside them",
        outcomes.len()
    );
    Ok(())
}

fn line(outcome: &Outcome) -> String {
    let finding = outcome.finding.as_deref().unwrap_or("none");
    let Outcome { name, executions, edges, kept, peak_mib, .. } = outcome;
    format!("| {name} | {executions} | {edges} | {kept} | {peak_mib} | {finding} |")
}

/// The names of all programs, in order.
fn programs() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// What the tests begin with, and bodies of real exporters where there are some.
fn seeds(corpus: &Path) -> Result<()> {
    let mut command = shell::cargo();
    command.args(["test", "--quiet"]).args(SEEDS.split(' ')).env("VIGIE_FUZZ_CORPUS", corpus);
    shell::output(&mut command)?;
    let shared = root().join("../shared/conformance/exposition");
    if !shared.is_dir() {
        say("bodies of exporters are not there: the tests' own seeds alone\n");
        return Ok(());
    }
    for (number, path) in files(&shared)?.iter().enumerate() {
        let body = fs::read(path)?;
        for (program, seed) in [
            ("exposition_text", body.clone()),
            ("exposition_difference", [body.as_slice(), &[0xff], body.as_slice()].concat()),
        ] {
            let folder = corpus.join(program);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("body-{number:05}")), seed)?;
        }
    }
    Ok(())
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

fn build(folder: &Path, names: &[String]) -> Result<()> {
    // The same versions as in the workspace; cargo adds libFuzzer's.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    // Not `shell::cargo`: that one is the compiler's that built us, and rustup picks this one.
    let mut command = Command::new("cargo");
    command.args(["+nightly", "build", "--quiet", "--release", "--target", TARGET, "--target-dir"]);
    command
        .arg(target_dir())
        .current_dir(folder)
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    for name in names {
        command.args(["--bin", name]);
    }
    run(&mut command).context("`rustup toolchain install nightly` brings the compiler; a C++ compiler builds libFuzzer")
}

fn target_dir() -> PathBuf {
    shell::target_dir().join("fuzz")
}

/// Runs a program; its corpus grows, what it found goes to `artifacts`.
fn one(folder: &Path, name: &str, seconds: u64) -> Result<Outcome> {
    let (corpus, artifacts) = (folder.join("corpus").join(name), folder.join("artifacts").join(name));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let mut command = shell::command(target_dir().join(TARGET).join("release").join(name));
    command.args(LIMITS).arg("-print_final_stats=1").arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus);
    // Many inputs become files for a moment: in memory, where there is such a place.
    if Path::new("/dev/shm").is_dir() {
        command.env("TMPDIR", "/dev/shm");
    }
    let output = command.output().with_context(|| format!("start {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    let stat = |key: &str| number(said.lines().rev().find_map(|line| line.strip_prefix(key)));
    let last = |key: &str| {
        let behind = said.lines().rev().find_map(|line| line.split_once(key));
        number(behind.and_then(|(_, rest)| rest.trim_start().split([' ', '/']).next()))
    };
    let outcome = Outcome {
        name: name.to_owned(),
        executions: stat("stat::number_of_executed_units:"),
        edges: last(" cov: "),
        kept: last(" corp: "),
        peak_mib: stat("stat::peak_rss_mb:"),
        finding: None,
    };
    if output.status.success() {
        if outcome.executions == 0 {
            bail!("{name} ran nothing: {said}");
        }
        return Ok(outcome);
    }
    fs::write(artifacts.join("said.txt"), output.stderr.as_slice())?;
    let why =
        ["panicked at", "SUMMARY:", "ERROR:"].iter().find_map(|word| said.lines().find(|line| line.contains(word)));
    let finding = why.unwrap_or("ended without a word").trim().to_owned();
    Ok(Outcome { finding: Some(finding), ..outcome })
}
