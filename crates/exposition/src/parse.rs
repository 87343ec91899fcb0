//! The walk over a body, line by line.

use crate::Format;
use crate::key::{key_length, labels, split_key, unescape};
use crate::native::parse_histogram;
use crate::number::parse_float;
use model::{Labels, MetricType, SampleValue};
use std::borrow::Cow;
use std::sync::Arc;

/// Exemplars of one line; nobody has more of a histogram.
const EXEMPLARS_MAX: usize = 1000;

/// Something in a body that the format does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Fault {
    /// From 1.
    pub line: usize,
    pub message: String,
}

/// One line of a body that says something.
#[derive(Clone, Debug)]
pub enum Entry<'a> {
    Help {
        name: Cow<'a, str>,
        help: Cow<'a, str>,
    },
    Type {
        name: Cow<'a, str>,
        metric_type: MetricType,
    },
    Unit {
        name: Cow<'a, str>,
        unit: &'a str,
    },
    Sample(Sample<'a>),
    /// A sample with what only OpenMetrics 2.0 can say; read by parsers that were told to, [`Parser::with_version_2`].
    Detailed(Box<DetailedSample<'a>>),
}

/// A sample with a histogram as its value, with a start timestamp, or with several exemplars.
#[derive(Clone, Debug)]
pub struct DetailedSample<'a> {
    /// Key, timestamp, labels; its value is that of `value` if that is a float, and it has no exemplar.
    pub sample: Sample<'a>,
    pub value: SampleValue,
    /// When the counter started, in Unix milliseconds.
    pub start_ms: Option<i64>,
    pub exemplars: Vec<Exemplar<'a>>,
}

/// A sample. Nothing is copied until [`Sample::labels`] is asked.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The series as written: equal keys of one target are equal series.
    pub key: &'a str,
    pub value: f64,
    pub timestamp_ms: Option<i64>,
    pub exemplar: Option<Exemplar<'a>>,
    pub line: usize,
    /// Where in its line the value starts.
    pub(crate) value_at: usize,
    /// As written: seconds in OpenMetrics, with more digits than milliseconds hold.
    timestamp: Option<f64>,
    format: Format,
    /// Of the last `# TYPE` line.
    family_type: MetricType,
}

impl<'a> Sample<'a> {
    /// What stands behind the key.
    pub fn reading(&self) -> Reading<'a> {
        let Sample { value, timestamp_ms, exemplar, timestamp, .. } = *self;
        Reading { value, timestamp_ms, exemplar, timestamp }
    }

    /// The type that the last `# TYPE` line before it told.
    pub fn family_type(&self) -> MetricType {
        self.family_type
    }

    /// True when the key follows the grammar; what is wrong with its labels then is what they say.
    pub fn is_well_formed(&self) -> bool {
        split_key(self.key, self.format, false).is_ok()
    }

    /// A label as written, before `le` and `quantile` get their form.
    pub(crate) fn written_label(&self, name: &str) -> Option<String> {
        let pairs = split_key(self.key, self.format, false).ok()?;
        pairs.labels.into_iter().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    }

    /// True when the target wrote this label with an empty value, which [`Sample::labels`] leaves out.
    pub fn has_empty_label(&self, name: &str) -> bool {
        self.key.contains("\"\"") && self.written_label(name).is_some_and(|value| value.is_empty())
    }

    /// The timestamp with all digits that were written.
    pub(crate) fn timestamp_seconds(&self) -> Option<f64> {
        self.timestamp
    }

    /// The labels, `__name__` among them; `le` of histograms and `quantile` of summaries in one form for all formats.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub fn labels(&self) -> Result<Labels, Fault> {
        labels(self.key, self.format, self.family_type).map_err(|message| Fault { line: self.line, message })
    }
}

/// What stands behind the key of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading<'a> {
    pub value: f64,
    pub timestamp_ms: Option<i64>,
    pub exemplar: Option<Exemplar<'a>>,
    /// As written.
    timestamp: Option<f64>,
}

/// An exemplar of OpenMetrics, its labels as written in braces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar<'a> {
    labels: &'a str,
    pub value: f64,
    pub timestamp_ms: Option<i64>,
}

