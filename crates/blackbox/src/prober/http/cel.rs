//! CEL expressions over a JSON body. The library's interface still changes at each release: only this file knows it.

use cel::{Context, Program, Value};
use std::panic::catch_unwind;

/// Says why `expression` is none.
pub(super) fn check(expression: &str) -> Result<(), String> {
    compile(expression).map(|_| ())
}

fn compile(expression: &str) -> Result<Program, String> {
    // The parser is generated code of a foreign grammar; a configuration must not end the program.
    match catch_unwind(|| Program::compile(expression)) {
        Ok(compiled) => compiled.map_err(|error| error.to_string()),
        Err(_) => Err("the expression cannot be parsed".into()),
    }
}

/// The truth of `expression` with `body` bound to the parsed body.
pub(super) fn evaluate(expression: &str, body: &serde_json::Value) -> Result<bool, String> {
    let program = compile(expression)?;
    let mut context = Context::default();
    let body = cel::to_value(as_floats(body)).map_err(|error| error.to_string())?;
    context.add_variable_from_value("body", body);
    match program.execute(&context) {
        Ok(Value::Bool(truth)) => Ok(truth),
        Ok(_) => Err("the expression is neither true nor false".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Go decodes every JSON number into a float; whole numbers would be of another type here.
fn as_floats(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Json::Number(number) => number.as_f64().map_or(Json::Null, Json::from),
        Json::Array(items) => Json::Array(items.iter().map(as_floats).collect()),
        Json::Object(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (key.clone(), as_floats(value))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn expressions() {
        let body = serde_json::json!({"status": "up", "n": 3, "list": [1, 2], "foo": {"bar": "qux"}});
        for (expression, expected) in [
            ("body.status == 'up'", Ok(true)),
            ("body.n > 2.0 && body.n * 2.0 == 6.0", Ok(true)),
            ("body.foo.bar.startsWith('q')", Ok(true)),
            ("body.list.exists(x, x == 2.0)", Ok(true)),
            ("size(body.list) == 3", Ok(false)),
            ("body.none == 1.0", Err(())),
            ("body.n", Err(())),
        ] {
            assert_eq!(super::evaluate(expression, &body).map_err(|_| ()), expected, "{expression}");
        }
        assert!(super::check("body.").is_err() && super::check("body.a == ").is_err());
    }
}
