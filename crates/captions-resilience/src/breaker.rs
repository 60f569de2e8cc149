//! The circuit breaker of one dependency: after enough failures in a row, or too large a share of failed or slow calls in
//! a sliding window, nobody calls, until one probe succeeds.
//!
//! The state machine is pure and lives in `machine`, its counts in `window`; here it gets a clock, a lock, a name and a
//! line in the log for every change of state.

mod machine;
mod window;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use captions_domain::fault::{Fault, FaultKind, PortError};
use tokio::time::Instant;

use self::machine::{Change, Done, Machine, Ticket};
use crate::jitter::Jitter;

/// When a breaker opens, and for how long at most. Whatever rule is met first opens it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSettings {
    /// Failures in a row that open it; 0 = they do not.
    pub failure_threshold: u32,
    /// The shares of failed and slow calls that open it; `None` = they do not.
    pub window: Option<WindowSettings>,
    /// The longest that it stays open between two probes.
    ///
    /// It opens for 0.5 s first, then for 0.9 s while the outage is younger than 30 s, then twice as long each time up to
    /// this; always up to 15 % less by jitter. So a short outage heals in under a second and a long one is probed rarely.
    pub recovery_timeout: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            window: Some(WindowSettings::default()),
            recovery_timeout: Duration::from_mins(1),
        }
    }
}

/// The shares of failed and slow calls that open a breaker. Only calls that ended well or in a failure of the other side
/// are counted; each change of state begins an empty window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSettings {
    /// How far back it looks. It slides in ten steps, so that a call is forgotten between nine and ten tenths of this
    /// after its end.
    pub length: Duration,
    /// With fewer calls in the window no share opens the circuit; 0 acts as 1.
    pub min_calls: u32,
    /// The share of failures, above 0 and up to 1, that opens it; `None` = failures open it in a row only.
    pub failure_rate: Option<f64>,
    /// A call that took this long or longer is slow, whether it succeeded or failed.
    pub slow_call: Duration,
    /// The share of slow calls, above 0 and up to 1, that opens it; `None` = slowness does not.
    pub slow_rate: Option<f64>,
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self {
            length: Duration::from_secs(30),
            min_calls: 20,
            failure_rate: Some(0.5),
            slow_call: Duration::from_secs(15),
            slow_rate: Some(0.8),
        }
    }
}

/// Which rule opened a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// As many failures in a row as the threshold says.
    Row,
    /// The share of failures in the window.
    FailureRate,
    /// The share of slow calls in the window.
    SlowRate,
    /// The probe failed.
    Probe,
}

impl Reason {
    /// The name used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Row => "failures_in_a_row",
            Self::FailureRate => "failure_rate",
            Self::SlowRate => "slow_rate",
            Self::Probe => "probe_failed",
        }
    }
}

/// What a finished call says about the health of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Healthy,
    /// It gave nothing that a caller could use.
    Sick,
    /// Nothing either way.
    Neutral,
}

impl Verdict {
    /// What an error says by its fault alone.
    ///
    /// A refusal by the rules of the domain says nothing: it may come from a proxy before a dead server as well as from
    /// a sound one. Being asked to slow down is a matter of rate, not of health. Refusals of our own and our own mistakes
    /// are not the other side's.
    pub fn of<E: PortError>(error: &E) -> Self {
        match error.fault().map(|fault| fault.kind) {
            Some(FaultKind::Timeout | FaultKind::Unavailable | FaultKind::Corrupt) => Self::Sick,
            None
            | Some(
                FaultKind::RateLimited { .. }
                | FaultKind::CircuitOpen { .. }
                | FaultKind::Overloaded
                | FaultKind::Internal,
            ) => Self::Neutral,
        }
    }
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls pass.
    Closed,
    /// No call passes until the next probe is due.
    Open,
    /// A probe is due or under way; nobody else passes.
    HalfOpen,
    /// An operator lets nobody pass.
    ForcedOpen,
    /// An operator lets everybody pass, whatever happens.
    ForcedClosed,
}

impl State {
    /// The name used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

/// A breaker at one instant, for readiness pages and metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    /// Where it stands.
    pub state: State,
    /// Since when nothing has worked; `None` while it is closed or forced.
    pub open_since: Option<Instant>,
    /// Time until the next probe may go; zero if one may go now or is under way, `None` while closed or forced.
    pub next_probe: Option<Duration>,
    /// Calls counted in the window; 0 unless it is closed and has one.
    pub calls: u32,
    /// The share of them that failed, from 0 to 1; `None` without a call.
    pub failure_rate: Option<f64>,
    /// The share of them that was slow, from 0 to 1; `None` without a call.
    pub slow_rate: Option<f64>,
    /// How often it has opened by itself since the start.
    pub opened: u64,
    /// Calls that it has refused since the start.
    pub refused: u64,
}

/// The breaker of one dependency.
#[derive(Debug)]
pub struct Breaker {
    dependency: Arc<str>,
    jitter: Jitter,
    machine: Mutex<Machine>,
    opened: AtomicU64,
    rejected: AtomicU64,
}

impl Breaker {
    /// A closed breaker. `dependency` is its name in logs.
    pub fn new(dependency: Arc<str>, settings: BreakerSettings, jitter: Jitter) -> Self {
        Self {
            dependency,
            jitter,
            machine: Mutex::new(Machine::new(settings)),
            opened: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        }
    }

    /// Asks to make one call. A refusal is a [`FaultKind::CircuitOpen`] fault with the time until the next probe.
    pub fn admit(self: &Arc<Self>) -> Result<Permit, Fault> {
        let now = Instant::now();
        let (admitted, change) = self.machine().admit(now);
        self.tell(change);
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

    /// True if a call made after `pause` would be refused, as far as one can tell now.
    pub(crate) fn refuses_after(&self, pause: Duration) -> bool {
        self.machine()
            .time_closed_off(Instant::now())
            .is_some_and(|left| left > pause)
    }

    /// Where it stands now.
    pub fn snapshot(&self) -> Snapshot {
        self.machine().snapshot(Instant::now())
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
        let change = self.machine().force_open();
        self.tell(change);
    }

    /// Lets everybody pass and counts nothing until [`Breaker::automatic`].
    pub fn force_closed(&self) {
        let change = self.machine().force_closed();
        self.tell(change);
    }

    /// Ends a forced state: closed, with nothing counted. Changes nothing if no state is forced.
    pub fn automatic(&self) {
        let change = self.machine().automatic();
        self.tell(change);
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
    /// The call begins now: what its caller waited for since the permit was given is not its time.
    pub(crate) fn begin(&mut self) {
        self.begun = Instant::now();
    }

    /// The other side has answered; what follows goes at the reader's pace too and is not its time.
    pub(crate) fn answered(&mut self) {
        self.took = Some(self.begun.elapsed());
    }

    /// False if the breaker has changed its state since the permit was given.
    pub fn is_current(&self) -> bool {
        self.ticket
            .as_ref()
            .is_some_and(|ticket| self.breaker.machine().is_current(ticket))
    }

    /// Tells how the call went. It took the time since the permit was given.
    pub fn settle(mut self, verdict: Verdict) {
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
        let now = Instant::now();
        let took = self.took.unwrap_or_else(|| now.saturating_duration_since(self.begun));
        let done = Done { failed, took };
        let change = self
            .breaker
            .machine()
            .finish(&ticket, now, done, || self.breaker.jitter.unit());
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

#[cfg(test)]
mod tests;
