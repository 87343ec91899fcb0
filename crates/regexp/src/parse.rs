//! Reads Go's syntax into the tree that the matching engine takes.
//!
//! Source: the syntax page of RE2 and the documentation of Go's `regexp/syntax`, flags `Perl`. Handing the text to
//! the engine's own parser would accept other patterns and read some differently: `\d` would match ٣, `{` fail.

use crate::RegexpError;
use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

/// Go's bound for `{n,m}`, also for the product of nested ones.
const REPEAT_MAX: u32 = 1000;
/// Nesting that the engine's recursive compiler takes on a small stack. (Go stops at 1000.)
const DEPTH_MAX: u32 = 250;

/// A pattern that was read.
pub(crate) struct Parsed {
    pub(crate) hir: Hir,
    /// Names of the groups; the whole match is index 0. Go allows a name several times, the engine does not.
    pub(crate) names: Vec<Option<String>>,
}

#[derive(Clone, Copy)]
struct Flags {
    /// `i`
    fold_case: bool,
    /// `m`: `^` and `$` also at line ends.
    multi_line: bool,
    /// `s`: `.` also matches a newline.
    dot_newline: bool,
    /// `U`: `*` prefers few, `*?` many.
    ungreedy: bool,
}

/// A piece of a concatenation and what its repetition would need to know.
struct Piece {
    hir: Hir,
    depth: u32,
    /// The product of the counts of nested `{n,m}`.
    repeats: u32,
}

impl Piece {
    fn leaf(hir: Hir) -> Self {
        Piece { hir, depth: 1, repeats: 1 }
    }
}

/// A group that is open, or the whole.
struct Group {
    /// Index of a capturing group.
    capture: Option<u32>,
    /// The flags to return to at `)`.
    flags_outside: Flags,
    alternatives: Vec<Piece>,
    pieces: Vec<Piece>,
}

struct Parser<'p> {
    pattern: &'p str,
    flags: Flags,
    groups: Vec<Group>,
    names: Vec<Option<String>>,
}

fn error(what: &str, shown: &str) -> RegexpError {
    RegexpError(format!("{what}: `{shown}`"))
}

/// `text` without its last part `rest`: what a construct was written as.
fn until<'t>(text: &'t str, rest: &str) -> &'t str {
    &text[..text.len() - rest.len()]
}

fn split_first(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    chars.next().map(|c| (c, chars.as_str()))
}

/// Reads a pattern; `dot_newline` as if it stood behind `(?s)`.
pub(crate) fn parse(pattern: &str, dot_newline: bool) -> Result<Parsed, RegexpError> {
    let flags = Flags { fold_case: false, multi_line: false, dot_newline, ungreedy: false };
    let whole = Group { capture: None, flags_outside: flags, alternatives: Vec::new(), pieces: Vec::new() };
    Parser { pattern, flags, groups: vec![whole], names: vec![None] }.run()
}

