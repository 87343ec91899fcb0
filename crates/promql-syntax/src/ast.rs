//! The syntax tree. Every node knows its place in the text.

use model::Matcher;

/// Bytes `start..end` of the query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.end) }
    }
}

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    Scalar,
    String,
    Vector,
    Matrix,
}

impl ValueType {
    /// As error messages say it.
    pub fn describe(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        }
    }

    /// As the HTTP API's `resultType` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Aggregate(AggregateExpr),
    Binary(BinaryExpr),
    Call(Call),
    Number(NumberLiteral),
    String(StringLiteral),
    Paren(ParenExpr),
    Unary(UnaryExpr),
    Selector(VectorSelector),
    Matrix(MatrixSelector),
    Subquery(SubqueryExpr),
}

impl Expr {
    pub fn span(&self) -> Span {
        match self {
            Expr::Aggregate(e) => e.span,
            Expr::Binary(e) => e.span,
            Expr::Call(e) => e.span,
            Expr::Number(e) => e.span,
            Expr::String(e) => e.span,
            Expr::Paren(e) => e.span,
            Expr::Unary(e) => e.span,
            Expr::Selector(e) => e.span,
            Expr::Matrix(e) => e.span,
            Expr::Subquery(e) => e.span,
        }
    }

    /// What the expression gives; only sure once it is parsed and checked.
    pub fn value_type(&self) -> ValueType {
        match self {
            Expr::Aggregate(_) | Expr::Selector(_) => ValueType::Vector,
            Expr::Binary(e) => {
                // Operators nest to the left.
                let mut e = e;
                while e.right.value_type() == ValueType::Scalar {
                    match &*e.left {
                        Expr::Binary(left) => e = left,
                        left => {
                            let is_scalar = left.value_type() == ValueType::Scalar;
                            return if is_scalar { ValueType::Scalar } else { ValueType::Vector };
                        }
                    }
                }
                ValueType::Vector
            }
            Expr::Call(e) => crate::function(&e.function).map_or(ValueType::Vector, |f| f.returns),
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::Paren(e) => e.inner.value_type(),
            Expr::Unary(e) => e.inner.value_type(),
            Expr::Matrix(_) | Expr::Subquery(_) => ValueType::Matrix,
        }
    }

    /// The expressions directly inside, left to right. The selector of a matrix selector is no child.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Aggregate(e) => e.param.iter().map(|p| &**p).chain([&*e.inner]).collect(),
            Expr::Binary(e) => vec![&e.left, &e.right],
            Expr::Call(e) => e.args.iter().collect(),
            Expr::Paren(e) => vec![&e.inner],
            Expr::Unary(e) => vec![&e.inner],
            Expr::Subquery(e) => vec![&e.inner],
            Expr::Number(_) | Expr::String(_) | Expr::Selector(_) | Expr::Matrix(_) => Vec::new(),
        }
    }

    /// The expression without the parentheses around it.
    pub fn unparenthesized(&self) -> &Expr {
        let mut expr = self;
        while let Expr::Paren(paren) = expr {
            expr = &paren.inner;
        }
        expr
    }

    /// All nodes of the tree, each before those inside it, from left to right. Needs no deep stack for a high tree.
    pub fn nodes(&self) -> impl Iterator<Item = &Expr> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let next = open.pop()?;
            open.extend(next.children().into_iter().rev());
            Some(next)
        })
    }

    /// Calls `visit` with every selector of the tree, those of matrix selectors included.
    pub fn visit_selectors<'a>(&'a self, visit: &mut impl FnMut(&'a VectorSelector)) {
        for node in self.nodes() {
            match node {
                Expr::Selector(selector) => visit(selector),
                Expr::Matrix(matrix) => visit(&matrix.selector),
                _ => {}
            }
        }
    }

    /// The place of a node that has `height` others above it, if there is one.
    pub fn beyond(&self, height: usize) -> Option<Span> {
        let mut open = vec![(self, 0)];
        while let Some((node, above)) = open.pop() {
            if above >= height {
                return Some(node.span());
            }
            open.extend(node.children().into_iter().map(|child| (child, above + 1)));
        }
        None
    }
}

