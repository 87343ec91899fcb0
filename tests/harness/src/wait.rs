//! Waiting for something to become true.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until `look` gives something.
///
/// # Errors
/// Nothing within `limit`; the message names `what` and the last fault.
pub fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if started.elapsed() > limit => {
                bail!("{what} did not happen within {limit:?}; last: {error:#}")
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
