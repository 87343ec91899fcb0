//! What becomes of a sample.

/// What is taken at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Samples below are too old.
    pub(crate) min_valid_ms: i64,
    /// With an out-of-order window: samples from here on are taken in any order.
    pub(crate) late_from_ms: Option<i64>,
}

impl Bounds {
    /// Takes everything: for what the log says was taken.
    pub(crate) const REPLAY: Bounds = Bounds { min_valid_ms: i64::MIN, late_from_ms: Some(i64::MIN) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    InOrder,
    /// Taken thanks to the out-of-order window.
    Late,
    /// It is there already.
    Same,
    /// Another value than that of the newest sample, at its time.
    Duplicate,
    /// The same of an older sample, with an out-of-order window: what is there stays, and nobody is told, as in Prometheus.
    LateDuplicate,
    OutOfOrder,
    /// Behind the out-of-order window.
    TooOld,
    /// Older than what the head takes, without a window.
    OutOfBounds,
}

impl Verdict {
    pub(crate) fn is_taken(self) -> bool {
        matches!(self, Verdict::InOrder | Verdict::Late)
    }
}
