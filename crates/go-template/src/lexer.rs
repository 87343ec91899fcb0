//! Text into tokens: literal text, and what stands between `{{` and `}}`.

use crate::ParseError;

/// A place in the template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// From the start of the text, in bytes.
    pub(crate) offset: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Text(String),
    Open,
    Close,
    /// `.a`, without the dot.
    Field(String),
    Dot,
    /// `$x`, with the dollar.
    Variable(String),
    Identifier(String),
    Str(String),
    Char(char),
    Int(i64),
    Float(f64),
    Pipe,
    Declare,
    Assign,
    Comma,
    ParenOpen,
    ParenClose,
    /// Blanks between arguments; they separate `.a .b` from `.a.b`.
    Space,
    End,
}

pub(crate) struct Lexed {
    pub(crate) tokens: Vec<(Token, Place)>,
}

struct Lexer<'a> {
    name: &'a str,
    text: &'a str,
    at: Place,
    tokens: Vec<(Token, Place)>,
}

pub(crate) fn lex(name: &str, text: &str) -> Result<Lexed, ParseError> {
    let mut lexer = Lexer { name, text, at: Place { line: 1, column: 1, offset: 0 }, tokens: Vec::new() };
    lexer.run()?;
    let at = lexer.at;
    lexer.tokens.push((Token::End, at));
    Ok(Lexed { tokens: lexer.tokens })
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at.offset..]
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError {
            template: self.name.to_owned(),
            line: self.at.line,
            column: self.at.column,
            message: message.into(),
        })
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.text[self.at.offset..self.at.offset + bytes];
        for c in passed.chars() {
            if c == '\n' {
                self.at.line += 1;
                self.at.column = 1;
            } else {
                self.at.column += 1;
            }
        }
        self.at.offset += bytes;
    }

    fn run(&mut self) -> Result<(), ParseError> {
        let mut trim_left = false;
        loop {
            let start = self.at;
            let rest = self.rest();
            let Some(open) = rest.find("{{") else {
                let text = if trim_left { rest.trim_start_matches(is_space) } else { rest }.to_owned();
                let length = rest.len();
                self.advance(length);
                self.push_text(text, start);
                return Ok(());
            };
            let mut text = &rest[..open];
            if trim_left {
                text = text.trim_start_matches(is_space);
            }
            let after = &rest[open + 2..];
            let trims = after.starts_with('-') && after[1..].starts_with(is_space);
            if trims {
                text = text.trim_end_matches(is_space);
            }
            let text = text.to_owned();
            self.push_text(text, start);
            self.advance(open + 2 + if trims { 2 } else { 0 });
            if self.rest().starts_with("/*") {
                trim_left = self.comment()?;
                continue;
            }
            self.tokens.push((Token::Open, self.at));
            trim_left = self.action()?;
        }
    }

    fn push_text(&mut self, text: String, at: Place) {
        if !text.is_empty() {
            self.tokens.push((Token::Text(text), at));
        }
    }

    /// After `{{`, at `/*`. Returns whether the text that follows is trimmed.
    fn comment(&mut self) -> Result<bool, ParseError> {
        let Some(end) = self.rest().find("*/") else { return self.fault("unclosed comment") };
        self.advance(end + 2);
        let rest = self.rest();
        let blank = rest.len() - rest.trim_start_matches(is_space).len();
        if blank > 0 && rest[blank..].starts_with("-}}") {
            self.advance(blank + 3);
            return Ok(true);
        }
        if rest.starts_with("}}") {
            self.advance(2);
            return Ok(false);
        }
        self.fault("comment ends before closing delimiter")
    }

    /// Inside an action, up to and with `}}`. Returns whether the text that follows is trimmed.
    fn action(&mut self) -> Result<bool, ParseError> {
        let mut parentheses = 0_usize;
        loop {
            let at = self.at;
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches(is_space).len();
            let trims = blank > 0 && rest[blank..].starts_with("-}}");
            if trims || rest.starts_with("}}") {
                if parentheses > 0 {
                    return self.fault("unclosed left paren");
                }
                self.advance(if trims { blank + 3 } else { 2 });
                self.tokens.push((Token::Close, at));
                return Ok(trims);
            }
            if blank > 0 {
                self.advance(blank);
                self.tokens.push((Token::Space, at));
                continue;
            }
            let Some(c) = rest.chars().next() else { return self.fault("unclosed action") };
            let next = rest[c.len_utf8()..].chars().next();
            let token = match c {
                ':' if next == Some('=') => self.simple(2, Token::Declare),
                ':' => return self.fault("expected :="),
                '=' => self.simple(1, Token::Assign),
                '|' => self.simple(1, Token::Pipe),
                ',' => self.simple(1, Token::Comma),
                '(' => {
                    parentheses += 1;
                    self.simple(1, Token::ParenOpen)
                }
                ')' => {
                    if parentheses == 0 {
                        return self.fault("unexpected right paren");
                    }
                    parentheses -= 1;
                    self.simple(1, Token::ParenClose)
                }
                '"' => self.quoted()?,
                '`' => self.raw()?,
                '\'' => self.character()?,
                '$' => {
                    let name = take_word(&rest[1..]);
                    let token = Token::Variable(format!("${name}"));
                    let length = 1 + name.len();
                    self.simple(length, token)
                }
                '.' if next.is_some_and(|c| c.is_ascii_digit()) => self.number()?,
                '.' => {
                    let name = take_word(&rest[1..]).to_owned();
                    if name.is_empty() {
                        self.simple(1, Token::Dot)
                    } else {
                        self.simple(1 + name.len(), Token::Field(name))
                    }
                }
                '+' | '-' | '0'..='9' => self.number()?,
                c if c == '_' || c.is_alphabetic() => {
                    let word = take_word(rest).to_owned();
                    self.simple(word.len(), Token::Identifier(word))
                }
                c => return self.fault(format!("unexpected {c:?} in action")),
            };
            self.tokens.push((token, at));
        }
    }

    fn simple(&mut self, length: usize, token: Token) -> Token {
        self.advance(length);
        token
    }

    /// Length of a quoted text from its first quote to behind its last.
    fn quoted_length(&self, quote: char) -> Option<usize> {
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                '\n' => return None,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => return Some(at + 1),
                _ => {}
            }
        }
        None
    }

    fn quoted(&mut self) -> Result<Token, ParseError> {
        let Some(length) = self.quoted_length('"') else { return self.fault("unterminated quoted string") };
        let Some(text) = unquote(&self.rest()[1..length - 1]) else { return self.fault("invalid syntax in string") };
        self.advance(length);
        Ok(Token::Str(text))
    }

    fn raw(&mut self) -> Result<Token, ParseError> {
        let Some(end) = self.rest()[1..].find('`') else { return self.fault("unterminated raw quoted string") };
        let text = self.rest()[1..=end].replace('\r', "");
        self.advance(end + 2);
        Ok(Token::Str(text))
    }

    fn character(&mut self) -> Result<Token, ParseError> {
        let Some(length) = self.quoted_length('\'') else { return self.fault("unterminated character constant") };
        let text = unquote(&self.rest()[1..length - 1]);
        let mut chars = text.as_deref().unwrap_or_default().chars();
        let (Some(c), None) = (chars.next(), chars.next()) else {
            return self.fault("malformed character constant");
        };
        self.advance(length);
        Ok(Token::Char(c))
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let mut previous = ' ';
        let hex = rest.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
        let length = rest
            .find(|c: char| {
                let sign_of_exponent = matches!(c, '+' | '-')
                    && (previous == ' ' || matches!(previous, 'p' | 'P') || (!hex && matches!(previous, 'e' | 'E')));
                let part = c.is_alphanumeric() || matches!(c, '.' | '_') || sign_of_exponent;
                previous = c;
                !part
            })
            .unwrap_or(rest.len());
        let text = &rest[..length];
        let token = match parse_int(text) {
            Some(value) => Token::Int(value),
            None => match model::float::parse_float(&text.replace('_', "")) {
                Some(value) if value.is_finite() => Token::Float(value),
                _ => return self.fault(format!("bad number syntax: {text:?}")),
            },
        };
        self.advance(length);
        Ok(token)
    }
}

