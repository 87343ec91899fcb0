//! What the specifications demand beyond grammar: for `check metrics`, not for scraping, where it would lose
//! targets that only break the letter.
//!
//! Sources: OpenMetrics 1.0 ("Data model", "Text format"), and the text format 0.0.4.

use crate::number::parse_float;
use crate::{Entry, Fault, Format, Parser, Sample};
use model::{Labels, MetricType};
use std::collections::{HashMap, HashSet};

/// Exemplars' names and values together, in characters.
const EXEMPLAR_CHARACTERS_MAX: usize = 128;
/// A checked body that is all wrong needs no more lines than this to say so.
const FAULTS_MAX: usize = 1000;

/// All faults of a body, in order of their lines; empty if it is good.
pub fn check(body: &[u8], format: Format) -> Vec<Fault> {
    let mut parser = match Parser::new(body, format) {
        Ok(parser) => parser,
        Err(fault) => return vec![fault],
    };
    let mut checker = Checker { openmetrics: format == Format::OpenMetrics, ..Checker::default() };
    if !checker.openmetrics && !body.is_empty() && !body.ends_with(b"\n") {
        let line = body.iter().filter(|byte| **byte == b'\n').count() + 1;
        checker.fault(line, "the last line has no newline at its end");
    }
    while let Some(entry) = parser.next() {
        checker.line = parser.line();
        match entry {
            Ok(Entry::Sample(sample)) => checker.sample(&sample),
            // Not of the versions that are checked.
            Ok(Entry::Detailed(_)) => {}
            // Classic text: a HELP line without a text says nothing, and may be repeated.
            Ok(Entry::Help { help, .. }) if help.is_empty() && !checker.openmetrics => {}
            Ok(Entry::Help { name, .. }) => checker.metadata(&name, Kind::Help),
            Ok(Entry::Type { name, metric_type }) => checker.metadata(&name, Kind::Type(metric_type)),
            Ok(Entry::Unit { name, unit }) => checker.metadata(&name, Kind::Unit(unit)),
            Err(fault) => checker.faults.push(fault),
        }
        if checker.faults.len() >= FAULTS_MAX {
            break;
        }
    }
    if checker.openmetrics {
        checker.end_family();
    }
    checker.faults.sort_by_key(|fault| fault.line);
    checker.faults
}

/// As [`check`] for a body without a `Content-Type`: what ends with `# EOF` is OpenMetrics, all else classic text.
pub fn check_guessing(body: &[u8]) -> Vec<Fault> {
    let openmetrics = body.trim_ascii_end().ends_with(b"# EOF");
    check(body, if openmetrics { Format::OpenMetrics } else { Format::Text })
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Help,
    Type(MetricType),
    Unit(&'a str),
}

#[derive(Default)]
struct Family {
    name: String,
    metric_type: Option<MetricType>,
    helped: bool,
    unit: Option<String>,
    samples: usize,
    /// Labels without `le`, `quantile` or the state: what one group of OpenMetrics is.
    group: Option<Labels>,
    group_timestamp: Option<f64>,
    groups_seen: HashSet<Labels>,
    histogram: Option<HistogramSeen>,
}

#[derive(Default)]
struct HistogramSeen {
    bound: Option<f64>,
    value: f64,
    count: Option<f64>,
    sum: Option<f64>,
    negative_buckets: bool,
}

#[derive(Default)]
struct Checker {
    openmetrics: bool,
    faults: Vec<Fault>,
    family: Option<Family>,
    names_seen: HashSet<String>,
    line: usize,
    /// Classic text: what each family has had, since its lines may stand apart.
    text: HashMap<String, Family>,
}

fn suffixes(metric_type: MetricType) -> &'static [&'static str] {
    match metric_type {
        MetricType::Counter => &["_total", "_created"],
        MetricType::Summary => &["", "_count", "_sum", "_created"],
        MetricType::Histogram => &["_count", "_sum", "_bucket", "_created"],
        MetricType::GaugeHistogram => &["_gcount", "_gsum", "_bucket"],
        MetricType::Info => &["_info"],
        MetricType::Gauge | MetricType::StateSet | MetricType::Unknown => &[""],
    }
}

