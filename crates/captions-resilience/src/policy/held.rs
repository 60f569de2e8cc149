//! What a call in flight holds.

use std::sync::Arc;

use captions_domain::{
    caption::Usage,
    fault::{Fault, FaultKind},
};
use tokio::time::Instant;

use crate::{
    breaker::{Permit, Verdict},
    monitor::{Outcome, Recorder, Timer},
    rate::Leave,
    slots::{Load, Slot},
};

/// The breaker's permit and the slot of one attempt. Dropped, it frees both and says nothing about the other side.
#[derive(Debug)]
pub(crate) struct Held {
    permit: Option<Permit>,
    slot: Option<Slot>,
    /// One that policies share.
    shared: Option<Box<Slot>>,
    /// Taken back if the call is not made.
    leave: Option<Leave>,
    /// Counts the call, from its beginning.
    timer: Option<Timer>,
}

impl Held {
    pub(super) fn new(permit: Option<Permit>, slot: Option<Slot>, shared: Option<Box<Slot>>) -> Self {
        Self {
            permit,
            slot,
            shared,
            leave: None,
            timer: None,
        }
    }

    /// It may be called that often.
    pub(super) fn allow(&mut self, leave: Leave) {
        self.leave = Some(leave);
    }

    fn slots(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slot.iter_mut().chain(self.shared.as_deref_mut())
    }

    /// What the call has cost, if the other side has told.
    pub(crate) fn used(&mut self, usage: Option<Usage>) {
        if let Some(usage) = usage
            && let Some(leave) = self.leave.take()
        {
            leave.used(usage.input_tokens.saturating_add(usage.output_tokens));
        }
    }

    /// The call begins, counted there: waiting for the slot was not its time.
    pub(super) fn begin(&mut self, now: Instant, calls: Option<&Arc<Recorder>>) {
        self.timer = calls.map(|calls| calls.begin_at(now));
        if let Some(permit) = &mut self.permit {
            permit.begin(now);
        }
        for slot in self.slots() {
            slot.begin(now);
        }
        if let Some(leave) = &mut self.leave {
            leave.begin();
        }
    }

    /// The other side has answered; the rest of the answer goes at the reader's pace too and does not make it slow.
    pub(crate) fn answered(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.answered();
        }
    }

    /// The call is over: frees the slot and tells the breaker.
    pub(crate) fn settle(self, verdict: Verdict) {
        self.fail(verdict, None);
    }

    /// The same for a call that ended with a fault, if it was one.
    pub(crate) fn fail(self, verdict: Verdict, fault: Option<&Fault>) {
        self.end(verdict, Outcome::of_call(verdict, fault), load(verdict, fault));
    }

    /// The same for a call that was given up. One that had less than its time was left, and did not fail.
    pub(crate) fn cut(self, verdict: Verdict) {
        let (outcome, load) = match verdict {
            Verdict::Sick => (Outcome::Failed, Load::TooMuch),
            Verdict::Healthy | Verdict::Neutral => (Outcome::Cancelled, Load::Unknown),
        };
        self.end(verdict, outcome, load);
    }

    fn end(mut self, verdict: Verdict, outcome: Outcome, load: Load) {
        let now = Instant::now();
        for slot in self.slots() {
            slot.ended(now, load);
        }
        if let Some(timer) = self.timer.take() {
            timer.end_at(now, outcome);
        }
        if let Some(permit) = self.permit.take() {
            permit.settle_at(verdict, now);
        }
    }
}

/// What the end of a call says about the number of calls at once. Only what means "too much" lowers it: an outage is the
/// breaker's matter, and fewer calls would not end it.
fn load(verdict: Verdict, fault: Option<&Fault>) -> Load {
    if fault.is_some_and(Fault::is_by_overload) {
        return Load::TooMuch;
    }
    match fault.map(|fault| fault.kind) {
        None if verdict == Verdict::Healthy => Load::Borne,
        Some(FaultKind::RateLimited { .. } | FaultKind::Timeout | FaultKind::Overloaded) => Load::TooMuch,
        None
        | Some(FaultKind::Unavailable | FaultKind::CircuitOpen { .. } | FaultKind::Corrupt | FaultKind::Internal) => {
            Load::Unknown
        }
    }
}
