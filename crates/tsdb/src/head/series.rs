//! One series of the head.

use crate::chunk::{
    ChunkKind, histogram,
    stream::{Chunk, OpenChunk},
};
use model::{Labels, SampleValue};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use storage::{Samples, fanout::merge_samples};

/// A chunk is closed at so many samples: an hour of 15 s.
const CHUNK_SAMPLES_MAX: u32 = 240;
/// So many late samples wait uncompressed.
const LATE_SAMPLES_MAX: usize = 128;

/// What is taken at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Samples below are too old.
    pub(crate) min_valid_ms: i64,
    /// With an out-of-order window: samples from here on are taken in any order.
    pub(crate) late_from_ms: Option<i64>,
    /// Chunks end where blocks end.
    pub(crate) block_range_ms: i64,
}

impl Bounds {
    /// Takes everything: for what the log says was taken.
    pub(crate) fn replay(block_range_ms: i64) -> Self {
        Bounds { min_valid_ms: i64::MIN, late_from_ms: Some(i64::MIN), block_range_ms }
    }
}

/// What becomes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    InOrder,
    /// Taken thanks to the out-of-order window.
    Late,
    /// It is there already.
    Same,
    Duplicate,
    OutOfOrder,
    /// Behind the out-of-order window.
    TooOld,
    /// Older than what the head takes, without a window.
    OutOfBounds,
}

#[derive(Debug)]
pub(crate) struct MemSeries {
    pub(crate) id: u32,
    pub(crate) labels: Labels,
    /// The log segment that holds the labels, 0 for none.
    logged_segment: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Those of late samples overlap the others.
    chunks: Vec<Arc<Chunk>>,
    open: Option<OpenChunk>,
    /// Ascending, none of these times elsewhere.
    late: Vec<(i64, SampleValue)>,
    last: Option<(i64, SampleValue)>,
}

/// Equal in every bit.
pub(crate) fn same_value(a: &SampleValue, b: &SampleValue) -> bool {
    match (a, b) {
        (SampleValue::Float(a), SampleValue::Float(b)) => a.to_bits() == b.to_bits(),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => histogram::equal(a, b),
        _ => false,
    }
}

