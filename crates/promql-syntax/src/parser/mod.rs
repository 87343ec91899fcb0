//! Tokens to tree, by precedence climbing.

mod duration;

use crate::ast::*;
use crate::error::ParseError;
use crate::features::{EXPERIMENTAL_FUNCTIONS, EXTENDED_RANGE_SELECTORS, FILL_MODIFIERS, Features};
use crate::lexer::{Lexer, Token, TokenKind, parse_number, unquote};
use crate::type_check;
use model::{Labels, LabelsBuilder, MatchOp, Matcher, labels::METRIC_NAME, labels::quote};

/// Expressions may be nested so deep; deeper ones would endanger the stack of whoever walks the tree.
const DEPTH_MAX: usize = 100;
/// So high a tree may be: operators side by side nest, too, though the parser does not. Who walks the tree of a query follows
/// them without going deeper; the stack of a browser holds no more than it needs.
const HEIGHT_MAX: usize = if cfg!(target_family = "wasm") { TALL } else { 5000 };

type Parsed<T> = Result<T, ParseError>;

/// Reads and type-checks a query, which may use the whole language.
///
/// # Errors
/// The first fault from the left, in Prometheus' words.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, Features::ALL)
}

/// As [`parse_with`], for those who go as deep as the tree is high: of higher ones than [`TALL`] nobody wants a picture.
///
/// # Errors
/// As [`parse_with`].
pub fn parse_low(text: &str, features: Features) -> Result<Expr, ParseError> {
    let expr = parse_with(text, features)?;
    match expr.beyond(TALL) {
        Some(span) => Err(too_tall(text, span, TALL)),
        None => Ok(expr),
    }
}

fn too_tall(text: &str, span: Span, most: usize) -> ParseError {
    ParseError::new(text, span, format!("more than {most} operators build on each other; split the query"))
}

/// As [`parse`], of a query that may use what is switched on.
///
/// # Errors
/// As [`parse`]; of what is not switched on, [`ParseError::feature`] has the name.
pub fn parse_with(text: &str, features: Features) -> Result<Expr, ParseError> {
    let mut parser = Parser { features, ..Parser::new(text) };
    if parser.tokens.is_empty() {
        return Err(ParseError::new(text, Span::default(), "no expression found in input"));
    }
    let expr = parser.expr(1)?;
    parser.expect_end()?;
    type_check::check(text, &expr)?;
    Ok(expr)
}

/// Reads a selector alone, as `match[]` carries it: `up{job="a"}`. The metric's name becomes a matcher.
///
/// # Errors
/// Anything but one selector without modifiers; a selector that would select everything.
pub fn parse_metric_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let selector = lone_selector(text)?;
    type_check::check_selector(text, &selector)?;
    Ok(selector.matchers)
}

/// As [`parse_metric_selector`], but a selector may select everything: what that means is the caller's matter.
///
/// # Errors
/// Anything but one selector without modifiers.
pub fn parse_metric_matchers(text: &str) -> Result<Vec<Matcher>, ParseError> {
    lone_selector(text).map(|selector| selector.matchers)
}

fn lone_selector(text: &str) -> Result<VectorSelector, ParseError> {
    let mut parser = Parser::new(text);
    let selector = parser.vector_selector()?;
    parser.expect_end()?;
    Ok(selector)
}

/// Where matcher `index` of a selector stands in the query that it was read from; the selector's own place if the text is
/// another one.
pub fn matcher_span(query: &str, selector: &VectorSelector, index: usize) -> Span {
    let tokens: Vec<Token> = Lexer::new(query)
        .filter(|token| selector.span.start <= token.span.start && token.span.end <= selector.span.end)
        .collect();
    let (mut names, mut others) = (Vec::new(), Vec::new());
    if tokens.first().is_some_and(|token| token.kind != TokenKind::LeftBrace) {
        names.push(selector.span);
    }
    for (token, next) in tokens.windows(3).filter_map(|three| {
        let begins = matches!(three[0].kind, TokenKind::LeftBrace | TokenKind::Comma);
        begins.then_some((three[1], three[2]))
    }) {
        let is_name = token.kind == TokenKind::String && next.kind != TokenKind::Operator;
        if is_name { names.push(token.span) } else { others.push(token.span) }
    }
    // The name's matcher comes first wherever it is written.
    names.into_iter().chain(others).nth(index).unwrap_or(selector.span)
}

