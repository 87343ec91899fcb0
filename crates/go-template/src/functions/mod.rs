//! What Prometheus and Alertmanager add to Go's built-in functions.

mod alertmanager;
mod humanize;
mod prometheus;

pub use alertmanager::alertmanager;
pub use humanize::{humanize_duration, number};
pub use prometheus::{PrometheusHost, Query, Sample, prometheus};

use crate::{Functions, Value, string, want};
use regexp::Regexp;

/// The functions that both programs have.
fn common() -> Functions {
    let mut functions = Functions::builtin();
    functions.add("toUpper", |_, args| {
        let [text] = want(args)?;
        Ok(Value::str(string(text)?.to_uppercase()))
    });
    functions.add("toLower", |_, args| {
        let [text] = want(args)?;
        Ok(Value::str(string(text)?.to_lowercase()))
    });
    functions.add("match", |_, args| {
        let [pattern, text] = want(args)?;
        let regex = Regexp::new(string(pattern)?).map_err(|error| error.to_string())?;
        Ok(Value::Bool(regex.is_match(string(text)?)))
    });
    functions.add("reReplaceAll", |_, args| {
        let [pattern, replacement, text] = want(args)?;
        let regex = Regexp::new(string(pattern)?).map_err(|error| error.to_string())?;
        Ok(Value::str(replace_all(&regex, string(text)?, string(replacement)?)))
    });
    functions.add("safeHtml", |_, args| {
        let [text] = want(args)?;
        Ok(Value::Html(string(text)?.into()))
    });
    functions.add("humanizeDuration", |_, args| {
        let [value] = want(args)?;
        Ok(Value::Str(humanize_duration(number(value)?).into()))
    });
    functions
}

/// Go's `ReplaceAllString`.
fn replace_all(regex: &Regexp, text: &str, replacement: &str) -> String {
    let (mut out, mut done) = (String::with_capacity(text.len()), 0);
    for captures in regex.captures_all(text) {
        let Some(Some((start, end))) = captures.first().copied() else { continue };
        out.push_str(&text[done..start]);
        out.push_str(&regex.expand(replacement, text, &captures));
        done = end;
    }
    out.push_str(&text[done..]);
    out
}
