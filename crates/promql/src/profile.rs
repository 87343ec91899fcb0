//! What each node of a query cost, for `analyze`.

use crate::value::{Column, Intermediate};
use promql_syntax::Span;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use storage::Samples;

/// What a node cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCost {
    /// Series that the node gave, or that a selector read.
    pub series: u64,
    /// Points that the node gave, or samples that a selector read.
    pub samples: u64,
    /// Bytes of memory that these took, one after the other where they were streamed.
    pub bytes: u64,
    /// Time spent on the node: its children included where the node was evaluated whole, its own alone where it is part
    /// of a chain that runs series by series. Of all threads together.
    pub time: Duration,
}

/// The costs of all nodes by their places.
#[derive(Debug, Default)]
pub(crate) struct Profile(Mutex<HashMap<Span, NodeCost>>);

/// When the work began that is to be noted next; nothing when nobody wants to know.
pub(crate) type Mark = Option<Instant>;

impl Profile {
    pub(crate) fn add(&self, span: Span, cost: NodeCost) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = all.entry(span).or_default();
        entry.series += cost.series;
        entry.samples += cost.samples;
        entry.bytes += cost.bytes;
        entry.time += cost.time;
    }

    pub(crate) fn add_value(&self, span: Span, value: &Intermediate, time: Duration) {
        let mut cost = NodeCost { time, ..NodeCost::default() };
        match value {
            Intermediate::Scalar(values) => {
                cost.samples = values.len() as u64;
                cost.bytes = (values.len() * size_of::<f64>()) as u64;
            }
            Intermediate::String(text) => cost.bytes = text.value.len() as u64,
            Intermediate::Vector(series) => {
                cost.series = series.len() as u64;
                for one in series {
                    cost.samples += one.column.points() as u64;
                    cost.bytes += one.column.bytes() as u64;
                }
            }
        }
        // A node that was already noted series by series keeps those numbers and gets the whole time.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(span, cost);
    }

    pub(crate) fn add_series(&self, span: Span, column: &Column, time: Duration) {
        let series = u64::from(!column.is_empty());
        let cost = NodeCost { series, samples: column.points() as u64, bytes: column.bytes() as u64, time };
        self.add(span, cost);
    }

    pub(crate) fn add_read(&self, span: Span, samples: &Samples, time: Duration) {
        let bytes = samples.len() * (size_of::<i64>() + size_of::<f64>());
        let series = u64::from(!samples.is_empty());
        self.add(span, NodeCost { series, samples: samples.len() as u64, bytes: bytes as u64, time });
    }

    pub(crate) fn get(&self, span: Span) -> Option<NodeCost> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&span).copied()
    }
}
