//! Runs a tree.

use crate::{
    Call, ExecuteError, Functions, Limits, Value, html,
    lexer::Place,
    parser::{Command, Expr, List, Node, Pipeline, Trees},
    time::call_duration,
};
use std::cell::Cell;

/// What one execution may still use; shared with the templates that functions execute.
pub(crate) struct Budget {
    steps: Cell<u64>,
    bytes: Cell<usize>,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Budget { steps: Cell::new(limits.steps), bytes: Cell::new(limits.output_bytes) }
    }

    fn step(&self) -> Result<(), String> {
        let left = self.steps.get().checked_sub(1).ok_or("the template runs too long; make its loops shorter")?;
        self.steps.set(left);
        Ok(())
    }

    fn spend(&self, bytes: usize) -> Result<(), String> {
        let left = self.bytes.get().checked_sub(bytes).ok_or("the output is too large; print fewer alerts")?;
        self.bytes.set(left);
        Ok(())
    }
}

/// How a list ended.
#[derive(PartialEq)]
enum Flow {
    Normal,
    Break,
    Continue,
}

pub(crate) struct Execution<'a> {
    pub(crate) trees: &'a Trees,
    pub(crate) functions: &'a Functions,
    pub(crate) budget: &'a Budget,
    pub(crate) limits: &'a Limits,
    /// Of templates calling templates.
    pub(crate) depth: usize,
    pub(crate) out: String,
    /// In HTML: where the output stands.
    pub(crate) place: Option<html::Place>,
    pub(crate) template: String,
    pub(crate) variables: Vec<(String, Value)>,
}

type Outcome<T> = Result<T, ExecuteError>;

