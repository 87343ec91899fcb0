//! The data that both servers get, by remote write.

use anyhow::{Context, Result};
use model::{FloatHistogram, Labels, histogram::CounterResetHint, histogram::Span};
use promqltest::parse_series;
use std::ops::Range;
use storage::Samples;

/// Time of the first samples, Unix milliseconds.
pub(super) const START_MS: i64 = 1_700_000_000_000;
pub(super) const STEP_MS: i64 = 15_000;
/// Time of the last samples.
pub(super) const END_MS: i64 = START_MS + 80 * STEP_MS;

/// Custom buckets have the same bounds everywhere: newer servers join others, which Prometheus 3.5 does not. Gauges, counters with resets, gaps and ends, numbers at the edge of what floats hold, names of any letters, series that
/// differ in their names alone, classic and native histograms of all kinds, and info metrics. One sample a step.
const SERIES: &str = r#"
gauge{job="a",instance="1"} 0+1x80
gauge{job="a",instance="2"} 100-3x40 _x5 7+0.25x34
gauge{job="b",instance="1"} 5x20 stale _x10 6x20 stale _x4 -3+0.1x23
gauge{job="b",instance="3",zone="x"} 1.5 2.5 -0.5 0 -0 3e10 1e-10 7 7 7 7 2 1 9 4 4 8 6 2 6 4 3 3 8 3x20 2.75+1.125x40
counter_total{job="a",instance="1"} 0+10x30 0+7x48
counter_total{job="a",instance="2"} 1000+0.5x10 3+2x5 1+100x20 _x8 5000+1x34
counter_total{job="b",instance="1"} 5x80
counter_total{job="b",instance="3",zone="x"} _x60 1+1x19
edge{job="a",instance="1"} 1 NaN 2 NaN NaN 3x10 NaN 4x20 Inf 5x5 -Inf 1x10 NaN 2+1x25
edge{job="a",instance="2"} 1e308x3 1.7e308x4 -1.7e308x3 1e-300x4 -0x4 0x5 -0 1 1e16 1 -1e16 1e16x9 1 3x30
edge{job="b",instance="1"} Infx40 -Infx20 NaNx19
edge{job="b",instance="3"} 0x80
dup_one{job="a",instance="1"} 1+1x80
dup_two{job="a",instance="1"} 2+2x80
dup_two{job="b",instance="1"} 3+2x80
{"dotted.name",job="a","label.ü"="é"} 1+2x80
{"dotted.name",job="b","label.ü"="\"q\""} 9-2x80
latency_bucket{job="a",le="0.1"} 0+1x80
latency_bucket{job="a",le="0.5"} 0+3x80
latency_bucket{job="a",le="1"} 0+4x80
latency_bucket{job="a",le="+Inf"} 0+5x80
latency_bucket{job="b",le="0.1"} 0+2x40 0+1x39
latency_bucket{job="b",le="0.5"} 0+2x40 0+2x39
latency_bucket{job="b",le="1"} 0+1x40 0+2x39
latency_bucket{job="b",le="+Inf"} 0+6x40 0+3x39
latency_bucket{job="c",le="1"} 0+1x80
latency_bucket{job="c",le="x"} 0+1x80
native{job="a",instance="1"} {{schema:0 sum:5 count:6 z_bucket:1 z_bucket_w:0.001 buckets:[1 2 1] offset:-1 n_buckets:[1]}}+{{schema:0 sum:3 count:7 z_bucket:1 z_bucket_w:0.001 buckets:[1 2 1 1] offset:-1 n_buckets:[1]}}x40 {{schema:0 sum:1 count:2 z_bucket:1 z_bucket_w:0.001 buckets:[1]}}+{{schema:0 sum:1 count:2 z_bucket:1 z_bucket_w:0.001 buckets:[1]}}x38
native{job="a",instance="2"} {{schema:2 sum:5 count:4 z_bucket:0 z_bucket_w:0.01 buckets:[1 2 1] offset:3}}+{{schema:2 sum:4 count:4 z_bucket_w:0.01 buckets:[1 1 2] offset:3}}x20 _x6 {{schema:1 sum:9 count:12 z_bucket:2 z_bucket_w:0.01 buckets:[2 4 4] offset:-2}}+{{schema:1 sum:2 count:3 z_bucket_w:0.01 buckets:[1 1 1] offset:-2}}x53
native{job="b",instance="1"} {{schema:0 sum:-4 count:5 n_buckets:[1 2 2] n_offset:1}}x10 {{schema:0 sum:-4 count:5 n_buckets:[1 2 2] n_offset:1}}+{{schema:0 sum:-4 count:5 n_buckets:[1 2 2] n_offset:1}}x20 stale _x9 {{schema:0 sum:NaN count:4 buckets:[1 2 1]}}x38
native{job="b",instance="3"} {{}}x10 {{schema:-2 sum:1e6 count:7 buckets:[4 3] offset:2}}+{{schema:-2 sum:1e5 count:1 buckets:[0 1] offset:2}}x69
custom{job="a",instance="1"} {{schema:-53 sum:12 count:10 custom_values:[1 2 5] buckets:[3 4 2 1]}}+{{schema:-53 sum:6 count:5 custom_values:[1 2 5] buckets:[1 2 1 1]}}x80
custom{job="a",instance="2"} {{schema:-53 sum:2 count:3 custom_values:[1 2 5] buckets:[1 1 0 1]}}+{{schema:-53 sum:6 count:3 custom_values:[1 2 5] buckets:[1 0 1 1]}}x30 {{schema:-53 sum:2 count:3 custom_values:[1 2 5] buckets:[1 1 1]}}+{{schema:-53 sum:6 count:3 custom_values:[1 2 5] buckets:[1 1 1]}}x49
custom{job="b",instance="1"} {{schema:-53 sum:1 count:3 custom_values:[1 2 5] buckets:[1 1 1]}}x80
gauge_histogram{job="a",instance="1"} {{schema:0 sum:5 count:4 buckets:[1 2 1] counter_reset_hint:gauge}}x20 {{schema:0 sum:3 count:2 buckets:[1 0 1] counter_reset_hint:gauge}}x20 {{schema:0 sum:9 count:9 buckets:[3 3 3] counter_reset_hint:gauge}}x38
mixed{job="a",instance="1"} 1+1x20 {{schema:0 sum:5 count:4 buckets:[1 2 1]}}+{{schema:0 sum:5 count:4 buckets:[1 2 1]}}x20 7x20 {{schema:-53 sum:6 count:5 custom_values:[1 2 5] buckets:[1 2 1 1]}}x17
mixed{job="a",instance="2"} {{schema:0 sum:5 count:4 buckets:[1 2 1]}}x30 {{schema:-53 sum:6 count:5 custom_values:[1 2 5] buckets:[1 2 1 1]}}x30 3x19
mixed{job="b",instance="1"} 4x80
target_info{job="a",instance="1",version="1.0",env="prod"} 1x80
target_info{job="a",instance="2",version="1.1",env="dev"} 1x40 stale
target_info{job="a",instance="2",version="1.2",env="dev"} _x40 1x40
build_info{job="b",instance="1",version="2.0",branch="main"} 1x80
"#;

