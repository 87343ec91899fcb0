//! Which types fit together, in Prometheus' words.

use crate::ast::*;
use crate::error::ParseError;
use model::{MatchOp, Matcher, labels::METRIC_NAME, labels::quote};

/// Checks a whole tree.
pub(crate) fn check(text: &str, expr: &Expr) -> Result<(), ParseError> {
    let fail = |span: Span, message: String| Err(ParseError::new(text, span, message));
    let expect = |expr: &Expr, wanted: ValueType, context: &str| {
        let got = expr.value_type();
        if got == wanted {
            return Ok(());
        }
        fail(expr.span(), format!("expected type {} in {context}, got {}", wanted.describe(), got.describe()))
    };
    match expr {
        Expr::Aggregate(e) => {
            check(text, &e.inner)?;
            expect(&e.inner, ValueType::Vector, "aggregation expression")?;
            if let Some(param) = &e.param {
                check(text, param)?;
                let wanted = if e.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
                expect(param, wanted, "aggregation parameter")?;
            }
        }
        Expr::Binary(e) => return check_binary(text, e),
        Expr::Call(e) => return check_call(text, e),
        Expr::Paren(e) => check(text, &e.inner)?,
        Expr::Unary(e) => {
            check(text, &e.inner)?;
            let got = e.inner.value_type();
            if !matches!(got, ValueType::Scalar | ValueType::Vector) {
                let message = format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                    quote(got.describe())
                );
                return fail(e.span, message);
            }
        }
        Expr::Subquery(e) => {
            check(text, &e.inner)?;
            let got = e.inner.value_type();
            if got != ValueType::Vector {
                return fail(
                    e.span,
                    format!("subquery is only allowed on instant vector, got {} instead", got.as_str()),
                );
            }
        }
        Expr::Selector(e) => check_selector(text, e)?,
        Expr::Matrix(e) => check_selector(text, &e.selector)?,
        Expr::Number(_) | Expr::String(_) => {}
    }
    Ok(())
}

/// A selector must not select everything, nor name its metric twice.
pub(crate) fn check_selector(text: &str, selector: &VectorSelector) -> Result<(), ParseError> {
    if let Some(name) = &selector.name {
        let other = selector.matchers[1..].iter().find(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal);
        if let Some(other) = other {
            let message = format!("metric name must not be set twice: {} or {}", quote(name), quote(&other.value));
            return Err(ParseError::new(text, selector.span, message));
        }
    }
    if selector.matchers.iter().all(may_match_empty) {
        let message = "vector selector must contain at least one non-empty matcher";
        return Err(ParseError::new(text, selector.span, message));
    }
    Ok(())
}

/// True if the matcher accepts a series without the label. Patterns are judged by their shape, since nothing here
/// runs them: only those that plainly accept the empty text count.
fn may_match_empty(matcher: &Matcher) -> bool {
    match matcher.op {
        MatchOp::Equal => matcher.value.is_empty(),
        MatchOp::NotEqual => !matcher.value.is_empty(),
        MatchOp::Regex => pattern_accepts_empty(&matcher.value),
        MatchOp::NotRegex => !pattern_accepts_empty(&matcher.value),
    }
}

