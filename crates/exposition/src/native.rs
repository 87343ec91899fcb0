//! Native histograms in text: the composite value of OpenMetrics 2.0 (release candidate of March 2026, "ABNF"):
//! `{count:2,sum:120,schema:0,zero_threshold:0.0001,zero_count:0,positive_spans:[1:2],positive_buckets:[1,1]}`.
//!
//! Custom buckets are written as classic ones, `bucket:[0.5:1,+Inf:2]`, where these say it all. Where they do not (counts
//! with a fraction that adding up would round, empty buckets left out), the fields are those of a native histogram with
//! schema -53 and `custom_values:[…]` behind them, which the specification reserves and only we read.

use crate::{
    classic::to_custom_buckets,
    number::{format_float, parse_float},
};
use model::{
    FloatHistogram,
    histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span},
};
use std::fmt::{Display, Write};

/// Schemas with exponential buckets.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// Writes a histogram, in braces. Of the hints about counter resets, only that of gauges has a place (`gcount`, `gsum`).
/// Spans are written joined where they touch.
pub fn write_histogram(histogram: &FloatHistogram, out: &mut String) {
    let gauge = if histogram.counter_reset_hint == CounterResetHint::Gauge { "g" } else { "" };
    let number = |value: f64| format_float(value);
    let _ = write!(out, "{{{gauge}count:{},{gauge}sum:{}", number(histogram.count), number(histogram.sum));
    if let Some(buckets) = classic(histogram) {
        list(out, "bucket", buckets.iter().map(|(bound, count)| format!("{}:{}", number(*bound), number(*count))));
        out.push('}');
        return;
    }
    let (threshold, count) = (number(histogram.zero_threshold), number(histogram.zero_count));
    let _ = write!(out, ",schema:{},zero_threshold:{threshold},zero_count:{count}", histogram.schema);
    for (sign, spans, buckets) in [
        ("negative", &histogram.negative_spans, &histogram.negative_buckets),
        ("positive", &histogram.positive_spans, &histogram.positive_buckets),
    ] {
        if !buckets.is_empty() {
            let spans = joined(spans);
            list(out, &format!("{sign}_spans"), spans.iter().map(|span| format!("{}:{}", span.offset, span.length)));
            list(out, &format!("{sign}_buckets"), buckets.iter().map(|count| number(*count)));
        }
    }
    if histogram.uses_custom_buckets() {
        list(out, "custom_values", histogram.custom_values.iter().map(|bound| number(*bound)));
    }
    out.push('}');
}

fn list<T: Display>(out: &mut String, name: &str, items: impl Iterator<Item = T>) {
    let _ = write!(out, ",{name}:[");
    for (at, item) in items.enumerate() {
        let _ = write!(out, "{}{item}", if at > 0 { "," } else { "" });
    }
    out.push(']');
}

/// Spans without empty ones, and without those that begin where another ends.
fn joined(spans: &[Span]) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    let mut gap = 0_i32;
    for span in spans {
        let offset = gap.saturating_add(span.offset);
        gap = 0;
        match joined.last_mut() {
            _ if span.length == 0 => gap = offset,
            Some(last) if offset == 0 => last.length = last.length.saturating_add(span.length),
            _ => joined.push(Span { offset, length: span.length }),
        }
    }
    joined
}

/// Upper bounds and the observations up to them, if a reader makes the same histogram of them.
fn classic(histogram: &FloatHistogram) -> Option<Vec<(f64, f64)>> {
    if !histogram.uses_custom_buckets() {
        return None;
    }
    let bounds = histogram.custom_values.iter().copied().chain([f64::INFINITY]);
    let mut below = 0.0;
    let buckets: Vec<(f64, f64)> = bounds
        .zip(&histogram.positive_buckets)
        .map(|(bound, count)| {
            below += count;
            (bound, below)
        })
        .collect();
    let gauge = histogram.counter_reset_hint == CounterResetHint::Gauge;
    let read = to_custom_buckets(&mut buckets.clone(), Some(histogram.count), Some(histogram.sum), gauge)?;
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let same = bits(&read.positive_buckets) == bits(&histogram.positive_buckets)
        && bits(&read.custom_values) == bits(&histogram.custom_values)
        && joined(&read.positive_spans) == joined(&histogram.positive_spans)
        && histogram.negative_buckets.is_empty()
        && (histogram.zero_count, histogram.zero_threshold) == (0.0, 0.0);
    same.then_some(buckets)
}