impl<'p> Parser<'p> {
    fn run(mut self) -> Result<Parsed, RegexpError> {
        let mut rest = self.pattern;
        // Where the repetition just read began; two in a row are refused.
        let mut last_repeat: Option<&'p str> = None;
        while let Some((c, tail)) = split_first(rest) {
            let begin = rest;
            let mut repeat = None;
            match c {
                '(' if tail.starts_with('?') => rest = self.group_flags(rest)?,
                '(' => {
                    self.names.push(None);
                    self.open(true)?;
                    rest = tail;
                }
                ')' => {
                    self.close()?;
                    rest = tail;
                }
                '|' => {
                    self.finish_alternative()?;
                    rest = tail;
                }
                '*' | '+' | '?' => {
                    let bounds = match c {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    rest = self.repeat(begin, tail, bounds, false, last_repeat)?;
                    repeat = Some(begin);
                }
                '{' => match repeat_bounds(rest) {
                    Some((bounds, after)) => {
                        let Some(bounds) = bounds else {
                            return Err(error("invalid repeat count", until(begin, after)));
                        };
                        rest = self.repeat(begin, after, bounds, true, last_repeat)?;
                        repeat = Some(begin);
                    }
                    None => {
                        self.literal('{');
                        rest = tail;
                    }
                },
                '^' => {
                    self.look(if self.flags.multi_line { Look::StartLF } else { Look::Start });
                    rest = tail;
                }
                '$' => {
                    self.look(if self.flags.multi_line { Look::EndLF } else { Look::End });
                    rest = tail;
                }
                '.' => {
                    self.push(Hir::dot(if self.flags.dot_newline { Dot::AnyChar } else { Dot::AnyCharExceptLF }));
                    rest = tail;
                }
                '[' => {
                    let (class, tail) = self.class(rest)?;
                    self.push(Hir::class(Class::Unicode(class)));
                    rest = tail;
                }
                '\\' => rest = self.backslash(rest)?,
                c => {
                    self.literal(c);
                    rest = tail;
                }
            }
            last_repeat = repeat;
        }
        if self.groups.len() > 1 {
            return Err(error("missing closing )", self.pattern));
        }
        let whole = self.end_group()?.0;
        Ok(Parsed { hir: whole.hir, names: self.names })
    }

    fn pieces(&mut self) -> &mut Vec<Piece> {
        let last = self.groups.len() - 1;
        &mut self.groups[last].pieces
    }

    fn push(&mut self, hir: Hir) {
        self.pieces().push(Piece::leaf(hir));
    }

    fn look(&mut self, look: Look) {
        self.push(Hir::look(look));
    }

    fn literal(&mut self, c: char) {
        let hir = if self.flags.fold_case {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.case_fold_simple();
            Hir::class(Class::Unicode(class))
        } else {
            Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes())
        };
        self.push(hir);
    }

