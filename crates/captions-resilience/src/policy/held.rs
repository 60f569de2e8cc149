//! What a call in flight holds.

use crate::{
    breaker::{Permit, Verdict},
    slots::Slot,
};

/// The breaker's permit and the slot of one attempt. Dropped, it frees both and says nothing about the other side.
#[derive(Debug)]
pub(crate) struct Held {
    permit: Option<Permit>,
    #[expect(dead_code, reason = "held only to be dropped")]
    slot: Option<Slot>,
}

impl Held {
    pub(super) fn new(permit: Option<Permit>, slot: Option<Slot>) -> Self {
        Self { permit, slot }
    }

    /// The call begins now: waiting for the slot was not its time.
    pub(super) fn begin(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.begin();
        }
    }

    /// The other side has answered; the rest of the answer goes at the reader's pace too and does not make it slow.
    pub(crate) fn answered(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.answered();
        }
    }

    /// The call is over: frees the slot and tells the breaker.
    pub(crate) fn settle(mut self, verdict: Verdict) {
        if let Some(permit) = self.permit.take() {
            permit.settle(verdict);
        }
    }
}
