//! Chunks of the head: samples are appended one by one and never taken apart again before they are read.

use super::{ChunkKind, histogram, value};
use crate::bytes::{Reader, put_varint};
use model::{FloatHistogram, SampleValue};
use std::sync::Arc;
use storage::Samples;

/// A time that is as far from the one before as that one was from its own.
const TIME_REGULAR: u8 = 0;
/// The difference of differences follows as a varint.
const TIME_IRREGULAR: u8 = 1;

/// A finished chunk.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) kind: ChunkKind,
    pub(crate) count: u32,
    /// Unix milliseconds of first and last sample.
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) bytes: Box<[u8]>,
}

impl Chunk {
    pub(crate) fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        self.min_ms <= end_ms && start_ms <= self.max_ms
    }

    /// Appends the samples between two times to `into`.
    pub(crate) fn read(&self, start_ms: i64, end_ms: i64, into: &mut Samples) {
        read(self.kind, self.count, &self.bytes, start_ms, end_ms, into);
    }
}

/// A chunk that still grows.
#[derive(Debug)]
pub(crate) struct OpenChunk {
    kind: ChunkKind,
    count: u32,
    min_ms: i64,
    max_ms: i64,
    delta_ms: i64,
    value: f64,
    histogram: Option<Arc<FloatHistogram>>,
    bytes: Vec<u8>,
}

impl OpenChunk {
    pub(crate) fn new(kind: ChunkKind) -> Self {
        OpenChunk { kind, count: 0, min_ms: 0, max_ms: 0, delta_ms: 0, value: 0.0, histogram: None, bytes: Vec::new() }
    }

    pub(crate) fn kind_of(value: &SampleValue) -> ChunkKind {
        match value {
            SampleValue::Float(_) => ChunkKind::Float,
            SampleValue::Histogram(_) => ChunkKind::Histogram,
        }
    }

    pub(crate) fn kind(&self) -> ChunkKind {
        self.kind
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn min_ms(&self) -> i64 {
        self.min_ms
    }

    pub(crate) fn max_ms(&self) -> i64 {
        self.max_ms
    }

    /// Appends a sample of the chunk's kind, later than all before.
    pub(crate) fn push(&mut self, timestamp_ms: i64, sample: &SampleValue) {
        let delta_ms = timestamp_ms.wrapping_sub(self.max_ms);
        let irregular = delta_ms.wrapping_sub(self.delta_ms);
        let time = if irregular == 0 { TIME_REGULAR } else { TIME_IRREGULAR };
        // Small steps: doubling would waste half of each of a million chunks.
        if self.bytes.capacity() - self.bytes.len() < 32 {
            self.bytes.reserve_exact(64.max(self.bytes.len() / 4));
        }
        let at = self.bytes.len();
        self.bytes.push(time);
        if irregular != 0 {
            put_varint(&mut self.bytes, irregular);
        }
        match sample {
            SampleValue::Float(value) => {
                let code = value::encode(self.value, *value, 0, &mut self.bytes);
                self.bytes[at] |= code << 1;
                self.value = *value;
            }
            SampleValue::Histogram(next) => {
                let empty = FloatHistogram::default();
                histogram::encode(self.histogram.as_deref().unwrap_or(&empty), next, &mut self.bytes);
                self.histogram = Some(Arc::clone(next));
            }
        }
        if self.count == 0 {
            self.min_ms = timestamp_ms;
        }
        // The first difference is to 1970: the second must not be taken against it.
        self.delta_ms = if self.count == 0 { 0 } else { delta_ms };
        self.max_ms = timestamp_ms;
        self.count += 1;
    }

    pub(crate) fn read(&self, start_ms: i64, end_ms: i64, into: &mut Samples) {
        read(self.kind, self.count, &self.bytes, start_ms, end_ms, into);
    }

    pub(crate) fn seal(self) -> Chunk {
        let OpenChunk { kind, count, min_ms, max_ms, bytes, .. } = self;
        Chunk { kind, count, min_ms, max_ms, bytes: bytes.into_boxed_slice() }
    }
}

/// Chunks live in memory only: what does not decode would be a mistake of ours, so that reading just ends there.
fn read(kind: ChunkKind, count: u32, bytes: &[u8], start_ms: i64, end_ms: i64, into: &mut Samples) {
    let mut reader = Reader::new(bytes);
    let (mut time, mut delta, mut value) = (0_i64, 0_i64, 0.0_f64);
    let mut previous = Arc::new(FloatHistogram::default());
    for index in 0..count {
        let Some(head) = reader.u8() else { return };
        if head & 1 == TIME_IRREGULAR {
            let Some(irregular) = reader.varint() else { return };
            delta = delta.wrapping_add(irregular);
        }
        time = time.wrapping_add(delta);
        if index == 0 {
            delta = 0;
        }
        if time > end_ms {
            return;
        }
        match kind {
            ChunkKind::Float => {
                let Some(next) = value::decode(value, head >> 1, 0, &mut reader) else { return };
                value = next;
                if time >= start_ms {
                    into.push_float(time, value);
                }
            }
            ChunkKind::Histogram => {
                let Some(next) = histogram::decode(&previous, &mut reader) else { return };
                previous = Arc::new(next);
                if time >= start_ms {
                    into.push_histogram(time, Arc::clone(&previous));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{histogram::tests::any_histogram, value::tests::any_value};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn floats_survive(samples in proptest::collection::btree_map(any::<i64>(), any_value(), 1..60)) {
            let mut chunk = OpenChunk::new(ChunkKind::Float);
            for (&time, &value) in &samples {
                chunk.push(time, &SampleValue::Float(value));
            }
            let chunk = chunk.seal();
            let mut got = Samples::default();
            chunk.read(i64::MIN, i64::MAX, &mut got);
            prop_assert_eq!(&got.timestamps, &samples.keys().copied().collect::<Vec<_>>());
            prop_assert!(got.values.iter().zip(samples.values()).all(|(a, b)| a.to_bits() == b.to_bits()));
            prop_assert_eq!((chunk.min_ms, chunk.max_ms), (got.timestamps[0], *got.timestamps.last().unwrap()));
        }

        #[test]
        fn histograms_survive(samples in proptest::collection::btree_map(-99_i64..99, any_histogram(), 1..6)) {
            let mut chunk = OpenChunk::new(ChunkKind::Histogram);
            for (&time, value) in &samples {
                chunk.push(time, &SampleValue::Histogram(Arc::new(value.clone())));
            }
            let mut got = Samples::default();
            chunk.read(-99, 99, &mut got);
            prop_assert_eq!(got.len(), samples.len());
            for (index, value) in samples.values().enumerate() {
                prop_assert!(histogram::equal(got.histogram(index).unwrap(), value));
            }
        }
    }

    #[test]
    fn a_regular_gauge_takes_a_byte_a_sample() {
        let mut chunk = OpenChunk::new(ChunkKind::Float);
        for i in 0..100 {
            chunk.push(1_700_000_000_000 + i * 15_000, &SampleValue::Float((i % 7) as f64));
        }
        assert!(chunk.bytes.len() < 115, "{}", chunk.bytes.len());
    }
}
