//! `/api/v1/format_query` and `/api/v1/parse_query`.

use crate::http::App;
use crate::http::error::{ApiError, ApiResult, success};
use crate::http::params::Params;
use api::syntax::{Aggregation, Binary, Call, FillValues, Func, Literal, Node, Paren, Selector, Subquery, Unary};
use axum::extract::State;
use promql_syntax::{At, Cardinality, DurationExpr, Expr, Extension, QueryTimes, TokenKind, ValueType, VectorSelector};
use std::sync::Arc;

pub(crate) async fn format(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    Ok(success(promql_syntax::format_pretty(&parsed(&app, params.get("query"))?)))
}

pub(crate) async fn parse(State(app): State<Arc<App>>, params: Params) -> ApiResult {
    let text = params.get("query");
    let tree = promql_syntax::parse_low(text, app.engine.options().features);
    Ok(success(node(text, &tree.map_err(|error| ApiError::parameter("query", error))?)))
}

fn parsed(app: &App, text: &str) -> ApiResult<Expr> {
    app.engine.parse(text).map_err(|error| ApiError::parameter("query", error))
}

/// `text` is what the tree was parsed from.
fn node(text: &str, expr: &Expr) -> Node {
    let node = |expr: &Expr| node(text, expr);
    match expr {
        Expr::Aggregate(e) => Node::Aggregation(Box::new(Aggregation {
            expr: node(&e.inner),
            grouping: e.grouping.clone(),
            op: e.op.as_str(),
            param: e.param.as_deref().map(node),
            kind: "aggregation",
            without: e.without,
        })),
        Expr::Binary(e) => Node::Binary(Box::new(Binary {
            bool: e.return_bool,
            lhs: node(&e.left),
            matching: e.matching.as_ref().map(matching),
            op: e.op.as_str(),
            rhs: node(&e.right),
            kind: "binaryExpr",
        })),
        Expr::Call(e) => {
            let signature = promql_syntax::function(&e.function);
            Node::Call(Call {
                args: e.args.iter().map(node).collect(),
                func: Func {
                    arg_types: signature.map_or(&[][..], |f| f.args).iter().map(|t| t.as_str()).collect(),
                    name: e.function.clone(),
                    return_type: signature.map_or(ValueType::Vector, |f| f.returns).as_str(),
                    variadic: signature.map_or(0, |f| f.variadic),
                },
                kind: "call",
            })
        }
        Expr::Number(e) => Node::Literal(Literal { kind: "numberLiteral", val: number(e.value) }),
        Expr::String(e) => Node::Literal(Literal { kind: "stringLiteral", val: e.value.clone() }),
        Expr::Paren(e) => Node::Paren(Box::new(Paren { expr: node(&e.inner), kind: "parenExpr" })),
        Expr::Unary(e) => Node::Unary(Box::new(Unary {
            expr: node(&e.inner),
            op: if e.negative { "-" } else { "+" },
            kind: "unaryExpr",
        })),
        Expr::Selector(e) => Node::Selector(selector(text, e, None)),
        Expr::Matrix(e) => Node::Selector(selector(text, &e.selector, Some(duration_ms(&e.range)))),
        Expr::Subquery(e) => {
            let (start_or_end, timestamp) = at(e.at);
            Node::Subquery(Box::new(Subquery {
                expr: node(&e.inner),
                offset: e.offset.as_ref().map_or(0, duration_ms),
                range: duration_ms(&e.range),
                start_or_end,
                step: e.step.as_ref().map_or(0, duration_ms),
                timestamp,
                kind: "subquery",
            }))
        }
    }
}

fn matching(matching: &promql_syntax::Matching) -> api::syntax::Matching {
    let fill = matching.fill;
    api::syntax::Matching {
        card: match matching.cardinality {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        },
        fill_values: (fill.left.is_some() || fill.right.is_some())
            .then_some(FillValues { lhs: fill.left, rhs: fill.right }),
        include: matching.include.clone(),
        labels: matching.labels.clone(),
        on: matching.on,
    }
}

fn selector(text: &str, selector: &VectorSelector, range: Option<i64>) -> Selector {
    let mut matchers: Vec<_> = selector
        .matchers
        .iter()
        .map(|matcher| api::syntax::Matcher {
            name: matcher.name.clone(),
            op: matcher.op.as_str(),
            value: matcher.value.clone(),
        })
        .collect();
    // A name before the braces: our tree has its matcher first, Prometheus' last. One that is quoted inside them
    // stays where it was written, and Prometheus does not count it as the selector's name.
    let written = text.get(selector.span.start..selector.span.end).unwrap_or_default();
    let in_braces = written.starts_with('{');
    let name = if in_braces { String::new() } else { selector.name.clone().unwrap_or_default() };
    let behind = match &selector.name {
        Some(_) if in_braces => before_quoted_name(written),
        Some(_) => matchers.len().saturating_sub(1),
        None => 0,
    };
    if let Some(moved) = matchers.get_mut(..=behind) {
        moved.rotate_left(usize::from(selector.name.is_some()));
    }
    let (start_or_end, timestamp) = at(selector.at);
    Selector {
        anchored: selector.extension == Extension::Anchored,
        matchers,
        name,
        offset: selector.offset.as_ref().map_or(0, duration_ms),
        range,
        smoothed: selector.extension == Extension::Smoothed,
        start_or_end,
        timestamp,
        kind: if range.is_some() { "matrixSelector" } else { "vectorSelector" },
    }
}