impl Checker {
    fn fault(&mut self, line: usize, message: impl Into<String>) {
        self.faults.push(Fault { line, message: message.into() });
    }

    fn metadata(&mut self, name: &str, kind: Kind<'_>) {
        if !self.openmetrics {
            return self.text_metadata(name, kind);
        }
        let line = self.line;
        if self.family.as_ref().is_none_or(|family| family.name != name) {
            self.end_family();
            self.family = Some(Family { name: name.to_owned(), ..Family::default() });
        }
        let Some(family) = &mut self.family else { return };
        let late = family.samples > 0;
        let repeated = match kind {
            Kind::Help => std::mem::replace(&mut family.helped, true),
            Kind::Type(metric_type) => family.metric_type.replace(metric_type).is_some(),
            Kind::Unit(unit) => family.unit.replace(unit.to_owned()).is_some(),
        };
        if late {
            self.fault(line, format!("metadata of {name:?} after its samples"));
        }
        if repeated {
            self.fault(line, format!("metadata of {name:?} is repeated"));
        }
    }

    fn text_metadata(&mut self, name: &str, kind: Kind<'_>) {
        let line = self.line;
        let family = self.text.entry(name.to_owned()).or_default();
        let message = match kind {
            Kind::Help if std::mem::replace(&mut family.helped, true) => {
                format!("second HELP line for metric {name:?}")
            }
            Kind::Type(_) if family.samples > 0 => format!("TYPE of {name:?} after its samples"),
            Kind::Type(metric_type) if family.metric_type.replace(metric_type).is_some() => {
                format!("second TYPE line for metric {name:?}")
            }
            _ => return,
        };
        self.fault(line, message);
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let labels = match sample.labels() {
            Ok(labels) => labels,
            Err(fault) => return self.faults.push(fault),
        };
        if self.openmetrics { self.openmetrics_sample(sample, &labels) } else { self.text_sample(sample, &labels) }
    }

    fn text_sample(&mut self, sample: &Sample<'_>, labels: &Labels) {
        if !escapes_known(sample.key) {
            self.fault(sample.line, "a label value has an unknown escape; known are \\\\, \\\" and \\n");
        }
        let name = labels.metric_name();
        let base = name.strip_suffix("_bucket").unwrap_or(name);
        self.text.entry(name.to_owned()).or_default().samples += 1;
        let of = |base: &str, metric_type| self.text.get(base).is_some_and(|f| f.metric_type == Some(metric_type));
        let number = |label| labels.get(label).is_none_or(|text| parse_float(text).is_some());
        if base != name && of(base, MetricType::Histogram) && !number("le") {
            self.fault(sample.line, "le is no number");
        } else if of(name, MetricType::Summary) && !number("quantile") {
            self.fault(sample.line, "quantile is no number");
        }
    }

    fn openmetrics_sample(&mut self, sample: &Sample<'_>, labels: &Labels) {
        let line = sample.line;
        let name = labels.metric_name();
        let belongs = self.family.as_ref().is_some_and(|family| {
            let metric_type = family.metric_type.unwrap_or_default();
            name.strip_prefix(family.name.as_str()).is_some_and(|s| suffixes(metric_type).contains(&s))
        });
        if !belongs {
            self.end_family();
            self.family = Some(Family { name: name.to_owned(), ..Family::default() });
        }
        let Some(mut family) = self.family.take() else { return };
        let metric_type = family.metric_type.unwrap_or_default();
        let suffix = name.strip_prefix(family.name.as_str()).unwrap_or_default().to_owned();
        family.samples += 1;
        if sample.key.trim_end_matches('}').ends_with(',') {
            self.fault(line, "a comma after the last label");
        }
        self.check_value(sample, labels, &family.name, metric_type, &suffix);
        if let Some(exemplar) = &sample.exemplar {
            let allowed = match metric_type {
                MetricType::Counter => suffix == "_total",
                MetricType::Histogram | MetricType::GaugeHistogram => suffix == "_bucket",
                _ => false,
            };
            if !allowed {
                self.fault(line, "only counters' _total and histograms' _bucket may have exemplars");
            }
            let length: usize = exemplar.labels().iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
            if length > EXEMPLAR_CHARACTERS_MAX {
                self.fault(line, format!("the exemplar's labels have {length} characters, more than 128"));
            }
        }
        self.check_group(&mut family, sample, labels, metric_type, &suffix);
        self.family = Some(family);
    }

