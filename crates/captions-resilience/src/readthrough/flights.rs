//! Readers of one key share what one of them began.
//!
//! A flight is driven by those who wait for it, whoever of them is awake: one that leaves hands over to the others without
//! a step of its own, and with the last one the flight ends at that instant.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use super::{entry::Place, layers::Watch};

pub(super) type Flight<O> = Shared<BoxFuture<'static, O>>;

/// The flights that are under way, at most one for each place.
pub(super) struct Flights<O>(Arc<Board<O>>);

struct Board<O> {
    flying: Mutex<HashMap<Place, Flying<O>>>,
    begun: AtomicU64,
}

struct Flying<O> {
    number: u64,
    flight: WeakShared<BoxFuture<'static, O>>,
    watch: Watch,
}

/// The flight's line on the board: gone once the flight has ended, or was left by everybody.
struct Line<O> {
    board: Arc<Board<O>>,
    place: Place,
    number: u64,
}

impl<O> Default for Flights<O> {
    fn default() -> Self {
        Self(Arc::new(Board {
            flying: Mutex::default(),
            begun: AtomicU64::new(0),
        }))
    }
}

impl<O> fmt::Debug for Flights<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights")
            .field("under_way", &self.0.flying().len())
            .finish_non_exhaustive()
    }
}

impl<O: Clone + Send + Sync + 'static> Flights<O> {
    /// The flight that is under way for this place, or the one that `begin` makes; the second value is true for the
    /// latter. One that a write has overtaken is not joined any more. `begin` must not join anything itself.
    pub(super) fn join(
        &self,
        place: &Place,
        watch: impl FnOnce() -> Watch,
        begin: impl FnOnce(Watch) -> BoxFuture<'static, O>,
    ) -> (Flight<O>, bool) {
        let mut flying = self.0.flying();
        // One that was upgraded is always handed out: to drop the last hold on a flight in here would end it in here, and
        // its line would wait for this lock.
        if let Some(found) = flying.get(place)
            && !found.watch.is_void()
            && let Some(flight) = found.flight.upgrade()
        {
            return (flight, false);
        }
        let watch = watch();
        let number = self.0.begun.fetch_add(1, Ordering::Relaxed);
        let line = Line {
            board: Arc::clone(&self.0),
            place: place.clone(),
            number,
        };
        let work = begin(watch.clone());
        let flight = async move {
            // Not before the end: whoever comes later finds what was kept.
            let _line = line;
            work.await
        }
        .boxed()
        .shared();
        if let Some(weak) = flight.downgrade() {
            let entry = Flying {
                number,
                flight: weak,
                watch,
            };
            flying.insert(place.clone(), entry);
        }
        (flight, true)
    }

    /// Flights under way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.flying().len()
    }
}

impl<O> Board<O> {
    fn flying(&self) -> MutexGuard<'_, HashMap<Place, Flying<O>>> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O> Drop for Line<O> {
    fn drop(&mut self) {
        let mut flying = self.board.flying();
        if flying.get(&self.place).is_some_and(|found| found.number == self.number) {
            flying.remove(&self.place);
        }
    }
}
