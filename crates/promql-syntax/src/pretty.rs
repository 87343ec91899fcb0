//! Tree to text over several lines, as `/api/v1/format_query` lays it out.

use crate::ast::*;
use crate::printer::{aggregate_head, binary_operator, subquery_suffix};

/// A node that fits this many characters stays on one line.
const LINE_MAX: usize = 100;
const INDENT: &str = "  ";

/// Lays a query out with one level of indentation a line, splitting only what is longer than 100 characters.
pub fn format_pretty(expr: &Expr) -> String {
    pretty(expr, 0)
}

fn pretty(expr: &Expr, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let line = expr.to_string();
    // Of a very high tree nobody reads the steps.
    if line.len() <= LINE_MAX || level == 0 && expr.beyond(TALL).is_some() {
        // Prometheus forgets to indent a subquery that fits its line.
        return if matches!(expr, Expr::Subquery(_)) { line } else { indent + &line };
    }
    match expr {
        Expr::Aggregate(e) => {
            let mut out = format!("{indent}{}(\n", aggregate_head(e));
            if let Some(param) = &e.param {
                out.push_str(&format!("{},\n", pretty(param, level + 1)));
            }
            out + &format!("{}\n{indent})", pretty(&e.inner, level + 1))
        }
        Expr::Binary(e) => format!(
            "{}\n{}{}\n{}",
            pretty(&e.left, level + 1),
            INDENT.repeat(level),
            binary_operator(e),
            pretty(&e.right, level + 1)
        ),
        Expr::Call(e) => {
            let args: Vec<_> = e.args.iter().map(|arg| pretty(arg, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", e.function, args.join(",\n"))
        }
        Expr::Paren(e) => format!("{indent}(\n{}\n{indent})", pretty(&e.inner, level + 1)),
        Expr::Unary(e) => {
            let sign = if e.negative { "-" } else { "+" };
            // The operand's own indentation is replaced by that of the sign.
            format!("{indent}{sign}{}", pretty(&e.inner, level).trim_start())
        }
        Expr::Subquery(e) => format!("{}{}", pretty(&e.inner, level), subquery_suffix(e)),
        Expr::Number(_) | Expr::String(_) | Expr::Selector(_) | Expr::Matrix(_) => indent + &line,
    }
}