    fn check_value(
        &mut self,
        sample: &Sample<'_>,
        labels: &Labels,
        family: &str,
        metric_type: MetricType,
        suffix: &str,
    ) {
        let (line, value) = (sample.line, sample.value);
        if matches!(suffix, "_total" | "_sum" | "_count" | "_bucket" | "_gcount" | "_gsum") {
            if value.is_nan() {
                self.fault(line, "a counted value cannot be NaN");
            }
            if value < 0.0 && suffix != "_gsum" {
                self.fault(line, "a counted value cannot be negative");
            }
        }
        if matches!(suffix, "_bucket" | "_count" | "_gcount") && value.is_finite() && value.fract() != 0.0 {
            self.fault(line, "a count must be a whole number");
        }
        match metric_type {
            MetricType::StateSet => {
                if labels.get(family).is_none() {
                    self.fault(line, format!("a sample of a stateset needs the label {family:?}"));
                }
                if value != 0.0 && value != 1.0 {
                    self.fault(line, "a state is 0 or 1");
                }
            }
            MetricType::Info if value != 1.0 => self.fault(line, "the value of an info is 1"),
            MetricType::Histogram | MetricType::GaugeHistogram
                if suffix == "_bucket"
                    && (bucket_bound(labels).is_none()
                        || sample.written_label("le").is_some_and(|le| infinity_misspelt(&le))) =>
            {
                self.fault(line, "a bucket needs the label le with a number or +Inf");
            }
            MetricType::Summary if suffix.is_empty() => {
                let quantile = labels.get("quantile").and_then(parse_float);
                if !quantile.is_some_and(|quantile| (0.0..=1.0).contains(&quantile)) {
                    self.fault(line, "a quantile must be a number between 0 and 1");
                }
                if value < 0.0 {
                    self.fault(line, "the value of a quantile cannot be negative");
                }
            }
            _ => {}
        }
    }