/// Trees higher than this are walked only by those who follow operators side by side without going deeper.
pub const TALL: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    LimitRatio,
    Limitk,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
}

impl AggregateOp {
    pub const ALL: [AggregateOp; 14] = [
        AggregateOp::Avg,
        AggregateOp::Bottomk,
        AggregateOp::Count,
        AggregateOp::CountValues,
        AggregateOp::Group,
        AggregateOp::LimitRatio,
        AggregateOp::Limitk,
        AggregateOp::Max,
        AggregateOp::Min,
        AggregateOp::Quantile,
        AggregateOp::Stddev,
        AggregateOp::Stdvar,
        AggregateOp::Sum,
        AggregateOp::Topk,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            AggregateOp::Avg => "avg",
            AggregateOp::Bottomk => "bottomk",
            AggregateOp::Count => "count",
            AggregateOp::CountValues => "count_values",
            AggregateOp::Group => "group",
            AggregateOp::LimitRatio => "limit_ratio",
            AggregateOp::Limitk => "limitk",
            AggregateOp::Max => "max",
            AggregateOp::Min => "min",
            AggregateOp::Quantile => "quantile",
            AggregateOp::Stddev => "stddev",
            AggregateOp::Stdvar => "stdvar",
            AggregateOp::Sum => "sum",
            AggregateOp::Topk => "topk",
        }
    }

    /// Reads a name in any case.
    pub fn from_name(name: &str) -> Option<AggregateOp> {
        AggregateOp::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(name))
    }

    /// True for those with a parameter before the vector.
    pub fn has_param(self) -> bool {
        use AggregateOp as A;
        matches!(self, A::Topk | A::Bottomk | A::CountValues | A::Quantile | A::Limitk | A::LimitRatio)
    }

    pub fn is_experimental(self) -> bool {
        matches!(self, AggregateOp::Limitk | AggregateOp::LimitRatio)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct AggregateExpr {
    pub op: AggregateOp,
    pub inner: Box<Expr>,
    /// `k` of topk, the label of count_values, the quantile …
    pub param: Option<Box<Expr>>,
    pub grouping: Vec<String>,
    pub without: bool,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    And,
    Or,
    Unless,
    /// `</`: what of a native histogram lies below a bound.
    TrimUpper,
    /// `>/`: what of a native histogram lies above a bound.
    TrimLower,
}

impl BinaryOp {
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Greater => ">",
            BinaryOp::Less => "<",
            BinaryOp::GreaterOrEqual => ">=",
            BinaryOp::LessOrEqual => "<=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
        }
    }

    pub fn is_comparison(self) -> bool {
        use BinaryOp as B;
        matches!(self, B::Equal | B::NotEqual | B::Greater | B::Less | B::GreaterOrEqual | B::LessOrEqual)
    }

    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }

    pub fn is_trim(self) -> bool {
        matches!(self, BinaryOp::TrimLower | BinaryOp::TrimUpper)
    }

    /// How strongly the operator binds, 1 weakest; `^` alone binds to the right.
    pub fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And | BinaryOp::Unless => 2,
            BinaryOp::Add | BinaryOp::Sub => 4,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
            BinaryOp::Pow => 6,
            _ => 3,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
    /// The set operators.
    ManyToMany,
}

/// Values for series without a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fill {
    pub left: Option<f64>,
    pub right: Option<f64>,
}

/// How the two sides of an operator find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    pub cardinality: Cardinality,
    /// Labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// `on` rather than `ignoring` (which is also what no clause means).
    pub on: bool,
    /// Labels of `group_left` or `group_right`, taken over from the "one" side.
    pub include: Vec<String>,
    pub fill: Fill,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BinaryExpr {
    pub op: BinaryOp,
    pub op_span: Span,
    pub left: Box<Expr>,
    pub right: Box<Expr>,
    pub return_bool: bool,
    /// Only between two instant vectors.
    pub matching: Option<Matching>,
    pub span: Span,
}

