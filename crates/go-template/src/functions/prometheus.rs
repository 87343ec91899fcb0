//! The functions of rule annotations. Source: template reference of Prometheus.

use super::{common, humanize, number};
use crate::{Functions, Object, Value, query_escape, string, time::Time, want};
use model::Labels;
use std::sync::Arc;

/// One element of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    pub value: f64,
}

impl Object for Sample {
    fn type_name(&self) -> &str {
        "template.sample"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Labels" => Some(Value::string_map(&self.labels)),
            "Value" => Some(Value::Float(self.value)),
            _ => None,
        }
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(vec![("Labels", Value::string_map(&self.labels)), ("Value", Value::Float(self.value))])
    }
}

/// Runs an instant query; called while a template executes, may block.
pub type Query = Arc<dyn Fn(&str) -> Result<Vec<Sample>, String> + Send + Sync>;

/// What Prometheus' functions need from their host.
#[derive(Clone)]
pub struct PrometheusHost {
    pub query: Query,
    /// Without a slash at the end.
    pub external_url: String,
    /// Unix milliseconds, for `now`.
    pub now_ms: i64,
}

/// Go's built-in functions and Prometheus' own.
pub fn prometheus(host: PrometheusHost) -> Functions {
    let mut functions = common();
    let PrometheusHost { query, external_url, now_ms } = host;
    functions.add("query", move |_, args| {
        let [text] = want(args)?;
        Ok(Value::list(query(string(text)?)?.into_iter().map(Value::object)))
    });
    functions.add("first", |_, args| {
        let [list] = want(args)?;
        match list.to_base() {
            Value::List(values) => {
                values.first().cloned().ok_or_else(|| "first() called on vector with no elements".into())
            }
            other => Err(format!("wrong type for value; expected template.queryResult; got {}", other.type_name())),
        }
    });
    functions.add("value", |_, args| {
        let [sample] = want(args)?;
        sample_field(sample, "Value")
    });
    functions.add("label", |_, args| {
        let [name, sample] = want(args)?;
        label(sample, string(name)?)
    });
    functions.add("strvalue", |_, args| {
        let [sample] = want(args)?;
        label(sample, "__value__")
    });
    functions.add("sortByLabel", |_, args| {
        let [name, list] = want(args)?;
        let name = string(name)?;
        let Value::List(values) = list.to_base() else {
            return Err(format!("wrong type for value; expected template.queryResult; got {}", list.type_name()));
        };
        let mut keyed = Vec::with_capacity(values.len());
        for value in values.iter() {
            keyed.push((label(value, name)?.text(), value.clone()));
        }
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Value::list(keyed.into_iter().map(|(_, value)| value)))
    });
    for (name, write) in [
        ("humanize", humanize::humanize as fn(f64) -> String),
        ("humanize1024", humanize::humanize_1024),
        ("humanizePercentage", humanize::humanize_percentage),
    ] {
        functions.add(name, move |_, args| {
            let [value] = want(args)?;
            Ok(Value::Str(write(number(value)?).into()))
        });
    }
    functions.add("humanizeTimestamp", |_, args| {
        let [value] = want(args)?;
        let seconds = number(value)?;
        Ok(Value::str(match to_time(seconds)? {
            Some(time) => time.to_string(),
            None => crate::fmt::format_g(seconds, Some(4), false),
        }))
    });
    functions.add("toTime", |_, args| {
        let [value] = want(args)?;
        to_time(number(value)?)?.map(Value::Time).ok_or_else(|| "no time is not a number or infinite".into())
    });
    functions.add("toDuration", |_, args| {
        let [value] = want(args)?;
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
        Ok(Value::Duration((number(value)? * 1e9) as i64))
    });
    functions.add("parseDuration", |_, args| {
        let [text] = want(args)?;
        let ms = model::duration::parse_duration_ms(string(text)?).map_err(|error| error.to_string())?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of 292 years fit")]
        Ok(Value::Float(ms as f64 / 1000.0))
    });
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
    functions.add("now", move |_, args| {
        let [] = want(args)?;
        Ok(Value::Float(now_ms as f64 / 1000.0))
    });
    functions.add("title", |_, args| {
        let [text] = want(args)?;
        Ok(Value::str(title(string(text)?)))
    });
    for (name, tab) in [("graphLink", 0), ("tableLink", 1)] {
        functions.add(name, move |_, args| {
            let [expr] = want(args)?;
            Ok(Value::str(format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(string(expr)?))))
        });
    }
    functions.add("stripPort", |_, args| {
        let [address] = want(args)?;
        let address = string(address)?;
        Ok(Value::str(split_port(address).map_or(address, |(host, _)| host)))
    });
    functions.add("stripDomain", |_, args| {
        let [address] = want(args)?;
        Ok(Value::str(strip_domain(string(address)?)))
    });
    functions.add("urlQueryEscape", |_, args| {
        let [text] = want(args)?;
        Ok(Value::str(query_escape(string(text)?)))
    });
    functions.add("args", |_, args| {
        Ok(Value::map(args.iter().enumerate().map(|(i, value)| (format!("arg{i}"), value.clone()))))
    });
    functions.add("tmpl", |call, args| {
        let [name, data] = want(args)?;
        Ok(Value::Html(call.execute(string(name)?, data)?.into()))
    });
    let path = external_url
        .split_once("://")
        .map_or("", |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]))
        .trim_end_matches('/')
        .to_owned();
    functions.add("pathPrefix", move |_, args| {
        let [] = want(args)?;
        Ok(Value::str(&path))
    });
    functions.add("externalURL", move |_, args| {
        let [] = want(args)?;
        Ok(Value::str(&external_url))
    });
    functions
}

