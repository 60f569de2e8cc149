//! How many calls a dependency gets at once, and how many may wait for their turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use captions_domain::fault::{Fault, FaultKind};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::policy::earlier;

/// Bounds of the concurrency toward one dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSettings {
    /// Calls in flight at most; 0 acts as 1.
    pub max_concurrent: usize,
    /// Callers that may wait for a slot. The next one is refused at once.
    pub queue_length: usize,
    /// How long each of them waits at most.
    pub queue_wait: Duration,
}

impl Default for SlotSettings {
    fn default() -> Self {
        Self {
            max_concurrent: 64,
            queue_length: 128,
            queue_wait: Duration::from_secs(2),
        }
    }
}

/// The slots of one dependency and the queue before them, first come, first served.
#[derive(Debug)]
pub(crate) struct Slots {
    settings: SlotSettings,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// The right to have one call in flight; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Slot(#[expect(dead_code, reason = "held only to be dropped")] OwnedSemaphorePermit);

impl Slots {
    pub(crate) fn new(settings: SlotSettings) -> Self {
        Self {
            settings,
            free: Arc::new(Semaphore::new(settings.max_concurrent.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Takes a slot, waiting for it if need be, but not past `deadline`.
    pub(crate) async fn take(&self, deadline: Option<Instant>) -> Result<Slot, Fault> {
        if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(Slot(slot));
        }
        let Some(_place) = Place::take(&self.waiting, self.settings.queue_length) else {
            return Err(Fault::because(FaultKind::Overloaded, "the queue for a slot is full"));
        };
        let turn = Arc::clone(&self.free).acquire_owned();
        let until = earlier(Instant::now().checked_add(self.settings.queue_wait), deadline);
        let slot = match until {
            None => turn.await,
            Some(until) => timeout_at(until, turn)
                .await
                .map_err(|_| Fault::because(FaultKind::Overloaded, "no slot became free in time"))?,
        };
        // The semaphore is never closed; if it were, there would be no slot to have.
        slot.map(Slot)
            .map_err(|closed| Fault::because(FaultKind::Overloaded, closed))
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.free.available_permits()
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// A place in the queue, given up on drop, so that a caller who leaves does not fill it for ever.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, length: usize) -> Option<Self> {
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < length).then_some(count + 1)
            })
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
