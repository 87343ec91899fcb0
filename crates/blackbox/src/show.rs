//! YAML for people to read: `/config` and the debug page.

use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;

/// How far the parts of a map, and the dashes of a list, stand to the right of their key.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    map: usize,
    list: usize,
}

impl Layout {
    /// Upstream's `/config`.
    pub(crate) const WIDE: Layout = Layout { map: 4, list: 4 };
    /// Upstream's debug page.
    pub(crate) const NARROW: Layout = Layout { map: 2, list: 0 };
}

/// `value` as YAML.
pub(crate) fn yaml(value: &impl Serialize, layout: Layout) -> String {
    let mut out = String::new();
    if let Ok(value) = serde_json::to_value(value) {
        write_value(&mut out, &value, 0, layout);
    }
    out
}

fn write_value(out: &mut String, value: &Value, indent: usize, layout: Layout) {
    // Writing to a `String` cannot fail.
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let _ = write!(out, "{:indent$}{}:", "", word(key));
                let step = if value.is_array() { layout.list } else { layout.map };
                write_below(out, value, indent + step, layout);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(out, "{:indent$}-", "");
                match item {
                    Value::Object(_) | Value::Array(_) => {
                        let mut inner = String::new();
                        write_value(&mut inner, item, indent + 2, layout);
                        let _ = write!(out, " {}", inner.trim_start());
                    }
                    _ => write_below(out, item, indent + 2, layout),
                }
            }
        }
        _ => write_below(out, value, indent, layout),
    }
}

/// What stands behind a key or dash.
fn write_below(out: &mut String, value: &Value, indent: usize, layout: Layout) {
    let _ = match value {
        Value::Object(entries) if entries.is_empty() => writeln!(out, " {{}}"),
        Value::Array(items) if items.is_empty() => writeln!(out, " []"),
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            write_value(out, value, indent, layout);
            Ok(())
        }
        Value::String(text) => writeln!(out, " {}", word(text)),
        Value::Null => writeln!(out, " null"),
        other => writeln!(out, " {other}"),
    };
}

/// The text plain where that is unmistakable, else quoted; JSON's quoting is YAML's too.
fn word(text: &str) -> String {
    let is_name = text.starts_with(|c: char| !c.is_ascii_digit() && !"-+?:,[]{}#&*!|>'\"%@`~ ".contains(c));
    let is_amount = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(['s', 'h', 'm', 'B']);
    let is_one_line = !text.contains(": ") && !text.contains(" #") && !text.contains(char::is_control);
    let is_whole = !text.ends_with([':', ' ']);
    let lower = text.to_ascii_lowercase();
    let is_typed =
        matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n" | ".inf" | ".nan")
            || text.parse::<f64>().is_ok();
    let is_plain = (is_name || is_amount) && is_one_line && is_whole && !is_typed;
    if is_plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever stands plain must be read as the text it was.
    #[test]
    fn words_are_read_again() {
        for text in [
            "a",
            "Hello, .*",
            "^one$",
            "(\\*|a)",
            "a: b",
            "a #b",
            "#a",
            "- a",
            "1",
            "1.5",
            "0x1f",
            "5s",
            "",
            " a",
            "a ",
            "yes",
            "null",
            "~",
            ".inf",
            "a\tb",
            "a\nb",
            "{a}",
            "[a]",
            "'a'",
            "\"a\"",
            "@a",
            "%a",
            "é",
            "a:",
            ".*1",
            "!x",
            "*x",
            "2024-01-01",
        ] {
            let shown = yaml(&serde_json::json!({ "key": text, "list": [text] }), Layout::NARROW);
            let read: Value = yaml::from_str("shown", &shown).unwrap();
            assert_eq!(read, serde_json::json!({ "key": text, "list": [text] }), "{shown}");
        }
    }
}
