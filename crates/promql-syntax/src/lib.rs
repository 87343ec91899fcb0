//! PromQL as text and as tree, without evaluation: shared by the server and the browser.
//!
//! [`parse`] gives a checked tree in which every node knows its place; `Display` of [`Expr`] prints Prometheus'
//! one-line form, [`format_pretty`] its `/api/v1/format_query` layout; [`tokens`] colours a text; [`FUNCTIONS`] says
//! what can be called. Nothing here compiles a regular expression: an engine does that.

pub mod ast;
pub mod durations;
pub mod error;
pub mod features;
pub mod functions;
pub mod lexer;
mod narrow;
mod parser;
mod pretty;
mod printer;
mod type_check;
pub mod units;

pub use ast::{
    AggregateExpr, AggregateOp, At, BinaryExpr, BinaryOp, Call, Cardinality, DurationExpr, DurationOp, Expr, Extension,
    Fill, Matching, MatrixSelector, NumberLiteral, ParenExpr, Span, StringLiteral, SubqueryExpr, TALL, UnaryExpr,
    ValueType, VectorSelector,
};
pub use durations::QueryTimes;
pub use error::ParseError;
pub use features::Features;
pub use functions::{AGGREGATIONS, FUNCTIONS, Function, function};
pub use lexer::{Token, TokenKind, tokens};
pub use narrow::narrow;
pub use parser::{
    matcher_span, parse, parse_low, parse_metric, parse_metric_matchers, parse_metric_selector, parse_with,
};
pub use pretty::format_pretty;
pub use printer::quote_bytes;
pub use units::{Inferred, Unit, infer};
