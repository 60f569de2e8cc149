//! Counts one operation, or the calls of one dependency.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use captions_domain::fault::{Fault, FaultKind};
use tokio::time::Instant;

use super::{
    Outcome,
    window::{CIRCUIT_OPEN, OVERLOADED, Record, Span, Totals},
};

/// The lock is held for a few additions, and for one copy when somebody asks.
#[derive(Debug)]
pub(crate) struct Recorder {
    record: Mutex<Record>,
    in_flight: AtomicUsize,
    /// Of calls to a language model that were cut off before they told their price.
    guessed_tokens: AtomicU64,
}

impl Recorder {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            record: Mutex::new(Record::new(Instant::now(), window)),
            in_flight: AtomicUsize::new(0),
            guessed_tokens: AtomicU64::new(0),
        }
    }

    /// A call was cut off that had cost about so many tokens.
    pub(crate) fn cut_off(&self, tokens: u64) {
        self.guessed_tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    pub(super) fn guessed_tokens(&self) -> u64 {
        self.guessed_tokens.load(Ordering::Relaxed)
    }

    /// Something begins now.
    pub(crate) fn begin(self: &Arc<Self>) -> Timer {
        self.begin_at(Instant::now())
    }

    /// The same of somebody who has just looked at the clock.
    pub(crate) fn begin_at(self: &Arc<Self>, now: Instant) -> Timer {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Timer {
            recorder: Some(Arc::clone(self)),
            begun: now,
        }
    }

    /// A call was not made. Only refusals of our own for want of room, and open circuits, are counted.
    pub(crate) fn turned_away(&self, fault: &Fault) {
        let kind = match fault.kind {
            FaultKind::Overloaded | FaultKind::RateLimited { .. } => OVERLOADED,
            FaultKind::CircuitOpen { .. } => CIRCUIT_OPEN,
            FaultKind::Timeout | FaultKind::Unavailable | FaultKind::Corrupt | FaultKind::Internal => return,
        };
        self.with(|record| record.turn_away(Instant::now(), kind));
    }

    pub(super) fn read(&self) -> Reading {
        self.with(|record| Reading {
            totals: record.totals().clone(),
            recent: record.recent(Instant::now()),
            in_flight: self.in_flight.load(Ordering::Relaxed),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Record) -> T) -> T {
        // Nothing in there can panic half way, so a poisoned lock still holds whole counts.
        work(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All that a recorder knows at one instant.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) totals: Totals,
    pub(super) recent: Span,
    pub(super) in_flight: usize,
}

impl Reading {
    pub(super) fn add(&mut self, other: &Self) {
        self.totals.add(&other.totals);
        self.recent.add(&other.recent);
        self.in_flight += other.in_flight;
    }

    /// Only what was not begun there.
    pub(super) fn add_turned_away(&mut self, other: &Self) {
        for kind in [OVERLOADED, CIRCUIT_OPEN] {
            self.totals.counts[kind] += other.totals.counts[kind];
            self.recent.counts[kind] += other.recent.counts[kind];
        }
    }
}

/// Something under way. Dropped without an outcome it counts as [`Outcome::Cancelled`], by a panic as [`Outcome::Failed`].
#[derive(Debug)]
#[must_use = "dropped at once, it counts as cancelled"]
pub struct Timer {
    /// Taken when it ends.
    recorder: Option<Arc<Recorder>>,
    begun: Instant,
}

impl Timer {
    /// It ends now, with this outcome.
    pub fn end(self, outcome: Outcome) {
        self.end_at(Instant::now(), outcome);
    }

    /// The same of somebody who has just looked at the clock.
    pub(crate) fn end_at(mut self, now: Instant, outcome: Outcome) {
        self.finish(now, outcome);
    }

    fn finish(&mut self, now: Instant, outcome: Outcome) {
        let Some(recorder) = self.recorder.take() else {
            return;
        };
        recorder.in_flight.fetch_sub(1, Ordering::Relaxed);
        recorder.with(|record| record.end(now, outcome, now.saturating_duration_since(self.begun)));
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // Most have ended by now, and need no clock.
        if self.recorder.is_none() {
            return;
        }
        let outcome = if std::thread::panicking() {
            Outcome::Failed
        } else {
            Outcome::Cancelled
        };
        self.finish(Instant::now(), outcome);
    }
}
