//! The two forms of an answer: text 0.0.4, and protobuf, which has words for histograms.

use super::Found;
use exposition::Escaping;
use exposition::protobuf::{Family, Metric, MetricValue, Writer, histogram_type};
use model::labels::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name, quote};
use model::{Labels, MetricType, SampleValue};
use std::collections::BTreeMap;

type Sample<'a> = (&'a Labels, i64, &'a SampleValue);

/// Series by their names. Labels sort by name first, and `__name__` is not always the first label.
fn by_name(found: &Found) -> BTreeMap<&str, Vec<Sample<'_>>> {
    let mut by_name: BTreeMap<&str, Vec<Sample<'_>>> = BTreeMap::new();
    for (labels, (timestamp_ms, value)) in found {
        let name = labels.metric_name();
        if !name.is_empty() {
            by_name.entry(name).or_default().push((labels, *timestamp_ms, value));
        }
    }
    by_name
}

/// The labels of a series but its name, then external labels that it lacks. One without `instance` says so among these,
/// that it gets none of who scrapes it.
fn labels<'a>(own: &'a Labels, external: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> {
    const INSTANCE: &str = "instance";
    let added = move |before: bool| {
        external.iter().filter(move |(name, _)| (*name < INSTANCE) == before && own.get(name).is_none())
    };
    let none = (own.get(INSTANCE).is_none() && external.get(INSTANCE).is_none()).then_some((INSTANCE, ""));
    own.iter().filter(|(name, _)| *name != METRIC_NAME).chain(added(true)).chain(none).chain(added(false))
}

/// Floats in text 0.0.4. Native histograms have no place in it.
pub(super) fn text(found: &Found, external: &Labels, escaping: Escaping) -> String {
    let mut out = String::new();
    for (name, series) in by_name(found) {
        let in_quotes = escaping == Escaping::AllowUtf8;
        let quoted = in_quotes && !is_legacy_metric_name(name);
        let shown = if quoted { quote(name).into() } else { escaping.name(name) };
        let mut floats = series.into_iter().filter_map(|(labels, timestamp_ms, value)| match value {
            SampleValue::Float(value) => Some((labels, timestamp_ms, *value)),
            SampleValue::Histogram(_) => None,
        });
        let Some(first) = floats.next() else { continue };
        out.push_str(&format!("# TYPE {shown} untyped\n"));
        for (own, timestamp_ms, value) in std::iter::once(first).chain(floats) {
            let mut pairs: Vec<String> = if quoted { vec![shown.to_string()] } else { Vec::new() };
            pairs.extend(labels(own, external).map(|(label, value)| {
                let is_quoted = in_quotes && !is_legacy_label_name(label);
                let label = if is_quoted { quote(label).into() } else { escaping.name(label) };
                format!("{label}=\"{}\"", escape(value))
            }));
            if !quoted {
                out.push_str(&shown);
            }
            out.push_str(&format!("{{{}}} {} {timestamp_ms}\n", pairs.join(","), exposition::format_float(value)));
        }
    }
    out
}

/// Label values as the text format escapes them.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

