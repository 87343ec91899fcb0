//! Durations in the configuration.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `30s`, `1m30s`, as Prometheus writes durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConfigDuration(Duration);

impl ConfigDuration {
    pub fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for ConfigDuration {
    type Error = model::duration::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Never negative, so that the conversion is exact.
        model::duration::parse_duration_ms(&text).map(|ms| ConfigDuration(Duration::from_millis(ms.unsigned_abs())))
    }
}

impl From<ConfigDuration> for String {
    fn from(duration: ConfigDuration) -> String {
        model::duration::format_duration_ms(i64::try_from(duration.0.as_millis()).unwrap_or(i64::MAX))
    }
}