/// Reads what [`write_histogram`] or another program wrote in braces. Classic buckets beside native ones say nothing more
/// and are left out; alone they are custom buckets.
///
/// # Errors
/// What does not fit, in words that follow the place.
pub fn parse_histogram(text: &str) -> Result<FloatHistogram, String> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let mut rest = inner.ok_or_else(|| format!("{text:?} is no histogram in braces"))?;
    let mut histogram = FloatHistogram::default();
    let (mut count, mut sum, mut schema, mut classic, mut custom) = (None, None, None, None, None::<Vec<f64>>);
    while !rest.is_empty() {
        let (name, tail) = rest.split_once(':').ok_or_else(|| format!("{rest:?}: expected a field and `:`"))?;
        // A list ends with its bracket, all else with a comma.
        let (value, tail) = match tail.strip_prefix('[') {
            Some(tail) => tail.split_once(']').ok_or_else(|| format!("{name} has no closing bracket"))?,
            None => tail.split_at(tail.find(',').unwrap_or(tail.len())),
        };
        match name {
            "count" | "gcount" => count = Some(number(name, value)?),
            "sum" | "gsum" => sum = Some(number(name, value)?),
            "schema" => schema = Some(value.parse::<i32>().map_err(|_| format!("schema {value:?} is no integer"))?),
            "zero_threshold" => histogram.zero_threshold = number(name, value)?,
            "zero_count" => histogram.zero_count = number(name, value)?,
            "negative_spans" => histogram.negative_spans = spans(name, value)?,
            "positive_spans" => histogram.positive_spans = spans(name, value)?,
            "negative_buckets" => histogram.negative_buckets = numbers(name, value)?,
            "positive_buckets" => histogram.positive_buckets = numbers(name, value)?,
            "custom_values" => custom = Some(numbers(name, value)?),
            "bucket" => classic = Some(bounds(value)?),
            "quantile" => return Err("a summary as one value is not read; write its quantiles as samples".into()),
            _ => return Err(format!("{name:?} is no field of a histogram")),
        }
        if name.starts_with('g') {
            histogram.counter_reset_hint = CounterResetHint::Gauge;
        }
        rest = match tail.strip_prefix(',') {
            Some("") => return Err("a comma with nothing behind it".into()),
            Some(rest) => rest,
            None if tail.is_empty() => tail,
            None => return Err(format!("expected a comma after {name}, not {tail:?}")),
        };
    }
    let (Some(count), Some(sum)) = (count, sum) else { return Err("a histogram has count and sum".into()) };
    let Some(schema) = schema else {
        let mut buckets = classic.ok_or("a histogram has a schema or classic buckets")?;
        let gauge = histogram.counter_reset_hint == CounterResetHint::Gauge;
        return to_custom_buckets(&mut buckets, Some(count), Some(sum), gauge)
            .ok_or_else(|| "the buckets and the count do not fit together".into());
    };
    (histogram.count, histogram.sum, histogram.schema) = (count, sum, schema);
    histogram.custom_values = custom.unwrap_or_default();
    check(&histogram)?;
    Ok(histogram)
}

/// What is wrong with the shape of a histogram from elsewhere.
///
/// # Errors
/// The fault in words.
pub fn check(histogram: &FloatHistogram) -> Result<(), String> {
    match histogram.schema {
        CUSTOM_BUCKETS_SCHEMA if histogram.custom_values.is_sorted_by(|a, b| a < b) => {}
        CUSTOM_BUCKETS_SCHEMA => return Err("the custom values are not ascending".into()),
        schema if SCHEMAS.contains(&schema) && histogram.custom_values.is_empty() => {}
        schema if SCHEMAS.contains(&schema) => return Err(format!("schema {schema} has no custom values")),
        schema => return Err(format!("schema {schema} is none from -4 to 8")),
    }
    for (sign, spans, buckets) in [
        ("negative", &histogram.negative_spans, &histogram.negative_buckets),
        ("positive", &histogram.positive_spans, &histogram.positive_buckets),
    ] {
        let told: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        if told != buckets.len() as u64 {
            return Err(format!("the {sign} spans tell of {told} buckets, and there are {}", buckets.len()));
        }
        let mut index = 0_i64;
        for (at, span) in spans.iter().enumerate() {
            if at > 0 && span.offset < 0 {
                return Err(format!("the {sign} spans overlap"));
            }
            index += i64::from(span.offset) + i64::from(span.length);
            if i32::try_from(index).is_err() {
                return Err(format!("the {sign} spans go beyond all bounds"));
            }
        }
    }
    Ok(())
}

