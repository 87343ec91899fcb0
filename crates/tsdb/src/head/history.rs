//! What those who keep results may rely on.

use super::Head;
use crate::db::lock;
use storage::History;

/// The past is called settled so far behind the newest sample, at the least.
const BEHIND_MIN_MS: i64 = 2 * 60_000;

/// Who has not come late for so long, by the times of samples, is not waited for any more.
const LATE_FOR_MS: i64 = 5 * 60_000;

/// What was told, so that it can be taken back.
#[derive(Debug)]
pub(super) struct Told {
    epoch: u64,
    settled_ms: i64,
    /// How far behind the newest sample others came lately; the past is called settled behind that only.
    behind_ms: i64,
    /// The newest sample when one came that late.
    late_at_ms: i64,
}

impl Default for Told {
    fn default() -> Self {
        Told { epoch: 1, settled_ms: i64::MIN, behind_ms: BEHIND_MIN_MS, late_at_ms: i64::MIN }
    }
}

impl Head {
    /// Until when the past is settled.
    pub(crate) fn history(&self) -> History {
        // Appends show their samples with this lock: each is before or behind what is told here.
        let _store = self.store();
        let mut told = lock(&self.told);
        let max_ms = self.max_ms();
        if max_ms > i64::MIN {
            if max_ms.saturating_sub(told.late_at_ms) > LATE_FOR_MS {
                told.behind_ms = BEHIND_MIN_MS;
            }
            told.settled_ms = told.settled_ms.max(max_ms.saturating_sub(told.behind_ms));
        }
        History { epoch: told.epoch, settled_before_ms: told.settled_ms }
    }

    /// Samples are about to be shown, the oldest of this time, beside others up to `max_ms`. Only with the lock of the
    /// store.
    pub(crate) fn samples_come(&self, oldest_ms: i64, max_ms: i64) {
        let mut told = lock(&self.told);
        let lateness_ms = max_ms.saturating_sub(oldest_ms);
        if lateness_ms > BEHIND_MIN_MS && lateness_ms.saturating_mul(2) >= told.behind_ms {
            told.late_at_ms = max_ms;
        }
        if oldest_ms < told.settled_ms {
            told.epoch += 1;
            // Whoever comes that late comes again: one change of epoch shall do for him.
            told.behind_ms = told.behind_ms.max(lateness_ms.saturating_mul(2)).min(self.block_range_ms);
        }
    }

    /// Something older was deleted, added or replaced.
    pub(crate) fn past_changed(&self) {
        let _store = self.store();
        lock(&self.told).epoch += 1;
    }
}
