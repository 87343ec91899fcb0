//! Alerts of one rule: pending, firing, resolved.

use crate::config::TEMPLATE_VARIABLES;
use go_template::{Functions, Limits, Template, Value};
use model::Labels;
use std::collections::{BTreeMap, HashMap};

/// How long a resolved alert is still told, in case a message got lost.
const RESOLVED_RETENTION_MS: i64 = 15 * 60 * 1000;
/// An annotation's execution may use so much.
const TEMPLATE_LIMITS: Limits = Limits { steps: 200_000, output_bytes: 1 << 20, depth: 50 };

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Inactive,
    Pending,
    Firing,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Inactive => "inactive",
            State::Pending => "pending",
            State::Firing => "firing",
        }
    }
}

/// One alert of a rule. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ActiveAlert {
    pub(crate) state: State,
    pub(crate) annotations: Labels,
    pub(crate) value: f64,
    pub(crate) active_at_ms: i64,
    pub(crate) fired_at_ms: i64,
    pub(crate) resolved_at_ms: Option<i64>,
    pub(crate) last_sent_at_ms: Option<i64>,
    pub(crate) keep_firing_since_ms: Option<i64>,
}

/// All alerts of a rule by their labels.
pub(crate) type ActiveAlerts = HashMap<Labels, ActiveAlert>;

/// What a rule says about one element of its query's answer.
pub(crate) struct Found {
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) value: f64,
}

