//! What went wrong, for people and for build servers.

use super::run::{Failure, show_value};
use model::duration::format_duration_ms;
use model::{Labels, SampleValue};
use rules::FiringAlert;
use std::fmt::Write as _;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// How two lists that should be the same are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// All of both.
    Both,
    /// What only one has, `-` for what is missing and `+` for what is too much.
    Difference { coloured: bool },
}

/// A test that was run.
pub(super) struct TestReport {
    pub(super) name: String,
    pub(super) failures: Vec<Failure>,
}

/// A file of tests: its tests, or why there are none.
pub(super) struct FileReport {
    pub(super) file: String,
    /// When it was run, RFC 3339.
    pub(super) run_at: String,
    pub(super) outcome: Result<Vec<TestReport>, String>,
}

impl FileReport {
    pub(super) fn is_good(&self) -> bool {
        matches!(&self.outcome, Ok(tests) if tests.iter().all(|test| test.failures.is_empty()))
    }
}

/// One failure in some lines, without a line break at the end.
pub(super) fn show(test: &str, failure: &Failure, layout: Layout) -> String {
    let time = |ms: &i64| format_duration_ms(*ms);
    match failure {
        Failure::Rule { time_ms, failure } => format!(
            "    name: {test}, group: {}, rule: {}, time: {},\n        err: {}",
            failure.group,
            failure.rule,
            time(time_ms),
            failure.error
        ),
        Failure::Alerts { time_ms, name, expected, got } => format!(
            "    name: {test}, alertname: {name}, time: {},\n{}",
            time(time_ms),
            lists(&alerts(expected), &alerts(got), layout)
        ),
        Failure::Query { time_ms, text, error } => {
            format!("    name: {test}, expr: {text:?}, time: {},\n        err: {error}", time(time_ms))
        }
        Failure::Samples { time_ms, text, expected, got } => format!(
            "    name: {test}, expr: {text:?}, time: {},\n{}",
            time(time_ms),
            lists(&samples(expected), &samples(got), layout)
        ),
        Failure::Input { error } => format!("    name: {test},\n        err: {error}"),
    }
}

fn alerts(alerts: &[FiringAlert]) -> Vec<Vec<String>> {
    let entry = |alert: &FiringAlert| {
        let labels = |kind: &str, labels: &Labels| labels.iter().map(|(n, v)| format!("{kind} {n}: {v:?}")).collect();
        let lines: [Vec<String>; 2] = [labels("label", &alert.labels), labels("annotation", &alert.annotations)];
        lines.concat()
    };
    alerts.iter().map(entry).collect()
}

fn samples(samples: &[(Labels, SampleValue)]) -> Vec<Vec<String>> {
    samples.iter().map(|(labels, value)| vec![format!("{labels} {}", show_value(value))]).collect()
}

/// Entries of some lines each, expected and got.
fn lists(expected: &[Vec<String>], got: &[Vec<String>], layout: Layout) -> String {
    const INDENT: &str = "            ";
    let mut out = String::new();
    match layout {
        Layout::Both => {
            for (title, entries) in [("exp", expected), ("got", got)] {
                let separator = if title == "exp" { "\n" } else { "" };
                if entries.is_empty() {
                    let _ = write!(out, "        {title}: nothing{separator}");
                    continue;
                }
                let _ = write!(out, "        {title}:");
                for entry in entries {
                    for (index, line) in entry.iter().enumerate() {
                        let mark = if index == 0 { "- " } else { "  " };
                        let _ = write!(out, "\n{INDENT}{mark}{line}");
                    }
                }
                out.push_str(separator);
            }
        }
        Layout::Difference { coloured } => {
            let (minus, plus, plain) = if coloured { (RED, GREEN, PLAIN) } else { ("", "", "") };
            out.push_str("        diff (- expected, + got):");
            for (sign, colour, line) in difference(&expected.concat(), &got.concat()) {
                let colour = match colour {
                    Colour::None => "",
                    Colour::Minus => minus,
                    Colour::Plus => plus,
                };
                let end = if colour.is_empty() { "" } else { plain };
                let _ = write!(out, "\n          {colour}{sign} {line}{end}");
            }
        }
    }
    out
}

