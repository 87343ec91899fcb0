//! Numbers with units, exactly as Grafana writes them.

mod catalogue;
mod inferred;
mod time;

pub use catalogue::{UNITS, Unit};
pub use inferred::{id_of_inferred, suggest};

use crate::calendar::Calendar;
use catalogue::Rule;

/// What a formatter must know besides the value: where the viewer is.
#[derive(Clone, Copy)]
pub struct FormatContext<'a> {
    pub calendar: Calendar<'a>,
    /// Unix ms, for `dateTimeFromNow` and "no date if today".
    pub now_ms: i64,
}

impl FormatContext<'_> {
    /// UTC at a given time.
    pub fn utc(now_ms: i64) -> FormatContext<'static> {
        FormatContext { calendar: Calendar::utc(), now_ms }
    }
}

/// A value in parts, so that the unit can be smaller than the number. `to_string` joins them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formatted {
    pub prefix: String,
    pub text: String,
    pub suffix: String,
}

impl std::fmt::Display for Formatted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{}", self.prefix, self.text, self.suffix)
    }
}

impl Formatted {
    fn text(text: impl Into<String>) -> Self {
        Formatted { text: text.into(), ..Formatted::default() }
    }

    fn suffixed(text: impl Into<String>, suffix: impl Into<String>) -> Self {
        Formatted { text: text.into(), suffix: suffix.into(), prefix: String::new() }
    }
}

/// Formats a value in a unit. `None` is absent; an explicit number of decimals is kept exactly, otherwise about three
/// significant digits are shown. An unknown unit is written after the number.
pub fn format(value: Option<f64>, unit: &str, decimals: Option<u8>, context: &FormatContext<'_>) -> Formatted {
    let rule = match catalogue::find(unit) {
        Some(rule) => rule,
        None => return format_custom(value, unit, decimals, context),
    };
    format_rule(value, rule, decimals, context)
}

/// [`format()`] in UTC, joined; for what has no dates in it.
pub fn format_text(value: f64, unit: &str, decimals: Option<u8>) -> String {
    format(Some(value), unit, decimals, &FormatContext::utc(0)).to_string()
}

fn format_rule(value: Option<f64>, rule: Rule, decimals: Option<u8>, context: &FormatContext<'_>) -> Formatted {
    let number = match value {
        Some(number) => number,
        None => {
            return match rule {
                Rule::Plain => Formatted::text("null"),
                Rule::Bool(_, no) => Formatted::text(no),
                Rule::DateTime(_) | Rule::FromNow | Rule::NoDateIfToday(..) => Formatted::text("Invalid date"),
                Rule::Hms { .. } => Formatted::text("00:00:00"),
                // `null` times a factor is zero in JavaScript, and these two multiply before they look.
                Rule::Clock { seconds: true } => Formatted::text("000ms"),
                Rule::Ticks => Formatted::suffixed("0", " s"),
                _ => Formatted::default(),
            };
        }
    };
    match rule {
        Rule::Plain => return Formatted::text(plain(number)),
        Rule::Bool(yes, no) => return Formatted::text(if number == 0.0 { no } else { yes }),
        _ if number.is_nan() => return Formatted::text("NaN"),
        Rule::Fixed(suffix) => return fixed_unit(number, decimals, suffix),
        _ if number.is_infinite() => return Formatted::text(to_fixed(number, decimals)),
        _ => {}
    }
    match rule {
        Rule::Plain | Rule::Bool(..) | Rule::Fixed(_) => unreachable!("answered above"),
        Rule::None => Formatted::text(to_fixed(number, decimals)),
        Rule::Percent { factor } => Formatted::suffixed(to_fixed(number * factor, decimals), "%"),
        Rule::Short => scaled(number, decimals, 1000.0, 0, &SHORT, ""),
        Rule::Si(unit, offset) => prefixed(number, decimals, 1000.0, &SI, 5 + offset, unit),
        Rule::Iec(unit, offset) => prefixed(number, decimals, 1024.0, &IEC, offset, unit),
        Rule::Count(unit) => scaled(number, decimals, 1000.0, 0, &COUNT, &format!(" {unit}")),
        Rule::Currency(symbol) => currency(number, decimals, symbol, false),
        Rule::CurrencyAfter(symbol) => currency(number, decimals, symbol, true),
        Rule::Scientific => Formatted::text(scientific(number, decimals)),
        Rule::Hex { prefix } => {
            let (sign, digits) = if number < 0.0 { ("-", hex(-number, decimals)) } else { ("", hex(number, decimals)) };
            Formatted::text(format!("{sign}{prefix}{digits}"))
        }
        Rule::Grouped => Formatted::text(grouped(number, decimals.unwrap_or(3))),
        Rule::Seconds => time::seconds(number, decimals),
        Rule::Milliseconds => time::milliseconds(number, decimals),
        Rule::Microseconds => time::microseconds(number, decimals),
        Rule::Nanoseconds => time::nanoseconds(number, decimals),
        Rule::Minutes => time::minutes(number, decimals),
        Rule::Hours => time::hours(number, decimals),
        Rule::Days => time::days(number, decimals),
        Rule::Ticks => time::seconds(number / 100.0, decimals),
        Rule::Duration { factor_ms, unit } => time::duration(number, decimals, factor_ms, unit),
        Rule::Hms { days } => time::hours_minutes_seconds(number, days),
        Rule::Clock { seconds } => {
            Formatted::text(time::clock(if seconds { number * 1000.0 } else { number }, decimals))
        }
        Rule::DateTime(pattern) => Formatted::text(time::date(number, pattern, context)),
        Rule::NoDateIfToday(pattern, today) => {
            Formatted::text(time::date_unless_today(number, pattern, today, context))
        }
        Rule::FromNow => Formatted::text(time::from_now(number, context.now_ms)),
    }
}

