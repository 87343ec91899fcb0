//! What goes in and out of the engine, and the columns it works on.

use model::{FloatHistogram, Labels, SampleValue};
use std::sync::Arc;
use storage::Samples;

/// The result of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// At the time of an instant query.
    Scalar(f64),
    String(String),
    Vector(Vec<VectorSample>),
    /// Sorted by labels.
    Matrix(Vec<MatrixSeries>),
}

impl Default for Value {
    fn default() -> Self {
        Value::Matrix(Vec::new())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    pub labels: Labels,
    /// Unix milliseconds.
    pub timestamp_ms: i64,
    pub value: SampleValue,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSeries {
    pub labels: Labels,
    pub samples: Samples,
}

/// The times of an evaluation: `start`, `start + step`, …, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) count: usize,
}

impl Grid {
    pub(crate) fn time(&self, index: usize) -> i64 {
        // Counts are limited by the engine, so that no time of a grid overflows.
        self.start.saturating_add(self.step.saturating_mul(index as i64))
    }

    pub(crate) fn end(&self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    pub(crate) fn times(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.count).map(|index| self.time(index))
    }
}

/// What stands at one step of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Absent,
    Float,
    Histogram,
}

/// One series over a whole grid.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) kinds: Vec<Kind>,
    /// Meaningful where `kinds` says float.
    pub(crate) values: Vec<f64>,
    /// Empty while no step holds a histogram.
    pub(crate) histograms: Vec<Option<Arc<FloatHistogram>>>,
}

/// A value at a step, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

impl Column {
    pub(crate) fn empty(count: usize) -> Column {
        Column { kinds: vec![Kind::Absent; count], values: vec![0.0; count], histograms: Vec::new() }
    }

    pub(crate) fn from_floats(values: Vec<f64>) -> Column {
        Column { kinds: vec![Kind::Float; values.len()], values, histograms: Vec::new() }
    }

    pub(crate) fn is_present(&self, step: usize) -> bool {
        self.kinds[step] != Kind::Absent
    }

    pub(crate) fn get(&self, step: usize) -> Option<At<'_>> {
        match self.kinds[step] {
            Kind::Absent => None,
            Kind::Float => Some(At::Float(self.values[step])),
            Kind::Histogram => self.histograms[step].as_ref().map(At::Histogram),
        }
    }

    pub(crate) fn set_float(&mut self, step: usize, value: f64) {
        self.kinds[step] = Kind::Float;
        self.values[step] = value;
    }

    pub(crate) fn set_histogram(&mut self, step: usize, histogram: Arc<FloatHistogram>) {
        if self.histograms.is_empty() {
            self.histograms.resize(self.kinds.len(), None);
        }
        self.kinds[step] = Kind::Histogram;
        self.histograms[step] = Some(histogram);
    }

    pub(crate) fn set(&mut self, step: usize, value: SampleValue) {
        match value {
            SampleValue::Float(value) => self.set_float(step, value),
            SampleValue::Histogram(histogram) => self.set_histogram(step, histogram),
        }
    }

    pub(crate) fn copy_from(&mut self, step: usize, other: &Column) {
        match other.get(step) {
            None => {}
            Some(At::Float(value)) => self.set_float(step, value),
            Some(At::Histogram(histogram)) => self.set_histogram(step, Arc::clone(histogram)),
        }
    }

    pub(crate) fn clear(&mut self, step: usize) {
        self.kinds[step] = Kind::Absent;
    }

    pub(crate) fn points(&self) -> usize {
        self.kinds.iter().filter(|kind| **kind != Kind::Absent).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.iter().all(|kind| *kind == Kind::Absent)
    }

    /// Memory that the column takes, without what its histograms share.
    pub(crate) fn bytes(&self) -> usize {
        self.kinds.len() * (size_of::<Kind>() + size_of::<f64>())
            + self.histograms.len() * size_of::<Option<Arc<FloatHistogram>>>()
    }

    /// True if every step holds a float.
    pub(crate) fn is_all_floats(&self) -> bool {
        self.kinds.iter().all(|kind| *kind == Kind::Float)
    }

    /// The one value of a column of one step, at `count` steps.
    pub(crate) fn repeat(self, count: usize) -> Column {
        let mut out = Column::empty(count);
        for step in 0..count {
            match self.get(0) {
                None => {}
                Some(At::Float(value)) => out.set_float(step, value),
                Some(At::Histogram(histogram)) => out.set_histogram(step, Arc::clone(histogram)),
            }
        }
        out
    }
}

/// Label sets longer than this count as memory of the query.
const LONG_LABELS_BYTES: usize = 4096;

/// A series of an intermediate result.
#[derive(Clone, Debug)]
pub(crate) struct VectorSeries {
    pub(crate) labels: Labels,
    /// The name (and type and unit) are to go: when the node is done, or at the very end with delayed removal.
    pub(crate) drop_name: bool,
    pub(crate) column: Column,
}

impl VectorSeries {
    /// Memory that the series takes. Labels are mostly shared with the storage; those are not that a function made long.
    pub(crate) fn bytes(&self) -> usize {
        let labels = Some(self.labels.as_packed().len()).filter(|bytes| *bytes > LONG_LABELS_BYTES).unwrap_or(0);
        size_of::<VectorSeries>() + self.column.bytes() + labels
    }
}

/// An intermediate result.
#[derive(Clone, Debug)]
pub(crate) enum Intermediate {
    /// One value a step.
    Scalar(Vec<f64>),
    String(promql_syntax::StringLiteral),
    Vector(Vec<VectorSeries>),
}