/// Label and annotation texts of a rule, parsed for one evaluation.
pub(crate) struct Texts {
    labels: Vec<(String, Result<Template, String>)>,
    annotations: Vec<(String, Result<Template, String>)>,
    constants: [(&'static str, Value); 2],
}

impl Texts {
    pub(crate) fn new(
        name: &str,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
        functions: &Functions,
        external_labels: &Labels,
        external_url: &str,
    ) -> Texts {
        let parse = |texts: &BTreeMap<String, String>| {
            texts
                .iter()
                .map(|(key, text)| {
                    let template = Template::parse(&format!("__alert_{name}"), text, functions, &TEMPLATE_VARIABLES);
                    (key.clone(), template.map_err(|error| error.to_string()))
                })
                .collect()
        };
        Texts {
            labels: parse(labels),
            annotations: parse(annotations),
            constants: [
                ("$externalLabels", Value::string_map(external_labels)),
                ("$externalURL", Value::str(external_url)),
            ],
        }
    }

    /// Executes all texts for one element. A text that fails says so in its place. Runs queries: blocks.
    pub(crate) fn expand(&self, alert_name: &str, metric: &Labels, value: f64) -> Found {
        let labels = Value::string_map(metric);
        let [external_labels, external_url] = self.constants.clone();
        let data = Value::map([
            ("Labels", labels.clone()),
            ("Value", Value::Float(value)),
            ("ExternalLabels", external_labels.1.clone()),
            ("ExternalURL", external_url.1.clone()),
        ]);
        let variables = [("$labels", labels), ("$value", Value::Float(value)), external_labels, external_url];
        let run = |template: &Result<Template, String>| {
            let result = match template {
                Ok(template) => {
                    template.execute(&data, &variables, &TEMPLATE_LIMITS).map_err(|error| error.to_string())
                }
                Err(error) => Err(error.clone()),
            };
            result.unwrap_or_else(|error| format!("<error expanding template: {error}>"))
        };
        let mut builder = metric.without_name().to_builder();
        for (name, template) in &self.labels {
            builder.set(name, &run(template));
        }
        builder.set("alertname", alert_name);
        let annotations = Labels::from_pairs(self.annotations.iter().map(|(name, template)| (name, run(template))));
        Found { labels: builder.build(), annotations, value }
    }
}

/// Takes what was found at `now_ms` into the alerts. Returns the alerts that are pending or firing now.
///
/// # Errors
/// More alerts than `limit` (0: any number): then all are forgotten.
pub(crate) fn advance(
    active: &mut ActiveAlerts,
    found: Vec<Found>,
    now_ms: i64,
    for_ms: i64,
    keep_firing_for_ms: i64,
    limit: usize,
) -> Result<usize, String> {
    let mut present = std::collections::HashSet::with_capacity(found.len());
    for one in found {
        present.insert(one.labels.clone());
        match active.get_mut(&one.labels) {
            Some(alert) if alert.state != State::Inactive => {
                alert.value = one.value;
                alert.annotations = one.annotations;
            }
            _ => {
                let alert = ActiveAlert {
                    state: State::Pending,
                    annotations: one.annotations,
                    value: one.value,
                    active_at_ms: now_ms,
                    fired_at_ms: 0,
                    resolved_at_ms: None,
                    last_sent_at_ms: None,
                    keep_firing_since_ms: None,
                };
                active.insert(one.labels, alert);
            }
        }
    }
    let mut count = 0;
    active.retain(|labels, alert| {
        if present.contains(labels) {
            alert.keep_firing_since_ms = None;
        } else {
            let mut keeps = false;
            if alert.state == State::Firing && keep_firing_for_ms > 0 {
                let since = *alert.keep_firing_since_ms.get_or_insert(now_ms);
                keeps = now_ms - since < keep_firing_for_ms;
            }
            let told_enough = alert.resolved_at_ms.is_some_and(|resolved| now_ms - resolved > RESOLVED_RETENTION_MS);
            if alert.state == State::Pending || told_enough {
                return false;
            }
            if !keeps {
                if alert.state != State::Inactive {
                    alert.state = State::Inactive;
                    alert.resolved_at_ms = Some(now_ms);
                }
                return true;
            }
        }
        count += 1;
        if alert.state == State::Pending && now_ms - alert.active_at_ms >= for_ms {
            alert.state = State::Firing;
            alert.fired_at_ms = now_ms;
        }
        true
    });
    if limit > 0 && count > limit {
        active.clear();
        return Err(format!("exceeded limit of {limit} with {count} alerts"));
    }
    Ok(count)
}

/// The alerts to be told now; notes that they are.
pub(crate) fn to_send(
    active: &mut ActiveAlerts,
    now_ms: i64,
    resend_delay_ms: i64,
    interval_ms: i64,
    external_labels: &Labels,
    generator_url: &str,
) -> Vec<model::Alert> {
    // Valid for two lost messages or evaluations more.
    let valid_for_ms = resend_delay_ms.max(interval_ms).saturating_mul(4);
    let mut alerts = Vec::new();
    for (labels, alert) in active.iter_mut() {
        if alert.state == State::Pending {
            continue;
        }
        let news = match (alert.resolved_at_ms, alert.last_sent_at_ms) {
            (_, None) => true,
            (Some(resolved), Some(sent)) if resolved > sent => true,
            (_, Some(sent)) => sent.saturating_add(resend_delay_ms) < now_ms,
        };
        if !news {
            continue;
        }
        alert.last_sent_at_ms = Some(now_ms);
        let mut builder = labels.to_builder();
        for (name, value) in external_labels {
            if labels.get(name).is_none() {
                builder.set(name, value);
            }
        }
        alerts.push(model::Alert {
            labels: builder.build(),
            annotations: alert.annotations.clone(),
            starts_at_ms: alert.fired_at_ms,
            ends_at_ms: Some(alert.resolved_at_ms.unwrap_or(now_ms.saturating_add(valid_for_ms))),
            generator_url: generator_url.to_owned(),
        });
    }
    alerts.sort_by(|a, b| a.labels.cmp(&b.labels));
    alerts
}

/// When an alert became active, as it counts after a restart. `was_active_at_ms`: what the storage says;
/// `seen_ms`: when it said so last. Source: Prometheus' `RestoreForState`.
pub(crate) fn restored_active_at_ms(
    was_active_at_ms: i64,
    seen_ms: i64,
    now_ms: i64,
    for_ms: i64,
    grace_ms: i64,
) -> i64 {
    let remaining_ms = for_ms - (seen_ms - was_active_at_ms);
    if remaining_ms <= 0 {
        // It was firing.
        was_active_at_ms
    } else if remaining_ms < grace_ms {
        // It would fire at once; the first evaluations after a restart are given some time.
        now_ms + grace_ms - for_ms
    } else {
        // The outage does not count as waiting.
        was_active_at_ms + (now_ms - seen_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Vec<Found> {
        if name.is_empty() {
            return Vec::new();
        }
        let labels = Labels::from_pairs([("alertname", name)]);
        vec![Found { labels, annotations: Labels::empty(), value: 1.0 }]
    }

    /// Seconds, what the query finds (`-` for nothing), `=>`, the alert's state and whether it is told.
    fn timeline(cases: &str, for_ms: i64, keep_ms: i64) {
        let mut active = ActiveAlerts::new();
        for case in cases.trim().lines() {
            let (input, expected) = case.split_once(" => ").unwrap();
            let (seconds, name) = input.split_once(' ').unwrap();
            let now_ms = seconds.parse::<i64>().unwrap() * 1000;
            advance(&mut active, found(name.trim_matches('-')), now_ms, for_ms, keep_ms, 0).unwrap();
            let sent = to_send(&mut active, now_ms, 60_000, 15_000, &Labels::empty(), "");
            let state = active.values().next().map_or("none", |alert| alert.state.as_str());
            let sent = sent.first().map_or("", |a| if a.ends_at_ms == Some(now_ms) { " resolved" } else { " told" });
            assert_eq!(format!("{state}{sent}"), expected, "in case `{case}`");
        }
    }

    #[test]
    fn pending_firing_resolved() {
        timeline(
            "
0 A => pending
15 A => pending
30 A => firing told
45 A => firing
91 A => firing told
105 - => inactive resolved
120 - => inactive
170 - => inactive told
1100 - => none
1115 A => pending
1130 - => none
",
            30_000,
            0,
        );
    }

    #[test]
    fn keeps_firing() {
        timeline(
            "0 A => firing told\n15 - => firing\n29 - => firing\n30 A => firing\n45 - => firing\n75 - => inactive resolved",
            0,
            30_000,
        );
    }

    #[test]
    fn restored_times() {
        let (minute, hour) = (60_000, 3_600_000);
        // Fired before; nearly fired; had long to wait.
        assert_eq!(restored_active_at_ms(0, hour, 2 * hour, hour, 10 * minute), 0);
        assert_eq!(restored_active_at_ms(0, 55 * minute, 2 * hour, hour, 10 * minute), hour + 10 * minute);
        assert_eq!(restored_active_at_ms(0, 20 * minute, 2 * hour, hour, 10 * minute), hour + 40 * minute);
    }
}
