//! What reading a sample of a protobuf body costs: in full, and by the difference to the body before:
//! `cargo bench -p exposition`.

use exposition::protobuf::{
    Family, Fault, Metric, MetricValue, Options, Sample, Visit, Writer,
    diff::{self, Base, Places},
    walk,
};
use model::MetricType;
use std::hint::black_box;
use std::io::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

const SAMPLES: usize = 1500;
/// Bodies in turn; each is compared with the one before it.
const ROUNDS: usize = 64;
/// How long each case is repeated; the quickest pass counts.
const PATIENCE: Duration = Duration::from_millis(700);
/// Series of a family.
const FAMILY: usize = 15;
/// Samples of a histogram: its buckets, that without a bound, sum and count.
const HISTOGRAM: usize = 15;

/// Like node_exporter's: 15 series a family, three labels; `changed` of a hundred values differ from those of the round
/// before.
fn counters(round: usize, changed: usize) -> Vec<u8> {
    let mut writer = Writer::default();
    for sample in 0..SAMPLES {
        if sample % FAMILY == 0 {
            let name = format!("node_thing_{sample}_total");
            writer.family(&Family { name: &name, help: "What it counts.", unit: "", metric_type: MetricType::Counter });
        }
        let (cpu, device) = ((sample % FAMILY).to_string(), format!("nvme0n1p{sample}"));
        let labels = [("cpu", cpu.as_str()), ("mode", "system"), ("device", device.as_str())];
        let step = if sample * 37 % 100 < changed { round } else { 0 };
        writer.metric(labels, &Metric::new(MetricValue::Float((sample + step) as f64 * 79.19)));
    }
    writer.finish()
}

/// Classic histograms of 12 buckets; `changed` of a hundred count on in each round.
fn histograms(round: usize, changed: usize) -> Vec<u8> {
    let mut writer = Writer::default();
    for sample in (0..SAMPLES).step_by(HISTOGRAM) {
        if sample % (FAMILY * HISTOGRAM) == 0 {
            let name = format!("http_duration_{sample}_seconds");
            writer.family(&Family { name: &name, help: "How long.", unit: "", metric_type: MetricType::Histogram });
        }
        let route = format!("/route/{sample}");
        let step = if sample * 37 % 100 < changed { round } else { 0 };
        let buckets: Vec<(f64, f64)> =
            (0..HISTOGRAM - 3).map(|i| (0.005 * f64::from(1 << i as u32), (sample + step + 60 * i) as f64)).collect();
        let count = (sample + step + 60 * HISTOGRAM) as f64;
        let value = MetricValue::Classic { count, sum: count * 0.37, buckets: &buckets };
        writer.metric([("method", "GET"), ("route", route.as_str())], &Metric::new(value));
    }
    writer.finish()
}

/// Looks at every value that is told.
#[derive(Default)]
struct Values(usize);

impl Visit for Values {
    type Error = Fault;

    fn family(&mut self, family: &Family<'_>) -> Result<(), Fault> {
        black_box(family.name);
        Ok(())
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Fault> {
        black_box((&sample.value, sample.known));
        self.0 += 1;
        Ok(())
    }

    fn kept(&mut self, samples: Range<usize>) -> Result<(), Fault> {
        self.0 += samples.len();
        Ok(())
    }
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let cases: [(&str, Bodies); 2] = [("counters", counters), ("histograms", histograms)];
    for (what, body) in cases {
        for changed in [0, 14, 71] {
            let bodies: Vec<Vec<u8>> = (0..ROUNDS).map(|round| body(round, changed)).collect();
            let bytes: usize = bodies.iter().map(Vec::len).sum();
            let bytes = bytes / (ROUNDS * SAMPLES);
            writeln!(out, "{what}, {changed} % of the values change, {bytes} bytes a sample")?;
            writeln!(out, "  in full           {:6.1} ns a sample", measure(|| in_full(&bodies)))?;
            writeln!(out, "  all values        {:6.1} ns a sample", measure(|| walked(&bodies, diff::walk)))?;
            writeln!(out, "  by the difference {:6.1} ns a sample", measure(|| walked(&bodies, diff::walk_quick)))?;
        }
    }
    Ok(())
}

fn in_full(bodies: &[Vec<u8>]) -> usize {
    let mut values = Values::default();
    for body in bodies {
        if walk(body, &Options::default(), &mut values).is_err() {
            return 0;
        }
    }
    values.0
}

/// The body of a round, of which so many of a hundred values change.
type Bodies = fn(usize, usize) -> Vec<u8>;

type Walk = fn(&Base, &[u8], &Options, &mut Places, &mut Values) -> Result<(), Fault>;

fn walked(bodies: &[Vec<u8>], walk: Walk) -> usize {
    let (mut base, mut places, mut buffer) = (Base::default(), Places::default(), Vec::new());
    let mut values = Values::default();
    for body in bodies {
        buffer.clear();
        buffer.extend_from_slice(body);
        if walk(&base, &buffer, &Options::default(), &mut places, &mut values).is_err() {
            return 0;
        }
        base.replace(&mut buffer, &places, &Options::default());
    }
    values.0
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
