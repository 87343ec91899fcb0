//! `vigie test rules FILE…`: promtool's unit tests of rules. Ends with 1 if something went otherwise than expected.

mod file;
mod report;
mod run;

use super::features::FeatureFlags;
use super::output::{complain, say};
use crate::config::features::Enabled;
use anyhow::{Context, Result};
use clap::Subcommand;
use report::{FileReport, Layout, TestReport};
use rules::{Reading, RuleFile, UnknownFields};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum TestCommand {
    /// Unit tests of recording and alerting rules, in promtool's format.
    Rules {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Run only the tests whose name this regular expression matches; may be repeated.
        #[arg(long, value_name = "REGEX")]
        run: Vec<String>,
        /// Show all series, those of the input and those of the rules.
        #[arg(long)]
        debug: bool,
        /// Show what was expected and what came as one difference, coloured on a terminal.
        #[arg(long)]
        diff: bool,
        /// Write the results as JUnit XML to this file.
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
        /// Leave fields that are not known to others, in tests and rule files.
        #[arg(long)]
        ignore_unknown_fields: bool,
        #[command(flatten)]
        features: FeatureFlags,
    },
}

pub(crate) fn run(command: TestCommand) -> Result<ExitCode> {
    let TestCommand::Rules { files, run, debug, diff, junit, ignore_unknown_fields, features } = command;
    let patterns = run
        .iter()
        .map(|text| regexp::Regexp::new(text).with_context(|| format!("--run={text}")))
        .collect::<Result<Vec<_>>>()?;
    let is_wanted = |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_match(name));
    let unknown = if ignore_unknown_fields { UnknownFields::Ignore } else { UnknownFields::Refuse };
    let enabled = features.enabled();
    let reading = Reading { unknown, features: enabled.language };
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layout = if diff { Layout::Difference { coloured } } else { Layout::Both };
    let mut reports = Vec::with_capacity(files.len());
    for file in &files {
        let report = FileReport {
            file: file.display().to_string(),
            run_at: jiff::Timestamp::now().round(jiff::Unit::Second)?.to_string(),
            outcome: test_file(file, reading, enabled, debug, &is_wanted),
        };
        tell(&report, layout);
        reports.push(report);
    }
    if let Some(path) = &junit {
        std::fs::write(path, report::junit(&reports)).with_context(|| format!("--junit={}", path.display()))?;
    }
    Ok(if reports.iter().all(FileReport::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(report: &FileReport, layout: Layout) {
    match &report.outcome {
        Err(error) => complain(&format!("{}: FAILED:\n{error}", report.file)),
        Ok(tests) if report.is_good() => say(&format!("{}: SUCCESS, {} tests passed", report.file, tests.len())),
        Ok(tests) => {
            let failed = tests.iter().filter(|test| !test.failures.is_empty()).count();
            complain(&format!("{}: FAILED, {failed} of {} tests:", report.file, tests.len()));
            for test in tests {
                for failure in &test.failures {
                    complain(&report::show(&test.name, failure, layout));
                }
            }
        }
    }
}

fn test_file(
    path: &Path,
    reading: Reading,
    enabled: Enabled,
    debug: bool,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<TestReport>, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let file = file::load(&name, &text, reading.unknown, is_wanted).map_err(|faults| faults.to_string())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for glob in file::empty_globs(&file.rule_files, folder) {
        complain(&format!("{name}: warning: no file matches rule_files: {glob}"));
    }
    let rule_files = rule_files(&file.rule_files, folder, reading)?;
    let mut reports = Vec::with_capacity(file.tests.len());
    for test in &file.tests {
        let failures = run::run(test, &file, &rule_files, enabled, debug);
        reports.push(TestReport { name: test.name.clone(), failures });
    }
    Ok(reports)
}

fn rule_files(globs: &[String], folder: &Path, reading: Reading) -> Result<Vec<RuleFile>, String> {
    rules::load_rule_files(globs, folder, reading)
        .map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of `testdata/test_rules`, how many tests they have, and what is said about the first failure.
    const CASES: &str = r#"
pass.yml => 4 tests
pass-fuzzy.yml => 1 tests
fail-exact.yml => 1 tests; exp: - {} 0.3 got: - {} 0.30000000000000004
fail-field.yml => fail-field.yml:2:5: tests[0].promql_expr_tests: unknown field `promql_expr_tests`; did you mean `promql_expr_test`?
fail-label.yml => 1 tests; alertname: Silent, time: 4m, exp: - label alertname: "Silent" label severity: "ticket"
fail-name.yml => fail-name.yml:5:9: tests[0].alert_rule_test[0]: alertname is missing; write the name of the alert to test
fail-order.yml => fail-order.yml:2:27: group_eval_order[1]: the group "first" stands here twice
fail-rule.yml => 1 tests; group: broken, rule: same, time: 0s, err: vector cannot contain metrics with the same labelset
"#;

    #[test]
    fn files_of_tests() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/test_rules");
        for case in CASES.trim().lines() {
            let (name, expected) = case.split_once(" => ").unwrap();
            let outcome = test_file(&folder.join(name), Reading::default(), Enabled::default(), false, &|_| true);
            let said = match &outcome {
                Ok(tests) => {
                    let failures = tests.iter().flat_map(|test| test.failures.iter().map(|f| (&test.name, f)));
                    let first = failures.map(|(name, f)| format!("; {}", report::show(name, f, Layout::Both))).next();
                    let words = first.unwrap_or_default();
                    format!("{} tests{words}", tests.len())
                }
                Err(error) => error.replace(&format!("{}/", folder.display()), ""),
            };
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            let said = said.replace("name: unnamed#0, ", "").replace("expr: \"0.1 + 0.2\", time: 0s, ", "");
            assert!(said.starts_with(expected), "in case `{case}`:\n{said}");
            let is_good = outcome.is_ok_and(|tests| tests.iter().all(|test| test.failures.is_empty()));
            assert_eq!(is_good, name.starts_with("pass"), "in case `{case}`");
        }
    }
}
