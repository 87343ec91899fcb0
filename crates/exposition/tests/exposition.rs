//! Bodies in, entries or faults out; the conformance folder; and that what we write we read.
#![expect(clippy::print_stdout, reason = "tests")]

use exposition::format::Served;
use exposition::{Entry, Format, Parser, ScrapeProtocol, Writer};
use std::path::Path;

fn shown(body: &str, format: Format) -> Vec<String> {
    let parser = match Parser::new(body.as_bytes(), format) {
        Ok(parser) => parser,
        Err(fault) => return vec![fault.to_string()],
    };
    parser
        .map(|entry| match entry {
            Ok(Entry::Help { name, help }) => format!("help {name} {help:?}"),
            Ok(Entry::Type { name, metric_type }) => format!("type {name} {}", metric_type.as_str()),
            Ok(Entry::Unit { name, unit }) => format!("unit {name} {unit}"),
            Ok(Entry::Sample(s)) => match s.labels() {
                Ok(labels) => {
                    let exemplar =
                        s.exemplar.map(|e| format!(" exemplar {} {} {:?}", e.labels(), e.value, e.timestamp_ms));
                    let time = s.timestamp_ms.map(|ms| format!(" @{ms}")).unwrap_or_default();
                    format!("{labels} {}{time}{}", s.value, exemplar.unwrap_or_default())
                }
                Err(fault) => fault.to_string(),
            },
            Ok(Entry::Detailed(own)) => format!("{own:?}"),
            Err(fault) => fault.to_string(),
        })
        .collect()
}