impl Execution<'_> {
    fn fault<T>(&self, at: Place, source: &str, message: impl Into<String>) -> Outcome<T> {
        Err(ExecuteError {
            template: self.template.clone(),
            line: at.line,
            column: at.column,
            source_text: source.to_owned(),
            message: message.into(),
        })
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        self.budget.spend(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    pub(crate) fn run(&mut self, list: &List, dot: &Value) -> Outcome<()> {
        self.list(list, dot).map(|_| ())
    }

    fn list(&mut self, list: &List, dot: &Value) -> Outcome<Flow> {
        let scope = self.variables.len();
        let mut flow = Flow::Normal;
        for node in list {
            flow = self.node(node, dot)?;
            if flow != Flow::Normal {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Outcome<Flow> {
        if let Err(message) = self.budget.step() {
            return self.fault(Place { line: 1, column: 1, offset: 0 }, "", message);
        }
        match node {
            Node::Text(text) => {
                if let Some(place) = &mut self.place {
                    place.follow(text);
                }
                if let Err(message) = self.write(text) {
                    return self.fault(Place { line: 1, column: 1, offset: 0 }, "", message);
                }
            }
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.print(pipeline, &value)?;
                }
            }
            Node::If { condition, then, otherwise } => {
                let scope = self.variables.len();
                let value = self.pipeline(condition, dot)?;
                let flow = self.list(if value.truth() { then } else { otherwise }, dot);
                self.variables.truncate(scope);
                return flow;
            }
            Node::With { value, then, otherwise } => {
                let scope = self.variables.len();
                let value = self.pipeline(value, dot)?;
                let flow = if value.truth() { self.list(then, &value) } else { self.list(otherwise, dot) };
                self.variables.truncate(scope);
                return flow;
            }
            Node::Range { over, body, otherwise } => return self.range(over, body, otherwise, dot),
            Node::Template { name, data, at } => {
                let data = match data {
                    Some(pipeline) => self.pipeline(pipeline, dot)?,
                    None => Value::Nil,
                };
                self.template(name, &data, *at)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Normal)
    }

    fn print(&mut self, pipeline: &Pipeline, value: &Value) -> Outcome<()> {
        let text = match value {
            Value::Nil => "<no value>".to_owned(),
            value => value.text(),
        };
        let (at, source) = place_of(pipeline);
        let escaped = match &mut self.place {
            None => Ok(text),
            // html/template prints an absent value as nothing at all.
            Some(place) => {
                let text = if matches!(value, Value::Nil) { "" } else { &text };
                place.escape(text, matches!(value, Value::Html(_)), matches!(value, Value::Url(_)))
            }
        };
        escaped.and_then(|text| self.write(&text)).or_else(|message| self.fault(at, source, message))
    }

    fn template(&mut self, name: &str, data: &Value, at: Place) -> Outcome<()> {
        let Some(tree) = self.trees.get(name).cloned() else {
            return self.fault(at, &format!("{name:?}"), format!("template {name:?} not defined"));
        };
        if self.depth >= self.limits.depth {
            return self.fault(at, &format!("{name:?}"), "templates call each other too deeply");
        }
        self.depth += 1;
        let outer_name = std::mem::replace(&mut self.template, name.to_owned());
        let outer = std::mem::replace(&mut self.variables, vec![("$".into(), data.clone())]);
        self.list(&tree, data)?;
        self.variables = outer;
        self.template = outer_name;
        self.depth -= 1;
        Ok(())
    }

    fn range(&mut self, over: &Pipeline, body: &List, otherwise: &List, dot: &Value) -> Outcome<Flow> {
        let scope = self.variables.len();
        // The variables of a range hold its elements, not the value ranged over.
        let value = self.commands(over, dot)?.to_base();
        let items: Box<dyn Iterator<Item = (Value, Value)>> = match value {
            Value::Nil => Box::new(std::iter::empty()),
            Value::List(ref values) => {
                let values = std::sync::Arc::clone(values);
                Box::new((0..values.len()).map(move |i| (index_value(i), values[i].clone())))
            }
            Value::Map(ref map) => {
                let pairs: Vec<_> = map.entries.iter().map(|(k, v)| (Value::str(k), v.clone())).collect();
                Box::new(pairs.into_iter())
            }
            Value::Int(count) => Box::new((0..count).map(|i| (Value::Int(i), Value::Int(i)))),
            other => {
                let (at, source) = place_of(over);
                return self.fault(at, source, format!("range can't iterate over {}", other.text()));
            }
        };
        let mut is_empty = true;
        for (key, element) in items {
            is_empty = false;
            if over.assigns {
                let values = if over.variables.len() == 2 { vec![key, element.clone()] } else { vec![element.clone()] };
                for (name, value) in over.variables.iter().zip(values) {
                    self.assign(name, value);
                }
            } else {
                match over.variables.as_slice() {
                    [one] => self.variables.push((one.clone(), element.clone())),
                    [first, second] => {
                        self.variables.push((first.clone(), key));
                        self.variables.push((second.clone(), element.clone()));
                    }
                    _ => {}
                }
            }
            let flow = self.list(body, &element)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
            if let Err(message) = self.budget.step() {
                let (at, source) = place_of(over);
                return self.fault(at, source, message);
            }
        }
        if is_empty {
            return self.list(otherwise, dot);
        }
        Ok(Flow::Normal)
    }

    fn assign(&mut self, name: &str, value: Value) {
        if let Some(found) = self.variables.iter_mut().rev().find(|(own, _)| own == name) {
            found.1 = value;
        }
    }

    /// Evaluates, and sets the variables it declares or assigns.
    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Outcome<Value> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            if pipeline.assigns {
                self.assign(name, value.clone());
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Outcome<Value> {
        let mut piped = None;
        for command in &pipeline.commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        Ok(piped.unwrap_or_default())
    }

    fn command(&mut self, command: &Command, dot: &Value, piped: Option<Value>) -> Outcome<Value> {
        if let Err(message) = self.budget.step() {
            return self.fault(command.at, &command.source, message);
        }
        let Some((first, rest)) = command.args.split_first() else {
            return self.fault(command.at, &command.source, "empty command");
        };
        if let Expr::Function(name) = first {
            return self.function(name, rest, dot, piped, command);
        }
        let takes_arguments = matches!(first, Expr::Fields(_) | Expr::Variable(..) | Expr::Chain(..));
        let has_arguments = !rest.is_empty() || piped.is_some();
        match first {
            Expr::Nil => return self.fault(command.at, &command.source, "nil is not a command"),
            _ if has_arguments && !takes_arguments => {
                let message = format!("can't give argument to non-function {}", command.source);
                return self.fault(command.at, &command.source, message);
            }
            _ => {}
        }
        let mut args = Vec::with_capacity(rest.len() + 1);
        for expr in rest {
            args.push(self.expr(expr, dot, command)?);
        }
        args.extend(piped);
        let (receiver, fields) = match first {
            Expr::Fields(fields) => (dot.clone(), fields.as_slice()),
            Expr::Variable(name, fields) => (self.variable(name), fields.as_slice()),
            Expr::Chain(pipeline, fields) => (self.pipeline(pipeline, dot)?, fields.as_slice()),
            other => (self.expr(other, dot, command)?, [].as_slice()),
        };
        if fields.is_empty() && !args.is_empty() {
            let message = format!("can't give argument to non-function {}", command.source);
            return self.fault(command.at, &command.source, message);
        }
        self.fields(receiver, fields, &args, command)
    }

    fn variable(&self, name: &str) -> Value {
        self.variables.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn expr(&mut self, expr: &Expr, dot: &Value, command: &Command) -> Outcome<Value> {
        match expr {
            Expr::Dot => Ok(dot.clone()),
            Expr::Nil => Ok(Value::Nil),
            Expr::Constant(value) => Ok(value.clone()),
            Expr::Fields(fields) => self.fields(dot.clone(), fields, &[], command),
            Expr::Variable(name, fields) => self.fields(self.variable(name), fields, &[], command),
            Expr::Function(name) => self.function(name, &[], dot, None, command),
            Expr::Chain(pipeline, fields) => {
                let value = self.pipeline(pipeline, dot)?;
                self.fields(value, fields, &[], command)
            }
        }
    }

    /// Walks `.a.b`; the arguments belong to the last name.
    fn fields(&self, receiver: Value, fields: &[String], args: &[Value], command: &Command) -> Outcome<Value> {
        let mut value = receiver;
        for (i, name) in fields.iter().enumerate() {
            let args = if i + 1 == fields.len() { args } else { &[] };
            value = field(&value, name, args).or_else(|message| self.fault(command.at, &command.source, message))?;
        }
        Ok(value)
    }

    fn function(
        &mut self,
        name: &str,
        exprs: &[Expr],
        dot: &Value,
        piped: Option<Value>,
        command: &Command,
    ) -> Outcome<Value> {
        if name == "and" || name == "or" {
            // These stop at the first argument that decides.
            let mut last = None;
            for expr in exprs {
                let value = self.expr(expr, dot, command)?;
                if value.truth() == (name == "or") {
                    return Ok(value);
                }
                last = Some(value);
            }
            return match piped.or(last) {
                Some(value) => Ok(value),
                None => self.fault(
                    command.at,
                    &command.source,
                    format!("wrong number of args for {name}: want at least 1 got 0"),
                ),
            };
        }
        let mut args = Vec::with_capacity(exprs.len() + 1);
        for expr in exprs {
            args.push(self.expr(expr, dot, command)?);
        }
        args.extend(piped);
        let Some(function) = self.functions.get(name) else {
            return self.fault(command.at, &command.source, format!("{name:?} is not a defined function"));
        };
        let call = Call {
            trees: self.trees,
            functions: self.functions,
            budget: self.budget,
            limits: self.limits,
            depth: self.depth,
        };
        function(&call, &args)
            .or_else(|message| self.fault(command.at, &command.source, format!("error calling {name}: {message}")))
    }
}

fn index_value(index: usize) -> Value {
    Value::Int(i64::try_from(index).unwrap_or(i64::MAX))
}

fn place_of(pipeline: &Pipeline) -> (Place, &str) {
    pipeline.commands.first().map_or((Place::default(), ""), |command| (command.at, command.source.as_str()))
}

/// A field, key or method of a value.
fn field(receiver: &Value, name: &str, args: &[Value]) -> Result<Value, String> {
    let called = match receiver {
        Value::Object(object) => object.call(name, args),
        Value::Time(time) => time.call(name, args),
        Value::Duration(nanoseconds) => call_duration(*nanoseconds, name, args),
        _ => None,
    };
    if let Some(result) = called {
        return result.map_err(|message| format!("error calling {name}: {message}"));
    }
    let found = match receiver {
        Value::Object(object) => object.field(name).or_else(|| match object.base() {
            Some(Value::Map(map)) => Some(map_entry(&map, name)),
            _ => None,
        }),
        Value::Map(map) => Some(map_entry(map, name)),
        Value::Nil => return Err(format!("nil pointer evaluating interface {{}}.{name}")),
        _ => None,
    };
    match found {
        Some(_) if !args.is_empty() => Err(format!("{name} has arguments but cannot be invoked as function")),
        Some(value) => Ok(value),
        None => Err(format!("can't evaluate field {name} in type {}", receiver.type_name())),
    }
}

pub(crate) fn map_entry(map: &crate::Map, name: &str) -> Value {
    match map.entries.get(name) {
        Some(value) => value.clone(),
        None if map.of_strings => Value::str(""),
        None => Value::Nil,
    }
}
