//! Groups of targets, as every mechanism gives them.

use model::Labels;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Files and HTTP answers beyond this many targets are refused.
pub(crate) const TARGETS_MAX: usize = 1_000_000;

/// Targets that share labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Which part of the mechanism's answer it is, for messages.
    pub source: String,
    /// Labels of the group, `__meta_*` among them.
    pub labels: Labels,
    /// One set for each target; `__address__` at least.
    pub targets: Vec<Labels>,
}

impl TargetGroup {
    /// A group of addresses.
    pub fn new(source: impl Into<String>, labels: Labels, addresses: impl IntoIterator<Item = String>) -> Self {
        let targets = addresses.into_iter().map(|address| Labels::from_pairs([("__address__", address)])).collect();
        TargetGroup { source: source.into(), labels, targets }
    }
}

/// A group as files and HTTP answers write it, and `static_configs`, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WrittenGroup {
    /// Addresses, `host:port`.
    pub targets: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl WrittenGroup {
    /// The group with `meta` added to its labels.
    pub(crate) fn into_group(self, source: String, meta: &[(&str, &str)]) -> TargetGroup {
        let mut labels = Labels::from_pairs(&self.labels).to_builder();
        for (name, value) in meta {
            labels.set(name, value);
        }
        TargetGroup::new(source, labels.build(), self.targets)
    }
}

/// Reads a JSON list of groups; `null` entries are left out.
pub(crate) fn parse_json(text: &[u8]) -> Result<Vec<WrittenGroup>, String> {
    let groups: Vec<Option<WrittenGroup>> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    limited(groups)
}

/// Reads a YAML list of groups.
pub(crate) fn parse_yaml(file: &str, text: &str) -> Result<Vec<WrittenGroup>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let groups: Vec<Option<WrittenGroup>> = yaml::from_str(file, text).map_err(|faults| faults.to_string())?;
    limited(groups)
}

fn limited(groups: Vec<Option<WrittenGroup>>) -> Result<Vec<WrittenGroup>, String> {
    let groups: Vec<WrittenGroup> = groups.into_iter().flatten().collect();
    let targets: usize = groups.iter().map(|group| group.targets.len()).sum();
    if targets > TARGETS_MAX {
        return Err(format!("{targets} targets, more than {TARGETS_MAX}"));
    }
    Ok(groups)
}
