//! Tokens into a tree.

use crate::{
    Functions, ParseError, Value,
    lexer::{Place, Token, lex},
};
use std::{collections::BTreeMap, sync::Arc};

/// Deeper nesting of blocks and parentheses is refused: it would need an unbounded stack.
const DEPTH_MAX: usize = 100;

pub(crate) type List = Vec<Node>;

#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    Action(Pipeline),
    If { condition: Pipeline, then: List, otherwise: List },
    With { value: Pipeline, then: List, otherwise: List },
    Range { over: Pipeline, body: List, otherwise: List },
    Template { name: String, data: Option<Pipeline>, at: Place },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    /// `$x` or `$i, $x`.
    pub(crate) variables: Vec<String>,
    /// `=` rather than `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) args: Vec<Expr>,
    pub(crate) at: Place,
    /// As it was written, for messages.
    pub(crate) source: String,
}

#[derive(Debug)]
pub(crate) enum Expr {
    Dot,
    Nil,
    Constant(Value),
    /// `.a.b`
    Fields(Vec<String>),
    /// `$x.a.b`; the name with its dollar.
    Variable(String, Vec<String>),
    Function(String),
    /// `(…).a.b`
    Chain(Box<Pipeline>, Vec<String>),
}

/// Templates by name.
pub(crate) type Trees = BTreeMap<String, Arc<List>>;

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    tokens: Vec<(Token, Place)>,
    next: usize,
    functions: &'a Functions,
    /// Names of the variables in scope.
    variables: Vec<String>,
    depth: usize,
    /// Number of `range` around this place.
    ranges: usize,
    found: Vec<(String, List)>,
}

/// What ended a list.
#[derive(PartialEq)]
enum Ended {
    Eof,
    End,
    /// The `else` has been read; what follows it has not.
    Else,
}

/// Parses a text; its own tree is found under `name`, `define`s under their names.
pub(crate) fn parse(
    name: &str,
    text: &str,
    functions: &Functions,
    variables: &[&str],
) -> Result<Vec<(String, List)>, ParseError> {
    let lexed = lex(name, text)?;
    let mut parser = Parser {
        name,
        text,
        tokens: lexed.tokens,
        next: 0,
        functions,
        variables: std::iter::once("$").chain(variables.iter().copied()).map(str::to_owned).collect(),
        depth: 0,
        ranges: 0,
        found: Vec::new(),
    };
    let (list, ended) = parser.list()?;
    match ended {
        Ended::Eof => {}
        Ended::End => return parser.fault("unexpected {{end}}"),
        Ended::Else => return parser.fault("unexpected {{else}}"),
    }
    parser.found.push((name.to_owned(), list));
    Ok(parser.found)
}

