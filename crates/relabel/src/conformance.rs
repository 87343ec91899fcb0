//! Runs `relabel-cases.yml`: input labels, rules, and the labels that must come out.

use crate::{RelabelConfig, Rules};
use model::Labels;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    input: BTreeMap<String, String>,
    #[serde(default)]
    relabel_configs: Vec<RelabelConfig>,
    #[serde(default)]
    output: BTreeMap<String, String>,
    #[serde(default)]
    dropped: bool,
}

/// Runs the cases of `folder`, which is the conformance folder or its `config/relabel`. Gives the number of
/// cases that passed, and a line for each that did not.
///
/// # Errors
/// The file cannot be read or is no list of cases.
pub fn run_conformance(folder: &Path) -> Result<(usize, Vec<String>), String> {
    let whole = folder.join("config/relabel");
    let path = if whole.is_dir() { whole } else { folder.to_owned() }.join("relabel-cases.yml");
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
    let cases: Cases = yaml::from_str(&name, &text).map_err(|faults| faults.to_string())?;
    let (mut passed, mut failures) = (0, Vec::new());
    for (index, case) in cases.cases.iter().enumerate() {
        let expected = if case.dropped { None } else { Some(Labels::from_pairs(&case.output)) };
        match Rules::new(&case.relabel_configs) {
            Err(errors) => {
                let messages: Vec<_> = errors.into_iter().map(|(_, error)| error.to_string()).collect();
                failures.push(format!("case {index}: refused: {}", messages.join("; ")));
            }
            Ok(rules) => {
                let got = rules.apply(&Labels::from_pairs(&case.input));
                if got == expected {
                    passed += 1;
                } else {
                    let show = |l: &Option<Labels>| l.as_ref().map_or("dropped".to_owned(), Labels::to_string);
                    failures.push(format!("case {index}: expected {}, got {}", show(&expected), show(&got)));
                }
            }
        }
    }
    Ok((passed, failures))
}