/// Reads a label set as series are written, `name{label="value"}`, from the start of a text; returns it with the
/// number of bytes read.
///
/// # Errors
/// What does not start with such a label set.
pub fn parse_metric(text: &str) -> Result<(Labels, usize), ParseError> {
    let end = metric_end(text);
    let head = &text[..end];
    let mut parser = Parser::new(head);
    let mut builder = LabelsBuilder::default();
    if parser.kind() != Some(TokenKind::LeftBrace) {
        let name = parser.metric_name()?;
        builder.set(METRIC_NAME, &name);
    }
    if parser.take(TokenKind::LeftBrace).is_some() {
        while parser.kind() != Some(TokenKind::RightBrace) {
            let token = parser.next("label set", "identifier or \"}\"")?;
            let quoted = token.kind == TokenKind::String;
            let name = if quoted {
                parser.string_value(token)?
            } else if is_word(token.kind) || token.kind == TokenKind::Number {
                token.text(head).to_owned()
            } else {
                return Err(parser.unexpected_at(token, "label set", "identifier or \"}\""));
            };
            if quoted && parser.peek_text() != "=" {
                builder.set(METRIC_NAME, &name);
            } else {
                let equal = parser.next("label set", "\"=\"")?;
                if equal.text(head) != "=" {
                    return Err(parser.unexpected_at(equal, "label set", "\"=\""));
                }
                let value = parser.next("label set", "string")?;
                if value.kind != TokenKind::String {
                    return Err(parser.unexpected_at(value, "label set", "string"));
                }
                let value = parser.string_value(value)?;
                builder.set(&name, &value);
            }
            if parser.take(TokenKind::Comma).is_none() {
                break;
            }
        }
        parser.expect(TokenKind::RightBrace, "label set", "\",\" or \"}\"")?;
    }
    parser.expect_end()?;
    Ok((builder.build(), end))
}

/// Where the label set at the start of a series line ends.
fn metric_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let name_end = bytes.iter().position(|c| matches!(c, b' ' | b'\t' | b'{')).unwrap_or(bytes.len());
    let brace = name_end + bytes[name_end..].iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
    // `{{` starts a histogram, not a label set.
    if bytes.get(brace) != Some(&b'{') || bytes.get(brace + 1) == Some(&b'{') {
        return name_end;
    }
    let (mut at, mut quoted) = (brace, None);
    while let Some(&c) = bytes.get(at) {
        match quoted {
            Some(b'`') if c == b'`' => quoted = None,
            Some(b'`') => {}
            Some(_) if c == b'\\' => at += 1,
            Some(quote) if c == quote => quoted = None,
            Some(_) => {}
            None if matches!(c, b'"' | b'\'' | b'`') => quoted = Some(c),
            None if c == b'}' => return at + 1,
            None => {}
        }
        at += 1;
    }
    text.len()
}

fn is_word(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Identifier | TokenKind::Keyword | TokenKind::Aggregation)
}

