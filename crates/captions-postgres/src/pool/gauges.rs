//! What the pool tells about itself.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How the connections to the server are at one moment. It costs a lock and asks nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolSnapshot {
    /// The most connections at a time.
    pub limit: usize,
    /// Connections at work, being opened, or being closed.
    pub in_use: usize,
    /// Open connections that wait for work.
    pub idle: usize,
    /// Calls that wait for a connection now.
    pub waiting: usize,
    /// Connections that have been held for longer than any call may take: somebody holds one and does not get on with it.
    pub leaked: usize,
    /// Connections opened since the start, those of migrations left out.
    pub opened: u64,
    /// Connections closed in the middle of their work since the start: the server broke them, fell silent, or the caller left.
    pub broken: u64,
    /// Calls that waited for a connection in vain since the start.
    pub refused: u64,
}

/// The counts behind a [`PoolSnapshot`].
#[derive(Debug, Default)]
pub(super) struct Gauges {
    waiting: AtomicUsize,
    opened: AtomicU64,
    broken: AtomicU64,
    refused: AtomicU64,
    /// Since when each connection at work has been held. As many as the pool has places, so looking one up is quick.
    held: Mutex<Vec<(u64, Instant)>>,
    last: AtomicU64,
    shortage: Mutex<Shortage>,
    /// Whether there is one, so that hardly anybody has to look.
    is_short: AtomicBool,
}

/// So long nobody has waited in vain, and a shortage of connections is over.
const CALM: Duration = Duration::from_secs(10);

/// Whether there are too few connections, for the log, which tells of changes only.
#[derive(Debug, Default)]
struct Shortage {
    /// When somebody last waited in vain, while it lasts.
    last: Option<Instant>,
}

impl Shortage {
    /// Somebody has waited in vain; true if it begins with that.
    fn refused(&mut self, now: Instant) -> bool {
        self.last.replace(now).is_none()
    }

    /// Somebody did not have to wait; true if it is over with that.
    fn served(&mut self, now: Instant) -> bool {
        self.last
            .take_if(|last| now.saturating_duration_since(*last) >= CALM)
            .is_some()
    }
}

/// Counts one that waits, until it is dropped.
pub(super) struct Waiting<'g>(&'g AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts one connection as held, until it is dropped: as broken, unless its work was done.
pub(super) struct Held<'g> {
    gauges: &'g Gauges,
    number: u64,
    is_done: bool,
}

impl Held<'_> {
    /// The work has come to an end that leaves the connection usable.
    pub(super) fn done(&mut self) {
        self.is_done = true;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.gauges.held().retain(|(number, _)| *number != self.number);
        if !self.is_done {
            self.gauges.broken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Gauges {
    pub(super) fn waits(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// Somebody waited in vain for one of so many connections.
    pub(super) fn refused(&self, connections: u32) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if self.shortage().refused(Instant::now()) {
            tracing::warn!(
                connections,
                "every connection to the store is in use: a call waited in vain"
            );
        }
        self.is_short.store(true, Ordering::Relaxed);
    }

    /// Somebody found a connection free at once.
    pub(super) fn served(&self) {
        if self.is_short.load(Ordering::Relaxed) && self.shortage().served(Instant::now()) {
            self.is_short.store(false, Ordering::Relaxed);
            tracing::info!("connections to the store are free again");
        }
    }

    fn shortage(&self) -> MutexGuard<'_, Shortage> {
        self.shortage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn holds(&self) -> Held<'_> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.held().push((number, Instant::now()));
        Held {
            gauges: self,
            number,
            is_done: false,
        }
    }

    /// What is counted here; a connection held for longer than `longest` counts as leaked.
    pub(super) fn snapshot(&self, longest: Duration) -> PoolSnapshot {
        PoolSnapshot {
            waiting: self.waiting.load(Ordering::Relaxed),
            leaked: self
                .held()
                .iter()
                .filter(|(_, since)| since.elapsed() > longest)
                .count(),
            opened: self.opened.load(Ordering::Relaxed),
            broken: self.broken.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            ..PoolSnapshot::default()
        }
    }

    fn held(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_begins_once_and_is_over_after_some_calm() {
        let (mut shortage, begun) = (Shortage::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);

        assert!(!shortage.served(at(0)), "there is none");
        assert!(shortage.refused(at(1)));
        assert!(!shortage.refused(at(5)), "it lasts");
        assert!(!shortage.served(at(14)), "one is free, but it was bad a moment ago");
        assert!(shortage.served(at(15)));
        assert!(!shortage.served(at(16)), "it was told");
        assert!(shortage.refused(at(17)));
    }

    #[test]
    fn what_is_held_for_longer_than_a_call_may_take_is_a_leak_until_it_is_let_go() {
        let gauges = Gauges::default();
        let (mut kept, mut returned) = (gauges.holds(), gauges.holds());
        returned.done();
        drop(returned);
        while gauges.held()[0].1.elapsed().is_zero() {}

        assert_eq!(gauges.snapshot(Duration::ZERO).leaked, 1);
        assert_eq!(gauges.snapshot(Duration::from_hours(1)).leaked, 0);

        kept.done();
        drop(kept);
        assert_eq!(gauges.snapshot(Duration::ZERO), PoolSnapshot::default());
    }
}
