//! The functions of notification templates. Source: notification template reference of Alertmanager.

use super::common;
use crate::{Functions, Value, string, time::Time, want};
use std::sync::Arc;

/// Go's built-in functions and Alertmanager's own. `now` gives Unix milliseconds.
pub fn alertmanager(now: Arc<dyn Fn() -> i64 + Send + Sync>) -> Functions {
    let mut functions = common();
    functions.add("title", |_, args| {
        let [text] = want(args)?;
        Ok(Value::str(title(string(text)?)))
    });
    functions.add("trimSpace", |_, args| {
        let [text] = want(args)?;
        Ok(Value::str(string(text)?.trim()))
    });
    functions.add("join", |_, args| {
        let [separator, list] = want(args)?;
        let Value::List(values) = list.to_base() else {
            return Err(format!("wrong type for value; expected []string; got {}", list.type_name()));
        };
        let texts: Vec<_> = values.iter().map(Value::text).collect();
        Ok(Value::str(texts.join(string(separator)?)))
    });
    functions.add("safeUrl", |_, args| {
        let [text] = want(args)?;
        Ok(Value::Url(string(text)?.into()))
    });
    functions.add("urlUnescape", |_, args| {
        let [text] = want(args)?;
        query_unescape(string(text)?).map(Value::str)
    });
    functions.add("stringSlice", |_, args| {
        args.iter().map(|value| Ok(Value::str(string(value)?))).collect::<Result<Vec<_>, String>>().map(Value::list)
    });
    functions.add("list", |_, args| Ok(Value::list(args.iter().cloned())));
    functions.add("append", |_, args| {
        let (list, values) = args.split_first().ok_or("wrong number of args: want at least 1 got 0")?;
        match list.to_base() {
            Value::Nil => Ok(Value::list(values.iter().cloned())),
            Value::List(own) => Ok(Value::list(own.iter().chain(values).cloned())),
            other => Err(format!("cannot append to {}", other.type_name())),
        }
    });
    functions.add("dict", |_, args| {
        if args.len() % 2 != 0 {
            return Err("dict needs an even number of arguments: key, value, …".into());
        }
        let pairs: Result<Vec<_>, String> =
            args.chunks_exact(2).map(|pair| Ok((string(&pair[0])?.to_owned(), pair[1].clone()))).collect();
        Ok(Value::map(pairs?))
    });
    functions.add("toJson", |_, args| {
        let [value] = want(args)?;
        Ok(Value::str(value.json()))
    });
    functions.add("date", |_, args| {
        let [layout, time] = want(args)?;
        Ok(Value::str(as_time(time)?.format(string(layout)?)))
    });
    functions.add("tz", |_, args| {
        let [zone, time] = want(args)?;
        Ok(Value::Time(as_time(time)?.in_zone(string(zone)?)?))
    });
    let clock = Arc::clone(&now);
    functions.add("since", move |_, args| {
        let [time] = want(args)?;
        Ok(Value::Duration(Time::from_unix_ms(clock()).since(as_time(time)?)))
    });
    functions.add("now", move |_, args| {
        let [] = want(args)?;
        Ok(Value::Time(Time::from_unix_ms(now())))
    });
    functions
}

fn as_time(value: &Value) -> Result<&Time, String> {
    match value {
        Value::Time(time) => Ok(time),
        other => Err(format!("wrong type for value; expected time.Time; got {}", other.type_name())),
    }
}

/// English title case: the first letter of every word large, the others small.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        let is_part = c.is_alphanumeric() || c == '_' || c == '\'';
        if is_part && !inside {
            out.extend(c.to_uppercase())
        } else {
            out.extend(c.to_lowercase())
        }
        inside = is_part;
    }
    out
}

/// Go's `url.QueryUnescape`.
fn query_unescape(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let Some(code) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
                    return Err(format!(
                        "invalid URL escape {:?}",
                        String::from_utf8_lossy(&rest[..rest.len().min(2)])
                    ));
                };
                bytes.push(code);
                rest = &tail[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