/// Units that carry their own text: `suffix:x`, `prefix:x`, `si:mF`, `count:x`, `currency:x`, `bool:Yes/No`, `time:…`.
fn format_custom(value: Option<f64>, unit: &str, decimals: Option<u8>, context: &FormatContext<'_>) -> Formatted {
    if let Some(pattern) = unit.strip_prefix("time:") {
        return match value {
            Some(ms) if ms.is_finite() => Formatted::text(time::date(ms, pattern, context)),
            _ => Formatted::text("Invalid date"),
        };
    }
    if let Some(words) = unit.strip_prefix("bool:") {
        let (yes, no) = words.split_once('/').unwrap_or((words, "False"));
        return Formatted::text(if value.unwrap_or(0.0) == 0.0 { no } else { yes });
    }
    let Some(number) = value else { return Formatted::default() };
    if number.is_nan() {
        return Formatted::text("NaN");
    }
    if let Some(prefix) = unit.strip_prefix("prefix:") {
        return Formatted { prefix: prefix.to_owned(), text: to_fixed(number, decimals), suffix: String::new() };
    }
    if let Some(name) = unit.strip_prefix("count:") {
        return scaled(number, decimals, 1000.0, 0, &COUNT, &format!(" {name}"));
    }
    if let Some(rest) = unit.strip_prefix("si:") {
        let first = rest.chars().next().unwrap_or(' ');
        let known = SI.iter().position(|prefix| !prefix.is_empty() && prefix.starts_with(first));
        let name = &rest[first.len_utf8().min(rest.len())..];
        return match known.filter(|_| !name.is_empty()) {
            Some(at) => prefixed(number, decimals, 1000.0, &SI, at as i32, name),
            None => prefixed(number, decimals, 1000.0, &SI, 5, rest),
        };
    }
    if let Some(rest) = unit.strip_prefix("currency:") {
        if let Some(full) = rest.strip_prefix("financial:") {
            let (symbol, after) =
                full.split_once(':').map_or((full, false), |(symbol, place)| (symbol, place == "suffix"));
            let text = grouped(number.abs(), decimals.unwrap_or(1));
            let sign = if number < 0.0 { "-" } else { "" };
            return if after {
                Formatted { prefix: sign.to_owned(), text, suffix: symbol.to_owned() }
            } else {
                Formatted { prefix: format!("{sign}{symbol}"), text, suffix: String::new() }
            };
        }
        return currency(number, decimals, rest, false);
    }
    fixed_unit(number, decimals, unit.strip_prefix("suffix:").unwrap_or(unit))
}

const SHORT: [&str; 9] = ["", " K", " Mil", " Bil", " Tri", " Quadr", " Quint", " Sext", " Sept"];
const COUNT: [&str; 5] = ["", "K", "M", "B", "T"];
const SI: [&str; 14] = ["f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E", "Z", "Y"];
const IEC: [&str; 9] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

fn fixed_unit(number: f64, decimals: Option<u8>, unit: &str) -> Formatted {
    let suffix = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    Formatted::suffixed(to_fixed(number, decimals), suffix)
}