    fn open(&mut self, capturing: bool) -> Result<(), RegexpError> {
        if self.groups.len() > DEPTH_MAX as usize {
            return Err(error("expression nests too deeply", self.pattern));
        }
        let capture = capturing.then(|| u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX));
        self.groups.push(Group { capture, flags_outside: self.flags, alternatives: Vec::new(), pieces: Vec::new() });
        Ok(())
    }

    fn close(&mut self) -> Result<(), RegexpError> {
        if self.groups.len() == 1 {
            return Err(error("unexpected )", self.pattern));
        }
        let (mut piece, group) = self.end_group()?;
        self.flags = group.flags_outside;
        if let Some(index) = group.capture {
            piece.hir = Hir::capture(Capture { index, name: None, sub: Box::new(piece.hir) });
            piece.depth += 1;
        }
        self.pieces().push(piece);
        Ok(())
    }

    /// Takes the innermost group off, its alternatives joined.
    fn end_group(&mut self) -> Result<(Piece, Group), RegexpError> {
        self.finish_alternative()?;
        let Some(mut group) = self.groups.pop() else { return Err(error("unexpected )", self.pattern)) };
        let alternatives = std::mem::take(&mut group.alternatives);
        Ok((self.joined(alternatives, Hir::alternation)?, group))
    }

    fn finish_alternative(&mut self) -> Result<(), RegexpError> {
        let pieces = std::mem::take(self.pieces());
        let joined = self.joined(pieces, Hir::concat)?;
        let last = self.groups.len() - 1;
        self.groups[last].alternatives.push(joined);
        Ok(())
    }

    fn joined(&self, pieces: Vec<Piece>, join: fn(Vec<Hir>) -> Hir) -> Result<Piece, RegexpError> {
        let depth = pieces.iter().map(|piece| piece.depth).max().unwrap_or(0);
        let repeats = pieces.iter().map(|piece| piece.repeats).max().unwrap_or(1);
        let depth = if pieces.len() > 1 { depth + 1 } else { depth };
        if depth > DEPTH_MAX {
            return Err(error("expression nests too deeply", self.pattern));
        }
        Ok(Piece { hir: join(pieces.into_iter().map(|piece| piece.hir).collect()), depth, repeats })
    }

    /// Repeats the last piece. `begin` starts at the operator, `after` behind it; gives what is left.
    fn repeat(
        &mut self,
        begin: &'p str,
        after: &'p str,
        (min, max): (u32, Option<u32>),
        counted: bool,
        last_repeat: Option<&'p str>,
    ) -> Result<&'p str, RegexpError> {
        let (lazy, after) = match after.strip_prefix('?') {
            Some(after) => (true, after),
            None => (false, after),
        };
        if let Some(last) = last_repeat {
            return Err(error("invalid nested repetition operator", until(last, after)));
        }
        let greedy = lazy == self.flags.ungreedy;
        let Some(piece) = self.pieces().pop() else {
            return Err(error("missing argument to repetition operator", until(begin, after)));
        };
        // `{n}` and `{n,}` count n, `{n,m}` counts m; up to 1 nothing multiplies.
        let repeats = if counted { piece.repeats.saturating_mul(max.unwrap_or(min).max(1)) } else { piece.repeats };
        if counted && repeats > REPEAT_MAX {
            return Err(error("invalid repeat count", until(begin, after)));
        }
        if piece.depth >= DEPTH_MAX {
            return Err(error("expression nests too deeply", self.pattern));
        }
        let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(piece.hir) });
        self.pieces().push(Piece { hir, depth: piece.depth + 1, repeats });
        Ok(after)
    }

    /// `(?flags)`, `(?flags:`, `(?P<name>`, `(?<name>`.
    fn group_flags(&mut self, text: &'p str) -> Result<&'p str, RegexpError> {
        if let Some(named) = text.strip_prefix("(?P<").or_else(|| text.strip_prefix("(?<")) {
            let Some((name, rest)) = named.split_once('>') else { return Err(error("invalid named capture", text)) };
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(error("invalid named capture", until(text, rest)));
            }
            self.names.push(Some(name.to_owned()));
            self.open(true)?;
            return Ok(rest);
        }
        let mut flags = self.flags;
        let (mut on, mut seen) = (true, false);
        let mut rest = &text[2..];
        while let Some((c, tail)) = split_first(rest) {
            rest = tail;
            match c {
                'i' => flags.fold_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_newline = on,
                'U' => flags.ungreedy = on,
                '-' if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                // `(?-)` turns nothing off.
                ':' | ')' if on || seen => {
                    if c == ':' {
                        self.open(false)?;
                    }
                    self.flags = flags;
                    return Ok(rest);
                }
                _ => break,
            }
            seen = true;
        }
        Err(error("invalid or unsupported Perl syntax", until(text, rest)))
    }

    /// What a backslash begins outside a class.
    fn backslash(&mut self, text: &'p str) -> Result<&'p str, RegexpError> {
        let Some((c, tail)) = split_first(&text[1..]) else {
            return Err(error("trailing backslash at end of expression", ""));
        };
        match c {
            'A' => self.look(Look::Start),
            'z' => self.look(Look::End),
            'b' => self.look(Look::WordAscii),
            'B' => self.look(Look::WordAsciiNegate),
            'C' => return Err(error("invalid escape sequence", until(text, tail))),
            'Q' => {
                let (quoted, rest) = tail.split_once(r"\E").unwrap_or((tail, ""));
                for c in quoted.chars() {
                    self.literal(c);
                }
                return Ok(rest);
            }
            _ => {
                if let Some((class, rest)) = self.class_escape(text)? {
                    self.push(Hir::class(Class::Unicode(class)));
                    return Ok(rest);
                }
                let (code, rest) = escape(text)?;
                match char::from_u32(code) {
                    Some(c) => self.literal(c),
                    // A surrogate: no text holds one.
                    None => self.push(Hir::fail()),
                }
                return Ok(rest);
            }
        }
        Ok(tail)
    }

    /// `\d` and its like, `\pN`, `\p{Name}`; `None` for any other escape.
    fn class_escape<'t>(&self, text: &'t str) -> Result<Option<(ClassUnicode, &'t str)>, RegexpError> {
        let mut chars = text.chars();
        let (Some('\\'), Some(kind)) = (chars.next(), chars.next()) else { return Ok(None) };
        let rest = chars.as_str();
        let ranges: &[(char, char)] = match kind {
            'd' | 'D' => DIGIT,
            's' | 'S' => PERL_SPACE,
            'w' | 'W' => WORD,
            'p' | 'P' => return self.unicode_class(text, rest, kind == 'P').map(Some),
            _ => return Ok(None),
        };
        Ok(Some((self.ranges(ranges, kind.is_ascii_uppercase()), rest)))
    }

    fn ranges(&self, ranges: &[(char, char)], negated: bool) -> ClassUnicode {
        let mut class = ClassUnicode::new(ranges.iter().map(|(from, to)| ClassUnicodeRange::new(*from, *to)));
        if self.flags.fold_case {
            class.case_fold_simple();
        }
        if negated {
            class.negate();
        }
        class
    }

    /// `rest` begins behind `\p`.
    fn unicode_class<'t>(
        &self,
        text: &'t str,
        rest: &'t str,
        mut negated: bool,
    ) -> Result<(ClassUnicode, &'t str), RegexpError> {
        let (mut name, rest) = match split_first(rest) {
            Some(('{', tail)) => match tail.split_once('}') {
                Some(found) => found,
                None => return Err(error("invalid character class range", text)),
            },
            Some((c, tail)) => (&rest[..c.len_utf8()], tail),
            None => return Err(error("invalid character class range", text)),
        };
        if let Some(tail) = name.strip_prefix('^') {
            (name, negated) = (tail, !negated);
        }
        let mut class = unicode_table(name).ok_or_else(|| error("invalid character class range", until(text, rest)))?;
        if self.flags.fold_case {
            class.case_fold_simple();
        }
        if negated {
            class.negate();
        }
        Ok((class, rest))
    }

    /// `[…]`.
    fn class<'t>(&self, text: &'t str) -> Result<(ClassUnicode, &'t str), RegexpError> {
        let mut class = ClassUnicode::empty();
        let mut rest = &text[1..];
        let negated = rest.starts_with('^');
        if negated {
            rest = &rest[1..];
        }
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            if rest.starts_with("[:")
                && let Some(end) = rest[2..].find(":]")
            {
                let name = &rest[..end + 4];
                let inner = &rest[2..end + 2];
                let (inner, negated) = inner.strip_prefix('^').map_or((inner, false), |inner| (inner, true));
                let Some((_, ranges)) = POSIX.iter().find(|(name, _)| *name == inner) else {
                    return Err(error("invalid character class range", name));
                };
                class.union(&self.ranges(ranges, negated));
                rest = &rest[name.len()..];
                continue;
            }
            if let Some((escaped, tail)) = self.class_escape(rest)? {
                class.union(&escaped);
                rest = tail;
                continue;
            }
            let begin = rest;
            let (from, tail) = class_char(rest, text)?;
            rest = tail;
            let mut to = from;
            if rest.starts_with('-') && rest.len() >= 2 && !rest.starts_with("-]") {
                (to, rest) = class_char(&rest[1..], text)?;
                if to < from {
                    return Err(error("invalid character class range", until(begin, rest)));
                }
            }
            if let Some(range) = char_range(from, to) {
                let mut ranges = ClassUnicode::new([range]);
                if self.flags.fold_case {
                    ranges.case_fold_simple();
                }
                class.union(&ranges);
            }
        }
        if negated {
            class.negate();
        }
        Ok((class, &rest[1..]))
    }
}

