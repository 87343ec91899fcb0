//! `<relabel_config>` as written. Source: the Prometheus configuration reference.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Separator between the values of `source_labels` where none is given.
pub(crate) const SEPARATOR_DEFAULT: &str = ";";
pub(crate) const REGEX_DEFAULT: &str = "(.*)";
pub(crate) const REPLACEMENT_DEFAULT: &str = "$1";

/// One rule as written; absent fields have their defaults when it is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelabelConfig {
    /// Labels whose values are joined by `separator` and matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_labels: Option<Vec<String>>,
    /// `;` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// RE2, anchored at both ends. `(.*)` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// For `hashmod`: into so many classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulus: Option<u64>,
    /// The label that is written; `replace` fills in groups of the regex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
    /// `$1` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// `replace` if absent; upper and lower case are the same.
    #[serde(deserialize_with = "written_action", skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// `action:` without a value is a fault, not the default.
fn written_action<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(Option::<String>::deserialize(deserializer)?.unwrap_or_default()))
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Replace,
    Lowercase,
    Uppercase,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
}

impl Action {
    const ALL: [Action; 11] = [
        Action::Replace,
        Action::Lowercase,
        Action::Uppercase,
        Action::Keep,
        Action::Drop,
        Action::KeepEqual,
        Action::DropEqual,
        Action::HashMod,
        Action::LabelMap,
        Action::LabelDrop,
        Action::LabelKeep,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Action::Replace => "replace",
            Action::Lowercase => "lowercase",
            Action::Uppercase => "uppercase",
            Action::Keep => "keep",
            Action::Drop => "drop",
            Action::KeepEqual => "keepequal",
            Action::DropEqual => "dropequal",
            Action::HashMod => "hashmod",
            Action::LabelMap => "labelmap",
            Action::LabelDrop => "labeldrop",
            Action::LabelKeep => "labelkeep",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Action::ALL.into_iter().find(|action| action.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a rule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    #[error("relabel action cannot be empty; leave the line out for `replace`")]
    ActionEmpty,
    #[error(
        "unknown relabel action {0:?}; known are replace, lowercase, uppercase, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep"
    )]
    ActionUnknown(String),
    #[error("relabel configuration for hashmod requires non-zero modulus")]
    ModulusMissing,
    #[error("relabel configuration for {0} action requires 'target_label' value")]
    TargetLabelMissing(Action),
    #[error("{label:?} is invalid 'target_label' for {action} action")]
    TargetLabelInvalid { label: String, action: Action },
    #[error("'replacement' can not be set for {0} action")]
    ReplacementGiven(Action),
    #[error("{replacement:?} is invalid 'replacement' for labelmap action")]
    ReplacementInvalid { replacement: String },
    #[error("{0} action requires only 'source_labels' and `target_label`, and no other fields")]
    OnlySourceAndTarget(Action),
    #[error("{0} action requires only 'regex', and no other fields")]
    OnlyRegex(Action),
    #[error("regex {pattern:?}: {source}")]
    Regex { pattern: String, source: regexp::RegexpError },
}

impl RelabelConfig {
    /// The action, `replace` if none is written.
    ///
    /// # Errors
    /// `ActionEmpty`, `ActionUnknown`.
    pub fn action(&self) -> Result<Action, RelabelError> {
        match self.action.as_deref() {
            None => Ok(Action::Replace),
            Some("") => Err(RelabelError::ActionEmpty),
            Some(text) => Action::parse(text).ok_or_else(|| RelabelError::ActionUnknown(text.to_owned())),
        }
    }

    /// Checks that the fields fit the action.
    ///
    /// # Errors
    /// The first contradiction, in Prometheus' order and words.
    pub fn validate(&self) -> Result<Action, RelabelError> {
        let action = self.action()?;
        let target_label = self.target_label.as_deref().unwrap_or_default();
        let replacement = self.replacement.as_deref().unwrap_or(REPLACEMENT_DEFAULT);
        let writes_target = matches!(action, Action::Replace | Action::HashMod | Action::Lowercase | Action::Uppercase);
        let compares = matches!(action, Action::KeepEqual | Action::DropEqual);
        if action == Action::HashMod && self.modulus.unwrap_or(0) == 0 {
            return Err(RelabelError::ModulusMissing);
        }
        if (writes_target || compares) && target_label.is_empty() {
            return Err(RelabelError::TargetLabelMissing(action));
        }
        // Any UTF-8 is a label's name since Prometheus 3; a template must still look like a name.
        if action == Action::Replace && target_label.contains('$') && !is_name_template(target_label) {
            return Err(RelabelError::TargetLabelInvalid { label: target_label.to_owned(), action });
        }
        if (compares || matches!(action, Action::Lowercase | Action::Uppercase)) && replacement != REPLACEMENT_DEFAULT {
            return Err(RelabelError::ReplacementGiven(action));
        }
        if action == Action::LabelMap
            && (replacement.is_empty() || replacement.contains('$') && !is_name_template(replacement))
        {
            return Err(RelabelError::ReplacementInvalid { replacement: replacement.to_owned() });
        }
        let modulus = self.modulus.unwrap_or(0) != 0;
        let separator = self.separator.as_deref().is_some_and(|text| text != SEPARATOR_DEFAULT);
        let regex = self.regex.as_deref().is_some_and(|text| text != REGEX_DEFAULT);
        if compares && (regex || modulus || separator || replacement != REPLACEMENT_DEFAULT) {
            return Err(RelabelError::OnlySourceAndTarget(action));
        }
        if matches!(action, Action::LabelDrop | Action::LabelKeep)
            && (self.source_labels.is_some()
                || !target_label.is_empty()
                || modulus
                || separator
                || replacement != REPLACEMENT_DEFAULT)
        {
            return Err(RelabelError::OnlyRegex(action));
        }
        Ok(action)
    }
}

/// Letters, digits, `_` and references, in which a digit starts neither the text nor a part after a reference
/// unless a letter came before it: Prometheus' `^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$`.
fn is_name_template(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = text;
    let mut started = false;
    while let Some(c) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix("${") {
            let Some((name, tail)) = tail.split_once('}') else { return false };
            if name.is_empty() || !name.chars().all(word) {
                return false;
            }
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix('$') {
            let end = tail.find(|c| !word(c)).unwrap_or(tail.len());
            if end == 0 {
                return false;
            }
            rest = &tail[end..];
        } else if c.is_ascii_alphabetic() || c == '_' || (started && c.is_ascii_digit()) {
            rest = &rest[1..];
        } else {
            return false;
        }
        started = true;
    }
    started
}
