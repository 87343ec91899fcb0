//! The course of the values behind alerts: each rule's expression without its comparison, asked once for all its alerts.

use crate::{
    client::{self, every_while_visible},
    pages::parts::{sparkline::Line, time_text::now_ms},
};
use api::query::RangeSeries;
use leptos::{prelude::*, task::spawn_local};
use promql_syntax::{BinaryOp, Expr};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const SPAN_MS: i64 = 3 * 3_600_000;
/// 120 points: one a pixel in a row's drawing.
const STEP_MS: i64 = 90_000;
const REFRESH_MS: u32 = 60_000;
/// A page with more different rules than this draws no more of them: each is one query a minute.
const EXPRESSIONS_MAX: usize = 40;
/// More series than this are too many to look through for each row; the open alert still finds its own.
const SERIES_IN_ROWS_MAX: usize = 300;

/// What an alert's expression measures, and the limit it compares with.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub expr: String,
    /// The comparison as written, and the number.
    pub limit: Option<(BinaryOp, f64)>,
}

impl Measured {
    /// Takes a comparison with a number off the outside of an expression; without one the expression stays whole.
    pub fn of(expr: &str) -> Measured {
        let whole = Measured { expr: expr.to_owned(), limit: None };
        let Ok(tree) = promql_syntax::parse(expr) else { return whole };
        let Expr::Binary(binary) = tree.unparenthesized() else { return whole };
        if !binary.op.is_comparison() {
            return whole;
        }
        let (measured, op, number) = match (number(&binary.left), number(&binary.right)) {
            (None, Some(number)) => (&binary.left, binary.op, number),
            (Some(number), None) => (&binary.right, turned(binary.op), number),
            _ => return whole,
        };
        let span = measured.span();
        match expr.get(span.start..span.end) {
            Some(text) => Measured { expr: text.to_owned(), limit: Some((op, number)) },
            None => whole,
        }
    }
}

fn number(expr: &Expr) -> Option<f64> {
    match expr.unparenthesized() {
        Expr::Number(number) => Some(number.value),
        Expr::Unary(unary) => number(&unary.inner).map(|value| if unary.negative { -value } else { value }),
        _ => None,
    }
}

/// The comparison with its sides exchanged.
fn turned(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::GreaterOrEqual => BinaryOp::LessOrEqual,
        BinaryOp::LessOrEqual => BinaryOp::GreaterOrEqual,
        same => same,
    }
}

type Found = Option<(i64, Arc<Vec<RangeSeries>>)>;

/// The answers so far by the expression that was asked.
#[derive(Clone, Copy)]
pub struct Courses(RwSignal<HashMap<String, Found>>);

/// Starts with nothing; answers are renewed every minute.
pub fn use_courses() -> Courses {
    let courses = Courses(RwSignal::new(HashMap::new()));
    every_while_visible(REFRESH_MS, move || {
        let asked: Vec<String> = courses.0.with_untracked(|found| found.keys().cloned().collect());
        asked.into_iter().for_each(|expr| courses.fetch(expr));
    });
    courses
}

impl Courses {
    /// Asks for what `expr` measures, if nobody has.
    pub fn want(self, expr: &str) {
        let measured = Measured::of(expr).expr;
        let known = self.0.with_untracked(|found| found.contains_key(&measured) || found.len() >= EXPRESSIONS_MAX);
        if !known {
            self.0.update_untracked(|found| {
                found.insert(measured.clone(), None);
            });
            self.fetch(measured);
        }
    }

    fn fetch(self, expr: String) {
        spawn_local(async move {
            let end_ms = now_ms() / STEP_MS * STEP_MS;
            // A graph that cannot be had is left out: the alert itself is on the page.
            if let Ok(series) = client::operations::matrix(&expr, end_ms - SPAN_MS, end_ms, STEP_MS).await {
                self.0.try_update(|found| found.insert(expr, Some((end_ms, Arc::new(series)))));
            }
        });
    }

    /// The line of the alert with `labels` under the rule with `expr`; tracked. `in_row` gives up where there are many.
    pub fn line(self, expr: &str, labels: &BTreeMap<String, String>, in_row: bool) -> Option<Line> {
        let measured = Measured::of(expr);
        let (end_ms, series) = self.0.with(|found| found.get(&measured.expr).cloned())??;
        if in_row && series.len() > SERIES_IN_ROWS_MAX {
            return None;
        }
        let belongs = |series: &&RangeSeries| {
            series.metric.iter().all(|(name, value)| name == "__name__" || labels.get(name) == Some(value))
        };
        let series = series.iter().filter(belongs).max_by_key(|series| series.metric.len())?;
        Some(Line {
            points: series.values.iter().map(|point| (point.timestamp_ms, point.value)).collect(),
            threshold: measured.limit.map(|(_, limit)| limit).filter(|limit| limit.is_finite()),
            start_ms: end_ms - SPAN_MS,
            end_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &str = "
up == 0                            => up == 0
(rate(a[5m]) / b) > 0.5            => (rate(a[5m]) / b) > 0.5
-1 < sum by (job) (x)              => sum by (job) (x) > -1
a > b                              => a > b, whole
a > 1 and b > 2                    => a > 1 and b > 2, whole
vector(1)                          => vector(1), whole
rate(                              => rate(, whole
";

    #[test]
    fn comparisons_come_off() {
        for case in CASES.trim().lines() {
            let (expr, expected) = case.split_once("=> ").unwrap();
            let measured = Measured::of(expr.trim_end());
            let said = match measured.limit {
                Some((op, limit)) => format!("{} {} {limit}", measured.expr, op.as_str()),
                None => format!("{}, whole", measured.expr),
            };
            assert_eq!(said, expected, "in case `{case}`");
        }
    }
}