    fn check_group(
        &mut self,
        family: &mut Family,
        sample: &Sample<'_>,
        labels: &Labels,
        metric_type: MetricType,
        suffix: &str,
    ) {
        let line = sample.line;
        let own = match metric_type {
            MetricType::Histogram | MetricType::GaugeHistogram => "le",
            MetricType::Summary => "quantile",
            MetricType::StateSet => family.name.as_str(),
            _ => "",
        };
        // Samples of an info differ by their labels only: each family is one group.
        let group = if metric_type == MetricType::Info { Labels::empty() } else { labels.without(&["__name__", own]) };
        let timestamp = sample.timestamp_seconds();
        let same_group = family.group.as_ref() == Some(&group);
        if same_group {
            match (family.group_timestamp, timestamp) {
                (Some(before), Some(now)) if now < before && metric_type != MetricType::Info => {
                    self.fault(line, "timestamps go backwards within a group");
                }
                (Some(_), None) | (None, Some(_)) => {
                    self.fault(line, "some samples of a group have a timestamp, others not");
                }
                _ => {}
            }
        } else if family.groups_seen.contains(&group) {
            self.fault(line, "the samples of a group do not stand together");
        }
        if matches!(metric_type, MetricType::Histogram | MetricType::GaugeHistogram) {
            if !(same_group && family.group_timestamp == timestamp) {
                if let Some(seen) = family.histogram.take() {
                    self.end_histogram(&seen, metric_type, line);
                }
                family.histogram = Some(HistogramSeen::default());
            }
            if let Some(seen) = &mut family.histogram {
                match suffix {
                    "_bucket" => {
                        let bound = bucket_bound(labels).unwrap_or(f64::NAN);
                        let out_of_order = seen.bound.is_some_and(|before| bound <= before);
                        let falls = sample.value < seen.value;
                        seen.negative_buckets |= bound < 0.0;
                        seen.bound = Some(bound);
                        seen.value = sample.value;
                        if out_of_order {
                            self.fault(line, "the buckets are not in order of le");
                        }
                        if falls {
                            self.fault(line, "a bucket counts less than the one before it");
                        }
                    }
                    "_count" | "_gcount" => seen.count = Some(sample.value),
                    "_sum" | "_gsum" => seen.sum = Some(sample.value),
                    _ => {}
                }
            }
        }
        family.groups_seen.insert(group.clone());
        family.group = Some(group);
        family.group_timestamp = timestamp;
    }

    fn end_histogram(&mut self, seen: &HistogramSeen, metric_type: MetricType, line: usize) {
        if seen.bound != Some(f64::INFINITY) {
            self.fault(line, "the bucket with le=\"+Inf\" is missing");
        }
        if seen.count.is_some_and(|count| count != seen.value) {
            self.fault(line, "the count is not that of the bucket with le=\"+Inf\"");
        }
        if seen.sum.is_some() && seen.count.is_none() {
            self.fault(line, "a sum needs a count");
        }
        if seen.sum.is_none() && seen.count.is_some() && !seen.negative_buckets {
            self.fault(line, "a count needs a sum");
        }
        if seen.negative_buckets && seen.sum.is_some() && metric_type == MetricType::Histogram {
            self.fault(line, "a histogram with negative buckets can have no sum");
        }
        if !seen.negative_buckets && seen.sum.is_some_and(|sum| sum < 0.0) {
            self.fault(line, "the sum is negative while no bucket is");
        }
    }

    fn end_family(&mut self) {
        let Some(family) = self.family.take() else { return };
        let line = self.line.max(1);
        let metric_type = family.metric_type.unwrap_or_default();
        if let Some(seen) = &family.histogram {
            self.end_histogram(seen, metric_type, line);
        }
        if family.unit.as_deref().is_some_and(|unit| !unit.is_empty())
            && matches!(metric_type, MetricType::Info | MetricType::StateSet)
        {
            self.fault(line, "an info or a stateset has no unit");
        }
        let mut names: Vec<String> = vec![family.name.clone()];
        names.extend(suffixes(metric_type).iter().filter(|s| !s.is_empty()).map(|s| format!("{}{s}", family.name)));
        if let Some(clash) = names.iter().find(|name| self.names_seen.contains(*name)) {
            let message = format!("the name {clash:?} belongs to two families, or the family stands in two places");
            self.fault(line, message);
        }
        self.names_seen.extend(names);
    }
}

/// OpenMetrics knows one spelling of infinity.
fn infinity_misspelt(text: &str) -> bool {
    parse_float(text).is_some_and(f64::is_infinite) && text != "+Inf"
}

fn bucket_bound(labels: &Labels) -> Option<f64> {
    let text = labels.get("le")?;
    let bound = parse_float(text).filter(|bound| !bound.is_nan())?;
    (bound.is_finite() || text == "+Inf").then_some(bound)
}

/// True when every backslash of a key starts one of the three escapes.
fn escapes_known(key: &str) -> bool {
    let mut bytes = key.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && !matches!(bytes.next(), Some(b'\\' | b'"' | b'n')) {
            return false;
        }
    }
    true
}
