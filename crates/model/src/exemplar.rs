//! Exemplars: a label set (mostly a trace id) that stands for one observation.

use crate::labels::Labels;

#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub value: f64,
    /// Unix milliseconds; `None` where the exposition gave none.
    pub timestamp_ms: Option<i64>,
}
