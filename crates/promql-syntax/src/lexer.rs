//! Text to tokens. The parser reads them, the browser colours them.

use crate::ast::{AggregateOp, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `# …` to the end of the line.
    Comment,
    /// A metric, label or function name.
    Identifier,
    /// A word of the language in any case: `by`, `offset`, `and`, `bool` … May still be used as a name in most places.
    Keyword,
    /// `sum`, `topk` …, in any case. May still be used as a name.
    Aggregation,
    Number,
    Duration,
    /// With its quotes.
    String,
    /// Arithmetic, comparison, trim and matching operators in signs.
    Operator,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    At,
    /// What belongs to no token.
    Error,
}

/// A token and the bytes it takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

impl Token {
    pub fn text<'a>(&self, source: &'a str) -> &'a str {
        source.get(self.span.start..self.span.end).unwrap_or_default()
    }
}

const KEYWORDS: [&str; 17] = [
    "and",
    "anchored",
    "atan2",
    "bool",
    "by",
    "fill",
    "fill_left",
    "fill_right",
    "group_left",
    "group_right",
    "ignoring",
    "offset",
    "on",
    "or",
    "smoothed",
    "unless",
    "without",
];

/// Splits a text into tokens, comments included, spaces left out. Never fails: what is no token becomes
/// [`TokenKind::Error`], and the rest is split all the same.
pub fn tokens(text: &str) -> Vec<Token> {
    Lexer::new(text).collect()
}

/// Splits text lazily; `error` says what was wrong with the last [`TokenKind::Error`].
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    braces: bool,
    brackets: bool,
    /// There was a colon in these brackets.
    colon: bool,
    pub(crate) error: Option<(Span, String)>,
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        while let Some(c) = self.peek(0) {
            if !matches!(c, b' ' | b'\t' | b'\n' | b'\r') {
                let start = self.at;
                let kind = self.scan(c);
                return Some(Token { kind, span: Span { start, end: self.at } });
            }
            self.at += 1;
        }
        None
    }
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Lexer { text, at: 0, braces: false, brackets: false, colon: false, error: None }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&keep) {
            self.at += 1;
        }
    }

    fn fail(&mut self, start: usize, message: String) -> TokenKind {
        if self.error.is_none() {
            self.error = Some((Span { start, end: self.at }, message));
        }
        TokenKind::Error
    }

    fn scan(&mut self, c: u8) -> TokenKind {
        let start = self.at;
        match c {
            b'#' => {
                self.take_while(|c| c != b'\n');
                TokenKind::Comment
            }
            b'(' => self.single(TokenKind::LeftParen),
            b')' => self.single(TokenKind::RightParen),
            b'{' => {
                self.braces = true;
                self.single(TokenKind::LeftBrace)
            }
            b'}' if self.braces => {
                self.braces = false;
                self.single(TokenKind::RightBrace)
            }
            // Between braces there are names, texts, commas and matching operators alone.
            b if self.braces && !(is_name_start(b) || matches!(b, b',' | b'"' | b'\'' | b'`' | b'=' | b'!' | b':')) => {
                let character = self.text[self.at..].chars().next().unwrap_or_default();
                self.at += character.len_utf8();
                self.fail(start, format!("unexpected character inside braces: {character:?}"))
            }
            b'=' if self.braces && self.peek(1) == Some(b'=') => self.single(TokenKind::Operator),
            b'[' => {
                (self.brackets, self.colon) = (true, false);
                self.single(TokenKind::LeftBracket)
            }
            b']' => {
                self.brackets = false;
                self.single(TokenKind::RightBracket)
            }
            b':' if self.brackets && self.colon => {
                self.at += 1;
                self.fail(start, "unexpected colon ':'".to_owned())
            }
            b',' => self.single(TokenKind::Comma),
            b'@' => self.single(TokenKind::At),
            b'"' | b'\'' | b'`' => self.string(c),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'^' => self.single(TokenKind::Operator),
            b'=' => self.operator(b"=~"),
            b'!' => {
                if !matches!(self.peek(1), Some(b'=' | b'~')) {
                    self.at += 1;
                    let next = self.text[self.at..].chars().next();
                    let next = next.map_or("end of input".to_owned(), |c| format!("{c:?}"));
                    let inside = if self.braces { " inside braces" } else { "" };
                    return self.fail(start, format!("unexpected character after '!'{inside}: {next}"));
                }
                self.operator(b"=~")
            }
            b'<' | b'>' => self.operator(b"=/"),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|c| c.is_ascii_digit()) => self.number(),
            b':' if self.brackets || self.braces || !self.peek(1).is_some_and(is_name) => {
                self.colon = true;
                self.single(TokenKind::Colon)
            }
            c if is_name_start(c) || c == b':' => self.word(),
            _ => {
                let character = self.text[self.at..].chars().next().unwrap_or_default();
                self.at += character.len_utf8();
                let place = if self.brackets { " in duration expression" } else { "" };
                self.fail(start, format!("unexpected character{place}: {character:?}"))
            }
        }
    }

    fn single(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 1;
        kind
    }

    /// One sign, and one more if it is among `seconds`.
    fn operator(&mut self, seconds: &[u8]) -> TokenKind {
        self.at += 1;
        if self.peek(0).is_some_and(|c| seconds.contains(&c)) {
            self.at += 1;
        }
        TokenKind::Operator
    }

    fn word(&mut self) -> TokenKind {
        let start = self.at;
        let colons = !self.braces && !self.brackets;
        self.take_while(|c| is_name(c) || colons && c == b':');
        let word = &self.text[start..self.at];
        if word.len() == 3 && (word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan")) && !self.braces {
            return TokenKind::Number;
        }
        if AggregateOp::from_name(word).is_some() {
            return TokenKind::Aggregation;
        }
        if KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word)) {
            return TokenKind::Keyword;
        }
        TokenKind::Identifier
    }

    fn string(&mut self, quote: u8) -> TokenKind {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek(0) {
                None => {
                    let what = if quote == b'`' { "unterminated raw string" } else { "unterminated quoted string" };
                    return self.fail(start, what.to_owned());
                }
                Some(c) if c == quote => {
                    self.at += 1;
                    return TokenKind::String;
                }
                Some(b'\\') if quote != b'`' => self.at = (self.at + 2).min(self.text.len()),
                Some(b'\n') if quote != b'`' => return self.fail(start, "unterminated quoted string".to_owned()),
                Some(_) => self.at += 1,
            }
        }
    }

    /// A number or a duration: decides by what follows the digits.
    fn number(&mut self) -> TokenKind {
        let start = self.at;
        let mut kind = TokenKind::Number;
        if self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X')) {
            self.at += 2;
            self.take_while(|c| c.is_ascii_hexdigit() || c == b'_');
        } else {
            self.take_while(|c| c.is_ascii_digit() || c == b'_');
            if is_unit_start(self.peek(0)) {
                kind = TokenKind::Duration;
                self.take_while(|c| c.is_ascii_digit() || c.is_ascii_lowercase());
            } else {
                if self.peek(0) == Some(b'.') {
                    self.at += 1;
                    self.take_while(|c| c.is_ascii_digit() || c == b'_');
                }
                if matches!(self.peek(0), Some(b'e' | b'E')) {
                    let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
                    if self.peek(1 + sign).is_some_and(|c| c.is_ascii_digit()) {
                        self.at += 1 + sign;
                        self.take_while(|c| c.is_ascii_digit() || c == b'_');
                    }
                }
            }
        }
        let text = &self.text[start..self.at];
        let well_formed = match kind {
            TokenKind::Duration => text.len() == duration_shape(text),
            _ => parse_number(text).is_some() || is_too_large(text),
        };
        if !well_formed || self.peek(0).is_some_and(|c| is_name(c) || c == b'.') {
            let rest = &self.text[start..];
            let bad = rest[..faulty_number(rest)].to_owned();
            self.take_while(|c| is_name(c) || c == b'.');
            return self.fail(start, format!("bad number or duration syntax: {}", model::labels::quote(&bad)));
        }
        kind
    }
}

