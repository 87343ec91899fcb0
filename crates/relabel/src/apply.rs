//! Rules at work on a label set.

use crate::config::{REGEX_DEFAULT, REPLACEMENT_DEFAULT, SEPARATOR_DEFAULT};
use crate::{Action, RelabelConfig, RelabelError};
use md5::{Digest, Md5};
use model::{Labels, LabelsBuilder};
use regexp::Regexp;

/// A rule that was checked and compiled.
#[derive(Clone, Debug)]
pub struct Rule {
    action: Action,
    source_labels: Vec<String>,
    separator: String,
    regex: Regexp,
    modulus: u64,
    target_label: String,
    replacement: String,
    /// `replace` with nothing to match and nothing to fill in: sets a label, whatever the sources are.
    constant: bool,
}

/// Rules in the order in which they are applied.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Checks and compiles rules.
    ///
    /// # Errors
    /// Every rule that is refused, with its index.
    pub fn new(configs: &[RelabelConfig]) -> Result<Self, Vec<(usize, RelabelError)>> {
        let (mut rules, mut errors) = (Vec::with_capacity(configs.len()), Vec::new());
        for (index, config) in configs.iter().enumerate() {
            match Rule::new(config) {
                Ok(rule) => rules.push(rule),
                Err(error) => errors.push((index, error)),
            }
        }
        if errors.is_empty() { Ok(Rules(rules)) } else { Err(errors) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes `labels` rule by rule. False when a rule drops them; what is left in `labels` then has no meaning.
    pub fn apply_to(&self, labels: &mut LabelsBuilder) -> bool {
        self.0.iter().all(|rule| rule.apply(labels))
    }

    /// The labels after all rules, or `None` when they are dropped.
    pub fn apply(&self, labels: &Labels) -> Option<Labels> {
        if self.0.is_empty() {
            return Some(labels.clone());
        }
        let mut builder = labels.to_builder();
        self.apply_to(&mut builder).then(|| builder.build())
    }
}

impl Rule {
    /// Checks and compiles one rule.
    ///
    /// # Errors
    /// See [`RelabelError`].
    pub fn new(config: &RelabelConfig) -> Result<Self, RelabelError> {
        let action = config.validate()?;
        let pattern = config.regex.as_deref().unwrap_or(REGEX_DEFAULT);
        let regex =
            Regexp::anchored(pattern).map_err(|source| RelabelError::Regex { pattern: pattern.to_owned(), source })?;
        let target_label = config.target_label.clone().unwrap_or_default();
        let replacement = config.replacement.clone().unwrap_or_else(|| REPLACEMENT_DEFAULT.to_owned());
        Ok(Rule {
            constant: action == Action::Replace
                && pattern == REGEX_DEFAULT
                && !target_label.contains('$')
                && !replacement.contains('$'),
            action,
            source_labels: config.source_labels.clone().unwrap_or_default(),
            separator: config.separator.clone().unwrap_or_else(|| SEPARATOR_DEFAULT.to_owned()),
            regex,
            modulus: config.modulus.unwrap_or(0),
            target_label,
            replacement,
        })
    }

    /// Changes `labels`; false when the rule drops them.
    pub fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        match self.action {
            Action::Keep => self.regex.is_match(&self.joined(labels)),
            Action::Drop => !self.regex.is_match(&self.joined(labels)),
            Action::KeepEqual => labels.get(&self.target_label).unwrap_or_default() == self.joined(labels),
            Action::DropEqual => labels.get(&self.target_label).unwrap_or_default() != self.joined(labels),
            Action::Replace => {
                self.replace(labels);
                true
            }
            Action::Lowercase => {
                let lower = self.joined(labels).to_lowercase();
                labels.set(&self.target_label, &lower);
                true
            }
            Action::Uppercase => {
                let upper = self.joined(labels).to_uppercase();
                labels.set(&self.target_label, &upper);
                true
            }
            Action::HashMod => {
                let class = hash(&self.joined(labels)) % self.modulus.max(1);
                labels.set(&self.target_label, &class.to_string());
                true
            }
            Action::LabelMap => {
                let mapped: Vec<(String, String)> = labels
                    .iter()
                    .filter_map(|(name, value)| {
                        let captures = self.regex.captures(name)?;
                        Some((self.regex.expand(&self.replacement, name, &captures), value.to_owned()))
                    })
                    .collect();
                for (name, value) in mapped.iter().filter(|(name, _)| !name.is_empty()) {
                    labels.set(name, value);
                }
                true
            }
            Action::LabelDrop | Action::LabelKeep => {
                let drops = self.action == Action::LabelDrop;
                let dropped: Vec<String> = labels
                    .iter()
                    .filter(|(name, _)| self.regex.is_match(name) == drops)
                    .map(|(name, _)| name.to_owned())
                    .collect();
                for name in &dropped {
                    labels.delete(name);
                }
                true
            }
        }
    }

    fn replace(&self, labels: &mut LabelsBuilder) {
        if self.constant {
            labels.set(&self.target_label, &self.replacement);
            return;
        }
        let value = self.joined(labels);
        let Some(captures) = self.regex.captures(&value) else { return };
        let target = self.regex.expand(&self.target_label, &value, &captures);
        if !target.is_empty() {
            labels.set(&target, &self.regex.expand(&self.replacement, &value, &captures));
        }
    }

    fn joined(&self, labels: &LabelsBuilder) -> String {
        let mut joined = String::new();
        for (i, name) in self.source_labels.iter().enumerate() {
            if i > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(labels.get(name).unwrap_or_default());
        }
        joined
    }
}

/// The last eight bytes of the MD5 digest, big-endian: what Prometheus takes, so that shards agree with it.
fn hash(text: &str) -> u64 {
    let digest = Md5::digest(text.as_bytes());
    digest.iter().skip(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}