impl Parser<'_> {
    fn fault<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        let (_, at) = &self.tokens[self.next.saturating_sub(1).min(self.tokens.len() - 1)];
        self.fault_at(*at, message)
    }

    fn fault_at<T>(&self, at: Place, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError { template: self.name.to_owned(), line: at.line, column: at.column, message: message.into() })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)].0
    }

    fn place(&self) -> Place {
        self.tokens[self.next.min(self.tokens.len() - 1)].1
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while *self.peek() == Token::Space {
            self.next += 1;
        }
    }

    fn enter(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { self.fault(format!("nested more than {DEPTH_MAX} deep")) } else { Ok(()) }
    }

    fn close(&mut self, context: &str) -> Result<(), ParseError> {
        self.skip_space();
        match self.take() {
            Token::Close => Ok(()),
            token => self.fault(format!("unexpected {} in {context}", describe(&token))),
        }
    }

    fn list(&mut self) -> Result<(List, Ended), ParseError> {
        self.enter()?;
        let mut nodes = Vec::new();
        let ended = loop {
            match self.take() {
                Token::Text(text) => nodes.push(Node::Text(text)),
                Token::End => break Ended::Eof,
                Token::Open => {
                    self.skip_space();
                    let word = match self.peek() {
                        Token::Identifier(word) => word.clone(),
                        _ => String::new(),
                    };
                    match word.as_str() {
                        "end" => {
                            self.next += 1;
                            self.close("end")?;
                            break Ended::End;
                        }
                        "else" => {
                            self.next += 1;
                            break Ended::Else;
                        }
                        "define" => {
                            self.next += 1;
                            self.define()?;
                        }
                        _ => nodes.push(self.action(&word)?),
                    }
                }
                token => return self.fault(format!("unexpected {}", describe(&token))),
            }
        };
        self.depth -= 1;
        Ok((nodes, ended))
    }

    fn action(&mut self, word: &str) -> Result<Node, ParseError> {
        match word {
            "if" | "with" | "range" => {
                self.next += 1;
                self.control(word)
            }
            "template" => {
                self.next += 1;
                self.skip_space();
                let at = self.place();
                let name = self.quoted_name("template clause")?;
                self.skip_space();
                let data = if *self.peek() == Token::Close { None } else { Some(self.pipeline("template clause")?) };
                self.close("template clause")?;
                Ok(Node::Template { name, data, at })
            }
            "block" => {
                self.next += 1;
                self.skip_space();
                let at = self.place();
                let name = self.quoted_name("block clause")?;
                let data = self.pipeline("block clause")?;
                self.close("block clause")?;
                let outer = std::mem::replace(&mut self.variables, vec!["$".into()]);
                let ranges = std::mem::take(&mut self.ranges);
                let (body, ended) = self.list()?;
                self.variables = outer;
                self.ranges = ranges;
                self.must_end(&ended, "block clause")?;
                self.found.push((name.clone(), body));
                Ok(Node::Template { name, data: Some(data), at })
            }
            "break" | "continue" => {
                self.next += 1;
                self.close(word)?;
                if self.ranges == 0 {
                    return self.fault(format!("{{{{{word}}}}} outside {{{{range}}}}"));
                }
                Ok(if word == "break" { Node::Break } else { Node::Continue })
            }
            _ => {
                let pipeline = self.pipeline("command")?;
                self.close("command")?;
                Ok(Node::Action(pipeline))
            }
        }
    }

    fn must_end(&self, ended: &Ended, context: &str) -> Result<(), ParseError> {
        match ended {
            Ended::End => Ok(()),
            Ended::Else => self.fault(format!("unexpected {{{{else}}}} in {context}")),
            Ended::Eof => self.fault("unexpected EOF"),
        }
    }

    fn quoted_name(&mut self, context: &str) -> Result<String, ParseError> {
        self.skip_space();
        match self.take() {
            Token::Str(name) => Ok(name),
            token => self.fault(format!("unexpected {} in {context}", describe(&token))),
        }
    }

    fn define(&mut self) -> Result<(), ParseError> {
        if self.depth > 1 {
            return self.fault("unexpected {{define}}");
        }
        let name = self.quoted_name("define clause")?;
        self.close("define clause")?;
        let outer = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let (body, ended) = self.list()?;
        self.variables = outer;
        self.must_end(&ended, "define clause")?;
        self.found.push((name, body));
        Ok(())
    }

    fn control(&mut self, word: &str) -> Result<Node, ParseError> {
        self.enter()?;
        let scope = self.variables.len();
        let pipeline = self.pipeline(word)?;
        self.close(word)?;
        if word == "range" {
            self.ranges += 1;
        }
        let (then, ended) = self.list()?;
        if word == "range" {
            self.ranges -= 1;
        }
        let mut otherwise = Vec::new();
        match ended {
            Ended::End => {}
            Ended::Eof => return self.fault("unexpected EOF"),
            Ended::Else => {
                self.skip_space();
                match (self.peek().clone(), word) {
                    // `else if …` is an `if` inside the else, without an end of its own.
                    (Token::Identifier(next), "if" | "with") if next == word => {
                        self.next += 1;
                        otherwise.push(self.control(word)?);
                    }
                    (Token::Close, _) => {
                        self.next += 1;
                        let (list, ended) = self.list()?;
                        self.must_end(&ended, word)?;
                        otherwise = list;
                    }
                    (token, _) => {
                        self.next += 1;
                        return self.fault(format!("unexpected {} in else", describe(&token)));
                    }
                }
            }
        }
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(match word {
            "if" => Node::If { condition: pipeline, then, otherwise },
            "with" => Node::With { value: pipeline, then, otherwise },
            _ => Node::Range { over: pipeline, body: then, otherwise },
        })
    }

    fn pipeline(&mut self, context: &str) -> Result<Pipeline, ParseError> {
        self.skip_space();
        let (variables, assigns) = self.declaration(context)?;
        let mut commands = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Token::Close | Token::ParenClose => break,
                Token::Pipe if commands.is_empty() => {
                    self.next += 1;
                    return self.fault(format!("missing value for {context}"));
                }
                Token::Pipe => {
                    self.next += 1;
                    self.skip_space();
                    if matches!(self.peek(), Token::Close | Token::ParenClose | Token::Pipe) {
                        return self.fault(format!("missing value for {context}"));
                    }
                }
                _ if commands.is_empty() => {}
                token => {
                    let message = format!("unexpected {} in operand", describe(token));
                    self.next += 1;
                    return self.fault(message);
                }
            }
            let command = self.command(context)?;
            // Only a function or a method can take what comes through the pipe.
            if !commands.is_empty() && matches!(command.args.first(), Some(Expr::Dot | Expr::Nil | Expr::Constant(_))) {
                return self
                    .fault_at(command.at, format!("non executable command in pipeline stage {}", commands.len() + 1));
            }
            commands.push(command);
        }
        if commands.is_empty() {
            self.next += 1;
            return self.fault(format!("missing value for {context}"));
        }
        Ok(Pipeline { variables, assigns, commands })
    }

    /// `$x :=`, `$x =`, in `range` also `$i, $x :=`.
    fn declaration(&mut self, context: &str) -> Result<(Vec<String>, bool), ParseError> {
        let start = self.next;
        let mut names = Vec::new();
        while let Token::Variable(name) = self.peek().clone() {
            self.next += 1;
            names.push(name);
            self.skip_space();
            match self.peek() {
                Token::Declare | Token::Assign => {
                    let assigns = self.take() == Token::Assign;
                    if assigns {
                        for name in &names {
                            self.must_know(name)?;
                        }
                    } else {
                        self.variables.extend(names.iter().cloned());
                    }
                    return Ok((names, assigns));
                }
                Token::Comma if context == "range" && names.len() < 2 => {
                    self.next += 1;
                    self.skip_space();
                }
                Token::Comma => {
                    self.next += 1;
                    return self.fault(format!("too many declarations in {context}"));
                }
                _ => break,
            }
        }
        self.next = start;
        Ok((Vec::new(), false))
    }

    fn must_know(&self, name: &str) -> Result<(), ParseError> {
        if self.variables.iter().any(|own| own == name) {
            Ok(())
        } else {
            self.fault(format!("undefined variable {name:?}"))
        }
    }

    fn command(&mut self, context: &str) -> Result<Command, ParseError> {
        let at = self.place();
        let mut args = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Token::Close | Token::ParenClose | Token::Pipe => break,
                _ => {}
            }
            args.push(self.operand(context)?);
            match self.peek() {
                Token::Space | Token::Close | Token::ParenClose | Token::Pipe => {}
                token => {
                    let message = format!("unexpected {} in operand", describe(token));
                    self.next += 1;
                    return self.fault(message);
                }
            }
        }
        let source = self.text.get(at.offset..self.place().offset).unwrap_or_default().trim().to_owned();
        Ok(Command { args, at, source })
    }

    fn fields(&mut self) -> Vec<String> {
        let mut fields = Vec::new();
        while let Token::Field(name) = self.peek().clone() {
            self.next += 1;
            fields.push(name);
        }
        fields
    }

    fn operand(&mut self, context: &str) -> Result<Expr, ParseError> {
        let expr = match self.take() {
            Token::Dot => Expr::Dot,
            Token::Field(name) => {
                let mut fields = vec![name];
                fields.extend(self.fields());
                return Ok(Expr::Fields(fields));
            }
            Token::Variable(name) => {
                self.must_know(&name)?;
                return Ok(Expr::Variable(name, self.fields()));
            }
            Token::Identifier(word) => match word.as_str() {
                "nil" => Expr::Nil,
                "true" => Expr::Constant(Value::Bool(true)),
                "false" => Expr::Constant(Value::Bool(false)),
                _ if self.functions.contains(&word) => Expr::Function(word),
                _ => return self.fault(format!("function {word:?} not defined")),
            },
            Token::Str(text) => Expr::Constant(Value::str(text)),
            Token::Char(c) => Expr::Constant(Value::Int(i64::from(u32::from(c)))),
            Token::Int(value) => Expr::Constant(Value::Int(value)),
            Token::Float(value) => Expr::Constant(Value::Float(value)),
            Token::ParenOpen => {
                self.enter()?;
                let pipeline = self.pipeline("parenthesized pipeline")?;
                self.skip_space();
                if self.take() != Token::ParenClose {
                    return self.fault("unclosed left paren");
                }
                self.depth -= 1;
                return Ok(Expr::Chain(Box::new(pipeline), self.fields()));
            }
            token => return self.fault(format!("unexpected {} in {context}", describe(&token))),
        };
        if let Token::Field(name) = self.peek() {
            let name = name.clone();
            self.next += 1;
            return self.fault(format!("unexpected <.{name}> in operand"));
        }
        Ok(expr)
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Text(text) => format!("text {text:?}"),
        Token::Open => "\"{{\"".into(),
        Token::Close => "\"}}\"".into(),
        Token::Field(name) => format!("<.{name}>"),
        Token::Dot => "<.>".into(),
        Token::Variable(name) | Token::Identifier(name) => format!("<{name}>"),
        Token::Str(text) => format!("{text:?}"),
        Token::Char(c) => format!("{c:?}"),
        Token::Int(value) => format!("{:?}", value.to_string()),
        Token::Float(value) => format!("{:?}", value.to_string()),
        Token::Pipe => "\"|\"".into(),
        Token::Declare => "\":=\"".into(),
        Token::Assign => "\"=\"".into(),
        Token::Comma => "\",\"".into(),
        Token::ParenOpen => "\"(\"".into(),
        Token::ParenClose => "\")\"".into(),
        Token::Space => "\" \"".into(),
        Token::End => "EOF".into(),
    }
}
