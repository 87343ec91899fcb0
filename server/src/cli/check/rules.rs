//! `vigie check rules`, and the rule files of `vigie check config`.

use super::{Lint, Outcome, complain, say};
use ::rules::{Reading, RuleFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Standard input if there are no files.
pub(super) fn check(files: &[PathBuf], lint: Lint, reading: Reading) -> Outcome {
    let from_stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { from_stdin.as_slice() } else { files };
    files.iter().fold(Outcome::default(), |all, file| all.and(one(file, lint, reading)))
}

fn one(file: &Path, lint: Lint, reading: Reading) -> Outcome {
    let is_stdin = file == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
    say(&format!("Checking {name}"));
    let text = if is_stdin { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let checked = text
        .map_err(|error| format!("{name}: {error}"))
        .and_then(|text| ::rules::check_rules_with(&name, &text, reading).map_err(|faults| faults.to_string()));
    let checked = match checked {
        Ok(checked) => checked,
        Err(faults) => {
            complain(&format!("  FAILED:\n{faults}"));
            return Outcome { is_wrong: true, ..Outcome::default() };
        }
    };
    let twice = if lint.duplicate_rules { duplicates(&checked) } else { Vec::new() };
    if twice.is_empty() {
        let count: usize = checked.groups.iter().map(|group| group.rules.len()).sum();
        say(&format!("  SUCCESS: {count} rules found"));
    } else {
        complain(&format!("  FAILED:\nlint error {}", sentence(&twice)));
    }
    say("");
    Outcome { has_remarks: !twice.is_empty(), ..Outcome::default() }
}

/// A rule that is there more than once: its name and labels.
type Twice<'a> = (&'a str, &'a BTreeMap<String, String>);

/// Rules of one name with the same labels: what they record or alert on gets mixed up.
fn duplicates(file: &RuleFile) -> Vec<Twice<'_>> {
    let mut counts: BTreeMap<Twice<'_>, usize> = BTreeMap::new();
    for rule in file.groups.iter().flat_map(|group| &group.rules) {
        *counts.entry((rule.name.as_str(), &rule.labels)).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(rule, _)| rule).collect()
}

fn sentence(twice: &[Twice<'_>]) -> String {
    let mut text = format!("{} duplicate rule(s) found.\n", twice.len());
    for (name, labels) in twice {
        text.push_str(&format!("Metric: {name}\nLabel(s):\n"));
        for (name, value) in *labels {
            text.push_str(&format!("\t{name}: {value}\n"));
        }
    }
    text.push_str("Might cause inconsistency while recording expressions");
    text
}