const TEXT: &[(&str, &str)] = &[
    ("a 1", r#"{__name__="a"} 1"#),
    ("a{} +Inf 5\n", r#"{__name__="a"} inf @5"#),
    ("a { b = \"c\" , } 1 -7", r#"{__name__="a", b="c"} 1 @-7"#),
    (r#"{"my.metric","dot.ted"="x",b="y\n\\\""} 1"#, r#"{__name__="my.metric", b="y\n\\\"", "dot.ted"="x"} 1"#),
    (r#"a{b="}",c="{"} 1"#, r#"{__name__="a", b="}", c="{"} 1"#),
    ("a{empty=\"\"} 1\r\n", r#"{__name__="a"} 1"#),
    ("# HELP a x\\ny", "help a \"x\\ny\""),
    ("#a comment\n\n\t\n", ""),
    ("# TYPE a untyped", "type a unknown"),
    ("# TYPE a what", "line 1: invalid metric type \"what\"; known are counter, gauge, histogram, summary, untyped"),
    ("a", "line 1: expected a value after the metric"),
    ("a 1 2 3", "line 1: unexpected \"3\" after the timestamp"),
    ("a x", "line 1: \"x\" is no number"),
    ("a{b=\"c} 1", "line 1: a label value has no closing quote"),
    ("a{b=\"c\",b=\"d\"} 1", "line 1: label name \"b\" is not unique: invalid sample"),
    ("a{b} 1", "line 1: label \"b\": expected `=`, got `}`"),
    ("a{\"b\"} 1", "line 1: metric name already set"),
    ("{b=\"c\"} 1", "line 1: metric name not set"),
    ("<html>", "line 1: expected a metric name, got '<'"),
    ("0a 1", "line 1: \"0a\" is no metric name; it starts with a digit"),
];

const OPENMETRICS: &[(&str, &str)] = &[
    ("a_total 1 1.5 # {id=\"x\"} 2 3.25\n# EOF\n", r#"{__name__="a_total"} 1 @1500 exemplar {id="x"} 2 Some(3250)"#),
    ("a 1\n", "{__name__=\"a\"} 1|line 1: data does not end with # EOF"),
    ("# UNIT a_s s\n# EOF", "unit a_s s"),
    ("# UNIT a s\n# EOF", "line 1: unit \"s\" not a suffix of metric \"a\""),
    ("# EOF\na 1\n", "line 2: unexpected data after # EOF"),
    ("a  1\n# EOF", "line 1: expected one space and a value after the metric"),
];

#[test]
fn lines() {
    for (format, cases) in [(Format::Text, TEXT), (Format::OpenMetrics, OPENMETRICS)] {
        for (body, expected) in cases {
            assert_eq!(shown(body, format).join("|"), *expected, "in {body:?}");
        }
    }
    assert_eq!(Parser::new(b"a 1\nb\xff 2", Format::Text).unwrap_err().to_string(), "line 2: not valid UTF-8");
}

#[test]
fn all_faults_are_told() {
    assert_eq!(shown("a 1\nb x\nc{ 2\nd 3", Format::Text).iter().filter(|line| line.starts_with("line ")).count(), 2);
}

#[test]
fn bounds_have_one_form() {
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1\n";
    let said = shown(body, Format::Text);
    assert_eq!(said[1], r#"{__name__="h_bucket", le="1.0"} 1"#);
    assert_eq!(said[3], r#"{__name__="g", le="1"} 1"#);
}

#[test]
fn a_wrong_guess_changes_nothing() {
    for (line, guess) in
        [("a 1", "a"), ("ab 1", "a"), ("a {b=\"c\"} 1", "a"), ("a{b=\"c\"} 1", "a{b=\"c\"}"), ("b 1", "a")]
    {
        let mut parser = Parser::new(line.as_bytes(), Format::Text).unwrap();
        let Some(Ok(Entry::Sample(sample))) = parser.next_expecting(guess) else { panic!("{line}") };
        let plain = shown(line, Format::Text);
        assert_eq!(format!("{} {}", sample.labels().unwrap(), sample.value), plain[0], "{line} with {guess}");
    }
}

fn folder() -> Option<&'static Path> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/exposition"));
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
    }
    folder.exists().then_some(folder)
}

#[test]
fn conformance() {
    let Some(folder) = folder() else { return };
    let (passed, failures) = exposition::conformance::run_conformance(folder).unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 200, "only {passed} bodies were found");
}

/// parse → write → parse gives the same entries.
#[test]
fn written_and_read_again() {
    let Some(folder) = folder() else { return };
    for (file, format) in [
        ("text-0.0.4/live/prometheus.txt", Format::Text),
        ("text-0.0.4/live/node_exporter.txt", Format::Text),
        ("text-0.0.4/live/python-client.txt", Format::Text),
    ] {
        let body = std::fs::read_to_string(folder.join(file)).unwrap();
        let served =
            Served { protocol: ScrapeProtocol::PrometheusText1_0_0, escaping: exposition::Escaping::AllowUtf8 };
        let mut writer = Writer::new(served);
        let mut help = String::new();
        for entry in Parser::new(body.as_bytes(), format).unwrap() {
            match entry.unwrap() {
                Entry::Help { help: text, .. } => help = text.into_owned(),
                Entry::Type { name, metric_type } => writer.family(&name, &std::mem::take(&mut help), metric_type),
                Entry::Unit { .. } | Entry::Detailed(_) => {}
                Entry::Sample(sample) => {
                    let labels = sample.labels().unwrap();
                    writer.sample(labels.metric_name(), &labels, None, sample.value, sample.timestamp_ms);
                }
            }
        }
        assert_eq!(shown(&writer.finish(), format), shown(&body, format), "{file}");
    }
}

proptest::proptest! {
    /// Nothing that a target sends makes us panic, and no guess changes what is read.
    #[test]
    fn any_body_is_read_or_refused(
        body in "([a-z]{1,2}[ {]?|[{}=\",#\\\\ \t\n]|\"|0|1\\.5|NaN|# (HELP|TYPE|UNIT|EOF) ?|counter|é|\\\\\"){0,40}",
        guess in "([a-z]{1,2}|[{}=\",\\\\ ]){0,6}",
    ) {
        for format in [Format::Text, Format::OpenMetrics] {
            let plain = shown(&body, format);
            let mut parser = Parser::new(body.as_bytes(), format).unwrap();
            let mut entries = 0;
            while parser.next_expecting(&guess).is_some() {
                entries += 1;
            }
            proptest::prop_assert_eq!(entries, plain.len());
        }
        exposition::check(body.as_bytes());
    }
}