/// How many bytes at the start of a text have the shape of a duration, whatever the order of its units.
fn duration_shape(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let digits = at + bytes[at..].iter().take_while(|c| c.is_ascii_digit()).count();
        // Only the first unit may be years.
        let is_unit = |c: &u8| if at == 0 { b"smhdwy".contains(c) } else { b"smhdw".contains(c) };
        if digits == at || !bytes.get(digits).is_some_and(is_unit) {
            return at;
        }
        at = digits + 1 + usize::from(bytes.get(digits + 1) == Some(&b's'));
    }
}

/// A literal that only its size keeps from being a number.
fn is_too_large(text: &str) -> bool {
    let plain = text.replace('_', "");
    !text.starts_with('_')
        && !text.ends_with('_')
        && !text.contains("__")
        && model::float::parse_float(&plain).is_some_and(f64::is_infinite)
}

/// How many bytes of a wrong number or duration have been read when the fault is seen, as Prometheus reads: first as a
/// number, then on as a duration. What does not fit is the last of them if it could have belonged to a number.
fn faulty_number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|c| set.contains(c));
    let is_hex = is(0, b"0") && is(1, b"xX");
    let mut at = if is_hex { 2 + usize::from(is(2, b"_")) } else { 0 };
    let is_digit =
        |at: usize| bytes.get(at).is_some_and(|c| if is_hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() });
    at += usize::from(is(at, b"."));
    let (mut dot, mut exponent) = (false, false);
    loop {
        if is_digit(at) {
            at += 1;
        } else if is(at, b".") {
            if dot || is(at + 1, b"_.") || is_hex {
                at += 1 + usize::from(!dot && is(at + 1, b"_."));
                break;
            }
            (at, dot) = (at + 1, true);
        } else if is(at, b"eE") {
            if exponent {
                at += 1;
                break;
            }
            exponent = true;
            at += 1 + usize::from(is(at + 1, b"+-"));
            if is(at, b"._eE") || at >= bytes.len() {
                at += usize::from(at < bytes.len());
                break;
            }
        } else if is(at, b"_") {
            at += 1;
            if is(at, b"._eE") || at >= bytes.len() {
                at += usize::from(at < bytes.len());
                break;
            }
        } else {
            break;
        }
    }
    if !is(at, b"smhdwy") {
        return at;
    }
    at += 1 + usize::from(is(at + 1, b"s"));
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += bytes[at..].iter().take_while(|c| c.is_ascii_digit()).count();
        if !is(at, b"smhdw") {
            return at;
        }
        at += 1 + usize::from(is(at + 1, b"s"));
    }
    // The one that shows that it has not ended.
    at + text[at..].chars().next().map_or(0, char::len_utf8)
}

