//! The key of a sample: its series as the target wrote it, `name{label="value"}` or `{"name",label="value"}`.

use crate::Format;
use crate::number::normalize_float_label;
use model::labels::{METRIC_NAME, is_legacy_label_name};
use model::{Labels, LabelsBuilder, MetricType};
use std::borrow::Cow;

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

/// Length of the key at the start of `line`, by quotes and braces alone.
pub(crate) fn key_length(line: &str, format: Format) -> Result<usize, String> {
    let bytes = line.as_bytes();
    let mut at = bytes.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(bytes.len());
    let name_end = at;
    if format == Format::Text {
        while matches!(bytes.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
    }
    if bytes.get(at) != Some(&b'{') {
        if name_end == 0 {
            let found = line.chars().next().map_or("nothing".to_owned(), |c| format!("{c:?}"));
            return Err(format!("expected a metric name, got {found}"));
        }
        return Ok(name_end);
    }
    let mut quoted = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b'}' if !quoted => return Ok(at + 1),
            _ => {}
        }
        at += 1;
    }
    Err(if quoted { "a label value has no closing quote".into() } else { "the labels have no closing brace".into() })
}

/// What a key or an exemplar consists of, borrowed where nothing is escaped.
pub(crate) struct Pairs<'a> {
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Takes a key apart. `exemplar`: there must be no name.
pub(crate) fn split_key(key: &str, format: Format, exemplar: bool) -> Result<Pairs<'_>, String> {
    let name_end = key.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(key.len());
    let (name, rest) = key.split_at(name_end);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("{name:?} is no metric name; it starts with a digit"));
    }
    let mut pairs = Pairs { name: (!name.is_empty()).then_some(Cow::Borrowed(name)), labels: Vec::new() };
    let mut cursor = Cursor { rest, blanks: format == Format::Text };
    if !cursor.take('{') {
        return match pairs.name {
            Some(_) => Ok(pairs),
            None => Err("metric name not set".into()),
        };
    }
    let mut comma = true;
    while !cursor.take('}') {
        // The text format is read without commas, too.
        if !comma && format != Format::Text {
            return Err(format!("expected `,` or `}}` after a label, got {}", cursor.next_shown()));
        }
        let (name, quoted) = match cursor.quoted()? {
            Some(name) => (name, true),
            None => (Cow::Borrowed(cursor.label_name()?), false),
        };
        if cursor.take('=') {
            let Some(value) = cursor.quoted()? else {
                return Err(format!("label {name:?}: expected a value in double quotes, got {}", cursor.next_shown()));
            };
            pairs.labels.push((name, value));
        } else if quoted && !exemplar {
            if pairs.name.is_some() {
                return Err("metric name already set".into());
            }
            pairs.name = Some(name);
        } else {
            return Err(format!("label {name:?}: expected `=`, got {}", cursor.next_shown()));
        }
        comma = cursor.take(',');
    }
    if !cursor.at_end() {
        return Err(format!("unexpected {} after the labels", cursor.next_shown()));
    }
    if pairs.name.is_none() && !exemplar {
        return Err("metric name not set".into());
    }
    Ok(pairs)
}

/// The labels of a key, `__name__` among them.
pub(crate) fn labels(key: &str, format: Format, family_type: MetricType) -> Result<Labels, String> {
    let pairs = split_key(key, format, false)?;
    let mut builder = LabelsBuilder::default();
    builder.set(METRIC_NAME, pairs.name.as_deref().unwrap_or_default());
    for (i, (name, value)) in pairs.labels.iter().enumerate() {
        if *name == METRIC_NAME || pairs.labels.iter().take(i).any(|(earlier, _)| earlier == name) {
            return Err(format!("label name {name:?} is not unique: invalid sample"));
        }
        let normalized = match (family_type, name.as_ref()) {
            (MetricType::Histogram, "le") | (MetricType::Summary, "quantile") => normalize_float_label(value),
            _ => None,
        };
        builder.set(name, normalized.as_deref().unwrap_or(value));
    }
    Ok(builder.build())
}

struct Cursor<'a> {
    rest: &'a str,
    /// Blanks may stand between the parts.
    blanks: bool,
}

impl<'a> Cursor<'a> {
    fn skip_blanks(&mut self) {
        if self.blanks {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
        }
    }

    fn take(&mut self, c: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty()
    }

    fn next_shown(&self) -> String {
        self.rest.chars().next().map_or("the end of the line".into(), |c| format!("`{c}`"))
    }

    fn label_name(&mut self) -> Result<&'a str, String> {
        self.skip_blanks();
        let end = self.rest.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if !is_legacy_label_name(name) {
            return Err(format!("expected a label name, got {}", self.next_shown()));
        }
        self.rest = rest;
        Ok(name)
    }

    /// A text in double quotes, if there is one here.
    fn quoted(&mut self) -> Result<Option<Cow<'a, str>>, String> {
        self.skip_blanks();
        let Some(body) = self.rest.strip_prefix('"') else { return Ok(None) };
        let bytes = body.as_bytes();
        let (mut at, mut escaped) = (0, false);
        loop {
            match bytes.get(at) {
                None => return Err("a quote is not closed".into()),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(_) => at += 1,
            }
        }
        let (text, rest) = body.split_at(at);
        self.rest = rest.strip_prefix('"').unwrap_or(rest);
        Ok(Some(if escaped { Cow::Owned(unescape(text, true)) } else { Cow::Borrowed(text) }))
    }
}

/// `\\`, `\n` and, where `quotes`, `\"`; any other backslash stands for itself.
pub(crate) fn unescape(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (put, length) = match escape.as_bytes().get(1) {
            Some(b'\\') => ('\\', 2),
            Some(b'n') => ('\n', 2),
            Some(b'"') if quotes => ('"', 2),
            _ => ('\\', 1),
        };
        out.push(put);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}
