//! Advice that can be given from the tree, the estimates, the metadata, and the costs.

use super::{ExplainNode, ExplainTimes, Hint, MetadataOf};
use model::{MatchOp, Matcher, MetricType, labels::METRIC_NAME};
use promql_syntax::{
    AggregateExpr, AggregateOp, BinaryExpr, Call, Expr, MatrixSelector, Span, VectorSelector, units::selected_name,
};
use std::time::Duration;

/// Functions that make sense of counters only, and of gauges only.
const FOR_COUNTERS: [&str; 4] = ["rate", "irate", "increase", "resets"];
const FOR_GAUGES: [&str; 5] = ["delta", "idelta", "deriv", "predict_linear", "double_exponential_smoothing"];
/// A query that takes longer is worth a rule if a part of it is most of the work.
const WORTH_RECORDING: Duration = Duration::from_millis(100);
/// A rule that keeps more than this share of the series saves little.
const RECORDED_SHARE_MAX: f64 = 0.1;

/// Adds the hints that need no run.
pub(super) fn add(node: &mut ExplainNode, expr: &Expr, times: ExplainTimes, metadata: MetadataOf<'_>) {
    match expr {
        Expr::Call(e) => node.hints.extend(call(e, metadata)),
        Expr::Selector(e) => node.hints.extend(e.matchers.iter().filter_map(|matcher| matcher_hint(e, matcher))),
        Expr::Matrix(e) => {
            node.hints.extend(e.selector.matchers.iter().filter_map(|matcher| matcher_hint(&e.selector, matcher)));
            node.hints.extend(range(e, node, times));
        }
        Expr::Binary(e) => node.hints.extend(operator(e, node)),
        _ => {}
    }
    for (child, expr) in node.children.iter_mut().zip(expr.children()) {
        add(child, expr, times, metadata);
    }
}

fn hint(kind: &'static str, span: Span, text: String) -> Hint {
    Hint { kind, span, text, replacement: None }
}

fn call(e: &Call, metadata: MetadataOf<'_>) -> Option<Hint> {
    let function = e.function.as_str();
    let counters = FOR_COUNTERS.contains(&function);
    if !counters && !FOR_GAUGES.contains(&function) {
        return None;
    }
    let range = e.args.iter().find_map(|arg| match arg.unparenthesized() {
        Expr::Matrix(matrix) => Some(arg).zip(selected_name(&matrix.selector)),
        Expr::Subquery(subquery) => match subquery.inner.unparenthesized() {
            Expr::Aggregate(inner) if counters => {
                let mut name = None;
                inner.inner.visit_selectors(&mut |selector| name = name.or(selected_name(selector)));
                Some(arg).zip(name)
            }
            _ => None,
        },
        _ => None,
    });
    let (arg, name) = range?;
    let metric_type = promql_syntax::infer(arg, metadata).metric_type;
    let quoted = model::labels::quote(name);
    match (arg.unparenthesized(), metric_type) {
        (Expr::Subquery(_), MetricType::Counter) => {
            let text = format!(
                "{function} of a sum of counters: when one of them starts anew, all seem to; take {function} of {quoted} first, then the sum"
            );
            Some(hint("rate-of-sum", e.span, text))
        }
        (Expr::Matrix(_), MetricType::Gauge) if counters => {
            let text = format!(
                "{function} of a gauge: {quoted} may fall, and every fall counts as a reset; write delta or deriv, or avg_over_time for its level"
            );
            Some(hint("rate-of-gauge", e.span, text))
        }
        (Expr::Matrix(_), MetricType::Counter) if !counters => {
            let text = format!(
                "{function} of a counter: {quoted} falls to zero when its target restarts; write rate or increase, which know that"
            );
            Some(hint("delta-of-counter", e.span, text))
        }
        _ => None,
    }
}

