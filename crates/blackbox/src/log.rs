//! What a probe says while it runs, in the form of Go's `slog` text handler.

use jiff::Timestamp;
use std::fmt;

/// One line of a probe's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Unix milliseconds.
    pub time_ms: i64,
    /// `ERROR`, `WARN` or `INFO`.
    pub level: &'static str,
    pub message: String,
    /// In order; names may repeat.
    pub fields: Vec<(String, String)>,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.time_ms) {
            Ok(time) => write!(f, "time={time:.3}")?,
            Err(_) => write!(f, "time={}ms", self.time_ms)?,
        }
        write!(f, " level={} msg={}", self.level, quoted(&self.message))?;
        self.fields.iter().try_for_each(|(name, value)| write!(f, " {name}={}", quoted(value)))
    }
}

/// In quotes where a reader could not tell the end.
fn quoted(text: &str) -> String {
    let plain =
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '=');
    if plain { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line() {
        let fields = vec![("target".into(), "a:1".into()), ("err".into(), "no \"a\"".into())];
        let line = super::LogLine { time_ms: 1_763_816_615_989, level: "ERROR", message: "It failed".into(), fields };
        let expected = r#"time=2025-11-22T13:03:35.989Z level=ERROR msg="It failed" target=a:1 err="no \"a\"""#;
        assert_eq!(line.to_string(), expected);
    }
}