fn number(name: &str, text: &str) -> Result<f64, String> {
    parse_float(text).ok_or_else(|| format!("{name}: {text:?} is no number"))
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(move |_| !text.is_empty())
}

fn numbers(name: &str, text: &str) -> Result<Vec<f64>, String> {
    items(text).map(|item| number(name, item)).collect()
}

fn spans(name: &str, text: &str) -> Result<Vec<Span>, String> {
    let span = |item: &str| {
        let (offset, length) = item.split_once(':')?;
        Some(Span { offset: offset.parse().ok()?, length: length.parse().ok()? })
    };
    items(text)
        .map(|item| span(item).ok_or_else(|| format!("{name}: {item:?} is no span, as 2:3: offset and length")))
        .collect()
}

fn bounds(text: &str) -> Result<Vec<(f64, f64)>, String> {
    let bucket = |item: &str| {
        let (bound, count) = item.split_once(':')?;
        Some((parse_float(bound)?, parse_float(count)?))
    };
    items(text)
        .map(|item| bucket(item).ok_or_else(|| format!("bucket: {item:?} is no bucket, as 0.5:3: bound and count")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(histogram: &FloatHistogram) -> String {
        let mut text = String::new();
        write_histogram(histogram, &mut text);
        text
    }

    /// As read => as written.
    #[rustfmt::skip]
    const READ: &[(&str, &str)] = &[
        ("{count:2,sum:1.2e2,schema:0,zero_threshold:1e-4,zero_count:0,positive_spans:[1:2],positive_buckets:[1,1],bucket:[0.5:1,1:2,+Inf:2]}",
         "{count:2,sum:120,schema:0,zero_threshold:0.0001,zero_count:0,positive_spans:[1:2],positive_buckets:[1,1]}"),
        ("{gcount:0.01,gsum:2.0,schema:0,zero_threshold:1e-4,zero_count:0.0,positive_spans:[1:1,0:1],positive_buckets:[0.005,0.005]}",
         "{gcount:0.01,gsum:2,schema:0,zero_threshold:0.0001,zero_count:0,positive_spans:[1:2],positive_buckets:[0.005,0.005]}"),
        ("{count:59,sum:NaN,schema:7,zero_threshold:0,zero_count:1,negative_spans:[1:2],negative_buckets:[5,7],positive_spans:[-1:3,3:4],positive_buckets:[5,7,10,9,8,8,-0.5]}",
         "{count:59,sum:NaN,schema:7,zero_threshold:0,zero_count:1,negative_spans:[1:2],negative_buckets:[5,7],positive_spans:[-1:3,3:4],positive_buckets:[5,7,10,9,8,8,-0.5]}"),
        ("{count:17,sum:324789.3,bucket:[0.0:1,0.1:8,1.0:14,+Inf:17]}", "{count:17,sum:324789.3,bucket:[0:1,0.1:8,1:14,+Inf:17]}"),
        ("{count:0,sum:0,schema:3,zero_threshold:0,zero_count:0,positive_spans:[],positive_buckets:[]}",
         "{count:0,sum:0,schema:3,zero_threshold:0,zero_count:0}"),
        ("{count:3,sum:1,schema:-53,zero_threshold:0,zero_count:0,positive_spans:[1:1],positive_buckets:[3],custom_values:[0.5,1]}",
         "{count:3,sum:1,schema:-53,zero_threshold:0,zero_count:0,positive_spans:[1:1],positive_buckets:[3],custom_values:[0.5,1]}"),
    ];

    #[test]
    fn composite_values() {
        for (text, expected) in READ {
            assert_eq!(written(&parse_histogram(text).unwrap()), *expected);
        }
    }

    /// Text, part of what is told.
    #[rustfmt::skip]
    const BAD: &[(&str, &str)] = &[
        ("", "no histogram in braces"), ("{", "in braces"), ("{}", "count and sum"), ("{count:1}", "count and sum"),
        ("{count:1,sum:2}", "a schema or classic buckets"), ("{count:1,sum:2,}", "a comma"), ("{count}", "`:`"),
        ("{count:1,sum:2,schema:9}", "schema 9"), ("{count:1,sum:2,schema:x}", "no integer"),
        ("{count:1,sum:2,schema:-53,custom_values:[2,1]}", "not ascending"), ("{count:one,sum:2}", "no number"),
        ("{count:1,sum:2,schema:1,positive_spans:[0:2],positive_buckets:[1]}", "tell of 2 buckets"),
        ("{count:1,sum:2,schema:1,positive_spans:[0:4294967295,0:4294967295],positive_buckets:[1]}", "tell of 8589934590"),
        ("{count:1,sum:2,schema:1,positive_spans:[0:1,-3:1],positive_buckets:[1,1]}", "overlap"),
        ("{count:1,sum:2,schema:1,positive_spans:[2147483647:1],positive_buckets:[1]}", "beyond all bounds"),
        ("{count:1,sum:2,schema:1,positive_spans:[0:1],positive_buckets:[1}", "no closing bracket"),
        ("{count:1,sum:2,schema:1,positive_spans:[0],positive_buckets:[1]}", "no span"),
        ("{count:1,sum:2,schema:1,positive_spans:[0:1]x,positive_buckets:[1]}", "expected a comma"),
        ("{count:1,sum:2,bucket:[1:2,+Inf:1]}", "do not fit"), ("{count:1,sum:2,bucket:[1]}", "no bucket"),
        ("{count:1,sum:2,quantile:[0.5:1]}", "a summary"), ("{count:1,sum:2,mean:2}", "no field"),
    ];

    #[test]
    fn what_is_no_histogram_is_told() {
        for (text, part) in BAD {
            let told = parse_histogram(text).unwrap_err();
            assert!(told.contains(part), "{text}: {told}");
        }
    }

    fn half() -> impl Strategy<Value = (Vec<Span>, Vec<f64>)> {
        let count =
            prop_oneof![(0..100_u32).prop_map(f64::from), any::<f64>().prop_filter("finite", |v| v.is_finite())];
        proptest::collection::vec((0..9_i32, proptest::collection::vec(count, 1..4)), 0..4).prop_map(|runs| {
            let mut spans = Vec::new();
            for (at, (offset, counts)) in runs.iter().enumerate() {
                let offset = if at == 0 { offset - 4 } else { offset + 1 };
                spans.push(Span { offset, length: u32::try_from(counts.len()).unwrap() });
            }
            (spans, runs.into_iter().flat_map(|(_, counts)| counts).collect())
        })
    }

    proptest! {
        #[test]
        fn written_and_read_again(
            (schema, gauge, custom) in (-4..=8_i32, any::<bool>(), any::<bool>()),
            (count, sum, zero) in (any::<f64>(), any::<f64>(), 0.0..1e9_f64),
            (positive, negative) in (half(), half()),
            bounds in proptest::collection::btree_set(-50..50_i32, 0..6),
        ) {
            let mut histogram = FloatHistogram {
                counter_reset_hint: if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
                schema,
                zero_threshold: zero / 1e6,
                zero_count: zero,
                count: if count.is_finite() { count } else { 7.0 },
                sum: if sum.is_finite() { sum } else { f64::INFINITY },
                positive_spans: positive.0,
                positive_buckets: positive.1,
                negative_spans: negative.0,
                negative_buckets: negative.1,
                custom_values: Vec::new(),
            };
            if custom {
                histogram.schema = CUSTOM_BUCKETS_SCHEMA;
                histogram.custom_values = bounds.into_iter().map(|bound| f64::from(bound) / 4.0).collect();
                (histogram.zero_threshold, histogram.zero_count) = (0.0, 0.0);
                let length = u32::try_from(histogram.custom_values.len()).unwrap() + 1;
                histogram.positive_spans = vec![Span { offset: 0, length }];
                histogram.positive_buckets = (0..length).map(f64::from).collect();
                histogram.count = histogram.positive_buckets.iter().sum();
            }
            let text = written(&histogram);
            prop_assert_eq!(parse_histogram(&text).unwrap(), histogram, "{}", text);
        }

        #[test]
        fn no_text_panics(text in "[{}\\[\\]:,a-z0-9_.+-]{0,60}") {
            let _ = parse_histogram(&text);
        }
    }
}