/// How many matchers stand in the braces before the name of the metric.
fn before_quoted_name(selector: &str) -> usize {
    use TokenKind::{Comma, LeftBrace, RightBrace, String};
    let tokens: Vec<TokenKind> = promql_syntax::tokens(selector).iter().map(|token| token.kind).collect();
    let is_name = |three: &[TokenKind]| matches!(three, [LeftBrace | Comma, String, Comma | RightBrace]);
    let name = tokens.windows(3).position(is_name).unwrap_or_default();
    tokens.iter().take(name + 1).filter(|kind| **kind == Comma).count()
}

fn at(at: Option<At>) -> (Option<&'static str>, Option<i64>) {
    match at {
        None => (None, None),
        Some(At::Start) => (Some("start"), None),
        Some(At::End) => (Some("end"), None),
        Some(At::Timestamp(ms)) => (None, Some(ms)),
    }
}

/// Durations that depend on the query (`step()`) have no value yet: 0, as Prometheus has it.
fn duration_ms(duration: &DurationExpr) -> i64 {
    if duration.is_constant() { duration.evaluate_ms(QueryTimes::default()).unwrap_or(0) } else { 0 }
}

/// Go's `'f'` format without an exponent.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query, and the tree as Prometheus 3.5 writes it.
    const CASES: &str = r#"
up{a="b",c=~"d"} => {"matchers":[{"name":"a","type":"=","value":"b"},{"name":"c","type":"=~","value":"d"},{"name":"__name__","type":"=","value":"up"}],"name":"up","offset":0,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"}
{"foo.bar",a="b"} => {"matchers":[{"name":"__name__","type":"=","value":"foo.bar"},{"name":"a","type":"=","value":"b"}],"name":"","offset":0,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"}
{a="b",c="d","foo.bar",e="f"} => {"matchers":[{"name":"a","type":"=","value":"b"},{"name":"c","type":"=","value":"d"},{"name":"__name__","type":"=","value":"foo.bar"},{"name":"e","type":"=","value":"f"}],"name":"","offset":0,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"}
x[5m] @ end() offset 1h => {"matchers":[{"name":"__name__","type":"=","value":"x"}],"name":"x","offset":3600000,"range":300000,"startOrEnd":"end","timestamp":null,"type":"matrixSelector"}
up @ 123.5 => {"matchers":[{"name":"__name__","type":"=","value":"up"}],"name":"up","offset":0,"startOrEnd":null,"timestamp":123500,"type":"vectorSelector"}
x[1h:] => {"expr":{"matchers":[{"name":"__name__","type":"=","value":"x"}],"name":"x","offset":0,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"offset":0,"range":3600000,"startOrEnd":null,"step":0,"timestamp":null,"type":"subquery"}
a / ignoring(c) group_right() b => {"bool":false,"lhs":{"matchers":[{"name":"__name__","type":"=","value":"a"}],"name":"a","offset":0,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"matching":{"card":"one-to-many","include":[],"labels":["c"],"on":false},"op":"/","rhs":{"matchers":[{"name":"__name__","type":"=","value":"b"}],"name":"b","offset":0,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"type":"binaryExpr"}
-Inf => {"type":"numberLiteral","val":"-Inf"}
1e3 => {"type":"numberLiteral","val":"1000"}
round(vector(1)) => {"args":[{"args":[{"type":"numberLiteral","val":"1"}],"func":{"argTypes":["scalar"],"name":"vector","returnType":"vector","variadic":0},"type":"call"}],"func":{"argTypes":["vector","scalar"],"name":"round","returnType":"vector","variadic":1},"type":"call"}
topk(3, +x) => {"expr":{"expr":{"matchers":[{"name":"__name__","type":"=","value":"x"}],"name":"x","offset":0,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"op":"+","type":"unaryExpr"},"grouping":[],"op":"topk","param":{"type":"numberLiteral","val":"3"},"type":"aggregation","without":false}
rate(x[step()] anchored) => {"args":[{"anchored":true,"matchers":[{"name":"__name__","type":"=","value":"x"}],"name":"x","offset":0,"range":0,"startOrEnd":null,"timestamp":null,"type":"matrixSelector"}],"func":{"argTypes":["matrix"],"name":"rate","returnType":"vector","variadic":0},"type":"call"}
"#;

    #[test]
    fn trees() {
        for case in CASES.trim().lines() {
            let (query, expected) = case.split_once(" => ").unwrap();
            let tree = node(query, &promql_syntax::parse(query).unwrap());
            assert_eq!(serde_json::to_string(&tree).unwrap(), expected, "in case `{query}`");
        }
    }
}
