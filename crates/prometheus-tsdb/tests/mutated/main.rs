//! What is read of Prometheus' files survives any damage: the same on every run, and without end in `fuzz/`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod targets;

use model::{FloatHistogram, Labels, histogram::Span, stale::STALE_NAN};
use prometheus_tsdb::{
    block::BlockWriter,
    chunk,
    export::{create_data_folder, new_ulid},
    wal::Record,
};
use std::{convert::Infallible, fs, sync::Arc};
use storage::Samples;

fn floats(count: i64) -> Samples {
    let mut samples = Samples::default();
    for at in 0..count {
        let value = if at % 17 == 3 { STALE_NAN } else { (at * at % 31) as f64 / 4.0 };
        samples.push_float(at * 15_000 + at % 3, value);
    }
    samples
}

fn histograms(count: u32, scale: f64) -> Samples {
    let mut samples = Samples::default();
    for at in 0..count {
        let own = f64::from(at) * scale;
        let histogram = FloatHistogram {
            schema: 3,
            count: 3.0 * own,
            sum: own / 3.0,
            positive_spans: vec![Span { offset: -4, length: 2 }, Span { offset: 3, length: 1 + at / 20 }],
            positive_buckets: vec![own; 3 + at as usize / 20],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            negative_buckets: vec![own],
            ..FloatHistogram::default()
        };
        samples.push_histogram(i64::from(at) * 15_000, Arc::new(histogram));
    }
    samples
}

fn chunks() -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    for samples in [floats(1), floats(120), histograms(1, 1.0), histograms(60, 1.0), histograms(60, 0.5)] {
        chunk::encode(&samples, |chunk| {
            all.push((chunk.encoding.byte(), chunk.data));
            Ok::<(), Infallible>(())
        })
        .unwrap();
    }
    all
}

#[test]
fn chunks_are_read_or_refused() {
    // Each kind of data also under the other encodings, of which we write none.
    let seeds: Vec<Vec<u8>> =
        chunks().iter().flat_map(|(_, data)| (1..=6).map(|byte| [&[byte], data.as_slice()].concat())).collect();
    mutation::run("prometheus_tsdb_chunk", &seeds, 20_000, targets::chunk);
}

/// Numbers of all kinds as the format writes them, big-endian.
fn records() -> Vec<Vec<u8>> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let labels = [vec![1], text("__name__"), text("m")].concat();
    let start = [&7_u64.to_be_bytes()[..], &1_700_000_000_000_i64.to_be_bytes()].concat();
    let value = 1.5_f64.to_bits().to_be_bytes();
    // Schema 1, or custom buckets (-53, zigzag) with one bound; two spans, one bucket each.
    let body = |schema: u8, floats: bool| {
        let counts = if floats { [value, value].concat() } else { vec![3, 9] };
        let bucket = if floats { value.to_vec() } else { vec![6] };
        let bound = if schema == 105 { [&[1], value.as_slice()].concat() } else { Vec::new() };
        let spans = vec![1, 2, 1, 1, 0, 1, 1];
        [vec![2, schema], value.to_vec(), counts, value.to_vec(), spans, bucket.clone(), vec![1], bucket, bound]
            .concat()
    };
    // Version 2 has the first place in short numbers, with its start.
    let (first, next_1, next_2) = ([14, 40, 2], [2, 4], [2, 4, 1]);
    let mut all = vec![
        [vec![1], 7_u64.to_be_bytes().to_vec(), labels.clone()].concat(),
        [&[3], &7_u64.to_be_bytes()[..], &[10, 20]].concat(),
        [vec![4], start.clone(), vec![0, 0], value.to_vec(), labels].concat(),
        [&[5], &7_u64.to_be_bytes()[..], &9_u64.to_be_bytes()].concat(),
        [vec![6], vec![7, 1, 1], text("HELP"), text("a gauge")].concat(),
        [&[2], start.as_slice(), &[0, 0], &value, &next_1, &value].concat(),
        [&[11], first.as_slice(), &value, &next_2, &value].concat(),
    ];
    for (kind, schema, floats) in [(7_u8, 2, false), (8, 2, true), (9, 105, false), (10, 105, true)] {
        let body = body(schema, floats);
        all.push([&[kind], start.as_slice(), &[0, 0], &body, &next_1, &body].concat());
        let kind = if kind == 7 { 12 } else { kind + 5 };
        all.push([&[kind], first.as_slice(), &body, &next_2, &body].concat());
    }
    all
}

