//! A pattern that was read as Go reads it.

use regex_automata::{meta::Regex, util::captures::Captures};

/// Why a pattern is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("error parsing regexp: {0}")]
pub struct RegexpError(pub String);

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Regexp {
    pattern: String,
    regex: Regex,
}

impl Regexp {
    /// Compiles a pattern that may match anywhere.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(pattern: &str) -> Result<Self, RegexpError> {
        let regex = Regex::new(pattern).map_err(|error| RegexpError(error.to_string()))?;
        Ok(Regexp { pattern: pattern.to_owned(), regex })
    }

    /// Compiles a pattern that must match the whole text, with `.` also matching a newline:
    /// `^(?s:pattern)$`, as matchers and relabelling use it.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn anchored(pattern: &str) -> Result<Self, RegexpError> {
        // The pattern alone first: `a)(b` must not become valid by the parentheses around it.
        Regexp::new(pattern)?;
        let compiled = Regexp::new(&format!("^(?s:{pattern})$"))?;
        Ok(Regexp { pattern: pattern.to_owned(), regex: compiled.regex })
    }

    /// The pattern as it was written, without the anchors.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Byte spans of the first match: the whole, then its groups; `None` for a group that took no part.
    pub fn captures(&self, text: &str) -> Option<Vec<Option<(usize, usize)>>> {
        let mut captures: Captures = self.regex.create_captures();
        self.regex.captures(text, &mut captures);
        if !captures.is_match() {
            return None;
        }
        Some((0..captures.group_len()).map(|i| captures.get_group(i).map(|span| (span.start, span.end))).collect())
    }

    /// All matches that do not overlap, each as by [`Regexp::captures`].
    pub fn captures_all(&self, text: &str) -> Vec<Vec<Option<(usize, usize)>>> {
        self.regex
            .captures_iter(text)
            .map(|captures| (0..captures.group_len()).map(|i| captures.get_group(i).map(|s| (s.start, s.end))).collect())
            .collect()
    }

    /// Index of a named group.
    pub fn group_index(&self, name: &str) -> Option<usize> {
        self.regex.group_info().to_index(regex_automata::PatternID::ZERO, name)
    }

    /// Names of the groups, by index; the whole match is index 0.
    pub fn group_names(&self) -> Vec<Option<String>> {
        self.regex.group_info().pattern_names(regex_automata::PatternID::ZERO).map(|n| n.map(str::to_owned)).collect()
    }

    /// Go's `Expand`: `$1`, `$name`, `${name}`, `$$` in `template`, filled from `captures` over `text`.
    /// A name is the longest run of letters, digits and `_`; an unknown group is "".
    pub fn expand(&self, template: &str, text: &str, captures: &[Option<(usize, usize)>]) -> String {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(tail) = rest.strip_prefix('$') {
                out.push('$');
                rest = tail;
                continue;
            }
            let (braced, body) = match rest.strip_prefix('{') {
                Some(body) => (true, body),
                None => (false, rest),
            };
            let end = body.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(body.len());
            let name = &body[..end];
            if name.is_empty() || (braced && !body[end..].starts_with('}')) {
                // Not a reference: Go writes the dollar as it is.
                out.push('$');
                continue;
            }
            rest = &body[end + usize::from(braced)..];
            let index = match name.parse::<usize>() {
                Ok(index) => Some(index),
                Err(_) => self.group_index(name),
            };
            if let Some((start, end)) = index.and_then(|index| captures.get(index).copied().flatten()) {
                out.push_str(&text[start..end]);
            }
        }
        out.push_str(rest);
        out
    }
}
