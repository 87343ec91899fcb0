//! The upstream cases, where they are at hand, and our own in `crates/promql/testdata`.

// Helpers of tests are tests, too.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::{fs, path::Path};

/// As many of the upstream cases passed when this was written, which was all of them.
const PASSED_AT_LEAST: usize = 1748;

fn run_folder(folder: &Path) -> (usize, Vec<String>) {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let (mut passed, mut failed) = (0, Vec::new());
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let report = promqltest::run_file(&name, &fs::read_to_string(&path).unwrap());
        passed += report.passed;
        failed.extend(report.failed.iter().map(|f| format!("{name}:{}: {}\n    {}", f.line, f.query, f.reason)));
    }
    (passed, failed)
}

#[test]
fn upstream_cases() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/promql/prometheus"));
    if !folder.exists() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let (passed, failed) = run_folder(folder);
    assert!(passed >= PASSED_AT_LEAST, "{passed} passed, expected {PASSED_AT_LEAST}:\n{}", failed.join("\n"));
}

#[test]
fn own_cases() {
    let (passed, failed) = run_folder(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../promql/testdata")));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(passed >= 200, "only {passed} cases were found");
}

/// Whatever can be called has a case of our own.
#[test]
fn everything_is_called() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../promql/testdata"));
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let cases: String = files
        .flat_map(|text| text.lines().filter(|line| line.starts_with("eval")).map(str::to_owned).collect::<Vec<_>>())
        .collect::<Vec<_>>()
        .join("\n");
    let is_called = |name: &str| {
        cases.match_indices(name).any(|(at, _)| {
            let before = cases[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
            let after = cases[at + name.len()..].trim_start();
            before && (after.starts_with('(') || after.starts_with("by") || after.starts_with("without"))
        })
    };
    let functions = promql_syntax::FUNCTIONS.iter().map(|function| function.name);
    let names = functions.chain(promql_syntax::AGGREGATIONS.iter().map(|(name, _)| *name));
    let missing: Vec<&str> = names.filter(|name| !is_called(name)).collect();
    assert!(missing.is_empty(), "no case of {missing:?} in {}", folder.display());
}

/// The runner must notice what is wrong, or the cases prove nothing.
#[test]
fn wrong_expectations_fail() {
    let load = "load 1m\n  m{a=\"1\"} 1 2 3\n  m{a=\"2\"} 4 _ 6\n  h {{schema:0 count:2 sum:3 buckets:[2]}}\n\n";
    for (eval, reason) in [
        ("eval instant at 0 m{a=\"1\"}\n  m{a=\"1\"} 2", "got 1, expected 2"),
        ("eval instant at 0 m\n  m{a=\"1\"} 1", "unexpected {__name__=\"m\", a=\"2\"} 4"),
        ("eval instant at 0 m{a=\"1\"}\n  m{a=\"1\"} 1\n  m{a=\"3\"} 1", "{__name__=\"m\", a=\"3\"} is missing"),
        ("eval instant at 0 m{a=\"1\"}\n", "unexpected"),
        ("eval instant at 0 h\n  h 1", "expected 1"),
        ("eval instant at 0 h\n  h {{schema:0 count:2 sum:3 buckets:[1 1]}}", "got FloatHistogram"),
        ("eval instant at 0 1\n  2", "got scalar 1, expected 2"),
        ("eval instant at 0 \"a\"\n  expect string \"b\"", "got string"),
        ("eval instant at 0 sort_desc(m)\n  expect ordered\n  m{a=\"1\"} 1\n  m{a=\"2\"} 4", "stands in place"),
        ("eval instant at 0 m\n  expect fail", "expected to fail"),
        ("eval instant at 0 m + on() m\n  expect fail msg: other", "failed as expected, but with"),
        ("eval instant at 1m rate(m{a=\"1\"}[2m])\n  expect no_info\n  {a=\"1\"} 1", "expected no info"),
        ("eval instant at 1m abs(m{a=\"1\"})\n  expect warn\n  {a=\"1\"} 2", "expected warning"),
        ("eval range from 0 to 2m step 1m m{a=\"2\"}\n  m{a=\"2\"} 4 4 _", "unexpected 6 at 120000 ms"),
        ("eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2 3 3", "expected 3 at 180000 ms"),
        ("eval instant at 0 m{\n", "parse error"),
        ("evil instant at 0 m", "no command"),
    ] {
        let report = promqltest::run_file("wrong", &format!("{load}{eval}\n"));
        let [failure] = report.failed.as_slice() else { panic!("`{eval}` gave {report:?}") };
        assert!(failure.reason.contains(reason), "`{eval}` failed with: {}", failure.reason);
    }
}

#[test]
fn series_notation() {
    let line = promqltest::parse_series("m{a=\"x\"} 1+2x2 _x2 stale -1e3 {{count:1}}x1 5m").unwrap();
    let shown: Vec<String> = (line.values.iter())
        .map(|value| match value {
            None => "_".to_owned(),
            Some(model::SampleValue::Float(value)) => value.to_string(),
            Some(model::SampleValue::Histogram(h)) => format!("h{}", h.count),
        })
        .collect();
    assert_eq!(shown, ["1", "3", "5", "_", "_", "NaN", "-1000", "h1", "h1", "300"]);
    for wrong in ["m 1x", "m a", "m{ 1", "m {{count:1", "m {{colour:1}}", "m 1x99999999999", "m {{schema:99}}"] {
        assert!(promqltest::parse_series(wrong).is_err(), "`{wrong}`");
    }
}
