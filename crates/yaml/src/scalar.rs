//! What a plain scalar means where its type is not text. Source: the types of YAML 1.1 as go-yaml reads them,
//! since every configuration of this field was written for that reader.

/// The meaning of a plain scalar where the reader asks for no type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text,
}

pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The words that are a truth value where one is wanted. `yes` stays text where text is wanted.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "y" | "Y" | "on" | "On" | "ON" => Some(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "n" | "N" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// A whole number: decimal, `0x`, `0o`, `0b`, or octal by a leading zero; `_` may separate digits.
pub(crate) fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('_') {
        return None;
    }
    let digits = digits.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    // Beyond 64 bits it is no integer of any configuration; the caller tells the range.
    let value = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

/// A number with a fraction or exponent, `.inf`, `.nan`; whole numbers too.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    if let Some(whole) = parse_integer(text) {
        #[expect(clippy::cast_precision_loss, reason = "a float was asked for: the nearest one is the answer")]
        return Some(whole as f64);
    }
    // Rust also reads `inf` and `nan`, which are words here.
    let digits = text.trim_start_matches(['+', '-']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !digits.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// The meaning of a plain scalar that nobody asked a type of.
pub(crate) fn resolve(text: &str) -> Plain {
    if is_null(text) {
        return Plain::Null;
    }
    // `y` and `n` alone are more often axis names than truth values.
    if text.len() > 1
        && let Some(value) = parse_bool(text)
    {
        return Plain::Bool(value);
    }
    if let Some(value) = parse_integer(text) {
        if let Ok(value) = u64::try_from(value) {
            return Plain::Unsigned(value);
        }
        if let Ok(value) = i64::try_from(value) {
            return Plain::Signed(value);
        }
    }
    parse_float(text).map_or(Plain::Text, Plain::Float)
}