/// The number divided by the power of `factor` that leaves it at one or more, within the prefixes there are.
fn scale(number: f64, factor: f64, offset: i32, count: usize) -> (f64, usize) {
    if !number.is_finite() || number == 0.0 {
        return (number, offset.clamp(0, count as i32 - 1) as usize);
    }
    let power = (number.abs().log10() / factor.log10()).floor() as i32;
    let power = power.clamp(-offset, count as i32 - offset - 1);
    (number / factor.powi(power), (offset + power) as usize)
}

fn scaled(number: f64, decimals: Option<u8>, factor: f64, offset: i32, names: &[&str], after: &str) -> Formatted {
    let (number, at) = scale(number, factor, offset, names.len());
    Formatted::suffixed(to_fixed(number, decimals), format!("{}{after}", names[at]))
}

fn prefixed(number: f64, decimals: Option<u8>, factor: f64, prefixes: &[&str], offset: i32, unit: &str) -> Formatted {
    let (number, at) = scale(number, factor, offset, prefixes.len());
    Formatted::suffixed(to_fixed(number, decimals), format!(" {}{unit}", prefixes[at]))
}

fn currency(number: f64, decimals: Option<u8>, symbol: &str, after: bool) -> Formatted {
    let amount = scaled(number.abs(), decimals, 1000.0, 0, &COUNT, "");
    let sign = if number < 0.0 { "-" } else { "" };
    if after {
        Formatted { prefix: sign.to_owned(), text: amount.text, suffix: format!("{}{symbol}", amount.suffix) }
    } else {
        Formatted { prefix: format!("{sign}{symbol}"), ..amount }
    }
}

/// Decimals for about three significant digits; none for whole numbers.
fn auto_decimals(number: f64) -> usize {
    if number == 0.0 || number % 1.0 == 0.0 || !number.is_finite() {
        return 0;
    }
    let magnitude = (number.abs().ln() / std::f64::consts::LN_10).floor() as i32;
    (2 - magnitude).clamp(0, 100) as usize
}

/// JavaScript's `toFixed`, with automatic decimals if none are given.
pub(crate) fn to_fixed(number: f64, decimals: Option<u8>) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "∞".to_owned() } else { "-∞".to_owned() };
    }
    let decimals = decimals.map_or_else(|| auto_decimals(number), usize::from);
    round_half_away(number, decimals)
}

/// Rust rounds exact halves to even, JavaScript away from zero.
fn round_half_away(number: f64, decimals: usize) -> String {
    if number.abs() >= 1e21 {
        return plain(number);
    }
    // An exact half ends right there; a double that is not exact shows it within 25 digits more.
    let long = format!("{number:.*}", decimals + 25);
    let (kept, tail) = long.split_at(long.len() - 25);
    let mut text = if tail.starts_with('5') && tail[1..].bytes().all(|digit| digit == b'0') {
        increment(kept.trim_end_matches('.'))
    } else {
        format!("{number:.*}", decimals)
    };
    if text.starts_with('-') && text.bytes().all(|c| matches!(c, b'-' | b'0' | b'.')) {
        text.remove(0);
    }
    text
}

/// Adds one to the last digit of a decimal text.
fn increment(text: &str) -> String {
    let mut digits: Vec<u8> = text.bytes().collect();
    for at in (0..digits.len()).rev() {
        match digits[at] {
            b'9' => digits[at] = b'0',
            b'0'..=b'8' => {
                digits[at] += 1;
                return String::from_utf8(digits).unwrap_or_default();
            }
            _ => {}
        }
    }
    let start = usize::from(digits.first() == Some(&b'-'));
    digits.insert(start, b'1');
    String::from_utf8(digits).unwrap_or_default()
}

/// A number as JavaScript's `String(x)`: shortest text that reads back, exponents from 1e21 and below 1e-6.
pub fn plain(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    if number.abs() >= 1e21 || number.abs() < 1e-6 {
        signed_exponent(&format!("{number:e}"))
    } else {
        number.to_string()
    }
}

fn signed_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
        _ => text.to_owned(),
    }
}

fn scientific(number: f64, decimals: Option<u8>) -> String {
    signed_exponent(&match decimals {
        Some(decimals) => format!("{number:.*e}", usize::from(decimals)),
        None => format!("{number:e}"),
    })
}

