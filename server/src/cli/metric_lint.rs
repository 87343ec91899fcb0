//! Remarks on the names of metrics, after Prometheus' naming practices ("metric and label naming"). They are no faults:
//! what they are about works, and reads worse than it could.

use exposition::{Entry, Format, Parser};
use model::MetricType;
use std::collections::BTreeMap;

/// Endings that the series of a family may add to its name.
const SERIES_SUFFIXES: [&str; 6] = ["_bucket", "_count", "_sum", "_total", "_created", "_info"];
/// Words for types, which stand in the TYPE line and not in a name.
const TYPE_WORDS: [&str; 5] = ["counter", "gauge", "histogram", "summary", "untyped"];
/// Units, and the base unit that is used instead.
const UNITS: [(&str, &str); 14] = [
    ("milliseconds", "seconds"),
    ("microseconds", "seconds"),
    ("nanoseconds", "seconds"),
    ("minutes", "seconds"),
    ("hours", "seconds"),
    ("days", "seconds"),
    ("kilobytes", "bytes"),
    ("megabytes", "bytes"),
    ("gigabytes", "bytes"),
    ("kibibytes", "bytes"),
    ("mebibytes", "bytes"),
    ("bits", "bytes"),
    ("millimeters", "meters"),
    ("kilometers", "meters"),
];

#[derive(Default)]
struct Family {
    has_help: bool,
    metric_type: MetricType,
}

/// Remarks on a body that parses, one a line and `metric: remark`, sorted.
pub(super) fn remarks(body: &[u8], format: Format) -> Vec<String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let Ok(parser) = Parser::new(body, format) else { return Vec::new() };
    for entry in parser {
        match entry {
            Ok(Entry::Help { name, help }) => {
                families.entry(name.into_owned()).or_default().has_help = !help.is_empty();
            }
            Ok(Entry::Type { name, metric_type }) => {
                families.entry(name.into_owned()).or_default().metric_type = metric_type;
            }
            Ok(Entry::Sample(sample)) => {
                let Ok(labels) = sample.labels() else { continue };
                let name = labels.get(model::labels::METRIC_NAME).unwrap_or_default();
                let belongs = families.contains_key(name)
                    || SERIES_SUFFIXES.iter().any(|s| name.strip_suffix(s).is_some_and(|f| families.contains_key(f)));
                if !belongs {
                    families.insert(name.to_owned(), Family::default());
                }
            }
            Ok(Entry::Unit { .. } | Entry::Detailed(_)) | Err(_) => {}
        }
    }
    let mut remarks: Vec<_> =
        families.iter().flat_map(|(name, family)| about(name, family, format == Format::OpenMetrics)).collect();
    remarks.sort();
    remarks
}

fn about(name: &str, family: &Family, is_openmetrics: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut remark = |text: String| remarks.push(format!("{name}: {text}"));
    if !family.has_help {
        remark("no HELP; say what it counts or measures".to_owned());
    }
    let is_counter = family.metric_type == MetricType::Counter;
    // OpenMetrics has the ending on the samples and not on the family.
    if is_counter && !is_openmetrics && !name.ends_with("_total") {
        remark("a counter's name ends with _total".to_owned());
    }
    if !is_counter && family.metric_type != MetricType::Unknown && name.ends_with("_total") {
        remark(format!("_total is the ending of counters, and this is a {}", family.metric_type.as_str()));
    }
    let has_series = matches!(family.metric_type, MetricType::Histogram | MetricType::Summary);
    if let Some(ending) = ["_bucket", "_count", "_sum"].iter().find(|ending| name.ends_with(**ending))
        && !has_series
    {
        remark(format!("{ending} is the ending of series of histograms and summaries"));
    }
    if name.contains(':') {
        remark("colons are for recording rules".to_owned());
    }
    if name.chars().any(|c| c.is_ascii_uppercase()) && name.chars().any(|c| c.is_ascii_lowercase()) {
        remark("names are written in snake_case".to_owned());
    }
    for word in name.split('_') {
        if TYPE_WORDS.contains(&word) {
            remark(format!("the type {word} stands in the TYPE line and not in the name"));
        }
        if let Some((_, base)) = UNITS.iter().find(|(unit, _)| *unit == word) {
            remark(format!("use the base unit {base} instead of {word}"));
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body (`;` ends a line), and the remarks.
    const CASES: &str = "
# HELP a_total Things.;# TYPE a_total counter;a_total 1 =>
# TYPE a_total gauge;a_total 1 => a_total: _total is the ending of counters, and this is a gauge;a_total: no HELP; say what it counts or measures
# HELP b B.;# TYPE b counter;b 1 => b: a counter's name ends with _total
# HELP camelCase C.;camelCase 3 => camelCase: names are written in snake_case
# HELP d:x D.;d:x 3 => d:x: colons are for recording rules
# HELP e_hours_gauge E.;e_hours_gauge 3 => e_hours_gauge: the type gauge stands in the TYPE line and not in the name;e_hours_gauge: use the base unit seconds instead of hours
# HELP f F.;# TYPE f histogram;f_bucket{le=\"+Inf\"} 1;f_sum 1;f_count 1 =>
# HELP g_count G.;# TYPE g_count gauge;g_count 1 => g_count: _count is the ending of series of histograms and summaries
";

    #[test]
    fn remarks_on_names() {
        for case in CASES.trim().lines() {
            let (body, expected) = case.split_once(" =>").unwrap();
            let body = body.replace(';', "\n") + "\n";
            let said = remarks(body.as_bytes(), Format::Text).join(";");
            assert_eq!(said, expected.trim_start(), "in case `{case}`");
        }
    }
}
