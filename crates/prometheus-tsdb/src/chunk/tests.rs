use super::*;
use model::{
    histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span},
    stale::STALE_NAN,
};
use proptest::prelude::*;

fn chunks(samples: &Samples) -> Vec<Chunk> {
    let mut list = Vec::new();
    let done: Result<(), ()> = encode(samples, |chunk| {
        list.push(chunk);
        Ok(())
    });
    done.unwrap();
    list
}

/// Encodes and decodes; checks what stands beside the chunks.
fn round(samples: &Samples) -> Samples {
    let mut back = Samples::default();
    for chunk in chunks(samples) {
        let before = back.len();
        decode(chunk.encoding, &chunk.data, &mut back).unwrap();
        assert!(chunk.samples <= SAMPLES_MAX);
        assert_eq!(back.len() - before, chunk.samples);
        assert_eq!((back.timestamps[before], back.timestamps[back.len() - 1]), (chunk.min_ms, chunk.max_ms));
    }
    back
}

/// What PromQL can see of a histogram: counts by bucket, without empty ones, and every bit of the rest.
fn seen(histogram: &FloatHistogram) -> String {
    let buckets = |spans: &[Span], counts: &[f64]| {
        let (mut next, mut at, mut text) = (0_i64, 0, String::new());
        for span in spans {
            next += i64::from(span.offset);
            for _ in 0..span.length {
                if counts[at] != 0.0 {
                    text += &format!(" {next}={:x}", counts[at].to_bits());
                }
                (next, at) = (next + 1, at + 1);
            }
        }
        text
    };
    if histogram.is_stale() {
        return "stale".to_owned();
    }
    format!(
        "{} {:x} {:x} {:x} {:x} +{} -{} {:?} gauge {}",
        histogram.schema,
        histogram.zero_threshold.to_bits(),
        histogram.zero_count.to_bits(),
        histogram.count.to_bits(),
        histogram.sum.to_bits(),
        buckets(&histogram.positive_spans, &histogram.positive_buckets),
        buckets(&histogram.negative_spans, &histogram.negative_buckets),
        histogram.custom_values,
        histogram.counter_reset_hint == CounterResetHint::Gauge,
    )
}

fn text(samples: &Samples) -> Vec<String> {
    (0..samples.len())
        .map(|at| match samples.histogram(at) {
            Some(histogram) => format!("{} {}", samples.timestamps[at], seen(histogram)),
            None => format!("{} {:x}", samples.timestamps[at], samples.values[at].to_bits()),
        })
        .collect()
}

fn times(count: usize) -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![Just(15_000_i64), 14_990_i64..15_010, 1_i64..100_000_000_000];
    (-1_000_000_000_000_i64..2_000_000_000_000, proptest::collection::vec(step, count)).prop_map(|(start, steps)| {
        let mut time = start;
        let advance = |step| {
            time += step;
            time
        };
        steps.into_iter().map(advance).collect()
    })
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![any::<u64>().prop_map(f64::from_bits), (0_i32..1000).prop_map(f64::from), Just(STALE_NAN), Just(0.0)]
}

fn spans() -> impl Strategy<Value = Vec<Span>> {
    (-50_i32..50, proptest::collection::vec((1_i32..6, 0_u32..5), 0..4)).prop_map(|(first, rest)| {
        let span =
            |(at, (gap, length)): (usize, (i32, u32))| Span { offset: if at == 0 { first } else { gap }, length };
        rest.into_iter().enumerate().map(span).collect()
    })
}

fn histogram(whole: bool) -> impl Strategy<Value = FloatHistogram> {
    let parts = (spans(), spans(), 0..4_u8, -4_i32..=8, proptest::collection::vec(0_u32..1000, 60), any::<i32>());
    parts.prop_map(move |(positive, negative, kind, schema, counts, sum)| {
        let fill = |spans: &[Span], skip: usize| -> Vec<f64> {
            let count: u32 = spans.iter().map(|span| span.length).sum();
            let scale = if whole { 1.0 } else { 0.7 };
            counts.iter().cycle().skip(skip).take(count as usize).map(|count| f64::from(*count) * scale).collect()
        };
        let mut histogram = FloatHistogram {
            counter_reset_hint: if kind == 1 { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
            schema,
            zero_threshold: [0.0, 2_f64.powi(-128), 0.001, 2_f64.powi(10)][usize::from(kind)],
            zero_count: f64::from(counts[59]),
            count: counts.iter().map(|count| f64::from(*count)).sum(),
            sum: f64::from(sum) / 7.0,
            positive_buckets: fill(&positive, 0),
            positive_spans: positive,
            negative_buckets: fill(&negative, 20),
            negative_spans: negative,
            custom_values: Vec::new(),
        };
        if kind == 2 {
            histogram.schema = CUSTOM_BUCKETS_SCHEMA;
            histogram.zero_threshold = 0.0;
            histogram.zero_count = 0.0;
            histogram.negative_spans.clear();
            histogram.negative_buckets.clear();
            histogram.custom_values = vec![-1.5, 0.005, 0.1, 2.5, 40_000.0, 1.0 / 3.0];
        }
        if kind == 3 && schema == 0 {
            histogram = FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() };
        }
        histogram
    })
}

