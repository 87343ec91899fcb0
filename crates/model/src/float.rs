//! Floats as Go prints them, which is what the APIs of this field send.

/// As Go's `strconv.FormatFloat(v, 'f', -1, 64)`: shortest text that reads back equal, never an
/// exponent; `NaN`, `+Inf`, `-Inf`.
pub fn format_float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        // Rust's `Display` prints the shortest digits without exponent, and `-0` for negative zero, as Go does.
        value.to_string()
    }
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

    #[test]
    fn go_texts() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e21, "1000000000000000000000"),
            (1.5e-7, "0.00000015"),
            (f64::INFINITY, "+Inf"),
            (100.0, "100"),
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
