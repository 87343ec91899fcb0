//! Which alert stands where: groups by chosen labels, the worst first, then the newest.

use crate::pages::parts::time_text::parse_rfc3339_ms;
use api::alerts::GettableAlert;
use dashboard::sorting::Order;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What the `severity` label means here. The label is a convention, not a format: its common spellings are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    pub fn of(labels: &BTreeMap<String, String>) -> Severity {
        match labels.get("severity").map(|text| text.to_lowercase()).as_deref() {
            Some("critical" | "crit" | "page" | "error" | "emergency" | "alert" | "high" | "fatal" | "disaster") => {
                Severity::Critical
            }
            Some("info" | "information" | "informational" | "none" | "notice" | "low" | "debug") => Severity::Info,
            _ => Severity::Warning,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// Alerts that share the values of the labels they are grouped by.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Label and value, in the order the labels were chosen; a label that is missing is left out.
    pub labels: Vec<(String, String)>,
    pub alerts: Vec<GettableAlert>,
}

impl Group {
    /// Stable name of the group: its labels as text.
    pub fn key(&self) -> String {
        self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    }

    pub fn worst(&self) -> Severity {
        self.alerts.iter().map(|alert| Severity::of(&alert.labels)).min().unwrap_or(Severity::Info)
    }
}

/// The order of alerts: not muted before muted, worst first, then newest, then by name so that ties stay put.
fn rank(alert: &GettableAlert) -> impl Ord + use<> {
    let suppressed = alert.status.state == "suppressed";
    let started_ms = parse_rfc3339_ms(&alert.starts_at).unwrap_or(0);
    (suppressed, Severity::of(&alert.labels), Reverse(started_ms), alert.fingerprint.clone())
}

/// Sorts `alerts` and puts them into groups; the group with the first alert comes first. Without labels to group
/// by there is one group, without alerts none.
pub fn group_alerts(mut alerts: Vec<GettableAlert>, group_by: &[String]) -> Vec<Group> {
    alerts.order_by_cached_key(rank);
    let mut places: BTreeMap<Vec<(String, String)>, usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for alert in alerts {
        let labels: Vec<_> =
            group_by.iter().filter_map(|name| Some((name.clone(), alert.labels.get(name)?.clone()))).collect();
        let place = *places.entry(labels.clone()).or_insert_with(|| {
            groups.push(Group { labels, alerts: Vec::new() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.alerts.push(alert);
        }
    }
    groups
}

/// Label names that occur, the most frequent first: what one can group by.
pub fn label_names(alerts: &[GettableAlert]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in alerts.iter().flat_map(|alert| alert.labels.keys()) {
        *counts.entry(name).or_default() += 1;
    }
    let mut names: Vec<_> = counts.into_iter().collect();
    names.order_by_key(|(name, count)| (Reverse(*count), *name));
    names.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// One line about an alert: its `summary`, else `description`, else `message`, else its labels.
pub fn summary(alert: &GettableAlert) -> String {
    let annotation = ["summary", "description", "message"].iter().find_map(|name| alert.annotations.get(*name));
    annotation.filter(|text| !text.is_empty()).cloned().unwrap_or_else(|| {
        let labels = alert.labels.iter().filter(|(name, _)| *name != "alertname" && *name != "severity");
        labels.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
    })
}

/// The name of an alert, which every alert of a rule has and a foreign one may lack.
pub fn alert_name(alert: &GettableAlert) -> String {
    alert.labels.get("alertname").cloned().unwrap_or_else(|| "(no alertname)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(labels: &str, starts_at: &str, state: &str) -> GettableAlert {
        let labels =
            labels.split(' ').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned()));
        let mut alert =
            GettableAlert { labels: labels.collect(), starts_at: starts_at.to_owned(), ..Default::default() };
        alert.status.state = state.to_owned();
        alert
    }

    #[test]
    fn worst_first_then_newest_then_groups() {
        let alerts = vec![
            alert("alertname=Old severity=warning job=a", "2026-11-22T10:00:00Z", "active"),
            alert("alertname=New severity=warning job=b", "2026-11-22T12:00:00Z", "active"),
            alert("alertname=Muted severity=critical job=a", "2026-11-22T12:00:00Z", "suppressed"),
            alert("alertname=Bad severity=page job=a", "2026-11-22T09:00:00Z", "active"),
            alert("alertname=Note severity=none", "2026-11-22T13:00:00Z", "active"),
        ];
        let said: Vec<_> = group_alerts(alerts.clone(), &["job".to_owned()])
            .iter()
            .map(|group| {
                format!("{}: {}", group.key(), group.alerts.iter().map(alert_name).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(said, ["job=a: Bad Old Muted", "job=b: New", ": Note"]);
        assert_eq!(group_alerts(alerts.clone(), &[]).len(), 1);
        assert_eq!(group_alerts(Vec::new(), &["job".to_owned()]), []);
        assert_eq!(label_names(&alerts), ["alertname", "severity", "job"]);
    }
}
