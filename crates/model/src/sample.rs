//! One value at one time.

use crate::histogram::FloatHistogram;
use std::sync::Arc;

/// A float at a time, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub timestamp_ms: i64,
    pub value: f64,
}

/// What a series can hold at one time.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}
