//! Floats as Go prints them, which is what the APIs of this field send.

/// Whole numbers below this are exact and have no exponent.
const WHOLE_MAX: f64 = 1e15;

/// As Go's `strconv.FormatFloat(v, 'f', -1, 64)`: shortest text that reads back equal, never an
/// exponent; `NaN`, `+Inf`, `-Inf`.
pub fn format_float(value: f64) -> String {
    let mut out = String::new();
    push_float(&mut out, value);
    out
}

/// As Go's `%g` and `%v`: like [`format_float`], but with an exponent where there are more than six digits before the point, or
/// more than four zeros behind it.
pub fn format_float_short(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || !value.is_finite() || (1e-4..1e6).contains(&magnitude) {
        return if value == 0.0 && value.is_sign_negative() { "-0".to_owned() } else { format_float(value) };
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// Appends what [`format_float`] gives.
pub fn push_float(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    if value.abs() < WHOLE_MAX && !(value == 0.0 && value.is_sign_negative()) {
        // Within the bounds of an i64 by the check above.
        let whole = value as i64;
        if whole as f64 == value {
            return out.push_str(itoa::Buffer::new().format(whole));
        }
    }
    // Of two shortest texts that are equally near, Go takes the one with the even digit, and so does zmij; `Display` does not.
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    match text.split_once('e') {
        None => out.push_str(text.strip_suffix(".0").unwrap_or(text)),
        Some((mantissa, exponent)) => push_expanded(out, mantissa, exponent.parse().unwrap_or(0)),
    }
}

/// Writes `1.5e-7` without the exponent.
fn push_expanded(out: &mut String, mantissa: &str, exponent: i32) {
    let magnitude = mantissa.strip_prefix('-').unwrap_or(mantissa);
    if magnitude.len() < mantissa.len() {
        out.push('-');
    }
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let fraction = if fraction == "0" { "" } else { fraction };
    let digits = || whole.chars().chain(fraction.chars());
    // How many digits stand before the point. Texts are short and exponents small, so that nothing is lost.
    let before = whole.len() as i32 + exponent;
    if before <= 0 {
        out.push_str("0.");
        out.extend((before..0).map(|_| '0'));
        out.extend(digits());
        return;
    }
    let count = (whole.len() + fraction.len()) as i32;
    for (index, digit) in (0..).zip(digits()) {
        if index == before {
            out.push('.');
        }
        out.push(digit);
    }
    out.extend((count..before).map(|_| '0'));
}

/// Reads a float as Go's `strconv.ParseFloat` does: decimal, exponent, hexadecimal (`0x1p-2`),
/// `Inf`, `Infinity`, `NaN` in any case, digits separated by `_` only with a base prefix.
pub fn parse_float(text: &str) -> Option<f64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    match rest.to_ascii_lowercase().as_str() {
        "nan" if rest.len() == text.len() => return Some(f64::from_bits(crate::stale::NORMAL_NAN_BITS)),
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        return parse_hex_float(hex).map(|v| sign * v);
    }
    // Rust also takes "infinity" and the like, which were handled above.
    if !rest.bytes().next()?.is_ascii_digit() && !rest.starts_with('.') {
        return None;
    }
    rest.parse::<f64>().ok().map(|v| sign * v)
}

/// `1.8p3` after the `0x`; without `p` only whole numbers, as in PromQL.
fn parse_hex_float(hex: &str) -> Option<f64> {
    let (mantissa, exponent) = match hex.split_once(['p', 'P']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (hex, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = whole.chars().chain(fraction.chars()).filter(|c| *c != '_').collect();
    if digits.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for c in digits.chars() {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    let fraction_digits = i32::try_from(fraction.chars().filter(|c| *c != '_').count()).ok()?;
    Some(value * 2.0_f64.powi(exponent - 4 * fraction_digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_read_back_and_are_shortest(bits in any::<u64>(), small in -1e6..1e6, exponent in -25..25) {
            let scaled = small * 10_f64.powi(exponent);
            for value in [f64::from_bits(bits), small, scaled, scaled.trunc()].into_iter().filter(|v| v.is_finite()) {
                let text = format_float(value);
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{}", &text);
                prop_assert_eq!(text.len(), value.to_string().len(), "{}", &text);
            }
        }
    }

    #[test]
    fn go_texts() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e21, "1000000000000000000000"),
            (1.5e-7, "0.00000015"),
            (f64::INFINITY, "+Inf"),
            (100.0, "100"),
            // Go takes the even one of .2 and .3, which are equally near.
            (3_325_834_735_314_481.0 / 4.0, "831458683828620.2"),
            (5e-324, &format!("0.{}5", "0".repeat(323))),
            (-1.25e17, "-125000000000000000"),
            (123_456_789_012_345_680.0, "123456789012345680"),
            (1e15, "1000000000000000"),
            (0.000_012_5, "0.0000125"),
        ] {
            assert_eq!(format_float(value), text);
            assert_eq!(parse_float(text).map(f64::to_bits), Some(value.to_bits()), "{text}");
        }
        assert_eq!(parse_float("0x1f"), Some(31.0));
        assert_eq!(parse_float("-0x1p-2"), Some(-0.25));
        assert_eq!(parse_float("x"), None);
        assert!(parse_float("nan").is_some_and(f64::is_nan));
    }
}
