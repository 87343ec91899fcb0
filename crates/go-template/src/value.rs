//! What templates compute with.

use crate::time::{Time, duration_text};
use std::{cmp::Ordering, collections::BTreeMap, fmt, sync::Arc};

/// A value with fields and methods that the host provides.
pub trait Object: Send + Sync {
    /// The type's name in error messages.
    fn type_name(&self) -> &str;

    /// A field by name; `None`: there is no such field.
    fn field(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// Calls a method; `None`: there is no such method. Methods win over fields and keys.
    fn call(&self, method: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let _ = (method, args);
        None
    }

    /// The map or list behind the methods, for `range`, `index`, `len` and for keys as fields.
    fn base(&self) -> Option<Value> {
        None
    }

    /// The text of `%v`; `None`: that of the base.
    fn text(&self) -> Option<String> {
        None
    }

    /// Names and values for `toJson` in the order of the struct; `None`: the base, or the text.
    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }
}

/// A map with string keys, in key order.
#[derive(Clone, Debug, Default)]
pub struct Map {
    pub entries: BTreeMap<String, Value>,
    /// True for `map[string]string`: a missing key is "" and not nil.
    pub of_strings: bool,
}

/// A value. Clones are cheap.
#[derive(Clone, Default)]
pub enum Value {
    /// Go's nil; also what an absent key of a map of anything gives.
    #[default]
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    /// Text that is HTML already and is not escaped again in HTML.
    Html(Arc<str>),
    /// Text that is a safe URL already.
    Url(Arc<str>),
    List(Arc<Vec<Value>>),
    Map(Arc<Map>),
    Time(Time),
    /// Nanoseconds.
    Duration(i64),
    Object(Arc<dyn Object>),
}

impl Value {
    pub fn str(text: impl AsRef<str>) -> Value {
        Value::Str(Arc::from(text.as_ref()))
    }

    pub fn list(values: impl IntoIterator<Item = Value>) -> Value {
        Value::List(Arc::new(values.into_iter().collect()))
    }

    /// A map of strings: absent keys read as "".
    pub fn string_map<K: Into<String>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Value {
        let entries = pairs.into_iter().map(|(key, value)| (key.into(), Value::str(value))).collect();
        Value::Map(Arc::new(Map { entries, of_strings: true }))
    }

    /// A map of anything: absent keys read as nil.
    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Value {
        let entries = pairs.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Value::Map(Arc::new(Map { entries, of_strings: false }))
    }

    pub fn object(object: impl Object + 'static) -> Value {
        Value::Object(Arc::new(object))
    }

