//! Samples out into files of every format and back, and what is told of files that are none.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use super::{TsdbCommand, open, run};
use clap::Parser;
use model::{
    Exemplar, FloatHistogram, Labels, MetricType, SampleValue,
    histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span},
    stale::{NORMAL_NAN_BITS, STALE_NAN, is_stale_nan},
};
use proptest::prelude::*;
use std::{collections::BTreeMap, fs, path::Path, process::ExitCode, sync::Arc};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};

#[derive(Debug, Parser)]
struct Tool {
    #[command(subcommand)]
    command: TsdbCommand,
}

fn tool(dir: &Path, words: &[&str]) -> anyhow::Result<ExitCode> {
    let path = format!("--storage.tsdb.path={}", dir.display());
    run(Tool::try_parse_from(["vigie"].iter().chain(words).copied().chain([path.as_str()]))?.command)
}

/// Bits of values, by series and time.
type Content = BTreeMap<(String, i64), u64>;

fn content(dir: &Path) -> Content {
    let tsdb = open(dir).unwrap();
    let mut all = Content::new();
    for series in tsdb.querier(i64::MIN, i64::MAX).unwrap().select(&SelectHints::default(), &[]).unwrap() {
        let (series, mut samples) = (series.unwrap(), Samples::default());
        series.read(&mut samples).unwrap();
        for (time, value) in samples.timestamps.iter().zip(&samples.values) {
            assert_eq!(all.insert((series.labels().to_string(), *time), value.to_bits()), None);
        }
    }
    all
}

/// Three days of few series with everything that texts and tables get wrong.
fn fill(dir: &Path) -> Content {
    let tsdb = open(dir).unwrap();
    let values = [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-300, 0.1 + 0.2, 1e21, 123_456_789.0];
    let sets: [&[(&str, &str)]; 6] = [
        &[("__name__", "requests_total"), ("path", "/a,b\"c\\d\ne")],
        &[("__name__", "requests_total"), ("path", "ünïcode"), ("timestamp", "not a time"), ("value", "7")],
        &[("__name__", "latency_bucket"), ("le", "+Inf")],
        &[("__name__", "latency_sum"), ("label:x", "y")],
        &[("__name__", "temperature.outside"), ("my label", "with space")],
        &[("__name__", "up"), ("job", "x")],
    ];
    let start = 1_700_000_000_000;
    for step in 0..72 * 4_i64 {
        let series: Vec<SeriesSamples> = (sets.iter().zip(0_usize..))
            .map(|(pairs, number)| {
                let at = usize::try_from(step).unwrap() + number;
                let value = if at % 31 == 0 { STALE_NAN } else { values[at % values.len()] };
                let time = start + step * 900_000 + i64::try_from(number).unwrap() * 17;
                SeriesSamples {
                    labels: Labels::from_pairs(pairs.iter().copied()),
                    samples: vec![(time, SampleValue::Float(value))],
                    ..SeriesSamples::default()
                }
            })
            .collect();
        tsdb.append_series(&series).unwrap();
        if step % 20 == 0 {
            tsdb.maintain().unwrap();
        }
    }
    let metadata = |metric_type, help: &str| model::Metadata { metric_type, help: help.into(), unit: String::new() };
    tsdb.append_metadata(&[
        ("requests".to_owned(), metadata(MetricType::Counter, "What \\ was \n asked.")),
        ("latency".to_owned(), metadata(MetricType::Histogram, "How long.")),
    ])
    .unwrap();
    tsdb.close().unwrap();
    drop(tsdb);
    content(dir)
}

#[test]
fn every_format_brings_back_what_it_was_given() {
    let source = tempfile::tempdir().unwrap();
    let all = fill(source.path());
    assert_eq!(all.len(), 72 * 4 * 6);
    for name in ["out.om", "out.csv", "out.parquet"] {
        let target = tempfile::tempdir().unwrap();
        let file = target.path().join(name);
        let (file, dir) = (file.to_str().unwrap(), target.path().join("data"));
        tool(source.path(), &["export", file]).unwrap();
        assert!(tool(source.path(), &["export", file]).unwrap_err().to_string().contains("it is there already"));
        tool(&dir, &["import", file]).unwrap();
        let keeps_bits = name.ends_with("parquet");
        let wanted: Content = (all.iter())
            .filter(|(_, bits)| keeps_bits || !is_stale_nan(f64::from_bits(**bits)))
            // Texts have one NaN.
            .map(|(key, bits)| {
                let value = f64::from_bits(*bits);
                (key.clone(), if !keeps_bits && value.is_nan() { NORMAL_NAN_BITS } else { *bits })
            })
            .collect();
        let mut found = content(&dir);
        if !keeps_bits {
            found.values_mut().filter(|bits| f64::from_bits(**bits).is_nan()).for_each(|bits| {
                *bits = NORMAL_NAN_BITS;
            });
        }
        for (key, bits) in &wanted {
            assert_eq!(found.get(key), Some(bits), "{name}: {key:?}");
        }
        assert_eq!(found.len(), wanted.len(), "{name}");
        // Once more changes nothing.
        tool(&dir, &["import", file]).unwrap();
        assert_eq!(content(&dir).len(), wanted.len(), "{name}");
        if name == "out.om" {
            let metadata = open(&dir).unwrap().metadata();
            assert_eq!(metadata["requests"].metric_type, MetricType::Counter);
            assert_eq!(metadata["requests"].help, "What \\ was \n asked.");
            assert_eq!(metadata["latency"].metric_type, MetricType::Histogram);
        }
    }
}

