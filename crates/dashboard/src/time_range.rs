//! `from` and `to`: date math, absolute forms, names, shifting and zooming. No clock inside: "now" is an argument.

use crate::calendar::{Calendar, Civil, Weekday};

/// Both ends as typed: `now-6h`, `now/d`, `2026-11-22 14:00:00`, epoch ms, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRange {
    pub from: String,
    pub to: String,
}

/// Both ends in Unix ms; `from_ms` is not after `to_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from_ms: i64,
    pub to_ms: i64,
}

/// Which end a text stands for: `now/d` is the start of the day as `from`, its end as `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    From,
    To,
}

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("`{0}` is no time; write for example now-6h, now/d, 2026-11-22 14:00:00 or epoch milliseconds")]
    Unknown(String),
    #[error("`{text}`: expected a unit (s, m, h, d, w, M, Q, y) at character {at}")]
    Unit { text: String, at: usize },
    #[error("`{text}`: a number has at most 5 digits")]
    TooLong { text: String },
    #[error("the range ends before it begins")]
    Reversed,
}

/// Presets of the time picker: from, to, name.
pub const QUICK_RANGES: [(&str, &str, &str); 31] = [
    ("now-5m", "now", "Last 5 minutes"),
    ("now-15m", "now", "Last 15 minutes"),
    ("now-30m", "now", "Last 30 minutes"),
    ("now-1h", "now", "Last 1 hour"),
    ("now-3h", "now", "Last 3 hours"),
    ("now-6h", "now", "Last 6 hours"),
    ("now-12h", "now", "Last 12 hours"),
    ("now-24h", "now", "Last 24 hours"),
    ("now-2d", "now", "Last 2 days"),
    ("now-7d", "now", "Last 7 days"),
    ("now-30d", "now", "Last 30 days"),
    ("now-90d", "now", "Last 90 days"),
    ("now-6M", "now", "Last 6 months"),
    ("now-1y", "now", "Last 1 year"),
    ("now-2y", "now", "Last 2 years"),
    ("now-5y", "now", "Last 5 years"),
    ("now-1d/d", "now-1d/d", "Yesterday"),
    ("now-2d/d", "now-2d/d", "Day before yesterday"),
    ("now-7d/d", "now-7d/d", "This day last week"),
    ("now-1w/w", "now-1w/w", "Previous week"),
    ("now-1M/M", "now-1M/M", "Previous month"),
    ("now-1Q/fQ", "now-1Q/fQ", "Previous fiscal quarter"),
    ("now-1y/y", "now-1y/y", "Previous year"),
    ("now/d", "now/d", "Today"),
    ("now/d", "now", "Today so far"),
    ("now/w", "now/w", "This week"),
    ("now/w", "now", "This week so far"),
    ("now/M", "now/M", "This month"),
    ("now/M", "now", "This month so far"),
    ("now/y", "now/y", "This year"),
    ("now/y", "now", "This year so far"),
];

/// Zooming and shifting stay within the years 0 to 9999, which every form of a time can write.
const TIME_MS_MIN: i64 = -62_167_219_200_000;
const TIME_MS_MAX: i64 = 253_402_300_799_999;
/// The shortest range a zoom leads to.
const SPAN_MS_MIN: i64 = 10;

impl Default for TimeRange {
    fn default() -> Self {
        TimeRange::new("now-6h", "now")
    }
}

impl TimeRange {
    pub fn new(from: &str, to: &str) -> Self {
        TimeRange { from: from.to_owned(), to: to.to_owned() }
    }

    /// An absolute range, written as epoch ms.
    pub fn absolute(span: Span) -> Self {
        TimeRange { from: span.from_ms.to_string(), to: span.to_ms.to_string() }
    }

    /// Whether it moves with the clock.
    pub fn is_relative(&self) -> bool {
        [&self.from, &self.to].into_iter().any(|end| end.contains("now") || is_interval(end))
    }

