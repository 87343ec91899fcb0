//! Lenient reading of JSON that people and old programs wrote: `"3"` is a number where one is asked for, `false` is
//! an empty text, and a wrong type counts as absent.

use serde_json::Value;

pub(crate) trait Read {
    fn child(&self, key: &str) -> &Value;
    fn text(&self, key: &str) -> String;
    fn text_or(&self, key: &str, default: &str) -> String {
        match self.text(key) {
            text if text.is_empty() => default.to_owned(),
            text => text,
        }
    }
    fn texts(&self, key: &str) -> Vec<String>;
    fn number(&self, key: &str) -> Option<f64>;
    fn flag_or(&self, key: &str, default: bool) -> bool;
    fn flag(&self, key: &str) -> bool {
        self.flag_or(key, false)
    }
    fn list(&self, key: &str) -> &[Value];
}

impl Read for Value {
    fn child(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&Value::Null)
    }

    fn text(&self, key: &str) -> String {
        as_text(self.child(key))
    }

    fn texts(&self, key: &str) -> Vec<String> {
        match self.child(key) {
            Value::Array(items) => items.iter().filter(|item| !item.is_null()).map(as_text).collect(),
            Value::String(text) if !text.is_empty() => vec![text.clone()],
            _ => Vec::new(),
        }
    }

    fn number(&self, key: &str) -> Option<f64> {
        as_number(self.child(key))
    }

    fn flag_or(&self, key: &str, default: bool) -> bool {
        match self.child(key) {
            Value::Bool(flag) => *flag,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => matches!(text.as_str(), "true" | "1"),
            _ => default,
        }
    }

    fn list(&self, key: &str) -> &[Value] {
        self.child(key).as_array().map_or(&[], Vec::as_slice)
    }
}

pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(true) => "true".to_owned(),
        _ => String::new(),
    }
}

pub(crate) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