enum Colour {
    None,
    Minus,
    Plus,
}

/// Longest lists of lines that are compared line by line; the table of the comparison has the square of it.
const LINES_MAX: usize = 2000;

/// The lines of both by their longest common subsequence.
fn difference<'a>(expected: &'a [String], got: &'a [String]) -> Vec<(char, Colour, &'a str)> {
    let (rows, columns) = (expected.len(), got.len());
    let mut out = Vec::with_capacity(rows + columns);
    if rows.max(columns) > LINES_MAX {
        out.extend(expected.iter().map(|line| ('-', Colour::Minus, line.as_str())));
        out.extend(got.iter().map(|line| ('+', Colour::Plus, line.as_str())));
        return out;
    }
    // common[i][j]: longest common subsequence of what is left from i and j on.
    let width = columns + 1;
    let mut common = vec![0_u32; (rows + 1) * width];
    let at = |table: &[u32], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or(0);
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            let value = if expected.get(i) == got.get(j) {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i * width + j) {
                *cell = value;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    loop {
        match (expected.get(i), got.get(j)) {
            (Some(a), Some(b)) if a == b => {
                out.push((' ', Colour::None, a.as_str()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                out.push(('-', Colour::Minus, a.as_str()));
                i += 1;
            }
            (_, Some(b)) => {
                out.push(('+', Colour::Plus, b.as_str()));
                j += 1;
            }
            _ => return out,
        }
    }
}

/// The reports in JUnit's XML: a suite a file, a case a test.
pub(super) fn junit(reports: &[FileReport]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        let tests = report.outcome.as_deref().unwrap_or_default();
        let failures: usize = tests.iter().map(|test| test.failures.len()).sum();
        let (count, errors) = if report.outcome.is_err() { (1, 1) } else { (tests.len(), 0) };
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\" timestamp=\"{}\">",
            escape(&report.file),
            report.run_at
        );
        for test in tests {
            let _ = write!(out, "    <testcase name=\"{}\">", escape(&test.name));
            for failure in &test.failures {
                let _ = write!(out, "<failure>{}</failure>", escape(&show(&test.name, failure, Layout::Both)));
            }
            out.push_str("</testcase>\n");
        }
        if let Err(error) = &report.outcome {
            let _ = writeln!(out, "    <testcase name=\"loading\"><error>{}</error></testcase>", escape(error));
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// For texts and attributes; characters that XML has no place for become a replacement character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_keep_what_both_have() {
        let lines = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let shown = |a: &str, b: &str| {
            let (a, b) = (lines(a), lines(b));
            difference(&a, &b).iter().map(|(sign, _, line)| format!("{sign}{line}")).collect::<Vec<_>>().join(",")
        };
        assert_eq!(shown("a b c", "a x c"), " a,-b,+x, c");
        assert_eq!(shown("", "a"), "+a");
        assert_eq!(shown("a b", ""), "-a,-b");
        assert_eq!(shown("a b c d", "b d e"), "-a, b,-c, d,+e");
    }

    #[test]
    fn junit_is_well_formed() {
        let failure = Failure::Query { time_ms: 60_000, text: "a < \"b\"".to_owned(), error: "x & y\u{1}".to_owned() };
        let reports = [
            FileReport {
                file: "a<b>.yml".to_owned(),
                run_at: "2026-01-01T00:00:00Z".to_owned(),
                outcome: Ok(vec![TestReport { name: "one \"two\"".to_owned(), failures: vec![failure] }]),
            },
            FileReport { file: "c.yml".to_owned(), run_at: String::new(), outcome: Err("no <such> file".to_owned()) },
        ];
        let text = junit(&reports);
        assert!(text.contains("<testsuite name=\"a&lt;b&gt;.yml\" tests=\"1\" failures=\"1\" errors=\"0\""), "{text}");
        assert!(text.contains("<testcase name=\"one &quot;two&quot;\"><failure>"), "{text}");
        assert!(text.contains("x &amp; y\u{fffd}</failure>"), "{text}");
        assert!(text.contains("<error>no &lt;such&gt; file</error>"), "{text}");
    }
}
