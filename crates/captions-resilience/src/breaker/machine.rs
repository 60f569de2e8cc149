//! The breaker's state machine: no clock, no lock, no chance of its own.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    BreakerSettings, Reason, Snapshot, State,
    window::{Counts, Window},
};

/// The first time open of an outage.
pub(super) const FIRST_OPEN: Duration = Duration::from_millis(500);
/// Every further time open while the outage is young.
pub(super) const YOUNG_OPEN: Duration = Duration::from_millis(900);
/// An outage is young for this long.
pub(super) const YOUNG: Duration = Duration::from_secs(30);
/// The share of a time open that jitter may take off. It only shortens: the bounds above are promises.
pub(super) const JITTER: f64 = 0.15;
/// A probe that has said nothing for this long is given up and another one goes: a stream that nobody reads any more
/// must not keep the circuit shut.
pub(super) const PROBE_LEASE: Duration = Duration::from_mins(1);

/// What one admitted call holds. It counts only within the generation in which it was given.
#[derive(Debug)]
pub(super) struct Ticket {
    generation: u64,
}

impl Ticket {
    /// The ticket that everybody gets in this state; see [`Machine::free_pass`].
    pub(super) fn of(free_pass: u64) -> Option<Self> {
        let generation = free_pass.checked_sub(1)?;
        Some(Self { generation })
    }

    /// True if this is the state in which it was given, and everybody passes in it.
    pub(super) const fn is_of(&self, free_pass: u64) -> bool {
        self.generation + 1 == free_pass
    }
}

/// How a call ended that tells something about the other side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub(super) failed: bool,
    pub(super) took: Duration,
}

/// A change of state, to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: State,
    pub(super) to: State,
    /// For [`State::Open`].
    pub(super) opens: Option<Opens>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opens {
    /// Until the next probe.
    pub(super) time: Duration,
    pub(super) reason: Reason,
}

#[derive(Debug)]
enum Mode {
    Closed,
    Open { until: Instant },
    HalfOpen { probe: Option<Probe> },
    ForcedOpen,
    ForcedClosed,
}

/// What is counted while calls pass.
#[derive(Debug)]
struct Record {
    failures_in_a_row: u32,
    window: Option<Window>,
}

impl Record {
    fn new(settings: &BreakerSettings) -> Self {
        Self {
            failures_in_a_row: 0,
            window: settings.window.map(Window::new),
        }
    }

    /// Counts a call, and tells why the circuit has to open if it has to.
    fn add(&mut self, settings: &BreakerSettings, now: Instant, done: Done) -> Option<Reason> {
        self.failures_in_a_row = if done.failed {
            self.failures_in_a_row.saturating_add(1)
        } else {
            0
        };
        if let Some(window) = &mut self.window {
            window.record(now, done.failed, done.took);
        }
        let threshold = settings.failure_threshold;
        if threshold > 0 && self.failures_in_a_row >= threshold {
            return Some(Reason::Row);
        }
        self.window.as_ref().and_then(Window::trips)
    }
}

#[derive(Debug)]
struct Probe {
    /// `None` if the clock cannot tell a time so far ahead.
    given_up_at: Option<Instant>,
}

/// From the first opening to the closing.
#[derive(Debug, Clone, Copy)]
struct Outage {
    since: Instant,
    /// The last time open, before jitter.
    open_for: Duration,
}

#[derive(Debug)]
pub(super) struct Machine {
    settings: BreakerSettings,
    mode: Mode,
    /// Empty unless it is closed.
    record: Record,
    /// Counts the changes of state (and the probes given up).
    generation: u64,
    outage: Option<Outage>,
    /// Times opened since the start.
    opened: u64,
}

