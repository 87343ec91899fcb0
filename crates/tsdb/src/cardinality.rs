//! The guard against too many series: jobs and metrics have budgets. Of what is beyond them only a sum is kept, and it is
//! told which label made the series so many.

use crate::head::Index;
use foldhash::fast::RandomState;
use model::{Labels, LabelsBuilder, labels::METRIC_NAME};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// The label of a series that holds the sums of others. Its value is `true`.
pub const OVERFLOW_LABEL: &str = "overflow";
/// Name of the metric that takes what has no place of its own.
const OVERFLOW_METRIC: &str = "overflow";
/// Series that hold sums: one a metric and target, but not more than these.
const OVERFLOW_SERIES_MAX: usize = 1000;
/// Series beyond a budget that are remembered to find the label: the newest.
const SEEN_MAX: usize = 256;
/// Budgets that are watched at one time: with names made up without end, the first ones tell enough.
const OVER_MAX: usize = 1000;
/// Values of the label that are told.
const VALUES_MAX: usize = 5;
/// Budgets of which `/metrics` has label, values and rule: the first ones, for those with most refused series change places.
const TOLD_MAX: usize = 20;
/// Longest value that `/metrics` has whole, in characters, and longest rule that it has at all, in bytes.
const TOLD_CHARS_MAX: usize = 64;
const TOLD_RULE_MAX: usize = 1024;

/// How many series there may be in the head. `None`: any number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardinalityBudgets {
    /// Of each job.
    pub job_series: Option<u64>,
    /// Of each metric name.
    pub metric_series: Option<u64>,
    /// Of single jobs, instead of `job_series`.
    pub jobs: BTreeMap<String, u64>,
    /// Of single metric names, instead of `metric_series`.
    pub metrics: BTreeMap<String, u64>,
}

impl CardinalityBudgets {
    fn is_empty(&self) -> bool {
        *self == CardinalityBudgets::default()
    }

    fn of_job(&self, job: &str) -> Option<u64> {
        self.jobs.get(job).copied().or(self.job_series)
    }

    fn of_metric(&self, metric: &str) -> Option<u64> {
        self.metrics.get(metric).copied().or(self.metric_series)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetKind {
    Job,
    Metric,
}

impl BudgetKind {
    /// As metrics and API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            BudgetKind::Job => "job",
            BudgetKind::Metric => "metric",
        }
    }
}

/// A budget that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverBudget {
    pub kind: BudgetKind,
    /// Of the job or metric.
    pub name: String,
    pub limit: u64,
    /// How many there are, those with sums included.
    pub series: u64,
    /// Times that a series was refused a place of its own since the start.
    pub folded: u64,
    /// The label with most values among the series refused last.
    pub label: String,
    /// How many different values that were.
    pub label_values: u64,
    /// Some of them.
    pub samples: Vec<String>,
    /// What keeps these series out: a section for the scrape configuration.
    pub rule: String,
}

/// What `/metrics` tells of a budget that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) kind: BudgetKind,
    pub(crate) name: String,
    pub(crate) label: String,
    /// Some of its values, joined by `, `.
    pub(crate) values: String,
    /// As in [`OverBudget`]; empty if it is too long for a label.
    pub(crate) rule: String,
    /// When it was told: how many series had been refused.
    folded: u64,
}

/// What the budgets have led to.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    pub(crate) budgets: CardinalityBudgets,
    over: BTreeMap<(BudgetKind, String), Over>,
    told: Vec<Told>,
}

#[derive(Debug, Default)]
struct Over {
    folded: u64,
    seen: VecDeque<Labels>,
}

/// What one call adds.
#[derive(Default)]
pub(crate) struct Pending {
    jobs: HashMap<String, u64, RandomState>,
    metrics: HashMap<String, u64, RandomState>,
    overflow: BTreeSet<Labels>,
}

impl Guard {
    pub(crate) fn is_active(&self) -> bool {
        !self.budgets.is_empty()
    }

    /// Forgets what was beyond other budgets.
    pub(crate) fn set(&mut self, budgets: CardinalityBudgets) {
        *self = Guard { budgets, ..Guard::default() };
    }

    /// `None` if a new series gets a place of its own, else the labels of the series that takes its samples.
    pub(crate) fn fold(&mut self, labels: &Labels, index: &Index, pending: &mut Pending) -> Option<Labels> {
        if is_overflow(labels) {
            return None;
        }
        let (job, metric) = (labels.get("job").unwrap_or_default(), labels.metric_name());
        let of_job = index.job_series(job) + pending.jobs.get(job).copied().unwrap_or(0);
        let of_metric = index.metric_series(metric) + pending.metrics.get(metric).copied().unwrap_or(0);
        let is_full = |count: u64, limit: Option<u64>| limit.is_some_and(|limit| count >= limit);
        let key = if is_full(of_metric, self.budgets.of_metric(metric)) {
            (BudgetKind::Metric, metric)
        } else if is_full(of_job, self.budgets.of_job(job)) {
            (BudgetKind::Job, job)
        } else {
            *pending.jobs.entry(job.to_owned()).or_default() += 1;
            *pending.metrics.entry(metric.to_owned()).or_default() += 1;
            return None;
        };
        self.note(key.0, key.1, labels);
        let mut builder = LabelsBuilder::default();
        builder.set(METRIC_NAME, if of_metric > 0 { metric } else { OVERFLOW_METRIC });
        builder.set(OVERFLOW_LABEL, "true");
        for name in ["job", "instance"] {
            builder.set(name, labels.get(name).unwrap_or_default());
        }
        let folded = builder.build();
        if pending.overflow.contains(&folded) || index.find(&folded).is_some() {
            return Some(folded);
        }
        if index.overflow().len() + pending.overflow.len() < OVERFLOW_SERIES_MAX {
            pending.overflow.insert(folded.clone());
            return Some(folded);
        }
        Some(Labels::from_pairs([(METRIC_NAME, OVERFLOW_METRIC), (OVERFLOW_LABEL, "true")]))
    }