fn matcher_hint(selector: &VectorSelector, matcher: &Matcher) -> Option<Hint> {
    if !matcher.op.is_regex() {
        return None;
    }
    let plain = |text: &str| !text.chars().any(|c| "\\.+*?()|[]{}^$".contains(c));
    let (name, value) = (matcher.name.as_str(), matcher.value.as_str());
    if plain(value) {
        let op = if matcher.op == MatchOp::Regex { MatchOp::Equal } else { MatchOp::NotEqual };
        let instead = Matcher::new(name, op, value);
        let text = format!("{matcher} is no pattern: {instead} says the same and needs no regular expression");
        return Some(hint("plain-matcher", selector.span, text));
    }
    if value == ".*" && matcher.op == MatchOp::Regex {
        let text = format!("{matcher} accepts everything, also series without the label; leave it out");
        return Some(hint("useless-matcher", selector.span, text));
    }
    let inner = value.strip_prefix(".*").or_else(|| value.strip_prefix(".+"));
    if name == METRIC_NAME && inner.is_some() {
        let text = format!(
            "{matcher} looks at every metric name there is; begin the pattern with letters, or name the metrics: a|b|c"
        );
        return Some(hint("wide-matcher", selector.span, text));
    }
    None
}

/// The distance of samples, from the estimates.
fn interval_ms(e: &MatrixSelector, node: &ExplainNode, times: ExplainTimes) -> Option<i64> {
    let (series, samples) = (node.estimate.series?, node.estimate.samples?);
    if series == 0 || samples / series < 2 {
        return None;
    }
    let query =
        promql_syntax::QueryTimes { step_ms: times.step_ms, range_ms: times.end_ms.saturating_sub(times.start_ms) };
    let range = e.range.evaluate_ms(query).ok()?;
    let span = if times.step_ms > 0 { times.end_ms.saturating_sub(times.start_ms) } else { 0 };
    Some(span.saturating_add(range) / i64::try_from(samples / series).ok()?)
}

fn range(e: &MatrixSelector, node: &ExplainNode, times: ExplainTimes) -> Vec<Hint> {
    let mut out = Vec::new();
    let query =
        promql_syntax::QueryTimes { step_ms: times.step_ms, range_ms: times.end_ms.saturating_sub(times.start_ms) };
    let Ok(range) = e.range.evaluate_ms(query) else { return out };
    // Less than twice the distance of samples by a margin, for that distance is measured roughly.
    let is_short = |&interval: &i64| range.saturating_mul(10) < interval.saturating_mul(19);
    if let Some(interval) = interval_ms(e, node, times).filter(is_short) {
        let text = format!(
            "the range of {} s holds fewer than two samples at times, for they come every {} s or so; take four times that",
            seconds(range),
            seconds(interval)
        );
        out.push(hint("short-range", e.span, text));
    }
    if times.step_ms > range && range > 0 {
        let text = format!(
            "the step of {} s is longer than the range of {} s: what happens in between is not seen; in dashboards write [$__rate_interval]",
            seconds(times.step_ms),
            seconds(range)
        );
        out.push(hint("gaps-between-ranges", e.span, text));
    }
    out
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The only selector of a side of an operator, and the aggregations above it: a label that all of these keep has the
/// same values on the side as in the selector.
struct Side<'a> {
    selector: &'a VectorSelector,
    aggregations: Vec<&'a AggregateExpr>,
}

impl Side<'_> {
    fn of(expr: &Expr) -> Option<Side<'_>> {
        let (mut aggregations, mut inner) = (Vec::new(), expr);
        loop {
            match inner.unparenthesized() {
                Expr::Aggregate(e) => {
                    aggregations.push(e);
                    inner = &e.inner;
                }
                other => return lone_selector(other).map(|selector| Side { selector, aggregations }),
            }
        }
    }

    /// Whole groups fall away where a label is narrowed that they are made by, and what is left stays as it is.
    fn keeps(&self, label: &String) -> bool {
        let keeps = |e: &&AggregateExpr| e.op != AggregateOp::CountValues && e.grouping.contains(label) != e.without;
        self.aggregations.iter().all(keeps)
    }
}

fn lone_selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr.unparenthesized() {
        Expr::Selector(e) => Some(e),
        Expr::Call(e) if matches!(e.function.as_str(), "rate" | "irate" | "increase" | "delta" | "abs") => {
            match e.args.first()?.unparenthesized() {
                Expr::Matrix(e) => Some(&e.selector),
                inner => lone_selector(inner),
            }
        }
        _ => None,
    }
}

