//! Durations, clocks and dates.

use super::{FormatContext, Formatted, to_fixed};
use crate::calendar;

/// One rung of a ladder: values below the limit (in the ladder's unit) are divided and named so.
struct Rung {
    below: f64,
    divisor: f64,
    name: &'static str,
    /// An `s` is added unless the text is `1`.
    word: bool,
}

const fn rung(below: f64, divisor: f64, name: &'static str, word: bool) -> Rung {
    Rung { below, divisor, name, word }
}

fn climb(number: f64, decimals: Option<u8>, ladder: &[Rung]) -> Formatted {
    let size = number.abs();
    let Some(rung) = ladder.iter().find(|rung| size < rung.below).or(ladder.last()) else {
        return Formatted::default();
    };
    let text = to_fixed(number / rung.divisor, decimals);
    let plural = if rung.word && text != "1" { "s" } else { "" };
    Formatted::suffixed(text, format!(" {}{plural}", rung.name))
}

const INF: f64 = f64::INFINITY;

pub(super) fn seconds(number: f64, decimals: Option<u8>) -> Formatted {
    const SMALL: [Rung; 3] =
        [rung(1e-6, 1e-9, "ns", false), rung(1e-3, 1e-6, "µs", false), rung(1.0, 1e-3, "ms", false)];
    const LADDER: [Rung; 6] = [
        rung(60.0, 1.0, "s", false),
        rung(3600.0, 60.0, "min", true),
        rung(86_400.0, 3600.0, "hour", true),
        rung(604_800.0, 86_400.0, "day", true),
        rung(31_536_000.0, 604_800.0, "week", true),
        rung(INF, 3.155_69e7, "year", true),
    ];
    if number != 0.0 && number.abs() < 1.0 {
        // By multiplication, for 0.00042 / 1e-6 is not quite 420.
        let rung = if number.abs() < 1e-6 {
            &SMALL[0]
        } else if number.abs() < 1e-3 {
            &SMALL[1]
        } else {
            &SMALL[2]
        };
        return Formatted::suffixed(
            to_fixed(number * (1.0 / rung.divisor).round(), decimals),
            format!(" {}", rung.name),
        );
    }
    climb(number, decimals, &LADDER)
}

pub(super) fn milliseconds(number: f64, decimals: Option<u8>) -> Formatted {
    const LADDER: [Rung; 6] = [
        rung(1000.0, 1.0, "ms", false),
        rung(60_000.0, 1000.0, "s", false),
        rung(3.6e6, 60_000.0, "min", true),
        rung(8.64e7, 3.6e6, "hour", true),
        rung(3.1536e10, 8.64e7, "day", true),
        rung(INF, 3.1536e10, "year", true),
    ];
    climb(number, decimals, &LADDER)
}

pub(super) fn microseconds(number: f64, decimals: Option<u8>) -> Formatted {
    const LADDER: [Rung; 3] = [rung(1e3, 1.0, "µs", false), rung(1e6, 1e3, "ms", false), rung(INF, 1e6, "s", false)];
    climb(number, decimals, &LADDER)
}

pub(super) fn nanoseconds(number: f64, decimals: Option<u8>) -> Formatted {
    const LADDER: [Rung; 7] = [
        rung(1e3, 1.0, "ns", false),
        rung(1e6, 1e3, "µs", false),
        rung(1e9, 1e6, "ms", false),
        rung(6e10, 1e9, "s", false),
        rung(3.6e12, 6e10, "min", true),
        rung(8.64e13, 3.6e12, "hour", true),
        rung(INF, 8.64e13, "day", true),
    ];
    climb(number, decimals, &LADDER)
}

pub(super) fn minutes(number: f64, decimals: Option<u8>) -> Formatted {
    const LADDER: [Rung; 5] = [
        rung(60.0, 1.0, "min", false),
        rung(1440.0, 60.0, "hour", true),
        rung(10_080.0, 1440.0, "day", true),
        rung(604_800.0, 10_080.0, "week", true),
        rung(INF, 5.259_48e5, "year", true),
    ];
    climb(number, decimals, &LADDER)
}

pub(super) fn hours(number: f64, decimals: Option<u8>) -> Formatted {
    const LADDER: [Rung; 4] = [
        rung(24.0, 1.0, "hour", false),
        rung(168.0, 24.0, "day", true),
        rung(8760.0, 168.0, "week", true),
        rung(INF, 8760.0, "year", true),
    ];
    climb(number, decimals, &LADDER)
}

pub(super) fn days(number: f64, decimals: Option<u8>) -> Formatted {
    const LADDER: [Rung; 3] =
        [rung(7.0, 1.0, "day", false), rung(365.0, 7.0, "week", true), rung(INF, 365.0, "year", true)];
    climb(number, decimals, &LADDER)
}

