//! What rules are refused, with the whole message, and what the others make of labels.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use relabel::{RelabelConfig, Rules};
use std::path::Path;

fn config(text: &str) -> RelabelConfig {
    let mut config = RelabelConfig::default();
    for field in text.split_whitespace() {
        let (key, value) = field.split_once('=').unwrap();
        let value = Some(value.to_owned());
        match key {
            "action" => config.action = value,
            "source" => config.source_labels = value.map(|v| v.split(',').map(str::to_owned).collect()),
            "regex" => config.regex = value,
            "target" => config.target_label = value,
            "replacement" => config.replacement = value,
            "separator" => config.separator = value,
            "modulus" => config.modulus = value.and_then(|v| v.parse().ok()),
            other => panic!("field {other}"),
        }
    }
    config
}

const CASES: &str = r#"
action=replace                                  => relabel configuration for replace action requires 'target_label' value
action=hashmod target=x                         => relabel configuration for hashmod requires non-zero modulus
action=keepequal source=a                       => relabel configuration for keepequal action requires 'target_label' value
action=dropequal target=x regex=foo             => dropequal action requires only 'source_labels' and `target_label`, and no other fields
action=lowercase target=x replacement=y         => 'replacement' can not be set for lowercase action
action=labeldrop target=x                       => labeldrop action requires only 'regex', and no other fields
action=labelkeep source=x                       => labelkeep action requires only 'regex', and no other fields
action=labelmap regex=(.*) replacement=$         => "$" is invalid 'replacement' for labelmap action
action=replace target=${                        => "${" is invalid 'target_label' for replace action
action=nothing                                  => unknown relabel action "nothing"; known are replace, lowercase, uppercase, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep
action=                                         => relabel action cannot be empty; leave the line out for `replace`
action=REPLACE source=a target=x                => {a="1", b="2", x="1"}
source=a,b target=x separator=- regex=(.)-(.) replacement=$2$1 => {a="1", b="2", x="21"}
source=a target=b replacement=                  => {a="1"}
source=none target=x replacement=y              => {a="1", b="2", x="y"}
action=keep source=a regex=2                    => dropped
action=labelmap regex=(a) replacement=new_$1    => {a="1", b="2", new_a="1"}
action=labeldrop regex=a|c                      => {b="2"}
action=labelkeep regex=a|c                      => {a="1"}
"#;

#[test]
fn rules_and_refusals() {
    let labels = model::Labels::from_pairs([("a", "1"), ("b", "2")]);
    for case in CASES.trim().lines() {
        let (rule, expected) = case.split_once("=> ").unwrap();
        let said = match Rules::new(&[config(rule.trim_end())]) {
            Err(errors) => errors[0].1.to_string(),
            Ok(rules) => rules.apply(&labels).map_or("dropped".into(), |labels| labels.to_string()),
        };
        assert_eq!(said, expected, "in case `{case}`");
    }
}

#[test]
fn prometheus_cases() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/config/relabel"));
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let (passed, failures) = relabel::conformance::run_conformance(folder).unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed >= 19, "only {passed} cases were found");
}