    /// Both ends in ms.
    ///
    /// # Errors
    /// The end that is no time, or that the range is empty.
    pub fn resolve(&self, now_ms: i64, calendar: &Calendar<'_>) -> Result<Span, TimeError> {
        let from_ms = parse_time(&self.from, Bound::From, now_ms, calendar)?;
        let to_ms = parse_time(&self.to, Bound::To, now_ms, calendar)?;
        if from_ms > to_ms { Err(TimeError::Reversed) } else { Ok(Span { from_ms, to_ms }) }
    }

    /// "Last 6 hours", "Yesterday", or both ends.
    pub fn describe(&self) -> String {
        if let Some((.., name)) = QUICK_RANGES.iter().find(|(from, to, _)| *from == self.from && *to == self.to) {
            return (*name).to_owned();
        }
        if self.to == "now"
            && let Some((count, unit)) =
                self.from.strip_prefix("now-").and_then(|rest| rest.split_at_checked(rest.len().saturating_sub(1)))
            && let Ok(count) = count.parse::<u32>()
        {
            let word = match unit {
                "s" => "second",
                "m" => "minute",
                "h" => "hour",
                "d" => "day",
                "w" => "week",
                "M" => "month",
                "y" => "year",
                _ => return format!("{} to {}", self.from, self.to),
            };
            return format!("Last {count} {word}{}", if count == 1 { "" } else { "s" });
        }
        format!("{} to {}", self.from, self.to)
    }

    /// [`TimeRange::describe`], with absolute ends written as dates in the viewer's zone.
    pub fn describe_in(&self, now_ms: i64, calendar: &Calendar<'_>) -> String {
        if self.is_relative() {
            return self.describe();
        }
        match self.resolve(now_ms, calendar) {
            Ok(span) => format!("{} to {}", format_local(span.from_ms, calendar), format_local(span.to_ms, calendar)),
            Err(_) => self.describe(),
        }
    }
}

impl Span {
    pub fn length_ms(&self) -> i64 {
        self.to_ms - self.from_ms
    }

    fn clamped(from_ms: i64, to_ms: i64) -> Span {
        let from_ms = from_ms.clamp(TIME_MS_MIN, TIME_MS_MAX - SPAN_MS_MIN);
        Span { from_ms, to_ms: to_ms.clamp(from_ms + SPAN_MS_MIN, TIME_MS_MAX) }
    }

    /// Half its length earlier or, with a positive sign, later.
    pub fn shift(&self, direction: i64) -> Span {
        let by = self.length_ms() / 2 * direction.signum();
        Span::clamped(self.from_ms + by, self.to_ms + by)
    }

    /// Twice as long around its middle.
    pub fn zoom_out(&self) -> Span {
        self.zoom(2.0)
    }

    /// Half as long around its middle.
    pub fn zoom_in(&self) -> Span {
        self.zoom(0.5)
    }

    /// `factor` times as long around its middle.
    pub fn zoom(&self, factor: f64) -> Span {
        self.zoom_around(self.from_ms + self.length_ms() / 2, factor)
    }

    /// `factor` times as long; `at_ms` keeps its place on the screen.
    pub fn zoom_around(&self, at_ms: i64, factor: f64) -> Span {
        let factor = factor.clamp(0.0001, 10_000.0);
        let scaled = |ms: i64| at_ms.saturating_add(((ms - at_ms) as f64 * factor).round() as i64);
        Span::clamped(scaled(self.from_ms), scaled(self.to_ms))
    }

    /// `time` with `time.window`: a window around an instant.
    pub fn around(at_ms: i64, window_ms: i64) -> Span {
        let half = (window_ms / 2).clamp(SPAN_MS_MIN, TIME_MS_MAX);
        let at_ms = at_ms.clamp(TIME_MS_MIN, TIME_MS_MAX);
        Span::clamped(at_ms - half, at_ms + half)
    }
}

fn is_interval(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=5).contains(&digits) && matches!(&text[digits..], "y" | "M" | "w" | "d" | "h" | "m" | "s" | "Q")
}