#[test]
fn selectors_and_times_narrow_an_export() {
    let source = tempfile::tempdir().unwrap();
    let all = fill(source.path());
    let file = source.path().join("part.csv");
    let words = [
        "--match=up",
        "--match={__name__=~\"latency.*\"}",
        "--min-time=1700090000000",
        "--max-time=2023-11-17T00:00:00Z",
    ];
    tool(source.path(), &[&["export", file.to_str().unwrap()], &words[..]].concat()).unwrap();
    let lines = fs::read_to_string(&file).unwrap().lines().count() - 1;
    let wanted = all.iter().filter(|((labels, time), bits)| {
        (1_700_090_000_000..=1_700_179_200_000).contains(time)
            && (labels.contains("\"up\"") || labels.contains("latency"))
            && !is_stale_nan(f64::from_bits(**bits))
    });
    assert_eq!(lines, wanted.count());
    for command in ["dump", "analyze"] {
        tool(source.path(), &[&[command], &words[..]].concat()).unwrap();
    }
    for bad in [["export", "x.csv", "--match={"], ["export", "x.csv", "--min-time=yesterday"]] {
        assert!(tool(source.path(), &bad).is_err(), "{bad:?}");
    }
}

#[test]
fn exemplars_come_along() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("a.om"), dir.path().join("data"));
    let text = "# TYPE a counter\na_total{x=\"1\"} 2 1700000000 # {trace_id=\"late\"} 1.5 1700000007\n\
                a_total{x=\"1\"} 3 1700000060 # {trace_id=\"timeless\"} 0.5\n\
                a_total{x=\"2\"} 3 1700000060\n# EOF\n";
    fs::write(&file, text).unwrap();
    for _ in 0..2 {
        tool(&data, &["import", file.to_str().unwrap()]).unwrap();
        let found = open(&data).unwrap().exemplars(i64::MIN, i64::MAX, &[vec![]]).unwrap();
        let told: Vec<String> = (found.iter())
            .flat_map(|series| series.exemplars.iter().map(move |own| (&series.labels, own)))
            .map(|(labels, own)| format!("{labels} {} {} {:?}", own.labels, own.value, own.timestamp_ms.unwrap()))
            .collect();
        let series = "{__name__=\"a_total\", x=\"1\"}";
        assert_eq!(
            told,
            [
                format!("{series} {{trace_id=\"late\"}} 1.5 1700000007000"),
                format!("{series} {{trace_id=\"timeless\"}} 0.5 1700000060000"),
            ]
        );
    }
    assert_eq!(content(&data).len(), 3);
}

/// What of samples and exemplars is compared, as text: bits of floats, histograms in their one form, start timestamps.
fn whole(dir: &Path, texts: bool) -> (BTreeMap<(String, i64), String>, Vec<String>) {
    let tsdb = open(dir).unwrap();
    let mut all = BTreeMap::new();
    for series in tsdb.querier(i64::MIN, i64::MAX).unwrap().select(&SelectHints::default(), &[]).unwrap() {
        let (series, mut samples) = (series.unwrap(), Samples::default());
        series.read(&mut samples).unwrap();
        for (at, time) in samples.timestamps.iter().enumerate() {
            let value = match samples.value(at) {
                SampleValue::Float(value) => format!("{:x}", value.to_bits()),
                SampleValue::Histogram(own) => {
                    let mut text = String::new();
                    exposition::native::write_histogram(&own, &mut text);
                    let hint = if texts { String::new() } else { format!("{:?}", own.counter_reset_hint) };
                    format!("{text} {hint}")
                }
            };
            let value = format!("{value} {}", samples.start_timestamp(at));
            assert_eq!(all.insert((series.labels().to_string(), *time), value), None);
        }
    }
    let exemplars = tsdb.exemplars(i64::MIN, i64::MAX, &[vec![]]).unwrap();
    let exemplars = exemplars.iter().flat_map(|series| {
        series
            .exemplars
            .iter()
            .map(move |own| format!("{} {} {} {:?}", series.labels, own.labels, own.value, own.timestamp_ms))
    });
    (all, exemplars.collect())
}