fn sample_field(sample: &Value, name: &str) -> Result<Value, String> {
    let Value::Object(object) = sample else {
        return Err(format!("wrong type for value; expected *template.sample; got {}", sample.type_name()));
    };
    object
        .field(name)
        .ok_or_else(|| format!("wrong type for value; expected *template.sample; got {}", object.type_name()))
}

fn label(sample: &Value, name: &str) -> Result<Value, String> {
    match sample_field(sample, "Labels")? {
        Value::Map(labels) => Ok(labels.entries.get(name).cloned().unwrap_or_else(|| Value::str(""))),
        other => Err(format!("wrong type for value; expected labels; got {}", other.type_name())),
    }
}

/// `None` for what is no number.
fn to_time(seconds: f64) -> Result<Option<Time>, String> {
    if !seconds.is_finite() {
        return Ok(None);
    }
    if seconds.abs() * 1e9 > 9.2e18 {
        return Err(format!(
            "{} cannot be represented as a nanoseconds timestamp since it overflows int64",
            crate::fmt::format_g(seconds, None, false)
        ));
    }
    Ok(Some(Time::from_unix_seconds(seconds)))
}

/// Go's `strings.Title`: the first letter of every word in upper case, the others as they are.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        let is_part = c.is_alphanumeric() || c == '_' || c == '\'';
        if is_part && !inside {
            out.extend(c.to_uppercase())
        } else {
            out.push(c)
        }
        inside = is_part;
    }
    out
}

/// `host:port` or `[v6]:port`; `None` for anything else.
fn split_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    if let Some(inner) = host.strip_prefix('[') {
        return Some((inner.strip_suffix(']')?, port));
    }
    (!host.contains([':', '[', ']'])).then_some((host, port))
}

/// The first label of a host name, with the port; addresses stay.
fn strip_domain(address: &str) -> String {
    let (host, port) = match split_port(address) {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    if host.parse::<std::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    let short = host.split('.').next().unwrap_or(host);
    match port {
        Some(port) => format!("{short}:{port}"),
        None => short.to_owned(),
    }
}
