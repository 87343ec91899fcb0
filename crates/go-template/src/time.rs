//! Go's times and durations: methods, layouts (`2006-01-02 15:04:05 MST`), texts.

use crate::Value;
use jiff::{Timestamp, Zoned, tz::TimeZone};
use std::fmt;

/// A time in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time(Zoned);

/// The year 1 in Unix nanoseconds does not fit; Go's zero time is told apart by this number of milliseconds.
const ZERO_TIME_MS: i64 = -62_135_596_800_000;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Time {
    /// A time in UTC. Times beyond the years -9999…9999 become the nearest that exist.
    pub fn from_unix_ms(ms: i64) -> Time {
        let bounded = ms.clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
        let timestamp = Timestamp::from_millisecond(bounded).unwrap_or(Timestamp::UNIX_EPOCH);
        Time(timestamp.to_zoned(TimeZone::UTC))
    }

    /// A time in UTC from seconds with a fraction.
    pub fn from_unix_seconds(seconds: f64) -> Time {
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the bounds are checked next")]
        let nanoseconds = (seconds * 1e9) as i128;
        let bounded = nanoseconds.clamp(Timestamp::MIN.as_nanosecond(), Timestamp::MAX.as_nanosecond());
        Time(Timestamp::from_nanosecond(bounded).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC))
    }

    /// Go's zero time, year 1.
    pub fn zero() -> Time {
        Time::from_unix_ms(ZERO_TIME_MS)
    }

    pub fn is_zero(&self) -> bool {
        self.unix_ms() == ZERO_TIME_MS
    }

    pub fn unix_ms(&self) -> i64 {
        self.0.timestamp().as_millisecond()
    }

    fn unix_ns(&self) -> i128 {
        self.0.timestamp().as_nanosecond()
    }

    /// The same time in a zone of the IANA database; "" and `UTC` are UTC.
    ///
    /// # Errors
    /// A name that the database does not know.
    pub fn in_zone(&self, name: &str) -> Result<Time, String> {
        let zone = match name {
            "" | "UTC" => TimeZone::UTC,
            "Local" => TimeZone::system(),
            name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
        };
        Ok(Time(self.0.with_time_zone(zone)))
    }

    /// Nanoseconds from `earlier` to this time, within what a Go duration holds.
    pub fn since(&self, earlier: &Time) -> i64 {
        let difference = self.unix_ns() - earlier.unix_ns();
        i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
    }

    fn add(&self, nanoseconds: i64) -> Time {
        let sum = (self.unix_ns() + i128::from(nanoseconds))
            .clamp(Timestamp::MIN.as_nanosecond(), Timestamp::MAX.as_nanosecond());
        let timestamp = Timestamp::from_nanosecond(sum).unwrap_or(Timestamp::UNIX_EPOCH);
        Time(timestamp.to_zoned(self.0.time_zone().clone()))
    }

    /// As Go's JSON: fraction without trailing zeros, `Z` for UTC.
    pub fn rfc3339_nano(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    /// Go's `Format`: the layout is the reference time Mon Jan 2 15:04:05 MST 2006 as one wants to see it.
    pub fn format(&self, layout: &str) -> String {
        let mut out = String::with_capacity(layout.len() + 8);
        let mut rest = layout;
        while !rest.is_empty() {
            match next_piece(rest, out.is_empty()) {
                Some((piece, length)) => {
                    self.write_piece(piece, &mut out);
                    rest = &rest[length..];
                }
                None => {
                    let mut chars = rest.chars();
                    out.extend(chars.next());
                    rest = chars.as_str();
                }
            }
        }
        out
    }

    fn weekday(&self) -> &'static str {
        let index = usize::try_from(self.0.weekday().to_sunday_zero_offset()).unwrap_or_default();
        DAYS.get(index).copied().unwrap_or_default()
    }

    fn month(&self) -> &'static str {
        let index = usize::try_from(self.0.month()).unwrap_or(1).saturating_sub(1);
        MONTHS.get(index).copied().unwrap_or_default()
    }

    fn zone_abbreviation(&self) -> String {
        self.0.time_zone().to_offset_info(self.0.timestamp()).abbreviation().to_owned()
    }

    fn write_piece(&self, piece: Piece, out: &mut String) {
        let zoned = &self.0;
        let hour12 = match zoned.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let offset = zoned.offset().seconds();
        let text = match piece {
            Piece::LongMonth => self.month().to_owned(),
            Piece::Month => self.month()[..3].to_owned(),
            Piece::LongWeekday => self.weekday().to_owned(),
            Piece::Weekday => self.weekday()[..3].to_owned(),
            Piece::MonthNumber => zoned.month().to_string(),
            Piece::MonthNumberZero => format!("{:02}", zoned.month()),
            Piece::Day => zoned.day().to_string(),
            Piece::DaySpace => format!("{:2}", zoned.day()),
            Piece::DayZero => format!("{:02}", zoned.day()),
            Piece::DayOfYear => format!("{:03}", zoned.day_of_year()),
            Piece::Hour => format!("{:02}", zoned.hour()),
            Piece::Hour12 => hour12.to_string(),
            Piece::Hour12Zero => format!("{hour12:02}"),
            Piece::Minute => zoned.minute().to_string(),
            Piece::MinuteZero => format!("{:02}", zoned.minute()),
            Piece::Second => zoned.second().to_string(),
            Piece::SecondZero => format!("{:02}", zoned.second()),
            Piece::Year => format!("{:04}", zoned.year()),
            Piece::YearShort => format!("{:02}", zoned.year().rem_euclid(100)),
            Piece::Pm => if zoned.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
            Piece::PmLower => if zoned.hour() >= 12 { "pm" } else { "am" }.to_owned(),
            Piece::ZoneName => self.zone_abbreviation(),
            Piece::Offset { zulu: true, .. } if offset == 0 => "Z".to_owned(),
            Piece::Offset { colon, minutes, .. } => {
                let sign = if offset < 0 { '-' } else { '+' };
                let (hours, rest) = (offset.unsigned_abs() / 3600, offset.unsigned_abs() / 60 % 60);
                match (minutes, colon) {
                    (false, _) => format!("{sign}{hours:02}"),
                    (true, false) => format!("{sign}{hours:02}{rest:02}"),
                    (true, true) => format!("{sign}{hours:02}:{rest:02}"),
                }
            }
            Piece::Fraction { digits, trim, separator } => {
                let nanoseconds = format!("{:09}", zoned.subsec_nanosecond());
                let kept = nanoseconds.get(..digits.min(9)).unwrap_or(&nanoseconds);
                let kept = if trim { kept.trim_end_matches('0') } else { kept };
                if kept.is_empty() { String::new() } else { format!("{separator}{kept}") }
            }
        };
        out.push_str(&text);
    }

    /// Go's methods of `time.Time`, as far as templates use them; `None`: no such method.
    pub(crate) fn call(&self, method: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let int = |value: i128| Ok(Value::Int(i64::try_from(value).unwrap_or(i64::MAX)));
        let zoned = &self.0;
        Some(match (method, args) {
            ("Format", [layout]) => match layout.as_str() {
                Some(layout) => Ok(Value::str(self.format(layout))),
                None => Err(format!("wrong type for value; expected string; got {}", layout.type_name())),
            },
            ("String", []) => Ok(Value::str(self.to_string())),
            ("Unix", []) => int(self.unix_ns().div_euclid(1_000_000_000)),
            ("UnixMilli", []) => int(self.unix_ns().div_euclid(1_000_000)),
            ("UnixNano", []) => int(self.unix_ns()),
            ("UTC", []) => Ok(Value::Time(Time(zoned.with_time_zone(TimeZone::UTC)))),
            ("Local", []) => Ok(Value::Time(Time(zoned.with_time_zone(TimeZone::system())))),
            ("IsZero", []) => Ok(Value::Bool(self.is_zero())),
            ("Year", []) => int(zoned.year().into()),
            ("Month", []) => Ok(Value::str(self.month())),
            ("Day", []) => int(zoned.day().into()),
            ("YearDay", []) => int(zoned.day_of_year().into()),
            ("Weekday", []) => Ok(Value::str(self.weekday())),
            ("Hour", []) => int(zoned.hour().into()),
            ("Minute", []) => int(zoned.minute().into()),
            ("Second", []) => int(zoned.second().into()),
            ("Nanosecond", []) => int(zoned.subsec_nanosecond().into()),
            ("Sub", [Value::Time(other)]) => Ok(Value::Duration(self.since(other))),
            ("Add", [Value::Duration(by)]) => Ok(Value::Time(self.add(*by))),
            ("Before", [Value::Time(other)]) => Ok(Value::Bool(self.unix_ns() < other.unix_ns())),
            ("After", [Value::Time(other)]) => Ok(Value::Bool(self.unix_ns() > other.unix_ns())),
            ("Equal", [Value::Time(other)]) => Ok(Value::Bool(self.unix_ns() == other.unix_ns())),
            ("Truncate" | "Round", [Value::Duration(step)]) if *step > 0 => {
                let (step, now) = (i128::from(*step), self.unix_ns());
                // Go counts from the year 1, which is a whole number of days and hours before 1970.
                let rest = now.rem_euclid(step);
                let up = method == "Round" && rest * 2 >= step;
                let by = if up { step - rest } else { -rest };
                Ok(Value::Time(self.add(i64::try_from(by).unwrap_or_default())))
            }
            (
                "Format" | "String" | "Unix" | "UnixMilli" | "UnixNano" | "UTC" | "Local" | "IsZero" | "Year" | "Month"
                | "Day" | "YearDay" | "Weekday" | "Hour" | "Minute" | "Second" | "Nanosecond" | "Sub" | "Add"
                | "Before" | "After" | "Equal" | "Truncate" | "Round",
                _,
            ) => Err(format!("wrong arguments for {method}")),
            _ => return None,
        })
    }
}

