//! What a query would do, node by node, and after running what it did.

mod estimate;
mod hints;

use crate::error::QueryError;
use crate::eval::Watch;
use crate::profile::{NodeCost, Profile};
use crate::{Engine, QueryOptions, QueryOutput};
use estimate::Estimator;
use model::Metadata;
use promql_syntax::{Expr, Span, ValueType};
use std::time::Instant;
use storage::Queryable;

/// The times of a query in Unix milliseconds; `step_ms` 0 for an instant query, at `end_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainTimes {
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
}

/// One node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainNode {
    /// Bytes of the query that the node takes.
    pub span: Span,
    /// `aggregation`, `operator`, `function`, `selector`, `range selector`, `subquery`, `number`, `string`,
    /// `parentheses` or `sign`.
    pub kind: &'static str,
    /// Few words: `sum by (mode)`, `rate`, `node_load1{job="a"}`.
    pub title: String,
    pub value_type: ValueType,
    pub estimate: Estimate,
    /// Metric type and unit of the values as far as they are known: `gauge`, `bytes/second`.
    pub metric_type: &'static str,
    pub unit: Option<String>,
    /// Only after running.
    pub cost: Option<NodeCost>,
    pub hints: Vec<Hint>,
    pub children: Vec<ExplainNode>,
}

/// What is expected before running. `None`: cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Series that the node gives, at most; of selectors counted in the index.
    pub series: Option<u64>,
    /// Points that the node gives; samples that a selector reads.
    pub samples: Option<u64>,
    /// Memory for these.
    pub bytes: Option<u64>,
}

/// Something that would make the query right, quicker or cheaper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// A name that does not change: `rate-of-gauge`, `move-matcher`, `record`, `plain-matcher` …
    pub kind: &'static str,
    pub span: Span,
    pub text: String,
    /// What to write in place of the span, if that can be said.
    pub replacement: Option<String>,
}

/// Looks up what is known about a metric family.
pub type MetadataOf<'a> = &'a dyn Fn(&str) -> Option<Metadata>;

impl Engine {
    /// The tree of a query with estimates from the index, units and hints; nothing is evaluated. Of `options`, the timeout
    /// and the flag to cancel count.
    ///
    /// # Errors
    /// `Parse`; `Storage` where the index cannot be read; `Execution` for durations that cannot be worked out; `Timeout`
    /// and `Canceled`.
    pub fn explain(
        &self,
        storage: &dyn Queryable,
        query: &str,
        times: ExplainTimes,
        options: &QueryOptions,
        metadata: MetadataOf<'_>,
    ) -> Result<ExplainNode, QueryError> {
        self.explain_expr(storage, &promql_syntax::parse_low(query, self.options().features)?, times, options, metadata)
    }

    fn explain_expr(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        times: ExplainTimes,
        options: &QueryOptions,
        metadata: MetadataOf<'_>,
    ) -> Result<ExplainNode, QueryError> {
        let watch = Watch::new(self.options(), options);
        let estimator = Estimator::new(storage, self.options(), &watch, times);
        let mut tree = node(expr, &estimator, metadata)?.node;
        hints::add(&mut tree, expr, times, metadata);
        Ok(tree)
    }

    /// Runs a query as [`Engine::range`] does (or [`Engine::instant`], with a step of 0) and tells beside its result what
    /// each node cost.
    ///
    /// # Errors
    /// Every kind of [`QueryError`].
    pub fn analyze(
        &self,
        storage: &dyn Queryable,
        query: &str,
        times: ExplainTimes,
        options: &QueryOptions,
        metadata: MetadataOf<'_>,
    ) -> Result<(QueryOutput, ExplainNode), QueryError> {
        let begin = Instant::now();
        let expr = promql_syntax::parse_low(query, self.options().features)?;
        let parse = begin.elapsed();
        let mut tree = self.explain_expr(storage, &expr, times, options, metadata)?;
        let profile = Profile::default();
        let times_ms = (times.start_ms, times.end_ms, times.step_ms);
        let mut output = self.run_profiled(storage, &expr, query, times_ms, options, &profile)?;
        output.stats.parse = parse;
        add_costs(&mut tree, &profile);
        hints::add_after_running(&mut tree, query, output.stats.evaluation);
        Ok((output, tree))
    }
}

fn add_costs(node: &mut ExplainNode, profile: &Profile) {
    node.cost = profile.get(node.span);
    node.children.iter_mut().for_each(|child| add_costs(child, profile));
}

/// A node with what its parents need for their estimates.
struct Explained {
    node: ExplainNode,
    labels: Option<Vec<model::Labels>>,
}

fn node(expr: &Expr, estimator: &Estimator<'_>, metadata: MetadataOf<'_>) -> Result<Explained, QueryError> {
    let mut children = Vec::new();
    let mut labels = Vec::new();
    let inside = match expr {
        Expr::Subquery(e) => estimator.inside_subquery(e)?,
        _ => *estimator,
    };
    for child in expr.children() {
        let explained = node(child, &inside, metadata)?;
        labels.push(explained.labels);
        children.push(explained.node);
    }
    let (estimate, labels) = estimator.node(expr, &children, labels)?;
    let inferred = promql_syntax::infer(expr, metadata);
    let mut hints = Vec::new();
    for (span, text) in inferred.conflicts {
        // Told once, where it happens.
        if span == expr.span() {
            hints.push(Hint { kind: "units", span, text, replacement: None });
        }
    }
    let node = ExplainNode {
        span: expr.span(),
        kind: kind(expr),
        title: title(expr),
        value_type: expr.value_type(),
        estimate,
        metric_type: inferred.metric_type.as_str(),
        unit: inferred.unit.map(|unit| unit.to_string()),
        cost: None,
        hints,
        children,
    };
    Ok(Explained { node, labels })
}

fn kind(expr: &Expr) -> &'static str {
    match expr {
        Expr::Aggregate(_) => "aggregation",
        Expr::Binary(_) => "operator",
        Expr::Call(_) => "function",
        Expr::Number(_) => "number",
        Expr::String(_) => "string",
        Expr::Paren(_) => "parentheses",
        Expr::Unary(_) => "sign",
        Expr::Selector(_) => "selector",
        Expr::Matrix(_) => "range selector",
        Expr::Subquery(_) => "subquery",
    }
}

fn title(expr: &Expr) -> String {
    match expr {
        Expr::Aggregate(e) => {
            let op = e.op.as_str();
            match (e.without, e.grouping.is_empty()) {
                (false, true) => op.to_owned(),
                (without, _) => {
                    format!("{op} {} ({})", if without { "without" } else { "by" }, e.grouping.join(", "))
                }
            }
        }
        Expr::Binary(e) => e.op.as_str().to_owned(),
        Expr::Call(e) => e.function.clone(),
        Expr::Paren(_) => "( )".to_owned(),
        Expr::Unary(e) => if e.negative { "-" } else { "+" }.to_owned(),
        Expr::Subquery(e) => {
            // Without what is inside.
            let whole = expr.to_string();
            whole.strip_prefix(&e.inner.to_string()).unwrap_or(&whole).to_owned()
        }
        _ => expr.to_string(),
    }
}