#[test]
fn records_are_read_or_refused() {
    for record in records() {
        assert!(!matches!(Record::decode(&record), Ok(Record::Unknown(_)) | Err(_)), "{record:?}");
    }
    mutation::run("prometheus_tsdb_record", &records(), 40_000, targets::record);
}

fn fragment(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u16).to_be_bytes();
    [&[kind], &length[..], &targets::crc32c(bytes).to_be_bytes(), bytes].concat()
}

#[test]
fn segments_are_read_or_refused() {
    let plain: Vec<u8> = records().iter().flat_map(|record| fragment(1, record)).collect();
    let split: Vec<u8> = records()
        .iter()
        .flat_map(|record| {
            let (front, back) = record.split_at(record.len() / 2);
            [fragment(2, front), fragment(4, back)].concat()
        })
        .collect();
    let packed: Vec<u8> = records()
        .iter()
        .flat_map(|record| {
            // Both compressions as Prometheus writes them.
            let snappy = snap::raw::Encoder::new().compress_vec(record).unwrap();
            [fragment(1 | 8, &snappy), fragment(1 | 16, &zstd::bulk::compress(record, 1).unwrap())].concat()
        })
        .collect();
    // One that claims a gigabyte: snappy tells the length first.
    let claim = fragment(1 | 8, &[0x80, 0x80, 0x80, 0x80, 4, 0, b'x']);
    let seeds = [plain, split, packed, claim];
    mutation::run("prometheus_tsdb_segment", &seeds, 300, targets::segment);
    mutation::run("prometheus_tsdb_segment_with_checksums", &seeds, 700, targets::segment_with_checksums);
}

#[test]
fn chunks_of_the_head_are_read_or_refused() {
    let mut file = [&0x0130_bc91_u32.to_be_bytes()[..], &[1, 0, 0, 0]].concat();
    for (encoding, data) in chunks() {
        let mut one = [&7_u64.to_be_bytes()[..], &[0; 16], &[encoding]].concat();
        let mut length = data.len();
        while length >= 0x80 {
            one.push(length as u8 | 0x80);
            length >>= 7;
        }
        one.push(length as u8);
        one.extend(data);
        let checksum = targets::crc32c(&one).to_be_bytes();
        file.extend(one);
        file.extend(checksum);
    }
    file.extend([0; 40]);
    mutation::run("prometheus_tsdb_head_chunks", &[file], 700, targets::head_chunks);
}

#[test]
fn blocks_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    create_data_folder(dir.path()).unwrap();
    let mut writer = BlockWriter::create(dir.path(), new_ulid(1_700_000_000_000), None).unwrap();
    for (name, samples) in [("a", floats(250)), ("b", histograms(30, 1.0)), ("größe", floats(3))] {
        writer.add_series(&Labels::from_pairs([("__name__", name), ("i", "1")]), &samples).unwrap();
    }
    let (block, _) = writer.finish().unwrap().unwrap();
    let mut seed = Vec::new();
    for name in ["index", "chunks/000001", "tombstones", "meta.json"] {
        let file = fs::read(block.join(name)).unwrap();
        seed.extend((file.len() as u32).to_le_bytes());
        seed.extend(file);
    }
    // A seed is read to its end, sealed or not.
    mutation::run("prometheus_tsdb_block", std::slice::from_ref(&seed), 150, targets::block);
    mutation::run("prometheus_tsdb_block_with_checksums", &[seed], 500, targets::block_with_checksums);
}
