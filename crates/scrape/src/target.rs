//! From a discovered label set to a target: defaults, relabelling, the URL.

use crate::config::{ScrapeJob, shown};
use discovery::TargetGroup;
use model::duration::parse_duration_ms;
use model::{Labels, LabelsBuilder};
use relabel::Rules;
use std::time::Duration;

/// A target of a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// Before relabelling, with the job's defaults: what the service-discovery page shows.
    pub(crate) discovered: Labels,
    /// After relabelling, with those that start with `__` but without `__meta_*`. Two targets with equal ones are one.
    pub(crate) identity: Labels,
    /// Those that its series get.
    pub(crate) labels: Labels,
    pub(crate) url: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// What became of a discovered label set.
pub(crate) enum Resolved {
    Target(Box<Target>),
    /// Relabelling dropped it; its labels before.
    Dropped(Labels),
    /// It had no address, and no rule gave it one: not worth a word, as in Prometheus.
    Nothing,
    Fault(String),
}

/// All label sets of a group.
pub(crate) fn discovered(group: &TargetGroup) -> impl Iterator<Item = LabelsBuilder> {
    group.targets.iter().map(|target| {
        let mut builder = group.labels.to_builder();
        for (name, value) in target {
            builder.set(name, value);
        }
        builder
    })
}

pub(crate) fn resolve(mut labels: LabelsBuilder, job: &ScrapeJob, rules: &Rules) -> Resolved {
    let (interval, timeout) = (shown(job.scrape_interval), shown(job.scrape_timeout));
    let defaults = [
        ("job", job.job_name.as_str()),
        ("__scrape_interval__", &interval),
        ("__scrape_timeout__", &timeout),
        ("__metrics_path__", &job.metrics_path),
        ("__scheme__", &job.scheme),
    ];
    for (name, value) in defaults {
        if labels.get(name).is_none() {
            labels.set(name, value);
        }
    }
    for (name, values) in &job.params {
        let name = format!("__param_{name}");
        if let Some(first) = values.first()
            && labels.get(&name).is_none()
        {
            labels.set(&name, first);
        }
    }
    let before = labels.build();
    if !rules.apply_to(&mut labels) {
        return Resolved::Dropped(before);
    }
    finish(before, labels, job)
}

fn finish(before: Labels, mut labels: LabelsBuilder, job: &ScrapeJob) -> Resolved {
    let Some(address) = labels.get("__address__").map(str::to_owned) else {
        return if before.get("__address__").is_none() { Resolved::Nothing } else { Resolved::Dropped(before) };
    };
    if address.contains('/') {
        return Resolved::Fault(format!("{address:?} is not a valid hostname"));
    }
    let duration = |name: &str, default: Duration| match labels.get(name) {
        None => Ok(default),
        Some(text) => match parse_duration_ms(text) {
            Ok(0) => Err(format!("{name} cannot be 0")),
            Ok(ms) => Ok(Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
            Err(error) => Err(format!("{name} {text:?}: {error}")),
        },
    };
    let (interval, timeout) = match (
        duration("__scrape_interval__", job.scrape_interval),
        duration("__scrape_timeout__", job.scrape_timeout),
    ) {
        (Ok(interval), Ok(timeout)) => (interval, timeout),
        (Err(fault), _) | (_, Err(fault)) => return Resolved::Fault(fault),
    };
    if timeout > interval {
        return Resolved::Fault(format!(
            "scrape timeout cannot be greater than scrape interval ({} > {})",
            shown(timeout),
            shown(interval)
        ));
    }
    let meta: Vec<String> = labels.iter().map(|(n, _)| n.to_owned()).filter(|n| n.starts_with("__meta_")).collect();
    for name in &meta {
        labels.delete(name);
    }
    if labels.get("instance").is_none() {
        labels.set("instance", &address);
    }
    let identity = labels.build();
    let public = Labels::from_sorted(identity.iter().filter(|(name, _)| !name.starts_with("__")));
    let url = url(&identity, job);
    Resolved::Target(Box::new(Target { discovered: before, labels: public, identity, url, interval, timeout }))
}

fn url(labels: &Labels, job: &ScrapeJob) -> String {
    let scheme = labels.get("__scheme__").unwrap_or("http");
    let address = labels.get("__address__").unwrap_or_default();
    let path = labels.get("__metrics_path__").unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    // The label holds the first value of a parameter; further ones are the job's.
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    for (name, value) in labels {
        if let Some(name) = name.strip_prefix("__param_") {
            parameters.push((name, value));
            parameters.extend(job.params.get(name).into_iter().flatten().skip(1).map(|value| (name, value.as_str())));
        }
    }
    for (name, values) in &job.params {
        if labels.get(&format!("__param_{name}")).is_none() {
            parameters.extend(values.iter().skip(1).map(|value| (name.as_str(), value.as_str())));
        }
    }
    let mut url = format!("{scheme}://{address}{slash}{path}");
    for (i, (name, value)) in parameters.iter().enumerate() {
        url.push(if i > 0 || path.contains('?') { '&' } else { '?' });
        encode(&mut url, name);
        url.push('=');
        encode(&mut url, value);
    }
    url
}

/// As Go's `url.QueryEscape`.
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