    fn note(&mut self, kind: BudgetKind, name: &str, labels: &Labels) {
        let key = (kind, name.to_owned());
        if self.over.len() >= OVER_MAX && !self.over.contains_key(&key) {
            return;
        }
        let over = self.over.entry(key).or_insert_with(|| {
            tracing::warn!(
                budget = kind.as_str(),
                name,
                "too many series: the samples of new ones are added up; /api/v1/status/cardinality tells the label"
            );
            Over::default()
        });
        over.folded += 1;
        if over.seen.len() >= SEEN_MAX {
            over.seen.pop_front();
        }
        over.seen.push_back(labels.clone());
    }

    /// What `/metrics` tells. The same until twice as many series were refused: every other text is another series there, and
    /// the values that were refused last are others at every look.
    pub(crate) fn told(&mut self) -> &[Told] {
        for ((kind, name), over) in &self.over {
            let at = self.told.iter().position(|told| (told.kind, &told.name) == (*kind, name));
            let old = at.and_then(|at| self.told.get(at));
            if old.map_or(self.told.len() >= TOLD_MAX, |old| over.folded < old.folded.saturating_mul(2)) {
                continue;
            }
            let (label, values) = guilty(&over.seen);
            let rule = Some(rule(label, &values, &over.seen)).filter(|rule| rule.len() <= TOLD_RULE_MAX);
            let told = Told {
                kind: *kind,
                name: name.clone(),
                label: label.to_owned(),
                values: values.into_iter().take(VALUES_MAX).map(shortened).collect::<Vec<_>>().join(", "),
                rule: rule.unwrap_or_default(),
                folded: over.folded,
            };
            match at.and_then(|at| self.told.get_mut(at)) {
                Some(old) => *old = told,
                None => self.told.push(told),
            }
        }
        &self.told
    }

    /// Budgets that were used up since they were set, those with most refused series first.
    pub(crate) fn over(&self, index: &Index) -> Vec<OverBudget> {
        let mut list: Vec<OverBudget> = (self.over.iter())
            .map(|((kind, name), over)| {
                let (limit, series) = match kind {
                    BudgetKind::Job => (self.budgets.of_job(name), index.job_series(name)),
                    BudgetKind::Metric => (self.budgets.of_metric(name), index.metric_series(name)),
                };
                let (label, values) = guilty(&over.seen);
                OverBudget {
                    kind: *kind,
                    name: name.clone(),
                    limit: limit.unwrap_or(0),
                    series,
                    folded: over.folded,
                    rule: rule(label, &values, &over.seen),
                    label: label.to_owned(),
                    label_values: values.len() as u64,
                    samples: values.into_iter().take(VALUES_MAX).map(str::to_owned).collect(),
                }
            })
            .collect();
        list.sort_by(|a, b| b.folded.cmp(&a.folded).then_with(|| (a.kind, &a.name).cmp(&(b.kind, &b.name))));
        list
    }
}

/// True for series that hold sums, ours or those of another server.
pub(crate) fn is_overflow(labels: &Labels) -> bool {
    labels.get(OVERFLOW_LABEL) == Some("true")
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(TOLD_CHARS_MAX) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

/// The label with most values, and these; of several the last one by name, as `path` and `uuid` or `pod` and `uid` go.
fn guilty(seen: &VecDeque<Labels>) -> (&str, BTreeSet<&str>) {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in seen.iter().flat_map(Labels::iter) {
        values.entry(name).or_default().insert(value);
    }
    values.into_iter().max_by_key(|(_, values)| values.len()).unwrap_or_default()
}

/// A rule that drops series for their label.
fn rule(label: &str, values: &BTreeSet<&str>, seen: &VecDeque<Labels>) -> String {
    if label == METRIC_NAME {
        let mut names = values.iter();
        let first = names.next().copied().unwrap_or_default();
        let common = names.fold(first, |common, name| {
            let same = common.char_indices().zip(name.chars()).find(|((_, a), b)| a != b);
            let shorter = if common.len() < name.len() { common } else { common.get(..name.len()).unwrap_or(common) };
            same.map_or(shorter, |((at, _), _)| &common[..at])
        });
        return format!(
            "metric_relabel_configs:\n  - source_labels: [__name__]\n    regex: '{}.*'\n    action: drop\n",
            quoted(common)
        );
    }
    let mut metrics: BTreeMap<&str, usize> = BTreeMap::new();
    for labels in seen.iter().filter(|labels| labels.get(label).is_some()) {
        *metrics.entry(labels.metric_name()).or_default() += 1;
    }
    let metric = metrics.into_iter().max_by_key(|(_, count)| *count).map_or("", |(metric, _)| metric);
    format!(
        "metric_relabel_configs:\n  - source_labels: [__name__, {label}]\n    regex: '{};.+'\n    action: drop\n",
        quoted(metric)
    )
}

/// A text as a pattern for itself, within single quotes of YAML.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' => out.push('\''),
            c if c.is_alphanumeric() || "_:-/ ".contains(c) => {}
            _ => out.push('\\'),
        }
        out.push(c);
    }
    out
}
