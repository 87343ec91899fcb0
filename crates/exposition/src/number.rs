//! Numbers of the text formats: read fast, written as Go writes them.

use model::stale::NORMAL_NAN_BITS;

/// More digits than this may not fit a float exactly.
const DIGITS_EXACT: usize = 15;

/// Reads a value: decimal with an optional exponent, `Inf`, `Infinity`, `NaN` in any case; no hexadecimal, no `_`.
pub fn parse_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return None;
    }
    if bytes.len() <= DIGITS_EXACT && bytes.iter().all(u8::is_ascii_digit) {
        // Most values are small whole numbers; 15 digits stay below 2^53.
        let whole = bytes.iter().fold(0_u64, |whole, digit| whole * 10 + u64::from(digit - b'0'));
        return Some(whole as f64);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.bytes().next()? {
        b'0'..=b'9' | b'.' => text.parse().ok(),
        b'i' | b'I' => text.parse().ok(),
        b'n' | b'N' if unsigned.len() == text.len() && text.eq_ignore_ascii_case("nan") => {
            Some(f64::from_bits(NORMAL_NAN_BITS))
        }
        _ => None,
    }
}

/// As Go's `strconv.FormatFloat(value, 'g', -1, 64)`, which the text format and OpenMetrics use: `1e+06`, `0.001`,
/// `+Inf`, `NaN`.
pub fn format_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    // Rust's shortest form is `d.ddde±x`: exactly the digits, and the exponent to decide by.
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Go takes the exponent form below 1e-4 and from 1e6 on when it prints the shortest digits.
    if value != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    value.to_string()
}

/// The value of `le` and `quantile` in one form for all formats, as Prometheus 3 stores it: `1` becomes `1.0`.
pub(crate) fn normalize_float_label(value: &str) -> Option<String> {
    let mut text = format_float(parse_float(value)?);
    if !text.contains(['.', 'e', 'N', 'I']) {
        text.push_str(".0");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_refuses() {
        for (text, value) in [("0", 0.0), ("123", 123.0), ("1.5e3", 1500.0), ("-3e3", -3000.0), ("+Inf", f64::INFINITY)]
        {
            assert_eq!(parse_float(text), Some(value), "{text}");
        }
        for text in ["", "0x1", "1_2", "0b1", "1z", "--1", "+", "nanx", "+nan", ".", "infinit"] {
            assert_eq!(parse_float(text), None, "{text}");
        }
        assert!(parse_float("NaN").is_some_and(|v| v.to_bits() == NORMAL_NAN_BITS));
    }

    #[test]
    fn normalized() {
        for (from, to) in [
            ("1", "1.0"),
            ("0.50", "0.5"),
            ("1e5", "100000.0"),
            ("+Inf", "+Inf"),
            ("1e-5", "1e-05"),
            ("10000000000", "1e+10"),
        ] {
            assert_eq!(normalize_float_label(from).unwrap(), to);
        }
        assert_eq!(normalize_float_label("x"), None);
    }
}
