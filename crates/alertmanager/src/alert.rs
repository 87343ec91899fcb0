//! Alerts as they are kept: merged, with their identity.

use crate::{config::InhibitRule, route::Route};
use model::Labels;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// An alert that was taken in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredAlert {
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    /// Unix milliseconds.
    pub(crate) starts_at_ms: i64,
    pub(crate) ends_at_ms: i64,
    pub(crate) generator_url: String,
    pub(crate) updated_at_ms: i64,
    /// The end was not sent but follows from `resolve_timeout`.
    pub(crate) timeout: bool,
    pub(crate) fingerprint: u64,
}

impl StoredAlert {
    pub(crate) fn is_resolved_at(&self, now_ms: i64) -> bool {
        self.ends_at_ms <= now_ms
    }
}

/// Prometheus' fingerprint of a label set: FNV-1a over names and values, each followed by 0xff.
pub fn fingerprint(labels: &Labels) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = OFFSET;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    };
    for (name, value) in labels {
        add(name.as_bytes());
        add(&[0xff]);
        add(value.as_bytes());
        add(&[0xff]);
    }
    hash
}

/// The order of alerts in a notification: by job, by instance, then by all labels.
pub(crate) fn order(a: &Labels, b: &Labels) -> Ordering {
    for name in ["job", "instance"] {
        let by_name = match (a.get(name), b.get(name)) {
            (None, None) => Ordering::Equal,
            (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
            (Some(a), Some(b)) => a.cmp(b),
        };
        if by_name != Ordering::Equal {
            return by_name;
        }
    }
    order_of_sets(a, b)
}

/// Prometheus' order of label sets: the smaller set first, then name by name; a set that lacks a name first.
pub(crate) fn order_of_sets(a: &Labels, b: &Labels) -> Ordering {
    let by_size = a.len().cmp(&b.len());
    if by_size != Ordering::Equal {
        return by_size;
    }
    let names: BTreeSet<&str> = a.iter().chain(b.iter()).map(|(name, _)| name).collect();
    for name in names {
        let by_name = match (a.get(name), b.get(name)) {
            (None, _) => Ordering::Less,
            (_, None) => Ordering::Greater,
            (Some(a), Some(b)) => a.cmp(b),
        };
        if by_name != Ordering::Equal {
            return by_name;
        }
    }
    Ordering::Equal
}

/// One occurrence told twice becomes one: earliest start, latest news.
fn merge(old: &StoredAlert, new: StoredAlert) -> StoredAlert {
    let now_ms = new.updated_at_ms.max(old.updated_at_ms);
    let (old, mut merged) = if new.updated_at_ms < old.updated_at_ms { (new, old.clone()) } else { (old.clone(), new) };
    merged.starts_at_ms = merged.starts_at_ms.min(old.starts_at_ms);
    if merged.is_resolved_at(now_ms) {
        // Of two ends that were told, the later counts.
        if old.is_resolved_at(now_ms) {
            merged.ends_at_ms = merged.ends_at_ms.max(old.ends_at_ms);
        }
    } else if old.ends_at_ms > merged.ends_at_ms && !old.timeout {
        // An end that was sent rules over one that was assumed, if it is later.
        merged.ends_at_ms = old.ends_at_ms;
    }
    merged
}

/// All alerts, and which of them inhibit others.
#[derive(Default)]
pub(crate) struct AlertStore {
    alerts: BTreeMap<u64, Arc<StoredAlert>>,
    rules: Vec<InhibitRule>,
    /// For each rule: fingerprints of its source alerts by the values of its `equal` labels.
    sources: Vec<HashMap<Vec<String>, BTreeSet<u64>>>,
}

impl AlertStore {
    /// Takes the rules of a configuration.
    pub(crate) fn set_rules(&mut self, rules: Vec<InhibitRule>) {
        self.sources = vec![HashMap::new(); rules.len()];
        self.rules = rules;
        let alerts: Vec<_> = self.alerts.values().cloned().collect();
        for alert in alerts {
            self.index(&alert);
        }
    }

    fn index(&mut self, alert: &StoredAlert) {
        for (rule, sources) in self.rules.iter().zip(&mut self.sources) {
            if rule.source.iter().all(|matcher| matcher.matches_labels(&alert.labels)) {
                sources.entry(equal_values(rule, &alert.labels)).or_default().insert(alert.fingerprint);
            }
        }
    }

    /// Takes an alert; returns what it is together with what was known.
    pub(crate) fn put(&mut self, alert: StoredAlert) -> Arc<StoredAlert> {
        let fingerprint = alert.fingerprint;
        let alert = match self.alerts.get(&fingerprint) {
            Some(old) => {
                let overlaps = (alert.ends_at_ms > old.starts_at_ms && alert.ends_at_ms < old.ends_at_ms)
                    || (alert.starts_at_ms > old.starts_at_ms && alert.starts_at_ms < old.ends_at_ms);
                if overlaps { merge(old, alert) } else { alert }
            }
            None => {
                self.index(&alert);
                alert
            }
        };
        let alert = Arc::new(alert);
        self.alerts.insert(fingerprint, Arc::clone(&alert));
        alert
    }

    /// All, by fingerprint.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<StoredAlert>> {
        self.alerts.values()
    }

    /// The alerts that inhibit one with these labels: the first found of each rule.
    pub(crate) fn inhibited_by(&self, labels: &Labels, now_ms: i64) -> Vec<u64> {
        let mut found = Vec::new();
        for (rule, sources) in self.rules.iter().zip(&self.sources) {
            if !rule.target.iter().all(|matcher| matcher.matches_labels(labels)) {
                continue;
            }
            // An alert that is both source and target must not inhibit its equals, nor itself.
            let is_source = rule.source.iter().all(|matcher| matcher.matches_labels(labels));
            let candidates = sources.get(&equal_values(rule, labels));
            let source = candidates.into_iter().flatten().filter_map(|fp| self.alerts.get(fp)).find(|source| {
                let is_peer = is_source && rule.target.iter().all(|matcher| matcher.matches_labels(&source.labels));
                !is_peer && !source.is_resolved_at(now_ms)
            });
            if let Some(source) = source
                && !found.contains(&source.fingerprint)
            {
                found.push(source.fingerprint);
            }
        }
        found
    }

    /// Forgets what is resolved.
    pub(crate) fn collect_garbage(&mut self, now_ms: i64) {
        self.alerts.retain(|_, alert| !alert.is_resolved_at(now_ms));
        let alerts = &self.alerts;
        for sources in &mut self.sources {
            sources.retain(|_, fingerprints| {
                fingerprints.retain(|fp| alerts.contains_key(fp));
                !fingerprints.is_empty()
            });
        }
    }
}

fn equal_values(rule: &InhibitRule, labels: &Labels) -> Vec<String> {
    rule.equal.iter().map(|name| labels.get(name).unwrap_or_default().to_owned()).collect()
}

/// What names a group in the notification log and in webhooks.
pub(crate) fn group_key(route: &Route, labels: &Labels) -> String {
    format!("{}:{labels}", route.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_of_upstream() {
        // Read off the golden answers of a real server.
        for (pairs, expected) in [
            (vec![("1a b", "x")], "f579997f6eff37a7"),
            (
                vec![("alertname", "Golden"), ("instance", "b:80"), ("job", "api"), ("severity", "page")],
                "2a4caa52dd2f8ecb",
            ),
        ] {
            assert_eq!(format!("{:016x}", fingerprint(&Labels::from_pairs(pairs))), expected);
        }
    }
}