impl Exemplar<'_> {
    /// The labels; the parser has checked their form.
    pub fn labels(&self) -> Labels {
        match split_key(self.labels, Format::OpenMetrics, true) {
            Ok(pairs) => Labels::from_pairs(pairs.labels),
            Err(_) => Labels::empty(),
        }
    }

    /// With its labels read.
    pub fn to_exemplar(&self) -> model::Exemplar {
        model::Exemplar { labels: self.labels(), value: self.value, timestamp_ms: self.timestamp_ms }
    }
}

/// Walks over a text body.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    rest: &'a str,
    line: usize,
    format: Format,
    version_2: bool,
    family_type: MetricType,
    eof_seen: bool,
    ended: bool,
}

impl<'a> Parser<'a> {
    /// Reads also what only OpenMetrics 2.0 can say: [`Entry::Detailed`]. For histories from files; targets are not asked
    /// for that version.
    #[must_use]
    pub fn with_version_2(mut self) -> Self {
        self.version_2 = self.format == Format::OpenMetrics;
        self
    }

    /// A parser for `body` in one of the text formats.
    ///
    /// # Errors
    /// The line of the first byte that is no UTF-8.
    pub fn new(body: &'a [u8], format: Format) -> Result<Self, Fault> {
        if format == Format::Protobuf {
            return Err(Fault { line: 1, message: "a protobuf body is no text".into() });
        }
        match std::str::from_utf8(body) {
            Ok(text) => Ok(Parser {
                rest: text,
                line: 0,
                format,
                version_2: false,
                family_type: MetricType::Unknown,
                eof_seen: false,
                ended: false,
            }),
            Err(error) => {
                let before = body.get(..error.valid_up_to()).unwrap_or_default();
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                Err(Fault { line, message: "not valid UTF-8".into() })
            }
        }
    }

    /// The next entry, or the fault of the next line; after a fault the walk goes on with the line after it.
    /// As the iterator's `next`, faster where the next sample has the key `expected`.
    pub fn next_expecting(&mut self, expected: &str) -> Option<Result<Entry<'a>, Fault>> {
        loop {
            if self.rest.is_empty() {
                if self.ended {
                    return None;
                }
                self.ended = true;
                return (self.format == Format::OpenMetrics && !self.eof_seen)
                    .then(|| self.fault("data does not end with # EOF".into()));
            }
            self.line += 1;
            let (line, rest, ended_by_newline) = match self.rest.find('\n') {
                Some(at) => {
                    let (line, rest) = self.rest.split_at(at);
                    (line, rest.get(1..).unwrap_or_default(), true)
                }
                None => (self.rest, "", false),
            };
            self.rest = rest;
            let found = self.line_entry(line, ended_by_newline, expected);
            match found {
                Ok(None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(message) => return Some(self.fault(message)),
            }
        }
    }

