//! Bodies of targets survive any damage: the same on every run, and without end in `fuzz/`.

mod targets;

use exposition::protobuf::{Family, Metric, MetricValue, Writer};
use model::{Exemplar, FloatHistogram, Labels, MetricType, histogram::Span};
use std::fmt::Write as _;

fn texts() -> Vec<Vec<u8>> {
    let mut classic = String::new();
    for number in 0..12 {
        let _ = write!(
            classic,
            "# HELP m{number} a \\n b\n# TYPE m{number} counter\nm{number}{{a=\"x\\\"y\",é=\"{number}\"}} {number}.5\n"
        );
    }
    classic.push_str(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2 1700000000000\nh_sum NaN\nh_count 2\n",
    );
    let open =
        "# TYPE a counter\n# UNIT a seconds\na_total{x=\"1\"} 1 1.5 # {id=\"7\"} 0.5 1.25\na_created 1.0\n# EOF\n";
    vec![classic.into_bytes(), open.as_bytes().to_vec(), b"a 1\n\"b.c\" 2\n{\"d e\",f=\"g\"} +Inf\n".to_vec()]
}

#[test]
fn texts_are_read_alike_or_refused_alike() {
    mutation::run("exposition_text", &texts(), 6_000, targets::text);
    // The body before, and what may become of it.
    let pairs: Vec<Vec<u8>> = texts()
        .iter()
        .flat_map(|body| {
            let changed = String::from_utf8_lossy(body).replace(".5", ".75").into_bytes();
            [[body.clone(), vec![0xff], body.clone()].concat(), [body.clone(), vec![0xff], changed].concat()]
        })
        .collect();
    mutation::run("exposition_difference", &pairs, 6_000, targets::difference);
}

fn protobuf() -> Vec<u8> {
    let mut writer = Writer::default();
    let family = |name, metric_type| Family { name, help: "what", unit: "s", metric_type };
    let exemplars = [Exemplar { labels: Labels::from_pairs([("id", "7")]), value: 0.5, timestamp_ms: Some(1_700) }];
    writer.family(&family("c_total", MetricType::Counter));
    for own in 0..4 {
        let value = MetricValue::Float(f64::from(own));
        let metric = Metric { timestamp_ms: Some(1_500), start_ms: Some(100), exemplars: &exemplars, value };
        writer.metric([("a", "x"), ("é", "y")], &metric);
    }
    writer.family(&family("h", MetricType::Histogram));
    let native = FloatHistogram {
        schema: 3,
        count: 7.0,
        sum: 1.5,
        zero_count: 1.0,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: vec![1.0, 2.0, 1.0],
        negative_spans: vec![Span { offset: -2, length: 1 }],
        negative_buckets: vec![2.0],
        ..FloatHistogram::default()
    };
    let value = MetricValue::Histogram(&native);
    writer.metric([], &Metric { exemplars: &exemplars, ..Metric::new(value) });
    let buckets = [(0.5, 1.0), (1.0, 3.0), (f64::INFINITY, 4.0)];
    writer.metric([("b", "z")], &Metric::new(MetricValue::Classic { count: 4.0, sum: 2.5, buckets: &buckets }));
    writer.finish()
}

#[test]
fn protobuf_is_read_or_refused() {
    mutation::run("exposition_protobuf", &[protobuf()], 10_000, targets::protobuf);
    // The body before, and what may become of it.
    let body = protobuf();
    let mut changed = body.clone();
    let one = changed.windows(8).rposition(|bytes| bytes == 1.0_f64.to_le_bytes()).unwrap();
    changed[one..one + 8].copy_from_slice(&3.5_f64.to_le_bytes());
    let pair = |after: &[u8]| [&(body.len() as u16).to_le_bytes(), body.as_slice(), after].concat();
    let pairs = [pair(&body), pair(&changed)];
    mutation::run("exposition_protobuf_difference", &pairs, 1_500, targets::protobuf_difference);
}
