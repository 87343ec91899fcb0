//! `time_intervals`: recurring times, in which routes are mute or active.

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use serde::Deserialize;

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// One entry of `time_intervals[].time_intervals`, as written. An empty list means "any".
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeIntervalConfig {
    pub times: Vec<TimeRange>,
    /// `monday:friday`
    pub weekdays: Vec<String>,
    /// `1:5`, `-3:-1`
    pub days_of_month: Vec<String>,
    /// `1:3`, `may:august`
    pub months: Vec<String>,
    /// `2026:2027`
    pub years: Vec<String>,
    /// IANA name; UTC if absent.
    pub location: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeRange {
    /// `HH:MM`, included.
    pub start_time: String,
    /// `HH:MM`, excluded; `24:00` is the end of the day.
    pub end_time: String,
}

/// One entry, checked. A time is inside if every list that is not empty has a range that holds it.
#[derive(Clone, Debug)]
pub struct TimeInterval {
    /// Minutes since midnight, the end excluded.
    times: Vec<(i32, i32)>,
    weekdays: Vec<(i32, i32)>,
    days_of_month: Vec<(i32, i32)>,
    months: Vec<(i32, i32)>,
    years: Vec<(i32, i32)>,
    zone: TimeZone,
}

impl TimeInterval {
    /// Checks an entry.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(config: &TimeIntervalConfig) -> Result<Self, String> {
        let times = config.times.iter().map(time_range).collect::<Result<_, _>>()?;
        let weekdays = ranges(&config.weekdays, |text| named(&WEEKDAYS, 0, text), "weekday", (0, 6))?;
        let months =
            ranges(&config.months, |text| named(&MONTHS, 1, text).or_else(|| text.parse().ok()), "month", (1, 12))?;
        let years = ranges(&config.years, |text| text.parse().ok(), "year", (i32::MIN, i32::MAX))?;
        let mut days_of_month = Vec::new();
        for text in &config.days_of_month {
            let (from, to) = split(text);
            let (Ok(from), Ok(to)) = (from.parse::<i32>(), to.parse::<i32>()) else {
                return Err(format!("{text:?} is no day of the month; write for example 1:5 or -3:-1"));
            };
            if from == 0 || from.abs() > 31 {
                return Err(format!("{from} is not a valid day of the month: out of range"));
            }
            if to == 0 || to.abs() > 31 {
                return Err(format!("{to} is not a valid day of the month: out of range"));
            }
            if from < 0 && to > 0 {
                return Err("end day must be negative if start day is negative".into());
            }
            // The shortest reading of a mixed range is that of a month with 31 days.
            let absolute = |day: i32| if day < 0 { 32 + day } else { day };
            if absolute(from) > absolute(to) {
                return Err(format!("end day {to} is always before start day {from}"));
            }
            days_of_month.push((from, to));
        }
        let zone = match config.location.as_deref() {
            None | Some("" | "UTC") => TimeZone::UTC,
            Some("Local") => TimeZone::system(),
            Some(name) => TimeZone::get(name).map_err(|_| {
                format!("unknown time zone {name}; write a name of the IANA database, for example Europe/Paris")
            })?,
        };
        Ok(TimeInterval { times, weekdays, days_of_month, months, years, zone })
    }

    /// True when the time, in Unix milliseconds, is inside.
    pub fn contains(&self, time_ms: i64) -> bool {
        let Ok(timestamp) = Timestamp::from_millisecond(time_ms) else { return false };
        let time = timestamp.to_zoned(self.zone.clone());
        let within = |ranges: &[(i32, i32)], value: i32| {
            ranges.is_empty() || ranges.iter().any(|(from, to)| (*from..=*to).contains(&value))
        };
        let minute = i32::from(time.hour()) * 60 + i32::from(time.minute());
        if !self.times.is_empty() && !self.times.iter().any(|(from, to)| (*from..*to).contains(&minute)) {
            return false;
        }
        let month_days = i32::from(time.days_in_month());
        let day = i32::from(time.day());
        let day_within = self.days_of_month.is_empty()
            || self.days_of_month.iter().any(|(from, to)| {
                let absolute = |bound: i32| if bound < 0 { month_days + 1 + bound } else { bound };
                // A day that this month does not have is cut to its last.
                (absolute(*from)..=absolute(*to).min(month_days)).contains(&day) && absolute(*from) <= month_days
            });
        day_within
            && within(&self.months, i32::from(time.month()))
            && within(&self.weekdays, weekday_number(time.weekday()))
            && within(&self.years, i32::from(time.year()))
    }
}

