//! The line behind a lock: slots that free themselves, and callers that wait and may leave at any time.
//!
//! A place that becomes free goes to whoever waits under the same lock under which it became free: nobody waits while a
//! place is free, so a newcomer that finds one passes by nobody. Whatever wakes or drops somebody is done outside the
//! lock, because a slot that nobody takes comes back through it.

use std::sync::{Arc, PoisonError};

use captions_domain::context::Class;
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::{
    adaptive::{Adaptive, Load, Over, Turn},
    line::{Line, Queued, Ticket},
    lock::{Mutex, MutexGuard},
};

/// The end of a wait.
type Called = Result<Slot, Displaced>;

/// An interactive caller came and the line was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Displaced;

#[derive(Debug)]
pub(super) struct Gate {
    /// The name of the dependency in logs.
    dependency: Arc<str>,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    line: Line<oneshot::Sender<Called>>,
    adaptive: Option<Adaptive>,
    refused: u64,
}

/// How full it was when a slot was given, that slot included.
#[derive(Debug, Clone, Copy)]
struct Room {
    in_flight: usize,
    limit: usize,
}

impl Inside {
    fn room(&self) -> Room {
        Room {
            in_flight: self.line.in_flight(),
            limit: self.line.limit(),
        }
    }
}

/// What a caller gets at once.
#[derive(Debug)]
pub(super) enum Entry {
    /// A slot was free.
    Slot(Slot),
    /// It has to wait.
    Place(Place),
    /// The line is full.
    Full,
}

/// The slots of one dependency at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Crowd {
    /// The most calls at once: the setting, or what an adaptive limit has come to.
    pub limit: usize,
    /// Calls under way.
    pub in_flight: usize,
    /// Interactive callers that wait.
    pub interactive: usize,
    /// Batch callers that wait.
    pub batch: usize,
    /// Callers turned away since the start because the line was full, or they had waited too long.
    pub refused: u64,
}

impl Gate {
    pub(super) fn new(dependency: Arc<str>, limit: usize, length: usize, adaptive: Option<Adaptive>) -> Self {
        Self {
            dependency,
            inside: Mutex::new(Inside {
                line: Line::new(limit, length),
                adaptive,
                refused: 0,
            }),
        }
    }

    /// A slot, or a place in the line.
    #[cfg(test)]
    pub(super) fn enter(self: &Arc<Self>, class: Class) -> Entry {
        self.enter_at(class, Instant::now())
    }

    /// The same for somebody who has just looked at the clock.
    pub(super) fn enter_at(self: &Arc<Self>, class: Class, now: Instant) -> Entry {
        let mut inside = self.inside();
        if inside.line.enter() {
            let room = inside.room();
            drop(inside);
            return Entry::Slot(self.slot(room, now));
        }
        let (call, called) = oneshot::channel();
        match inside.line.queue(class, call) {
            Queued::Full(_) => {
                inside.refused += 1;
                Entry::Full
            }
            Queued::Waits(ticket, displaced) => {
                inside.refused += u64::from(displaced.is_some());
                drop(inside);
                if let Some(displaced) = displaced {
                    // If it has left meanwhile, nobody need be told.
                    drop(displaced.send(Err(Displaced)));
                }
                Entry::Place(Place {
                    gate: Arc::clone(self),
                    ticket,
                    called,
                })
            }
        }
    }

    /// A slot if one is free; nobody is waited for.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<Slot> {
        let mut inside = self.inside();
        let room = inside.line.enter().then(|| inside.room());
        drop(inside);
        room.map(|room| self.slot(room, Instant::now()))
    }

    /// Somebody waited and got nothing.
    pub(super) fn gave_up(&self) {
        self.inside().refused += 1;
    }

    /// About how long somebody who comes now would wait; zero if that is not known.
    pub(super) fn wait(&self) -> Duration {
        self.inside().line.wait()
    }

    pub(super) fn crowd(&self) -> Crowd {
        let inside = self.inside();
        Crowd {
            limit: inside.line.limit(),
            in_flight: inside.line.in_flight(),
            interactive: inside.line.waiting_of(Class::Interactive),
            batch: inside.line.waiting_of(Class::Batch),
            refused: inside.refused,
        }
    }

    fn slot(self: &Arc<Self>, room: Room, now: Instant) -> Slot {
        Slot {
            gate: Arc::clone(self),
            room,
            begun: now,
            over: None,
            load: Load::Unknown,
        }
    }

    /// A call is over: learns from it, and gives what is free now to whoever is next.
    fn release(self: &Arc<Self>, over: Over, now: Instant) {
        let mut inside = self.inside();
        let in_flight = inside.line.in_flight();
        let turn = inside
            .adaptive
            .as_mut()
            .and_then(|adaptive| adaptive.learn(now, over, in_flight));
        let limit = inside.adaptive.as_ref().map(Adaptive::limit);
        if let Some(limit) = limit {
            inside.line.set_limit(limit);
        }
        inside.line.release(now.saturating_duration_since(over.begun));
        let mut called = Vec::new();
        while let Some(call) = inside.line.next() {
            called.push((call, inside.room()));
        }
        drop(inside);
        self.tell(turn, limit);
        for (call, room) in called {
            // Somebody who has just left drops the slot, and it comes back here.
            drop(call.send(Ok(self.slot(room, Instant::now()))));
        }
    }

    fn tell(&self, turn: Option<Turn>, limit: Option<usize>) {
        let dependency = &*self.dependency;
        match turn {
            Some(Turn::Falling) => {
                tracing::warn!(dependency, limit, "fewer calls at once: the dependency is overloaded");
            }
            Some(Turn::Restored) => {
                tracing::info!(dependency, limit, "as many calls at once as the settings allow again");
            }
            None => {}
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // No code of others runs under the lock, so a poisoned one still holds a whole line.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one call in flight; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Slot {
    gate: Arc<Gate>,
    room: Room,
    begun: Instant,
    /// When the call ended; `None` if nobody has told.
    over: Option<Instant>,
    load: Load,
}

impl Slot {
    /// When it was given.
    pub(crate) const fn given(&self) -> Instant {
        self.begun
    }

    /// The call begins: what its caller waited for since it has the slot was not the other side's time.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.begun = now;
    }

    /// When and how the call ended, told to an adaptive limit when the slot becomes free, which has to be now.
    pub(crate) fn ended(&mut self, now: Instant, load: Load) {
        self.over = Some(now);
        self.load = load;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let over = Over {
            load: self.load,
            begun: self.begun,
            company: self.room.in_flight,
            limit: self.room.limit,
        };
        self.gate.release(over, self.over.unwrap_or_else(Instant::now));
    }
}

/// A place in the line, given up on drop.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    ticket: Ticket,
    called: oneshot::Receiver<Called>,
}

impl Place {
    /// Waits for its turn. Dropped, it leaves the line with the place when that is dropped.
    pub(super) async fn turn(&mut self) -> Called {
        // Nobody drops a call unsent: what leaves the line is either called or has left by itself.
        (&mut self.called).await.unwrap_or(Err(Displaced))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A slot that is on its way already is dropped with the receiver.
        drop(self.gate.inside().line.leave(self.ticket));
    }
}
