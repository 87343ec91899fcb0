//! How far beyond its own time a step of a query reads, and whether its value depends on that step alone.

use crate::stream::mapped;
use promql_syntax::{AggregateExpr, AggregateOp, At, DurationExpr, Expr, Extension, QueryTimes};

/// The latest times that a step at `t` reads: `t + forward_ms`, and `fixed_ms` whatever `t` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    forward_ms: i64,
    fixed_ms: i64,
}

/// The time at which a node is evaluated.
#[derive(Clone, Copy)]
enum Time {
    /// So much after the step.
    After(i64),
    Fixed(i64),
}

impl Time {
    fn minus(self, ms: i64) -> Time {
        match self {
            Time::After(own) => Time::After(own.saturating_sub(ms)),
            Time::Fixed(own) => Time::Fixed(own.saturating_sub(ms)),
        }
    }
}

impl Reach {
    /// `None` where a step cannot be told from the range of the query: its start, its end, or which other series have
    /// values at other steps.
    pub(super) fn of(expr: &Expr, step_ms: i64, lookback_ms: i64) -> Option<Reach> {
        let mut reach = Reach { forward_ms: 0, fixed_ms: i64::MIN };
        reach.walk(expr, Time::After(0), QueryTimes { step_ms, range_ms: 0 }, lookback_ms)?;
        Some(reach)
    }

    fn note(&mut self, time: Time) {
        match time {
            Time::After(ms) => self.forward_ms = self.forward_ms.max(ms),
            Time::Fixed(ms) => self.fixed_ms = self.fixed_ms.max(ms),
        }
    }

    fn walk(&mut self, expr: &Expr, time: Time, times: QueryTimes, lookback_ms: i64) -> Option<()> {
        let mut open = vec![(expr, time)];
        while let Some((expr, time)) = open.pop() {
            self.visit(expr, time, times, lookback_ms, &mut open)?;
        }
        Some(())
    }

    fn visit<'e>(
        &mut self,
        expr: &'e Expr,
        time: Time,
        times: QueryTimes,
        lookback_ms: i64,
        open: &mut Vec<(&'e Expr, Time)>,
    ) -> Option<()> {
        let selector = match expr {
            Expr::Selector(e) => e,
            Expr::Matrix(e) => {
                duration(&e.range, times)?;
                &e.selector
            }
            Expr::Subquery(e) => {
                duration(&e.range, times)?;
                e.step.as_ref().map_or(Some(0), |step| duration(step, times))?;
                let inner = moved(time, e.at, e.offset.as_ref(), times)?;
                self.note(inner);
                open.push((&e.inner, inner));
                return Some(());
            }
            Expr::Call(e) if matches!(e.function.as_str(), "start" | "end" | "range") => return None,
            Expr::Aggregate(e) if depends_on_other_steps(e) => return None,
            _ => {
                open.extend(expr.children().into_iter().map(|child| (child, time)));
                return Some(());
            }
        };
        let mut last = moved(time, selector.at, selector.offset.as_ref(), times)?;
        if selector.extension == Extension::Smoothed {
            last = last.minus(-lookback_ms);
        }
        self.note(last);
        Some(())
    }

    /// The last step that reads only what is settled.
    pub(super) fn last_settled(self, first_ms: i64, last_ms: i64, step_ms: i64, settled_before_ms: i64) -> Option<i64> {
        if self.fixed_ms >= settled_before_ms {
            return None;
        }
        let last = last_ms.min(settled_before_ms.saturating_sub(1).saturating_sub(self.forward_ms));
        let steps = last.checked_sub(first_ms).filter(|length| *length >= 0)? / step_ms;
        Some(first_ms + steps * step_ms)
    }
}

fn moved(time: Time, at: Option<At>, offset: Option<&DurationExpr>, times: QueryTimes) -> Option<Time> {
    let time = match at {
        None => time,
        Some(At::Timestamp(ms)) => Time::Fixed(ms),
        Some(At::Start | At::End) => return None,
    };
    let offset = offset.map_or(Some(0), |offset| duration(offset, times))?;
    Some(time.minus(offset))
}

/// `None` for durations that depend on the range of the query, and for those that are wrong.
fn duration(duration: &DurationExpr, times: QueryTimes) -> Option<i64> {
    if uses_range(duration) { None } else { duration.evaluate_ms(times).ok() }
}

fn uses_range(duration: &DurationExpr) -> bool {
    match duration {
        DurationExpr::Range(_) => true,
        DurationExpr::Number(_) | DurationExpr::Step(_) => false,
        DurationExpr::Paren(inner, _) | DurationExpr::Negative(inner, _) => uses_range(inner),
        DurationExpr::Binary { left, right, .. }
        | DurationExpr::MinOf(left, right, _)
        | DurationExpr::MaxOf(left, right, _) => uses_range(left) || uses_range(right),
    }
}

/// Which of equals is chosen depends on the order of the input, and the order of anything but a selector on which series
/// come first in the whole range. So does whether a group keeps its name.
fn depends_on_other_steps(e: &AggregateExpr) -> bool {
    let chooses = matches!(e.op, AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk);
    chooses && !is_chain(&e.inner) || !e.without && e.grouping.iter().any(|name| crate::grouping::is_metadata(name))
}

fn is_chain(expr: &Expr) -> bool {
    let mut expr = expr;
    loop {
        expr = match expr {
            Expr::Paren(e) => &e.inner,
            Expr::Selector(_) => return true,
            Expr::Call(e) if crate::functions::matrix_argument(e).is_some() => return true,
            _ => match mapped(expr) {
                Some(inner) => inner,
                None => return false,
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches() {
        const CASES: &str = "
m                                       => 0
rate(m[5m]) * 8                         => 0
m offset 1m                             => 0
m offset -1m                            => 60000
m offset -step()                        => 15000
m smoothed                              => 300000
max_over_time(m[10m:1m] offset -10s)    => 10000
sum_over_time((m offset -20s)[10m:1m] offset -10s) => 30000
sum_over_time((m offset -20s)[10m:1m] offset 10s)  => 10000
m @ 100                                 => 0, fixed 100000
max_over_time((m offset -5s)[10m:1m] @ 100) => 0, fixed 105000
m - m @ end()                           => no
start() + m                             => no
m[range()]                              => no
topk(3, rate(m[5m]))                    => 0
topk(3, sum by (a) (m))                 => no
sum by (__name__) (m)                   => no
sum without (a) (m) + on (a) n          => 0
";
        for case in CASES.trim().lines() {
            let (text, expected) = case.split_once("=>").unwrap();
            let reach = Reach::of(&promql_syntax::parse(text.trim()).unwrap(), 15_000, 300_000);
            let said = match reach {
                None => "no".to_owned(),
                Some(Reach { forward_ms, fixed_ms: i64::MIN }) => forward_ms.to_string(),
                Some(Reach { forward_ms, fixed_ms }) => format!("{forward_ms}, fixed {fixed_ms}"),
            };
            assert_eq!(said, expected.trim(), "in case `{}`", text.trim());
        }
    }
}
