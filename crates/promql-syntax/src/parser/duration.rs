//! Durations in `[…]` and after `offset`, with their arithmetic.

use super::{DEPTH_MAX, Parsed, Parser};
use crate::ast::{BinaryOp, DurationExpr, DurationOp, NumberLiteral, Span};
use crate::lexer::TokenKind;

impl Parser<'_> {
    /// Ranges and steps known while parsing must be positive.
    pub(super) fn check_positive(&self, duration: &DurationExpr) -> Parsed<()> {
        if !duration.is_constant() {
            return Ok(());
        }
        match duration.evaluate_ms(crate::QueryTimes::default()) {
            Ok(ms) if ms > 0 => Ok(()),
            Ok(_) => self.fail(duration.span(), "duration must be greater than 0"),
            Err(fault) => self.fail(fault.span, fault.message),
        }
    }

    /// After `offset` only signs and one operand belong to the duration; operators need parentheses.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        let duration = self.signed_duration_operand("offset")?;
        if duration.is_constant()
            && let Err(fault) = duration.evaluate_ms(crate::QueryTimes::default())
        {
            return self.fail(fault.span, fault.message);
        }
        Ok(duration)
    }

    fn signed_duration_operand(&mut self, context: &str) -> Parsed<DurationExpr> {
        match self.peek() {
            Some(token) if matches!(self.peek_text(), "-" | "+") => {
                self.at += 1;
                let inner = self.duration_operand(context)?;
                let span = token.span.to(inner.span());
                Ok(if token.text(self.text) == "-" { negate(inner, span) } else { inner })
            }
            _ => self.duration_operand(context),
        }
    }

    pub(super) fn duration(&mut self, weakest: u8, context: &str) -> Parsed<DurationExpr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let span = self.peek().map_or(Span::default(), |token| token.span);
            return self.fail(span, format!("expression is nested deeper than {DEPTH_MAX} levels; split it"));
        }
        let mut left = match self.peek() {
            Some(token) if matches!(self.peek_text(), "-" | "+") => {
                self.at += 1;
                let inner = self.duration(BinaryOp::Pow.precedence(), context)?;
                let span = token.span.to(inner.span());
                if token.text(self.text) == "-" { negate(inner, span) } else { inner }
            }
            _ => self.duration_operand(context)?,
        };
        let depth = self.depth;
        loop {
            let op = match self.peek_text() {
                "+" => (DurationOp::Add, 4),
                "-" => (DurationOp::Sub, 4),
                "*" => (DurationOp::Mul, 5),
                "/" => (DurationOp::Div, 5),
                "%" => (DurationOp::Mod, 5),
                "^" => (DurationOp::Pow, 6),
                _ => break,
            };
            if op.1 < weakest {
                break;
            }
            self.at += 1;
            self.depth += 1;
            let right = self.duration(if op.0 == DurationOp::Pow { op.1 } else { op.1 + 1 }, context)?;
            let span = left.span().to(right.span());
            left = DurationExpr::Binary { op: op.0, left: Box::new(left), right: Box::new(right), span };
        }
        self.depth = depth - 1;
        Ok(left)
    }

    fn duration_operand(&mut self, context: &str) -> Parsed<DurationExpr> {
        let expected = "number, duration, step(), or range()";
        let token = self.next(context, expected)?;
        let word = token.text(self.text).to_ascii_lowercase();
        match token.kind {
            TokenKind::Number | TokenKind::Duration => Ok(DurationExpr::Number(self.number(token)?)),
            TokenKind::LeftParen => {
                let inner = self.duration(1, context)?;
                let close = self.expect(TokenKind::RightParen, context, "\")\"")?;
                Ok(DurationExpr::Paren(Box::new(inner), token.span.to(close.span)))
            }
            TokenKind::Identifier if matches!(word.as_str(), "step" | "range" | "min_of" | "max_of") => {
                self.expect(TokenKind::LeftParen, context, "\"(\"")?;
                if matches!(word.as_str(), "step" | "range") {
                    let close = self.expect(TokenKind::RightParen, context, "\")\"")?;
                    let span = token.span.to(close.span);
                    return Ok(if word == "step" { DurationExpr::Step(span) } else { DurationExpr::Range(span) });
                }
                let left = Box::new(self.duration(1, context)?);
                self.expect(TokenKind::Comma, context, "\",\"")?;
                let right = Box::new(self.duration(1, context)?);
                let close = self.expect(TokenKind::RightParen, context, "\")\"")?;
                let span = token.span.to(close.span);
                Ok(if word == "min_of" {
                    DurationExpr::MinOf(left, right, span)
                } else {
                    DurationExpr::MaxOf(left, right, span)
                })
            }
            _ => Err(self.unexpected_at(token, context, expected)),
        }
    }
}

/// A sign before a number becomes part of it.
fn negate(inner: DurationExpr, span: Span) -> DurationExpr {
    match inner {
        DurationExpr::Number(number) => DurationExpr::Number(NumberLiteral { value: -number.value, span, ..number }),
        inner => DurationExpr::Negative(Box::new(inner), span),
    }
}
