use super::wire::Message;
use super::*;
use model::histogram::{CounterResetHint, Span};
use model::{FloatHistogram, Labels};
use proptest::prelude::*;
use std::fmt::Write as _;

/// What a walk tells, a line each.
#[derive(Default)]
struct Told(String);

impl Visit for Told {
    type Error = Fault;

    fn family(&mut self, family: &Family<'_>) -> Result<(), Fault> {
        let Family { name, help, unit, metric_type } = family;
        writeln!(self.0, "# {name} {} {help:?} {unit:?}", metric_type.as_str()).unwrap();
        Ok(())
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Fault> {
        let labels = sample.series.labels().map_err(|message| Fault::Form { at: 0, message })?;
        write!(self.0, "{labels} ").unwrap();
        match &sample.value {
            SampleValue::Float(value) => write!(self.0, "{value}").unwrap(),
            SampleValue::Histogram(own) => {
                let spans = |spans: &[Span]| -> String {
                    spans.iter().map(|span| format!("{:+}:{}", span.offset, span.length)).collect()
                };
                let (up, down) = (spans(&own.positive_spans), spans(&own.negative_spans));
                let hint = if own.counter_reset_hint == CounterResetHint::Gauge { " gauge" } else { "" };
                write!(self.0, "schema {} count {} sum {}{hint}", own.schema, own.count, own.sum).unwrap();
                write!(self.0, " zero {}/{}", own.zero_count, own.zero_threshold).unwrap();
                write!(self.0, " up {up} {:?} down {down} {:?}", own.positive_buckets, own.negative_buckets).unwrap();
                if own.uses_custom_buckets() {
                    write!(self.0, " bounds {:?}", own.custom_values).unwrap();
                }
            }
        }
        if let Some(at) = sample.timestamp_ms {
            write!(self.0, " at {at}").unwrap();
        }
        if let Some(start) = sample.start_ms {
            write!(self.0, " since {start}").unwrap();
        }
        for exemplar in sample.exemplars {
            let read = exemplar.read().map_err(|message| Fault::Form { at: 0, message })?;
            write!(self.0, " # {} {} {:?}", read.labels, read.value, read.timestamp_ms).unwrap();
        }
        self.0.push('\n');
        Ok(())
    }
}

fn told(body: &[u8], options: &Options) -> String {
    let mut told = Told::default();
    if let Err(fault) = walk(body, options, &mut told) {
        writeln!(told.0, "! {fault}").unwrap();
    }
    told.0
}

const NATIVE: Options =
    Options { native: true, classic_always: false, custom_buckets: false, schema_max: 8, buckets_max: 0 };

fn message(build: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::default();
    build(&mut message);
    message.0
}

/// One family with one metric.
fn body(name: &str, metric_type: u64, metric: &[u8]) -> Vec<u8> {
    message(|body| {
        body.put_delimited(&message(|family| {
            family.bytes(1, name.as_bytes());
            family.bytes(2, b"What \"it\" is.");
            family.whole(3, metric_type);
            family.bytes(4, metric);
            family.bytes(5, b"seconds");
        }));
    })
}

fn label(name: &str, value: &str) -> Vec<u8> {
    message(|label| {
        label.bytes(1, name.as_bytes());
        label.bytes(2, value.as_bytes());
    })
}

fn time(seconds: i64, nanos: u64) -> Vec<u8> {
    message(|time| {
        time.whole(1, seconds as u64);
        time.whole(2, nanos);
    })
}

fn exemplar(trace: &str, value: f64, at: Option<i64>) -> Vec<u8> {
    message(|exemplar| {
        exemplar.bytes(1, &label("trace_id", trace));
        exemplar.float(2, value);
        if let Some(at) = at {
            exemplar.bytes(3, &time(at, 500_000_000));
        }
    })
}

#[test]
fn plain_metrics() {
    let counter = message(|metric| {
        metric.bytes(1, &label("path", "/a\n"));
        metric.bytes(1, &label("none", ""));
        metric.bytes(
            3,
            &message(|counter| {
                counter.float(1, 12.5);
                counter.bytes(2, &exemplar("abc", 0.25, Some(1_700_000_000)));
                counter.bytes(3, &time(1_600_000_000, 7_000_000));
            }),
        );
        metric.whole(6, 1_700_000_001_000);
        // A field of a later version.
        metric.bytes(99, b"later");
    });
    assert_eq!(
        told(&body("requests_total", 0, &counter), &NATIVE),
        "# requests_total counter \"What \\\"it\\\" is.\" \"seconds\"\n\
         {__name__=\"requests_total\", path=\"/a\\n\"} 12.5 at 1700000001000 since 1600000000007 \
         # {trace_id=\"abc\"} 0.25 Some(1700000000500)\n"
    );
    let gauge = message(|metric| metric.bytes(2, &message(|gauge| gauge.float(1, f64::NEG_INFINITY))));
    assert!(told(&body("a.b", 1, &gauge), &NATIVE).ends_with("{__name__=\"a.b\"} -inf\n"));
    let untyped = message(|metric| metric.bytes(5, &message(|untyped| untyped.float(1, 2.0))));
    assert!(told(&body("x", 3, &untyped), &NATIVE).ends_with("{__name__=\"x\"} 2\n"));
    // What is not written is 0.
    assert!(told(&body("x", 3, &message(|metric| metric.bytes(5, b""))), &NATIVE).ends_with("{__name__=\"x\"} 0\n"));
}

#[test]
fn summaries() {
    let summary = message(|metric| {
        metric.bytes(
            4,
            &message(|summary| {
                summary.whole(1, 10);
                summary.float(2, 3.5);
                for (quantile, value) in [(0.5, 0.25), (1.0, f64::NAN)] {
                    summary.bytes(
                        3,
                        &message(|message| {
                            message.float(1, quantile);
                            message.float(2, value);
                        }),
                    );
                }
                summary.bytes(4, &time(5, 0));
            }),
        );
    });
    assert_eq!(
        told(&body("s", 2, &summary), &NATIVE).lines().skip(1).collect::<Vec<_>>(),
        [
            "{__name__=\"s_count\"} 10 since 5000",
            "{__name__=\"s_sum\"} 3.5 since 5000",
            "{__name__=\"s\", quantile=\"0.5\"} 0.25",
            "{__name__=\"s\", quantile=\"1.0\"} NaN",
        ]
    );
}

/// A histogram with classic buckets and, where there are spans, native ones: 3 below zero, 2 at zero, 5 above.
fn histogram(native: bool, packed: bool) -> Vec<u8> {
    message(|metric| {
        metric.bytes(
            7,
            &message(|histogram| {
                histogram.whole(1, 10);
                histogram.float(2, 4.5);
                for (count, bound, at) in [(6, 1.0, None), (9, 2.5, Some(100))] {
                    histogram.bytes(
                        3,
                        &message(|bucket| {
                            bucket.whole(1, count);
                            bucket.float(2, bound);
                            bucket.bytes(3, &exemplar("b", bound, at));
                        }),
                    );
                }
                histogram.bytes(15, &time(7, 0));
                if !native {
                    return;
                }
                histogram.zigzag(5, 3);
                histogram.float(6, 0.001);
                histogram.whole(7, 2);
                let span = |offset, length| {
                    message(|span| {
                        span.zigzag(1, offset);
                        span.whole(2, length);
                    })
                };
                histogram.bytes(9, &span(4, 1));
                histogram.zigzag(10, 3);
                histogram.bytes(12, &span(-3, 2));
                histogram.bytes(12, &span(0, 0));
                histogram.bytes(12, &span(6, 1));
                // 1, 3, 1
                if packed {
                    histogram.bytes(13, &[2, 4, 3]);
                } else {
                    [1, 2, -2].into_iter().for_each(|delta| histogram.zigzag(13, delta));
                }
            }),
        );
    })
}

const CLASSIC_LINES: &str = "\
{__name__=\"h_count\"} 10 since 7000
{__name__=\"h_sum\"} 4.5 since 7000
{__name__=\"h_bucket\", le=\"1.0\"} 6 since 7000 # {trace_id=\"b\"} 1 None
{__name__=\"h_bucket\", le=\"2.5\"} 9 since 7000 # {trace_id=\"b\"} 2.5 Some(100500)
{__name__=\"h_bucket\", le=\"+Inf\"} 10 since 7000
";
const NATIVE_LINE: &str = "\
{__name__=\"h\"} schema 3 count 10 sum 4.5 zero 2/0.001 up -3:2+6:1 [1.0, 3.0, 1.0] down +4:1 [3.0] since 7000 \
# {trace_id=\"b\"} 2.5 Some(100500)
";
const CUSTOM_LINE: &str = "\
{__name__=\"h\"} schema -53 count 10 sum 4.5 zero 0/0 up +0:3 [6.0, 3.0, 1.0] down  [] bounds [1.0, 2.5] since 7000 \
# {trace_id=\"b\"} 2.5 Some(100500)
";

#[test]
fn histograms_as_the_job_wants_them() {
    let lines = |native: bool, options: Options| {
        let told = told(&body("h", 4, &histogram(native, false)), &options);
        told.split_once('\n').unwrap().1.to_owned()
    };
    let plain = Options::default();
    let custom = Options { custom_buckets: true, ..plain };
    let always = |options: Options| Options { classic_always: true, ..options };
    assert_eq!(lines(true, plain), CLASSIC_LINES, "native buckets are passed over");
    assert_eq!(lines(false, NATIVE), CLASSIC_LINES);
    assert_eq!(lines(true, NATIVE), NATIVE_LINE);
    assert_eq!(lines(true, always(NATIVE)), format!("{NATIVE_LINE}{CLASSIC_LINES}"));
    assert_eq!(lines(false, custom), CUSTOM_LINE);
    assert_eq!(lines(true, custom), CUSTOM_LINE);
    assert_eq!(lines(false, always(custom)), format!("{CUSTOM_LINE}{CLASSIC_LINES}"));
    assert_eq!(lines(true, Options { custom_buckets: true, ..NATIVE }), NATIVE_LINE);
    let packed = told(&body("h", 4, &histogram(true, true)), &NATIVE);
    assert!(packed.ends_with(NATIVE_LINE), "{packed}");
    let gauge = told(&body("h", 5, &histogram(true, false)), &NATIVE);
    assert!(gauge.contains("gaugehistogram") && gauge.contains("sum 4.5 gauge zero"), "{gauge}");
}

#[test]
fn resolution_has_bounds() {
    let native = body("h", 4, &histogram(true, false));
    // 4 buckets: -3 and -2 become one at schema 2; those above, below and beyond 1 stay apart to the coarsest.
    let cases = [
        (
            Options { schema_max: 2, ..NATIVE },
            "schema 2 count 10 sum 4.5 zero 2/0.001 up -1:1+3:1 [4.0, 1.0] down +2:1 [3.0]",
        ),
        (Options { buckets_max: 4, ..NATIVE }, "schema 3 "),
        (Options { buckets_max: 3, ..NATIVE }, "schema 2 count 10"),
        (
            Options { buckets_max: 2, ..NATIVE },
            "! histogram \"h\" has 3 buckets at its coarsest, native_histogram_bucket_limit is 2",
        ),
        (
            Options { custom_buckets: true, native: false, buckets_max: 2, ..NATIVE },
            "! histogram \"h\" has 3 buckets at its coarsest, native_histogram_bucket_limit is 2",
        ),
    ];
    for (options, expected) in cases {
        let told = told(&native, &options);
        assert!(told.contains(expected), "{options:?}: {told}");
    }
    // The table of the documentation.
    for (factor, schema) in [
        (65536.0, -4),
        (256.0, -3),
        (16.0, -2),
        (4.0, -1),
        (2.0, 0),
        (1.4, 1),
        (1.1, 2),
        (1.09, 3),
        (1.04, 4),
        (1.02, 5),
        (1.01, 6),
        (1.005, 7),
        (1.002, 8),
        (0.0, 8),
        (1.0, 8),
        (1e300, -4),
        (f64::INFINITY, -4),
        (f64::NAN, 8),
    ] {
        assert_eq!(schema_for_factor(factor), schema, "{factor}");
    }
}

#[test]
fn faults_have_a_place() {
    let native = |change: &dyn Fn(&mut Message)| {
        body("h", 4, &message(|metric| metric.bytes(7, &message(|histogram| change(histogram)))))
    };
    let span = |histogram: &mut Message, offset: i64, length: u64| {
        histogram.bytes(
            12,
            &message(|span| {
                span.zigzag(1, offset);
                span.whole(2, length);
            }),
        );
    };
    let gauge = |labels: &[(&str, &str)]| {
        body(
            "g",
            1,
            &message(|metric| {
                labels.iter().for_each(|(name, value)| metric.bytes(1, &label(name, value)));
                metric.bytes(2, &message(|gauge| gauge.float(1, 1.0)));
            }),
        )
    };
    let cases: [(Vec<u8>, &str); 15] = [
        (vec![5, 1], "at byte 0: the message ends within a field"),
        (
            [body("ok", 3, &message(|metric| metric.bytes(5, b""))), vec![2, 0x0a, 5]].concat(),
            "at byte 35: the message ends",
        ),
        (body("", 3, b""), "a family has no name"),
        (body("x", 9, b""), "family \"x\" has the type 9, which is unknown"),
        (
            body("x", 1, &message(|metric| metric.bytes(3, b""))),
            "family \"x\", metric 1: it has no value of the family's type, gauge",
        ),
        (
            body("x", 1, &message(|metric| metric.whole(2, 1))),
            "family \"x\", metric 1: a field that should be a message",
        ),
        (
            message(|body| body.put_delimited(&message(|family| family.bytes(1, b"\xff")))),
            "the name of a family is not valid UTF-8",
        ),
        (
            native(&|histogram| {
                histogram.zigzag(5, 60);
                span(histogram, 0, 0);
            }),
            "schema 60 is none of -4 to 52",
        ),
        (native(&|histogram| span(histogram, 0, 2)), "the spans need 2 buckets, there are 0"),
        (
            native(&|histogram| {
                span(histogram, 0, 1);
                histogram.zigzag(13, -1);
            }),
            "bucket 1 has the negative count -1",
        ),
        (
            native(&|histogram| {
                span(histogram, 0, 1);
                histogram.zigzag(13, 3);
            }),
            "the buckets have 3 observations, the histogram 0",
        ),
        (
            native(&|histogram| {
                span(histogram, i64::from(i32::MAX), 1);
                histogram.zigzag(13, 3);
            }),
            "span 0 is out of range",
        ),
        (
            native(&|histogram| {
                span(histogram, 3, 1);
                span(histogram, -1, 1);
                [1, 1].iter().for_each(|delta| histogram.zigzag(13, *delta));
            }),
            "span 1 begins -1 buckets before",
        ),
        (gauge(&[("a", "1"), ("a", "2")]), "label name \"a\" is not unique"),
        (gauge(&[("", "1")]), "a label has no name"),
    ];
    for (body, expected) in cases {
        let told = told(&body, &NATIVE);
        assert!(told.lines().last().unwrap().contains(expected), "{expected}: {told}");
    }
}

fn any_float_histogram() -> impl Strategy<Value = FloatHistogram> {
    let side = || {
        proptest::collection::vec((-50_i32..50, 1_u32..4), 0..4).prop_map(|list| {
            let spans: Vec<Span> = (list.iter().enumerate())
                .map(|(i, (offset, length))| Span {
                    offset: if i == 0 { *offset } else { offset.abs() },
                    length: *length,
                })
                .collect();
            let buckets = spans.iter().map(|span| span.length).sum::<u32>();
            (spans, (0..buckets).map(|i| f64::from(i) + 0.5).collect::<Vec<f64>>())
        })
    };
    (side(), side(), -4_i32..=8, any::<bool>(), 0.0..10.0_f64, any::<bool>()).prop_map(
        |((positive_spans, positive_buckets), (negative_spans, negative_buckets), schema, gauge, zero_count, wide)| {
            FloatHistogram {
                counter_reset_hint: if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
                schema,
                zero_threshold: if wide { 0.001 } else { 0.0 },
                zero_count,
                count: zero_count + positive_buckets.iter().chain(&negative_buckets).sum::<f64>(),
                sum: 3.25,
                positive_spans,
                positive_buckets,
                negative_spans,
                negative_buckets,
                custom_values: Vec::new(),
            }
        },
    )
}

/// Labels, value, time and start.
type Seen = (Labels, SampleValue, Option<i64>, Option<i64>);

struct Samples(Vec<Seen>);

impl Visit for Samples {
    type Error = Fault;
    fn family(&mut self, _: &Family<'_>) -> Result<(), Fault> {
        Ok(())
    }
    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Fault> {
        let labels = sample.series.labels().map_err(|message| Fault::Form { at: 0, message })?;
        self.0.push((labels, sample.value, sample.timestamp_ms, sample.start_ms));
        Ok(())
    }
}

proptest! {
    #[test]
    fn histograms_come_back(histogram in any_float_histogram(), at in any::<i64>(), start in 1..i64::from(u32::MAX)) {
        let mut writer = Writer::default();
        let metric_type = histogram_type(&histogram);
        writer.family(&Family { name: "h", help: "", unit: "", metric_type });
        let metric = Metric { timestamp_ms: Some(at), start_ms: Some(start), ..Metric::new(MetricValue::Histogram(&histogram)) };
        writer.metric([("a", "b")], &metric);
        let mut samples = Samples(Vec::new());
        walk(&writer.finish(), &NATIVE, &mut samples).unwrap();
        let labels = Labels::from_pairs([("__name__", "h"), ("a", "b")]);
        let at = Some(at).filter(|at| *at != 0);
        prop_assert_eq!(samples.0, vec![(labels, SampleValue::Histogram(histogram.into()), at, Some(start))]);
    }

    #[test]
    fn custom_buckets_come_back_by_way_of_classic_ones(counts in proptest::collection::vec(0_u32..5, 1..8)) {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        let mut below = 0.0;
        for (i, count) in counts.iter().enumerate() {
            below += f64::from(*count);
            buckets.push((i as f64 * 0.5, below));
        }
        let histogram = crate::classic::to_custom_buckets(&mut buckets, Some(below + 1.0), Some(2.5), false).unwrap();
        let mut writer = Writer::default();
        writer.family(&Family { name: "h", help: "", unit: "", metric_type: MetricType::Histogram });
        writer.metric([], &Metric::new(MetricValue::Histogram(&histogram)));
        let mut samples = Samples(Vec::new());
        walk(&writer.finish(), &Options { custom_buckets: true, ..NATIVE }, &mut samples).unwrap();
        let value = samples.0.pop().unwrap().1;
        prop_assert_eq!(value, SampleValue::Histogram(histogram.into()));
    }

    #[test]
    fn nothing_that_comes_in_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        options in (any::<[bool; 3]>(), -10_i32..20, 0_usize..4),
    ) {
        let ([native, classic_always, custom_buckets], schema_max, buckets_max) = options;
        let options = Options { native, classic_always, custom_buckets, schema_max, buckets_max };
        told(&bytes, &options);
        // A body with one byte wrong gets further.
        let mut body = body("h", 4, &histogram(true, false));
        let index = at.index(body.len());
        body[index] ^= flip;
        told(&body, &options);
        told(&body[..index], &options);
    }
}
