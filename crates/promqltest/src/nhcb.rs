//! `load_with_nhcb`: classic histograms once more as native ones with custom buckets.

use crate::series::SeriesError;
use model::{FloatHistogram, Labels, histogram::CUSTOM_BUCKETS_SCHEMA, labels::METRIC_NAME, stale::is_stale_nan};
use std::{collections::BTreeMap, sync::Arc};
use storage::Samples;

/// What is known of one histogram at one time.
#[derive(Default)]
struct Parts {
    /// (upper bound, cumulative count).
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

/// The histograms that the series contain, by labels.
pub(crate) fn convert(series: &BTreeMap<Labels, Samples>) -> Result<BTreeMap<Labels, Samples>, SeriesError> {
    let mut parts: BTreeMap<Labels, BTreeMap<i64, Parts>> = BTreeMap::new();
    for (labels, samples) in series {
        let name = labels.metric_name();
        let (base, suffix) = match name.rsplit_once('_') {
            Some((base, suffix @ ("bucket" | "count" | "sum"))) => (base, suffix),
            _ => continue,
        };
        let bound = labels.get("le").and_then(model::float::parse_float).filter(|bound| !bound.is_nan());
        if suffix == "bucket" && bound.is_none() {
            continue;
        }
        let target = labels.to_builder().set(METRIC_NAME, base).delete("le").build();
        for (index, time) in samples.timestamps.iter().enumerate() {
            if samples.histogram(index).is_some() {
                continue;
            }
            let value = samples.values[index];
            let entry = parts.entry(target.clone()).or_default().entry(*time).or_default();
            match (suffix, bound) {
                ("bucket", Some(bound)) => entry.buckets.push((bound, value)),
                ("count", _) => entry.count = Some(value),
                _ => entry.sum = Some(value),
            }
        }
    }
    let mut out: BTreeMap<Labels, Samples> = BTreeMap::new();
    for (labels, times) in parts {
        // A `_count` alone belongs to a summary or to nothing.
        if times.values().all(|parts| parts.buckets.is_empty()) {
            continue;
        }
        let mut samples = Samples::default();
        for (time, parts) in times {
            samples.push_histogram(time, Arc::new(assemble(&labels, parts)?));
        }
        out.insert(labels, samples);
    }
    Ok(out)
}

fn assemble(labels: &Labels, mut parts: Parts) -> Result<FloatHistogram, SeriesError> {
    parts.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let stale = parts.buckets.iter().any(|(_, count)| is_stale_nan(*count));
    let highest = parts.buckets.last().map_or(0.0, |(_, count)| *count);
    let count = parts.count.unwrap_or(highest);
    if parts.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        parts.buckets.push((f64::INFINITY, count));
    }
    let mut out = FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count,
        sum: if stale { model::stale::STALE_NAN } else { parts.sum.unwrap_or(0.0) },
        ..FloatHistogram::default()
    };
    let mut previous = 0.0;
    for &(bound, cumulative) in &parts.buckets {
        if cumulative < previous {
            return Err(SeriesError(format!("{labels}: bucket counts are not cumulative")));
        }
        out.positive_buckets.push(cumulative - previous);
        previous = cumulative;
        if bound != f64::INFINITY {
            out.custom_values.push(bound);
        }
    }
    if !stale && count != previous {
        return Err(SeriesError(format!("{labels}: count {count} is not that of the +Inf bucket, {previous}")));
    }
    out.positive_spans = promql::histogram::single_span(0, &out.positive_buckets);
    Ok(out)
}
