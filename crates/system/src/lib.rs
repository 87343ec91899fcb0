//! Clock and disk behind seams, so that tests can own time.

mod clock;

pub use clock::{Clock, SystemClock, TestClock, TokioClock};