/// Reads one end, in Unix ms.
///
/// Tried in order: date math with `now`; a bare interval (`6h` is `now-6h`); `20261122`, `20261122T140000`,
/// `2026-11-22 14:00:00`, ISO 8601, all UTC unless they name an offset; epoch ms.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_time(text: &str, bound: Bound, now_ms: i64, calendar: &Calendar<'_>) -> Result<i64, TimeError> {
    let text = text.trim();
    if let Some(math) = text.strip_prefix("now") {
        return date_math(text, math, bound, now_ms, calendar);
    }
    if is_interval(text) {
        return date_math(text, &format!("-{text}"), bound, now_ms, calendar);
    }
    if let Some(ms) = parse_date(text, &|local| local.to_ms()) {
        return Ok(ms);
    }
    match text.parse::<i64>() {
        Ok(ms) => Ok(ms.clamp(TIME_MS_MIN, TIME_MS_MAX)),
        Err(_) => Err(TimeError::Unknown(text.to_owned())),
    }
}

/// Whether a number looks like epoch seconds, which no form takes: worth a hint.
pub fn looks_like_seconds(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|number| (946_684_800..4_102_444_800).contains(&number))
}

fn date_math(text: &str, mut math: &str, bound: Bound, now_ms: i64, calendar: &Calendar<'_>) -> Result<i64, TimeError> {
    let mut at_ms = now_ms.clamp(TIME_MS_MIN, TIME_MS_MAX);
    while let Some(sign) = math.chars().next() {
        let place = text.len().saturating_sub(math.len());
        if !matches!(sign, '+' | '-' | '/') {
            return Err(TimeError::Unknown(text.to_owned()));
        }
        math = &math[1..];
        let digits = math.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 5 {
            return Err(TimeError::TooLong { text: text.to_owned() });
        }
        if sign == '/' && digits > 0 {
            return Err(TimeError::Unit { text: text.to_owned(), at: place + 1 });
        }
        let count: i64 = math[..digits].parse().unwrap_or(1);
        math = &math[digits..];
        let fiscal = math.starts_with("fy") || math.starts_with("fQ");
        math = if fiscal { &math[1..] } else { math };
        let Some(unit) = math.chars().next().filter(|unit| "yMwdhmsQ".contains(*unit)) else {
            return Err(TimeError::Unit { text: text.to_owned(), at: text.len().saturating_sub(math.len()) });
        };
        math = &math[1..];
        at_ms = match sign {
            '/' => round(at_ms, unit, fiscal, bound, calendar),
            sign => add(at_ms, if sign == '-' { -count } else { count }, unit, calendar),
        }
        .clamp(TIME_MS_MIN, TIME_MS_MAX);
    }
    Ok(at_ms)
}

/// Hours and less are lengths; days and more keep the time of day across a change of the clocks.
fn add(at_ms: i64, count: i64, unit: char, calendar: &Calendar<'_>) -> i64 {
    let months = match unit {
        's' => return at_ms + count * 1000,
        'm' => return at_ms + count * 60_000,
        'h' => return at_ms + count * 3_600_000,
        'd' | 'w' => {
            let days = if unit == 'w' { count * 7 } else { count };
            return calendar.instant(calendar.civil(at_ms).add_days(days));
        }
        'M' => count,
        'Q' => count * 3,
        _ => count * 12,
    };
    calendar.instant(calendar.civil(at_ms).add_months(months))
}

