//! Writing the text formats: `/metrics` and `/federate`.

use crate::escaping::Escaping;
use crate::format::Served;
use crate::native::write_histogram;
use crate::number::format_float;
use model::labels::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
use model::{Exemplar, Labels, MetricType, SampleValue};
use std::fmt::Write;

/// Writes families of samples in the format that was agreed on.
#[derive(Debug)]
pub struct Writer {
    out: String,
    served: Served,
    /// The family's name as its samples carry it, without OpenMetrics' suffix.
    family: String,
    family_type: MetricType,
}

impl Writer {
    pub fn new(served: Served) -> Self {
        Writer { out: String::new(), served, family: String::new(), family_type: MetricType::Unknown }
    }

    /// Starts a family: HELP (left out if empty) and TYPE. `name` is the Prometheus name: of a counter with its `_total`.
    pub fn family(&mut self, name: &str, help: &str, metric_type: MetricType) {
        let openmetrics = self.served.is_openmetrics();
        let (mut shown, mut metric_type) = (name, metric_type);
        if openmetrics {
            match (metric_type, name.strip_suffix("_total"), name.strip_suffix("_info")) {
                (MetricType::Counter, Some(base), _) | (MetricType::Info, _, Some(base)) => shown = base,
                // OpenMetrics demands the suffix, and who named the metric did not: then it has no known type.
                (MetricType::Counter | MetricType::Info, ..) => metric_type = MetricType::Unknown,
                _ => {}
            }
        }
        let type_name = match metric_type {
            MetricType::Unknown if !openmetrics => "untyped",
            MetricType::Info | MetricType::StateSet if !openmetrics => "gauge",
            MetricType::GaugeHistogram if !openmetrics => "histogram",
            other => other.as_str(),
        };
        if !help.is_empty() {
            self.out.push_str("# HELP ");
            self.name(shown);
            self.out.push(' ');
            escape(&mut self.out, help, openmetrics);
            self.out.push('\n');
        }
        self.out.push_str("# TYPE ");
        self.name(shown);
        self.out.push(' ');
        self.out.push_str(type_name);
        self.out.push('\n');
        name.clone_into(&mut self.family);
        self.family_type = metric_type;
    }

    /// The unit of the family begun last, where OpenMetrics allows it: as the end of the family's name.
    pub fn unit(&mut self, unit: &str) {
        let name = self.family.clone();
        let shown = match self.family_type {
            MetricType::Counter => name.strip_suffix("_total").unwrap_or(&name),
            _ => &name,
        };
        let fits = shown.strip_suffix(unit).is_some_and(|head| head.ends_with('_') && head.len() > 1);
        if self.served.is_openmetrics() && !unit.is_empty() && fits {
            self.out.push_str("# UNIT ");
            self.name(shown);
            self.out.push(' ');
            self.out.push_str(unit);
            self.out.push('\n');
        }
    }

    /// One sample of OpenMetrics with all that belongs to it; histograms, a start timestamp and more than one exemplar are
    /// of version 2.0.
    pub fn detailed(
        &mut self,
        name: &str,
        labels: &Labels,
        value: &SampleValue,
        (timestamp_ms, start_ms): (i64, Option<i64>),
        exemplars: &[Exemplar],
    ) {
        self.series(name, labels.iter().filter(|(name, _)| *name != METRIC_NAME), None);
        self.out.push(' ');
        match value {
            SampleValue::Float(value) => self.number(*value),
            SampleValue::Histogram(histogram) => write_histogram(histogram, &mut self.out),
        }
        self.out.push(' ');
        self.seconds(timestamp_ms);
        if let Some(start_ms) = start_ms {
            self.out.push_str(" st@");
            self.seconds(start_ms);
        }
        for exemplar in exemplars {
            self.out.push_str(" # {");
            for (at, (name, value)) in exemplar.labels.iter().enumerate() {
                if at > 0 {
                    self.out.push(',');
                }
                self.label(name);
                self.out.push('=');
                quoted(&mut self.out, value);
            }
            self.out.push_str("} ");
            self.number(exemplar.value);
            if let Some(time) = exemplar.timestamp_ms {
                self.out.push(' ');
                self.seconds(time);
            }
        }
        self.out.push('\n');
    }

