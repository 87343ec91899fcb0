//! The configuration as `/api/v1/status/config` shows it: with defaults filled in and secrets hidden.

use serde_json::Value;

/// Writes a value as YAML.
pub(crate) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                out.push_str(&" ".repeat(indent));
                entry(out, key, value, indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&" ".repeat(indent));
                out.push_str("- ");
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        // The first key stands behind the dash, the others below it.
                        for (i, (key, value)) in map.iter().enumerate() {
                            if i > 0 {
                                out.push_str(&" ".repeat(indent + 2));
                            }
                            entry(out, key, value, indent + 2);
                        }
                    }
                    other => {
                        out.push_str(&scalar(other));
                        out.push('\n');
                    }
                }
            }
        }
        other => {
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
}

fn entry(out: &mut String, key: &str, value: &Value, indent: usize) {
    out.push_str(&text(key));
    out.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            block(out, value, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            block(out, value, indent);
        }
        other => {
            out.push(' ');
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(string) => text(string),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
    }
}

/// A string, in quotes where YAML would read something else.
fn text(string: &str) -> String {
    let plain = !string.is_empty()
        && string.parse::<f64>().is_err()
        && !["true", "false", "null", "yes", "no", "on", "off", "~"].contains(&string.to_ascii_lowercase().as_str())
        && !string.starts_with(|c: char| "!&*-?|>@`\"'%#{}[],: ".contains(c))
        && !string.ends_with([' ', ':'])
        && !string.contains(": ")
        && !string.contains(" #")
        && !string.chars().any(char::is_control);
    // JSON's strings are YAML's double-quoted ones.
    if plain { string.to_owned() } else { Value::String(string.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let value = serde_json::json!({
            "global": {"scrape_interval": "15s", "external_labels": {"zone": "1", "match[]": "{a=\"b\"}"}},
            "rule_files": [],
            "scrape_configs": [{"job_name": "a: b", "static_configs": [{"targets": ["x:1", "y:2"]}]}],
        });
        let expected = "global:
  scrape_interval: 15s
  external_labels:
    zone: \"1\"
    match[]: \"{a=\\\"b\\\"}\"
rule_files: []
scrape_configs:
- job_name: \"a: b\"
  static_configs:
  - targets:
    - x:1
    - y:2
";
        assert_eq!(yaml(&value), expected);
    }
}
