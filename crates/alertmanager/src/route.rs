//! The routing tree as it is used: every option is there, inherited where it was not written.

use model::Labels;
use regexp::LabelMatcher;
use std::{collections::BTreeMap, time::Duration};

/// How alerts of a route are grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// `...`: every alert is its own group.
    All,
    Labels(Vec<String>),
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct Route {
    /// Position in the tree in depth-first order; unique within a configuration.
    pub index: usize,
    /// The matchers from the root down, as group keys begin: `{}/{severity="page"}`.
    pub key: String,
    /// As `key`, with the position among siblings.
    pub id: String,
    pub receiver: String,
    pub group_by: GroupBy,
    pub group_wait: Duration,
    pub group_interval: Duration,
    pub repeat_interval: Duration,
    pub mute_time_intervals: Vec<String>,
    pub active_time_intervals: Vec<String>,
    /// Templates by name.
    pub labels: BTreeMap<String, String>,
    pub matchers: Vec<LabelMatcher>,
    pub goes_on: bool,
    pub routes: Vec<Route>,
}

impl Route {
    /// The routes that take an alert, in order; the root takes what no other takes.
    pub fn matching(&self, labels: &Labels) -> Vec<&Route> {
        if !self.matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for route in &self.routes {
            let matching = route.matching(labels);
            let taken = !matching.is_empty();
            found.extend(matching);
            if taken && !route.goes_on {
                break;
            }
        }
        if found.is_empty() {
            found.push(self);
        }
        found
    }

    /// This node and all below, depth first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Route)) {
        visit(self);
        for route in &self.routes {
            route.walk(visit);
        }
    }

    /// The labels that make an alert's group.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => labels.keep(names),
        }
    }
}
