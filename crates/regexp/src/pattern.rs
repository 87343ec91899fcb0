//! A pattern that was read as Go reads it.

use crate::{exact::Accepts, parse::parse};
use regex_automata::{meta::Regex, util::captures::Captures};
use regex_syntax::hir::{Hir, Look};
use std::sync::{Arc, OnceLock};

/// Why a pattern is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("error parsing regexp: {0}")]
pub struct RegexpError(pub String);

/// The compiled automaton of a pattern may take this much; repeats multiply it. Enough for 10,000 names of hosts with something
/// behind them, which are built in a quarter of a second.
const AUTOMATON_BYTES_MAX: usize = 32 << 20;
/// The lazily built DFA of a pattern, for each thread that runs it.
const CACHE_BYTES_MAX: usize = 2 << 20;
/// What the lazily built DFA mostly comes to.
const THREAD_CACHE_BYTES: usize = 64 << 10;
const ONEPASS_BYTES_MAX: usize = 1 << 20;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Regexp(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    pattern: String,
    hir: Hir,
    names: Vec<Option<String>>,
    accepts: Accepts,
    /// Built at once when `accepts` can't tell; else when captures are first asked for.
    regex: OnceLock<Option<Regex>>,
}

impl Regexp {
    /// Compiles a pattern that may match anywhere.
    ///
    /// # Errors
    /// What is wrong with the pattern, in Go's words.
    pub fn new(pattern: &str) -> Result<Self, RegexpError> {
        let parsed = parse(pattern, false)?;
        Self::compile(pattern, parsed.hir, parsed.names, Accepts::Pattern)
    }

    /// Compiles a pattern that must match the whole text, with `.` also matching a newline:
    /// `^(?s:pattern)$`, as matchers and relabelling use it.
    ///
    /// # Errors
    /// What is wrong with the pattern, in Go's words.
    pub fn anchored(pattern: &str) -> Result<Self, RegexpError> {
        let parsed = parse(pattern, true)?;
        let accepts = Accepts::of(&parsed.hir);
        let hir = Hir::concat(vec![Hir::look(Look::Start), parsed.hir, Hir::look(Look::End)]);
        Self::compile(pattern, hir, parsed.names, accepts)
    }

    fn compile(pattern: &str, hir: Hir, names: Vec<Option<String>>, accepts: Accepts) -> Result<Self, RegexpError> {
        let regex = OnceLock::new();
        if matches!(accepts, Accepts::Pattern) {
            let built = build(&hir).ok_or_else(|| RegexpError(format!("expression too large: `{pattern}`")))?;
            let _ = regex.set(Some(built));
        }
        Ok(Regexp(Arc::new(Compiled { pattern: pattern.to_owned(), hir, names, accepts, regex })))
    }

    /// Memory of the automaton so far, with room for one thread's cache; 0 for patterns that need none. Matching takes, at
    /// worst, a step for each of its states and each byte of the text.
    pub fn automaton_bytes(&self) -> usize {
        self.0.regex.get().and_then(Option::as_ref).map_or(0, |regex| regex.memory_usage() + THREAD_CACHE_BYTES)
    }

    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Regexp) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn regex(&self) -> Option<&Regex> {
        self.0.regex.get_or_init(|| build(&self.0.hir)).as_ref()
    }

    pub(crate) fn alternatives(&self) -> Option<&[String]> {
        match &self.0.accepts {
            Accepts::OneOf { list, .. } => Some(list),
            _ => None,
        }
    }

    pub(crate) fn prefixes(&self) -> Option<&[String]> {
        match &self.0.accepts {
            Accepts::OneOf { list, .. } => Some(list),
            Accepts::Prefix { prefixes, .. } => Some(prefixes),
            _ => None,
        }
    }

    pub(crate) fn matches_all(&self) -> bool {
        matches!(self.0.accepts, Accepts::All)
    }

    /// The pattern as it was written, without the anchors.
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.0.accepts.test(text).unwrap_or_else(|| self.regex().is_some_and(|regex| regex.is_match(text)))
    }

    /// Byte spans of the first match: the whole, then its groups; `None` for a group that took no part.
    pub fn captures(&self, text: &str) -> Option<Vec<Option<(usize, usize)>>> {
        if self.0.accepts.test(text) == Some(false) {
            return None;
        }
        let regex = self.regex()?;
        let mut captures: Captures = regex.create_captures();
        regex.captures(text, &mut captures);
        captures.is_match().then(|| spans(&captures))
    }

    /// All matches that do not overlap, each as by [`Regexp::captures`].
    pub fn captures_all(&self, text: &str) -> Vec<Vec<Option<(usize, usize)>>> {
        self.regex().map_or_else(Vec::new, |regex| regex.captures_iter(text).map(|captures| spans(&captures)).collect())
    }

    /// Index of a named group; the leftmost when several have the name.
    pub fn group_index(&self, name: &str) -> Option<usize> {
        self.0.names.iter().position(|own| own.as_deref() == Some(name))
    }

    /// Names of the groups, by index; the whole match is index 0.
    pub fn group_names(&self) -> Vec<Option<String>> {
        self.0.names.clone()
    }

    /// Go's `Expand`: `$1`, `$name`, `${name}`, `$$` in `template`, filled from `captures` over `text`.
    /// A name is the longest run of letters, digits and `_`; an unknown group is "".
    pub fn expand(&self, template: &str, text: &str, captures: &[Option<(usize, usize)>]) -> String {
        self.expand_within(template, text, captures, usize::MAX).unwrap_or_default()
    }

    /// As [`Regexp::expand`]; `None` as soon as the result would be longer than `bytes_max`.
    pub fn expand_within(
        &self,
        template: &str,
        text: &str,
        captures: &[Option<(usize, usize)>],
        bytes_max: usize,
    ) -> Option<String> {
        let mut out = String::with_capacity(template.len().min(bytes_max));
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            if out.len() > bytes_max {
                return None;
            }
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
            // `$01` is a name, not a number.
            let number = if name.len() > 1 && name.starts_with('0') { None } else { name.parse::<usize>().ok() };
            let index = number.or_else(|| {
                let taking_part = |i: &usize| captures.get(*i).is_some_and(Option::is_some);
                (0..self.0.names.len()).filter(taking_part).find(|&i| self.0.names[i].as_deref() == Some(name))
            });
            if let Some((start, end)) = index.and_then(|index| captures.get(index).copied().flatten()) {
                out.push_str(&text[start..end]);
            }
        }
        out.push_str(rest);
        (out.len() <= bytes_max).then_some(out)
    }
}

fn build(hir: &Hir) -> Option<Regex> {
    Regex::builder()
        .configure(
            Regex::config()
                .nfa_size_limit(Some(AUTOMATON_BYTES_MAX))
                .hybrid_cache_capacity(CACHE_BYTES_MAX)
                .onepass_size_limit(Some(ONEPASS_BYTES_MAX)),
        )
        .build_from_hir(hir)
        .ok()
}

fn spans(captures: &Captures) -> Vec<Option<(usize, usize)>> {
    (0..captures.group_len()).map(|i| captures.get_group(i).map(|span| (span.start, span.end))).collect()
}
