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

    /// The call is over: frees the slot and tells the breaker.
    pub(crate) fn settle(mut self, verdict: Verdict) {
        if let Some(permit) = self.permit.take() {
            permit.settle(verdict);
        }
    }
}