    /// The line that was read last, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// What one line says, if anything.
    pub(crate) fn line_entry<'b>(
        &mut self,
        line: &'b str,
        ended_by_newline: bool,
        expected: &str,
    ) -> Result<Option<Entry<'b>>, String> {
        match self.format {
            Format::OpenMetrics => self.openmetrics_line(line, ended_by_newline, expected),
            _ => self.text_line(line, expected),
        }
    }

    /// The type that the last `# TYPE` line told.
    pub(crate) fn family_type(&self) -> MetricType {
        self.family_type
    }

    /// Puts the walk where that type was told.
    pub(crate) fn set_family_type(&mut self, family_type: MetricType) {
        self.family_type = family_type;
    }

    pub(crate) fn eof_seen(&self) -> bool {
        self.eof_seen
    }

    /// A parser that is given line by line what to read.
    pub(crate) fn of_lines(format: Format) -> Self {
        let family_type = MetricType::Unknown;
        Parser { rest: "", line: 0, format, version_2: false, family_type, eof_seen: false, ended: false }
    }

    /// One line more, for the places in messages.
    pub(crate) fn count_line(&mut self) {
        self.line += 1;
    }

    fn fault(&self, message: String) -> Result<Entry<'a>, Fault> {
        Err(Fault { line: self.line.max(1), message })
    }

    fn text_line<'b>(&mut self, line: &'b str, expected: &str) -> Result<Option<Entry<'b>>, String> {
        let whole = line;
        // A carriage return is no blank in this format, yet programs on Windows write it.
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start_matches([' ', '\t']);
        if line.is_empty() {
            return Ok(None);
        }
        if let Some(comment) = line.strip_prefix('#') {
            // Without a blank behind the `#` it is a comment.
            let Some(comment) = comment.strip_prefix([' ', '\t']) else { return Ok(None) };
            let comment = comment.trim_start_matches([' ', '\t']);
            let Some((word, rest)) = comment.split_once([' ', '\t']) else { return Ok(None) };
            let rest = rest.trim_start_matches([' ', '\t']);
            if word != "HELP" && word != "TYPE" || rest.is_empty() {
                return Ok(None);
            }
            let (name, text) = metadata_name(rest, word)?;
            let text = text.strip_prefix([' ', '\t']).unwrap_or(text).trim_start_matches([' ', '\t']);
            return Ok(Some(if word == "HELP" {
                Entry::Help { name, help: unescaped(text, false) }
            } else {
                let text = text.trim_end_matches([' ', '\t']);
                let metric_type = match text {
                    "counter" => MetricType::Counter,
                    "gauge" => MetricType::Gauge,
                    "histogram" => MetricType::Histogram,
                    "summary" => MetricType::Summary,
                    "untyped" => MetricType::Unknown,
                    other => {
                        return Err(format!(
                            "invalid metric type {other:?}; known are counter, gauge, histogram, summary, untyped"
                        ));
                    }
                };
                self.family_type = metric_type;
                Entry::Type { name, metric_type }
            }));
        }
        let (key, rest) = self.key(line, expected)?;
        let tail = rest.trim_start_matches([' ', '\t']);
        // Both are parts of the same line; what was cut off at its end is at most a carriage return.
        let cut = usize::from(whole.ends_with('\r'));
        let value_at = whole.len() - cut - tail.len();
        Ok(Some(self.sample(key, value_at, reading(tail, Format::Text)?)))
    }

    fn openmetrics_line<'b>(
        &mut self,
        line: &'b str,
        ended_by_newline: bool,
        expected: &str,
    ) -> Result<Option<Entry<'b>>, String> {
        if self.eof_seen {
            return Err("unexpected data after # EOF".into());
        }
        if line == "# EOF" {
            self.eof_seen = true;
            return Ok(None);
        }
        if !ended_by_newline {
            return Err("data does not end with # EOF".into());
        }
        if let Some(comment) = line.strip_prefix('#') {
            return self.openmetrics_metadata(comment).map(Some);
        }
        if line.is_empty() {
            return Err("a blank line; OpenMetrics has none".into());
        }
        let (key, rest) = self.key(line, expected)?;
        let tail = rest.strip_prefix(' ').ok_or("expected one space and a value after the metric")?;
        match reading(tail, Format::OpenMetrics) {
            Ok(reading) => Ok(Some(self.sample(key, line.len() - tail.len(), reading))),
            Err(_) if self.version_2 => self.detailed(key, line.len() - tail.len(), tail).map(Some),
            Err(message) => Err(message),
        }
    }

    fn openmetrics_metadata<'b>(&mut self, comment: &'b str) -> Result<Entry<'b>, String> {
        let known = comment.strip_prefix(' ').and_then(|text| text.split_once(' '));
        let (word, rest) = known.filter(|(word, _)| matches!(*word, "HELP" | "TYPE" | "UNIT")).ok_or_else(|| {
            format!("`#{comment}` is no metadata; OpenMetrics knows # HELP, # TYPE, # UNIT, # EOF and no comments")
        })?;
        let (name, text) = metadata_name(rest, word)?;
        let text = text.strip_prefix(' ').ok_or_else(|| format!("expected one space and a text in {word}"))?;
        match word {
            "HELP" => Ok(Entry::Help { name, help: unescaped(text, true) }),
            "UNIT" => {
                let unit_fits = name.strip_suffix(text).is_some_and(|head| head.ends_with('_') && head.len() > 1);
                if !text.is_empty() && !unit_fits {
                    return Err(format!("unit {text:?} not a suffix of metric {name:?}"));
                }
                Ok(Entry::Unit { name, unit: text })
            }
            _ => {
                let metric_type = MetricType::parse(text).filter(|_| text != "untyped").ok_or_else(|| {
                    format!(
                        "invalid metric type {text:?}; known are counter, gauge, histogram, gaugehistogram, summary, \
                         info, stateset, unknown"
                    )
                })?;
                self.family_type = metric_type;
                Ok(Entry::Type { name, metric_type })
            }
        }
    }

    /// Splits a line after its key.
    fn key<'b>(&self, line: &'b str, expected: &str) -> Result<(&'b str, &'b str), String> {
        // The last scrape's key, and a value behind it: no need to look at quotes and braces.
        if !expected.is_empty()
            && let Some(rest) = line.strip_prefix(expected)
            && matches!(rest.as_bytes(), [b' ', next, ..] if !matches!(next, b'{' | b' ' | b'\t'))
        {
            return Ok(line.split_at(expected.len()));
        }
        Ok(line.split_at(key_length(line, self.format)?))
    }

    fn sample<'b>(&self, key: &'b str, value_at: usize, reading: Reading<'b>) -> Entry<'b> {
        Entry::Sample(self.plain(key, value_at, reading))
    }

    fn detailed<'b>(&self, key: &'b str, value_at: usize, tail: &'b str) -> Result<Entry<'b>, String> {
        let Details { value, timestamp, start_ms, exemplars } = details(tail)?;
        let float = match &value {
            SampleValue::Float(value) => *value,
            SampleValue::Histogram(_) => 0.0,
        };
        let (timestamp_ms, timestamp) = timestamp.unzip();
        let sample = self.plain(key, value_at, Reading { value: float, timestamp_ms, exemplar: None, timestamp });
        Ok(Entry::Detailed(Box::new(DetailedSample { sample, value, start_ms, exemplars })))
    }

    fn plain<'b>(&self, key: &'b str, value_at: usize, reading: Reading<'b>) -> Sample<'b> {
        let Reading { value, timestamp_ms, exemplar, timestamp } = reading;
        let (line, format, family_type) = (self.line, self.format, self.family_type);
        Sample { key, value, timestamp_ms, exemplar, line, value_at, timestamp, format, family_type }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Entry<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_expecting("")
    }
}

