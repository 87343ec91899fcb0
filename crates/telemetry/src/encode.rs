//! Our metrics as `/metrics` serves them.

use crate::{MetricFamily, Value};
use exposition::Writer;
use exposition::format::Served;

/// The body for families in the format that was agreed on (`exposition::negotiate`).
pub fn encode(families: &[MetricFamily], served: Served) -> String {
    let mut writer = Writer::new(served);
    for family in families.iter().filter(|family| !family.series.is_empty()) {
        let name = family.name.as_str();
        writer.family(name, &family.help, family.metric_type);
        for (labels, value) in &family.series {
            match value {
                Value::Number(value) => writer.sample(name, labels, None, *value, None),
                Value::Histogram { sum, buckets } => {
                    let bucket_name = format!("{name}_bucket");
                    for (bound, count) in buckets {
                        writer.sample(&bucket_name, labels, Some(("le", *bound)), *count as f64, None);
                    }
                    let count = buckets.last().map_or(0, |(_, count)| *count);
                    writer.sample(&format!("{name}_sum"), labels, None, *sum, None);
                    writer.sample(&format!("{name}_count"), labels, None, count as f64, None);
                }
                Value::Summary { sum, count, quantiles } => {
                    for (quantile, value) in quantiles {
                        writer.sample(name, labels, Some(("quantile", *quantile)), *value, None);
                    }
                    writer.sample(&format!("{name}_sum"), labels, None, *sum, None);
                    writer.sample(&format!("{name}_count"), labels, None, *count as f64, None);
                }
            }
        }
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    #[test]
    fn registry_as_text() {
        let registry = Registry::new();
        registry.counter("a_total", "A.", &[("k", "v")]).add(2.0);
        registry.histogram("h", "H.", &[], &[0.5]).observe(0.25);
        assert_eq!(
            encode(&registry.collect(), Served::TEXT),
            "# HELP a_total A.\n# TYPE a_total counter\na_total{k=\"v\"} 2\n# HELP h H.\n# TYPE h histogram\n\
             h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 0.25\nh_count 1\n"
        );
    }
}
