//! One function for each way to read a body: any bytes are read or refused.

#[path = "../diff/reader.rs"]
mod reader;

use exposition::{
    Entry, Format, Parser,
    protobuf::{Family, Fault, Options, Sample, Visit, walk},
};
use model::SampleValue;
use reader::{Reader, same_from};

const FORMATS: [Format; 2] = [Format::Text, Format::OpenMetrics];

/// A body as text, in both formats; also judged as `vigie check-metrics` does.
pub(crate) fn text(data: &[u8]) {
    for format in FORMATS {
        let Ok(parser) = Parser::new(data, format) else { continue };
        for entry in parser.map_while(Result::ok) {
            if let Entry::Sample(sample) = entry {
                let _ = sample.labels();
            }
        }
    }
    exposition::check(data);
}

/// Two bodies with the byte 0xff between them, which is in no text: the second one, read by its difference to the first,
/// is what it is alone.
pub(crate) fn difference(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0xff);
    let (before, after) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    for format in FORMATS {
        let mut reader = Reader::default();
        let _ = reader.read(before, format);
        for body in [after, before] {
            same_from(&mut reader, body, format);
        }
    }
}

/// Asks for all that there is.
struct Everything(usize);

impl Visit for Everything {
    type Error = Fault;

    fn family(&mut self, _: &Family<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<(), Fault> {
        self.0 += 1;
        let _ = sample.series.labels();
        if let SampleValue::Histogram(histogram) = &sample.value {
            let told = |spans: &[model::histogram::Span]| spans.iter().map(|span| span.length as usize).sum::<usize>();
            assert_eq!(told(&histogram.positive_spans), histogram.positive_buckets.len());
            assert_eq!(told(&histogram.negative_spans), histogram.negative_buckets.len());
        }
        for exemplar in sample.exemplars {
            let _ = exemplar.read();
        }
        Ok(())
    }
}

/// A body as protobuf, with all that can be asked of histograms.
pub(crate) fn protobuf(data: &[u8]) {
    for (native, classic_always, custom_buckets) in
        [(false, false, false), (true, false, false), (true, true, false), (true, false, true)]
    {
        for (schema_max, buckets_max) in [(8, 0), (0, 4)] {
            let options = Options { native, classic_always, custom_buckets, schema_max, buckets_max };
            let mut everything = Everything(0);
            let _ = walk(data, &options, &mut everything);
        }
    }
}