/// Words: as many units from the largest down as there are decimals, and one.
pub(super) fn duration(number: f64, decimals: Option<u8>, factor_ms: f64, unit: &str) -> Formatted {
    const UNITS: [(&str, f64); 8] = [
        ("year", 31_536_000_000.0),
        ("month", 2_592_000_000.0),
        ("week", 604_800_000.0),
        ("day", 86_400_000.0),
        ("hour", 3_600_000.0),
        ("minute", 60_000.0),
        ("second", 1000.0),
        ("millisecond", 1.0),
    ];
    if number == 0.0 {
        return Formatted::suffixed("0", format!(" {unit}s"));
    }
    if number < 0.0 {
        let ahead = duration(-number, decimals, factor_ms, unit);
        return Formatted { suffix: format!("{} ago", ahead.suffix), ..ahead };
    }
    let mut rest = number * factor_ms;
    let mut parts = Vec::new();
    let wanted = usize::from(decimals.unwrap_or(0)) + 1;
    for (name, ms) in UNITS {
        let count = rest / ms;
        if (count >= 1.0 || !parts.is_empty()) && parts.len() < wanted {
            let count = count.floor();
            parts.push(format!("{count} {name}{}", if count == 1.0 { "" } else { "s" }));
            rest %= ms;
        }
    }
    Formatted::text(parts.join(", "))
}

pub(super) fn hours_minutes_seconds(number: f64, with_days: bool) -> Formatted {
    if number < 0.0 {
        let ahead = hours_minutes_seconds(-number, with_days);
        return Formatted { suffix: " ago".to_owned(), ..ahead };
    }
    let day = (number / 86_400.0).floor();
    let (before, number) =
        if with_days && day > 0.0 { (format!("{day} d "), number % 86_400.0) } else { (String::new(), number) };
    let hours = (number / 3600.0).floor();
    let minutes = (number % 3600.0 / 60.0).floor();
    let seconds = (number % 60.0).floor();
    Formatted::text(format!("{before}{hours:02}:{minutes:02}:{seconds:02}"))
}

/// `01h:02m:03s:004ms`, the first `decimals + 1` parts.
pub(super) fn clock(ms: f64, decimals: Option<u8>) -> String {
    let whole = ms.clamp(-9e15, 9e15) as i64;
    let part = |divisor: i64, modulus: i64| whole.div_euclid(divisor).rem_euclid(modulus);
    let mut parts = Vec::new();
    if ms >= 3_600_000.0 {
        parts.push(format!("{:02}h", whole / 3_600_000));
    }
    if ms >= 60_000.0 {
        parts.push(format!("{:02}m", part(60_000, 60)));
    }
    if ms >= 1000.0 {
        parts.push(format!("{:02}s", part(1000, 60)));
    }
    parts.push(format!("{:03}ms", part(1, 1000)));
    if let Some(decimals) = decimals {
        parts.truncate(usize::from(decimals) + 1);
    }
    parts.join(":")
}

/// Dates past this are no dates to JavaScript either.
const DATE_MS_MAX: f64 = 8.64e15;

pub(super) fn date(ms: f64, pattern: &str, context: &FormatContext<'_>) -> String {
    if ms.abs() > DATE_MS_MAX {
        return "Invalid date".to_owned();
    }
    // Towards zero, as JavaScript's `Date` cuts.
    let ms = ms as i64;
    let local = context.calendar.civil(ms);
    calendar::format(local, (context.calendar.offset_ms)(ms), pattern)
}

pub(super) fn date_unless_today(ms: f64, pattern: &str, today: &str, context: &FormatContext<'_>) -> String {
    let same_day = ms.abs() <= DATE_MS_MAX
        && context.calendar.civil(ms as i64).midnight() == context.calendar.civil(context.now_ms).midnight();
    date(ms, if same_day { today } else { pattern }, context)
}

/// `3 years ago`, `in a minute`: steps and words of moment.js.
pub(super) fn from_now(ms: f64, now_ms: i64) -> String {
    let away_ms = ms - now_ms as f64;
    let seconds = (away_ms.abs() / 1000.0).round();
    let minutes = (away_ms.abs() / 60_000.0).round();
    let hours = (away_ms.abs() / 3_600_000.0).round();
    let days = (away_ms.abs() / 86_400_000.0).round();
    let months = (away_ms.abs() / 86_400_000.0 / 30.436_875).round();
    let years = (away_ms.abs() / 86_400_000.0 / 365.242_5).round();
    let words = if seconds < 45.0 {
        "a few seconds".to_owned()
    } else if minutes <= 1.0 {
        "a minute".to_owned()
    } else if minutes < 45.0 {
        format!("{minutes} minutes")
    } else if hours <= 1.0 {
        "an hour".to_owned()
    } else if hours < 22.0 {
        format!("{hours} hours")
    } else if days <= 1.0 {
        "a day".to_owned()
    } else if days < 26.0 {
        format!("{days} days")
    } else if months <= 1.0 {
        "a month".to_owned()
    } else if months < 11.0 {
        format!("{months} months")
    } else if years <= 1.0 {
        "a year".to_owned()
    } else {
        format!("{years} years")
    };
    if away_ms > 0.0 { format!("in {words}") } else { format!("{words} ago") }
}
