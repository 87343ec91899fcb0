//! Series as tests write them: `metric{label="v"} 1+2x3 _ stale {{schema:0 count:3}}`.

use model::{FloatHistogram, Labels, SampleValue, histogram::CUSTOM_BUCKETS_SCHEMA, histogram::CounterResetHint};
use std::sync::Arc;
use storage::Samples;

/// Longest sequence that is read, so that `x999999999` does not eat the memory.
const ITEMS_MAX: usize = 1_000_000;

/// Why a series line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SeriesError(pub String);

/// A series with its values, one a step; `None` where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesLine {
    pub labels: Labels,
    pub values: Vec<Option<SampleValue>>,
    /// By value: was a counter reset hint written?
    pub hinted: Vec<bool>,
}

impl SeriesLine {
    /// The values at `start_ms` and every `step_ms` after it; histograms with the hints that a storage gives them.
    ///
    /// # Errors
    /// The last time is beyond what a timestamp holds.
    pub fn samples(&self, start_ms: i64, step_ms: i64) -> Result<Samples, SeriesError> {
        let mut samples = Samples::default();
        for (index, value) in self.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let offset = i64::try_from(index).ok().and_then(|index| index.checked_mul(step_ms));
            let Some(time) = offset.and_then(|offset| offset.checked_add(start_ms)) else {
                return fail("the series reaches beyond what a timestamp holds");
            };
            samples.push(time, value.clone());
        }
        crate::run::note_counter_resets(&mut samples);
        Ok(samples)
    }
}

fn fail<T>(text: impl Into<String>) -> Result<T, SeriesError> {
    Err(SeriesError(text.into()))
}

/// Reads a label set and the values after it.
///
/// # Errors
/// What does not follow the notation, with the part at fault.
pub fn parse_series(line: &str) -> Result<SeriesLine, SeriesError> {
    let (labels, end) = promql_syntax::parse_metric(line).map_err(|error| SeriesError(error.to_string()))?;
    let (mut values, mut hinted) = (Vec::new(), Vec::new());
    for item in items(&line[end..])? {
        expand(item, &mut values, &mut hinted)?;
        if values.len() > ITEMS_MAX {
            return fail(format!("more than {ITEMS_MAX} values in one series"));
        }
    }
    Ok(SeriesLine { labels, values, hinted })
}

