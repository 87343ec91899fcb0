//! Numbers for people. Source: template reference of Prometheus.

use crate::{Value, fmt::sprintf};

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGE_BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// A number, or a text that is one, or a duration in seconds.
///
/// # Errors
/// Anything else.
#[expect(clippy::cast_precision_loss, reason = "as Go's own conversion")]
pub fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Duration(nanoseconds) => Ok(*nanoseconds as f64 / 1e9),
        other => match other.as_str() {
            Some(text) => model::float::parse_float(text)
                .ok_or_else(|| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
            None => Err(format!("can't convert {} to float", other.type_name())),
        },
    }
}

fn four_digits(value: f64, unit: &str) -> String {
    sprintf("%.4g%s", &[Value::Float(value), Value::str(unit)])
}

/// Divides by `factor` until less than that is left.
fn scaled_down(mut value: f64, factor: f64, units: &[&str; 8]) -> String {
    let mut unit = "";
    for next in units {
        if value.abs() < factor {
            break;
        }
        unit = next;
        value /= factor;
    }
    four_digits(value, unit)
}

/// Multiplies by a thousand until at least one is there.
fn scaled_up(mut value: f64) -> String {
    let mut unit = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        unit = next;
        value *= 1000.0;
    }
    four_digits(value, unit)
}

pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        four_digits(value, "")
    } else if value.abs() >= 1.0 {
        scaled_down(value, 1000.0, &LARGE)
    } else {
        scaled_up(value)
    }
}

pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value, "");
    }
    scaled_down(value, 1024.0, &LARGE_BINARY)
}

pub(super) fn humanize_percentage(value: f64) -> String {
    four_digits(value * 100.0, "%")
}

/// Seconds as `1d 2h 3m 4s`, `1.5ms`.
pub fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four_digits(seconds, "");
    }
    if seconds == 0.0 {
        return "0s".into();
    }
    if seconds.abs() < 1.0 {
        return scaled_up(seconds) + "s";
    }
    let (sign, magnitude) = if seconds < 0.0 { ("-", -seconds) } else { ("", seconds) };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates; the value is positive"
    )]
    let whole = magnitude as u64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}", four_digits(magnitude, "s")),
        (0, 0, _) => format!("{sign}{minutes}m {rest}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {rest}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
    }
}
