//! How Go's standard library reads what stands in requests, with its words for what it cannot read: clients of
//! Prometheus show them, and some look for them.

/// `strconv.Atoi`.
///
/// # Errors
/// What is no whole number of 64 bits, in Go's words.
pub(crate) fn atoi(text: &str) -> Result<i64, String> {
    integer("Atoi", text)
}

/// `strconv.ParseInt` with base 10.
///
/// # Errors
/// As [`atoi`].
pub(crate) fn parse_int(text: &str) -> Result<i64, String> {
    integer("ParseInt", text)
}

fn integer(function: &str, text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|error| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let cause = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.{function}: parsing {text:?}: {cause}")
    })
}

/// `strconv.ParseBool`.
///
/// # Errors
/// Other words than the twelve that it knows.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// `strconv.ParseFloat`, without its hexadecimal form: underscores may stand between digits.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    if !text.contains('_') {
        return text.parse().ok();
    }
    let between_digits = text.split('_').collect::<Vec<_>>().windows(2).all(|pair| {
        matches!(pair, [left, right] if left.ends_with(|c: char| c.is_ascii_digit())
            && right.starts_with(|c: char| c.is_ascii_digit()))
    });
    if between_digits { text.replace('_', "").parse().ok() } else { None }
}

/// True for the shape of RFC 3339 that Go's `time.Parse` takes; whether there is such a day is not asked.
pub(crate) fn is_rfc3339(text: &str) -> bool {
    // A letter stands for itself, `0` for any digit.
    let fits = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(
                |(byte, wanted)| {
                    if *wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted }
                },
            )
    };
    let Some((moment, rest)) = text.as_bytes().split_at_checked(b"0000-00-00T00:00:00".len()) else { return false };
    // Go knows no leap second.
    if !fits(moment, b"0000-00-00T00:00:00") || moment.ends_with(b"60") {
        return false;
    }
    let zone = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            fraction.get(digits..).unwrap_or_default()
        }
    };
    zone == b"Z" || fits(zone, b"+00:00") || fits(zone, b"-00:00")
}

/// `url.QueryUnescape`. Bytes that are no UTF-8 are replaced, where Go keeps them.
///
/// # Errors
/// A `%` without two hexadecimal digits behind it.
pub(crate) fn query_unescape(text: &[u8]) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = match byte {
            b'+' => {
                out.push(b' ');
                tail
            }
            b'%' => {
                let hex = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
                let (Some(high), Some(low)) = (hex(0), hex(1)) else {
                    let shown = String::from_utf8_lossy(rest.get(..3).unwrap_or(rest)).into_owned();
                    return Err(format!("invalid URL escape {shown:?}"));
                };
                // Two hexadecimal digits make a byte.
                out.push(u8::try_from(high * 16 + low).unwrap_or(u8::MAX));
                tail.get(2..).unwrap_or_default()
            }
            _ => {
                out.push(*byte);
                tail
            }
        };
    }
    Ok(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(atoi("-12"), Ok(-12));
        assert_eq!(atoi("x"), Err("strconv.Atoi: parsing \"x\": invalid syntax".to_owned()));
        let large = "strconv.ParseInt: parsing \"99999999999999999999\": value out of range";
        assert_eq!(parse_int("99999999999999999999"), Err(large.to_owned()));
        assert_eq!(parse_float("1_0.5"), Some(10.5));
        assert_eq!((parse_float("_1"), parse_float("1__0"), parse_float("1_.5")), (None, None, None));
        assert_eq!(parse_bool("T"), Ok(true));
        assert_eq!(parse_bool("yes"), Err("strconv.ParseBool: parsing \"yes\": invalid syntax".to_owned()));
    }

    #[test]
    fn escapes() {
        assert_eq!(query_unescape(b"a+b%2B%c3%bc"), Ok("a b+\u{fc}".to_owned()));
        assert_eq!(query_unescape(b"a%2"), Err("invalid URL escape \"%2\"".to_owned()));
    }
}