    /// One sample: of the metric `name`, with the labels but `__name__`, then `extra` as `le` or `quantile`.
    pub fn sample(
        &mut self,
        name: &str,
        labels: &Labels,
        extra: Option<(&str, f64)>,
        value: f64,
        timestamp_ms: Option<i64>,
    ) {
        let pairs = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
        self.pairs(name, pairs, extra, value, timestamp_ms);
    }

    fn pairs<'a>(
        &mut self,
        name: &str,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        extra: Option<(&str, f64)>,
        value: f64,
        timestamp_ms: Option<i64>,
    ) {
        self.series(name, pairs, extra);
        self.out.push(' ');
        if self.served.is_openmetrics() {
            self.number(value)
        } else {
            self.out.push_str(&format_float(value))
        }
        if let Some(ms) = timestamp_ms {
            self.out.push(' ');
            if self.served.is_openmetrics() {
                self.seconds(ms);
            } else {
                self.out.push_str(&ms.to_string());
            }
        }
        self.out.push('\n');
    }

    /// A time in seconds.
    fn seconds(&mut self, ms: i64) {
        let sign = if ms < 0 { "-" } else { "" };
        let ms = ms.unsigned_abs();
        let _ = write!(self.out, "{sign}{}.{:03}", ms / 1000, ms % 1000);
    }

    /// What a sample is of.
    fn series<'a>(&mut self, name: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>, extra: Option<(&str, f64)>) {
        let quoted_name = self.served.escaping == Escaping::AllowUtf8 && !is_legacy_metric_name(name);
        let mut open = false;
        if quoted_name {
            self.out.push('{');
            quoted(&mut self.out, name);
            open = true;
        } else {
            self.name(name);
        }
        for (label, text) in pairs {
            self.out.push(if open { ',' } else { '{' });
            open = true;
            self.label(label);
            self.out.push('=');
            quoted(&mut self.out, text);
        }
        if let Some((label, number)) = extra {
            self.out.push(if open { ',' } else { '{' });
            open = true;
            self.out.push_str(label);
            self.out.push_str("=\"");
            self.number(number);
            self.out.push('"');
        }
        if open {
            self.out.push('}');
        }
    }

    /// What is written so far, for those who send it on piece by piece.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// The body, closed.
    pub fn finish(mut self) -> String {
        if self.served.is_openmetrics() {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// OpenMetrics writes whole numbers with a fraction.
    fn number(&mut self, value: f64) {
        let text = format_float(value);
        self.out.push_str(&text);
        if self.served.is_openmetrics() && !text.contains(['.', 'e', 'N', 'I']) {
            self.out.push_str(".0");
        }
    }

    fn name(&mut self, name: &str) {
        if self.served.escaping == Escaping::AllowUtf8 && !is_legacy_metric_name(name) {
            quoted(&mut self.out, name);
        } else {
            self.out.push_str(&self.served.escaping.name(name));
        }
    }

    fn label(&mut self, name: &str) {
        if self.served.escaping == Escaping::AllowUtf8 && !is_legacy_label_name(name) {
            quoted(&mut self.out, name);
        } else {
            self.out.push_str(&self.served.escaping.name(name));
        }
    }
}

/// A series as `/federate` answers it.
#[derive(Clone, Debug, PartialEq)]
pub struct FederatedSample {
    pub labels: Labels,
    pub value: f64,
    pub timestamp_ms: i64,
}

/// The body of `/federate`: samples by name, each family untyped, `external_labels` where a series has no label of
/// that name, and an empty `instance` where there is none, so that the asking server does not put its own.
pub fn federate(mut samples: Vec<FederatedSample>, external_labels: &Labels, served: Served) -> String {
    samples.sort_by(|a, b| a.labels.metric_name().cmp(b.labels.metric_name()).then_with(|| a.labels.cmp(&b.labels)));
    let mut added: Vec<(&str, &str)> = external_labels.iter().collect();
    if external_labels.get("instance").is_none() {
        added.push(("instance", ""));
        added.sort_unstable();
    }
    let mut writer = Writer::new(served);
    let mut family: Option<String> = None;
    for sample in &samples {
        let name = sample.labels.metric_name();
        if name.is_empty() {
            continue;
        }
        if family.as_deref() != Some(name) {
            writer.family(name, "", MetricType::Unknown);
            family = Some(name.to_owned());
        }
        let own = sample.labels.iter().filter(|(label, _)| *label != METRIC_NAME);
        let added = added.iter().copied().filter(|(label, _)| sample.labels.get(label).is_none());
        writer.pairs(name, own.chain(added), None, sample.value, Some(sample.timestamp_ms));
    }
    writer.finish()
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    escape(out, text, true);
    out.push('"');
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScrapeProtocol;

    const OPENMETRICS: Served =
        Served { protocol: ScrapeProtocol::OpenMetricsText1_0_0, escaping: Escaping::AllowUtf8 };

    #[test]
    fn text_and_openmetrics() {
        for (served, expected) in [
            (
                Served::TEXT,
                "# HELP a_total a \"b\"\\n\n# TYPE a_total counter\na_total{k=\"v\\\"\"} 1\n\
                 # TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1e+06\n\
                 # TYPE dot_ted untyped\ndot_ted{la_bel=\"x\"} NaN 1500\n",
            ),
            (
                OPENMETRICS,
                "# HELP a a \\\"b\\\"\\n\n# TYPE a counter\na_total{k=\"v\\\"\"} 1.0\n\
                 # TYPE h histogram\nh_bucket{le=\"1.0\"} 2.0\nh_bucket{le=\"+Inf\"} 1e+06\n\
                 # TYPE \"dot.ted\" unknown\n{\"dot.ted\",\"la.bel\"=\"x\"} NaN 1.500\n# EOF\n",
            ),
        ] {
            let mut writer = Writer::new(served);
            writer.family("a_total", "a \"b\"\n", MetricType::Counter);
            writer.sample("a_total", &Labels::from_pairs([("k", "v\"")]), None, 1.0, None);
            writer.family("h", "", MetricType::Histogram);
            writer.sample("h_bucket", &Labels::empty(), Some(("le", 1.0)), 2.0, None);
            writer.sample("h_bucket", &Labels::empty(), Some(("le", f64::INFINITY)), 1e6, None);
            writer.family("dot.ted", "", MetricType::Unknown);
            writer.sample("dot.ted", &Labels::from_pairs([("la.bel", "x")]), None, f64::NAN, Some(1500));
            assert_eq!(writer.finish(), expected);
        }
    }

    #[test]
    fn federation() {
        let sample = |pairs: &[(&str, &str)], value| FederatedSample {
            labels: Labels::from_pairs(pairs.iter().copied()),
            value,
            timestamp_ms: 6_000_000,
        };
        let samples = vec![
            sample(&[("__name__", "up"), ("instance", "b"), ("zone", "own")], 0.0),
            sample(&[("__name__", "up"), ("instance", "a")], 1.0),
            sample(&[("__name__", "a"), ("k", "v")], 2.0),
        ];
        let external = Labels::from_pairs([("zone", "eu")]);
        assert_eq!(
            federate(samples, &external, Served::TEXT),
            "# TYPE a untyped\na{k=\"v\",instance=\"\",zone=\"eu\"} 2 6000000\n\
             # TYPE up untyped\nup{instance=\"a\",zone=\"eu\"} 1 6000000\nup{instance=\"b\",zone=\"own\"} 0 6000000\n"
        );
    }
}