impl MemSeries {
    pub(crate) fn new(id: u32, labels: Labels) -> Self {
        MemSeries { id, labels, logged_segment: AtomicU64::new(0), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once per segment: the caller then logs the labels. Only under the lock of the appends.
    pub(crate) fn must_be_logged_in(&self, segment: u64) -> bool {
        self.logged_segment.swap(segment, Ordering::Relaxed) != segment
    }

    /// What [`MemSeries::append`] would do.
    pub(crate) fn verdict(&self, timestamp_ms: i64, value: &SampleValue, bounds: &Bounds) -> Verdict {
        self.lock().verdict(timestamp_ms, value, bounds)
    }

    pub(crate) fn append(&self, timestamp_ms: i64, value: SampleValue, bounds: &Bounds) -> Verdict {
        let mut state = self.lock();
        let verdict = state.verdict(timestamp_ms, &value, bounds);
        match verdict {
            Verdict::InOrder => state.push(timestamp_ms, value, bounds.block_range_ms),
            Verdict::Late => state.insert_late(timestamp_ms, value, bounds.block_range_ms),
            _ => {}
        }
        verdict
    }

    /// Appends the samples between two times to `into`.
    pub(crate) fn read(&self, start_ms: i64, end_ms: i64, into: &mut Samples) {
        let mut chunks = Vec::new();
        let mut parts = Vec::new();
        {
            let state = self.lock();
            chunks.extend(state.chunks.iter().filter(|chunk| chunk.overlaps(start_ms, end_ms)).cloned());
            let mut late = Samples::default();
            for (time, value) in state.late.iter().filter(|(time, _)| (start_ms..=end_ms).contains(time)) {
                late.push(*time, value.clone());
            }
            parts.push(late);
            if let Some(open) = &state.open
                && open.max_ms() >= start_ms
            {
                let mut samples = Samples::default();
                open.read(start_ms, end_ms, &mut samples);
                parts.push(samples);
            }
        }
        for chunk in chunks {
            let mut samples = Samples::default();
            chunk.read(start_ms, end_ms, &mut samples);
            parts.push(samples);
        }
        merge_samples(parts, into);
    }

    /// Closes what lies wholly before a time and gives the chunks there. They stay until [`MemSeries::forget`].
    pub(crate) fn chunks_before(&self, before_ms: i64, block_range_ms: i64) -> Vec<Arc<Chunk>> {
        let mut state = self.lock();
        if state.open.as_ref().is_some_and(|open| open.max_ms() < before_ms) {
            state.seal_open();
        }
        state.seal_late(before_ms, block_range_ms);
        state.chunks.iter().filter(|chunk| chunk.max_ms < before_ms).cloned().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.chunks.is_empty() && state.open.is_none() && state.late.is_empty()
    }

    /// Drops chunks that are in a block now.
    pub(crate) fn forget(&self, chunks: &[Arc<Chunk>]) -> usize {
        let mut state = self.lock();
        let before = state.chunks.len();
        state.chunks.retain(|own| !chunks.iter().any(|chunk| Arc::ptr_eq(own, chunk)));
        let dropped = before - state.chunks.len();
        if state.chunks.is_empty() {
            state.chunks.shrink_to_fit();
        }
        dropped
    }

    /// Deletes the samples between two times, both inclusive. Newer samples are still wanted, older ones still refused.
    pub(crate) fn delete(&self, start_ms: i64, end_ms: i64, block_range_ms: i64) {
        let mut state = self.lock();
        state.late.retain(|(time, _)| !(start_ms..=end_ms).contains(time));
        if state.open.as_ref().is_some_and(|open| open.min_ms() <= end_ms && start_ms <= open.max_ms()) {
            state.seal_open();
        }
        let (hit, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.chunks).into_iter().partition(|chunk| chunk.overlaps(start_ms, end_ms));
        state.chunks = kept;
        for chunk in hit {
            let mut samples = Samples::default();
            if start_ms > i64::MIN {
                chunk.read(i64::MIN, start_ms - 1, &mut samples);
            }
            if end_ms < i64::MAX {
                chunk.read(end_ms + 1, i64::MAX, &mut samples);
            }
            state.chunks.extend(chunks_of(&samples, block_range_ms).into_iter().map(Arc::new));
        }
        state.chunks.sort_by_key(|chunk| chunk.min_ms);
    }

    /// Numbers of the block ranges that have samples.
    pub(crate) fn block_numbers(&self, block_range_ms: i64) -> Vec<i64> {
        let state = self.lock();
        let mut numbers: Vec<i64> = (state.chunks.iter().map(|chunk| chunk.min_ms))
            .chain(state.open.iter().map(OpenChunk::min_ms))
            .chain(state.late.iter().map(|(time, _)| *time))
            .map(|time| time.div_euclid(block_range_ms))
            .collect();
        numbers.dedup();
        numbers
    }

    /// Oldest time, newest time, number of chunks; `None` without samples.
    pub(crate) fn extent(&self) -> Option<(i64, i64, usize)> {
        let state = self.lock();
        let mut extent: Option<(i64, i64, usize)> = None;
        let mut add = |min: i64, max: i64, chunks: usize| {
            extent = Some(extent.map_or((min, max, chunks), |(a, b, n)| (a.min(min), b.max(max), n + chunks)));
        };
        state.chunks.iter().for_each(|chunk| add(chunk.min_ms, chunk.max_ms, 1));
        if let Some(open) = &state.open {
            add(open.min_ms(), open.max_ms(), 1);
        }
        if let (Some(first), Some(last)) = (state.late.first(), state.late.last()) {
            add(first.0, last.0, 1);
        }
        extent
    }
}

impl State {
    fn verdict(&self, timestamp_ms: i64, value: &SampleValue, bounds: &Bounds) -> Verdict {
        if bounds.late_from_ms.is_none() && timestamp_ms < bounds.min_valid_ms {
            return Verdict::OutOfBounds;
        }
        match &self.last {
            None if timestamp_ms >= bounds.min_valid_ms => return Verdict::InOrder,
            Some((last, _)) if timestamp_ms > *last && timestamp_ms >= bounds.min_valid_ms => return Verdict::InOrder,
            Some((last, old)) if timestamp_ms == *last => {
                return if same_value(old, value) { Verdict::Same } else { Verdict::Duplicate };
            }
            _ => {}
        }
        match bounds.late_from_ms {
            None => Verdict::OutOfOrder,
            Some(from) if timestamp_ms < from => Verdict::TooOld,
            Some(_) => match self.value_at(timestamp_ms) {
                None => Verdict::Late,
                Some(old) if same_value(&old, value) => Verdict::Same,
                Some(_) => Verdict::Duplicate,
            },
        }
    }

    fn value_at(&self, timestamp_ms: i64) -> Option<SampleValue> {
        if let Ok(at) = self.late.binary_search_by_key(&timestamp_ms, |(time, _)| *time) {
            return Some(self.late[at].1.clone());
        }
        let mut samples = Samples::default();
        if let Some(open) = &self.open {
            open.read(timestamp_ms, timestamp_ms, &mut samples);
        }
        for chunk in self.chunks.iter().filter(|chunk| chunk.overlaps(timestamp_ms, timestamp_ms)) {
            chunk.read(timestamp_ms, timestamp_ms, &mut samples);
        }
        (!samples.is_empty()).then(|| samples.value(0))
    }

    fn push(&mut self, timestamp_ms: i64, value: SampleValue, block_range_ms: i64) {
        let kind = OpenChunk::kind_of(&value);
        let full = self.open.as_ref().is_some_and(|open| {
            open.kind() != kind
                || open.count() >= CHUNK_SAMPLES_MAX
                || open.min_ms().div_euclid(block_range_ms) != timestamp_ms.div_euclid(block_range_ms)
        });
        if full {
            self.seal_open();
        }
        self.open.get_or_insert_with(|| OpenChunk::new(kind)).push(timestamp_ms, &value);
        self.last = Some((timestamp_ms, value));
    }

    fn seal_open(&mut self) {
        if let Some(open) = self.open.take() {
            self.chunks.push(Arc::new(open.seal()));
        }
    }

    fn insert_late(&mut self, timestamp_ms: i64, value: SampleValue, block_range_ms: i64) {
        let at = self.late.partition_point(|(time, _)| *time < timestamp_ms);
        self.late.insert(at, (timestamp_ms, value));
        if self.late.len() >= LATE_SAMPLES_MAX {
            self.seal_late(i64::MAX, block_range_ms);
        }
    }

    fn seal_late(&mut self, before_ms: i64, block_range_ms: i64) {
        let count = self.late.partition_point(|(time, _)| *time < before_ms);
        let mut samples = Samples::default();
        for (time, value) in self.late.drain(..count) {
            samples.push(time, value);
        }
        self.chunks.extend(chunks_of(&samples, block_range_ms).into_iter().map(Arc::new));
        if self.late.is_empty() {
            self.late.shrink_to_fit();
        }
    }
}

/// Chunks of one kind each that cross no border of a block.
pub(crate) fn chunks_of(samples: &Samples, block_range_ms: i64) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut open: Option<OpenChunk> = None;
    for (index, &time) in samples.timestamps.iter().enumerate() {
        let value = samples.value(index);
        let kind: ChunkKind = OpenChunk::kind_of(&value);
        if let Some(full) = open.take_if(|open| {
            open.kind() != kind
                || open.count() >= CHUNK_SAMPLES_MAX
                || open.min_ms().div_euclid(block_range_ms) != time.div_euclid(block_range_ms)
        }) {
            chunks.push(full.seal());
        }
        open.get_or_insert_with(|| OpenChunk::new(kind)).push(time, &value);
    }
    chunks.extend(open.map(OpenChunk::seal));
    chunks
}
