//! The state machine behind a lock, and the right to make one call.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use captions_domain::fault::{Fault, FaultKind};
use tokio::time::Instant;

use super::{
    BreakerSettings, Snapshot, State, Verdict,
    lock::{Mutex, MutexGuard, Word},
    machine::{Change, Done, Machine, Ticket},
};
use crate::jitter::Jitter;

/// The breaker of one dependency.
#[derive(Debug)]
pub struct Breaker {
    dependency: Arc<str>,
    jitter: Jitter,
    machine: Mutex<Machine>,
    /// [`Machine::free_pass`], written under the lock: while everybody passes, nobody need take it to be admitted.
    free_pass: Word,
    /// [`Machine::time_closed_off`] since `made` in nanoseconds, written under the lock; 0 for `None`, and the largest
    /// number where it does not end. While nobody passes, nobody takes the lock to be told so.
    shut_until: Word,
    made: Instant,
    recovery_timeout: Duration,
    opened: AtomicU64,
    rejected: AtomicU64,
}

impl Breaker {
    /// A closed breaker. `dependency` is its name in logs.
    pub fn new(dependency: Arc<str>, settings: BreakerSettings, jitter: Jitter) -> Self {
        let machine = Machine::new(settings);
        Self {
            dependency,
            jitter,
            free_pass: Word::new(machine.free_pass()),
            shut_until: Word::new(0),
            made: Instant::now(),
            recovery_timeout: settings.recovery_timeout,
            machine: Mutex::new(machine),
            opened: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        }
    }

    /// Asks to make one call. A refusal is a [`FaultKind::CircuitOpen`] fault with the time until the next probe.
    pub fn admit(self: &Arc<Self>) -> Result<Permit, Fault> {
        self.admit_at(Instant::now())
    }

    /// The same of somebody who has just looked at the clock.
    pub fn admit_at(self: &Arc<Self>, now: Instant) -> Result<Permit, Fault> {
        let free = Ticket::of(self.free_pass.load(Ordering::Acquire));
        let admitted = match free {
            Some(ticket) => Ok(ticket),
            None => self.ask(now),
        };
        match admitted {
            Ok(ticket) => Ok(Permit {
                breaker: Arc::clone(self),
                ticket: Some(ticket),
                begun: now,
                took: None,
            }),
            Err(retry_after) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                Err(Fault::new(FaultKind::CircuitOpen { retry_after }))
            }
        }
    }

    /// Asks where not everybody passes.
    fn ask(&self, now: Instant) -> Result<Ticket, Duration> {
        match self.shut_for(now) {
            // Nobody knows when it ends.
            Some(Duration::MAX) => return Err(self.recovery_timeout),
            Some(left) if !left.is_zero() => return Err(left),
            Some(_) | None => {}
        }
        let (admitted, change) = self.change(|machine| machine.admit(now));
        self.tell(change);
        admitted
    }

    /// [`Machine::time_closed_off`], without the lock.
    fn shut_for(&self, now: Instant) -> Option<Duration> {
        match self.shut_until.load(Ordering::Acquire) {
            0 => None,
            u64::MAX => Some(Duration::MAX),
            until => Some(Duration::from_nanos(until).saturating_sub(now.saturating_duration_since(self.made))),
        }
    }

    /// True if a call made after `pause` would be refused, as far as one can tell now.
    pub(crate) fn refuses_after(&self, pause: Duration) -> bool {
        self.shut_for(Instant::now()).is_some_and(|left| left > pause)
    }

    /// Where it stands now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            refused: self.rejected.load(Ordering::Relaxed),
            ..self.machine().snapshot(Instant::now())
        }
    }

    /// How often it has opened by itself, and how many calls it has turned away, since it was made.
    pub fn counts(&self) -> (u64, u64) {
        (
            self.opened.load(Ordering::Relaxed),
            self.rejected.load(Ordering::Relaxed),
        )
    }

    /// Lets nobody pass until [`Breaker::automatic`]. Nobody knows when that will be: refusals name the recovery timeout.
    pub fn force_open(&self) {
        let change = self.change(Machine::force_open);
        self.tell(change);
    }

    /// Lets everybody pass and counts nothing until [`Breaker::automatic`].
    pub fn force_closed(&self) {
        let change = self.change(Machine::force_closed);
        self.tell(change);
    }

    /// Ends a forced state: closed, with nothing counted. Changes nothing if no state is forced.
    pub fn automatic(&self) {
        let change = self.change(Machine::automatic);
        self.tell(change);
    }

    /// Does something that may change the state.
    fn change<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.machine();
        let before = machine.free_pass();
        let done = act(&mut machine);
        let after = machine.free_pass();
        if after != before {
            self.free_pass.store(after, Ordering::Release);
        }
        let shut = machine.time_closed_off(self.made);
        let nanos = shut.map_or(0, |until| u64::try_from(until.as_nanos()).unwrap_or(u64::MAX));
        if nanos != self.shut_until.load(Ordering::Relaxed) {
            self.shut_until.store(nanos, Ordering::Release);
        }
        done
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        // No code of others runs under the lock, so a poisoned one still holds a whole machine.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One line for each change of state, written outside the lock.
    fn tell(&self, change: Option<Change>) {
        let Some(Change { from, to, opens }) = change else {
            return;
        };
        let (dependency, from, to_name) = (&*self.dependency, from.as_str(), to.as_str());
        match to {
            State::Open => {
                self.opened.fetch_add(1, Ordering::Relaxed);
                let open_ms = opens.map(|opens| u64::try_from(opens.time.as_millis()).unwrap_or(u64::MAX));
                tracing::warn!(
                    dependency,
                    from,
                    to = to_name,
                    reason = opens.map(|opens| opens.reason.as_str()),
                    open_ms,
                    "circuit opened: the dependency is not called"
                );
            }
            State::HalfOpen => tracing::info!(dependency, from, to = to_name, "circuit half open: one probe goes"),
            State::Closed => tracing::info!(dependency, from, to = to_name, "circuit closed: calls pass again"),
            State::ForcedOpen | State::ForcedClosed => {
                tracing::warn!(dependency, from, to = to_name, "circuit forced by an operator");
            }
        }
    }
}

