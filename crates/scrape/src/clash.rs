//! Targets that end in one label set: each of their samples is another value of the same series at nearly the same
//! time, and whoever asks sees a mixture. Relabelling rules that were copied without one line do that.

use crate::config::ScrapeJob;
use crate::target::{Resolved, Target, discovered, resolve};
use discovery::TargetGroup;
use model::Labels;
use relabel::Rules;
use std::collections::BTreeMap;

/// Targets that a message names; the rest is counted.
const NAMED_MAX: usize = 3;
/// Label sets that are told of; where rules lose a label, all targets may be in the same case.
const TOLD_MAX: usize = 5;
/// Labels that most often hold what tells such targets apart, best first.
const TELLING: [&str; 3] = ["__param_target", "__address__", "__metrics_path__"];

/// A sentence for every label set in which targets of `static_configs` (with `files` also those of `file_sd_configs`,
/// read now) of these jobs meet after relabelling.
pub fn label_clashes(jobs: &[ScrapeJob], files: bool) -> Vec<String> {
    let mut by_labels = ByLabels::default();
    for job in jobs {
        let Ok(rules) = Rules::new(&job.relabel_configs) else { continue };
        let groups = if files { job.discovery.offline_groups() } else { job.discovery.static_groups() };
        for target in resolved(&groups, job, &rules) {
            by_labels.add(&job.job_name, &target);
        }
    }
    by_labels.sentences()
}

fn resolved<'a>(
    groups: &'a [TargetGroup],
    job: &'a ScrapeJob,
    rules: &'a Rules,
) -> impl Iterator<Item = Box<Target>> + 'a {
    groups.iter().flat_map(discovered).filter_map(move |labels| match resolve(labels, job, rules) {
        Resolved::Target(target) => Some(target),
        _ => None,
    })
}

/// Targets by the labels that their series get.
#[derive(Default)]
pub(crate) struct ByLabels(BTreeMap<Labels, Vec<(String, Labels, String)>>);

impl ByLabels {
    /// Notes a target of a job. One of the same identity in the same job is the same target.
    pub(crate) fn add(&mut self, job: &str, target: &Target) {
        let met = self.0.entry(target.labels.clone()).or_default();
        if !met.iter().any(|(other, identity, _)| other == job && *identity == target.identity) {
            met.push((job.to_owned(), target.identity.clone(), target.url.clone()));
        }
    }

    pub(crate) fn sentences(&self) -> Vec<String> {
        let mut clashes = self.0.iter().filter(|(_, met)| met.len() > 1);
        let mut sentences: Vec<String> =
            clashes.by_ref().take(TOLD_MAX).map(|(labels, met)| sentence(labels, met)).collect();
        let more = clashes.count();
        if more > 0 {
            sentences.push(format!("{more} more label sets have several targets each"));
        }
        sentences
    }
}

fn sentence(labels: &Labels, met: &[(String, Labels, String)]) -> String {
    let mut jobs: Vec<String> = met.iter().map(|(job, ..)| format!("{job:?}")).collect();
    jobs.dedup();
    let owner = if jobs.len() == 1 { "job" } else { "jobs" };
    let mut urls: Vec<&str> = met.iter().take(NAMED_MAX).map(|(_, _, url)| url.as_str()).collect();
    let more = format!("and {} more", met.len().saturating_sub(NAMED_MAX));
    if met.len() > NAMED_MAX {
        urls.push(&more);
    }
    let identities: Vec<&Labels> = met.iter().map(|(_, identity, _)| identity).collect();
    let remedy = match telling_label(&identities) {
        Some(label) => format!(
            "tell them apart, for example by {{source_labels: [{label}], target_label: instance}} as the last of the \
             relabel_configs"
        ),
        None => "tell them apart by a label".to_owned(),
    };
    format!(
        "{owner} {}: {} targets end in the same labels {labels} after relabelling ({}), so that their samples mix in \
         the same series; {remedy}",
        jobs.join(", "),
        met.len(),
        urls.join(", ")
    )
}

/// A label that is there and different in all of them.
fn telling_label<'a>(identities: &[&'a Labels]) -> Option<&'a str> {
    let first = identities.first()?;
    let others = first.iter().map(|(name, _)| name).filter(|name| name.starts_with("__"));
    TELLING.into_iter().filter_map(|name| first.iter().map(|(own, _)| own).find(|own| *own == name)).chain(others).find(
        |name| {
            let mut values: Vec<Option<&str>> = identities.iter().map(|labels| labels.get(name)).collect();
            values.sort_unstable();
            values.windows(2).all(|pair| matches!(pair, [Some(a), Some(b)] if a != b))
        },
    )
}