proptest! {
    #[test]
    fn floats_survive(times in times(300), values in proptest::collection::vec(float(), 300)) {
        let mut samples = Samples::default();
        times.into_iter().zip(values).for_each(|(time, value)| samples.push_float(time, value));
        prop_assert_eq!(text(&round(&samples)), text(&samples));
    }

    #[test]
    fn histograms_survive(
        whole: bool,
        times in times(60),
        list in proptest::collection::vec((histogram(true), 1_usize..30), 1..6),
        fractions in proptest::collection::vec((histogram(false), 1_usize..30), 1..6),
    ) {
        let mut samples = Samples::default();
        let list = if whole { list } else { fractions };
        let mut grown = list.iter().flat_map(|(histogram, times)| {
            // The same counter a few scrapes long.
            (0..*times).map(|by| {
                let mut grown = histogram.clone();
                grown.positive_buckets.iter_mut().for_each(|count| *count += by as f64);
                grown.count += by as f64;
                grown
            })
        });
        for time in times {
            match grown.next() {
                Some(histogram) => samples.push_histogram(time, Arc::new(histogram)),
                None => samples.push_float(time, 1.0),
            }
        }
        prop_assert_eq!(text(&round(&samples)), text(&samples));
    }

    #[test]
    fn any_bytes_decode_or_not(byte in 1_u8..7, mut data in proptest::collection::vec(any::<u8>(), 0..300), small: bool) {
        if small && data.len() > 2 {
            (data[0], data[1]) = (0, data[1] & 0x1f);
        }
        let mut samples = Samples::default();
        samples.push_float(1, 1.0);
        let _ = decode(Encoding::from_byte(byte).unwrap(), &data, &mut samples);
        prop_assert!(samples.timestamps[0] == 1);
    }
}

#[test]
fn steady_histograms_share_a_chunk_and_a_reset_begins_another() {
    let histogram = |count: f64| {
        Arc::new(FloatHistogram {
            count,
            sum: count,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![count],
            ..FloatHistogram::default()
        })
    };
    let mut samples = Samples::default();
    for (time, count) in [1.0, 2.0, 5.0, 3.0, 4.0].into_iter().enumerate() {
        samples.push_histogram(time as i64, histogram(count));
    }
    let list = chunks(&samples);
    assert_eq!(list.iter().map(|chunk| chunk.samples).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(list.iter().map(|chunk| chunk.data[2]).collect::<Vec<_>>(), [0, 0b1000_0000], "hints");
    assert!(list.iter().all(|chunk| chunk.encoding == Encoding::Histogram));
}

/// XOR2 chunks, in hexadecimal, and what is in them. Put together by hand after the format's description.
const XOR2: &str = "
0000 00 => nothing
0001 00 02 3ff0000000000000 => 1=1
0003 00 02 3ff0000000000000 05 00 => 1=1 6=1 11=1
0003 00 02 3ff0000000000000 05 7c => 1=1 6=1 11=stale
0002 00 02 3ff0000000000000 05 e0 => 1=1 6=stale
0003 80 14 3ff0000000000000 06 05 00 => 10=1@7 15=1@7 20=1@7
0003 01 14 3ff0000000000000 05 49 20 => 10=1 15=1@8 20=1@11
";

#[test]
fn xor2_is_read() {
    for case in XOR2.trim().lines() {
        let (hex, expected) = case.split_once(" => ").unwrap();
        let digits: String = hex.split_whitespace().collect();
        let data: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
        let mut samples = Samples::default();
        decode(Encoding::Xor2, &data, &mut samples).unwrap_or_else(|error| panic!("in case `{case}`: {error}"));
        let words: Vec<String> = (0..samples.len())
            .map(|at| {
                let value = samples.values[at];
                let value = if model::stale::is_stale_nan(value) { "stale".to_owned() } else { value.to_string() };
                let start = samples.start_timestamp(at);
                format!(
                    "{}={value}{}",
                    samples.timestamps[at],
                    if start == 0 { String::new() } else { format!("@{start}") }
                )
            })
            .collect();
        let said = if words.is_empty() { "nothing".to_owned() } else { words.join(" ") };
        assert_eq!(said, expected, "in case `{case}`");
    }
}
