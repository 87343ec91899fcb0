//! PromQL as it is typed, with `$variables` in it: how it is coloured, and where it is wrong.

use promql_syntax::{ParseError, Token, TokenKind, parse, tokens};

/// How a piece of the text is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// Class of the colour; "" for plain text.
    pub class: &'static str,
    /// Underlined, because the fault lies here.
    pub fault: bool,
}

/// What is wrong, and which bytes of the typed text it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub message: String,
    pub start: usize,
    pub end: usize,
}

/// A variable in the text: `$name`, `${name:format}` or `[[name]]`, by its bytes.
struct Variable<'a> {
    name: &'a str,
    start: usize,
    end: usize,
}

fn variables(text: &str) -> Vec<Variable<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let inner = if let Some(body) = rest.strip_prefix("${") {
            body.find('}').map(|end| (body.get(..end).unwrap_or_default(), end + 3))
        } else if let Some(body) = rest.strip_prefix("[[") {
            body.find("]]").map(|end| (body.get(..end).unwrap_or_default(), end + 4))
        } else if let Some(body) = rest.strip_prefix('$') {
            let end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
            (end > 0).then(|| (body.get(..end).unwrap_or_default(), end + 1))
        } else {
            None
        };
        match inner {
            Some((inner, length)) => {
                let name = inner.split([':', '.']).next().unwrap_or(inner);
                found.push(Variable { name, start: at, end: at + length });
                at += length;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    found
}

/// Checks a query whose variables have the values that `value_of` gives; unknown ones stand for something that fits.
///
/// An empty text has no fault: nobody has typed anything yet.
pub fn check(text: &str, value_of: impl Fn(&str) -> Option<String>) -> Option<Fault> {
    if text.trim().is_empty() {
        return None;
    }
    let found = variables(text);
    if found.is_empty() {
        return parse(text).err().map(|error| fault(&error, error.span.start, error.span.end));
    }
    // A variable of unknown value may stand for a number, a name or a duration: the text is right if one of them fits.
    let mut first = None;
    for stand_in in ["5m", "1", "x"] {
        let value = |name: &str| value_of(name).or_else(|| builtin(name)).unwrap_or_else(|| stand_in.to_owned());
        let (filled, places) = fill(text, &found, value);
        match parse(&filled) {
            Ok(_) => return None,
            Err(error) => {
                let start = typed_place(&places, error.span.start, false);
                let end = typed_place(&places, error.span.end, true);
                let fault = fault(&error, start, end);
                first = first.or(Some(fault));
            }
        }
    }
    first
}

/// A value that fits for the names that every dashboard knows.
fn builtin(name: &str) -> Option<String> {
    match name {
        "__interval_ms" | "__range_s" | "__range_ms" | "__from" | "__to" => Some("1".to_owned()),
        "__interval" | "__rate_interval" | "__range" => Some("1m".to_owned()),
        _ => None,
    }
}

fn fault(error: &ParseError, start: usize, end: usize) -> Fault {
    Fault { message: error.message.clone(), start, end: end.max(start + 1) }
}

/// Start and end of a stretch in the typed text, and where it begins in the filled one.
struct Place {
    typed: (usize, usize),
    filled: (usize, usize),
}

fn fill(text: &str, found: &[Variable<'_>], value: impl Fn(&str) -> String) -> (String, Vec<Place>) {
    let (mut filled, mut places, mut at) = (String::new(), Vec::new(), 0);
    for variable in found {
        filled.push_str(text.get(at..variable.start).unwrap_or_default());
        let start = filled.len();
        filled.push_str(&value(variable.name));
        places.push(Place { typed: (variable.start, variable.end), filled: (start, filled.len()) });
        at = variable.end;
    }
    filled.push_str(text.get(at..).unwrap_or_default());
    (filled, places)
}

/// The byte of the typed text that belongs to a byte of the filled one; within a variable its start or its end.
fn typed_place(places: &[Place], filled: usize, end: bool) -> usize {
    let mut typed = filled as i64;
    for place in places {
        if filled <= place.filled.0 {
            break;
        }
        if filled < place.filled.1 {
            return if end { place.typed.1 } else { place.typed.0 };
        }
        typed = (filled - place.filled.1 + place.typed.1) as i64;
    }
    typed.max(0) as usize
}

/// The text in coloured pieces, the fault underlined. Together they are the text.
pub fn pieces(text: &str, fault: Option<&Fault>) -> Vec<Piece> {
    let found = variables(text);
    // Signs that are no PromQL become letters, so that the tokens around keep their places.
    let mut masked = text.to_owned();
    for variable in &found {
        masked.replace_range(variable.start..variable.end, &"x".repeat(variable.end - variable.start));
    }
    let mut class_of = vec![""; text.len()];
    let all = tokens(&masked);
    for (i, token) in all.iter().enumerate() {
        let class = class(&masked, token, all.get(i + 1));
        class_of.iter_mut().take(token.span.end.min(text.len())).skip(token.span.start).for_each(|slot| *slot = class);
    }
    for variable in &found {
        class_of.iter_mut().take(variable.end).skip(variable.start).for_each(|slot| *slot = "va");
    }
    let faulty = |byte: usize| fault.is_some_and(|fault| (fault.start..fault.end).contains(&byte));
    let mut pieces: Vec<Piece> = Vec::new();
    for (byte, c) in text.char_indices() {
        let (class, fault) = (class_of.get(byte).copied().unwrap_or(""), faulty(byte));
        match pieces.last_mut() {
            Some(last) if last.class == class && last.fault == fault => last.text.push(c),
            _ => pieces.push(Piece { text: c.to_string(), class, fault }),
        }
    }
    // A fault at the very end has nothing to stand under.
    if fault.is_some_and(|fault| fault.start >= text.len()) {
        pieces.push(Piece { text: " ".to_owned(), class: "", fault: true });
    }
    pieces
}

fn class(text: &str, token: &Token, next: Option<&Token>) -> &'static str {
    match token.kind {
        TokenKind::Comment => "co",
        TokenKind::Identifier if next.is_some_and(|next| next.kind == TokenKind::LeftParen) => "fn",
        TokenKind::Identifier if next.is_some_and(|next| matches!(next.text(text), "=" | "!=" | "=~" | "!~")) => "la",
        TokenKind::Identifier => "me",
        TokenKind::Keyword | TokenKind::Aggregation => "kw",
        TokenKind::Number | TokenKind::Duration => "nu",
        TokenKind::String => "sg",
        TokenKind::Operator | TokenKind::At => "op",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_lie_where_they_were_typed() {
        let cases = [
            ("rate(up[5m])", None),
            ("", None),
            ("rate(up{job=~\"$job\"}[$__rate_interval])", None),
            ("topk($n, up)", None),
            ("rate(up[${w}]) + ${metric:raw}", None),
            ("sum(rat(up[5m]))", Some("rat")),
            ("sum(rat(up{a=\"$job\"}[$__interval]))", Some("rat")),
            ("up{a=\"$a_long_variable_name\"} + rat(up)", Some("rat")),
        ];
        for (text, expected) in cases {
            let fault = check(text, |_| None);
            let said = fault.as_ref().map(|fault| text.get(fault.start..fault.end).unwrap_or("?").to_owned());
            match expected {
                None => assert_eq!(fault, None, "in case `{text}`"),
                Some(start) => {
                    assert!(said.as_deref().is_some_and(|said| said.starts_with(start)), "{text}: {fault:?}")
                }
            }
            let all: String = pieces(text, fault.as_ref()).into_iter().map(|piece| piece.text).collect();
            assert_eq!(all.trim_end(), text.trim_end());
        }
    }
}
