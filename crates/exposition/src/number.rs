//! Numbers of the text formats: read fast, written as Go writes them.

use model::stale::NORMAL_NAN_BITS;

/// Whole numbers of so many digits are exact in a float.
const DIGITS_EXACT: usize = 15;
/// Powers of ten that are exact in a float.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Reads a value: decimal with an optional exponent, `Inf`, `Infinity`, `NaN` in any case; no hexadecimal, no `_`, and no
/// number that is too large for a float.
pub fn parse_float(text: &str) -> Option<f64> {
    if let Some(value) = parse_short(text.as_bytes()) {
        return Some(value);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.bytes().next()? {
        b'0'..=b'9' | b'.' => text.parse().ok().filter(|value: &f64| value.is_finite()),
        b'i' | b'I' => text.parse().ok(),
        b'n' | b'N' if unsigned.len() == text.len() && text.eq_ignore_ascii_case("nan") => {
            Some(f64::from_bits(NORMAL_NAN_BITS))
        }
        _ => None,
    }
}

/// The values that most targets send: few digits, a small exponent if any. The digits as a whole number and the power
/// of ten are both exact then, so that one division or multiplication rounds as the correct reading does (Clinger 1990).
fn parse_short(text: &[u8]) -> Option<f64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (mut whole, mut digits, mut fraction, mut point) = (0_u64, 0_usize, 0_i32, false);
    let mut exponent = 0_i32;
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                whole = whole * 10 + u64::from(byte - b'0');
                digits += 1;
                fraction += i32::from(point);
                if digits > DIGITS_EXACT {
                    return None;
                }
            }
            b'.' if !point => point = true,
            b'e' | b'E' => {
                exponent = short_exponent(tail)?;
                break;
            }
            _ => return None,
        }
        rest = tail;
    }
    if digits == 0 {
        return None;
    }
    let power = exponent - fraction;
    let scale = *POWERS.get(power.unsigned_abs() as usize)?;
    let value = if power < 0 { whole as f64 / scale } else { whole as f64 * scale };
    Some(if negative { -value } else { value })
}

fn short_exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    if digits.is_empty() || digits.len() > 2 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(sign * digits.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0')))
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
    Some(float_label(parse_float(value)?))
}

/// A bound or a quantile as such a label.
pub(crate) fn float_label(value: f64) -> String {
    let mut text = format_float(value);
    if !text.contains(['.', 'e', 'N', 'I']) {
        text.push_str(".0");
    }
    text
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
    fn short_numbers_are_read_as_long_ones() {
        for text in
            ["-0", "0.0", "0.1", "123.456", "1e22", "1e23", "9007199254740993", "5.e3", ".5", "1e-22", "1.5E+02"]
        {
            let slow: f64 = text.parse().unwrap();
            assert_eq!(parse_float(text).map(f64::to_bits), Some(slow.to_bits()), "{text}");
        }
        for text in ["1e", "1e+", "e5", "1.2.3", "-", "1e5e", "1e1.0"] {
            assert_eq!(parse_float(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_number_is_read_exactly(whole in 0_u64..1_000_000_000_000_000, places in 0_usize..15, exponent in -30..30_i32) {
            let digits = format!("{whole:0>16}");
            let (head, tail) = digits.split_at(16 - places);
            let head = head.trim_start_matches('0');
            for text in [format!("{head}.{tail}"), format!("-{head}.{tail}e{exponent}"), format!("{whole}e{exponent:+}")] {
                if let Ok(slow) = text.parse::<f64>() {
                    proptest::prop_assert_eq!(parse_float(&text).map(f64::to_bits), Some(slow.to_bits()), "{}", text);
                }
            }
        }
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
