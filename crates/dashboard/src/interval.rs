//! Steps of queries: `$__interval`, `$__rate_interval`, and texts of intervals such as `1m` or `>10s`.

/// A step is taken for a calculated interval below the limit, in ms: Grafana's table, which rounds up to halfway to
/// the next step.
const STEPS_MS: [(f64, i64); 30] = [
    (10.0, 1),
    (15.0, 10),
    (35.0, 20),
    (75.0, 50),
    (150.0, 100),
    (350.0, 200),
    (750.0, 500),
    (1_500.0, 1_000),
    (3_500.0, 2_000),
    (7_500.0, 5_000),
    (12_500.0, 10_000),
    (17_500.0, 15_000),
    (25_000.0, 20_000),
    (45_000.0, 30_000),
    (90_000.0, 60_000),
    (210_000.0, 120_000),
    (450_000.0, 300_000),
    (750_000.0, 600_000),
    (1_050_000.0, 900_000),
    (1_500_000.0, 1_200_000),
    (2_700_000.0, 1_800_000),
    (5_400_000.0, 3_600_000),
    (9_000_000.0, 7_200_000),
    (16_200_000.0, 10_800_000),
    (32_400_000.0, 21_600_000),
    (86_400_000.0, 43_200_000),
    (604_800_000.0, 86_400_000),
    (1_814_400_000.0, 604_800_000),
    (3_628_800_000.0, 2_592_000_000),
    (f64::INFINITY, 31_536_000_000),
];

/// A step of one of the round lengths for a calculated one, in ms.
pub fn round_interval_ms(interval_ms: f64) -> i64 {
    STEPS_MS.iter().find(|(limit, _)| interval_ms < *limit).map_or(31_536_000_000, |(_, step)| *step)
}

/// `$__interval` in ms: the range over the points that fit, rounded, not below the source's minimum.
pub fn interval_ms(range_ms: i64, max_data_points: u32, min_interval_ms: i64) -> i64 {
    let rounded = round_interval_ms(range_ms.max(0) as f64 / f64::from(max_data_points.max(1)));
    rounded.max(min_interval_ms).max(1)
}

/// `$__rate_interval` in ms: wide enough for a rate to see two scrapes at least.
pub fn rate_interval_ms(interval_ms: i64, scrape_interval_ms: i64) -> i64 {
    interval_ms.saturating_add(scrape_interval_ms).max(scrape_interval_ms.saturating_mul(4))
}

/// The step to ask the server for, so that the answer has at most `max_points` a series (Prometheus: 11,000).
pub fn safe_step_ms(range_ms: i64, step_ms: i64, max_points: i64) -> i64 {
    let points = max_points.max(1);
    step_ms.max((range_ms.max(0) + points - 1) / points).max(1)
}

/// Reads `15s`, `1m`, `1h30m`, `500ms`, `1.5h`, `2d`, `1w`, `1M` (30 d), `1y`, also with a `>` before it; a bare
/// number is seconds. `None` for anything else.
pub fn parse_interval_ms(text: &str) -> Option<i64> {
    let mut rest = text.trim().trim_start_matches('>').trim();
    if rest.is_empty() {
        return None;
    }
    if let Ok(seconds) = rest.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1000.0).min(1e15) as i64);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let tail = &rest[digits..];
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let unit_ms = match &tail[..end] {
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            "d" => 8.64e7,
            "w" => 6.048e8,
            "M" => 2.592e9,
            "y" => 3.1536e10,
            _ => return None,
        };
        total += number * unit_ms;
        rest = &tail[end..];
    }
    (total < 1e15).then_some(total as i64)
}

/// Writes an interval with the largest unit that divides it: `1m`, `90s`, `1500ms`.
pub fn format_interval(interval_ms: i64) -> String {
    for (unit, ms) in
        [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
    {
        if interval_ms >= ms && interval_ms % ms == 0 {
            return format!("{}{unit}", interval_ms / ms);
        }
    }
    format!("{interval_ms}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of ui.md §3.3: points across 500, 1000 and 1500, 15 s minimum.
    #[test]
    fn table() {
        let hour = 3_600_000;
        for (hours, expected) in [
            (6, ["30s", "20s", "15s"]),
            (12, ["1m", "30s", "30s"]),
            (24, ["2m", "1m", "1m"]),
            (48, ["5m", "2m", "2m"]),
            (168, ["20m", "10m", "5m"]),
            (720, ["1h", "30m", "30m"]),
            (2160, ["3h", "2h", "1h"]),
            (8760, ["12h", "6h", "6h"]),
        ] {
            let steps = [500, 1000, 1500].map(|points| format_interval(interval_ms(hours * hour, points, 15_000)));
            assert_eq!(steps, expected, "{hours} h");
        }
        assert_eq!(interval_ms(hour, 1000, 15_000), 15_000);
        assert_eq!((round_interval_ms(12_500.0), round_interval_ms(45_000.0)), (15_000, 60_000));
        assert_eq!((rate_interval_ms(15_000, 15_000), rate_interval_ms(300_000, 15_000)), (60_000, 315_000));
        assert_eq!(safe_step_ms(hour * 24 * 365, 15_000, 11_000), 2_866_910);
    }

    #[test]
    fn texts() {
        for (text, expected) in [
            ("15s", Some(15_000)),
            (">1m", Some(60_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5s", Some(1500)),
            ("7", Some(7000)),
        ] {
            assert_eq!(parse_interval_ms(text), expected, "{text}");
        }
        for bad in ["", "m", "1x", "auto", "-1s", "1e99y"] {
            assert_eq!(parse_interval_ms(bad), None, "{bad}");
        }
        assert_eq!([90_000, 60_000, 1500, 86_400_000].map(format_interval).join(" "), "90s 1m 1500ms 1d");
    }
}
