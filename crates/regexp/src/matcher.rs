//! Matchers in the form that can be run.

use crate::{Regexp, RegexpError};
use model::{Labels, MatchOp, Matcher};

/// A [`Matcher`] with its pattern compiled.
#[derive(Clone, Debug)]
pub struct LabelMatcher {
    matcher: Matcher,
    /// Only for the two regex operators.
    regex: Option<Regexp>,
}

impl LabelMatcher {
    /// Compiles a matcher.
    ///
    /// # Errors
    /// A pattern that is no RE2.
    pub fn new(matcher: &Matcher) -> Result<Self, RegexpError> {
        let regex = if matcher.op.is_regex() { Some(crate::cache::anchored(&matcher.value)?) } else { None };
        Ok(LabelMatcher { matcher: matcher.clone(), regex })
    }

    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    pub fn name(&self) -> &str {
        &self.matcher.name
    }

    /// True when `value` ("" for an absent label) is accepted.
    pub fn matches(&self, value: &str) -> bool {
        match self.matcher.op {
            MatchOp::Equal => value == self.matcher.value,
            MatchOp::NotEqual => value != self.matcher.value,
            MatchOp::Regex => self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            MatchOp::NotRegex => self.regex.as_ref().is_some_and(|regex| !regex.is_match(value)),
        }
    }

    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.matcher.name).unwrap_or_default())
    }

    /// The only values that the label's test is about, sorted: of `=` and `!=` the one, of `=~` and `!~` the
    /// alternatives (`a|b|c`). An index looks them up instead of testing every value; for the negated operators they
    /// are the values refused. `None` when the pattern names no such values.
    pub fn alternatives(&self) -> Option<&[String]> {
        match &self.regex {
            None => Some(std::slice::from_ref(&self.matcher.value)),
            Some(regex) => regex.alternatives(),
        }
    }

    /// Texts of which every value that the pattern accepts begins with one, as `api-` in `api-.*`. `None` when there
    /// are none or the operator is no regex. An index with sorted values reads these ranges only.
    pub fn prefixes(&self) -> Option<&[String]> {
        self.regex.as_ref()?.prefixes()
    }

    /// True when every value passes, also "": `=~".*"`.
    pub fn matches_all(&self) -> bool {
        self.matcher.op == MatchOp::Regex && self.regex.as_ref().is_some_and(Regexp::matches_all)
    }
}
