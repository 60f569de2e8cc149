//! Who works on a call in this process: whoever comes behind waits here instead of asking the store.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use captions_domain::{
    context::TenantId,
    once::{CallId, Payload, Reply},
};
use tokio::sync::watch;

/// The same call with the same payload.
pub(super) type Place = (TenantId, CallId, Payload);

type Answer = Option<Arc<Reply>>;

/// All that is worked on. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Place, watch::Receiver<Answer>>>>);

/// Where one stands.
pub(super) enum Seat {
    /// In front: one asks the store.
    Ahead(Flight),
    /// Behind somebody, whose answer comes here. It closes without one if there is none to share.
    Behind(watch::Receiver<Answer>),
}

/// The place in front. It is left by dropping it.
#[derive(Debug)]
pub(super) struct Flight {
    all: Flights,
    place: Place,
    answer: watch::Sender<Answer>,
}

impl Flights {
    pub(super) fn join(&self, place: &Place) -> Seat {
        match self.all().entry(place.clone()) {
            Entry::Occupied(ahead) => Seat::Behind(ahead.get().clone()),
            Entry::Vacant(free) => {
                let (answer, receiver) = watch::channel(None);
                free.insert(receiver);
                Seat::Ahead(Flight {
                    all: self.clone(),
                    place: place.clone(),
                    answer,
                })
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Place, watch::Receiver<Answer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Gives the answer to all behind.
    pub(super) fn land(self, reply: &Arc<Reply>) {
        self.answer.send_replace(Some(Arc::clone(reply)));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Before the sender goes: who then finds the channel closed finds the place free as well.
        self.all.all().remove(&self.place);
    }
}