fn pattern_accepts_empty(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    let (mut depth, mut at, mut accepts, mut any) = (0_i32, 0, true, false);
    // One pass over the top level: an alternative accepts "" if each of its atoms is optional.
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'|' if depth == 0 => {
                any |= accepts;
                accepts = true;
                at += 1;
                continue;
            }
            b'^' | b'$' => {
                at += 1;
                continue;
            }
            b'(' => {
                depth = 1;
                at += 1;
                while at < bytes.len() && depth > 0 {
                    match bytes[at] {
                        b'\\' => at += 1,
                        b'(' => depth += 1,
                        b')' => depth -= 1,
                        _ => {}
                    }
                    at += 1;
                }
                depth = 0;
            }
            b'[' => {
                at += 1;
                // `]` right after `[` or `[^` is an ordinary character.
                if bytes.get(at) == Some(&b'^') {
                    at += 1;
                }
                at += 1;
                while at < bytes.len() && bytes[at] != b']' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
        let end = at.min(bytes.len());
        let repeated_zero = match bytes.get(end) {
            Some(b'*' | b'?') => {
                at += 1;
                true
            }
            Some(b'+') => {
                at += 1;
                false
            }
            Some(b'{') => {
                let close = bytes[end..].iter().position(|&c| c == b'}').map_or(bytes.len(), |n| end + n + 1);
                at = close;
                bytes.get(end + 1) == Some(&b'0')
            }
            _ => false,
        };
        if bytes.get(at) == Some(&b'?') && at > end {
            at += 1;
        }
        let inner_accepts = bytes[start] == b'(' && end > start + 1 && {
            let group = pattern.get(start + 1..end - 1).unwrap_or_default();
            let group = group.strip_prefix("?:").unwrap_or(group);
            pattern_accepts_empty(group)
        };
        accepts &= repeated_zero || inner_accepts;
    }
    any || accepts
}

fn check_binary(text: &str, e: &BinaryExpr) -> Result<(), ParseError> {
    let (operators, first) = e.spine();
    check(text, first)?;
    let mut left = first.value_type();
    for e in operators {
        check(text, &e.right)?;
        let right = e.right.value_type();
        check_operator(text, e, left, right)?;
        let is_scalar = left == ValueType::Scalar && right == ValueType::Scalar;
        left = if is_scalar { ValueType::Scalar } else { ValueType::Vector };
    }
    Ok(())
}

/// One operator, whose sides give these.
fn check_operator(text: &str, e: &BinaryExpr, left: ValueType, right: ValueType) -> Result<(), ParseError> {
    let fail = |span: Span, message: String| Err(ParseError::new(text, span, message));
    for (side, value_type) in [(&e.left, left), (&e.right, right)] {
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types".to_owned();
            return fail(side.span(), message);
        }
    }
    let scalar = left == ValueType::Scalar || right == ValueType::Scalar;
    if scalar && e.op.is_set() {
        let message = format!("set operator {} not allowed in binary scalar expression", quote(e.op.as_str()));
        return fail(e.span, message);
    }
    if left == ValueType::Scalar && right == ValueType::Scalar && e.op.is_comparison() && !e.return_bool {
        return fail(e.op_span, "comparisons between scalars must use BOOL modifier".to_owned());
    }
    Ok(())
}

fn check_call(text: &str, e: &Call) -> Result<(), ParseError> {
    let fail = |span: Span, message: String| Err(ParseError::new(text, span, message));
    let Some(function) = crate::function(&e.function) else {
        return fail(e.span, format!("unknown function with name {}", quote(&e.function)));
    };
    let (given, declared) = (e.args.len(), function.args.len());
    let name = quote(function.name);
    if function.variadic == 0 {
        if given != declared {
            return fail(e.span, format!("expected {declared} argument(s) in call to {name}, got {given}"));
        }
    } else {
        let least = declared - 1;
        if given < least {
            return fail(e.span, format!("expected at least {least} argument(s) in call to {name}, got {given}"));
        }
        if let Ok(more) = usize::try_from(function.variadic) {
            let most = least + more;
            if given > most {
                return fail(e.span, format!("expected at most {most} argument(s) in call to {name}, got {given}"));
            }
        }
    }
    for (index, arg) in e.args.iter().enumerate() {
        if function.name == "info" && index == 1 {
            // Label selectors alone: they may select everything, and name no metric.
            let Expr::Selector(selector) = arg else {
                return fail(arg.span(), "expected label selectors only".to_owned());
            };
            if selector.name.is_some() {
                return fail(arg.span(), "expected label selectors only, got vector selector instead".to_owned());
            }
            continue;
        }
        check(text, arg)?;
        let wanted = function.args[index.min(declared - 1)];
        let got = arg.value_type();
        if got != wanted {
            let message =
                format!("expected type {} in call to function {name}, got {}", wanted.describe(), got.describe());
            return fail(arg.span(), message);
        }
    }
    Ok(())
}
