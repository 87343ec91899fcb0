//! The protobuf format: `io.prometheus.client.MetricFamily` messages, each behind its length.
//! Source: `metrics.proto` of Prometheus' client model; only names and numbers of fields are from there.
//!
//! [`walk()`] tells every sample of a body under the name that the text formats give it. Bodies are read where they lie.
//! Of a body that is nearly equal to the one before it [`diff::walk`] reads what changed.

pub mod diff;
mod histogram;
mod series;
mod walk;
mod wire;
mod write;

use histogram::{SCHEMA_MAX, SCHEMA_MIN};
use model::{MetricType, SampleValue};
use wire::{Fields, WireError};

pub use series::Series;
pub use walk::{Visit, walk};
pub use write::{Metric, MetricValue, Writer, histogram_type};

/// What of histograms is taken, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Native histograms are told; otherwise they are read as if they had classic buckets alone.
    pub native: bool,
    /// Classic buckets are told also where a native histogram is.
    pub classic_always: bool,
    /// Classic buckets are told as a native histogram with custom buckets.
    pub custom_buckets: bool,
    /// The finest exponential schema; finer histograms are made coarser.
    pub schema_max: i32,
    /// A histogram of more native buckets is made coarser until it has no more; 0 is no limit.
    pub buckets_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        let (native, classic_always, custom_buckets) = (false, false, false);
        Options { native, classic_always, custom_buckets, schema_max: SCHEMA_MAX, buckets_max: 0 }
    }
}

/// The finest schema whose buckets grow at least by `factor` from one to the next. Schema `s` has the factor
/// `2^(2^-s)`; for a factor of 1 or less it is the finest that there is.
pub fn schema_for_factor(factor: f64) -> i32 {
    if factor.is_nan() || factor <= 1.0 {
        return SCHEMA_MAX;
    }
    let schema = (-factor.log2().log2()).floor();
    // A float beyond the bounds is clamped before it is cut.
    schema.clamp(f64::from(SCHEMA_MIN), f64::from(SCHEMA_MAX)) as i32
}

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// `at` counts bytes from the start of the body to the family.
    #[error("protobuf at byte {at}: {message}")]
    Form { at: usize, message: String },
    #[error("histogram {name:?} has {buckets} buckets at its coarsest, native_histogram_bucket_limit is {limit}")]
    Buckets { name: String, buckets: usize, limit: usize },
}

/// Name, type and words of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family<'a> {
    pub name: &'a str,
    pub help: &'a str,
    pub unit: &'a str,
    pub metric_type: MetricType,
}

/// One sample.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    pub series: Series<'a>,
    /// Which sample of the base has this series, where that is known; see [`diff::walk`].
    pub known: Option<usize>,
    pub value: SampleValue,
    /// Unix milliseconds; `None` where the target gave none.
    pub timestamp_ms: Option<i64>,
    /// When its counter started, in Unix milliseconds.
    pub start_ms: Option<i64>,
    /// At most one where the value is a float.
    pub exemplars: &'a [Exemplar<'a>],
}

/// An exemplar as it lies in the body.
#[derive(Clone, Copy, Debug)]
pub struct Exemplar<'a>(&'a [u8]);

impl Exemplar<'_> {
    /// # Errors
    /// Why it is none.
    pub fn read(&self) -> Result<model::Exemplar, String> {
        let mut fields = Fields::new(self.0);
        let (mut value, mut timestamp) = (0.0, None);
        while let Some((number, field)) = fields.next()? {
            match number {
                2 => value = field.float()?,
                3 => timestamp = timestamp_ms(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(model::Exemplar { labels: series::pairs(self.0)?.build(), value, timestamp_ms: timestamp })
    }

    fn has_timestamp(&self) -> bool {
        let mut fields = Fields::new(self.0);
        while let Ok(Some((number, _))) = fields.next() {
            if number == 3 {
                return true;
            }
        }
        false
    }
}

/// A `google.protobuf.Timestamp` in Unix milliseconds; `None` for one that no clock shows.
fn timestamp_ms(message: &[u8]) -> Result<Option<i64>, WireError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            // Signed numbers of this kind are written as their 64 bits.
            1 => seconds = value.whole()? as i64,
            2 => nanos = value.whole()? as i64,
            _ => {}
        }
    }
    Ok(seconds.checked_mul(1000).and_then(|ms| ms.checked_add(nanos / 1_000_000)))
}

#[cfg(test)]
mod tests;
