//! Civil dates without a clock and without a table of zones: the caller says how far a zone is from UTC at a given
//! instant. Proleptic Gregorian calendar, as ISO 8601 has it.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// Times are kept within ±200,000 years, so that no arithmetic here can overflow.
const TIME_MS_MAX: i64 = 6_300_000_000_000_000;

/// A date and time of day in some zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub millisecond: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weekday {
    Sunday = 0,
    Monday = 1,
    Saturday = 6,
}

/// How the viewer counts time.
#[derive(Clone, Copy)]
pub struct Calendar<'a> {
    /// Milliseconds to add to UTC to get local time, at a UTC instant in ms.
    pub offset_ms: &'a dyn Fn(i64) -> i64,
    pub week_start: Weekday,
    /// 0 is January.
    pub fiscal_year_start_month: u8,
}

impl Calendar<'_> {
    /// UTC, weeks from Sunday, the year from January.
    pub fn utc() -> Calendar<'static> {
        Calendar { offset_ms: &|_| 0, week_start: Weekday::Sunday, fiscal_year_start_month: 0 }
    }

    /// Local date and time of an instant.
    pub fn civil(&self, utc_ms: i64) -> Civil {
        let utc_ms = utc_ms.clamp(-TIME_MS_MAX, TIME_MS_MAX);
        Civil::from_ms(utc_ms + (self.offset_ms)(utc_ms).clamp(-2 * DAY_MS, 2 * DAY_MS))
    }

    /// The instant of a local time. A time that a change of the clocks skips is moved past the gap; of a repeated
    /// one the first is taken.
    pub fn instant(&self, local: Civil) -> i64 {
        let local_ms = local.to_ms();
        // The offsets a day before and after cover every change of the clocks in between.
        let before = (self.offset_ms)(local_ms - DAY_MS);
        let after = (self.offset_ms)(local_ms + DAY_MS);
        let fits = |offset: i64| (self.offset_ms)(local_ms - offset) == offset;
        if fits(before) {
            local_ms - before
        } else if fits(after) {
            local_ms - after
        } else {
            // In the gap: with the offset before it, the result lies as far behind the gap as the time lay in it.
            local_ms - before
        }
    }
}

/// Reads a week start as dashboards write it; Sunday if it says nothing.
pub fn week_start(word: &str) -> Weekday {
    match word {
        "monday" => Weekday::Monday,
        "saturday" => Weekday::Saturday,
        _ => Weekday::Sunday,
    }
}

impl Civil {
    pub fn date(year: i64, month: u32, day: u32) -> Self {
        Civil { year, month, day, hour: 0, minute: 0, second: 0, millisecond: 0 }
    }

    /// Milliseconds since 1970 as if the zone were UTC. A day past the end of its month runs into the next.
    pub fn to_ms(self) -> i64 {
        days_from_civil(self.year, self.month, self.day) * DAY_MS
            + i64::from(self.hour) * 3_600_000
            + i64::from(self.minute) * 60_000
            + i64::from(self.second) * 1000
            + i64::from(self.millisecond)
    }

    pub fn from_ms(ms: i64) -> Self {
        let (days, in_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: (in_day / 3_600_000) as u32,
            minute: (in_day / 60_000 % 60) as u32,
            second: (in_day / 1000 % 60) as u32,
            millisecond: (in_day % 1000) as u32,
        }
    }

    /// 0 is Sunday.
    pub fn weekday(self) -> u32 {
        (days_from_civil(self.year, self.month, self.day) + 4).rem_euclid(7) as u32
    }

    /// 1 to 366.
    pub fn day_of_year(self) -> u32 {
        (days_from_civil(self.year, self.month, self.day) - days_from_civil(self.year, 1, 1) + 1) as u32
    }

    /// The date moved by months; a day that the month lacks becomes its last.
    pub fn add_months(self, months: i64) -> Self {
        let total = (self.year * 12 + i64::from(self.month) - 1).saturating_add(months);
        let (year, month) = (total.div_euclid(12).clamp(-200_000, 200_000), total.rem_euclid(12) as u32 + 1);
        Civil { year, month, day: self.day.min(days_in_month(year, month)), ..self }
    }

    pub fn add_days(self, days: i64) -> Self {
        let sum = days_from_civil(self.year, self.month, self.day).saturating_add(days).clamp(-73_000_000, 73_000_000);
        let (year, month, day) = civil_from_days(sum);
        Civil { year, month, day, ..self }
    }

    pub fn midnight(self) -> Self {
        Civil { hour: 0, minute: 0, second: 0, millisecond: 0, ..self }
    }
}

