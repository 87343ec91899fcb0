//! Parts of dates, in UTC, by the proleptic Gregorian calendar.

const DAY_SECONDS: i64 = 86_400;

/// The function that takes a part out of seconds since 1970.
pub(crate) fn date_part(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "day_of_month" => |v| part(v, |days, _| civil(days).2),
        "day_of_week" => |v| part(v, |days, _| (days + 4).rem_euclid(7)),
        "day_of_year" => |v| {
            part(v, |days, _| {
                let (year, _, _) = civil(days);
                days - days_before(year, 1) + 1
            })
        },
        "days_in_month" => |v| {
            part(v, |days, _| {
                let (year, month, _) = civil(days);
                let next = if month == 12 { days_before(year + 1, 1) } else { days_before(year, month + 1) };
                next - days_before(year, month)
            })
        },
        "hour" => |v| part(v, |_, seconds| seconds / 3600),
        "minute" => |v| part(v, |_, seconds| seconds / 60 % 60),
        "month" => |v| part(v, |days, _| civil(days).1),
        "year" => |v| part(v, |days, _| civil(days).0),
        _ => return None,
    })
}

/// Calls `f` with days since 1970 and seconds of the day. As in Go, what 64 bits of seconds do not hold, NaN too, is the smallest time
/// that they do, and times before the first year of its calendar come round again at the other end.
fn part(value: f64, f: impl Fn(i64, i64) -> i64) -> f64 {
    const FIRST_YEAR: i64 = -292_277_022_399;
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let mut seconds = if (-LIMIT..LIMIT).contains(&value) { value as i128 } else { i128::from(i64::MIN) };
    if seconds < i128::from(days_before(FIRST_YEAR, 1)) * i128::from(DAY_SECONDS) {
        seconds += 1 << 64;
    }
    let day = i128::from(DAY_SECONDS);
    // A day's number is a hundred thousandth of what 64 bits hold.
    f(seconds.div_euclid(day) as i64, seconds.rem_euclid(day) as i64) as f64
}

/// Year, month and day of a day counted from 1970-01-01. Counts in years that begin in March, so that the leap day is
/// the last one, and in eras of 400 years, which are all equally long.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
