//! What the rules say about alerts: the value now, the expression with its limit. The alert API carries neither.

use super::course::Measured;
use crate::client::{self, use_polled};
use crate::memo::{Memo, memo};
use api::rules::{Rule, RuleAlert, RulesData};
use dashboard::units::id_of_inferred;
use leptos::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Values move with the evaluation interval, which is rarely shorter.
const REFRESH_MS: u32 = 15_000;

/// An alert as its rule sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Active {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
    /// What shows the value and the limit: an id of [`dashboard::units`], `""` for plain numbers.
    pub unit: &'static str,
    pub expr: String,
    pub for_seconds: f64,
    pub rule: String,
    pub group: String,
}

/// Active alerts of all rules by alert name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(HashMap<String, Vec<Active>>);

impl Values {
    pub fn new(data: &RulesData) -> Self {
        let mut values: HashMap<String, Vec<Active>> = HashMap::new();
        for group in &data.groups {
            for rule in &group.rules {
                let Rule::Alerting { name, query, duration, alerts, .. } = rule else { continue };
                let limit = Measured::of(query).limit.map(|(_, limit)| limit);
                values.entry(name.clone()).or_default().extend(alerts.iter().flatten().map(|alert| {
                    let value = model::float::parse_float(&alert.value).unwrap_or(f64::NAN);
                    Active {
                        labels: alert.labels.clone(),
                        value,
                        unit: unit_of(alert, value, limit),
                        expr: query.clone(),
                        for_seconds: *duration,
                        rule: name.clone(),
                        group: group.name.clone(),
                    }
                }));
            }
        }
        Values(values)
    }

    /// The rule's view of an alert: its labels are all among those of the alert, which may have more, for the server
    /// adds its external labels when it sends. The one with the most labels wins.
    pub fn find(&self, labels: &BTreeMap<String, String>) -> Option<&Active> {
        let candidates = self.0.get(labels.get("alertname")?)?.iter();
        candidates
            .filter(|active| active.labels.iter().all(|(name, value)| labels.get(name) == Some(value)))
            .max_by_key(|active| active.labels.len())
    }
}

/// The id of what shows the value of an alert, and the limit beside it.
pub fn unit_of(alert: &RuleAlert, value: f64, limit: Option<f64>) -> &'static str {
    let limit = limit.unwrap_or(value);
    alert.unit.as_deref().map_or("", |unit| id_of_inferred(unit, Some((value.min(limit), value.max(limit)))))
}

/// The values of all alerts, refreshed.
pub fn use_values() -> Memo<Values> {
    let rules = use_polled(REFRESH_MS, client::prometheus::rules);
    memo(move || rules.data.with(|rules| rules.as_ref().map(Values::new).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_finds_its_rule() {
        let data: RulesData = serde_json::from_str(
            r#"{"groups":[{"name":"g","file":"f","interval":5,"limit":0,"evaluationTime":0,"lastEvaluation":"","rules":[
            {"type":"alerting","state":"firing","name":"Down","query":"up == 0","duration":60,"keepFiringFor":0,"labels":{},
             "annotations":{},"health":"ok","evaluationTime":0,"lastEvaluation":"","alerts":[
             {"labels":{"alertname":"Down","job":"a"},"annotations":{},"state":"firing","value":"0e+00"},
             {"labels":{"alertname":"Down","job":"b"},"annotations":{},"state":"pending","value":"1.5e+00","unit":"seconds"}]}]}]}"#,
        )
        .unwrap();
        let values = Values::new(&data);
        let labels = |text: &str| {
            text.split(' ').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
        };
        assert_eq!(values.find(&labels("alertname=Down job=b region=eu")).unwrap().value, 1.5);
        assert_eq!(values.find(&labels("alertname=Down job=b")).unwrap().unit, "s");
        assert_eq!(values.find(&labels("alertname=Down job=a")).unwrap().expr, "up == 0");
        assert_eq!(values.find(&labels("alertname=Down job=c")), None);
        assert_eq!(values.find(&labels("alertname=Up job=a")), None);
    }
}
