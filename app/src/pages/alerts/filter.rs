//! Matchers as Alertmanager's `filter` parameter and its silence form write them: `env="prod"`, `{job=~"a|b",team!=infra}`.

use api::alerts::SilenceMatcher;
use model::matcher::{MatchOp, Matcher};

/// More than a person types, and few enough to draw.
const MATCHERS_MAX: usize = 64;

/// Reads a list of matchers, separated by commas, with or without braces; a value may stand without quotes.
///
/// # Errors
/// What is wrong and how to write it, for the line under the field.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.trim();
    let text = text.strip_prefix('{').map_or(text, |inner| inner.strip_suffix('}').unwrap_or(inner));
    let mut matchers = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (matcher, tail) = parse_matcher(rest)?;
        matchers.push(matcher);
        if matchers.len() > MATCHERS_MAX {
            return Err(format!("more than {MATCHERS_MAX} matchers; use fewer"));
        }
        rest = tail.trim_start();
        match rest.strip_prefix(',') {
            Some(tail) => rest = tail.trim_start(),
            None if rest.is_empty() => {}
            None => return Err(format!("expected a comma before `{}`", excerpt(rest))),
        }
    }
    Ok(matchers)
}

fn parse_matcher(text: &str) -> Result<(Matcher, &str), String> {
    let (name, rest) = if text.starts_with('"') {
        unquote(text)?
    } else {
        let at = text.find(['=', '!', ',']).unwrap_or(text.len());
        let (name, rest) = text.split_at(at);
        (name.trim().to_owned(), rest)
    };
    let rest = rest.trim_start();
    let ops = [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let found = ops.iter().find_map(|(sign, op)| rest.strip_prefix(sign).map(|rest| (*op, rest)));
    let Some((op, rest)) = found else {
        return Err(format!("`{}` needs an operator: =, !=, =~ or !~, as in env=\"prod\"", excerpt(text)));
    };
    if name.is_empty() {
        return Err(format!("a label name is missing before `{}`", op.as_str()));
    }
    let rest = rest.trim_start();
    let (value, rest) = if rest.starts_with('"') {
        unquote(rest)?
    } else {
        let (value, rest) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
        (value.trim().to_owned(), rest)
    };
    Ok((Matcher::new(name, op, value), rest))
}

/// Reads a text in double quotes with `\\`, `\"` and `\n`.
fn unquote(text: &str) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((out, text.get(at + 1..).unwrap_or(""))),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, other @ ('"' | '\\'))) => out.push(other),
                Some((_, other)) => out.extend(['\\', other]),
                None => break,
            },
            other => out.push(other),
        }
    }
    Err(format!("the quote before `{}` is not closed", excerpt(text.get(1..).unwrap_or(""))))
}

fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(24).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// The text of several matchers, as a person would write them.
pub fn format_matchers(matchers: &[Matcher]) -> String {
    matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(", ")
}

/// The matchers of a silence as matchers.
pub fn from_silence(matchers: &[SilenceMatcher]) -> Vec<Matcher> {
    let op = |matcher: &SilenceMatcher| match (matcher.is_equal, matcher.is_regex) {
        (true, false) => MatchOp::Equal,
        (false, false) => MatchOp::NotEqual,
        (true, true) => MatchOp::Regex,
        (false, true) => MatchOp::NotRegex,
    };
    matchers.iter().map(|matcher| Matcher::new(&matcher.name, op(matcher), &matcher.value)).collect()
}

/// Matchers as the silence API takes them.
pub fn to_silence(matchers: &[Matcher]) -> Vec<SilenceMatcher> {
    (matchers.iter())
        .map(|matcher| SilenceMatcher {
            is_equal: matches!(matcher.op, MatchOp::Equal | MatchOp::Regex),
            is_regex: matcher.op.is_regex(),
            name: matcher.name.clone(),
            value: matcher.value.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &str = r#"
env="prod"                       => env="prod"
{env="prod", job=~"a|b",}        => env="prod", job=~"a|b"
severity=critical,team!=infra    => severity="critical", team!="infra"
"my.label"!~"x\"y\\z"            => "my.label"!~"x\"y\\z"
path="C:\d"                      => path="C:\\d"
a=                               => a=""
{}                               => 
env                              => `env` needs an operator: =, !=, =~ or !~, as in env="prod"
="x"                             => a label name is missing before `=`
env="prod                        => the quote before `prod` is not closed
env="a" job="b"                  => expected a comma before `job="b"`
"#;

    #[test]
    fn matchers() {
        for case in CASES.trim_matches('\n').lines() {
            let (text, expected) = case.split_once("=> ").unwrap();
            let said = parse_matchers(text).map_or_else(|error| error, |matchers| format_matchers(&matchers));
            assert_eq!(said, expected, "in case `{case}`");
            if let Ok(matchers) = parse_matchers(text) {
                assert_eq!(from_silence(&to_silence(&matchers)), matchers);
            }
        }
    }
}