/// Reads what stands behind a key up to the end of the line, which may end with a carriage return.
pub(crate) fn line_end_reading(tail: &str, format: Format) -> Result<Reading<'_>, String> {
    let tail = match format {
        Format::OpenMetrics => tail,
        _ => tail.strip_suffix('\r').unwrap_or(tail),
    };
    reading(tail, format)
}

/// Reads what stands behind a key.
fn reading(tail: &str, format: Format) -> Result<Reading<'_>, String> {
    match format {
        Format::OpenMetrics => openmetrics_reading(tail),
        _ => text_reading(tail),
    }
}

fn text_reading(tail: &str) -> Result<Reading<'_>, String> {
    let mut words = tail.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = value(words.next(), "after the metric")?;
    let timestamp_ms = match words.next() {
        None => None,
        Some(text) => Some(
            text.parse::<i64>()
                .map_err(|_| format!("{text:?} is no timestamp; this format takes whole milliseconds since 1970"))?,
        ),
    };
    if let Some(word) = words.next() {
        return Err(format!("unexpected {word:?} after the timestamp"));
    }
    Ok(Reading { value, timestamp_ms, exemplar: None, timestamp: timestamp_ms.map(|ms| ms as f64 / 1000.0) })
}

fn openmetrics_reading(tail: &str) -> Result<Reading<'_>, String> {
    let end = tail.find(' ').unwrap_or(tail.len());
    if end == 0 {
        return Err("expected one space and a value after the metric".into());
    }
    let (text, mut rest) = tail.split_at(end);
    let value = value(Some(text), "after the metric")?;
    let mut timestamp = None;
    if !rest.is_empty() && !rest.starts_with(" # ") {
        let (text, tail) = word(rest).ok_or("expected one space and a timestamp after the value")?;
        timestamp = Some(seconds(text)?);
        rest = tail;
    }
    let exemplar = match rest.strip_prefix(" # ") {
        Some(text) => Some(exemplar(text)?),
        None if rest.is_empty() => None,
        None => return Err(format!("unexpected {rest:?} at the end of the line")),
    };
    Ok(Reading { value, timestamp_ms: timestamp.map(|t| t.0), exemplar, timestamp: timestamp.map(|t| t.1) })
}

