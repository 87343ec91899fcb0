//! Rule files: read, checked with all faults at their places.

use go_template::{Functions, Template, functions::PrometheusHost};
use model::{Labels, duration::parse_duration_ms};
use promql_syntax::{Expr, Features};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::Arc,
};
use yaml::{Fault, Faults, Places, UnknownFields};

/// Variables that label and annotation templates may use.
pub(crate) const TEMPLATE_VARIABLES: [&str; 4] = ["$labels", "$value", "$externalLabels", "$externalURL"];

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct File {
    groups: Vec<GroupConfig>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GroupConfig {
    name: String,
    interval: Option<String>,
    query_offset: Option<String>,
    limit: Option<u64>,
    labels: BTreeMap<String, String>,
    rules: Vec<RuleConfig>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RuleConfig {
    record: Option<String>,
    alert: Option<String>,
    expr: Option<String>,
    r#for: Option<String>,
    keep_firing_for: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// A rule file, read and checked.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// The name as the glob gave it.
    pub path: String,
    pub groups: Vec<RuleGroup>,
}

/// A group of rules, evaluated one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleGroup {
    pub name: String,
    /// `None`: `global.evaluation_interval`.
    pub interval_ms: Option<i64>,
    /// `None`: `global.rule_query_offset`.
    pub query_offset_ms: Option<i64>,
    /// Most series or alerts of one rule; 0: any number.
    pub limit: usize,
    pub rules: Vec<Rule>,
}

/// A rule, with the labels of its group.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Of the metric, or of the alert.
    pub name: String,
    pub kind: RuleKind,
    /// As Prometheus prints it.
    pub query: String,
    pub expr: Arc<Expr>,
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleKind {
    Recording,
    Alerting { for_ms: i64, keep_firing_for_ms: i64, annotations: BTreeMap<String, String> },
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind && self.query == other.query && self.labels == other.labels
    }
}

/// Go's functions as annotations know them, for checking: nothing is queried.
fn checking_functions() -> Functions {
    go_template::functions::prometheus(PrometheusHost {
        query: Arc::new(|_| Ok(Vec::new())),
        external_url: String::new(),
        now_ms: 0,
    })
}

/// How rule files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Fields that nobody knows may be left to others.
    pub unknown: UnknownFields,
    /// What may stand in expressions.
    pub features: Features,
}

impl Default for Reading {
    /// Nothing unknown, and the whole language.
    fn default() -> Self {
        Reading { unknown: UnknownFields::Refuse, features: Features::ALL }
    }
}

/// Reads one rule file. Its expressions may use the whole language.
///
/// # Errors
/// Everything that is wrong, with its place.
pub fn check_rules(file: &str, text: &str) -> Result<RuleFile, Faults> {
    check_rules_with(file, text, Reading::default())
}

/// As [`check_rules`], as it is told.
///
/// # Errors
/// As [`check_rules`].
pub fn check_rules_with(file: &str, text: &str, reading: Reading) -> Result<RuleFile, Faults> {
    let (raw, places) = yaml::from_str_with::<File>(file, text, reading.unknown)?;
    let mut check = Check {
        places: &places,
        lines: text.lines().collect(),
        faults: Vec::new(),
        functions: checking_functions(),
        features: reading.features,
    };
    let mut names = BTreeSet::new();
    let mut groups = Vec::with_capacity(raw.groups.len());
    for (i, group) in raw.groups.iter().enumerate() {
        let path = format!("groups[{i}]");
        if group.name.is_empty() {
            check.fault(&path, "Groupname must not be empty");
        } else if !names.insert(&group.name) {
            check.fault(&format!("{path}.name"), format!("groupname: {:?} is repeated in the same file", group.name));
        }
        groups.push(check.group(&path, group));
    }
    let faults = check.faults;
    places.check(faults)?;
    Ok(RuleFile { path: file.to_owned(), groups })
}

struct Check<'a> {
    places: &'a Places,
    lines: Vec<&'a str>,
    faults: Vec<Fault>,
    functions: Functions,
    features: Features,
}

