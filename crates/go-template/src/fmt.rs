//! Go's `fmt` verbs.

use crate::Value;
use model::labels::quote;

/// A width or precision above this is refused: nobody prints a megabyte of blanks.
const WIDTH_MAX: usize = 10_000;

/// Flags, width and precision of one verb.
#[derive(Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Go's `Sprintf`.
pub fn sprintf(format: &str, args: &[Value]) -> String {
    let mut out = String::with_capacity(format.len() + 16);
    let mut chars = format.chars().peekable();
    let mut next = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                _ => spec.zero = true,
            }
        }
        let mut number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| -> Option<usize> {
            if chars.next_if_eq(&'*').is_some() {
                let value = args.get(next);
                next += 1;
                return match value {
                    Some(Value::Int(value)) => usize::try_from(*value).ok().map(|v| v.min(WIDTH_MAX)),
                    _ => None,
                };
            }
            let mut digits = None;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                let digit = digit.to_digit(10).unwrap_or_default() as usize;
                digits = Some((digits.unwrap_or(0) * 10 + digit).min(WIDTH_MAX));
            }
            digits
        };
        spec.width = number(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars).unwrap_or(0));
        }
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(arg) = args.get(next) else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        next += 1;
        out.push_str(&format_one(spec, verb, arg));
    }
    if next < args.len() {
        let rest: Vec<_> = args[next..]
            .iter()
            .map(|arg| match arg {
                Value::Nil => "<nil>".to_owned(),
                arg => format!("{}={}", arg.type_name(), arg.text()),
            })
            .collect();
        out.push_str(&format!("%!(EXTRA {})", rest.join(", ")));
    }
    out
}

fn format_one(spec: Spec, verb: char, arg: &Value) -> String {
    if verb == 'T' {
        return pad(spec, arg.type_name(), false);
    }
    match arg {
        // Types with a String method print as text under %v and %s, as numbers under the others.
        Value::Duration(value) if !matches!(verb, 'v' | 's' | 'q') => format_one(spec, verb, &Value::Int(*value)),
        Value::Bool(value) if matches!(verb, 't' | 'v') => pad(spec, value.to_string(), false),
        Value::Int(value) => format_int(spec, verb, *value),
        Value::Float(value) => format_float(spec, verb, *value),
        Value::List(values) if !matches!(verb, 'v' | 'T') || values.iter().any(|v| matches!(v, Value::Float(_))) => {
            let texts: Vec<_> = values.iter().map(|value| format_one(spec, verb, value)).collect();
            format!("[{}]", texts.join(" "))
        }
        Value::Object(object) if object.text().is_none() && object.base().is_some() => {
            format_one(spec, verb, &arg.to_base())
        }
        Value::Nil if verb != 'v' => format!("%!{verb}(<nil>)"),
        _ => format_text(spec, verb, arg),
    }
}

