//! Times for people: how long ago, how long it takes, and the full time behind it.

/// Milliseconds since 1970 of an RFC 3339 time, as Go writes it: up to nine decimals, `Z` or an offset.
/// `None` for anything else, and for Go's zero time (year 1), which means "never".
pub fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if year <= 1 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let mut clock = clock.splitn(3, ':');
    let hour = clock.next()?.parse::<i64>().ok()?;
    let minute = clock.next()?.parse::<i64>().ok()?;
    let second = clock.next()?.parse::<f64>().ok()?;
    let offset_minutes = match zone {
        "Z" | "z" => 0,
        _ => {
            let (sign, zone) = zone.split_at(1);
            let (hours, minutes) = zone.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if sign == "-" { -minutes } else { minutes }
        }
    };
    let days = days_from_civil(year, month, day);
    let seconds = ((days * 24 + hour) * 60 + minute - offset_minutes) * 60;
    Some(seconds * 1000 + (second * 1000.0).floor() as i64)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March so that leap days come last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// `2026-11-22T14:00:00.000Z`, as the alert API takes it.
pub fn format_rfc3339(time_ms: i64) -> String {
    let (seconds, millis) = (time_ms.div_euclid(1000), time_ms.rem_euclid(1000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The full time, in UTC, for the `title` of a relative one: `2026-11-22 14:00:00 UTC`.
pub fn format_full(time_ms: i64) -> String {
    let text = format_rfc3339(time_ms);
    let (text, _) = text.split_once('.').unwrap_or((&text, ""));
    format!("{} UTC", text.replace('T', " "))
}

/// A span in words, two units at most and the smaller one only while it matters: `14 s`, `14 min`, `2 h 5 min`, `3 days`.
pub fn format_span(span_ms: i64) -> String {
    let seconds = span_ms.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if seconds < 60 => format!("{seconds} s"),
        () if minutes < 60 => format!("{minutes} min"),
        () if hours < 6 && minutes % 60 != 0 => format!("{hours} h {} min", minutes % 60),
        () if hours < 48 => format!("{hours} h"),
        () => format!("{days} days"),
    }
}

/// `3 s ago`, `in 2 h`, `now`.
pub fn format_relative(time_ms: i64, now_ms: i64) -> String {
    match now_ms - time_ms {
        0..1000 => "now".to_owned(),
        past if past > 0 => format!("{} ago", format_span(past)),
        future => format!("in {}", format_span(-future)),
    }
}

/// A measured duration in seconds: `0.4 ms`, `12 ms`, `1.25 s`, `2 min`.
pub fn format_seconds(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "–".to_owned(),
        s if s < 0.000_5 => format!("{:.0} µs", s * 1e6),
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.2} s"),
        s => format_span((s * 1000.0) as i64),
    }
}

/// The browser's clock, Unix milliseconds.
pub fn now_ms() -> i64 {
    js_sys::Date::now() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_there_and_back() {
        for (text, expected) in [
            ("2026-11-22T14:00:00Z", "2026-11-22T14:00:00.000Z"),
            ("2026-11-22T14:00:00.123456789+02:00", "2026-11-22T12:00:00.123Z"),
            ("2024-02-29T23:59:59.5-01:30", "2024-03-01T01:29:59.500Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000Z"),
            ("0001-01-01T00:00:00Z", "never"),
            ("2026-13-01T00:00:00Z", "never"),
            ("soon", "never"),
        ] {
            let said = parse_rfc3339_ms(text).map_or("never".to_owned(), format_rfc3339);
            assert_eq!(said, expected, "in case `{text}`");
        }
    }

    #[test]
    fn spans() {
        for (ms, expected) in [
            (-5, "0 s"),
            (14_900, "14 s"),
            (840_000, "14 min"),
            (7_500_000, "2 h 5 min"),
            (7_200_000, "2 h"),
            (36_000_000, "10 h"),
            (259_200_000, "3 days"),
        ] {
            assert_eq!(format_span(ms), expected);
        }
        assert_eq!(format_relative(1_000, 15_000), "14 s ago");
        assert_eq!(format_relative(61_000, 1_000), "in 1 min");
        assert_eq!(format_relative(1_000, 1_400), "now");
    }

    #[test]
    fn durations() {
        for (seconds, expected) in [
            (0.000_2, "200 µs"),
            (0.004_2, "4.2 ms"),
            (0.312, "312 ms"),
            (1.25, "1.25 s"),
            (125.0, "2 min"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(format_seconds(seconds), expected);
        }
    }
}
