//! `/api/v1/parse_query`: a query as a tree. Keys stand in the order of the alphabet, as Prometheus writes them.
//!
//! Keys that came after Prometheus 3.5 (`anchored`, `smoothed`, `fillValues`) stand only where they say something:
//! absent means `false` or none.

use serde::Serialize;

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Node {
    Aggregation(Box<Aggregation>),
    Binary(Box<Binary>),
    Call(Call),
    /// A number or a string.
    Literal(Literal),
    Paren(Box<Paren>),
    Selector(Selector),
    Subquery(Box<Subquery>),
    Unary(Box<Unary>),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aggregation {
    pub expr: Node,
    pub grouping: Vec<String>,
    pub op: &'static str,
    pub param: Option<Node>,
    /// `aggregation`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub without: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Binary {
    pub bool: bool,
    pub lhs: Node,
    /// Only between two vectors.
    pub matching: Option<Matching>,
    pub op: &'static str,
    pub rhs: Node,
    /// `binaryExpr`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matching {
    /// `one-to-one`, `many-to-one`, `one-to-many` or `many-to-many`.
    pub card: &'static str,
    #[serde(rename = "fillValues", skip_serializing_if = "Option::is_none")]
    pub fill_values: Option<FillValues>,
    pub include: Vec<String>,
    pub labels: Vec<String>,
    pub on: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FillValues {
    pub lhs: Option<f64>,
    pub rhs: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    pub args: Vec<Node>,
    pub func: Func,
    /// `call`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Func {
    #[serde(rename = "argTypes")]
    pub arg_types: Vec<&'static str>,
    pub name: String,
    #[serde(rename = "returnType")]
    pub return_type: &'static str,
    /// 0: all arguments are required; n: so many may be left out or come more often; -1: any number.
    pub variadic: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Literal {
    /// `numberLiteral` or `stringLiteral`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub val: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paren {
    pub expr: Node,
    /// `parenExpr`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// A vector selector, or with `range` a matrix selector. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Selector {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anchored: bool,
    pub matchers: Vec<Matcher>,
    /// "" unless it stands before the braces.
    pub name: String,
    pub offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub smoothed: bool,
    #[serde(rename = "startOrEnd")]
    pub start_or_end: Option<&'static str>,
    pub timestamp: Option<i64>,
    /// `vectorSelector` or `matrixSelector`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matcher {
    pub name: String,
    #[serde(rename = "type")]
    pub op: &'static str,
    pub value: String,
}

/// Times are milliseconds; a `step` of 0 is the server's default.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subquery {
    pub expr: Node,
    pub offset: i64,
    pub range: i64,
    #[serde(rename = "startOrEnd")]
    pub start_or_end: Option<&'static str>,
    pub step: i64,
    pub timestamp: Option<i64>,
    /// `subquery`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unary {
    pub expr: Node,
    pub op: &'static str,
    /// `unaryExpr`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}