impl Machine {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            mode: Mode::Closed,
            record: Record::new(&settings),
            generation: 0,
            outage: None,
            opened: 0,
        }
    }

    /// A ticket for one call, or the time to wait before asking again.
    pub(super) fn admit(&mut self, now: Instant) -> (Result<Ticket, Duration>, Option<Change>) {
        let mut change = None;
        if let Mode::Open { until } = self.mode {
            let left = until.saturating_duration_since(now);
            if !left.is_zero() {
                return (Err(left), None);
            }
            change = Some(self.enter(Mode::HalfOpen { probe: None }));
        }
        match &mut self.mode {
            Mode::Closed | Mode::ForcedClosed => {}
            Mode::Open { .. } | Mode::ForcedOpen => return (Err(self.settings.recovery_timeout), change),
            Mode::HalfOpen { probe } => {
                if let Some(under_way) = probe {
                    if under_way.given_up_at.is_none_or(|at| now < at) {
                        // Nobody knows how long the probe takes; a second look is worth it after the shortest time open.
                        return (Err(FIRST_OPEN.min(self.settings.recovery_timeout)), change);
                    }
                    // What the old probe may still say comes from another generation.
                    self.generation += 1;
                }
                *probe = Some(Probe {
                    given_up_at: now.checked_add(PROBE_LEASE),
                });
            }
        }
        let ticket = Ticket {
            generation: self.generation,
        };
        (Ok(ticket), change)
    }

    /// A number for the present state if everybody passes in it, another one for every state; 0 if not.
    pub(super) const fn free_pass(&self) -> u64 {
        match self.mode {
            Mode::Closed | Mode::ForcedClosed => self.generation + 1,
            Mode::Open { .. } | Mode::HalfOpen { .. } | Mode::ForcedOpen => 0,
        }
    }

    pub(super) fn is_current(&self, ticket: &Ticket) -> bool {
        ticket.generation == self.generation
    }

    /// The call is over. `jitter` gives a number from 0 to 1; it is asked only if the circuit opens.
    pub(super) fn finish(
        &mut self,
        ticket: &Ticket,
        now: Instant,
        done: Done,
        jitter: impl FnOnce() -> f64,
    ) -> Option<Change> {
        if !self.is_current(ticket) {
            return None;
        }
        match &mut self.mode {
            Mode::Closed => {
                let reason = self.record.add(&self.settings, now, done)?;
                Some(self.open(now, reason, jitter()))
            }
            Mode::HalfOpen { .. } if done.failed => Some(self.open(now, Reason::Probe, jitter())),
            Mode::HalfOpen { .. } => {
                self.outage = None;
                Some(self.enter(Mode::Closed))
            }
            Mode::Open { .. } | Mode::ForcedOpen | Mode::ForcedClosed => None,
        }
    }

    /// The call said nothing; a probe's place is free again.
    pub(super) fn release(&mut self, ticket: &Ticket) {
        if !self.is_current(ticket) {
            return;
        }
        if let Mode::HalfOpen { probe } = &mut self.mode {
            *probe = None;
        }
    }

    pub(super) fn force_open(&mut self) -> Option<Change> {
        self.force(Mode::ForcedOpen)
    }

    pub(super) fn force_closed(&mut self) -> Option<Change> {
        self.force(Mode::ForcedClosed)
    }

    pub(super) fn automatic(&mut self) -> Option<Change> {
        match self.mode {
            Mode::ForcedOpen | Mode::ForcedClosed => Some(self.enter(Mode::Closed)),
            Mode::Closed | Mode::Open { .. } | Mode::HalfOpen { .. } => None,
        }
    }

    /// How long after `now` nobody can pass for certain, without end if it is forced; `None` if a call may pass.
    pub(super) fn time_closed_off(&self, now: Instant) -> Option<Duration> {
        match self.mode {
            Mode::Open { until } => Some(until.saturating_duration_since(now)),
            Mode::ForcedOpen => Some(Duration::MAX),
            Mode::Closed | Mode::HalfOpen { .. } | Mode::ForcedClosed => None,
        }
    }

    /// But for the refused, who are counted outside: few of them come in here.
    pub(super) fn snapshot(&mut self, now: Instant) -> Snapshot {
        let window = self.record.window.as_mut();
        let counts = window.map_or_else(Counts::default, |window| window.counts(now));
        Snapshot {
            state: self.state(),
            open_since: self.outage.map(|outage| outage.since),
            next_probe: match self.mode {
                Mode::Open { until } => Some(until.saturating_duration_since(now)),
                Mode::HalfOpen { .. } => Some(Duration::ZERO),
                Mode::Closed | Mode::ForcedOpen | Mode::ForcedClosed => None,
            },
            calls: counts.calls,
            failure_rate: counts.failure_rate(),
            slow_rate: counts.slow_rate(),
            opened: self.opened,
            refused: 0,
        }
    }

    fn state(&self) -> State {
        match self.mode {
            Mode::Closed => State::Closed,
            Mode::Open { .. } => State::Open,
            Mode::HalfOpen { .. } => State::HalfOpen,
            Mode::ForcedOpen => State::ForcedOpen,
            Mode::ForcedClosed => State::ForcedClosed,
        }
    }

    fn open(&mut self, now: Instant, reason: Reason, jitter: f64) -> Change {
        self.opened += 1;
        let open_for = match self.outage {
            None => FIRST_OPEN,
            Some(outage) if now.saturating_duration_since(outage.since) < YOUNG => YOUNG_OPEN,
            Some(outage) => outage.open_for.saturating_mul(2),
        }
        .min(self.settings.recovery_timeout);
        self.outage = Some(Outage {
            since: self.outage.map_or(now, |outage| outage.since),
            open_for,
        });
        let open_for = open_for.mul_f64(1.0 - JITTER * jitter);
        let mut change = self.enter(Mode::Open {
            // A recovery timeout beyond the clock's range is a mistake in the settings; probing at once is the safe side.
            until: now.checked_add(open_for).unwrap_or(now),
        });
        change.opens = Some(Opens { time: open_for, reason });
        change
    }

    fn force(&mut self, mode: Mode) -> Option<Change> {
        self.outage = None;
        let change = self.enter(mode);
        (change.from != change.to).then_some(change)
    }

    /// The only place where the state changes: whatever was admitted before belongs to the past.
    fn enter(&mut self, mode: Mode) -> Change {
        let from = self.state();
        self.mode = mode;
        self.record = Record::new(&self.settings);
        self.generation += 1;
        Change {
            from,
            to: self.state(),
            opens: None,
        }
    }
}

#[cfg(test)]
mod tests;