fn histogram() -> impl Strategy<Value = FloatHistogram> {
    let side = || proptest::collection::btree_map(-20..60_i32, 1..1000_u32, 0..6);
    let hint = prop_oneof![
        Just(CounterResetHint::Unknown),
        Just(CounterResetHint::Reset),
        Just(CounterResetHint::NotReset),
        Just(CounterResetHint::Gauge)
    ];
    let factor = prop_oneof![Just(1.0), Just(0.1)];
    (side(), side(), hint, factor, -4..=8_i32, any::<bool>()).prop_map(
        |(positive, negative, hint, factor, schema, custom)| {
            let spans = |counts: &BTreeMap<i32, u32>| {
                let mut next = 0;
                let mut spans = Vec::new();
                for &index in counts.keys() {
                    spans.push(Span { offset: index - next, length: 1 });
                    next = index + 1;
                }
                spans
            };
            let counts =
                |counts: &BTreeMap<i32, u32>| counts.values().map(|count| f64::from(*count) * factor).collect();
            let mut own = FloatHistogram {
                counter_reset_hint: hint,
                schema,
                zero_threshold: 0.001,
                zero_count: 3.0,
                sum: 17.25 * factor,
                count: 3.0 + 1000.0 * factor,
                positive_spans: spans(&positive),
                positive_buckets: counts(&positive),
                negative_spans: spans(&negative),
                negative_buckets: counts(&negative),
                custom_values: Vec::new(),
            };
            if custom {
                own.schema = CUSTOM_BUCKETS_SCHEMA;
                (own.zero_threshold, own.zero_count) = (0.0, 0.0);
                own.custom_values = vec![0.25, 0.5, 100.0];
                own.positive_buckets = [1.0, 0.0, 7.0, 2.0].map(|count: f64| count * factor).to_vec();
                own.count = own.positive_buckets.iter().sum();
                own.positive_spans = vec![Span { offset: 0, length: 4 }];
                (own.negative_spans, own.negative_buckets) = (Vec::new(), Vec::new());
            }
            own
        },
    )
}

