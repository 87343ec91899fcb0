//! What is wrong with a query, and where.

use crate::ast::Span;
use std::fmt;

/// Why a text is no PromQL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// Bytes of the query that the message is about.
    pub span: Span,
    /// 1-based line of the span's start; 0 where there is no text to have a place in.
    pub line: usize,
    /// 1-based column, in bytes, of the span's start.
    pub column: usize,
    pub message: String,
    /// The name of `--enable-feature` that would allow what stands here, where that is all that is wrong.
    pub feature: Option<&'static str>,
}

impl ParseError {
    pub(crate) fn new(text: &str, span: Span, message: impl Into<String>) -> Self {
        let (line, column) = if text.is_empty() { (0, 0) } else { line_column(text, span.start) };
        ParseError { span, line, column, message: message.into(), feature: None }
    }

    /// How to mend it, to be added to the message where no other program compares it: `; switch it on with …`, or nothing.
    pub fn remedy(&self) -> String {
        // Some messages of Prometheus say it themselves.
        match self.feature.filter(|_| !self.message.contains("--enable-feature")) {
            Some(feature) => format!("; switch it on with --enable-feature={feature}"),
            None => String::new(),
        }
    }
}

impl fmt::Display for ParseError {
    /// As Prometheus: `1:5: parse error: unexpected …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "unknown position: parse error: {}", self.message);
        }
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

/// 1-based line and column (in bytes) of byte `at`, as messages carry them.
pub fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    (line, before.len() - line_start + 1)
}