struct Parser<'a> {
    text: &'a str,
    /// Without comments.
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Height of the tree parsed last.
    height: usize,
    /// Aggregations whose arguments are being read: faults inside are told to be theirs, if of nothing narrower.
    open_aggregations: usize,
    lex_error: Option<(Span, String)>,
    features: Features,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let tokens = lexer.by_ref().filter(|token| token.kind != TokenKind::Comment).collect();
        Parser {
            text,
            tokens,
            at: 0,
            depth: 0,
            height: 0,
            open_aggregations: 0,
            lex_error: lexer.error,
            features: Features::ALL,
        }
    }

    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn kind(&self) -> Option<TokenKind> {
        self.peek().map(|token| token.kind)
    }

    fn kind_after(&self) -> Option<TokenKind> {
        self.tokens.get(self.at + 1).map(|token| token.kind)
    }

    /// Text of the next token, "" at the end.
    fn peek_text(&self) -> &'a str {
        self.peek().map_or("", |token| token.text(self.text))
    }

    fn peek_keyword(&self, keyword: &str) -> bool {
        self.kind().is_some_and(is_word) && self.peek_text().eq_ignore_ascii_case(keyword)
    }

    fn take(&mut self, kind: TokenKind) -> Option<Token> {
        let token = self.peek().filter(|token| token.kind == kind)?;
        self.at += 1;
        Some(token)
    }

    fn take_keyword(&mut self, keyword: &str) -> Option<Token> {
        let token = self.peek().filter(|_| self.peek_keyword(keyword))?;
        self.at += 1;
        Some(token)
    }

    fn next(&mut self, context: &str, expected: &str) -> Parsed<Token> {
        let Some(token) = self.peek() else { return Err(self.unexpected(context, expected)) };
        if token.kind == TokenKind::Error {
            return Err(self.unexpected(context, expected));
        }
        self.at += 1;
        Ok(token)
    }

    fn expect(&mut self, kind: TokenKind, context: &str, expected: &str) -> Parsed<Token> {
        match self.take(kind) {
            Some(token) => Ok(token),
            None => Err(self.unexpected(context, expected)),
        }
    }

    fn expect_end(&self) -> Parsed<()> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("", "")) }
    }

    fn fail<T>(&self, span: Span, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError::new(self.text, span, message))
    }

    /// Fails unless a part of the language is switched on.
    fn need(&self, is_on: bool, feature: &'static str, span: Span, message: impl FnOnce() -> String) -> Parsed<()> {
        if is_on {
            return Ok(());
        }
        Err(ParseError { feature: Some(feature), ..ParseError::new(self.text, span, message()) })
    }

    fn last_end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.span.end)
    }

    /// The error for the next token.
    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        match self.peek() {
            Some(token) => self.unexpected_at(token, context, expected),
            None => {
                let end = Span { start: self.text.len(), end: self.text.len() };
                if let Some(message) = self.unclosed() {
                    return ParseError::new(self.text, end, message);
                }
                self.unexpected_text(end, "end of input", context, expected)
            }
        }
    }

    /// What is still open at the end of the text.
    fn unclosed(&self) -> Option<&'static str> {
        let count = |kind| self.tokens.iter().filter(|token| token.kind == kind).count();
        if count(TokenKind::LeftBrace) > count(TokenKind::RightBrace) {
            Some("unexpected end of input inside braces")
        } else if self.tokens.last().is_some_and(|token| token.kind == TokenKind::LeftBracket) {
            Some("unexpected end of input in duration expression")
        } else if count(TokenKind::LeftParen) > count(TokenKind::RightParen) {
            Some("unclosed left parenthesis")
        } else if count(TokenKind::LeftBracket) > count(TokenKind::RightBracket) {
            Some("unclosed left bracket")
        } else {
            None
        }
    }

    fn unexpected_at(&self, token: Token, context: &str, expected: &str) -> ParseError {
        if token.kind == TokenKind::Error {
            let (span, message) = self.lex_error.clone().unwrap_or((token.span, "unexpected character".to_owned()));
            return ParseError::new(self.text, span, message);
        }
        let count = |kind| self.tokens[..=self.at.min(self.tokens.len() - 1)].iter().filter(|t| t.kind == kind).count();
        if token.kind == TokenKind::RightParen && count(TokenKind::RightParen) > count(TokenKind::LeftParen) {
            let after = Span { start: token.span.end, end: token.span.end };
            return ParseError::new(self.text, after, "unexpected right parenthesis ')'");
        }
        let text = token.text(self.text);
        if text == "=~" && token.kind == TokenKind::Operator && context != "label matching" {
            return ParseError::new(self.text, token.span, "unexpected character after '=': '~'");
        }
        let lower = text.to_ascii_lowercase();
        let described = match token.kind {
            TokenKind::Identifier if text.contains(':') => format!("metric identifier {}", quote(text)),
            TokenKind::Identifier => format!("identifier {}", quote(text)),
            TokenKind::Number => format!("number {}", quote(text)),
            TokenKind::Duration => format!("duration {}", quote(text)),
            TokenKind::String => format!("string {text}"),
            TokenKind::Aggregation => format!("<aggr:{lower}>"),
            TokenKind::Keyword if matches!(lower.as_str(), "and" | "or" | "unless" | "atan2") => {
                format!("<op:{lower}>")
            }
            TokenKind::Keyword => format!("<{lower}>"),
            TokenKind::Operator if !matches!(text, "=") => format!("<op:{text}>"),
            _ => quote(text),
        };
        self.unexpected_text(token.span, &described, context, expected)
    }

    fn unexpected_text(&self, span: Span, described: &str, context: &str, expected: &str) -> ParseError {
        let mut message = format!("unexpected {described}");
        let context = if context.is_empty() && self.open_aggregations > 0 { "aggregation" } else { context };
        if !context.is_empty() {
            message.push_str(&format!(" in {context}"));
        }
        if !expected.is_empty() {
            message.push_str(&format!(", expected {expected}"));
        }
        ParseError::new(self.text, span, message)
    }

    /// An expression of operators that bind at least as strongly as `weakest`.
    fn expr(&mut self, weakest: u8) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let span = self.peek().map_or(Span::default(), |token| token.span);
            return self.fail(span, format!("expression is nested deeper than {DEPTH_MAX} levels; split it"));
        }
        let mut left = self.unary()?;
        let mut height = self.height;
        while let Some(op) = self.peek_binary_op().filter(|op| op.precedence() >= weakest) {
            let op_span = self.next("", "")?.span;
            left = self.binary(op, op_span, left)?;
            height = height.max(self.height) + 1;
            if height > HEIGHT_MAX {
                return Err(too_tall(self.text, op_span, HEIGHT_MAX));
            }
        }
        self.height = height;
        self.depth -= 1;
        Ok(left)
    }

    fn peek_binary_op(&self) -> Option<BinaryOp> {
        let token = self.peek()?;
        if !matches!(token.kind, TokenKind::Operator | TokenKind::Keyword) {
            return None;
        }
        Some(match token.text(self.text).to_ascii_lowercase().as_str() {
            "+" => BinaryOp::Add,
            "-" => BinaryOp::Sub,
            "*" => BinaryOp::Mul,
            "/" => BinaryOp::Div,
            "%" => BinaryOp::Mod,
            "^" => BinaryOp::Pow,
            "atan2" => BinaryOp::Atan2,
            "==" => BinaryOp::Equal,
            "!=" => BinaryOp::NotEqual,
            ">" => BinaryOp::Greater,
            "<" => BinaryOp::Less,
            ">=" => BinaryOp::GreaterOrEqual,
            "<=" => BinaryOp::LessOrEqual,
            "and" => BinaryOp::And,
            "or" => BinaryOp::Or,
            "unless" => BinaryOp::Unless,
            "</" => BinaryOp::TrimUpper,
            ">/" => BinaryOp::TrimLower,
            _ => return None,
        })
    }

    fn binary(&mut self, op: BinaryOp, op_span: Span, left: Expr) -> Parsed<Expr> {
        let mut return_bool = false;
        let mut explicit = None;
        if self.take_keyword("bool").is_some() {
            if !op.is_comparison() {
                return self.fail(op_span, "bool modifier can only be used on comparison operators");
            }
            return_bool = true;
        }
        let mut matching = Matching::default();
        for (keyword, on) in [("on", true), ("ignoring", false)] {
            if let Some(token) = self.take_keyword(keyword) {
                explicit = Some(token.span);
                matching.on = on;
                matching.labels = self.grouping()?;
                break;
            }
        }
        if explicit.is_some() {
            for (keyword, cardinality) in
                [("group_left", Cardinality::ManyToOne), ("group_right", Cardinality::OneToMany)]
            {
                if self.take_keyword(keyword).is_some() {
                    matching.cardinality = cardinality;
                    // What cannot begin the right side must be meant for labels.
                    let ends = !matches!(
                        self.kind(),
                        Some(
                            TokenKind::Identifier
                                | TokenKind::Keyword
                                | TokenKind::Aggregation
                                | TokenKind::Number
                                | TokenKind::Duration
                                | TokenKind::String
                                | TokenKind::Operator
                                | TokenKind::LeftBrace
                                | TokenKind::Error
                        )
                    );
                    if ends {
                        matching.include = self.grouping()?;
                    }
                    break;
                }
            }
        }
        while self.kind() == Some(TokenKind::Keyword) && self.kind_after() == Some(TokenKind::LeftParen) {
            let keyword = self.peek_text().to_ascii_lowercase();
            if !matches!(keyword.as_str(), "fill" | "fill_left" | "fill_right") {
                break;
            }
            let span = self.next("", "")?.span;
            self.expect(TokenKind::LeftParen, "fill modifier", "\"(\"")?;
            let value = self.signed_number("fill modifier")?;
            self.expect(TokenKind::RightParen, "fill modifier", "\")\"")?;
            if op.is_set() && self.features.fill_modifiers {
                return self.fail(span, "filling in missing series not allowed for set operators".to_string());
            }
            explicit = explicit.or(Some(span));
            if keyword != "fill_right" {
                matching.fill.left = Some(value);
            }
            if keyword != "fill_left" {
                matching.fill.right = Some(value);
            }
        }
        if op.is_set() {
            if matching.cardinality != Cardinality::OneToOne {
                return self.fail(left.span(), format!("no grouping allowed for {} operation", quote(op.as_str())));
            }
            matching.cardinality = Cardinality::ManyToMany;
        }
        for label in &matching.labels {
            if matching.on && matching.include.contains(label) {
                let message = format!("label {} must not occur in ON and GROUP clause at once", quote(label));
                return self.fail(op_span, message);
            }
        }
        let right = self.expr(if op == BinaryOp::Pow { op.precedence() } else { op.precedence() + 1 })?;
        let has_fill = matching.fill.left.is_some() || matching.fill.right.is_some();
        self.need(self.features.fill_modifiers || !has_fill, FILL_MODIFIERS, left.span().to(right.span()), || {
            "binop fill modifiers are experimental and not enabled".to_owned()
        })?;
        let both_vectors = left.value_type() == ValueType::Vector && right.value_type() == ValueType::Vector;
        if !both_vectors && explicit.is_some() {
            return self.fail(left.span(), "vector matching only allowed between instant vectors");
        }
        let span = left.span().to(right.span());
        let matching = both_vectors.then_some(matching);
        Ok(Expr::Binary(BinaryExpr {
            op,
            op_span,
            left: Box::new(left),
            right: Box::new(right),
            return_bool,
            matching,
            span,
        }))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let sign =
            self.peek().filter(|token| token.kind == TokenKind::Operator && matches!(self.peek_text(), "+" | "-"));
        let Some(sign) = sign else {
            let primary = self.primary()?;
            return self.postfix(primary);
        };
        let negative = sign.text(self.text) == "-";
        self.at += 1;
        // Signs bind like `*`: only `^` comes first.
        let inner = self.expr(BinaryOp::Pow.precedence())?;
        let span = sign.span.to(inner.span());
        self.height += 1;
        Ok(match inner {
            Expr::Number(mut number) => {
                number.value = if negative { -number.value } else { number.value };
                number.span = span;
                Expr::Number(number)
            }
            inner => Expr::Unary(UnaryExpr { negative, inner: Box::new(inner), span }),
        })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let Some(token) = self.peek() else { return Err(self.unexpected("", "")) };
        self.height = 1;
        match token.kind {
            TokenKind::LeftParen => {
                self.at += 1;
                let inner = self.expr(1)?;
                let close = self.expect(TokenKind::RightParen, "", "")?;
                self.height += 1;
                Ok(Expr::Paren(ParenExpr { inner: Box::new(inner), span: token.span.to(close.span) }))
            }
            TokenKind::Number | TokenKind::Duration => {
                self.at += 1;
                Ok(Expr::Number(self.number(token)?))
            }
            TokenKind::String => {
                self.at += 1;
                let bytes = self.string_bytes(token)?;
                let span = token.span;
                Ok(Expr::String(match String::from_utf8(bytes) {
                    Ok(value) => StringLiteral { value, not_utf8: None, span },
                    Err(error) => {
                        let value = String::from_utf8_lossy(error.as_bytes()).into_owned();
                        StringLiteral { value, not_utf8: Some(error.into_bytes()), span }
                    }
                }))
            }
            TokenKind::Aggregation => {
                let after = self.tokens.get(self.at + 1).map_or("", |token| token.text(self.text));
                let op = AggregateOp::from_name(token.text(self.text));
                match op {
                    Some(op) if after == "(" || is_grouping_word(after) => self.aggregate(op),
                    _ => Ok(Expr::Selector(self.vector_selector()?)),
                }
            }
            TokenKind::Identifier if self.kind_after() == Some(TokenKind::LeftParen) => self.call(),
            _ => Ok(Expr::Selector(self.vector_selector()?)),
        }
    }

    fn number(&self, token: Token) -> Parsed<NumberLiteral> {
        let text = token.text(self.text);
        let is_duration = token.kind == TokenKind::Duration;
        let value = if is_duration {
            model::duration::parse_duration_ms(text).ok().map(|ms| ms as f64 / 1000.0)
        } else {
            parse_number(text)
        };
        let Some(value) = value else {
            return self.fail(
                token.span,
                if is_duration {
                    format!("not a valid duration string: {}", quote(text))
                } else {
                    format!("error parsing number: strconv.ParseFloat: parsing {}: value out of range", quote(text))
                },
            );
        };
        Ok(NumberLiteral { value, is_duration, span: token.span })
    }

    /// A number with any number of signs before it.
    fn signed_number(&mut self, context: &str) -> Parsed<f64> {
        let mut sign = 1.0;
        while matches!(self.peek_text(), "+" | "-") {
            if self.peek_text() == "-" {
                sign = -sign;
            }
            self.at += 1;
        }
        let token = self.next(context, "number")?;
        if !matches!(token.kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected_at(token, context, "number"));
        }
        Ok(sign * self.number(token)?.value)
    }

    fn string_bytes(&self, token: Token) -> Parsed<Vec<u8>> {
        unquote(token.text(self.text)).or_else(|message| self.fail(token.span, message))
    }

    fn string_value(&self, token: Token) -> Parsed<String> {
        let bytes = self.string_bytes(token)?;
        String::from_utf8(bytes).or_else(|_| self.fail(token.span, "string is no valid UTF-8"))
    }

    /// `(a, b, "c.d")`.
    fn grouping(&mut self) -> Parsed<Vec<String>> {
        self.expect(TokenKind::LeftParen, "grouping opts", "\"(\"")?;
        let mut labels = Vec::new();
        while self.take(TokenKind::RightParen).is_none() {
            let token = self.next("grouping opts", "label")?;
            labels.push(match token.kind {
                TokenKind::String => self.string_value(token)?,
                kind if is_word(kind) && model::labels::is_legacy_label_name(token.text(self.text)) => {
                    token.text(self.text).to_owned()
                }
                _ => return Err(self.unexpected_at(token, "grouping opts", "label")),
            });
            if self.take(TokenKind::Comma).is_none() {
                self.expect(TokenKind::RightParen, "grouping opts", "\",\" or \")\"")?;
                break;
            }
        }
        Ok(labels)
    }

    /// `(a, b)`; returns the arguments.
    fn args(&mut self, context: &str) -> Parsed<Vec<Expr>> {
        self.expect(TokenKind::LeftParen, context, "")?;
        let (mut args, mut height) = (Vec::new(), 0);
        if self.take(TokenKind::RightParen).is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.expr(1)?);
            height = height.max(self.height);
            self.height = height + 1;
            if let Some(comma) = self.take(TokenKind::Comma) {
                if self.kind() == Some(TokenKind::RightParen) {
                    return self.fail(comma.span, "trailing commas not allowed in function call args");
                }
                continue;
            }
            self.expect(TokenKind::RightParen, "", "")?;
            return Ok(args);
        }
    }

    fn aggregate(&mut self, op: AggregateOp) -> Parsed<Expr> {
        let start = self.next("", "")?.span;
        self.open_aggregations += 1;
        let mut clause = self.grouping_clause()?;
        let mut args = self.args("aggregation")?;
        self.open_aggregations -= 1;
        if clause.is_none() {
            clause = self.grouping_clause()?;
        }
        let span = Span { start: start.start, end: self.last_end() };
        let (without, grouping) = clause.unwrap_or_default();
        let desired = if op.has_param() { 2 } else { 1 };
        if args.is_empty() {
            return self.fail(span, "no arguments for aggregate expression provided");
        }
        let is_on = self.features.experimental_functions || !op.is_experimental();
        self.need(is_on, EXPERIMENTAL_FUNCTIONS, span, || {
            let op = op.as_str();
            format!("{op}() is experimental and must be enabled with --enable-feature={EXPERIMENTAL_FUNCTIONS}")
        })?;
        if args.len() != desired {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {desired}, got {}",
                args.len()
            );
            return self.fail(span, message);
        }
        let Some(inner) = args.pop() else { return self.fail(span, "no arguments for aggregate expression provided") };
        let param = args.pop().map(Box::new);
        Ok(Expr::Aggregate(AggregateExpr { op, inner: Box::new(inner), param, grouping, without, span }))
    }

    fn grouping_clause(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        for (keyword, without) in [("by", false), ("without", true)] {
            if self.take_keyword(keyword).is_some() {
                return Ok(Some((without, self.grouping()?)));
            }
        }
        Ok(None)
    }

    fn call(&mut self) -> Parsed<Expr> {
        let token = self.next("", "")?;
        let name = token.text(self.text);
        // What is wrong inside comes first.
        let args = self.args("function call")?;
        let Some(function) = crate::function(name) else {
            return self.fail(token.span, format!("unknown function with name {}", quote(name)));
        };
        let is_on = self.features.experimental_functions || !function.experimental;
        self.need(is_on, EXPERIMENTAL_FUNCTIONS, token.span, || format!("function {} is not enabled", quote(name)))?;
        let span = Span { start: token.span.start, end: self.last_end() };
        Ok(Expr::Call(Call { function: name.to_owned(), args, span }))
    }

    /// A metric's name outside braces.
    fn metric_name(&mut self) -> Parsed<String> {
        let Some(token) = self.peek() else { return Err(self.unexpected("", "")) };
        let text = token.text(self.text);
        let reserved = ["on", "ignoring", "group_left", "group_right", "bool", "atan2"];
        if !is_word(token.kind) || reserved.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            return Err(self.unexpected("", ""));
        }
        self.at += 1;
        Ok(text.to_owned())
    }

    fn vector_selector(&mut self) -> Parsed<VectorSelector> {
        let start = self.peek().map_or(self.text.len(), |token| token.span.start);
        let (mut name, mut matchers) = (None, Vec::new());
        if self.kind() != Some(TokenKind::LeftBrace) {
            let outside = self.metric_name()?;
            matchers.push(Matcher::equal(METRIC_NAME, outside.clone()));
            name = Some(outside);
        }
        if let Some(open) = self.take(TokenKind::LeftBrace) {
            while self.kind() != Some(TokenKind::RightBrace) {
                if self.peek().is_none() {
                    return Err(self.unexpected("label matching", "identifier or \"}\""));
                }
                self.label_matcher(start, &mut name, &mut matchers)?;
                if self.take(TokenKind::Comma).is_none() {
                    break;
                }
            }
            if self.take(TokenKind::RightBrace).is_none() {
                let _ = open;
                return Err(self.unexpected("label matching", "\",\" or \"}\""));
            }
        }
        let span = Span { start, end: self.last_end() };
        Ok(VectorSelector { name, matchers, offset: None, at: None, extension: Extension::None, span })
    }

    /// `start` is where the selector begins; its name may stand there, outside the braces.
    fn label_matcher(&mut self, start: usize, name: &mut Option<String>, matchers: &mut Vec<Matcher>) -> Parsed<()> {
        let outside = self.text.as_bytes().get(start) != Some(&b'{');
        let token = self.next("label matching", "identifier or \"}\"")?;
        let label = match token.kind {
            TokenKind::String => self.string_value(token)?,
            kind if is_word(kind) => token.text(self.text).to_owned(),
            _ => return Err(self.unexpected_at(token, "label matching", "identifier or \"}\"")),
        };
        let op = match self.peek_text() {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Regex,
            "!~" => MatchOp::NotRegex,
            _ if token.kind == TokenKind::String => {
                if let Some(first) = name {
                    let message = format!("metric name must not be set twice: {} or {}", quote(first), quote(&label));
                    let place = if outside { Span { start, end: self.last_end() } } else { token.span };
                    return self.fail(place, message);
                }
                matchers.insert(0, Matcher::equal(METRIC_NAME, label.clone()));
                *name = Some(label);
                return Ok(());
            }
            _ => return Err(self.unexpected("label matching", "label matching operator")),
        };
        self.at += 1;
        let value = self.next("label matching", "string")?;
        if value.kind != TokenKind::String {
            return Err(self.unexpected_at(value, "label matching", "string"));
        }
        let value = match op {
            // Stored texts are UTF-8: no label has such a value, and hardly one that with U+FFFD in the place of what is none.
            MatchOp::Equal | MatchOp::NotEqual => String::from_utf8_lossy(&self.string_bytes(value)?).into_owned(),
            MatchOp::Regex | MatchOp::NotRegex => self.string_value(value)?,
        };
        matchers.push(Matcher::new(label, op, value));
        Ok(())
    }

    fn postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            let Some(token) = self.peek() else { return Ok(expr) };
            if token.kind == TokenKind::LeftBracket {
                expr = self.range(expr)?;
            } else if token.kind == TokenKind::At {
                self.at += 1;
                let at = self.at_modifier(expr.span())?;
                let span = Span { start: expr.span().start, end: self.last_end() };
                let slot = match &mut expr {
                    Expr::Selector(e) => Some(&mut e.at),
                    Expr::Matrix(e) => Some(&mut e.selector.at),
                    Expr::Subquery(e) => Some(&mut e.at),
                    _ => None,
                };
                let Some(slot) = slot else {
                    return self.fail(span, "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery");
                };
                if slot.replace(at).is_some() {
                    return self.fail(span, "@ <timestamp> may not be set multiple times");
                }
                self.stretch(&mut expr);
            } else if self.take_keyword("offset").is_some() {
                let offset = self.offset_duration()?;
                let span = Span { start: expr.span().start, end: self.last_end() };
                let slot = match &mut expr {
                    Expr::Selector(e) => Some(&mut e.offset),
                    Expr::Matrix(e) => Some(&mut e.selector.offset),
                    Expr::Subquery(e) => Some(&mut e.offset),
                    _ => None,
                };
                let Some(slot) = slot else {
                    return self.fail(span, "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery");
                };
                if slot.replace(offset).is_some() {
                    return self.fail(span, "offset may not be set multiple times");
                }
                self.stretch(&mut expr);
            } else if self.peek_keyword("anchored") || self.peek_keyword("smoothed") {
                let extension = if self.peek_keyword("anchored") { Extension::Anchored } else { Extension::Smoothed };
                self.at += 1;
                let word = token.text(self.text).to_ascii_lowercase();
                self.need(self.features.extended_range_selectors, EXTENDED_RANGE_SELECTORS, expr.span(), || {
                    format!("{word} modifier is experimental and not enabled")
                })?;
                let span = Span { start: expr.span().start, end: self.last_end() };
                let slot = match &mut expr {
                    Expr::Selector(e) if extension == Extension::Smoothed => &mut e.extension,
                    Expr::Matrix(e) => &mut e.selector.extension,
                    Expr::Selector(_) => {
                        return self.fail(span, "anchored modifier can only be used on range vector selectors");
                    }
                    _ => {
                        return self.fail(
                            span,
                            format!("{word} modifier not implemented for this expression; it belongs to a selector"),
                        );
                    }
                };
                if *slot != Extension::None {
                    return self.fail(span, "anchored and smoothed modifiers cannot be used together");
                }
                *slot = extension;
                self.stretch(&mut expr);
            } else {
                return Ok(expr);
            }
        }
    }

    /// Lets the node end with the token read last.
    fn stretch(&self, expr: &mut Expr) {
        let end = self.last_end();
        match expr {
            Expr::Selector(e) => e.span.end = end,
            Expr::Matrix(e) => {
                e.span.end = end;
            }
            Expr::Subquery(e) => e.span.end = end,
            _ => {}
        }
    }

    /// `whole` is the expression before it.
    fn at_modifier(&mut self, whole: Span) -> Parsed<At> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.peek_keyword(word) && self.kind_after() == Some(TokenKind::LeftParen) {
                self.at += 2;
                self.expect(TokenKind::RightParen, "@", "\")\"")?;
                return Ok(at);
            }
        }
        if self.peek_keyword("start") || self.peek_keyword("end") {
            // Only a call of these may stand here.
            self.at += 1;
            return Err(self.unexpected("@", "timestamp"));
        }
        let starts_number = matches!(self.peek_text(), "+" | "-")
            || matches!(self.kind(), Some(TokenKind::Number | TokenKind::Duration));
        if !starts_number {
            return Err(self.unexpected("@", "timestamp"));
        }
        let seconds = self.signed_number("@")?;
        let ms = seconds * 1000.0;
        if !ms.is_finite() || ms >= i64::MAX as f64 || ms <= i64::MIN as f64 {
            let shown = model::float::format_float(seconds);
            return self.fail(whole, format!("timestamp out of bounds for @ modifier: {shown}"));
        }
        Ok(At::Timestamp(ms.round() as i64))
    }

    /// `[5m]`, `[5m:]`, `[5m:1m]` after an expression.
    fn range(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.expect(TokenKind::LeftBracket, "", "")?;
        if matches!(self.kind(), None | Some(TokenKind::RightBracket | TokenKind::Colon)) {
            return Err(self.unexpected("subquery selector", "number, duration, step(), or range()"));
        }
        let range = self.duration(1, "subquery selector")?;
        let start = expr.span().start;
        if self.take(TokenKind::Colon).is_none() {
            let close = self.expect(TokenKind::RightBracket, "subquery or range", "\":\" or \"]\"")?;
            let brackets = open.span.to(close.span);
            self.check_positive(&range)?;
            let Expr::Selector(selector) = expr else {
                return self.fail(brackets, "ranges only allowed for vector selectors");
            };
            if selector.offset.is_some() {
                return self.fail(brackets, "no offset modifiers allowed before range");
            }
            if selector.at.is_some() {
                return self.fail(brackets, "no @ modifiers allowed before range");
            }
            if selector.extension != Extension::None {
                return self.fail(brackets, "no anchored or smoothed modifiers allowed before range");
            }
            return Ok(Expr::Matrix(MatrixSelector { selector, range, span: Span { start, end: close.span.end } }));
        }
        self.check_positive(&range)?;
        self.height += 1;
        let step = if self.kind() == Some(TokenKind::RightBracket) {
            None
        } else {
            let step = self.duration(1, "subquery selector")?;
            self.check_positive(&step)?;
            Some(step)
        };
        let close = self.expect(TokenKind::RightBracket, "subquery selector", "\"]\"")?;
        let span = Span { start, end: close.span.end };
        Ok(Expr::Subquery(SubqueryExpr { inner: Box::new(expr), range, step, offset: None, at: None, span }))
    }
}

fn is_grouping_word(word: &str) -> bool {
    word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without")
}