/// English thousands, at most `decimals` digits behind the point and no zeros at the end.
fn grouped(number: f64, decimals: u8) -> String {
    if number.is_infinite() {
        return to_fixed(number, None);
    }
    let text = round_half_away(number, usize::from(decimals));
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Hexadecimal of a non-negative number, rounded first as it would be shown, with as many digits behind the point as
/// tell it from its neighbours.
fn hex(number: f64, decimals: Option<u8>) -> String {
    let rounded: f64 = to_fixed(number, decimals).parse().unwrap_or(number);
    if rounded >= u64::MAX as f64 {
        return plain(rounded);
    }
    let mut whole = rounded.floor() as u64;
    let mut fraction = rounded - rounded.floor();
    let mut delta = (0.5 * (rounded.next_up() - rounded)).max(f64::from_bits(1));
    let mut digits: Vec<u8> = Vec::new();
    while fraction >= delta {
        fraction *= 16.0;
        delta *= 16.0;
        let digit = fraction as u8;
        digits.push(digit);
        fraction -= f64::from(digit);
        if (fraction > 0.5 || (fraction == 0.5 && digit % 2 == 1)) && fraction + delta > 1.0 {
            // The rest rounds up: carry into the digits before.
            loop {
                match digits.pop() {
                    None => {
                        whole += 1;
                        break;
                    }
                    Some(15) => {}
                    Some(digit) => {
                        digits.push(digit + 1);
                        break;
                    }
                }
            }
            break;
        }
    }
    let mut out = format!("{whole:X}");
    if !digits.is_empty() {
        out.push('.');
        out.extend(digits.iter().map(|digit| char::from(b"0123456789ABCDEF"[usize::from(*digit % 16)])));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/ui/units-golden.tsv");
    /// When the golden file was made.
    const NOW_MS: i64 = 1_795_356_000_000;

    #[test]
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    fn golden_file() {
        let Ok(golden) = std::fs::read_to_string(GOLDEN) else {
            println!("skipped: {GOLDEN} is not there");
            return;
        };
        let mut lines = golden.lines();
        let values: Vec<Option<f64>> =
            lines.next().unwrap().split('\t').skip(1).map(|text| text.parse().ok()).collect();
        let (mut faults, mut checked) = (Vec::new(), 0);
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            let (unit, cells) = line.split_once('\t').unwrap();
            for (value, expected) in values.iter().zip(cells.split('\t')) {
                let said = format(*value, unit, None, &FormatContext::utc(NOW_MS)).to_string();
                checked += 1;
                if said != expected {
                    faults.push(format!("{unit} of {value:?}: `{said}`, expected `{expected}`"));
                }
            }
        }
        // Four lines of one value with 0 to 3 decimals.
        for line in lines.filter(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
            let (decimals, cells) = line.split_once(' ').unwrap();
            for (unit, expected) in cells.split(" | ").filter_map(|cell| cell.split_once('=')) {
                let said =
                    format(Some(1234.5678), unit, decimals.parse().ok(), &FormatContext::utc(NOW_MS)).to_string();
                checked += 1;
                if said != expected {
                    faults.push(format!("{unit} with {decimals} decimals: `{said}`, expected `{expected}`"));
                }
            }
        }
        assert!(checked > 1000, "only {checked} cells were read");
        assert!(faults.is_empty(), "{} of {checked}:\n{}", faults.len(), faults.join("\n"));
    }

    #[test]
    fn edges() {
        for (value, unit, decimals, expected) in [
            (f64::INFINITY, "bytes", None, "∞"),
            (f64::NEG_INFINITY, "s", None, "-∞"),
            (f64::NAN, "short", None, "NaN"),
            (f64::INFINITY, "celsius", None, "∞ °C"),
            (1234.5, " widgets", None, "1235  widgets"),
            (0.125, "none", Some(2), "0.13"),
            (-0.0001, "none", Some(2), "0.00"),
            (1e300, "bytes", None, ""),
            (5e-324, "s", None, ""),
            (-1.5, "hex", Some(1), "-1.8"),
            (1234.5, "currencySEK", None, "1.23Kkr"),
            (1e25, "locale", None, ""),
            (86_400_000.0, "dtdurationms", Some(1), "1 day, 0 hours"),
        ] {
            let said = format_text(value, unit, decimals);
            if !expected.is_empty() {
                assert_eq!(said, expected, "{value} {unit}");
            }
        }
        for unit in UNITS {
            for value in [0.0, 1.0, -1.5, 1e-300, 1e300, f64::MIN, f64::MAX, f64::INFINITY, f64::NAN] {
                for decimals in [None, Some(0), Some(20)] {
                    // Nothing here may panic, whatever the value.
                    let _ = format(Some(value), unit.id, decimals, &FormatContext::utc(i64::MAX));
                }
            }
        }
    }
}
