//! What the machine gives: the clock behind a seam, so that tests can own time, and file names with wildcards.

mod clock;
pub mod glob;

pub use clock::{Clock, SystemClock, TestClock, TokioClock};
