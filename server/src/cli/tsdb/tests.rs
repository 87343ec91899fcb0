//! Samples out into files of every format and back, and what is told of files that are none.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use super::{TsdbCommand, open, run};
use clap::Parser;
use model::{
    Labels, MetricType,
    stale::{NORMAL_NAN_BITS, STALE_NAN, is_stale_nan},
};
use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};
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
                    samples: vec![(time, model::SampleValue::Float(value))],
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
