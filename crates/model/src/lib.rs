//! Words of the field, without any I/O: what a label, a matcher, a sample, a histogram is.
//!
//! Nothing here reads a clock or a file, so that the browser and the server share it.

pub mod alert;
pub mod duration;
pub mod exemplar;
pub mod float;
pub mod histogram;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod sample;
pub mod stale;
pub mod timestamp;

pub use alert::Alert;
pub use exemplar::Exemplar;
pub use histogram::FloatHistogram;
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{Metadata, MetricType};
pub use sample::{Sample, SampleValue};
