//! Round ticks: 1, 2, 2.5, 5 × 10ⁿ for numbers, powers of two for bytes, clock steps for seconds, calendar steps for
//! the time axis.

use dashboard::calendar::{Calendar, Civil, DAY_MS, format};

/// What a step must be round in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickUnit {
    Decimal,
    Binary,
    /// Seconds, minutes, hours.
    Clock {
        per_second: u32,
    },
}

/// The kind of steps a unit wants.
pub fn tick_unit(unit: &str) -> TickUnit {
    match unit {
        "bytes" | "bits" | "kbytes" | "mbytes" | "gbytes" | "tbytes" | "pbytes" | "binBps" | "binbps" | "KiBs"
        | "MiBs" | "GiBs" | "Kibits" | "Mibits" | "Gibits" => TickUnit::Binary,
        "s" | "dtdurations" | "dthms" | "clocks" => TickUnit::Clock { per_second: 1 },
        "ms" | "dtdurationms" | "clockms" => TickUnit::Clock { per_second: 1000 },
        _ => TickUnit::Decimal,
    }
}

/// Round values within the bounds, about `count` of them.
pub fn value_ticks(min: f64, max: f64, count: usize, unit: TickUnit) -> Vec<f64> {
    /// Whatever the caller asks for, more lines than this are a grey area.
    const TICKS_MAX: usize = 100;
    let raw = (max - min) / count.max(1) as f64;
    if !(raw > 0.0 && raw.is_finite()) {
        return vec![min];
    }
    let step = match unit {
        TickUnit::Decimal => decimal_step(raw),
        TickUnit::Binary => {
            if raw < 1.0 {
                decimal_step(raw)
            } else {
                raw.log2().ceil().exp2()
            }
        }
        TickUnit::Clock { per_second } => {
            let per_second = f64::from(per_second);
            let seconds = raw / per_second;
            const STEPS: [f64; 17] = [
                1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0,
                21_600.0, 43_200.0,
            ];
            if seconds < 1.0 {
                decimal_step(raw)
            } else {
                let step = STEPS
                    .into_iter()
                    .find(|step| *step >= seconds)
                    .unwrap_or_else(|| 86_400.0 * decimal_step(seconds / 86_400.0).max(1.0));
                step * per_second
            }
        }
    };
    let first = (min / step - 1e-9).ceil();
    let last = (max / step + 1e-9).floor();
    let steps = (last - first).clamp(0.0, TICKS_MAX as f64) as usize;
    if last < first {
        return Vec::new();
    }
    // Multiplied, not added up, so that errors do not grow; and zero is zero.
    (0..=steps)
        .map(|i| (first + i as f64) * step)
        .map(|tick| if tick.abs() < step * 1e-9 { 0.0 } else { tick })
        .collect()
}

fn decimal_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let digit = raw / power;
    let round = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|round| *round >= digit * (1.0 - 1e-9)).unwrap_or(10.0);
    round * power
}

/// A tick of the time axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    pub time_ms: i64,
    pub label: String,
    /// Midnight, the first of a month or year: written stronger.
    pub major: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum TimeStep {
    Ms(i64),
    Days(i64),
    Months(i64),
}

/// Round times within the window, about `count` of them, at round local times of the viewer.
pub fn time_ticks(from_ms: i64, to_ms: i64, count: usize, calendar: &Calendar<'_>) -> Vec<Tick> {
    const TICKS_MAX: usize = 200;
    let raw = (to_ms - from_ms).max(1) / count.max(1) as i64;
    let step = time_step(raw.max(1));
    let start = calendar.civil(from_ms);
    let mut out = Vec::new();
    match step {
        TimeStep::Ms(step) => {
            // Counted from local midnight, so that 6 h steps fall on 00, 06, 12, 18; the day begins anew after each.
            let mut midnight = start.midnight();
            'days: loop {
                let day_ms = calendar.instant(midnight);
                let next = midnight.add_days(1);
                let next_ms = calendar.instant(next);
                let mut local =
                    if day_ms >= from_ms { 0 } else { (start.to_ms() - midnight.to_ms()).div_euclid(step) * step };
                while local < DAY_MS {
                    let time_ms = calendar.instant(Civil::from_ms(midnight.to_ms() + local));
                    if time_ms > to_ms || out.len() >= TICKS_MAX {
                        break 'days;
                    }
                    if time_ms >= from_ms && out.last().is_none_or(|last: &Tick| last.time_ms < time_ms) {
                        out.push(tick(time_ms, step, calendar));
                    }
                    local += step;
                }
                midnight = next;
                if next_ms > to_ms {
                    break;
                }
            }
        }
        TimeStep::Days(days) => {
            // Weeks begin on Monday; other steps count from the first of the month.
            let mut day = start.midnight();
            for _ in 0..20_000 {
                let fits = if days % 7 == 0 {
                    day.weekday() == 1
                        && (Civil { ..day }.to_ms().div_euclid(DAY_MS) + 3).div_euclid(7).rem_euclid(days / 7) == 0
                } else {
                    (i64::from(day.day) - 1) % days == 0 && (days == 1 || i64::from(day.day) + days / 2 <= 31)
                };
                let time_ms = calendar.instant(day);
                if time_ms > to_ms || out.len() >= TICKS_MAX {
                    break;
                }
                if fits && time_ms >= from_ms {
                    let major = day.day == 1;
                    out.push(Tick { time_ms, label: format(day, 0, if major { "MMM" } else { "D MMM" }), major });
                }
                day = day.add_days(1);
            }
        }
        TimeStep::Months(months) => {
            let index = start.year * 12 + i64::from(start.month) - 1;
            let mut month = Civil { day: 1, ..start.midnight() }.add_months(-index.rem_euclid(months));
            for _ in 0..TICKS_MAX * 2 {
                let time_ms = calendar.instant(month);
                if time_ms > to_ms {
                    break;
                }
                if time_ms >= from_ms {
                    let major = month.month == 1;
                    let label = if major || months >= 12 { format!("{}", month.year) } else { format(month, 0, "MMM") };
                    out.push(Tick { time_ms, label, major });
                }
                month = month.add_months(months);
            }
        }
    }
    out
}