/// Splits a sequence at its spaces, histograms kept whole.
pub(crate) fn items(text: &str) -> Result<Vec<&str>, SeriesError> {
    let (mut out, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let (mut end, mut depth) = (0, 0_usize);
        let bytes = rest.as_bytes();
        while end < bytes.len() && (depth > 0 || !bytes[end].is_ascii_whitespace()) {
            match &bytes[end..] {
                [b'{', b'{', ..] => {
                    depth += 1;
                    end += 1;
                }
                [b'}', b'}', ..] => {
                    depth = depth.saturating_sub(1);
                    end += 1;
                }
                _ => {}
            }
            end += 1;
        }
        if depth > 0 {
            return fail(format!("`{rest}`: a histogram is not closed by `}}}}`"));
        }
        out.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Ok(out)
}

/// `text` split at the `x` of its repetition.
fn repetition(text: &str) -> (&str, Option<usize>) {
    if let Some((value, times)) = text.rsplit_once('x')
        && let Ok(times) = times.parse()
    {
        return (value, Some(times));
    }
    (text, None)
}

fn expand(item: &str, values: &mut Vec<Option<SampleValue>>, hinted: &mut Vec<bool>) -> Result<(), SeriesError> {
    let (body, times) = repetition(item);
    if times.unwrap_or(0) > ITEMS_MAX {
        return fail(format!("`{item}`: more than {ITEMS_MAX} repetitions"));
    }
    if body == "_" {
        let count = times.unwrap_or(1);
        values.resize(values.len() + count, None);
        hinted.resize(values.len(), false);
        return Ok(());
    }
    if body.starts_with("{{") {
        let first_end = body.find("}}").map_or(body.len(), |at| at + 2);
        let (mut value, has_hint) = parse_histogram(&body[..first_end])?;
        let step = match &body[first_end..] {
            "" => None,
            rest => {
                let (sign, rest) = match rest.split_at_checked(1) {
                    Some(("+", rest)) => (1.0, rest),
                    Some(("-", rest)) => (-1.0, rest),
                    _ => return fail(format!("`{item}`: expected + or - between histograms")),
                };
                Some((sign, parse_histogram(rest)?.0))
            }
        };
        values.push(Some(SampleValue::Histogram(Arc::new(value.clone()))));
        hinted.push(has_hint);
        for _ in 0..times.unwrap_or(0) {
            if let Some((sign, step)) = &step {
                let sum = if *sign > 0.0 {
                    promql::histogram::add(&value, step)
                } else {
                    promql::histogram::sub(&value, step)
                };
                value = sum.map_err(|error| SeriesError(format!("`{item}`: {error}")))?.0;
            }
            values.push(Some(SampleValue::Histogram(Arc::new(value.clone()))));
            hinted.push(has_hint);
        }
        return Ok(());
    }
    let (mut value, step) = match (parse_value(body), times) {
        (Some(value), _) => (value, 0.0),
        (None, _) => {
            // The sign between the two numbers is neither the first character nor that of an exponent.
            let split = body.char_indices().skip(1).filter(|(at, c)| {
                matches!(c, '+' | '-') && !matches!(body.as_bytes()[at - 1], b'e' | b'E' | b'+' | b'-')
            });
            let found = split.filter_map(|(at, sign)| {
                let step = parse_value(&body[at + 1..])?;
                Some((parse_value(&body[..at])?, if sign == '-' { -step } else { step }))
            });
            match found.last() {
                Some(found) => found,
                None => {
                    return fail(format!(
                        "`{item}` is no value; write for example 5, _, stale, 1+2x3 or {{{{count:1}}}}"
                    ));
                }
            }
        }
    };
    for _ in 0..=times.unwrap_or(0) {
        values.push(Some(SampleValue::Float(value)));
        hinted.push(false);
        value += step;
    }
    Ok(())
}

fn parse_value(text: &str) -> Option<f64> {
    if text == "stale" {
        return Some(model::stale::STALE_NAN);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if rest.starts_with(['+', '-']) {
        return None;
    }
    if rest.bytes().next()?.is_ascii_digit() && rest.ends_with(['s', 'm', 'h', 'd', 'w', 'y']) {
        return model::duration::parse_duration_ms(rest).ok().map(|ms| sign * (ms as f64 / 1000.0));
    }
    let plain = rest.replace('_', "");
    if plain.starts_with("0x") {
        return None;
    }
    model::float::parse_float(&plain).map(|value| if value.is_nan() { value } else { sign * value })
}

/// Reads `{{key:value …}}`; also says whether a counter reset hint was written.
fn parse_histogram(text: &str) -> Result<(FloatHistogram, bool), SeriesError> {
    let Some(inner) = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")) else {
        return fail(format!("`{text}` is no histogram; write {{{{key:value …}}}}"));
    };
    let mut out = FloatHistogram::default();
    let (mut offset, mut negative_offset, mut has_hint) = (0, 0, false);
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let Some((key, tail)) = rest.split_once(':') else {
            return fail(format!("`{rest}` in `{text}`: expected key:value"));
        };
        let end = if tail.starts_with('[') { tail.find(']').map(|at| at + 1) } else { tail.find(char::is_whitespace) };
        let (value, tail) = tail.split_at(end.unwrap_or(tail.len()));
        rest = tail.trim_start();
        let number = || {
            parse_value(value)
                .or_else(|| model::float::parse_float(value))
                .ok_or_else(|| SeriesError(format!("`{value}` in `{text}` is no number")))
        };
        let list = || {
            let inner = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
            let Some(inner) = inner else { return fail(format!("`{value}` in `{text}`: expected [numbers]")) };
            let parse =
                |word: &str| parse_value(word).ok_or_else(|| SeriesError(format!("`{word}` in `{text}` is no number")));
            inner.split_whitespace().map(parse).collect::<Result<Vec<f64>, _>>()
        };
        let integer = || value.parse::<i32>().map_err(|_| SeriesError(format!("`{value}` in `{text}` is no integer")));
        match key.trim() {
            "schema" => out.schema = integer()?,
            "sum" => out.sum = number()?,
            "count" => out.count = number()?,
            "z_bucket" => out.zero_count = number()?,
            "z_bucket_w" => out.zero_threshold = number()?,
            "offset" => offset = integer()?,
            "n_offset" => negative_offset = integer()?,
            "buckets" => out.positive_buckets = list()?,
            "n_buckets" => out.negative_buckets = list()?,
            "custom_values" => out.custom_values = list()?,
            "counter_reset_hint" => {
                has_hint = true;
                out.counter_reset_hint = match value {
                    "unknown" => CounterResetHint::Unknown,
                    "reset" => CounterResetHint::Reset,
                    "not_reset" => CounterResetHint::NotReset,
                    "gauge" => CounterResetHint::Gauge,
                    _ => return fail(format!("`{value}` in `{text}`: expected unknown, reset, not_reset or gauge")),
                };
            }
            key => return fail(format!("`{key}` in `{text}` is unknown")),
        }
    }
    if !(-4..=8).contains(&out.schema) && out.schema != CUSTOM_BUCKETS_SCHEMA {
        return fail(format!("schema {} in `{text}`: expected -4 to 8 or -53", out.schema));
    }
    out.positive_spans = promql::histogram::single_span(offset, &out.positive_buckets);
    out.negative_spans = promql::histogram::single_span(negative_offset, &out.negative_buckets);
    Ok((out, has_hint))
}

/// Start timestamps of an `@st` line, as offsets from the samples, one an item.
pub(crate) fn parse_starts(text: &str) -> Result<Vec<Option<i64>>, SeriesError> {
    let duration = |text: &str| -> Option<i64> {
        let (sign, rest) = match text.as_bytes().first()? {
            b'-' => (-1, &text[1..]),
            b'+' => (1, &text[1..]),
            _ => (1, text),
        };
        Some(sign * model::duration::parse_duration_ms(rest).ok()?)
    };
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        let (body, times) = repetition(item);
        if times.unwrap_or(0) > ITEMS_MAX {
            return fail(format!("`{item}`: more than {ITEMS_MAX} repetitions"));
        }
        if body == "_" {
            out.resize(out.len() + times.unwrap_or(1), None);
            continue;
        }
        let (mut value, step) = match duration(body) {
            Some(value) => (value, 0),
            None => {
                let at = body.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at);
                let pair = at.and_then(|at| Some((duration(&body[..at])?, duration(&body[at..])?)));
                pair.ok_or_else(|| SeriesError(format!("`{item}` is no start timestamp")))?
            }
        };
        for _ in 0..=times.unwrap_or(0) {
            out.push(Some(value));
            value += step;
        }
    }
    Ok(out)
}