/// Bodies of remote-write requests, version 1, that hold everything.
///
/// Prometheus takes the floats of a request before its histograms, whatever their times are, so that a series that changes
/// from one to the other does so between requests. Series come in order of their labels: Prometheus gives them in the order
/// of their creation, and its errors name what comes first.
pub(super) fn requests() -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for line in SERIES.lines().filter(|line| !line.is_empty()) {
        let series = parse_series(line).with_context(|| line.to_owned())?;
        let samples = series.samples(START_MS, STEP_MS).with_context(|| line.to_owned())?;
        all.push((series.labels, samples));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for (labels, samples) in &all {
        let kind = |index: usize| samples.histogram(index).is_some();
        let (mut from, mut round) = (0, 0);
        for to in 1..=samples.len() {
            if to == samples.len() || kind(to) != kind(from) {
                bodies.resize(bodies.len().max(round + 1), Vec::new());
                message(&mut bodies[round], 1, &time_series(labels, samples, from..to));
                (from, round) = (to, round + 1);
            }
        }
    }
    Ok(bodies.iter().map(|body| snappy(body)).collect())
}

fn time_series(labels: &Labels, samples: &Samples, part: Range<usize>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in labels {
        let mut pair = Vec::new();
        message(&mut pair, 1, name.as_bytes());
        message(&mut pair, 2, value.as_bytes());
        message(&mut out, 1, &pair);
    }
    for index in part {
        let time = samples.timestamps[index];
        match samples.histogram(index) {
            Some(own) => message(&mut out, 4, &histogram(own, time)),
            None => {
                let mut sample = Vec::new();
                double(&mut sample, 1, samples.values[index]);
                integer(&mut sample, 2, time as u64);
                message(&mut out, 2, &sample);
            }
        }
    }
    out
}

fn histogram(own: &FloatHistogram, time: i64) -> Vec<u8> {
    let mut out = Vec::new();
    double(&mut out, 2, own.count);
    double(&mut out, 3, own.sum);
    integer(&mut out, 4, zigzag(own.schema));
    double(&mut out, 5, own.zero_threshold);
    double(&mut out, 7, own.zero_count);
    for (field, spans) in [(8, &own.negative_spans), (11, &own.positive_spans)] {
        for Span { offset, length } in spans {
            let mut span = Vec::new();
            integer(&mut span, 1, zigzag(*offset));
            integer(&mut span, 2, u64::from(*length));
            message(&mut out, field, &span);
        }
    }
    for (field, values) in [(10, &own.negative_buckets), (13, &own.positive_buckets), (16, &own.custom_values)] {
        let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        message(&mut out, field, &packed);
    }
    integer(&mut out, 14, if own.counter_reset_hint == CounterResetHint::Gauge { 3 } else { 0 });
    integer(&mut out, 15, time as u64);
    out
}

fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn integer(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    varint(out, field << 3 | 1);
    out.extend(value.to_le_bytes());
}

fn message(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// Snappy's block format without any compression: length, then literals of up to 64 kB.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, bytes.len() as u64);
    for chunk in bytes.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend(((chunk.len() - 1) as u16).to_le_bytes());
        out.extend(chunk);
    }
    out
}