fn format_text(spec: Spec, verb: char, arg: &Value) -> String {
    let is_text =
        arg.as_str().is_some() || matches!(arg, Value::Time(_) | Value::Duration(_) | Value::Object(_) | Value::Map(_));
    let text = arg.text();
    let cut = |text: &str| match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    match verb {
        'v' if spec.sharp && arg.as_str().is_some() => pad(spec, quote(&text), false),
        'v' => pad(spec, if arg.as_str().is_some() { cut(&text) } else { text }, false),
        's' if is_text => pad(spec, cut(&text), false),
        'q' if is_text => {
            let text = cut(&text);
            let quoted = if spec.sharp && !text.contains('`') { format!("`{text}`") } else { quote(&text) };
            pad(spec, quoted, false)
        }
        'x' | 'X' if is_text => {
            let separator = if spec.space { " " } else { "" };
            let hex: Vec<_> = cut(&text)
                .bytes()
                .map(|byte| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") })
                .collect();
            pad(spec, hex.join(separator), false)
        }
        _ => format!("%!{verb}({}={text})", arg.type_name()),
    }
}

fn format_int(spec: Spec, verb: char, value: i64) -> String {
    let magnitude = value.unsigned_abs();
    let digits = match verb {
        'd' | 'v' => magnitude.to_string(),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'c' => {
            let c = u32::try_from(value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
            return pad(spec, c.to_string(), false);
        }
        'q' => {
            let c = u32::try_from(value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
            return pad(spec, format!("'{c}'"), false);
        }
        'U' => return pad(spec, format!("U+{magnitude:04X}"), false),
        _ => return format!("%!{verb}(int={value})"),
    };
    let digits = match spec.precision {
        Some(0) if value == 0 => String::new(),
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    };
    let prefix = match verb {
        'O' => "0o",
        'x' if spec.sharp => "0x",
        'X' if spec.sharp => "0X",
        'o' if spec.sharp => "0",
        'b' if spec.sharp => "0b",
        _ => "",
    };
    let zero_padded = Spec { zero: spec.zero && spec.precision.is_none(), ..spec };
    pad(zero_padded, format!("{}{prefix}{digits}", sign_text(spec, value < 0)), true)
}

fn sign_text(spec: Spec, negative: bool) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn format_float(spec: Spec, verb: char, value: f64) -> String {
    let magnitude = value.abs();
    let negative = value.is_sign_negative() && !value.is_nan();
    let text = match verb {
        _ if value.is_nan() => "NaN".to_owned(),
        _ if value.is_infinite() => "Inf".to_owned(),
        'f' | 'F' => format!("{magnitude:.*}", spec.precision.unwrap_or(6)),
        'e' => format_e(magnitude, Some(spec.precision.unwrap_or(6))),
        'E' => format_e(magnitude, Some(spec.precision.unwrap_or(6))).to_uppercase(),
        'g' | 'v' => format_g(magnitude, spec.precision, spec.sharp),
        'G' => format_g(magnitude, spec.precision, spec.sharp).to_uppercase(),
        _ => return format!("%!{verb}(float64={})", format_g(value, None, false)),
    };
    let sign = match (value.is_infinite() && !negative, value.is_nan()) {
        // Go always writes the sign of an infinity under %v, and never pads it with zeros.
        (true, _) => "+",
        (_, true) => "",
        _ => sign_text(spec, negative),
    };
    let finite = Spec { zero: spec.zero && value.is_finite(), ..spec };
    pad(finite, format!("{sign}{text}"), true)
}

fn pad(spec: Spec, text: String, signed: bool) -> String {
    let Some(missing) = spec.width.and_then(|width| width.checked_sub(text.chars().count())).filter(|m| *m > 0) else {
        return text;
    };
    if spec.minus {
        return text + &" ".repeat(missing);
    }
    if !spec.zero {
        return " ".repeat(missing) + &text;
    }
    match text.strip_prefix(['-', '+', ' ']).filter(|_| signed) {
        Some(rest) => format!("{}{}{rest}", &text[..1], "0".repeat(missing)),
        None => "0".repeat(missing) + &text,
    }
}

/// Decimal digits without zeros at the end, and the exponent of the first: `(“1234”, 2)` is 123.4.
/// `digits`: how many at most; `None`: the shortest that read back equal.
fn decimal(value: f64, digits: Option<usize>) -> (String, i32) {
    let text = match digits {
        Some(digits) => format!("{value:.*e}", digits.max(1) - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// Go's `'e'`: at least two digits of exponent. `precision`: digits after the point; `None`: shortest.
pub fn format_e(value: f64, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-Inf".into() } else { "+Inf".into() };
    }
    let (digits, exponent) = decimal(value.abs(), precision.map(|p| p + 1));
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.unsigned_abs())
}

/// Go's `'g'`: `%e` for exponents below -4 or from the precision on (from 6 on when shortest), else plain. `keep_zeros` is the `#` flag.
pub fn format_g(value: f64, precision: Option<usize>, keep_zeros: bool) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-Inf".into() } else { "+Inf".into() };
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (digits, exponent) = decimal(value.abs(), precision.map(|p| p.max(1)));
    let significant = match digits.trim_end_matches('0') {
        "" => "0",
        trimmed => trimmed,
    };
    let digits = if keep_zeros { digits.as_str() } else { significant };
    let threshold = match precision {
        Some(precision) => {
            let precision = i32::try_from(precision.max(1)).unwrap_or(i32::MAX);
            let count = i32::try_from(significant.len()).unwrap_or(i32::MAX);
            // Go: no exponent for numbers whose digits all stand before the point.
            if precision > count && count > exponent { count } else { precision }.max(1)
        }
        None => 6,
    };
    if exponent < -4 || exponent >= threshold {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.unsigned_abs());
    }
    let Ok(before) = usize::try_from(exponent + 1) else {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
        return format!("{sign}0.{zeros}{digits}");
    };
    match before {
        0 => format!("{sign}0.{digits}"),
        before if before >= digits.len() => format!("{sign}{digits}{}", "0".repeat(before - digits.len())),
        before => format!("{sign}{}.{}", &digits[..before], &digits[before..]),
    }
}

/// As Go's JSON encoder writes a float.
pub(crate) fn json_float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        // `1e-07` becomes `1e-7`.
        let text = format_e(value, None);
        return text.replace("e-0", "e-").replace("e+0", "e+");
    }
    model::float::format_float(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs() {
        let f = Value::Float;
        let cases: Vec<(&str, Vec<Value>, &str)> = vec![
            ("%v %s %d", vec!["a".into(), "b".into(), Value::Int(-3)], "a b -3"),
            (
                "%.2f|%5.1f|%-6.1f|%06.2f|%+.1f",
                vec![f(1.005), f(2.25), f(3.0), f(-1.5), f(2.0)],
                "1.00|  2.2|3.0   |-01.50|+2.0",
            ),
            ("%g %g %g %g", vec![f(1e6), f(1e21), f(1.5e-7), f(100.0)], "1e+06 1e+21 1.5e-07 100"),
            (
                "%.4g %.4g %.4g %.3g",
                vec![f(1234.0), f(12345.0), f(0.00012345), f(100.0)],
                "1234 1.234e+04 0.0001234 100",
            ),
            ("%e %.1e %E", vec![f(123456.0), f(0.05), f(1.0)], "1.234560e+05 5.0e-02 1.000000E+00"),
            ("%q %x %X %t", vec!["a\"b".into(), "hi".into(), Value::Int(255), true.into()], r#""a\"b" 6869 FF true"#),
            ("%d", vec![f(1.5)], "%!d(float64=1.5)"),
            ("%s", vec![Value::Int(1)], "%!s(int=1)"),
            ("%d %d", vec![Value::Int(1)], "1 %!d(MISSING)"),
            ("x", vec![Value::Int(1)], "x%!(EXTRA int=1)"),
            ("%", vec![], "%!(NOVERB)"),
            (
                "100%%|%5d|%-5d|%05d|%*d",
                vec![Value::Int(42), Value::Int(42), Value::Int(42), Value::Int(4), Value::Int(7)],
                "100%|   42|42   |00042|   7",
            ),
            ("%v %v", vec![Value::list(["a".into(), "b".into()]), Value::string_map([("k", "v")])], "[a b] map[k:v]"),
            ("%6.2f%%", vec![f(99.5)], " 99.50%"),
            ("%v %f", vec![f(f64::INFINITY), f(f64::NAN)], "+Inf NaN"),
        ];
        for (format, args, expected) in cases {
            assert_eq!(sprintf(format, &args), expected, "{format}");
        }
    }
}
