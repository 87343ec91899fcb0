//! Matchers as Alertmanager and amtool write them: `severity=~"page|ticket"`, `{a="b", c!=d}`.
//!
//! Two grammars: UTF-8 (any character but a few may stand unquoted) and classic (names as in Prometheus). As upstream's
//! default mode, the UTF-8 one is tried first and the classic one where that fails.

use model::{MatchOp, Matcher};
use regexp::LabelMatcher;

/// Characters that must be quoted in the UTF-8 grammar, besides blanks.
const RESERVED: &str = "{}!=~,\\\"'`";

/// Reads one matcher.
///
/// # Errors
/// What is wrong with it.
pub fn parse_matcher(text: &str) -> Result<LabelMatcher, String> {
    let matcher = match parse_utf8(text) {
        Ok(matchers) if matchers.len() == 1 && !text.trim_start().starts_with('{') => matchers.into_iter().next(),
        _ => None,
    };
    let matcher = match matcher {
        Some(matcher) => matcher,
        None => parse_classic(text)?,
    };
    compile(&matcher)
}

/// Reads a list of matchers, with or without braces.
///
/// # Errors
/// What is wrong with it.
pub fn parse_matchers(text: &str) -> Result<Vec<LabelMatcher>, String> {
    let matchers = match parse_utf8(text) {
        Ok(matchers) => matchers,
        Err(_) => {
            let inner = text.trim();
            let inner = inner.strip_prefix('{').map_or(inner, |inner| inner.strip_suffix('}').unwrap_or(inner));
            split_outside_quotes(inner).into_iter().map(parse_classic).collect::<Result<_, _>>()?
        }
    };
    matchers.iter().map(compile).collect()
}

/// Compiles a matcher.
///
/// # Errors
/// A pattern that is no regular expression.
pub fn compile(matcher: &Matcher) -> Result<LabelMatcher, String> {
    LabelMatcher::new(matcher).map_err(|error| error.to_string())
}

/// How matchers are written in group keys: `{a="b",c=~"d"}`.
pub(crate) fn matchers_text(matchers: &[LabelMatcher]) -> String {
    let texts: Vec<_> = matchers.iter().map(|matcher| matcher.matcher().to_string()).collect();
    format!("{{{}}}", texts.join(","))
}

fn parse_utf8(text: &str) -> Result<Vec<Matcher>, String> {
    let mut rest = text.trim();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner.strip_suffix('}').ok_or_else(|| format!("expected close brace: {text}"))?.trim();
    }
    let mut matchers = Vec::new();
    while !rest.is_empty() {
        let (name, tail) = word(rest)?;
        let tail = tail.trim_start();
        let (op, tail) = operator(tail).ok_or_else(|| format!("expected one of '=~', '!~', '=' or '!=': {text}"))?;
        let (value, tail) = word(tail.trim_start())?;
        matchers.push(Matcher::new(name, op, value));
        let tail = tail.trim_start();
        rest = match tail.strip_prefix(',') {
            Some(tail) => tail.trim_start(),
            None if tail.is_empty() => tail,
            None => return Err(format!("expected a comma or the end: {text}")),
        };
    }
    Ok(matchers)
}

fn operator(text: &str) -> Option<(MatchOp, &str)> {
    [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)]
        .into_iter()
        .find_map(|(sign, op)| Some((op, text.strip_prefix(sign)?)))
}

/// A quoted or plain word and what follows it.
fn word(text: &str) -> Result<(String, &str), String> {
    if text.starts_with('"') {
        let mut escaped = false;
        for (at, c) in text.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let inner = &text[1..at];
                    let word = go_template::unquote(inner).ok_or_else(|| format!("invalid input in quotes: {text}"))?;
                    return Ok((word, &text[at + 1..]));
                }
                _ => {}
            }
        }
        return Err(format!("missing end quote: {text}"));
    }
    let end = text.find(|c: char| c.is_whitespace() || RESERVED.contains(c)).unwrap_or(text.len());
    if end == 0 {
        return Err(format!("expected a name or a value: {text}"));
    }
    Ok((text[..end].to_owned(), &text[end..]))
}

/// The classic grammar: a Prometheus name, an operator, a value with or without quotes.
fn parse_classic(text: &str) -> Result<Matcher, String> {
    let bad = || format!("bad matcher format: {text}");
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(trimmed.len());
    let (name, rest) = trimmed.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(bad());
    }
    let (op, value) = operator(rest.trim_start()).ok_or_else(bad)?;
    let value = value.trim_start();
    let (quoted, inner) = match value.strip_prefix('"') {
        Some(inner) => (true, inner),
        None => (false, value),
    };
    let mut out = String::new();
    let mut chars = inner.chars().peekable();
    let mut closed = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('"') => out.push('"'),
                Some('n') => out.push('\n'),
                Some('\\') => out.push('\\'),
                Some(other) => {
                    // A backslash before anything else stands for itself, so that patterns need no doubling.
                    out.push('\\');
                    out.push(other);
                }
                None => return Err(format!("matcher value contains unescaped trailing backslash: {inner}")),
            },
            '"' if quoted && chars.peek().is_none() => closed = true,
            '"' => return Err(format!("matcher value contains unescaped double quote: {inner}")),
            c => out.push(c),
        }
    }
    if quoted && !closed {
        return Err(format!("matcher value contains unescaped double quote: {value}"));
    }
    Ok(Matcher::new(name, op, out))
}

fn split_outside_quotes(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut inside, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            ',' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() {
        parts.push(&text[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars() {
        for (text, expected) in [
            ("a=b", r#"a="b""#),
            (r#"severity=~"page|ticket""#, r#"severity=~"page|ticket""#),
            ("foo🙂=bar", r#""foo🙂"="bar""#),
            (r#""\xf0\x9f\x99\x82"=dΘ"#, r#""🙂"="dΘ""#),
            ("00=b", r#""00"="b""#),
            (r#" a != "x y" "#, r#"a!="x y""#),
            (r#"a=~"\d+""#, r#"a=~"\\d+""#),
            ("a=b=c", r#"a="b=c""#),
            ("==", "bad matcher format: =="),
            ("a", "bad matcher format: a"),
        ] {
            let said = parse_matcher(text).map_or_else(|error| error, |matcher| matcher.matcher().to_string());
            assert_eq!(said, expected, "in case `{text}`");
        }
        let several = parse_matchers(r#"{a="b", c=~"d,e",}"#).unwrap();
        assert_eq!(matchers_text(&several), r#"{a="b",c=~"d,e"}"#);
    }
}
