//! What is kept of a part, and the memory that is set aside for it.

use super::Key;
use crate::annotations::Note;
use crate::counts::weight;
use crate::value::VectorSeries;
use model::{FloatHistogram, Labels};
use promql_syntax::{Expr, Span};
use std::{
    collections::HashMap,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use storage::Samples;

/// Memory for the parts of a batch, in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    all: usize,
    /// One part does not take everything.
    each: usize,
    taken: AtomicUsize,
}

impl Room {
    pub(crate) fn new(all: usize, each: usize) -> Arc<Room> {
        Arc::new(Room { all, each, taken: AtomicUsize::new(0) })
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Memory of one part, given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    room: Arc<Room>,
    bytes: usize,
}

impl Lease {
    fn add(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        let before = self.room.taken.fetch_add(bytes, Ordering::Relaxed);
        self.bytes <= self.room.each && before.saturating_add(bytes) <= self.room.all
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What of a part is kept, with its memory.
pub(crate) trait Row {
    fn bytes(&self) -> usize;
}

/// A series that a selector reads.
pub(crate) type Read = (Labels, Samples);

/// Memory of a histogram, which other results may hold as well.
fn histogram_bytes(histogram: &FloatHistogram) -> usize {
    usize::try_from(weight(histogram)).unwrap_or(usize::MAX).saturating_mul(16)
}

impl Row for VectorSeries {
    fn bytes(&self) -> usize {
        self.bytes() + self.column.histograms.iter().flatten().map(|h| histogram_bytes(h)).sum::<usize>()
    }
}

impl Row for Read {
    fn bytes(&self) -> usize {
        let samples = &self.1;
        size_of::<Read>()
            + samples.len() * (size_of::<i64>() + size_of::<f64>())
            + size_of_val(samples.start_timestamps.as_slice())
            + size_of_val(samples.tiers.as_slice())
            + size_of_val(samples.histograms.as_slice())
            + samples.histograms.iter().flatten().map(|h| histogram_bytes(h)).sum::<usize>()
    }
}

/// Rows gathered while there is room for them.
pub(crate) struct Gathering<T> {
    rows: Vec<T>,
    /// Gone once they were too many.
    lease: Option<Lease>,
}

impl<T: Row> Gathering<T> {
    pub(crate) fn new(room: &Arc<Room>) -> Gathering<T> {
        Gathering { rows: Vec::new(), lease: Some(Lease { room: Arc::clone(room), bytes: 0 }) }
    }

    /// False if there is no room for the row and those before, which are still there.
    pub(crate) fn has_room(&mut self, row: &T) -> bool {
        if self.lease.as_mut().is_some_and(|lease| !lease.add(row.bytes())) {
            self.lease = None;
        }
        self.lease.is_some()
    }

    pub(crate) fn push(&mut self, row: T) {
        self.rows.push(row);
    }

    /// Takes the rows out.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        std::mem::take(&mut self.rows)
    }

    pub(crate) fn finish(self) -> Result<(Vec<T>, Lease), Vec<T>> {
        match self.lease {
            Some(lease) => Ok((self.rows, lease)),
            None => Err(self.rows),
        }
    }
}

/// What a part reads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reads {
    pub(crate) samples: u64,
    pub(crate) series: usize,
}

impl Reads {
    pub(crate) fn add(&mut self, other: Reads) {
        self.samples += other.samples;
        self.series += other.series;
    }

    pub(crate) fn minus(self, other: Reads) -> Reads {
        let (samples, series) = (self.samples.saturating_sub(other.samples), self.series.saturating_sub(other.series));
        Reads { samples, series }
    }
}

/// What a query has evaluated or taken that it would have kept for itself, had it been asked alone.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What each of them reads, without those inside.
    reads: HashMap<Key, Reads>,
    /// In the order in which they came up, with whether they were new.
    log: Vec<(Key, bool)>,
}

impl Known {
    /// True if it is new.
    pub(crate) fn note(&mut self, key: Key, reads: Reads) -> bool {
        let is_new = self.reads.insert(key, reads).is_none();
        self.log.push((key, is_new));
        is_new
    }

    pub(crate) fn mark(&self) -> usize {
        self.log.len()
    }

    /// Those that came up since a mark, with what they read, and what of it was read since then.
    pub(crate) fn since(&self, mark: usize) -> (Vec<(Key, Reads)>, Reads) {
        let mut new = Reads::default();
        let mut all: Vec<(Key, Reads)> = Vec::new();
        for (key, is_new) in self.log.get(mark..).unwrap_or_default() {
            let reads = self.reads.get(key).copied().unwrap_or_default();
            if *is_new {
                new.add(reads);
            }
            if !all.iter().any(|(other, _)| other == key) {
                all.push((*key, reads));
            }
        }
        (all, new)
    }
}

/// What evaluating a part took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Without what is known by itself.
    pub(crate) reads: Reads,
    /// Samples, and bytes, in memory at once.
    pub(crate) peak: usize,
    pub(crate) peak_bytes: usize,
    pub(crate) time: Duration,
}

#[derive(Debug)]
pub(crate) enum Rows {
    /// Of a vector.
    Series(Vec<VectorSeries>),
    /// Of a range selector, with what the storage had to say.
    Samples(Vec<Read>, Vec<String>),
}

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) rows: Rows,
    pub(crate) cost: Cost,
    /// Parts inside, and itself, that count once for a query, with what they read.
    pub(crate) gathered: Vec<(Key, Reads)>,
    pub(crate) notes: Vec<PlacedNote>,
    pub(crate) _lease: Lease,
}

/// A note about a part, wherever that stands.
#[derive(Debug)]
pub(crate) struct PlacedNote {
    is_info: bool,
    text: String,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// A node of the part, by its number.
    Node(usize),
    /// The query as a whole.
    Query,
}

impl PlacedNote {
    pub(crate) fn all(notes: Vec<Note>, part: &Expr) -> Vec<PlacedNote> {
        if notes.is_empty() {
            return Vec::new();
        }
        let nodes = spans(part);
        let place = |span: Span| match nodes.iter().position(|node| *node == span) {
            Some(at) => Place::Node(at),
            None if span == Span::default() => Place::Query,
            None => Place::Node(0),
        };
        notes
            .into_iter()
            .map(|note| PlacedNote { is_info: note.is_info, text: note.text, place: place(note.span) })
            .collect()
    }

    /// The same notes about a part of another query, or at another place of the same one.
    pub(crate) fn at(notes: &[PlacedNote], part: &Expr) -> Vec<Note> {
        let nodes = if notes.is_empty() { Vec::new() } else { spans(part) };
        let span = |place: Place| match place {
            Place::Node(at) => nodes.get(at).copied().unwrap_or_else(|| part.span()),
            Place::Query => Span::default(),
        };
        notes
            .iter()
            .map(|note| Note { is_info: note.is_info, text: note.text.clone(), span: span(note.place) })
            .collect()
    }
}

/// The places of all nodes, in an order that is the same for all trees that are printed alike.
fn spans(expr: &Expr) -> Vec<Span> {
    let (mut out, mut open) = (Vec::new(), vec![expr]);
    while let Some(expr) = open.pop() {
        out.push(expr.span());
        if let Expr::Matrix(matrix) = expr {
            out.push(matrix.selector.span);
        }
        open.extend(expr.children());
    }
    out
}