/// A range without the surrogates, which no text holds; `None` if nothing is left.
fn char_range(from: u32, to: u32) -> Option<ClassUnicodeRange> {
    let from = if (0xD800..0xE000).contains(&from) { 0xE000 } else { from };
    let to = if (0xD800..0xE000).contains(&to) { 0xD7FF } else { to };
    (from <= to).then_some(ClassUnicodeRange::new(char::from_u32(from)?, char::from_u32(to)?))
}

/// One character of a class, perhaps escaped; `class` is the class from its `[` on.
fn class_char<'t>(text: &'t str, class: &str) -> Result<(u32, &'t str), RegexpError> {
    match split_first(text) {
        None => Err(error("missing closing ]", class)),
        Some(('\\', _)) => escape(text),
        Some((c, rest)) => Ok((u32::from(c), rest)),
    }
}

/// An escape that stands for one code point; `text` begins at the backslash.
fn escape(text: &str) -> Result<(u32, &str), RegexpError> {
    let Some((c, mut rest)) = split_first(&text[1..]) else {
        return Err(error("trailing backslash at end of expression", ""));
    };
    let is_octal = |text: &str| text.starts_with(|c: char| ('0'..='7').contains(&c));
    let code = match c {
        // A digit alone would refer back to a group, which RE2 has not.
        '0' => octal(0, &mut rest),
        '1'..='7' if is_octal(rest) => octal(u32::from(c) - u32::from('0'), &mut rest),
        'x' => match hex(rest) {
            Ok((code, after)) => {
                rest = after;
                code
            }
            Err(after) => return Err(error("invalid escape sequence", until(text, after))),
        },
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
        _ => return Err(error("invalid escape sequence", until(text, rest))),
    };
    Ok((code, rest))
}

