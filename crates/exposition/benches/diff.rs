//! What reading a sample costs: by the parser, with and without its guess of the next key, and by the difference to the
//! body before: `cargo bench -p exposition`. The body is like node_exporter's: 1500 lines of 80 bytes.

use exposition::diff::{Base, Step, Walk};
use exposition::{Entry, Format, Parser};
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

const SAMPLES: usize = 1500;
/// Bodies in turn; each is compared with the one before it.
const ROUNDS: usize = 64;
/// How long each case is repeated; the quickest pass counts.
const PATIENCE: Duration = Duration::from_millis(700);

/// A body in which `changed` of a hundred values differ from those of the round before, and with `churn` some lines.
fn body(round: usize, changed: usize, churn: bool) -> Vec<u8> {
    let mut text = String::new();
    for sample in 0..SAMPLES {
        if sample % 15 == 0 {
            let _ = writeln!(
                text,
                "# HELP node_thing_{sample}_total What it counts.\n# TYPE node_thing_{sample}_total counter"
            );
        }
        if churn && (sample + round).is_multiple_of(75) {
            let _ = writeln!(text, "node_processes_state{{state=\"{round}\",pid=\"{sample}\"}} 1");
        }
        let step = if sample * 37 % 100 < changed { round } else { 0 };
        let value = (sample * 7919 + step * 13) as f64 / if sample % 3 == 0 { 100.0 } else { 1.0 };
        let family = sample / 15 * 15;
        let _ = writeln!(
            text,
            "node_thing_{family}_total{{cpu=\"{}\",mode=\"system\",device=\"nvme0n1p{sample}\"}} {value}",
            sample % 15
        );
    }
    text.into_bytes()
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (changed, churn) in [(0, false), (14, false), (14, true), (71, false)] {
        let bodies: Vec<Vec<u8>> = (0..ROUNDS).map(|round| body(round, changed, churn)).collect();
        let bytes: usize = bodies.iter().map(Vec::len).sum();
        writeln!(
            out,
            "{changed} % of the values change{}, {} bytes a sample",
            if churn { ", and some lines" } else { "" },
            bytes / (ROUNDS * SAMPLES)
        )?;
        writeln!(
            out,
            "  parser            {:6.1} ns a sample",
            measure(|| bodies.iter().map(|body| parsed(body, &[])).sum())
        )?;
        let keys = keys(bodies.first().map_or(&[], Vec::as_slice));
        writeln!(
            out,
            "  parser, guessing  {:6.1} ns a sample",
            measure(|| bodies.iter().map(|body| parsed(body, &keys)).sum())
        )?;
        writeln!(out, "  by the difference {:6.1} ns a sample", measure(|| walked(&bodies)))?;
    }
    Ok(())
}

fn keys(body: &[u8]) -> Vec<String> {
    let samples = Parser::new(body, Format::Text).into_iter().flatten().filter_map(|entry| match entry {
        Ok(Entry::Sample(sample)) => Some(sample.key.to_owned()),
        _ => None,
    });
    samples.collect()
}

fn parsed(body: &[u8], keys: &[String]) -> usize {
    let Ok(mut parser) = Parser::new(body, Format::Text) else { return 0 };
    let mut samples = 0;
    while let Some(entry) = parser.next_expecting(keys.get(samples).map_or("", String::as_str)) {
        if let Ok(Entry::Sample(sample)) = entry {
            black_box(sample.value);
            samples += 1;
        }
    }
    samples
}

fn walked(bodies: &[Vec<u8>]) -> usize {
    let mut base = Base::default();
    let mut lines = Vec::new();
    let mut buffer = Vec::new();
    let mut samples = 0;
    for body in bodies {
        buffer.clear();
        buffer.extend_from_slice(body);
        let walk = if Walk::comparable(&base, &buffer, Format::Text) {
            Ok(Walk::quick(&base, &buffer, Format::Text, &mut lines))
        } else {
            Walk::careful(&base, &buffer, Format::Text, &mut lines)
        };
        let Ok(mut walk) = walk else { return 0 };
        while let Some(step) = walk.next() {
            match step {
                Step::Kept { first, end } => samples += end - first,
                Step::Known { reading, .. } => {
                    black_box(reading.value);
                    samples += 1;
                }
                Step::New(sample) => {
                    black_box(sample.value);
                    samples += 1;
                }
                _ => {}
            }
        }
        base.replace(&mut buffer, &lines, Format::Text);
    }
    samples
}

/// Nanoseconds a sample of the quickest pass.
fn measure(pass: impl Fn() -> usize) -> f64 {
    let (started, mut best) = (Instant::now(), f64::INFINITY);
    while started.elapsed() < PATIENCE {
        let begun = Instant::now();
        let samples = black_box(pass());
        best = best.min(begun.elapsed().as_nanos() as f64 / samples as f64);
    }
    best
}
