//! A histogram in the notation that [`crate::parse_series`] reads.

use model::{
    FloatHistogram,
    float::format_float,
    histogram::{CounterResetHint, Span},
};

/// Wide gaps between buckets are written as zeros, up to so many buckets; what follows is left out.
const BUCKETS_MAX: usize = 10_000;

/// `{{schema:1 count:3 sum:2 offset:-3 buckets:[1 2]}}`; what is zero is left out.
pub fn histogram_expression(histogram: &FloatHistogram) -> String {
    let h = promql::histogram::compact(histogram);
    let mut parts = Vec::new();
    if h.schema != 0 {
        parts.push(format!("schema:{}", h.schema));
    }
    for (key, value) in
        [("count", h.count), ("sum", h.sum), ("z_bucket", h.zero_count), ("z_bucket_w", h.zero_threshold)]
    {
        if value != 0.0 {
            parts.push(format!("{key}:{}", format_float(value)));
        }
    }
    if h.uses_custom_buckets() {
        parts.push(format!("custom_values:{}", list(&h.custom_values)));
    }
    match h.counter_reset_hint {
        CounterResetHint::Unknown => {}
        CounterResetHint::Reset => parts.push("counter_reset_hint:reset".to_owned()),
        CounterResetHint::NotReset => parts.push("counter_reset_hint:not_reset".to_owned()),
        CounterResetHint::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
    }
    for (prefix, spans, buckets) in
        [("", &h.positive_spans, &h.positive_buckets), ("n_", &h.negative_spans, &h.negative_buckets)]
    {
        if let Some(offset) = spans.first().map(|span| span.offset).filter(|offset| *offset != 0) {
            parts.push(format!("{prefix}offset:{offset}"));
        }
        if !buckets.is_empty() {
            parts.push(format!("{prefix}buckets:{}", list(&without_gaps(spans, buckets))));
        }
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

fn without_gaps(spans: &[Span], buckets: &[f64]) -> Vec<f64> {
    let (mut out, mut buckets) = (Vec::new(), buckets.iter());
    for (index, span) in spans.iter().enumerate() {
        let gap = if index == 0 { 0 } else { usize::try_from(span.offset).unwrap_or(0) };
        if out.len().saturating_add(gap) > BUCKETS_MAX {
            break;
        }
        out.resize(out.len() + gap, 0.0);
        out.extend(buckets.by_ref().take(usize::try_from(span.length).unwrap_or(0)));
    }
    out
}

fn list(values: &[f64]) -> String {
    let texts: Vec<_> = values.iter().map(|value| format_float(*value)).collect();
    format!("[{}]", texts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SampleValue;

    #[test]
    fn reads_back_as_it_was() {
        for text in [
            "{{}}",
            "{{schema:1 count:32.1 sum:-0.3 z_bucket:7.1 z_bucket_w:0.05 offset:-3 buckets:[5.1 10 7] n_offset:-5 n_buckets:[4.1 5]}}",
            "{{schema:-53 count:3 sum:1 custom_values:[1 2.5] buckets:[1 2]}}",
            "{{count:2 sum:3 counter_reset_hint:not_reset buckets:[1 0 1]}}",
            "{{count:4 sum:NaN counter_reset_hint:gauge buckets:[4]}}",
        ] {
            let line = crate::parse_series(&format!("x {text}")).unwrap();
            let Some(Some(SampleValue::Histogram(histogram))) = line.values.first() else { panic!("{text}") };
            assert_eq!(histogram_expression(histogram), text);
        }
    }
}
