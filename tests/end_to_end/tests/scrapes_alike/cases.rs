//! What is scraped: for every case a job, and what its target answers.

use exposition::protobuf::{Family, Metric, MetricValue, Writer};
use model::histogram::Span;
use model::{Exemplar, FloatHistogram, Labels, MetricType};

pub(super) struct Case {
    pub name: &'static str,
    /// Lines of the job beside its targets and its path. `PORT` is that of the targets.
    pub job: &'static str,
    pub answers: &'static [Answer],
    /// Every path but `…/moved` is answered with the way to that.
    pub redirects: bool,
    /// The header without which the answer is 401.
    pub wants_authorization: &'static str,
}

pub(super) struct Answer {
    pub status: u16,
    /// Header lines.
    pub head: &'static str,
    pub body: Body,
}

pub(super) enum Body {
    /// `{T+N}` is a time in milliseconds, N of them after the base, `{S+N}` the same in seconds.
    Text(&'static str),
    Made(fn(i64) -> Vec<u8>),
}

impl Body {
    pub(super) fn bytes(&self, base_ms: i64) -> Vec<u8> {
        let text = match self {
            Body::Text(text) => *text,
            Body::Made(make) => return make(base_ms),
        };
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("{T").or_else(|| rest.find("{S")) {
            let at = rest.find("{S").map_or(at, |seconds| at.min(seconds));
            out.push_str(&rest[..at]);
            let end = at + rest[at..].find('}').expect("a placeholder ends");
            let time = base_ms + rest[at + 2..end].parse::<i64>().expect("a placeholder is a number");
            if rest[at..].starts_with("{T") {
                out.push_str(&time.to_string());
            } else {
                out.push_str(&format!("{}.{:03}", time / 1000, time % 1000));
            }
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
        out.into_bytes()
    }
}

const PLAIN: &str = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
const UTF8: &str = "Content-Type: text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8\r\n";
const OPEN: &str = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
const PROTO: &str =
    "Content-Type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n";

const fn text(body: &'static str) -> Answer {
    Answer { status: 200, head: PLAIN, body: Body::Text(body) }
}

const fn utf8(body: &'static str) -> Answer {
    Answer { status: 200, head: UTF8, body: Body::Text(body) }
}

const fn open(body: &'static str) -> Answer {
    Answer { status: 200, head: OPEN, body: Body::Text(body) }
}

const fn proto(make: fn(i64) -> Vec<u8>) -> Answer {
    Answer { status: 200, head: PROTO, body: Body::Made(make) }
}

const fn other(status: u16, head: &'static str, body: &'static str) -> Answer {
    Answer { status, head, body: Body::Text(body) }
}

const fn case(name: &'static str, job: &'static str, answers: &'static [Answer]) -> Case {
    Case { name, job, answers, redirects: false, wants_authorization: "" }
}

fn native(count: f64, schema: i32) -> FloatHistogram {
    FloatHistogram {
        schema,
        count,
        sum: 2.5 * count,
        zero_threshold: 0.001,
        zero_count: 1.0,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: vec![1.0, 1.0, count - 3.0],
        ..FloatHistogram::default()
    }
}

fn family(writer: &mut Writer, name: &str, metric_type: MetricType) {
    writer.family(&Family { name, help: "Help with \\ and \"quotes\".", unit: "", metric_type });
}

fn protobuf_kinds(step: f64) -> Vec<u8> {
    let mut writer = Writer::default();
    family(&mut writer, "c_total", MetricType::Counter);
    let exemplar = Exemplar { labels: Labels::from_pairs([("trace", "a")]), value: step, timestamp_ms: None };
    let counter = Metric { exemplars: &[exemplar], ..Metric::new(MetricValue::Float(step)) };
    writer.metric([("k", "1")], &counter);
    writer.metric([("k", "2"), ("empty", "")], &Metric::new(MetricValue::Float(7.0)));
    family(&mut writer, "g", MetricType::Gauge);
    writer.metric([], &Metric::new(MetricValue::Float(f64::NAN)));
    writer.metric([("instance", "own")], &Metric::new(MetricValue::Float(f64::NEG_INFINITY)));
    family(&mut writer, "u", MetricType::Unknown);
    writer.metric([], &Metric::new(MetricValue::Float(step * 0.1)));
    family(&mut writer, "with.dots", MetricType::Gauge);
    writer.metric([("a label", "x")], &Metric::new(MetricValue::Float(step)));
    family(&mut writer, "h", MetricType::Histogram);
    writer.metric([], &Metric::new(MetricValue::Histogram(&native(step + 5.0, 0))));
    family(&mut writer, "hc", MetricType::Histogram);
    writer.metric(
        [("k", "classic")],
        &Metric::new(MetricValue::Classic {
            count: step + 6.0,
            sum: 1.5,
            buckets: &[(0.5, 1.0), (1.0, 4.0), (f64::INFINITY, step + 6.0)],
        }),
    );
    writer.finish()
}

fn protobuf_times(base_ms: i64) -> Vec<u8> {
    let mut writer = Writer::default();
    family(&mut writer, "g", MetricType::Gauge);
    for (k, behind_ms) in [("1", 5000), ("2", 9000)] {
        let at = Metric { timestamp_ms: Some(base_ms - behind_ms), ..Metric::new(MetricValue::Float(3.0)) };
        writer.metric([("k", k)], &at);
    }
    family(&mut writer, "h", MetricType::Histogram);
    let histogram = native(9.0, 0);
    let at = Metric { timestamp_ms: Some(base_ms - 4000), ..Metric::new(MetricValue::Histogram(&histogram)) };
    writer.metric([], &at);
    writer.finish()
}

fn protobuf_many_buckets(_: i64) -> Vec<u8> {
    let mut writer = Writer::default();
    family(&mut writer, "h", MetricType::Histogram);
    let spans = vec![Span { offset: 0, length: 12 }];
    let histogram = FloatHistogram {
        schema: 4,
        count: 12.0,
        sum: 20.0,
        positive_spans: spans,
        positive_buckets: vec![1.0; 12],
        ..FloatHistogram::default()
    };
    writer.metric([], &Metric::new(MetricValue::Histogram(&histogram)));
    writer.finish()
}

fn protobuf_contradiction(_: i64) -> Vec<u8> {
    let mut writer = Writer::default();
    family(&mut writer, "h", MetricType::Histogram);
    for (k, buckets) in [("bad", [(0.5, 3.0), (1.0, 2.0)]), ("good", [(0.5, 2.0), (1.0, 3.0)])] {
        writer.metric([("k", k)], &Metric::new(MetricValue::Classic { count: 5.0, sum: 1.0, buckets: &buckets }));
    }
    writer.finish()
}

fn broken_protobuf(_: i64) -> Vec<u8> {
    let mut body = protobuf_kinds(1.0);
    body.truncate(body.len() - 3);
    body
}

fn long_body(_: i64) -> Vec<u8> {
    (0..200).map(|i| format!("long_metric_name{{number=\"{i}\"}} {i}\n")).collect::<String>().into_bytes()
}

/// Bodies of one line between two good ones: whether it is read, and as what.
macro_rules! lines {
    ($($name:ident $answer:ident $line:literal)*) => {
        &[$(Case {
            name: stringify!($name),
            job: "",
            answers: &[$answer(concat!("before 1\n", $line, "\nafter 2\n"))],
            redirects: false,
            wants_authorization: "",
        }),*]
    };
}

/// All cases.
pub(super) static CASES: std::sync::LazyLock<Vec<&'static Case>> =
    std::sync::LazyLock::new(|| JOBS.iter().chain(TEXT_LINES).chain(OPEN_LINES).collect());

const TEXT_LINES: &[Case] = lines! {
    line_spaces text "a   {  k = \"1\" , l=\"2\" , }   3  "
    line_tabs text "a\t{k=\"1\"}\t3"
    line_leading_blank text "  a 3"
    line_carriage_return text "a 3\r"
    line_empty text "\n\n"
    line_escapes text "a{k=\"x\\\\y\\\"z\\nw\\q\"} 3"
    line_hex text "a 0x1p4"
    line_underscore text "a 1_000"
    line_exponent text "a 1.5e+03"
    line_inf_words text "a Infinity"
    line_inf_short text "a -inf"
    line_nan_case text "a nan"
    line_nan_plus text "a +NaN"
    line_huge text "a 1e999"
    line_tiny text "a 1e-999"
    line_long_number text "a 0.1000000000000000055511151231257827021181583404541015625"
    line_plus text "a +7"
    line_dot text "a .5"
    line_dot_behind text "a 5."
    line_no_value text "a"
    line_no_number text "a x"
    line_two_numbers text "a 1 2 3"
    line_time_float text "a 1 1.5"
    line_time_negative text "a 1 -5"
    line_no_brace text "a{k=\"1\" 3"
    line_no_quote text "a{k=1} 3"
    line_open_quote text "a{k=\"1} 3"
    line_two_labels text "a{k=\"1\" l=\"2\"} 3"
    line_same_label text "a{k=\"1\",k=\"2\"} 3"
    line_name_label text "a{__name__=\"b\"} 3"
    line_only_braces text "{k=\"1\"} 3"
    line_name_in_braces text "{\"a\",k=\"1\"} 3"
    line_name_twice text "a{\"b\"} 3"
    line_quoted_label text "a{\"k.x\"=\"1\"} 3"
    line_digit_name text "1a 3"
    line_digit_label text "a{1k=\"1\"} 3"
    line_colon_name text "a:b 3"
    line_colon_label text "a{k:x=\"1\"} 3"
    line_dash_name text "a-b 3"
    line_utf8_name text "ä 3"
    line_utf8_value text "a{k=\"ä€😀\"} 3"
    line_empty_label text "a{k=\"\"} 3"
    line_empty_name text "{\"\"} 3"
    line_comment text "# a comment that is none of the known ones"
    line_comment_close text "#HELP a x"
    line_help_escapes text "# HELP a x\\\\y\\nz\\\"q\n# TYPE a gauge\na 1"
    line_help_empty text "# HELP a\n# TYPE a gauge\na 1"
    line_type_unknown text "# TYPE a nosuch\na 1"
    line_type_untyped text "# TYPE a untyped\na 1"
    line_type_twice text "# TYPE a gauge\n# TYPE a counter\na 1"
    line_type_quoted text "# TYPE \"a.b\" gauge\n{\"a.b\"} 1"
    line_unit text "# UNIT a seconds\na 1"
    line_le text "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2"
    line_quantile text "# TYPE s summary\ns{quantile=\"1\"} 1\ns{quantile=\"0.50\"} 1\ns_sum 1\ns_count 2"
    line_exemplar text "a 1 # {t=\"x\"} 1"
    line_eof text "# EOF"
    line_html text "<html><body>404</body></html>"
};

const OPEN_LINES: &[Case] = &[
    case(
        "open_counter",
        "",
        &[open("# HELP a Words.\n# TYPE a counter\n# UNIT a seconds\na_seconds_total 1\n# EOF\n")],
    ),
    case("open_total", "", &[open("# TYPE a counter\na_total 1 {S-3000}\na_created 1.5\n# EOF\n")]),
    case(
        "open_exemplar",
        "",
        &[open(
            "# TYPE a counter\na_total{k=\"1\"} 5 # {trace_id=\"x\"} 0.5\na_total{k=\"2\"} 6 {S-3000} # {trace_id=\"y\",l=\"ü\"} 0.7 {S-3000}\n# EOF\n",
        )],
    ),
    case(
        "open_exemplar_long",
        "",
        &[open(
            "# TYPE a counter\na_total 5 # {t=\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"} 0.5\n# EOF\n",
        )],
    ),
    case("open_bad_exemplar", "", &[open("# TYPE a counter\na_total 5 # {t=x} 0.5\n# EOF\n")]),
    case(
        "open_histogram",
        "",
        &[open(
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {t=\"a\"} 0.3\nh_bucket{le=\"2.50\"} 3 # {t=\"b\"} 1.3 {S-2000}\nh_bucket{le=\"+Inf\"} 4\nh_count 4\nh_sum 9\nh_created {S-90000}\n# EOF\n",
        )],
    ),
    case(
        "open_kinds",
        "",
        &[open(
            "# TYPE i info\ni_info{v=\"1\"} 1\n# TYPE s stateset\ns{s=\"on\"} 1\ns{s=\"off\"} 0\n# TYPE g gaugehistogram\ng_bucket{le=\"1\"} 1\ng_bucket{le=\"+Inf\"} 2\ng_gcount 2\ng_gsum 3\n# TYPE u unknown\nu 1\n# TYPE q summary\nq{quantile=\"1\"} 2\nq_sum 1\nq_count 1\n# EOF\n",
        )],
    ),
    case("open_no_end", "", &[open("# TYPE a gauge\na 1\n")]),
    case("open_behind_end", "", &[open("a 1\n# EOF\nb 2\n")]),
    case("open_no_last_newline", "", &[open("a 1\n# EOF")]),
    case("open_blank_line", "", &[open("a 1\n\n# EOF\n")]),
    case("open_spaces", "", &[open("a  1\n# EOF\n")]),
    case("open_comment", "", &[open("# hello\na 1\n# EOF\n")]),
    case("open_time_digits", "", &[open("a 1 {S-3000}9\nb 1 1e3\n# EOF\n")]),
    case("open_time_nan", "", &[open("a 1 NaN\n# EOF\n")]),
    case("open_empty_label", "", &[open("a{} 1\nb{k=\"\"} 2\n# EOF\n")]),
    case("open_comma", "", &[open("a{k=\"1\",} 1\n# EOF\n")]),
    case("open_quoted", "", &[open("# TYPE \"a.b\" gauge\n{\"a.b\",\"k k\"=\"1\"} 1\n# EOF\n")]),
    case("open_hex", "", &[open("a 0x10\n# EOF\n")]),
    case("open_carriage_return", "", &[open("a 1\r\n# EOF\r\n")]),
    case("open_duplicate", "", &[open("a 1\na 2\n# EOF\n")]),
    case("open_interleaved", "", &[open("# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\na{k=\"1\"} 2\n# EOF\n")]),
    case("open_unit_mismatch", "", &[open("# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n")]),
    case("open_type_bad", "", &[open("# TYPE a nosuch\na 1\n# EOF\n")]),
    case("open_just_end", "", &[open("# EOF\n")]),
];

const HISTOGRAM: &str =
    "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum 9\nh_count 4\n";
const CONTRADICTION: &str = "# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum 9\nh_count 4\n# TYPE ok histogram\nok_bucket{le=\"1\"} 1\nok_bucket{le=\"+Inf\"} 2\nok_sum 3\nok_count 2\n";

const JOBS: &[Case] = &[
    case("values", "", &[text("a 1\nb NaN\nc -0\n"), text("a 2\nb 1\nc 0\n"), text("a +Inf\nb NaN\nc 5e-324\n")]),
    case(
        "come_and_go",
        "",
        &[
            text("a{k=\"1\"} 1\na{k=\"2\"} 2\n"),
            text("a{k=\"2\"} 2\n"),
            text("a{k=\"1\"} 3\na{k=\"3\"} 1\n"),
            text("a{k=\"3\"} 1\n"),
        ],
    ),
    case("goes_down", "", &[text("a 1\n"), other(500, PLAIN, "a 2\n"), text("a 3\n"), text("a 4\n<\n")]),
    case("teapot", "", &[other(418, "", "short and stout")]),
    case("no_content", "", &[other(204, "", "")]),
    case("empty", "", &[text("a 1\n"), text("")]),
    case("no_type", "", &[other(200, "", "a 1\n")]),
    case("no_type_fallback", "fallback_scrape_protocol: PrometheusText0.0.4", &[other(200, "", "a 1\n")]),
    case("no_type_fallback_open", "fallback_scrape_protocol: OpenMetricsText1.0.0", &[other(200, "", "a 1\n# EOF\n")]),
    case("html_type", "", &[other(200, "Content-Type: text/html\r\n", "a 1\n")]),
    case(
        "html_type_fallback",
        "fallback_scrape_protocol: PrometheusText1.0.0",
        &[other(200, "Content-Type: text/html\r\n", "a 1\n")],
    ),
    case("plain_type_only", "", &[other(200, "Content-Type: text/plain\r\n", "a 1\n")]),
    case("bad_type", "", &[other(200, "Content-Type: ;;;\r\n", "a 1\n")]),
    case(
        "open_type_2",
        "",
        &[other(200, "Content-Type: application/openmetrics-text; version=2.0.0\r\n", "a 1\n# EOF\n")],
    ),
    case(
        "proto_type_other",
        "",
        &[other(200, "Content-Type: application/vnd.google.protobuf; proto=other; encoding=delimited\r\n", "")],
    ),
    case("json_type", "", &[other(200, "Content-Type: application/json\r\n", "{}")]),
    case("times", "", &[text("a 1 {T-5000}\nb 1\n"), text("a 2 {T-4000}\nb 1\n"), text("b 1\n")]),
    case("times_tracked", "track_timestamps_staleness: true", &[text("a 1 {T-5000}\nb 1\n"), text("b 1\n")]),
    case("times_ignored", "honor_timestamps: false", &[text("a 1 {T-5000}\n"), text("a 2 {T-4000}\n")]),
    case(
        "times_back",
        "",
        &[text("a 1 {T-5000}\n"), text("a 2 {T-9000}\n"), text("a 3 {T-5000}\n"), text("a 1 {T-5000}\n")],
    ),
    case("times_old", "", &[text("a 1 {T-90000000}\nb 2\n")]),
    case("times_ahead", "", &[text("a 1 {T+3600000}\nb 2 {T+300000}\nc 3\n")]),
    case("times_zero", "", &[text("a 1 0\nb 2 -1000\nc 3\n")]),
    case("times_of_one_series", "", &[text("a 1 {T-5000}\na 2 {T-4000}\na 3 {T-4500}\na 4\n")]),
    case("twice", "", &[text("a 1\na 2\na{k=\"1\"} 1\na{k=\"1\"} 1\n"), text("a 3\na 4\n")]),
    case(
        "twice_by_relabelling",
        "metric_relabel_configs: [{regex: k, action: labeldrop}]",
        &[text("a{k=\"1\"} 1\na{k=\"2\"} 2\n"), text("a{k=\"2\"} 3\na{k=\"1\"} 4\n")],
    ),
    case("sample_limit", "sample_limit: 2", &[text("a 1\nb 2\n"), text("a 1\nb 2\nc 3\n"), text("a 4\n")]),
    case(
        "sample_limit_dropped",
        "sample_limit: 2\n  metric_relabel_configs: [{source_labels: [__name__], regex: c, action: drop}]",
        &[text("a 1\nb 2\nc 3\n")],
    ),
    case("label_limit", "label_limit: 4", &[text("a{k=\"1\"} 1\n"), text("a{k=\"1\",l=\"2\"} 1\n")]),
    case("label_name_limit", "label_name_length_limit: 8", &[text("a{k=\"1\"} 1\n"), text("a{long_name=\"1\"} 1\n")]),
    case(
        "label_value_limit",
        "label_value_length_limit: 30",
        &[text("a{k=\"1\"} 1\n"), text("a{k=\"0123456789012345678901234567890\"} 1\n")],
    ),
    case("body_limit", "body_size_limit: 1KB", &[text("a 1\n"), proto_text(long_body)]),
    case("target_limit", "target_limit: 1", &[text("a 1\n")]),
    case("honor", "honor_labels: true", &[text("a{job=\"own\",instance=\"\",k=\"1\"} 1\n")]),
    case("exported", "", &[text("a{job=\"own\",instance=\"i\",exported_job=\"more\"} 1\nb{instance=\"\"} 2\n")]),
    case(
        "relabelled",
        "metric_relabel_configs: [{source_labels: [__name__], regex: '(.)_old', target_label: __name__, replacement: '${1}_new'}, {source_labels: [k], regex: '', target_label: none, replacement: 'yes'}, {source_labels: [__name__], regex: drop_me, action: drop}]",
        &[text("a_old{k=\"1\"} 1\nb_old 2\ndrop_me 3\n")],
    ),
    case("relabelled_no_name", "metric_relabel_configs: [{target_label: __name__, replacement: ''}]", &[text("a 1\n")]),
    case(
        "relabelled_bad_name",
        "metric_relabel_configs: [{target_label: __name__, replacement: 'with space'}]",
        &[text("a 1\n")],
    ),
    case("own_up", "", &[text("up 5\nscrape_samples_scraped 9\na 1\n")]),
    case("utf8", "", &[utf8("{\"a.b\",\"k k\"=\"1\"} 1\n{\"ä\"} 2\n# TYPE \"t.t\" counter\n{\"t.t\"} 3\n")]),
    case(
        "utf8_legacy",
        "metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: underscores",
        &[text("a 1\n"), utf8("{\"a.b\"} 1\na 2\n")],
    ),
    case(
        "utf8_legacy_label",
        "metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: underscores",
        &[text("a 1\n"), utf8("a{\"k.k\"=\"1\"} 2\n")],
    ),
    case("escaping_underscores", "metric_name_escaping_scheme: underscores", &[utf8("{\"a.b\"} 1\n")]),
    case("escaping_dots", "metric_name_escaping_scheme: dots", &[text("a_dot_b 1\n")]),
    case("escaping_values", "metric_name_escaping_scheme: values", &[text("U__a_2e_b 1\n")]),
    case("protocols", "scrape_protocols: [PrometheusText0.0.4, OpenMetricsText0.0.1]", &[text("a 1\n")]),
    case("uncompressed", "enable_compression: false", &[text("a 1\n")]),
    case("classic", "", &[text(HISTOGRAM)]),
    case(
        "nhcb",
        "convert_classic_histograms_to_nhcb: true",
        &[
            text(HISTOGRAM),
            text(
                "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"+Inf\"} 5\nh_sum 9\nh_count 5\n",
            ),
        ],
    ),
    case(
        "nhcb_and_classic",
        "convert_classic_histograms_to_nhcb: true\n  always_scrape_classic_histograms: true",
        &[text(HISTOGRAM)],
    ),
    case("nhcb_contradiction", "convert_classic_histograms_to_nhcb: true", &[text(CONTRADICTION)]),
    case(
        "nhcb_open",
        "convert_classic_histograms_to_nhcb: true",
        &[open(
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {t=\"a\"} 0.3 {S-2000}\nh_bucket{le=\"+Inf\"} 4\nh_count 4\nh_sum 9\nh_created {S-90000}\n# EOF\n",
        )],
    ),
    case(
        "nhcb_limit",
        "convert_classic_histograms_to_nhcb: true\n  native_histogram_bucket_limit: 2",
        &[text(HISTOGRAM)],
    ),
    case(
        "proto",
        "NATIVE",
        &[
            proto(|_| protobuf_kinds(1.0)),
            proto(|_| protobuf_kinds(2.0)),
            text("c_total{k=\"1\"} 3\n"),
            proto(|_| protobuf_kinds(4.0)),
        ],
    ),
    case("proto_classic", "NATIVE\n  always_scrape_classic_histograms: true", &[proto(|_| protobuf_kinds(1.0))]),
    case(
        "proto_nhcb",
        "NATIVE\n  convert_classic_histograms_to_nhcb: true",
        &[proto(|_| protobuf_kinds(1.0)), proto(|_| protobuf_kinds(2.0))],
    ),
    case("proto_contradiction", "NATIVE\n  convert_classic_histograms_to_nhcb: true", &[proto(protobuf_contradiction)]),
    case("proto_times", "NATIVE", &[proto(protobuf_times)]),
    case("proto_bucket_limit", "NATIVE\n  native_histogram_bucket_limit: 4", &[proto(protobuf_many_buckets)]),
    case("proto_bucket_limit_hard", "NATIVE\n  native_histogram_bucket_limit: 1", &[proto(|_| protobuf_kinds(1.0))]),
    case("proto_factor", "NATIVE\n  native_histogram_min_bucket_factor: 2", &[proto(protobuf_many_buckets)]),
    case("proto_broken", "NATIVE", &[proto(broken_protobuf)]),
    case("proto_sample_limit", "NATIVE\n  sample_limit: 3", &[proto(|_| protobuf_kinds(1.0))]),
    case("params", "params: {x: ['1', 'a b'], 'y[]': ['&']}", &[text("a 1\n")]),
    case("headers", "http_headers: {X-Own: {values: [one]}}", &[text("a 1\n")]),
    case("no_redirect", "follow_redirects: false", &[other(302, "Location: /values/nobody\r\n", "")]),
    Case { name: "redirect", job: "", answers: &[text("a 1\n")], redirects: true, wants_authorization: "" },
    Case {
        name: "basic",
        job: "basic_auth: {username: u, password: p}",
        answers: &[text("a 1\n")],
        redirects: false,
        wants_authorization: "Basic dTpw",
    },
    Case {
        name: "basic_wrong",
        job: "basic_auth: {username: u, password: x}",
        answers: &[text("a 1\n")],
        redirects: false,
        wants_authorization: "Basic dTpw",
    },
    Case {
        name: "bearer",
        job: "authorization: {credentials: t0p}",
        answers: &[text("a 1\n")],
        redirects: false,
        wants_authorization: "Bearer t0p",
    },
    Case {
        name: "oauth2",
        job: "oauth2: {client_id: c, client_secret: s, token_url: 'http://127.0.0.1:PORT/token'}",
        answers: &[text("a 1\n")],
        redirects: false,
        wants_authorization: "Bearer t0ken",
    },
    case("proxy", "proxy_url: http://127.0.0.1:PORT", &[text("a 1\n")]),
    case("proxy_gone", "proxy_url: http://127.0.0.1:1", &[text("a 1\n")]),
    case("failure_log", "scrape_failure_log_file: failures.log", &[text("a 1\n"), text("<\n"), other(500, "", "")]),
];

const fn proto_text(make: fn(i64) -> Vec<u8>) -> Answer {
    Answer { status: 200, head: PLAIN, body: Body::Made(make) }
}