/// The start of the unit around the instant; for `to` the last millisecond of it.
fn round(at_ms: i64, unit: char, fiscal: bool, bound: Bound, calendar: &Calendar<'_>) -> i64 {
    let local = calendar.civil(at_ms);
    let fiscal_start = if fiscal { i64::from(calendar.fiscal_year_start_month % 12) } else { 0 };
    // Minutes and less are the same in every zone but those off by seconds.
    let (start, next) = match unit {
        's' => {
            let start = at_ms.div_euclid(1000) * 1000;
            return if bound == Bound::From { start } else { start + 999 };
        }
        'm' => (Civil { second: 0, millisecond: 0, ..local }, None),
        'h' => (Civil { minute: 0, second: 0, millisecond: 0, ..local }, None),
        'd' => (local.midnight(), Some(local.midnight().add_days(1))),
        'w' => {
            let first = match calendar.week_start {
                Weekday::Sunday => 0,
                Weekday::Monday => 1,
                Weekday::Saturday => 6,
            };
            let start = local.midnight().add_days(-i64::from((local.weekday() + 7 - first) % 7));
            (start, Some(start.add_days(7)))
        }
        'M' => {
            let start = Civil { day: 1, ..local.midnight() };
            (start, Some(start.add_months(1)))
        }
        unit => {
            let months = if unit == 'Q' { 3 } else { 12 };
            let into = (i64::from(local.month) - 1 - fiscal_start).rem_euclid(months);
            let start = Civil { day: 1, ..local.midnight() }.add_months(-into);
            (start, Some(start.add_months(months)))
        }
    };
    let (start_ms, next_ms) = match next {
        Some(next) => (calendar.instant(start), calendar.instant(next)),
        None => {
            // By subtraction, so that a repeated hour stays itself.
            let start_ms = at_ms - (local.to_ms() - start.to_ms());
            (start_ms, start_ms + if unit == 'h' { 3_600_000 } else { 60_000 })
        }
    };
    if bound == Bound::From { start_ms } else { next_ms - 1 }
}

/// `20261122`, `20261122T140000`, `2026-11-22`, `2026-11-22 14:00[:00[.000]]`, with `T`, `Z` or an offset.
/// `to_ms` places a local time without offset.
fn parse_date(text: &str, to_ms: &dyn Fn(Civil) -> i64) -> Option<i64> {
    if !text.is_ascii() {
        return None;
    }
    let digits = |from: usize, length: usize| {
        let part = text.get(from..from + length)?;
        if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse::<u32>().ok() } else { None }
    };
    let compact = digits(0, 8).is_some() && (text.len() == 8 || (text.len() == 15 && text.as_bytes()[8] == b'T'));
    let (civil, rest) = if compact {
        let mut civil = Civil::date(i64::from(digits(0, 4)?), digits(4, 2)?, digits(6, 2)?);
        if text.len() == 15 {
            civil = Civil { hour: digits(9, 2)?, minute: digits(11, 2)?, second: digits(13, 2)?, ..civil };
        }
        (civil, "")
    } else {
        if text.get(4..5)? != "-" || text.get(7..8)? != "-" {
            return None;
        }
        let mut civil = Civil::date(i64::from(digits(0, 4)?), digits(5, 2)?, digits(8, 2)?);
        let mut rest = text.get(10..)?;
        if rest.starts_with(['T', ' ']) && rest.len() >= 6 {
            civil.hour = digits(11, 2)?;
            if text.get(13..14)? != ":" {
                return None;
            }
            civil.minute = digits(14, 2)?;
            rest = text.get(16..)?;
            if rest.starts_with(':') {
                civil.second = digits(17, 2)?;
                rest = text.get(19..)?;
                if let Some(fraction) = rest.strip_prefix('.') {
                    let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
                    let thousandths = format!("{:0<3}", &fraction[..length.min(3)]);
                    civil.millisecond = thousandths.parse().ok()?;
                    rest = &fraction[length..];
                }
            }
        }
        (civil, rest)
    };
    let valid = (1..=12).contains(&civil.month)
        && (1..=crate::calendar::days_in_month(civil.year, civil.month)).contains(&civil.day)
        && civil.hour < 24
        && civil.minute < 60
        && civil.second < 60;
    if !valid {
        return None;
    }
    match rest {
        "" => Some(to_ms(civil)),
        "Z" | "z" => Some(civil.to_ms()),
        offset => {
            let sign = match offset.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let body: String = offset[1..].chars().filter(|c| *c != ':').collect();
            let hours: i64 = body.get(0..2)?.parse().ok()?;
            let minutes: i64 = if body.len() == 2 { 0 } else { body.get(2..4)?.parse().ok()? };
            (body.len() <= 4 && hours < 24 && minutes < 60)
                .then(|| civil.to_ms() - sign * (hours * 60 + minutes) * 60_000)
        }
    }
}

