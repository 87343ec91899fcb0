//! One function for each kind of bytes that the engine reads: any input gives an answer or a fault, never a panic.
//! `fuzz/` runs them without end, the tests below with the same damage on every run.
//!
//! What stands under a checksum is given one that is right: else nothing behind it would ever be reached.

use crate::{
    RetentionRule, SyncPolicy, Tsdb, TsdbOptions,
    block::fuzz as block,
    bytes::Reader,
    checkpoint::{self, CheckpointReader, Piece},
    codec::{floats, histograms, times},
    wal::{
        record::Decoder,
        segment::{self, Next, SegmentReader},
    },
};
use model::{Exemplar, FloatHistogram, Labels, Matcher, Metadata, MetricType, SampleValue, histogram::Span};
use std::{cell::RefCell, fs, path::Path, sync::Arc, time::Duration};
use storage::{Ingest, Samples, SeriesSamples};

pub use block::{
    bundle, chunk, directory, exemplars, folder, meta, page_file, series_page, symbols, tombstones, windows,
};

/// A count that does not fit the bytes is one of the lies, a count of millions is not: it comes from a checked place.
const COUNT_MAX: usize = 1 << 16;

/// A count, then what is behind it.
fn counted(data: &[u8]) -> (usize, &[u8]) {
    match data.split_first_chunk::<2>() {
        Some((count, rest)) => (usize::from(u16::from_le_bytes(*count)).min(COUNT_MAX), rest),
        None => (0, data),
    }
}

/// A column of floats behind its length.
pub fn column_of_floats(data: &[u8]) {
    let (count, bytes) = counted(data);
    let mut values = Vec::new();
    let constant = floats::constant(bytes);
    if let Ok(used) = floats::decode(bytes, count, &mut values) {
        assert!(values.len() == count && used <= bytes.len());
        if let Some(constant) = constant {
            assert!(values.iter().all(|value| value.to_bits() == constant.to_bits()));
        }
        // What was read can be written, and is then the same.
        let (mut again, mut read) = (Vec::new(), Vec::new());
        floats::encode(&values, &mut again);
        assert_eq!(floats::decode(&again, count, &mut read), Ok(again.len()));
        assert!(read.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
    assert!(values.len() <= count);
}

/// A column of times.
pub fn column_of_times(data: &[u8]) {
    let mut values = Vec::new();
    if times::decode(data, &mut values).is_ok() {
        let (mut again, mut read) = (Vec::new(), Vec::new());
        times::encode(&values, &mut again);
        assert_eq!(times::decode(&again, &mut read), Ok(again.len()));
        assert_eq!(read, values);
    }
}

/// A column of native histograms behind its length.
pub fn column_of_histograms(data: &[u8]) {
    let (count, bytes) = counted(data);
    let mut list = Vec::new();
    if histograms::decode(bytes, count, &mut list).is_ok() {
        assert_eq!(list.len(), count);
        let (mut again, mut read) = (Vec::new(), Vec::new());
        histograms::encode(&list, &mut again);
        assert_eq!(histograms::decode(&again, count, &mut read), Ok(again.len()));
        assert!(list.iter().zip(&read).all(|(a, b)| histograms::equal(a, b)));
    }
    assert!(list.len() <= count);
}

/// Records of the log, each behind its length (two bytes, little-endian).
pub fn log_records(data: &[u8]) {
    let mut decoder = Decoder::default();
    let mut reader = Reader::new(data);
    while let Some(length) = reader.take(2) {
        let length = usize::from(u16::from_le_bytes([length[0], length[1]])).min(reader.remaining());
        let Some(payload) = reader.take(length) else { return };
        decoder.decode(payload, 0);
    }
}

/// Records of a checkpoint, each behind its length (two bytes, little-endian), and what its groups answer then.
pub fn checkpoint_records(data: &[u8]) {
    let mut file = checkpoint::MAGIC.to_vec();
    let mut reader = Reader::new(data);
    while let Some(length) = reader.take(2) {
        let length = usize::from(u16::from_le_bytes([length[0], length[1]])).min(reader.remaining());
        let Some(payload) = reader.take(length) else { return };
        segment::frame(&mut file, |out| out.extend_from_slice(payload));
    }
    with_file(&file, |path| {
        let Ok(Some(Ok(mut reader))) = CheckpointReader::open(path, Decoder::default()) else { return };
        while let Ok(Ok(piece)) = reader.next() {
            match piece {
                Piece::End { .. } => return,
                Piece::Record(_) => {}
                Piece::State { mut group, .. } => {
                    for _ in 0..2 {
                        for slot in 0..group.slots().min(9) {
                            group.read(slot, i64::MIN, i64::MAX, &mut Samples::default());
                            group.newest(slot);
                        }
                        group.drop_within(&[(100, 400)]);
                    }
                }
            }
        }
    });
}

/// A segment of the log as it lies on the disk.
pub fn segment_file(data: &[u8]) {
    with_file(data, |path| {
        let Ok(mut reader) = SegmentReader::open(path) else { return };
        let end = reader.file_bytes().unwrap_or(0);
        while let Ok(Next::Record { .. }) = reader.next(end) {}
        assert!(reader.offset() <= end);
    });
}

thread_local! {
    /// One file for all inputs of a thread.
    static SCRATCH: RefCell<Option<tempfile::NamedTempFile>> = const { RefCell::new(None) };
}

/// Runs `read` on a file with these bytes; not at all where no file can be written.
pub(crate) fn with_file(data: &[u8], read: impl FnOnce(&Path)) {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.is_none() {
            *scratch = tempfile::NamedTempFile::new().ok();
        }
        if let Some(file) = scratch
            && fs::write(file.path(), data).is_ok()
        {
            read(file.path());
        }
    });
}

