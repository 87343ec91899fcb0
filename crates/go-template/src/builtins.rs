//! The functions that every Go template has.

use crate::{Functions, Value, execute::map_entry, fmt::sprintf, value};
use std::cmp::Ordering;

impl Functions {
    /// Go's built-in functions. `and` and `or` are here by name only: they decide which arguments are evaluated.
    pub fn builtin() -> Functions {
        let mut functions = Functions::default();
        functions.add("and", |_, _| Ok(Value::Nil));
        functions.add("or", |_, _| Ok(Value::Nil));
        functions.add("not", |_, args| {
            let [value] = want(args)?;
            Ok(Value::Bool(!value.truth()))
        });
        functions.add("eq", |_, args| {
            let (first, rest) = args.split_first().ok_or("missing argument for comparison")?;
            if rest.is_empty() {
                return Err("missing argument for comparison".into());
            }
            for other in rest {
                if value::equal(first, other)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        });
        functions.add("ne", |_, args| {
            let [left, right] = want(args)?;
            Ok(Value::Bool(!value::equal(left, right)?))
        });
        for (name, accepts) in [
            ("lt", (|order| order == Ordering::Less) as fn(Ordering) -> bool),
            ("le", |order| order != Ordering::Greater),
            ("gt", |order| order == Ordering::Greater),
            ("ge", |order| order != Ordering::Less),
        ] {
            functions.add(name, move |_, args| {
                let [left, right] = want(args)?;
                Ok(Value::Bool(value::compare(left, right)?.is_some_and(accepts)))
            });
        }
        functions.add("len", |_, args| {
            let [value] = want(args)?;
            let length = match value.to_base() {
                Value::List(values) => values.len(),
                Value::Map(map) => map.entries.len(),
                other => other.as_str().map(str::len).ok_or_else(|| format!("len of type {}", other.type_name()))?,
            };
            Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
        });
        functions.add("index", |_, args| {
            let (first, indexes) = args.split_first().ok_or("wrong number of args for index: want at least 1 got 0")?;
            indexes.iter().try_fold(first.clone(), |value, at| index(&value, at))
        });
        functions.add("slice", |_, args| slice(args));
        functions.add("print", |_, args| Ok(Value::Str(print(args).into())));
        functions.add("println", |_, args| {
            let texts: Vec<_> = args.iter().map(Value::text).collect();
            Ok(Value::Str(format!("{}\n", texts.join(" ")).into()))
        });
        functions.add("printf", |_, args| {
            let (format, args) = args.split_first().ok_or("wrong number of args for printf: want at least 1 got 0")?;
            Ok(Value::Str(sprintf(string(format)?, args).into()))
        });
        functions.add("html", |_, args| Ok(Value::Html(html_text(&print(args)).into())));
        functions.add("js", |_, args| Ok(Value::Str(js_text(&print(args)).into())));
        functions.add("urlquery", |_, args| Ok(Value::Str(query_escape(&print(args)).into())));
        functions.add("call", |_, _| Err("there are no function values here; call the function by its name".into()));
        functions
    }
}

/// Exactly as many arguments as there are names for.
///
/// # Errors
/// Another number of arguments.
pub fn want<const N: usize>(args: &[Value]) -> Result<&[Value; N], String> {
    args.try_into().map_err(|_| format!("wrong number of args: want {N} got {}", args.len()))
}

/// The text of an argument that must be text.
///
/// # Errors
/// Another type.
pub fn string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("wrong type for value; expected string; got {}", value.type_name()))
}

/// Go's `Sprint`: blanks only between arguments of which neither is text.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in args.iter().enumerate() {
        if i > 0 && value.as_str().is_none() && args[i - 1].as_str().is_none() {
            out.push(' ');
        }
        out.push_str(&value.text());
    }
    out
}

fn index(value: &Value, at: &Value) -> Result<Value, String> {
    match value.to_base() {
        Value::Map(map) => match at.as_str() {
            Some(key) => Ok(map_entry(&map, key)),
            None => Err(format!("value has type {}; should be string", at.type_name())),
        },
        Value::Nil => Err("index of untyped nil".into()),
        other => {
            let Value::Int(at) = at else {
                return Err(format!("cannot index slice/array with type {}", at.type_name()));
            };
            let out_of_range = || format!("error calling index: index out of range: {at}");
            let at = usize::try_from(*at).map_err(|_| out_of_range())?;
            match &other {
                Value::List(values) => values.get(at).cloned().ok_or_else(out_of_range),
                other => match other.as_str() {
                    Some(text) => text.as_bytes().get(at).map(|b| Value::Int(i64::from(*b))).ok_or_else(out_of_range),
                    None => Err(format!("can't index item of type {}", other.type_name())),
                },
            }
        }
    }
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let (value, indexes) = args.split_first().ok_or("wrong number of args for slice: want at least 1 got 0")?;
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let value = value.to_base();
    let length = match &value {
        Value::List(values) => values.len(),
        other => {
            other.as_str().map(str::len).ok_or_else(|| format!("can't slice item of type {}", other.type_name()))?
        }
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        let Value::Int(index) = index else {
            return Err(format!("cannot index slice/array with type {}", index.type_name()));
        };
        *bound = usize::try_from(*index).ok().filter(|i| *i <= length).ok_or(format!("index out of range: {index}"))?;
    }
    let [from, to, _] = bounds;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    match &value {
        Value::List(values) => Ok(Value::list(values[from..to].iter().cloned())),
        // Go cuts bytes; a cut inside a character leaves an invalid one, shown as U+FFFD.
        other => {
            Ok(Value::Str(String::from_utf8_lossy(&other.as_str().unwrap_or_default().as_bytes()[from..to]).into()))
        }
    }
}

fn html_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn js_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c if (c as u32) < 0x20 || c == '\u{2028}' || c == '\u{2029}' => {
                out.push_str(&format!("\\u{:04X}", c as u32));
            }
            c => out.push(c),
        }
    }
    out
}

/// Go's `url.QueryEscape`: a blank becomes `+`.
pub fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