fn tick(time_ms: i64, step: i64, calendar: &Calendar<'_>) -> Tick {
    let local = calendar.civil(time_ms);
    let midnight = local.midnight() == local;
    let pattern = match step {
        _ if midnight => "D MMM",
        ..1000 => "HH:mm:ss.SSS",
        1000..60_000 => "HH:mm:ss",
        _ => "HH:mm",
    };
    Tick { time_ms, label: format(local, 0, pattern), major: midnight }
}

fn time_step(raw_ms: i64) -> TimeStep {
    const MS: [i64; 30] = [
        1,
        2,
        5,
        10,
        20,
        50,
        100,
        200,
        500,
        1000,
        2000,
        5000,
        10_000,
        15_000,
        30_000,
        60_000,
        120_000,
        300_000,
        600_000,
        900_000,
        1_800_000,
        3_600_000,
        7_200_000,
        10_800_000,
        14_400_000,
        21_600_000,
        28_800_000,
        43_200_000,
        i64::MAX,
        i64::MAX,
    ];
    if let Some(step) = MS.into_iter().take(28).find(|step| *step >= raw_ms) {
        return TimeStep::Ms(step);
    }
    let days = raw_ms as f64 / DAY_MS as f64;
    for step in [1, 2, 5, 7, 14] {
        if days <= step as f64 {
            return TimeStep::Days(step);
        }
    }
    let months = days / 30.5;
    for step in [1, 2, 3, 6, 12] {
        if months <= step as f64 {
            return TimeStep::Months(step);
        }
    }
    TimeStep::Months(12 * (decimal_step(months / 12.0).max(1.0) as i64).clamp(1, 10_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let ticks = |min, max, unit| {
            value_ticks(min, max, 5, tick_unit(unit))
                .iter()
                .map(|t| dashboard::units::plain(*t))
                .collect::<Vec<_>>()
                .join(" ")
        };
        for (min, max, unit, expected) in [
            (0.0, 10.0, "short", "0 2 4 6 8 10"),
            (0.0, 13.0, "short", "0 5 10"),
            (-0.3, 0.9, "percentunit", "-0.25 0 0.25 0.5 0.75"),
            (0.0, 5e9, "bytes", "0 1073741824 2147483648 3221225472 4294967296"),
            (0.0, 5400.0, "s", "0 1800 3600 5400"),
            (0.0, 0.02, "s", "0 0.005 0.01 0.015 0.02"),
            (1.0, 1.0, "short", "1"),
        ] {
            assert_eq!(ticks(min, max, unit), expected, "{min}..{max} {unit}");
        }
        for (min, max) in [(f64::NAN, 1.0), (0.0, f64::INFINITY), (-1e308, 1e308), (0.0, 5e-324), (1e300, 1e300 + 1.0)]
        {
            assert!(value_ticks(min, max, 5, TickUnit::Decimal).len() <= 101);
        }
    }

    #[test]
    fn times() {
        let utc = Calendar::utc();
        let berlin = Calendar { offset_ms: &|_| 3_600_000, ..Calendar::utc() };
        let now = 1_795_356_000_000; // 2026-11-22T14:00Z
        let said = |length: i64, calendar: &Calendar<'_>| {
            time_ticks(now - length, now, 6, calendar).iter().map(|t| t.label.clone()).collect::<Vec<_>>().join(" ")
        };
        let hour = 3_600_000;
        for (length, expected) in [
            (5 * 60_000, "13:55 13:56 13:57 13:58 13:59 14:00"),
            (hour, "13:00 13:10 13:20 13:30 13:40 13:50 14:00"),
            (6 * hour, "08:00 09:00 10:00 11:00 12:00 13:00 14:00"),
            (24 * hour, "16:00 20:00 22 Nov 04:00 08:00 12:00"),
            (7 * 24 * hour, "17 Nov 19 Nov 21 Nov"),
            (365 * 24 * hour, "2026 Mar May Jul Sep Nov"),
            (3000, "13:59:57.000 13:59:57.500 13:59:58.000 13:59:58.500 13:59:59.000 13:59:59.500 14:00:00.000"),
        ] {
            assert_eq!(said(length, &utc), expected, "{length} ms");
        }
        assert_eq!(said(24 * hour, &berlin), "16:00 20:00 22 Nov 04:00 08:00 12:00");
        for length in [1, 10, 1000, 100 * 365 * 24 * hour, i64::MAX / 4] {
            assert!(time_ticks(-length, length, 8, &utc).len() <= 401);
        }
    }
}
