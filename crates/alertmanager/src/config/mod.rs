//! `alertmanager.yml`, read and checked.

mod check;
mod file;
mod receiver_checks;
pub mod receivers;
mod redact;

use crate::{route::Route, time_interval::TimeInterval};
use receivers::IntegrationConfig;
use regexp::LabelMatcher;
use std::{collections::BTreeMap, path::Path, time::Duration};
use yaml::{Fault, Faults};

/// A checked configuration: every receiver exists, every matcher compiles.
#[derive(Clone, Debug)]
pub struct Config {
    original: String,
    file: String,
    pub resolve_timeout: Duration,
    pub route: Route,
    pub inhibit_rules: Vec<InhibitRule>,
    pub receivers: Vec<Receiver>,
    /// Globs, relative ones made relative to the configuration's folder.
    pub templates: Vec<String>,
    pub time_intervals: BTreeMap<String, Vec<TimeInterval>>,
    warnings: Vec<String>,
}

/// An entry of `receivers`.
#[derive(Clone, Debug)]
pub struct Receiver {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub integrations: Vec<IntegrationConfig>,
}

/// An entry of `inhibit_rules`.
#[derive(Clone, Debug)]
pub struct InhibitRule {
    pub name: String,
    pub source: Vec<LabelMatcher>,
    pub target: Vec<LabelMatcher>,
    /// Labels that must have the same value in both.
    pub equal: Vec<String>,
}

impl Config {
    /// Reads a configuration; file names inside it are relative to `file`'s folder.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Config, Faults> {
        let (raw, places) = yaml::from_str_with_places::<file::File>(file, text)?;
        let base = Path::new(file).parent().unwrap_or(Path::new(""));
        check::check(raw, &places, base, text)
    }

    /// Reads a configuration from a file.
    ///
    /// # Errors
    /// As [`Config::parse`]; a file that cannot be read is a fault without a place.
    pub fn load(path: &Path) -> Result<Config, Faults> {
        let file = path.to_string_lossy();
        match std::fs::read_to_string(path) {
            Ok(text) => Config::parse(&file, &text),
            Err(error) => Err(Faults {
                file: file.into_owned(),
                faults: vec![Fault { line: 0, column: 0, path: String::new(), message: error.to_string() }],
            }),
        }
    }

    /// The configuration of somebody who has none: one receiver named `default` that tells nobody.
    pub fn empty() -> Config {
        let text = "route:\n  receiver: default\nreceivers:\n  - name: default\n";
        Config::parse("", text).expect("the constant text is a valid configuration")
    }

    /// The text as it was read, secrets included.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// The text with `<secret>` for everything that must not be shown; for pages and APIs.
    pub fn shown(&self) -> String {
        redact::redacted(&self.original)
    }

    /// The name of the file it was read from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What loads but will not do what its author hopes, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;