/// `2026-11-22 14:00:00` in the viewer's zone.
pub fn format_local(ms: i64, calendar: &Calendar<'_>) -> String {
    crate::calendar::format(calendar.civil(ms), 0, "YYYY-MM-DD HH:mm:ss")
}

/// Reads what people type into the picker: every form of [`parse_time`] with `to` or `-` between, and `last 90m`,
/// `yesterday`, `today`, `yesterday 14:00 for 2h`, `2026-11-21 14:00 to 16:00`, `since 08:00`. Dates without an offset
/// are in the viewer's zone.
///
/// # Errors
/// That the phrase is not understood.
pub fn parse_phrase(text: &str, now_ms: i64, calendar: &Calendar<'_>) -> Result<TimeRange, TimeError> {
    let unknown = || TimeError::Unknown(text.trim().to_owned());
    let phrase = text.trim();
    let lower = phrase.to_lowercase();
    let named = QUICK_RANGES.iter().find(|(.., name)| name.eq_ignore_ascii_case(phrase));
    if let Some((from, to, _)) = named {
        return Ok(TimeRange::new(from, to));
    }
    let interval = |words: &str| {
        let words = words.trim();
        let digits = words.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match words[digits..].trim() {
            "M" | "mo" | "month" | "months" => "M",
            "m" | "min" | "mins" | "minute" | "minutes" => "m",
            "s" | "sec" | "secs" | "second" | "seconds" => "s",
            "h" | "hour" | "hours" => "h",
            "d" | "day" | "days" => "d",
            "w" | "week" | "weeks" => "w",
            "y" | "year" | "years" => "y",
            _ => return None,
        };
        (digits <= 5).then(|| format!("{}{unit}", if digits == 0 { "1" } else { &words[..digits] }))
    };
    if let Some(length) = lower.strip_prefix("last ").and_then(|_| interval(&phrase[5..])) {
        return Ok(TimeRange::new(&format!("now-{length}"), "now"));
    }
    if let Some(length) = interval(phrase).filter(|_| phrase.starts_with(|c: char| c.is_ascii_digit())) {
        return Ok(TimeRange::new(&format!("now-{length}"), "now"));
    }
    let midnight = calendar.civil(now_ms).midnight();
    let clock = |words: &str, day: Civil| {
        let (hour, rest) = words.split_once(':')?;
        let (minute, second) = rest.split_once(':').unwrap_or((rest, "0"));
        let (hour, minute, second) = (hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?);
        (hour < 24 && minute < 60 && second < 60).then(|| calendar.instant(Civil { hour, minute, second, ..day }))
    };
    // A point, and the day it lies in, for a bare time of day behind it.
    let point = |words: &str, day: Civil, bound: Bound| -> Option<(i64, Civil)> {
        let words = words.trim();
        let lower = words.to_lowercase();
        let ms = if lower == "now" {
            now_ms
        } else if let Some(rest) = lower.strip_prefix("yesterday") {
            let day = midnight.add_days(-1);
            if rest.is_empty() { calendar.instant(day) } else { clock(rest.trim(), day)? }
        } else if let Some(rest) = lower.strip_prefix("today") {
            if rest.is_empty() { calendar.instant(midnight) } else { clock(rest.trim(), midnight)? }
        } else if let Some(ms) = clock(words, day) {
            ms
        } else if let Some(ms) = parse_date(words, &|local| calendar.instant(local)) {
            ms
        } else {
            parse_time(words, bound, now_ms, calendar).ok()?
        };
        Some((ms, calendar.civil(ms).midnight()))
    };
    if let Some(words) = lower.strip_prefix("since ") {
        let start = point(&phrase[phrase.len() - words.len()..], midnight, Bound::From).ok_or_else(unknown)?.0;
        return Ok(TimeRange::new(&start.to_string(), "now"));
    }
    if let Some((start, length)) = lower.split_once(" for ") {
        let (start, _) = point(start, midnight, Bound::From).ok_or_else(unknown)?;
        let length = interval(&phrase[phrase.len() - length.len()..]).ok_or_else(unknown)?;
        let length_ms = crate::interval::parse_interval_ms(&length).ok_or_else(unknown)?;
        return Ok(TimeRange::absolute(Span { from_ms: start, to_ms: start + length_ms }));
    }
    let ends = [" to ", " until ", " - ", " – ", ".."].iter().find_map(|separator| phrase.split_once(separator));
    let (start, end) = ends.ok_or_else(unknown)?;
    if parse_time(start, Bound::From, now_ms, calendar).is_ok()
        && parse_time(end, Bound::To, now_ms, calendar).is_ok()
        && start.contains("now")
    {
        return Ok(TimeRange::new(start.trim(), end.trim()));
    }
    let (from_ms, day) = point(start, midnight, Bound::From).ok_or_else(unknown)?;
    let (to_ms, _) = point(end, day, Bound::To).ok_or_else(unknown)?;
    if from_ms > to_ms { Err(TimeError::Reversed) } else { Ok(TimeRange::absolute(Span { from_ms, to_ms })) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-22T14:00Z, a Sunday.
    const NOW: i64 = 1_795_356_000_000;

    #[test]
    fn ranges() {
        const CASES: &str = "
now/d | now/d | 2026-11-22 00:00:00.000 2026-11-22 23:59:59.999
now-1d/d | now-1d/d | 2026-11-21 00:00:00.000 2026-11-21 23:59:59.999
now/w | now/w | 2026-11-22 00:00:00.000 2026-11-28 23:59:59.999
now-1M/M | now-1M/M | 2026-10-01 00:00:00.000 2026-10-31 23:59:59.999
now/d+8h | now/d+8h | 2026-11-22 08:00:00.000 2026-11-23 07:59:59.999
now-1y/fy | now-1y/fy | 2025-01-01 00:00:00.000 2025-12-31 23:59:59.999
now/Q | now/Q | 2026-10-01 00:00:00.000 2026-12-31 23:59:59.999
now-6h | now | 2026-11-22 08:00:00.000 2026-11-22 14:00:00.000
6h | now | 2026-11-22 08:00:00.000 2026-11-22 14:00:00.000
now-h/h | now/m | 2026-11-22 13:00:00.000 2026-11-22 14:00:59.999
20261122 | 20261122T140000 | 2026-11-22 00:00:00.000 2026-11-22 14:00:00.000
2026-11-22 14:00:00 | 2026-11-22T14:00:00.250Z | 2026-11-22 14:00:00.000 2026-11-22 14:00:00.250
2026-11-22T14:00+02:00 | 1795356000000 | 2026-11-22 12:00:00.000 2026-11-22 14:00:00.000
2026-02-29 | now | `2026-02-29` is no time; write for example now-6h, now/d, 2026-11-22 14:00:00 or epoch milliseconds
now-6x | now | `now-6x`: expected a unit (s, m, h, d, w, M, Q, y) at character 5
now-123456h | now | `now-123456h`: a number has at most 5 digits
now | now-1h | the range ends before it begins
now/5d | now | `now/5d`: expected a unit (s, m, h, d, w, M, Q, y) at character 4
yesterday | now | `yesterday` is no time; write for example now-6h, now/d, 2026-11-22 14:00:00 or epoch milliseconds
";
        for case in CASES.trim().lines() {
            let [from, to, expected] = case.split(" | ").collect::<Vec<_>>()[..] else { panic!("case `{case}`") };
            let said = match TimeRange::new(from, to).resolve(NOW, &Calendar::utc()) {
                Ok(span) => [span.from_ms, span.to_ms]
                    .map(|ms| crate::calendar::format(Civil::from_ms(ms), 0, "YYYY-MM-DD HH:mm:ss.SSS"))
                    .join(" "),
                Err(error) => error.to_string(),
            };
            assert_eq!(said, expected, "in case `{case}`");
        }
    }

    #[test]
    fn zones_and_weeks() {
        let berlin = Calendar { offset_ms: &|_| 3_600_000, week_start: Weekday::Monday, fiscal_year_start_month: 3 };
        for (from, expected) in [
            ("now/d", "2026-11-21T23:00"),
            ("now/w", "2026-11-15T23:00"),
            ("now/fy", "2026-03-31T23:00"),
            ("now/fQ", "2026-09-30T23:00"),
        ] {
            let ms = parse_time(from, Bound::From, NOW, &berlin).unwrap();
            assert_eq!(crate::calendar::format(Civil::from_ms(ms), 0, "YYYY-MM-DD[T]HH:mm"), expected, "{from}");
        }
    }

    #[test]
    fn names() {
        for (from, to, expected) in [
            ("now-6h", "now", "Last 6 hours"),
            ("now/d", "now/d", "Today"),
            ("now-1d/d", "now-1d/d", "Yesterday"),
            ("now/w", "now", "This week so far"),
            ("now-7d", "now", "Last 7 days"),
            ("now-1h", "now-5m", "now-1h to now-5m"),
            ("now-1M/M", "now-1M/M", "Previous month"),
            ("now-45m", "now", "Last 45 minutes"),
        ] {
            assert_eq!(TimeRange::new(from, to).describe(), expected);
        }
        let day = TimeRange::new("1795312800000", "1795356000000");
        assert_eq!(day.describe_in(NOW, &Calendar::utc()), "2026-11-22 02:00:00 to 2026-11-22 14:00:00");
        assert!(looks_like_seconds("1795356000") && !looks_like_seconds("1795356000000"));
    }

    #[test]
    fn phrases() {
        const CASES: &str = "
last 90m => now-90m to now
last hour => now-1h to now
Yesterday => now-1d/d to now-1d/d
yesterday 14:00 for 2h => 2026-11-21 14:00 to 2026-11-21 16:00
2026-11-21 14:00 to 16:00 => 2026-11-21 14:00 to 2026-11-21 16:00
08:00 - 09:30 => 2026-11-22 08:00 to 2026-11-22 09:30
since 08:00 => 2026-11-22 08:00 to now
now-2d to now-1d => now-2d to now-1d
15m => now-15m to now
16:00 to 14:00 => reversed
soon => unknown
 => unknown
";
        for case in CASES.trim_start_matches('\n').lines() {
            let (phrase, expected) = case.split_once("=> ").unwrap();
            let end = |text: &str| match text.parse::<i64>() {
                Ok(ms) => crate::calendar::format(Civil::from_ms(ms), 0, "YYYY-MM-DD HH:mm"),
                Err(_) => text.to_owned(),
            };
            let said = match parse_phrase(phrase, NOW, &Calendar::utc()) {
                Ok(range) => format!("{} to {}", end(&range.from), end(&range.to)),
                Err(TimeError::Reversed) => "reversed".to_owned(),
                Err(_) => "unknown".to_owned(),
            };
            assert_eq!(said, expected, "in case `{case}`");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_moves_stay_in_bounds(text in "(now|)?[-+/0-9ywdhmsMQf: T.Z]{0,24}", a in any::<i64>(), b in any::<i64>(), factor in any::<f64>()) {
            let _ = parse_time(&text, Bound::To, a, &Calendar::utc());
            let _ = parse_phrase(&text, NOW, &Calendar::utc());
            let span = Span::around(a, b.saturating_abs());
            for moved in [span.shift(1), span.shift(-1), span.zoom_out(), span.zoom_in(), span.zoom_around(b.clamp(TIME_MS_MIN, TIME_MS_MAX), factor)] {
                prop_assert!(moved.from_ms < moved.to_ms && moved.from_ms >= TIME_MS_MIN && moved.to_ms <= TIME_MS_MAX);
            }
        }
    }
}