/// Matchers that one side of an operator has and the other side would do well to have, too.
fn operator(e: &BinaryExpr, node: &ExplainNode) -> Vec<Hint> {
    let mut out = Vec::new();
    let Some(matching) = &e.matching else { return out };
    if e.op == promql_syntax::BinaryOp::Or {
        return out;
    }
    let (Some(left), Some(right)) = (Side::of(&e.left), Side::of(&e.right)) else { return out };
    let sides = [(&left, &right, 1, "right"), (&right, &left, 0, "left")];
    for (from, to, index, side) in sides {
        if e.op == promql_syntax::BinaryOp::Unless && index == 0 {
            continue;
        }
        for matcher in &from.selector.matchers {
            let must_agree = matcher.name != METRIC_NAME && matching.labels.contains(&matcher.name) == matching.on;
            let is_kept = from.keeps(&matcher.name) && to.keeps(&matcher.name);
            let narrows = matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
            let to = to.selector;
            if !must_agree || !is_kept || !narrows || to.matchers.iter().any(|own| own.name == matcher.name) {
                continue;
            }
            let read = node.children.get(index).and_then(|child| child.estimate.series);
            let read = read.map_or(String::new(), |series| format!(", of {series} series"));
            let text = format!(
                "only series with {matcher} can match: write it on the {side} side, too, or all are read{read}"
            );
            let mut better = to.clone();
            better.matchers.push(matcher.clone());
            out.push(Hint {
                kind: "move-matcher",
                span: to.span,
                text,
                replacement: Some(Expr::Selector(better).to_string())
                    .filter(|_| to.extension == promql_syntax::Extension::None),
            });
        }
    }
    out
}

/// Adds the hints that need the costs: the part of a slow query that a recording rule would save.
pub(super) fn add_after_running(tree: &mut ExplainNode, query: &str, total: Duration) {
    if total < WORTH_RECORDING {
        return;
    }
    let Some(way) = worth_recording(tree, total) else { return };
    let mut node = tree;
    for index in way {
        node = &mut node.children[index];
    }
    let text = format!(
        "most of the time goes into {}: a recording rule for it would leave {} series to read",
        query.get(node.span.start..node.span.end).unwrap_or_default(),
        node.cost.map_or(0, |cost| cost.series)
    );
    let span = node.span;
    node.hints.push(hint("record", span, text));
}

/// The way, child by child, to the lowest aggregation that takes most of the time and leaves few series.
fn worth_recording(node: &ExplainNode, total: Duration) -> Option<Vec<usize>> {
    // What was evaluated within another node has no cost of its own, but its children may.
    let below = node.children.iter().enumerate().find_map(|(index, child)| {
        let mut way = worth_recording(child, total)?;
        way.insert(0, index);
        Some(way)
    });
    below.or_else(|| {
        let cost = node.cost.filter(|cost| node.kind == "aggregation" && cost.time > total / 2)?;
        let read: u64 = node.children.iter().filter_map(series_below).sum();
        ((cost.series as f64) <= read as f64 * RECORDED_SHARE_MAX).then(Vec::new)
    })
}

/// Series that the selectors below a node read.
fn series_below(node: &ExplainNode) -> Option<u64> {
    if node.children.is_empty() {
        return node.cost.map(|cost| cost.series).or(node.estimate.series);
    }
    Some(node.children.iter().filter_map(series_below).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Estimate, NodeCost};

    fn node(kind: &'static str, series: u64, ms: u64, children: Vec<ExplainNode>) -> ExplainNode {
        ExplainNode {
            span: Span { start: 0, end: 3 },
            kind,
            title: String::new(),
            value_type: promql_syntax::ValueType::Vector,
            estimate: Estimate::default(),
            metric_type: "unknown",
            unit: None,
            cost: Some(NodeCost { series, time: Duration::from_millis(ms), ..NodeCost::default() }),
            hints: Vec::new(),
            children,
        }
    }

    #[test]
    fn a_rule_is_proposed_for_the_heavy_part_alone() {
        let tree = |read, kept, ms| {
            let light = node("aggregation", 1, 1, vec![node("selector", 100, 1, Vec::new())]);
            let heavy = node("aggregation", kept, ms, vec![node("selector", read, ms, Vec::new())]);
            node("aggregation", 1, ms + 1, vec![node("operator", kept, ms + 1, vec![light, heavy])])
        };
        for (read, kept, ms, expected) in [(1000, 10, 200, 1), (1000, 10, 50, 0), (1000, 900, 200, 0)] {
            let mut tree = tree(read, kept, ms);
            add_after_running(&mut tree, "sum", Duration::from_millis(ms + 2));
            let heavy = &tree.children[0].children[1];
            assert_eq!(heavy.hints.len(), expected, "{read} {kept} {ms}");
            assert!(heavy.hints.iter().all(|hint| hint.kind == "record"));
        }
    }
}