/// Everything in protobuf: floats without a type, histograms with theirs, so that a name may head several families.
pub(super) fn protobuf(found: &Found, external: &Labels, escaping: Escaping) -> Vec<u8> {
    let mut writer = Writer::default();
    for (name, mut series) in by_name(found) {
        let type_of = |value: &SampleValue| match value {
            SampleValue::Float(_) => MetricType::Unknown,
            SampleValue::Histogram(histogram) => histogram_type(histogram),
        };
        series.sort_by_key(|(_, _, value)| type_of(value));
        let mut family = None;
        for (own, timestamp_ms, value) in series {
            let metric_type = type_of(value);
            if family != Some(metric_type) {
                writer.family(&Family { name: &escaping.name(name), help: "", unit: "", metric_type });
                family = Some(metric_type);
            }
            let value = match value {
                SampleValue::Float(value) => MetricValue::Float(*value),
                SampleValue::Histogram(histogram) => MetricValue::Histogram(histogram),
            };
            let names: Vec<_> = labels(own, external).map(|(name, value)| (escaping.name(name), value)).collect();
            let pairs = names.iter().map(|(name, value)| (name.as_ref(), *value));
            writer.metric(pairs, &Metric { timestamp_ms: Some(timestamp_ms), ..Metric::new(value) });
        }
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use exposition::protobuf::{Fault, Options, Sample, Visit, walk};
    use model::FloatHistogram;
    use model::histogram::{CounterResetHint, Span};
    use std::sync::Arc;

    fn labels_of(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn histogram(count: f64, counter_reset_hint: CounterResetHint) -> SampleValue {
        SampleValue::Histogram(Arc::new(FloatHistogram {
            counter_reset_hint,
            count,
            sum: 2.5,
            positive_spans: vec![Span { offset: 1, length: 1 }],
            positive_buckets: vec![count],
            ..FloatHistogram::default()
        }))
    }

    #[test]
    fn families_stand_together_with_external_labels() {
        let found = BTreeMap::from([
            (labels_of(&[("__name__", "up"), ("Zone", "a"), ("instance", "i")]), (1_000, SampleValue::Float(1.0))),
            (
                labels_of(&[("__name__", "up"), ("instance", "i"), ("region", "own")]),
                (2_000, SampleValue::Float(f64::NAN)),
            ),
            (labels_of(&[("__name__", "a_total"), ("path", "a\"b\\c\nd")]), (3_000, SampleValue::Float(1e21))),
            (labels_of(&[("__name__", "a.b"), ("instance", "i")]), (4_000, SampleValue::Float(0.5))),
            (labels_of(&[("__name__", "h"), ("instance", "i")]), (4_000, histogram(1.0, CounterResetHint::Unknown))),
        ]);
        assert_eq!(
            text(&found, &labels_of(&[("region", "eu")]), Escaping::AllowUtf8),
            "# TYPE \"a.b\" untyped\n\
             {\"a.b\",instance=\"i\",region=\"eu\"} 0.5 4000\n\
             # TYPE a_total untyped\n\
             a_total{path=\"a\\\"b\\\\c\\nd\",instance=\"\",region=\"eu\"} 1e+21 3000\n\
             # TYPE up untyped\n\
             up{Zone=\"a\",instance=\"i\",region=\"eu\"} 1 1000\n\
             up{instance=\"i\",region=\"own\"} NaN 2000\n"
        );
    }

    #[test]
    fn names_are_escaped_as_asked() {
        let found = BTreeMap::from([(
            labels_of(&[("__name__", "utf.8"), ("a.b", "c"), ("instance", "i")]),
            (1_000, SampleValue::Float(3.0)),
        )]);
        let shown = |escaping| text(&found, &Labels::default(), escaping);
        for (escaping, expected) in [
            (Escaping::AllowUtf8, "# TYPE \"utf.8\" untyped\n{\"utf.8\",\"a.b\"=\"c\",instance=\"i\"} 3 1000\n"),
            (Escaping::Underscores, "# TYPE utf_8 untyped\nutf_8{a_b=\"c\",instance=\"i\"} 3 1000\n"),
            (Escaping::Values, "# TYPE U__utf_2e_8 untyped\nU__utf_2e_8{U__a_2e_b=\"c\",instance=\"i\"} 3 1000\n"),
        ] {
            assert_eq!(shown(escaping), expected);
        }
    }

    struct Told(Vec<String>);

    impl Visit for Told {
        type Error = Fault;
        fn family(&mut self, family: &Family<'_>) -> Result<(), Fault> {
            self.0.push(format!("# {} {}", family.name, family.metric_type.as_str()));
            Ok(())
        }
        fn sample(&mut self, sample: Sample<'_>) -> Result<(), Fault> {
            let labels = sample.series.labels().unwrap();
            let empty = if sample.series.has_empty_label("instance") { " no instance" } else { "" };
            let value = match sample.value {
                SampleValue::Float(value) => value.to_string(),
                SampleValue::Histogram(own) => format!("histogram of {}", own.count),
            };
            self.0.push(format!("{labels}{empty} {value} at {}", sample.timestamp_ms.unwrap()));
            Ok(())
        }
    }

    #[test]
    fn histograms_are_told_in_protobuf() {
        let found = BTreeMap::from([
            (labels_of(&[("__name__", "h"), ("k", "1")]), (1_000, histogram(3.0, CounterResetHint::Unknown))),
            (labels_of(&[("__name__", "h"), ("k", "2")]), (2_000, SampleValue::Float(0.5))),
            (labels_of(&[("__name__", "h"), ("k", "3")]), (3_000, histogram(4.0, CounterResetHint::Gauge))),
            (labels_of(&[("__name__", "h"), ("instance", "i")]), (4_000, histogram(5.0, CounterResetHint::Reset))),
        ]);
        let mut told = Told(Vec::new());
        let options = Options { native: true, ..Options::default() };
        walk(&protobuf(&found, &labels_of(&[("region", "eu")]), Escaping::AllowUtf8), &options, &mut told).unwrap();
        assert_eq!(
            told.0.join("\n"),
            "# h histogram\n\
             {__name__=\"h\", instance=\"i\", region=\"eu\"} histogram of 5 at 4000\n\
             {__name__=\"h\", k=\"1\", region=\"eu\"} no instance histogram of 3 at 1000\n\
             # h gaugehistogram\n\
             {__name__=\"h\", k=\"3\", region=\"eu\"} no instance histogram of 4 at 3000\n\
             # h unknown\n\
             {__name__=\"h\", k=\"2\", region=\"eu\"} no instance 0.5 at 2000"
        );
    }
}