/// Go's integer literals: decimal, `0x`, `0o`, `0b`, old octal, `_` between digits.
fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = digits.replace('_', "").to_ascii_lowercase();
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn take_word(text: &str) -> &str {
    &text[..text.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(text.len())]
}
/// The inside of a Go string literal in double quotes; `None` for an unknown or broken escape.
pub fn unquote(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = chars.next()?;
        let mut code = |digits: usize| -> Option<u32> {
            (0..digits).try_fold(0_u32, |value, _| Some(value.checked_mul(16)? + chars.next()?.to_digit(16)?))
        };
        match escape {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' | '\'' | '"' => bytes.push(escape as u8),
            'x' => bytes.push(u8::try_from(code(2)?).ok()?),
            'u' => bytes.extend_from_slice(char::from_u32(code(4)?)?.encode_utf8(&mut [0; 4]).as_bytes()),
            'U' => bytes.extend_from_slice(char::from_u32(code(8)?)?.encode_utf8(&mut [0; 4]).as_bytes()),
            '0'..='7' => {
                let mut value = escape.to_digit(8)?;
                for _ in 0..2 {
                    value = value * 8 + chars.next()?.to_digit(8)?;
                }
                bytes.push(u8::try_from(value).ok()?);
            }
            _ => return None,
        }
    }
    Some(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