pub fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01. Counts in eras of 400 years whose years begin in March, so that the leap day comes last.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = (if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 }) as u32;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

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
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Writes a time by moment.js' format letters: `YYYY-MM-DD HH:mm:ss`, `MMM`, `ddd`, `[text]`, … An offset in ms serves
/// `Z` and `ZZ`, and `X` and `x` count from the instant.
pub fn format(local: Civil, offset_ms: i64, pattern: &str) -> String {
    // Longest first where one begins another.
    const TOKENS: [&str; 38] = [
        "YYYY", "YY", "Y", "MMMM", "MMM", "MM", "Mo", "M", "DDDD", "DDD", "DD", "Do", "D", "dddd", "ddd", "dd", "d",
        "E", "e", "HH", "H", "hh", "h", "kk", "k", "mm", "m", "ss", "s", "SSS", "SS", "S", "A", "a", "ZZ", "Z", "X",
        "x",
    ];
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    'next: while let Some(first) = rest.chars().next() {
        if let Some((literal, tail)) = rest.strip_prefix('[').and_then(|body| body.split_once(']')) {
            out.push_str(literal);
            rest = tail;
            continue;
        }
        for composed in [
            ("LTS", "h:mm:ss A"),
            ("LT", "h:mm A"),
            ("LLLL", "dddd, MMMM D, YYYY h:mm A"),
            ("LLL", "MMMM D, YYYY h:mm A"),
            ("LL", "MMMM D, YYYY"),
            ("L", "MM/DD/YYYY"),
            ("l", "M/D/YYYY"),
        ] {
            if let Some(tail) = rest.strip_prefix(composed.0) {
                out.push_str(&format(local, offset_ms, composed.1));
                rest = tail;
                continue 'next;
            }
        }
        for token in TOKENS {
            if let Some(tail) = rest.strip_prefix(token) {
                out.push_str(&token_text(local, offset_ms, token));
                rest = tail;
                continue 'next;
            }
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}

fn token_text(local: Civil, offset_ms: i64, token: &str) -> String {
    let hour12 = if local.hour.is_multiple_of(12) { 12 } else { local.hour % 12 };
    let month = MONTHS[(local.month as usize - 1) % 12];
    let weekday = WEEKDAYS[local.weekday() as usize % 7];
    let offset = |separator: &str| {
        let minutes = offset_ms.abs() / 60_000;
        format!("{}{:02}{separator}{:02}", if offset_ms < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    };
    match token {
        "YYYY" => format!("{:04}", local.year),
        "YY" => format!("{:02}", local.year.rem_euclid(100)),
        "Y" => local.year.to_string(),
        "MMMM" => month.to_owned(),
        "MMM" => month[..3].to_owned(),
        "MM" => format!("{:02}", local.month),
        "Mo" => ordinal(local.month),
        "M" => local.month.to_string(),
        "DDDD" => format!("{:03}", local.day_of_year()),
        "DDD" => local.day_of_year().to_string(),
        "DD" => format!("{:02}", local.day),
        "Do" => ordinal(local.day),
        "D" => local.day.to_string(),
        "dddd" => weekday.to_owned(),
        "ddd" => weekday[..3].to_owned(),
        "dd" => weekday[..2].to_owned(),
        "d" | "e" => local.weekday().to_string(),
        "E" => (if local.weekday() == 0 { 7 } else { local.weekday() }).to_string(),
        "HH" => format!("{:02}", local.hour),
        "H" => local.hour.to_string(),
        "hh" => format!("{hour12:02}"),
        "h" => hour12.to_string(),
        "kk" => format!("{:02}", if local.hour == 0 { 24 } else { local.hour }),
        "k" => (if local.hour == 0 { 24 } else { local.hour }).to_string(),
        "mm" => format!("{:02}", local.minute),
        "m" => local.minute.to_string(),
        "ss" => format!("{:02}", local.second),
        "s" => local.second.to_string(),
        "SSS" => format!("{:03}", local.millisecond),
        "SS" => format!("{:02}", local.millisecond / 10),
        "S" => (local.millisecond / 100).to_string(),
        "A" => if local.hour < 12 { "AM" } else { "PM" }.to_owned(),
        "a" => if local.hour < 12 { "am" } else { "pm" }.to_owned(),
        "ZZ" => offset(""),
        "Z" => offset(":"),
        "X" => (local.to_ms() - offset_ms).div_euclid(1000).to_string(),
        "x" => (local.to_ms() - offset_ms).to_string(),
        other => other.to_owned(),
    }
}

fn ordinal(number: u32) -> String {
    let suffix = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_both_ways() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00.000 Thu 1"),
            (951_782_400_000, "2000-02-29 00:00:00.000 Tue 60"),
            (-1, "1969-12-31 23:59:59.999 Wed 365"),
            (1_795_356_000_000, "2026-11-22 14:00:00.000 Sun 326"),
            (4_107_542_399_999, "2100-02-28 23:59:59.999 Sun 59"),
        ] {
            let civil = Civil::from_ms(ms);
            assert_eq!(format(civil, 0, "YYYY-MM-DD HH:mm:ss.SSS ddd DDD"), text);
            assert_eq!(civil.to_ms(), ms, "{text}");
        }
        assert_eq!(Civil::date(2024, 1, 31).add_months(1), Civil::date(2024, 2, 29));
        assert_eq!(Civil::date(2024, 1, 31).add_months(-2), Civil::date(2023, 11, 30));
        assert_eq!(
            format(Civil::date(2026, 11, 2), 5_400_000, "[on] MMM Do YY, h A Z ZZ"),
            "on Nov 2nd 26, 12 AM +01:30 +0130"
        );
    }

    /// Berlin in 2026: summer time from 29 March 01:00 UTC to 25 October 01:00 UTC.
    fn berlin(utc_ms: i64) -> i64 {
        let summer =
            Civil { hour: 1, ..Civil::date(2026, 3, 29) }.to_ms()
                ..Civil { hour: 1, ..Civil::date(2026, 10, 25) }.to_ms();
        if summer.contains(&utc_ms) { 7_200_000 } else { 3_600_000 }
    }

    #[test]
    fn changes_of_the_clocks() {
        let calendar = Calendar { offset_ms: &berlin, ..Calendar::utc() };
        for (month, day, hour, expected) in
            [(3, 29, 2, "03:00 +02:00"), (10, 25, 2, "02:00 +02:00"), (7, 1, 0, "00:00 +02:00")]
        {
            let instant = calendar.instant(Civil { hour, ..Civil::date(2026, month, day) });
            assert_eq!(format(calendar.civil(instant), berlin(instant), "HH:mm Z"), expected);
        }
        let day = |month, day| {
            calendar.instant(Civil::date(2026, month, day + 1)) - calendar.instant(Civil::date(2026, month, day))
        };
        assert_eq!([day(3, 29), day(10, 25), day(5, 5)].map(|ms| ms / 3_600_000), [23, 25, 24]);
    }
}