    /// The text, if it is one, safe or not.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) | Value::Html(text) | Value::Url(text) => Some(text),
            _ => None,
        }
    }

    /// Go's name of the type.
    pub fn type_name(&self) -> String {
        match self {
            Value::Nil => "<nil>".into(),
            Value::Bool(_) => "bool".into(),
            Value::Int(_) => "int".into(),
            Value::Float(_) => "float64".into(),
            Value::Str(_) => "string".into(),
            Value::Html(_) => "template.HTML".into(),
            Value::Url(_) => "template.URL".into(),
            Value::List(_) => "[]interface {}".into(),
            Value::Map(map) if map.of_strings => "map[string]string".into(),
            Value::Map(_) => "map[string]interface {}".into(),
            Value::Time(_) => "time.Time".into(),
            Value::Duration(_) => "time.Duration".into(),
            Value::Object(object) => object.type_name().to_owned(),
        }
    }

    /// Whether `if` takes it as true: not false, 0, nil or empty.
    pub fn truth(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) | Value::Duration(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Str(text) | Value::Html(text) | Value::Url(text) => !text.is_empty(),
            Value::List(values) => !values.is_empty(),
            Value::Map(map) => !map.entries.is_empty(),
            Value::Time(_) => true,
            Value::Object(object) => object.base().is_none_or(|base| base.truth()),
        }
    }

    /// The value behind an object's methods; other values as they are.
    pub fn to_base(&self) -> Value {
        match self {
            Value::Object(object) => object.base().unwrap_or_else(|| self.clone()),
            other => other.clone(),
        }
    }

    /// The text of Go's `%v`.
    pub fn text(&self) -> String {
        match self {
            Value::Nil => "<nil>".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => crate::fmt::format_g(*value, None, false),
            Value::Str(text) | Value::Html(text) | Value::Url(text) => text.to_string(),
            Value::List(values) => {
                let texts: Vec<_> = values.iter().map(Value::text).collect();
                format!("[{}]", texts.join(" "))
            }
            Value::Map(map) => {
                let texts: Vec<_> = map.entries.iter().map(|(key, value)| format!("{key}:{}", value.text())).collect();
                format!("map[{}]", texts.join(" "))
            }
            Value::Time(time) => time.to_string(),
            Value::Duration(nanoseconds) => duration_text(*nanoseconds),
            Value::Object(object) => match (object.text(), object.base(), object.json_fields()) {
                (Some(text), ..) => text,
                (None, Some(base), _) => base.text(),
                (None, None, Some(fields)) => {
                    let texts: Vec<_> = fields.iter().map(|(_, value)| value.text()).collect();
                    format!("{{{}}}", texts.join(" "))
                }
                _ => object.type_name().to_owned(),
            },
        }
    }

    /// As Go's `encoding/json` writes it, with `<`, `>` and `&` escaped.
    pub fn json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Value::Nil => out.push_str("null"),
            Value::Bool(_) | Value::Int(_) | Value::Duration(_) => match self {
                Value::Duration(nanoseconds) => out.push_str(&nanoseconds.to_string()),
                other => out.push_str(&other.text()),
            },
            Value::Float(value) => out.push_str(&crate::fmt::json_float(*value)),
            Value::Str(text) | Value::Html(text) | Value::Url(text) => write_json_string(text, out),
            Value::List(values) => {
                out.push('[');
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    value.write_json(out);
                }
                out.push(']');
            }
            Value::Map(map) => {
                write_json_object(map.entries.iter().map(|(key, value)| (key.as_str(), value)), out);
            }
            Value::Time(time) => write_json_string(&time.rfc3339_nano(), out),
            Value::Object(object) => match (object.json_fields(), object.base()) {
                (Some(fields), _) => write_json_object(fields.iter().map(|(key, value)| (*key, value)), out),
                (None, Some(base)) => base.write_json(out),
                (None, None) => write_json_string(&self.text(), out),
            },
        }
    }
}

fn write_json_object<'a>(fields: impl Iterator<Item = (&'a str, &'a Value)>, out: &mut String) {
    out.push('{');
    for (i, (key, value)) in fields.enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_json_string(key, out);
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

/// A JSON string as Go's encoder writes it: `<`, `>`, `&`, U+2028 and U+2029 as `\u` escapes.
pub fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.type_name(), self.text())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::str(text)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

/// Go's rules of `eq`: basic kinds only, and of one kind.
pub(crate) fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    Ok(match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => a == b,
        #[expect(clippy::float_cmp, reason = "the template asks for exactly this comparison")]
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Nil, Value::Nil) => true,
        (Value::Time(a), Value::Time(b)) => a == b,
        (a, b) => match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => a == b,
            // Go compares nil with anything that may be nil, and says no.
            _ if matches!(a, Value::Nil) || matches!(b, Value::Nil) => false,
            _ if is_basic(a) && is_basic(b) => return Err("incompatible types for comparison".into()),
            _ => {
                return Err("uncomparable type: ".to_owned() + &if is_basic(a) { b.type_name() } else { a.type_name() });
            }
        },
    })
}

/// Go's rules of `lt` and its sisters: ordered kinds only, and of one kind.
pub(crate) fn compare(left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    match (left, right) {
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (a, b) => match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(b))),
            _ if is_basic(a) && is_basic(b) => Err("incompatible types for comparison".into()),
            _ => Err("invalid type for comparison".into()),
        },
    }
}

fn is_basic(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Duration(_) | Value::Float(_)) || value.as_str().is_some()
}