fn is_unit_start(c: Option<u8>) -> bool {
    matches!(c, Some(b'm' | b's' | b'h' | b'd' | b'w' | b'y'))
}

fn is_name_start(c: u8) -> bool {
    c.is_ascii_alphabetic() || c == b'_'
}

fn is_name(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}

/// Reads a number literal: Go's integers (decimal, `0x`, octal by a leading 0) and floats, `_` between digits.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(hex) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16)
            .ok()
            .map(|value| value as f64)
            .or_else(|| model::float::parse_float(&plain));
    }
    // As Go's ParseInt with base 0: a leading zero means octal, if all digits are.
    if plain.len() > 1
        && plain.starts_with('0')
        && plain.bytes().all(|c| c.is_ascii_digit())
        && let Ok(value) = i64::from_str_radix(&plain, 8)
    {
        return Some(value as f64);
    }
    let value = model::float::parse_float(&plain)?;
    // A number too large for a float is an error, unlike the word `Inf`.
    if value.is_infinite() && plain.as_bytes().first().is_some_and(|c| c.is_ascii_digit() || *c == b'.') {
        return None;
    }
    Some(value)
}

/// Removes quotes and escapes from a string token; the bytes need not be UTF-8.
///
/// # Errors
/// The message for an escape that does not exist.
pub(crate) fn unquote(token: &str) -> Result<Vec<u8>, String> {
    let quote = token.as_bytes().first().copied().unwrap_or(b'"');
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    if quote == b'`' {
        return Ok(inner.replace('\r', "").into_bytes());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'\\' {
            out.push(*first);
            rest = tail;
            continue;
        }
        let [escape, tail @ ..] = tail else { return Err("escape sequence not terminated".to_owned()) };
        rest = tail;
        // The first that is no digit where one is wanted.
        let strange = |rest: &[u8], count: usize, radix: u32| -> Option<String> {
            let text = String::from_utf8_lossy(rest);
            let wrong = text.chars().take(count).find(|c| !c.is_digit(radix));
            match wrong {
                Some(c) => Some(format!("illegal character U+{:04X} '{c}' in escape sequence", c as u32)),
                None if text.chars().count() < count => Some(format!(
                    "illegal character U+{:04X} '{}' in escape sequence",
                    u32::from(quote),
                    char::from(quote)
                )),
                None => None,
            }
        };
        let digits = |rest: &[u8], count: usize, radix: u32| -> Option<u32> {
            let digits = std::str::from_utf8(rest.get(..count)?).ok()?;
            digits.bytes().all(|c| c.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, radix).ok())?
        };
        match escape {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'\\' => out.push(b'\\'),
            c if *c == quote => out.push(quote),
            b'0'..=b'7' => {
                if let Some(fault) = strange(rest, 2, 8) {
                    return Err(fault);
                }
                let octal = [*escape].iter().chain(rest.iter().take(2)).copied().collect::<Vec<_>>();
                let value = digits(&octal, 3, 8).filter(|value| *value <= 255);
                let Some(value) = value.and_then(|value| u8::try_from(value).ok()) else {
                    return Err("illegal octal escape in string".to_owned());
                };
                out.push(value);
                rest = &rest[2..];
            }
            b'x' => {
                if let Some(fault) = strange(rest, 2, 16) {
                    return Err(fault);
                }
                let Some(value) = digits(rest, 2, 16).and_then(|value| u8::try_from(value).ok()) else {
                    return Err("illegal \\x escape in string".to_owned());
                };
                out.push(value);
                rest = &rest[2..];
            }
            b'u' | b'U' => {
                let count = if *escape == b'u' { 4 } else { 8 };
                if let Some(fault) = strange(rest, count, 16) {
                    return Err(fault);
                }
                let Some(value) = digits(rest, count, 16).and_then(char::from_u32) else {
                    return Err("escape sequence is an invalid Unicode code point".to_owned());
                };
                out.extend_from_slice(value.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[count..];
            }
            other => return Err(format!("unknown escape sequence U+{other:04X} '{}'", char::from(*other))),
        }
    }
    Ok(out)
}
