//! How many calls a dependency gets at once, and how many may wait for their turn, in two classes.

mod adaptive;
mod gate;
mod line;
/// The lock of the gate; the tests of its interleavings put another one in its place.
mod lock {
    pub(super) use std::sync::{Mutex, MutexGuard};
}

use std::{sync::Arc, time::Duration};

use captions_domain::{
    context::Class,
    fault::{Fault, FaultKind},
};
use tokio::time::{Instant, timeout_at};

use self::{
    adaptive::Adaptive,
    gate::{Displaced, Entry, Gate},
};
pub use self::{adaptive::AdaptiveSettings, gate::Crowd};
pub(crate) use self::{adaptive::Load, gate::Slot};
use crate::policy::earlier;

/// Bounds of the concurrency toward one dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSettings {
    /// Calls in flight at most; 0 acts as 1.
    pub max_concurrent: usize,
    /// Callers that may wait for a slot. The next one is refused at once, or takes the place of the youngest batch.
    pub queue_length: usize,
    /// How long each of them waits at most.
    pub queue_wait: Duration,
    /// Whether fewer calls go at once while the other side asks for less; `None` = the maximum always stands.
    pub adaptive: Option<AdaptiveSettings>,
}

impl Default for SlotSettings {
    fn default() -> Self {
        Self {
            max_concurrent: 64,
            queue_length: 128,
            queue_wait: Duration::from_secs(2),
            adaptive: None,
        }
    }
}

/// Nobody is told to come back sooner than this: a crowd that was turned away must not come back as one.
const LEAST_RETRY_AFTER: Duration = Duration::from_millis(250);
/// Nor later than this: the estimate is not that good.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// The slots of one dependency and the line before them. Interactive callers come before batches, each class in the order
/// of coming; while both wait, every fifth turn is a batch's.
#[derive(Debug)]
pub struct Slots {
    queue_wait: Duration,
    gate: Arc<Gate>,
}

impl Slots {
    /// `dependency` is its name in logs.
    pub fn new(dependency: Arc<str>, settings: SlotSettings) -> Self {
        let adaptive = settings
            .adaptive
            .map(|adaptive| Adaptive::new(adaptive, settings.max_concurrent));
        Self {
            queue_wait: settings.queue_wait,
            gate: Arc::new(Gate::new(
                dependency,
                settings.max_concurrent,
                settings.queue_length,
                adaptive,
            )),
        }
    }

    /// Takes a slot, waiting for it if need be, but not past `deadline`.
    #[cfg(test)]
    pub(crate) async fn take(&self, class: Class, deadline: Option<Instant>) -> Result<Slot, Fault> {
        self.turn(self.gate.enter(class), deadline, Instant::now()).await
    }

    /// The same of somebody who has just looked at the clock.
    pub(crate) async fn take_at(&self, class: Class, deadline: Option<Instant>, now: Instant) -> Result<Slot, Fault> {
        self.turn(self.gate.enter_at(class, now), deadline, now).await
    }

    async fn turn(&self, entry: Entry, deadline: Option<Instant>, now: Instant) -> Result<Slot, Fault> {
        let mut place = match entry {
            Entry::Slot(slot) => return Ok(slot),
            Entry::Place(place) => place,
            Entry::Full => return Err(self.overloaded("the queue for a slot is full")),
        };
        let until = earlier(now.checked_add(self.queue_wait), deadline);
        let turn = match until {
            None => Ok(place.turn().await),
            Some(until) => timeout_at(until, place.turn()).await,
        };
        let Ok(turn) = turn else {
            drop(place);
            self.gate.gave_up();
            return Err(self.overloaded("no slot became free in time"));
        };
        turn.map_err(|Displaced| self.overloaded("the place in the queue went to an interactive request"))
    }

    /// Takes a slot if one is free now.
    pub(crate) fn try_take(&self) -> Result<Slot, Fault> {
        self.gate.try_enter().ok_or_else(|| self.overloaded("no slot is free"))
    }

    /// How full it is.
    pub fn crowd(&self) -> Crowd {
        self.gate.crowd()
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        let crowd = self.crowd();
        crowd.limit.saturating_sub(crowd.in_flight)
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        let crowd = self.crowd();
        crowd.interactive + crowd.batch
    }

    /// Our own overload, with an estimate of when there may be room.
    fn overloaded(&self, why: &'static str) -> Fault {
        let wait = self.gate.wait().clamp(LEAST_RETRY_AFTER, LONGEST_RETRY_AFTER);
        Fault::because(FaultKind::Overloaded, why).with_retry_after(wait)
    }
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
