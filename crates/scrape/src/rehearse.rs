//! What relabelling makes of discovered targets, without scraping them.

use crate::config::ScrapeJob;
use crate::target::{Resolved, discovered, resolve};
use discovery::TargetGroup;
use model::Labels;
use relabel::Rules;

/// One discovered target.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsed {
    /// Before relabelling, with the job's defaults.
    pub discovered: Labels,
    /// After it, those that start with `__` but not with `__meta_` included; empty if the target is dropped.
    pub labels: Labels,
    /// Why it cannot be scraped.
    pub fault: Option<String>,
}

/// The targets of `groups` as `job` would take them, in their order.
pub fn rehearse(groups: &[TargetGroup], job: &ScrapeJob) -> Vec<Rehearsed> {
    // A job was checked when it was resolved.
    let Ok(rules) = Rules::new(&job.relabel_configs) else { return Vec::new() };
    let all = groups.iter().flat_map(discovered).map(|labels| {
        let written = labels.clone().build();
        let (discovered, labels, fault) = match resolve(labels, job, &rules) {
            Resolved::Target(target) => (target.discovered, target.identity, None),
            Resolved::Dropped(discovered) => (discovered, Labels::default(), None),
            Resolved::Nothing => (written, Labels::default(), Some("no address".to_owned())),
            Resolved::Fault(fault) => (written, Labels::default(), Some(fault)),
        };
        Rehearsed { discovered, labels, fault }
    });
    all.collect()
}
