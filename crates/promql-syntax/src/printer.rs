//! Tree to text: Prometheus' one-line form.

use crate::ast::*;
use model::{MatchOp, duration::format_duration_ms, float::format_float, labels::METRIC_NAME, labels::quote};
use std::fmt::{self, Display, Formatter};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Aggregate(e) => {
                write!(f, "{}(", aggregate_head(e))?;
                if let Some(param) = &e.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", e.inner)
            }
            Expr::Binary(e) => {
                let (operators, first) = e.spine();
                first.fmt(f)?;
                operators.into_iter().try_for_each(|e| write!(f, " {} {}", binary_operator(e), e.right))
            }
            Expr::Call(e) => {
                write!(f, "{}(", e.function)?;
                for (index, arg) in e.args.iter().enumerate() {
                    write!(f, "{}{arg}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Expr::Number(e) => e.fmt(f),
            Expr::String(e) => match &e.not_utf8 {
                Some(bytes) => f.write_str(&quote_bytes(bytes)),
                None => f.write_str(&quote(&e.value)),
            },
            Expr::Paren(e) => write!(f, "({})", e.inner),
            Expr::Unary(e) => write!(f, "{}{}", if e.negative { "-" } else { "+" }, e.inner),
            Expr::Selector(e) => e.fmt(f),
            Expr::Matrix(e) => {
                write!(f, "{}[{}]", selector_head(&e.selector), plain_duration(&e.range))?;
                f.write_str(&selector_modifiers(&e.selector))
            }
            Expr::Subquery(e) => write!(f, "{}{}", e.inner, subquery_suffix(e)),
        }
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&selector_head(self))?;
        f.write_str(&selector_modifiers(self))
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.is_duration {
            return f.write_str(&format_float(self.value));
        }
        // A literal's milliseconds come back exactly: they were divided by 1000 once.
        let ms = (self.value * 1000.0).round();
        if ms == 0.0 && ms.is_sign_negative() {
            // Zero has a sign, a duration of whole milliseconds has none.
            f.write_str("-")?;
        }
        f.write_str(&format_duration_ms(ms as i64))
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            DurationExpr::Number(number) => number.fmt(f),
            DurationExpr::Step(_) => f.write_str("step()"),
            DurationExpr::Range(_) => f.write_str("range()"),
            DurationExpr::Paren(inner, _) => write!(f, "({inner})"),
            DurationExpr::Negative(inner, _) => write!(f, "-{inner}"),
            DurationExpr::Binary { op, left, right, .. } => write!(f, "{left} {} {right}", op.as_str()),
            DurationExpr::MinOf(left, right, _) => write!(f, "min_of({left}, {right})"),
            DurationExpr::MaxOf(left, right, _) => write!(f, "max_of({left}, {right})"),
        }
    }
}

/// `sum by (a)`, with the space before the parenthesis that follows a clause.
pub(crate) fn aggregate_head(e: &AggregateExpr) -> String {
    let op = e.op.as_str();
    if e.without {
        format!("{op} without ({}) ", join_labels(&e.grouping))
    } else if e.grouping.is_empty() {
        op.to_owned()
    } else {
        format!("{op} by ({}) ", join_labels(&e.grouping))
    }
}

/// The operator with all its modifiers: `== bool on (a) group_left (b) fill (0)`.
pub(crate) fn binary_operator(e: &BinaryExpr) -> String {
    let mut out = e.op.as_str().to_owned();
    if e.return_bool {
        out.push_str(" bool");
    }
    let Some(matching) = &e.matching else { return out };
    let grouped = matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
    if matching.on || !matching.labels.is_empty() || grouped {
        let word = if matching.on { "on" } else { "ignoring" };
        out.push_str(&format!(" {word} ({})", join_labels(&matching.labels)));
    }
    if grouped {
        let word = if matching.cardinality == Cardinality::ManyToOne { "group_left" } else { "group_right" };
        out.push_str(&format!(" {word} ({})", join_labels(&matching.include)));
    }
    let mut fill = |word: &str, value: f64| out.push_str(&format!(" {word} ({})", format_float(value)));
    match (matching.fill.left, matching.fill.right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => fill("fill", left),
        (left, right) => {
            if let Some(left) = left {
                fill("fill_left", left);
            }
            if let Some(right) = right {
                fill("fill_right", right);
            }
        }
    }
    out
}

pub(crate) fn subquery_suffix(e: &SubqueryExpr) -> String {
    let step = e.step.as_ref().map(plain_duration).unwrap_or_default();
    format!("[{}:{step}]{}{}", plain_duration(&e.range), at_modifier(e.at), offset_modifier(e.offset.as_ref()))
}

fn selector_head(selector: &VectorSelector) -> String {
    let name = selector.name.as_deref();
    let quoted_name = name.filter(|name| !model::labels::is_legacy_metric_name(name) || is_unsafe_name(name));
    let mut parts: Vec<String> = Vec::new();
    for (index, matcher) in selector.matchers.iter().enumerate() {
        let is_name = index == 0 && name.is_some() && matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal;
        if !is_name {
            parts.push(matcher.to_string());
        }
    }
    // Prometheus sorts what stands inside braces.
    parts.sort();
    if let Some(name) = quoted_name {
        parts.insert(0, quote(name));
    }
    let outside = if quoted_name.is_some() { "" } else { name.unwrap_or_default() };
    if parts.is_empty() && !outside.is_empty() {
        outside.to_owned()
    } else {
        format!("{outside}{{{}}}", parts.join(","))
    }
}

/// Names that mean something else outside braces.
fn is_unsafe_name(name: &str) -> bool {
    let words = ["on", "ignoring", "group_left", "group_right", "bool", "atan2", "inf", "nan"];
    words.iter().any(|word| word.eq_ignore_ascii_case(name))
}

fn selector_modifiers(selector: &VectorSelector) -> String {
    let extension = match selector.extension {
        Extension::None => "",
        Extension::Anchored => " anchored",
        Extension::Smoothed => " smoothed",
    };
    format!("{extension}{}{}", at_modifier(selector.at), offset_modifier(selector.offset.as_ref()))
}

fn at_modifier(at: Option<At>) -> String {
    match at {
        None => String::new(),
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
        Some(At::Timestamp(ms)) => {
            let sign = if ms < 0 { "-" } else { "" };
            format!(" @ {sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
        }
    }
}

fn offset_modifier(offset: Option<&DurationExpr>) -> String {
    offset.map(|offset| format!(" offset {}", plain_duration(offset))).unwrap_or_default()
}

/// A lone number prints as a duration, however it was written: `[100]` as `1m40s`.
fn plain_duration(duration: &DurationExpr) -> String {
    if let DurationExpr::Number(number) = duration {
        let ms = (number.value * 1000.0).round();
        if ms == number.value * 1000.0 && ms.abs() < 9e15 {
            return format_duration_ms(ms as i64);
        }
    }
    duration.to_string()
}

fn join_labels(labels: &[String]) -> String {
    let quoted = |label: &String| {
        if model::labels::is_legacy_label_name(label) { label.clone() } else { quote(label) }
    };
    labels.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// Quotes bytes that are no UTF-8, such bytes as `\xff`.
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let quoted = quote(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}