impl fmt::Display for Time {
    /// As Go's `String`: `2026-11-22 13:02:53.966 +0000 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

#[derive(Clone, Copy)]
enum Piece {
    LongMonth,
    Month,
    LongWeekday,
    Weekday,
    MonthNumber,
    MonthNumberZero,
    Day,
    DaySpace,
    DayZero,
    DayOfYear,
    Hour,
    Hour12,
    Hour12Zero,
    Minute,
    MinuteZero,
    Second,
    SecondZero,
    Year,
    YearShort,
    Pm,
    PmLower,
    ZoneName,
    Offset { zulu: bool, colon: bool, minutes: bool },
    Fraction { digits: usize, trim: bool, separator: char },
}

/// Longest first where one is the beginning of another.
const PIECES: [(&str, Piece); 34] = [
    ("January", Piece::LongMonth),
    ("Jan", Piece::Month),
    ("Monday", Piece::LongWeekday),
    ("Mon", Piece::Weekday),
    ("MST", Piece::ZoneName),
    ("002", Piece::DayOfYear),
    ("01", Piece::MonthNumberZero),
    ("02", Piece::DayZero),
    ("03", Piece::Hour12Zero),
    ("04", Piece::MinuteZero),
    ("05", Piece::SecondZero),
    ("06", Piece::YearShort),
    ("15", Piece::Hour),
    ("1", Piece::MonthNumber),
    ("2006", Piece::Year),
    ("_2006", Piece::Year),
    ("_2", Piece::DaySpace),
    ("2", Piece::Day),
    ("3", Piece::Hour12),
    ("4", Piece::Minute),
    ("5", Piece::Second),
    ("PM", Piece::Pm),
    ("pm", Piece::PmLower),
    ("-07:00:00", Piece::Offset { zulu: false, colon: true, minutes: true }),
    ("-070000", Piece::Offset { zulu: false, colon: false, minutes: true }),
    ("-07:00", Piece::Offset { zulu: false, colon: true, minutes: true }),
    ("-0700", Piece::Offset { zulu: false, colon: false, minutes: true }),
    ("-07", Piece::Offset { zulu: false, colon: false, minutes: false }),
    ("Z07:00:00", Piece::Offset { zulu: true, colon: true, minutes: true }),
    ("Z070000", Piece::Offset { zulu: true, colon: false, minutes: true }),
    ("Z07:00", Piece::Offset { zulu: true, colon: true, minutes: true }),
    ("Z0700", Piece::Offset { zulu: true, colon: false, minutes: true }),
    ("Z07", Piece::Offset { zulu: true, colon: false, minutes: false }),
    ("__2", Piece::DaySpace),
];

/// The layout element at the start of `layout` and its length.
fn next_piece(layout: &str, at_start: bool) -> Option<(Piece, usize)> {
    if let Some(separator @ ('.' | ',')) = layout.chars().next().filter(|_| !at_start) {
        let digits = &layout[1..];
        let first = digits.chars().next()?;
        if first == '0' || first == '9' {
            let count = digits.chars().take_while(|c| *c == first).count();
            // `.05` and the like are a dot and seconds, not a fraction.
            if !digits[count..].starts_with(|c: char| c.is_ascii_digit()) {
                return Some((Piece::Fraction { digits: count, trim: first == '9', separator }, count + 1));
            }
        }
        return None;
    }
    if layout.starts_with("_2006") {
        // An underscore before a year is only an underscore.
        return None;
    }
    PIECES
        .iter()
        .find(|(text, _)| {
            layout.strip_prefix(text).is_some_and(|rest| {
                // `Jan` and `Mon` must not be the beginning of another word.
                !(matches!(*text, "Jan" | "Mon") && rest.starts_with(|c: char| c.is_ascii_lowercase()))
            })
        })
        .map(|(text, piece)| (*piece, text.len()))
}

/// Go's `Duration.String`: `1h15m30.918s`, `1.5ms`, `0s`.
pub fn duration_text(nanoseconds: i64) -> String {
    if nanoseconds == 0 {
        return "0s".into();
    }
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    if total < 1_000_000_000 {
        let (unit, unit_ns) = match total {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", with_fraction(total / unit_ns, total % unit_ns, unit_ns));
    }
    let (seconds, rest) = (total / 1_000_000_000, total % 1_000_000_000);
    let tail = format!("{}s", with_fraction(seconds % 60, rest, 1_000_000_000));
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{sign}{tail}"),
        (0, minutes) => format!("{sign}{minutes}m{tail}"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{tail}"),
    }
}

fn with_fraction(whole: u64, rest: u64, unit: u64) -> String {
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.to_string().len() - 1;
    let digits = format!("{rest:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// Go's methods of `time.Duration`.
pub(crate) fn call_duration(nanoseconds: i64, method: &str, args: &[Value]) -> Option<Result<Value, String>> {
    #[expect(clippy::cast_precision_loss, reason = "as Go's own conversion")]
    let float = nanoseconds as f64;
    Some(Ok(match (method, args) {
        ("Seconds", []) => Value::Float(float / 1e9),
        ("Minutes", []) => Value::Float(float / 6e10),
        ("Hours", []) => Value::Float(float / 3.6e12),
        ("Milliseconds", []) => Value::Int(nanoseconds / 1_000_000),
        ("Microseconds", []) => Value::Int(nanoseconds / 1_000),
        ("Nanoseconds", []) => Value::Int(nanoseconds),
        ("String", []) => Value::str(duration_text(nanoseconds)),
        ("Abs", []) => Value::Duration(nanoseconds.saturating_abs()),
        ("Truncate", [Value::Duration(step)]) if *step > 0 => Value::Duration(nanoseconds - nanoseconds % step),
        ("Round", [Value::Duration(step)]) if *step > 0 => {
            let rest = nanoseconds % step;
            let away = if rest.abs() >= step - rest.abs() { step * nanoseconds.signum() } else { 0 };
            Value::Duration((nanoseconds - rest).saturating_add(away))
        }
        _ => return None,
    }))
}
