//! Go's `text/template` (and the escaping of `html/template`) for annotations and notifications.
//!
//! ```
//! use go_template::{Functions, Limits, Template, Value};
//! let template = Template::parse("greeting", "Hello {{ .name | printf \"%q\" }}", &Functions::builtin(), &[])?;
//! assert_eq!(template.execute(&Value::string_map([("name", "you")]), &[], &Limits::default())?, "Hello \"you\"");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builtins;
mod execute;
pub mod fmt;
pub mod functions;
mod html;
mod lexer;
mod parser;
pub mod time;
mod value;

pub use builtins::{query_escape, string, want};
pub use lexer::unquote;
pub use value::{Map, Object, Value, write_json_string};

use execute::{Budget, Execution};
use std::{collections::BTreeMap, sync::Arc};

/// A text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {template}:{line}:{column}: {message}")]
pub struct ParseError {
    pub template: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
}

/// Why an execution stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {template}:{line}:{column}: executing {template:?} at <{source_text}>: {message}")]
pub struct ExecuteError {
    pub template: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What was being evaluated, as it was written.
    pub source_text: String,
    pub message: String,
}

/// What one execution may use. Templates come from users, alerts from anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nodes, commands and loop rounds.
    pub steps: u64,
    pub output_bytes: usize,
    /// Templates calling templates.
    pub depth: usize,
}

impl Default for Limits {
    /// Enough for a notification of 10,000 alerts; a hundredth of a second to a few seconds of work.
    fn default() -> Self {
        Limits { steps: 5_000_000, output_bytes: 16 << 20, depth: 100 }
    }
}

/// What a function may use besides its arguments.
pub struct Call<'a> {
    trees: &'a parser::Trees,
    functions: &'a Functions,
    budget: &'a Budget,
    limits: &'a Limits,
    depth: usize,
}

impl Call<'_> {
    /// Executes a template by name, as text, within the limits of the whole.
    ///
    /// # Errors
    /// An unknown name, or what stopped it.
    pub fn execute(&self, name: &str, data: &Value) -> Result<String, String> {
        let tree = self.trees.get(name).ok_or_else(|| format!("template {name:?} not defined"))?;
        if self.depth >= self.limits.depth {
            return Err("templates call each other too deeply".into());
        }
        let mut execution = Execution {
            trees: self.trees,
            functions: self.functions,
            budget: self.budget,
            limits: self.limits,
            depth: self.depth + 1,
            out: String::new(),
            place: None,
            template: name.to_owned(),
            variables: vec![("$".into(), data.clone())],
        };
        execution.run(tree, data).map_err(|error| error.to_string())?;
        Ok(execution.out)
    }
}

/// A function: arguments in, a value or the reason why not out.
pub type Function = Arc<dyn Fn(&Call<'_>, &[Value]) -> Result<Value, String> + Send + Sync>;

/// Functions by name.
#[derive(Clone, Default)]
pub struct Functions(BTreeMap<String, Function>);

impl Functions {
    /// Adds a function, or replaces the one with this name.
    pub fn add(
        &mut self,
        name: &str,
        function: impl Fn(&Call<'_>, &[Value]) -> Result<Value, String> + Send + Sync + 'static,
    ) {
        self.0.insert(name.to_owned(), Arc::new(function));
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Functions) {
        self.0.extend(other.0);
    }

    fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn get(&self, name: &str) -> Option<&Function> {
        self.0.get(name)
    }
}

/// A template and all that it defines. Clones share the parsed texts.
#[derive(Clone)]
pub struct Template {
    name: String,
    trees: parser::Trees,
    functions: Functions,
}

impl Template {
    /// Parses a text. `variables`: names (with dollar) that the host sets at execution.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn parse(name: &str, text: &str, functions: &Functions, variables: &[&str]) -> Result<Template, ParseError> {
        let mut template = Template { name: name.to_owned(), trees: BTreeMap::new(), functions: functions.clone() };
        template.add(name, text, variables)?;
        Ok(template)
    }

    /// Parses another text into the set: what it `define`s replaces what had that name. Empty bodies replace nothing.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn add(&mut self, name: &str, text: &str, variables: &[&str]) -> Result<(), ParseError> {
        for (name, list) in parser::parse(name, text, &self.functions, variables)? {
            let is_blank = list.iter().all(|node| matches!(node, parser::Node::Text(text) if text.trim().is_empty()));
            if !(is_blank && self.trees.contains_key(&name)) {
                self.trees.insert(name, Arc::new(list));
            }
        }
        Ok(())
    }

    /// The set with another main text.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn with_main(&self, name: &str, text: &str) -> Result<Template, ParseError> {
        let mut template = self.clone();
        template.trees.remove(name);
        name.clone_into(&mut template.name);
        template.add(name, text, &[])?;
        Ok(template)
    }

    /// Adds or replaces a function; what is parsed already calls the new one.
    pub fn add_function(
        &mut self,
        name: &str,
        function: impl Fn(&Call<'_>, &[Value]) -> Result<Value, String> + Send + Sync + 'static,
    ) {
        self.functions.add(name, function);
    }

    /// True when a template of this name is defined.
    pub fn defines(&self, name: &str) -> bool {
        self.trees.contains_key(name)
    }

    /// Executes as text. `variables`: the values of those given at parsing.
    ///
    /// # Errors
    /// What stopped it; a limit counts.
    pub fn execute(&self, data: &Value, variables: &[(&str, Value)], limits: &Limits) -> Result<String, ExecuteError> {
        self.run(data, variables, limits, None)
    }

    /// Executes as HTML: every value is escaped for the place where it stands.
    ///
    /// # Errors
    /// As [`Template::execute`]; also values in places that cannot be made safe.
    pub fn execute_html(&self, data: &Value, limits: &Limits) -> Result<String, ExecuteError> {
        self.run(data, &[], limits, Some(html::Place::default()))
    }

    fn run(
        &self,
        data: &Value,
        variables: &[(&str, Value)],
        limits: &Limits,
        place: Option<html::Place>,
    ) -> Result<String, ExecuteError> {
        let budget = Budget::new(limits);
        let mut all = vec![("$".to_owned(), data.clone())];
        all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let mut execution = Execution {
            trees: &self.trees,
            functions: &self.functions,
            budget: &budget,
            limits,
            depth: 0,
            out: String::new(),
            place,
            template: self.name.clone(),
            variables: all,
        };
        if let Some(tree) = self.trees.get(&self.name) {
            execution.run(tree, data)?;
        }
        Ok(execution.out)
    }
}

#[cfg(test)]
mod tests;