impl Check<'_> {
    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(self.places.fault(path, message));
    }

    fn duration(&mut self, path: &str, text: Option<&str>) -> Option<i64> {
        match text.map(parse_duration_ms)? {
            Ok(ms) => Some(ms),
            Err(error) => {
                self.fault(path, error.to_string());
                None
            }
        }
    }

    fn group(&mut self, path: &str, group: &GroupConfig) -> RuleGroup {
        self.labels(&format!("{path}.labels"), &group.labels);
        let interval_ms = self.duration(&format!("{path}.interval"), group.interval.as_deref()).filter(|ms| *ms > 0);
        let query_offset_ms = self.duration(&format!("{path}.query_offset"), group.query_offset.as_deref());
        let rules = group
            .rules
            .iter()
            .enumerate()
            .filter_map(|(i, rule)| self.rule(&format!("{path}.rules[{i}]"), rule, &group.labels))
            .collect();
        RuleGroup {
            name: group.name.clone(),
            interval_ms,
            query_offset_ms,
            limit: usize::try_from(group.limit.unwrap_or(0)).unwrap_or(usize::MAX),
            rules,
        }
    }

    fn labels(&mut self, path: &str, labels: &BTreeMap<String, String>) {
        for name in labels.keys() {
            if name.is_empty() || name == model::labels::METRIC_NAME {
                self.fault(&format!("{path}.{name}"), format!("invalid label name: {name}"));
            }
        }
    }

    fn rule(&mut self, path: &str, rule: &RuleConfig, group_labels: &BTreeMap<String, String>) -> Option<Rule> {
        let text = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let (record, alert) = (text(&rule.record), text(&rule.alert));
        match (&record, &alert) {
            (Some(_), Some(_)) => self.fault(path, "only one of 'record' and 'alert' must be set"),
            (None, None) => self.fault(path, "one of 'record' or 'alert' must be set"),
            _ => {}
        }
        self.labels(&format!("{path}.labels"), &rule.labels);
        for name in rule.annotations.keys().filter(|name| name.is_empty()) {
            self.fault(&format!("{path}.annotations"), format!("invalid annotation name: {name}"));
        }
        let for_ms = self.duration(&format!("{path}.for"), rule.r#for.as_deref()).unwrap_or(0);
        let keep_firing_for_ms =
            self.duration(&format!("{path}.keep_firing_for"), rule.keep_firing_for.as_deref()).unwrap_or(0);
        if let Some(record) = &record {
            for (key, is_set) in [
                ("annotations", !rule.annotations.is_empty()),
                ("for", for_ms != 0),
                ("keep_firing_for", keep_firing_for_ms != 0),
            ] {
                if is_set {
                    self.fault(&format!("{path}.{key}"), format!("invalid field '{key}' in recording rule"));
                }
            }
            if record.contains(['{', '}']) {
                self.fault(
                    &format!("{path}.record"),
                    format!("braces present in the recording rule name; should it be in expr?: {record}"),
                );
            }
        } else {
            for (section, texts) in [("labels", &rule.labels), ("annotations", &rule.annotations)] {
                for (name, text) in texts.iter().filter(|(_, text)| text.contains("{{")) {
                    if let Err(error) = Template::parse(name, text, &self.functions, &TEMPLATE_VARIABLES) {
                        let what = section.trim_end_matches('s');
                        self.fault(&format!("{path}.{section}.{name}"), format!("{what} {name:?}: {error}"));
                    }
                }
            }
        }
        let expr_path = format!("{path}.expr");
        let Some(query) = text(&rule.expr) else {
            self.fault(path, "field 'expr' must be set in rule");
            return None;
        };
        let expr = match promql_syntax::parse_with(&query, self.features) {
            Ok(expr) => expr,
            Err(error) => {
                let message = format!(
                    "could not parse expression: {}:{}: parse error: {}{}",
                    error.line,
                    error.column,
                    error.message,
                    error.remedy()
                );
                let mut fault = self.places.fault(&expr_path, message);
                (fault.line, fault.column) = self.place_inside(fault.line, fault.column, error.line, error.column);
                self.faults.push(fault);
                return None;
            }
        };
        let mut labels = group_labels.clone();
        labels.extend(rule.labels.clone());
        let kind = match alert {
            Some(_) => RuleKind::Alerting { for_ms, keep_firing_for_ms, annotations: rule.annotations.clone() },
            None => RuleKind::Recording,
        };
        Some(Rule { name: alert.or(record)?, kind, query: expr.to_string(), expr: Arc::new(expr), labels })
    }

    /// Where a fault inside a scalar stands in the file, given where the scalar begins.
    fn place_inside(&self, line: usize, column: usize, inner_line: usize, inner_column: usize) -> (usize, usize) {
        let text_at =
            |line: usize| line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default();
        let header = text_at(line.saturating_sub(1)).trim_end().trim_end_matches(|c: char| "+-0123456789".contains(c));
        if header.ends_with('|') {
            return (line + inner_line - 1, column + inner_column - 1);
        }
        let first = text_at(line).chars().nth(column.saturating_sub(1));
        let quote = usize::from(matches!(first, Some('"' | '\'')));
        // Folded lines cannot be told apart any more: what lies behind the first is placed at the beginning.
        let inside = column + quote + inner_column - 1;
        if inner_line == 1 && inside <= text_at(line).chars().count() + 1 { (line, inside) } else { (line, column) }
    }
}

/// Reads all files that the globs name (`rules/*.yml`), relative to `base_dir`, each once, sorted within a glob.
/// Blocks on the disk.
///
/// # Errors
/// The faults of all files that have some.
pub fn load_rule_files(globs: &[String], base_dir: &Path, reading: Reading) -> Result<Vec<RuleFile>, Vec<Faults>> {
    let (mut files, mut faults, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    let unreadable = |file: &Path, error: &io::Error| Faults {
        file: file.to_string_lossy().into_owned(),
        faults: vec![Fault { line: 0, column: 0, path: String::new(), message: error.to_string() }],
    };
    for glob in globs {
        let pattern = base_dir.join(glob);
        let paths = match system::glob::glob(&pattern) {
            Ok(paths) => paths,
            Err(error) => {
                faults.push(unreadable(&pattern, &error));
                continue;
            }
        };
        for path in paths {
            if !seen.insert(path.clone()) {
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => match check_rules_with(&path.to_string_lossy(), &text, reading) {
                    Ok(file) => files.push(file),
                    Err(found) => faults.push(found),
                },
                Err(error) => faults.push(unreadable(&path, &error)),
            }
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(faults) }
}

impl Rule {
    /// The labels as a set, templates unexecuted.
    pub fn label_set(&self) -> Labels {
        Labels::from_pairs(&self.labels)
    }
}
