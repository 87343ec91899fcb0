//! Query results as JSON, written straight from the columns: the bytes that Prometheus writes.

use api::query::{push_seconds, push_value};
use model::{FloatHistogram, Labels, SampleValue};
use promql::{MatrixSeries, QueryOutput, Value};

/// The body of an answer, written when it is asked for, piece by piece if need be. Series are forgotten as soon as they are
/// written.
pub(super) struct Answer {
    /// What stands before the series and was not written yet, and behind them.
    head: String,
    tail: String,
    series: std::vec::IntoIter<MatrixSeries>,
    is_first: bool,
}

impl Answer {
    /// `time_ms` is the time of an instant query: scalars and strings are of that time.
    pub(super) fn new(
        output: QueryOutput,
        time_ms: i64,
        stats: Option<&api::query::Stats>,
        inferred: Option<&api::query::Inferred>,
    ) -> Answer {
        let QueryOutput { value, warnings, infos, .. } = output;
        let is_matrix = matches!(value, Value::Matrix(_));
        let mut head = String::with_capacity(if is_matrix { 64 } else { estimate(&value) });
        head.push_str(r#"{"status":"success","data":{"resultType":"#);
        let series = match value {
            Value::Matrix(series) => {
                head.push_str(r#""matrix","result":["#);
                series
            }
            value => {
                other_value(&mut head, &value, time_ms);
                Vec::new()
            }
        };
        let mut tail = String::from(if is_matrix { "]" } else { "" });
        if let Some(stats) = stats
            && let Ok(stats) = serde_json::to_string(stats)
        {
            tail.push_str(r#","stats":"#);
            tail.push_str(&stats);
        }
        if let Some(inferred) = inferred
            && let Ok(inferred) = serde_json::to_string(inferred)
        {
            tail.push_str(r#","inferred":"#);
            tail.push_str(&inferred);
        }
        tail.push('}');
        texts(&mut tail, "warnings", &warnings);
        texts(&mut tail, "infos", &infos);
        tail.push('}');
        Answer { head, tail, series: series.into_iter(), is_first: true }
    }

    /// Bytes that are still to be written, about.
    pub(super) fn rest(&self) -> usize {
        let series: usize = self.series.as_slice().iter().map(|series| 256 + series.samples.len() * 28).sum();
        self.head.len() + series + self.tail.len()
    }

    /// Appends what is next, at least so many bytes if there are as many. False if there is nothing more.
    pub(super) fn write(&mut self, out: &mut String, bytes: usize) -> bool {
        let before = out.len();
        out.push_str(&std::mem::take(&mut self.head));
        while out.len() - before < bytes {
            let Some(series) = self.series.next() else {
                out.push_str(&std::mem::take(&mut self.tail));
                break;
            };
            if !std::mem::take(&mut self.is_first) {
                out.push(',');
            }
            matrix_series(out, &series);
        }
        out.len() > before
    }

    /// All of it.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        // Shorter where the head has it all already.
        let mut out = if self.series.len() == 0 { std::mem::take(&mut self.head) } else { String::new() };
        out.reserve(self.rest());
        self.write(&mut out, usize::MAX);
        out.into_bytes()
    }
}

/// Bytes that the answer will about take, so that it is allocated once.
fn estimate(value: &Value) -> usize {
    match value {
        Value::Scalar(_) | Value::String(_) => 256,
        Value::Vector(samples) => 256 + samples.len() * 256,
        // Series are written one by one.
        Value::Matrix(_) => 0,
    }
}

/// Any but a matrix.
fn other_value(out: &mut String, value: &Value, time_ms: i64) {
    match value {
        Value::Scalar(value) => {
            out.push_str(r#""scalar","result":"#);
            point(out, time_ms, *value);
        }
        Value::String(value) => {
            out.push_str(r#""string","result":["#);
            push_seconds(out, time_ms);
            out.push(',');
            text(out, value);
            out.push(']');
        }
        Value::Vector(samples) => {
            out.push_str(r#""vector","result":["#);
            for (i, sample) in samples.iter().enumerate() {
                comma(out, i);
                metric(out, &sample.labels);
                match &sample.value {
                    SampleValue::Float(value) => {
                        out.push_str(r#","value":"#);
                        point(out, sample.timestamp_ms, *value);
                    }
                    SampleValue::Histogram(histogram) => {
                        out.push_str(r#","histogram":"#);
                        histogram_point(out, sample.timestamp_ms, histogram);
                    }
                }
                out.push('}');
            }
            out.push(']');
        }
        Value::Matrix(_) => {}
    }
}

fn matrix_series(out: &mut String, series: &MatrixSeries) {
    metric(out, &series.labels);
    let samples = &series.samples;
    let mut written = 0;
    for at in 0..samples.len() {
        if samples.histogram(at).is_some() {
            continue;
        }
        out.push_str(if written == 0 { r#","values":["# } else { "," });
        point(out, samples.timestamps[at], samples.values[at]);
        written += 1;
    }
    if written > 0 {
        out.push(']');
    }
    written = 0;
    for at in 0..samples.len() {
        let Some(histogram) = samples.histogram(at) else { continue };
        out.push_str(if written == 0 { r#","histograms":["# } else { "," });
        histogram_point(out, samples.timestamps[at], histogram);
        written += 1;
    }
    if written > 0 {
        out.push(']');
    }
    out.push('}');
}

/// The whole body of a list of label sets.
pub(super) fn label_sets(all: &[Labels], warnings: &[String]) -> Vec<u8> {
    let texts_bytes: usize = all.iter().map(|labels| 2 * labels.as_packed().len() + 16).sum();
    let mut out = String::with_capacity(256 + texts_bytes);
    out.push_str(r#"{"status":"success","data":["#);
    for (i, labels) in all.iter().enumerate() {
        comma(&mut out, i);
        label_set(&mut out, labels);
    }
    out.push(']');
    texts(&mut out, "warnings", warnings);
    out.push('}');
    out.into_bytes()
}

/// `{"metric":{…}`: the object stays open.
fn metric(out: &mut String, labels: &Labels) {
    out.push_str(r#"{"metric":"#);
    label_set(out, labels);
}

fn label_set(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, value)) in labels.iter().enumerate() {
        comma(out, i);
        label_text(out, name);
        out.push(':');
        label_text(out, value);
    }
    out.push('}');
}

fn point(out: &mut String, timestamp_ms: i64, value: f64) {
    out.push('[');
    push_seconds(out, timestamp_ms);
    out.push_str(",\"");
    push_value(out, value);
    out.push_str("\"]");
}

fn histogram_point(out: &mut String, timestamp_ms: i64, histogram: &FloatHistogram) {
    out.push('[');
    push_seconds(out, timestamp_ms);
    out.push_str(r#",{"count":""#);
    push_value(out, histogram.count);
    out.push_str(r#"","sum":""#);
    push_value(out, histogram.sum);
    out.push('"');
    let mut written = 0;
    for bucket in promql::histogram::all_buckets(histogram) {
        if bucket.count == 0.0 {
            continue;
        }
        // Exponential buckets end with the bound that is farther from zero. Only the first of custom bounds has its lower one.
        let (lower_inclusive, upper_inclusive) = if histogram.uses_custom_buckets() {
            (bucket.lower == f64::NEG_INFINITY, true)
        } else {
            (bucket.lower < 0.0, bucket.upper > 0.0)
        };
        out.push_str(if written == 0 { r#","buckets":["# } else { "," });
        written += 1;
        // 0: (lower, upper], 1: [lower, upper), 2: (lower, upper), 3: [lower, upper].
        let boundaries = match (lower_inclusive, upper_inclusive) {
            (false, true) => '0',
            (true, false) => '1',
            (false, false) => '2',
            (true, true) => '3',
        };
        out.push('[');
        out.push(boundaries);
        for number in [bucket.lower, bucket.upper, bucket.count] {
            out.push_str(",\"");
            push_value(out, number);
            out.push('"');
        }
        out.push(']');
    }
    if written > 0 {
        out.push(']');
    }
    out.push_str("}]");
}

fn comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// A JSON string of a label, which Prometheus does not escape for HTML.
fn label_text(out: &mut String, value: &str) {
    out.push('"');
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // Without an early end this looks at many bytes at once, and hardly any label has such a byte.
    if !value.bytes().fold(false, |found, byte| found | special(byte)) {
        out.push_str(value);
        out.push('"');
        return;
    }
    let mut rest = value;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte => out.push_str(&format!("\\u{byte:04x}")),
        }
        // All of these are ASCII.
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// A JSON string, escaped as Go's encoder does it for HTML's sake too.
fn text(out: &mut String, value: &str) {
    out.push('"');
    // 0xE2 begins, among others, the line separators.
    let is_plain = |byte: u8| !matches!(byte, 0..0x20 | b'"' | b'\\' | b'<' | b'>' | b'&' | 0xE2);
    if value.bytes().all(is_plain) {
        out.push_str(value);
        out.push('"');
        return;
    }
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn texts(out: &mut String, key: &str, all: &[String]) {
    if all.is_empty() {
        return;
    }
    out.push_str(&format!(",\"{key}\":["));
    for (i, one) in all.iter().enumerate() {
        comma(out, i);
        text(out, one);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const PIECE_BYTES: usize = 256 << 10;

    /// A matrix of so many series, with something to tell.
    fn output(series: usize) -> QueryOutput {
        let one = |number: usize| {
            let mut samples = storage::Samples::default();
            (0..500).for_each(|step| samples.push(step * 1000, SampleValue::Float((number * 7) as f64 / 3.0)));
            MatrixSeries { labels: Labels::from_pairs([("n", number.to_string().as_str())]), samples }
        };
        QueryOutput {
            value: Value::Matrix((0..series).map(one).collect()),
            infos: vec!["so".to_owned()],
            ..QueryOutput::default()
        }
    }

    #[test]
    fn long_answers_are_written_piece_by_piece_and_are_the_same() {
        for series in [0, 1, 300] {
            let whole = Answer::new(output(series), 0, None, None).into_bytes();
            let parsed: serde_json::Value = serde_json::from_slice(&whole).unwrap();
            assert_eq!(parsed["data"]["result"].as_array().map(Vec::len), Some(series));
            assert_eq!(parsed["infos"][0], "so");
            let (mut answer, mut pieces) = (Answer::new(output(series), 0, None, None), Vec::new());
            let is_long = answer.rest() > 4 * PIECE_BYTES;
            loop {
                let mut piece = String::new();
                if !answer.write(&mut piece, PIECE_BYTES) {
                    break;
                }
                pieces.push(piece);
            }
            assert_eq!(is_long, series == 300, "{series} series");
            assert!(pieces.iter().all(|piece| piece.len() < PIECE_BYTES + 100_000), "{series} series");
            assert_eq!(pieces.len() > 4, is_long, "{} pieces of {series} series", pieces.len());
            assert_eq!(pieces.concat().into_bytes(), whole, "{series} series");
        }
    }

    /// Of custom bounds only the first bucket, which begins at -Inf, has its lower bound; also where that one is empty.
    #[test]
    fn boundaries_of_custom_buckets_are_those_of_their_place() {
        for (counts, expected) in [
            ([2.0, 9.0], "[3,\"-Inf\",\"0.5\",\"2\"],[0,\"0.5\",\"+Inf\",\"9\"]"),
            ([0.0, 9.0], "[0,\"0.5\",\"+Inf\",\"9\"]"),
        ] {
            let histogram = FloatHistogram {
                schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
                count: counts.iter().sum(),
                positive_spans: vec![model::histogram::Span { offset: 0, length: 2 }],
                positive_buckets: counts.to_vec(),
                custom_values: vec![0.5],
                ..FloatHistogram::default()
            };
            let mut out = String::new();
            histogram_point(&mut out, 0, &histogram);
            assert!(out.contains(&format!("\"buckets\":[{expected}]")), "{out}");
        }
    }

    #[test]
    fn labels_are_written_as_prometheus_writes_them() {
        for (value, expected) in [
            ("plain é", r#""plain é""#),
            ("<a&b>\u{2028}", "\"<a&b>\u{2028}\""),
            ("\"\\\n\r\t", r#""\"\\\n\r\t""#),
            ("\u{8}\u{1}\u{7f}", "\"\\u0008\\u0001\u{7f}\""),
        ] {
            let mut out = String::new();
            label_text(&mut out, value);
            assert_eq!(out, expected, "{value:?}");
        }
    }

    #[test]
    fn label_sets_survive() {
        let sets: Vec<BTreeMap<String, String>> = vec![
            BTreeMap::new(),
            [("__name__", "up"), ("job", "a\u{0}b\\\"<>&é\n")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            [("x.y", "1")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        ];
        let all: Vec<Labels> = sets.iter().map(Labels::from_pairs).collect();
        let body = label_sets(&all, &["<w>".to_owned()]);
        let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let back: Vec<BTreeMap<String, String>> = serde_json::from_value(read["data"].clone()).unwrap();
        assert_eq!(back, sets);
        assert_eq!(read["warnings"][0], "<w>");
    }
}
