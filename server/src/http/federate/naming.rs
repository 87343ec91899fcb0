//! Names for results that have none: `rate(http_requests_total[5m])` in a `match[]`.
//!
//! The convention is that of recording rules, `level:metric:operations`: the labels that were aggregated by,
//! the metric, and what was done to it, the newest first. So a central sees the series under the name that a
//! recording rule on the leaf would have had.

use promql_syntax::Expr;

/// The name for the nameless results of an expression: `env:http_requests_total:sum_rate5m` for
/// `sum by (env) (rate(http_requests_total[5m]))`. `None` if the expression reads no metric by name.
pub(super) fn name_of(expr: &Expr) -> Option<String> {
    let mut metric = None;
    expr.visit_selectors(&mut |selector| {
        if metric.is_none() {
            metric.clone_from(&selector.name);
        }
    });
    let (mut level, mut operations) = (Vec::new(), Vec::new());
    walk(expr, &mut level, &mut operations);
    let metric = metric?;
    Some(format!("{}:{metric}:{}", level.join("_"), operations.join("_")).trim_matches(':').to_owned())
}

/// Follows the first operand down to the selector.
fn walk(expr: &Expr, level: &mut Vec<String>, operations: &mut Vec<String>) {
    let mut next = Some(expr);
    while let Some(expr) = next {
        note(expr, level, operations);
        // Arguments before the series (a quantile) are literals and add nothing.
        next = expr.children().into_iter().find(|child| reads_series(child));
    }
}

fn note(expr: &Expr, level: &mut Vec<String>, operations: &mut Vec<String>) {
    match expr {
        Expr::Aggregate(aggregate) => {
            if level.is_empty() && !aggregate.without {
                level.extend(aggregate.grouping.iter().map(|label| plain(label)));
            }
            operations.push(aggregate.op.as_str().to_owned());
        }
        Expr::Call(call) => {
            let range = call.args.iter().find_map(|arg| match arg.unparenthesized() {
                Expr::Matrix(matrix) => Some(plain(&matrix.range.to_string())),
                _ => None,
            });
            operations.push(format!("{}{}", call.function, range.unwrap_or_default()));
        }
        Expr::Binary(binary) => operations.push(binary_name(binary.op.as_str()).to_owned()),
        _ => {}
    }
}

fn reads_series(expr: &Expr) -> bool {
    expr.nodes().any(|node| matches!(node, Expr::Selector(_) | Expr::Matrix(_)))
}

/// A word for an operator, since metric names have only letters, digits, `_` and `:`.
fn binary_name(operator: &str) -> &str {
    match operator {
        "+" => "plus",
        "-" => "minus",
        "*" => "times",
        "/" => "ratio",
        "%" => "mod",
        "^" => "pow",
        "==" => "eq",
        "!=" => "ne",
        ">" => "gt",
        ">=" => "ge",
        "<" => "lt",
        "<=" => "le",
        other => other,
    }
}

/// Only what a metric name may hold.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &str = "
rate(http_requests_total[5m])                           => http_requests_total:rate5m
sum by (env) (rate(http_requests_total[5m]))            => env:http_requests_total:sum_rate5m
sum without (pod) (up)                                  => up:sum
histogram_quantile(0.9, sum by (le, job) (rate(h_bucket[1m]))) => le_job:h_bucket:histogram_quantile_sum_rate1m
sum(rate(errors_total[5m])) / sum(rate(all_total[5m]))  => errors_total:ratio_sum_rate5m
vector(1)                                               => none
";

    #[test]
    fn names_follow_the_convention_of_recording_rules() {
        for case in CASES.trim().lines() {
            let (text, expected) = case.split_once("=> ").unwrap();
            let expr = promql_syntax::parse(text.trim()).unwrap();
            assert_eq!(name_of(&expr).as_deref().unwrap_or("none"), expected, "in case `{case}`");
        }
    }
}