/// What stands behind a key in OpenMetrics 2.0.
struct Details<'a> {
    value: SampleValue,
    timestamp: Option<(i64, f64)>,
    start_ms: Option<i64>,
    exemplars: Vec<Exemplar<'a>>,
}

fn details(tail: &str) -> Result<Details<'_>, String> {
    let (text, mut rest) = tail.split_at(tail.find(' ').unwrap_or(tail.len()));
    let value = match text.starts_with('{') {
        true => SampleValue::Histogram(Arc::new(parse_histogram(text)?)),
        false => SampleValue::Float(value(Some(text), "after the metric")?),
    };
    let (mut timestamp, mut start_ms, mut exemplars) = (None, None, Vec::new());
    while !rest.is_empty() && !rest.starts_with(" # ") {
        let (text, tail) = word(rest).ok_or("expected one space and a timestamp after the value")?;
        match text.strip_prefix("st@") {
            Some(text) if start_ms.is_none() => start_ms = Some(seconds(text)?.0),
            None if start_ms.is_none() && timestamp.is_none() => timestamp = Some(seconds(text)?),
            _ => return Err(format!("unexpected {text:?} behind the timestamps")),
        }
        rest = tail;
    }
    while let Some(text) = rest.strip_prefix(" # ") {
        if exemplars.len() >= EXEMPLARS_MAX {
            return Err(format!("more than {EXEMPLARS_MAX} exemplars"));
        }
        if !text.starts_with('{') {
            return Err("an exemplar starts with its labels in braces".into());
        }
        // Behind the labels there is no text that could hold the sign of the next one.
        let length = key_length(text, Format::OpenMetrics)?;
        let end = text.get(length..).and_then(|behind| behind.find(" # ")).map_or(text.len(), |at| length + at);
        exemplars.push(exemplar(text.get(..end).unwrap_or_default())?);
        rest = text.get(end..).unwrap_or_default();
    }
    Ok(Details { value, timestamp, start_ms, exemplars })
}

fn value(text: Option<&str>, place: &str) -> Result<f64, String> {
    let text = text.ok_or_else(|| format!("expected a value {place}"))?;
    parse_float(text).ok_or_else(|| format!("{text:?} is no number"))
}

/// One space and what stands up to the next one.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix(' ')?;
    let end = text.find(' ').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A timestamp of OpenMetrics, written in seconds with a fraction: milliseconds, and as written.
fn seconds(text: &str) -> Result<(i64, f64), String> {
    let seconds = parse_float(text).filter(|seconds| seconds.is_finite());
    // Saturates beyond 292 million years.
    seconds
        .map(|seconds| ((seconds * 1000.0) as i64, seconds))
        .ok_or_else(|| format!("{text:?} is no timestamp in seconds"))
}

fn exemplar(text: &str) -> Result<Exemplar<'_>, String> {
    if !text.starts_with('{') {
        return Err("an exemplar starts with its labels in braces".into());
    }
    let (labels, rest) = text.split_at(key_length(text, Format::OpenMetrics)?);
    let pairs = split_key(labels, Format::OpenMetrics, true)?;
    for (i, (name, _)) in pairs.labels.iter().enumerate() {
        if pairs.labels.iter().take(i).any(|(earlier, _)| earlier == name) {
            return Err(format!("exemplar: label name {name:?} is not unique"));
        }
    }
    let (text, rest) = word(rest).ok_or("expected one space and a value after the exemplar's labels")?;
    let value = value(Some(text), "in the exemplar")?;
    let timestamp_ms = match rest {
        "" => None,
        _ => {
            let (text, rest) = word(rest).ok_or("expected one space and a timestamp after the exemplar's value")?;
            if !rest.is_empty() {
                return Err(format!("unexpected {rest:?} after the exemplar"));
            }
            Some(seconds(text)?.0)
        }
    };
    Ok(Exemplar { labels, value, timestamp_ms })
}

