//! Numbers with the unit that was inferred for them.

/// A value in a unit that [`dashboard::units`] knows, or short where there is none.
pub fn say(value: f64, unit: &str) -> String {
    if unit.is_empty() { format_value(value) } else { dashboard::units::format_text(value, unit, None) }
}

/// A value of an unknown unit, short: `0.412`, `91.3`, `12345`, `1.2e+12`, with a real minus sign.
pub fn format_value(value: f64) -> String {
    let magnitude = value.abs();
    let text = match () {
        () if !value.is_finite() => return model::float::format_float(value),
        () if magnitude >= 1e9 || (magnitude > 0.0 && magnitude < 1e-3) => format!("{value:.2e}"),
        () if magnitude >= 100.0 => format!("{value:.1}"),
        () if magnitude >= 1.0 => format!("{value:.2}"),
        () => format!("{value:.3}"),
    };
    let short = match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if short == "-0" { "0".to_owned() } else { short.replacen('-', "\u{2212}", usize::from(value < 0.0)) }
}

/// Round values inside a window, at most `wanted` steps of them; what is round depends on the unit.
pub fn ticks(low: f64, high: f64, wanted: u32, unit: &str) -> Vec<f64> {
    if !unit.is_empty() && (high - low).is_finite() && high > low {
        return chart::value_ticks(low, high, wanted as usize, chart::tick_unit(unit));
    }
    let raw = (high - low) / f64::from(wanted.max(1));
    if !raw.is_finite() || raw <= 0.0 {
        return Vec::new();
    }
    let unit = 10_f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * unit).find(|step| *step >= raw).unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).take(16).map(|at| at as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0001, "\u{2212}1.00e-4"),
            (0.24, "0.24"),
            (-1.5, "\u{2212}1.5"),
            (100.0, "100"),
            (12345.67, "12345.7"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(format_value(value), expected);
        }
    }

    #[test]
    fn round_ticks() {
        assert_eq!(ticks(0.0, 112.0, 4, ""), [0.0, 50.0, 100.0]);
        assert_eq!(ticks(-1.0, 1.0, 4, ""), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(ticks(f64::NAN, 1.0, 4, ""), [] as [f64; 0]);
        assert_eq!(ticks(1.0, 1.0, 4, ""), [] as [f64; 0]);
    }

    #[test]
    fn units() {
        assert_eq!(say(1536.0, "bytes"), "1.50 KiB");
        assert_eq!(say(1536.0, ""), "1536");
        assert_eq!(ticks(0.0, 3000.0, 3, "bytes"), [0.0, 1024.0, 2048.0]);
    }
}