/// Of a series: samples a minute apart, some with a start, and exemplars.
fn series() -> impl Strategy<Value = (Vec<SampleValue>, Vec<bool>, Vec<(i64, f64)>)> {
    let float = proptest::collection::vec(any::<f64>().prop_map(SampleValue::Float), 1..20);
    let native = proptest::collection::vec(histogram().prop_map(|own| SampleValue::Histogram(Arc::new(own))), 1..12);
    let exemplars = proptest::collection::btree_map(0..20 * 60_000_i64, any::<f64>(), 0..4);
    (prop_oneof![float, native], proptest::collection::vec(any::<bool>(), 20), exemplars)
        .prop_map(|(samples, starts, exemplars)| (samples, starts, exemplars.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn nothing_is_lost_on_the_way_through_a_file(all in proptest::collection::vec(series(), 1..6)) {
        let begin_ms = 1_700_000_000_000_i64;
        let source = tempfile::tempdir().unwrap();
        let tsdb = open(source.path()).unwrap();
        let mut too_many = 0;
        for (number, (samples, starts, exemplars)) in all.iter().enumerate() {
            let labels = Labels::from_pairs([("__name__", format!("m{number}_seconds").as_str()), ("exemplar:x", "y,\"")]);
            let time = |at: usize| begin_ms + i64::try_from(at).unwrap() * 60_000;
            let starts: Vec<i64> =
                (0..samples.len()).map(|at| if starts[at] { begin_ms - 1234 } else { 0 }).collect();
            let exemplar = |(number, (time, value)): (usize, &(i64, f64))| Exemplar {
                labels: Labels::from_pairs([("trace_id", format!("é \"{number}\" # {{").as_str())]),
                value: if value.is_nan() { 1.0 } else { *value },
                timestamp_ms: Some(begin_ms + time),
            };
            // Lines of floats have one exemplar at most.
            if matches!(samples[0], SampleValue::Float(_)) {
                too_many += exemplars.len().saturating_sub(samples.len());
            }
            let values = samples.iter().cloned().map(|value| match value {
                // Texts have one NaN.
                SampleValue::Float(value) if value.is_nan() => SampleValue::Float(f64::from_bits(NORMAL_NAN_BITS)),
                value => value,
            });
            tsdb.append_series(&[SeriesSamples {
                labels,
                samples: values.enumerate().map(|(at, value)| (time(at), value)).collect(),
                start_timestamps: starts,
                exemplars: exemplars.iter().enumerate().map(exemplar).collect(),
            }])
            .unwrap();
        }
        let unit = |help: &str| model::Metadata {
            metric_type: MetricType::Histogram, help: help.to_owned(), unit: "seconds".to_owned()
        };
        tsdb.append_metadata(&[("m0_seconds".to_owned(), unit("what \n \\ it is"))]).unwrap();
        tsdb.close().unwrap();
        drop(tsdb);
        for ending in ["om", "csv", "parquet"] {
            let target = tempfile::tempdir().unwrap();
            let (file, dir) = (target.path().join(format!("out.{ending}")), target.path().join("data"));
            tool(source.path(), &["export", file.to_str().unwrap()]).unwrap();
            let beside = target.path().join(format!("out.exemplars.{ending}"));
            let files: Vec<&str> = [&file, &beside].into_iter().filter(|file| file.is_file()).map(|file| file.to_str().unwrap()).collect();
            // Once together, once more one by one.
            tool(&dir, &[&["import"], files.as_slice()].concat()).unwrap();
            for file in &files {
                tool(&dir, &["import", file]).unwrap();
            }
            let (wanted, found) = (whole(source.path(), ending == "om"), whole(&dir, ending == "om"));
            prop_assert_eq!(&found.0, &wanted.0, "{}", ending);
            if ending == "om" && too_many > 0 {
                prop_assert_eq!(found.1.len() + too_many, wanted.1.len());
            } else {
                prop_assert_eq!(&found.1, &wanted.1, "{}", ending);
            }
            if ending != "csv" {
                let metadata = open(&dir).unwrap().metadata();
                prop_assert_eq!(metadata.get("m0_seconds"), Some(&unit("what \n \\ it is")), "{}", ending);
            }
        }
        // What version 1.0 has no words for is left out, and the file is one of that version.
        let file = source.path().join("out.om");
        tool(source.path(), &["export", "--format=openmetrics1", file.to_str().unwrap()]).unwrap();
        let body = fs::read(&file).unwrap();
        let parsed: Vec<_> = exposition::Parser::new(&body, exposition::Format::OpenMetrics).unwrap().collect();
        prop_assert!(parsed.iter().all(Result::is_ok), "{}", String::from_utf8_lossy(&body));
    }
}

/// File name, content, part of the message.
#[rustfmt::skip]
const BAD: &[(&str, &str, &str)] = &[
    ("a.csv", "time,value,job\n1,2,x\n", "there is no column `timestamp`"),
    ("a.csv", "timestamp,value,job\n1,2,x\nsoon,3,x\n", "line 3: timestamp: expected Unix milliseconds"),
    ("a.csv", "timestamp,value,job\n1,much,x\n", "line 2: `much` is no value"),
    ("a.csv", "timestamp,value,job\n1,2,\n", "line 2: the sample has no label"),
    ("a.csv", "timestamp,value,job\n1,2,x,y\n", "found record with 4 fields"),
    ("a.parquet", "PAR1 is how it begins", "a.parquet"),
    ("a.om", "up 1\n# EOF\n", "line 1: a sample without a timestamp"),
    ("a.om", "up 1 1\n", "EOF"),
    ("a.om", "up {count:1} 1\n# EOF\n", "line 1: a histogram has count and sum"),
    ("a.csv", "timestamp,value,native_histogram,job\n1,,{count:x},x\n", "line 2: native histogram: count"),
    ("a.csv", "timestamp,value,native_histogram,histogram_counter_reset_hint,job\n1,,\"{count:1,sum:1,bucket:[+Inf:1]}\",often,x\n", "\"often\" is none of"),
    ("a.csv", "timestamp,exemplar_value,job\n1,much,x\n", "line 2: `much` is no value"),
    ("a.csv", "timestamp,value,start_timestamp,job\n1,2,soon,x\n", "line 2: start timestamp"),
];

#[test]
fn bad_files_are_told_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text, expected) in BAD {
        let file = dir.path().join(name);
        fs::write(&file, text).unwrap();
        let error = format!("{:#}", tool(&dir.path().join("data"), &["import", file.to_str().unwrap()]).unwrap_err());
        assert!(error.contains(expected) && error.contains(name), "{text:?}: {error}");
    }
}

#[test]
fn damaged_parquet_is_an_error_and_no_panic() {
    let source = tempfile::tempdir().unwrap();
    fill(source.path());
    let file = source.path().join("out.parquet");
    tool(source.path(), &["export", file.to_str().unwrap(), "--match=up"]).unwrap();
    let bytes = fs::read(&file).unwrap();
    let data = source.path().join("data");
    for at in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
        for cut in [true, false] {
            let mut bytes = bytes.clone();
            if cut {
                bytes.truncate(at)
            } else {
                bytes[at] ^= 0x55
            }
            fs::write(&file, &bytes).unwrap();
            // A flipped bit may stand where nothing is read; a cut is always seen.
            let outcome = tool(&data, &["import", file.to_str().unwrap()]);
            assert!(!cut || outcome.is_err(), "cut at {at}");
        }
    }
}