/// The name in a metadata line, bare or in quotes, and what follows.
fn metadata_name<'a>(text: &'a str, word: &str) -> Result<(Cow<'a, str>, &'a str), String> {
    if let Some(body) = text.strip_prefix('"') {
        let mut escaped = false;
        for (at, c) in body.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    let (name, rest) = body.split_at(at);
                    return Ok((unescaped(name, true), rest.get(1..).unwrap_or_default()));
                }
                _ => escaped = false,
            }
        }
        return Err(format!("the name in {word} has no closing quote"));
    }
    let end = text.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_' || b == b':')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !model::labels::is_legacy_metric_name(name) {
        return Err(format!("expected a metric name after {word}"));
    }
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return Err(format!("expected a space after the metric name {name:?} in {word}"));
    }
    Ok((Cow::Borrowed(name), rest))
}

fn unescaped(text: &str, quotes: bool) -> Cow<'_, str> {
    if text.contains('\\') { Cow::Owned(unescape(text, quotes)) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ScrapeProtocol, Writer, format::Served};

    /// Lines of version 2.0, as they are written.
    #[rustfmt::skip]
    const LINES: &[&str] = &[
        "a_total 17.0 1520879607.789 st@1520430000.123",
        "a_total 17.0 1520879607.789 st@-1.000 # {trace_id=\"KOO # {\"} 0.67 1520879606.100",
        "h{x=\"1\"} {count:2,sum:120,schema:0,zero_threshold:0.0001,zero_count:0,positive_spans:[1:2],positive_buckets:[1,1]} 3.000",
        "h{x=\"1\"} {gcount:2,gsum:1,bucket:[1:1,+Inf:2]} 4.000 # {a=\"1\"} 0.5 1.000 # {\"b.c\"=\"\\\"\",d=\"2\"} 1.5 2.000",
    ];

    #[test]
    fn version_2_is_read_as_it_is_written() {
        let body = format!("{}\n# EOF\n", LINES.join("\n"));
        let escaping = crate::Escaping::AllowUtf8;
        let mut writer = Writer::new(Served { protocol: ScrapeProtocol::OpenMetricsText1_0_0, escaping });
        for entry in Parser::new(body.as_bytes(), Format::OpenMetrics).unwrap().with_version_2() {
            let Entry::Detailed(own) = entry.unwrap() else { panic!("a plain sample") };
            let labels = own.sample.labels().unwrap();
            let exemplars: Vec<_> = own.exemplars.iter().map(Exemplar::to_exemplar).collect();
            let times = (own.sample.timestamp_ms.unwrap(), own.start_ms);
            writer.detailed(labels.metric_name(), &labels, &own.value, times, &exemplars);
        }
        assert_eq!(writer.finish(), body);
        // Targets are asked for version 1.0.
        let faults = Parser::new(body.as_bytes(), Format::OpenMetrics).unwrap().filter(Result::is_err).count();
        assert_eq!(faults, LINES.len());
    }

    /// What stands behind a key, part of what is told.
    #[rustfmt::skip]
    const BAD: &[(&str, &str)] = &[
        ("x 1", "\"x\" is no number"), ("1 2 3", "unexpected \"3\""), ("1 st@x", "no timestamp in seconds"),
        ("1 st@1 2", "unexpected \"2\""), ("1 st@1 st@2", "unexpected"), ("{count:1} 2", "count and sum"),
        ("{count:1,sum:1,bucket:[+Inf:1]} 2 # {} 1 # x", "labels in braces"),
        ("{count:1,sum:1,bucket:[+Inf:1]} 2 # {} 1 # {a=\"1\"", "closing brace"), ("1 2 st@1  # {} 1", "one space"),
    ];

    #[test]
    fn faults_of_version_2() {
        for (tail, part) in BAD {
            let body = format!("a {tail}\n# EOF\n");
            let mut parser = Parser::new(body.as_bytes(), Format::OpenMetrics).unwrap().with_version_2();
            let fault = parser.next().unwrap().unwrap_err();
            assert!(fault.line == 1 && fault.message.contains(part), "{tail}: {fault}");
        }
    }
}
