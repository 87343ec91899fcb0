//! YAML for people to read: `/config` and the debug page.

use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;

/// `value` as YAML, indented by two.
pub(crate) fn yaml(value: &impl Serialize) -> String {
    let mut out = String::new();
    if let Ok(value) = serde_json::to_value(value) {
        write_value(&mut out, &value, 0);
    }
    out
}

fn write_value(out: &mut String, value: &Value, indent: usize) {
    // Writing to a `String` cannot fail.
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let _ = write!(out, "{:indent$}{}:", "", word(key));
                write_below(out, value, indent + 2);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(out, "{:indent$}-", "");
                match item {
                    Value::Object(_) | Value::Array(_) => {
                        let mut inner = String::new();
                        write_value(&mut inner, item, indent + 2);
                        let _ = write!(out, " {}", inner.trim_start());
                    }
                    _ => write_below(out, item, indent + 2),
                }
            }
        }
        _ => write_below(out, value, indent),
    }
}

/// What stands behind a key or dash.
fn write_below(out: &mut String, value: &Value, indent: usize) {
    let _ = match value {
        Value::Object(entries) if entries.is_empty() => writeln!(out, " {{}}"),
        Value::Array(items) if items.is_empty() => writeln!(out, " []"),
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            write_value(out, value, indent);
            Ok(())
        }
        Value::String(text) => writeln!(out, " {}", word(text)),
        Value::Null => writeln!(out, " null"),
        other => writeln!(out, " {other}"),
    };
}

/// The text plain where that is unmistakable, else quoted; JSON's quoting is YAML's too.
fn word(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '<')
        && !text.contains([':', '#', '"', '\\', '\'', '\n', '\t', '{', '}', '[', ']', ','])
        && !text.ends_with(' ')
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
        )
        || text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(['s', 'h', 'm', 'B']);
    if is_plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}
