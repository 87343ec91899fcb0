//! One function for each way to read a body: any bytes are read or refused.

#[path = "../diff/messages.rs"]
mod messages;
#[path = "../diff/reader.rs"]
mod reader;

use exposition::{
    Entry, Format, Parser,
    protobuf::{Family, Fault, Options, Sample, Visit, walk},
};
use messages::Messages;
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

/// What can be asked of histograms.
const ASKED: [(bool, bool, bool); 4] =
    [(false, false, false), (true, false, false), (true, true, false), (true, false, true)];

/// A body as protobuf, with all that can be asked of histograms.
pub(crate) fn protobuf(data: &[u8]) {
    for (native, classic_always, custom_buckets) in ASKED {
        for (schema_max, buckets_max) in [(8, 0), (0, 4)] {
            let options = Options { native, classic_always, custom_buckets, schema_max, buckets_max };
            let mut everything = Everything(0);
            let _ = walk(data, &options, &mut everything);
        }
    }
}

/// Two bodies in protobuf, the length of the first one in front, in two bytes, low one first: the second one, read by its
/// difference to the first, is what it is alone.
pub(crate) fn protobuf_difference(data: &[u8]) {
    let Some((length, bodies)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(bodies.len());
    let (before, after) = bodies.split_at(length);
    for (native, classic_always, custom_buckets) in ASKED {
        let options = Options { native, classic_always, custom_buckets, ..Options::default() };
        let mut reader = Messages::default();
        for body in [before, after, before] {
            reader.same_from(body, &options);
        }
    }
}