fn weekday_number(day: Weekday) -> i32 {
    i32::from(day.to_sunday_zero_offset())
}

fn split(text: &str) -> (&str, &str) {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    (from.trim(), to.trim())
}

fn named(names: &[&str], first: i32, text: &str) -> Option<i32> {
    let at = names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
    i32::try_from(at).ok().map(|at| at + first)
}

fn ranges(
    texts: &[String],
    parse: impl Fn(&str) -> Option<i32>,
    what: &str,
    (least, most): (i32, i32),
) -> Result<Vec<(i32, i32)>, String> {
    let mut ranges = Vec::new();
    for text in texts {
        let (from, to) = split(text);
        let bound = |text: &str| {
            parse(text).filter(|n| (least..=most).contains(n)).ok_or_else(|| format!("{text} is not a valid {what}"))
        };
        let (from, to) = (bound(from)?, bound(to)?);
        if from > to {
            return Err(format!("start {what} cannot be after end {what}: {text:?}"));
        }
        ranges.push((from, to));
    }
    Ok(ranges)
}

fn time_range(range: &TimeRange) -> Result<(i32, i32), String> {
    if range.start_time.is_empty() || range.end_time.is_empty() {
        return Err("both start and end times must be provided".into());
    }
    let minutes = |text: &str| {
        let parsed = (text.len() == 5).then(|| text.split_once(':')).flatten().and_then(|(hours, minutes)| {
            let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
            let total = hours * 60 + minutes;
            ((0..60).contains(&minutes) && (0..=24 * 60).contains(&total)).then_some(total)
        });
        parsed.ok_or_else(|| format!("couldn't parse timestamp {text}, invalid format; write HH:MM"))
    };
    let (start, end) = (minutes(&range.start_time)?, minutes(&range.end_time)?);
    if start >= end {
        return Err("start time cannot be equal or greater than end time".into());
    }
    Ok((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn times_inside_and_outside() {
        let office = TimeIntervalConfig {
            weekdays: vec!["monday:friday".into()],
            times: vec![TimeRange { start_time: "09:00".into(), end_time: "17:00".into() }],
            location: Some("Europe/Paris".into()),
            ..Default::default()
        };
        let last_days = TimeIntervalConfig {
            days_of_month: vec!["-3:-1".into()],
            months: vec!["february".into()],
            ..Default::default()
        };
        for (config, time, expected) in [
            (&office, "2026-11-23T08:00:00Z", true),
            (&office, "2026-11-23T07:59:00Z", false),
            (&office, "2026-11-23T16:00:00Z", false),
            (&office, "2026-11-22T10:00:00Z", false),
            (&last_days, "2026-02-26T00:00:00Z", true),
            (&last_days, "2026-02-25T00:00:00Z", false),
            (&last_days, "2026-03-31T00:00:00Z", false),
        ] {
            assert_eq!(TimeInterval::new(config).unwrap().contains(ms(time)), expected, "{time}");
        }
    }

    #[test]
    fn faults() {
        for (config, expected) in [
            (TimeIntervalConfig { weekdays: vec!["friday:monday".into()], ..Default::default() }, "cannot be after"),
            (TimeIntervalConfig { months: vec!["13".into()], ..Default::default() }, "not a valid month"),
            (TimeIntervalConfig { days_of_month: vec!["0".into()], ..Default::default() }, "out of range"),
            (TimeIntervalConfig { location: Some("Nowhere/X".into()), ..Default::default() }, "unknown time zone"),
        ] {
            assert!(TimeInterval::new(&config).unwrap_err().contains(expected));
        }
    }
}