/// The right to make one call. It belongs to the state in which it was given: settled after that state has ended, it
/// changes nothing. Dropped unsettled it is neutral, and the place of a probe is free again.
#[derive(Debug)]
#[must_use = "a dropped permit says nothing about the call"]
pub struct Permit {
    breaker: Arc<Breaker>,
    ticket: Option<Ticket>,
    begun: Instant,
    /// The time that the call took, once it is known before the verdict.
    took: Option<Duration>,
}

impl Permit {
    /// The call begins: what its caller waited for since the permit was given is not its time.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.begun = now;
    }

    /// The other side has answered; what follows goes at the reader's pace too and is not its time.
    pub(crate) fn answered(&mut self) {
        self.took = Some(self.begun.elapsed());
    }

    /// False if the breaker has changed its state since the permit was given.
    pub fn is_current(&self) -> bool {
        let free_pass = self.breaker.free_pass.load(Ordering::Acquire);
        self.ticket
            .as_ref()
            .is_some_and(|ticket| ticket.is_of(free_pass) || self.breaker.machine().is_current(ticket))
    }

    /// Tells how the call went. It took the time since the permit was given.
    pub fn settle(self, verdict: Verdict) {
        self.settle_at(verdict, Instant::now());
    }

    /// The same of somebody who has just looked at the clock.
    pub(crate) fn settle_at(mut self, verdict: Verdict, now: Instant) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let failed = match verdict {
            Verdict::Healthy => false,
            Verdict::Sick => true,
            Verdict::Neutral => {
                self.breaker.machine().release(&ticket);
                return;
            }
        };
        let took = self.took.unwrap_or_else(|| now.saturating_duration_since(self.begun));
        let done = Done { failed, took };
        let breaker = &self.breaker;
        let change = breaker.change(|machine| machine.finish(&ticket, now, done, || breaker.jitter.unit()));
        self.breaker.tell(change);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.machine().release(&ticket);
        }
    }
}
