//! Places where bodies are decoded and read, with memory that is used again.
//!
//! There are few of them, however many targets answer at once: a thread and buffers for each target would cost more
//! memory than all that is known of the targets.

use crate::scrape_loop::lock;
use crate::state::Scratch;
use std::sync::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A core can read while another scrape waits for the log.
const DESKS_PER_CORE: usize = 2;
/// A buffer that grew beyond this for one large target is not kept.
const KEPT_BODY_BYTES_MAX: usize = 4 << 20;

pub(crate) struct Desks {
    free: Semaphore,
    scratch: Mutex<Vec<Scratch>>,
}

impl Default for Desks {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Desks { free: Semaphore::new(cores * DESKS_PER_CORE), scratch: Mutex::default() }
    }
}

impl Desks {
    /// Waits for a desk. `None` never comes: the semaphore is not closed.
    pub(crate) async fn wait(&self) -> Option<SemaphorePermit<'_>> {
        self.free.acquire().await.ok()
    }

    pub(crate) fn take(&self) -> Scratch {
        lock(&self.scratch).pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, scratch: Scratch) {
        if scratch.body.capacity() <= KEPT_BODY_BYTES_MAX {
            lock(&self.scratch).push(scratch);
        }
    }
}