fn histogram(number: usize) -> FloatHistogram {
    FloatHistogram {
        schema: 3,
        count: 10.0 + number as f64,
        sum: 1.5 * number as f64,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: vec![1.0, number as f64, 3.0],
        negative_spans: vec![Span { offset: -2, length: 1 }],
        negative_buckets: vec![0.5],
        ..FloatHistogram::default()
    }
}

/// A folder with all that a folder may have: its log, and a block of each kind.
#[allow(clippy::unwrap_used, reason = "fuzzing ends where it cannot begin")]
pub(crate) fn real_folder(dir: &Path) {
    let options = TsdbOptions {
        block_range_ms: 1000,
        retention_ms: 0,
        retention_rules: vec![RetentionRule {
            selector: "{s=\"1\"}".into(),
            matchers: vec![Matcher::equal("s", "1")],
            keep_ms: 1 << 40,
            resolution_ms: Some(200),
        }],
        sync: SyncPolicy::Interval(Duration::from_secs(3600)),
        clock: Arc::new(system::TestClock::at(1_700_000_000_000)),
        ..TsdbOptions::new(dir)
    };
    let engine = Tsdb::open(options).unwrap();
    let help = Metadata { metric_type: MetricType::Counter, help: "é".into(), unit: "s".into() };
    engine.append_metadata(&[("m".into(), help)]).unwrap();
    for time in (0..14_000).step_by(50) {
        let one = |number: usize| SeriesSamples {
            labels: Labels::from_pairs([("__name__", "m"), ("s", number.to_string().as_str())]),
            samples: vec![(
                time,
                match number {
                    5 => SampleValue::Histogram(Arc::new(histogram(time as usize / 50))),
                    4 => SampleValue::Float(model::stale::STALE_NAN),
                    3 => SampleValue::Float(f64::from_bits((time as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))),
                    2 => SampleValue::Float(0.25 * time as f64),
                    _ => SampleValue::Float((time * number as i64) as f64),
                },
            )],
            exemplars: vec![Exemplar {
                labels: Labels::from_pairs([("trace", time.to_string().as_str())]),
                value: 0.5,
                timestamp_ms: Some(time),
            }],
            start_timestamps: vec![time / 1000 * 1000],
        };
        engine.append_series(&(0..6).map(one).collect::<Vec<_>>()).unwrap();
    }
    engine.delete_series(100, 200, &[Matcher::equal("s", "0")]).unwrap();
    engine.maintain().unwrap();
    engine.delete_series(300, 400, &[Matcher::equal("s", "1")]).unwrap();
    engine.maintain().unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::segment::segment_path;
    use std::io;

    fn floats_seeds() -> Vec<Vec<u8>> {
        let columns: [&dyn Fn(i64) -> f64; 7] = [
            &|_| 42.0,
            &|at| at as f64 * 3.0,
            &|at| (at * at % 17) as f64 / 100.0,
            &|at| (0..at).map(|at| at as f64 * 0.1).sum(),
            &|at| f64::from_bits((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            &|at| if at % 9 == 4 { model::stale::STALE_NAN } else { at as f64 },
            &|at| f64::from((at as f32) * 0.37),
        ];
        let mut seeds = Vec::new();
        for length in [1_u16, 7, 300] {
            for column in columns {
                let mut seed = length.to_le_bytes().to_vec();
                floats::encode(&(0..i64::from(length)).map(column).collect::<Vec<_>>(), &mut seed);
                seeds.push(seed);
            }
        }
        seeds
    }

    #[test]
    fn columns() {
        mutation::run("tsdb_column_of_floats", &floats_seeds(), 10_000, column_of_floats);
        let mut seeds = Vec::new();
        for (length, step) in [(0_i64, 1), (1, 5), (300, 15_000), (131, -7)] {
            let mut seed = Vec::new();
            times::encode(&(0..length).map(|at| 1_700_000_000_000 + at * step + at % 3).collect::<Vec<_>>(), &mut seed);
            seeds.push(seed);
        }
        mutation::run("tsdb_column_of_times", &seeds, 8_000, column_of_times);
        let mut seeds = Vec::new();
        for length in [1_u16, 3, 40] {
            let mut seed = length.to_le_bytes().to_vec();
            histograms::encode(
                &(0..usize::from(length)).map(|at| Arc::new(histogram(at))).collect::<Vec<_>>(),
                &mut seed,
            );
            seeds.push(seed);
        }
        mutation::run("tsdb_column_of_histograms", &seeds, 8_000, column_of_histograms);
    }

    /// A checkpoint with rows in columns and with pieces.
    fn sealed() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let options = TsdbOptions { block_range_ms: 1 << 40, checkpoint_log_bytes: 1, ..TsdbOptions::new(dir.path()) };
        let engine = Tsdb::open(options).unwrap();
        for time in 0..140 {
            let one = |number: usize| SeriesSamples {
                labels: Labels::from_pairs([("__name__", "m"), ("s", number.to_string().as_str())]),
                samples: vec![match number {
                    3 => (time, SampleValue::Histogram(Arc::new(histogram(time as usize)))),
                    _ => (time, SampleValue::Float((time * number as i64) as f64 / 8.0)),
                }],
                ..SeriesSamples::default()
            };
            // The last is not in every row.
            engine.append_series(&(0..4 + usize::from(time % 3 == 0)).map(one).collect::<Vec<_>>()).unwrap();
        }
        engine.maintain().unwrap();
        let mut reader = SegmentReader::open_as(&checkpoint::path(dir.path()), checkpoint::MAGIC).unwrap();
        let (end, mut all, mut kinds) = (reader.file_bytes().unwrap(), Vec::new(), Vec::new());
        while let Next::Record { payload, .. } = reader.next(end).unwrap() {
            kinds.push(payload[0]);
            all.extend_from_slice(&(payload.len() as u16).to_le_bytes());
            all.extend_from_slice(&payload);
        }
        assert!(kinds.contains(&18) && kinds.contains(&20), "{kinds:?}");
        all
    }

    #[test]
    fn logs() {
        let dir = tempfile::tempdir().unwrap();
        let options = TsdbOptions { block_range_ms: 1 << 40, checkpoint_log_bytes: 1, ..TsdbOptions::new(dir.path()) };
        {
            let engine = Tsdb::open(options).unwrap();
            let help = Metadata { metric_type: MetricType::Gauge, help: "h".into(), unit: "s".into() };
            engine.append_metadata(&[("m".into(), help)]).unwrap();
            for time in 0..6 {
                let one = |number: usize| SeriesSamples {
                    labels: Labels::from_pairs([("__name__", "m"), ("s", number.to_string().as_str())]),
                    samples: vec![match number {
                        3 => (time, SampleValue::Histogram(Arc::new(histogram(time as usize)))),
                        _ => (time, SampleValue::Float((time * number as i64) as f64 / 8.0)),
                    }],
                    exemplars: vec![Exemplar {
                        labels: Labels::from_pairs([("t", "x")]),
                        value: 1.0,
                        timestamp_ms: Some(time),
                    }],
                    start_timestamps: vec![7],
                };
                engine.append_series(&(0..4).map(one).collect::<Vec<_>>()).unwrap();
            }
            engine.delete_series(1, 2, &[Matcher::equal("s", "0")]).unwrap();
            engine.maintain().unwrap();
        }
        let path = segment_path(&dir.path().join("wal"), 1);
        let records = |reader: io::Result<SegmentReader>| {
            let mut reader = reader.unwrap();
            let end = reader.file_bytes().unwrap();
            let (mut all, mut kinds) = (Vec::new(), std::collections::BTreeSet::new());
            while let Next::Record { payload, .. } = reader.next(end).unwrap() {
                kinds.insert(payload[0]);
                all.extend_from_slice(&(payload.len() as u16).to_le_bytes());
                all.extend_from_slice(&payload);
            }
            (all, kinds)
        };
        let (all, kinds) = records(SegmentReader::open(&path));
        assert_eq!(kinds.len(), 7, "a seed of every kind of record: {kinds:?}");
        mutation::run("tsdb_log_records", &[all], 8_000, log_records);
        let (all, kinds) = records(SegmentReader::open_as(&checkpoint::path(dir.path()), checkpoint::MAGIC));
        assert_eq!(
            kinds.into_iter().collect::<Vec<_>>(),
            [1, 5, 6, 16, 17, 19, 21],
            "seals and pieces come from others"
        );
        mutation::run("tsdb_checkpoint_records", &[all, sealed()], 4_000, checkpoint_records);
        mutation::run("tsdb_segment_file", &[fs::read(&path).unwrap()], 1_000, segment_file);
    }

    #[test]
    fn blocks() {
        let dir = tempfile::tempdir().unwrap();
        real_folder(dir.path());
        let seeds = block::seeds(dir.path());
        for (name, decode, rounds) in block::TARGETS {
            let own = &seeds[name];
            assert!(!own.is_empty(), "{name} has seeds");
            mutation::run(name, own, *rounds, decode);
        }
    }
}
