//! What reading a sample of a protobuf body costs, with the key that tells which series it is of: `cargo bench -p exposition`.

use exposition::protobuf::{Family, Metric, MetricValue, Options, Sample, Visit, Writer, walk};
use model::MetricType;
use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

const SAMPLES: usize = 1500;
/// How long the case is repeated; the quickest pass counts.
const PATIENCE: Duration = Duration::from_millis(700);

/// Like node_exporter's: 15 series a family, two labels.
fn body() -> Vec<u8> {
    let mut writer = Writer::default();
    for sample in 0..SAMPLES {
        if sample % 15 == 0 {
            let name = format!("node_thing_{sample}_total");
            writer.family(&Family { name: &name, help: "What it counts.", unit: "", metric_type: MetricType::Counter });
        }
        let (cpu, device) = ((sample % 15).to_string(), format!("nvme0n1p{sample}"));
        let labels = [("cpu", cpu.as_str()), ("mode", "system"), ("device", device.as_str())];
        writer.metric(labels, &Metric::new(MetricValue::Float(sample as f64 * 79.19)));
    }
    writer.finish()
}

/// Compares each key with the one that stood there before.
struct Keys {
    known: Vec<Vec<u8>>,
    key: Vec<u8>,
    next: usize,
}

impl Visit for Keys {
    type Error = exposition::protobuf::Fault;

    fn family(&mut self, family: &Family<'_>) -> Result<(), Self::Error> {
        black_box(family.name);
        Ok(())
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Self::Error> {
        self.key.clear();
        sample.series.put_key(&mut self.key);
        if self.known.get(self.next) != Some(&self.key) {
            self.known.push(self.key.clone());
        }
        black_box(&sample.value);
        self.next += 1;
        Ok(())
    }
}

fn main() -> std::io::Result<()> {
    let body = body();
    let mut keys = Keys { known: Vec::new(), key: Vec::new(), next: 0 };
    let (started, mut best) = (Instant::now(), f64::INFINITY);
    while started.elapsed() < PATIENCE {
        let begun = Instant::now();
        keys.next = 0;
        assert!(walk(&body, &Options::default(), &mut keys).is_ok(), "the body is a good one");
        best = best.min(begun.elapsed().as_nanos() as f64 / SAMPLES as f64);
    }
    assert_eq!(keys.known.len(), SAMPLES);
    writeln!(std::io::stdout(), "protobuf, {} bytes a sample: {best:6.1} ns a sample", body.len() / SAMPLES)
}
