//! Arithmetic inside `[…]` and after `offset`.

use crate::ast::{DurationExpr, DurationOp, Span};

/// Prometheus keeps a duration as nanoseconds in an `i64`: 292 years.
const SECONDS_MAX: f64 = (i64::MAX / 1_000_000_000) as f64;

/// What `step()` and `range()` stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryTimes {
    pub step_ms: i64,
    /// End minus start.
    pub range_ms: i64,
}

/// Why a duration expression has no value; the span is that of the part at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DurationFault {
    pub span: Span,
    pub message: String,
}

impl DurationExpr {
    /// The duration in milliseconds, fractions rounded towards zero.
    ///
    /// # Errors
    /// Division by zero, a result that is no number or beyond 292 years.
    pub fn evaluate_ms(&self, times: QueryTimes) -> Result<i64, DurationFault> {
        let seconds = self.seconds(times)?;
        if seconds.is_nan() || seconds.abs() >= SECONDS_MAX {
            return Err(DurationFault { span: self.span(), message: "duration out of range".to_owned() });
        }
        // Within bounds by the check above; nearest first, since 0.1 s is not quite 100 ms as a float.
        Ok(if (seconds * 1000.0 - (seconds * 1000.0).round()).abs() < 1e-6 {
            (seconds * 1000.0).round() as i64
        } else {
            (seconds * 1000.0) as i64
        })
    }

    /// True if neither `step()` nor `range()` occurs: the value is the same in every query.
    pub fn is_constant(&self) -> bool {
        match self {
            DurationExpr::Number(_) => true,
            DurationExpr::Step(_) | DurationExpr::Range(_) => false,
            DurationExpr::Paren(inner, _) | DurationExpr::Negative(inner, _) => inner.is_constant(),
            DurationExpr::Binary { left, right, .. }
            | DurationExpr::MinOf(left, right, _)
            | DurationExpr::MaxOf(left, right, _) => left.is_constant() && right.is_constant(),
        }
    }

    fn seconds(&self, times: QueryTimes) -> Result<f64, DurationFault> {
        Ok(match self {
            DurationExpr::Number(number) => number.value,
            DurationExpr::Step(_) => times.step_ms as f64 / 1000.0,
            DurationExpr::Range(_) => times.range_ms as f64 / 1000.0,
            DurationExpr::Paren(inner, _) => inner.seconds(times)?,
            DurationExpr::Negative(inner, _) => -inner.seconds(times)?,
            DurationExpr::MinOf(left, right, _) => left.seconds(times)?.min(right.seconds(times)?),
            DurationExpr::MaxOf(left, right, _) => left.seconds(times)?.max(right.seconds(times)?),
            DurationExpr::Binary { op, left, right, .. } => {
                let (a, b) = (left.seconds(times)?, right.seconds(times)?);
                let divisor = |what: &str| {
                    if b == 0.0 { Err(DurationFault { span: right.span(), message: what.to_owned() }) } else { Ok(()) }
                };
                match op {
                    DurationOp::Add => a + b,
                    DurationOp::Sub => a - b,
                    DurationOp::Mul => a * b,
                    DurationOp::Div => {
                        divisor("division by zero")?;
                        a / b
                    }
                    DurationOp::Mod => {
                        divisor("modulo by zero")?;
                        a % b
                    }
                    DurationOp::Pow => a.powf(b),
                }
            }
        })
    }
}