impl BinaryExpr {
    /// The operators that build on each other to the left, the innermost first and this one last, and what the innermost one
    /// has on its left: `a`, then `+ b`, then `+ c`.
    pub fn spine(&self) -> (Vec<&BinaryExpr>, &Expr) {
        let (mut operators, mut first) = (vec![self], &*self.left);
        while let Expr::Binary(inner) = first {
            operators.push(inner);
            first = &inner.left;
        }
        operators.reverse();
        (operators, first)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// One of [`crate::FUNCTIONS`].
    pub function: String,
    pub args: Vec<Expr>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NumberLiteral {
    pub value: f64,
    /// Written as a duration (`5m`), and printed as one.
    pub is_duration: bool,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringLiteral {
    /// The text; bytes that are no UTF-8 are replaced by U+FFFD here.
    pub value: String,
    /// The bytes as escapes such as `\xff` gave them, only if they are no UTF-8.
    pub not_utf8: Option<Vec<u8>>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ParenExpr {
    pub inner: Box<Expr>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct UnaryExpr {
    /// `-` rather than `+`.
    pub negative: bool,
    pub inner: Box<Expr>,
    pub span: Span,
}

/// What `@` fixes a selector to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// Unix milliseconds.
    Timestamp(i64),
    /// The start of the query.
    Start,
    /// The end of the query.
    End,
}

/// How a selector deals with the edges of its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Extension {
    #[default]
    None,
    /// The last sample before the range counts as one at its start.
    Anchored,
    /// Values at the edges are interpolated from the samples around them.
    Smoothed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The name if it stands before the braces or quoted inside them; then also the first of `matchers`.
    pub name: Option<String>,
    pub matchers: Vec<Matcher>,
    pub offset: Option<DurationExpr>,
    pub at: Option<At>,
    pub extension: Extension,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// Carries the modifiers written after the range.
    pub selector: VectorSelector,
    pub range: DurationExpr,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SubqueryExpr {
    pub inner: Box<Expr>,
    pub range: DurationExpr,
    /// `None`: the engine's default.
    pub step: Option<DurationExpr>,
    pub offset: Option<DurationExpr>,
    pub at: Option<At>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DurationOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

impl DurationOp {
    pub fn as_str(self) -> &'static str {
        match self {
            DurationOp::Add => "+",
            DurationOp::Sub => "-",
            DurationOp::Mul => "*",
            DurationOp::Div => "/",
            DurationOp::Mod => "%",
            DurationOp::Pow => "^",
        }
    }
}

/// A duration inside `[…]` or after `offset`, in seconds; see [`DurationExpr::evaluate_ms`].
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    Number(NumberLiteral),
    /// `step()`: the step of the query.
    Step(Span),
    /// `range()`: end minus start of the query.
    Range(Span),
    Paren(Box<DurationExpr>, Span),
    Negative(Box<DurationExpr>, Span),
    Binary {
        op: DurationOp,
        left: Box<DurationExpr>,
        right: Box<DurationExpr>,
        span: Span,
    },
    MinOf(Box<DurationExpr>, Box<DurationExpr>, Span),
    MaxOf(Box<DurationExpr>, Box<DurationExpr>, Span),
}

impl DurationExpr {
    pub fn span(&self) -> Span {
        match self {
            DurationExpr::Number(number) => number.span,
            DurationExpr::Step(span)
            | DurationExpr::Range(span)
            | DurationExpr::Paren(_, span)
            | DurationExpr::Negative(_, span)
            | DurationExpr::Binary { span, .. }
            | DurationExpr::MinOf(_, _, span)
            | DurationExpr::MaxOf(_, _, span) => *span,
        }
    }
}