/// Up to two more octal digits.
fn octal(first: u32, rest: &mut &str) -> u32 {
    let mut code = first;
    for _ in 0..2 {
        let Some((c, tail)) = split_first(rest) else { break };
        let Some(digit) = c.to_digit(8) else { break };
        code = code * 8 + digit;
        *rest = tail;
    }
    code
}

/// `41` or `{1F600}`; a failure gives what is left behind the character that is wrong.
fn hex(text: &str) -> Result<(u32, &str), &str> {
    let (first, mut rest) = split_first(text).ok_or(text)?;
    if first != '{' {
        let high = first.to_digit(16).ok_or(rest)?;
        let (second, rest) = split_first(rest).ok_or(rest)?;
        return Ok((high * 16 + second.to_digit(16).ok_or(rest)?, rest));
    }
    let (mut code, mut digits) = (0_u32, 0);
    loop {
        let (c, tail) = split_first(rest).ok_or(rest)?;
        rest = tail;
        if c == '}' && digits > 0 {
            return Ok((code, rest));
        }
        code = code * 16 + c.to_digit(16).ok_or(rest)?;
        digits += 1;
        if code > 0x10_FFFF {
            return Err(rest);
        }
    }
}

/// `{n}`, `{n,}`, `{n,m}` and what follows; the bounds are `None` where they are out of range. `None` where the
/// brace is a plain character.
#[expect(clippy::type_complexity, reason = "min and max, used once")]
fn repeat_bounds(text: &str) -> Option<(Option<(u32, Option<u32>)>, &str)> {
    let (min, rest) = count(&text[1..])?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (max, rest) = count(rest)?;
            (Some(max), rest)
        }
    };
    let rest = rest.strip_prefix('}')?;
    let in_range = min <= REPEAT_MAX && max.is_none_or(|max| max <= REPEAT_MAX && min <= max);
    Some((in_range.then_some((min, max)), rest))
}

/// A number without leading zeros; one too large for any bound is given as the largest.
fn count(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}

/// A general category or script by name; spaces, `_`, `-` and case don't count, as in Go since 1.25.
fn unicode_table(name: &str) -> Option<ClassUnicode> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b' ')) {
        return None;
    }
    ["gc", "sc"].iter().find_map(|property| {
        let hir = regex_syntax::parse(&format!(r"\p{{{property}={name}}}")).ok()?;
        match hir.into_kind() {
            regex_syntax::hir::HirKind::Class(Class::Unicode(class)) => Some(class),
            // A class of one character has become a literal.
            regex_syntax::hir::HirKind::Literal(literal) => {
                let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
                Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
            }
            _ => None,
        }
    })
}

type Ranges = &'static [(char, char)];
const DIGIT: Ranges = &[('0', '9')];
/// Without the vertical tab, which `[:space:]` has.
const PERL_SPACE: Ranges = &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')];
const WORD: Ranges = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const POSIX: [(&str, Ranges); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7F')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1F'), ('\x7F', '\x7F')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];
