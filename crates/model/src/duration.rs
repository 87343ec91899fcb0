//! Durations as Prometheus writes them: `1h30m`, `500ms`, `0`.
//! Source: `<duration>` in the Prometheus configuration reference.

use std::fmt::Write as _;

/// Units from longest to shortest, in milliseconds. The format knows no calendar:
/// a day is 24 h, a week 7 d, a year 365 d.
#[rustfmt::skip]
const UNITS_MS: [(&str, i64); 7] = [
    ("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000),
    ("m", 60_000), ("s", 1_000), ("ms", 1),
];
/// Prometheus keeps a duration as nanoseconds in an `i64`: 292 years.
const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// Why a text is no duration. `at` counts bytes from its start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DurationError {
    #[error("expected a number at byte {at}; write for example `5m`")]
    NumberExpected { at: usize },
    #[error("expected a unit at byte {at}: one of y, w, d, h, m, s, ms, longest first, each once")]
    UnitExpected { at: usize },
    #[error("longer than 292 years; shorten it")]
    TooLong,
}

/// Reads a duration and returns milliseconds, never negative.
///
/// `0` alone needs no unit; nothing else may do without one.
///
/// # Errors
/// The first fault from the left, with its place in `text`.
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    if text == "0" {
        return Ok(0);
    }
    let (mut total_ms, mut units, mut rest) = (0_i64, UNITS_MS.iter(), text);
    loop {
        let at = text.len() - rest.len();
        let (digits, tail) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, tail) = split_while(tail, |c| c.is_ascii_lowercase());
        if digits.is_empty() {
            return Err(DurationError::NumberExpected { at });
        }
        // `find` consumes the longer units, so that none can come again.
        let Some((_, unit_ms)) = units.find(|(name, _)| *name == unit) else {
            return Err(DurationError::UnitExpected { at: at + digits.len() });
        };
        total_ms = (digits.parse::<i64>().ok())
            .and_then(|count| count.checked_mul(*unit_ms)?.checked_add(total_ms))
            .filter(|&total_ms| total_ms <= DURATION_MS_MAX)
            .ok_or(DurationError::TooLong)?;
        if tail.is_empty() {
            return Ok(total_ms);
        }
        rest = tail;
    }
}

/// Writes milliseconds as Prometheus prints a duration: `1h30m`, `15s`, `0s`. Days, weeks and years
/// only where they divide without rest, as `model.Duration.String` does. Negative values get a leading `-`.
pub fn format_duration_ms(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if duration_ms < 0 {
        out.push('-');
    }
    let mut rest = duration_ms.unsigned_abs();
    for (unit, unit_ms) in UNITS_MS {
        let unit_ms = unit_ms.unsigned_abs();
        let exact_only = matches!(unit, "y" | "w" | "d");
        if rest < unit_ms || (exact_only && !rest.is_multiple_of(unit_ms)) {
            continue;
        }
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{}{unit}", rest / unit_ms);
        rest %= unit_ms;
    }
    out
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &str = "
1h30m => 5400000 ms
0     => 0 ms
1d    => 86400000 ms
1m1h  => expected a unit at byte 3: one of y, w, d, h, m, s, ms, longest first, each once
5     => expected a unit at byte 1: one of y, w, d, h, m, s, ms, longest first, each once
m     => expected a number at byte 0; write for example `5m`
300y  => longer than 292 years; shorten it
";

    #[test]
    fn durations() {
        for case in CASES.trim().lines() {
            let (text, expected) = case.split_once("=> ").unwrap();
            let said = match parse_duration_ms(text.trim_end()) {
                Ok(total_ms) => format!("{total_ms} ms"),
                Err(error) => error.to_string(),
            };
            assert_eq!(said, expected, "in case `{case}`");
        }
    }

    #[test]
    fn printing() {
        for (ms, text) in [(0, "0s"), (5_400_000, "1h30m"), (86_400_000, "1d"), (90_000_000, "25h"), (1_500, "1s500ms")]
        {
            assert_eq!(format_duration_ms(ms), text);
        }
    }
}
